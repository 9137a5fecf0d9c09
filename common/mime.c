/*
 * mime.c - finds the parts of a message in one pass over its lines.
 * Layer: mail.  RFC 2045 5.2 and 6, RFC 2046 5.1 and 5.2, RFC 6532 3.7.
 * The stack of open multiparts is an array; the line counts are differences
 * of running totals, so deep nesting costs nothing.
 */
#include <stdlib.h>

#include "mem.h"
#include "mime.h"
#include "num.h"

#define HEADER_MAX (1024 * 1024)
/* RFC 2046 5.1.1 says 70; longer ones are compared by their beginning. */
#define BOUNDARY_MAX 200

struct boundary {
	char text[BOUNDARY_MAX];
	size_t n;
	size_t part; /* the multipart */
	bool closed; /* its last delimiter was seen: the epilogue */
};

/* Where the walk is, and what it has counted up to there. */
struct place {
	size_t at, lines, bare;
};

struct walk {
	struct mime *m;
	struct span s;
	struct place here; /* the start of the line at hand */
	struct place head[MIME_NESTING_MAX + 2]; /* per open depth */
	struct place body[MIME_NESTING_MAX + 2];
	size_t open;    /* the innermost open part, or MIME_NONE */
	bool in_header; /* of that part */
	struct boundary *b;
	size_t nb, cap;
};

static size_t
line_len(struct span s)
{
	const char *lf = memchr(s.p, '\n', s.n);

	return lf ? (size_t)(lf - s.p) + 1 : s.n;
}

static bool
is_empty_line(struct span line)
{
	return span_is(line, "\n") || span_is(line, "\r\n");
}

/* Past a line; `bare`: LF without CR, a byte more on the wire. */
static void
step_over(struct walk *w, struct span line)
{
	w->here.at += line.n;
	if (line.n && line.p[line.n - 1] == '\n') {
		w->here.lines++;
		w->here.bare += line.n < 2 || line.p[line.n - 2] != '\r';
	}
}

/* RFC 2045 6.1; 6.4: what is not known is opaque. */
enum mime_encoding
mime_encoding_of(struct span value)
{
	static const struct {
		const char *word;
		enum mime_encoding enc;
	} rows[] = {
		{ "7bit", MIME_7BIT },           { "8bit", MIME_8BIT },
		{ "binary", MIME_BINARY },       { "base64", MIME_BASE64 },
		{ "quoted-printable", MIME_QP },
	};
	struct mime_value mv;
	enum mime_encoding enc = MIME_UNKNOWN_ENCODING;
	size_t i;

	mime_value_parse(&mv, value);
	for (i = 0; i < ARRAY_LEN(rows); i++)
		if (span_is(mv.type, rows[i].word))
			enc = rows[i].enc;
	if (!mv.type.n)
		enc = MIME_7BIT;
	mime_value_free(&mv);
	return enc;
}

/* Behind "Content-": the fields that are remembered when they are passed. */
static const char *const content_names[MIME_CONTENT] = {
	"Type",        "Transfer-Encoding", "ID",       "Description",
	"Disposition", "Language",          "Location", "MD5",
};

/* Which of them, or -1. */
static int
which_content(struct span name)
{
	struct span word = span_from(name, 8);

	if (!span_istarts(name, SPAN("Content-")))
		return -1;
	for (int i = 0; i < MIME_CONTENT; i++)
		if (span_iis(word, content_names[i]))
			return i;
	return -1;
}

struct span
mime_field(const struct mime_part *p, const char *name)
{
	struct span rest = p->header, want = span_of(name);
	int known = which_content(want);
	struct msg_field f;
	size_t n;

	if (known >= 0)
		return p->content[known];

	while (rest.n && (n = msg_next_field(rest, &f)) != 0) {
		if (span_ieq(f.name, want))
			return f.value;
		rest = span_from(rest, n);
	}
	return span_make(NULL, 0);
}

