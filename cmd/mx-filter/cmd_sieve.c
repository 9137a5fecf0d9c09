/*
 * cmd_sieve.c - the commands sieve, check and remember.  What --actions prints
 * is mx-filter(1)'s: one action a line, fields separated by tabs.
 */
#include "confine.h"
#include "envelope.h"
#include "escape.h"
#include "filter.h"
#include "io.h"
#include "maildir_root.h"
#include "mem.h"
#include "memory.h"
#include "sieve.h"
#include "sieve_out.h"
#include "site.h"
#include "status.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

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

static bool
remembers(const struct sieve_script *s)
{
	bool yes =
	    sieve_required(s, "vacation") || sieve_required(s, "duplicate");

	for (size_t i = 0; i < s->nincludes; i++)
		yes |= remembers(s->includes[i]);
	return yes;
}

static int
fail(struct sieve_run *r)
{
	const struct sieve_script *s = r->script;

	fprintf(stderr, "mx-filter: %s:%d: %s: kept\n", s->file, r->err_line,
		r->err.text);
	sieve_forget_actions(r);
	strs_clear(&r->marks);
	return sieve_act(r, NULL, "keep", NULL);
}

/* Has some action but this one taken the implicit keep's place? */
static bool
others_keep(const struct sieve_run *r, const struct sieve_action *a)
{
	for (size_t i = 0; i < r->nactions; i++) {
		const struct sieve_action *b = &r->actions[i];

		if (b != a && !b->copy && b->text == NULL)
			return true;
	}
	return false;
}

/* pipe :try that failed did nothing: what it was to replace is done. */
static void
unpiped(struct sieve_run *r, struct sieve_action *a)
{
	bool keep = !a->copy && !others_keep(r, a);

	fprintf(stderr, "mx-filter: %s:%d: %s\n", r->script->file, a->line,
		r->err.text);
	a->copy = true;
	if (keep)
		(void)sieve_act(r, NULL, "keep", NULL);
}

/* Programs run, then replies are recorded before anybody sends them (THREATS
 * 43): what fails means keep, and then none is sent. */
static void
carry_out(struct sieve_run *r, bool no_memory)
{
	struct err e = ERR_INIT;

	for (size_t i = 0; i < r->nactions; i++) {
		struct sieve_action *a = &r->actions[i];

		if (strcmp(a->verb, "pipe") != 0 || sieve_run_pipe(r, a) == 0)
			continue;
		if (!a->try) {
			r->err_line = a->line;
			(void)fail(r);
			return;
		}
		unpiped(r, a);
	}
	for (size_t i = 0; i < r->nactions; i++) {
		struct sieve_action *a = &r->actions[i];

		if (a->mark == NULL || a->withheld != NULL)
			continue;
		if (no_memory || sieve_mark(r->memory, a->mark, &e) != 0) {
			fprintf(stderr, "mx-filter: %s: no reply is sent\n",
				no_memory ? "the memory is out of reach"
					  : e.text);
			a->withheld = mem_strdup("it cannot be remembered");
		}
	}
}

static bool
to_fd3(void)
{
	const char *where = getenv("MX_ACTIONS");

	return where != NULL && strcmp(where, "3") == 0 &&
	       fcntl(3, F_GETFD) >= 0;
}

static int
print(struct sieve_run *r)
{
	bool fd3 = opts.actions && to_fd3();
	struct sieve_out o = { .fd = fd3 ? STDOUT_FILENO : -1 };
	struct buf out = BUF_INIT;
	int rc = fflush(stdout);

	for (size_t i = 0; rc == 0 && i < r->nactions; i++) {
		if (opts.actions)
			rc = sieve_out_action(&o, &r->actions[i], &out);
		else
			sieve_say_action(&r->actions[i], &out);
	}
	for (size_t i = 0; opts.actions && i < r->marks.n; i++)
		buf_addf(&out, "remember\t%s\n", r->marks.v[i]);
	if (rc == 0 && io_write(fd3 ? 3 : STDOUT_FILENO, out.p, out.n,
				DEADLINE_NEVER) != IO_OK)
		rc = -1;
	sieve_out_done(&o);
	buf_free(&out);
	return rc == 0 ? ST_OK : ST_IOERR;
}

static int
run(struct sieve_script *s, struct span bytes, const struct envelope *env)
{
	struct sieve_store store = { NULL, 0, 0 };
	struct sieve_run r = {
		.script = s,
		.store = &store,
		.sender = opts.sender ? opts.sender : env->sender,
		.recipient = opts.recipient          ? opts.recipient
			     : env->recipients.n > 0 ? env->recipients.v[0]
						     : NULL,
		.orig_recipient = getenv("ORIGINAL_RECIPIENT"),
		.auth_user = env->auth_user,
		.client_addr = env->client_addr,
		.client_name = env->client_name,
		.delims = site.recipient_delimiter[0] ? site.recipient_delimiter
						      : "+",
		.maildir = opts.maildir ? opts.maildir : getenv("MX_MAILDIR"),
		.explain = opts.explain ? stdout : NULL,
		.err = ERR_INIT,
	};
	struct err e = ERR_INIT;
	bool memory = opts.actions && remembers(s);
	int status;

	maildir_root_boxes = filter_params.mailbox_auto;
	if (memory) {
		r.memory = memory_open(sieve_conf.memory, &e);
		if (r.memory == NULL)
			fprintf(stderr, "mx-filter: %s\n", e.text);
	}
	sieve_message_first(&r, bytes);
	/* A run-time error means keep: said, and done. */
	if (sieve_execute(&r) != 0)
		(void)fail(&r);
	if (opts.actions)
		carry_out(&r, memory && r.memory == NULL);
	status = print(&r);
	if (status == ST_OK && opts.edited != NULL &&
	    write_edited(r.message->m.whole, &e) != 0)
		status = prog_fail(&e);
	sieve_run_done(&r);
	sieve_store_free(&store);
	memory_close(r.memory);
	return status;
}

int
cmd_sieve(int argc, char **argv)
{
	struct envelope env;
	struct msg_load load;
	struct err e = ERR_INIT;
	struct sieve_script *s;
	const char *file;
	int status;

	if (argc > 0)
		return prog_usage("sieve: %s: unexpected", argv[0]);
	file = opts.script != NULL ? opts.script : getenv("MX_SIEVE_SCRIPT");
	if (file == NULL)
		return prog_usage("sieve needs --script FILE");
	s = confine_sieve(&e) == 0 ? sieve_open(file, stderr, &e) : NULL;
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
	envelope_from_env(&env);
	status = run(s, load.bytes, &env);
	envelope_free(&env);
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
	if (confine_sieve(&e) != 0)
		return prog_fail(&e);
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

/* After the delivery: what the lines "remember" said. */
int
cmd_remember(int argc, char **argv)
{
	struct err e = ERR_INIT;
	struct memory *m;
	int r = 0;

	if (argc == 0)
		return prog_usage("remember needs \"SECONDS ID\"");
	m = memory_open(sieve_conf.memory, &e);
	if (m == NULL)
		return prog_fail(&e);
	for (int i = 0; r == 0 && i < argc; i++)
		r = sieve_mark(m, argv[i], &e);
	memory_close(m);
	return r == 0 ? ST_OK : prog_fail(&e);
}
