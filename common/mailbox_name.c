/*
 * mailbox_name.c - names of mailboxes, UTF-8 and modified UTF-7.
 * Layer: mail.  RFC 3501 5.1.3, RFC 2152.
 */
#include "mailbox_name.h"
#include "escape.h"

static const char digits[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+,";

bool
mailbox_name_ok(struct span s)
{
	struct span rest = s, level;
	int levels = 0;

	if (s.n == 0 || s.n > 200 || span_has_ctl(s) || !utf8_valid(s) ||
	    span_chr(s, '/') >= 0)
		return false;
	while (span_split(&rest, '.', &level))
		if (level.n == 0 || ++levels > 50)
			return false;
	return true;
}

/* Bits that wait for a full base64 digit. */
struct bits {
	uint32_t v;
	int n;
};

static void
put_unit(struct buf *b, struct bits *k, uint32_t unit)
{
	k->v = k->v << 16 | unit;
	k->n += 16;
	while (k->n >= 6) {
		k->n -= 6;
		buf_addc(b, digits[k->v >> k->n & 63]);
	}
	k->v &= (1u << k->n) - 1;
}

static void
end_base64(struct buf *b, struct bits *k)
{
	if (k->n > 0)
		buf_addc(b, digits[k->v << (6 - k->n) & 63]);
	buf_addc(b, '-');
	*k = (struct bits){ 0, 0 };
}

bool
mailbox_name_encode(struct buf *b, struct span s)
{
	struct bits k = { 0, 0 };
	bool in = false;
	uint32_t cp;

	while (s.n > 0) {
		size_t n = utf8_next(s, &cp);
		if (n == 0)
			return false;
		s = span_from(s, n);
		bool plain = cp >= 0x20 && cp <= 0x7e;
		if (plain && in)
			end_base64(b, &k);
		if (!plain && !in)
			buf_addc(b, '&');
		in = !plain;
		if (plain) {
			buf_addc(b, (char)cp);
			if (cp == '&')
				buf_addc(b, '-');
		} else if (cp < 0x10000) {
			put_unit(b, &k, cp);
		} else {
			put_unit(b, &k, 0xd800 + ((cp - 0x10000) >> 10));
			put_unit(b, &k, 0xdc00 + ((cp - 0x10000) & 0x3ff));
		}
	}
	if (in)
		end_base64(b, &k);
	return true;
}

/* The digits between & and -. */
static bool
decode_base64(struct buf *b, struct span s)
{
	struct bits k = { 0, 0 };
	uint32_t high = 0;

	for (size_t i = 0; i < s.n; i++) {
		const char *d = memchr(digits, s.p[i], 64);
		if (d == NULL)
			return false;
		k.v = (k.v & 0xffff) << 6 | (uint32_t)(d - digits);
		k.n += 6;
		if (k.n < 16)
			continue;
		k.n -= 16;
		uint32_t unit = k.v >> k.n & 0xffff;
		k.v &= (1u << k.n) - 1;
		bool low = unit >= 0xdc00 && unit < 0xe000;
		if (low != (high != 0))
			return false;
		if (unit >= 0xd800 && unit < 0xdc00) {
			high = unit;
			continue;
		}
		if (low)
			unit =
			    0x10000 + ((high - 0xd800) << 10) + (unit - 0xdc00);
		high = 0;
		utf8_add(b, unit);
	}
	return high == 0;
}

bool
mailbox_name_decode(struct buf *b, struct span s)
{
	struct span whole = s;
	struct buf back = BUF_INIT;
	size_t start = b->n;

	while (s.n > 0) {
		if (s.p[0] != '&') {
			if (s.p[0] < 0x20 || s.p[0] > 0x7e)
				return false;
			buf_addc(b, s.p[0]);
			s = span_from(s, 1);
			continue;
		}
		ssize_t end = span_chr(s, '-');
		if (end < 0)
			return false;
		if (end == 1)
			buf_addc(b, '&');
		else if (!decode_base64(b, span_sub(s, 1, (size_t)end)))
			return false;
		s = span_from(s, (size_t)end + 1);
	}
	/* only the canonical form: what we would write ourselves */
	bool same = mailbox_name_encode(&back, span_from(buf_span(b), start)) &&
		    span_eq(buf_span(&back), whole);
	buf_free(&back);
	return same;
}

bool
mailbox_name_to_disk(struct buf *b, struct span utf8)
{
	size_t start = b->n;

	if (!mailbox_name_ok(utf8))
		return false;
	buf_addc(b, '.');
	return mailbox_name_encode(b, utf8) && b->n - start <= 250;
}
