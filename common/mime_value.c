/*
 * mime_value.c - type, subtype and parameters of structured MIME fields.
 * Layer: mail.  RFC 2045 5.1, RFC 2183, RFC 2231 3 and 4; comments anywhere.
 */
#include <stdlib.h>

#include "encword.h"
#include "escape.h"
#include "mem.h"
#include "mime.h"
#include "num.h"

#define PARAMS_MAX 100

/* One attribute=value as it stands there (RFC 2045 5.1). */
struct raw {
	struct buf name, value;
	int section; /* NAME*3: 3; -1 without */
	bool ext;    /* ended with a star */
};

struct scan {
	struct span s;
	struct raw v[PARAMS_MAX];
	size_t n;
	bool bad;
};

/* RFC 5322 3.2.2: blanks and comments; a counter, not recursion. */
static void
skip_cfws(struct scan *sc)
{
	size_t i = 0, depth = 0;

	for (; i < sc->s.n; i++) {
		char c = sc->s.p[i];

		if (c == '(')
			depth++;
		else if (depth && c == ')')
			depth--;
		else if (depth && c == '\\')
			i++;
		else if (!depth && !ascii_isspace(c))
			break;
	}
	sc->s = span_from(sc->s, i);
}

static bool
is_special(char c)
{
	return (unsigned char)c <= 32 || strchr("()<>@,;:\\\"/[]?=", c) != NULL;
}

static void
add_lower(struct buf *b, struct span s)
{
	size_t i;

	for (i = 0; i < s.n; i++)
		buf_addc(b, ascii_tolower(s.p[i]));
}

static struct span
take_token(struct scan *sc)
{
	size_t i = 0;
	struct span t;

	while (i < sc->s.n && !is_special(sc->s.p[i]))
		i++;
	t = span_sub(sc->s, 0, i);
	sc->s = span_from(sc->s, i);
	return t;
}

static void
take_quoted(struct scan *sc, struct buf *out)
{
	size_t i;

	for (i = 1; i < sc->s.n && sc->s.p[i] != '"'; i++) {
		char c = sc->s.p[i];

		if (c == '\\' && i + 1 < sc->s.n)
			c = sc->s.p[++i];
		if (c != '\r' && c != '\n') /* RFC 5322 3.2.4: folds */
			buf_addc(out, c);
	}
	sc->bad |= i >= sc->s.n;
	sc->s = span_from(sc->s, i + 1);
}

/* Up to the next ";": what many write for a token (blanks, "/", "=" in it).
 * A comment behind a blank is one. */
static void
take_loose(struct scan *sc, struct buf *out)
{
	struct span v = sc->s;
	size_t i;

	for (i = 0; i < v.n && v.p[i] != ';'; i++) {
		if (v.p[i] == '(' && i && ascii_isspace(v.p[i - 1]))
			break;
		sc->bad |= is_special(v.p[i]) && !ascii_isspace(v.p[i]);
	}
	sc->s = span_from(v, i);
	v = span_trim(span_sub(v, 0, i));
	for (i = 0; i < v.n; i++)
		if (v.p[i] != '\r' && v.p[i] != '\n')
			buf_addc(out, v.p[i]);
}

/* NAME, NAME*, NAME*3, NAME*3* (RFC 2231 3 and 4). */
static void
split_name(struct raw *r, struct span name)
{
	struct span digits;
	ssize_t star;

	r->section = -1;
	r->ext = false;
	if (name.n > 1 && name.p[name.n - 1] == '*') {
		r->ext = true;
		name.n--;
	}
	star = span_rchr(name, '*');
	if (star > 0) {
		digits = span_from(name, (size_t)star + 1);
		if (num_int(digits, 0, PARAMS_MAX, &r->section))
			name.n = (size_t)star;
	}
	add_lower(&r->name, name);
}

static void
take_param(struct scan *sc)
{
	struct raw *r = &sc->v[sc->n];
	struct span name;

	memset(r, 0, sizeof(*r));
	name = take_token(sc);
	skip_cfws(sc);
	if (!name.n || !sc->s.n || sc->s.p[0] != '=') {
		sc->bad |= name.n > 0;
		return;
	}
	sc->s = span_from(sc->s, 1);
	split_name(r, name);
	skip_cfws(sc);
	if (sc->s.n && sc->s.p[0] == '"')
		take_quoted(sc, &r->value);
	else
		take_loose(sc, &r->value);
	sc->n++;
}

/* Everything up to and with the next ";" that is not inside quotes. */
static void
next_param(struct scan *sc)
{
	for (;;) {
		skip_cfws(sc);
		if (!sc->s.n)
			return;
		if (sc->s.p[0] == ';') {
			sc->s = span_from(sc->s, 1);
			skip_cfws(sc);
			return;
		}
		sc->bad = true;
		if (sc->s.p[0] == '"') {
			struct buf junk = BUF_INIT;

			take_quoted(sc, &junk);
			buf_free(&junk);
		} else {
			sc->s = span_from(sc->s, 1);
		}
	}
}

