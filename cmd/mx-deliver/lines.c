/*
 * lines.c - a message from standard input: CRLF becomes LF, a leading mbox
 * separator line goes, quoted with '>' or not, everything else stays.
 */
#include "lines.h"
#include "status.h"

#include <errno.h>
#include <unistd.h>

#define QUOTES_MAX 64

/* CRLF to LF over all splits; a first line "From ..." is left out. */
struct lines {
	bool cr;         /* a CR is held back */
	bool skip;       /* inside the separator line */
	bool any;        /* something was read */
	struct buf head; /* first bytes, until it is known what they are */
	bool begun;
};

static void
lines_take(struct lines *l, struct span in, struct buf *out)
{
	for (size_t i = 0; i < in.n; i++) {
		char c = in.p[i];
		if (l->skip) {
			l->skip = c != '\n';
			continue;
		}
		if (l->cr && c != '\n')
			buf_addc(out, '\r');
		l->cr = c == '\r';
		if (!l->cr)
			buf_addc(out, c);
	}
}

static void
lines_add(struct lines *l, struct span in, struct buf *out)
{
	const struct span sep = SPAN("From ");
	struct span front;

	l->any = l->any || in.n > 0;
	if (l->begun) {
		lines_take(l, in, out);
		return;
	}
	buf_addspan(&l->head, in);
	front = buf_span(&l->head);
	while (front.n > 0 && front.p[0] == '>')
		front = span_from(front, 1);
	if (front.n < sep.n && span_starts(sep, front) &&
	    l->head.n < QUOTES_MAX)
		return;
	l->begun = true;
	l->skip = span_starts(front, sep);
	lines_take(l, buf_span(&l->head), out);
	buf_free(&l->head);
}

/* The last line may lack its end; a CR that was held back was one. */
static void
lines_end(struct lines *l, struct buf *out)
{
	if (!l->begun)
		lines_take(l, buf_span(&l->head), out);
	buf_free(&l->head);
	if (l->cr)
		buf_addc(out, '\r');
}

int
lines_stdin(lines_put_fn *put, void *to, struct err *e)
{
	struct lines l = { .cr = false };
	struct buf out = BUF_INIT;
	char in[65536];
	ssize_t got;
	int r = 0;

	do {
		got = read(0, in, sizeof(in));
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			r = err_sys(e, "reading the message");
		else if (got > 0)
			lines_add(&l, span_make(in, (size_t)got), &out);
		else
			lines_end(&l, &out);
		if (r == 0 && out.n > 0)
			r = put(to, out.p, out.n, e);
		buf_clear(&out);
	} while (r == 0 && got != 0);
	buf_free(&out);
	buf_free(&l.head);
	if (r == 0 && !l.any)
		r = err_set(e, ST_DATA,
			    "the message on standard input is empty");
	return r;
}
