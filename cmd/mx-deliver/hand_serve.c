/*
 * hand_serve.c - the process that became a user: serves requests of one
 * client until the socket closes.  It has the user's rights and no others.
 */
#include "hand.h"
#include "hand_wire.h"
#include "io.h"
#include "mem.h"
#include "status.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

struct served {
	struct handwork work;
	int fd_out;     /* passed with the answer */
	bool close_out; /* and closed here after that */
};

/* The descriptor of the new file goes to the client, which writes the message
 * itself: no byte of it passes this process. */
static int
serve_open(struct served *s, struct span q, struct buf *a, struct err *e)
{
	char *path = NULL, *sieve = NULL, *user = NULL, *home = NULL;
	struct quota quota;
	uint64_t sync;
	bool script = false;
	int r = -1;

	if (!wire_get_str(&q, &path) || path == NULL ||
	    !wire_get_u64(&q, &sync) || sync > DEPOSIT_BOTH ||
	    !wire_get_str(&q, &sieve) || !wire_get_u64(&q, &quota.bytes) ||
	    !wire_get_u64(&q, &quota.count) || !wire_get_str(&q, &user) ||
	    !wire_get_u64(&q, &quota.file) || !wire_get_str(&q, &home))
		err_set(e, ST_PROTOCOL, "malformed request");
	else
		r = handwork_open(&s->work, path, (enum deposit_sync)sync,
				  sieve, &script, e);
	if (r == 0) {
		s->fd_out = s->work.d.fd;
		wire_put_u64(a, script);
		handwork_quota(&s->work, &quota, user, home);
	}
	free(user);
	free(home);
	free(path);
	free(sieve);
	return r;
}

/* A request to open the next file may stand behind: its verdict follows. */
static void
serve_next(struct served *s, struct span q, struct buf *a)
{
	struct buf values = BUF_INIT;
	struct err e = ERR_INIT;
	uint64_t op;
	int r = wire_get_u64(&q, &op) && op == HAND_OPEN
		    ? serve_open(s, q, &values, &e)
		    : err_set(&e, ST_PROTOCOL, "malformed request");

	wire_put_verdict(a, r, &e);
	buf_addspan(a, buf_span(&values));
	buf_free(&values);
}

static int
serve_commit(struct served *s, struct span q, struct buf *a, struct err *e)
{
	struct places p = { NULL, 0, 0 };
	uint64_t size, vsize;
	int r;

	if (!wire_get_u64(&q, &size) || !wire_get_u64(&q, &vsize) ||
	    !wire_get_places(&q, &p))
		r = err_set(e, ST_PROTOCOL, "malformed request");
	else
		r = handwork_commit(&s->work, size, vsize, &p, e);
	places_free(&p);
	if (r == 0 && q.n > 0)
		serve_next(s, q, a);
	return r;
}

static int
serve_mbox(struct span q, int fd, struct err *e)
{
	char *path = NULL, *sender = NULL;
	struct span head;
	uint64_t at, size, limit;
	int r = -1;

	if (!wire_get_str(&q, &path) || path == NULL ||
	    !wire_get_str(&q, &sender) || !wire_get_span(&q, &head) ||
	    !wire_get_u64(&q, &at) || !wire_get_u64(&q, &size) ||
	    !wire_get_u64(&q, &limit) || fd < 0)
		err_set(e, ST_PROTOCOL, "malformed request");
	else
		r = handwork_mbox(path, sender, head, fd, at, size, limit, e);
	free(path);
	free(sender);
	return r;
}

static int
serve_run(struct span q, int fd, struct buf *a, struct err *e)
{
	struct command c = { .argv = STRS_INIT, .env = STRS_INIT };
	struct command_result res = { .out = BUF_INIT, .errs = BUF_INIT };
	char *dir = NULL;
	uint64_t ms;
	int r = -1;

	if (!wire_get_strs(&q, &c.argv) || c.argv.n == 0 ||
	    !wire_get_strs(&q, &c.env) || !wire_get_str(&q, &dir) ||
	    !wire_get_u64(&q, &ms) || ms > INT64_MAX) {
		err_set(e, ST_PROTOCOL, "malformed request");
	} else {
		c.dir = dir;
		c.limit_ms = (int64_t)ms;
		r = handwork_run(&c, fd, &res, e);
	}
	if (r == 0) {
		wire_put_u64(a, (uint64_t)res.status);
		wire_put_span(a, buf_span(&res.out));
		wire_put_span(a, buf_span(&res.errs));
	}
	strs_free(&c.argv);
	strs_free(&c.env);
	buf_free(&res.out);
	buf_free(&res.errs);
	free(dir);
	return r;
}

static int
serve_pipe(struct served *s, struct span q, int fd, struct buf *a,
	   struct err *e)
{
	struct pipeline p = { .env = STRS_INIT };
	struct pipeline_result res = { .fd_out = -1 };
	uint64_t n, ms = 0;
	bool ok = wire_get_u64(&q, &n) && n > 0 && n <= 32;
	int r = -1;