/* Opens a part whose header begins here; its number. */
static size_t
new_part(struct walk *w, size_t parent)
{
	struct mime *m = w->m;
	size_t i = m->n++, k;
	struct mime_part *p;

	m->v = mem_grow(m->v, &m->cap, m->n, sizeof(*m->v));
	p = &m->v[i];
	memset(p, 0, sizeof(*p));
	p->parent = parent;
	p->child = p->next = MIME_NONE;
	p->number = 1;
	p->header = p->header_full = p->body =
	    span_sub(w->s, w->here.at, w->here.at);
	p->type = SPAN("text");
	p->subtype = SPAN("plain");
	if (parent != MIME_NONE) {
		p->depth = m->v[parent].depth + 1;
		p->number = ++m->v[parent].children;
		/* The last child is kept in the parent's `next` chain by
		 * walking from the newest part: it is the one before i. */
		if (p->number == 1)
			m->v[parent].child = i;
		else
			for (k = i - 1; k != MIME_NONE; k = m->v[k].parent)
				if (m->v[k].parent == parent) {
					m->v[k].next = i;
					break;
				}
	}
	w->open = i;
	w->in_header = true;
	w->head[p->depth] = w->here;
	return i;
}

/* The written spelling of type and subtype, for those who show it. */
static void
set_type(struct mime_part *p, struct span value)
{
	struct span v = value;
	ssize_t slash;
	size_t n;

	while (v.n && ascii_isspace(v.p[0]))
		v = span_from(v, 1);
	slash = span_chr(v, '/');
	if (slash <= 0 || span_chr(span_sub(v, 0, (size_t)slash), ';') >= 0 ||
	    span_chr(span_sub(v, 0, (size_t)slash), '(') >= 0)
		return;
	p->type = span_rtrim(span_sub(v, 0, (size_t)slash));
	v = span_ltrim(span_from(v, (size_t)slash + 1));
	for (n = 0; n < v.n && !ascii_isspace(v.p[n]) && v.p[n] != ';' &&
		    v.p[n] != '(';
	     n++)
		;
	p->subtype = span_sub(v, 0, n);
}

/* RFC 2046 5.1.1: without a boundary a multipart has no parts: its body is all
 * preamble. */
static void
open_boundary(struct walk *w, size_t part, const struct mime_value *mv)
{
	const struct mime_param *pa = mime_param_find(mv, "boundary");
	struct boundary *b;

	if (!pa || !pa->value.n)
		return;
	w->b = mem_grow(w->b, &w->cap, w->nb + 1, sizeof(*w->b));
	b = &w->b[w->nb++];
	b->n = pa->value.n < BOUNDARY_MAX ? pa->value.n : BOUNDARY_MAX;
	memcpy(b->text, pa->value.p, b->n);
	b->part = part;
	b->closed = false;
}

/* What the part is, told by its header and its parent. */
static void
classify(struct walk *w, size_t i)
{
	struct mime_part *p = &w->m->v[i];
	struct span ct = mime_field(p, "Content-Type");
	struct mime_value mv;
	bool in_digest;

	in_digest = p->parent != MIME_NONE &&
		    w->m->v[p->parent].kind == MIME_MULTIPART &&
		    span_iis(w->m->v[p->parent].subtype, "digest");
	p->encoding =
	    mime_encoding_of(mime_field(p, "Content-Transfer-Encoding"));
	mime_value_parse(&mv, ct);
	if (ct.p && mv.type.n && mv.subtype.n) {
		set_type(p, ct);
	} else if (!ct.p && in_digest) { /* RFC 2046 5.1.5 */
		p->type = SPAN("message");
		p->subtype = SPAN("rfc822");
	}
	if (span_iis(p->type, "multipart"))
		p->kind = MIME_MULTIPART;
	else if (span_iis(p->type, "message") &&
		 (span_iis(p->subtype, "rfc822") ||
		  span_iis(p->subtype, "global")))
		p->kind = MIME_MESSAGE;
	if (p->kind != MIME_LEAF &&
	    (p->depth >= MIME_NESTING_MAX || w->m->n >= MIME_PARTS_MAX)) {
		p->kind = MIME_LEAF;
		p->type = SPAN("application");
		p->subtype = SPAN("octet-stream");
		w->m->limited = true;
	}
	if (p->kind == MIME_MULTIPART)
		open_boundary(w, i, &mv);
	mime_value_free(&mv);
}

