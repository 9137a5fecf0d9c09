/*
 * lines.h - a message from standard input with LF line ends.
 */
#ifndef MX_DELIVER_LINES_H
#define MX_DELIVER_LINES_H

#include "buf.h"
#include "err.h"

typedef int lines_put_fn(void *to, const void *p, size_t n, struct err *e);

/* Copies stdin to put, CRLF as LF, without a first line "From ...".  Empty
 * input is ST_DATA: a stage before us failed. */
int lines_stdin(lines_put_fn *put, void *to, struct err *e) MX_MUST_CHECK;

#endif
