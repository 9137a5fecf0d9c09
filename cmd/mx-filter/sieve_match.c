/*
 * sieve_match.c - match types, comparators, headers' values, address parts.
 * RFC 5228 2.7; RFC 4790.  Wildcards are matched by two pointers: linear
 * steps back, no recursion (THREATS 46).
 */
#include "encword.h"
#include "mem.h"
#include "sieve.h"

#include <stdio.h>
#include <stdlib.h>

/* --- comparators (RFC 4790 9.2, 9.3) --- */

static char
fold_none(char c)
{
	return c;
}

/* The order is that of the upper-case letters. */
static int
casemap_cmp(struct span a, struct span b)
{
	size_t n = a.n < b.n ? a.n : b.n;

	for (size_t i = 0; i < n; i++) {
		unsigned char x = (unsigned char)ascii_toupper(a.p[i]);
		unsigned char y = (unsigned char)ascii_toupper(b.p[i]);

		if (x != y)
			return x < y ? -1 : 1;
	}
	return a.n < b.n ? -1 : a.n > b.n;
}

static const struct sieve_comparator core_comparators[] = {
	{ "i;ascii-casemap", true, ascii_toupper, casemap_cmp, NULL },
	{ "i;octet", true, fold_none, span_cmp, NULL },
};

/* --- match types (RFC 5228 2.7.1) --- */

/* '?' is one character (of UTF-8), '*' any run, '\' takes the next as is. */
static size_t
character(struct span s, size_t i)
{
	size_t n = 1;

	while (i + n < s.n && ((unsigned char)s.p[i + n] & 0xc0) == 0x80)
		n++;
	return n;
}

/* What the wildcards stand for, by their place in the pattern. */
#define GROUPS_MAX 32
struct groups {
	struct span v[GROUPS_MAX + 1]; /* one more for the whole */
	size_t n;
};

static void
set_group(struct groups *g, size_t k, struct span s, size_t from, size_t to)
{
	if (k < GROUPS_MAX) {
		g->v[k] = span_sub(s, from, to);
		g->n = k + 1;
	}
}

