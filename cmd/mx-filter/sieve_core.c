/*
 * sieve_core.c - the commands and tests of RFC 5228 3, 4 and 5 that need no
 * require, fileinto, envelope and encoded-character.
 */
#include "sieve.h"
#include "escape.h"
#include "mem.h"
#include "status.h"

#include <stdio.h>
#include <stdlib.h>

/* --- control (RFC 5228 3) --- */

static int
run_if(struct sieve_run *r, const struct sieve_node *n)
{
	int yes = sieve_run_test(r, &n->tests[0]);

	if (yes < 0)
		return -1;
	r->last_if = yes > 0;
	if (yes == 0)
		return 0;
	if (sieve_run_block(r, n) != 0)
		return -1;
	r->last_if = true; /* an if inside the block has said its own */
	return 0;
}

static int
run_elsif(struct sieve_run *r, const struct sieve_node *n)
{
	return r->last_if ? 0 : run_if(r, n);
}

static int
run_else(struct sieve_run *r, const struct sieve_node *n)
{
	if (r->last_if)
		return 0;
	return sieve_run_block(r, n);
}

static int
run_require(struct sieve_run *r, const struct sieve_node *n)
{
	(void)r;
	(void)n;
	return 0;
}

static int
run_stop(struct sieve_run *r, const struct sieve_node *n)
{
	(void)n;
	r->stopped = true;
	return 0;
}

/* --- actions (RFC 5228 4) --- */

static int
run_keep(struct sieve_run *r, const struct sieve_node *n)
{
	return sieve_act(r, n, "keep", NULL);
}

/* RFC 5228 4.4: it does nothing but cancel the implicit keep. */
static int
run_discard(struct sieve_run *r, const struct sieve_node *n)
{
	return sieve_act(r, n, "discard", NULL);
}

/* A mailbox name that no reader of the actions can take for something else. */
static bool
mailbox_ok(const char *name)
{
	return name[0] != '\0' && !span_has_ctl(span_of(name)) &&
	       utf8_valid(span_of(name));
}

static int
run_fileinto(struct sieve_run *r, const struct sieve_node *n)
{
	char *name = mem_strdup(sieve_pos(n, 0)->strings.v[0]);
	struct sieve_action *a;
	const char *use;

	if (!mailbox_ok(name))
		err_set(&r->err, ST_DATA, "invalid folder name \"%.100s\"",
			name);
	else if (sieve_take_box(r, n, &name, &use) == 0) {
		a = sieve_act_more(r, n, "fileinto", name, NULL);
		if (a != NULL && use != NULL && a->special_use == NULL)
			a->special_use = mem_strdup(use);
		return a != NULL ? 0 : -1;
	}
	free(name);
	return -1;
}

static void
check_fileinto(struct sieve_script *s, struct sieve_node *n)
{
	const struct sieve_arg *a = sieve_pos(n, 0);

	if (sieve_constant(s, a->strings.v[0]) && !mailbox_ok(a->strings.v[0]))
		sieve_error(s, a->line, a->col, "invalid folder name '%s'",
			    a->strings.v[0]);
	sieve_check_box(s, n);
}

/* Pigeonhole's sense of 0, and its words. */
#define NO_REDIRECTS "local policy prohibits the use of a redirect action"

static int
redirect_to(struct sieve_run *r, const struct sieve_node *n, const char *text)
{
	char *to = sieve_address(text);
	struct buf from = BUF_INIT;
	struct sieve_action *a;

	if (to == NULL)
		return err_set(&r->err, ST_DATA,
			       "redirect: invalid address \"%.100s\"", text);
	a = sieve_act_more(r, n, "redirect", to, NULL);
	if (a == NULL)
		return -1;
	/* RFC 5228 4.2: the null sender stays null */
	if (strcmp(sieve_conf.redirect_from, "sender") != 0 &&
	    r->sender != NULL && r->sender[0] != '\0' && a->from == NULL)
		a->from = mem_strdup(
		    sieve_envelope_from(r, sieve_conf.redirect_from, &from));
	buf_free(&from);
	return 0;
}

struct list_redirect {
	struct sieve_run *r;
	const struct sieve_node *n;
};

static int
redirect_member(void *ctx, struct span member, const char *value, struct err *e)
{
	struct list_redirect *l = ctx;
	char *to = mem_spandup(member);
	int ret = redirect_to(l->r, l->n, to);

	(void)value;
	(void)e; /* it is r->err already */
	free(to);
	return ret;
}

