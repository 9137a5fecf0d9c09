/*
 * metadata.c - see metadata.h.
 * Layer: mail.  RFC 5464; RFC 6154.
 */
#include "metadata.h"
#include "dotlock.h"
#include "mailbox_name.h"
#include "maildir_root.h"
#include "mem.h"
#include "num.h"
#include "status.h"

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#define LOCK_MS 30000

void
metadata_free(struct metadata *m)
{
	for (size_t i = 0; i < m->n; i++) {
		free(m->v[i].name);
		buf_free(&m->v[i].value);
	}
	free(m->v);
	*m = (struct metadata){ NULL, 0, 0 };
}

struct metadata_entry *
metadata_add(struct metadata *m, struct span name)
{
	struct metadata_entry *x;

	m->v = mem_grow(m->v, &m->cap, m->n + 1, sizeof(*m->v));
	x = &m->v[m->n++];
	*x = (struct metadata_entry){ .name = mem_spandup(name) };
	for (char *p = x->name; *p != '\0'; p++)
		*p = ascii_tolower(*p);
	return x;
}

static struct metadata_entry *
find(const struct metadata *m, struct span name)
{
	for (size_t i = 0; i < m->n; i++)
		if (span_iis(name, m->v[i].name))
			return &m->v[i];
	return NULL;
}

const struct metadata_entry *
metadata_find(const struct metadata *m, struct span name)
{
	return find(m, name);
}

bool
metadata_name_ok(struct span name)
{
	int slashes = 0;

	if (name.n > 1000 || (!span_istarts(name, SPAN("/private/")) &&
			      !span_istarts(name, SPAN("/shared/"))))
		return false;
	for (size_t i = 0; i < name.n; i++) {
		unsigned char c = (unsigned char)name.p[i];

		if (c <= 0x20 || c >= 0x7f || c == '*' || c == '%')
			return false;
		if (c == '/' && (i + 1 == name.n || name.p[i + 1] == '/'))
			return false;
		slashes += c == '/';
	}
	return slashes <= 20;
}

static void
unescape(struct buf *b, struct span s)
{
	/* an empty value is one, too */
	(void)buf_room(b, 1);
	for (size_t i = 0; i < s.n; i++) {
		uint64_t c;

		if (s.p[i] == '%' &&
		    num_hex(span_sub(s, i + 1, i + 3), 255, &c)) {
			buf_addc(b, (char)c);
			i += 2;
		} else {
			buf_addc(b, s.p[i]);
		}
	}
}

static void
escape(struct buf *b, struct span s)
{
	for (size_t i = 0; i < s.n; i++) {
		unsigned char c = (unsigned char)s.p[i];

		if (c < 0x20 || c == 0x7f || c == '%')
			buf_addf(b, "%%%02x", c);
		else
			buf_addc(b, s.p[i]);
	}
}

void
metadata_parse(struct metadata *m, struct span bytes)
{
	struct span line;

	while (m->n < METADATA_ENTRIES_MAX && span_split(&bytes, '\n', &line)) {
		ssize_t tab = span_chr(line, '\t');
		struct span name;

		if (tab < 0)
			continue;
		name = span_sub(line, 0, (size_t)tab);
		if (metadata_name_ok(name) && find(m, name) == NULL)
			unescape(&metadata_add(m, name)->value,
				 span_from(line, (size_t)tab + 1));
	}
}

int
metadata_read(struct metadata *m, int dirfd, const char *file, struct err *e)
{
	struct buf b = BUF_INIT;
	int r;

	*m = (struct metadata){ NULL, 0, 0 };
	r = dotlock_read(dirfd, file, &b, e);
	if (r == 0)
		metadata_parse(m, buf_span(&b));
	buf_free(&b);
	return r;
}

static int
merge(struct metadata *m, const struct metadata *news, struct buf *out,
      struct err *e)
{
	size_t n = 0;

	for (size_t i = 0; i < news->n; i++) {
		struct span name = span_of(news->v[i].name);
		struct metadata_entry *x = find(m, name);

		if (x == NULL && news->v[i].value.p == NULL)
			continue;
		if (x == NULL)
			x = metadata_add(m, name);
		buf_free(&x->value);
		if (news->v[i].value.p != NULL) {
			(void)buf_room(&x->value, 1);
			buf_addspan(&x->value, buf_span(&news->v[i].value));
		}
	}
	for (size_t i = 0; i < m->n; i++) {
		if (m->v[i].value.p == NULL)
			continue;
		n++;
		buf_addf(out, "%s\t", m->v[i].name);
		escape(out, buf_span(&m->v[i].value));
		buf_addc(out, '\n');
	}
	if (n > METADATA_ENTRIES_MAX || out->n > ((size_t)4 << 20) - 1)
		return err_set(e, ST_NOINPUT, "too many annotations");
	return 0;
}

int
metadata_change(int dirfd, const char *file, const struct metadata *news,
		struct err *e)
{
	struct metadata m;
	struct dotlock lock;
	struct buf out = BUF_INIT;
	int r;

	if (dotlock_take(&lock, dirfd, file, clock_deadline(LOCK_MS), e) != 0)
		return -1;
	r = metadata_read(&m, dirfd, file, e);
	if (r == 0)
		r = merge(&m, news, &out, e);
	if (r == 0)
		r = dotlock_replace(&lock, file, buf_span(&out), e);
	dotlock_drop(&lock);
	metadata_free(&m);
	buf_free(&out);
	return r;
}

/* Most mailboxes have no such file: one call tells. */
static void
given_use(struct buf *b, int root, struct span mailbox)
{
	struct metadata m;
	struct err e = ERR_INIT;
	const struct metadata_entry *x;
	struct buf path = BUF_INIT;
	int fd;

	mailbox_name_folder(&path, mailbox);
	buf_adds(&path, "/" METADATA_FILE);
	if (faccessat(root, buf_str(&path), R_OK, 0) == 0 &&
	    (fd = mailbox_name_open(root, mailbox)) >= 0) {
		if (metadata_read(&m, fd, METADATA_FILE, &e) == 0) {
			x = metadata_find(&m, SPAN("/private/specialuse"));
			if (x != NULL)
				buf_addspan(b, buf_span(&x->value));
			metadata_free(&m);
		}
		close(fd);
	}
	buf_free(&path);
}

void
metadata_use(struct buf *b, int root, struct span mailbox)
{
	const char *word = maildir_root_use(mailbox);
	size_t was = b->n;

	given_use(b, root, mailbox);
	if (b->n == was && word != NULL)
		buf_adds(b, word);
}
