/*
 * sieve_ext_programs.c - vnd.dovecot.pipe, filter, execute: only programs that
 * the administrator put into a directory, by bare name, without a shell.
 */
#include "clock.h"
#include "io.h"
#include "mem.h"
#include "proc.h"
#include "sieve.h"
#include "site.h"
#include "status.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define OUTPUT_MAX ((size_t)64 << 20)

static bool
name_ok(const char *name)
{
	struct span s = span_of(name);

	return s.n > 0 && s.n < 200 && span_chr(s, '/') < 0 && name[0] != '.' &&
	       !span_has_ctl(s);
}

/* The program's path; false: it is in none of the directories, or anybody may
 * write it. */
static bool
find(const struct strs *dirs, const char *name, struct buf *b)
{
	struct stat st;

	for (size_t i = 0; name_ok(name) && i < dirs->n; i++) {
		buf_clear(b);
		buf_addf(b, "%s/%s", dirs->v[i], name);
		if (stat(buf_str(b), &st) == 0 && S_ISREG(st.st_mode) &&
		    (st.st_mode & S_IWOTH) == 0 &&
		    access(buf_str(b), X_OK) == 0)
			return true;
	}
	return false;
}

/* A file in memory with these bytes, at its beginning; -1. */
static int
as_file(struct span s)
{
	int fd = memfd_create("sieve", MFD_CLOEXEC);

	if (fd >= 0 && (io_write(fd, s.p, s.n, DEADLINE_NEVER) != IO_OK ||
			lseek(fd, 0, SEEK_SET) != 0)) {
		close(fd);
		fd = -1;
	}
	return fd;
}

/* No MX_ variable of ours, but the envelope as Pigeonhole gives it. */
static void
make_env(const struct sieve_run *r, struct strs *env)
{
	static const char *const keep[] = { "HOME", "USER", "LOGNAME", "TZ" };

	strs_add(env, "PATH=/usr/bin:/bin");
	for (size_t i = 0; i < ARRAY_LEN(keep); i++) {
		if (getenv(keep[i]) != NULL)
			strs_addf(env, "%s=%s", keep[i], getenv(keep[i]));
	}
	strs_addf(env, "HOST=%s", site.myhostname);
	strs_addf(env, "SENDER=%s", r->sender ? r->sender : "");
	strs_addf(env, "RECIPIENT=%s", r->recipient ? r->recipient : "");
	strs_addf(env, "ORIG_RECIPIENT=%s",
		  r->orig_recipient ? r->orig_recipient
		  : r->recipient    ? r->recipient
				    : "");
}

/* Runs it with `in` as its input; its status, or -1 with an error. */
static int
run_program(struct sieve_run *r, const char *path, const struct sieve_arg *args,
	    struct span in, struct buf *out)
{
	struct strs argv = STRS_INIT, env = STRS_INIT;
	deadline_t d = clock_deadline(sieve_conf.exec_timeout);
	int fds[2] = { -1, -1 }, from = as_file(in), status = -1;
	enum io_result got;
	pid_t pid;

	strs_add(&argv, path);
	for (size_t i = 0; args != NULL && i < args->strings.n; i++)
		strs_add(&argv, args->strings.v[i]);
	make_env(r, &env);
	if (from < 0 || pipe2(fds, O_CLOEXEC) != 0) {
		err_sys(&r->err, "%s", path);
		goto out;
	}
	{
		struct proc_spec ps = { .argv = argv.v,
					.envp = env.v,
					.fd = { from, fds[1], STDERR_FILENO,
						-1 },
					.new_group = true };
		pid = proc_spawn(&ps, &r->err);
	}
	close(fds[1]);
	if (pid > 0) {
		got = io_read_all(fds[0], out, OUTPUT_MAX, d);
		status =
		    proc_wait(pid, got == IO_OK ? d : clock_deadline(1), NULL);
		if (got != IO_OK)
			status = ST_TEMPFAIL;
	}
	close(fds[0]);
out:
	if (from >= 0)
		close(from);
	strs_free(&argv);
	strs_free(&env);
	return status;
}

