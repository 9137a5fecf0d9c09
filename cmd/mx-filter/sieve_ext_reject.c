/*
 * sieve_ext_reject.c - reject and ereject.  RFC 5429.
 */
#include "mem.h"
#include "sieve.h"

#include <stdio.h>

/* RFC 5429 2.2: by a DSN or at the protocol, which mx-deliver decides (2.1.1,
 * 2.1.2). */
static int
run_reject(struct sieve_run *r, const struct sieve_node *n)
{
	return sieve_act(r, NULL, "reject",
			 mem_strdup(sieve_pos(n, 0)->strings.v[0]));
}

/* RFC 5429 2.1 */
static int
run_ereject(struct sieve_run *r, const struct sieve_node *n)
{
	return sieve_act(r, NULL, "ereject",
			 mem_strdup(sieve_pos(n, 0)->strings.v[0]));
}

static const struct sieve_word reject_words[] = {
	{ .name = "reject",
	  .ext = "reject",
	  .positional = "s",
	  .run = run_reject },
};
static const struct sieve_word ereject_words[] = {
	{ .name = "ereject",
	  .ext = "ereject",
	  .positional = "s",
	  .run = run_ereject },
};
static const struct sieve_extension reject = {
	.name = "reject",
	.words = reject_words,
	.nwords = ARRAY_LEN(reject_words),
};
static const struct sieve_extension ereject = {
	.name = "ereject",
	.words = ereject_words,
	.nwords = ARRAY_LEN(ereject_words),
};
SIEVE_EXTENSION(reject);
SIEVE_EXTENSION(ereject);
