/*
 * milters.c - see milters.h: the events of a session, in its order.
 */
#include "milter_int.h"

#include "explain.h"
#include "link.h"
#include "log.h"
#include "mem.h"
#include "msg.h"
#include "restrict.h"

#include <stdio.h>
#include <stdlib.h>

#define BODY_PIECE 32000 /* its CRLF form fits one packet */

static const struct milter_event ev_connect = { MILTER_CONNECT,
						MILTER_P_NOCONNECT,
						MILTER_P_NR_CONN,
						MILTER_AT_CONNECT, false };
static const struct milter_event ev_helo = { MILTER_HELO, MILTER_P_NOHELO,
					     MILTER_P_NR_HELO, MILTER_AT_HELO,
					     false };
static const struct milter_event ev_mail = { MILTER_MAIL, MILTER_P_NOMAIL,
					     MILTER_P_NR_MAIL, MILTER_AT_MAIL,
					     false };
static const struct milter_event ev_rcpt = { MILTER_RCPT, MILTER_P_NORCPT,
					     MILTER_P_NR_RCPT, MILTER_AT_RCPT,
					     false };
static const struct milter_event ev_data = { MILTER_DATA, MILTER_P_NODATA,
					     MILTER_P_NR_DATA, MILTER_AT_DATA,
					     false };
static const struct milter_event ev_unknown = { MILTER_UNKNOWN,
						MILTER_P_NOUNKNOWN,
						MILTER_P_NR_UNKNOWN,
						MILTER_AT_CONNECT, false };
static const struct milter_event ev_header = { MILTER_HEADER, MILTER_P_NOHDRS,
					       MILTER_P_NR_HDR, -1, true };
static const struct milter_event ev_eoh = { MILTER_EOH, MILTER_P_NOEOH,
					    MILTER_P_NR_EOH, MILTER_AT_EOH,
					    true };
static const struct milter_event ev_body = { MILTER_BODY, MILTER_P_NOBODY,
					     MILTER_P_NR_BODY, -1, true };
static const struct milter_event ev_eom = { MILTER_EOM, 0, 0, MILTER_AT_EOM,
					    true };

/* One event to all of them; the first that is against it decides. */
static bool
tell(struct session *s, const struct milter_event *ev, struct span data,
     const char *what, struct reply *r)
{
	struct milters *m = s->milters;

	for (size_t i = 0; i < m->n; i++) {
		if (!mlink_event(m, &m->v[i], ev, data, r))
			continue;
		restrict_log(s, "milter-reject", what, r);
		return true;
	}
	return false;
}

/* Refusals that were said for good. */
static bool
lasting(struct session *s, const char *what, struct reply *r)
{
	struct milters *m = s->milters;

	for (size_t i = 0; i < m->n; i++) {
		if (!mlink_lasting(&m->v[i], s, r))
			continue;
		restrict_log(s, "milter-reject", what, r);
		return true;
	}
	return false;
}

/* Stands for the filters of a client when nobody can say which they are. */
static const struct milter_conf nobody = { .name = "smtpd_milter_maps",
					   .action = DEF_TEMPFAIL };

/* Connections to all filters of this client; made once, at its CONNECT. */
static void
start(struct session *s)
{
	const struct milter_conf **v;
	struct milters *m;
	size_t n;
	bool known = milter_choose(s, &v, &n);

	if (known && n == 0) {
		free(v);
		return;
	}
	if (explain_on && !explain_ask) {
		for (size_t i = 0; known && i < n; i++)
			explain("milter", "%s: not asked", v[i]->name);
		free(v);
		return;
	}
	if (!known)
		n = 1;
	m = s->milters = mem_alloc(1, sizeof(*m));
	m->s = s;
	m->n = n;
	m->v = mem_alloc(n, sizeof(*m->v));
	hold_init(&m->hold);
	for (size_t i = 0; i < n; i++) {
		m->v[i].conf = known ? v[i] : &nobody;
		if (known)
			mlink_open(&m->v[i], s);
		else
			mlink_refuse(&m->v[i]);
	}
	free(v);
}

