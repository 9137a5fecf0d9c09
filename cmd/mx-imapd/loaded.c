/*
 * loaded.c - see loaded.h.
 */
#include "loaded.h"
#include "crc32.h"
#include "mailbox_cache.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define CHUNK 16384
/* Of a larger file the pages are mapped; of a smaller one that costs more than
 * it saves. */
#define MAP_MIN (256u << 10)
/* Most headers end within. */
#define FIRST 8192
/* One message's fields; who sends more is not helped by a copy of it. */
#define FIELDS_MAX 32768

/* What mutt, Thunderbird, Apple Mail, Outlook, K-9 and web mailers ask for in
 * their lists, and what SEARCH, SORT and THREAD look at.  Each record says of
 * which list it is, so that one of another list is never taken for whole. */
static const char *const fields[] = {
	"Date",
	"From",
	"Sender",
	"Reply-To",
	"To",
	"Cc",
	"Bcc",
	"Subject",
	"Message-ID",
	"In-Reply-To",
	"References",
	"Content-Type",
	"Newsgroups",
	"Content-Transfer-Encoding",
	"MIME-Version",
	"Content-Description",
	"Priority",
	"X-Priority",
	"Importance",
	"X-Label",
	"Lines",
	"List-Id",
	"List-Post",
	"List-Unsubscribe",
	"X-Mailer",
	"User-Agent",
	"Mail-Reply-To",
	"Mail-Followup-To",
	"X-Spam-Flag",
	"X-Spam-Status",
	"Resent-Date",
	"Disposition-Notification-To",
	"Precedence",
	"X-Draft-Info",
};

/* LF becomes CRLF where no CR stands before it. */
static void
add_crlf(struct buf *out, struct span in)
{
	while (in.n > 0) {
		size_t slice = in.n < CHUNK ? in.n : CHUNK;
		/* each byte may be a line end */
		char *from = buf_room(out, 2 * slice), *to = from;
		const char *p = in.p, *end = in.p + slice;
		bool cr = out->n > 0 && out->p[out->n - 1] == '\r';

		while (p < end) {
			const char *lf = memchr(p, '\n', (size_t)(end - p));
			size_t n = (size_t)((lf != NULL ? lf : end) - p);

			memcpy(to, p, n);
			to += n;
			p += n;
			if (lf == NULL)
				break;
			if (to > from)
				cr = to[-1] == '\r';
			if (!cr)
				*to++ = '\r';
			*to++ = '\n';
			cr = false;
			p++;
		}
		buf_grew(out, (size_t)(to - from));
		in = span_from(in, slice);
	}
}

/* The length of a header as it is stored, its empty line included; 0: not
 * found.  What lies behind it need not get its line ends. */
static size_t
stored_header_end(struct span s)
{
	const char *p = s.p, *end = s.p + s.n;

	while (p < end) {
		if (*p == '\n')
			return (size_t)(p - s.p) + 1;
		if (*p == '\r' && end - p > 1 && p[1] == '\n')
			return (size_t)(p - s.p) + 2;
		p = memchr(p, '\n', (size_t)(end - p));
		if (p == NULL)
			break;
		p++;
	}
	return 0;
}

/* Where the header ends, its empty line included; 0: not found. */
static size_t
header_end(struct span s)
{
	ssize_t at;

	if (span_starts(s, SPAN("\r\n")))
		return 2;
	at = span_find(s, SPAN("\r\n\r\n"));
	return at < 0 ? 0 : (size_t)at + 4;
}

/* The same end of the header that the index of the parts sees: a line that is
 * no field ends it too. */
static void
index_header(struct loaded *l)
{
	struct span all = buf_span(&l->bytes);
	size_t from, to;

	if (all.n == 0)
		all = SPAN("");
	msg_index(&l->msg, all, 0);
	from = (size_t)(l->msg.header.p - all.p);
	to = (size_t)(l->msg.body.p - all.p);
	l->header = span_sub(all, from, to);
	l->body = span_from(all, to);
}

static int
read_header(struct loaded *l, struct mailbox *mb, int fd)
{
	char chunk[CHUNK];
	size_t from = 0, end;
	ssize_t n = mailbox_read_first(mb, fd, chunk, FIRST);

	end = n > 0 ? stored_header_end(span_make(chunk, (size_t)n)) : 0;
	if (end != 0) {
		add_crlf(&l->bytes, span_make(chunk, end));
		return 0;
	}
	for (; n > 0; n = read(fd, chunk, sizeof(chunk))) {
		add_crlf(&l->bytes, span_make(chunk, (size_t)n));
		if (from == 0)
			end = header_end(buf_span(&l->bytes));
		else
			end = header_end(span_from(buf_span(&l->bytes), from));
		if (end != 0) {
			buf_cut(&l->bytes, from + end);
			return 0;
		}
		/* an empty line may be cut by the chunk's end */
		from = l->bytes.n > 4 ? l->bytes.n - 4 : 0;
	}
	return n < 0 ? -1 : 0;
}

static int
read_small(struct loaded *l, struct mailbox *mb, int fd, size_t left)
{
	char chunk[CHUNK];
	ssize_t n = mailbox_read_first(mb, fd, chunk, sizeof(chunk));

	for (; n > 0; n = read(fd, chunk, sizeof(chunk))) {
		add_crlf(&l->bytes, span_make(chunk, (size_t)n));
		if ((size_t)n >= left)
			return 0;
		left -= (size_t)n;
	}
	return n < 0 ? -1 : 0;
}

