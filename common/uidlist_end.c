/*
 * uidlist_end.c - work on the end of dovecot-uidlist alone: a message that
 * comes to a mailbox of a million costs a line, not a million.
 * Layer: mail.  Dovecot appends under the same lock in the same way; its
 * readers take a line when its LF is there.
 */
#include "uidlist_int.h"
#include "io.h"
#include "log.h"
#include "num.h"

#include <fcntl.h>
#include <unistd.h>

/* So much of the end is read: some 800 lines.  Who needs a UID below them
 * reads the whole list. */
#define TAIL_READ 65536

/* On failure the caller cuts the file back: half a line would be taken for
 * damage, and the next one be joined to it. */
static int
add_durably(int fd, struct span lines, struct err *e)
{
	if (io_write(fd, lines.p, lines.n, DEADLINE_NEVER) != IO_OK ||
	    fdatasync(fd) != 0)
		return err_sys(e, "%s: writing", UIDLIST_NAME);
	return 0;
}

int
uidlist_append(struct uidlist *u, int dirfd, size_t from, struct err *e)
{
	int fd = openat(dirfd, UIDLIST_NAME,
			O_RDWR | O_APPEND | O_CLOEXEC | O_NOFOLLOW);
	struct buf b = BUF_INIT;
	struct stat st;
	int r = 1;

	if (fd >= 0 && fstat(fd, &st) == 0 && uidlist_same_file(u, &st) &&
	    u->file.tail[UIDLIST_TAIL - 1] == '\n') {
		for (size_t i = from; i < u->n; i++)
			uidlist_put_line(
			    &b, u->v[i].uid,
			    span_make(u->text.p + u->v[i].ext, u->v[i].ext_n),
			    uidlist_base(u, i));
		r = add_durably(fd, buf_span(&b), e);
		if (r != 0 && ftruncate(fd, st.st_size) != 0)
			log_warn("%s: a torn line stays", UIDLIST_NAME);
		if (r == 0 && fstat(fd, &st) == 0) {
			buf_insert(&b, 0,
				   span_make(u->file.tail, UIDLIST_TAIL));
			uidlist_remember(u, &st, buf_span(&b));
		}
	}
	if (fd >= 0)
		close(fd);
	buf_free(&b);
	return r;
}

/* The head and the end of a list. */
struct ends {
	struct uidlist head; /* facts of its header */
	struct buf tail;     /* whole lines */
	bool whole;          /* the tail begins behind the header */
	uint32_t next;
};

static void
ends_free(struct ends *x)
{
	buf_free(&x->head.guid);
	buf_free(&x->tail);
}

/* The UID a line begins with; false when it is none. */
static bool
line_uid(struct span line, uint32_t *uid_r)
{
	uint64_t uid;
	size_t used;

	if (!num_prefix(line, UINT32_MAX - 1, &uid, &used) || uid == 0)
		return false;
	*uid_r = (uint32_t)uid;
	return true;
}

/* False: no list, or one that must be read as a whole. */
static bool
read_ends(struct ends *x, int fd)
{
	char head[512];
	struct stat st;
	ssize_t n = pread(fd, head, sizeof(head), 0), lf;
	size_t from, want;
	uint32_t uid;
	bool ok;

	*x = (struct ends){ .whole = false };
	if (n <= 0 || fstat(fd, &st) != 0)
		return false;
	lf = span_chr(span_make(head, (size_t)n), '\n');
	if (lf < 2 || head[0] != '3' ||
	    !uidlist_parse_header(&x->head, span_make(head, (size_t)lf)))
		return false;
	from = (size_t)lf + 1;
	if ((size_t)st.st_size - from > TAIL_READ)
		from = (size_t)st.st_size - TAIL_READ;
	x->whole = from == (size_t)lf + 1;
	want = (size_t)st.st_size - from;
	if (want > 0) {
		n = pread(fd, buf_room(&x->tail, want), want, (off_t)from);
		if (n != (ssize_t)want)
			return false;
		buf_grew(&x->tail, want);
		/* one that a crash cut off: the whole list is read, and
		 * written anew without it */
		if (x->tail.p[want - 1] != '\n')
			return false;
	}
	if (!x->whole) { /* it begins somewhere in a line */
		lf = span_chr(buf_span(&x->tail), '\n');
		buf_shift(&x->tail, (size_t)lf + 1);
	}
	/* the last line is newer than the header: see uidlist.c */
	x->next = x->head.uidnext;
	ok = true;
	if (x->tail.n > 0) {
		struct span all =
		    span_sub(buf_span(&x->tail), 0, x->tail.n - 1);

		ok = line_uid(
		    span_from(all, (size_t)(span_rchr(all, '\n') + 1)), &uid);
		if (ok && uid >= x->next)
			x->next = uid + 1;
	}
	return ok && (x->whole || x->tail.n > 0);
}