bool
milters_connect(struct session *s, struct reply *r)
{
	struct milter_peer p = { .family = 'U' };
	struct buf b = BUF_INIT;
	bool no;

	start(s);
	if (s->milters == NULL)
		return false;
	p.name = span_of(s->client_name);
	p.addr = span_of(s->conn->addr);
	if (s->conn->has_peer) {
		p.family = strchr(s->conn->addr, ':') != NULL ? '6' : '4';
		p.port = (unsigned)s->conn->port;
		if (p.family == '6')
			buf_addf(&b, "IPv6:%s", s->conn->addr);
	} else if (session_is_local(s)) {
		/* as Postfix shows sendmail(1)'s mail */
		p = (struct milter_peer){ SPAN("localhost"), '4', 0,
					  SPAN("127.0.0.1") };
	}
	if (b.n > 0) {
		struct buf v6 = b;

		p.addr = buf_span(&v6);
		b = BUF_INIT;
		milter_put_peer(&b, &p);
		buf_free(&v6);
	} else {
		milter_put_peer(&b, &p);
	}
	no = lasting(s, "CONNECT", r) ||
	     tell(s, &ev_connect, span_from(buf_span(&b), 5), "CONNECT", r);
	buf_free(&b);
	if (!no)
		return false;
	/* Temporary: each command says so, and the log says whose mail it is;
	 * final: RFC 5321 3.1. */
	if (r->code / 100 == 4 && r->code != 421) {
		buf_free(&r->text);
		return false;
	}
	if (r->code != 421)
		r->code = 554;
	r->close = true;
	return true;
}

/* A string as an event's data. */
static bool
tell_text(struct session *s, const struct milter_event *ev, struct span text,
	  const char *what, struct reply *r)
{
	struct buf b = BUF_INIT;
	bool no;

	milter_put_str(&b, text);
	no = tell(s, ev, buf_span(&b), what, r);
	buf_free(&b);
	return no;
}

bool
milters_helo(struct session *s, struct reply *r)
{
	return s->milters != NULL &&
	       tell_text(s, &ev_helo, span_of(s->helo), "HELO", r);
}

/* "<addr>" and the parameters, each a string. */
static void
put_args(struct buf *b, const struct buf *addr, struct span parms)
{
	struct span word;

	buf_addf(b, "<%s>", buf_str(addr));
	buf_addc(b, '\0');
	while (span_word(&parms, " \t", &word))
		milter_put_str(b, word);
}

bool
milters_mail(struct session *s, struct span parms, struct reply *r)
{
	struct buf b = BUF_INIT;
	bool no;

	if (s->milters == NULL)
		return false;
	put_args(&b, &s->sender_text, parms);
	no =
	    lasting(s, "MAIL", r) || tell(s, &ev_mail, buf_span(&b), "MAIL", r);
	buf_free(&b);
	return no;
}

bool
milters_rcpt(struct session *s, struct span parms, struct reply *r)
{
	struct milters *m = s->milters;
	struct buf b = BUF_INIT;
	bool no;

	if (m == NULL)
		return false;
	put_args(&b, &s->rcpt_text, parms);
	no =
	    lasting(s, "RCPT", r) || tell(s, &ev_rcpt, buf_span(&b), "RCPT", r);
	if (no) {
		/* The delivery side took it already. */
		m->changed = true;
	} else {
		strs_addspan(&m->rcpts, buf_span(&s->rcpt_text));
		buf_clear(&b);
		if (parms.n > 0)
			buf_addf(&b, " %.*s", SPAN_ARG(span_trim(parms)));
		strs_add(&m->rcpt_parms, buf_str(&b));
	}
	buf_free(&b);
	return no;
}

void
milters_rcpt_refused(struct session *s, struct span parms,
		     const struct reply *why)
{
	struct milters *m = s->milters;
	struct reply r = { 0 };
	struct buf b = BUF_INIT;

	if (m == NULL)
		return;
	m->refused = why;
	put_args(&b, &s->rcpt_text, parms);
	for (size_t i = 0; i < m->n; i++)
		if ((m->v[i].events & MILTER_P_RCPT_REJ) != 0 &&
		    mlink_event(m, &m->v[i], &ev_rcpt, buf_span(&b), &r))
			buf_free(&r.text); /* it is refused as it is */
	buf_free(&b);
	m->refused = NULL;
}

