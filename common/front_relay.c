/*
 * front_relay.c - after the login: bytes between the client (under TLS or
 * not) and its session, until either closes.  Nothing is looked at.
 * Layer: mail.
 */
#include "front.h"

#include <errno.h>
#include <malloc.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#define REST_MS 1000
#define CHUNK 65536
#define WRITE_MS (5 * 60 * 1000)
#define READ_MS 1000 /* a TLS record that is not whole yet waits no longer */
#define PENDING_MAX (4 * CHUNK)
#define BACK_MS 10000

struct link {
	struct stream *client;
	int fd;        /* the session */
	bool half;     /* its input is closed */
	int back;      /* it gave up its login: what it did not read; or -1 */
	struct buf to; /* for the session, not yet written */
	bool rested;   /* the auth link was let go of */
};
/* Not on the stack: only the pages that a session's answers fill are had. */
static char answers[CHUNK];

/* What waits for the session, as far as it takes it now. */
static bool
push(struct link *l)
{
	struct span in = stream_buffered(l->client);
	ssize_t n;

	buf_addspan(&l->to, in);
	stream_take(l->client, in.n);
	if (l->to.n == 0 || l->half)
		return true;
	n = send(l->fd, l->to.p, l->to.n, MSG_DONTWAIT | MSG_NOSIGNAL);
	if (n > 0)
		buf_shift(&l->to, (size_t)n);
	return n >= 0 || errno == EAGAIN || errno == EINTR;
}

static void
close_half(struct link *l)
{
	if (!l->half)
		(void)shutdown(l->fd, SHUT_WR);
	l->half = true;
}

/* The session's bytes to the client; false: it is over. */
static bool
pull(struct link *l)
{
	ssize_t n = io_recv_fd(l->fd, answers, sizeof(answers), &l->back);

	if (n < 0 && errno == EAGAIN)
		return true;
	if (n <= 0)
		return false;
	l->client->out_deadline = clock_deadline(WRITE_MS);
	/* the byte that brought the descriptor says nothing */
	stream_write(l->client, answers, (size_t)(l->back < 0 ? n : n - 1));
	return stream_flush(l->client, clock_deadline(WRITE_MS)) == IO_OK &&
	       l->back < 0;
}

static bool
step(struct link *l)
{
	bool read_client = !l->half && l->to.n < PENDING_MAX;
	int n;
	struct pollfd p[2] = {
		{ l->fd,
		  (short)(POLLIN | (l->to.n > 0 && !l->half ? POLLOUT : 0)),
		  0 },
		{ read_client ? l->client->fd_in : -1, POLLIN, 0 },
	};

	/* the session ends at its next safe point, and we behind it */
	if (io_stop)
		close_half(l);
	n = poll(p, 2, l->rested ? 10000 : REST_MS);
	if (n < 0)
		return errno == EINTR;
	/* it will last: whom it needed to log in may go */
	if (n == 0 && !l->rested) {
		front_login_rest();
		l->rested = true;
	}
	if ((p[0].revents & (POLLIN | POLLHUP | POLLERR)) && !pull(l))
		return false;
	if (p[1].revents != 0) {
		enum io_result r =
		    stream_fill(l->client, clock_deadline(READ_MS));

		if (r == IO_EOF || r == IO_ERROR)
			close_half(l);
	}
	return push(l);
}

/*
 * The front is given a descriptor to read from what this session has of the
 * client's next commands; a byte carries it.  It sends no more then, and what
 * was on its way comes back too.
 */
void
front_again(struct stream *st)
{
	struct span rest = stream_buffered(st);
	deadline_t d = clock_deadline(BACK_MS);
	int pair[2];

	if (stream_flush(st, d) != IO_OK ||
	    socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0)
		return;
	if (io_send_fd(st->fd_out, "", 1, pair[1]) == 0) {
		char chunk[4096];
		enum io_result r = io_write(pair[0], rest.p, rest.n, d);
		ssize_t n;

		while (r == IO_OK && io_wait(st->fd_in, false, d) == IO_OK &&
		       (n = read(st->fd_in, chunk, sizeof(chunk))) > 0)
			r = io_write(pair[0], chunk, (size_t)n, d);
	}
	close(pair[0]);
	close(pair[1]);
}

/* The client's next commands, in their order, are the front's to read. */
static bool
take_back(struct link *l)
{
	struct buf rest = BUF_INIT;
	enum io_result r;

	(void)shutdown(l->fd, SHUT_WR);
	r = io_read_all(l->back, &rest, PENDING_MAX, clock_deadline(BACK_MS));
	buf_addspan(&rest, buf_span(&l->to));
	buf_addspan(&rest, stream_buffered(l->client));
	stream_take(l->client, stream_buffered(l->client).n);
	buf_addspan(&l->client->in, buf_span(&rest));
	buf_wipe(&rest);
	return r == IO_OK;
}

bool
front_relay(const struct front *f, const char *stopping)
{
	struct link l = { .client = f->st, .fd = f->fd, .back = -1 };
	bool again = false;

	/* what the handshake and the sandbox's rules took and gave back */
	(void)malloc_trim(0);

	/* what the client sent behind its login */
	if (stream_flush(f->st, clock_deadline(WRITE_MS)) == IO_OK &&
	    push(&l)) {
		while (step(&l))
			;
	}
	if (io_stop) {
		stream_puts(f->st, stopping);
		(void)!stream_flush(f->st, clock_deadline(1000));
	}
	if (l.back >= 0) {
		again = !l.half && !io_stop && take_back(&l);
		io_close(&l.back);
	}
	buf_wipe(&l.to);
	return again;
}
