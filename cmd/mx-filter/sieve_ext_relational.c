/*
 * sieve_ext_relational.c - ":value" and ":count", RFC 5231; the comparator
 * i;ascii-numeric, RFC 4790 9.1.
 */
#include "sieve.h"

#include <stdio.h>

/* RFC 4790 9.1.1: the leading digits without zeros in front; none: infinity. */
static bool
number(struct span s, struct span *digits_r)
{
	size_t n = 0, zeros = 0;

	while (n < s.n && ascii_isdigit(s.p[n]))
		n++;
	while (zeros + 1 < n && s.p[zeros] == '0')
		zeros++;
	*digits_r = span_sub(s, zeros, n);
	return n > 0;
}

static int
numeric_cmp(struct span a, struct span b)
{
	struct span x, y;
	bool nx = number(a, &x), ny = number(b, &y);

	if (!nx || !ny)
		return nx ? -1 : ny ? 1 : 0;
	if (x.n != y.n)
		return x.n < y.n ? -1 : 1;
	return span_cmp(x, y);
}

static const struct sieve_comparator comparators[] = {
	{ "i;ascii-numeric", false, ascii_toupper, numeric_cmp, NULL },
};

static const struct {
	const char *name;
	bool less, equal, more;
} relations[] = {
	{ "gt", false, false, true }, { "ge", false, true, true },
	{ "lt", true, false, false }, { "le", true, true, false },
	{ "eq", false, true, false }, { "ne", true, false, true },
};

static bool
holds(const char *relation, int cmp)
{
	for (size_t i = 0; i < ARRAY_LEN(relations); i++) {
		if (strcmp(relations[i].name, relation) == 0)
			return cmp < 0   ? relations[i].less
			       : cmp > 0 ? relations[i].more
					 : relations[i].equal;
	}
	return false;
}

/* RFC 5231 4.1 */
static int
match_value(struct sieve_run *r, const struct sieve_node *n, struct span value,
	    struct span key)
{
	(void)r;
	return holds(sieve_value(n, ":value")->strings.v[0],
		     n->cmp->cmp(value, key));
}

/* RFC 5231 4.2: the number of values, once all are seen, compared as a
 * string. */
static int
finish_count(struct sieve_run *r, const struct sieve_node *n, struct span count,
	     struct span key)
{
	(void)r;
	return holds(sieve_value(n, ":count")->strings.v[0],
		     n->cmp->cmp(count, key));
}

static void
check_relation(struct sieve_script *s, struct sieve_node *n)
{
	const struct sieve_arg *a = sieve_value(n, n->match->tag);

	if (a == NULL || a->kind != SIEVE_STRING)
		return;
	for (size_t i = 0; i < ARRAY_LEN(relations); i++) {
		if (strcmp(relations[i].name, a->strings.v[0]) == 0)
			return;
	}
	sieve_error(s, a->line, a->col,
		    "\"%s\": expected gt, ge, lt, le, eq or ne",
		    a->strings.v[0]);
}

static const struct sieve_match_type types[] = {
	{ ":value", false, false, match_value, NULL, check_relation },
	{ ":count", false, false, NULL, finish_count, check_relation },
};
static const struct sieve_added added[] = {
	{ "*match", { ":value", 's', "match type", "relational" } },
	{ "*match", { ":count", 's', "match type", "relational" } },
};
static const struct sieve_extension relational = {
	.name = "relational",
	.added = added,
	.nadded = ARRAY_LEN(added),
	.match_types = types,
	.nmatch_types = ARRAY_LEN(types),
	.comparators = comparators,
	.ncomparators = ARRAY_LEN(comparators),
};
SIEVE_EXTENSION(relational);
