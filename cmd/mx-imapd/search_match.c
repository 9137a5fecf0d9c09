/*
 * search_match.c - does a message match?  See search.h.  A message is read
 * once at most, and only as far as its keys need.
 */
#include "fetch.h"
#include "date.h"
#include "encword.h"
#include "escape.h"

#include <stdlib.h>
#include <time.h>
#include <unicase.h>
#include <uninorm.h>

#define TEXT_MAX (16u << 20)

struct subject {
	struct session *s;
	size_t index;
	struct message *m;
	enum part { NOTHING, FIELDS, HEADER, WHOLE } have; /* loaded so far */
	struct loaded l;
	struct err *e;
};

void
search_fold(struct buf *b, struct span utf8)
{
	uint8_t *folded;
	size_t n = 0;

	if (span_is_ascii(utf8)) {
		for (size_t i = 0; i < utf8.n; i++)
			buf_addc(b, ascii_tolower(utf8.p[i]));
		return;
	}
	folded = u8_casefold((const uint8_t *)utf8.p, utf8.n, NULL,
			     UNINORM_NFKD, NULL, &n);
	if (folded == NULL) {
		buf_addspan(b, utf8);
		return;
	}
	buf_add(b, folded, n);
	free(folded);
}

static bool
holds(struct span utf8, const struct buf *needle)
{
	struct buf b = BUF_INIT;
	bool yes;

	if (needle->n == 0)
		return true;
	if (span_is_ascii(buf_span(needle)) && span_is_ascii(utf8))
		return span_ifind(utf8, buf_span(needle)) >= 0;
	search_fold(&b, utf8);
	yes = span_find(buf_span(&b), buf_span(needle)) >= 0;
	buf_free(&b);
	return yes;
}

/* 0, or -1; a message that is gone matches nothing more. */
static int
need(struct subject *x, enum part part)
{
	int r;

	if (x->have >= part)
		return 0;
	if (x->have != NOTHING)
		loaded_close(&x->l);
	x->have = NOTHING;
	if (part == FIELDS)
		r = loaded_fields(&x->l, x->s->mb, x->m, x->e);
	else
		r = loaded_open(&x->l, x->s->mb, x->m, part == WHOLE, x->e);
	if (r == 0)
		x->have = part;
	return r;
}

static bool
value_holds(struct span value, const struct buf *needle)
{
	struct buf text = BUF_INIT;
	bool yes;

	encword_decode(&text, value);
	yes = holds(buf_span(&text), needle);
	buf_free(&text);
	return yes;
}

static bool
header_holds(const struct subject *x, const struct node *n)
{
	const struct msg_field *f = NULL;

	while ((f = msg_next(&x->l.msg, n->field, f)) != NULL)
		if (value_holds(f->value, &n->text))
			return true;
	return false;
}

static bool
any_field_holds(struct span header, const struct buf *needle)
{
	struct msg m;
	bool yes = false;

	msg_index(&m, header, header.n + 1);
	for (size_t i = 0; !yes && i < m.n; i++)
		yes = value_holds(m.v[i].all, needle);
	msg_done(&m);
	return yes;
}

/* Text parts decoded; headers of enclosed messages and of parts too. */
static bool
body_holds(struct subject *x, const struct buf *needle)
{
	const struct mime *m = loaded_mime(&x->l);
	struct buf text = BUF_INIT;
	bool yes = false;

	for (size_t i = 0; !yes && i < m->n; i++) {
		const struct mime_part *p = &m->v[i];

		if (i > 0 && any_field_holds(p->header_full, needle))
			yes = true;
		/* message/delivery-status and the like are read, too */
		if (yes || p->kind != MIME_LEAF ||
		    !(span_iis(p->type, "text") ||
		      span_iis(p->type, "message")))
			continue;
		buf_clear(&text);
		mime_text(&text, p, TEXT_MAX);
		yes = holds(buf_span(&text), needle);
	}
	buf_free(&text);
	return yes;
}

static int64_t
local_day(int64_t when)
{
	struct date d;

	date_from_unix_local(&d, when);
	return date_days(d.year, d.month, d.day);
}

/* RFC 3501 6.4.4: the day as written, whatever its zone. */
static bool
sent_day(const struct subject *x, int64_t *day)
{
	const struct msg_field *f = msg_find(&x->l.msg, "Date", 0);
	struct date d;

	if (f == NULL || !date_parse(f->value, &d))
		return false;
	*day = date_days(d.year, d.month, d.day);
	return true;
}

static int
by_time(struct search *se, struct subject *x, const struct node *n)
{
	if (mailbox_stat_message(x->s->mb, x->m, x->e) != 0)
		return x->m->gone ? 0 : -1;
	switch (n->op) {
	case OP_BEFORE:
		return local_day(x->m->mtime) < n->day;
	case OP_ON:
		return local_day(x->m->mtime) == n->day;
	case OP_SINCE:
		return local_day(x->m->mtime) >= n->day;
	case OP_OLDER:
		return x->m->mtime <= se->now - (int64_t)n->number;
	default:
		return x->m->mtime >= se->now - (int64_t)n->number;
	}
}

