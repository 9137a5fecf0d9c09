/*
 * num.c - numbers from text, checked; see num.h.
 * Layer: base.
 */
#include "num.h"

bool
num_prefix(struct span s, uint64_t max, uint64_t *r, size_t *used)
{
	uint64_t v = 0;
	size_t i = 0;

	for (; i < s.n && ascii_isdigit(s.p[i]); i++) {
		if (__builtin_mul_overflow(v, 10, &v) ||
		    __builtin_add_overflow(v, (uint64_t)(s.p[i] - '0'), &v) ||
		    v > max)
			return false;
	}
	if (i == 0)
		return false;
	*r = v;
	*used = i;
	return true;
}

bool
num_u64(struct span s, uint64_t max, uint64_t *r)
{
	uint64_t v;
	size_t used;

	if (!num_prefix(s, max, &v, &used) || used != s.n)
		return false;
	*r = v;
	return true;
}

bool
num_i64(struct span s, int64_t min, int64_t max, int64_t *r)
{
	bool neg = s.n > 0 && s.p[0] == '-';
	uint64_t v;
	int64_t x;

	if (!num_u64(neg ? span_from(s, 1) : s, INT64_MAX, &v))
		return false;
	x = neg ? -(int64_t)v : (int64_t)v;
	if (x < min || x > max)
		return false;
	*r = x;
	return true;
}

bool
num_int(struct span s, int min, int max, int *r)
{
	int64_t v;

	if (!num_i64(s, min, max, &v))
		return false;
	*r = (int)v;
	return true;
}

bool
num_hex(struct span s, uint64_t max, uint64_t *r)
{
	uint64_t v = 0;

	if (s.n == 0)
		return false;
	for (size_t i = 0; i < s.n; i++) {
		char c = ascii_tolower(s.p[i]);
		uint64_t d;

		if (!ascii_isxdigit(c) || v > UINT64_MAX >> 4)
			return false;
		d = (uint64_t)(ascii_isdigit(c) ? c - '0' : c - 'a' + 10);
		v = v << 4 | d;
		if (v > max)
			return false;
	}
	*r = v;
	return true;
}

bool
num_bytes(struct span s, int64_t *bytes_r)
{
	static const struct {
		char letter;
		int shift;
	} units[] = { { 'k', 10 }, { 'm', 20 }, { 'g', 30 }, { 't', 40 } };
	uint64_t v;
	size_t used;
	int shift = 0;

	if (!num_prefix(s, INT64_MAX, &v, &used))
		return false;
	s = span_from(s, used);
	if (s.n > 0 && ascii_tolower(s.p[s.n - 1]) == 'b')
		s.n--;
	if (s.n > 1)
		return false;
	if (s.n == 1) {
		for (size_t i = 0; i < ARRAY_LEN(units); i++) {
			if (ascii_tolower(s.p[0]) == units[i].letter)
				shift = units[i].shift;
		}
		if (shift == 0)
			return false;
	}
	if (v > (uint64_t)INT64_MAX >> shift)
		return false;
	*bytes_r = (int64_t)(v << shift);
	return true;
}

bool
num_time(struct span s, char unit, int64_t *ms_r)
{
	static const struct {
		const char *word;
		int64_t ms;
	} units[] = {
		{ "ms", 1 },      { "s", 1000 },     { "m", 60000 },
		{ "h", 3600000 }, { "d", 86400000 }, { "w", 604800000 },
	};
	char one[2] = { unit, '\0' };
	struct span word;
	uint64_t v;
	size_t used;

	if (!num_prefix(s, INT64_MAX / 604800000, &v, &used))
		return false;
	word = span_from(s, used);
	if (word.n == 0)
		word = span_of(one);
	for (size_t i = 0; i < ARRAY_LEN(units); i++) {
		if (span_iis(word, units[i].word)) {
			*ms_r = (int64_t)v * units[i].ms;
			return true;
		}
	}
	return false;
}

bool
num_bool(struct span s, bool *r)
{
	if (span_iis(s, "yes") || span_iis(s, "true") || span_iis(s, "on") ||
	    span_is(s, "1"))
		*r = true;
	else if (span_iis(s, "no") || span_iis(s, "false") ||
		 span_iis(s, "off") || span_is(s, "0"))
		*r = false;
	else
		return false;
	return true;
}
