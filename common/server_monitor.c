/*
 * server_monitor.c - the monitor: holds the rights, starts and replaces
 * workers, answers what they ask; see server.h.
 * Layer: sys.  It never reads a network byte; what a worker says is hostile:
 * typed, length-checked, by number.
 */
#include "server_int.h"
#include "io.h"
#include "log.h"
#include "mem.h"
#include "num.h"
#include "status.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#define WORKERS_QUICK 12 /* so many are started at once when all are busy */
#define TICK_MS 2000
#define STOP_MS 18000 /* SIGTERM: sessions may end until then */

int
server_offer(struct server *s, server_offer_fn *fn, void *ctx)
{
	struct offers *o = s->offers;

	o->v = mem_grow(o->v, &o->cap, o->n + 1, sizeof(*o->v));
	o->v[o->n] = (struct offer){ fn, ctx };
	return (int)o->n++;
}

/* Five seconds at most: all workers wait while one is answered. */
static int
offer_connect(void *ctx, struct server *s, struct span request,
	      struct buf *reply, int *fd_r, struct err *e)
{
	(void)s;
	(void)request;
	(void)reply;
	*fd_r = endpoint_connect(ctx, clock_deadline(5000), e);
	return *fd_r < 0 ? -1 : 0;
}

int
server_endpoint(struct server *s, const struct endpoint *ep)
{
	struct endpoint *mine = mem_alloc(1, sizeof(*mine));

	*mine = (struct endpoint){ ep->kind, mem_strdup(ep->text),
				   ep->path ? mem_strdup(ep->path) : NULL,
				   ep->host ? mem_strdup(ep->host) : NULL,
				   ep->port ? mem_strdup(ep->port) : NULL };
	return server_offer(s, offer_connect, mine);
}

void
server_resolvers(struct server *s, const struct strs *hostports)
{
	strs_clear(&s->offers->resolvers);
	for (size_t i = 0; i < hostports->n; i++)
		strs_add(&s->offers->resolvers, hostports->v[i]);
}

/* A connected socket of the wanted type to resolver number n. */
static int
offer_dns(void *ctx, struct server *s, struct span request, struct buf *reply,
	  int *fd_r, struct err *e)
{
	struct offers *o = ctx;
	struct endpoint ep;
	struct sockaddr_storage ss = { 0 };
	socklen_t len;
	int fd, stream;

	(void)s;
	(void)reply;
	if (request.n != 2 || o->resolvers.n == 0)
		return err_set(e, ST_TEMPFAIL, "no resolver");
	stream = request.p[0] == 1;
	if (endpoint_parse(&ep,
			   span_of(o->resolvers.v[(unsigned char)request.p[1] %
						  o->resolvers.n]),
			   NULL, e) != 0)
		return -1;
	if (endpoint_sockaddr(&ep, &ss, &len, e) != 0) {
		endpoint_free(&ep);
		return -1;
	}
	endpoint_free(&ep);
	fd = socket(ss.ss_family,
		    (stream ? SOCK_STREAM : SOCK_DGRAM) | SOCK_CLOEXEC |
			SOCK_NONBLOCK,
		    0);
	if (fd < 0)
		return err_sys(e, "DNS socket");
	if (connect(fd, (struct sockaddr *)&ss, len) != 0 &&
	    errno != EINPROGRESS) {
		err_sys(e, "DNS socket");
		close(fd);
		return -1;
	}
	*fd_r = fd;
	return 0;
}

/* Configuration, tables, keys and offers of a new generation. */
static int
monitor_prepare(struct server *s, bool reload, struct err *e)
{
	struct offers *old = s->offers;

	s->offers = mem_alloc(1, sizeof(*s->offers));
	(void)server_offer(s, offer_dns, s->offers);
	if (s->spec->before_drop == NULL ||
	    s->spec->before_drop(s, reload, e) == 0)
		return 0;
	free(s->offers->v);
	free(s->offers);
	s->offers = old;
	return -1;
}

