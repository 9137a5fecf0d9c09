/*
 * io.h - reads and writes with deadlines, and the buffered stream that all
 * line protocols use.
 * Layer: sys.  Operation pointers let TLS slip under a stream unseen (tls.h).
 * Descriptors are used as they are, blocking or not: poll(2) comes first.
 */
#ifndef MX_IO_H
#define MX_IO_H

#include "buf.h"
#include "clock.h"
#include "err.h"
#include <signal.h>

enum io_result {
	IO_OK,
	IO_EOF,     /* the peer closed (for TLS: with or without notify) */
	IO_TIMEOUT, /* the deadline passed */
	IO_ERROR,   /* errno says why */
	IO_TOOLONG  /* stream_line: no LF within max bytes */
};
/* "connection closed", "timeout", strerror ... */
const char *io_words(enum io_result r);

struct stream;
/* One read or write that may be short; must honour the deadline. */
struct stream_ops {
	enum io_result (*read)(struct stream *, char *, size_t, size_t *got,
			       deadline_t);
	enum io_result (*write)(struct stream *, const char *, size_t,
				size_t *put, deadline_t);
	void (*close)(struct stream *); /* frees ->layer; not the fds */
};

struct stream {
	int fd_in, fd_out; /* may be the same */
	const struct stream_ops *ops;
	void *layer;   /* TLS state, or NULL */
	struct buf in; /* bytes read, from `at` on not yet taken */
	size_t at;
	struct buf out; /* bytes to write */
	size_t
	    out_limit; /* stream_write flushes by itself beyond this; 64 KB */
	deadline_t out_deadline;   /* used by that flush; set before writing */
	enum io_result out_failed; /* first failure of a flush; sticky */
	unsigned late; /* reads in a row that found nothing at first */
};

void stream_init(struct stream *s, int fd_in, int fd_out);
/* Closes layer and descriptors, frees the buffers. */
void stream_close(struct stream *s);

/* Bytes that are buffered and not yet taken. */
struct span stream_buffered(const struct stream *s);
/* Drop n of them. */
void stream_take(struct stream *s, size_t n);
/* Reads once more into the buffer (IO_OK: at least one byte came). */
enum io_result stream_fill(struct stream *s, deadline_t d) MX_MUST_CHECK;
/*
 * The next line without its LF (a CR before it stays: the protocol decides),
 * at most max bytes with LF.  The span lives until the next read.
 * IO_TOOLONG takes nothing: see stream_skip_line.
 */
enum io_result stream_line(struct stream *s, size_t max, struct span *line_r,
			   deadline_t d) MX_MUST_CHECK;
/* Discards up to and including the next LF, at most max bytes. */
enum io_result stream_skip_line(struct stream *s, size_t max,
				deadline_t d) MX_MUST_CHECK;
/* Exactly n bytes appended to b. */
enum io_result stream_read(struct stream *s, struct buf *b, size_t n,
			   deadline_t d) MX_MUST_CHECK;
/* Is there input that could be read without waiting (buffered or in fd)? */
bool stream_ready(struct stream *s);

/* Buffered; a failed flush is remembered and told by the next stream_flush. */
void stream_write(struct stream *s, const void *p, size_t n);
void stream_puts(struct stream *s, const char *cstr);
/* In decimal: for answers of a hundred thousand lines. */
void stream_num(struct stream *s, uint64_t n);
void stream_printf(struct stream *s, const char *fmt, ...) MX_PRINTF(2, 3);
enum io_result stream_flush(struct stream *s, deadline_t d) MX_MUST_CHECK;

/* A session that waits at a safe point (before a command) sets io_stoppable;
 * then SIGTERM, which sets io_stop, ends a waiting read with IO_TIMEOUT. */
extern volatile sig_atomic_t io_stop;
extern bool io_stoppable;

/* One write(2) after io_wait(fd, true, d): it takes no more than can be taken
 * at once, for on a blocking descriptor the kernel would else sleep until all
 * of it is gone, whatever the deadline.  Bytes taken, or -1 and errno. */
ssize_t io_put(int fd, const void *p, size_t n, deadline_t d) MX_MUST_CHECK;
/* Plain descriptors.  All of n bytes, or not IO_OK. */
enum io_result io_write(int fd, const void *p, size_t n,
			deadline_t d) MX_MUST_CHECK;
enum io_result io_read(int fd, void *p, size_t n, deadline_t d) MX_MUST_CHECK;
/* Everything until end of file, at most max bytes (more: IO_TOOLONG). */
enum io_result io_read_all(int fd, struct buf *b, size_t max,
			   deadline_t d) MX_MUST_CHECK;
/* A whole regular file; -1 and err on failure.  O_CLOEXEC, no FIFO. */
int io_read_file(const char *path, struct buf *b, size_t max,
		 struct err *e) MX_MUST_CHECK;
/* Waits until fd is readable (writable).  IO_OK, IO_TIMEOUT or IO_ERROR. */
enum io_result io_wait(int fd, bool for_write, deadline_t d) MX_MUST_CHECK;
int io_nonblock(int fd, bool on);
/* close(2) that tells about failure: -1 and errno. */
int io_close(int *fd); /* sets *fd to -1 */
/* A descriptor over a unix socket, with bytes; -1 and errno on failure. */
int io_send_fd(int sock, const void *p, size_t n, int fd) MX_MUST_CHECK;
ssize_t io_recv_fd(int sock, void *p, size_t n, int *fd_r) MX_MUST_CHECK;

#endif
