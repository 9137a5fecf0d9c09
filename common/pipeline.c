/*
 * pipeline.c - filter stages over real pipes; see proc.h.
 * Layer: sys.  DESIGN 3.3: the first failing stage from the left decides.
 */
#include "io.h"
#include "proc.h"
#include "status.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#define STAGE_ERRS 4096
#define STAGE_ACTIONS (1024 * 1024)
#define STAGE_MAX 32

/* What is known of a stage only while it runs. */
struct running {
	pid_t pid;
	int err_fd, act_fd;
	bool ended, sigpipe;
};

void
proc_stage_free(struct proc_stage *s)
{
	strs_free(&s->argv);
	buf_free(&s->errs);
	buf_free(&s->actions);
}

/* Reads what is there; closes the descriptor at its end. */
static void
stage_drain(int *fd, struct buf *b, size_t keep, bool tail)
{
	char chunk[4096];
	ssize_t got = read(*fd, chunk, sizeof(chunk));

	if (got < 0 && (errno == EINTR || errno == EAGAIN))
		return;
	if (got <= 0) {
		io_close(fd);
		return;
	}
	/* stderr: its last bytes count; actions: beyond the limit is a
	 * failure that the caller sees by the length, so that one chunk more
	 * than fits is kept: a list cut at the limit would pass for whole. */
	if (tail || b->n <= keep)
		buf_add(b, chunk, (size_t)got);
	if (tail && b->n > keep)
		buf_shift(b, b->n - keep);
}

/* On failure the stage counts as one that ended with TEMPFAIL, and the others
 * go on: its successor sees an empty input, its predecessor SIGPIPE. */
static int
stage_start(struct proc_stage *s, struct running *r, int in, int out,
	    char *const *envp)
{
	int errs[2] = { -1, -1 }, acts[2] = { -1, -1 };
	struct err e = ERR_INIT;
	struct proc_spec ps = { .argv = s->argv.v,
				.envp = envp,
				.new_group = true };

	if (pipe2(errs, O_CLOEXEC) != 0 || pipe2(acts, O_CLOEXEC) != 0) {
		err_sys(&e, "pipe");
	} else {
		ps.fd[0] = in;
		ps.fd[1] = out;
		ps.fd[2] = errs[1];
		ps.fd[3] = acts[1];
		r->pid = proc_spawn(&ps, &e);
	}
	io_close(&errs[1]);
	io_close(&acts[1]);
	r->err_fd = errs[0];
	r->act_fd = acts[0];
	if (r->pid > 0)
		return 0;
	s->status = ST_TEMPFAIL;
	buf_adds(&s->errs, e.text);
	r->ended = true;
	return -1;
}

/* Has it ended?  Its verdict is noted once. */
static bool
stage_reap(struct proc_stage *s, struct running *r, bool block)
{
	int w;

	if (r->ended)
		return true;
	for (;;) {
		pid_t got = waitpid(r->pid, &w, block ? 0 : WNOHANG);

		if (got < 0 && errno == EINTR)
			continue;
		if (got == 0)
			return false;
		if (got < 0) {
			s->status = ST_TEMPFAIL;
		} else {
			s->status = status_from_wait(w);
			r->sigpipe = WIFSIGNALED(w) && WTERMSIG(w) == SIGPIPE;
		}
		r->ended = true;
		return true;
	}
}

/* Collects stderr and actions until all have ended or the deadline. */
static void
stage_collect(struct proc_stage *s, struct running *r, size_t n, deadline_t d)
{
	struct pollfd p[2 * STAGE_MAX];

	for (;;) {
		size_t open = 0;

		for (size_t i = 0; i < n; i++) {
			p[2 * i] = (struct pollfd){ r[i].err_fd, POLLIN, 0 };
			p[2 * i + 1] =
			    (struct pollfd){ r[i].act_fd, POLLIN, 0 };
			open += r[i].err_fd >= 0;
			open += r[i].act_fd >= 0;
		}
		if (open == 0)
			return;
		int got = poll(p, 2 * n, clock_left(d));

		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			return;
		for (size_t i = 0; i < n; i++) {
			if (p[2 * i].revents)
				stage_drain(&r[i].err_fd, &s[i].errs,
					    STAGE_ERRS, true);
			if (p[2 * i + 1].revents)
				stage_drain(&r[i].act_fd, &s[i].actions,
					    STAGE_ACTIONS, false);
		}
	}
}

/* Verdicts of all; whoever still runs at the deadline is killed with all that
 * it started (its process group). */
static void
stage_finish(struct proc_stage *s, struct running *r, size_t n, deadline_t d)
{
	for (size_t i = 0; i < n; i++) {
		while (!stage_reap(&s[i], &r[i], d == DEADLINE_NEVER)) {
			if (clock_left(d) == 0) {
				(void)kill(-r[i].pid, SIGKILL);
				(void)stage_reap(&s[i], &r[i], true);
				s[i].status = ST_TEMPFAIL;
				break;
			}
			usleep(500);
		}
		io_close(&r[i].err_fd);
		io_close(&r[i].act_fd);
	}
}

int
proc_pipe(struct proc_stage *s, size_t n, int fd_in, int fd_out,
	  char *const *envp, deadline_t d)
{
	struct running r[STAGE_MAX] = { 0 };
	int in = fd_in, bad = -1;

	if (n == 0 || n > STAGE_MAX)
		return 0;
	for (size_t i = 0; i < n; i++) {
		int link[2] = { -1, -1 };

		r[i] = (struct running){ 0, -1, -1, false, false };
		s[i].status = ST_TEMPFAIL;
		if (i + 1 < n && pipe2(link, O_CLOEXEC) != 0) {
			r[i].ended = true;
			link[0] = link[1] = -1;
		} else {
			(void)stage_start(&s[i], &r[i], in,
					  i + 1 < n ? link[1] : fd_out, envp);
		}
		if (in != fd_in)
			io_close(&in);
		io_close(&link[1]);
		in = link[0];
	}
	stage_collect(s, r, n, d);
	stage_finish(s, r, n, d);
	for (size_t i = n; i-- > 0;) {
		/* Killed by SIGPIPE because its successor failed: not its
		 * fault.  Where the successor succeeded it is one. */
		if (r[i].sigpipe && bad == (int)i + 1) {
			s[i].skipped_input = true;
			continue;
		}
		if (s[i].status != ST_OK || s[i].actions.n > STAGE_ACTIONS)
			bad = (int)i;
		if (s[i].actions.n > STAGE_ACTIONS)
			s[i].status = ST_TEMPFAIL;
	}
	return bad;
}
