/*
 * cmd_status.c - STATUS.  RFC 3501 6.3.10; RFC 5819 for LIST.
 */
#include "cmd.h"

static const struct {
	const char *word;
	unsigned bit;
} items[] = {
	{ "MESSAGES", STATUS_MESSAGES },       { "RECENT", STATUS_RECENT },
	{ "UIDNEXT", STATUS_UIDNEXT },         { "UNSEEN", STATUS_UNSEEN },
	{ "UIDVALIDITY", STATUS_UIDVALIDITY },
};

bool
status_parse(struct session *s, unsigned *items_r)
{
	unsigned bits = 0;

	if (!parse_char(&s->p, '('))
		return false;
	for (;;) {
		size_t i;

		for (i = 0; i < ARRAY_LEN(items); i++)
			if (parse_word(&s->p, items[i].word))
				break;
		if (i == ARRAY_LEN(items)) {
			s->p.bad = "Unknown status item";
			return false;
		}
		bits |= items[i].bit;
		if (parse_peek(&s->p) != ' ')
			break;
		if (!parse_sp(&s->p))
			return false;
	}
	*items_r = bits;
	return parse_char(&s->p, ')');
}

static size_t
count(const struct mailbox *mb, unsigned item)
{
	switch (item) {
	case STATUS_MESSAGES:
		return mb->n;
	case STATUS_RECENT:
		return mailbox_recent(mb);
	case STATUS_UIDNEXT:
		return mb->ul.uidnext;
	case STATUS_UIDVALIDITY:
		return mb->ul.uidvalidity;
	default:
		return mailbox_unseen(mb);
	}
}

int
status_put(struct session *s, const char *name, unsigned bits, struct err *e)
{
	struct mailbox *mb = mailbox_select(s->root, name, true, NULL, e);
	const char *sep = "";

	if (mb == NULL)
		return -1;
	stream_puts(s->st, "* STATUS ");
	put_mailbox(s->st, span_of(name));
	stream_puts(s->st, " (");
	for (size_t i = 0; i < ARRAY_LEN(items); i++) {
		if (!(bits & items[i].bit))
			continue;
		stream_printf(s->st, "%s%s %zu", sep, items[i].word,
			      count(mb, items[i].bit));
		sep = " ";
	}
	stream_puts(s->st, ")\r\n");
	mailbox_close(mb);
	return 0;
}

struct result
cmd_status(struct session *s)
{
	struct buf name = BUF_INIT;
	struct err e = ERR_INIT;
	struct result r;
	unsigned bits = 0;

	if (!parse_sp(&s->p))
		r = result_bad(s);
	else if (arg_mailbox(s, &name, &r)) {
		if (!parse_sp(&s->p) || !status_parse(s, &bits) ||
		    !parse_end(&s->p))
			r = result_bad(s);
		else if (status_put(s, buf_str(&name), bits, &e) != 0)
			r = result_err(s, &e);
		else
			r = result_ok("Status completed");
	}
	buf_free(&name);
	return r;
}
