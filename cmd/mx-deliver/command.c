/*
 * command.c - commands that take a message.
 * Postfix local(8) EXTERNAL COMMAND DELIVERY, pipe_command(3); THREATS 19,
 * 96.  The command line is the administrator's or the user's; remote text is
 * in the environment only, cleaned.
 */
#include "command.h"
#include "addr.h"
#include "conf.h"
#include "envelope.h"
#include "escape.h"
#include "hand.h"
#include "head.h"
#include "mem.h"
#include "proc.h"
#include "site.h"
#include "spool.h"
#include "status.h"

#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* Postfix command_expansion_filter: what else there is becomes "_". */
static const char safe[] = "1234567890!@%-_=+:,./abcdefghijklmnopqrstuvwxyz"
			   "ABCDEFGHIJKLMNOPQRSTUVWXYZ";

/* THREATS 19: a shell that the command starts may expand these; what could be
 * syntax is "_". */
static void
add_clean(struct strs *env, const char *name, struct span v)
{
	struct buf b = BUF_INIT;

	buf_addf(&b, "%s=", name);
	for (size_t i = 0; i < v.n; i++)
		buf_addc(&b, v.p[i] != '\0' && strchr(safe, v.p[i]) != NULL
				 ? v.p[i]
				 : '_');
	strs_take(env, buf_steal(&b));
}

static void
add_known(struct strs *env, const char *name, const char *v)
{
	add_clean(env, name, span_of(v != NULL ? v : ""));
}

/* The login shell of a user of the system. */
static const char *
shell_of(const struct dest *d)
{
	const struct passwd *pw = NULL;

	if (d->user != NULL && strcmp(d->relay, "local") == 0)
		pw = getpwnam(d->user);
	return pw != NULL && pw->pw_shell[0] == '/' ? pw->pw_shell : "/bin/sh";
}

void
command_env_base(struct strs *env)
{
	static const char *const kept[] = { "PATH",        "TZ",
					    "LANG",        "LC_ALL",
					    "MX_CONFIG",   "LD_PRELOAD",
					    "ASAN_OPTIONS" };
	bool path = false;

	for (size_t i = 0; i < ARRAY_LEN(kept); i++) {
		const char *v = getenv(kept[i]);
		if (v != NULL)
			strs_addf(env, "%s=%s", kept[i], v);
		path = path || (v != NULL && i == 0);
	}
	if (!path)
		strs_add(env, "PATH=/usr/local/bin:/usr/bin:/bin");
}

void
command_env(struct strs *env, const struct dest *d, const struct facts *f)
{
	struct span addr = span_of(f->addr);
	ssize_t at = span_rchr(addr, '@');
	struct span local = at < 0 ? addr : span_sub(addr, 0, (size_t)at);
	const char *orig = f->original != NULL ? f->original : f->addr;
	struct span base, ext;

	command_env_base(env);
	strs_addf(env, "MX_SENDER=%s", f->sender);
	strs_addf(env, "MX_RECIPIENTS=%s", f->addr);
	strs_addf(env, "MX_QUEUE_ID=%s", f->id);
	if (f->client_addr != NULL)
		strs_addf(env, "MX_CLIENT_ADDR=%s", f->client_addr);
	if (f->client_name != NULL)
		strs_addf(env, "MX_CLIENT_NAME=%s", f->client_name);
	if (f->helo != NULL)
		strs_addf(env, "MX_HELO=%s", f->helo);
	if (f->login != NULL)
		strs_addf(env, "MX_AUTH_USER=%s", f->login);
	if (f->tls != NULL)
		strs_addf(env, "MX_TLS=%s", f->tls);
	add_clean(env, "SENDER", span_of(f->sender));
	add_clean(env, "RECIPIENT", addr);
	add_clean(env, "ORIGINAL_RECIPIENT", span_of(orig));
	add_clean(env, "LOCAL", local);
	add_clean(env, "DOMAIN",
		  at < 0 ? SPAN("") : span_from(addr, (size_t)at + 1));
	if (d->user != NULL) {
		add_clean(env, "USER", span_of(d->user));
		add_clean(env, "LOGNAME", span_of(d->user));
	}
	if (site.recipient_delimiter[0] != '\0' &&
	    addr_split_ext(local, site.recipient_delimiter, &base, &ext))
		add_clean(env, "EXTENSION", ext);
	strs_addf(env, "HOME=%s", d->home != NULL ? d->home : "/");
	strs_addf(env, "SHELL=%s", shell_of(d));
	add_known(env, "CLIENT_ADDRESS", f->client_addr);
	add_known(env, "CLIENT_HELO", f->helo);
	add_known(env, "CLIENT_HOSTNAME", f->client_name);
	add_known(env, "CLIENT_PROTOCOL", f->proto);
	add_known(env, "SASL_USERNAME", f->login);
}

