/*
 * escape.c - text that is safe to show, and the encodings mail uses; see
 * escape.h.
 * Layer: base.  RFC 3629 (UTF-8), 4648 (base64), 3461 section 4 (xtext).
 */
#include "escape.h"

size_t
utf8_next(struct span s, uint32_t *cp_r)
{
	static const uint32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 };
	unsigned char c;
	size_t len;
	uint32_t cp;

	if (s.n == 0)
		return 0;
	c = (unsigned char)s.p[0];
	if (c < 0x80) {
		*cp_r = c;
		return 1;
	}
	if (c >= 0xc2 && c < 0xe0)
		len = 2;
	else if (c >= 0xe0 && c < 0xf0)
		len = 3;
	else if (c >= 0xf0 && c < 0xf5)
		len = 4;
	else
		return 0;
	if (s.n < len)
		return 0;
	cp = c & (0x7fu >> len);
	for (size_t i = 1; i < len; i++) {
		unsigned char t = (unsigned char)s.p[i];

		if ((t & 0xc0) != 0x80)
			return 0;
		cp = cp << 6 | (t & 0x3f);
	}
	if (cp < least[len] || cp > 0x10ffff || (cp >= 0xd800 && cp < 0xe000))
		return 0;
	*cp_r = cp;
	return len;
}

bool
utf8_valid(struct span s)
{
	uint32_t cp;

	while (s.n > 0) {
		size_t n = utf8_next(s, &cp);

		if (n == 0)
			return false;
		s = span_from(s, n);
	}
	return true;
}

void
utf8_add(struct buf *b, uint32_t cp)
{
	if (cp > 0x10ffff || (cp >= 0xd800 && cp < 0xe000))
		cp = 0xfffd;
	if (cp < 0x80) {
		buf_addc(b, (char)cp);
	} else if (cp < 0x800) {
		buf_addc(b, (char)(0xc0 | cp >> 6));
		buf_addc(b, (char)(0x80 | (cp & 0x3f)));
	} else if (cp < 0x10000) {
		buf_addc(b, (char)(0xe0 | cp >> 12));
		buf_addc(b, (char)(0x80 | (cp >> 6 & 0x3f)));
		buf_addc(b, (char)(0x80 | (cp & 0x3f)));
	} else {
		buf_addc(b, (char)(0xf0 | cp >> 18));
		buf_addc(b, (char)(0x80 | (cp >> 12 & 0x3f)));
		buf_addc(b, (char)(0x80 | (cp >> 6 & 0x3f)));
		buf_addc(b, (char)(0x80 | (cp & 0x3f)));
	}
}

/* Characters that change the direction of a line: they can fake a log. */
static bool
escape_bidi(uint32_t cp)
{
	return (cp >= 0x202a && cp <= 0x202e) ||
	       (cp >= 0x2066 && cp <= 0x2069) || cp == 0x200e || cp == 0x200f ||
	       cp == 0x061c;
}

void
escape_line(struct buf *b, struct span s, size_t max)
{
	size_t start = b->n;

	while (s.n > 0) {
		uint32_t cp = 0;
		size_t n = utf8_next(s, &cp);

		if (max > 0 && b->n - start + (n ? n : 1) > max) {
			size_t keep = max > 3 ? max - 3 : 0;

			/* Do not cut inside a character. */
			while (keep > 0 && ((unsigned char)b->p[start + keep] &
					    0xc0) == 0x80)
				keep--;
			buf_cut(b, start + keep);
			buf_add(b, "...", max < 3 ? max : 3);
			return;
		}
		if (n == 0 || cp < 0x20 || (cp >= 0x7f && cp < 0xa0) ||
		    escape_bidi(cp) || cp == 0x2028 || cp == 0x2029)
			buf_addc(b, '?');
		else
			buf_add(b, s.p, n);
		s = span_from(s, n ? n : 1);
	}
}

