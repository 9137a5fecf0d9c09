/*
 * svtest_words.c - test blocks, the message, settings, other scripts: the
 * extension vnd.dovecot.testsuite, first half.
 */
#include "date.h"
#include "mem.h"
#include "status.h"
#include "svtest.h"

#include <stdio.h>
#include <stdlib.h>

#define EXT "vnd.dovecot.testsuite"

struct svtest *
svtest_of(const struct sieve_run *r)
{
	return r->test;
}

static const char *
text_of(const struct sieve_node *n, size_t i)
{
	return sieve_pos(n, i)->strings.v[0];
}

/* --- blocks --- */

void
svtest_fail(struct svtest *t, struct sieve_run *r, const char *reason)
{
	free(t->reason);
	t->reason = mem_strdup(reason);
	t->failed = true;
	t->fatal = !t->in_block;
	r->stopped = true;
}

static void
one_line(const char *text)
{
	for (; *text != '\0'; text++)
		putchar((unsigned char)*text < 32 ? ' ' : *text);
}

static int
run_block(struct sieve_run *r, const struct sieve_node *n)
{
	struct svtest *t = svtest_of(r);
	size_t number = ++t->entered;

	t->in_block = true;
	t->failed = false;
	if (sieve_run_block(r, n) != 0)
		return -1;
	t->in_block = false;
	printf("%sok %zu - ", t->failed ? "not " : "", number);
	one_line(text_of(n, 0));
	if (t->failed && t->reason[0] != '\0') {
		fputs(" - ", stdout);
		one_line(t->reason);
	}
	putchar('\n');
	if (t->failed) {
		t->failures++;
		r->stopped = false; /* on behind the block */
	}
	t->failed = false;
	return 0;
}

static void
check_block(struct sieve_script *s, struct sieve_node *n)
{
	for (size_t i = 0; i < n->nblock; i++) {
		if (strcmp(n->block[i].name, "test") == 0)
			sieve_error(s, n->block[i].line, n->block[i].col,
				    "tests cannot be nested");
	}
}

static int
run_fail(struct sieve_run *r, const struct sieve_node *n)
{
	svtest_fail(svtest_of(r), r, text_of(n, 0));
	return 0;
}

/* --- message and envelope --- */

void
svtest_look(struct svtest *t, struct sieve_run *r)
{
	if (r != t->top) {
		r->message = t->top->message;
		r->m = t->top->m;
		r->size = t->top->size;
	}
	r->sender = t->sender;
	r->recipient = t->recipient;
	r->orig_recipient = t->orig_to;
	r->auth_user = t->auth;
	r->delims = t->delims;
}

/* The first address of the first of these fields that has one. */
static char *
first_address(const struct msg *m, const char *const *fields, const char *none)
{
	struct buf b = BUF_INIT;

	for (; *fields != NULL && b.n == 0; fields++) {
		const struct msg_field *f = msg_find(m, *fields, 0);
		struct addr_list l;

		if (f == NULL)
			continue;
		if (span_is(span_trim(f->value), "<>"))
			return mem_strdup("");
		addr_list_parse(&l, f->value, 0);
		for (size_t i = 0; i < l.n && b.n == 0; i++) {
			if (l.v[i].kind != ADDR_MAILBOX || l.v[i].domain.n == 0)
				continue;
			addr_quote_local(&b, l.v[i].local);
			buf_addf(&b, "@%.*s", SPAN_ARG(l.v[i].domain));
		}
		addr_list_free(&l);
	}
	if (b.n == 0)
		buf_adds(&b, none);
	return buf_steal(&b);
}

void
svtest_message(struct svtest *t, struct sieve_run *r, struct span text)
{
	static const char *const to[] = { "Envelope-To", "To", NULL };
	static const char *const from[] = { "Return-Path", "Sender", "From",
					    NULL };
	struct buf copy = BUF_INIT;

	buf_addspan(&copy, text);
	if (t->top->message != NULL)
		t->top->message->pinned = true;
	sieve_message_edit(t->top, &copy);
	free(t->sender);
	free(t->recipient);
	free(t->orig_to);
	free(t->source);
	t->source = NULL;
	t->to_keep = NULL;
	t->sender = first_address(t->top->m, from, "sender@example.com");
	t->recipient = first_address(t->top->m, to, "recipient@example.com");
	t->orig_to = mem_strdup(t->recipient);
	svtest_look(t, r);
}

static int
set_address(struct sieve_run *r, char **where, const char *text)
{
	struct span s = span_trim(span_of(text));
	struct buf b = BUF_INIT;
	struct addr a;

	if (s.n >= 2 && s.p[0] == '<' && s.p[s.n - 1] == '>')
		s = span_sub(s, 1, s.n - 1);
	if (s.n > 0) {
		if (span_chr(s, '@') < 0) {
			buf_addspan(&b, s);
		} else if (addr_parse(&a, s, &r->err) == 0) {
			addr_print(&b, &a);
			addr_free(&a);
		} else {
			return -1;
		}
	}
	free(*where);
	*where = mem_strdup(buf_str(&b));
	buf_free(&b);
	return 0;
}

