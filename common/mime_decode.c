/*
 * mime_decode.c - Content-Transfer-Encoding away, text to UTF-8.
 * Layer: mail.  RFC 2045 6.7 and 6.8, lax.
 */
#include "encword.h"
#include "escape.h"
#include "mime.h"

#define TEXT_MAX (10 * 1024 * 1024)

static int
hex_digit(char c)
{
	if (ascii_isdigit(c))
		return c - '0';
	c = ascii_tolower(c);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* How many bytes a line end at s.p takes; 0: none. */
static size_t
eol_at(struct span s)
{
	if (s.n && s.p[0] == '\n')
		return 1;
	return s.n > 1 && s.p[0] == '\r' && s.p[1] == '\n' ? 2 : 0;
}

static size_t
blanks_at(struct span s)
{
	size_t i = 0;

	while (i < s.n && (s.p[i] == ' ' || s.p[i] == '\t'))
		i++;
	return i;
}

/* One unit of quoted-printable (RFC 2045 6.7) at s.p: appends what it means,
 * returns its length. */
static size_t
qp_unit(struct buf *b, struct span s, bool *ok)
{
	size_t n, end;
	int hi, lo;

	if (s.p[0] == ' ' || s.p[0] == '\t') {
		n = blanks_at(s);
		/* Blanks at the end of a line were added on the way. */
		if (n < s.n && !eol_at(span_from(s, n)))
			buf_add(b, s.p, n);
		return n;
	}
	if (s.p[0] != '=') {
		for (n = 1; n < s.n && s.p[n] != '=' && s.p[n] != ' ' &&
			    s.p[n] != '\t';
		     n++)
			;
		buf_add(b, s.p, n);
		return n;
	}
	hi = s.n > 2 ? hex_digit(s.p[1]) : -1;
	lo = s.n > 2 ? hex_digit(s.p[2]) : -1;
	if (hi >= 0 && lo >= 0) {
		buf_addc(b, (char)(hi << 4 | lo));
		return 3;
	}
	n = 1 + blanks_at(span_from(s, 1)); /* soft line break */
	end = eol_at(span_from(s, n));
	if (end || n == s.n)
		return n + end;
	*ok = false;
	buf_addc(b, '=');
	return 1;
}

static bool
decode_qp(struct buf *b, struct span s, size_t max)
{
	size_t start = b->n, n;
	bool ok = true;

	while (s.n && b->n - start < max) {
		n = qp_unit(b, s, &ok);
		s = span_from(s, n);
	}
	return ok && !s.n;
}

static int
b64_digit(char c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (ascii_isdigit(c))
		return c - '0' + 52;
	return c == '+' ? 62 : c == '/' ? 63 : -1;
}

/* RFC 2045 6.8: what is no letter of the alphabet is passed over. */
static bool
decode_base64(struct buf *b, struct span s, size_t max)
{
	size_t start = b->n, i;
	uint32_t acc = 0;
	int bits = 0;
	bool ok = true;

	for (i = 0; i < s.n && s.p[i] != '='; i++) {
		int d = b64_digit(s.p[i]);

		if (d < 0) {
			ok &= ascii_isspace(s.p[i]);
			continue;
		}
		acc = (acc << 6 | (uint32_t)d) & 0xffffff;
		bits += 6;
		if (bits < 8)
			continue;
		if (b->n - start >= max)
			return false;
		bits -= 8;
		buf_addc(b, (char)(acc >> bits & 0xff));
	}
	return ok && bits != 6;
}

bool
mime_decode(struct buf *b, enum mime_encoding enc, struct span body, size_t max)
{
	size_t start = b->n;
	bool ok;

	if (!max)
		max = SIZE_MAX;
	switch (enc) {
	case MIME_QP:
		ok = decode_qp(b, body, max);
		break;
	case MIME_BASE64:
		ok = decode_base64(b, body, max);
		break;
	case MIME_7BIT:
	case MIME_8BIT:
	case MIME_BINARY:
	case MIME_UNKNOWN_ENCODING:
	default:
		ok = enc != MIME_UNKNOWN_ENCODING;
		buf_addspan(b, span_sub(body, 0, max));
		break;
	}
	ok &= b->n - start <= max;
	if (b->n - start > max)
		buf_cut(b, start + max);
	return ok;
}

void
mime_text(struct buf *b, const struct mime_part *p, size_t max)
{
	struct buf raw = BUF_INIT;
	struct mime_value mv;
	const struct mime_param *cs;

	(void)mime_decode(&raw, p->encoding, p->body, max ? max : TEXT_MAX);
	mime_value_parse(&mv, mime_field(p, "Content-Type"));
	cs = mime_param_find(&mv, "charset");
	if (!cs || !encword_convert(b, cs->value, buf_span(&raw)))
		encword_utf8(b, buf_span(&raw));
	mime_value_free(&mv);
	buf_free(&raw);
}
