/*
 * jobs.c - children that work at the same time; see jobs.h.
 */
#include "jobs.h"
#include "io.h"
#include "mem.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define AT_ONCE 64
#define ANSWER_MAX (1 << 20)

struct child {
	pid_t pid;
	int fd;
	struct job *job;
};

static bool
job_start(struct child *c, struct job *j)
{
	struct buf out = BUF_INIT;
	int p[2];

	if (pipe2(p, O_CLOEXEC) != 0)
		return false;
	c->pid = fork();
	if (c->pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		close(p[0]);
		j->run(&out, j->arg);
		_exit(io_write(p[1], out.p, out.n, DEADLINE_NEVER) == IO_OK
			  ? 0
			  : 1);
	}
	close(p[1]);
	if (c->pid < 0) {
		close(p[0]);
		return false;
	}
	c->fd = p[0];
	c->job = j;
	return true;
}

/* Ended, or (kill_it) cut off. */
static void
job_end(struct child *c, bool kill_it)
{
	int w = 0;
	pid_t got;

	if (kill_it)
		kill(c->pid, SIGKILL);
	close(c->fd);
	do
		got = waitpid(c->pid, &w, 0);
	while (got < 0 && errno == EINTR);
	c->job->done = got == c->pid && WIFEXITED(w) && WEXITSTATUS(w) == 0;
}

/* False when the child is through. */
static bool
job_read(struct child *c)
{
	ssize_t got = read(c->fd, buf_room(&c->job->out, 8192), 8192);

	if (got < 0)
		return errno == EINTR || errno == EAGAIN;
	buf_grew(&c->job->out, (size_t)got);
	return got > 0 && c->job->out.n < ANSWER_MAX;
}

void
jobs_run(struct job *v, size_t n, deadline_t d)
{
	struct child c[AT_ONCE];
	struct pollfd p[AT_ONCE];
	size_t running = 0, next = 0;

	while (running > 0 || next < n) {
		while (next < n && running < AT_ONCE && clock_left(d) != 0) {
			if (!job_start(&c[running], &v[next]))
				break;
			running++;
			next++;
		}
		if (running == 0)
			break;
		for (size_t i = 0; i < running; i++)
			p[i] = (struct pollfd){ c[i].fd, POLLIN, 0 };
		if (poll(p, running, clock_left(d)) == 0) {
			while (running > 0)
				job_end(&c[--running], true);
			break;
		}
		for (size_t i = running; i-- > 0;) {
			if (p[i].revents == 0 || job_read(&c[i]))
				continue;
			job_end(&c[i], c[i].job->out.n >= ANSWER_MAX);
			c[i] = c[--running];
		}
	}
}
