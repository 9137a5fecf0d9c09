/*
 * cmd_select.c - SELECT and EXAMINE.  RFC 3501 6.3.1, 6.3.2.
 */
#include "cmd.h"

static struct result
open_mailbox(struct session *s, const char *name, bool readonly)
{
	struct err e = ERR_INIT;
	struct mailbox *mb;
	struct buf id = BUF_INIT;
	size_t unseen;

	if (s->mb != NULL) {
		mailbox_close(s->mb);
		s->mb = NULL;
		s->state = STATE_AUTH;
		/* RFC 7162 3.2.11; harmless without it, as Dovecot does */
		stream_puts(s->st, "* OK [CLOSED] Previous mailbox closed\r\n");
	}
	mb = mailbox_select(s->root, name, readonly, s->root_path, &e);
	if (mb == NULL)
		return result_err(s, &e);
	s->mb = mb;
	s->state = STATE_SELECTED;
	mb->no_recent = (s->enabled & ENABLED_REV2) != 0;
	set_free(&s->saved); /* RFC 5182 2.1 */
	put_flag_lists(s);
	mb->told_exists = mb->n;
	mb->told_recent = mailbox_recent(mb);
	stream_printf(s->st, "* %zu EXISTS\r\n", mb->n);
	if (s->enabled & ENABLED_REV2) {
		/* RFC 9051 6.3.2: LIST is required, RECENT and UNSEEN are no
		 * more */
		stream_puts(s->st, "* LIST () \".\" ");
		put_mailbox(s, span_of(name));
		stream_puts(s->st, "\r\n");
	} else {
		stream_printf(s->st, "* %zu RECENT\r\n", mb->told_recent);
		unseen = mailbox_first_unseen(mb);
		if (unseen > 0)
			stream_printf(s->st,
				      "* OK [UNSEEN %zu] First unseen\r\n",
				      unseen);
	}
	mailbox_id(&id, mb);
	stream_printf(s->st, "* OK [MAILBOXID (%s)] Its name for good\r\n",
		      buf_str(&id));
	buf_free(&id);
	stream_printf(s->st,
		      "* OK [UIDVALIDITY %lu] UIDs valid\r\n"
		      "* OK [UIDNEXT %lu] Predicted next UID\r\n",
		      (unsigned long)mb->ul.uidvalidity,
		      (unsigned long)mb->ul.uidnext);
	return RESULT(RESULT_OK, readonly ? "READ-ONLY" : "READ-WRITE",
		      readonly ? "Examine completed" : "Select completed");
}

static struct result
select_as(struct session *s, bool readonly)
{
	struct buf name = BUF_INIT;
	struct result r;

	if (!parse_sp(&s->p))
		r = result_bad(s);
	else if (arg_mailbox(s, &name, &r))
		r = parse_end(&s->p) ? open_mailbox(s, buf_str(&name), readonly)
				     : result_bad(s);
	buf_free(&name);
	return r;
}

struct result
cmd_select(struct session *s)
{
	return select_as(s, false);
}

struct result
cmd_examine(struct session *s)
{
	return select_as(s, true);
}