static void
set_text(char **where, const char *text)
{
	free(*where);
	*where = mem_strdup(text);
}

static int
set_date(struct sieve_run *r, const char *text)
{
	struct date d;

	if (!date_parse(span_of(text), &d))
		return err_set(&r->err, ST_DATA,
			       "test_set: \"%.80s\" is not a date", text);
	r->now = d.unix_s;
	r->zone = d.zone_min;
	return 0;
}

static int
run_set(struct sieve_run *r, const struct sieve_node *n)
{
	struct svtest *t = svtest_of(r);
	struct span what = span_of(text_of(n, 0));
	int rc = 0;

	if (span_is(what, "message"))
		svtest_message(t, r, span_of(text_of(n, 1)));
	else if (span_is(what, "envelope.from"))
		rc = set_address(r, &t->sender, text_of(n, 1));
	else if (span_is(what, "envelope.to")) {
		rc = set_address(r, &t->recipient, text_of(n, 1));
		free(t->orig_to);
		t->orig_to = mem_strdup(t->recipient);
	} else if (span_is(what, "envelope.orig_to"))
		rc = set_address(r, &t->orig_to, text_of(n, 1));
	else if (span_is(what, "envelope.auth"))
		set_text(&t->auth, text_of(n, 1));
	else if (span_is(what, "currentdate"))
		rc = set_date(r, text_of(n, 1));
	svtest_look(t, r);
	return rc;
}

static void
check_set(struct sieve_script *s, struct sieve_node *n)
{
	static const char *const objects[] = {
		"message",          "envelope.from", "envelope.to",
		"envelope.orig_to", "envelope.auth", "currentdate",
	};
	const struct sieve_arg *a = sieve_pos(n, 0);

	if (a == NULL || a->kind != SIEVE_STRING)
		return;
	for (size_t i = 0; i < ARRAY_LEN(objects); i++) {
		if (strcmp(a->strings.v[0], objects[i]) == 0)
			return;
	}
	sieve_error(s, a->line, a->col, "test_set: unknown object \"%s\"",
		    a->strings.v[0]);
}

/* --- settings --- */

static void
set_config(struct sieve_run *r, struct span name, struct span value)
{
	struct svtest *t = svtest_of(r);

	if (span_is(name, "recipient_delimiter")) {
		free(t->delims);
		t->delims = mem_spandup(value.p ? span_trim(value) : SPAN("+"));
		svtest_look(t, r);
		return;
	}
	if (value.p == NULL && span_is(name, "postmaster_address"))
		value = SPAN("postmaster@example.com");
	/* an unknown setting is no error */
	(void)sieve_conf_set(name, value);
}

static int
run_config_set(struct sieve_run *r, const struct sieve_node *n)
{
	set_config(r, span_of(text_of(n, 0)), span_of(text_of(n, 1)));
	return 0;
}

static int
run_config_unset(struct sieve_run *r, const struct sieve_node *n)
{
	set_config(r, span_of(text_of(n, 0)), span_of(NULL));
	return 0;
}

static int
run_config_reload(struct sieve_run *r, const struct sieve_node *n)
{
	const struct sieve_arg *ext = sieve_value(n, ":extension");

	if (ext != NULL && !sieve_known(r->script, ext->strings.v[0]))
		return err_set(&r->err, ST_DATA, "unknown extension \"%s\"",
			       ext->strings.v[0]);
	return 0;
}

/* --- other scripts --- */

/* Errors, then one that ends the list, as such files expect. */
static struct sieve_script *
compile(struct svtest *t, const char *path)
{
	struct err e = ERR_INIT;
	struct buf full = BUF_INIT;
	struct sieve_script *s;

	strs_clear(&t->errors);
	buf_addf(&full, "%s%s", path[0] == '/' ? "" : t->dir, path);
	s = sieve_load(buf_str(&full), NULL, &t->errors, true, &e);
	buf_free(&full);
	if (s == NULL) {
		strs_add(&t->errors, e.text);
		return NULL;
	}
	s->told = NULL;
	if (s->errors > 0) {
		sieve_close(s);
		return NULL;
	}
	return s;
}

static int
run_compile(struct sieve_run *r, const struct sieve_node *n)
{
	struct svtest *t = svtest_of(r);
	struct sieve_script *s = compile(t, text_of(n, 0));

	if (s == NULL)
		return 0;
	t->scripts = mem_grow(t->scripts, &t->scripts_cap, t->nscripts + 1,
			      sizeof(struct sieve_script *));
	t->scripts[t->nscripts++] = s;
	t->script = s;
	return 1;
}

