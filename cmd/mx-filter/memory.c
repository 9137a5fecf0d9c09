/*
 * memory.c - see memory.h.  Locked from open to close: two deliveries at once
 * do not both answer.
 */
#include "memory.h"
#include "clock.h"
#include "io.h"
#include "mem.h"
#include "num.h"
#include "status.h"
#include "strs.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define MEMORY_MAX ((size_t)16 << 20)

struct memory {
	char *path;
	int fd;
	struct map *ids; /* hash -> the expiry, as int64_t * */
	size_t lines;
	bool torn; /* the last line has no end */
};

/* 128 bits of two FNV hashes: ids are long, and others' texts. */
void
memory_hash(struct buf *b, const char *id)
{
	uint64_t x = 0xcbf29ce484222325u, y = 0x84222325cbf29ce4u;

	for (; *id != '\0'; id++) {
		x = (x ^ (unsigned char)*id) * 0x100000001b3u;
		y = (y + (unsigned char)*id) * 0x9e3779b97f4a7c15u;
		y ^= y >> 29;
	}
	buf_addf(b, "%016llx%016llx", (unsigned long long)x,
		 (unsigned long long)y);
}

static void
remember(struct memory *m, struct span id, int64_t expiry)
{
	int64_t *v = mem_alloc(1, sizeof(*v));

	*v = expiry;
	free(map_put(m->ids, id, v));
}

static void
parse(struct memory *m, struct span text)
{
	struct span line, when;
	int64_t expiry;

	m->torn = text.n > 0 && text.p[text.n - 1] != '\n';
	while (span_split(&text, '\n', &line)) {
		if (span_split(&line, ' ', &when) && line.n == 32 &&
		    num_i64(when, 0, INT64_MAX, &expiry)) {
			m->lines++;
			remember(m, line, expiry);
		}
	}
}

static char *
expand(const char *path)
{
	const char *home = getenv("HOME");

	if (strncmp(path, "~/", 2) == 0 && home != NULL)
		return mem_printf("%s%s", home, path + 1);
	return mem_strdup(path);
}

/* The file may be renamed over while we wait for its lock. */
static int
open_locked(const char *path)
{
	struct stat a, b;
	int fd;

	for (int i = 0; i < 10; i++) {
		fd = open(path,
			  O_RDWR | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW |
			      O_NONBLOCK | O_NOCTTY,
			  0600);
		if (fd < 0)
			return -1;
		if (flock(fd, LOCK_EX) == 0 && fstat(fd, &a) == 0 &&
		    S_ISREG(a.st_mode) && lstat(path, &b) == 0 &&
		    a.st_ino == b.st_ino && a.st_dev == b.st_dev)
			return fd;
		close(fd);
		errno = EAGAIN;
	}
	return -1;
}

struct memory *
memory_open(const char *path, struct err *e)
{
	struct memory *m = mem_alloc(1, sizeof(*m));
	struct buf text = BUF_INIT;

	m->path = expand(path);
	m->ids = map_new();
	m->fd = open_locked(m->path);
	if (m->fd < 0 ||
	    io_read_all(m->fd, &text, MEMORY_MAX, DEADLINE_NEVER) != IO_OK) {
		err_sys(e, "%s", m->path);
		memory_close(m);
		m = NULL;
	} else {
		parse(m, buf_span(&text));
	}
	buf_free(&text);
	return m;
}

bool
memory_has(const struct memory *m, const char *id, int64_t now)
{
	struct buf h = BUF_INIT;
	const int64_t *expiry;

	memory_hash(&h, id);
	expiry = map_get(m->ids, buf_span(&h));
	buf_free(&h);
	return expiry != NULL && *expiry > now;
}

static int
append(int fd, const struct buf *b, const char *path, struct err *e)
{
	if (io_write(fd, b->p, b->n, DEADLINE_NEVER) != IO_OK || fsync(fd) != 0)
		return err_sys(e, "%s", path);
	return 0;
}

/* What has not expired, into a new file that takes the old one's place. */
static void
compact(struct memory *m, int64_t now)
{
	struct buf b = BUF_INIT, tmp = BUF_INIT;
	struct span id;
	void *v;
	size_t i = 0, live = 0;
	struct err e = ERR_INIT;
	int fd;

	while (map_next(m->ids, &i, &id, &v)) {
		if (*(int64_t *)v <= now)
			continue;
		live++;
		buf_addf(&b, "%lld %.*s\n", (long long)*(int64_t *)v,
			 SPAN_ARG(id));
	}
	if (m->lines > 100 && live < m->lines / 2) {
		buf_addf(&tmp, "%s.new", m->path);
		(void)unlink(buf_str(&tmp));
		fd = open(buf_str(&tmp),
			  O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW,
			  0600);
		/* Failing costs nothing: the old file is whole. */
		if (fd >= 0 && append(fd, &b, m->path, &e) == 0)
			(void)rename(buf_str(&tmp), m->path);
		if (fd >= 0)
			close(fd);
	}
	buf_free(&tmp);
	buf_free(&b);
}

int
memory_mark(struct memory *m, const char *id, int64_t expiry, struct err *e)
{
	struct buf line = BUF_INIT, h = BUF_INIT;
	int r;

	memory_hash(&h, id);
	if (m->torn)
		buf_addc(&line, '\n');
	buf_addf(&line, "%lld %s\n", (long long)expiry, buf_str(&h));
	r = append(m->fd, &line, m->path, e);
	if (r == 0) {
		m->torn = false;
		m->lines++;
		remember(m, buf_span(&h), expiry);
		compact(m, (int64_t)clock_now());
	}
	buf_free(&line);
	buf_free(&h);
	return r;
}

void
memory_close(struct memory *m)
{
	if (m == NULL)
		return;
	if (m->fd >= 0)
		close(m->fd);
	map_free(m->ids, free);
	free(m->path);
	free(m);
}