bool
milters_data(struct session *s, struct reply *r)
{
	return s->milters != NULL && (lasting(s, "DATA", r) ||
				      tell(s, &ev_data, SPAN(""), "DATA", r));
}

bool
milters_unknown(struct session *s, struct span line, struct reply *r)
{
	return s->milters != NULL &&
	       tell_text(s, &ev_unknown, line, "UNKNOWN", r);
}

/* Only where some filter still wants this message: else it streams on as
 * without filters. */
bool
milters_hold(struct session *s, struct span ours)
{
	struct milters *m = s->milters;

	if (m == NULL)
		return false;
	for (size_t i = 0; i < m->n && !m->holding; i++)
		m->holding = m->v[i].state == LINK_MESSAGE;
	if (m->holding)
		buf_addspan(&m->ours, ours);
	return m->holding;
}

bool
milters_holding(const struct session *s)
{
	return s->milters != NULL && s->milters->holding;
}

void
milters_write(struct session *s, struct span stored)
{
	if (s->drop == DROP_NO &&
	    !hold_add(&s->milters->hold, s->server, stored))
		s->drop = DROP_LINK;
}

/* ------- the whole message */

static bool
tell_fields(struct milters *m, struct mlink *l, struct reply *r)
{
	bool exact = (l->events & MILTER_P_HDR_LEADSPC) != 0;
	struct buf b = BUF_INIT;
	bool no = false;

	for (size_t i = 0; i < m->nfields && !no; i++) {
		struct msg_field f;
		struct span v;

		if (m->fields[i].ours ||
		    msg_next_field(buf_span(&m->fields[i].text), &f) == 0)
			continue;
		v = f.value;
		if (!exact && v.n > 0 && (v.p[0] == ' ' || v.p[0] == '\t'))
			v = span_from(v, 1);
		buf_clear(&b);
		milter_put_str(&b, f.name);
		milter_put_str(&b, v);
		no = mlink_event(m, l, &ev_header, buf_span(&b), r);
	}
	buf_free(&b);
	return no;
}

static bool
tell_body(struct milters *m, struct mlink *l, struct reply *r)
{
	struct buf stored = BUF_INIT, wire = BUF_INIT;
	struct wire_out w;
	uint64_t at = m->body;
	bool no = false;

	wire_out_init(&w, false);
	while (at < m->hold.size && !no && !l->skip_body &&
	       l->state == LINK_MESSAGE && !(l->events & MILTER_P_NOBODY)) {
		buf_clear(&stored);
		buf_clear(&wire);
		/* A failed read is told by whoever reads it last. */
		if (!hold_read(&m->hold, at, BODY_PIECE, &stored))
			break;
		at += stored.n;
		wire_encode(&w, &wire, buf_span(&stored));
		no = mlink_event(m, l, &ev_body, buf_span(&wire), r);
	}
	buf_free(&stored);
	buf_free(&wire);
	return no;
}

/* A held message that cannot be read or written back is nobody's: 452, the
 * client keeps it. */
static struct reply
no_room(void)
{
	return reply_make(452, "4.3.1", "Insufficient system storage");
}

