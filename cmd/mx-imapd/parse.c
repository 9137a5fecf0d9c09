/*
 * parse.c - see parse.h.  RFC 3501 9.
 */
#include "parse.h"
#include "mem.h"
#include "num.h"

#include <stdlib.h>

void
parse_init(struct parse *p, struct span s)
{
	*p = (struct parse){ .s = s };
}

static bool
expected(struct parse *p, const char *what)
{
	if (p->bad == NULL)
		p->bad = what;
	return false;
}

char
parse_peek(const struct parse *p)
{
	return p->at < p->s.n ? p->s.p[p->at] : '\0';
}

bool
parse_char(struct parse *p, char c)
{
	if (p->at < p->s.n && p->s.p[p->at] == c) {
		p->at++;
		return true;
	}
	switch (c) {
	case '(':
		return expected(p, "\"(\" expected");
	case ')':
		return expected(p, "\")\" expected");
	default:
		return expected(p, "unexpected character");
	}
}

bool
parse_sp(struct parse *p)
{
	if (p->at >= p->s.n || p->s.p[p->at] != ' ')
		return expected(p, "missing arguments");
	/* One is the rule; more are harmless and some clients send them. */
	while (p->at < p->s.n && p->s.p[p->at] == ' ')
		p->at++;
	return true;
}

bool
parse_end(struct parse *p)
{
	while (p->at < p->s.n && p->s.p[p->at] == ' ')
		p->at++;
	return p->at == p->s.n ? true : expected(p, "unexpected arguments");
}

/* atom-specials and CTL; "]" is one too, but of astrings it is not. */
static bool
is_atom_char(char c)
{
	return (unsigned char)c > 0x20 && (unsigned char)c < 0x7f &&
	       strchr("(){%*\"\\", c) == NULL;
}

static bool
take_while(struct parse *p, bool (*fn)(char), struct span *r)
{
	size_t from = p->at;

	while (p->at < p->s.n && fn(p->s.p[p->at]))
		p->at++;
	*r = span_sub(p->s, from, p->at);
	return p->at > from;
}

bool
parse_atom(struct parse *p, struct span *r)
{
	return take_while(p, is_atom_char, r) ? true
					      : expected(p, "word expected");
}

static bool
is_tag_char(char c)
{
	return is_atom_char(c) && c != '+';
}

bool
parse_tag(struct parse *p, struct span *r)
{
	return take_while(p, is_tag_char, r) && r->n <= TAG_MAX
		   ? true
		   : expected(p, "invalid tag");
}

bool
parse_word(struct parse *p, const char *word)
{
	size_t n = strlen(word);
	struct span next = span_sub(p->s, p->at, p->at + n);

	if (!span_iis(next, word))
		return false;
	if (p->at + n < p->s.n) {
		char c = p->s.p[p->at + n];

		if (ascii_isalnum(c) || c == '.' || c == '-')
			return false; /* a longer word */
	}
	p->at += n;
	return true;
}

static bool
quoted(struct parse *p, struct buf *b)
{
	for (p->at++; p->at < p->s.n; p->at++) {
		char c = p->s.p[p->at];

		if (c == '"') {
			p->at++;
			return true;
		}
		if (c == '\\') {
			if (++p->at == p->s.n)
				break;
			c = p->s.p[p->at];
			if (c != '"' && c != '\\')
				return expected(p, "invalid escape in a quoted "
						   "string");
		}
		/* RFC 3501 9: TEXT-CHAR; THREATS 75 */
		if (c == '\0' || c == '\r' || c == '\n')
			return expected(p, "NUL, CR or LF in a quoted string");
		buf_addc(b, c);
	}
	return expected(p, "a quoted string has no end");
}

static bool
literal(struct parse *p, struct buf *b, bool nul_too)
{
	struct span rest = span_from(p->s, p->at + 1), bytes;
	uint64_t n;
	size_t used;

	/* input.c has read exactly what was announced */
	if (!num_prefix(rest, SIZE_MAX / 2, &n, &used))
		return expected(p, "malformed literal");
	if (used < rest.n && rest.p[used] == '+')
		used++;
	rest = span_from(rest, used);
	if (!span_starts(rest, SPAN("}\r\n")) || rest.n - 3 < n)
		return expected(p, "malformed literal");
	bytes = span_sub(rest, 3, 3 + (size_t)n);
	if (!nul_too && span_chr(bytes, '\0') >= 0)
		return expected(p, "NUL in a literal");
	buf_addspan(b, bytes);
	p->at = (size_t)(bytes.p + bytes.n - p->s.p);
	return true;
}

bool
parse_string(struct parse *p, struct buf *b)
{
	switch (parse_peek(p)) {
	case '"':
		return quoted(p, b);
	case '{':
		return literal(p, b, false);
	default:
		return expected(p, "string expected");
	}
}

bool
parse_literal8(struct parse *p, struct buf *b)
{
	if (!parse_char(p, '~'))
		return false;
	if (parse_peek(p) != '{')
		return expected(p, "literal expected");
	return literal(p, b, true);
}

bool
parse_astring(struct parse *p, struct buf *b)
{
	struct span atom;

	if (parse_peek(p) == '"' || parse_peek(p) == '{')
		return parse_string(p, b);
	if (!parse_atom(p, &atom))
		return false;
	buf_addspan(b, atom);
	return true;
}