	p.argv = mem_alloc(ok ? (size_t)n : 1, sizeof(*p.argv));
	for (; ok && p.n < n; p.n++)
		ok = wire_get_strs(&q, &p.argv[p.n]) && p.argv[p.n].n > 0;
	ok = ok && wire_get_strs(&q, &p.env) && wire_get_u64(&q, &ms) &&
	     ms <= INT64_MAX;
	if (!ok) {
		err_set(e, ST_PROTOCOL, "malformed request");
	} else {
		p.limit_ms = (int64_t)ms;
		r = handwork_pipe(&p, fd, &res, e);
	}
	if (r == 0) {
		wire_put_u64(a, (uint64_t)res.bad + 1);
		wire_put_u64(a, (uint64_t)res.status);
		wire_put_span(a, buf_span(&res.errs));
		wire_put_span(a, buf_span(&res.actions));
		s->fd_out = res.fd_out;
		s->close_out = true;
	}
	for (size_t i = 0; i < p.n; i++)
		strs_free(&p.argv[i]);
	free(p.argv);
	strs_free(&p.env);
	buf_free(&res.errs);
	buf_free(&res.actions);
	return r;
}

static int
serve_forward(struct span q, struct buf *a, struct err *e)
{
	struct buf b = BUF_INIT;
	char *path = NULL;
	uint64_t own;
	int r = -1;

	if (!wire_get_str(&q, &path) || path == NULL || !wire_get_u64(&q, &own))
		err_set(e, ST_PROTOCOL, "malformed request");
	else
		r = handwork_forward(path, own != 0, &b, e);
	if (r >= 0) {
		wire_put_u64(a, (uint64_t)r);
		wire_put_span(a, buf_span(&b));
	}
	buf_free(&b);
	free(path);
	return r < 0 ? -1 : 0;
}

static int
serve_quota(struct span q, struct buf *a, struct err *e)
{
	enum quota_room room = QUOTA_FITS;
	struct quota quota = { 0 };
	char *path = NULL;
	uint64_t size;
	int r = -1;

	if (!wire_get_str(&q, &path) || path == NULL ||
	    !wire_get_u64(&q, &quota.bytes) ||
	    !wire_get_u64(&q, &quota.count) || !wire_get_u64(&q, &size))
		err_set(e, ST_PROTOCOL, "malformed request");
	else
		r = handwork_room(path, &quota, size, &room, e);
	if (r == 0)
		wire_put_u64(a, room);
	free(path);
	return r;
}

/* Requests are numbers and counted strings; anything else is refused and the
 * next one is read: one bad request ends nobody else's delivery. */
static int
serve_one(struct served *s, struct span q, int fd, struct buf *a, struct err *e)
{
	uint64_t op;

	if (!wire_get_u64(&q, &op))
		return err_set(e, ST_PROTOCOL, "malformed request");
	switch (op) {
	case HAND_OPEN:
		return serve_open(s, q, a, e);
	case HAND_COMMIT:
		return serve_commit(s, q, a, e);
	case HAND_ABORT:
		handwork_abort(&s->work);
		return 0;
	case HAND_MANY:
		return hand_serve_many(&s->work, q, a, e);
	case HAND_MBOX:
		return serve_mbox(q, fd, e);
	case HAND_RUN:
		return serve_run(q, fd, a, e);
	case HAND_FORWARD:
		return serve_forward(q, a, e);
	case HAND_QUOTA:
		return serve_quota(q, a, e);
	case HAND_PIPE:
		return serve_pipe(s, q, fd, a, e);
	default:
		return err_set(e, ST_PROTOCOL, "unknown request");
	}
}

void
hand_serve(int sock)
{
	static char in[HAND_MAX];
	struct served s = { .fd_out = -1 };

	handwork_init(&s.work);
	for (;;) {
		struct buf values = BUF_INIT, answer = BUF_INIT;
		struct err e = ERR_INIT;
		int fd = -1;
		ssize_t n = io_recv_fd(sock, in, sizeof(in), &fd);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			break;
		s.fd_out = -1;
		s.close_out = false;
		int r =
		    serve_one(&s, span_make(in, (size_t)n), fd, &values, &e);
		wire_put_verdict(&answer, r, &e);
		buf_addspan(&answer, buf_span(&values));
		r = io_send_fd(sock, answer.p, answer.n, s.fd_out);
		if (s.close_out)
			close(s.fd_out);
		buf_free(&answer);
		buf_free(&values);
		if (fd >= 0)
			close(fd);
		if (r != 0)
			break;
	}
	/* the client is gone: what it did not commit never was */
	handwork_done(&s.work);
}

void
hand_refuse(int fd, const struct err *e)
{
	struct buf answer = BUF_INIT;
	char in[64];
	int stray = -1;

	/* the first request gets it */
	if (io_recv_fd(fd, in, sizeof(in), &stray) > 0) {
		wire_put_verdict(&answer, -1, e);
		(void)!io_send_fd(fd, answer.p, answer.n, -1);
	}
	if (stray >= 0)
		close(stray);
	buf_free(&answer);
}
