/*
 * structure.c - BODY and BODYSTRUCTURE: a walk over the flat array of parts,
 * without recursion.  RFC 3501 7.4.2.
 */
#include "imap.h"
#include "loaded.h"

static void
put_field(struct stream *st, const struct mime_part *p, const char *name)
{
	struct span v = mime_field(p, name);
	struct buf b = BUF_INIT;

	if (v.p == NULL) {
		stream_puts(st, "NIL");
		return;
	}
	msg_unfold(&b, v);
	put_string(st, b.n > 0 ? buf_span(&b) : SPAN(""));
	buf_free(&b);
}

/* ("NAME" "VALUE" ...) or NIL. */
static void
put_params(struct stream *st, const struct mime_value *v)
{
	struct buf name = BUF_INIT;

	if (v->n == 0) {
		stream_puts(st, "NIL");
		return;
	}
	for (size_t i = 0; i < v->n; i++) {
		stream_puts(st, i == 0 ? "(" : " ");
		buf_clear(&name);
		buf_addspan(&name, v->v[i].name);
		if (v->v[i].ext) /* RFC 2231: as it came */
			buf_addc(&name, '*');
		put_string(st, buf_span(&name));
		stream_puts(st, " ");
		put_string(st, v->v[i].value);
	}
	stream_puts(st, ")");
	buf_free(&name);
}

static void
put_content_params(struct stream *st, const struct mime_part *p)
{
	struct mime_value v;

	mime_value_parse(&v, mime_field(p, "Content-Type"));
	/* RFC 2045 5.2, RFC 2046 4.1.2: us-ascii is the default */
	if (v.n == 0 && p->kind == MIME_LEAF && span_iis(p->type, "text"))
		stream_puts(st, "(\"charset\" \"us-ascii\")");
	else
		put_params(st, &v);
	mime_value_free(&v);
}

static void
put_disposition(struct stream *st, const struct mime_part *p)
{
	struct span field = mime_field(p, "Content-Disposition");
	struct mime_value v;

	if (field.p == NULL) {
		stream_puts(st, "NIL");
		return;
	}
	mime_value_parse(&v, field);
	if (v.type.n == 0) {
		stream_puts(st, "NIL");
	} else {
		stream_puts(st, "(");
		put_string(st, v.type);
		stream_puts(st, " ");
		put_params(st, &v);
		stream_puts(st, ")");
	}
	mime_value_free(&v);
}

/* RFC 3282: a list of tags; one alone is a string. */
static void
put_language(struct stream *st, const struct mime_part *p)
{
	struct span rest = mime_field(p, "Content-Language"), tag;
	struct span first = span_make(NULL, 0);
	size_t n = 0;

	while (span_word(&rest, ", \t\r\n", &tag)) {
		if (n++ == 0) {
			first = tag;
			continue;
		}
		if (n == 2) {
			stream_puts(st, "(");
			put_string(st, first);
		}
		stream_puts(st, " ");
		put_string(st, tag);
	}
	if (n > 1)
		stream_puts(st, ")");
	else
		put_nstring(st, first);
}

static void
put_extension(struct stream *st, const struct mime_part *p)
{
	stream_puts(st, " ");
	put_disposition(st, p);
	stream_puts(st, " ");
	put_language(st, p);
	stream_puts(st, " ");
	put_field(st, p, "Content-Location");
}

static void
put_encoding(struct stream *st, const struct mime_part *p)
{
	struct span v = mime_field(p, "Content-Transfer-Encoding"), word;

	if (v.p != NULL && span_word(&v, " \t\r\n;(", &word))
		put_string(st, word);
	else
		stream_puts(st, "\"7bit\"");
}

/* What parts that are no multipart begin with. */
static void
put_basic(struct stream *st, const struct mime_part *p)
{
	stream_puts(st, "(");
	put_string(st, p->type);
	stream_puts(st, " ");
	put_string(st, p->subtype);
	stream_puts(st, " ");
	put_content_params(st, p);
	stream_puts(st, " ");
	put_field(st, p, "Content-ID");
	stream_puts(st, " ");
	put_field(st, p, "Content-Description");
	stream_puts(st, " ");
	put_encoding(st, p);
	stream_printf(st, " %zu", mime_body_size(p));
}

/* And end with: lines of text, and the extension data. */
static void
end_basic(struct stream *st, const struct mime_part *p, bool ext)
{
	if (p->kind == MIME_MESSAGE || span_iis(p->type, "text"))
		stream_printf(st, " %zu", p->body_lines);
	if (ext) {
		stream_puts(st, " ");
		put_field(st, p, "Content-MD5");
		put_extension(st, p);
	}
	stream_puts(st, ")");
}

static void
end_multipart(struct stream *st, const struct mime_part *p, bool ext)
{
	if (p->child == MIME_NONE) {
		/* RFC 3501 9: at least one body; an empty one is shown */
		stream_puts(st, "(\"text\" \"plain\" (\"charset\" \"us-ascii\")"
				" NIL NIL \"7bit\" 0 0");
		stream_puts(st, ext ? " NIL NIL NIL NIL)" : ")");
	}
	stream_puts(st, " ");
	put_string(st, p->subtype);
	if (ext) {
		stream_puts(st, " ");
		put_content_params(st, p);
		put_extension(st, p);
	}
	stream_puts(st, ")");
}

/* A limited parser may show a message part as a leaf: still no lie, its type
 * is another then. */
static bool
begin(struct stream *st, const struct mime *m, const struct mime_part *p)
{
	if (p->kind == MIME_MULTIPART) {
		stream_puts(st, "(");
		return p->child != MIME_NONE;
	}
	put_basic(st, p);
	if (p->kind != MIME_MESSAGE || p->child == MIME_NONE)
		return false;
	stream_puts(st, " ");
	put_envelope(st, m->v[p->child].header_full);
	stream_puts(st, " ");
	return true;
}

static void
end(struct stream *st, const struct mime_part *p, bool ext)
{
	if (p->kind == MIME_MULTIPART)
		end_multipart(st, p, ext);
	else
		end_basic(st, p, ext);
}

void
put_structure(struct stream *st, const struct mime *m, bool ext)
{
	size_t at = 0;

	for (;;) {
		if (begin(st, m, &m->v[at])) {
			at = m->v[at].child;
			continue;
		}
		end(st, &m->v[at], ext);
		while (m->v[at].next == MIME_NONE) {
			at = m->v[at].parent;
			if (at == MIME_NONE)
				return;
			end(st, &m->v[at], ext);
		}
		at = m->v[at].next;
	}
}
