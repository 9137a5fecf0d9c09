/*
 * text.c - see text.h.  RFC 1939 3 (byte-stuffing), 7 (TOP).
 */
#include "text.h"

void
text_init(struct text *t, struct stream *st)
{
	*t = (struct text){ .st = st };
}

static void
out(struct text *t, const char *p, size_t n)
{
	if (t->st != NULL && n > 0)
		stream_write(t->st, p, n);
	t->sent += n;
}

/* A line end: LF alone gets its CR. */
static void
end_line(struct text *t)
{
	bool cr = t->column > 0 && t->last == '\r';
	bool empty = t->column == (cr ? 1 : 0);

	out(t, cr ? "\n" : "\r\n", cr ? 1 : 2);
	t->column = 0;
	if (t->in_body && t->limited)
		t->lines--;
	if (empty)
		t->in_body = true;
	t->done = t->in_body && t->limited && t->lines == 0;
}

void
text_put(struct text *t, struct span s)
{
	while (s.n > 0 && !t->done) {
		const char *lf = memchr(s.p, '\n', s.n);
		size_t n = lf != NULL ? (size_t)(lf - s.p) : s.n;

		if (n > 0) {
			if (t->column == 0 && s.p[0] == '.' && t->st != NULL)
				stream_puts(t->st, ".");
			out(t, s.p, n);
			t->column += n;
			t->last = s.p[n - 1];
		}
		if (lf != NULL)
			end_line(t);
		s = span_from(s, lf != NULL ? n + 1 : n);
	}
}

void
text_end(struct text *t)
{
	if (t->column > 0)
		out(t, "\r\n", 2);
	stream_puts(t->st, ".\r\n");
}
