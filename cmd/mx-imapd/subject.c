/*
 * subject.c - what SORT and THREAD take from a header.  RFC 5256 2, RFC 5957.
 */
#include "addr.h"
#include "date.h"
#include "encword.h"
#include "search.h"
#include "sort.h"

#include <stdlib.h>

/* "[blob]" at the front, with the blanks behind it: its length, or 0. */
static size_t
blob(struct span s)
{
	size_t i;

	if (s.n == 0 || s.p[0] != '[')
		return 0;
	for (i = 1; i < s.n && s.p[i] != ']'; i++)
		if (s.p[i] == '[')
			return 0;
	if (i == s.n)
		return 0;
	for (i++; i < s.n && s.p[i] == ' '; i++)
		;
	return i;
}

/* "re: ", "fw [x]: ": its length, or 0; blobs may stand before it. */
static size_t
refwd(struct span s)
{
	static const char *const words[] = { "re", "fwd", "fw" };
	size_t at = 0, n, w;

	while ((n = blob(span_from(s, at))) > 0)
		at += n;
	for (w = 0; w < ARRAY_LEN(words); w++)
		if (span_istarts(span_from(s, at), span_of(words[w])))
			break;
	if (w == ARRAY_LEN(words))
		return 0;
	at += strlen(words[w]);
	while (at < s.n && s.p[at] == ' ')
		at++;
	at += blob(span_from(s, at));
	return at < s.n && s.p[at] == ':' ? at + 1 : 0;
}

/* Runs of white space as one blank (RFC 5256 2.1 step 1). */
static void
one_blank(struct buf *b, struct span s)
{
	for (size_t i = 0; i < s.n; i++) {
		bool blank = ascii_isspace(s.p[i]);

		if (blank && (b->n == 0 || b->p[b->n - 1] == ' '))
			continue;
		buf_addc(b, blank ? ' ' : s.p[i]);
	}
}

/* Steps 2 to 5 on one level. */
static struct span
strip(struct span s, bool *reply)
{
	for (;;) {
		size_t n;

		s = span_trim(s);
		if (s.n >= 5 && span_iends(s, SPAN("(fwd)"))) {
			*reply = true;
			s = span_sub(s, 0, s.n - 5);
			continue;
		}
		n = refwd(s);
		if (n > 0) {
			*reply = true;
			s = span_from(s, n);
			continue;
		}
		n = blob(s);
		if (n > 0 && n < s.n) {
			s = span_from(s, n);
			continue;
		}
		return s;
	}
}

bool
subject_base(struct buf *out, struct span utf8)
{
	struct buf b = BUF_INIT;
	struct span s;
	bool reply = false;

	one_blank(&b, utf8);
	s = buf_span(&b);
	for (;;) {
		s = strip(s, &reply);
		/* step 6: "[fwd: ... ]" */
		if (s.n < 6 || !span_istarts(s, SPAN("[fwd:")) ||
		    s.p[s.n - 1] != ']')
			break;
		reply = true;
		s = span_sub(s, 5, s.n - 1);
	}
	search_fold(out, s);
	buf_free(&b);
	return reply;
}

bool
field_text(struct buf *b, const struct msg *m, const char *name)
{
	const struct msg_field *f = msg_find(m, name, 0);

	if (f == NULL)
		return false;
	encword_decode(b, f->value);
	return true;
}

int64_t
sent_date(const struct msg *m, int64_t internal)
{
	const struct msg_field *f = msg_find(m, "Date", 0);
	struct date d;

	return f != NULL && date_parse(f->value, &d) ? d.unix_s : internal;
}

void
first_address(struct buf *b, const struct msg *m, const char *field,
	      bool display)
{
	const struct msg_field *f = msg_find(m, field, 0);
	struct buf text = BUF_INIT;
	struct addr_list l;

	if (f == NULL)
		return;
	addr_list_parse(&l, f->value, 1);
	if (l.n > 0 && display && l.v[0].name.n > 0) {
		encword_decode(&text, l.v[0].name);
	} else if (l.n > 0 && l.v[0].kind == ADDR_GROUP_START) {
		buf_addspan(&text, l.v[0].name);
	} else if (l.n > 0) {
		buf_addspan(&text, l.v[0].local);
		/* RFC 5957 3: the whole address where there is no name */
		if (display && l.v[0].domain.n > 0)
			buf_addf(&text, "@%.*s", SPAN_ARG(l.v[0].domain));
	}
	search_fold(b, buf_span(&text));
	addr_list_free(&l);
	buf_free(&text);
}

bool
next_msgid(struct span *rest, struct span *id_r)
{
	for (;;) {
		ssize_t open = span_chr(*rest, '<'), end;

		if (open < 0)
			return false;
		*rest = span_from(*rest, (size_t)open + 1);
		end = span_chr(*rest, '>');
		if (end < 0)
			return false;
		*id_r = span_trim(span_sub(*rest, 0, (size_t)end));
		*rest = span_from(*rest, (size_t)end + 1);
		if (id_r->n > 0 && span_chr(*id_r, '<') < 0)
			return true;
	}
}
