/*
 * pregreet.h - before the greeting: does the client speak too early, is it on
 * block lists?  Who passed once is let through for a while.  Postfix
 * POSTSCREEN_README; off by default.
 */
#ifndef RECV_PREGREET_H
#define RECV_PREGREET_H

#include "session.h"

/* True: the session ends with r, now.  What waits for RCPT is in s->pregreet.
 */
bool pregreet_check(struct session *s, struct reply *r);
/* At RCPT: true and the refusal of a client that did not pass. */
bool pregreet_refuses(struct session *s, struct reply *r);

#endif
