/*
 * hand.h - deliveries with another user's rights, by asking: each call does
 * what its namesake in handwork.h does, here when the rights are our own,
 * else in the kept child that became the user.
 */
#ifndef MX_DELIVER_HAND_H
#define MX_DELIVER_HAND_H

#include "handwork.h"

struct hand;

/* For the owner of a place; a few are kept.  NULL and a sentence. */
struct hand *hand_get(const struct dest *d, struct err *e);
/* Forgets children that were idle for a minute. */
void hand_idle(void);

/* *out is where the message is written (deposit_write), until hand_commit or
 * hand_abort.  One message at a time. */
int hand_open(struct hand *h, const struct dest *d, struct deposit **out,
	      bool *script_r, struct err *e) MX_MUST_CHECK;
int hand_commit(struct hand *h, const struct places *p,
		struct err *e) MX_MUST_CHECK;
/* Whose Maildir comes next, if it is known (else NULL): where that takes the
 * same rights, hand_commit asks for its file in the same breath, and hand_open
 * has it already.  d lives until the next call. */
void hand_next(const struct dest *d);
void hand_abort(struct hand *h);
/* One message into several Maildirs (handwork_many); every item gets its
 * verdict.  The body is at most HAND_BODY_MAX bytes, the items' strings and
 * heads together HAND_ITEMS_MAX (hand_item_size). */
#define HAND_BODY_MAX 32768
#define HAND_ITEMS_MAX 60000
size_t hand_item_size(const struct handwork_item *item);
void hand_many(struct hand *h, struct handwork_item *item, size_t n,
	       struct span body);
int hand_mbox(struct hand *h, const char *path, const char *sender,
	      struct span head, int fd, uint64_t at, uint64_t size,
	      uint64_t limit, struct err *e) MX_MUST_CHECK;
int hand_run(struct hand *h, const struct command *c, int fd,
	     struct command_result *r, struct err *e) MX_MUST_CHECK;
int hand_forward(struct hand *h, const char *path, bool own, struct buf *b,
		 struct err *e) MX_MUST_CHECK;
int hand_pipe(struct hand *h, const struct pipeline *p, int fd,
	      struct pipeline_result *r, struct err *e) MX_MUST_CHECK;

/* Would a message of that size (0: not known) fit into d's Maildir? */
int hand_quota(struct hand *h, const struct dest *d, uint64_t size,
	       enum quota_room *r, struct err *e) MX_MUST_CHECK;

/* The other end: serves requests on fd until it is closed. */
void hand_serve(int sock);
/* hand_many's request q, its answer into a. */
int hand_serve_many(struct handwork *w, struct span q, struct buf *a,
		    struct err *e) MX_MUST_CHECK;
/* Tells the client why it cannot be served. */
void hand_refuse(int fd, const struct err *e);

#endif