/* Runs a script on the current message; its actions come to r's. */
static int
run_script(struct sieve_run *r, const struct sieve_script *s)
{
	struct svtest *t = svtest_of(r);
	struct sieve_run in = {
		.script = s,
		.store = &t->store,
		.annotation = r->annotation,
		.now = r->now,
		.zone = r->zone,
		.has_mailbox = r->has_mailbox,
		.test = t,
		.actions = r->actions,
		.nactions = r->nactions,
		.actions_cap = r->actions_cap,
		.err = ERR_INIT,
	};
	bool ok, outer = t->in_block;

	svtest_look(t, &in);
	t->in_block = true;
	ok = sieve_evaluate(&in) == 0 && !t->failed;
	t->in_block = outer;
	t->failed = false;
	if (in.err.status != 0)
		strs_add(&t->errors, in.err.text);
	r->actions = in.actions;
	r->nactions = in.nactions;
	r->actions_cap = in.actions_cap;
	r->implicit_keep = in.implicit_keep;
	t->to_keep = in.message;
	in.message->pinned = true;
	in.actions = NULL;
	in.nactions = 0;
	sieve_run_done(&in);
	svtest_look(t, r);
	return ok;
}

static int
run_run(struct sieve_run *r, const struct sieve_node *n)
{
	struct svtest *t = svtest_of(r);

	if (t->script == NULL)
		return err_set(&r->err, ST_DATA,
			       "test_script_run: no script was compiled");
	strs_clear(&t->errors);
	if (sieve_has(n, ":append_result") == NULL) {
		sieve_forget_actions(r);
		t->kept = false;
	}
	return run_script(r, t->script);
}

static bool
explicit_keep(const struct sieve_run *r)
{
	for (size_t i = 0; i < r->nactions; i++) {
		if (strcmp(r->actions[i].verb, "keep") == 0)
			return true;
	}
	return false;
}

static int
run_multiscript(struct sieve_run *r, const struct sieve_node *n)
{
	struct svtest *t = svtest_of(r);
	const struct sieve_arg *paths = sieve_pos(n, 0);

	struct sieve_message *came = r->message;
	bool ok = true;

	sieve_forget_actions(r);
	t->kept = false;
	came->pinned = true;
	for (size_t i = 0; i < paths->strings.n; i++) {
		struct sieve_script *s = compile(t, paths->strings.v[i]);

		ok = s != NULL && run_script(r, s);
		sieve_close(s);
		if (!ok)
			break;
		/* the next one sees the message as this one left it */
		r->message = t->to_keep;
		r->m = &r->message->m;
		r->size = r->message->size;
		if (!r->implicit_keep && !explicit_keep(r))
			break;
	}
	r->message = came;
	r->m = &came->m;
	r->size = came->size;
	return ok;
}

static int
run_save(struct sieve_run *r, const struct sieve_node *n)
{
	struct svtest *t = svtest_of(r);

	if (t->script == NULL)
		return err_set(&r->err, ST_DATA,
			       "test_binary_save: no script was compiled");
	(void)map_put(t->saved, span_of(text_of(n, 0)), t->script);
	return 0;
}

static int
run_load(struct sieve_run *r, const struct sieve_node *n)
{
	struct svtest *t = svtest_of(r);
	struct sieve_script *s = map_get(t->saved, span_of(text_of(n, 0)));

	if (s == NULL)
		return err_set(&r->err, ST_DATA,
			       "test_binary_load: nothing saved as \"%s\"",
			       text_of(n, 0));
	t->script = s;
	return 0;
}

static const struct sieve_tag reload_tags[] = { { ":extension", 's', NULL,
						  NULL } };
static const struct sieve_tag run_tags[] = { { ":append_result", 0, NULL,
					       NULL } };

#define COMMAND(NAME, POS, RUN)                                                \
	{                                                                      \
		.name = NAME, .ext = EXT, .positional = POS, .run = RUN        \
	}
static const struct sieve_word words[] = {
	{ .name = "test",
	  .ext = EXT,
	  .positional = "s",
	  .block = true,
	  .check = check_block,
	  .run = run_block },
	COMMAND("test_fail", "s", run_fail),
	{ .name = "test_set",
	  .ext = EXT,
	  .positional = "ss",
	  .check = check_set,
	  .run = run_set },
	COMMAND("test_config_set", "ss", run_config_set),
	COMMAND("test_config_unset", "s", run_config_unset),
	{ .name = "test_config_reload",
	  .ext = EXT,
	  .tags = reload_tags,
	  .ntags = ARRAY_LEN(reload_tags),
	  .run = run_config_reload },
	{ .name = "test_script_compile",
	  .ext = EXT,
	  .is_test = true,
	  .positional = "s",
	  .run = run_compile },
	{ .name = "test_script_run",
	  .ext = EXT,
	  .is_test = true,
	  .tags = run_tags,
	  .ntags = ARRAY_LEN(run_tags),
	  .run = run_run },
	{ .name = "test_multiscript",
	  .ext = EXT,
	  .is_test = true,
	  .positional = "S",
	  .run = run_multiscript },
	COMMAND("test_binary_save", "s", run_save),
	COMMAND("test_binary_load", "s", run_load),
};
static const struct sieve_extension testsuite = {
	.name = EXT,
	.testing = true,
	.words = words,
	.nwords = ARRAY_LEN(words),
};
SIEVE_EXTENSION(testsuite);
