/*
 * cmd_sieve.c - the commands sieve and check.  What --actions prints is
 * mx-filter(1)'s: one action a line, fields separated by tabs.
 */
#include "envelope.h"
#include "escape.h"
#include "filter.h"
#include "io.h"
#include "mem.h"
#include "sieve.h"
#include "site.h"
#include "status.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* No byte of a script may begin a line of its own.  Text for people may have
 * several lines; folders and addresses stay as they are. */
static void
add_field(struct buf *b, const char *text, bool for_people)
{
	buf_addc(b, '\t');
	for (; *text != '\0'; text++) {
		if (for_people && *text == '\n')
			buf_adds(b, "\\n");
		else if (for_people && *text == '\\')
			buf_adds(b, "\\\\");
		else
			buf_addc(b, (unsigned char)*text < 32 ? ' ' : *text);
	}
}

static void
add_action(struct buf *b, const struct sieve_action *a)
{
	buf_adds(b, a->verb);
	if (a->what != NULL)
		add_field(b, a->what,
			  strcmp(a->verb, "fileinto") != 0 &&
			      strcmp(a->verb, "redirect") != 0);
	if (a->has_flags) {
		buf_adds(b, "\tflags=");
		for (size_t i = 0; i < a->flags.n; i++)
			buf_addf(b, "%s%s", i ? " " : "", a->flags.v[i]);
	}
	if (a->copy)
		buf_adds(b, "\tcopy");
	if (a->create)
		buf_adds(b, "\tcreate");
	buf_addc(b, '\n');
}

/* The same for people. */
static void
say_action(struct buf *b, const struct sieve_action *a)
{
	buf_adds(b, a->verb);
	if (a->what != NULL) {
		buf_addc(b, ' ');
		escape_word(b, span_of(a->what));
	}
	for (size_t i = 0; i < a->flags.n; i++)
		buf_addf(b, " %s", a->flags.v[i]);
	buf_addf(b, "%s%s\n", a->copy ? " (copy)" : "",
		 a->create ? " (create)" : "");
}

static uint64_t
wire_size(struct span s)
{
	uint64_t n = s.n;

	for (size_t i = 0; i < s.n; i++)
		n += s.p[i] == '\n' && (i == 0 || s.p[i - 1] != '\r');
	return n;
}

static int
write_edited(struct span s, struct err *e)
{
	FILE *f = fopen(opts.edited, "we");

	if (f == NULL)
		return err_sys(e, "%s", opts.edited);
	if (fwrite(s.p, 1, s.n, f) != s.n || fflush(f) != 0 || fclose(f) != 0)
		return err_sys(e, "%s", opts.edited);
	return 0;
}

static int
run(struct sieve_script *s, const struct msg *m, const struct envelope *env)
{
	struct sieve_run r = {
		.script = s,
		.m = m,
		.size = wire_size(m->whole),
		.sender = opts.sender ? opts.sender : env->sender,
		.recipient = opts.recipient          ? opts.recipient
			     : env->recipients.n > 0 ? env->recipients.v[0]
						     : NULL,
		.delims = site.recipient_delimiter[0] ? site.recipient_delimiter
						      : "+",
		.maildir = opts.maildir,
		.max_actions = filter_params.sieve_max_actions,
		.max_redirects = filter_params.sieve_max_redirects,
		.explain = opts.explain ? stdout : NULL,
		.err = ERR_INIT,
	};
	struct buf out = BUF_INIT;
	int status = ST_OK;

	if (sieve_execute(&r) != 0) {
		/* A run-time error means keep: said, and done. */
		fprintf(stderr, "mx-filter: %s:%d: %s: kept\n", s->file,
			r.err_line, r.err.text);
		(void)sieve_act(&r, NULL, "keep", NULL);
	}
	for (size_t i = 0; i < r.nactions; i++) {
		if (opts.actions)
			add_action(&out, &r.actions[i]);
		else
			say_action(&out, &r.actions[i]);
	}
	if (fflush(stdout) != 0 ||
	    io_write(STDOUT_FILENO, out.p, out.n, DEADLINE_NEVER) != IO_OK)
		status = ST_IOERR;
	buf_free(&out);
	sieve_run_done(&r);
	return status;
}

int
cmd_sieve(int argc, char **argv)
{
	struct envelope env;
	struct msg_load load;
	struct msg m;
	struct err e = ERR_INIT;
	struct sieve_script *s;
	const char *file;
	int status;

	if (argc > 0)
		return prog_usage("sieve: %s: unexpected", argv[0]);
	file = opts.script != NULL ? opts.script : getenv("MX_SIEVE_SCRIPT");
	if (file == NULL)
		return prog_usage("sieve needs --script FILE");
	s = sieve_open(file, stderr, &e);
	if (s == NULL)
		return prog_fail(&e);
	if (s->errors > 0) {
		sieve_close(s);
		return ST_DATA;
	}
	if (msg_load(&load, STDIN_FILENO, 0, &e) != 0) {
		sieve_close(s);
		return prog_fail(&e);
	}
	msg_index(&m, load.bytes, 0);
	envelope_from_env(&env);
	status = run(s, &m, &env);
	if (status == ST_OK && opts.edited != NULL &&
	    write_edited(m.whole, &e) != 0)
		status = prog_fail(&e);
	envelope_free(&env);
	msg_done(&m);
	msg_unload(&load);
	sieve_close(s);
	return status;
}

int
cmd_check(int argc, char **argv)
{
	struct err e = ERR_INIT;
	int status = ST_OK;

	if (argc == 0)
		return prog_usage("check needs a FILE");
	for (int i = 0; i < argc; i++) {
		struct sieve_script *s = sieve_open(argv[i], stderr, &e);

		if (s == NULL)
			return prog_fail(&e);
		if (s->errors > 0)
			status = ST_DATA;
		sieve_close(s);
	}
	return status;
}
