/*
 * sieve_ext_imap4flags.c - setflag, addflag, removeflag, hasflag, ":flags".
 * RFC 5232.  The internal variable is r->flags; with the extension "variables"
 * the words may name others.
 */
#include "sieve.h"

#include <stdio.h>
#include <stdlib.h>

static void
add_words(struct strs *to, const struct sieve_arg *a)
{
	for (size_t i = 0; i < a->strings.n; i++) {
		struct span rest = span_of(a->strings.v[i]), w;

		while (span_word(&rest, " ", &w)) {
			if (sieve_flag_ok(w) && !strs_ihas(to, w) &&
			    to->n < 100)
				strs_addspan(to, w);
		}
	}
}

/* RFC 5232 3: the list of flags is the last argument; a variable's name may
 * precede. */
static const struct sieve_arg *
flag_list(const struct sieve_node *n)
{
	const struct sieve_arg *second = sieve_pos(n, 1);

	return second != NULL ? second : sieve_pos(n, 0);
}

/* The flags of the variable that n names, or the internal one's. */
static void
load_flags(struct sieve_run *r, const struct sieve_node *n, struct strs *to)
{
	struct sieve_arg a = { .kind = SIEVE_STRING };

	if (sieve_pos(n, 1) == NULL) {
		for (size_t i = 0; i < r->flags.n; i++)
			strs_add(to, r->flags.v[i]);
		return;
	}
	strs_add(&a.strings,
		 sieve_var(r, span_of(sieve_pos(n, 0)->strings.v[0])));
	add_words(to, &a);
	strs_free(&a.strings);
}

/* Takes the list over. */
static int
store_flags(struct sieve_run *r, const struct sieve_node *n, struct strs *v)
{
	struct buf b = BUF_INIT;
	int rc;

	if (sieve_pos(n, 1) == NULL) {
		strs_free(&r->flags);
		r->flags = *v;
		r->flags_set = true;
		return 0;
	}
	for (size_t i = 0; i < v->n; i++)
		buf_addf(&b, "%s%s", i ? " " : "", v->v[i]);
	rc = sieve_var_set(r, span_of(sieve_pos(n, 0)->strings.v[0]),
			   buf_span(&b));
	buf_free(&b);
	strs_free(v);
	return rc;
}

static int
run_addflag(struct sieve_run *r, const struct sieve_node *n)
{
	struct strs v = STRS_INIT;

	load_flags(r, n, &v);
	add_words(&v, flag_list(n));
	return store_flags(r, n, &v);
}

/* RFC 5232 3.1: in the place of those that were there. */
static int
run_setflag(struct sieve_run *r, const struct sieve_node *n)
{
	struct strs v = STRS_INIT;

	add_words(&v, flag_list(n));
	return store_flags(r, n, &v);
}

/* RFC 5232 3.3. */
static int
run_removeflag(struct sieve_run *r, const struct sieve_node *n)
{
	struct strs had = STRS_INIT, drop = STRS_INIT, v = STRS_INIT;

	load_flags(r, n, &had);
	add_words(&drop, flag_list(n));
	for (size_t i = 0; i < had.n; i++) {
		if (!strs_ihas(&drop, span_of(had.v[i])))
			strs_add(&v, had.v[i]);
	}
	strs_free(&had);
	strs_free(&drop);
	return store_flags(r, n, &v);
}

/* One list of flags, each once, against the keys. */
static int
match_flags(struct sieve_run *r, const struct sieve_node *n, struct strs *v,
	    const struct sieve_arg *keys)
{
	int yes = 0;

	for (size_t i = 0; yes == 0 && i < v->n; i++)
		yes = sieve_match(r, n, span_of(v->v[i]), keys);
	strs_free(v);
	return yes;
}

/* With variables the first argument is a list of their names; a count is the
 * sum of theirs; a key may hold several flags, any of which will do, as long as
 * it is no number (RFC 5232 4). */
static int
run_hasflag(struct sieve_run *r, const struct sieve_node *n)
{
	const struct sieve_arg *names = sieve_pos(n, 0);
	struct sieve_arg keys = *flag_list(n);
	struct strs v = STRS_INIT, words = STRS_INIT;
	bool split = sieve_has(n, ":count") == NULL;
	int yes = 0;

	for (size_t i = 0; split && i < keys.strings.n; i++) {
		if (keys.strings.v[i][0] == '\0')
			strs_add(&words, "");
		else
			strs_split(&words, span_of(keys.strings.v[i]), " ");
	}
	if (split)
		keys.strings = words;
	if (sieve_pos(n, 1) == NULL) {
		load_flags(r, n, &v);
		yes = match_flags(r, n, &v, &keys);
	}
	for (size_t i = 0;
	     sieve_pos(n, 1) != NULL && yes == 0 && i < names->strings.n; i++) {
		struct sieve_arg a = { .kind = SIEVE_STRING };

		strs_add(&a.strings,
			 sieve_var(r, span_of(names->strings.v[i])));
		add_words(&v, &a);
		strs_free(&a.strings);
		yes = match_flags(r, n, &v, &keys);
	}
	strs_free(&words);
	return yes;
}

static void
check_variable(struct sieve_script *s, struct sieve_node *n)
{
	const struct sieve_arg *a = sieve_pos(n, 0);

	if (sieve_pos(n, 1) == NULL)
		return;
	if (!sieve_required(s, "variables"))
		sieve_error(s, a->line, a->col,
			    "%s: a variable needs require \"variables\"",
			    n->name);
	for (size_t i = 0; i < a->strings.n; i++) {
		if (!sieve_identifier(span_of(a->strings.v[i])))
			sieve_error(s, a->line, a->col,
				    "\"%s\" is not a variable's name",
				    a->strings.v[i]);
	}
}

static const struct sieve_word words[] = {
	{ .name = "setflag",
	  .ext = "imap4flags",
	  .positional = "osS",
	  .check = check_variable,
	  .run = run_setflag },
	{ .name = "addflag",
	  .ext = "imap4flags",
	  .positional = "osS",
	  .check = check_variable,
	  .run = run_addflag },
	{ .name = "removeflag",
	  .ext = "imap4flags",
	  .positional = "osS",
	  .check = check_variable,
	  .run = run_removeflag },
	{ .name = "hasflag",
	  .ext = "imap4flags",
	  .is_test = true,
	  .positional = "oSS",
	  .with_match = true,
	  .check = check_variable,
	  .run = run_hasflag },
};
static const struct sieve_added added[] = {
	{ "keep", { ":flags", 'S', NULL, "imap4flags" } },
	{ "fileinto", { ":flags", 'S', NULL, "imap4flags" } },
};
static const struct sieve_extension imap4flags = {
	.name = "imap4flags",
	.words = words,
	.nwords = ARRAY_LEN(words),
	.added = added,
	.nadded = ARRAY_LEN(added),
};
SIEVE_EXTENSION(imap4flags);
