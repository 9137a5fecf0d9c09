/*
 * sql_text.c - queries with holes, and where a hole may stand; see sql.h.
 * Layer: sys.  It knows as much of SQL as is needed to tell strings from
 * identifiers and comments, in the dialects of the three data bases.
 */
#include "sql_int.h"

#include "mem.h"
#include "status.h"

#include <stdlib.h>

enum place { BARE, STRING, DOUBLE, BACKTICK, BRACKET, LINE, BLOCK, DOLLAR };

struct piece {
	char *text; /* SQL, or a hole as it is written */
	bool hole, bare;
};
struct sql_text {
	struct piece *v;
	size_t n, cap;
};

/* Where we are in the text of the query. */
struct scan {
	enum sql_kind kind;
	enum place place;
	bool backslash;  /* it escapes, in this string */
	int depth;       /* of comments: PostgreSQL nests them */
	struct span tag; /* of $tag$ */
	struct buf sql;  /* the piece that grows */
};

void
sql_text_free(struct sql_text *t)
{
	for (size_t i = 0; t != NULL && i < t->n; i++)
		free(t->v[i].text);
	if (t != NULL)
		free(t->v);
	free(t);
}

static void
piece_add(struct sql_text *t, char *text, bool hole, bool bare)
{
	t->v = mem_grow(t->v, &t->cap, t->n + 1, sizeof(*t->v));
	t->v[t->n++] = (struct piece){ text, hole, bare };
}

static bool
is_word(char c)
{
	return ascii_isalnum(c) || c == '_' || (unsigned char)c >= 0x80;
}

/* "$tag$" at the beginning of s: its length, or 0. */
static size_t
dollar_tag(struct span s)
{
	size_t n = 1;

	if (s.n < 2 || s.p[0] != '$' || ascii_isdigit(s.p[1]))
		return 0;
	while (n < s.n && is_word(s.p[n]))
		n++;
	return n < s.n && s.p[n] == '$' ? n + 1 : 0;
}

/* A quote opens: E'' has escapes in PostgreSQL, every string in MySQL. */
static void
scan_open(struct scan *x, struct span all, size_t at)
{
	char before = at > 0 ? all.p[at - 1] : ' ';

	x->backslash = x->kind == SQL_MYSQL;
	if (x->kind == SQL_PGSQL && (before == 'e' || before == 'E') &&
	    (at < 2 || !is_word(all.p[at - 2])))
		x->backslash = true;
}

/* Outside of everything: what begins here?  Returns the bytes taken. */
static size_t
scan_bare(struct scan *x, struct span all, size_t at)
{
	struct span s = span_from(all, at);
	size_t n;

	switch (s.p[0]) {
	case '\'':
		scan_open(x, all, at);
		x->place = STRING;
		return 1;
	case '"':
		scan_open(x, all, at);
		x->place = DOUBLE;
		return 1;
	case '`':
		if (x->kind != SQL_PGSQL)
			x->place = BACKTICK;
		return 1;
	case '[':
		if (x->kind == SQL_SQLITE)
			x->place = BRACKET;
		return 1;
	case '#':
		if (x->kind == SQL_MYSQL)
			x->place = LINE;
		return 1;
	case '$':
		n = x->kind == SQL_PGSQL && (at == 0 || !is_word(all.p[at - 1]))
			? dollar_tag(s)
			: 0;
		if (n == 0)
			return 1;
		x->place = DOLLAR;
		x->tag = span_sub(s, 0, n);
		return n;
	default:
		if (span_starts(s, SPAN("--")))
			x->place = LINE;
		else if (span_starts(s, SPAN("/*")))
			x->place = BLOCK, x->depth = 1;
		else
			return 1;
		return 2;
	}
}

