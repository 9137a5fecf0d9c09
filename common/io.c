/*
 * io.c - reads and writes with deadlines on plain descriptors; see io.h.
 * Layer: sys.
 */
#include "io.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

const char *
io_words(enum io_result r)
{
	switch (r) {
	case IO_OK:
		return "ok";
	case IO_EOF:
		return "connection closed";
	case IO_TIMEOUT:
		return "timeout";
	case IO_TOOLONG:
		return "line too long";
	case IO_ERROR:
		break;
	}
	return strerror(errno);
}

volatile sig_atomic_t io_stop;
bool io_stoppable;

enum io_result
io_wait(int fd, bool for_write, deadline_t d)
{
	struct pollfd p = { fd, for_write ? POLLOUT : POLLIN, 0 };

	for (;;) {
		bool stoppable = io_stoppable && !for_write;
		int left = clock_left(d), n;

		if (stoppable && io_stop)
			return IO_TIMEOUT;
		/* A signal may come just before poll: look once a second. */
		if (stoppable && (left < 0 || left > 1000))
			n = poll(&p, 1, 1000);
		else
			n = poll(&p, 1, left);
		if (n > 0)
			return IO_OK;
		if (n == 0 && clock_left(d) == 0)
			return IO_TIMEOUT;
		if (n < 0 && errno != EINTR)
			return IO_ERROR;
	}
}

/* What a failed read or write means: true to wait and try again. */
static bool
io_again(void)
{
	return errno == EINTR || errno == EAGAIN || errno == EWOULDBLOCK;
}

ssize_t
io_put(int fd, const void *p, size_t n, deadline_t d)
{
	struct stat st;

	if (n > PIPE_BUF && d != DEADLINE_NEVER && fstat(fd, &st) == 0) {
		if (S_ISSOCK(st.st_mode))
			return send(fd, p, n, MSG_DONTWAIT | MSG_NOSIGNAL);
		if (S_ISFIFO(st.st_mode))
			n = PIPE_BUF; /* so much is free, pipe(7) */
	}
	return write(fd, p, n);
}

enum io_result
io_write(int fd, const void *p, size_t n, deadline_t d)
{
	const char *at = p;

	while (n > 0) {
		enum io_result r = io_wait(fd, true, d);
		ssize_t put;

		if (r != IO_OK)
			return r;
		put = io_put(fd, at, n, d);
		if (put < 0 && io_again())
			continue;
		if (put < 0)
			return IO_ERROR;
		at += put;
		n -= (size_t)put;
	}
	return IO_OK;
}

enum io_result
io_read(int fd, void *p, size_t n, deadline_t d)
{
	char *at = p;

	while (n > 0) {
		enum io_result r = io_wait(fd, false, d);
		ssize_t got;

		if (r != IO_OK)
			return r;
		got = read(fd, at, n);
		if (got < 0 && io_again())
			continue;
		if (got < 0)
			return IO_ERROR;
		if (got == 0)
			return IO_EOF;
		at += got;
		n -= (size_t)got;
	}
	return IO_OK;
}

enum io_result
io_read_all(int fd, struct buf *b, size_t max, deadline_t d)
{
	size_t start = b->n;

	for (;;) {
		enum io_result r = io_wait(fd, false, d);
		char *room;
		ssize_t got;

		if (r != IO_OK)
			return r;
		room = buf_room(b, 16384);
		got = read(fd, room, 16384);
		if (got < 0 && io_again())
			continue;
		if (got < 0)
			return IO_ERROR;
		if (got == 0)
			return IO_OK;
		buf_grew(b, (size_t)got);
		if (b->n - start > max)
			return IO_TOOLONG;
	}
}

int
io_read_file(const char *path, struct buf *b, size_t max, struct err *e)
{
	struct stat st;
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	size_t start = b->n;

	if (fd < 0)
		return err_sys(e, "%s", path);
	if (fstat(fd, &st) != 0) {
		err_sys(e, "%s", path);
		goto out;
	}
	if (!S_ISREG(st.st_mode)) {
		err_set(e, 78, "%s: not a regular file", path);
		goto out;
	}
	switch (io_read_all(fd, b, max, DEADLINE_NEVER)) {
	case IO_OK:
		close(fd);
		return 0;
	case IO_TOOLONG:
		err_set(e, 78, "%s: larger than %zu bytes", path, max);
		break;
	default:
		err_sys(e, "%s", path);
	}
out:
	buf_cut(b, start);
	close(fd);
	return -1;
}

int
io_nonblock(int fd, bool on)
{
	int fl = fcntl(fd, F_GETFL);

	if (fl < 0)
		return -1;
	return fcntl(fd, F_SETFL, on ? fl | O_NONBLOCK : fl & ~O_NONBLOCK);
}

int
io_close(int *fd)
{
	int r = 0;

	if (*fd >= 0)
		r = close(*fd);
	*fd = -1;
	return r;
}

int
io_send_fd(int sock, const void *p, size_t n, int fd)
{
	union {
		char bytes[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} control = { { 0 } };
	struct iovec iov;
	struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1 };
	struct cmsghdr *c;
	ssize_t put;

	/* sendmsg does not write through it; the type is not const. */
	memcpy(&iov.iov_base, &p, sizeof(p));
	iov.iov_len = n;
	if (fd >= 0) {
		m.msg_control = control.bytes;
		m.msg_controllen = sizeof(control.bytes);
		c = CMSG_FIRSTHDR(&m);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(c), &fd, sizeof(int));
	}
	do {
		put = sendmsg(sock, &m, MSG_NOSIGNAL);
	} while (put < 0 && errno == EINTR);
	if (put < 0)
		return -1;
	if ((size_t)put != n) {
		errno = EMSGSIZE;
		return -1;
	}
	return 0;
}

ssize_t
io_recv_fd(int sock, void *p, size_t n, int *fd_r)
{
	union {
		char bytes[CMSG_SPACE(4 * sizeof(int))];
		struct cmsghdr align;
	} control;
	struct iovec iov = { p, n };
	struct msghdr m = { .msg_iov = &iov,
			    .msg_iovlen = 1,
			    .msg_control = control.bytes,
			    .msg_controllen = sizeof(control.bytes) };
	ssize_t got;

	*fd_r = -1;
	do {
		got = recvmsg(sock, &m, MSG_CMSG_CLOEXEC);
	} while (got < 0 && errno == EINTR);
	if (got < 0)
		return -1;
	for (struct cmsghdr *c = CMSG_FIRSTHDR(&m); c != NULL;
	     c = CMSG_NXTHDR(&m, c)) {
		size_t count;

		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		count = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		for (size_t i = 0; i < count; i++) {
			int fd;

			memcpy(&fd, CMSG_DATA(c) + i * sizeof(int),
			       sizeof(int));
			/* More than one was not agreed on: do not keep it. */
			if (*fd_r < 0)
				*fd_r = fd;
			else
				close(fd);
		}
	}
	return got;
}
