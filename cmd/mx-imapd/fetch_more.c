/*
 * fetch_more.c - PREVIEW, EMAILID, SAVEDATE.  RFC 8970, RFC 8474, RFC 8514.
 */
#include "escape.h"
#include "fetch.h"

#include <openssl/sha.h>

#define PREVIEW_CHARS 200
#define PREVIEW_READ 65536

/* Tags, and what stands in style and script, are no text. */
static void
strip_html(struct buf *out, struct span s)
{
	static const char *const skipped[] = { "style", "script", "head" };

	while (s.n > 0) {
		ssize_t open = span_chr(s, '<'), end;

		if (open < 0) {
			buf_addspan(out, s);
			return;
		}
		buf_addspan(out, span_sub(s, 0, (size_t)open));
		buf_addc(out, ' ');
		s = span_from(s, (size_t)open + 1);
		for (size_t i = 0; i < ARRAY_LEN(skipped); i++) {
			char close[16] = "</";
			size_t n = strlen(skipped[i]);

			if (!span_istarts(s, span_of(skipped[i])) ||
			    (n < s.n && ascii_isalnum(s.p[n])))
				continue;
			memcpy(close + 2, skipped[i], n + 1);
			end = span_ifind(s, span_of(close));
			/* one without an end hides the rest, and is looked
			 * for once */
			s = end >= 0 ? span_from(s, (size_t)end) : SPAN("");
		}
		end = span_chr(s, '>');
		s = end < 0 ? SPAN("") : span_from(s, (size_t)end + 1);
	}
}

static void
entity(struct buf *out, struct span *s)
{
	static const struct {
		const char *name;
		char c;
	} names[] = { { "&amp;", '&' },
		      { "&lt;", '<' },
		      { "&gt;", '>' },
		      { "&quot;", '"' },
		      { "&nbsp;", ' ' } };

	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		if (!span_istarts(*s, span_of(names[i].name)))
			continue;
		buf_addc(out, names[i].c);
		*s = span_from(*s, strlen(names[i].name));
		return;
	}
	buf_addc(out, '&');
	*s = span_from(*s, 1);
}

/* One line: runs of blanks and controls are one blank. */
static void
one_line(struct buf *out, struct span s, bool html)
{
	size_t chars = 0, from = out->n;

	while (s.n > 0 && chars < PREVIEW_CHARS) {
		uint32_t cp;
		size_t n = utf8_next(s, &cp);

		if (n == 0) {
			s = span_from(s, 1);
			continue;
		}
		if (cp <= 0x20 || cp == 0x7f || cp == 0xa0) {
			if (out->n > from && out->p[out->n - 1] != ' ') {
				buf_addc(out, ' ');
				chars++;
			}
			s = span_from(s, n);
		} else if (html && cp == '&') {
			entity(out, &s);
			chars++;
		} else {
			buf_add(out, s.p, n);
			s = span_from(s, n);
			chars++;
		}
	}
	while (out->n > from && out->p[out->n - 1] == ' ')
		buf_cut(out, out->n - 1);
}

/* text/plain before text/html; the first part of its kind. */
static const struct mime_part *
text_part(const struct mime *m, bool *html)
{
	const struct mime_part *found = NULL;

	for (size_t i = 0; i < m->n; i++) {
		const struct mime_part *p = &m->v[i];
		bool is_html = span_iis(p->subtype, "html");

		if (p->kind != MIME_LEAF || !span_iis(p->type, "text"))
			continue;
		if (found == NULL) {
			found = p;
			*html = is_html;
		}
		if (!is_html) {
			*html = false;
			return p;
		}
	}
	return found;
}

void
fetch_preview(struct buf *b, struct loaded *l)
{
	struct buf text = BUF_INIT, plain = BUF_INIT;
	bool html = false;
	const struct mime_part *p = text_part(loaded_mime(l), &html);

	if (p == NULL)
		return;
	mime_text(&text, p, PREVIEW_READ);
	if (html)
		strip_html(&plain, buf_span(&text));
	one_line(b, html ? buf_span(&plain) : buf_span(&text), html);
	buf_free(&text);
	buf_free(&plain);
}

void
fetch_emailid(struct buf *b, const struct loaded *l)
{
	unsigned char sum[SHA256_DIGEST_LENGTH];

	SHA256((const unsigned char *)(l->bytes.p != NULL ? l->bytes.p : ""),
	       l->bytes.n, sum);
	buf_addc(b, 'M');
	hex_encode(b, span_make((const char *)sum, 16));
}

int64_t
fetch_savedate(const struct message *m)
{
	return maildir_name_time(span_make(m->file, m->base_n)) / 1000000;
}