uint32_t
uidlist_peek(int dirfd)
{
	int fd = openat(dirfd, UIDLIST_NAME,
			O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	struct ends x;
	uint32_t next = 0;

	if (fd < 0)
		return 0;
	if (read_ends(&x, fd))
		next = x.next;
	ends_free(&x);
	close(fd);
	return next;
}

/* The base name of a line: behind its first ":" that ends the extensions. */
static struct span
line_base(struct span line)
{
	ssize_t at = span_chr(line, ' ');
	struct maildir_name m;

	line = span_from(line, (size_t)(at + 1));
	if (line.n == 0 || line.p[0] != ':') {
		at = span_find(line, SPAN(" :"));
		line = at < 0 ? line : span_from(line, (size_t)at + 1);
	}
	if (line.n > 0 && line.p[0] == ':')
		line = span_from(line, 1);
	maildir_name_parse(&m, line);
	return m.base;
}

/* Looks through the lines whose UID is at least `since`, from the end; false
 * when they begin before what was read. */
static bool
find_since(const struct ends *x, const struct strs *bases, uint32_t since,
	   uint32_t *uids_r)
{
	struct span rest = buf_span(&x->tail);
	uint32_t uid;

	while (rest.n > 0) {
		ssize_t lf = span_rchr(span_sub(rest, 0, rest.n - 1), '\n');
		struct span line = span_sub(rest, (size_t)(lf + 1), rest.n - 1);
		struct span base;

		if (!line_uid(line, &uid))
			return false;
		if (uid < since)
			return true;
		base = line_base(line);
		for (size_t i = 0; i < bases->n; i++)
			if (span_is(base, bases->v[i]))
				uids_r[i] = uid;
		rest = span_sub(rest, 0, (size_t)(lf + 1));
	}
	return x->whole;
}

int
uidlist_quick_add(int dirfd, const struct strs *bases, uint32_t since,
		  uint32_t *uidvalidity_r, uint32_t *uids_r, struct err *e)
{
	int fd = openat(dirfd, UIDLIST_NAME,
			O_RDWR | O_APPEND | O_CLOEXEC | O_NOFOLLOW);
	struct buf b = BUF_INIT;
	struct ends x;
	struct stat st;
	int r = 1;

	if (fd < 0 || since == 0) {
		if (fd >= 0)
			close(fd);
		return 1;
	}
	memset(uids_r, 0, bases->n * sizeof(*uids_r));
	/* Another session may have numbered them since they were put there:
	 * then they keep those UIDs. */
	if (read_ends(&x, fd) && x.next < UINT32_MAX - bases->n &&
	    find_since(&x, bases, since, uids_r) && fstat(fd, &st) == 0) {
		for (size_t i = 0; i < bases->n; i++) {
			if (uids_r[i] != 0)
				continue;
			uids_r[i] = x.next++;
			uidlist_put_line(&b, uids_r[i], SPAN(""),
					 span_of(bases->v[i]));
		}
		*uidvalidity_r = x.head.uidvalidity;
		r = b.n > 0 ? add_durably(fd, buf_span(&b), e) : 0;
		if (r != 0 && ftruncate(fd, st.st_size) != 0)
			log_warn("%s: a torn line stays", UIDLIST_NAME);
	}
	ends_free(&x);
	close(fd);
	buf_free(&b);
	return r;
}