/* The header of the open part ends here; `blank` is its empty line. */
static void
end_header(struct walk *w, struct span blank)
{
	size_t i = w->open;
	struct mime_part *p = &w->m->v[i];
	struct place *head = &w->head[p->depth];

	p->header = span_sub(w->s, head->at, w->here.at);
	step_over(w, blank);
	p->header_full = span_sub(w->s, head->at, w->here.at);
	p->header_lf = w->here.bare - head->bare;
	w->body[p->depth] = w->here;
	p->body = span_sub(w->s, w->here.at, w->here.at);
	w->in_header = false;
	classify(w, i);
	if (w->m->v[i].kind == MIME_MESSAGE)
		new_part(w, i);
}

/* The place behind the last byte of a body that ends before this line: the line
 * end before a delimiter is the delimiter's (RFC 2046 5.1.1). */
static struct place
before_eol(const struct walk *w)
{
	struct place p = w->here;

	if (p.at && w->s.p[p.at - 1] == '\n') {
		p.at--;
		p.lines--;
		if (p.at && w->s.p[p.at - 1] == '\r')
			p.at--;
		else
			p.bare--;
	}
	return p;
}

/* Ends the open part and those around it, up to but without `upto`. */
static void
end_parts(struct walk *w, size_t upto, struct place end)
{
	while (w->open != upto) {
		struct mime_part *p;
		const struct place *start;

		/* Ending a header may open the child of a message. */
		while (w->in_header)
			end_header(w, SPAN(""));
		p = &w->m->v[w->open];
		start = &w->body[p->depth];
		if (end.at > start->at) {
			p->body = span_sub(w->s, start->at, end.at);
			p->body_lines = end.lines - start->lines;
			p->body_lf = end.bare - start->bare;
		}
		w->open = p->parent;
	}
}

/* Which open boundary the line names: the longest one (a nested boundary may
 * begin with the outer one).  Returns its index, or -1. */
static ssize_t
find_boundary(const struct walk *w, struct span line, bool *last_r)
{
	struct span text = span_from(line, 2), tail;
	ssize_t best = -1;
	size_t i, best_n = 0;

	for (i = 0; i < w->nb; i++) {
		const struct boundary *b = &w->b[i];

		if (b->closed || b->n > text.n || b->n < best_n ||
		    memcmp(b->text, text.p, b->n) != 0)
			continue;
		best = (ssize_t)i;
		best_n = b->n;
	}
	if (best >= 0) {
		tail = span_from(text, best_n);
		*last_r = span_starts(tail, SPAN("--"));
	}
	return best;
}

/* RFC 2046 5.1.1: "--", the boundary, and "--" behind the last one; blanks may
 * follow.  True when the line was a delimiter. */
static bool
take_delimiter(struct walk *w, struct span line)
{
	bool last = false;
	ssize_t k;
	size_t part;

	if (!w->nb || !span_starts(line, SPAN("--")))
		return false;
	k = find_boundary(w, line, &last);
	if (k < 0)
		return false;
	if (w->m->n >= MIME_PARTS_MAX && !last) {
		w->m->limited = true;
		return false;
	}
	part = w->b[k].part;
	end_parts(w, part, before_eol(w));
	/* Those opened inside of it are gone (end_parts may have added one for
	 * a header that ended here). */
	w->nb = (size_t)k + 1;
	w->b[k].closed = last;
	step_over(w, line);
	if (!last)
		new_part(w, part);
	return true;
}

