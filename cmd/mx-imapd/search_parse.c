/*
 * search_parse.c - the keys of SEARCH; see search.h.
 */
#include "search.h"
#include "date.h"
#include "encword.h"
#include "escape.h"
#include "mem.h"

#include <stdlib.h>

enum arg {
	NONE,
	DATE,
	NUMBER,
	INTERVAL, /* RFC 5032 3: from 1 */
	TEXT,
	FIELD_TEXT,
	KEYWORD,
	UIDSET,
	OBJECTID,
	MODSEQ
};
static const struct {
	const char *word;
	enum search_op op;
	enum arg arg;
	maildir_flags flags;
	const char *field;
} keys[] = {
	{ "ALL", OP_ALL, NONE, 0, NULL },
	{ "ANSWERED", OP_FLAGS, NONE, MAILDIR_REPLIED, NULL },
	{ "BCC", OP_HEADER, TEXT, 0, "Bcc" },
	{ "BEFORE", OP_BEFORE, DATE, 0, NULL },
	{ "BODY", OP_BODY, TEXT, 0, NULL },
	{ "CC", OP_HEADER, TEXT, 0, "Cc" },
	{ "DELETED", OP_FLAGS, NONE, MAILDIR_TRASHED, NULL },
	{ "DRAFT", OP_FLAGS, NONE, MAILDIR_DRAFT, NULL },
	{ "EMAILID", OP_EMAILID, OBJECTID, 0, NULL },
	{ "FLAGGED", OP_FLAGS, NONE, MAILDIR_FLAGGED, NULL },
	{ "FROM", OP_HEADER, TEXT, 0, "From" },
	{ "HEADER", OP_HEADER, FIELD_TEXT, 0, NULL },
	{ "KEYWORD", OP_FLAGS, KEYWORD, 0, NULL },
	{ "LARGER", OP_LARGER, NUMBER, 0, NULL },
	{ "MODSEQ", OP_MODSEQ, MODSEQ, 0, NULL },
	{ "NEW", OP_NEW, NONE, 0, NULL },
	{ "OLD", OP_OLD, NONE, 0, NULL },
	{ "OLDER", OP_OLDER, INTERVAL, 0, NULL },
	{ "ON", OP_ON, DATE, 0, NULL },
	{ "RECENT", OP_RECENT, NONE, 0, NULL },
	{ "SAVEDATESUPPORTED", OP_ALL, NONE, 0, NULL },
	{ "SAVEDBEFORE", OP_SAVED_BEFORE, DATE, 0, NULL },
	{ "SAVEDON", OP_SAVED_ON, DATE, 0, NULL },
	{ "SAVEDSINCE", OP_SAVED_SINCE, DATE, 0, NULL },
	{ "SEEN", OP_FLAGS, NONE, MAILDIR_SEEN, NULL },
	{ "SENTBEFORE", OP_SENT_BEFORE, DATE, 0, NULL },
	{ "SENTON", OP_SENT_ON, DATE, 0, NULL },
	{ "SENTSINCE", OP_SENT_SINCE, DATE, 0, NULL },
	{ "SINCE", OP_SINCE, DATE, 0, NULL },
	{ "SMALLER", OP_SMALLER, NUMBER, 0, NULL },
	{ "SUBJECT", OP_HEADER, TEXT, 0, "Subject" },
	{ "TEXT", OP_TEXT, TEXT, 0, NULL },
	{ "THREADID", OP_NEVER, OBJECTID, 0, NULL },
	{ "TO", OP_HEADER, TEXT, 0, "To" },
	{ "UID", OP_UID, UIDSET, 0, NULL },
	{ "UIDAFTER", OP_UIDAFTER, NUMBER, 0, NULL },
	{ "UIDBEFORE", OP_UIDBEFORE, NUMBER, 0, NULL },
	{ "UNANSWERED", OP_NO_FLAGS, NONE, MAILDIR_REPLIED, NULL },
	{ "UNDELETED", OP_NO_FLAGS, NONE, MAILDIR_TRASHED, NULL },
	{ "UNDRAFT", OP_NO_FLAGS, NONE, MAILDIR_DRAFT, NULL },
	{ "UNFLAGGED", OP_NO_FLAGS, NONE, MAILDIR_FLAGGED, NULL },
	{ "UNKEYWORD", OP_NO_FLAGS, KEYWORD, 0, NULL },
	{ "UNSEEN", OP_NO_FLAGS, NONE, MAILDIR_SEEN, NULL },
	{ "YOUNGER", OP_YOUNGER, INTERVAL, 0, NULL },
};

