/*
 * cmd_store.c - STORE and UID STORE.  RFC 3501 6.4.6.
 */
#include "cmd.h"

enum how { REPLACE, ADD, REMOVE };
struct store {
	enum how how;
	bool silent;
	maildir_flags flags;
	struct err e;
	bool some_gone;
};

#define SYSTEM                                                                 \
	(MAILDIR_REPLIED | MAILDIR_FLAGGED | MAILDIR_TRASHED | MAILDIR_SEEN |  \
	 MAILDIR_DRAFT)

static int
store_one(struct session *s, size_t i, void *ctx)
{
	struct store *st = ctx;
	struct message *m = &s->mb->v[i];
	maildir_flags clear = 0, set = st->flags;

	if (st->how == REPLACE)
		clear = SYSTEM | MAILDIR_KEYWORD_MASK;
	if (st->how == REMOVE) {
		clear = st->flags;
		set = 0;
	}
	if (mailbox_set_flags(s->mb, m, set, clear, &st->e) != 0) {
		if (!m->gone)
			return 1;
		st->some_gone = true;
		return 0;
	}
	if (st->silent) {
		m->told = m->flags;
		return 0;
	}
	/* RFC 3501 6.4.6: told whether changed or not */
	m->told = m->flags;
	put_fetch(s, i);
	stream_puts(s->st, "FLAGS ");
	put_flags(s->st, s->mb, m);
	if (s->uid)
		stream_printf(s->st, " UID %lu", (unsigned long)m->uid);
	stream_puts(s->st, ")\r\n");
	return 0;
}

static bool
parse_how(struct session *s, struct store *st)
{
	struct parse *p = &s->p;

	st->how = REPLACE;
	if (parse_peek(p) == '+' && parse_char(p, '+'))
		st->how = ADD;
	else if (parse_peek(p) == '-' && parse_char(p, '-'))
		st->how = REMOVE;
	st->silent = parse_word(p, "FLAGS.SILENT");
	if (!st->silent && !parse_word(p, "FLAGS"))
		return parse_char(p, 'F');
	return parse_sp(p);
}

static struct result
store(struct session *s, const struct set *set)
{
	struct store st = { .e = ERR_INIT };
	struct result r;

	if (!parse_sp(&s->p) || !parse_how(s, &st))
		return result_bad(s);
	if (s->mb->readonly)
		return result_no("READ-ONLY", "The mailbox is open read-only");
	r = arg_flags(s, s->mb, &st.flags);
	if (r.kind != RESULT_OK)
		return r;
	if (!parse_end(&s->p))
		return result_bad(s);
	if (s->mb->kw_changed)
		put_flag_lists(s);
	if (each_message(s, set, store_one, &st) != 0)
		return result_err(s, &st.e);
	/* RFC 2180 4.2 */
	if (st.some_gone && !s->uid)
		return result_no("EXPUNGEISSUED",
				 "Some of the messages no longer exist");
	return result_ok("Store completed");
}

struct result
cmd_store(struct session *s)
{
	struct set set = { NULL, 0, 0 };
	struct result r;

	if (!parse_sp(&s->p))
		return result_bad(s);
	if (arg_set(s, &set, &r))
		r = store(s, &set);
	set_free(&set);
	return r;
}