/* One request of one worker; -1 when the worker is gone or talks nonsense. */
static int
monitor_answer(struct server *s, struct worker *w)
{
	static char in[SERVER_ASK_MAX];
	struct buf reply = BUF_INIT, out = BUF_INIT;
	struct err e = ERR_INIT;
	int stray = -1, fd = -1, r = -1;
	int32_t word;
	ssize_t got = io_recv_fd(w->ask, in, sizeof(in), &stray);

	if (stray >= 0)
		close(stray);
	if (got < (ssize_t)sizeof(word))
		return -1;
	memcpy(&word, in, sizeof(word));
	if (word < 0 || (size_t)word >= w->offers->n) {
		log_error("worker %ld asks for number %ld: ended", (long)w->pid,
			  (long)word);
		return -1;
	}
	if (w->offers->v[word].fn(
		w->offers->v[word].ctx, s,
		span_make(in + sizeof(word), (size_t)got - sizeof(word)),
		&reply, &fd, &e) == 0)
		word = 0;
	else
		word = e.status ? e.status : ST_TEMPFAIL;
	buf_add(&out, &word, sizeof(word));
	if (word != 0)
		buf_adds(&out, e.text);
	else if (reply.n <= SERVER_ASK_MAX - sizeof(word))
		buf_addspan(&out, buf_span(&reply));
	r = io_send_fd(w->ask, out.p, out.n, fd);
	explicit_bzero(in, (size_t)got);
	buf_wipe(&reply);
	buf_wipe(&out);
	io_close(&fd);
	return r;
}

/* A worker in a free slot; its number, or -1: none is free, or no process
 * (errno). */
static int
monitor_fork(struct server *s)
{
	int pair[2], slot = -1, error;
	pid_t pid;

	for (size_t i = 0; i < s->max && slot < 0; i++) {
		if (s->worker[i].pid == 0)
			slot = (int)i;
	}
	if (slot < 0)
		return -1;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0)
		return -1;
	/* Our end never waits: a worker that asks and does not listen must not
	 * stop the monitor, and with it all others. */
	(void)io_nonblock(pair[0], true);
	(void)fflush(NULL); /* or the worker would say it again */
	/* The slot is made ready before the worker can use it. */
	atomic_store(&s->shared->slot[slot].busy, 0);
	atomic_store(&s->shared->slot[slot].served, 0);
	atomic_store(&s->shared->slot[slot].client, 0);
	atomic_fetch_add(&s->shared->live, 1);
	pid = fork();
	if (pid < 0) {
		error = errno;
		atomic_fetch_sub(&s->shared->live, 1);
		close(pair[0]);
		close(pair[1]);
		errno = error;
		return -1;
	}
	if (pid == 0) {
		for (size_t i = 0; i < s->max; i++)
			io_close(&s->worker[i].ask);
		close(pair[0]);
		io_close(&s->wake[0]);
		server_worker(s, slot, pair[1]);
	}
	close(pair[1]);
	s->worker[slot] =
	    (struct worker){ pid, pair[0], s->offers, clock_mono() };
	return slot;
}

/*
 * Reaps children; *status_r is the last worker's verdict; true when one died
 * before it had served anybody: the next one would, too, and the monitor waits
 * longer each time.  Who dies in a session has met something in that session:
 * to wait then would let one client shut the others out (Postfix's master(8)
 * throttles by the same rule).
 */
static bool
monitor_reap(struct server *s, int *status_r)
{
	bool bad = false;
	pid_t pid;
	int w;

	while ((pid = waitpid(-1, &w, WNOHANG)) > 0) {
		for (size_t i = 0; i < s->max; i++) {
			struct worker *wk = &s->worker[i];
			struct server_slot *slot = &s->shared->slot[i];

			if (wk->pid != pid)
				continue;
			*status_r = status_from_wait(w);
			if (WIFSIGNALED(w) && WTERMSIG(w) != SIGTERM)
				log_warn("worker %ld killed by signal %d",
					 (long)pid, WTERMSIG(w));
			bad |=
			    *status_r != 0 && atomic_load(&slot->served) == 0;
			if (atomic_exchange(&slot->busy, 0) != 0)
				atomic_fetch_sub(&s->shared->busy, 1);
			atomic_store(&slot->client, 0);
			atomic_store(&slot->pid, 0);
			atomic_fetch_sub(&s->shared->live, 1);
			io_close(&wk->ask);
			wk->pid = 0;
		}
	}
	return bad;
}

/* Is a connection waiting on one of the listeners? */
static bool
monitor_pending(struct server *s, int ms)
{
	struct pollfd p[SERVER_LISTENERS];

	for (size_t i = 0; i < s->nlisteners; i++)
		p[i] = (struct pollfd){ s->listener[i].fd, POLLIN, 0 };
	return poll(p, s->nlisteners, ms) > 0;
}

