/*
 * hand_wire.h - the bytes between hand.c and hand_serve.c: a request is an
 * operation and its values, an answer is a verdict and its values.  Numbers
 * are eight bytes, strings a length and bytes, lists a count and items.  Both
 * ends are the same program on the same host, yet each checks the other.
 */
#ifndef MX_DELIVER_HAND_WIRE_H
#define MX_DELIVER_HAND_WIRE_H

#include "handwork.h"

#define HAND_MAX 150000
#define HAND_MS 120000

enum {
	HAND_OPEN = 1,
	HAND_COMMIT,
	HAND_ABORT,
	HAND_MBOX,
	HAND_RUN,
	HAND_PIPE,
	HAND_FORWARD,
	HAND_QUOTA,
	HAND_MANY
};

void wire_put_u64(struct buf *b, uint64_t v);
void wire_put_span(struct buf *b, struct span s);
void wire_put_str(struct buf *b, const char *s); /* NULL stays NULL */
void wire_put_strs(struct buf *b, const struct strs *l);
void wire_put_places(struct buf *b, const struct places *p);
/* status 0: done. */
void wire_put_verdict(struct buf *b, int r, const struct err *e);

void wire_put_quota(struct buf *b, const struct quota *q);

bool wire_get_quota(struct span *s, struct quota *q) MX_MUST_CHECK;
bool wire_get_u64(struct span *s, uint64_t *v) MX_MUST_CHECK;
bool wire_get_span(struct span *s, struct span *v) MX_MUST_CHECK;
/* A C string without NUL inside, allocated; NULL where NULL was put. */
bool wire_get_str(struct span *s, char **v) MX_MUST_CHECK;
bool wire_get_strs(struct span *s, struct strs *l) MX_MUST_CHECK;
bool wire_get_places(struct span *s, struct places *p) MX_MUST_CHECK;
/* 0, or -1 and e as the other end said it. */
int wire_get_verdict(struct span *s, struct err *e) MX_MUST_CHECK;

#endif