/* As little as possible for each wildcard, from the left (RFC 5229 3.2). */
static bool
wildcard(struct span pat, struct span s, char (*fold)(char), struct groups *g)
{
	size_t p = 0, i = 0, star = SIZE_MAX, mark = 0, from = 0;
	size_t k = 0, star_k = 0; /* how many wildcards are passed */

	for (;;) {
		if (p < pat.n && pat.p[p] == '*') {
			star = ++p;
			mark = from = i;
			star_k = k++;
			set_group(g, star_k, s, from, mark);
			continue;
		}
		if (p < pat.n && i < s.n) {
			if (pat.p[p] == '?') {
				size_t n = character(s, i);

				set_group(g, k++, s, i, i + n);
				i += n;
				p++;
				continue;
			}
			size_t lit = p + (pat.p[p] == '\\' && p + 1 < pat.n);

			if (fold(pat.p[lit]) == fold(s.p[i])) {
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
		mark += p == pat.n ? s.n - mark : character(s, mark);
		i = mark;
		k = star_k + 1;
		set_group(g, star_k, s, from, mark);
	}
}

static int
match_is(struct sieve_run *r, const struct sieve_node *n, struct span value,
	 struct span key)
{
	(void)r;
	return n->cmp->cmp(value, key) == 0;
}

static int
match_contains(struct sieve_run *r, const struct sieve_node *n,
	       struct span value, struct span key)
{
	(void)r;
	return n->cmp->fold == fold_none ? span_find(value, key) >= 0
					 : span_ifind(value, key) >= 0;
}

/* The groups are parts of the value as it was, not of norm's form of it
 * (RFC 5229 3.2): where each of its bytes came from, character by character. */
static void
original_groups(const struct sieve_comparator *c, struct span value,
		struct span norm, struct groups *g)
{
	size_t *from = mem_alloc(norm.n + 1, sizeof(*from));
	size_t *to = mem_alloc(norm.n + 1, sizeof(*to));
	struct buf all = BUF_INIT;

	for (size_t i = 0, n; i < value.n; i += n) {
		size_t was = all.n;

		n = character(value, i);
		c->norm(&all, span_sub(value, i, i + n));
		for (size_t k = was; k < all.n && k < norm.n; k++) {
			from[k] = i;
			to[k + 1] = i + n;
		}
	}
	/* marks that changed places among themselves are nobody's part */
	for (size_t i = 0; span_eq(buf_span(&all), norm) && i < g->n; i++) {
		size_t at = (size_t)(g->v[i].p - norm.p), n = g->v[i].n;

		if (n == 0)
			continue;
		g->v[i] = span_sub(value, from[at], to[at + n]);
	}
	free(from);
	free(to);
	buf_free(&all);
}

static int
match_matches(struct sieve_run *r, const struct sieve_node *n,
	      struct span value, struct span key)
{
	struct groups g = { .n = 0 };

	if (!wildcard(key, value, n->cmp->fold, &g))
		return 0;
	if (r->original.p != NULL && !r->no_groups) {
		original_groups(n->cmp, r->original, value, &g);
		value = r->original;
	}
	for (size_t i = g.n; i > 0; i--)
		g.v[i] = g.v[i - 1];
	g.v[0] = value;
	sieve_set_groups(r, g.v, g.n + 1);
	return 1;
}

static const struct sieve_match_type core_types[] = {
	{ ":is", false, false, match_is, NULL, NULL },
	{ ":contains", true, false, match_contains, NULL, NULL },
	{ ":matches", true, false, match_matches, NULL, NULL },
};
static const struct sieve_extension matching = {
	.match_types = core_types,
	.nmatch_types = ARRAY_LEN(core_types),
	.comparators = core_comparators,
	.ncomparators = ARRAY_LEN(core_comparators),
};
SIEVE_EXTENSION(matching);

const struct sieve_comparator *
sieve_comparator(const char *name)
{
	const struct sieve_extension *x;
	size_t i = 0;

	while (sieve_each_extension(&i, &x)) {
		for (size_t k = 0; k < x->ncomparators; k++) {
			if (strcmp(x->comparators[k].name, name) == 0)
				return &x->comparators[k];
		}
	}
	return NULL;
}

static const struct sieve_match_type *
find_type(const struct sieve_node *n)
{
	const struct sieve_extension *x;
	size_t i = 0;

	while (sieve_each_extension(&i, &x)) {
		for (size_t k = 0; k < x->nmatch_types; k++) {
			if (sieve_has(n, x->match_types[k].tag) != NULL)
				return &x->match_types[k];
		}
	}
	return &core_types[0];
}

/* RFC 5228 2.7.3: all but the two that always are there must be required. */
static void
check_comparator(struct sieve_script *s, struct sieve_node *n)
{
	const struct sieve_arg *a = sieve_value(n, ":comparator");
	struct buf ext = BUF_INIT;

	n->cmp = a != NULL ? sieve_comparator(a->strings.v[0])
			   : &core_comparators[0];
	if (n->cmp == NULL) {
		sieve_error(s, a->line, a->col, "unknown comparator \"%s\"",
			    a->strings.v[0]);
		return;
	}
	buf_addf(&ext, "comparator-%s", n->cmp->name);
	if (n->cmp != &core_comparators[0] && n->cmp != &core_comparators[1] &&
	    !sieve_required(s, buf_str(&ext)))
		sieve_error(s, a->line, a->col, "%s needs require \"%s\"",
			    n->cmp->name, buf_str(&ext));
	buf_free(&ext);
}

void
sieve_check_match(struct sieve_script *s, struct sieve_node *n)
{
	check_comparator(s, n);
	n->match = find_type(n);
	if (n->cmp != NULL && n->match->substring && !n->cmp->substring)
		sieve_error(s, n->line, n->col, "%s cannot do %s", n->cmp->name,
			    n->match->tag);
	if (n->match->check != NULL)
		n->match->check(s, n);
}

static int
match_keys(struct sieve_run *r, const struct sieve_node *n, struct span value,
	   const struct sieve_arg *keys)
{
	struct buf key = BUF_INIT, norm = BUF_INIT;
	bool as_is = n->cmp->norm == NULL || n->match->as_is;
	int yes = 0;

	r->original = (struct span){ NULL, 0 };
	if (!as_is) {
		n->cmp->norm(&norm, value);
		r->original = value;
		value = buf_span(&norm);
	}
	for (size_t i = 0; yes == 0 && i < keys->strings.n; i++) {
		struct span k = span_of(keys->strings.v[i]);

		if (!as_is) {
			buf_clear(&key);
			n->cmp->norm(&key, k);
			k = buf_span(&key);
		}
		yes = n->match->match(r, n, value, k);
	}
	buf_free(&key);
	buf_free(&norm);
	return yes;
}

int
sieve_match(struct sieve_run *r, const struct sieve_node *n, struct span value,
	    const struct sieve_arg *keys)
{
	r->count++;
	/* one test may have a thousand names, keys and values */
	if (++r->matched % 256 == 0 && sieve_check_time(r) != 0)
		return -1;
	if (r->explain != NULL) {
		buf_adds(&r->saw, r->saw.n ? ", \"" : "\"");
		buf_addspan(&r->saw, span_sub(value, 0, 80));
		buf_addc(&r->saw, '"');
	}
	if (n->match->match == NULL)
		return 0;
	return match_keys(r, n, value, keys);
}

int
sieve_match_finish(struct sieve_run *r, const struct sieve_node *n)
{
	const struct sieve_arg *keys = &n->args[n->nargs - 1];
	struct buf count = BUF_INIT;
	int yes = 0;

	buf_addf(&count, "%llu", (unsigned long long)r->count);
	for (size_t i = 0; yes == 0 && i < keys->strings.n; i++)
		yes = n->match->finish(r, n, buf_span(&count),
				       span_of(keys->strings.v[i]));
	buf_free(&count);
	return yes;
}

/* A line end and the blank or tab behind it are one blank. */
static void
unfold(struct buf *b, struct span s)
{
	s = span_trim(s);
	for (size_t i = 0; i < s.n; i++) {
		size_t k = i + (s.p[i] == '\r');

		if (k + 1 < s.n && s.p[k] == '\n' &&
		    (s.p[k + 1] == ' ' || s.p[k + 1] == '\t')) {
			buf_addc(b, ' ');
			i = k + 1;
		} else {
			buf_addc(b, s.p[i]);
		}
	}
}

int
sieve_header_values(struct sieve_run *r, const struct sieve_node *n,
		    const struct msg *m, const char *name, bool raw,
		    int (*fn)(void *ctx, struct span value), void *ctx)
{
	struct buf one = BUF_INIT, text = BUF_INIT;
	const struct sieve_arg *index = sieve_value(n, ":index");
	const struct msg_field *f = NULL;
	size_t from = 0, to = SIZE_MAX;
	int rc = 0;

	(void)r;
	if (index != NULL) { /* RFC 5260 6 */
		size_t count = 0, i = (size_t)index->number;

		while ((f = msg_next(m, name, f)) != NULL)
			count++;
		if (index->number < 1 || i > count)
			return 0;
		from = sieve_has(n, ":last") != NULL ? count - i : i - 1;
		to = from + 1;
	}
	for (size_t k = 0;
	     rc == 0 && k < to && (f = msg_next(m, name, f)) != NULL; k++) {
		if (k < from)
			continue;
		buf_clear(&one);
		buf_clear(&text);
		if (raw) {
			rc = fn(ctx, f->value);
			continue;
		}
		/* RFC 5228 2.7.2, 5.7: unfolded, trimmed, decoded. */
		unfold(&one, f->value);
		encword_decode(&text, buf_span(&one));
		rc = fn(ctx, buf_span(&text));
	}
	buf_free(&one);
	buf_free(&text);
	return rc;
}

int
sieve_each_value(struct sieve_run *r, const struct sieve_node *n,
		 const struct sieve_arg *names, bool raw,
		 int (*fn)(void *ctx, struct span value), void *ctx)
{
	int rc = 0;

	if (sieve_has(n, ":mime") != NULL)
		return sieve_mime_values(r, n, names, raw, fn, ctx);
	for (size_t i = 0; rc == 0 && i < names->strings.n; i++)
		rc = sieve_header_values(r, n, &r->message->m,
					 names->strings.v[i], raw, fn, ctx);
	return rc;
}

/* RFC 5228 2.7.4; RFC 5233 4 for :user and :detail. */
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
		/* without a separator there is no detail. */
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
