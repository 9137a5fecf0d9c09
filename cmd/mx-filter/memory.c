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

/* So much of the file's end is read: any number of strangers' messages may make
 * lines, and what they made a user forget is at worst a second reply. */
#define MEMORY_MAX ((off_t)16 << 20)
/* About 11 MB; when there are more lines, the newer half stays. */
#define LINES_MAX 262144u

struct record {
	int64_t expiry;
	size_t line; /* the last one that says so: its number */
};

struct memory {
	char *path;
	int fd;
	struct map *ids; /* hash -> struct record * */
	size_t lines;    /* of the file */
	size_t next;     /* number of the next one we hear of */
	bool torn;       /* the last line has no end */
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
	struct record *v = mem_alloc(1, sizeof(*v));

	*v = (struct record){ expiry, m->next++ };
	m->lines++;
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
		    num_i64(when, 0, INT64_MAX, &expiry))
			remember(m, line, expiry);
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

/* The file, or the end of one that is too large, from a line's begin on. */
static bool
read_end(int fd, struct buf *text)
{
	struct stat st;
	struct span in, half;
	off_t at = 0;

	if (fstat(fd, &st) != 0)
		return false;
	if (st.st_size > MEMORY_MAX)
		at = st.st_size - MEMORY_MAX;
	if (lseek(fd, at, SEEK_SET) != at ||
	    io_read_all(fd, text, (size_t)MEMORY_MAX, DEADLINE_NEVER) != IO_OK)
		return false;
	in = buf_span(text);
	if (at > 0 && span_split(&in, '\n', &half))
		buf_shift(text, text->n - in.n);
	return true;
}

struct memory *
memory_open(const char *path, struct err *e)
{
	struct memory *m = mem_alloc(1, sizeof(*m));
	struct buf text = BUF_INIT;

	m->path = expand(path);
	m->ids = map_new();
	m->fd = open_locked(m->path);
	if (m->fd < 0 || !read_end(m->fd, &text)) {
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
	const struct record *r;

	memory_hash(&h, id);
	r = map_get(m->ids, buf_span(&h));
	buf_free(&h);
	return r != NULL && r->expiry > now;
}

static int
append(int fd, const struct buf *b, const char *path, struct err *e)
{
	if (io_write(fd, b->p, b->n, DEADLINE_NEVER) != IO_OK || fsync(fd) != 0)
		return err_sys(e, "%s", path);
	return 0;
}

struct live {
	struct span id;
	const struct record *r;
};

static int
by_line(const void *a, const void *b)
{
	size_t x = ((const struct live *)a)->r->line;
	size_t y = ((const struct live *)b)->r->line;

	return (x > y) - (x < y);
}

/* The lines of a new file, in the order in which they were said; how many. */
static size_t
live_lines(const struct memory *m, int64_t now, struct buf *b)
{
	size_t i = 0, n = 0, from = 0, cap = 0;
	struct live *v = NULL;
	struct span id;
	void *r;

	while (map_next(m->ids, &i, &id, &r)) {
		if (((const struct record *)r)->expiry <= now)
			continue;
		v = mem_grow(v, &cap, n + 1, sizeof(*v));
		v[n++] = (struct live){ id, r };
	}
	if (n > 0)
		qsort(v, n, sizeof(*v), by_line);
	if (n > LINES_MAX / 2)
		from = n - LINES_MAX / 2;
	for (i = from; i < n; i++)
		buf_addf(b, "%lld %.*s\n", (long long)v[i].r->expiry,
			 SPAN_ARG(v[i].id));
	free(v);
	return n - from;
}

static size_t
count_live(const struct memory *m, int64_t now)
{
	size_t i = 0, n = 0;
	struct span id;
	void *r;

	while (map_next(m->ids, &i, &id, &r))
		n += ((const struct record *)r)->expiry > now;
	return n;
}

/* The new name is to be there after a crash, too: marks to come are in it. */
static void
sync_folder(const char *path)
{
	struct span p = span_of(path);
	ssize_t slash = span_rchr(p, '/');
	char *dir = slash > 0 ? mem_spandup(span_sub(p, 0, (size_t)slash))
			      : mem_strdup(slash == 0 ? "/" : ".");
	int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd >= 0) {
		(void)fsync(fd);
		close(fd);
	}
	free(dir);
}

/* What has not expired, into a new file that takes the old one's place; it is
 * locked before it is seen, and what is marked next goes there. */
static void
compact(struct memory *m, int64_t now)
{
	struct buf b = BUF_INIT, tmp = BUF_INIT;
	struct err e = ERR_INIT;
	size_t n;
	int fd;

	if (m->lines <= LINES_MAX &&
	    (m->lines <= 100 || count_live(m, now) >= m->lines / 2))
		return;
	n = live_lines(m, now, &b);
	buf_addf(&tmp, "%s.new", m->path);
	(void)unlink(buf_str(&tmp));
	fd = open(buf_str(&tmp),
		  O_RDWR | O_APPEND | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW,
		  0600);
	/* Failing costs nothing: the old file is whole. */
	if (fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) == 0 &&
	    append(fd, &b, m->path, &e) == 0 &&
	    rename(buf_str(&tmp), m->path) == 0) {
		int old = m->fd;

		m->fd = fd;
		m->lines = n;
		fd = old;
		sync_folder(m->path);
	}
	if (fd >= 0)
		close(fd);
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
