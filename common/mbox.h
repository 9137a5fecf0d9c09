/*
 * mbox.h - appends a message to an mbox safely: fcntl and dot lock, mboxrd
 * quoting, fsync before unlock, truncation back on any error.
 * Layer: sys.  RFC 4155; DESIGN laws 1 and 3.
 */
#ifndef MX_MBOX_H
#define MX_MBOX_H

#include "clock.h"
#include "err.h"

struct mbox;

/*
 * Opens (makes, 0600) and locks; sender "" writes MAILER-DAEMON.  Refused
 * with 77: anything but a regular file with one link; /dev/null is taken as
 * it is.  A dot lock that the directory's mode forbids is left out, one older
 * than 500 s is removed.  No lock until the deadline: 75.
 */
struct mbox *mbox_open(const char *path, const char *sender, deadline_t d,
		       struct err *e) MX_MUST_CHECK;
/* LF or CRLF lines; written with LF, "From " quoted as in mboxrd. */
int mbox_write(struct mbox *m, const void *p, size_t n,
	       struct err *e) MX_MUST_CHECK;
/* Durable when it returns 0.  Either way *m is gone. */
int mbox_commit(struct mbox **m, struct err *e) MX_MUST_CHECK;
void mbox_abort(struct mbox **m);

#endif
