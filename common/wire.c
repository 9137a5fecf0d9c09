/*
 * wire.c - the one encoder and the one scanner of wire bytes; see wire.h.
 * Layer: mail.
 */
#include "wire.h"

void
wire_out_init(struct wire_out *w, bool dots)
{
	*w = (struct wire_out){ .dots = dots, .bol = true, .cr = false };
}

/* A CR was held back and what follows is no LF: it becomes a space. */
static void
out_stray_cr(struct wire_out *w, struct buf *out)
{
	buf_addc(out, ' ');
	w->cr = false;
	w->bol = false;
}

/* A piece without LF; each CR is held back until the next byte is known. */
static void
out_piece(struct wire_out *w, struct buf *out, struct span s)
{
	while (s.n > 0) {
		ssize_t cr = span_chr(s, '\r');
		size_t n = cr < 0 ? s.n : (size_t)cr;

		if (w->cr)
			out_stray_cr(w, out);
		if (n > 0) {
			if (w->dots && w->bol && s.p[0] == '.')
				buf_addc(out, '.');
			buf_add(out, s.p, n);
			w->bol = false;
		}
		if (cr < 0)
			return;
		w->cr = true;
		s = span_from(s, n + 1);
	}
}

void
wire_encode(struct wire_out *w, struct buf *out, struct span in)
{
	while (in.n > 0) {
		ssize_t lf = span_chr(in, '\n');

		if (lf < 0) {
			out_piece(w, out, in);
			return;
		}
		out_piece(w, out, span_sub(in, 0, (size_t)lf));
		buf_add(out, "\r\n", 2);
		w->cr = false;
		w->bol = true;
		in = span_from(in, (size_t)lf + 1);
	}
}

void
wire_finish(struct wire_out *w, struct buf *out)
{
	if (w->cr)
		out_stray_cr(w, out);
	if (!w->bol)
		buf_add(out, "\r\n", 2);
	w->bol = true;
	if (w->dots)
		buf_add(out, ".\r\n", 3);
}

/*
 * States of the scanner.  IN_BOL is entered by CRLF alone (and stands at the
 * very beginning), so nothing else can lead to IN_DOT_CR and the end.
 */
enum { IN_BOL, IN_TEXT, IN_CR, IN_DOT, IN_DOT_CR };

void
wire_in_init(struct wire_in *w, bool dots, enum wire_policy policy)
{
	*w =
	    (struct wire_in){ .state = IN_BOL, .dots = dots, .policy = policy };
}

static void
in_stray_cr(struct wire_in *w, struct buf *out)
{
	w->bare_cr = true;
	w->state = IN_TEXT;
	buf_addc(out, ' ');
}

/*
 * One byte where a single byte decides.  False: the byte is text and was not
 * taken; the state is IN_TEXT then.
 */
static bool
in_byte(struct wire_in *w, struct buf *out, char c, bool *end_r)
{
	switch (w->state) {
	case IN_BOL:
		w->state = IN_TEXT;
		if (!w->dots || c != '.')
			return false;
		/* RFC 5321 4.5.2: the first dot goes, unless it stands alone.*/
		w->state = IN_DOT;
		return true;
	case IN_DOT:
		w->state = c == '\r' ? IN_DOT_CR : IN_TEXT;
		return c == '\r';
	case IN_DOT_CR:
		if (c == '\n') {
			w->state = IN_BOL;
			*end_r = true;
			return true;
		}
		in_stray_cr(w, out);
		return false;
	case IN_CR:
		if (c == '\n') {
			w->state = IN_BOL;
			buf_addc(out, '\n');
			return true;
		}
		in_stray_cr(w, out);
		return false;
	default:
		return false;
	}
}

size_t
wire_decode(struct wire_in *w, struct buf *out, struct span in, bool *end_r)
{
	size_t at = 0, start = out->n, lf = 0;
	bool end = false;

	/* lf: where the next LF is, or in.n; looked for once a line, so that
	 * a flood of CRs costs no second pass. */
	for (lf = 0; at < in.n && !end;) {
		if (w->state != IN_TEXT && in_byte(w, out, in.p[at], &end)) {
			at++;
			continue;
		}
		if (lf <= at && in.p[at] != '\n') {
			ssize_t k = span_chr(span_from(in, at), '\n');

			lf = k < 0 ? in.n : at + (size_t)k;
		} else if (in.p[at] == '\n') {
			/* Not a line end for dots: the state stays IN_TEXT. */
			w->bare_lf = true;
			buf_addc(out, '\n');
			at++;
			continue;
		}
		struct span piece = span_sub(in, at, lf);
		ssize_t cr = span_chr(piece, '\r');
		size_t n = cr < 0 ? piece.n : (size_t)cr;

		buf_add(out, piece.p, n);
		at += n;
		if (cr >= 0) {
			w->state = IN_CR;
			at++;
		}
	}
	if (memchr(in.p != NULL ? in.p : "", '\0', at) != NULL)
		w->nul = true;
	w->bytes += out->n - start;
	if (end)
		*end_r = true;
	return at;
}

void
wire_in_finish(struct wire_in *w, struct buf *out)
{
	if (w->state == IN_CR || w->state == IN_DOT_CR) {
		in_stray_cr(w, out);
		w->bytes++;
	}
}
