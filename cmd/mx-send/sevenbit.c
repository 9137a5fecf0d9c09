/*
 * sevenbit.c - a message with 8-bit parts for a server without 8BITMIME: each
 * such part in quoted-printable, every other byte as it was.
 * RFC 6152 3, RFC 2045 6.  A signature over the body does not survive this;
 * the message does.
 */
#include "send.h"
#include "escape.h"
#include "mime.h"
#include "status.h"

#include <unistd.h>

#define QP_LINE 76

static bool
needs_escape(unsigned char c, bool last)
{
	if (c == ' ' || c == '\t')
		return last; /* RFC 2045 6.7 (3) */
	return c < 0x21 || c > 0x7e || c == '=';
}

/* One line without its end. */
static void
qp_line(struct buf *out, struct span line)
{
	size_t col = 0;

	for (size_t i = 0; i < line.n; i++) {
		unsigned char c = (unsigned char)line.p[i];
		bool last = i + 1 == line.n;
		/* Lines that mailboxes and servers take for their own. */
		bool escape =
		    needs_escape(c, last) || (i == 0 && (c == '.' || c == 'F'));
		size_t need = escape ? 3 : 1;

		if (col + need > (last ? QP_LINE : QP_LINE - 1)) {
			buf_adds(out, "=\n");
			col = 0;
		}
		if (escape)
			buf_addf(out, "=%02X", c);
		else
			buf_addc(out, (char)c);
		col += need;
	}
}

static void
qp_body(struct buf *out, struct span body)
{
	while (body.n > 0) {
		ssize_t lf = span_chr(body, '\n');
		struct span line =
		    lf < 0 ? body : span_sub(body, 0, (size_t)lf);

		body = lf < 0 ? SPAN("") : span_from(body, (size_t)lf + 1);
		if (lf >= 0 && line.n > 0 && line.p[line.n - 1] == '\r')
			line.n--;
		qp_line(out, line);
		if (lf >= 0)
			buf_addc(out, '\n');
	}
}

/* Without the old encoding, with the new one where there is one. */
static void
put_header(struct buf *out, const struct mime *m, const struct mime_part *p,
	   bool qp)
{
	struct span rest = p->header;
	struct msg_field f;
	size_t n;
	bool whole =
	    p->parent == MIME_NONE || m->v[p->parent].kind == MIME_MESSAGE;
	bool has_type = false, has_version = false;

	while ((n = msg_next_field(rest, &f)) > 0) {
		has_type |= span_iis(f.name, "Content-Type");
		has_version |= span_iis(f.name, "MIME-Version");
		if (!span_iis(f.name, "Content-Transfer-Encoding"))
			buf_addspan(out, f.all);
		rest = span_from(rest, n);
	}
	buf_addspan(out, rest);
	if (out->n > 0 && out->p[out->n - 1] != '\n')
		buf_addc(out, '\n');
	if (qp && whole && !has_version)
		buf_adds(out, "MIME-Version: 1.0\n");
	if (qp && !has_type)
		buf_addf(out, "Content-Type: text/plain; charset=%s\n",
			 utf8_valid(p->body) ? "utf-8" : "unknown-8bit");
	if (qp)
		buf_adds(out, "Content-Transfer-Encoding: quoted-printable\n");
	buf_addspan(out, span_from(p->header_full, p->header.n));
}

static void
convert(struct buf *out, const struct mime *m)
{
	const char *at = m->whole.p, *end = at + m->whole.n;

	for (size_t i = 0; i < m->n; i++) {
		const struct mime_part *p = &m->v[i];
		bool labelled =
		    p->encoding == MIME_8BIT || p->encoding == MIME_BINARY;
		bool qp = p->kind == MIME_LEAF && !span_is_ascii(p->body) &&
			  (labelled || p->encoding == MIME_7BIT);

		if (p->header_full.p == NULL ||
		    (!qp && !(labelled && p->kind != MIME_LEAF)))
			continue;
		buf_add(out, at, (size_t)(p->header_full.p - at));
		put_header(out, m, p, qp);
		at = p->header_full.p + p->header_full.n;
		if (!qp)
			continue;
		/* A header that nothing ended, before a body. */
		buf_add(out, at, (size_t)(p->body.p - at));
		qp_body(out, p->body);
		at = p->body.p + p->body.n;
	}
	buf_add(out, at, (size_t)(end - at));
}

static int
read_whole(const struct message *m, struct buf *b, struct err *e)
{
	while ((int64_t)b->n < m->size) {
		char chunk[32768];
		ssize_t n =
		    message_read(m, (int64_t)b->n, chunk, sizeof(chunk));

		if (n <= 0)
			return err_set(e, ST_TEMPFAIL,
				       "the message cannot be read");
		buf_add(b, chunk, (size_t)n);
	}
	return 0;
}

/* The whole message and its parts; both are the caller's to free. */
static int
read_parts(const struct message *m, struct buf *all, struct mime *mime,
	   struct err *e)
{
	*all = BUF_INIT;
	if (read_whole(m, all, e) != 0) {
		buf_free(all);
		return -1;
	}
	mime_index(mime, buf_span(all));
	return 0;
}

int
message_look_inside(struct message *m, struct err *e)
{
	struct buf all;
	struct mime mime;

	if (read_parts(m, &all, &mime, e) != 0)
		return -1;
	for (size_t i = 0; i < mime.n; i++)
		if (!span_is_ascii(mime.v[i].header))
			m->header_eight_bit = true;
	mime_done(&mime);
	buf_free(&all);
	return 0;
}

int
sevenbit(const struct message *m, struct message *out, struct err *e)
{
	struct buf all;
	struct mime mime;

	*out = (struct message){ .fd = -1 };
	if (read_parts(m, &all, &mime, e) != 0)
		return -1;
	convert(&out->converted, &mime);
	mime_done(&mime);
	buf_free(&all);
	out->size = (int64_t)out->converted.n;
	out->header_eight_bit = m->header_eight_bit;
	return message_look(out, e);
}