void
escape_json(struct buf *b, struct span s)
{
	buf_addc(b, '"');
	while (s.n > 0) {
		uint32_t cp = 0;
		size_t n = utf8_next(s, &cp);

		if (n == 0)
			buf_adds(b, "\xef\xbf\xbd");
		else if (cp == '"' || cp == '\\')
			buf_addf(b, "\\%c", (char)cp);
		else if (cp < 0x20 || cp == 0x7f)
			buf_addf(b, "\\u%04x", (unsigned)cp);
		else
			buf_add(b, s.p, n);
		s = span_from(s, n ? n : 1);
	}
	buf_addc(b, '"');
}

void
escape_word(struct buf *b, struct span s)
{
	bool plain = s.n > 0;

	for (size_t i = 0; i < s.n && plain; i++) {
		unsigned char c = (unsigned char)s.p[i];

		plain = c > 0x20 && c != 0x7f && c != '"' && c != '\\';
	}
	if (plain) {
		buf_addspan(b, s);
		return;
	}
	escape_quoted(b, s);
}

void
escape_quoted(struct buf *b, struct span s)
{
	buf_addc(b, '"');
	for (size_t i = 0; i < s.n; i++) {
		unsigned char c = (unsigned char)s.p[i];

		if (c == '"' || c == '\\')
			buf_addf(b, "\\%c", c);
		else if (c < 0x20 || c == 0x7f)
			buf_addf(b, "\\x%02X", c);
		else
			buf_addc(b, (char)c);
	}
	buf_addc(b, '"');
}

void
escape_xtext(struct buf *b, struct span s)
{
	for (size_t i = 0; i < s.n; i++) {
		unsigned char c = (unsigned char)s.p[i];

		if (c < 0x21 || c > 0x7e || c == '+' || c == '=')
			buf_addf(b, "+%02X", c);
		else
			buf_addc(b, (char)c);
	}
}

static int
hex_digit(char c)
{
	if (ascii_isdigit(c))
		return c - '0';
	return ascii_isxdigit(c) ? ascii_tolower(c) - 'a' + 10 : -1;
}

bool
escape_unxtext(struct buf *b, struct span s)
{
	size_t start = b->n;

	for (size_t i = 0; i < s.n; i++) {
		unsigned char c = (unsigned char)s.p[i];

		if (c == '+') {
			int hi, lo;

			if (i + 2 >= s.n)
				goto out;
			hi = hex_digit(s.p[i + 1]);
			lo = hex_digit(s.p[i + 2]);
			if (hi < 0 || lo < 0)
				goto out;
			c = (unsigned char)(hi << 4 | lo);
			i += 2;
			if (c < 0x20 || c == 0x7f)
				goto out;
		} else if (c < 0x21 || c > 0x7e || c == '=') {
			goto out;
		}
		buf_addc(b, (char)c);
	}
	return true;
out:
	buf_cut(b, start);
	return false;
}

/* The length of an EmbeddedUnicodeChar at the beginning of s, or 0. */
static size_t
embedded(struct span s, uint32_t *cp_r)
{
	uint32_t cp = 0;
	size_t i = 3;

	if (s.n < 6 || s.p[0] != '\\' || s.p[1] != 'x' || s.p[2] != '{')
		return 0;
	for (; i < s.n && i < 9 && hex_digit(s.p[i]) >= 0; i++)
		cp = cp << 4 | (uint32_t)hex_digit(s.p[i]);
	if (i < 5 || i >= s.n || s.p[i] != '}' || cp > 0x10ffff ||
	    (cp >= 0xd800 && cp < 0xe000))
		return 0;
	*cp_r = cp;
	return i + 1;
}

