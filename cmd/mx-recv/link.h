/*
 * link.h - the link to mx-deliver (or any ESMTP or LMTP server): one a worker,
 * kept over sessions.  Its answers are the answers (DESIGN 3.2, 4).
 */
#ifndef RECV_LINK_H
#define RECV_LINK_H

#include "session.h"

/* Passes s->rcpt_text on (with MAIL before it, the first time) and returns
 * what the other side said, or 451. */
struct reply link_rcpt(struct session *s, struct span parms);
/* Would RCPT to this address be accepted?  250, or what the other side says
 * (252: it does not tell; that counts as yes). */
struct reply link_verify(struct session *s, struct span addr);
/* Can mail be delivered to this address, wherever it lies?  250, 450, 550, or
 * 252: it is being asked for, and was not known within so many seconds. */
struct reply link_probe(struct session *s, struct span addr, int64_t wait_ms);
/* Tells it what s->actions want: HOLD, REDIRECT, FILTER, BCC.  False: it
 * cannot do that, r is the reply instead. */
bool link_actions(struct session *s, struct reply *r);
/* Before the first byte of the message.  False: r is the reply instead. */
bool link_data(struct session *s, struct reply *r);
/* Stored (LF) bytes of the message; trouble is told by link_finish. */
void link_write(struct session *s, struct span stored);
/* The message is whole: the other side's verdict; in mode lmtp that of the
 * first recipient. */
struct reply link_finish(struct session *s);
/* In mode lmtp: are there others, and the next of them. */
bool link_verdicts(struct session *s);
struct reply link_verdict(struct session *s);
/* Nothing of an open transaction may be delivered. */
void link_abort(struct session *s);

#endif
