/*
 * sieve_ext_metadata.c - metadata, metadataexists, servermetadata,
 * servermetadataexists.  RFC 5490 3 and 4.
 */
#include "sieve_boxes.h"
#include "status.h"

#include <stdio.h>

/* RFC 5464 3: "/private/..." or "/shared/...". */
static bool
name_ok(const char *name)
{
	struct span s = span_of(name);

	if (!span_istarts(s, SPAN("/private/")) &&
	    !span_istarts(s, SPAN("/shared/")))
		return false;
	return span_find(s, SPAN("//")) < 0 && s.p[s.n - 1] != '/' &&
	       span_chr(s, '*') < 0 && span_chr(s, '%') < 0 &&
	       !span_has_ctl(s) && span_is_ascii(s);
}

static bool
of_server(const struct sieve_node *n)
{
	return n->name[0] == 's';
}

static void
check_names(struct sieve_script *s, struct sieve_node *n)
{
	const struct sieve_arg *a = sieve_pos(n, of_server(n) ? 0 : 1);

	for (size_t i = 0; i < a->strings.n; i++) {
		if (sieve_constant(s, a->strings.v[i]) &&
		    !name_ok(a->strings.v[i]))
			sieve_warn(s, a->line, a->col,
				   "specified annotation name '%s' is invalid",
				   a->strings.v[i]);
	}
}

static bool
get(struct sieve_run *r, const char *mailbox, const char *name, struct buf *b)
{
	if (!name_ok(name))
		return false;
	return r->annotation != NULL ? r->annotation(r, mailbox, name, b)
				     : boxes_annotation(r, mailbox, name, b);
}

static int
run_metadata(struct sieve_run *r, const struct sieve_node *n)
{
	size_t at = of_server(n) ? 0 : 1;
	const char *mailbox = at ? sieve_pos(n, 0)->strings.v[0] : NULL;
	struct buf b = BUF_INIT;
	int yes = 0;

	if (get(r, mailbox, sieve_pos(n, at)->strings.v[0], &b))
		yes = sieve_match(r, n, buf_span(&b), sieve_pos(n, at + 1));
	buf_free(&b);
	return yes;
}

static int
run_exists(struct sieve_run *r, const struct sieve_node *n)
{
	size_t at = of_server(n) ? 0 : 1;
	const char *mailbox = at ? sieve_pos(n, 0)->strings.v[0] : NULL;
	const struct sieve_arg *names = sieve_pos(n, at);

	for (size_t i = 0; i < names->strings.n; i++) {
		struct buf b = BUF_INIT;
		bool there = get(r, mailbox, names->strings.v[i], &b);

		buf_free(&b);
		if (!there)
			return 0;
	}
	return 1;
}

static const struct sieve_word mbox_words[] = {
	{ .name = "metadata",
	  .ext = "mboxmetadata",
	  .is_test = true,
	  .positional = "ssS",
	  .with_match = true,
	  .check = check_names,
	  .run = run_metadata },
	{ .name = "metadataexists",
	  .ext = "mboxmetadata",
	  .is_test = true,
	  .positional = "sS",
	  .check = check_names,
	  .run = run_exists },
};
static const struct sieve_word server_words[] = {
	{ .name = "servermetadata",
	  .ext = "servermetadata",
	  .is_test = true,
	  .positional = "sS",
	  .with_match = true,
	  .check = check_names,
	  .run = run_metadata },
	{ .name = "servermetadataexists",
	  .ext = "servermetadata",
	  .is_test = true,
	  .positional = "S",
	  .check = check_names,
	  .run = run_exists },
};
static const struct sieve_extension mboxmetadata = {
	.name = "mboxmetadata",
	.words = mbox_words,
	.nwords = ARRAY_LEN(mbox_words),
};
static const struct sieve_extension servermetadata = {
	.name = "servermetadata",
	.words = server_words,
	.nwords = ARRAY_LEN(server_words),
};
SIEVE_EXTENSION(mboxmetadata);
SIEVE_EXTENSION(servermetadata);
