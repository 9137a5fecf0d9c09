/*
 * milter_link.c - one filter's connection: negotiation, events, verdicts.
 * What a filter says is checked for length and order; when it is away or out
 * of step its default_action decides for the rest of the session.
 */
#include "milter_int.h"

#include "explain.h"
#include "log.h"
#include "mem.h"

#include <stdio.h>
#include <stdlib.h>

#define REPLIES_MAX 100000 /* to one event: it will never end */
#define QUIT_MS 5000

/* The enhanced code must outlive the filter's packet. */
static void
say(struct session *s, struct reply *r, int code, const char *esc,
    struct span text)
{
	snprintf(s->esc_mem, sizeof(s->esc_mem), "%s", esc);
	*r = reply_make(code, s->esc_mem, "%.*s", SPAN_ARG(text));
	if (code == 421)
		r->close = true;
}

static void
lasting(struct mlink *l, int code, const char *esc, const char *text)
{
	buf_free(&l->lasting.text);
	l->lasting = (struct milter_reply){ .code = code };
	snprintf(l->lasting.esc, sizeof(l->lasting.esc), "%s", esc);
	buf_adds(&l->lasting.text, text);
}

bool
mlink_lasting(struct mlink *l, struct session *s, struct reply *r)
{
	if (l->quarantine)
		s->actions.hold = true;
	if (l->lasting.code == 0)
		return false;
	say(s, r, l->lasting.code, l->lasting.esc, buf_span(&l->lasting.text));
	return true;
}

/* No QUIT: it did not understand us, or is gone. */
static void
drop(struct mlink *l)
{
	if (l->open)
		stream_close(&l->s);
	l->open = false;
	l->state = LINK_GONE;
	buf_clear(&l->out);
}

void
mlink_refuse(struct mlink *l)
{
	drop(l);
	switch (l->conf->action) {
	case DEF_REJECT:
		lasting(l, 550, "5.5.0", "Service unavailable");
		break;
	case DEF_TEMPFAIL:
		lasting(l, 451, "4.7.1",
			"Service unavailable - try again later");
		break;
	case DEF_SHUTDOWN:
		lasting(l, 421, "4.7.0", "Server closing connection");
		break;
	case DEF_QUARANTINE:
		l->quarantine = true;
		break;
	default:
		break;
	}
}

/* It is away, or speaks nonsense: from now on its default action stands. */
static void
trouble(struct mlink *l, const char *what, const char *why)
{
	log_warn("milter %s: %s: %s", l->conf->name, what, why);
	mlink_refuse(l);
}

static bool
flush(struct mlink *l, int64_t ms, const char *what)
{
	enum io_result r;

	stream_write(&l->s, l->out.p, l->out.n);
	buf_clear(&l->out);
	r = stream_flush(&l->s, clock_deadline(ms));
	if (r != IO_OK)
		trouble(l, what, io_words(r));
	return r == IO_OK;
}

/* What it asks for must be what we have.  NULL, or why not. */
static const char *
agree(struct mlink *l, struct span data)
{
	struct milter_options o;

	if (!milter_parse_options(&o, data))
		return "malformed";
	if (o.version > l->conf->version || o.version < 2)
		return "another protocol version (milter_protocol)";
	if ((o.actions & ~MILTER_ACT_ALL) != 0)
		return "it wants actions that nobody knows";
	l->actions = o.actions;
	/* Bits beyond our offer are events that this version does not have.*/
	l->events = o.protocol & l->conf->events;
	for (int i = 0; i < MILTER_STAGES; i++)
		if (o.macros[i].p != NULL)
			l->macros[i] = mem_spandup(o.macros[i]);
	return NULL;
}

void
mlink_open(struct mlink *l, struct session *s)
{
	const struct milter_conf *c = l->conf;
	struct milter_options mine = { .version = c->version,
				       .actions = MILTER_ACT_ALL,
				       .protocol = c->events };
	struct milter_packet p;
	struct buf in = BUF_INIT;
	struct err e = ERR_INIT;
	const char *why;
	enum io_result r;
	int fd;

	fd = server_connect(s->server, c->endpoint,
			    clock_deadline(c->connect_timeout), &e);
	if (fd < 0) {
		trouble(l, "connect", e.text);
		return;
	}
	stream_init(&l->s, fd, fd);
	l->open = true;
	milter_put_options(&l->out, &mine);
	if (!flush(l, c->command_timeout, "negotiation"))
		return;
	r = milter_read(&l->s, MILTER_PACKET_MAX, &in, &p,
			clock_deadline(c->command_timeout));
	if (r != IO_OK)
		why = io_words(r);
	else if (p.code != MILTER_OPTNEG)
		why = "another answer";
	else
		why = agree(l, p.data);
	if (why != NULL)
		trouble(l, "negotiation", why);
	buf_free(&in);
}

void
mlink_close(struct mlink *l)
{
	if (l->open) {
		milter_put(&l->out, MILTER_QUIT);
		(void)flush(l, QUIT_MS, "QUIT");
	}
	drop(l);
	buf_free(&l->out);
	buf_free(&l->lasting.text);
	for (int i = 0; i < MILTER_STAGES; i++)
		free(l->macros[i]);
}

void
mlink_abort(struct mlink *l)
{
	if ((l->state == LINK_MESSAGE || l->state == LINK_PASS) && l->open) {
		milter_put(&l->out, MILTER_ABORT);
		(void)flush(l, l->conf->command_timeout, "ABORT");
	}
	if (l->state != LINK_GONE)
		l->state = LINK_READY;
}

enum outcome { MORE, FINE, AGAINST, NONSENSE };

