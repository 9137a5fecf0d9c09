/*
 * procmail_regex.c - procmail's extended regular expressions on PCRE2.
 * procmailrc(5): "^" and "$" stand for a newline too, "^^" for an end of the
 * text.  A match is the leftmost and shortest one; with "\/", which begins what
 * MATCH gets, its left side is the shortest and its right side the longest.
 * PCRE2's Perl way of matching tells whether and where (fast), its DFA way
 * these lengths.
 */
#define PCRE2_CODE_UNIT_WIDTH 8
#include "mem.h"
#include "procmail.h"
#include "status.h"

#include <pcre2.h>
#include <stdio.h>
#include <stdlib.h>

static const struct {
	const char *name, *re;
} macros[] = {
	{ "^TO_", "(^((Original-)?(Resent-)?(To|Cc|Bcc)|"
		  "(X-Envelope|Apparently(-Resent)?)-To):"
		  "(.*[^-a-zA-Z0-9_.])?)" },
	{ "^TO", "(^((Original-)?(Resent-)?(To|Cc|Bcc)|"
		 "(X-Envelope|Apparently(-Resent)?)-To):(.*[^a-zA-Z])?)" },
	{ "^FROM_DAEMON",
	  "(^(Mailing-List:|Precedence:.*(junk|bulk|list)|"
	  "To: Multiple recipients of |"
	  "(((Resent-)?(From|Sender)|X-Envelope-From):|>?From )"
	  "([^>]*[^(.%@a-z0-9])?("
	  "Post(ma?(st(e?r)?|n)|office)|(send)?Mail(er)?|daemon|"
	  "m(mdf|ajordomo)|n?uucp|LIST(SERV|proc)|NETSERV|o(wner|ps)|"
	  "r(e(quest|sponse)|oot)|b(ounce|bs\\.smtp)|echo|mirror|"
	  "s(erv(ices?|er)|mtp(error)?|ystem)|"
	  "A(dmin(istrator)?|MMGR|utoanswer))"
	  "(([^).!:a-z0-9][-_a-z0-9]*)?[%@>\t ][^<)]*(\\(.*\\).*)?)?"
	  "$([^>]|$)))" },
	{ "^FROM_MAILER",
	  "(^(((Resent-)?(From|Sender)|X-Envelope-From):|>?From )"
	  "([^>]*[^(.%@a-z0-9])?("
	  "Post(ma(st(er)?|n)|office)|(send)?Mail(er)?|daemon|mmdf|"
	  "n?uucp|ops|r(esponse|oot)|(bbs\\.)?smtp(error)?|"
	  "s(erv(ices?|er)|ystem)|A(dmin(istrator)?|MMGR))"
	  "(([^).!:a-z0-9][-_a-z0-9]*)?[%@>\t ][^<)]*(\\(.*\\).*)?)?"
	  "$([^>]|$))" },
};

static void
add_macros(struct buf *b, struct span re)
{
	while (re.n > 0) {
		size_t i = 0;

		for (; i < ARRAY_LEN(macros); i++) {
			if (re.p[0] == '^' &&
			    span_starts(re, span_of(macros[i].name)))
				break;
		}
		if (i < ARRAY_LEN(macros)) {
			buf_adds(b, macros[i].re);
			re = span_from(re, strlen(macros[i].name));
		} else {
			if (re.p[0] == '\\' && re.n > 1) {
				buf_addc(b, re.p[0]);
				re = span_from(re, 1);
			}
			buf_addc(b, re.p[0]);
			re = span_from(re, 1);
		}
	}
}

/* "[...]": a backslash is one character like others; "[^...]" does not match a
 * newline.  Its length. */
static size_t
add_class(struct buf *b, struct span s)
{
	size_t i = 1;
	bool not = i < s.n && s.p[i] == '^', first = true;

	buf_addc(b, '[');
	if (not ) {
		buf_adds(b, "^\\n");
		i++;
	}
	for (; i < s.n && (s.p[i] != ']' || first); i++, first = false) {
		/* "-" alone makes ranges */
		if (s.p[i] == '-' && !first && i + 1 < s.n && s.p[i + 1] != ']')
			buf_addc(b, '-');
		else if (ascii_isalnum(s.p[i]) || (unsigned char)s.p[i] >= 128)
			buf_addc(b, s.p[i]);
		else if (s.p[i] == '\n')
			buf_adds(b, "\\n");
		else
			buf_addf(b, "\\x%02x", (unsigned char)s.p[i]);
	}
	buf_addc(b, ']');
	return i < s.n ? i + 1 : s.n;
}

static void
add_literal(struct buf *b, char c)
{
	if (ascii_isalnum(c) || (unsigned char)c >= 128)
		buf_addc(b, c);
	else
		buf_addf(b, "\\x%02x", (unsigned char)c);
}

