/*
 * msg_edit.c - edits of a message as splices on its untouched bytes, and the
 * one writer of generated header fields.
 * Layer: mail.  RFC 5322 2.1.1, 2.2.3.
 */
#include <stdlib.h>

#include "escape.h"
#include "mem.h"
#include "msg.h"

#define FOLD_AT 78
#define BLANKS_MAX 32
#define WORD_MAX 900 /* below the 998 of RFC 5322 2.1.1 */

void
msg_edit_init(struct msg_edit *ed, const struct msg *m)
{
	memset(ed, 0, sizeof(*ed));
	ed->m = m;
}

void
msg_edit_done(struct msg_edit *ed)
{
	size_t i;

	for (i = 0; i < ed->n; i++)
		buf_free(&ed->v[i].put);
	free(ed->v);
	memset(ed, 0, sizeof(*ed));
}

static const char *
eol(const struct msg_edit *ed)
{
	return ed->m->crlf ? "\r\n" : "\n";
}

static size_t
offset_of(const struct msg_edit *ed, const char *p)
{
	return (size_t)(p - ed->m->whole.p);
}

/* Field text with the message's own line ends.  A line break that is no fold
 * becomes one: text can never open a field of its own or end the header. */
static void
put_field(const struct msg_edit *ed, struct buf *b, struct span field)
{
	size_t i;

	field = span_rtrim(field);
	for (i = 0; i < field.n; i++) {
		char c = field.p[i];

		if (c == '\r') {
			if (i + 1 < field.n && field.p[i + 1] == '\n')
				continue;
			c = ' ';
		}
		if (c != '\n') {
			buf_addc(b, c);
			continue;
		}
		buf_adds(b, eol(ed));
		if (field.p[i + 1] != ' ' && field.p[i + 1] != '\t')
			buf_addc(b, '\t');
	}
	buf_adds(b, eol(ed));
}

static struct msg_splice *
splice(struct msg_edit *ed, size_t at, size_t drop)
{
	struct msg_splice *s;

	ed->v = mem_grow(ed->v, &ed->cap, ed->n + 1, sizeof(*ed->v));
	s = &ed->v[ed->n++];
	memset(s, 0, sizeof(*s));
	s->at = at;
	s->drop = drop;
	s->order = (int64_t)ed->n;
	return s;
}

void
msg_edit_prepend(struct msg_edit *ed, struct span field)
{
	struct msg_splice *s = splice(ed, offset_of(ed, ed->m->header.p), 0);

	s->order = -s->order;
	put_field(ed, &s->put, field);
}

void
msg_edit_append(struct msg_edit *ed, struct span field)
{
	struct span h = ed->m->header;
	struct msg_splice *s = splice(ed, offset_of(ed, h.p) + h.n, 0);

	put_field(ed, &s->put, field);
}

void
msg_edit_insert(struct msg_edit *ed, const struct msg_field *before,
		struct span field)
{
	struct msg_splice *s = splice(ed, offset_of(ed, before->all.p), 0);

	put_field(ed, &s->put, field);
}

void
msg_edit_delete(struct msg_edit *ed, const struct msg_field *f)
{
	(void)splice(ed, offset_of(ed, f->all.p), f->all.n);
}

void
msg_edit_replace(struct msg_edit *ed, const struct msg_field *f,
		 struct span field)
{
	struct msg_splice *s = splice(ed, offset_of(ed, f->all.p), f->all.n);

	put_field(ed, &s->put, field);
}

void
msg_edit_bytes(struct msg_edit *ed, struct span piece, struct span put)
{
	struct msg_splice *s = splice(ed, offset_of(ed, piece.p), piece.n);

	buf_addspan(&s->put, put);
}

/* By place; insertions before the piece they stand at, then in order. */
static int
by_place(const void *pa, const void *pb)
{
	const struct msg_splice *a = pa, *b = pb;

	if (a->at != b->at)
		return a->at < b->at ? -1 : 1;
	if (!a->drop != !b->drop)
		return a->drop ? 1 : -1;
	return a->order < b->order ? -1 : a->order > b->order;
}

struct emit {
	int (*fn)(void *ctx, const void *p, size_t n);
	void *ctx;
	size_t sent;
	char last;
};

static int
emit(struct emit *o, const void *p, size_t n)
{
	if (!n)
		return 0;
	o->last = ((const char *)p)[n - 1];
	o->sent += n;
	return o->fn(o->ctx, p, n);
}

/* A header without its empty line (RFC 5322 2.1) needs one when the body's
 * first line could be taken for the tail of a field that was put before it. */
static bool
needs_blank(const struct msg_edit *ed)
{
	struct msg probe;
	bool joined;

	if (!ed->n || ed->m->has_blank || !ed->m->body.n)
		return false;
	msg_index(&probe, span_sub(ed->m->body, 0, 2048), 0);
	joined = probe.n > 0; /* header limit: the rest is fields */
	msg_done(&probe);
	return !joined;
}

