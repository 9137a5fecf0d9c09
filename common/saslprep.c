/*
 * saslprep.c - see saslprep.h.
 * Layer: base.  RFC 4013, RFC 3454.
 */
#include "saslprep.h"
#include "escape.h"

#include <stdlib.h>
#include <string.h>
#include <unictype.h>
#include <uninorm.h>

struct range {
	uint32_t lo, hi;
};
/* RFC 3454 C.1.2: become a space. */
static const struct range spaces[] = {
	{ 0xa0, 0xa0 },     { 0x1680, 0x1680 }, { 0x2000, 0x200b },
	{ 0x202f, 0x202f }, { 0x205f, 0x205f }, { 0x3000, 0x3000 },
};
/* B.1: become nothing. */
static const struct range nothing[] = {
	{ 0xad, 0xad },     { 0x34f, 0x34f },   { 0x1806, 0x1806 },
	{ 0x180b, 0x180d }, { 0x200c, 0x200d }, { 0x2060, 0x2060 },
	{ 0xfe00, 0xfe0f }, { 0xfeff, 0xfeff },
};
/* C.2 to C.9, but what UTF-8 does not have and the last two of each plane. */
static const struct range prohibited[] = {
	{ 0x0, 0x1f },         { 0x7f, 0x9f },       { 0x340, 0x341 },
	{ 0x6dd, 0x6dd },      { 0x70f, 0x70f },     { 0x180e, 0x180e },
	{ 0x200c, 0x200f },    { 0x2028, 0x202e },   { 0x2060, 0x2063 },
	{ 0x206a, 0x206f },    { 0x2ff0, 0x2ffb },   { 0xe000, 0xf8ff },
	{ 0xfdd0, 0xfdef },    { 0xfeff, 0xfeff },   { 0xfff9, 0xfffd },
	{ 0x1d173, 0x1d17a },  { 0xe0001, 0xe0001 }, { 0xe0020, 0xe007f },
	{ 0xf0000, 0x10ffff },
};

static bool
among(const struct range *r, size_t n, uint32_t cp)
{
	for (size_t i = 0; i < n; i++)
		if (cp >= r[i].lo && cp <= r[i].hi)
			return true;
	return false;
}

/* RFC 4013 2.1 */
static void
map(struct buf *b, struct span in)
{
	while (in.n > 0) {
		uint32_t cp;
		size_t n = utf8_next(in, &cp);

		if (among(spaces, ARRAY_LEN(spaces), cp))
			buf_addc(b, ' ');
		else if (!among(nothing, ARRAY_LEN(nothing), cp))
			buf_addspan(b, span_sub(in, 0, n));
		in = span_from(in, n);
	}
}

/* RFC 4013 2.3 and 2.4 */
static bool
allowed(struct span s)
{
	bool rtl = false, ltr = false, first = false, last = false;

	for (size_t at = 0; at < s.n;) {
		uint32_t cp;
		size_t n = utf8_next(span_from(s, at), &cp);
		int bidi;

		if (n == 0 || (cp & 0xfffe) == 0xfffe ||
		    among(prohibited, ARRAY_LEN(prohibited), cp))
			return false;
		bidi = uc_bidi_category(cp);
		last = bidi == UC_BIDI_R || bidi == UC_BIDI_AL;
		if (at == 0)
			first = last;
		rtl = rtl || last;
		ltr = ltr || bidi == UC_BIDI_L;
		at += n;
	}
	return !rtl || (!ltr && first && last);
}

int
saslprep(struct buf *out, struct span in)
{
	struct buf mapped = BUF_INIT;
	uint8_t *norm;
	size_t n = 0;
	int r = -1;

	if (!utf8_valid(in))
		return -1;
	map(&mapped, in);
	if (mapped.n == 0)
		return 0;
	norm = u8_normalize(UNINORM_NFKC, (const uint8_t *)mapped.p, mapped.n,
			    NULL, &n);
	if (norm != NULL) {
		struct span s = span_make((const char *)norm, n);

		if (allowed(s)) {
			buf_addspan(out, s);
			r = 0;
		}
		explicit_bzero(norm, n);
		free(norm);
	}
	buf_wipe(&mapped);
	return r;
}
