/*
 * sieve_ext_duplicate.c - the test duplicate.  RFC 7352.  What was seen is
 * remembered when the whole run went well.
 */
#include "clock.h"
#include "mem.h"
#include "memory.h"
#include "sieve.h"

#include <stdio.h>
#include <stdlib.h>

#define KEY_MAX 1000

static int64_t
period(const struct sieve_node *n)
{
	const struct sieve_arg *given = sieve_value(n, ":seconds");
	int64_t s = given ? given->number : sieve_conf.duplicate_default / 1000;
	int64_t max = sieve_conf.duplicate_max / 1000;

	return max > 0 && s > max ? max : s;
}

static int
run_duplicate(struct sieve_run *r, const struct sieve_node *n)
{
	const struct sieve_arg *header = sieve_value(n, ":header");
	const struct sieve_arg *unique = sieve_value(n, ":uniqueid");
	const struct sieve_arg *handle = sieve_value(n, ":handle");
	struct buf id = BUF_INIT, key = BUF_INIT;
	bool seen;

	if (unique != NULL)
		buf_adds(&id, unique->strings.v[0]);
	else if (!sieve_field(r, header ? header->strings.v[0] : "Message-ID",
			      &id)) {
		buf_free(&id);
		return 0; /* RFC 7352 3.1: nothing to compare or remember */
	}
	buf_addf(&key, "duplicate %s %s", handle ? handle->strings.v[0] : "",
		 buf_str(&id));
	/* It goes to mx-deliver as a line and comes back as an argument: what
	 * cannot be one is known by its hash. */
	if (span_has_ctl(buf_span(&key)) || key.n > KEY_MAX) {
		struct buf h = BUF_INIT;

		buf_adds(&h, "duplicate hash ");
		memory_hash(&h, buf_str(&key));
		buf_free(&key);
		key = h;
	}
	if (r->explain != NULL)
		buf_addspan(&r->saw, sieve_cut(buf_span(&id), 80));
	seen = sieve_remembered(r, buf_str(&key));
	/* RFC 7352 3.3: :last counts from the last one that was seen */
	if (!seen || sieve_has(n, ":last") != NULL)
		strs_addf(&r->marks, "%lld %s", (long long)period(n),
			  buf_str(&key));
	buf_free(&id);
	buf_free(&key);
	return seen;
}

static const struct sieve_tag tags[] = {
	{ ":handle", 's', NULL, NULL },
	{ ":header", 's', "unique ID", NULL },
	{ ":uniqueid", 's', "unique ID", NULL },
	{ ":seconds", 'n', NULL, NULL },
	{ ":last", 0, NULL, NULL },
};
static const struct sieve_word words[] = {
	{ .name = "duplicate",
	  .ext = "duplicate",
	  .is_test = true,
	  .tags = tags,
	  .ntags = ARRAY_LEN(tags),
	  .run = run_duplicate },
};
static const struct sieve_extension duplicate = {
	.name = "duplicate",
	.words = words,
	.nwords = ARRAY_LEN(words),
};
SIEVE_EXTENSION(duplicate);
/* Its name before the RFC. */
static const struct sieve_extension vnd_duplicate = {
	.name = "vnd.dovecot.duplicate",
	.implies = "duplicate",
};
SIEVE_EXTENSION(vnd_duplicate);
