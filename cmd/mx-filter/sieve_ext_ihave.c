/*
 * sieve_ext_ihave.c - ihave and error.  RFC 5463.
 */
#include "sieve.h"
#include "status.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* RFC 5463 4: what changes how a script is read is to be had by require
 * alone. */
static bool
is_grammar(const char *name)
{
	return strcmp(name, "variables") == 0 ||
	       strcmp(name, "encoded-character") == 0;
}

static bool
have_all(const struct sieve_script *s, const struct sieve_arg *a)
{
	for (size_t i = 0; i < a->strings.n; i++) {
		const char *name = a->strings.v[i];

		if (!sieve_known(s, name) ||
		    (is_grammar(name) && !sieve_required(s, name)))
			return false;
	}
	return true;
}

/* 4: what it names is as good as required from here on. */
static void
check_ihave(struct sieve_script *s, struct sieve_node *n)
{
	const struct sieve_arg *a = sieve_pos(n, 0);

	if (!have_all(s, a))
		return;
	for (size_t i = 0; i < a->strings.n; i++)
		sieve_require(s, a->strings.v[i]);
}

static int
known(const struct sieve_script *s, const struct sieve_node *n)
{
	return have_all(s, sieve_pos(n, 0));
}

static int
run_ihave(struct sieve_run *r, const struct sieve_node *n)
{
	return have_all(r->script, sieve_pos(n, 0));
}

static int
run_error(struct sieve_run *r, const struct sieve_node *n)
{
	return err_set(&r->err, ST_DATA, "error command: %.500s",
		       sieve_pos(n, 0)->strings.v[0]);
}

static const struct sieve_word words[] = {
	{ .name = "ihave",
	  .ext = "ihave",
	  .is_test = true,
	  .positional = "S",
	  .check = check_ihave,
	  .known = known,
	  .run = run_ihave },
	{ .name = "error",
	  .ext = "ihave",
	  .positional = "s",
	  .ends = true,
	  .run = run_error },
};
static const struct sieve_extension ihave = {
	.name = "ihave",
	.words = words,
	.nwords = ARRAY_LEN(words),
};
SIEVE_EXTENSION(ihave);