void
search_free(struct search *se)
{
	for (size_t i = 0; i < se->n; i++) {
		set_free(&se->v[i].set);
		free(se->v[i].field);
		buf_free(&se->v[i].text);
	}
	free(se->v);
	buf_free(&se->charset);
	*se = (struct search){ .v = NULL };
}

static struct node *
add(struct search *se, uint32_t parent, enum search_op op)
{
	uint32_t at = (uint32_t)se->n;
	struct node *n;

	se->v = mem_grow(se->v, &se->cap, se->n + 1, sizeof(*se->v));
	n = &se->v[se->n++];
	*n = (struct node){ .op = op,
			    .parent = parent,
			    .child = NODE_NONE,
			    .last = NODE_NONE,
			    .next = NODE_NONE };
	if (parent != NODE_NONE) {
		struct node *up = &se->v[parent];

		if (up->child == NODE_NONE)
			up->child = at;
		else
			se->v[up->last].next = at;
		up->last = at;
	}
	return n;
}

static bool
fail(struct parse *p, const char *why)
{
	if (p->bad == NULL)
		p->bad = why;
	return false;
}

static bool
parse_text(struct node *n, struct parse *p, const struct buf *charset)
{
	struct buf text = BUF_INIT;
	struct buf utf8 = BUF_INIT;
	bool ok = parse_astring(p, &text);

	if (ok && charset->n > 0)
		ok = encword_convert(&utf8, buf_span(charset), buf_span(&text));
	else
		buf_addspan(&utf8, buf_span(&text));
	if (!ok || !utf8_valid(buf_span(&utf8)))
		ok = fail(p, "Search text is not in the charset");
	if (ok)
		search_fold(&n->text, buf_span(&utf8));
	buf_free(&utf8);
	buf_free(&text);
	return ok;
}

static bool
parse_day(struct node *n, struct parse *p)
{
	struct buf text = BUF_INIT;
	struct date d;
	bool ok =
	    parse_astring(p, &text) && date_parse_imap_day(buf_span(&text), &d);

	buf_free(&text);
	if (!ok)
		return fail(p, "Invalid date");
	n->day = date_days(d.year, d.month, d.day);
	return true;
}

static bool
parse_field(struct node *n, struct parse *p, const struct buf *charset)
{
	struct buf name = BUF_INIT;
	bool ok = parse_astring(p, &name) && parse_sp(p);

	if (ok)
		n->field = mem_spandup(buf_span(&name));
	buf_free(&name);
	return ok && parse_text(n, p, charset);
}

static bool
parse_keyword(struct node *n, struct session *s)
{
	struct span word;
	int at;

	if (!parse_flag(&s->p, &word))
		return false;
	at = keywords_find(&s->mb->kw, word);
	if (at >= 0)
		n->flags = MAILDIR_KEYWORD_BIT(at);
	else
		n->op = n->op == OP_FLAGS ? OP_NEVER : OP_ALL;
	return true;
}

/* RFC 7162 3.1.5: an entry name and type may stand before it; we keep one
 * mod-sequence for all of a message. */
static bool
parse_modseq(struct node *n, struct parse *p)
{
	struct buf entry = BUF_INIT;
	bool ok = true;

	if (parse_peek(p) == '"')
		ok = parse_string(p, &entry) && parse_sp(p) &&
		     (parse_word(p, "shared") || parse_word(p, "priv") ||
		      parse_word(p, "all")) &&
		     parse_sp(p);
	buf_free(&entry);
	return ok && parse_number64(p, &n->number);
}

