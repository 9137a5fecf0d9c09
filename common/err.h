/*
 * err.h - the error sentence: what happened, where, what was expected, what
 * to do.
 * Layer: base.  A function that can fail takes `struct err *`; success leaves
 * it alone, failure fills it and leaves the outputs alone.
 */
#ifndef MX_ERR_H
#define MX_ERR_H

#include "base.h"

struct err {
	int status;     /* ST_*, 0 when nothing went wrong */
	char esc[12];   /* enhanced code of RFC 3463, or "" */
	char text[700]; /* one line, control bytes already escaped */
	bool full;      /* ENOSPC, EDQUOT: the disk, or the user's part of it */
};

#define ERR_INIT ((struct err){ 0, "", "", false })

/* Fills e (which may be NULL) and returns -1, so `return err_set(...)`. */
int err_set(struct err *e, int status, const char *fmt, ...) MX_PRINTF(3, 4);
/* The same with an enhanced code. */
int err_esc(struct err *e, int status, const char *esc, const char *fmt, ...)
    MX_PRINTF(4, 5);
/* The same from errno: "FMT: strerror"; status by status_from_errno, never
 * ST_OK: without an errno (a write that was short) it is ST_TEMPFAIL. */
int err_sys(struct err *e, const char *fmt, ...) MX_PRINTF(2, 3);
/* Puts "FMT: " before the text that is there. */
int err_prefix(struct err *e, const char *fmt, ...) MX_PRINTF(2, 3);
/* The enhanced code: e->esc, or the one of its status. */
const char *err_code(const struct err *e);

#if defined(__clang_analyzer__) && !defined(MX_ERR_C)
/* clang's analyzer looks at one file at a time: what they return, told. */
#define err_set(...) (err_set(__VA_ARGS__), -1)
#define err_esc(...) (err_esc(__VA_ARGS__), -1)
#define err_sys(...) (err_sys(__VA_ARGS__), -1)
#define err_prefix(...) (err_prefix(__VA_ARGS__), -1)
#endif

#endif