/* Everything up to `to`, with a line end where new text needs one. */
static int
emit_upto(struct msg_edit *ed, struct emit *o, size_t *at, size_t to)
{
	int rc = 0;

	if (to > *at) {
		rc = emit(o, ed->m->whole.p + *at, to - *at);
		*at = to;
	}
	return rc;
}

static int
emit_splice(struct msg_edit *ed, struct emit *o, size_t *at,
	    const struct msg_splice *s)
{
	size_t head_end = offset_of(ed, ed->m->header.p) + ed->m->header.n;
	int rc = emit_upto(ed, o, at, s->at);

	if (!rc && s->put.n && s->at <= head_end && o->sent && o->last != '\n')
		rc = emit(o, eol(ed), strlen(eol(ed)));
	if (!rc)
		rc = emit(o, s->put.p, s->put.n);
	if (s->at + s->drop > *at)
		*at = s->at + s->drop;
	return rc;
}

int
msg_edit_emit(struct msg_edit *ed,
	      int (*fn)(void *ctx, const void *p, size_t n), void *ctx)
{
	size_t at = 0, i, body = offset_of(ed, ed->m->body.p);
	struct emit o = { fn, ctx, 0, '\n' };
	bool blank = needs_blank(ed);
	int rc = 0;

	if (ed->n)
		qsort(ed->v, ed->n, sizeof(*ed->v), by_place);
	for (i = 0; i < ed->n && !rc; i++) {
		const struct msg_splice *s = &ed->v[i];

		if (blank && (s->at > body || (s->at == body && s->drop))) {
			rc = emit_upto(ed, &o, &at, body);
			rc = rc ? rc : emit(&o, eol(ed), strlen(eol(ed)));
			blank = false;
		}
		/* Of several changes of one piece the last one counts. */
		if (s->drop && i + 1 < ed->n && s[1].drop && s[1].at == s->at)
			continue;
		if (!rc)
			rc = emit_splice(ed, &o, &at, s);
	}
	if (blank && !rc) {
		rc = emit_upto(ed, &o, &at, body);
		rc = rc ? rc : emit(&o, eol(ed), strlen(eol(ed)));
	}
	return rc ? rc : emit_upto(ed, &o, &at, ed->m->whole.n);
}

/* --- generated fields ---------------------------------------------------- */

/* A blank, or the line end of a fold. */
static bool
is_gap(struct span v, size_t i)
{
	if (v.p[i] == ' ' || v.p[i] == '\t')
		return true;
	if (v.p[i] == '\r' && i + 1 < v.n && v.p[i + 1] == '\n')
		i++;
	return v.p[i] == '\n' && i + 1 < v.n &&
	       (v.p[i + 1] == ' ' || v.p[i + 1] == '\t');
}

/* One word (up to the next blank), controls replaced, never so long that the
 * line passes 998. */
static size_t
put_word(struct buf *b, struct span v)
{
	size_t i;

	for (i = 0; i < v.n && i < WORD_MAX; i++) {
		unsigned char c = (unsigned char)v.p[i];

		if (is_gap(v, i))
			break;
		buf_addc(b, c < 32 || c == 127 ? '?' : (char)c);
	}
	/* Not inside a UTF-8 character. */
	while (i == WORD_MAX && i < v.n &&
	       ((unsigned char)v.p[i] & 0xc0) == 0x80)
		buf_addc(b, v.p[i++]);
	return i;
}

void
msg_make_field(struct buf *b, const char *name, struct span value)
{
	struct span v = span_trim(value);
	struct buf word = BUF_INIT;
	size_t line = b->n, n, blanks;
	bool first = true;

	for (; *name; name++)
		buf_addc(b, *name > 32 && *name < 127 && *name != ':' ? *name
								      : '-');
	buf_addc(b, ':');
	while (v.n) {
		for (blanks = 0; v.n && is_gap(v, 0); v = span_from(v, 1))
			blanks += v.p[0] == ' ' || v.p[0] == '\t';
		buf_clear(&word);
		n = put_word(&word, v);
		v = span_from(v, n);
		if (!first && b->n - line + 1 + word.n > FOLD_AT) {
			buf_addc(b, '\n');
			line = b->n;
			buf_addc(b, '\t');
		} else {
			buf_addc(b, ' ');
		}
		/* Runs of blanks stay as they are where no fold takes them. */
		if (blanks > BLANKS_MAX)
			blanks = BLANKS_MAX;
		for (; blanks > 1 && !first && b->p[b->n - 1] == ' '; blanks--)
			buf_addc(b, ' ');
		buf_addspan(b, buf_span(&word));
		first = false;
	}
	buf_free(&word);
}
