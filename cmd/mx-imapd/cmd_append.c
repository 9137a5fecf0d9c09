/*
 * cmd_append.c - APPEND and REPLACE: their words, and the literals between.
 * RFC 3501 6.3.11, RFC 3502 (MULTIAPPEND), RFC 3516 4.4 (literal8), RFC 6855 4
 * (UTF8), RFC 4469 (CATENATE), RFC 8508 (REPLACE), RFC 4315 3 (APPENDUID).
 */
#include "append.h"
#include "capability.h"
#include "cmd.h"
#include "mailbox_name.h"
#include "maildirsize.h"
#include "status.h"

#include <errno.h>

#define LITERAL_MS (10 * 60 * 1000)

/* What a client put behind a refused command's literal belongs to it. */
struct result
cmd_literal_left(struct session *s, struct result r)
{
	uint64_t all = 0;

	while (s->has_literal && !s->say_bye) {
		s->has_literal = false;
		if (s->literal.sync)
			return r; /* it reads our answer and sends nothing */
		all += s->literal.n;
		buf_cut(&s->text, 0);
		if (s->literal.n > APPEND_MAX || all > 4ULL * APPEND_MAX ||
		    input_drop(s, s->literal.n) != IO_OK)
			s->say_bye = true;
		else
			(void)input_more(s);
	}
	return s->say_bye ? RESULT(RESULT_BYE, "TOOBIG", "Literal too long")
			  : r;
}

/* All of the literal is taken from the wire, also when it is of no use. */
static bool
receive(struct session *s, struct append *a, struct append_one *x, bool collect)
{
	uint64_t left = s->literal.n;

	while (left > 0) {
		struct span have = stream_buffered(s->st);
		size_t n = have.n < left ? have.n : (size_t)left;

		if (n == 0) {
			/* by arrival: a client that is slow but alive may
			 * take its time, one that is silent may not */
			if (stream_fill(s->st, clock_deadline(LITERAL_MS)) !=
			    IO_OK) {
				s->say_bye = true;
				return false;
			}
			continue;
		}
		if (collect)
			buf_add(&x->whole, have.p, n);
		else
			append_take(a, x, span_sub(have, 0, n));
		stream_take(s->st, n);
		left -= n;
	}
	return true;
}

/* What certainly will not fit is refused before it comes, so that no command
 * of many messages fills the disk beyond its user's quota.  Of a message at
 * most half its bytes are CRs that the store does not keep. */
static void
check_room(struct session *s, struct append *a)
{
	uint64_t bytes = s->literal.n / 2;
	struct result r;

	for (size_t i = 0; i < a->n; i++)
		bytes += a->v[i]->n / 2;
	if (a->refusal.text == NULL && !quota_fits(s, bytes, a->n, &r))
		append_refuse(a, r);
}

bool
append_literal(struct session *s, struct append *a, struct append_one *x,
	       bool collect)
{
	if (x->n + x->whole.n + s->literal.n > APPEND_MAX) {
		append_refuse(a,
			      result_no("TOOBIG", "The message is too large"));
		return false; /* and so it is dropped */
	}
	check_room(s, a);
	/* a client that waits need not send what is refused */
	if (s->literal.sync && (a->failed || a->refusal.text != NULL))
		return false;
	s->p.at = s->text.n;
	if (s->literal.sync && input_continue(s, "OK") != IO_OK) {
		s->has_literal = false;
		s->say_bye = true;
		return false;
	}
	return receive(s, a, x, collect) && input_more(s);
}

static struct result
bad(const char *text)
{
	return RESULT(RESULT_BAD, NULL, text);
}

static bool
parse_date(struct session *s, struct append_one *x)
{
	struct buf text = BUF_INIT;
	bool ok = parse_string(&s->p, &text) &&
		  date_parse_imap(buf_span(&text), &x->date);

	if (!ok && s->p.bad == NULL)
		s->p.bad = "Invalid date";
	x->has_date = true;
	buf_free(&text);
	return ok && parse_sp(&s->p);
}

/* A literal stands at the end of what was read; "~" before it makes it a
 * literal8. */
static bool
at_literal(struct session *s, bool *eight)
{
	*eight = parse_peek(&s->p) == '~' && parse_char(&s->p, '~');
	return parse_peek(&s->p) == '{' && s->has_literal;
}

/* RFC 6855 4: NO without ENABLE.  This client knows how to ask for it; mail
 * with 8-bit fields from one that does not is taken, see mx-imapd(8). */
void
append_wants_utf8(struct session *s, struct append *a)
{
	if (!(s->enabled & ENABLED_UTF8))
		append_refuse(
		    a, result_no("CANNOT", "ENABLE UTF8=ACCEPT comes first"));
}

/* The bytes of one message, in whatever form. */
static struct result
data(struct session *s, struct append *a, struct append_one *x)
{
	bool eight, utf8;

	if (parse_word(&s->p, "CATENATE"))
		return parse_sp(&s->p) ? append_catenate(s, a, x)
				       : result_bad(s);
	utf8 = parse_word(&s->p, "UTF8");
	if (utf8)
		append_wants_utf8(s, a);
	if (utf8 && (!parse_sp(&s->p) || !parse_char(&s->p, '(')))
		return result_bad(s);
	if (!at_literal(s, &eight))
		return bad("Literal expected");
	if (s->literal.n == 0)
		append_refuse(a,
			      result_no("CANNOT", "An empty message is none"));
	if (!append_literal(s, a, x, eight && !utf8))
		return a->refusal.text != NULL ? a->refusal
					       : result_no(NULL, "Cut off");
	if (utf8 && !parse_char(&s->p, ')'))
		return result_bad(s);
	append_end(a, x);
	return result_ok("");
}