static const struct raw *
find_raw(const struct scan *sc, struct span name, int section, int ext)
{
	size_t i;

	for (i = 0; i < sc->n; i++)
		if (sc->v[i].section == section &&
		    (ext < 0 || sc->v[i].ext == (ext > 0)) &&
		    span_eq(buf_span(&sc->v[i].name), name))
			return &sc->v[i];
	return NULL;
}

static void
add_percent(struct buf *b, struct span s)
{
	size_t i;

	for (i = 0; i < s.n; i++) {
		if (ascii_isalnum(s.p[i]) || strchr("-._~", s.p[i]))
			buf_addc(b, s.p[i]);
		else
			buf_addf(b, "%%%02X", (unsigned char)s.p[i]);
	}
}

/* RFC 2231 3: NAME*0, NAME*1 ... joined, in whatever order; true when any of
 * them was extended. */
static bool
join_sections(const struct scan *sc, struct span name, struct buf *out)
{
	const struct raw *r;
	bool ext = false;
	int k;

	for (k = 0; (r = find_raw(sc, name, k, -1)) != NULL; k++)
		ext |= r->ext;
	for (k = 0; (r = find_raw(sc, name, k, -1)) != NULL; k++) {
		if (ext && k == 0 && !r->ext)
			buf_adds(out, "''");
		if (ext && !r->ext)
			add_percent(out, buf_span(&r->value));
		else
			buf_addspan(out, buf_span(&r->value));
	}
	return ext;
}

/* The value that counts for a name: the extended form, the joined one, the
 * plain one, in this order (as mail readers do).  False: none. */
static bool
pick(const struct scan *sc, struct span name, struct buf *out, bool *ext_r)
{
	const struct raw *r = find_raw(sc, name, -1, 1);

	*ext_r = r != NULL;
	if (!r && find_raw(sc, name, 0, -1)) {
		*ext_r = join_sections(sc, name, out);
		return true;
	}
	if (!r)
		r = find_raw(sc, name, -1, 0);
	if (r)
		buf_addspan(out, buf_span(&r->value));
	return r != NULL;
}

/* Spans hold offsets until all text is there. */
static struct span
at_offset(size_t at, size_t n)
{
	return span_make((const char *)(uintptr_t)at, n);
}

static void
resolve(struct span *s, const struct buf *text)
{
	s->p = buf_str(text) + (uintptr_t)s->p;
}

static void
add_params(struct mime_value *mv, struct scan *sc)
{
	size_t i, k;

	for (i = 0; i < sc->n; i++) {
		struct span name = buf_span(&sc->v[i].name);
		struct mime_param *p;
		struct buf value = BUF_INIT;
		bool ext, seen = false;

		for (k = 0; k < i; k++)
			seen |= span_eq(buf_span(&sc->v[k].name), name);
		if (seen || !pick(sc, name, &value, &ext)) {
			mv->bad |= !seen;
			continue;
		}
		mv->v = mem_grow(mv->v, &mv->cap, mv->n + 1, sizeof(*mv->v));
		p = &mv->v[mv->n++];
		p->name = at_offset(mv->text.n, name.n);
		buf_addspan(&mv->text, name);
		p->value = at_offset(mv->text.n, value.n);
		buf_addspan(&mv->text, buf_span(&value));
		p->ext = ext;
		buf_free(&value);
	}
}

void
mime_value_parse(struct mime_value *mv, struct span body)
{
	struct scan *sc = mem_alloc(1, sizeof(*sc));
	struct span t;
	size_t i;

	memset(mv, 0, sizeof(*mv));
	sc->s = body;
	skip_cfws(sc);
	t = take_token(sc);
	mv->type = at_offset(0, t.n);
	add_lower(&mv->text, t);
	skip_cfws(sc);
	mv->subtype = at_offset(mv->text.n, 0);
	if (sc->s.n && sc->s.p[0] == '/') {
		sc->s = span_from(sc->s, 1);
		skip_cfws(sc);
		t = take_token(sc);
		mv->subtype.n = t.n;
		add_lower(&mv->text, t);
	}
	for (next_param(sc); sc->s.n && sc->n < PARAMS_MAX; next_param(sc))
		take_param(sc);
	mv->bad = sc->bad || sc->s.n > 0;
	add_params(mv, sc);
	resolve(&mv->type, &mv->text);
	resolve(&mv->subtype, &mv->text);
	for (i = 0; i < mv->n; i++) {
		resolve(&mv->v[i].name, &mv->text);
		resolve(&mv->v[i].value, &mv->text);
	}
	for (i = 0; i < sc->n; i++) {
		buf_free(&sc->v[i].name);
		buf_free(&sc->v[i].value);
	}
	free(sc);
}

void
mime_value_free(struct mime_value *mv)
{
	free(mv->v);
	buf_free(&mv->text);
	memset(mv, 0, sizeof(*mv));
}

const struct mime_param *
mime_param_find(const struct mime_value *mv, const char *name)
{
	size_t i;

	for (i = 0; i < mv->n; i++)
		if (span_is(mv->v[i].name, name))
			return &mv->v[i];
	return NULL;
}

void
mime_param_text(struct buf *b, const struct mime_param *p)
{
	if (p->ext)
		encword_decode_ext(b, p->value);
	else
		encword_decode(b, p->value);
}