static bool
parse_arg(struct search *se, struct node *n, enum arg arg, struct session *s)
{
	struct parse *p = &s->p;

	if (arg != NONE && !parse_sp(p))
		return false;
	switch (arg) {
	case NONE:
		return true;
	case DATE:
		return parse_day(n, p);
	case NUMBER:
		return parse_number64(p, &n->number);
	case INTERVAL:
		if (parse_number64(p, &n->number) && n->number == 0)
			p->bad = "A number of seconds from 1 expected";
		return p->bad == NULL;
	case TEXT:
		return parse_text(n, p, &se->charset);
	case FIELD_TEXT:
		return parse_field(n, p, &se->charset);
	case KEYWORD:
		return parse_keyword(n, s);
	case MODSEQ:
		se->has_modseq = true;
		condstore_enable(s);
		return parse_modseq(n, p);
	case OBJECTID:
		return parse_astring(p, &n->text);
	default:
		if (parse_peek(p) == '$')
			return arg_saved(s, &n->set, true);
		return parse_set(p, &n->set, arg_star(s));
	}
}

/* One key that holds no other. */
static bool
parse_leaf(struct search *se, struct session *s, uint32_t parent)
{
	struct parse *p = &s->p;
	struct node *n;

	if (parse_peek(p) == '$') { /* RFC 5182 2.1 */
		n = add(se, parent, OP_UID);
		return arg_saved(s, &n->set, true);
	}
	if (ascii_isdigit(parse_peek(p)) || parse_peek(p) == '*') {
		if (s->enabled & ENABLED_UIDONLY) { /* RFC 9586 3.1 */
			p->code = "UIDREQUIRED";
			return fail(p, "Message numbers are not used any more");
		}
		n = add(se, parent, OP_SEQ);
		s->numbers = true;
		return parse_set(p, &n->set, (uint32_t)s->mb->told_exists);
	}
	for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
		if (!parse_word(p, keys[i].word))
			continue;
		n = add(se, parent, keys[i].op);
		n->flags = keys[i].flags;
		if (keys[i].field != NULL)
			n->field = mem_strdup(keys[i].field);
		return parse_arg(se, n, keys[i].arg, s);
	}
	return fail(p, "Unknown search key");
}

/* How many keys a node takes: NOT one, OR two, AND any. */
static bool
is_full(const struct search *se, uint32_t at)
{
	const struct node *n = &se->v[at];

	if (n->op == OP_NOT)
		return n->child != NODE_NONE;
	return n->op == OP_OR && n->child != NODE_NONE && n->child != n->last;
}

/* Opens "(", NOT, OR; false: a leaf stands here. */
static bool
open_group(struct search *se, struct parse *p, uint32_t *at)
{
	if (parse_peek(p) == '(') {
		p->at++;
		(void)add(se, *at, OP_AND);
	} else if (parse_word(p, "NOT")) {
		(void)add(se, *at, OP_NOT);
		(void)!parse_sp(p);
	} else if (parse_word(p, "OR")) {
		(void)add(se, *at, OP_OR);
		(void)!parse_sp(p);
	} else {
		return false;
	}
	*at = (uint32_t)se->n - 1;
	return true;
}

bool
search_parse(struct search *se, struct session *s)
{
	struct parse *p = &s->p;
	uint32_t at = 0;
	int depth = 0;

	(void)add(se, NODE_NONE, OP_AND);
	for (;;) {
		if (se->n > SEARCH_NODES)
			return fail(p, "Too many search keys");
		if (open_group(se, p, &at)) {
			if (++depth > SEARCH_DEPTH)
				return fail(p, "Search keys nest too deep");
			continue;
		}
		if (!parse_leaf(se, s, at))
			return false;
		/* close what is complete */
		for (;;) {
			if (at != 0 && is_full(se, at)) {
				at = se->v[at].parent;
				depth--;
			} else if (at != 0 && se->v[at].op == OP_AND &&
				   parse_peek(p) == ')') {
				p->at++;
				at = se->v[at].parent;
				depth--;
			} else {
				break;
			}
		}
		if (at == 0 && p->at == p->s.n)
			return true;
		if (!parse_sp(p))
			return false;
		if (at == 0 && p->at == p->s.n)
			return true;
	}
}
