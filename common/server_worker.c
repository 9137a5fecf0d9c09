/*
 * server_worker.c - a worker: gives up its rights, serves one session after
 * the other, asks the monitor; see server.h.
 * Layer: sys.
 */
#include "server_int.h"
#include "io.h"
#include "log.h"
#include "mem.h"
#include "sandbox.h"
#include "site.h"
#include "status.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

int
server_ask(struct server *s, int offer, struct span request, struct buf *reply,
	   int *fd_r, struct err *e)
{
	struct buf b = BUF_INIT;
	int32_t word = offer;
	int fd = -1;
	ssize_t got;
	char *room;

	if (request.n > SERVER_ASK_MAX - sizeof(word))
		return err_set(e, ST_SOFTWARE, "a request of %zu bytes",
			       request.n);
	buf_add(&b, &word, sizeof(word));
	buf_addspan(&b, request);
	if (io_send_fd(s->ask, b.p, b.n, -1) != 0) {
		buf_free(&b);
		return err_set(e, ST_TEMPFAIL, "the monitor does not answer");
	}
	buf_clear(&b);
	room = buf_room(&b, SERVER_ASK_MAX);
	got = io_recv_fd(s->ask, room, SERVER_ASK_MAX, &fd);
	if (got < (ssize_t)sizeof(word)) {
		buf_wipe(&b);
		io_close(&fd);
		return err_set(e, ST_TEMPFAIL, "the monitor does not answer");
	}
	buf_grew(&b, (size_t)got);
	memcpy(&word, b.p, sizeof(word));
	if (word != 0) {
		err_set(e, word, "%.*s",
			SPAN_ARG(span_from(buf_span(&b), sizeof(word))));
		buf_wipe(&b);
		io_close(&fd);
		return -1;
	}
	if (reply != NULL) {
		buf_clear(reply);
		buf_addspan(reply, span_from(buf_span(&b), sizeof(word)));
	}
	if (fd_r != NULL)
		*fd_r = fd;
	else
		io_close(&fd);
	buf_wipe(&b);
	return 0;
}

int
server_connect(struct server *s, int endpoint, deadline_t d, struct err *e)
{
	int fd = -1;

	(void)d; /* the monitor's own limit of five seconds holds */
	if (server_ask(s, endpoint, SPAN(""), NULL, &fd, e) != 0)
		return -1;
	if (fd < 0)
		return err_set(e, ST_TEMPFAIL,
			       "no descriptor is left for the socket");
	return fd;
}

int
server_dns_socket(void *server, int type, int which)
{
	struct server *s = server;
	unsigned char request[2] = { type == SOCK_STREAM,
				     (unsigned char)which };
	int fd = -1;

	if (server_ask(s, 0, span_make((const char *)request, 2), NULL, &fd,
		       NULL) != 0)
		return -1;
	return fd;
}

/* How many sessions does this client have now, this one included? */
static int
worker_count_client(struct server *s, uint64_t key)
{
	int n = 0;

	atomic_store(&s->shared->slot[s->slot].client, key);
	if (key == 0)
		return 1;
	for (size_t i = 0; i < s->max; i++) {
		struct server_slot *slot = &s->shared->slot[i];

		if (atomic_load(&slot->pid) != 0 &&
		    atomic_load(&slot->client) == key)
			n++;
	}
	return n;
}

/* One session; the slot tells the monitor and the other workers of it. */
static void
worker_serve(struct server *s, struct server_conn *c, uint64_t key)
{
	struct server_slot *slot = &s->shared->slot[s->slot];

	atomic_store(&slot->busy, 1);
	atomic_store(&slot->served, 1);
	/* The last free worker became busy: the monitor may want more. */
	if (atomic_fetch_add(&s->shared->busy, 1) + 1 >=
		atomic_load(&s->shared->live) &&
	    !s->single)
		(void)!write(s->wake[1], "b", 1);
	c->count = worker_count_client(s, key);
	c->too_many =
	    s->o->client_limit > 0 && key != 0 && c->count > s->o->client_limit;
	io_stoppable = false;
	s->spec->session(s, c);
	io_stoppable = false;
	if (c->fd_out != c->fd_in && c->fd_out >= 0)
		close(c->fd_out);
	if (c->fd_in >= 0)
		close(c->fd_in);
	atomic_store(&slot->client, 0);
	atomic_store(&slot->busy, 0);
	atomic_fetch_sub(&s->shared->busy, 1);
}

