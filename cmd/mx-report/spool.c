/*
 * spool.c - files of lines that another program appends to, and what hands a
 * report's mail on.
 *
 * A file is taken by renaming it (writers open it anew for each line); what
 * could not be sent goes back to it.  A run that was killed is finished by the
 * next one: its file is still there.
 */
#include "clock.h"
#include "history.h"
#include "io.h"
#include "mem.h"
#include "proc.h"
#include "send.h"
#include "status.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <unistd.h>

#define SPOOL_MAX (1u << 30)
#define SEND_MS 300000
#define WRITERS_MS 60000
#define WRITERS_LOOK_US 50000

int
report_feed(const struct strs *argv, struct span bytes, const char *name,
	    struct err *e)
{
	struct proc_spec ps = { .argv = argv->v, .fd = { -1, -1, 2, -1 } };
	int p[2], st;
	pid_t pid;

	if (pipe2(p, O_CLOEXEC) != 0)
		return err_sys(e, "pipe");
	ps.fd[0] = p[0];
	pid = proc_spawn(&ps, e);
	close(p[0]);
	if (pid >= 0)
		(void)!io_write(p[1], bytes.p, bytes.n,
				clock_deadline(SEND_MS));
	close(p[1]);
	if (pid < 0)
		return -1;
	if ((st = proc_wait(pid, clock_deadline(SEND_MS), NULL)) != 0)
		return err_set(e, ST_TEMPFAIL, "%s ended with %d", name, st);
	return 0;
}

int
report_submit(const struct buf *mail, struct err *e)
{
	struct strs argv = STRS_INIT;
	int st;

	if (proc_words(&argv, span_of(params.report_command), e) != 0)
		return -1;
	if (argv.n > 0 && strcmp(argv.v[0], "mx-submit") == 0) {
		free(argv.v[0]);
		argv.v[0] = proc_sibling("mx-submit");
	}
	st = report_feed(&argv, buf_span(mail), "report_command", e);
	strs_free(&argv);
	return st;
}

/* Who has it open still adds a line: history.h. */
static int
writers_gone(const char *path, struct err *e)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC), st = 0;
	deadline_t end = clock_deadline(WRITERS_MS);

	if (fd < 0)
		return err_sys(e, "%s", path);
	while ((st = flock(fd, LOCK_EX | LOCK_NB)) != 0 &&
	       errno == EWOULDBLOCK && clock_left(end) > 0)
		(void)usleep(WRITERS_LOOK_US);
	if (st != 0)
		(void)err_sys(e, "%s: still being written", path);
	close(fd);
	return st;
}

int
spool_open(struct spool *s, const char *path, bool look, struct buf *text,
	   struct err *e)
{
	char *lock = mem_printf("%s.lock", path);
	const char *from;
	int st = 0;

	*s = (struct spool){ .path = path, .look = look };
	s->work = mem_printf("%s.sending", path);
	from = look ? path : s->work;
	s->lock = open(lock, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	if (s->lock < 0 || flock(s->lock, LOCK_EX | LOCK_NB) != 0)
		st = err_sys(e, "%s: another run", lock);
	else if (!look && access(s->work, F_OK) != 0 &&
		 rename(path, s->work) != 0 && errno != ENOENT)
		st = err_sys(e, "%s", path);
	s->taken = st == 0 && access(from, F_OK) == 0;
	if (s->taken && !look)
		st = writers_gone(from, e);
	if (s->taken)
		st = io_read_file(from, text, SPOOL_MAX, e);
	free(lock);
	return st;
}

static int
append_back(const struct spool *s, struct err *e)
{
	int fd, st = 0;

	if (s->back.n == 0)
		return 0;
	fd = history_open(s->path, e);
	if (fd < 0)
		return -1;
	if (io_write(fd, s->back.p, s->back.n, DEADLINE_NEVER) != IO_OK ||
	    fsync(fd) != 0)
		st = err_sys(e, "%s", s->path);
	if (close(fd) != 0 && st == 0)
		st = err_sys(e, "%s", s->path);
	return st;
}

int
spool_close(struct spool *s, int st, struct err *e)
{
	if (st == 0 && s->taken && !s->look) {
		st = append_back(s, e);
		if (st == 0 && unlink(s->work) != 0)
			st = err_sys(e, "%s", s->work);
	}
	if (s->lock >= 0)
		close(s->lock);
	free(s->work);
	buf_free(&s->back);
	return st;
}