/* Full: one waiting client of each listener is told so. */
static void
monitor_refuse(struct server *s)
{
	for (size_t i = 0; i < s->nlisteners; i++)
		(void)server_refuse(s, &s->listener[i]);
}

struct growth {
	int64_t full_since;  /* all at the limit and busy since, 0: not */
	int64_t not_before;  /* back-off after bad deaths, or no room */
	int64_t backoff;     /* ms */
	int64_t last_client; /* for inetd wait */
};

/* No worker is free, and none more can be: after a second of that, clients that
 * wait are sent away.  Returns ms until the next look. */
static int
monitor_full(struct server *s, struct growth *g)
{
	int64_t now = clock_mono();

	if (g->full_since == 0)
		g->full_since = now;
	if (!s->spec->patient && now - g->full_since > 1000 &&
	    monitor_pending(s, 0))
		monitor_refuse(s);
	return 100;
}

/* One worker more.  No process, no descriptor (THREATS 45): again in a second.
 * Returns ms until the next look. */
static int
monitor_more(struct server *s, struct growth *g)
{
	errno = 0;
	if (monitor_fork(s) >= 0) {
		g->full_since = 0;
		return 0;
	}
	server_note_lack(s, "fork", errno);
	g->not_before = clock_mono() + 1000;
	return monitor_full(s, g);
}

/* Starts what is missing, one at a time: a worker that cannot start shows
 * before the next one is tried.  Returns how long poll may sleep, ms. */
static int
monitor_grow(struct server *s, struct growth *g)
{
	int live = atomic_load(&s->shared->live);
	int busy = atomic_load(&s->shared->busy);
	int64_t now = clock_mono();

	if (busy > 0)
		g->last_client = now;
	if (live > 0 && busy < live) {
		g->full_since = 0;
		if (now >= g->not_before)
			return 60000;
	}
	if (now < g->not_before) {
		if (busy >= live)
			return monitor_full(s, g);
		return (int)(g->not_before - now);
	}
	if (live == 0)
		return monitor_more(s, g) > 0 ? 100 : 1000;
	/* All are busy.  A few more at once; then only while clients wait. */
	if ((size_t)live < s->max) {
		if (live < WORKERS_QUICK || monitor_pending(s, 0))
			return monitor_more(s, g);
		g->full_since = 0;
		return 20;
	}
	return monitor_full(s, g);
}

/* Sleeps until a worker asks, a signal came, or ms are over; answers. */
static void
monitor_wait(struct server *s, int ms)
{
	struct pollfd *p = mem_alloc(s->max + 1, sizeof(*p));
	size_t *who = mem_alloc(s->max + 1, sizeof(*who)), n = 0;
	sigset_t block, old;
	struct timespec ts = { ms / 1000, (ms % 1000) * 1000000L };
	char drop[256];

	for (size_t i = 0; i < s->max; i++) {
		if (s->worker[i].ask >= 0) {
			p[n] = (struct pollfd){ s->worker[i].ask, POLLIN, 0 };
			who[n++] = i;
		}
	}
	p[n] = (struct pollfd){ s->wake[0], POLLIN, 0 };
	/* Signals only while waiting: one that came between the look at the
	 * flags and the sleep would be seen a minute late. */
	sigfillset(&block);
	sigprocmask(SIG_BLOCK, &block, &old);
	int got = 0;

	if (!server_term && !server_hup && !server_chld)
		got = ppoll(p, n + 1, &ts, &old);
	sigprocmask(SIG_SETMASK, &old, NULL);
	if (got > 0 && p[n].revents)
		(void)!read(s->wake[0], drop, sizeof(drop));
	for (size_t i = 0; got > 0 && i < n; i++) {
		struct worker *w = &s->worker[who[i]];

		if (p[i].revents && w->ask >= 0 && monitor_answer(s, w) != 0)
			io_close(&w->ask);
	}
	free(p);
	free(who);
}

/* Idle workers wake up and end, busy ones behind their session. */
static void
monitor_replace(struct server *s)
{
	atomic_fetch_add(&s->shared->generation, 1);
	for (size_t i = 0; i < s->max; i++) {
		if (s->worker[i].pid != 0)
			(void)kill(s->worker[i].pid, SIGHUP);
	}
}

