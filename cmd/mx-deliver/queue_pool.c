/*
 * queue_pool.c - the runner's workers.  Each works on one entry after the
 * other, so that tables, users' processes and libraries are set up once.  As
 * root a worker becomes mail_owner before it opens an entry.
 */
#include "queue.h"
#include "log.h"
#include "mem.h"
#include "route.h"
#include "status.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define JOBS_MAX 500 /* then a worker is replaced: leaks stay small */
#define END_MS 15000

struct worker {
	pid_t pid; /* 0: the place is free */
	int sock;
	bool busy, last;
	int jobs;
	size_t watched; /* place in pool_watch's list, SIZE_MAX: none */
	char id[64];
};

struct pool {
	struct worker *w;
	size_t max, busy;
	int close_in_child[4];
	size_t nclose;
};

volatile int queue_stopping;
static volatile sig_atomic_t child_ended; /* perhaps an idle worker */

void
pool_child(void)
{
	child_ended = 1;
}

static void
stop_soon(int sig)
{
	(void)sig;
	queue_stopping = 1;
}

struct pool *
pool_new(size_t max, const int *close_in_child, size_t n)
{
	struct pool *p = mem_alloc(1, sizeof(*p));

	p->w = mem_alloc(max, sizeof(p->w[0]));
	p->max = max;
	for (size_t i = 0; i < n && i < ARRAY_LEN(p->close_in_child); i++)
		p->close_in_child[p->nclose++] = close_in_child[i];
	queue_dest_init(max);
	queue_link_init();
	return p;
}

/* The worker's whole life. */
static MX_NORETURN void
worker_run(struct pool *p, size_t self, int sock)
{
	struct sigaction soon = { .sa_handler = stop_soon,
				  .sa_flags = SA_RESTART };
	static const int plain[] = { SIGHUP, SIGCHLD };
	struct err e = ERR_INIT;
	char id[64];
	ssize_t n;

	for (size_t i = 0; i < p->max; i++)
		if (p->w[i].pid != 0)
			close(p->w[i].sock);
	for (size_t i = 0; i < p->nclose; i++)
		if (p->close_in_child[i] >= 0)
			close(p->close_in_child[i]);
	for (size_t i = 0; i < ARRAY_LEN(plain); i++)
		(void)signal(plain[i], SIG_DFL);
	(void)signal(SIGHUP, SIG_IGN);
	(void)signal(SIGPIPE, SIG_IGN);
	(void)sigaction(SIGTERM, &soon, NULL);
	(void)sigaction(SIGINT, &soon, NULL);
	queue_dest_worker(self);
	queue_link_worker();
	if (deliver_drop(&e) != 0) {
		log_error("%s", e.text);
		_exit(ST_TEMPFAIL);
	}
	for (int jobs = 0; !queue_stopping; jobs++) {
		n = recv(sock, id, sizeof(id) - 1, 0);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			break;
		id[n] = '\0';
		if (jobs > 0)
			route_refresh();
		char r = (char)queue_entry(id);
		queue_dest_leave();
		if (send(sock, &r, 1, MSG_NOSIGNAL) != 1)
			break;
	}
	_exit(0);
}

static bool
worker_start(struct pool *p, size_t i)
{
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0) {
		log_error("socketpair: %s: the queue waits", strerror(errno));
		return false;
	}
	(void)fflush(NULL);
	pid_t pid = fork();
	if (pid == 0) {
		close(pair[0]);
		worker_run(p, i, pair[1]);
	}
	close(pair[1]);
	if (pid < 0) {
		close(pair[0]);
		log_error("fork: %s: the queue waits", strerror(errno));
		return false;
	}
	p->w[i] =
	    (struct worker){ .pid = pid, .sock = pair[0], .watched = SIZE_MAX };
	return true;
}

bool
pool_give(struct pool *p, const char *id)
{
	struct worker *w = NULL;
	size_t room = SIZE_MAX;

	for (size_t i = 0; i < p->max && w == NULL; i++) {
		if (p->w[i].pid == 0 && room == SIZE_MAX)
			room = i;
		if (p->w[i].pid != 0 && !p->w[i].busy && !p->w[i].last)
			w = &p->w[i];
	}
	if (w == NULL && room != SIZE_MAX && worker_start(p, room))
		w = &p->w[room];
	if (w == NULL)
		return false;
	/* A worker that has just died does not take it: pool_take sees that
	 * and the entry, untouched, is still due. */
	if (send(w->sock, id, strlen(id), MSG_NOSIGNAL) < 0)
		w->last = true;
	snprintf(w->id, sizeof(w->id), "%s", id);
	w->busy = true;
	p->busy++;
	return true;
}

