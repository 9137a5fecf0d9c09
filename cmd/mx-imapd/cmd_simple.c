/*
 * cmd_simple.c - the commands of a few lines.
 */
#include "capability.h"
#include "cmd.h"
#include "conf.h"
#include "context.h"
#include "log.h"
#include "maildirsize.h"

struct result
cmd_capability(struct session *s)
{
	if (!parse_end(&s->p))
		return result_bad(s);
	stream_printf(s->st, "* CAPABILITY %s\r\n",
		      capability_words(&s->words, !s->alone));
	return result_ok("Capability completed");
}

/* RFC 3501 6.1.2: what others did is told, as with every command. */
struct result
cmd_noop(struct session *s)
{
	return parse_end(&s->p) ? result_ok("Noop completed") : result_bad(s);
}

/* RFC 3501 6.4.1; gone from IMAP4rev2. */
struct result
cmd_check(struct session *s)
{
	return parse_end(&s->p) ? result_ok("Check completed") : result_bad(s);
}

struct result
cmd_login_again(struct session *s)
{
	(void)s;
	return RESULT(RESULT_BAD, NULL, "Already logged in");
}

/* RFC 3501 6.1.3: BYE stands before OK. */
struct result
cmd_logout(struct session *s)
{
	if (!parse_end(&s->p))
		return result_bad(s);
	stream_puts(s->st, "* BYE Logging out\r\n");
	s->state = STATE_LOGOUT;
	return result_ok("Logout completed");
}

/* RFC 8437 3: all that there is of this session ends with it. */
struct result
cmd_unauthenticate(struct session *s)
{
	if (s->alone)
		return RESULT(RESULT_BAD, NULL, "There was no login");
	if (!parse_end(&s->p))
		return result_bad(s);
	/* what stands behind it would be the layer's and not the client's */
	if (compress_active(s->st) && stream_buffered(s->st).n > 0) {
		s->say_bye = true;
		return RESULT(RESULT_BYE, NULL, "Commands behind it");
	}
	s->again = true;
	s->state = STATE_LOGOUT;
	return result_ok("No longer logged in");
}

/* RFC 2971.  The client's words are read and not kept. */
struct result
cmd_id(struct session *s)
{
	struct buf b = BUF_INIT;
	bool ok = parse_sp(&s->p);

	if (ok && !parse_word(&s->p, "NIL")) {
		ok = parse_char(&s->p, '(');
		while (ok && parse_peek(&s->p) != ')') {
			buf_clear(&b);
			if (!parse_word(&s->p, "NIL"))
				ok = parse_string(&s->p, &b);
			if (ok && parse_peek(&s->p) != ')')
				ok = parse_sp(&s->p);
		}
		ok = ok && parse_char(&s->p, ')');
	}
	buf_free(&b);
	if (!ok || !parse_end(&s->p))
		return result_bad(s);
	stream_puts(s->st, "* ID (\"name\" \"mx\")\r\n");
	return result_ok("ID completed");
}

/* RFC 2342 5: one personal namespace, nobody's else. */
struct result
cmd_namespace(struct session *s)
{
	if (!parse_end(&s->p))
		return result_bad(s);
	stream_puts(s->st, "* NAMESPACE ((\"\" \".\")) NIL NIL\r\n");
	return result_ok("Namespace completed");
}

struct expunged {
	struct err e;
	int64_t bytes, count; /* of which the sizes are known */
};

static int
expunge_one(struct session *s, size_t i, void *ctx)
{
	struct expunged *x = ctx;
	struct message *m = &s->mb->v[i];

	if (!(m->flags & MAILDIR_TRASHED) || m->gone)
		return 0;
	if (mailbox_unlink(s->mb, m, MAILDIR_TRASHED, &x->e) != 0)
		return 1;
	if (m->gone && m->size != MAILDIR_NO_SIZE) {
		x->bytes += (int64_t)m->size;
		x->count++;
	}
	return 0;
}

static struct result
expunge(struct session *s, const struct set *set)
{
	struct expunged x = { .e = ERR_INIT };
	int r = each_message(s, set, expunge_one, &x);

	if (x.count > 0)
		maildirsize_note(s->root, -x.bytes, -x.count);
	if (r != 0)
		return result_err(s, &x.e);
	mailbox_commit(s->mb);
	/* here, as CLOSE leaves nothing behind to be synced later */
	if (conf.fsync == FSYNC_ALWAYS && mailbox_sync_names(s->mb, &x.e) != 0)
		return result_err(s, &x.e);
	return RESULT(RESULT_OK, condstore_code(s), "Expunge completed");
}

static int
keep_deleted(struct session *s, size_t i, void *ctx)
{
	uint32_t uid = s->mb->v[i].uid;

	if (s->mb->v[i].flags & MAILDIR_TRASHED)
		set_add(ctx, uid, uid);
	return 0;
}

/* RFC 9738 3.1: the limit counts those that would go */
static void
limit_deleted(struct session *s, struct set *set)
{
	struct set deleted = { NULL, 0, 0 };

	if (limit_messages() == 0)
		return;
	(void)each_message(s, set, keep_deleted, &deleted);
	set_move(set, &deleted);
	limit_set(s, set);
}

/* RFC 3501 6.4.3. */
struct result
cmd_expunge(struct session *s)
{
	struct set set = { NULL, 0, 0 };
	struct result r;

	if (s->uid) { /* RFC 4315 2.1 */
		if (!parse_sp(&s->p))
			return result_bad(s);
		if (!arg_set(s, &set, &r)) {
			set_free(&set);
			return r;
		}
	} else if (s->mb->told_exists > 0) {
		set_add(&set, 1, (uint32_t)s->mb->told_exists);
	}
	if (!parse_end(&s->p)) {
		r = result_bad(s);
	} else if (s->mb->readonly) {
		r = result_no("READ-ONLY", "The mailbox is open read-only");
	} else {
		if (s->uid)
			limit_deleted(s, &set);
		r = limit_result(s, expunge(s, &set));
	}
	set_free(&set);
	return r;
}

static struct result
leave(struct session *s, const char *text)
{
	context_drop_all(s);
	mailbox_close(s->mb);
	s->mb = NULL;
	s->state = STATE_AUTH;
	return result_ok(text);
}

/* RFC 3501 6.4.2: removes what is \Deleted, and tells nothing of it. */
struct result
cmd_close(struct session *s)
{
	struct set set = { NULL, 0, 0 };
	struct result r;

	if (!parse_end(&s->p))
		return result_bad(s);
	if (!s->mb->readonly && s->mb->told_exists > 0) {
		set_add(&set, 1, (uint32_t)s->mb->told_exists);
		r = expunge(s, &set);
		set_free(&set);
		if (r.kind != RESULT_OK)
			return r;
	}
	mailbox_commit(s->mb);
	/* RFC 7162 3.2.8: no HIGHESTMODSEQ: the client was not told what went
	 * with it */
	return leave(s, "Close completed");
}

/* RFC 3691 2: CLOSE that removes nothing. */
struct result
cmd_unselect(struct session *s)
{
	if (!parse_end(&s->p))
		return result_bad(s);
	return leave(s, "Unselect completed");
}
