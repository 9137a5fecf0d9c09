/*
 * shape.c - see shape.h.
 */
#include "shape.h"

/* No field has a longer name: such a line is the body's. */
#define HELD_MAX 4096

enum line {
	LINE_UNKNOWN, /* more of it is needed */
	LINE_FIELD,
	LINE_FOLD,
	LINE_FROM, /* an mbox separator, quoted or not */
	LINE_BLANK,
	LINE_BODY
};

static bool
is_wsp(char c)
{
	return c == ' ' || c == '\t';
}

/* "From ", with any number of '>' in front, and no colon behind its blanks,
 * which would make it an obsolete From field (RFC 5322 4.5). */
static enum line
first_line(struct span s)
{
	static const char word[] = "From ";
	size_t i = 0, k = 0;

	while (i < s.n && s.p[i] == '>')
		i++;
	while (i < s.n && k < 5 && s.p[i] == word[k])
		i++, k++;
	if (k == 5)
		while (i < s.n && is_wsp(s.p[i]))
			i++;
	if (i == s.n)
		return LINE_UNKNOWN;
	return k == 5 && s.p[i] != ':' ? LINE_FROM : LINE_FIELD;
}

/* RFC 5322 3.6.8 ftext, and blanks before the colon (4.5). */
static enum line
what_line(const struct shape *sh)
{
	struct span s = buf_span(&sh->held);
	size_t name, i = 0;

	if (s.n > 0 && s.p[0] == '\n')
		return LINE_BLANK;
	if (s.n > 0 && is_wsp(s.p[0]))
		return sh->fields ? LINE_FOLD : LINE_BODY;
	if (!sh->fields) {
		enum line l = first_line(s);

		if (l != LINE_FIELD)
			return l == LINE_UNKNOWN && s.n >= HELD_MAX ? LINE_BODY
								    : l;
	}
	while (i < s.n && s.p[i] > ' ' && s.p[i] < 127 && s.p[i] != ':')
		i++;
	name = i;
	while (i < s.n && is_wsp(s.p[i]))
		i++;
	if (i == s.n)
		return s.n < HELD_MAX ? LINE_UNKNOWN : LINE_BODY;
	return s.p[i] == ':' && name > 0 ? LINE_FIELD : LINE_BODY;
}

static void
let_go(struct shape *sh, enum line l, struct buf *out)
{
	sh->done = l == LINE_BLANK || l == LINE_BODY;
	sh->inside = !sh->done;
	sh->fields = sh->fields || l == LINE_FIELD || l == LINE_FROM;
	if (l == LINE_FROM)
		buf_adds(out, "X-Mailbox-Line: ");
	else if (l == LINE_BODY)
		buf_addc(out, '\n');
	buf_addspan(out, buf_span(&sh->held));
	if (sh->held.n > 0 && sh->held.p[sh->held.n - 1] == '\n')
		sh->inside = false;
	buf_clear(&sh->held);
}

/* Only at such a byte may it be known what the line is: a line is not looked
 * at again for each of its bytes. */
static bool
tells(const struct shape *sh, char c)
{
	return !(is_wsp(c) || (c > ' ' && c < 127)) || c == ':' ||
	       sh->held.n >= HELD_MAX || (sh->held.n == 1 && is_wsp(c));
}

void
shape_init(struct shape *sh)
{
	buf_clear(&sh->held);
	sh->inside = sh->fields = sh->done = false;
}

void
shape_free(struct shape *sh)
{
	buf_free(&sh->held);
}

void
shape_feed(struct shape *sh, struct span in, struct buf *out)
{
	while (!sh->done && in.n > 0) {
		if (sh->inside) {
			ssize_t lf = span_chr(in, '\n');
			size_t n = lf < 0 ? in.n : (size_t)lf + 1;

			buf_addspan(out, span_sub(in, 0, n));
			in = span_from(in, n);
			sh->inside = lf < 0;
		} else {
			enum line l = LINE_UNKNOWN;
			char c = in.p[0];

			buf_addc(&sh->held, c);
			in = span_from(in, 1);
			if (tells(sh, c))
				l = what_line(sh);
			if (l != LINE_UNKNOWN)
				let_go(sh, l, out);
		}
	}
	buf_addspan(out, in);
}

void
shape_finish(struct shape *sh, struct buf *out)
{
	if (!sh->done && sh->held.n > 0)
		let_go(sh, LINE_BODY, out);
}
