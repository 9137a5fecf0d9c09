/*
 * procmail_run.c - commands of an rcfile: with $SHELL where a character of
 * $SHELLMETAS stands in them, else split into words and run as they are.
 */
#include "io.h"
#include "mem.h"
#include "proc.h"
#include "procmail.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#define OUT_MAX ((size_t)512 << 20)

/* Writes the input and reads the output at once, so that neither side waits
 * for the other for ever.  False: the input was not taken whole.  *cut_r: there
 * was more output than is taken. */
static bool
talk(int to, int from, const struct pm_cmd *c, deadline_t d, bool *cut_r)
{
	struct pollfd f[2] = { { to, POLLOUT, 0 }, { from, POLLIN, 0 } };
	size_t put = 0;
	bool whole = true;
	char b[65536];

	*cut_r = false;
	if (c->in.n == 0) {
		close(to);
		f[0].fd = -1;
	}
	while (f[0].fd >= 0 || f[1].fd >= 0) {
		int n = poll(f, 2, clock_left(d));

		if (n == 0)
			break;
		if (n < 0 && errno != EINTR)
			break;
		if (f[0].fd >= 0 && f[0].revents != 0) {
			ssize_t w = write(to, c->in.p + put, c->in.n - put);

			if (w > 0)
				put += (size_t)w;
			else if (w < 0 && errno != EAGAIN && errno != EINTR)
				whole = false;
			if (!whole || put == c->in.n) {
				close(to);
				f[0].fd = -1;
			}
		}
		if (f[1].fd >= 0 && f[1].revents != 0) {
			ssize_t r = read(from, b, sizeof(b));

			if (r > 0 && c->out->n < OUT_MAX)
				buf_add(c->out, b, (size_t)r);
			else if (r > 0)
				*cut_r = true;
			else if (r == 0 || errno != EINTR)
				f[1].fd = -1;
		}
	}
	if (f[0].fd >= 0) {
		close(to);
		whole = false;
	}
	return whole;
}

static int
wait_for(struct pm *p, pid_t pid, deadline_t d)
{
	int w;

	(void)proc_wait(pid, d, &w);
	if (!WIFEXITED(w)) {
		pm_log(p, "Timeout or signal, terminating a program");
		return -1;
	}
	return WEXITSTATUS(w);
}

int
pm_argv(struct pm *p, const struct strs *argv, const struct pm_cmd *c)
{
	int64_t limit = pm_number(p, "TIMEOUT", 960);
	deadline_t d = clock_deadline(limit * 1000);
	int in[2] = { -1, -1 }, out[2] = { -1, -1 }, status = -1;
	int to = p->log >= 0 ? p->log : STDERR_FILENO;
	struct strs env = STRS_INIT, script = STRS_INIT;
	struct err e = ERR_INIT;
	bool whole, cut, tried = false;
	pid_t pid;

	if (pipe2(in, O_CLOEXEC) != 0 ||
	    (c->out != NULL && pipe2(out, O_CLOEXEC) != 0)) {
		pm_log(p, "pipe: no descriptors");
		return -1;
	}
	pm_environ(p, &env);
	struct proc_spec ps = { .argv = argv->v,
				.envp = env.v,
				.fd = { in[0], c->out ? out[1] : STDOUT_FILENO,
					to, -1 },
				.new_group = false };
	pm_verbose(p, "Executing \"%s\"", c->line);
	setenv("PATH", pm_get(p, "PATH"), 1);
	pid = proc_spawn(&ps, &e);
	if (pid < 0) { /* it may be a script for the shell */
		pm_log(p, "Failed to execute \"%s\"", argv->v[0]);
		strs_add(&script, pm_get(p, "SHELL"));
		for (size_t i = 0; i < argv->n; i++)
			strs_add(&script, argv->v[i]);
		ps.argv = script.v;
		pid = proc_spawn(&ps, &e);
		strs_free(&script);
		tried = true;
	}
	close(in[0]);
	if (c->out != NULL)
		close(out[1]);
	if (pid > 0) {
		(void)io_nonblock(in[1], true);
		whole = talk(in[1], c->out ? out[0] : -1, c, d, &cut);
		status = wait_for(p, pid, d);
		if (status == 0 && (cut || (!whole && !c->ignore_write)))
			status = -1;
	} else {
		close(in[1]);
	}
	p->not_run = tried && status != 0;
	if (c->out != NULL)
		close(out[0]);
	strs_free(&env);
	return status;
}

int
pm_command(struct pm *p, const struct pm_cmd *c)
{
	const char *metas = pm_get(p, "SHELLMETAS");
	struct strs argv = STRS_INIT;
	struct span rest = span_of(c->line);
	int status;

	if (strpbrk(c->line, metas) != NULL) {
		strs_add(&argv, pm_get(p, "SHELL"));
		strs_add(&argv, pm_get(p, "SHELLFLAGS"));
		strs_add(&argv, c->line);
	} else {
		pm_expand(p, &rest, PM_WORDS, false, &argv);
	}
	status = argv.n > 0 ? pm_argv(p, &argv, c) : 0;
	strs_free(&argv);
	return status;
}
