/*
 * procmail_regex.c - procmail's extended regular expressions on PCRE2.
 * procmailrc(5): "^" and "$" stand for a newline too, "^^" for an end of the
 * text, "\/" begins what MATCH gets: its left side is as short as possible.
 */
#define PCRE2_CODE_UNIT_WIDTH 8
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

#define WORD_EDGE "(?:[^a-zA-Z0-9_]|\\A|\\z)"

/* A backslash and what follows; its length. */
static size_t
add_escape(struct buf *b, struct span s, bool *group_r)
{
	char c = s.n > 1 ? s.p[1] : '\\';

	if (c == '/' && !*group_r) {
		buf_adds(b, "\\K"); /* the match begins here */
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

static pcre2_code *
compile(struct span re, bool fold, bool *group_r, struct err *e)
{
	struct buf pattern = BUF_INIT;
	PCRE2_UCHAR why[160];
	pcre2_code *code;
	size_t at;
	int err;

	pm_regex(&pattern, re, group_r);
	code = pcre2_compile((PCRE2_SPTR)buf_str(&pattern), pattern.n,
			     fold ? PCRE2_CASELESS : 0, &err, &at, NULL);
	if (code == NULL) {
		pcre2_get_error_message(err, why, sizeof(why));
		err_set(e, ST_DATA, "\"%.*s\": %s",
			SPAN_ARG(span_sub(re, 0, 200)), (char *)why);
	}
	buf_free(&pattern);
	return code;
}

int64_t
pm_match(struct span re, bool fold, struct span text, int64_t max,
	 struct buf *match, bool *matched_part_r, struct err *e)
{
	bool group;
	pcre2_code *code = compile(re, fold, &group, e);
	pcre2_match_data *data;
	pcre2_match_context *limits;
	int64_t count = 0;
	size_t from = 0, end;
	int rc = 0;

	if (code == NULL)
		return -1;
	(void)pcre2_jit_compile(code, PCRE2_JIT_COMPLETE);
	data = pcre2_match_data_create_from_pattern(code, NULL);
	limits = pcre2_match_context_create(NULL);
	pcre2_set_match_limit(limits, 10000000);
	pcre2_set_heap_limit(limits, 65536);
	while (count < max && from <= text.n) {
		const size_t *v = pcre2_get_ovector_pointer(data);

		rc = pcre2_match(code, (PCRE2_SPTR)(text.p ? text.p : ""),
				 text.n, from, 0, data, limits);
		if (rc < 0)
			break;
		if (count++ == 0 && group && match != NULL) {
			buf_clear(match);
			buf_addspan(match, span_sub(text, v[0], v[1]));
			*matched_part_r = true;
		}
		/* a newline that "$" took may be the next "^" */
		end = v[1] > 0 && text.p[v[1] - 1] == '\n' ? v[1] - 1 : v[1];
		from = end > from ? end : from + 1;
	}
	pcre2_match_data_free(data);
	pcre2_match_context_free(limits);
	pcre2_code_free(code);
	if (rc < 0 && rc != PCRE2_ERROR_NOMATCH)
		return err_set(e, ST_UNAVAILABLE, "\"%.*s\" takes too long",
			       SPAN_ARG(span_sub(re, 0, 200)));
	return count;
}
