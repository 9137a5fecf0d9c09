/*
 * msg.c - indexes the header of a message and reads whole messages.
 * Layer: mail.  RFC 5322 2.2, 3.5, 4.5.  One pass; every byte is looked at a
 * fixed number of times, whatever the input.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "io.h"
#include "mem.h"
#include "msg.h"
#include "status.h"

#define DEFAULT_HEADER (1024 * 1024)
#define DEFAULT_LOAD ((size_t)2 << 30)
/* Beyond it a message goes into a file that is mapped: memory that the kernel
 * can take back. */
#define IN_MEMORY (8 * 1024 * 1024)
#define CHUNK 65536

/* Length of the line at s.p with its LF (or up to the end of the input). */
static size_t
line_len(struct span s)
{
	const char *lf = memchr(s.p, '\n', s.n);

	return lf ? (size_t)(lf - s.p) + 1 : s.n;
}

/* RFC 5322 3.6.8 ftext, and 4.5: blanks may stand before the colon.  Returns
 * the colon's index, or -1: no field begins here. */
static ssize_t
field_colon(struct span line, size_t *name_n_r)
{
	size_t i = 0;

	while (i < line.n && line.p[i] > 32 && line.p[i] < 127 &&
	       line.p[i] != ':')
		i++;
	*name_n_r = i;
	while (i < line.n && (line.p[i] == ' ' || line.p[i] == '\t'))
		i++;
	return i < line.n && line.p[i] == ':' && *name_n_r ? (ssize_t)i : -1;
}

/* Without its LF or CRLF. */
static struct span
drop_eol(struct span s)
{
	if (s.n && s.p[s.n - 1] == '\n')
		s.n--;
	if (s.n && s.p[s.n - 1] == '\r')
		s.n--;
	return s;
}

/* Does an empty line begin here? */
static bool
is_blank_line(struct span s)
{
	return s.n && (s.p[0] == '\n' ||
		       (s.n > 1 && s.p[0] == '\r' && s.p[1] == '\n'));
}

size_t
msg_next_field(struct span s, struct msg_field *f)
{
	struct span line = span_sub(s, 0, s.n ? line_len(s) : 0);
	size_t name_n, n = line.n;
	ssize_t colon = field_colon(line, &name_n);

	if (colon < 0)
		return 0;
	while (n < s.n && (s.p[n] == ' ' || s.p[n] == '\t'))
		n += line_len(span_from(s, n));
	f->all = span_sub(s, 0, n);
	f->name = span_sub(s, 0, name_n);
	f->value = drop_eol(span_sub(s, (size_t)colon + 1, n));
	return n;
}

size_t
msg_from_line(struct span s)
{
	size_t n, name_n;

	if (!span_starts(s, SPAN("From ")))
		return 0;
	n = line_len(s);
	return field_colon(span_sub(s, 0, n), &name_n) < 0 ? n : 0;
}

size_t
msg_front(struct span s)
{
	size_t at = 0, mark, n;

	do {
		for (mark = at; mark < s.n && s.p[mark] == '>';)
			mark++;
		n = msg_from_line(span_from(s, mark));
		at = n > 0 ? mark + n : at;
	} while (n > 0);
	return at;
}

void
msg_index(struct msg *m, struct span bytes, size_t max_header)
{
	struct span rest = bytes, from;
	struct msg_field f;
	size_t n, used = 0;

	memset(m, 0, sizeof(*m));
	if (!max_header)
		max_header = DEFAULT_HEADER;
	if (!rest.p)
		rest = SPAN("");
	m->whole = rest;
	n = rest.n ? line_len(rest) : 0;
	m->crlf = n > 1 && rest.p[n - 2] == '\r' && rest.p[n - 1] == '\n';
	rest = span_from(rest, msg_front(rest));
	from = rest;
	while (rest.n && !is_blank_line(rest)) {
		n = msg_next_field(rest, &f);
		if (!n || used + n > max_header)
			break;
		m->v = mem_grow(m->v, &m->cap, m->n + 1, sizeof(*m->v));
		m->v[m->n++] = f;
		used += n;
		rest = span_from(rest, n);
	}
	m->header = span_sub(from, 0, used);
	m->has_blank = is_blank_line(rest);
	m->body = m->has_blank ? span_from(rest, line_len(rest)) : rest;
}

bool
msg_header_cut(const struct msg *m)
{
	struct msg_field f;

	return m->n > 0 && !m->has_blank && msg_next_field(m->body, &f) > 0;
}

void
msg_done(struct msg *m)
{
	free(m->v);
	memset(m, 0, sizeof(*m));
}

const struct msg_field *
msg_find(const struct msg *m, const char *name, size_t i)
{
	struct span want = span_of(name);
	size_t k;

	for (k = 0; k < m->n; k++)
		if (span_ieq(m->v[k].name, want) && i-- == 0)
			return &m->v[k];
	return NULL;
}

