/*
 * sieve_ext_mailbox.c - ":create" and mailboxexists.  RFC 5490.
 */
#include "mailbox_name.h"
#include "sieve.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* Does the Maildir++ folder stand below the run's Maildir? */
static bool
in_maildir(struct sieve_run *r, const char *name)
{
	struct buf path = BUF_INIT;
	bool there;

	if (r->maildir == NULL)
		return false;
	buf_addf(&path, "%s/", r->maildir);
	there = mailbox_name_to_disk(&path, span_of(name));
	buf_adds(&path, "/cur");
	there = there && access(buf_str(&path), F_OK) == 0;
	buf_free(&path);
	return there;
}

static int
run_mailboxexists(struct sieve_run *r, const struct sieve_node *n)
{
	const struct sieve_arg *names = sieve_pos(n, 0);

	for (size_t i = 0; i < names->strings.n; i++) {
		const char *name = names->strings.v[i];

		if (span_iis(span_of(name), "INBOX"))
			continue;
		if (!(r->has_mailbox != NULL ? r->has_mailbox(r, name)
					     : in_maildir(r, name)))
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
