/*
 * sieve_ext_specialuse.c - ":specialuse" and specialuse_exists, RFC 8579;
 * ":mailboxid" and mailboxidexists, RFC 9042; ":fcc", RFC 8580.
 */
#include "mem.h"
#include "sieve_boxes.h"
#include "status.h"

#include <stdio.h>
#include <stdlib.h>

/* 3: "\Junk" and the like. */
static bool
use_ok(const char *flag)
{
	return flag[0] == '\\' && sieve_flag_ok(span_of(flag));
}

static void
check_flags(struct sieve_script *s, const struct sieve_arg *a)
{
	for (size_t i = 0; a != NULL && i < a->strings.n; i++) {
		if (sieve_constant(s, a->strings.v[i]) &&
		    !use_ok(a->strings.v[i]))
			sieve_error(s, a->line, a->col,
				    "invalid special-use flag '%s'",
				    a->strings.v[i]);
	}
}

static void
check_exists(struct sieve_script *s, struct sieve_node *n)
{
	const struct sieve_arg *second = sieve_pos(n, 1);

	check_flags(s, second != NULL ? second : sieve_pos(n, 0));
}

/* A test script sets uses as annotations. */
static bool
has_use(struct sieve_run *r, const char *mailbox, const char *use)
{
	struct buf b = BUF_INIT;
	bool yes = false;

	if (r->annotation == NULL)
		return boxes_have_use(r, mailbox, use);
	if (r->annotation(r, mailbox, "/private/specialuse", &b)) {
		struct span rest = buf_span(&b), w;

		while (span_word(&rest, " ", &w))
			yes |= span_iis(w, use);
	}
	buf_free(&b);
	return yes;
}

static bool
has_id(struct sieve_run *r, const char *id)
{
	struct buf b = BUF_INIT;
	bool yes = r->annotation != NULL
		       ? r->annotation(r, id, "/private/mailboxid", &b)
		       : boxes_with_id(r, id, &b);

	buf_free(&b);
	return yes;
}

int
sieve_take_box(struct sieve_run *r, const struct sieve_node *n, char **name,
	       const char **use_r)
{
	const struct sieve_arg *id = sieve_value(n, ":mailboxid");
	const struct sieve_arg *use = sieve_value(n, ":specialuse");
	struct buf b = BUF_INIT;

	*use_r = NULL;
	if (use != NULL && !use_ok(use->strings.v[0]))
		return err_set(&r->err, ST_DATA,
			       "invalid special-use flag \"%.100s\"",
			       use->strings.v[0]);
	if ((id != NULL && boxes_with_id(r, id->strings.v[0], &b)) ||
	    (use != NULL && boxes_with_use(r, use->strings.v[0], *name, &b))) {
		free(*name);
		*name = buf_steal(&b);
	} else if (use != NULL) {
		*use_r = use->strings.v[0];
	}
	buf_free(&b);
	return 0;
}

/* RFC 9042 4.2: an id and a use cannot both name the mailbox. */
void
sieve_check_box(struct sieve_script *s, struct sieve_node *n)
{
	const struct sieve_arg *use = sieve_value(n, ":specialuse");
	const struct sieve_arg *id = sieve_has(n, ":mailboxid");

	check_flags(s, use);
	if (use != NULL && id != NULL)
		sieve_error(s, id->line, id->col,
			    ":mailboxid and :specialuse cannot be used "
			    "together");
}

static int
run_exists(struct sieve_run *r, const struct sieve_node *n)
{
	const struct sieve_arg *second = sieve_pos(n, 1);
	const struct sieve_arg *uses = second ? second : sieve_pos(n, 0);
	const char *mailbox = second ? sieve_pos(n, 0)->strings.v[0] : NULL;

	for (size_t i = 0; i < uses->strings.n; i++) {
		if (!has_use(r, mailbox, uses->strings.v[i]))
			return 0;
	}
	return 1;
}

static int
run_id_exists(struct sieve_run *r, const struct sieve_node *n)
{
	const struct sieve_arg *ids = sieve_pos(n, 0);

	for (size_t i = 0; i < ids->strings.n; i++) {
		if (!has_id(r, ids->strings.v[i]))
			return 0;
	}
	return 1;
}

static const struct sieve_word use_words[] = {
	{ .name = "specialuse_exists",
	  .ext = "special-use",
	  .is_test = true,
	  .positional = "osS",
	  .check = check_exists,
	  .run = run_exists },
};
static const struct sieve_added use_added[] = {
	{ "fileinto", { ":specialuse", 's', NULL, "special-use" } },
};
static const struct sieve_extension special_use = {
	.name = "special-use",
	.words = use_words,
	.nwords = ARRAY_LEN(use_words),
	.added = use_added,
	.nadded = ARRAY_LEN(use_added),
};
SIEVE_EXTENSION(special_use);

static const struct sieve_word id_words[] = {
	{ .name = "mailboxidexists",
	  .ext = "mailboxid",
	  .is_test = true,
	  .positional = "S",
	  .run = run_id_exists },
};
static const struct sieve_added id_added[] = {
	{ "fileinto", { ":mailboxid", 's', NULL, "mailboxid" } },
};
static const struct sieve_extension mailboxid = {
	.name = "mailboxid",
	.words = id_words,
	.nwords = ARRAY_LEN(id_words),
	.added = id_added,
	.nadded = ARRAY_LEN(id_added),
};
SIEVE_EXTENSION(mailboxid);

/* RFC 8580 3.2: with what tells about the folder. */
static const struct sieve_added fcc_added[] = {
	{ "vacation", { ":fcc", 's', NULL, "fcc" } },
	{ "notify", { ":fcc", 's', NULL, "fcc" } },
	{ "vacation", { ":flags", 'S', NULL, "imap4flags" } },
	{ "notify", { ":flags", 'S', NULL, "imap4flags" } },
	{ "vacation", { ":create", 0, NULL, "mailbox" } },
	{ "notify", { ":create", 0, NULL, "mailbox" } },
	{ "vacation", { ":specialuse", 's', NULL, "special-use" } },
	{ "notify", { ":specialuse", 's', NULL, "special-use" } },
	{ "vacation", { ":mailboxid", 's', NULL, "mailboxid" } },
	{ "notify", { ":mailboxid", 's', NULL, "mailboxid" } },
};
static const struct sieve_extension fcc = {
	.name = "fcc",
	.added = fcc_added,
	.nadded = ARRAY_LEN(fcc_added),
};
SIEVE_EXTENSION(fcc);
