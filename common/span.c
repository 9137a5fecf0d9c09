/*
 * span.c - pieces of somebody else's bytes; see span.h.
 * Layer: base.
 */
#include "span.h"

char
ascii_tolower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c + ('a' - 'A')) : c;
}

char
ascii_toupper(char c)
{
	return c >= 'a' && c <= 'z' ? (char)(c - ('a' - 'A')) : c;
}

bool
ascii_isalpha(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

bool
ascii_isdigit(char c)
{
	return c >= '0' && c <= '9';
}

bool
ascii_isalnum(char c)
{
	return ascii_isalpha(c) || ascii_isdigit(c);
}

bool
ascii_isxdigit(char c)
{
	return ascii_isdigit(c) || (c >= 'a' && c <= 'f') ||
	       (c >= 'A' && c <= 'F');
}

bool
ascii_isspace(char c)
{
	return c == ' ' || (c >= '\t' && c <= '\r');
}

struct span
span_of(const char *cstr)
{
	return (struct span){ cstr, cstr ? strlen(cstr) : 0 };
}

struct span
span_make(const char *p, size_t n)
{
	return (struct span){ p, n };
}

struct span
span_sub(struct span s, size_t from, size_t to)
{
	if (to > s.n)
		to = s.n;
	if (from > to)
		from = to;
	return (struct span){ s.p ? s.p + from : NULL, to - from };
}

struct span
span_from(struct span s, size_t from)
{
	return span_sub(s, from, s.n);
}

bool
span_eq(struct span a, struct span b)
{
	return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}

bool
span_ieq(struct span a, struct span b)
{
	if (a.n != b.n)
		return false;
	for (size_t i = 0; i < a.n; i++) {
		if (ascii_tolower(a.p[i]) != ascii_tolower(b.p[i]))
			return false;
	}
	return true;
}

bool
span_is(struct span a, const char *cstr)
{
	return span_eq(a, span_of(cstr));
}

bool
span_iis(struct span a, const char *cstr)
{
	return span_ieq(a, span_of(cstr));
}

bool
span_starts(struct span a, struct span prefix)
{
	return a.n >= prefix.n && span_eq(span_sub(a, 0, prefix.n), prefix);
}

bool
span_istarts(struct span a, struct span prefix)
{
	return a.n >= prefix.n && span_ieq(span_sub(a, 0, prefix.n), prefix);
}

bool
span_ends(struct span a, struct span suffix)
{
	return a.n >= suffix.n && span_eq(span_from(a, a.n - suffix.n), suffix);
}

bool
span_iends(struct span a, struct span suffix)
{
	return a.n >= suffix.n &&
	       span_ieq(span_from(a, a.n - suffix.n), suffix);
}

int
span_cmp(struct span a, struct span b)
{
	size_t n = a.n < b.n ? a.n : b.n;
	int c = n ? memcmp(a.p, b.p, n) : 0;

	if (c != 0)
		return c;
	return a.n < b.n ? -1 : a.n > b.n;
}

int
span_icmp(struct span a, struct span b)
{
	for (size_t i = 0; i < a.n && i < b.n; i++) {
		unsigned char x = (unsigned char)ascii_tolower(a.p[i]);
		unsigned char y = (unsigned char)ascii_tolower(b.p[i]);

		if (x != y)
			return x < y ? -1 : 1;
	}
	return a.n < b.n ? -1 : a.n > b.n;
}

ssize_t
span_chr(struct span s, char c)
{
	const char *p = s.n ? memchr(s.p, c, s.n) : NULL;

	return p ? p - s.p : -1;
}

ssize_t
span_rchr(struct span s, char c)
{
	const char *p = s.n ? memrchr(s.p, c, s.n) : NULL;

	return p ? p - s.p : -1;
}

ssize_t
span_find(struct span s, struct span needle)
{
	const char *p;

	if (needle.n == 0)
		return 0;
	if (s.n < needle.n)
		return -1;
	p = memmem(s.p, s.n, needle.p, needle.n);
	return p ? p - s.p : -1;
}

/*
 * Two-way search would be linear for sure; the first-byte filter with a
 * bounded needle (callers' needles are words of at most a line) is simpler
 * and linear in the haystack times a constant needle.
 */
ssize_t
span_ifind(struct span s, struct span needle)
{
	if (needle.n == 0)
		return 0;
	for (size_t i = 0; i + needle.n <= s.n; i++) {
		if (ascii_tolower(s.p[i]) == ascii_tolower(needle.p[0]) &&
		    span_ieq(span_sub(s, i, i + needle.n), needle))
			return (ssize_t)i;
	}
	return -1;
}

bool
span_has_ctl(struct span s)
{
	const uint64_t each = 0x0101010101010101, high = each << 7;
	size_t i = 0;

	/* eight at a time: a byte below 0x20 borrows from its top bit, one
	 * that is 0x7f is made 0 and borrows too; where a borrow went on into
	 * the next byte, the bytes are looked at one by one */
	for (; i + sizeof(each) <= s.n; i += sizeof(each)) {
		uint64_t w, x;

		memcpy(&w, s.p + i, sizeof(w));
		x = w ^ (each * 0x7f);
		if ((((w - each * 0x20) & ~w) | ((x - each) & ~x)) & high)
			break;
	}
	for (; i < s.n; i++) {
		unsigned char c = (unsigned char)s.p[i];

		if (c < 0x20 || c == 0x7f)
			return true;
	}
	return false;
}

bool
span_is_ascii(struct span s)
{
	for (size_t i = 0; i < s.n; i++) {
		if ((unsigned char)s.p[i] >= 0x80)
			return false;
	}
	return true;
}

static bool
span_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

struct span
span_ltrim(struct span s)
{
	while (s.n > 0 && span_blank(s.p[0])) {
		s.p++;
		s.n--;
	}
	return s;
}

struct span
span_rtrim(struct span s)
{
	while (s.n > 0 && span_blank(s.p[s.n - 1]))
		s.n--;
	return s;
}

struct span
span_trim(struct span s)
{
	return span_ltrim(span_rtrim(s));
}

bool
span_split(struct span *rest, char sep, struct span *piece_r)
{
	ssize_t i;

	if (rest->p == NULL)
		return false;
	i = span_chr(*rest, sep);
	if (i < 0) {
		*piece_r = *rest;
		*rest = (struct span){ NULL, 0 };
	} else {
		*piece_r = span_sub(*rest, 0, (size_t)i);
		*rest = span_from(*rest, (size_t)i + 1);
	}
	return true;
}

bool
span_word(struct span *rest, const char *seps, struct span *word_r)
{
	size_t i = 0, from;

	while (i < rest->n && rest->p[i] != '\0' && strchr(seps, rest->p[i]))
		i++;
	from = i;
	while (i < rest->n && (rest->p[i] == '\0' || !strchr(seps, rest->p[i])))
		i++;
	*word_r = span_sub(*rest, from, i);
	*rest = span_from(*rest, i);
	return word_r->n > 0;
}
