/*
 * stream.c - the buffered stream that all line protocols use; see io.h.
 * Layer: sys.
 */
#include "io.h"

#include <errno.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#define STREAM_CHUNK 16384
#define LATE 3
#define LATE_AGAIN 64

/* A peer that never has its answer ready is waited for first: the read that
 * would find nothing is saved.  Now and then it is tried again. */
static bool
wait_first(struct stream *s)
{
	if (s->late < LATE)
		return false;
	if (++s->late < LATE_AGAIN)
		return true;
	s->late = LATE - 1;
	return false;
}

/*
 * Descriptors may be blocking.  Where input is already there or room is free
 * one system call does: try first without waiting, poll only after EAGAIN.
 * A descriptor that is no socket is polled first.
 */
static enum io_result
plain_read(struct stream *s, char *p, size_t n, size_t *got, deadline_t d)
{
	bool first = !wait_first(s);
	enum io_result early = first ? IO_OK : io_wait(s->fd_in, false, d);

	if (early != IO_OK)
		return early;
	for (;;) {
		ssize_t r = recv(s->fd_in, p, n, MSG_DONTWAIT);

		if (first)
			s->late = r < 0 && errno == EAGAIN ? s->late + 1 : 0;
		first = false;
		if (r < 0 && errno == ENOTSOCK) {
			enum io_result w = io_wait(s->fd_in, false, d);

			if (w != IO_OK)
				return w;
			r = read(s->fd_in, p, n);
		}
		if (r > 0) {
			*got = (size_t)r;
			return IO_OK;
		}
		if (r == 0)
			return IO_EOF;
		if (errno == ECONNRESET)
			return IO_EOF;
		if (errno != EINTR && errno != EAGAIN)
			return IO_ERROR;
		enum io_result w = io_wait(s->fd_in, false, d);

		if (w != IO_OK)
			return w;
	}
}

static enum io_result
plain_write(struct stream *s, const char *p, size_t n, size_t *put,
	    deadline_t d)
{
	for (;;) {
		ssize_t r = send(s->fd_out, p, n, MSG_DONTWAIT | MSG_NOSIGNAL);

		if (r < 0 && errno == ENOTSOCK) {
			enum io_result w = io_wait(s->fd_out, true, d);

			if (w != IO_OK)
				return w;
			r = io_put(s->fd_out, p, n, d);
		}
		if (r >= 0) {
			*put = (size_t)r;
			return IO_OK;
		}
		if (errno == EPIPE || errno == ECONNRESET)
			return IO_EOF;
		if (errno != EINTR && errno != EAGAIN)
			return IO_ERROR;
		enum io_result w = io_wait(s->fd_out, true, d);

		if (w != IO_OK)
			return w;
	}
}

/* The descriptors are stream_close's to close. */
static void
plain_close(struct stream *s)
{
	(void)s;
}

static const struct stream_ops plain_ops = { plain_read, plain_write,
					     plain_close };

void
stream_init(struct stream *s, int fd_in, int fd_out)
{
	*s = (struct stream){ .fd_in = fd_in,
			      .fd_out = fd_out,
			      .ops = &plain_ops,
			      .out_limit = 65536,
			      .out_deadline = DEADLINE_NEVER,
			      .out_failed = IO_OK };
}

void
stream_close(struct stream *s)
{
	if (s->ops != NULL)
		s->ops->close(s);
	if (s->fd_out >= 0 && s->fd_out != s->fd_in)
		close(s->fd_out);
	if (s->fd_in >= 0)
		close(s->fd_in);
	s->fd_in = s->fd_out = -1;
	s->layer = NULL;
	s->ops = &plain_ops;
	/* A password may have come this way. */
	buf_wipe(&s->in);
	buf_free(&s->out);
	s->at = 0;
}

struct span
stream_buffered(const struct stream *s)
{
	return span_from(buf_span(&s->in), s->at);
}

