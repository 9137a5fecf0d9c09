/*
 * complete.h - what a user's program left out of a header: Date, Message-ID,
 * From (RFC 6409 8; Postfix always_add_missing_headers).  The message streams
 * through; its header is held until it ends, or is too long to be one.
 */
#ifndef RECV_COMPLETE_H
#define RECV_COMPLETE_H

#include "session.h"

struct complete *complete_new(const struct session *s);
void complete_free(struct complete **c);
/* Stored (LF) bytes in; what may go on is appended to out. */
void complete_feed(struct complete *c, struct span in, struct buf *out);
/* The message has ended. */
void complete_finish(struct complete *c, struct buf *out);

#endif
