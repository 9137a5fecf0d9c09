/*
 * dkim.c - tag lists and canonical headers; see dkim.h.
 * Layer: mail.  RFC 6376 3.2, 3.4, 3.7.
 */
#include "dkim.h"
#include "escape.h"
#include "mem.h"

#include <stdlib.h>

static bool
is_fws(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* RFC 6376 3.2: tag-name is ALPHA *(ALPHA / DIGIT / "_"); tag-value VALCHAR and
 * FWS. */
static bool
tag_ok(struct span name, struct span value)
{
	if (name.n == 0 || !ascii_isalpha(name.p[0]))
		return false;
	for (size_t i = 1; i < name.n; i++) {
		if (!ascii_isalnum(name.p[i]) && name.p[i] != '_')
			return false;
	}
	for (size_t i = 0; i < value.n; i++) {
		unsigned char c = (unsigned char)value.p[i];

		if ((c < 0x21 && !is_fws((char)c)) || c == 0x7f)
			return false;
	}
	return true;
}

bool
dkim_tags_parse(struct dkim_tags *t, struct span s, const char **why_r)
{
	struct span piece;

	t->n = 0;
	while (span_split(&s, ';', &piece)) {
		struct span name, value;
		ssize_t eq;

		piece = span_trim(piece);
		/* One semicolon at the end is allowed, no empty tag before. */
		if (piece.n == 0 && span_trim(s).n == 0)
			break;
		eq = span_chr(piece, '=');
		name = span_trim(span_sub(piece, 0, eq < 0 ? 0 : (size_t)eq));
		value = eq < 0 ? SPAN("")
			       : span_trim(span_from(piece, (size_t)eq + 1));
		/* RFC 6376 3.2: a syntax error or a repeated tag spoils the
		 * whole */
		if (eq < 0 || !tag_ok(name, value)) {
			*why_r = "malformed tag list";
			return false;
		}
		for (size_t i = 0; i < t->n; i++) {
			if (span_eq(t->v[i].name, name)) {
				*why_r = "repeated tag";
				return false;
			}
		}
		if (t->n == DKIM_TAGS) {
			*why_r = "too many tags";
			return false;
		}
		t->v[t->n].name = name;
		t->v[t->n++].value = value;
	}
	return true;
}

struct span
dkim_tag(const struct dkim_tags *t, const char *name)
{
	for (size_t i = 0; i < t->n; i++) {
		if (span_is(t->v[i].name, name))
			return t->v[i].value;
	}
	return span_make(NULL, 0);
}

/* RFC 6376 3.5: white space in base64 does not count, and folding puts it
 * there. */
void
dkim_strip(struct buf *out, struct span s)
{
	char *start = buf_room(out, s.n), *p = start;

	for (size_t i = 0; i < s.n; i++) {
		if (!is_fws(s.p[i]))
			*p++ = s.p[i];
	}
	buf_grew(out, (size_t)(p - start));
}

bool
dkim_base64(struct buf *out, struct span s)
{
	struct buf text = BUF_INIT;
	bool ok;

	dkim_strip(&text, s);
	/* some signers leave the padding out */
	while (text.n % 4 != 0 && text.p[text.n - 1] != '=')
		buf_adds(&text, text.n % 4 == 2 ? "==" : "=");
	ok = text.n > 0 && base64_decode(out, buf_span(&text));
	buf_free(&text);
	return ok;
}

static bool
canon_word(struct span s, enum dkim_canon *r)
{
	if (span_iis(s, "simple"))
		*r = DKIM_SIMPLE;
	else if (span_iis(s, "relaxed"))
		*r = DKIM_RELAXED;
	else
		return false;
	return true;
}

bool
dkim_canon_parse(struct span s, enum dkim_canon *head_r,
		 enum dkim_canon *body_r)
{
	ssize_t slash = span_chr(s, '/');

	*head_r = *body_r = DKIM_SIMPLE;
	if (s.n == 0)
		return true;
	if (slash < 0)
		return canon_word(span_trim(s), head_r);
	return canon_word(span_trim(span_sub(s, 0, (size_t)slash)), head_r) &&
	       canon_word(span_trim(span_from(s, (size_t)slash + 1)), body_r);
}

const char *
dkim_canon_name(enum dkim_canon c)
{
	return c == DKIM_RELAXED ? "relaxed" : "simple";
}

static const char *const alg_names[] = { "rsa-sha256", "ed25519-sha256",
					 "rsa-sha1" };

bool
dkim_alg_parse(struct span s, enum dkim_alg *r)
{
	for (size_t i = 0; i < ARRAY_LEN(alg_names); i++) {
		if (span_iis(s, alg_names[i])) {
			*r = (enum dkim_alg)i;
			return true;
		}
	}
	return false;
}

const char *
dkim_alg_name(enum dkim_alg a)
{
	return alg_names[a];
}

/* RFC 6376 3.4.1: line ends become CRLF; nothing else changes. */
static void
header_simple(struct buf *out, struct span all)
{
	struct span line;

	if (all.n > 0 && all.p[all.n - 1] == '\n')
		all.n--;
	while (span_split(&all, '\n', &line)) {
		if (line.n > 0 && line.p[line.n - 1] == '\r')
			line.n--;
		buf_addspan(out, line);
		buf_adds(out, "\r\n");
	}
}

/* RFC 6376 3.4.2: name in lower case, unfolded, runs of WSP one SP, none at the
 * ends. */
static void
header_relaxed(struct buf *out, struct span name, struct span value)
{
	char *start = buf_room(out, name.n + value.n + 3), *p = start;
	bool ws = false;
	char *first;

	for (size_t i = 0; i < name.n; i++)
		*p++ = ascii_tolower(name.p[i]);
	*p++ = ':';
	first = p;
	for (size_t i = 0; i < value.n; i++) {
		char c = value.p[i];

		/* A CR that no LF follows is content, as in bodies: as a
		 * blank it would be one that anybody may put there. */
		if (c == ' ' || c == '\t' || c == '\n' ||
		    (c == '\r' && i + 1 < value.n && value.p[i + 1] == '\n')) {
			ws = true;
			continue;
		}
		if (ws && p > first)
			*p++ = ' ';
		ws = false;
		*p++ = c;
	}
	*p++ = '\r';
	*p++ = '\n';
	buf_grew(out, (size_t)(p - start));
}

void
dkim_header(struct buf *out, enum dkim_canon canon, const struct msg_field *f)
{
	if (canon == DKIM_RELAXED)
		header_relaxed(out, f->name, f->value);
	else
		header_simple(out, f->all);
}

/* Where the value of b= stands inside a signature field's text (RFC 6376 3.7).
 */
static bool
find_b(struct span text, size_t *from, size_t *to)
{
	ssize_t colon = span_chr(text, ':');
	size_t at = colon < 0 ? 0 : (size_t)colon + 1;

	while (at < text.n) {
		struct span rest = span_from(text, at);
		ssize_t semi = span_chr(rest, ';');
		struct span tag =
		    span_sub(rest, 0, semi < 0 ? rest.n : (size_t)semi);
		ssize_t eq = span_chr(tag, '=');

		if (eq > 0 &&
		    span_is(span_trim(span_sub(tag, 0, (size_t)eq)), "b")) {
			*from = at + (size_t)eq + 1;
			*to = at + tag.n;
			return true;
		}
		at += tag.n + 1;
	}
	return false;
}

/* The signature field itself: without the value of b= and the last CRLF (RFC
 * 6376 3.7). */
static void
add_signature(struct buf *out, enum dkim_canon canon,
	      const struct msg_field *sig)
{
	struct buf text = BUF_INIT;
	struct msg_field f;
	size_t from, to, tail;

	buf_addspan(&text, sig->all);
	while (text.n > 0 && is_fws(text.p[text.n - 1]) &&
	       (text.p[text.n - 1] == '\n' || text.p[text.n - 1] == '\r'))
		buf_cut(&text, text.n - 1);
	if (find_b(buf_span(&text), &from, &to)) {
		tail = text.n - to;
		memmove(text.p + from, text.p + to, tail);
		buf_cut(&text, from + tail);
	}
	f.all = buf_span(&text);
	f.name = sig->name;
	f.value = span_from(f.all, (size_t)(span_chr(f.all, ':') + 1));
	dkim_header(out, canon, &f);
	buf_cut(out, out->n - 2);
	buf_free(&text);
}

/* The fields by name, equal names in their order: a hostile h= and a hostile
 * header together must not cost their product. */
struct by_name {
	const struct msg_field **v;
	size_t *taken; /* at the first of a name: how many of its last ones */
	size_t n;
};

static int
field_cmp(const void *pa, const void *pb)
{
	const struct msg_field *a = *(const struct msg_field *const *)pa;
	const struct msg_field *b = *(const struct msg_field *const *)pb;
	int c = span_icmp(a->name, b->name);

	return c != 0 ? c : a < b ? -1 : a > b;
}

static void
by_name_init(struct by_name *x, const struct msg *m)
{
	x->n = m->n;
	x->v = mem_alloc(m->n + 1, sizeof(*x->v));
	x->taken = mem_alloc(m->n + 1, sizeof(*x->taken));
	for (size_t i = 0; i < m->n; i++)
		x->v[i] = &m->v[i];
	qsort(x->v, x->n, sizeof(*x->v), field_cmp);
}

/* The first of the sorted fields whose name is not below (or: is above). */
static size_t
by_name_bound(const struct by_name *x, struct span name, bool above)
{
	size_t lo = 0, hi = x->n;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;
		int c = span_icmp(x->v[mid]->name, name);

		if (c < 0 || (above && c == 0))
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

/* RFC 6376 5.4.2: instances are taken from the bottom up. */
static const struct msg_field *
by_name_take(struct by_name *x, struct span name, const struct msg_field *sig)
{
	size_t first = by_name_bound(x, name, false);
	size_t end = by_name_bound(x, name, true);

	while (first + x->taken[first] < end) {
		const struct msg_field *f = x->v[end - 1 - x->taken[first]++];

		if (f != sig)
			return f;
	}
	return NULL;
}

void
dkim_data(struct buf *out, const struct msg *m, struct span names,
	  enum dkim_canon canon, const struct msg_field *sig)
{
	struct by_name index;
	struct span name;

	by_name_init(&index, m);
	while (span_split(&names, ':', &name)) {
		const struct msg_field *f;

		/* RFC 6376 5.4: a name that is not there counts as nothing, so
		 * that it can be signed against being added */
		name = span_trim(name);
		f = name.n > 0 ? by_name_take(&index, name, sig) : NULL;
		if (f != NULL)
			dkim_header(out, canon, f);
	}
	free(index.v);
	free(index.taken);
	add_signature(out, canon, sig);
}