/* A refusal: of the session when it is CONNECT or HELO that is refused. */
static enum outcome
refuse(struct milters *m, struct mlink *l, const struct milter_event *ev,
       const struct milter_reply *said, struct reply *r)
{
	if (ev->code == MILTER_CONNECT || ev->code == MILTER_HELO ||
	    said->code == 421) {
		lasting(l, said->code, said->esc, buf_str(&said->text));
		drop(l);
	}
	say(m->s, r, said->code, said->esc, buf_span(&said->text));
	return AGAINST;
}

static enum outcome
refuse_words(struct milters *m, struct mlink *l, const struct milter_event *ev,
	     int code, const char *esc, const char *words, struct reply *r)
{
	struct milter_reply said = { .code = code };
	enum outcome o;

	snprintf(said.esc, sizeof(said.esc), "%s", esc);
	buf_adds(&said.text, words);
	o = refuse(m, l, ev, &said, r);
	buf_free(&said.text);
	return o;
}

static bool
is_client_event(const struct milter_event *ev)
{
	return ev->code == MILTER_CONNECT || ev->code == MILTER_HELO;
}

static enum outcome
verdict(struct milters *m, struct mlink *l, const struct milter_event *ev,
	const struct milter_packet *p, struct reply *r)
{
	struct milter_reply said;
	enum outcome o;

	switch (p->code) {
	case MILTER_PROGRESS:
		return MORE;
	case MILTER_SKIP:
		l->skip_body |= ev->code == MILTER_BODY;
		return FINE;
	case MILTER_CONTINUE:
		return FINE;
	case MILTER_ACCEPT:
		l->state = is_client_event(ev) ? LINK_GONE : LINK_PASS;
		return FINE;
	case MILTER_DISCARD:
		if (is_client_event(ev))
			return NONSENSE;
		m->s->actions.discard = true;
		l->state = LINK_PASS;
		return FINE;
	case MILTER_REJECT:
		return refuse_words(m, l, ev, 550, "5.7.1", "Command rejected",
				    r);
	case MILTER_TEMPFAIL:
		return refuse_words(m, l, ev, 451, "4.7.1",
				    "Service unavailable - try again later", r);
	case MILTER_SHUTDOWN:
	case MILTER_CONNFAIL:
		return refuse_words(m, l, ev, 421, "4.7.0",
				    "Server closing connection", r);
	case MILTER_REPLYCODE:
		if (!milter_parse_reply(&said, p->data))
			return NONSENSE;
		o = refuse(m, l, ev, &said, r);
		buf_free(&said.text);
		return o;
	default:
		break;
	}
	return ev->code == MILTER_EOM && milter_change(m, l, p) ? MORE
								: NONSENSE;
}

/* Reads until the verdict. */
static bool
wait_verdict(struct milters *m, struct mlink *l, const struct milter_event *ev,
	     struct reply *r)
{
	int64_t ms =
	    ev->content ? l->conf->content_timeout : l->conf->command_timeout;
	const char *word = milter_word(ev->code);
	enum outcome o = MORE;
	struct buf in = BUF_INIT;
	struct milter_packet p;

	for (int i = 0; o == MORE; i++) {
		enum io_result io = milter_read(&l->s, MILTER_PACKET_MAX, &in,
						&p, clock_deadline(ms));

		if (io != IO_OK) {
			trouble(l, word, io_words(io));
			break;
		}
		o = i < REPLIES_MAX ? verdict(m, l, ev, &p, r) : NONSENSE;
		if (o == NONSENSE)
			trouble(l, word, "an answer that makes no sense");
	}
	buf_free(&in);
	if (o == NONSENSE || o == MORE)
		return mlink_lasting(l, m->s, r);
	return o == AGAINST;
}

bool
mlink_event(struct milters *m, struct mlink *l, const struct milter_event *ev,
	    struct span data, struct reply *r)
{
	size_t at;
	bool against = false;

	if (l->state == LINK_GONE || l->state == LINK_PASS)
		return false;
	/* Events that its version does not have. */
	if ((ev->no & ~l->conf->events) != 0)
		return false;
	/* Macros go before the event that they are for, even when the event
	 * itself is not wanted. */
	if (ev->stage >= 0)
		milter_macros(m, l, &l->out, ev->code, ev->stage);
	if (ev->code == MILTER_MAIL) {
		l->state = LINK_MESSAGE;
		l->skip_body = false;
	}
	if ((l->events & ev->no) != 0)
		return false;
	at = milter_begin(&l->out, ev->code);
	buf_addspan(&l->out, data);
	milter_end(&l->out, at);
	if ((l->events & ev->no_reply) != 0) {
		if (l->out.n > MILTER_CHUNK &&
		    !flush(l, l->conf->content_timeout, milter_word(ev->code)))
			return mlink_lasting(l, m->s, r);
		return false;
	}
	if (!flush(l,
		   ev->content ? l->conf->content_timeout
			       : l->conf->command_timeout,
		   milter_word(ev->code)))
		return mlink_lasting(l, m->s, r);
	against = wait_verdict(m, l, ev, r);
	if (against)
		explain("milter", "%s: %s: %d %s %s", l->conf->name,
			milter_word(ev->code), r->code, r->esc ? r->esc : "",
			buf_str(&r->text));
	else
		explain("milter", "%s: %s: %s", l->conf->name,
			milter_word(ev->code),
			l->state == LINK_GONE   ? "goes on without it"
			: l->state == LINK_PASS ? "accept"
						: "continue");
	if (ev->code == MILTER_EOM && l->state != LINK_GONE)
		l->state = LINK_READY;
	return against;
}