/* RFC 8514: what is known without the file. */
static int
by_savedate(const struct subject *x, const struct node *n)
{
	int64_t day = local_day(fetch_savedate(x->m));

	if (n->op == OP_SAVED_BEFORE)
		return day < n->day;
	return n->op == OP_SAVED_ON ? day == n->day : day >= n->day;
}

static int
by_emailid(struct subject *x, const struct node *n)
{
	struct buf id = BUF_INIT;
	int r = need(x, WHOLE);

	if (r != 0)
		return r > 0 ? 0 : -1;
	fetch_emailid(&id, &x->l);
	r = span_eq(buf_span(&id), buf_span(&n->text));
	buf_free(&id);
	return r;
}

/* How much of a message tells whether it matches. */
static enum part
part_of(const struct node *n)
{
	if (n->op == OP_BODY || n->op == OP_TEXT)
		return WHOLE;
	return n->op == OP_HEADER && !loaded_is_field(n->field) ? HEADER
								: FIELDS;
}

static int
by_content(struct subject *x, const struct node *n)
{
	int64_t day;
	int r = need(x, part_of(n));

	if (r != 0)
		return r > 0 ? 0 : -1;
	switch (n->op) {
	case OP_HEADER:
		return header_holds(x, n);
	case OP_BODY:
		return body_holds(x, &n->text);
	case OP_TEXT:
		return any_field_holds(x->l.header, &n->text) ||
		       body_holds(x, &n->text);
	case OP_SENT_BEFORE:
		return sent_day(x, &day) && day < n->day;
	case OP_SENT_ON:
		return sent_day(x, &day) && day == n->day;
	default:
		return sent_day(x, &day) && day >= n->day;
	}
}

static int
by_size(struct subject *x, const struct node *n)
{
	if (x->m->vsize == MAILDIR_NO_SIZE) {
		int r = need(x, WHOLE);

		if (r != 0)
			return r > 0 ? 0 : -1;
	}
	return n->op == OP_LARGER ? x->m->vsize > n->number
				  : x->m->vsize < n->number;
}

static int
leaf(struct search *se, struct subject *x, const struct node *n)
{
	const struct message *m = x->m;

	switch (n->op) {
	case OP_ALL:
		return 1;
	case OP_NEVER:
		return 0;
	case OP_FLAGS:
		return (m->flags & n->flags) == n->flags;
	case OP_NO_FLAGS:
		return (m->flags & n->flags) == 0;
	case OP_RECENT:
		return m->recent;
	case OP_OLD:
		return !m->recent;
	case OP_NEW:
		return m->recent && !(m->flags & MAILDIR_SEEN);
	case OP_SEQ:
		return set_has(&n->set, (uint32_t)x->index + 1);
	case OP_UID:
		return set_has(&n->set, m->uid);
	case OP_UIDAFTER:
		return m->uid > n->number;
	case OP_UIDBEFORE:
		return m->uid < n->number;
	case OP_LARGER:
	case OP_SMALLER:
		return by_size(x, n);
	case OP_BEFORE:
	case OP_ON:
	case OP_SINCE:
	case OP_OLDER:
	case OP_YOUNGER:
		return by_time(se, x, n);
	case OP_SAVED_BEFORE:
	case OP_SAVED_ON:
	case OP_SAVED_SINCE:
		return by_savedate(x, n);
	case OP_MODSEQ:
		return m->modseq >= n->number;
	case OP_EMAILID:
		return by_emailid(x, n);
	default:
		return by_content(x, n);
	}
}

/* From a node with a value upwards: the next node to look at, or NODE_NONE
 * with the result of all in *value. */
static uint32_t
climb(const struct search *se, uint32_t at, int *value)
{
	while (se->v[at].parent != NODE_NONE) {
		const struct node *up = &se->v[se->v[at].parent];

		if (up->op == OP_NOT)
			*value = !*value;
		else if ((up->op == OP_AND) == (*value != 0) &&
			 se->v[at].next != NODE_NONE)
			return se->v[at].next; /* not decided yet */
		at = se->v[at].parent;
	}
	return NODE_NONE;
}

int
search_match(struct search *se, struct session *s, size_t index, struct err *e)
{
	struct subject x = {
		.s = s, .index = index, .m = &s->mb->v[index], .e = e
	};
	uint32_t at = 0;
	int value = 1;

	while (at != NODE_NONE && value >= 0) {
		const struct node *n = &se->v[at];

		if (n->child != NODE_NONE) {
			at = n->child;
			continue;
		}
		value = leaf(se, &x, n);
		if (value >= 0)
			at = climb(se, at, &value);
	}
	if (x.have != NOTHING)
		loaded_close(&x.l);
	return value;
}