/* RFC 6134 has ":list": to each member, and each is a redirect that counts. */
static int
run_redirect(struct sieve_run *r, const struct sieve_node *n)
{
	const char *text = sieve_pos(n, 0)->strings.v[0];
	struct list_redirect l = { r, n };

	if (sieve_conf.max_redirects == 0)
		return err_set(&r->err, ST_UNAVAILABLE, "%s", NO_REDIRECTS);
	return sieve_has(n, ":list") == NULL
		   ? redirect_to(r, n, text)
		   : sieve_list_each(r, text, redirect_member, &l);
}

static void
check_redirect(struct sieve_script *s, struct sieve_node *n)
{
	if (sieve_conf.max_redirects == 0)
		sieve_error(s, n->line, n->col, "%s", NO_REDIRECTS);
	if (sieve_has(n, ":list") == NULL)
		sieve_check_address(s, sieve_pos(n, 0));
}

/* --- tests (RFC 5228 5) --- */

static int
run_true(struct sieve_run *r, const struct sieve_node *n)
{
	(void)r;
	(void)n;
	return 1;
}

static int
run_false(struct sieve_run *r, const struct sieve_node *n)
{
	(void)r;
	(void)n;
	return 0;
}

static int
run_not(struct sieve_run *r, const struct sieve_node *n)
{
	int yes = sieve_run_test(r, &n->tests[0]);

	return yes < 0 ? -1 : !yes;
}

/* RFC 5228 5.2: from the left, until it is decided; with variables the order
 * shows. */
static int
run_allof(struct sieve_run *r, const struct sieve_node *n)
{
	for (size_t i = 0; i < n->ntests; i++) {
		int yes = sieve_run_test(r, &n->tests[i]);

		if (yes <= 0)
			return yes;
	}
	return 1;
}

static int
run_anyof(struct sieve_run *r, const struct sieve_node *n)
{
	for (size_t i = 0; i < n->ntests; i++) {
		int yes = sieve_run_test(r, &n->tests[i]);

		if (yes != 0)
			return yes;
	}
	return 0;
}

static int
any_value(void *ctx, struct span value)
{
	(void)ctx;
	(void)value;
	return 1;
}

/* RFC 5228 5.5: all of them, whatever their value. */
static int
run_exists(struct sieve_run *r, const struct sieve_node *n)
{
	const struct sieve_arg *names = sieve_pos(n, 0);

	for (size_t i = 0; i < names->strings.n; i++) {
		struct sieve_arg one = { .kind = SIEVE_STRING };
		int there;

		strs_add(&one.strings, names->strings.v[i]);
		there = sieve_each_value(r, n, &one, true, any_value, NULL);
		strs_free(&one.strings);
		if (!there)
			return 0;
	}
	return 1;
}

/* RFC 5228 5.9: exactly the limit is neither over nor under it. */
static int
run_size(struct sieve_run *r, const struct sieve_node *n)
{
	int64_t limit = sieve_pos(n, 0)->number;
	int64_t size = (int64_t)r->size;

	if (r->explain != NULL)
		buf_addf(&r->saw, "%lld", (long long)size);
	return sieve_has(n, ":over") != NULL ? size > limit : size < limit;
}

static void
check_size(struct sieve_script *s, struct sieve_node *n)
{
	if (sieve_has(n, ":over") == NULL && sieve_has(n, ":under") == NULL)
		sieve_error(s, n->line, n->col, "size needs :over or :under");
}

/* RFC 5228 2.4.2.2: names are ftext, so a colon or blank is an error. */
static void
check_names(struct sieve_script *s, struct sieve_node *n)
{
	const struct sieve_arg *a = sieve_pos(n, 0);

	for (size_t i = 0; a != NULL && i < a->strings.n; i++) {
		struct span name = span_of(a->strings.v[i]);
		bool ok = name.n > 0;

		for (size_t k = 0; k < name.n; k++)
			ok &= name.p[k] > 32 && name.p[k] < 127 &&
			      name.p[k] != ':';
		if (!ok && sieve_constant(s, a->strings.v[i]))
			sieve_error(s, a->line, a->col,
				    "\"%s\" is not a header field's name",
				    a->strings.v[i]);
	}
}

struct match_ctx {
	struct sieve_run *r;
	const struct sieve_node *n;
	const struct sieve_arg *keys;
};

