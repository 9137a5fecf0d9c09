/*
 * sieve_ext_variables.c - set and string.  RFC 5229.
 */
#include "mem.h"
#include "sieve.h"

#include <stdio.h>

static void
mod_lower(struct buf *to, struct span s)
{
	for (size_t i = 0; i < s.n; i++)
		buf_addc(to, ascii_tolower(s.p[i]));
}

static void
mod_upper(struct buf *to, struct span s)
{
	for (size_t i = 0; i < s.n; i++)
		buf_addc(to, ascii_toupper(s.p[i]));
}

static void
mod_lowerfirst(struct buf *to, struct span s)
{
	mod_lower(to, span_sub(s, 0, 1));
	buf_addspan(to, span_from(s, s.n > 0));
}

static void
mod_upperfirst(struct buf *to, struct span s)
{
	mod_upper(to, span_sub(s, 0, 1));
	buf_addspan(to, span_from(s, s.n > 0));
}

/* draft-ietf-sieve-regex 5 */
static void
mod_quoteregex(struct buf *to, struct span s)
{
	for (size_t i = 0; i < s.n; i++) {
		if (strchr(".^$*+?()[]{}|\\", s.p[i]) != NULL)
			buf_addc(to, '\\');
		buf_addc(to, s.p[i]);
	}
}

/* RFC 5229 4.1.2: so that a value can stand in a pattern. */
static void
mod_quotewildcard(struct buf *to, struct span s)
{
	for (size_t i = 0; i < s.n; i++) {
		if (strchr("*?\\", s.p[i]) != NULL)
			buf_addc(to, '\\');
		buf_addc(to, s.p[i]);
	}
}

/* RFC 5435 6: all but unreserved characters as %XX. */
static void
mod_encodeurl(struct buf *to, struct span s)
{
	for (size_t i = 0; i < s.n; i++) {
		if (ascii_isalnum(s.p[i]) || strchr("-._~", s.p[i]) != NULL)
			buf_addc(to, s.p[i]);
		else
			buf_addf(to, "%%%02X", (unsigned char)s.p[i]);
	}
}

/* Characters, not bytes (RFC 5229 4.1.1). */
static void
mod_length(struct buf *to, struct span s)
{
	size_t n = 0;

	for (size_t i = 0; i < s.n; i++)
		n += ((unsigned char)s.p[i] & 0xc0) != 0x80;
	buf_addf(to, "%zu", n);
}

/* In the order in which they are applied, by falling precedence (RFC 5229 4.1;
 * RFC 5435 6 puts :encodeurl between quoting and length). */
static const struct {
	const char *tag;
	void (*apply)(struct buf *to, struct span s);
} modifiers[] = {
	{ ":lower", mod_lower },
	{ ":upper", mod_upper },
	{ ":lowerfirst", mod_lowerfirst },
	{ ":upperfirst", mod_upperfirst },
	{ ":quotewildcard", mod_quotewildcard },
	{ ":quoteregex", mod_quoteregex },
	{ ":encodeurl", mod_encodeurl },
	{ ":length", mod_length },
};

int
sieve_set_modified(struct sieve_run *r, const struct sieve_node *n,
		   const char *name, struct span text)
{
	struct buf value = BUF_INIT, next = BUF_INIT;
	int rc;

	buf_addspan(&value, text);
	for (size_t i = 0; i < ARRAY_LEN(modifiers); i++) {
		struct buf was = value;

		if (sieve_has(n, modifiers[i].tag) == NULL)
			continue;
		modifiers[i].apply(&next, buf_span(&value));
		value = next;
		next = was;
		buf_clear(&next);
	}
	rc = sieve_var_set(r, span_of(name), buf_span(&value));
	buf_free(&value);
	buf_free(&next);
	return rc;
}

static int
run_set(struct sieve_run *r, const struct sieve_node *n)
{
	return sieve_set_modified(r, n, sieve_pos(n, 0)->strings.v[0],
				  span_of(sieve_pos(n, 1)->strings.v[0]));
}

static void
check_set(struct sieve_script *s, struct sieve_node *n)
{
	const struct sieve_arg *a = sieve_pos(n, 0);

	if (a != NULL && a->kind == SIEVE_STRING &&
	    !sieve_settable(s, a->strings.v[0]))
		sieve_error(s, a->line, a->col,
			    "\"%s\" is not a variable's name", a->strings.v[0]);
}

static int
run_string(struct sieve_run *r, const struct sieve_node *n)
{
	const struct sieve_arg *from = sieve_pos(n, 0);
	int yes = 0;

	for (size_t i = 0; yes == 0 && i < from->strings.n; i++) {
		struct span v = span_of(from->strings.v[i]);

		/* RFC 5229 5: the empty string counts for nothing. */
		if (v.n > 0 || n->match->finish == NULL)
			yes = sieve_match(r, n, v, sieve_pos(n, 1));
	}
	return yes;
}

static const struct sieve_tag set_tags[] = {
	{ ":lower", 0, "case modifier", NULL },
	{ ":upper", 0, "case modifier", NULL },
	{ ":lowerfirst", 0, "first letter modifier", NULL },
	{ ":upperfirst", 0, "first letter modifier", NULL },
	{ ":quotewildcard", 0, "quoting modifier", NULL },
	{ ":quoteregex", 0, "quoting modifier", "regex" },
	{ ":encodeurl", 0, "encoding modifier", "enotify" },
	{ ":length", 0, NULL, NULL },
};
static const struct sieve_word words[] = {
	{ .name = "set",
	  .ext = "variables",
	  .positional = "ss",
	  .tags = set_tags,
	  .ntags = ARRAY_LEN(set_tags),
	  .check = check_set,
	  .run = run_set },
	{ .name = "string",
	  .ext = "variables",
	  .is_test = true,
	  .positional = "SS",
	  .with_match = true,
	  .run = run_string },
};
static const struct sieve_added added[] = {
	{ "extracttext", { ":lower", 0, "case modifier", NULL } },
	{ "extracttext", { ":upper", 0, "case modifier", NULL } },
	{ "extracttext", { ":lowerfirst", 0, "first letter modifier", NULL } },
	{ "extracttext", { ":upperfirst", 0, "first letter modifier", NULL } },
	{ "extracttext", { ":quotewildcard", 0, "quoting modifier", NULL } },
	{ "extracttext", { ":quoteregex", 0, "quoting modifier", "regex" } },
	{ "extracttext", { ":encodeurl", 0, "encoding modifier", "enotify" } },
	{ "extracttext", { ":length", 0, NULL, NULL } },
};
static const struct sieve_extension variables = {
	.name = "variables",
	.words = words,
	.nwords = ARRAY_LEN(words),
	.added = added,
	.nadded = ARRAY_LEN(added),
};
SIEVE_EXTENSION(variables);