/* An empty capture: what MATCH gets begins here. */
#define MARK "()"
#define WORD_EDGE "(?:[^a-zA-Z0-9_]|\\A|\\z)"

/* A backslash and what follows; its length. */
static size_t
add_escape(struct buf *b, struct span s, bool *group_r)
{
	char c = s.n > 1 ? s.p[1] : '\\';

	if (c == '/' && !*group_r) {
		buf_adds(b, MARK);
		*group_r = true;
	} else if (c == '<' || c == '>') {
		buf_adds(b, WORD_EDGE);
	} else {
		add_literal(b, c);
	}
	return s.n > 1 ? 2 : 1;
}

static void
translate(struct buf *out, struct span s, bool lazy, bool *group_r)
{
	bool start = true;

	while (s.n > 0) {
		size_t used = 1;
		char c = s.p[0];

		if (c == '^' && s.n > 1 && s.p[1] == '^') {
			buf_adds(out, start ? "\\A" : "\\z");
			used = 2;
		} else if (c == '^') {
			buf_adds(out, "(?:\\A|\\n)");
		} else if (c == '$') {
			buf_adds(out, "(?:\\n|\\z)");
		} else if (c == '.') {
			buf_adds(out, "[^\\n]");
		} else if (c == '[') {
			used = add_class(out, s);
		} else if (c == '\\') {
			used = add_escape(out, s, group_r);
		} else if (c == '(' || c == '|') {
			buf_adds(out, c == '(' ? "(?:" : "|");
		} else if (c == ')') {
			buf_addc(out, c);
		} else if (c == '*' || c == '+' || c == '?') {
			/* "a**" is "a*" */
			while (used < s.n && strchr("*+?", s.p[used]) != NULL)
				used++;
			buf_addc(out, c);
			if (lazy && !*group_r)
				buf_addc(out, '?');
		} else {
			add_literal(out, c);
		}
		start = false;
		s = span_from(s, used);
	}
}

static bool
has_group(struct span s)
{
	for (size_t i = 0; i + 1 < s.n; i++) {
		if (s.p[i] != '\\')
			continue;
		if (s.p[i + 1] == '/')
			return true;
		i++;
	}
	return false;
}

void
pm_regex(struct buf *out, struct span re, bool *group_r)
{
	struct buf text = BUF_INIT;
	bool lazy;

	add_macros(&text, re);
	lazy = has_group(buf_span(&text));
	*group_r = false;
	translate(out, buf_span(&text), lazy, group_r);
	buf_free(&text);
}

struct matcher {
	pcre2_code *whole;
	pcre2_code *any;          /* anything and the whole: to count */
	pcre2_code *left, *right; /* anything, the left, a look at the right */
	pcre2_match_data *data;
	pcre2_match_context *limits;
	bool group;
	int *room;
	size_t cap, want;
};

static pcre2_code *
compile(struct span pattern, struct span re, bool fold, struct err *e)
{
	PCRE2_UCHAR why[160];
	pcre2_code *code;
	size_t at;
	int err;

	code =
	    pcre2_compile((PCRE2_SPTR)pattern.p, pattern.n,
			  PCRE2_NO_AUTO_POSSESS | (fold ? PCRE2_CASELESS : 0),
			  &err, &at, NULL);
	if (code == NULL) {
		pcre2_get_error_message(err, why, sizeof(why));
		err_set(e, ST_DATA, "\"%.*s\": %s",
			SPAN_ARG(span_sub(re, 0, 200)), (char *)why);
	}
	return code;
}

/* Is the part one alternative?  Parentheses and bars are syntax in a pattern of
 * translate(), never themselves. */
static bool
is_one(struct span part)
{
	int depth = 0;

	for (size_t i = 0; i < part.n; i++) {
		depth += part.p[i] == '(' ? 1 : part.p[i] == ')' ? -1 : 0;
		if (depth < 0 || (depth == 0 && part.p[i] == '|'))
			return false;
	}
	return depth == 0;
}

static int
matcher_open(struct matcher *x, struct span re, bool fold, bool many,
	     struct err *e)
{
	struct buf pattern = BUF_INIT, part = BUF_INIT;
	ssize_t mark;

