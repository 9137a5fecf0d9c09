/*
 * link_int.h - what link.c and link_ask.c share: the one link of a worker.
 */
#ifndef RECV_LINK_INT_H
#define RECV_LINK_INT_H

#include "link.h"
#include "smtp_client.h"

#define LINK_REPLY_MS 300000 /* RFC 5321 4.5.3.2.2, .3 */

struct link {
	struct smtp_client c;
	bool open;
	int endpoint;
	bool for_lmtp; /* greeted so for our own client */
	bool in_mail;  /* the peer has a transaction of ours */
	bool in_data;  /* it expects message bytes */
	int rcpts;     /* accepted by the peer */
	int verdicts;  /* replies of LMTP still to be read */
	struct wire_out out;
	struct buf chunk;          /* encoded, not yet sent */
	bool owed;                 /* a BDAT whose reply was not read yet */
	struct smtp_reply refusal; /* code != 0: a chunk was refused */
};
extern struct link link_state;

/* Connects and says EHLO or LHLO, unless a link of before is of use. */
int link_open(struct session *s, struct err *e) MX_MUST_CHECK;
/* quit: politely.  Without it a transaction that was begun there is dropped. */
void link_close(bool quit);
/* The link is no use: closed; why is logged, and the client hears 451. */
struct reply link_fail(struct session *s, const struct err *e);
/* What the peer said, as it said it; its enhanced code lives until the next. */
struct reply link_pass_on(const struct smtp_reply *from);
/* Reads the reply that a chunk still owes.  False: it was refused, or the link
 * is gone: nothing more is sent. */
bool link_settle(struct session *s);

#endif
