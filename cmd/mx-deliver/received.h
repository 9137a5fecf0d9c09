/*
 * received.h - the Received field, where nobody before us added one.
 */
#ifndef MX_DELIVER_RECEIVED_H
#define MX_DELIVER_RECEIVED_H

#include "trans.h"

/* RFC 5321 4.4; nothing for mail that mx-recv forwarded. */
void received_field(struct buf *b, const struct trans *t);

#endif