	pm_regex(&pattern, re, &x->group);
	x->whole = compile(buf_span(&pattern), re, fold, e);
	mark = span_find(buf_span(&pattern), SPAN(MARK));
	if (x->whole != NULL && x->group && mark >= 0) {
		struct span all = buf_span(&pattern);
		struct span left = span_sub(all, 0, (size_t)mark);
		struct span right = span_from(all, (size_t)mark + 2);

		if (is_one(left) && is_one(right)) {
			buf_addf(&part, "(?s:.*)%.*s(?=%.*s)", SPAN_ARG(left),
				 SPAN_ARG(right));
			x->left = compile(buf_span(&part), re, fold, NULL);
			x->right = compile(right, re, fold, NULL);
		}
	}
	if (x->whole != NULL && many) {
		buf_clear(&part);
		buf_addf(&part, "(?s:.*)(?:%s)", buf_str(&pattern));
		x->any = compile(buf_span(&part), re, fold, NULL);
	}
	buf_free(&pattern);
	buf_free(&part);
	if (x->whole == NULL)
		return -1;
	x->data = pcre2_match_data_create(2, NULL);
	x->limits = pcre2_match_context_create(NULL);
	pcre2_set_match_limit(x->limits, 10000000);
	pcre2_set_heap_limit(x->limits, 65536);
	return 0;
}

/* Compiling costs what matching some ten KB does. */
#define JIT_FROM 65536
/* A DFA's room: more is asked for until this many numbers. */
#define DFA_MIN 1000
#define DFA_MAX 1000000

/* The shortest (or longest) match at `at`: its end, or -1. */
static ssize_t
dfa_end(struct matcher *x, const pcre2_code *code, struct span text, size_t at,
	bool shortest)
{
	uint32_t how = PCRE2_ANCHORED | (shortest ? PCRE2_DFA_SHORTEST : 0);
	int rc;

	for (;;) {
		x->room = mem_grow(x->room, &x->cap, x->want, sizeof(int));
		rc = pcre2_dfa_match(code, (PCRE2_SPTR)text.p, text.n, at, how,
				     x->data, x->limits, x->room, x->cap);
		if (rc != PCRE2_ERROR_DFA_WSSIZE || x->want >= DFA_MAX)
			break;
		x->want *= 4;
	}
	return rc < 0 ? -1 : (ssize_t)pcre2_get_ovector_pointer(x->data)[1];
}

/*
 * What MATCH gets: false where the sides
 * cannot be told apart ("\/" inside of a group), then it is Perl's.
 */
static bool
sides(struct matcher *x, struct span text, struct span *r)
{
	ssize_t mid, end;

	if (x->left == NULL || x->right == NULL)
		return false;
	mid = dfa_end(x, x->left, text, 0, true);
	end = mid < 0 ? -1 : dfa_end(x, x->right, text, (size_t)mid, false);
	if (end < 0)
		return false;
	*r = span_sub(text, (size_t)mid, (size_t)end);
	return true;
}

static void
matcher_done(struct matcher *x)
{
	pcre2_code_free(x->whole);
	pcre2_code_free(x->any);
	pcre2_code_free(x->left);
	pcre2_code_free(x->right);
	pcre2_match_data_free(x->data);
	pcre2_match_context_free(x->limits);
	free(x->room);
}

/* Each match ends where the first one to end does, wherever it began. */
static int64_t
count_ends(struct matcher *x, struct span text, int64_t max)
{
	size_t from = 0;
	int64_t count = 0;

	while (count < max && from <= text.n) {
		ssize_t end = dfa_end(x, x->any, text, from, true);

		if (end < 0)
			break;
		if ((size_t)end == from)
			return PM_ENDLESS;
		count++;
		/* a newline that "$" took may be the next "^" */
		if (text.p[end - 1] == '\n' && (size_t)end - 1 > from)
			end--;
		from = (size_t)end;
	}
	return count;
}

int64_t
pm_match(struct span re, bool fold, struct span text, int64_t max,
	 struct buf *match, bool *matched_part_r, struct err *e)
{
	struct matcher x = { .want = DFA_MIN };
	const size_t *v;
	int64_t count = 0;
	int rc;

	if (matcher_open(&x, re, fold, max > 1, e) != 0)
		return -1;
	if (text.p == NULL)
		text = SPAN("");
	if (text.n >= JIT_FROM)
		(void)pcre2_jit_compile(x.whole, PCRE2_JIT_COMPLETE);
	rc = pcre2_match(x.whole, (PCRE2_SPTR)text.p, text.n, 0, 0, x.data,
			 x.limits);
	v = pcre2_get_ovector_pointer(x.data);
	if (rc > 0 && x.group && match != NULL) {
		struct span part = span_sub(text, v[2], v[1]);

		(void)sides(&x, text, &part);
		buf_clear(match);
		buf_addspan(match, part);
		*matched_part_r = true;
	}
	if (rc > 0)
		count =
		    max > 1 && x.any != NULL ? count_ends(&x, text, max) : 1;
	matcher_done(&x);
	if (rc < 0 && rc != PCRE2_ERROR_NOMATCH)
		return err_set(e, ST_UNAVAILABLE, "\"%.*s\" takes too long",
			       SPAN_ARG(span_sub(re, 0, 200)));
	return count;
}