static int
header_value(void *ctx, struct span value)
{
	struct match_ctx *c = ctx;

	return sieve_match(c->r, c->n, value, c->keys);
}

static int
run_header(struct sieve_run *r, const struct sieve_node *n)
{
	struct match_ctx c = { r, n, sieve_pos(n, 1) };

	return sieve_each_value(r, n, sieve_pos(n, 0), false, header_value, &c);
}

static int
match_address(struct match_ctx *c, struct span local, struct span domain)
{
	struct buf part = BUF_INIT;
	int yes = 0;

	if (sieve_part(c->r, c->n, local, domain, &part))
		yes = sieve_match(c->r, c->n, buf_span(&part), c->keys);
	buf_free(&part);
	return yes;
}

static int
address_value(void *ctx, struct span value)
{
	struct match_ctx *c = ctx;
	struct addr_list l;
	int yes = 0;

	addr_list_parse(&l, value, 0);
	for (size_t i = 0; yes == 0 && i < l.n; i++) {
		/* what has no domain is no address */
		if (l.v[i].kind == ADDR_MAILBOX && l.v[i].domain.n > 0)
			yes = match_address(c, l.v[i].local, l.v[i].domain);
	}
	addr_list_free(&l);
	return yes;
}

/* RFC 5228 5.1; parsed before words are decoded, for a decoded comma or angle
 * bracket is a part of a name. */
static int
run_address(struct sieve_run *r, const struct sieve_node *n)
{
	struct match_ctx c = { r, n, sieve_pos(n, 1) };

	return sieve_each_value(r, n, sieve_pos(n, 0), true, address_value, &c);
}

/* RFC 5228 5.1: only fields that hold addresses. */
static void
check_address(struct sieve_script *s, struct sieve_node *n)
{
	static const char *const fields[] = {
		"from",
		"to",
		"cc",
		"bcc",
		"sender",
		"reply-to",
		"resent-from",
		"resent-to",
		"resent-cc",
		"resent-bcc",
		"resent-sender",
		"resent-reply-to",
		"return-path",
		"delivered-to",
		"x-original-to",
		"errors-to",
		"envelope-to",
		"x-envelope-to",
		"apparently-to",
		"mail-followup-to",
		"mail-reply-to",
		"disposition-notification-to",
		"return-receipt-to",
		"x-forwarded-to",
		"content-from",
	};
	const struct sieve_arg *a = sieve_pos(n, 0);

	check_names(s, n);
	for (size_t i = 0; a != NULL && i < a->strings.n; i++) {
		bool known = false;

		for (size_t k = 0; k < ARRAY_LEN(fields); k++)
			known |= span_iis(span_of(a->strings.v[i]), fields[k]);
		if (!known && sieve_constant(s, a->strings.v[i]))
			sieve_error(
			    s, a->line, a->col,
			    "specified header '%s' is not allowed for the "
			    "address test",
			    a->strings.v[i]);
	}
}

/* --- envelope (RFC 5228 5.4) --- */

static int
match_envelope(struct match_ctx *c, const char *value)
{
	struct addr a;
	int yes;

	if (value == NULL)
		return 0;
	/* RFC 5228 5.4: the null reverse-path is the empty string, whatever
	 * part. */
	if (value[0] == '\0')
		return sieve_match(c->r, c->n, SPAN(""), c->keys);
	if (addr_parse(&a, span_of(value), NULL) != 0)
		return sieve_match(c->r, c->n, span_of(value), c->keys);
	yes = match_address(c, a.local, a.domain);
	addr_free(&a);
	return yes;
}

static int
run_envelope(struct sieve_run *r, const struct sieve_node *n)
{
	const struct sieve_arg *parts = sieve_pos(n, 0);
	struct match_ctx c = { r, n, sieve_pos(n, 1) };
	int yes = 0;

	for (size_t i = 0; yes == 0 && i < parts->strings.n; i++) {
		struct span p = span_of(parts->strings.v[i]);

		yes = match_envelope(&c, span_iis(p, "from") ? r->sender
					 : span_iis(p, "to") ? r->recipient
					 : span_iis(p, "orig_to")
					     ? r->orig_recipient
					 : span_iis(p, "auth") ? r->auth_user
							       : NULL);
	}
	return yes;
}