static struct result
one_message(struct session *s, struct append *a)
{
	struct append_one *x = append_next(a);
	struct parse *p = &s->p;
	struct result r;

	if (a->n > APPEND_MESSAGES)
		append_refuse(a, result_no("LIMIT", "Too many messages"));
	if (limit_messages() > 0 && a->n > limit_messages())
		append_refuse(a, limit_refusal(s));
	if (!parse_sp(p))
		return result_bad(s);
	if (parse_peek(p) == '(') {
		r = arg_flags(s, &a->to, true, &x->flags);
		if (r.kind != RESULT_OK)
			return r;
		if (!parse_sp(p))
			return result_bad(s);
	}
	if (parse_peek(p) == '"' && !parse_date(s, x))
		return result_bad(s);
	return data(s, a, x);
}

/* Behind the mailbox's name. */
static struct result
messages(struct session *s, struct append *a, bool many)
{
	struct result r;

	do {
		r = one_message(s, a);
	} while (r.kind == RESULT_OK && many && parse_peek(&s->p) == ' ' &&
		 !s->say_bye);
	if (s->say_bye)
		return RESULT(RESULT_BYE, NULL, "The message was cut off");
	if (r.kind == RESULT_OK && !parse_end(&s->p))
		r = result_bad(s);
	return r.kind == RESULT_OK ? append_commit(s, a)
	       : a->failed         ? result_err(s, &a->e)
				   : r;
}

/* Opens the mailbox named next. */
static struct result
open_mailbox(struct session *s, struct append *a)
{
	struct buf name = BUF_INIT;
	struct result r;

	a->to.fd = -1;
	if (!parse_sp(&s->p)) {
		r = result_bad(s);
	} else if (arg_mailbox(s, &name, &r)) {
		r = result_ok("");
		a->to.root = s->root;
		a->to.fd = mailbox_name_open(s->root, buf_span(&name));
		if (a->to.fd < 0 && errno == ENOENT) {
			r = result_no("TRYCREATE", "Mailbox doesn't exist");
		} else if (a->to.fd < 0) {
			err_sys(&a->e, "%s: opening", buf_str(&name));
			r = result_err(s, &a->e);
		} else if (!not_mbox(a->to.fd, &r)) {
			;
		} else if (keywords_read(&a->to.kw, a->to.fd, &a->e) != 0) {
			r = result_err(s, &a->e);
		}
	}
	buf_free(&name);
	return r;
}

struct result
cmd_append(struct session *s)
{
	struct append a = { .e = ERR_INIT };
	struct result r = open_mailbox(s, &a);

	if (r.kind == RESULT_OK)
		r = messages(s, &a, true);
	append_done(&a);
	return r;
}

/* The old one stays: so the new one must not. */
static void
take_back(struct session *s, struct append *a)
{
	for (size_t i = 0; i < a->n; i++) {
		if (!a->v[i]->placed)
			continue;
		maildirsize_note(s->root, -(int64_t)a->v[i]->dep.size, -1);
		deposit_undo(&a->v[i]->dep);
	}
}

/* RFC 8508 3.4: the new one first; then the old one goes.  Both or none: the
 * client is told of the new one when the old one is gone. */
static struct result
replace(struct session *s, struct append *a, size_t index)
{
	struct message *m = &s->mb->v[index];
	struct err e = ERR_INIT;
	struct result r = messages(s, a, false);

	if (r.kind != RESULT_OK)
		return r;
	if (mailbox_unlink(s->mb, m, 0, &e) != 0) {
		take_back(s, a);
		return result_err(s, &e);
	}
	if (r.code != NULL)
		stream_printf(s->st, "* OK [%s] Replacement is there\r\n",
			      r.code);
	if (m->size != MAILDIR_NO_SIZE)
		maildirsize_note(s->root, -(int64_t)m->size, -1);
	mailbox_commit(s->mb);
	/* RFC 8508 4.5 */
	return RESULT(RESULT_OK, condstore_code(s), "Replace completed");
}

struct result
cmd_replace(struct session *s)
{
	struct append a = { .e = ERR_INIT, .to.fd = -1 };
	struct set set = { NULL, 0, 0 };
	struct result r;
	size_t at = 0;
	bool exact = true;

	if (!parse_sp(&s->p)) {
		r = result_bad(s);
	} else if (arg_set(s, &set, &r)) {
		if (set.n != 1 || set.v[0].lo != set.v[0].hi) {
			r = bad("One message is expected");
		} else {
			at = set.v[0].lo - 1;
			if (s->uid)
				at = mailbox_find(s->mb, set.v[0].lo, &exact);
			r = open_mailbox(s, &a);
			if (r.kind == RESULT_OK && s->mb->readonly)
				r = result_no("READ-ONLY", "The mailbox is "
							   "open read-only");
			else if (r.kind == RESULT_OK &&
				 (!exact || at >= s->mb->told_exists))
				r = result_no("NONEXISTENT", "No such message");
			if (r.kind == RESULT_OK)
				r = replace(s, &a, at);
		}
	}
	set_free(&set);
	append_done(&a);
	return r;
}
