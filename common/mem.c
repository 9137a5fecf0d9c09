/*
 * mem.c - allocation that does not fail; see mem.h.
 * Layer: base.
 */
#include "mem.h"
#include "log.h"
#include "status.h"

#include <stdio.h>
#include <stdlib.h>

static MX_NORETURN void
mem_out(size_t wanted)
{
	log_fatal(ST_TEMPFAIL, "out of memory (%zu bytes wanted): try again",
		  wanted);
}

bool
mem_add(size_t a, size_t b, size_t *r)
{
	return !__builtin_add_overflow(a, b, r);
}

bool
mem_mul(size_t a, size_t b, size_t *r)
{
	size_t v;

	if (__builtin_mul_overflow(a, b, &v))
		return false;
	*r = v;
	return true;
}

void *
mem_alloc(size_t count, size_t size)
{
	void *p = calloc(count ? count : 1, size ? size : 1);

	if (p == NULL)
		mem_out(count);
	return p;
}

void *
mem_realloc(void *p, size_t count, size_t size)
{
	size_t total;

	if (!mem_mul(count, size, &total))
		mem_out(SIZE_MAX);
	p = realloc(p, total ? total : 1);
	if (p == NULL)
		mem_out(total);
	return p;
}

void *
mem_grow(void *p, size_t *cap, size_t need, size_t size)
{
	size_t n = *cap ? *cap : 8;

	if (need <= *cap)
		return p;
	while (n < need) {
		if (!mem_add(n, n / 2 + 1, &n))
			mem_out(SIZE_MAX);
	}
	p = mem_realloc(p, n, size);
	*cap = n;
	return p;
}

char *
mem_spandup(struct span s)
{
	char *p = mem_realloc(NULL, s.n + 1, 1);

	if (s.n > 0)
		memcpy(p, s.p, s.n);
	p[s.n] = '\0';
	return p;
}

char *
mem_strdup(const char *s)
{
	return mem_spandup(span_of(s));
}

char *
mem_printf(const char *fmt, ...)
{
	va_list ap;
	char *p = NULL;

	va_start(ap, fmt);
	if (vasprintf(&p, fmt, ap) < 0)
		mem_out(0);
	va_end(ap);
	return p;
}

bool
mem_equal_secret(const void *a, const void *b, size_t n)
{
	const volatile unsigned char *x = a, *y = b;
	unsigned char diff = 0;

	for (size_t i = 0; i < n; i++)
		diff |= (unsigned char)(x[i] ^ y[i]);
	return diff == 0;
}
