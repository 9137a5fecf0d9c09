/*
 * history.h - files of lines that one program appends to and another one takes
 * away, a day's worth at a time (mx-report): what became of messages and TLS
 * sessions.
 * Layer: sys.
 */
#ifndef MX_HISTORY_H
#define MX_HISTORY_H

#include "err.h"

#define HISTORY_MAX (256u << 20) /* bytes; no more is added then */

/* Opens it for lines, each with one write(), and makes it where it is missing:
 * as root for its folder's owner, so that whoever adds later may.  While the
 * descriptor is open the lines are not taken away.  -1: e says why. */
int history_open(const char *path, struct err *e) MX_MUST_CHECK;

#endif