void
escape_unitext(struct buf *b, struct span s)
{
	while (s.n > 0) {
		uint32_t cp = 0;
		size_t n = embedded(s, &cp);

		if (n > 0) {
			buf_add(b, s.p, n);
		} else {
			n = utf8_next(s, &cp);
			if (n == 0) {
				n = 1;
				cp = 0xfffd;
			}
			if (cp < 0x21 || cp > 0x7e || cp == '\\' || cp == '+' ||
			    cp == '=')
				buf_addf(b, "\\x{%02X}", (unsigned)cp);
			else
				buf_addc(b, (char)cp);
		}
		s = span_from(s, n);
	}
}

void
escape_ununitext(struct buf *b, struct span s)
{
	while (s.n > 0) {
		uint32_t cp = 0;
		size_t n = embedded(s, &cp);

		/* Nothing that would end a line. */
		if (n > 0 && cp >= 0x20 && cp != 0x7f)
			utf8_add(b, cp);
		else
			buf_add(b, s.p, n = n > 0 ? n : 1);
		s = span_from(s, n);
	}
}

static const char base64_digits[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

void
base64_encode(struct buf *b, struct span s)
{
	const unsigned char *p = (const unsigned char *)s.p;

	for (size_t i = 0; i < s.n; i += 3) {
		size_t n = s.n - i;
		uint32_t v = (uint32_t)p[i] << 16;

		if (n > 1)
			v |= (uint32_t)p[i + 1] << 8;
		if (n > 2)
			v |= p[i + 2];
		buf_addc(b, base64_digits[v >> 18]);
		buf_addc(b, base64_digits[v >> 12 & 63]);
		buf_addc(b, n > 1 ? base64_digits[v >> 6 & 63] : '=');
		buf_addc(b, n > 2 ? base64_digits[v & 63] : '=');
	}
}

static int
base64_value(char c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	return c == '+' ? 62 : c == '/' ? 63 : -1;
}

static bool
base64_any(struct buf *b, struct span s, bool lax)
{
	size_t start = b->n;
	uint32_t v = 0;
	int have = 0, pad = 0;

	for (size_t i = 0; i < s.n; i++) {
		int d;

		if (lax && ascii_isspace(s.p[i]))
			continue;
		if (s.p[i] == '=' && have >= 2 && have + pad < 4) {
			pad++;
			continue;
		}
		d = base64_value(s.p[i]);
		if (d < 0 || pad > 0)
			goto out;
		v = v << 6 | (uint32_t)d;
		if (++have == 4) {
			char *three = buf_room(b, 3);

			three[0] = (char)(v >> 16);
			three[1] = (char)(v >> 8);
			three[2] = (char)v;
			buf_grew(b, 3);
			have = 0;
			v = 0;
		}
	}
	if (have == 0 && pad == 0)
		return true;
	if (have < 2 || have + pad != 4)
		goto out;
	/* RFC 4648 3.5: the unused bits must be zero. */
	if (v & (have == 2 ? 15u : 3u))
		goto out;
	v <<= 6 * (4 - have);
	buf_addc(b, (char)(v >> 16));
	if (have == 3)
		buf_addc(b, (char)(v >> 8));
	return true;
out:
	buf_cut(b, start);
	return false;
}

bool
base64_decode(struct buf *b, struct span s)
{
	return base64_any(b, s, false);
}

bool
base64_decode_lax(struct buf *b, struct span s)
{
	return base64_any(b, s, true);
}

void
hex_encode(struct buf *b, struct span s)
{
	for (size_t i = 0; i < s.n; i++)
		buf_addf(b, "%02x", (unsigned char)s.p[i]);
}

bool
hex_decode(struct buf *b, struct span s)
{
	size_t start = b->n;

	if (s.n % 2 != 0)
		return false;
	for (size_t i = 0; i < s.n; i += 2) {
		int hi = hex_digit(s.p[i]), lo = hex_digit(s.p[i + 1]);

		if (hi < 0 || lo < 0) {
			buf_cut(b, start);
			return false;
		}
		buf_addc(b, (char)(hi << 4 | lo));
	}
	return true;
}
