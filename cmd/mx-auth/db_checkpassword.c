/*
 * db_checkpassword.c - `checkpassword:PROGRAM [ARG...]`: Bernstein's interface
 * with Dovecot's additions.  The program reads "USER\0PASSWORD\0TIME\0" from
 * descriptor 3 and, when the password is right, becomes the user, sets HOME
 * and runs what stands behind its own arguments; that is checkpassword_reply
 * here, which tells on descriptor 4 who and where it is.
 * http://cr.yp.to/checkpwd/interface.html, Dovecot "CheckPassword".
 */
#include "db.h"
#include "clock.h"
#include "mem.h"
#include "options.h"
#include "proc.h"
#include "status.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#define REQUEST_MAX 512 /* of the interface: what a program must take */
#define REPLY_MAX 8192
#define CHILD_MS 30000

/* Exit status: of the interface, and Dovecot's. */
#define EXIT_YES 0
#define EXIT_NO 1
#define EXIT_AUTHORIZED 2 /* there is such a user, no password was asked */
#define EXIT_NOBODY 3

/* ------- the other end: runs as the user */

/* A value that would break the line is not told. */
static void
tell(struct buf *out, const char *name, const char *value)
{
	if (value == NULL || strpbrk(value, "\t\n\r") != NULL)
		return;
	buf_addf(out, "%s=%s\t", name, value);
}

int
checkpassword_reply(void)
{
	const char *authorized = getenv("AUTHORIZED");
	const char *extra = getenv("EXTRA");
	struct span rest = span_of(extra), name;
	struct buf out = BUF_INIT;

	tell(&out, "user", getenv("USER"));
	tell(&out, "userdb_home", getenv("HOME"));
	if (getenv("userdb_uid") == NULL && getuid() != 0)
		buf_addf(&out, "userdb_uid=%lu\t", (unsigned long)getuid());
	if (getenv("userdb_gid") == NULL && getgid() != 0)
		buf_addf(&out, "userdb_gid=%lu\t", (unsigned long)getgid());
	while (span_word(&rest, " \t", &name)) {
		char *key = mem_spandup(name);

		tell(&out, key, getenv(key));
		free(key);
	}
	buf_addc(&out, '\n');
	/* At once: the pipe has room for it, and nobody reads before the end */
	bool told =
	    out.n <= REPLY_MAX && write(4, out.p, out.n) == (ssize_t)out.n;
	buf_free(&out);
	if (!told)
		return 111;
	if (authorized == NULL)
		return EXIT_YES;
	return strcmp(authorized, "2") == 0 ? EXIT_AUTHORIZED : 111;
}

/* ------- our end */

static int
check(const char *arg, struct err *e)
{
	struct strs words = STRS_INIT;
	int r = proc_words(&words, span_of(arg), e);

	if (r == 0 && (words.n == 0 || words.v[0][0] != '/'))
		r = err_set(e, ST_CONFIG,
			    "an absolute path is expected, e.g. "
			    "checkpassword:/usr/bin/checkpassword");
	if (r == 0 && access(words.v[0], X_OK) != 0)
		r = err_sys(e, "%s", words.v[0]);
	strs_free(&words);
	return r;
}

/* Nothing of ours but what the interface knows. */
static void
environment(struct strs *env, const struct db_query *q, bool authorized)
{
	char *self = proc_sibling("mx-auth");

	strs_add(env, "PATH=/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin");
	strs_addf(env, "CHECKPASSWORD_REPLY_BINARY=%s checkpassword-reply",
		  self);
	strs_add(env, "PROTO=TCP");
	strs_addf(env, "AUTH_USER=%s", q->user);
	if (q->service != NULL && q->service[0] != '\0')
		strs_addf(env, "SERVICE=%s", q->service);
	if (q->remote_ip != NULL && q->remote_ip[0] != '\0')
		strs_addf(env, "TCPREMOTEIP=%s", q->remote_ip);
	if (authorized) {
		strs_add(env, "AUTHORIZED=1");
		strs_add(env, "CREDENTIALS_LOOKUP=1");
	}
	free(self);
}

/* The pipe holds the whole request, so nothing waits for the program. */
static int
request_pipe(const struct db_query *q, int *fd_r, struct err *e)
{
	struct buf b = BUF_INIT;
	int p[2], r = 0;

	buf_adds(&b, q->user);
	buf_addc(&b, '\0');
	buf_addspan(&b, q->password);
	buf_add(&b, "\0\0", 2);
	if (b.n > REQUEST_MAX)
		r = err_set(e, ST_NOPERM, "name and password are over %d bytes",
			    REQUEST_MAX);
	else if (pipe2(p, O_CLOEXEC) != 0)
		r = err_sys(e, "pipe");
	if (r == 0) {
		if (write(p[1], b.p, b.n) != (ssize_t)b.n) {
			r = err_sys(e, "pipe");
			close(p[0]);
		} else {
			*fd_r = p[0];
		}
		close(p[1]);
	}
	buf_wipe(&b);
	return r;
}