bool
pool_has(const struct pool *p, struct span id)
{
	for (size_t i = 0; i < p->max; i++)
		if (p->w[i].busy && span_is(id, p->w[i].id))
			return true;
	return false;
}

size_t
pool_busy(const struct pool *p)
{
	return p->busy;
}

size_t
pool_watch(struct pool *p, struct pollfd *v, size_t max)
{
	size_t n = 0;
	int link = queue_link_watch();

	if (link >= 0 && n < max)
		v[n++] = (struct pollfd){ link, POLLIN, 0 };
	/* Who is idle has nothing to say but its death, and that SIGCHLD
	 * tells: a hundred of them cost nothing. */
	bool all = child_ended;
	child_ended = 0;
	for (size_t i = 0; i < p->max; i++) {
		p->w[i].watched = SIZE_MAX;
		if (p->w[i].pid == 0 || n >= max || !(p->w[i].busy || all))
			continue;
		p->w[i].watched = n;
		v[n++] = (struct pollfd){ p->w[i].sock, POLLIN, 0 };
	}
	return n;
}

/* Its socket is closed first: a worker that waits for work ends by that, one
 * that died is only reaped. */
static void
worker_gone(struct pool *p, size_t i)
{
	struct worker *w = &p->w[i];
	int st = 0;

	close(w->sock);
	while (waitpid(w->pid, &st, 0) < 0 && errno == EINTR)
		;
	if (w->busy && WIFSIGNALED(st))
		log_warn("%s: its process was killed by signal %d: it will be "
			 "tried again",
			 w->id, WTERMSIG(st));
	p->busy -= w->busy;
	*w = (struct worker){ .pid = 0 };
	queue_dest_forget(i);
}

void
pool_take(struct pool *p, const struct pollfd *v,
	  void (*done)(void *ctx, const char *id, enum queue_result r),
	  void *ctx)
{
	queue_link_take();
	for (size_t i = 0; i < p->max; i++) {
		struct worker *w = &p->w[i];
		char r = 0, id[64];
		if (w->pid == 0 ||
		    (w->watched != SIZE_MAX ? v[w->watched].revents == 0
					    : !w->busy))
			continue;
		ssize_t n = recv(w->sock, &r, 1, MSG_DONTWAIT);
		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			continue;
		bool was_busy = w->busy;
		memcpy(id, w->id, sizeof(id));
		if (n != 1) {
			worker_gone(p, i);
			if (was_busy)
				done(ctx, id, QUEUE_TROUBLE);
			continue;
		}
		w->busy = false;
		p->busy -= was_busy;
		if (++w->jobs >= JOBS_MAX || w->last)
			worker_gone(p, i);
		if (was_busy)
			done(ctx, id, (enum queue_result)r);
	}
}

/* After SIGHUP: those at work finish their entry with the old configuration,
 * then end. */
void
pool_recycle(struct pool *p)
{
	queue_link_recycle();
	for (size_t i = 0; i < p->max; i++) {
		if (p->w[i].pid != 0 && !p->w[i].busy)
			worker_gone(p, i);
		else
			p->w[i].last = true;
	}
}

static void
forget_result(void *ctx, const char *id, enum queue_result r)
{
	(void)ctx;
	(void)id;
	(void)r;
}

void
pool_end(struct pool *p)
{
	deadline_t d = clock_deadline(END_MS);
	struct pollfd v[64];

	pool_recycle(p);
	for (size_t i = 0; i < p->max; i++)
		if (p->w[i].pid != 0)
			(void)kill(p->w[i].pid, SIGTERM);
	while (p->busy > 0 && clock_left(d) != 0) {
		size_t n = pool_watch(p, v, ARRAY_LEN(v));
		(void)poll(v, n, 200);
		pool_take(p, v, forget_result, NULL);
	}
	for (size_t i = 0; i < p->max; i++) {
		if (p->w[i].pid == 0)
			continue;
		(void)kill(p->w[i].pid, SIGKILL);
		worker_gone(p, i);
	}
	queue_link_end();
	free(p->w);
	free(p);
}