static int
read_whole(struct loaded *l, struct mailbox *mb, int fd)
{
	struct stat st;
	size_t size;
	void *map;

	if (fstat(fd, &st) != 0)
		return -1;
	if (st.st_size == 0)
		return 0;
	size = (size_t)st.st_size;
	(void)buf_room(&l->bytes,
		       size + size / 32 + 2 * (size < CHUNK ? size : CHUNK));
	if (size < MAP_MIN)
		return read_small(l, mb, fd, size);
	map = mmap(NULL, size, PROT_READ, MAP_PRIVATE, fd, 0);
	if (map == MAP_FAILED)
		return -1;
	add_crlf(&l->bytes, span_make(map, size));
	(void)munmap(map, size);
	return 0;
}

int
loaded_open(struct loaded *l, struct mailbox *mb, struct message *m, bool whole,
	    struct err *e)
{
	int fd = mailbox_open_message(mb, m), r;

	*l = (struct loaded){ .whole = whole };
	if (fd < 0)
		return m->gone ? 1
			       : err_sys(e, "message %lu: opening",
					 (unsigned long)m->uid);
	r = whole ? read_whole(l, mb, fd) : read_header(l, mb, fd);
	if (r != 0)
		r = err_sys(e, "message %lu: reading", (unsigned long)m->uid);
	close(fd);
	if (r != 0) {
		buf_free(&l->bytes);
		return -1;
	}
	/* what was measured counts more than what a name says */
	if (whole)
		m->vsize = l->bytes.n;
	index_header(l);
	return 0;
}

bool
loaded_has_end(struct span header, struct span body)
{
	return body.n > 0 || span_is(header, "\r\n") ||
	       span_ends(header, SPAN("\r\n\r\n"));
}

static bool
is_listed(struct span name)
{
	for (size_t i = 0; i < ARRAY_LEN(fields); i++)
		if (span_iis(name, fields[i]))
			return true;
	return false;
}

bool
loaded_is_field(const char *name)
{
	return is_listed(span_of(name));
}

/* Which list a record was made by. */
static uint32_t
list_sum(void)
{
	static uint32_t sum;

	for (size_t i = 0; sum == 0 && i < ARRAY_LEN(fields); i++)
		sum = crc32_add(sum, fields[i], strlen(fields[i]) + 1);
	return sum;
}

/* The bytes of a record, p == NULL when there is none of this list. */
static struct span
record(struct mailbox *mb, struct message *m)
{
	struct span s = mailbox_cache_get(mb, m, MAILBOX_CACHE_FIELDS);
	uint32_t sum;

	if (s.p == NULL || s.n < sizeof(sum))
		return span_make(NULL, 0);
	memcpy(&sum, s.p, sizeof(sum));
	return sum == list_sum() ? span_from(s, sizeof(sum))
				 : span_make(NULL, 0);
}

bool
loaded_fields_cached(struct mailbox *mb, struct message *m)
{
	return record(mb, m).p != NULL;
}

void
loaded_fields_keep(const struct loaded *l, struct mailbox *mb,
		   struct message *m)
{
	struct buf b = BUF_INIT;
	uint32_t sum = list_sum();

	if (loaded_fields_cached(mb, m))
		return;
	buf_add(&b, &sum, sizeof(sum));
	for (size_t i = 0; i < l->msg.n; i++) {
		struct span all = l->msg.v[i].all;

		if (!is_listed(l->msg.v[i].name))
			continue;
		buf_addspan(&b, all);
		/* a last field without its line end */
		if (all.n > 0 && all.p[all.n - 1] != '\n')
			buf_adds(&b, "\r\n");
	}
	if (loaded_has_end(l->header, l->body))
		buf_adds(&b, "\r\n");
	if (b.n <= FIELDS_MAX)
		mailbox_cache_put(mb, m, MAILBOX_CACHE_FIELDS, buf_span(&b));
	buf_free(&b);
}

int
loaded_fields(struct loaded *l, struct mailbox *mb, struct message *m,
	      struct err *e)
{
	struct span have = record(mb, m);
	int r;

	if (have.p != NULL) {
		*l = (struct loaded){ .whole = false };
		buf_addspan(&l->bytes, have);
		index_header(l);
		return 0;
	}
	r = loaded_open(l, mb, m, false, e);
	if (r == 0)
		loaded_fields_keep(l, mb, m);
	return r;
}

void
loaded_bytes(struct loaded *l, struct span stored)
{
	*l = (struct loaded){ .whole = true };
	add_crlf(&l->bytes, stored);
	index_header(l);
}

const struct mime *
loaded_mime(struct loaded *l)
{
	if (!l->has_mime)
		mime_index(&l->mime, buf_span(&l->bytes));
	l->has_mime = true;
	return &l->mime;
}

void
loaded_close(struct loaded *l)
{
	if (l->has_mime)
		mime_done(&l->mime);
	msg_done(&l->msg);
	buf_free(&l->bytes);
	*l = (struct loaded){ .whole = false };
}

int
loaded_size(struct mailbox *mb, struct message *m, struct err *e)
{
	struct loaded l;
	int r;

	if (m->vsize != MAILDIR_NO_SIZE || m->gone)
		return 0;
	r = loaded_open(&l, mb, m, true, e);
	if (r == 0)
		loaded_close(&l);
	return r < 0 ? -1 : 0;
}
