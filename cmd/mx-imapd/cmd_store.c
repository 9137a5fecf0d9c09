/*
 * cmd_store.c - STORE and UID STORE.  RFC 3501 6.4.6, RFC 7162 3.1.3.
 */
#include "cmd.h"

enum how { REPLACE, ADD, REMOVE };
struct store {
	enum how how;
	bool silent;
	bool conditional; /* UNCHANGEDSINCE */
	uint64_t since;
	maildir_flags flags;
	struct err e;
	bool some_gone;
	struct set modified, done; /* numbers or UIDs; indexes + 1 */
	struct set fresh; /* UIDs that met the condition before this command
			   * looked at the folder */
};

#define SYSTEM                                                                 \
	(MAILDIR_REPLIED | MAILDIR_FLAGGED | MAILDIR_TRASHED | MAILDIR_SEEN |  \
	 MAILDIR_DRAFT)

/* RFC 7162 3.1.12: what another session did since the client's last command is
 * no reason to refuse, where it left the flags alone that are added or removed
 * here: the client knows their state, and is told the others. */
static bool
passes(const struct store *st, const struct message *m)
{
	if (!st->conditional || m->modseq <= st->since)
		return true;
	return st->how != REPLACE && set_has(&st->fresh, m->uid) &&
	       ((m->told ^ m->flags) & st->flags) == 0;
}

static int
note_fresh(struct session *s, size_t i, void *ctx)
{
	struct store *st = ctx;
	const struct message *m = &s->mb->v[i];

	if (m->modseq <= st->since && m->told == m->flags)
		set_add(&st->fresh, m->uid, m->uid);
	return 0;
}

static int
store_one(struct session *s, size_t i, void *ctx)
{
	struct store *st = ctx;
	struct message *m = &s->mb->v[i];
	maildir_flags clear = 0, set = st->flags;

	/* RFC 7162 3.1.3 */
	if (!passes(st, m)) {
		uint32_t n = s->uid ? m->uid : (uint32_t)i + 1;

		set_add(&st->modified, n, n);
		return 0;
	}
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
	/* RFC 3501 6.4.6: silence is about this change; what others did at the
	 * same time is still news */
	m->told = st->silent ? (m->told & ~clear) | set : m->flags;
	if (!st->silent || (s->enabled & ENABLED_CONDSTORE))
		set_add(&st->done, (uint32_t)i + 1, (uint32_t)i + 1);
	return 0;
}

/* RFC 3501 6.4.6: told whether changed or not; silently: the mod-sequence */
static void
tell(struct session *s, const struct store *st)
{
	mailbox_commit(s->mb);
	for (size_t i = 0; i < st->done.n; i++) {
		for (uint32_t n = st->done.v[i].lo; n <= st->done.v[i].hi;
		     n++) {
			put_fetch(s, n - 1);
			put_fetch_flags(s, n - 1, !st->silent);
		}
	}
}

/* "(UNCHANGEDSINCE 12345) " */
static bool
parse_condition(struct session *s, struct store *st)
{
	struct parse *p = &s->p;

	if (parse_peek(p) != '(')
		return true;
	if (!parse_char(p, '(') || !parse_word(p, "UNCHANGEDSINCE") ||
	    !parse_sp(p) || !parse_number64(p, &st->since) ||
	    !parse_char(p, ')') || !parse_sp(p))
		return false;
	st->conditional = true;
	condstore_enable(s);
	return true;
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
run(struct session *s, struct set *set, struct store *st)
{
	struct err e = ERR_INIT;

	if (st->conditional && st->how != REPLACE)
		(void)each_message(s, set, note_fresh, st);
	set_finish(&st->fresh);
	/* a condition is judged by what the files say now */
	if (st->conditional && mailbox_sync(s->mb, &e) != 0)
		return result_err(s, &e);
	if (s->mb->kw_changed)
		put_flag_lists(s);
	limit_set(s, set);
	if (each_message(s, set, store_one, st) != 0)
		return result_err(s, &st->e);
	tell(s, st);
	if (st->modified.n > 0) {
		buf_clear(&s->code);
		buf_adds(&s->code, "MODIFIED ");
		set_print(&s->code, &st->modified);
		return RESULT(RESULT_OK, buf_str(&s->code),
			      "Conditional store failed for some");
	}
	/* RFC 2180 4.2 */
	if (st->some_gone && !s->uid)
		return result_no("EXPUNGEISSUED",
				 "Some of the messages no longer exist");
	return result_ok("Store completed");
}

static struct result
store(struct session *s, struct set *set)
{
	struct store st = { .e = ERR_INIT };
	struct result r;

	if (!parse_sp(&s->p) || !parse_condition(s, &st) || !parse_how(s, &st))
		return result_bad(s);
	if (s->mb->readonly)
		return result_no("READ-ONLY", "The mailbox is open read-only");
	r = arg_flags(s, s->mb, st.how != REMOVE, &st.flags);
	if (r.kind == RESULT_OK)
		r = parse_end(&s->p) ? limit_result(s, run(s, set, &st))
				     : result_bad(s);
	set_free(&st.modified);
	set_free(&st.done);
	set_free(&st.fresh);
	return r;
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