char *
command_own(const char *name)
{
	char self[4096];
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
	char *slash, *path;

	self[n > 0 ? n : 0] = '\0';
	slash = strrchr(self, '/');
	if (slash == NULL)
		return mem_strdup(name);
	*slash = '\0';
	path = mem_printf("%s/%s", self, name);
	if (access(path, X_OK) == 0)
		return path;
	free(path);
	return mem_strdup(name);
}

/* Words as Postfix's exec_command: a shell only where the line needs one. */
static int
command_line(struct strs *argv, const char *line, struct err *e)
{
	if (strpbrk(line, "$&*()|;<>`\"'\\~[]?{}#=\n") == NULL)
		return proc_words(argv, span_of(line), e);
	strs_add(argv, "/bin/sh");
	strs_add(argv, "-c");
	strs_add(argv, line);
	return 0;
}

/* sysexits(3): 75 and signals wait, 64 to 78 as status.c has them; its last
 * words go into log and report. */
void
command_judge(const char *what, const struct command_result *r,
	      struct outcome *out)
{
	struct buf line = BUF_INIT;
	struct err e = ERR_INIT;
	struct span said =
	    span_trim(buf_span(r->errs.n > 0 ? &r->errs : &r->out));
	ssize_t lf = span_rchr(said, '\n');

	if (lf >= 0)
		said = span_from(said, (size_t)lf + 1);
	escape_line(&line, said, 200);
	if (r->status == 0) {
		outcome_done(out, what);
	} else {
		err_esc(&e, r->status, status_esc(r->status), "%s%s%s",
			status_words(r->status),
			line.n > 0 ? ". Command output: " : "", buf_str(&line));
		outcome_fail(out, &e);
	}
	buf_free(&line);
}

void
command_deliver(const struct dest *d, const struct facts *f, int fd,
		uint64_t at, uint64_t size, struct outcome *out)
{
	struct command c = { .argv = STRS_INIT,
			     .env = STRS_INIT,
			     .dir = d->home,
			     .limit_ms = conf.command_time_limit };
	struct command_result res = { .out = BUF_INIT, .errs = BUF_INIT };
	struct spool sp;
	struct buf head = BUF_INIT;
	struct err e = ERR_INIT;
	struct hand *h = hand_get(d, &e);
	int r = -1;

	/* local(8): commands get an mbox separator on top. */
	buf_addf(&head, "From %s  ",
		 f->sender[0] ? f->sender : "MAILER-DAEMON");
	spool_init(&sp);
	spool_date(&head);
	head_fields(&head, f, "command");
	command_env(&c.env, d, f);
	if (h != NULL && spool_write(&sp, head.p, head.n, &e) == 0 &&
	    spool_copy(&sp, fd, at, size, &e) == 0 &&
	    spool_rewind(&sp, &e) == 0 &&
	    command_line(&c.argv, d->path, &e) == 0)
		r = hand_run(h, &c, sp.fd, &res, &e);
	if (r == 0) {
		char text[200];
		snprintf(text, sizeof(text), "delivered to command: %.150s",
			 d->path);
		command_judge(text, &res, out);
	} else
		outcome_fail(out, &e);
	strs_free(&c.argv);
	strs_free(&c.env);
	buf_free(&res.out);
	buf_free(&res.errs);
	buf_free(&head);
	spool_free(&sp);
}
