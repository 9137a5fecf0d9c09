/*
 * sieve_lex.c - tokens of Sieve.  RFC 5228 2.3, 2.4, 8.1.
 */
#include "sieve_lex.h"
#include "escape.h"
#include "num.h"

void
sieve_lex_init(struct sieve_lex *l, struct span text)
{
	*l = (struct sieve_lex){ .s = text, .line = 1, .col = 1 };
}

void
sieve_lex_done(struct sieve_lex *l)
{
	buf_free(&l->text);
}

static void
advance(struct sieve_lex *l, size_t n)
{
	for (size_t i = 0; i < n && i < l->s.n; i++) {
		if (l->s.p[i] == '\n') {
			l->line++;
			l->col = 1;
		} else {
			l->col++;
		}
	}
	l->s = span_from(l->s, n);
}

static void
bad(struct sieve_lex *l, const char *why)
{
	l->token = T_BAD;
	l->why = why;
}

/* Blanks, # comments, bracket comments (RFC 5228 2.2, 2.3); false: a comment
 * does not end. */
static bool
skip_blanks(struct sieve_lex *l)
{
	for (;;) {
		if (l->s.n > 0 && ascii_isspace(l->s.p[0])) {
			advance(l, 1);
		} else if (l->s.n > 0 && l->s.p[0] == '#') {
			ssize_t lf = span_chr(l->s, '\n');

			advance(l, lf < 0 ? l->s.n : (size_t)lf + 1);
		} else if (span_starts(l->s, SPAN("/*"))) {
			ssize_t end = span_find(span_from(l->s, 2), SPAN("*/"));

			if (end < 0)
				return false;
			advance(l, (size_t)end + 4);
		} else {
			return true;
		}
	}
}

static void
check_string(struct sieve_lex *l)
{
	if (l->text.n > SIEVE_STRING_MAX)
		bad(l, "a string is longer than 1 MB");
	/* RFC 5228 2.1: scripts are UTF-8, and have no NUL */
	else if (!utf8_valid(buf_span(&l->text)))
		bad(l, "a string is not UTF-8");
	else if (memchr(buf_str(&l->text), 0, l->text.n) != NULL)
		bad(l, "a NUL in a string");
}

static void
quoted(struct sieve_lex *l)
{
	size_t i = 1;
	bool nul = false;

	l->token = T_STRING;
	while (i < l->s.n && l->s.p[i] != '"') {
		char c = l->s.p[i];

		/* RFC 5228 2.4.2: \" and \\; another \x is x. */
		if (c == '\\' && i + 1 < l->s.n)
			c = l->s.p[++i];
		nul |= c == '\0';
		if (c != '\r' || i + 1 >= l->s.n || l->s.p[i + 1] != '\n')
			buf_addc(&l->text, c);
		i++;
	}
	if (i >= l->s.n) {
		bad(l, "a string is not closed");
		advance(l, l->s.n);
		return;
	}
	check_string(l);
	if (nul)
		bad(l, "a NUL in a string");
	advance(l, i + 1);
}

/* text: up to a line with a dot alone; dots are stuffed (RFC 5228 2.4.2).  The
 * lines end in LF here, as stored mail does. */
static void
multiline(struct sieve_lex *l)
{
	struct span line, rest;
	size_t used;
	ssize_t lf = span_chr(l->s, '\n');
	struct span head = span_sub(l->s, 0, lf < 0 ? l->s.n : (size_t)lf);

	l->token = T_STRING;
	head = span_trim(span_from(head, 5)); /* behind "text:" */
	if (lf < 0 || (head.n > 0 && head.p[0] != '#')) {
		bad(l, "\"text:\" needs a line end behind it");
		advance(l, 5);
		return;
	}
	used = (size_t)lf + 1;
	rest = span_from(l->s, used);
	while (span_split(&rest, '\n', &line)) {
		used += line.n + 1;
		if (line.n > 0 && line.p[line.n - 1] == '\r')
			line.n--;
		if (span_is(line, ".")) {
			advance(l, used);
			check_string(l);
			return;
		}
		if (line.n > 0 && line.p[0] == '.')
			line = span_from(line, 1);
		buf_addspan(&l->text, line);
		buf_addc(&l->text, '\n');
	}
	bad(l, "a text: is not ended by a line with a dot");
	advance(l, l->s.n);
}

/* RFC 5228 2.4.1: digits and K, M, G; up to 2^64-1, of which no comparison here
 * can tell more than 2^63-1. */
static void
number(struct sieve_lex *l)
{
	uint64_t v = 0;
	size_t used = 0;
	int shift = 0;
	bool ok;

	while (used < l->s.n && ascii_isdigit(l->s.p[used]))
		used++;
	ok = num_u64(span_sub(l->s, 0, used), UINT64_MAX, &v);
	if (used < l->s.n) {
		char c = ascii_tolower(l->s.p[used]);

		shift = c == 'k' ? 10 : c == 'm' ? 20 : c == 'g' ? 30 : 0;
	}
	ok = ok && v <= UINT64_MAX >> shift;
	advance(l, used + (shift > 0));
	if (!ok) {
		bad(l, "number exceeds the limit of 2^64-1");
		return;
	}
	if (l->s.n > 0 && (ascii_isalnum(l->s.p[0]) || l->s.p[0] == '_')) {
		bad(l, "a number is not followed by a blank or delimiter");
		return;
	}
	v <<= shift;
	l->token = T_NUMBER;
	l->number = v > INT64_MAX ? INT64_MAX : (int64_t)v;
}

/* The length of an identifier at s (RFC 5228 8.1). */
static size_t
identifier(struct span s)
{
	size_t n = 0;

	if (s.n == 0 || (!ascii_isalpha(s.p[0]) && s.p[0] != '_'))
		return 0;
	while (n < s.n && (ascii_isalnum(s.p[n]) || s.p[n] == '_'))
		n++;
	return n;
}

static void
word(struct sieve_lex *l, bool tag)
{
	size_t n = identifier(span_from(l->s, tag));

	if (n == 0) {
		bad(l, tag ? "\":\" needs a name" : "an unexpected byte");
		advance(l, 1);
		return;
	}
	for (size_t i = 0; i < n + tag; i++)
		buf_addc(&l->text, ascii_tolower(l->s.p[i]));
	advance(l, n + tag);
	l->token = tag ? T_TAG : T_WORD;
	if (n > SIEVE_NAME_MAX)
		bad(l, "an identifier is longer than 32 bytes");
}

void
sieve_lex_next(struct sieve_lex *l)
{
	buf_clear(&l->text);
	if (!skip_blanks(l)) {
		bad(l, "a comment is not closed");
		advance(l, l->s.n);
		return;
	}
	l->tline = l->line;
	l->tcol = l->col;
	if (l->s.n == 0) {
		l->token = T_END;
	} else if (l->s.p[0] == '"') {
		quoted(l);
	} else if (ascii_isdigit(l->s.p[0])) {
		number(l);
	} else if (l->s.p[0] != '\0' && strchr("(){}[],;", l->s.p[0]) != NULL) {
		l->token = T_PUNCT;
		l->punct = l->s.p[0];
		advance(l, 1);
	} else if (span_istarts(l->s, SPAN("text:"))) {
		multiline(l);
	} else {
		word(l, l->s.p[0] == ':');
	}
}
