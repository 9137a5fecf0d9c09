/*
 * sieve_ext_imap4flags.c - setflag, addflag, removeflag, hasflag, ":flags".
 * RFC 5232.  Without the extension "variables" there is one list of flags, the
 * internal variable.
 */
#include "sieve.h"

#include <stdio.h>
#include <stdlib.h>

/* A flag or keyword: no control, no blank, none of RFC 3501's specials. */
static bool
flag_ok(struct span w)
{
	struct span name = w.n > 0 && w.p[0] == '\\' ? span_from(w, 1) : w;

	for (size_t i = 0; i < name.n; i++) {
		unsigned char c = (unsigned char)name.p[i];

		if (c <= 0x20 || c >= 0x7f ||
		    strchr("(){%*\"\\]", (char)c) != NULL)
			return false;
	}
	return name.n > 0;
}

static void
add_words(struct strs *to, const struct sieve_arg *a)
{
	for (size_t i = 0; i < a->strings.n; i++) {
		struct span rest = span_of(a->strings.v[i]), w;

		while (span_word(&rest, " ", &w)) {
			if (flag_ok(w) && !strs_ihas(to, w) && to->n < 100)
				strs_addspan(to, w);
		}
	}
}

/* The list of flags is the last argument; a variable's name may precede. */
static const struct sieve_arg *
flag_list(const struct sieve_node *n)
{
	const struct sieve_arg *second = sieve_pos(n, 1);

	return second != NULL ? second : sieve_pos(n, 0);
}

static int
run_addflag(struct sieve_run *r, const struct sieve_node *n)
{
	add_words(&r->flags, flag_list(n));
	r->flags_set = true;
	return 0;
}

static int
run_setflag(struct sieve_run *r, const struct sieve_node *n)
{
	strs_clear(&r->flags);
	return run_addflag(r, n);
}

static int
run_removeflag(struct sieve_run *r, const struct sieve_node *n)
{
	struct strs drop = STRS_INIT, keep = STRS_INIT;

	add_words(&drop, flag_list(n));
	for (size_t i = 0; i < r->flags.n; i++) {
		if (!strs_ihas(&drop, span_of(r->flags.v[i])))
			strs_add(&keep, r->flags.v[i]);
	}
	strs_free(&drop);
	strs_free(&r->flags);
	r->flags = keep;
	r->flags_set = true;
	return 0;
}

static int
run_hasflag(struct sieve_run *r, const struct sieve_node *n)
{
	const struct sieve_arg *keys = flag_list(n);

	for (size_t i = 0; i < r->flags.n; i++) {
		if (sieve_match(r, n, span_of(r->flags.v[i]), keys) > 0)
			return 1;
	}
	return 0;
}

static void
check_variable(struct sieve_script *s, struct sieve_node *n)
{
	const struct sieve_arg *a = sieve_pos(n, 0);

	if (sieve_pos(n, 1) != NULL && !sieve_required(s, "variables"))
		sieve_error(s, a->line, a->col,
			    "%s: a variable needs require \"variables\"",
			    n->name);
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
static const struct sieve_extension imap4flags = { "imap4flags", words,
						   ARRAY_LEN(words), added,
						   ARRAY_LEN(added) };
SIEVE_EXTENSION(imap4flags);
