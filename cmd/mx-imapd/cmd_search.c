/*
 * cmd_search.c - SEARCH and UID SEARCH.  RFC 3501 6.4.4, RFC 4731 (ESEARCH).
 */
#include "cmd.h"
#include "context.h"
#include "encword.h"
#include "mailbox_cache.h"
#include "search.h"

bool
search_charset(struct search *se, struct session *s, bool *known_r)
{
	struct buf none = BUF_INIT;
	bool ok = parse_sp(&s->p) && parse_astring(&s->p, &se->charset);

	if (!ok)
		return false;
	*known_r = true;
	if (span_iis(buf_span(&se->charset), "UTF-8") ||
	    span_iis(buf_span(&se->charset), "US-ASCII"))
		buf_clear(&se->charset);
	else
		*known_r =
		    encword_convert(&none, buf_span(&se->charset), SPAN("a"));
	buf_free(&none);
	return true;
}

/* Is it one of those that the client named?  Only they count as searched. */
static bool
named(const struct search *se, const struct session *s, size_t i)
{
	for (uint32_t at = se->v[0].child; at != NODE_NONE;
	     at = se->v[at].next) {
		const struct node *n = &se->v[at];

		if ((n->op == OP_UID && !set_has(&n->set, s->mb->v[i].uid)) ||
		    (n->op == OP_SEQ && !set_has(&n->set, (uint32_t)i + 1)) ||
		    (n->op == OP_UIDAFTER && s->mb->v[i].uid <= n->number) ||
		    (n->op == OP_UIDBEFORE && s->mb->v[i].uid >= n->number))
			return false;
	}
	return true;
}

/* The first message that is looked at (RFC 9738: the last ones are). */
static size_t
search_from(struct search *se, struct session *s)
{
	size_t i = s->mb->told_exists, many = 0;

	if (limit_messages() == 0)
		return 0;
	while (i > 0) {
		if (named(se, s, i - 1) && ++many > limit_messages())
			break;
		i--;
		if (named(se, s, i))
			s->lowest = s->mb->v[i].uid;
	}
	if (many <= limit_messages())
		s->lowest = 0;
	return i;
}

int
search_run(struct search *se, struct session *s, struct found *f, struct err *e)
{
	size_t n = s->mb->told_exists;

	se->now = clock_now();
	for (size_t i = search_from(se, s); i < n; i++) {
		int m = search_match(se, s, i, e);

		if (m < 0)
			return -1;
		if (m > 0)
			found_add(f, i);
		put_progress(s, i, n);
	}
	mailbox_cache_flush(s->mb);
	return 0;
}

static struct result
run(struct session *s, struct search *se, struct wanted *w)
{
	struct found found = { .modseq = se->has_modseq };
	struct err e = ERR_INIT;
	struct result r = result_ok("Search completed");

	if (search_run(se, s, &found, &e) != 0) {
		r = result_err(s, &e);
	} else {
		found_put(s, &found, w, "SEARCH");
		if (w->bits & RET_UPDATE)
			context_keep(s, se, w, &found, NULL, NULL, 0);
	}
	found_free(&found);
	return limit_result(s, r);
}

struct result
cmd_search(struct session *s)
{
	struct search se = { .v = NULL };
	struct wanted w = { .bits = 0 };
	struct result r = { RESULT_OK, NULL, NULL };
	bool known = true, charset = false, ok;

	/* RFC 9051 6.4.4: no "* SEARCH" in IMAP4rev2 */
	if (s->enabled & ENABLED_REV2)
		w.bits = RET_ANY | RET_ALL;
	ok = parse_sp(&s->p) &&
	     (!parse_word(&s->p, "RETURN") || wanted_parse(s, &w)) &&
	     (!(charset = parse_word(&s->p, "CHARSET")) ||
	      (search_charset(&se, s, &known) && parse_sp(&s->p)));
	if (ok && charset && (s->enabled & ENABLED_UTF8)) {
		s->p.bad = "All is UTF-8 now"; /* RFC 6855 3 */
		ok = false;
	}
	if (!ok)
		r = result_bad(s);
	else if (!known)
		r = result_no("BADCHARSET (US-ASCII UTF-8)", "Unknown charset");
	else
		r = search_parse(&se, s) ? run(s, &se, &w) : result_bad(s);
	wanted_failed(s, &w, r);
	search_free(&se);
	wanted_free(&w);
	return r;
}