static const struct strs *
dirs_of(const char *word)
{
	return strcmp(word, "pipe") == 0     ? &sieve_conf.pipe_dirs
	       : strcmp(word, "filter") == 0 ? &sieve_conf.filter_dirs
					     : &sieve_conf.execute_dirs;
}

static int
find_or_fail(struct sieve_run *r, const struct sieve_node *n, struct buf *path)
{
	const char *name = sieve_pos(n, 0)->strings.v[0];

	if (find(dirs_of(n->name), name, path))
		return 0;
	return err_set(&r->err, ST_NOPERM,
		       "%s: program \"%.100s\" is not in sieve_%s_bin_dir",
		       n->name, name, n->name);
}

/* The same where the script goes on without it: false. */
static bool
find_or_say(struct sieve_run *r, const struct sieve_node *n, struct buf *path)
{
	if (find_or_fail(r, n, path) == 0)
		return true;
	fprintf(stderr, "mx-filter: %s:%d: %s\n", r->script->file, n->line,
		r->err.text);
	r->err = ERR_INIT;
	return false;
}

/* The action: who carries the others out runs it, with the whole message. */
static int
run_pipe(struct sieve_run *r, const struct sieve_node *n)
{
	const struct sieve_arg *args = sieve_pos(n, 1);
	struct buf path = BUF_INIT;
	struct sieve_action *a;

	if (sieve_has(n, ":try") != NULL && !find_or_say(r, n, &path)) {
		buf_free(&path);
		return 0;
	}
	if (path.n == 0 && find_or_fail(r, n, &path) != 0) {
		buf_free(&path);
		return -1;
	}
	a = sieve_act_more(r, n, "pipe", buf_steal(&path), NULL);
	for (size_t i = 0; a != NULL && args && i < args->strings.n; i++)
		strs_add(&a->args, args->strings.v[i]);
	return a != NULL ? 0 : -1;
}

int
sieve_run_pipe(struct sieve_run *r, const struct sieve_action *a)
{
	struct sieve_arg args = { .kind = SIEVE_LIST, .strings = a->args };
	struct buf out = BUF_INIT;
	int status = run_program(r, a->what, &args, a->message->m.whole, &out);

	buf_free(&out);
	if (status <= 0)
		return status;
	return err_set(&r->err, ST_TEMPFAIL,
		       "pipe: program \"%.100s\" failed with status %d",
		       a->what, status);
}

/* The program of a test: one that is not there is as one that fails; to a
 * command it is an error (Pigeonhole). */
static int
find_for(struct sieve_run *r, const struct sieve_node *n, bool test,
	 struct buf *path)
{
	if (test)
		return find_or_say(r, n, path) ? 0 : ST_NOPERM;
	return find_or_fail(r, n, path);
}

/* True when the program ended well.  Then what it wrote is the message. */
static int
filter_it(struct sieve_run *r, const struct sieve_node *n, bool test)
{
	struct buf path = BUF_INIT, out = BUF_INIT;
	int status = find_for(r, n, test, &path);

	if (status == 0)
		status = run_program(r, buf_str(&path), sieve_pos(n, 1),
				     r->message->m.whole, &out);
	if (status == 0 && out.n > 0)
		sieve_message_edit(r, &out);
	buf_free(&path);
	buf_free(&out);
	return status < 0 ? -1 : status == 0;
}

static int
run_filter(struct sieve_run *r, const struct sieve_node *n)
{
	return filter_it(r, n, false) < 0 ? -1 : 0;
}

static int
run_filter_test(struct sieve_run *r, const struct sieve_node *n)
{
	return filter_it(r, n, true);
}

