/*
 * field.c - the text of a field that is made: folded, then written with the
 * message's own line ends.  RFC 5322 2.2.3.
 */
#include "dkimsign.h"
#include "io.h"
#include "status.h"

#include <unistd.h>

#define FOLD_AT 78

/* Appends a piece; on a new line when this one is full. */
static void
fold(struct buf *b, size_t *line, struct span piece, bool blank)
{
	if (b->n - *line + piece.n + 1 > FOLD_AT && b->n > *line) {
		buf_addc(b, '\n');
		*line = b->n;
		buf_addc(b, '\t');
	} else if (blank) {
		buf_addc(b, ' ');
	}
	buf_addspan(b, piece);
}

void
field_tag(struct buf *b, size_t *line, const char *fmt, ...)
{
	struct buf tag = BUF_INIT;
	va_list ap;

	va_start(ap, fmt);
	buf_vaddf(&tag, fmt, ap);
	va_end(ap);
	fold(b, line, buf_span(&tag), true);
	buf_free(&tag);
}

/* Long base64 in pieces that fit a line. */
void
field_base64(struct buf *b, size_t *line, struct span s)
{
	while (s.n > 0) {
		size_t used = b->n - *line;
		size_t room = used < FOLD_AT - 4 ? FOLD_AT - used : FOLD_AT - 8;
		struct span piece = span_sub(s, 0, room);

		if (used >= FOLD_AT - 4) {
			buf_addc(b, '\n');
			*line = b->n;
			buf_addc(b, '\t');
		}
		buf_addspan(b, piece);
		s = span_from(s, piece.n);
	}
}

void
field_names(struct buf *b, size_t *line, struct span names)
{
	struct span name;
	bool first = true;

	while (span_split(&names, ':', &name)) {
		struct buf piece = BUF_INIT;

		buf_addf(&piece, "%s%.*s%s", first ? "h=" : "", SPAN_ARG(name),
			 names.p != NULL ? ":" : ";");
		fold(b, line, buf_span(&piece), first);
		first = false;
		buf_free(&piece);
	}
}

/* Adds the field with the message's line ends. */
void
field_lines(struct buf *out, struct span field, bool crlf)
{
	struct span line;

	while (span_split(&field, '\n', &line)) {
		buf_addspan(out, line);
		buf_adds(out, crlf ? "\r\n" : "\n");
	}
}

int
field_write(struct span s, struct err *e)
{
	if (io_write(STDOUT_FILENO, s.p, s.n, DEADLINE_NEVER) != IO_OK) {
		err_sys(e, "standard output");
		if (e != NULL)
			e->status = ST_IOERR;
		return -1;
	}
	return 0;
}
