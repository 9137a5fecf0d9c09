/*
 * hold.c - see hold.h.
 */
#include "hold.h"

#include "io.h"
#include "log.h"
#include "mem.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#define IN_MEMORY (256 * 1024)
#define WRITE_MS 60000

static int offer_number = -1;

/* In the monitor.  The worker says nothing; it gets a file without a name. */
static int
open_file(void *ctx, struct server *s, struct span request, struct buf *reply,
	  int *fd_r, struct err *e)
{
	const char *const dirs[] = { ctx, "/var/tmp" };

	(void)s;
	(void)request;
	(void)reply;
	for (size_t i = 0; i < ARRAY_LEN(dirs); i++) {
		char *path;

		*fd_r = open(dirs[i], O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
		if (*fd_r >= 0)
			return 0;
		if (errno == ENOSPC || errno == EDQUOT)
			break;
		/* A file system without O_TMPFILE. */
		path = mem_printf("%s/mx-hold.XXXXXX", dirs[i]);
		*fd_r = mkostemp(path, O_CLOEXEC);
		if (*fd_r >= 0)
			(void)unlink(path);
		free(path);
		if (*fd_r >= 0)
			return 0;
	}
	return err_sys(e, "a temporary file for a held message");
}

void
hold_offer(struct server *s, const char *dir)
{
	/* A worker of before SIGHUP still asks with the former directory. */
	offer_number = server_offer(s, open_file, mem_strdup(dir));
}

/* Nothing is opened before there is too much for memory. */
void
hold_init(struct hold *h)
{
	*h = (struct hold){ .mem = BUF_INIT, .fd = -1 };
}

void
hold_free(struct hold *h)
{
	buf_free(&h->mem);
	if (h->fd >= 0)
		(void)io_close(&h->fd);
	hold_init(h);
}

/* Told once a message; the caller answers 452 at its end. */
static bool
failed(struct hold *h, const char *what)
{
	if (!h->failed)
		log_warn("a message cannot be held: %s", what);
	h->failed = true;
	return false;
}

bool
hold_add(struct hold *h, struct server *s, struct span bytes)
{
	struct err e = ERR_INIT;

	if (h->failed)
		return false;
	if (h->fd < 0 && h->mem.n + bytes.n > IN_MEMORY) {
		if (server_ask(s, offer_number, SPAN(""), NULL, &h->fd, &e) !=
			0 ||
		    h->fd < 0)
			return failed(h, e.text);
		if (io_write(h->fd, h->mem.p, h->mem.n,
			     clock_deadline(WRITE_MS)) != IO_OK)
			return failed(h, strerror(errno));
		buf_free(&h->mem);
	}
	if (h->fd < 0)
		buf_addspan(&h->mem, bytes);
	else if (io_write(h->fd, bytes.p, bytes.n, clock_deadline(WRITE_MS)) !=
		 IO_OK)
		return failed(h, strerror(errno));
	h->size += bytes.n;
	return true;
}

bool
hold_read(struct hold *h, uint64_t at, size_t n, struct buf *b)
{
	if (h->failed)
		return false;
	if (at >= h->size)
		return true;
	if (n > h->size - at)
		n = (size_t)(h->size - at);
	if (h->fd < 0) {
		buf_add(b, h->mem.p + at, n);
		return true;
	}
	while (n > 0) {
		ssize_t got = pread(h->fd, buf_room(b, n), n, (off_t)at);

		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			return failed(h, got < 0 ? strerror(errno)
						 : "the file is short");
		buf_grew(b, (size_t)got);
		at += (uint64_t)got;
		n -= (size_t)got;
	}
	return true;
}