void
stream_take(struct stream *s, size_t n)
{
	s->at += n;
	if (s->at >= s->in.n) {
		buf_clear(&s->in);
		s->at = 0;
	}
}

enum io_result
stream_fill(struct stream *s, deadline_t d)
{
	size_t got = 0;
	enum io_result r;
	char *room;

	if (s->at > 0) {
		buf_shift(&s->in, s->at);
		s->at = 0;
	}
	room = buf_room(&s->in, STREAM_CHUNK);
	r = s->ops->read(s, room, STREAM_CHUNK, &got, d);
	if (r == IO_OK)
		buf_grew(&s->in, got);
	return r;
}

enum io_result
stream_line(struct stream *s, size_t max, struct span *line_r, deadline_t d)
{
	size_t seen = 0;

	for (;;) {
		struct span have = stream_buffered(s);
		ssize_t lf = span_chr(span_from(have, seen), '\n');
		enum io_result r;

		if (lf >= 0) {
			size_t n = seen + (size_t)lf;

			if (n + 1 > max)
				return IO_TOOLONG;
			*line_r = span_sub(have, 0, n);
			/* The bytes stay in the buffer until the next read. */
			s->at += n + 1;
			return IO_OK;
		}
		if (have.n >= max)
			return IO_TOOLONG;
		seen = have.n;
		r = stream_fill(s, d);
		if (r != IO_OK)
			return r;
	}
}

/* In constant memory, however long the line is (THREATS 7). */
enum io_result
stream_skip_line(struct stream *s, size_t max, deadline_t d)
{
	size_t skipped = 0;

	for (;;) {
		struct span have = stream_buffered(s);
		ssize_t lf = span_chr(have, '\n');
		enum io_result r;

		if (lf >= 0) {
			stream_take(s, (size_t)lf + 1);
			return IO_OK;
		}
		skipped += have.n;
		stream_take(s, have.n);
		if (skipped > max)
			return IO_TOOLONG;
		r = stream_fill(s, d);
		if (r != IO_OK)
			return r;
	}
}

enum io_result
stream_read(struct stream *s, struct buf *b, size_t n, deadline_t d)
{
	while (n > 0) {
		struct span have = stream_buffered(s);
		size_t now = have.n < n ? have.n : n;
		enum io_result r;

		if (now > 0) {
			buf_add(b, have.p, now);
			stream_take(s, now);
			n -= now;
			continue;
		}
		r = stream_fill(s, d);
		if (r != IO_OK)
			return r;
	}
	return IO_OK;
}

bool
stream_ready(struct stream *s)
{
	struct pollfd p = { s->fd_in, POLLIN, 0 };

	return stream_buffered(s).n > 0 || poll(&p, 1, 0) > 0;
}

void
stream_write(struct stream *s, const void *p, size_t n)
{
	buf_add(&s->out, p, n);
	if (s->out.n > s->out_limit) {
		enum io_result r = stream_flush(s, s->out_deadline);

		if (r != IO_OK)
			s->out_failed = r;
	}
}

void
stream_puts(struct stream *s, const char *cstr)
{
	stream_write(s, cstr, strlen(cstr));
}

void
stream_num(struct stream *s, uint64_t n)
{
	char digits[20];
	size_t at = sizeof(digits);

	do
		digits[--at] = (char)('0' + n % 10);
	while ((n /= 10) > 0);
	stream_write(s, digits + at, sizeof(digits) - at);
}

void
stream_printf(struct stream *s, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	buf_vaddf(&s->out, fmt, ap);
	va_end(ap);
	stream_write(s, "", 0);
}

enum io_result
stream_flush(struct stream *s, deadline_t d)
{
	size_t at = 0;

	while (s->out_failed == IO_OK && at < s->out.n) {
		size_t put = 0;
		enum io_result r =
		    s->ops->write(s, s->out.p + at, s->out.n - at, &put, d);

		if (r != IO_OK)
			s->out_failed = r;
		at += put;
	}
	buf_clear(&s->out);
	return s->out_failed;
}
