/*
 * cmd_status.c - STATUS.  RFC 3501 6.3.10; RFC 5819 for LIST.
 */
#include "capability.h"
#include "cmd.h"
#include "loaded.h"

static const struct {
	const char *word;
	unsigned bit;
} items[] = {
	{ "MESSAGES", STATUS_MESSAGES },
	{ "RECENT", STATUS_RECENT },
	{ "UIDNEXT", STATUS_UIDNEXT },
	{ "UNSEEN", STATUS_UNSEEN },
	{ "UIDVALIDITY", STATUS_UIDVALIDITY },
	{ "SIZE", STATUS_SIZE },
	{ "DELETED", STATUS_DELETED },
	{ "DELETED-STORAGE", STATUS_DELETED_SIZE },
	{ "APPENDLIMIT", STATUS_APPENDLIMIT },
	{ "MAILBOXID", STATUS_MAILBOXID },
	{ "HIGHESTMODSEQ", STATUS_MODSEQ },
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
	if (bits & STATUS_MODSEQ)
		condstore_enable(s);
	*items_r = bits;
	return parse_char(&s->p, ')');
}

static size_t
deleted(const struct mailbox *mb)
{
	size_t n = 0;

	for (size_t i = 0; i < mb->n; i++)
		n += mb->v[i].flags & MAILDIR_TRASHED ? 1 : 0;
	return n;
}

/* Measured before the answer begins: a file's name may lack its size. */
static int
total_size(struct mailbox *mb, uint64_t *all_r, uint64_t *deleted_r,
	   struct err *e)
{
	*all_r = *deleted_r = 0;
	for (size_t i = 0; i < mb->n; i++) {
		const struct message *m = &mb->v[i];

		if (loaded_size(mb, &mb->v[i], e) != 0)
			return -1;
		if (m->gone)
			continue;
		*all_r += m->vsize;
		if (m->flags & MAILDIR_TRASHED)
			*deleted_r += m->vsize;
	}
	return 0;
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
	case STATUS_DELETED:
		return deleted(mb);
	case STATUS_MODSEQ:
		return mb->modseq;
	case STATUS_APPENDLIMIT:
		return APPEND_MAX;
	default:
		return mailbox_unseen(mb);
	}
}

int
status_put(struct session *s, const char *name, unsigned bits, struct err *e)
{
	struct mailbox *mb = mailbox_select(s->root, name, true, NULL, e);
	const char *sep = "";
	struct buf id = BUF_INIT;
	uint64_t size = 0, freed = 0;

	if (mb == NULL)
		return -1;
	if ((bits & (STATUS_SIZE | STATUS_DELETED_SIZE)) &&
	    total_size(mb, &size, &freed, e) != 0) {
		mailbox_close(mb);
		return -1;
	}
	mailbox_id(&id, mb);
	stream_puts(s->st, "* STATUS ");
	put_mailbox(s, span_of(name));
	stream_puts(s->st, " (");
	for (size_t i = 0; i < ARRAY_LEN(items); i++) {
		if (!(bits & items[i].bit))
			continue;
		if (items[i].bit == STATUS_SIZE)
			stream_printf(s->st, "%sSIZE %llu", sep,
				      (unsigned long long)size);
		else if (items[i].bit == STATUS_DELETED_SIZE)
			stream_printf(s->st, "%sDELETED-STORAGE %llu", sep,
				      (unsigned long long)freed);
		else if (items[i].bit == STATUS_MAILBOXID)
			stream_printf(s->st, "%sMAILBOXID (%s)", sep,
				      buf_str(&id));
		else
			stream_printf(s->st, "%s%s %zu", sep, items[i].word,
				      count(mb, items[i].bit));
		sep = " ";
	}
	stream_puts(s->st, ")\r\n");
	buf_free(&id);
	mailbox_close(mb);
	return 0;
}

/* RFC 3501 6.3.10: no mailbox is opened by it, nothing loses \Recent. */
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
