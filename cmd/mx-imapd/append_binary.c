/*
 * append_binary.c - a message that came as literal8: parts whose transfer
 * encoding is "binary" become base64, for the store keeps lines.
 * RFC 3516 4.4.
 */
#include "append.h"
#include "escape.h"
#include "mime.h"

#define LINE 76

static void
add_base64(struct buf *out, struct span body)
{
	struct buf b = BUF_INIT;

	base64_encode(&b, body);
	for (size_t at = 0; at < b.n; at += LINE) {
		buf_addspan(out, span_sub(buf_span(&b), at, at + LINE));
		buf_adds(out, "\r\n");
	}
	if (b.n > 0) /* the line end before a boundary is not the part's */
		buf_cut(out, out->n - 2);
	buf_free(&b);
}

/* Copies up to `to`, with another word in the encoding's field. */
static void
add_header(struct buf *out, const struct mime_part *p, const char *encoding)
{
	struct span v = mime_field(p, "Content-Transfer-Encoding");
	struct span h = p->header_full;
	size_t at = (size_t)(v.p - h.p);

	buf_addspan(out, span_sub(h, 0, at));
	buf_addf(out, " %s", encoding);
	buf_addspan(out, span_from(h, at + v.n));
}

void
append_unbinary(struct buf *whole)
{
	struct span all = buf_span(whole);
	struct buf out = BUF_INIT;
	struct mime m;
	size_t done = 0;
	bool any = false;

	mime_index(&m, all);
	for (size_t i = 0; i < m.n; i++) {
		const struct mime_part *p = &m.v[i];
		size_t at;

		if (p->encoding != MIME_BINARY || p->header_full.n == 0)
			continue;
		at = (size_t)(p->header_full.p - all.p);
		if (at < done)
			continue;
		any = true;
		buf_addspan(&out, span_sub(all, done, at));
		/* what encloses others has no encoding of its own */
		add_header(&out, p, p->kind == MIME_LEAF ? "base64" : "8bit");
		done = at + p->header_full.n;
		if (p->kind != MIME_LEAF || p->body.p == NULL)
			continue;
		add_base64(&out, p->body);
		done = (size_t)(p->body.p - all.p) + p->body.n;
	}
	buf_addspan(&out, span_from(all, done));
	mime_done(&m);
	if (!any) {
		buf_free(&out);
		return;
	}
	buf_free(whole);
	*whole = out;
}