/*
 * No descriptor, no memory: epoll would report the same connection again at
 * once.  One client is sent away, or a second is waited, as long as the monitor
 * is there (THREATS 45).  This counts as a session: who has lost descriptors
 * is replaced after max_use of them.
 */
static void
worker_lacks(struct server *s, const struct listener *l, int error)
{
	struct pollfd p = { s->ask, POLLIN, 0 };

	server_note_lack(s, "accept", error);
	if (!s->spec->patient && (error == EMFILE || error == ENFILE) &&
	    server_refuse(s, l))
		return;
	(void)poll(&p, 1, 1000);
}

static void
worker_accept(struct server *s, const struct listener *l)
{
	struct sockaddr_storage peer = { 0 };
	socklen_t len = sizeof(peer);
	struct server_conn c;
	int fd = accept4(l->fd, (struct sockaddr *)&peer, &len, SOCK_CLOEXEC);

	if (fd < 0) {
		/* Another worker was faster, or the client left. */
		if (errno == EMFILE || errno == ENFILE || errno == ENOMEM ||
		    errno == ENOBUFS)
			worker_lacks(s, l, errno);
		return;
	}
	server_fill_conn(&c, l, fd, &peer);
	worker_serve(s, &c, server_client_key(&peer));
}

static bool
worker_done(const struct server *s, int64_t sessions)
{
	return server_term || atomic_load(&s->shared->stopping) ||
	       atomic_load(&s->shared->generation) != s->generation ||
	       sessions >= s->o->max_use;
}

/* The epoll descriptor, or -1; not closed, the process ends with its loop. */
static int
worker_poll_set(struct server *s)
{
	struct epoll_event ev = { .events = EPOLLIN };
	int ep = epoll_create1(EPOLL_CLOEXEC);

	if (ep < 0)
		return -1;
	/* The monitor's end closes when it stops, reloads or dies. */
	ev.data.u32 = UINT32_MAX;
	if (epoll_ctl(ep, EPOLL_CTL_ADD, s->ask, &ev) != 0)
		return -1;
	for (size_t i = 0; i < s->nlisteners; i++) {
		/* One waiting worker is woken for a connection, not all. */
		ev.events = EPOLLIN | EPOLLEXCLUSIVE;
		ev.data.u32 = (uint32_t)i;
		if (epoll_ctl(ep, EPOLL_CTL_ADD, s->listener[i].fd, &ev) != 0)
			return -1;
	}
	return ep;
}

static void
worker_loop(struct server *s)
{
	int64_t sessions = 0, idle_since = clock_mono();
	int ep = worker_poll_set(s);

	if (ep < 0)
		log_fatal(ST_OSERR, "epoll: %s", strerror(errno));
	while (!worker_done(s, sessions)) {
		struct epoll_event ev;
		int n = epoll_wait(ep, &ev, 1,
				   s->spec->idle != NULL ? 1000 : 10000);

		if (n > 0 && ev.data.u32 == UINT32_MAX)
			break;
		if (n > 0) {
			worker_accept(s, &s->listener[ev.data.u32]);
			sessions++;
			idle_since = clock_mono();
			continue;
		}
		if (n == 0 && s->spec->idle != NULL)
			s->spec->idle(s);
		/* Long idle: a few workers are enough to wait. */
		if (clock_mono() - idle_since > 100000 &&
		    atomic_load(&s->shared->live) > 3)
			break;
	}
}

void
server_worker(struct server *s, int slot, int ask)
{
	struct err e = ERR_INIT;

	s->slot = slot;
	s->ask = ask;
	atomic_store(&s->shared->slot[slot].pid, getpid());
	s->generation = atomic_load(&s->shared->generation);
	server_hup = server_chld = 0;
	/* its own: the monitor's is not given back by closing it here */
	io_close(&s->spare);
	server_spare_take(s);
	if (sandbox_user(s->spec->user, &e) != 0)
		log_fatal(e.status, "%s", e.text);
	sandbox_die_with_parent();
	if (sandbox_enter((enum sandbox_mode)site.sandbox,
			  s->spec->sandbox | SANDBOX_ACCEPT,
			  s->spec->sandbox_paths, &e) != 0)
		log_fatal(e.status, "%s", e.text);
	if (s->spec->after_drop != NULL && s->spec->after_drop(s, &e) != 0)
		log_fatal(e.status, "%s", e.text);
	if (s->single)
		worker_serve(s, &s->conn, 0);
	else
		worker_loop(s);
	exit(0);
}