bool
milters_message(struct session *s, struct reply *r)
{
	struct milters *m = s->milters;
	bool no = false;

	if (!milter_index(m)) {
		*r = no_room();
		no = true;
	} else if (m->header_cut) {
		/* A second From, a forged Authentication-Results would hide
		 * there.  RFC 5321 4.5.3.1.10, RFC 3463 3.4 */
		*r = reply_make(552, "5.3.4", "message header too large");
		no = true;
	}
	for (size_t i = 0; i < m->n && !no && !s->actions.discard; i++) {
		struct mlink *l = &m->v[i];

		if (l->state != LINK_MESSAGE)
			continue;
		no = tell_fields(m, l, r) ||
		     mlink_event(m, l, &ev_eoh, SPAN(""), r) ||
		     tell_body(m, l, r) ||
		     mlink_event(m, l, &ev_eom, SPAN(""), r);
		/* THREATS 97: half a replaced body is never queued, whatever
		 * milter_default_action makes of a filter that broke off. */
		if (l->state == LINK_GONE)
			milter_change_forget(m);
		if (!milter_change_done(m) && !no) {
			*r = no_room();
			no = true;
		}
		if (m->checked.code != 0 && !no) {
			snprintf(s->esc_mem, sizeof(s->esc_mem), "%s",
				 m->checked.esc);
			*r = reply_make(m->checked.code, s->esc_mem, "%s",
					buf_str(&m->checked.text));
			no = true;
		}
	}
	no = no || m->hold.failed;
	if (m->hold.failed && r->code == 0)
		*r = no_room();
	if (no)
		restrict_log(s, "milter-reject", "END-OF-MESSAGE", r);
	else if (s->actions.discard || (m->changed && m->rcpts.n == 0))
		restrict_log_text(s, "milter-discard", "END-OF-MESSAGE",
				  "milter triggers DISCARD action");
	else if (s->actions.hold)
		restrict_log_text(s, "milter-hold", "END-OF-MESSAGE",
				  "milter triggers HOLD action");
	/* Nobody is left to have it. */
	if (m->changed && m->rcpts.n == 0)
		s->actions.discard = true;
	return no;
}

bool
milters_envelope(struct session *s, struct reply *r)
{
	struct milters *m = s->milters;

	if (m == NULL || !m->changed)
		return true;
	/* The other side has a transaction with the client's words: it is
	 * taken back and begun anew with the filter's. */
	m->changed = false;
	s->renamed = true;
	link_abort(s);
	free(s->told_actions);
	s->told_actions = NULL;
	for (size_t i = 0; i < m->rcpts.n; i++) {
		buf_clear(&s->rcpt_text);
		buf_adds(&s->rcpt_text, m->rcpts.v[i]);
		*r = link_rcpt(s, span_of(m->rcpt_parms.v[i]));
		if (r->code / 100 == 2) {
			buf_free(&r->text);
			continue;
		}
		log_warn("%s: recipient <%s> of a milter is refused: %d %s",
			 s->queue_id, m->rcpts.v[i], r->code,
			 buf_str(&r->text));
		/* One that is no good for good is left out, if others are
		 * there; else the client shall try again. */
		if (r->code / 100 != 5 || m->rcpts.n == 1)
			return false;
		buf_free(&r->text);
	}
	return true;
}

bool
milters_send(struct session *s, struct reply *r)
{
	struct milters *m = s->milters;
	struct buf b = BUF_INIT;
	uint64_t at = m->body;

	if (!milters_envelope(s, r) || !link_actions(s, r) || !link_data(s, r))
		return false;
	for (size_t i = 0; i < m->nfields; i++)
		link_write(s, buf_span(&m->fields[i].text));
	if (m->blank)
		link_write(s, SPAN("\n"));
	while (at < m->hold.size) {
		buf_clear(&b);
		if (!hold_read(&m->hold, at, 65536, &b)) {
			buf_free(&b);
			link_abort(s);
			*r = no_room();
			return false;
		}
		at += b.n;
		link_write(s, buf_span(&b));
	}
	buf_free(&b);
	return true;
}

void
milters_abort(struct session *s)
{
	struct milters *m = s->milters;

	if (m == NULL)
		return;
	for (size_t i = 0; i < m->n; i++)
		mlink_abort(&m->v[i]);
	strs_clear(&m->rcpts);
	strs_clear(&m->rcpt_parms);
	milter_fields_free(m);
	hold_free(&m->hold);
	if (m->new_begun)
		hold_free(&m->new_body);
	buf_free(&m->ours);
	buf_free(&m->checked.text);
	m->checked.code = 0;
	m->said = 0;
	m->changed = m->holding = m->new_begun = false;
}

void
milters_close(struct session *s)
{
	struct milters *m = s->milters;

	if (m == NULL)
		return;
	milters_abort(s);
	for (size_t i = 0; i < m->n; i++)
		mlink_close(&m->v[i]);
	strs_free(&m->rcpts);
	strs_free(&m->rcpt_parms);
	free(m->fields);
	free(m->v);
	free(m);
	s->milters = NULL;
}