/* Inside of something: does it end here? */
static size_t
scan_inside(struct scan *x, struct span s)
{
	static const char closing[] = { [STRING] = '\'',
					[DOUBLE] = '"',
					[BACKTICK] = '`',
					[BRACKET] = ']',
					[LINE] = '\n' };

	if (x->place == BLOCK || x->place == DOLLAR) {
		struct span end = x->place == BLOCK ? SPAN("*/") : x->tag;

		if (x->place == BLOCK && x->kind == SQL_PGSQL &&
		    span_starts(s, SPAN("/*"))) {
			x->depth++;
			return 2;
		}
		if (!span_starts(s, end))
			return 1;
		if (x->place == DOLLAR || --x->depth == 0)
			x->place = BARE;
		return end.n;
	}
	if (x->backslash && s.p[0] == '\\' && s.n > 1 &&
	    (x->place == STRING || x->place == DOUBLE))
		return 2;
	if (s.p[0] == closing[x->place])
		x->place = BARE;
	return 1;
}

static int
scan_hole(const struct scan *x, struct span hole, struct err *e)
{
	static const char *const where[] = {
		[DOUBLE] = "in a quoted name",  [BACKTICK] = "in a quoted name",
		[BRACKET] = "in a quoted name", [LINE] = "in a comment",
		[BLOCK] = "in a comment",       [DOLLAR] = "in a $-string"
	};

	if (x->place == BARE)
		return 0;
	/* PostgreSQL's escape for strings is none for E'strings'. */
	if (x->place == STRING && !(x->kind == SQL_PGSQL && x->backslash))
		return 0;
	if (x->place == DOUBLE && x->kind == SQL_MYSQL)
		return 0; /* a string there */
	return err_set(e, ST_CONFIG,
		       "\"%.*s\" stands %s, where no value can be made safe: "
		       "put it between single quotes",
		       SPAN_ARG(hole),
		       x->place == STRING ? "in an E'string'"
					  : where[x->place]);
}

struct sql_text *
sql_text_parse(enum sql_kind kind, struct span text,
	       size_t (*hole)(struct span rest), struct err *e)
{
	struct sql_text *t = mem_alloc(1, sizeof(*t));
	struct scan x = { .kind = kind, .sql = BUF_INIT };
	int r = 0;

	for (size_t i = 0; r == 0 && i < text.n;) {
		struct span rest = span_from(text, i);
		size_t n;

		if (rest.p[0] != '%' || span_starts(rest, SPAN("%%"))) {
			n = x.place == BARE ? scan_bare(&x, text, i)
					    : scan_inside(&x, rest);
			if (rest.p[0] == '%')
				i++;
			buf_addspan(&x.sql, span_sub(text, i, i + n));
			i += n;
			continue;
		}
		n = hole(rest);
		if (n == 0) {
			r = err_set(e, ST_CONFIG,
				    "\"%.*s\" is no variable of a query",
				    SPAN_ARG(span_sub(rest, 0, 2)));
			break;
		}
		r = scan_hole(&x, span_sub(rest, 0, n), e);
		piece_add(t, buf_steal(&x.sql), false, false);
		piece_add(t, mem_spandup(span_sub(rest, 0, n)), true,
			  x.place == BARE);
		i += n;
	}
	piece_add(t, buf_steal(&x.sql), false, false);
	buf_free(&x.sql);
	if (r == 0)
		return t;
	sql_text_free(t);
	return NULL;
}

void
sql_text_holes(const struct sql_text *t,
	       void (*fn)(void *ctx, struct span hole), void *ctx)
{
	for (size_t i = 0; i < t->n; i++)
		if (t->v[i].hole)
			fn(ctx, span_of(t->v[i].text));
}

int
sql_text_build(const struct sql_text *t, sql_value_fn *value, void *ctx,
	       const struct sql_client *client, void *connection,
	       struct buf *out, struct err *e)
{
	struct buf one = BUF_INIT;
	int r = 0;

	for (size_t i = 0; r == 0 && i < t->n; i++) {
		const struct piece *p = &t->v[i];

		if (!p->hole) {
			buf_adds(out, p->text);
			continue;
		}
		buf_clear(&one);
		r = value(ctx, span_of(p->text), &one, e);
		if (r == 0 && memchr(buf_str(&one), '\0', one.n) != NULL)
			r = err_set(e, ST_DATA, "a value with a NUL byte");
		if (r != 0)
			break;
		/* The blank: an E before it must not become part of it. */
		if (p->bare)
			buf_adds(out, " '");
		r = client->quote(connection, out, buf_span(&one), e);
		if (p->bare)
			buf_addc(out, '\'');
	}
	buf_wipe(&one);
	return r;
}
