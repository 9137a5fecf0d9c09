/*
 * sieve_ext_extlists.c - ":list" and valid_ext_list.  RFC 6134.  A list is a
 * look-up table that the administrator names in sieve_extlists.
 */
#include "sieve.h"
#include "status.h"
#include "table.h"

#include <stdio.h>
#include <stdlib.h>

#define LISTS_MAX 32
static struct {
	const char *spec;
	struct table *table;
} opened[LISTS_MAX];

static const char *
spec_of(struct span name)
{
	for (size_t i = 0; i < sieve_conf.extlists.n; i++) {
		struct span rest = span_of(sieve_conf.extlists.v[i]), key;

		(void)span_split(&rest, '=', &key);
		if (span_eq(key, name) && rest.p != NULL)
			return rest.p;
	}
	return NULL;
}

static struct table *
open_list(const char *spec)
{
	size_t i = 0;

	for (; i < LISTS_MAX && opened[i].table != NULL; i++) {
		if (strcmp(opened[i].spec, spec) != 0)
			continue;
		table_refresh(opened[i].table); /* a kept filter lives long */
		return opened[i].table;
	}
	if (i == LISTS_MAX)
		return NULL;
	opened[i].spec = spec;
	opened[i].table = table_open(spec, NULL);
	return opened[i].table;
}

/* A list that cannot answer is an error of the run, never "not in it". */
static int
match_list(struct sieve_run *r, const struct sieve_node *n, struct span value,
	   struct span key)
{
	const char *spec = spec_of(key);
	struct table *t = spec != NULL ? open_list(spec) : NULL;
	struct buf found = BUF_INIT;
	struct err e = ERR_INIT;
	enum table_result res;

	(void)n;
	if (t == NULL)
		return err_set(&r->err, ST_DATA, "there is no list \"%.*s\"",
			       SPAN_ARG(key));
	res = table_lookup(t, value, &found, &e);
	buf_free(&found);
	if (res == TABLE_TRY_AGAIN)
		return err_set(&r->err, ST_TEMPFAIL, "%s", e.text);
	if (res == TABLE_FOUND)
		sieve_set_groups(r, &value, 1);
	return res == TABLE_FOUND;
}

int
sieve_list_each(struct sieve_run *r, const char *name,
		int (*fn)(void *ctx, struct span member, const char *value,
			  struct err *e),
		void *ctx)
{
	const char *spec = spec_of(span_of(name));
	struct table *t = spec != NULL ? open_list(spec) : NULL;

	if (t == NULL)
		return err_set(&r->err, ST_DATA, "there is no list \"%.100s\"",
			       name);
	return table_each(t, fn, ctx, &r->err);
}

static int
run_valid(struct sieve_run *r, const struct sieve_node *n)
{
	const struct sieve_arg *names = sieve_pos(n, 0);

	(void)r;
	for (size_t i = 0; i < names->strings.n; i++) {
		if (spec_of(span_of(names->strings.v[i])) == NULL)
			return 0;
	}
	return 1;
}

static const struct sieve_word words[] = {
	{ .name = "valid_ext_list",
	  .ext = "extlists",
	  .is_test = true,
	  .positional = "S",
	  .run = run_valid },
};
static const struct sieve_match_type types[] = {
	{ ":list", false, true, match_list, NULL, NULL },
};
static const struct sieve_added added[] = {
	{ "*match", { ":list", 0, "match type", "extlists" } },
	{ "redirect", { ":list", 0, NULL, "extlists" } },
};
static const struct sieve_extension extlists = {
	.name = "extlists",
	.words = words,
	.nwords = ARRAY_LEN(words),
	.added = added,
	.nadded = ARRAY_LEN(added),
	.match_types = types,
	.nmatch_types = ARRAY_LEN(types),
};
SIEVE_EXTENSION(extlists);