static bool
is_list_char(char c)
{
	return is_atom_char(c) || c == '%' || c == '*';
}

bool
parse_list_mailbox(struct parse *p, struct buf *b)
{
	struct span word;

	if (parse_peek(p) == '"' || parse_peek(p) == '{')
		return parse_string(p, b);
	if (!take_while(p, is_list_char, &word))
		return expected(p, "mailbox pattern expected");
	buf_addspan(b, word);
	return true;
}

bool
parse_number64(struct parse *p, uint64_t *r)
{
	size_t used;

	if (!num_prefix(span_from(p->s, p->at), INT64_MAX, r, &used))
		return expected(p, "number expected");
	p->at += used;
	return true;
}

bool
parse_number(struct parse *p, uint32_t *r)
{
	uint64_t v;
	size_t at = p->at;

	if (!parse_number64(p, &v))
		return false;
	if (v > UINT32_MAX) {
		p->at = at;
		return expected(p, "number too large");
	}
	*r = (uint32_t)v;
	return true;
}

bool
parse_flag(struct parse *p, struct span *r)
{
	size_t from = p->at;
	struct span word;

	if (parse_peek(p) == '\\')
		p->at++;
	if (!parse_atom(p, &word))
		return expected(p, "flag expected");
	*r = span_sub(p->s, from, p->at);
	return true;
}

bool
parse_literal_end(struct span line, struct literal *r, size_t *at_r)
{
	size_t end = line.n;
	ssize_t open;
	bool sync = true;

	if (end < 3 || line.p[end - 1] != '}')
		return false;
	end--;
	if (line.p[end - 1] == '+') {
		sync = false;
		end--;
	}
	open = span_rchr(span_sub(line, 0, end), '{');
	if (open < 0 ||
	    !num_u64(span_sub(line, (size_t)open + 1, end), INT64_MAX, &r->n))
		return false;
	r->sync = sync;
	*at_r = (size_t)open;
	return true;
}

void
set_add(struct set *set, uint32_t lo, uint32_t hi)
{
	struct set_range *last = set->n > 0 ? &set->v[set->n - 1] : NULL;

	/* the common case, numbers that ascend: nothing to sort later */
	if (last != NULL && last->hi != UINT32_MAX && lo == last->hi + 1) {
		last->hi = hi;
		return;
	}
	set->v = mem_grow(set->v, &set->cap, set->n + 1, sizeof(*set->v));
	set->v[set->n++] = (struct set_range){ lo, hi };
}

static int
by_lo(const void *a, const void *b)
{
	const struct set_range *x = a, *y = b;

	return x->lo < y->lo ? -1 : x->lo > y->lo;
}

void
set_finish(struct set *set)
{
	size_t to = 0;

	if (set->n < 2)
		return;
	qsort(set->v, set->n, sizeof(*set->v), by_lo);
	for (size_t i = 1; i < set->n; i++) {
		struct set_range *last = &set->v[to];

		if (set->v[i].lo <= last->hi ||
		    (last->hi != UINT32_MAX && set->v[i].lo == last->hi + 1)) {
			if (set->v[i].hi > last->hi)
				last->hi = set->v[i].hi;
		} else {
			set->v[++to] = set->v[i];
		}
	}
	set->n = to + 1;
}

void
set_free(struct set *set)
{
	free(set->v);
	*set = (struct set){ NULL, 0, 0 };
}

void
set_move(struct set *to, struct set *from)
{
	set_free(to);
	*to = *from;
	*from = (struct set){ NULL, 0, 0 };
}

static bool
set_number(struct parse *p, uint32_t star, uint32_t *r)
{
	if (parse_peek(p) == '*') {
		p->at++;
		*r = star;
		return true;
	}
	if (!parse_number(p, r))
		return false;
	return *r != 0 ? true : expected(p, "0 in a set of messages");
}

bool
parse_set(struct parse *p, struct set *set, uint32_t star)
{
	uint32_t a, b;

	for (;;) {
		if (!set_number(p, star, &a))
			return false;
		b = a;
		if (parse_peek(p) == ':') {
			p->at++;
			if (!set_number(p, star, &b))
				return false;
		}
		/* RFC 3501 9: 4:2 is 2:4; "*" of nothing is nothing */
		if (a > b) {
			uint32_t t = a;

			a = b;
			b = t;
		}
		if (a != 0)
			set_add(set, a, b);
		if (parse_peek(p) != ',')
			break;
		p->at++;
	}
	set_finish(set);
	return true;
}

bool
set_has(const struct set *set, uint32_t n)
{
	size_t lo = 0, hi = set->n;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (n < set->v[mid].lo)
			hi = mid;
		else if (n > set->v[mid].hi)
			lo = mid + 1;
		else
			return true;
	}
	return false;
}

void
set_print(struct buf *b, const struct set *set)
{
	for (size_t i = 0; i < set->n; i++) {
		const struct set_range *r = &set->v[i];

		buf_addf(b, "%s%lu", i > 0 ? "," : "", (unsigned long)r->lo);
		if (r->hi != r->lo)
			buf_addf(b, ":%lu", (unsigned long)r->hi);
	}
}
