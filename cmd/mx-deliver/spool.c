/*
 * spool.c - a message held before it goes on.
 * DESIGN 3.3: memory is bounded whatever the size.
 */
#include "spool.h"
#include "clock.h"
#include "io.h"
#include "site.h"
#include "status.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define MEMORY_MAX (1 << 20)
#define GATHER 65536

void
spool_init(struct spool *s)
{
	*s = (struct spool){ .fd = -1, .out = BUF_INIT };
}

int
spool_adopt(struct spool *s, int fd, struct err *e)
{
	struct stat st;

	spool_free(s);
	s->fd = fd;
	if (fstat(fd, &st) != 0)
		return err_sys(e, "the filtered message");
	s->size = (uint64_t)st.st_size;
	s->on_disk = true;
	return 0;
}

/* From memory to a file without a name. */
static int
to_disk(struct spool *s, struct err *e)
{
	char b[65536];
	off_t at = 0;
	ssize_t n;
	int fd =
	    open(site.queue_directory, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);

	if (fd < 0)
		fd = open("/var/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	if (fd < 0)
		return err_sys(e, "%s: a temporary file", site.queue_directory);
	while ((n = pread(s->fd, b, sizeof(b), at)) > 0) {
		ssize_t done = write(fd, b, (size_t)n);

		if (done != n) {
			if (done >= 0)
				errno = ENOSPC;
			n = -1;
			break;
		}
		at += n;
	}
	/* half a message is none */
	if (n < 0) {
		err_sys(e, "a temporary file");
		close(fd);
		return -1;
	}
	close(s->fd);
	s->fd = fd;
	s->on_disk = true;
	return 0;
}

/* From memory to disk as soon as it is larger than MEMORY_MAX: a worker's
 * memory does not depend on what strangers send. */
static int
put(struct spool *s, const char *p, size_t n, struct err *e)
{
	if (s->fd < 0)
		s->fd = memfd_create("message", MFD_CLOEXEC);
	if (s->fd < 0)
		return err_sys(e, "memory for the message");
	if (!s->on_disk && s->size > MEMORY_MAX && to_disk(s, e) != 0)
		return -1;
	while (n > 0) {
		ssize_t done = write(s->fd, p, n);
		if (done < 0 && errno == EINTR)
			continue;
		if (done <= 0)
			return err_sys(e, "a temporary file");
		p += done;
		n -= (size_t)done;
	}
	return 0;
}

int
spool_write(struct spool *s, const void *p, size_t n, struct err *e)
{
	s->size += n;
	buf_add(&s->out, p, n);
	if (s->out.n < GATHER)
		return 0;
	int r = put(s, s->out.p, s->out.n, e);
	buf_clear(&s->out);
	return r;
}

int
spool_copy(struct spool *s, int fd, uint64_t at, uint64_t size, struct err *e)
{
	char b[65536];

	while (size > 0) {
		ssize_t n =
		    pread(fd, b, size < sizeof(b) ? (size_t)size : sizeof(b),
			  (off_t)at);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? err_sys(e, "reading the message")
				     : err_set(e, ST_TEMPFAIL,
					       "the message ends early");
		if (spool_write(s, b, (size_t)n, e) != 0)
			return -1;
		at += (uint64_t)n;
		size -= (uint64_t)n;
	}
	return 0;
}

/* What is gathered goes out; the next stage reads from the beginning. */
int
spool_rewind(struct spool *s, struct err *e)
{
	if (put(s, s->out.p, s->out.n, e) != 0)
		return -1;
	buf_free(&s->out);
	if (lseek(s->fd, 0, SEEK_SET) != 0)
		return err_sys(e, "a temporary file");
	return 0;
}

void
spool_free(struct spool *s)
{
	if (s->fd >= 0)
		close(s->fd);
	buf_free(&s->out);
	spool_init(s);
}

void
spool_date(struct buf *b)
{
	time_t now = clock_now();
	struct tm tm;
	char when[64];

	gmtime_r(&now, &tm);
	strftime(when, sizeof(when), "%a %b %e %H:%M:%S %Y", &tm);
	buf_addf(b, "%s\n", when);
}