/* Runs it to its end; its reply is what lies in the pipe then. */
static int
run(const char *arg, const struct db_query *q, bool authorized, int request,
    struct buf *reply, int *status_r, struct err *e)
{
	struct strs argv = STRS_INIT, env = STRS_INIT;
	struct proc_spec ps = { .fd = { -1, -1, -1, request },
				.new_group = true };
	int p[2], w = 0, r = -1;
	ssize_t n;
	pid_t pid;

	if (proc_words(&argv, span_of(arg), e) != 0)
		return -1;
	if (pipe2(p, O_CLOEXEC | O_NONBLOCK) != 0) {
		strs_free(&argv);
		return err_sys(e, "pipe");
	}
	(void)fcntl(p[1], F_SETFL, 0);
	strs_take(&argv, proc_sibling("mx-auth"));
	strs_add(&argv, "checkpassword-reply");
	environment(&env, q, authorized);
	ps.argv = argv.v;
	ps.envp = env.v;
	ps.fd4 = p[1];
	pid = proc_spawn(&ps, e);
	close(p[1]);
	if (pid > 0) {
		(void)proc_wait(pid, clock_deadline(CHILD_MS), &w);
		/* What it left behind ends with it. */
		(void)kill(-pid, SIGKILL);
		n = read(p[0], buf_room(reply, REPLY_MAX), REPLY_MAX);
		buf_grew(reply, n > 0 ? (size_t)n : 0);
		*status_r = WIFEXITED(w) ? WEXITSTATUS(w) : -1;
		r = WIFEXITED(w)
			? 0
			: err_set(e, ST_TEMPFAIL, "%s ended with signal %d%s",
				  argv.v[0], WTERMSIG(w),
				  WTERMSIG(w) == SIGKILL
				      ? ", perhaps after 30 s"
				      : "");
	}
	close(p[0]);
	strs_free(&argv);
	strs_free(&env);
	return r;
}

/* "NAME=VALUE\t...": fields called userdb_ are the userdb's. */
static int
take_fields(struct span line, struct db_entry *r, bool userdb, struct err *e)
{
	struct span field;

	while (span_split(&line, '\t', &field)) {
		bool mine = span_starts(field, SPAN("userdb_"));

		field = span_trim(field);
		if (field.n == 0 || span_chr(field, '=') <= 0 ||
		    span_has_ctl(field))
			continue;
		if (userdb && mine &&
		    db_entry_field(r, span_from(field, 7), e) < 0)
			return -1;
		if (!userdb && span_starts(field, SPAN("user="))) {
			if (username_check(span_from(field, 5), e) < 0 ||
			    db_entry_field(r, field, e) < 0)
				return -1;
		} else if (!userdb) {
			strs_addspan(&r->fields, field);
		}
	}
	return 0;
}

static enum db_result
ask(const char *arg, const struct db_query *q, bool authorized,
    struct db_entry *r, struct err *e)
{
	struct buf reply = BUF_INIT;
	int request = -1, status = -1, wanted = EXIT_YES;
	enum db_result res = DB_TEMP;

	if (authorized)
		wanted = EXIT_AUTHORIZED;
	if (request_pipe(q, &request, e) < 0)
		return e->status == ST_NOPERM ? DB_MISMATCH : DB_TEMP;
	if (run(arg, q, authorized, request, &reply, &status, e) < 0) {
		res = DB_TEMP;
	} else if (status == wanted && reply.n > 0 && reply.n < REPLY_MAX) {
		res = take_fields(buf_span(&reply), r, authorized, e) < 0
			  ? DB_TEMP
			  : DB_OK;
	} else if (status == EXIT_NO) {
		/* As a userdb: it knows no other way to say so. */
		res = authorized ? DB_NONE : DB_MISMATCH;
	} else if (status == EXIT_NOBODY) {
		res = DB_NONE;
	} else {
		err_set(e, ST_TEMPFAIL,
			status == wanted
			    ? "exit status %d without a reply that is one"
			    : "exit status %d",
			status);
	}
	close(request);
	buf_wipe(&reply);
	return res;
}

static enum db_result
verify(const char *arg, const struct db_query *q, struct db_entry *r,
       struct err *e)
{
	if (memchr(q->password.p, '\0', q->password.n) != NULL) {
		err_set(e, ST_NOPERM, "a password with a NUL byte");
		return DB_MISMATCH;
	}
	return ask(arg, q, false, r, e);
}

static enum db_result
lookup(const char *arg, const char *user, struct db_entry *r, struct err *e)
{
	struct db_query q = { user, SPAN(""), "", "", false };

	return ask(arg, &q, true, r, e);
}

static const struct db_driver db_checkpassword = {
	.name = "checkpassword",
	.needs = DB_SYSTEM | DB_ROOT,
	.check = check,
	.verify = verify,
	.lookup = lookup,
};
DB_DRIVER(db_checkpassword);