/* RFC 6009's parts are known where it is required; they never match here. */
static bool
envelope_part(const struct sieve_script *s, struct span p)
{
	static const char *const own[] = { "from", "to", "orig_to", "auth" };
	static const char *const dsn[] = { "notify", "orcpt", "ret", "envid" };
	static const char *const by[] = { "bytimeabsolute", "bytimerelative",
					  "bymode", "bytrace" };

	for (size_t i = 0; i < ARRAY_LEN(own); i++) {
		if (span_iis(p, own[i]) ||
		    (sieve_required(s, "envelope-dsn") &&
		     span_iis(p, dsn[i])) ||
		    (sieve_required(s, "envelope-deliverby") &&
		     span_iis(p, by[i])))
			return true;
	}
	return false;
}

static void
check_envelope(struct sieve_script *s, struct sieve_node *n)
{
	const struct sieve_arg *a = sieve_pos(n, 0);

	for (size_t i = 0; a != NULL && i < a->strings.n; i++) {
		struct span p = span_of(a->strings.v[i]);

		if (!envelope_part(s, p) && sieve_constant(s, a->strings.v[i]))
			sieve_error(s, a->line, a->col,
				    "specified envelope part '%s' is not "
				    "supported by the envelope test",
				    a->strings.v[i]);
	}
}

static const struct sieve_tag size_tags[] = {
	{ ":over", 0, "limit", NULL },
	{ ":under", 0, "limit", NULL },
};

static const struct sieve_word core_words[] = {
	{ .name = "if", .tests = 1, .block = true, .run = run_if },
	{ .name = "elsif", .tests = 1, .block = true, .run = run_elsif },
	{ .name = "else", .block = true, .run = run_else },
	{ .name = "require", .positional = "S", .run = run_require },
	{ .name = "stop", .run = run_stop },
	{ .name = "keep", .run = run_keep },
	{ .name = "discard", .run = run_discard },
	{ .name = "redirect",
	  .positional = "s",
	  .check = check_redirect,
	  .run = run_redirect },
	{ .name = "true", .is_test = true, .run = run_true },
	{ .name = "false", .is_test = true, .run = run_false },
	{ .name = "not", .is_test = true, .tests = 1, .run = run_not },
	{ .name = "allof", .is_test = true, .tests = 2, .run = run_allof },
	{ .name = "anyof", .is_test = true, .tests = 2, .run = run_anyof },
	{ .name = "exists",
	  .is_test = true,
	  .positional = "S",
	  .check = check_names,
	  .run = run_exists },
	{ .name = "size",
	  .is_test = true,
	  .positional = "n",
	  .tags = size_tags,
	  .ntags = ARRAY_LEN(size_tags),
	  .check = check_size,
	  .run = run_size },
	{ .name = "header",
	  .is_test = true,
	  .positional = "SS",
	  .with_match = true,
	  .check = check_names,
	  .run = run_header },
	{ .name = "address",
	  .is_test = true,
	  .positional = "SS",
	  .with_match = true,
	  .with_part = true,
	  .check = check_address,
	  .run = run_address },
};
static const struct sieve_word fileinto_words[] = {
	{ .name = "fileinto",
	  .ext = "fileinto",
	  .positional = "s",
	  .check = check_fileinto,
	  .run = run_fileinto },
};
static const struct sieve_word envelope_words[] = {
	{ .name = "envelope",
	  .ext = "envelope",
	  .is_test = true,
	  .positional = "SS",
	  .with_match = true,
	  .with_part = true,
	  .check = check_envelope,
	  .run = run_envelope },
};

static const struct sieve_extension core = {
	.words = core_words,
	.nwords = ARRAY_LEN(core_words),
};
static const struct sieve_extension fileinto = {
	.name = "fileinto",
	.words = fileinto_words,
	.nwords = ARRAY_LEN(fileinto_words),
};
static const struct sieve_extension envelope = {
	.name = "envelope",
	.words = envelope_words,
	.nwords = ARRAY_LEN(envelope_words),
};
static const struct sieve_extension envelope_dsn = {
	.name = "envelope-dsn",
};
static const struct sieve_extension envelope_deliverby = {
	.name = "envelope-deliverby",
};
SIEVE_EXTENSION(envelope_dsn);
SIEVE_EXTENSION(envelope_deliverby);
static const struct sieve_extension encoded = {
	.name = "encoded-character",
};
SIEVE_EXTENSION(core);
SIEVE_EXTENSION(fileinto);
SIEVE_EXTENSION(envelope);
SIEVE_EXTENSION(encoded);
