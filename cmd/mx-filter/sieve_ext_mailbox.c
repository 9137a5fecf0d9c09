/*
 * sieve_ext_mailbox.c - ":create" and mailboxexists.  RFC 5490.
 */
#include "sieve_boxes.h"

static int
run_mailboxexists(struct sieve_run *r, const struct sieve_node *n)
{
	const struct sieve_arg *names = sieve_pos(n, 0);

	for (size_t i = 0; i < names->strings.n; i++) {
		const char *name = names->strings.v[i];

		if (span_iis(span_of(name), "INBOX"))
			continue;
		if (!(r->has_mailbox != NULL ? r->has_mailbox(r, name)
					     : boxes_have(r, name)))
			return 0;
	}
	return 1;
}

static const struct sieve_word words[] = {
	{ .name = "mailboxexists",
	  .ext = "mailbox",
	  .is_test = true,
	  .positional = "S",
	  .run = run_mailboxexists },
};
static const struct sieve_added added[] = {
	{ "fileinto", { ":create", 0, NULL, "mailbox" } },
};
static const struct sieve_extension mailbox = {
	.name = "mailbox",
	.words = words,
	.nwords = ARRAY_LEN(words),
	.added = added,
	.nadded = ARRAY_LEN(added),
};
SIEVE_EXTENSION(mailbox);