/* The first of each name counts. */
static void
note_content(struct mime_part *p, const struct msg_field *f)
{
	int i = which_content(f->name);

	if (i >= 0 && p->content[i].p == NULL)
		p->content[i] = f->value;
}

/* A field with its folds, or the end of the header: an empty line, or a line
 * that is no field (it belongs to the body then). */
static void
take_header_line(struct walk *w, struct span rest, struct span line)
{
	struct msg_field f;
	size_t start = w->head[w->m->v[w->open].depth].at;
	size_t n = is_empty_line(line) ? 0 : msg_next_field(rest, &f);

	if (!n || w->here.at + n - start > HEADER_MAX) {
		end_header(w, is_empty_line(line) ? line : SPAN(""));
		return;
	}
	note_content(&w->m->v[w->open], &f);
	for (rest = span_sub(rest, 0, n); rest.n; rest = span_from(rest, n)) {
		n = line_len(rest);
		step_over(w, span_sub(rest, 0, n));
	}
}

void
mime_index(struct mime *m, struct span bytes)
{
	struct walk *w = mem_alloc(1, sizeof(*w));

	memset(m, 0, sizeof(*m));
	if (!bytes.p)
		bytes = SPAN("");
	m->whole = bytes;
	w->m = m;
	w->s = bytes;
	for (size_t front = msg_front(bytes); w->here.at < front;) {
		struct span rest = span_from(bytes, w->here.at);

		step_over(w, span_sub(rest, 0, line_len(rest)));
	}
	new_part(w, MIME_NONE);
	while (w->here.at < bytes.n) {
		struct span rest = span_from(bytes, w->here.at);
		struct span line = span_sub(rest, 0, line_len(rest));

		if (take_delimiter(w, line))
			continue;
		if (w->in_header)
			take_header_line(w, rest, line);
		else
			step_over(w, line);
	}
	end_parts(w, MIME_NONE, w->here);
	free(w->b);
	free(w);
}

void
mime_done(struct mime *m)
{
	free(m->v);
	memset(m, 0, sizeof(*m));
}

size_t
mime_body_size(const struct mime_part *p)
{
	return p->body.n + p->body_lf;
}

size_t
mime_header_size(const struct mime_part *p)
{
	return p->header_full.n + p->header_lf;
}

static size_t
nth_child(const struct mime *m, size_t i, uint64_t k)
{
	for (i = m->v[i].child; i != MIME_NONE && --k; i = m->v[i].next)
		;
	return i;
}

size_t
mime_find(const struct mime *m, struct span number)
{
	struct span piece;
	size_t i = 0;
	bool content = true; /* i is the content of a message, not a part */

	if (!m->n)
		return MIME_NONE;
	if (!number.n)
		return 0;
	while (span_split(&number, '.', &piece)) {
		uint64_t k;

		if (!num_u64(piece, MIME_PARTS_MAX, &k) || k == 0)
			return MIME_NONE;
		if (!content && m->v[i].kind == MIME_MESSAGE) {
			i = m->v[i].child;
			content = true;
		}
		if (m->v[i].kind == MIME_MULTIPART)
			i = nth_child(m, i, k);
		else if (!content || k != 1)
			return MIME_NONE;
		content = false;
		if (i == MIME_NONE)
			return MIME_NONE;
	}
	return i;
}

void
mime_number(struct buf *b, const struct mime *m, size_t part)
{
	size_t path[MIME_NESTING_MAX + 2], n = 0, i;

	/* Upwards: each part of a multipart gives its number; the content of
	 * a message gives "1" unless it is a multipart. */
	for (i = part; i != MIME_NONE && n < ARRAY_LEN(path);
	     i = m->v[i].parent) {
		const struct mime_part *p = &m->v[i];

		if (p->parent != MIME_NONE &&
		    m->v[p->parent].kind == MIME_MULTIPART)
			path[n++] = p->number;
		else if (p->kind != MIME_MULTIPART)
			path[n++] = 1;
	}
	while (n--)
		buf_addf(b, n ? "%zu." : "%zu", path[n]);
}
