/*
 * status.h - the one table of verdicts: sysexits, errno, enhanced code, words.
 * Layer: base.  DESIGN: exit status of every program, SMTP reply class, DSN
 * field and log word are four prints of one verdict.
 * RFC 3463 (enhanced codes), sysexits(3).
 */
#ifndef MX_STATUS_H
#define MX_STATUS_H

#include "base.h"

/* sysexits(3), by mx's own names so that they can stand beside the others. */
enum {
	ST_OK = 0,
	ST_NO = 1,           /* check commands: no, fail, none */
	ST_USAGE = 64,       /* command line */
	ST_DATA = 65,        /* bad message */
	ST_NOINPUT = 66,     /* input file missing */
	ST_NOUSER = 67,      /* no such user */
	ST_NOHOST = 68,      /* no such host */
	ST_UNAVAILABLE = 69, /* refused for good */
	ST_SOFTWARE = 70,    /* a bug of ours */
	ST_OSERR = 71,       /* system error: temporary */
	ST_OSFILE = 72,
	ST_CANTCREAT = 73,
	ST_IOERR = 74,
	ST_TEMPFAIL = 75, /* try again */
	ST_PROTOCOL = 76,
	ST_NOPERM = 77, /* forbidden */
	ST_CONFIG = 78  /* configuration */
};

/* The sysexits number for an errno; what is not known is ST_TEMPFAIL.
 * ENOSPC, EDQUOT, EIO, EROFS, EMFILE, ENFILE, EAGAIN, ENOMEM: ST_TEMPFAIL. */
int status_from_errno(int err);
/* The sysexits number for a wait(2) status; a signal is ST_TEMPFAIL. */
int status_from_wait(int wstatus);
/* Is this verdict temporary?  Only 64-70, 72, 73, 76, 77 are for good
 * when a delivery ends with them (Postfix global/sys_exits); 71, 74, 75, 78
 * and every unknown number are temporary. */
bool status_is_temp(int st);
/* Enhanced code such as "4.3.0" or "5.1.1" (RFC 3463). */
const char *status_esc(int st);
/* A few words: "user unknown". */
const char *status_words(int st);

#endif
