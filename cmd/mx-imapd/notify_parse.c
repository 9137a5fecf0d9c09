/*
 * notify_parse.c - NOTIFY's groups of mailboxes and events.  RFC 5465 8.
 */
#include "notify.h"
#include "mem.h"

#include <stdlib.h>

#define GROUPS_MAX 100
#define NAMES_MAX 1000

static const struct {
	const char *word;
	enum notify_which which;
} filters[] = {
	{ "SELECTED-DELAYED", NOTIFY_DELAYED },
	{ "SELECTED", NOTIFY_SELECTED },
	/* RFC 5465 6.3: any mailbox is delivered to */
	{ "INBOXES", NOTIFY_PERSONAL },
	{ "PERSONAL", NOTIFY_PERSONAL },
	{ "SUBSCRIBED", NOTIFY_SUBSCRIBED },
	{ "SUBTREE", NOTIFY_SUBTREE },
	{ "MAILBOXES", NOTIFY_MAILBOXES },
};
static const struct {
	const char *word;
	unsigned event;
} events[] = {
	{ "MessageNew", NOTIFY_NEW },
	{ "MessageExpunge", NOTIFY_EXPUNGE },
	{ "FlagChange", NOTIFY_FLAG },
	{ "MailboxName", NOTIFY_NAME },
	{ "SubscriptionChange", NOTIFY_SUBSCRIPTION },
	{ "MailboxMetadataChange", NOTIFY_NOTES },
	{ "ServerMetadataChange", NOTIFY_SERVER_NOTES },
};
#define BADEVENT                                                               \
	"BADEVENT (MessageNew MessageExpunge FlagChange MailboxName "          \
	"SubscriptionChange MailboxMetadataChange ServerMetadataChange)"

static bool
fail(struct session *s, const char *why)
{
	if (s->p.bad == NULL)
		s->p.bad = why;
	return false;
}

static bool
parse_name(struct session *s, struct notify_group *g, struct result *r)
{
	struct buf name = BUF_INIT;
	bool ok = g->names.n < NAMES_MAX && arg_mailbox(s, &name, r);

	if (ok)
		strs_addspan(&g->names, buf_span(&name));
	buf_free(&name);
	return ok || fail(s, "A mailbox is expected");
}

static bool
parse_names(struct session *s, struct notify_group *g, struct result *r)
{
	if (!parse_sp(&s->p))
		return false;
	if (parse_peek(&s->p) != '(')
		return parse_name(s, g, r);
	if (!parse_char(&s->p, '('))
		return false;
	for (;;) {
		if (!parse_name(s, g, r))
			return false;
		if (parse_peek(&s->p) != ' ')
			return parse_char(&s->p, ')');
		if (!parse_sp(&s->p))
			return false;
	}
}

static bool
is_selected(const struct notify_group *g)
{
	return g->which == NOTIFY_SELECTED || g->which == NOTIFY_DELAYED;
}

static bool
parse_event(struct session *s, struct notify *nf, struct notify_group *g,
	    struct result *r)
{
	struct span word;
	size_t i;

	if (!parse_atom(&s->p, &word))
		return false;
	for (i = 0; i < ARRAY_LEN(events); i++)
		if (span_iis(word, events[i].word))
			break;
	if (i == ARRAY_LEN(events)) {
		*r = result_no(BADEVENT, "There is no such event here");
		return true;
	}
	g->events |= events[i].event;
	if (is_selected(g) && !(events[i].event & NOTIFY_MESSAGE))
		return fail(s, "SELECTED is about messages");
	/* "MessageNew (UID FLAGS)", of the selected mailbox alone */
	if (events[i].event == NOTIFY_NEW && is_selected(g) &&
	    s->p.at + 1 < s->p.s.n && s->p.s.p[s->p.at] == ' ' &&
	    s->p.s.p[s->p.at + 1] == '(')
		return parse_sp(&s->p) && nf->att.n == 0 &&
		       fetch_parse_items(&nf->att, &s->p);
	return true;
}

static bool
parse_events(struct session *s, struct notify *nf, struct notify_group *g,
	     struct result *r)
{
	bool list;

	if (!parse_sp(&s->p))
		return false;
	if (parse_word(&s->p, "NONE"))
		return true;
	list = parse_peek(&s->p) == '(';
	if (list && !parse_char(&s->p, '('))
		return false;
	/* RFC 5465 3.1's examples have them without parentheses too */
	for (;;) {
		if (!parse_event(s, nf, g, r))
			return false;
		if (r->text != NULL)
			return true;
		if (parse_peek(&s->p) != ' ')
			break;
		if (!parse_sp(&s->p))
			return false;
	}
	return !list || parse_char(&s->p, ')');
}

/* RFC 5465 5: new ones and expunged ones together, flags with them. */
static bool
events_fit(unsigned ev)
{
	bool both = (ev & NOTIFY_NEW) && (ev & NOTIFY_EXPUNGE);

	return both || !(ev & NOTIFY_MESSAGE);
}

static bool
parse_group(struct session *s, struct notify *nf, struct result *r)
{
	struct notify_group *g;
	size_t i;

	if (nf->n == GROUPS_MAX)
		return fail(s, "Too many groups");
	nf->v = mem_grow(nf->v, &nf->cap, nf->n + 1, sizeof(*nf->v));
	g = &nf->v[nf->n++];
	*g = (struct notify_group){ .events = 0 };
	if (!parse_char(&s->p, '('))
		return false;
	for (i = 0; i < ARRAY_LEN(filters); i++)
		if (parse_word(&s->p, filters[i].word))
			break;
	if (i == ARRAY_LEN(filters))
		return fail(s, "Unknown kind of mailboxes");
	g->which = filters[i].which;
	if ((g->which == NOTIFY_SUBTREE || g->which == NOTIFY_MAILBOXES) &&
	    !parse_names(s, g, r))
		return false;
	if (!parse_events(s, nf, g, r))
		return false;
	if (r->text != NULL)
		return true;
	if (!events_fit(g->events))
		return fail(s, "MessageNew and MessageExpunge go together");
	return parse_char(&s->p, ')');
}

bool
notify_parse(struct session *s, struct notify *nf, struct result *refusal_r)
{
	int selected = 0;

	refusal_r->text = NULL;
	nf->status = parse_word(&s->p, "STATUS") && parse_sp(&s->p);
	for (;;) {
		if (!parse_group(s, nf, refusal_r))
			return false;
		if (refusal_r->text != NULL)
			return true;
		if (is_selected(&nf->v[nf->n - 1])) {
			nf->selected = nf->v[nf->n - 1].events;
			nf->delayed = nf->v[nf->n - 1].which == NOTIFY_DELAYED;
			selected++;
		}
		if (parse_peek(&s->p) != ' ')
			break;
		if (!parse_sp(&s->p))
			return false;
	}
	if (selected > 1)
		return fail(s, "SELECTED stands once");
	return parse_end(&s->p);
}
