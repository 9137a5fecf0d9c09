/*
 * cmd_headers.c - Postfix header_checks(5) over one message: each header
 * field, unfolded, is looked up; with --body each body line too.
 * Edits go to stdout; actions to fd 3 where MX_ACTIONS=3, else to stderr.
 */
#include "filter.h"
#include "io.h"
#include "mem.h"
#include "msg.h"
#include "status.h"
#include "table.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

struct checks {
	struct tables tables;
	struct msg_edit ed;
	struct buf actions;
	struct buf refused; /* REJECT's text */
	bool reject, defer;
	struct err err;
};

/* Actions that another program carries out. */
static void
pass_on(struct checks *c, const char *verb, struct span text)
{
	buf_adds(&c->actions, verb);
	if (text.n > 0) {
		buf_addc(&c->actions, '\t');
		for (size_t i = 0; i < text.n; i++)
			buf_addc(&c->actions, (unsigned char)text.p[i] < 32
						  ? ' '
						  : text.p[i]);
	}
	buf_addc(&c->actions, '\n');
}

static void
refuse(struct checks *c, struct span text, bool later)
{
	if (c->reject || c->defer)
		return;
	c->reject = !later;
	c->defer = later;
	buf_addspan(&c->refused, text.n > 0 ? text
				 : later    ? SPAN("4.7.1 try again later")
					    : SPAN("5.7.1 message content "
						      "rejected"));
}

struct verb {
	const char *name;
	void (*act)(struct checks *c, const struct msg_field *f,
		    struct span text);
};

static void
act_reject(struct checks *c, const struct msg_field *f, struct span text)
{
	(void)f;
	refuse(c, text, false);
}

static void
act_ignore(struct checks *c, const struct msg_field *f, struct span text)
{
	(void)text;
	if (f != NULL)
		msg_edit_delete(&c->ed, f);
}

static void
act_prepend(struct checks *c, const struct msg_field *f, struct span text)
{
	if (f != NULL)
		msg_edit_insert(&c->ed, f, text);
}

static void
act_replace(struct checks *c, const struct msg_field *f, struct span text)
{
	if (f != NULL)
		msg_edit_replace(&c->ed, f, text);
}

static void
act_dunno(struct checks *c, const struct msg_field *f, struct span text)
{
	(void)c;
	(void)f;
	(void)text;
}

static void
act_say(struct checks *c, const struct msg_field *f, struct span text)
{
	struct buf line = BUF_INIT;

	(void)c;
	if (f != NULL)
		msg_unfold(&line, span_sub(f->all, 0, 200));
	fprintf(stderr, "header check: %.*s: %s\n", SPAN_ARG(text),
		buf_str(&line));
	buf_free(&line);
}

#define PASS(FN, VERB)                                                         \
	static void FN(struct checks *c, const struct msg_field *f,            \
		       struct span text)                                       \
	{                                                                      \
		(void)f;                                                       \
		pass_on(c, VERB, text);                                        \
	}
PASS(act_discard, "discard")
PASS(act_hold, "hold")
PASS(act_redirect, "redirect")
PASS(act_filter, "filter")
PASS(act_bcc, "bcc")
PASS(act_delay, "hold")

static const struct verb verbs[] = {
	{ "REJECT", act_reject },   { "IGNORE", act_ignore },
	{ "STRIP", act_ignore },    { "PREPEND", act_prepend },
	{ "REPLACE", act_replace }, { "DUNNO", act_dunno },
	{ "OK", act_dunno },        { "WARN", act_say },
	{ "INFO", act_say },        { "DISCARD", act_discard },
	{ "HOLD", act_hold },       { "REDIRECT", act_redirect },
	{ "FILTER", act_filter },   { "BCC", act_bcc },
	{ "DELAY", act_delay },
};

/* ACTION text; a 4xx or 5xx text is Postfix's short form. */
static void
act(struct checks *c, const struct msg_field *f, struct span result)
{
	struct span rest = result, word;

	if (!span_word(&rest, " \t", &word))
		return;
	rest = span_trim(rest);
	for (size_t i = 0; i < ARRAY_LEN(verbs); i++) {
		if (span_iis(word, verbs[i].name)) {
			verbs[i].act(c, f, rest);
			return;
		}
	}
	if (word.n == 3 && (word.p[0] == '4' || word.p[0] == '5')) {
		refuse(c, rest, word.p[0] == '4');
		return;
	}
	fprintf(stderr, "mx-filter: unknown action \"%.*s\": passed over\n",
		SPAN_ARG(word));
}

static int
look(struct checks *c, const struct msg_field *f, struct span text)
{
	struct buf value = BUF_INIT;
	enum table_result r = tables_lookup(&c->tables, text, &value, &c->err);

	if (r == TABLE_FOUND)
		act(c, f, buf_span(&value));
	buf_free(&value);
	return r == TABLE_TRY_AGAIN ? -1 : 0;
}

static int
check_message(struct checks *c, const struct msg *m)
{
	struct buf text = BUF_INIT;
	struct span rest = m->body, line;
	int r = 0;

	for (size_t i = 0; r == 0 && !opts.body && i < m->n; i++) {
		buf_clear(&text);
		buf_addf(&text, "%.*s: ", SPAN_ARG(m->v[i].name));
		msg_unfold(&text, m->v[i].value);
		r = look(c, &m->v[i], buf_span(&text));
	}
	while (r == 0 && opts.body && rest.n > 0 &&
	       span_split(&rest, '\n', &line))
		r = look(c, NULL, span_rtrim(line));
	buf_free(&text);
	return r;
}

static int
emit(void *ctx, const void *p, size_t n)
{
	(void)ctx;
	return io_write(STDOUT_FILENO, p, n, DEADLINE_NEVER) == IO_OK ? 0 : -1;
}

static int
finish(struct checks *c)
{
	const char *where = getenv("MX_ACTIONS");
	int fd = where != NULL && strcmp(where, "3") == 0 ? 3 : STDERR_FILENO;

	if (c->reject || c->defer) {
		fprintf(stderr, "%s\n", buf_str(&c->refused));
		return c->reject ? ST_UNAVAILABLE : ST_TEMPFAIL;
	}
	if (io_write(fd, c->actions.p, c->actions.n, DEADLINE_NEVER) != IO_OK ||
	    msg_edit_emit(&c->ed, emit, NULL) != 0)
		return ST_IOERR;
	return ST_OK;
}

int
cmd_headers(int argc, char **argv)
{
	struct checks c = { .err = ERR_INIT };
	struct strs specs = STRS_INIT;
	struct msg_load load;
	struct msg m;
	int status;

	if (argc == 0)
		return prog_usage("headers needs a TYPE:TABLE");
	for (int i = 0; i < argc; i++)
		strs_add(&specs, argv[i]);
	tables_open(&c.tables, &specs);
	if (msg_load(&load, STDIN_FILENO, 0, &c.err) != 0)
		return prog_fail(&c.err);
	msg_index(&m, load.bytes, 0);
	msg_edit_init(&c.ed, &m);
	if (check_message(&c, &m) == 0) {
		status = finish(&c);
	} else {
		c.err.status = ST_TEMPFAIL;
		status = prog_fail(&c.err);
	}
	msg_edit_done(&c.ed);
	buf_free(&c.actions);
	buf_free(&c.refused);
	tables_close(&c.tables);
	strs_free(&specs);
	msg_done(&m);
	msg_unload(&load);
	return status;
}
