/*
 * surrogate.c - see surrogate.h.  RFC 6856 2.1 and 4: without UTF8 no
 * character outside ASCII is sent in a header; RFC 2047 words stand for them,
 * and an address that needs SMTPUTF8 becomes one that no mail reaches.
 */
#include "surrogate.h"
#include "escape.h"
#include "msg.h"

#define WORD_BYTES 42 /* an encoded word is at most 75 characters */
#define NOWHERE "invalid@internationalized-address.invalid"

enum kind { KIND_TEXT, KIND_ADDRESS, KIND_PARAMETER };

static enum kind
kind_of(struct span name)
{
	static const char *const address[] = { "From", "Sender", "Reply-To",
					       "To",   "Cc",     "Bcc" };

	if (span_istarts(name, SPAN("Resent-")))
		name = span_from(name, 7);
	for (size_t i = 0; i < ARRAY_LEN(address); i++)
		if (span_iis(name, address[i]))
			return KIND_ADDRESS;
	if (span_istarts(name, SPAN("Content-")) &&
	    !span_iis(name, "Content-Description"))
		return KIND_PARAMETER;
	return KIND_TEXT;
}

static void
put_encoded(struct buf *b, struct span s)
{
	while (s.n > 0) {
		size_t n = 0;
		uint32_t cp;

		while (n < s.n) {
			size_t k = utf8_next(span_from(s, n), &cp);

			k = k > 0 ? k : 1;
			if (n + k > WORD_BYTES)
				break;
			n += k;
		}
		buf_adds(b, "=?UTF-8?B?");
		base64_encode(b, span_sub(s, 0, n));
		buf_adds(b, "?=");
		s = span_from(s, n);
		if (s.n > 0)
			buf_adds(b, "\n ");
	}
}

/* The end of a piece that begins at `at`: a quoted string, <...>, or a word up
 * to a blank (in addresses also up to a comma or the like). */
static size_t
piece_end(struct span v, size_t at, enum kind kind)
{
	char close = kind != KIND_TEXT && v.p[at] == '"'      ? '"'
		     : kind == KIND_ADDRESS && v.p[at] == '<' ? '>'
							      : '\0';

	for (size_t i = at + 1; i < v.n; i++) {
		if (close == '"' && v.p[i] == '\\')
			i++;
		else if (close != '\0' && v.p[i] == close)
			return i + 1;
		else if (close == '\0' &&
			 (ascii_isspace(v.p[i]) ||
			  (kind != KIND_TEXT && v.p[i] == '"') ||
			  (kind == KIND_ADDRESS &&
			   span_chr(SPAN("<>,;:"), v.p[i]) >= 0)))
			return i;
	}
	return v.n;
}

/* Words with blanks between them are one encoded text, as the blanks between
 * encoded words are not shown. */
static size_t
run_end(struct span v, size_t end, enum kind kind)
{
	for (;;) {
		size_t next = end, stop;

		while (next < v.n && ascii_isspace(v.p[next]))
			next++;
		if (next == end || next == v.n || v.p[next] == '"' ||
		    v.p[next] == '<')
			return end;
		stop = piece_end(v, next, kind);
		if (span_is_ascii(span_sub(v, next, stop)))
			return end;
		end = stop;
	}
}

static void
put_quoted(struct buf *b, struct span piece, enum kind kind)
{
	struct buf text = BUF_INIT;
	size_t last =
	    piece.n > 1 && piece.p[piece.n - 1] == '"' ? piece.n - 1 : piece.n;

	for (size_t i = 1; i < last; i++) {
		if (piece.p[i] == '\\' && i + 1 < last)
			i++;
		buf_addc(&text, piece.p[i]);
	}
	/* a parameter keeps its quotes, a phrase must not have them */
	if (kind == KIND_PARAMETER)
		buf_addc(b, '"');
	put_encoded(b, buf_span(&text));
	if (kind == KIND_PARAMETER)
		buf_addc(b, '"');
	buf_free(&text);
}

static void
put_value(struct buf *b, struct span v, enum kind kind)
{
	size_t at = 0;

	while (at < v.n) {
		size_t end;
		struct span piece;

		if (ascii_isspace(v.p[at])) {
			buf_addc(b, v.p[at++]);
			continue;
		}
		end = piece_end(v, at, kind);
		piece = span_sub(v, at, end);
		if (span_is_ascii(piece)) {
			buf_addspan(b, piece);
		} else if (kind != KIND_TEXT && piece.p[0] == '"') {
			put_quoted(b, piece, kind);
		} else if (kind == KIND_ADDRESS && piece.p[0] == '<') {
			buf_adds(b, "<" NOWHERE ">");
		} else if (kind == KIND_ADDRESS && span_chr(piece, '@') >= 0) {
			buf_adds(b, NOWHERE);
		} else {
			end = run_end(v, end, kind);
			put_encoded(b, span_sub(v, at, end));
		}
		at = end;
	}
}

size_t
surrogate_header_end(struct span whole)
{
	size_t at = 0;

	while (at < whole.n) {
		struct span rest = span_from(whole, at);
		ssize_t lf = span_chr(rest, '\n');

		if (lf == 0 || span_starts(rest, SPAN("\r\n")))
			return at;
		if (lf < 0)
			return 0;
		at += (size_t)lf + 1;
	}
	return 0;
}

bool
surrogate_header(struct buf *out, struct span header)
{
	struct msg_field f;
	struct buf value = BUF_INIT;
	size_t n;

	if (span_is_ascii(header) || !utf8_valid(header))
		return false;
	while (header.n > 0) {
		n = msg_next_field(header, &f);
		if (n == 0)
			break;
		header = span_from(header, n);
		if (span_is_ascii(f.all)) {
			buf_addspan(out, f.all);
			continue;
		}
		buf_clear(&value);
		msg_unfold(&value, f.value);
		buf_addf(out, "%.*s: ", SPAN_ARG(f.name));
		put_value(out, buf_span(&value), kind_of(f.name));
		buf_addc(out, '\n');
	}
	/* a line that is no field: as it is */
	buf_addspan(out, header);
	buf_free(&value);
	return true;
}
