/*
 * span.h - a piece of somebody else's bytes: pointer and length.
 * Layer: base.  A span never owns memory and need not end in NUL.
 */
#ifndef MX_SPAN_H
#define MX_SPAN_H

#include "base.h"

struct span {
	const char *p;
	size_t n;
};

/* A span over a string literal. */
#define SPAN(lit) ((struct span){ (lit), sizeof(lit) - 1 })
/* For printf's "%.*s". */
#define SPAN_ARG(s) (int)(s).n, (s).p

/* The bytes of a C string (NULL: the empty span). */
struct span span_of(const char *cstr);
struct span span_make(const char *p, size_t n);
/* Bytes from `from` up to but without `to`, both clipped to the span. */
struct span span_sub(struct span s, size_t from, size_t to);
/* All bytes from `from` on. */
struct span span_from(struct span s, size_t from);

bool span_eq(struct span a, struct span b);
/* Equal but for ASCII case (never the locale's). */
bool span_ieq(struct span a, struct span b);
/* The same against a C string. */
bool span_is(struct span a, const char *cstr);
bool span_iis(struct span a, const char *cstr);
bool span_starts(struct span a, struct span prefix);
bool span_istarts(struct span a, struct span prefix);
bool span_ends(struct span a, struct span suffix);
bool span_iends(struct span a, struct span suffix);
/* Order as memcmp, a shorter prefix first; the second ignores ASCII case. */
int span_cmp(struct span a, struct span b);
int span_icmp(struct span a, struct span b);

/* Index of the first (last) byte c, or -1. */
ssize_t span_chr(struct span s, char c);
ssize_t span_rchr(struct span s, char c);
/* Index of needle, or -1; the second ignores ASCII case.  Linear time. */
ssize_t span_find(struct span s, struct span needle);
ssize_t span_ifind(struct span s, struct span needle);
/* Does the span hold a byte below 0x20 (tab too) or 0x7f? */
bool span_has_ctl(struct span s);
bool span_is_ascii(struct span s);

/* Without SP, TAB, CR, LF at both ends (left end, right end). */
struct span span_trim(struct span s);
struct span span_ltrim(struct span s);
struct span span_rtrim(struct span s);
/*
 * Take the next piece off the front of *rest up to sep (which is dropped).
 * False when *rest was already used up (its p is NULL then).
 * "a,,b" gives "a", "", "b"; "" gives one empty piece.
 */
bool span_split(struct span *rest, char sep, struct span *piece_r);
/*
 * The next word of *rest, where any byte of `seps` separates and empty words
 * are skipped.  False at the end.
 */
bool span_word(struct span *rest, const char *seps, struct span *word_r);

/* ASCII-only character classes and case; never the locale's. */
bool ascii_isalpha(char c);
bool ascii_isdigit(char c);
bool ascii_isalnum(char c);
bool ascii_isxdigit(char c);
bool ascii_isspace(char c); /* SP, TAB, CR, LF, VT, FF */
char ascii_tolower(char c);
char ascii_toupper(char c);

#endif