const struct msg_field *
msg_next(const struct msg *m, const char *name, const struct msg_field *after)
{
	struct span want = span_of(name);
	size_t k = after != NULL ? (size_t)(after - m->v) + 1 : 0;

	for (; k < m->n; k++)
		if (span_ieq(m->v[k].name, want))
			return &m->v[k];
	return NULL;
}

int
msg_each_header(const struct msg *m, const char *name,
		int (*fn)(void *ctx, const struct msg_field *f), void *ctx)
{
	size_t k;
	int rc;

	for (k = 0; k < m->n; k++) {
		if (name && !span_iis(m->v[k].name, name))
			continue;
		rc = fn(ctx, &m->v[k]);
		if (rc)
			return rc;
	}
	return 0;
}

void
msg_unfold(struct buf *b, struct span value)
{
	struct span s = span_trim(value);
	size_t n, end;

	while (s.n) {
		const char *lf = memchr(s.p, '\n', s.n);

		n = lf ? (size_t)(lf - s.p) : s.n;
		end = lf && n && s.p[n - 1] == '\r' ? n - 1 : n;
		buf_add(b, s.p, end);
		s = span_from(s, lf ? n + 1 : n);
		/* Only a fold may lose its line end; never join words. */
		if (lf && s.n && s.p[0] != ' ' && s.p[0] != '\t')
			buf_addc(b, ' ');
	}
}

/* --- reading ------------------------------------------------------------- */

/* Trouble of this host's, whatever the errno: a stage that ended with 77 for
 * EACCES would have the mail refused for good (DESIGN 3.3). */
static int
host_trouble(struct err *e)
{
	if (e != NULL)
		e->status = ST_TEMPFAIL;
	return -1;
}

/* An unlinked file for reading and writing, or -1. */
static int
temp_file(struct err *e)
{
	const char *dir = "/tmp";
	char path[] = "/tmp/mx-msg.XXXXXX";
	int fd = open(dir, O_TMPFILE | O_RDWR | O_CLOEXEC | O_EXCL, 0600);

	if (fd >= 0)
		return fd;
	fd = mkostemp(path, O_CLOEXEC);
	if (fd < 0) {
		(void)err_sys(e, "cannot make a temporary file in %s", dir);
		return host_trouble(e);
	}
	(void)unlink(path);
	return fd;
}

/* *got 0: the end. */
static int
read_some(int fd, char *p, size_t room, size_t *got, struct err *e)
{
	for (;;) {
		ssize_t r = read(fd, p, room);

		if (r >= 0) {
			*got = (size_t)r;
			return 0;
		}
		if (errno == EAGAIN &&
		    io_wait(fd, false, DEADLINE_NEVER) == IO_OK)
			continue;
		if (errno != EINTR)
			return err_sys(e, "cannot read the message");
	}
}

static int
too_large(struct err *e, size_t limit)
{
	return err_esc(e, ST_DATA, "5.3.4",
		       "the message is larger than %zu bytes", limit);
}

/* What is in mem already, and the rest of fd, into a file that is mapped. */
static int
load_mapped(struct msg_load *l, int fd, int tmp, size_t limit, struct err *e)
{
	size_t total = l->mem.n, got = l->mem.n;
	char *p = l->mem.p;

	do {
		if (io_write(tmp, p, got, DEADLINE_NEVER) != IO_OK)
			return err_sys(e, "cannot write a temporary file");
		if (read_some(fd, p, CHUNK, &got, e) < 0)
			return -1;
		total += got;
		if (total > limit)
			return too_large(e, limit);
	} while (got);
	l->map = mmap(NULL, total, PROT_READ, MAP_PRIVATE, tmp, 0);
	if (l->map == MAP_FAILED) {
		l->map = NULL;
		return err_sys(e, "cannot map a message of %zu bytes", total);
	}
	l->map_len = total;
	l->bytes = span_make(l->map, total);
	buf_free(&l->mem);
	return 0;
}

int
msg_load(struct msg_load *l, int fd, size_t limit, struct err *e)
{
	size_t got = 0;
	int tmp, rc;

	memset(l, 0, sizeof(*l));
	if (!limit)
		limit = DEFAULT_LOAD;
	do {
		char *p = buf_room(&l->mem, CHUNK);

		if (read_some(fd, p, CHUNK, &got, e) < 0)
			goto out;
		buf_grew(&l->mem, got);
		if (l->mem.n > limit) {
			too_large(e, limit);
			goto out;
		}
	} while (got && l->mem.n <= IN_MEMORY);
	if (l->mem.n == 0) {
		err_set(e, ST_DATA,
			"the message is empty: the stage before has failed, "
			"or nothing was given on standard input");
		goto out;
	}
	l->bytes = buf_span(&l->mem);
	if (!got)
		return 0;
	tmp = temp_file(e);
	if (tmp < 0)
		goto out;
	rc = load_mapped(l, fd, tmp, limit, e);
	(void)close(tmp);
	if (rc == 0)
		return 0;
out:
	msg_unload(l);
	return -1;
}

void
msg_unload(struct msg_load *l)
{
	if (l->map)
		(void)munmap(l->map, l->map_len);
	buf_free(&l->mem);
	memset(l, 0, sizeof(*l));
}
