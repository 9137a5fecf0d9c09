/*
 * hand_wire.c - values to bytes and back; see hand_wire.h.
 */
#include "hand_wire.h"
#include "mem.h"
#include "status.h"

#include <stdio.h>

#define NO_STRING UINT64_MAX

void
wire_put_u64(struct buf *b, uint64_t v)
{
	buf_add(b, &v, sizeof(v));
}

void
wire_put_span(struct buf *b, struct span s)
{
	wire_put_u64(b, s.n);
	buf_addspan(b, s);
}

void
wire_put_str(struct buf *b, const char *s)
{
	if (s == NULL)
		wire_put_u64(b, NO_STRING);
	else
		wire_put_span(b, span_of(s));
}

void
wire_put_strs(struct buf *b, const struct strs *l)
{
	wire_put_u64(b, l->n);
	for (size_t i = 0; i < l->n; i++)
		wire_put_str(b, l->v[i]);
}

void
wire_put_places(struct buf *b, const struct places *p)
{
	wire_put_u64(b, p->n);
	for (size_t i = 0; i < p->n; i++) {
		wire_put_str(b, p->v[i].folder);
		wire_put_str(b, p->v[i].flags);
		wire_put_str(b, p->v[i].use);
		wire_put_strs(b, &p->v[i].keywords);
		wire_put_u64(b, (p->v[i].create ? 1 : 0) |
				    (p->v[i].subscribe ? 2 : 0));
	}
}

void
wire_put_verdict(struct buf *b, int r, const struct err *e)
{
	int status = r == 0 ? 0 : e->status != 0 ? e->status : ST_TEMPFAIL;

	wire_put_u64(b, (uint64_t)status);
	wire_put_str(b, r == 0 ? "" : e->esc);
	wire_put_str(b, r == 0 ? "" : e->text);
}

void
wire_put_quota(struct buf *b, const struct quota *q)
{
	wire_put_u64(b, q->bytes);
	wire_put_u64(b, q->count);
	wire_put_u64(b, q->file);
}

bool
wire_get_quota(struct span *s, struct quota *q)
{
	return wire_get_u64(s, &q->bytes) && wire_get_u64(s, &q->count) &&
	       wire_get_u64(s, &q->file);
}

/* Both ends are one program on one host: the machine's own byte order. */
bool
wire_get_u64(struct span *s, uint64_t *v)
{
	if (s->n < sizeof(*v))
		return false;
	memcpy(v, s->p, sizeof(*v));
	*s = span_from(*s, sizeof(*v));
	return true;
}

bool
wire_get_span(struct span *s, struct span *v)
{
	uint64_t n;

	if (!wire_get_u64(s, &n) || n > s->n)
		return false;
	*v = span_sub(*s, 0, (size_t)n);
	*s = span_from(*s, (size_t)n);
	return true;
}

/* A NUL inside is refused: what is a C string afterwards is what was said. */
bool
wire_get_str(struct span *s, char **v)
{
	struct span peek = *s, t;
	uint64_t n;

	*v = NULL;
	if (wire_get_u64(&peek, &n) && n == NO_STRING) {
		*s = peek;
		return true;
	}
	if (!wire_get_span(s, &t) || span_chr(t, '\0') >= 0)
		return false;
	*v = mem_spandup(t);
	return true;
}

bool
wire_get_strs(struct span *s, struct strs *l)
{
	uint64_t n;
	char *v;

	if (!wire_get_u64(s, &n) || n > 10000)
		return false;
	while (n-- > 0) {
		if (!wire_get_str(s, &v) || v == NULL)
			return false;
		strs_take(l, v);
	}
	return true;
}

bool
wire_get_places(struct span *s, struct places *p)
{
	uint64_t n, bits;

	if (!wire_get_u64(s, &n) || n > 1000)
		return false;
	while (n-- > 0) {
		struct place at = { .folder = NULL };
		if (!wire_get_str(s, &at.folder) ||
		    !wire_get_str(s, &at.flags) || !wire_get_str(s, &at.use) ||
		    !wire_get_strs(s, &at.keywords) ||
		    !wire_get_u64(s, &bits) || at.folder == NULL)
			return false;
		at.create = bits & 1;
		at.subscribe = bits & 2;
		p->v = mem_grow(p->v, &p->cap, p->n + 1, sizeof(*p->v));
		p->v[p->n++] = at;
	}
	return true;
}

/* The other end runs with a user's rights: its words are cut to our sizes and
 * escaped by whoever prints them. */
int
wire_get_verdict(struct span *s, struct err *e)
{
	struct span esc, text;
	uint64_t status;

	if (!wire_get_u64(s, &status) || !wire_get_span(s, &esc) ||
	    !wire_get_span(s, &text) || status > 255)
		return err_set(e, ST_TEMPFAIL, "malformed answer");
	if (status == 0)
		return 0;
	err_set(e, (int)status, "%.*s", SPAN_ARG(text));
	if (e != NULL)
		snprintf(e->esc, sizeof(e->esc), "%.*s", SPAN_ARG(esc));
	return -1;
}
