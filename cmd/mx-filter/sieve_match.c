/*
 * sieve_match.c - match types, comparators, headers' values, address parts.
 * RFC 5228 2.7; RFC 4790.  Wildcards are matched by two pointers: linear
 * steps back, no recursion (THREATS 46).
 */
#include "encword.h"
#include "sieve.h"

#include <stdio.h>

enum comparator { OCTET, ASCII_CASEMAP };

static enum comparator
comparator_of(const struct sieve_node *n)
{
	const struct sieve_arg *a = sieve_value(n, ":comparator");

	return a != NULL && strcmp(a->strings.v[0], "i;octet") == 0
		   ? OCTET
		   : ASCII_CASEMAP;
}

void
sieve_check_match(struct sieve_script *s, struct sieve_node *n)
{
	const struct sieve_arg *a = sieve_value(n, ":comparator");
	struct buf ext = BUF_INIT;

	if (a == NULL)
		return;
	buf_addf(&ext, "comparator-%s", a->strings.v[0]);
	if (!sieve_known(buf_str(&ext)))
		sieve_error(s, a->line, a->col, "unknown comparator \"%s\"",
			    a->strings.v[0]);
	buf_free(&ext);
}

static bool
same_byte(char a, char b, enum comparator c)
{
	return c == OCTET ? a == b : ascii_tolower(a) == ascii_tolower(b);
}

static bool
same(struct span a, struct span b, enum comparator c)
{
	return c == OCTET ? span_eq(a, b) : span_ieq(a, b);
}

/* '?' is one character (of UTF-8), '*' any run, '\' takes the next as is. */
static size_t
character(struct span s, size_t i)
{
	size_t n = 1;

	while (i + n < s.n && ((unsigned char)s.p[i + n] & 0xc0) == 0x80)
		n++;
	return n;
}

static bool
wildcard(struct span pat, struct span s, enum comparator c)
{
	size_t p = 0, i = 0, star = SIZE_MAX, mark = 0;

	for (;;) {
		if (p < pat.n && pat.p[p] == '*') {
			star = ++p;
			mark = i;
			continue;
		}
		if (p < pat.n && i < s.n) {
			if (pat.p[p] == '?') {
				i += character(s, i);
				p++;
				continue;
			}
			size_t lit = p + (pat.p[p] == '\\' && p + 1 < pat.n);

			if (same_byte(pat.p[lit], s.p[i], c)) {
				p = lit + 1;
				i++;
				continue;
			}
		}
		if (p == pat.n && i == s.n)
			return true;
		if (star == SIZE_MAX || mark >= s.n)
			return false;
		p = star;
		mark += character(s, mark);
		i = mark;
	}
}

int
sieve_match(struct sieve_run *r, const struct sieve_node *n, struct span value,
	    const struct sieve_arg *keys)
{
	enum comparator c = comparator_of(n);
	bool contains = sieve_has(n, ":contains") != NULL;
	bool matches = sieve_has(n, ":matches") != NULL;

	if (r->explain != NULL) {
		buf_adds(&r->saw, r->saw.n ? ", \"" : "\"");
		buf_addspan(&r->saw, span_sub(value, 0, 80));
		buf_addc(&r->saw, '"');
	}
	for (size_t i = 0; i < keys->strings.n; i++) {
		struct span key = span_of(keys->strings.v[i]);
		bool yes;

		if (matches)
			yes = wildcard(key, value, c);
		else if (contains)
			yes = c == OCTET ? span_find(value, key) >= 0
					 : span_ifind(value, key) >= 0;
		else
			yes = same(value, key, c);
		if (yes)
			return 1;
	}
	return 0;
}

int
sieve_each_value(struct sieve_run *r, const struct sieve_arg *names,
		 int (*fn)(void *ctx, struct span value), void *ctx)
{
	struct buf raw = BUF_INIT, text = BUF_INIT;
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < names->strings.n; i++) {
		const struct msg_field *f;

		for (size_t k = 0;
		     rc == 0 &&
		     (f = msg_find(r->m, names->strings.v[i], k)) != NULL;
		     k++) {
			buf_clear(&raw);
			buf_clear(&text);
			/* 2.7.2, 5.7: unfolded, trimmed, decoded. */
			msg_unfold(&raw, f->value);
			encword_decode(&text, buf_span(&raw));
			rc = fn(ctx, buf_span(&text));
		}
	}
	buf_free(&raw);
	buf_free(&text);
	return rc;
}

bool
sieve_part(struct sieve_run *r, const struct sieve_node *n, struct span local,
	   struct span domain, struct buf *out)
{
	struct span user, ext;

	buf_clear(out);
	if (sieve_has(n, ":localpart") != NULL) {
		buf_addspan(out, local);
	} else if (sieve_has(n, ":domain") != NULL) {
		buf_addspan(out, domain);
	} else if (sieve_has(n, ":user") != NULL) {
		(void)addr_split_ext(local, r->delims, &user, &ext);
		buf_addspan(out, user);
	} else if (sieve_has(n, ":detail") != NULL) {
		/* RFC 5233 4: without a separator there is no detail. */
		if (!addr_split_ext(local, r->delims, &user, &ext))
			return false;
		buf_addspan(out, ext);
	} else {
		buf_addspan(out, local);
		if (domain.n > 0)
			buf_addf(out, "@%.*s", SPAN_ARG(domain));
	}
	return true;
}