static int
execute_it(struct sieve_run *r, const struct sieve_node *n, bool test)
{
	const struct sieve_arg *input = sieve_value(n, ":input");
	const struct sieve_arg *output = sieve_value(n, ":output");
	struct span in = SPAN("");
	struct buf path = BUF_INIT, out = BUF_INIT;
	int status = find_for(r, n, test, &path);

	if (input != NULL)
		in = span_of(input->strings.v[0]);
	else if (sieve_has(n, ":pipe") != NULL)
		in = r->message->m.whole;
	if (status == 0)
		status =
		    run_program(r, buf_str(&path), sieve_pos(n, 1), in, &out);
	if (status == 0 && output != NULL &&
	    sieve_var_set(r, span_of(output->strings.v[0]), buf_span(&out)) !=
		0)
		status = -1;
	buf_free(&path);
	buf_free(&out);
	return status < 0 ? -1 : status == 0;
}

static int
run_execute(struct sieve_run *r, const struct sieve_node *n)
{
	return execute_it(r, n, false) < 0 ? -1 : 0;
}

static int
run_execute_test(struct sieve_run *r, const struct sieve_node *n)
{
	return execute_it(r, n, true);
}

static void
check_program(struct sieve_script *s, struct sieve_node *n)
{
	const struct sieve_arg *a = sieve_pos(n, 0);
	const struct sieve_arg *output = sieve_value(n, ":output");

	if (sieve_constant(s, a->strings.v[0]) && !name_ok(a->strings.v[0]))
		sieve_error(s, a->line, a->col, "invalid program name '%s'",
			    a->strings.v[0]);
	if (output == NULL)
		return;
	if (!sieve_required(s, "variables"))
		sieve_error(s, n->line, n->col,
			    ":output needs require \"variables\"");
	else if (!sieve_settable(s, output->strings.v[0]))
		sieve_error(s, output->line, output->col,
			    "\"%s\" is not a variable's name",
			    output->strings.v[0]);
}

static const struct sieve_tag pipe_tags[] = { { ":try", 0, NULL, NULL },
					      { ":copy", 0, NULL, "copy" } };
static const struct sieve_tag execute_tags[] = {
	{ ":input", 's', "input", NULL },
	{ ":pipe", 0, "input", NULL },
	{ ":output", 's', NULL, NULL },
};
static const struct sieve_word pipe_words[] = {
	{ .name = "pipe",
	  .ext = "vnd.dovecot.pipe",
	  .positional = "soS",
	  .tags = pipe_tags,
	  .ntags = ARRAY_LEN(pipe_tags),
	  .check = check_program,
	  .run = run_pipe },
};
static const struct sieve_word filter_words[] = {
	{ .name = "filter",
	  .ext = "vnd.dovecot.filter",
	  .positional = "soS",
	  .check = check_program,
	  .run = run_filter },
	{ .name = "filter",
	  .ext = "vnd.dovecot.filter",
	  .is_test = true,
	  .positional = "soS",
	  .check = check_program,
	  .run = run_filter_test },
};
static const struct sieve_word execute_words[] = {
	{ .name = "execute",
	  .ext = "vnd.dovecot.execute",
	  .positional = "soS",
	  .tags = execute_tags,
	  .ntags = ARRAY_LEN(execute_tags),
	  .check = check_program,
	  .run = run_execute },
	{ .name = "execute",
	  .ext = "vnd.dovecot.execute",
	  .is_test = true,
	  .positional = "soS",
	  .tags = execute_tags,
	  .ntags = ARRAY_LEN(execute_tags),
	  .check = check_program,
	  .run = run_execute_test },
};
static const struct sieve_extension pipe_ = {
	.name = "vnd.dovecot.pipe",
	.words = pipe_words,
	.nwords = ARRAY_LEN(pipe_words),
};
static const struct sieve_extension filter = {
	.name = "vnd.dovecot.filter",
	.words = filter_words,
	.nwords = ARRAY_LEN(filter_words),
};
static const struct sieve_extension execute = {
	.name = "vnd.dovecot.execute",
	.words = execute_words,
	.nwords = ARRAY_LEN(execute_words),
};
SIEVE_EXTENSION(pipe_);
SIEVE_EXTENSION(filter);
SIEVE_EXTENSION(execute);
