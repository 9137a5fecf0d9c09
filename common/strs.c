/*
 * strs.c - lists of strings; see strs.h.
 * Layer: base.
 */
#include "strs.h"
#include "buf.h"
#include "mem.h"

#include <stdlib.h>

void
strs_take(struct strs *l, char *s)
{
	l->v = mem_grow(l->v, &l->cap, l->n + 2, sizeof(*l->v));
	l->v[l->n++] = s;
	l->v[l->n] = NULL;
}

void
strs_add(struct strs *l, const char *s)
{
	strs_take(l, mem_strdup(s));
}

void
strs_addspan(struct strs *l, struct span s)
{
	strs_take(l, mem_spandup(s));
}

void
strs_addf(struct strs *l, const char *fmt, ...)
{
	struct buf b = BUF_INIT;
	va_list ap;

	va_start(ap, fmt);
	buf_vaddf(&b, fmt, ap);
	va_end(ap);
	strs_take(l, buf_steal(&b));
}

bool
strs_has(const struct strs *l, struct span s)
{
	for (size_t i = 0; i < l->n; i++) {
		if (span_is(s, l->v[i]))
			return true;
	}
	return false;
}

bool
strs_ihas(const struct strs *l, struct span s)
{
	for (size_t i = 0; i < l->n; i++) {
		if (span_iis(s, l->v[i]))
			return true;
	}
	return false;
}

static int
strs_compare(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

void
strs_sort(struct strs *l)
{
	if (l->n > 1)
		qsort(l->v, l->n, sizeof(*l->v), strs_compare);
}

void
strs_clear(struct strs *l)
{
	for (size_t i = 0; i < l->n; i++)
		free(l->v[i]);
	l->n = 0;
	if (l->v != NULL)
		l->v[0] = NULL;
}

void
strs_free(struct strs *l)
{
	strs_clear(l);
	free(l->v);
	*l = STRS_INIT;
}

void
strs_split(struct strs *l, struct span s, const char *seps)
{
	struct span w;

	while (span_word(&s, seps, &w))
		strs_addspan(l, w);
}

/* The end of a braced piece that begins at s.p[0] == '{': index of its '}'. */
static size_t
strs_brace_end(struct span s)
{
	size_t depth = 0;

	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] == '{')
			depth++;
		else if (s.p[i] == '}' && --depth == 0)
			return i;
	}
	return s.n;
}

void
strs_split_braced(struct strs *l, struct span s)
{
	static const char seps[] = ", \t\r\n";
	struct span w;

	for (;;) {
		while (s.n > 0 && strchr(seps, s.p[0]) && s.p[0] != '\0')
			s = span_from(s, 1);
		if (s.n == 0)
			return;
		if (s.p[0] == '{') {
			size_t end = strs_brace_end(s);

			strs_addspan(l, span_trim(span_sub(s, 1, end)));
			s = span_from(s, end + 1);
			continue;
		}
		/* A word may hold braces of its own: inline:{a=b, c=d}. */
		size_t i = 0;

		while (i < s.n && (s.p[i] == '\0' || !strchr(seps, s.p[i]))) {
			if (s.p[i] == '{')
				i += strs_brace_end(span_from(s, i));
			i++;
		}
		w = span_sub(s, 0, i);
		strs_addspan(l, w);
		s = span_from(s, i);
	}
}

bool
strs_same(const struct strs *a, const struct strs *b)
{
	if (a->n != b->n)
		return false;
	for (size_t i = 0; i < a->n; i++)
		if (strcmp(a->v[i], b->v[i]) != 0)
			return false;
	return true;
}
