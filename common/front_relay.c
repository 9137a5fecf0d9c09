/*
 * front_relay.c - after the login: bytes between the client (under TLS or
 * not) and its session, until either closes.  Nothing is looked at.
 * Layer: mail.
 */
#include "front.h"

#include <errno.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#define CHUNK 65536
#define WRITE_MS (5 * 60 * 1000)
#define READ_MS 1000 /* a TLS record that is not whole yet waits no longer */
#define PENDING_MAX (4 * CHUNK)

struct link {
	struct stream *client;
	int fd;        /* the session */
	bool half;     /* its input is closed */
	bool held;     /* a NUL that it sent, and is not passed on yet */
	struct buf to; /* for the session, not yet written */
	char chunk[CHUNK];
};

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
	ssize_t n = read(l->fd, l->chunk, sizeof(l->chunk));

	if (n < 0 && (errno == EINTR || errno == EAGAIN))
		return true;
	if (n <= 0)
		return false;
	l->client->out_deadline = clock_deadline(WRITE_MS);
	if (l->held)
		stream_write(l->client, "", 1);
	l->held = l->chunk[n - 1] == '\0';
	stream_write(l->client, l->chunk, (size_t)(l->held ? n - 1 : n));
	return stream_flush(l->client, clock_deadline(WRITE_MS)) == IO_OK;
}

static bool
step(struct link *l)
{
	/* behind front_again the client speaks to the front */
	bool read_client = !l->half && !l->held && l->to.n < PENDING_MAX;
	struct pollfd p[2] = {
		{ l->fd,
		  (short)(POLLIN | (l->to.n > 0 && !l->half ? POLLOUT : 0)),
		  0 },
		{ read_client ? l->client->fd_in : -1, POLLIN, 0 },
	};

	/* the session ends at its next safe point, and we behind it */
	if (io_stop)
		close_half(l);
	if (poll(p, 2, 10000) < 0)
		return errno == EINTR;
	if ((p[0].revents & (POLLIN | POLLHUP | POLLERR)) && !pull(l))
		return false;
	if (p[1].revents != 0) {
		enum io_result r =
		    stream_fill(l->client, clock_deadline(READ_MS));

		if (r == IO_EOF || r == IO_ERROR)
			close_half(l);
	}
	return l->held || push(l);
}

/* A NUL behind the last reply, which no protocol of ours ends with. */
void
front_again(struct stream *st)
{
	stream_write(st, "", 1);
	(void)!stream_flush(st, clock_deadline(WRITE_MS));
}

bool
front_relay(const struct front *f, const char *stopping)
{
	struct link l = { .client = f->st, .fd = f->fd };
	bool again;

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
	/* what was meant for the session is said to nobody else */
	again = l.held && !l.half && !io_stop && l.to.n == 0;
	buf_wipe(&l.to);
	return again;
}
