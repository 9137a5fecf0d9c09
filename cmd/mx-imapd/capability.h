/*
 * capability.h - what is announced, before and after the login.
 */
#ifndef IMAPD_CAPABILITY_H
#define IMAPD_CAPABILITY_H

#include "imap.h"

#define APPEND_MAX (64u << 20)

/* Words behind "CAPABILITY " of a session, put into b; front: one stands
 * before it (none: --preauth). */
const char *capability_words(struct buf *b, bool front);

/* An APPEND whose handler did not read its literal: the bytes of a client
 * that did not wait are dropped, or the session ends. */
struct result cmd_literal_left(struct session *s, struct result r);

#endif
