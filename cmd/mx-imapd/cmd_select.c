/*
 * cmd_select.c - SELECT and EXAMINE.  RFC 3501 6.3.1, 6.3.2;
 * RFC 7162 (CONDSTORE, QRESYNC), RFC 9051.
 */
#include "cmd.h"
#include "context.h"

/* What stands in parentheses behind the name (RFC 7162). */
struct params {
	bool condstore, qresync;
	uint32_t validity;
	uint64_t modseq;
	bool has_known;
	struct set known;
};

/* Does a "*" stand in the set that is next? */
static bool
star_next(struct parse *p)
{
	for (size_t i = p->at; i < p->s.n; i++) {
		if (p->s.p[i] == '*') {
			p->bad = "\"*\" is not allowed here";
			return true;
		}
		if (!ascii_isdigit(p->s.p[i]) && p->s.p[i] != ':' &&
		    p->s.p[i] != ',')
			return false;
	}
	return false;
}

/* RFC 7162 7: both are nz-numbers */
static bool
not_zero(struct parse *p, const struct params *x)
{
	if (x->validity == 0 || x->modseq == 0)
		p->bad = "A number from 1 expected";
	return p->bad == NULL;
}

/* "(v m [known-uids [(seqs uids)]])"; the pairs would spare us work only */
static bool
parse_qresync(struct parse *p, struct params *x)
{
	struct set seqs = { NULL, 0, 0 }, uids = { NULL, 0, 0 };
	bool ok = parse_sp(p) && parse_char(p, '(') &&
		  parse_number(p, &x->validity) && parse_sp(p) &&
		  parse_number64(p, &x->modseq) && not_zero(p, x);

	x->qresync = true;
	if (ok && parse_peek(p) == ' ') {
		ok = parse_sp(p);
		if (ok && parse_peek(p) != '(') {
			/* RFC 7162 7: "*" is not allowed in it */
			ok = !star_next(p) && parse_set(p, &x->known, 0);
			x->has_known = true;
		}
		if (ok && parse_peek(p) == ' ')
			ok = parse_sp(p);
		if (ok && parse_peek(p) == '(')
			ok = parse_char(p, '(') && !star_next(p) &&
			     parse_set(p, &seqs, 0) && parse_sp(p) &&
			     !star_next(p) && parse_set(p, &uids, 0) &&
			     parse_char(p, ')');
	}
	set_free(&seqs);
	set_free(&uids);
	return ok && parse_char(p, ')');
}

static bool
parse_params(struct session *s, struct params *x)
{
	struct parse *p = &s->p;

	if (!parse_sp(p) || !parse_char(p, '('))
		return false;
	for (;;) {
		if (parse_word(p, "CONDSTORE")) {
			x->condstore = true;
		} else if (!(s->enabled & ENABLED_QRESYNC)) {
			/* RFC 7162 3.2.5: only after ENABLE */
			p->bad = "Unknown select parameter";
			return false;
		} else if (!parse_word(p, "QRESYNC") || !parse_qresync(p, x)) {
			return false;
		}
		if (parse_peek(p) != ' ')
			break;
		if (!parse_sp(p))
			return false;
	}
	return parse_char(p, ')');
}

/* RFC 7162 3.2.5: what went, and what changed, since the client was here. */
static void
resync(struct session *s, struct params *x)
{
	struct mailbox *mb = s->mb;

	if (!x->has_known && mb->ul.uidnext > 1)
		set_add(&x->known, 1, mb->ul.uidnext - 1);
	put_vanished_since(s, &x->known, x->modseq);
	for (size_t i = 0; i < mb->n; i++) {
		if (mb->v[i].modseq <= x->modseq ||
		    (x->has_known && !set_has(&x->known, mb->v[i].uid)))
			continue;
		put_fetch(s, i);
		put_fetch_flags(s, i, true);
	}
}

/* All that SELECT must tell. */
static void
tell(struct session *s, const char *name)
{
	struct mailbox *mb = s->mb;
	struct buf id = BUF_INIT;
	size_t unseen;

	put_flag_lists(s);
	mb->told = true;
	mb->told_exists = mb->n;
	mb->told_recent = mailbox_recent(mb);
	stream_printf(s->st, "* %zu EXISTS\r\n", mb->n);
	if (s->enabled & ENABLED_REV2) {
		/* RFC 9051 6.3.2: LIST is required, with attributes that are
		 * accurate; RECENT and UNSEEN are no more */
		list_put_one(s, name);
	} else {
		stream_printf(s->st, "* %zu RECENT\r\n", mb->told_recent);
		unseen = mailbox_first_unseen(mb);
		if (unseen > 0 && !(s->enabled & ENABLED_UIDONLY))
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
		      "* OK [UIDNEXT %lu] Predicted next UID\r\n"
		      "* OK [HIGHESTMODSEQ %llu] Highest\r\n",
		      (unsigned long)mb->ul.uidvalidity,
		      (unsigned long)mb->ul.uidnext,
		      (unsigned long long)mb->modseq);
	if (mb->unsticky)
		stream_puts(s->st, "* NO [UIDNOTSTICKY] The folder cannot be "
				   "written: its UIDs are those of this "
				   "session\r\n");
}

static struct result
open_mailbox(struct session *s, const char *name, bool readonly,
	     struct params *x)
{
	struct err e = ERR_INIT;
	struct mailbox *mb;

	context_drop_all(s);
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
	if (x->condstore || x->qresync)
		s->enabled |= ENABLED_CONDSTORE;
	tell(s, name);
	if (x->qresync && x->validity == mb->ul.uidvalidity)
		resync(s, x);
	return RESULT(RESULT_OK, mb->readonly ? "READ-ONLY" : "READ-WRITE",
		      readonly ? "Examine completed" : "Select completed");
}

static struct result
select_as(struct session *s, bool readonly)
{
	struct buf name = BUF_INIT;
	struct params x = { .validity = 0 };
	struct result r;

	if (!parse_sp(&s->p))
		r = result_bad(s);
	else if (arg_mailbox(s, &name, &r))
		r = (parse_peek(&s->p) != ' ' || parse_params(s, &x)) &&
			    parse_end(&s->p)
			? open_mailbox(s, buf_str(&name), readonly, &x)
			: result_bad(s);
	set_free(&x.known);
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
