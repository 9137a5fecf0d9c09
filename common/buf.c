/*
 * buf.c - growable bytes; see buf.h.
 * Layer: base.
 */
#include "buf.h"
#include "log.h"
#include "mem.h"

#include <stdio.h>
#include <stdlib.h>

void
buf_init(struct buf *b)
{
	*b = BUF_INIT;
}

void
buf_free(struct buf *b)
{
	free(b->p);
	*b = BUF_INIT;
}

void
buf_wipe(struct buf *b)
{
	if (b->p != NULL)
		explicit_bzero(b->p, b->cap);
	buf_free(b);
}

void
buf_clear(struct buf *b)
{
	buf_cut(b, 0);
}

void
buf_cut(struct buf *b, size_t n)
{
	if (n < b->n) {
		b->n = n;
		b->p[n] = '\0';
	}
}

void
buf_shift(struct buf *b, size_t n)
{
	if (n >= b->n) {
		buf_clear(b);
		return;
	}
	if (n == 0)
		return;
	memmove(b->p, b->p + n, b->n - n);
	b->n -= n;
	b->p[b->n] = '\0';
}

char *
buf_room(struct buf *b, size_t more)
{
	size_t need;

	/* cap is never less than n */
	if (more < b->cap - b->n)
		return b->p + b->n;
	if (!mem_add(b->n, more, &need) || !mem_add(need, 1, &need))
		log_panic("buffer of %zu bytes cannot grow by %zu", b->n, more);
	if (need > b->cap)
		b->p = mem_grow(b->p, &b->cap, need, 1);
	return b->p + b->n;
}

void
buf_grew(struct buf *b, size_t added)
{
	if (b->cap - b->n <= added)
		log_panic("buffer grew beyond its room");
	b->n += added;
	b->p[b->n] = '\0';
}

void
buf_add(struct buf *b, const void *bytes, size_t n)
{
	char *room = buf_room(b, n);

	if (n > 0)
		memcpy(room, bytes, n);
	buf_grew(b, n);
}

void
buf_adds(struct buf *b, const char *cstr)
{
	buf_add(b, cstr, strlen(cstr));
}

void
buf_addspan(struct buf *b, struct span s)
{
	buf_add(b, s.p, s.n);
}

void
buf_addc(struct buf *b, char c)
{
	buf_add(b, &c, 1);
}

void
buf_vaddf(struct buf *b, const char *fmt, va_list ap)
{
	va_list again;
	int n;

	va_copy(again, ap);
	buf_room(b, 64);
	n = vsnprintf(b->p + b->n, b->cap - b->n, fmt, ap);
	if (n < 0)
		log_panic("bad format \"%s\"", fmt);
	if ((size_t)n >= b->cap - b->n) {
		buf_room(b, (size_t)n);
		n = vsnprintf(b->p + b->n, b->cap - b->n, fmt, again);
	}
	va_end(again);
	buf_grew(b, (size_t)n);
}

void
buf_addf(struct buf *b, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	buf_vaddf(b, fmt, ap);
	va_end(ap);
}

void
buf_insert(struct buf *b, size_t at, struct span s)
{
	size_t tail = at < b->n ? b->n - at : 0;

	at = b->n - tail;
	buf_room(b, s.n);
	memmove(b->p + at + s.n, b->p + at, tail);
	if (s.n > 0)
		memcpy(b->p + at, s.p, s.n);
	buf_grew(b, s.n);
}

struct span
buf_span(const struct buf *b)
{
	return (struct span){ b->p ? b->p : "", b->n };
}

const char *
buf_str(const struct buf *b)
{
	return b->p ? b->p : "";
}

char *
buf_steal(struct buf *b)
{
	char *p;

	buf_room(b, 0);
	b->p[b->n] = '\0';
	p = b->p;
	*b = BUF_INIT;
	return p;
}
