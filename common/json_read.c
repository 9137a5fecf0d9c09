/*
 * json_read.c - see json_read.h.  A name is at most 100 bytes, the depth 32.
 * Layer: base.  RFC 8259.
 */
#include "json_read.h"
#include "buf.h"
#include "escape.h"
#include "num.h"
#include "status.h"

#define DEPTH_MAX 32

struct reader {
	struct span in;
	struct buf path;
	size_t mark[DEPTH_MAX]; /* length of path outside of each level */
	bool array[DEPTH_MAX];
	int depth;
	void (*fn)(void *, const struct json_event *);
	void *ctx;
};

static void
skip_blanks(struct reader *r)
{
	size_t i = 0;

	while (i < r->in.n && strchr(" \t\r\n", r->in.p[i]) != NULL &&
	       r->in.p[i] != '\0')
		i++;
	r->in = span_from(r->in, i);
}

static bool
take_hex4(struct span s, size_t at, uint64_t *cp)
{
	return at + 4 <= s.n && num_hex(span_sub(s, at, at + 4), 0xffff, cp);
}

/* \uXXXX, surrogates joined; how many bytes behind the backslash. */
static size_t
take_unicode(struct span s, size_t at, struct buf *out)
{
	uint64_t hi, lo;

	if (!take_hex4(s, at + 1, &hi))
		return 0;
	if (hi >= 0xd800 && hi < 0xdc00 && at + 7 < s.n &&
	    s.p[at + 5] == '\\' && s.p[at + 6] == 'u' &&
	    take_hex4(s, at + 7, &lo) && lo >= 0xdc00 && lo < 0xe000) {
		utf8_add(out, (uint32_t)(0x10000 + ((hi - 0xd800) << 10) +
					 (lo - 0xdc00)));
		return 11;
	}
	utf8_add(out, hi >= 0xd800 && hi < 0xe000 ? 0xfffd : (uint32_t)hi);
	return 5;
}

static bool
take_string(struct reader *r, struct buf *out)
{
	struct span s = r->in;
	size_t i = 1;

	buf_clear(out);
	while (i < s.n && s.p[i] != '"') {
		static const char from[] = "\"\\/bfnrt",
				  to[] = "\"\\/\b\f\n\r\t";
		const char *at;
		size_t n;

		if (s.p[i] != '\\') {
			buf_addc(out, s.p[i++]);
			continue;
		}
		if (++i >= s.n)
			return false;
		if (s.p[i] == 'u') {
			n = take_unicode(s, i, out);
			if (n == 0)
				return false;
			i += n;
			continue;
		}
		at = s.p[i] != '\0' ? strchr(from, s.p[i]) : NULL;
		if (at == NULL)
			return false;
		buf_addc(out, to[at - from]);
		i++;
	}
	if (i >= s.n)
		return false;
	r->in = span_from(s, i + 1);
	return true;
}

static void
tell(struct reader *r, struct span value, bool begins)
{
	struct json_event ev = { buf_str(&r->path), value, begins };

	r->fn(r->ctx, &ev);
}

/* A number or true, false, null. */
static bool
take_word(struct reader *r)
{
	size_t i = 0;

	while (i < r->in.n && (ascii_isalnum(r->in.p[i]) || r->in.p[i] == '-' ||
			       r->in.p[i] == '+' || r->in.p[i] == '.'))
		i++;
	if (i == 0)
		return false;
	tell(r, span_sub(r->in, 0, i), false);
	r->in = span_from(r->in, i);
	return true;
}

static bool
open_level(struct reader *r, bool array)
{
	if (r->depth == DEPTH_MAX)
		return false;
	if (!array && r->depth > 0 && r->array[r->depth - 1])
		tell(r, SPAN(""), true);
	r->mark[r->depth] = r->path.n;
	r->array[r->depth++] = array;
	r->in = span_from(r->in, 1);
	return true;
}

/* Behind a value: commas and ends.  1 another value follows, 0 the end, -1. */
static int
after_value(struct reader *r)
{
	for (;;) {
		char c;

		if (r->depth == 0)
			return 0;
		skip_blanks(r);
		if (r->in.n == 0)
			return -1;
		c = r->in.p[0];
		buf_cut(&r->path, r->mark[r->depth - 1]);
		r->in = span_from(r->in, 1);
		if (c == ',')
			return 1;
		if (c != (r->array[r->depth - 1] ? ']' : '}'))
			return -1;
		r->depth--;
	}
}

/* "name": of an object's member. */
static bool
take_name(struct reader *r, struct buf *text)
{
	skip_blanks(r);
	if (r->in.n == 0 || r->in.p[0] != '"' || !take_string(r, text))
		return false;
	skip_blanks(r);
	if (r->in.n == 0 || r->in.p[0] != ':' || text->n > 100)
		return false;
	r->in = span_from(r->in, 1);
	if (r->path.n > 0)
		buf_addc(&r->path, '.');
	buf_addspan(&r->path, buf_span(text));
	return true;
}

/* One value or the start of one: 1 go on, 0 ended well, -1. */
static int
step(struct reader *r, struct buf *text)
{
	char c;

	if (r->depth > 0 && !r->array[r->depth - 1] && !take_name(r, text))
		return -1;
	skip_blanks(r);
	c = r->in.n > 0 ? r->in.p[0] : '\0';
	if (c == '{' || c == '[') {
		if (!open_level(r, c == '['))
			return -1;
		skip_blanks(r);
		/* {} and [] have no value to read */
		if (r->in.n == 0 || (r->in.p[0] != ']' && r->in.p[0] != '}'))
			return 1;
		return after_value(r);
	}
	if (c == '"') {
		if (!take_string(r, text))
			return -1;
		tell(r, buf_span(text), false);
	} else if (!take_word(r)) {
		return -1;
	}
	return after_value(r);
}

int
json_read(struct span in, void (*fn)(void *, const struct json_event *),
	  void *ctx, struct err *e)
{
	struct reader r = { .in = in, .fn = fn, .ctx = ctx };
	struct buf text = BUF_INIT;
	int st;

	do
		st = step(&r, &text);
	while (st > 0);
	buf_free(&text);
	buf_free(&r.path);
	if (st < 0)
		return err_set(e, ST_DATA, "malformed JSON");
	return 0;
}