/* SIGHUP: all of the new state, or all of the old. */
static void
monitor_reload(struct server *s)
{
	struct err e = ERR_INIT;

	server_hup = 0;
	if (prog_reload(s->spec->program, &e) != 0 ||
	    monitor_prepare(s, true, &e) != 0) {
		log_error("reload: %s: the old configuration stays", e.text);
		return;
	}
	log_info("reload: new sessions use the new configuration");
	monitor_replace(s);
}

static void
monitor_tick(struct server *s, int64_t *next)
{
	if (s->spec->tick == NULL || clock_mono() < *next)
		return;
	if (s->spec->tick(s))
		monitor_replace(s);
	*next = clock_mono() + TICK_MS;
}

/* SIGTERM: no new sessions; those that run may end at a safe point. */
static void
monitor_stop(struct server *s)
{
	int64_t until = clock_mono() + STOP_MS;
	int status = 0;

	atomic_store(&s->shared->stopping, 1);
	for (size_t i = 0; i < s->max; i++) {
		if (s->worker[i].pid != 0)
			(void)kill(s->worker[i].pid, SIGTERM);
	}
	for (size_t i = 0; i < s->nlisteners; i++)
		io_close(&s->listener[i].fd);
	server_term = 0;
	while (atomic_load(&s->shared->live) > 0 && clock_mono() < until) {
		monitor_wait(s, 200);
		server_chld = 0;
		(void)monitor_reap(s, &status);
	}
	for (size_t i = 0; i < s->max; i++) {
		if (s->worker[i].pid != 0)
			(void)kill(s->worker[i].pid, SIGKILL);
	}
}

/* inetd nowait, exec: and pipes: one worker, whose verdict is ours. */
static int
monitor_single(struct server *s)
{
	int status = ST_TEMPFAIL;

	if (monitor_fork(s) < 0) {
		server_note_lack(s, "fork", errno);
		if (s->spec->busy_text != NULL && !s->conn.mode->tls)
			(void)!io_write(s->conn.fd_out, s->spec->busy_text,
					strlen(s->spec->busy_text),
					clock_deadline(1000));
		return ST_OSERR;
	}
	/* The session's descriptors are the worker's alone: its end is seen
	 * by the peer. */
	close(s->conn.fd_in);
	if (s->conn.fd_out != s->conn.fd_in)
		close(s->conn.fd_out);
	while (atomic_load(&s->shared->live) > 0) {
		if (server_term) {
			monitor_stop(s);
			return 0;
		}
		server_hup = server_chld = 0;
		(void)monitor_reap(s, &status);
		if (atomic_load(&s->shared->live) > 0)
			monitor_wait(s, 60000);
	}
	return status;
}

int
server_monitor(struct server *s)
{
	struct growth g = { .backoff = 1000, .last_client = clock_mono() };
	int64_t tick = clock_mono() + TICK_MS;
	struct err e = ERR_INIT;
	int status = 0;

	if (pipe2(s->wake, O_CLOEXEC | O_NONBLOCK) != 0) {
		err_sys(&e, "pipe");
		return prog_fail(&e);
	}
	server_spare_take(s);
	if (monitor_prepare(s, false, &e) != 0)
		return prog_fail(&e);
	if (s->single)
		return monitor_single(s);
	while (!server_term) {
		int ms;

		if (server_hup)
			monitor_reload(s);
		server_chld = 0;
		if (monitor_reap(s, &status)) {
			g.not_before = clock_mono() + g.backoff;
			if (g.backoff < 60000)
				g.backoff *= 2;
			log_warn("a worker failed: the next one in %lld s",
				 (long long)(g.not_before - clock_mono()) /
					 1000 +
				     1);
		} else if (clock_mono() > g.not_before + 60000) {
			g.backoff = 1000;
		}
		monitor_tick(s, &tick);
		ms = monitor_grow(s, &g);
		if (s->spec->tick != NULL && ms > TICK_MS)
			ms = TICK_MS;
		if (s->wait_mode && s->o->max_idle > 0 &&
		    clock_mono() - g.last_client > s->o->max_idle)
			break;
		monitor_wait(s, s->wait_mode && ms > 1000 ? 1000 : ms);
	}
	monitor_stop(s);
	return 0;
}
