/*
 * link.c - the link to the delivery side; see link.h.
 * RFC 5321, 2033 (LMTP), 2920, 3030 (BDAT); Postfix XFORWARD_README.
 */
#include "link_int.h"

#include "escape.h"
#include "explain.h"
#include "log.h"
#include "mem.h"
#include "restrict.h"
#include "smtp_client.h"
#include "status.h"

#include <stdio.h>
#include <stdlib.h>

#define FINAL_MS 600000 /* RFC 5321 4.5.3.2.6 */
#define RSET_MS 5000
#define XFORWARD_LINE 480 /* room for CRLF within 512 */
#define CHUNK 65536

struct link link_state;
#define L (&link_state)

/* Whatever was begun there is forgotten by the other side when the connection
 * goes; it never had a LAST or a dot. */
void
link_close(bool quit)
{
	if (L->open)
		smtp_client_close(&L->c, quit);
	L->open = L->in_mail = L->in_data = L->owed = false;
	L->rcpts = L->verdicts = 0;
	buf_clear(&L->chunk);
	smtp_reply_free(&L->refusal);
}

/* The link is no use: say why in the log, and let the client try again. */
struct reply
link_fail(struct session *s, const struct err *e)
{
	log_warn("delivery = %s: %s", s->conf->p.delivery, e->text);
	if (L->rcpts > 0)
		s->link_lost = true;
	link_close(false);
	return reply_make(451, "4.3.0",
			  "Error: mail delivery is not available, try again "
			  "later");
}

/* What the peer said, as it said it. */
struct reply
link_pass_on(const struct smtp_reply *from)
{
	struct reply r =
	    reply_make(from->code, NULL, "%s", buf_str(&from->text));
	/* The enhanced code must outlive the peer's reply. */
	static char esc[sizeof(from->esc)];

	memcpy(esc, from->esc, sizeof(esc));
	r.esc = esc;
	/* It closes its connection, we do not close the client's. */
	if (r.code == 421)
		r.code = 451;
	return r;
}

static int
link_hello(struct session *s, struct smtp_reply *r, struct err *e)
{
	deadline_t d = clock_deadline(LINK_REPLY_MS);
	const char *me = s->conf->site.myhostname;

	/* For LMTP clients a verdict a recipient, where the peer has it. */
	/* A peer that knows one of them only answers the other with 5xx (RFC
	 * 2033 4.1). */
	if (smtp_client_hello(&L->c, me, s->lmtp, d, r, e) != 0)
		return -1;
	if (r->code / 100 == 5 &&
	    smtp_client_hello(&L->c, me, !s->lmtp, d, r, e) != 0)
		return -1;
	if (r->code / 100 != 2)
		return err_set(e, ST_TEMPFAIL,
			       "it refuses EHLO and LHLO: %d %s", r->code,
			       buf_str(&r->text));
	return 0;
}

int
link_open(struct session *s, struct err *e)
{
	struct smtp_reply r = { 0 };
	int fd, st = -1;

	/* Kept over sessions: a connect and EHLO a message would cost more
	 * than the message. */
	if (L->open && (L->endpoint != s->conf->delivery || L->c.broken ||
			L->for_lmtp != s->lmtp))
		link_close(true);
	if (L->open)
		return 0;
	fd = server_connect(s->server, s->conf->delivery,
			    clock_deadline(LINK_REPLY_MS), e);
	if (fd < 0)
		return -1;
	L->endpoint = s->conf->delivery;
	L->for_lmtp = s->lmtp;
	L->open = true;
	if (smtp_client_open(&L->c, fd, clock_deadline(LINK_REPLY_MS), &r, e) !=
	    0)
		;
	else if (r.code / 100 != 2)
		err_set(e, ST_TEMPFAIL, "it greets with %d %s", r.code,
			buf_str(&r.text));
	else
		st = link_hello(s, &r, e);
	smtp_reply_free(&r);
	if (st != 0)
		link_close(false);
	return st;
}

/* The facts of XFORWARD, in the order of the README. */
static void
facts(struct session *s, struct span v[9], char *port, size_t size,
      struct buf *tls)
{
	bool net = s->conn->has_peer;
	struct tls_facts f;

	snprintf(port, size, "%d", s->conn->port);
	if (tls_facts(&s->s, &f))
		buf_addf(tls, "%s %s", f.protocol, f.cipher);
	v[0] = span_of(strcmp(s->client_name, "unknown") != 0 ? s->client_name
							      : "");
	v[1] = span_of(net ? s->conn->addr : "");
	v[2] = span_of(net ? port : "");
	v[3] = span_of(session_proto(s));
	v[4] = span_of(s->helo);
	v[5] = span_of(s->queue_id);
	v[6] = net ? SPAN("REMOTE") : SPAN("LOCAL");
	v[7] = span_of(s->auth_user);
	v[8] = buf_span(tls);
	/* An authorised host spoke for the client: its words, and nothing of
	 * this connection. */
	if (!s->forwarded)
		return;
	for (size_t i = 0; i < FORWARDS; i++)
		if (i != FORWARD_IDENT)
			v[i] = span_of(s->forward[i]);
	if (s->forward[FORWARD_IDENT] != NULL &&
	    s->forward[FORWARD_IDENT][0] != '\0')
		v[FORWARD_IDENT] = span_of(s->queue_id);
}

/* Queues XFORWARD commands; returns how many, or -1. */
static int
send_xforward(struct session *s, struct err *e)
{
	static const char *const names[9] = { "NAME",   "ADDR",  "PORT",
					      "PROTO",  "HELO",  "IDENT",
					      "SOURCE", "LOGIN", "TLS" };
	struct buf line = BUF_INIT, one = BUF_INIT, tls = BUF_INIT;
	struct buf v6 = BUF_INIT;
	struct span v[9];
	char port[16];
	int n = 0;

	facts(s, v, port, sizeof(port), &tls);
	if (span_chr(v[1], ':') >= 0) {
		/* RFC 5321 4.1.3 form, as Postfix wants it. */
		buf_addf(&v6, "IPV6:%.*s", SPAN_ARG(v[1]));
		v[1] = buf_span(&v6);
	}
	for (size_t i = 0; i <= ARRAY_LEN(names) && n >= 0; i++) {
		buf_clear(&one);
		if (i < ARRAY_LEN(names))
			smtp_client_xforward(&L->c, &one, names[i], v[i]);
		if (line.n > 0 &&
		    (i == ARRAY_LEN(names) || line.n + one.n > XFORWARD_LINE)) {
			n = smtp_client_send(&L->c, e, "XFORWARD%s",
					     buf_str(&line)) == 0
				? n + 1
				: -1;
			buf_clear(&line);
		}
		buf_addspan(&line, buf_span(&one));
	}
	buf_free(&line);
	buf_free(&one);
	buf_free(&tls);
	buf_free(&v6);
	return n;
}

/* Only what the peer has offered is asked of it; what it lacks and the client
 * asked for (SMTPUTF8, 8BITMIME) it takes as bytes. */
static int
send_mail(struct session *s, struct err *e)
{
	unsigned caps = L->c.caps;
	char size[40] = "";

	if ((caps & SMTP_SIZE) && s->claimed > 0)
		snprintf(size, sizeof(size), " SIZE=%llu",
			 (unsigned long long)s->claimed);
	return smtp_client_send(
	    &L->c, e, "MAIL FROM:<%s>%s%s%s%s%s", buf_str(&s->sender_text),
	    size, s->requiretls ? " REQUIRETLS" : "",
	    s->body8 && (caps & SMTP_8BITMIME) ? " BODY=8BITMIME" : "",
	    s->utf8 && (caps & SMTP_SMTPUTF8) ? " SMTPUTF8" : "",
	    caps & SMTP_DSN ? buf_str(&s->sender_parms) : "");
}

/* NOTIFY and ORCPT go on where the peer does DSN; where not, RFC 3461 5.2.2
 * makes us the last that reports. */
static int
send_rcpt(struct session *s, struct span parms, struct err *e)
{
	if (!(L->c.caps & SMTP_DSN))
		parms.n = 0;
	return smtp_client_send(&L->c, e, "RCPT TO:<%s>%.*s",
				buf_str(&s->rcpt_text), SPAN_ARG(parms));
}

/* Reads one reply; *any_r tells that the peer is alive. */
static int
take(struct smtp_reply *r, bool *any_r, struct err *e)
{
	if (smtp_client_reply(&L->c, clock_deadline(LINK_REPLY_MS), r, e) != 0)
		return -1;
	*any_r = true;
	return 0;
}

/*
 * XFORWARD, MAIL and RCPT: in one write where the peer can, else one by one.
 * r: the reply to RCPT, or MAIL's when that was refused.
 */
static int
begin(struct session *s, struct span parms, struct smtp_reply *r, bool *any_r,
      struct err *e)
{
	bool pipe = (L->c.caps & SMTP_PIPELINING) != 0;
	struct smtp_reply rcpt = { 0 };
	int n, st = 0;

	n = send_xforward(s, e);
	if (n < 0)
		return -1;
	if (pipe && (send_mail(s, e) != 0 || send_rcpt(s, parms, e) != 0))
		return -1;
	for (; n > 0; n--) {
		if (take(r, any_r, e) != 0)
			return -1;
		/* Without its client the message would be judged as
		 * somebody else's: the one's before on this link. */
		if (r->code / 100 != 2)
			return err_set(e, ST_TEMPFAIL,
				       "XFORWARD is refused: %d %s", r->code,
				       buf_str(&r->text));
	}
	if (!pipe && send_mail(s, e) != 0)
		return -1;
	if (take(r, any_r, e) != 0)
		return -1;
	L->in_mail = r->code / 100 == 2;
	if (!pipe && (!L->in_mail || send_rcpt(s, parms, e) != 0))
		return L->in_mail ? -1 : 0;
	st = take(&rcpt, any_r, e);
	if (st == 0 && L->in_mail) {
		smtp_reply_free(r);
		*r = rcpt;
	} else {
		smtp_reply_free(&rcpt);
	}
	return st;
}

/* The first recipient.  A kept link may have died since: then once more. */
static int
first_rcpt(struct session *s, struct span parms, struct smtp_reply *r,
	   struct err *e)
{
	for (int attempt = 0;; attempt++) {
		bool kept = L->open, any = false;

		if (link_open(s, e) != 0)
			return -1;
		if (s->requiretls && !(L->c.caps & SMTP_REQUIRETLS)) {
			/* RFC 8689 4.2.1 */
			r->code = 550;
			memcpy(r->esc, "5.7.30", 7);
			buf_adds(&r->text, "REQUIRETLS support required");
			return 0;
		}
		if (begin(s, parms, r, &any, e) == 0)
			return 0;
		/* "any": it answered something, so it was alive and has
		 * perhaps begun: not once more. */
		if (!kept || any || attempt > 0)
			return -1;
		link_close(false);
	}
}

/* What RCPT would be answered with; nothing is begun there. */
static struct reply
rehearse_rcpt(struct session *s)
{
	struct reply r = link_verify(s, buf_span(&s->rcpt_text));

	explain("delivery", "%s: %s: %d %s", s->conf->p.delivery,
		buf_str(&s->rcpt_text), r.code, buf_str(&r.text));
	if (r.code == 252) {
		buf_free(&r.text);
		r = reply_make(250, "2.1.5", "Ok: if the delivery side agrees");
	}
	return r;
}

struct reply
link_rcpt(struct session *s, struct span parms)
{
	struct smtp_reply sr = { 0 };
	struct err e = ERR_INIT;
	struct reply r;
	int st;

	if (explain_on)
		return rehearse_rcpt(s);
	/* Recipients were accepted on a link that is gone: taking more on a
	 * new one would lose the first ones silently. */
	if (s->link_lost)
		return reply_make(451, "4.3.0",
				  "Error: mail delivery is not available, try "
				  "again later");
	if (L->in_mail && L->c.lmtp && L->rcpts > 0 && !s->lmtp)
		/* One verdict a message is what SMTP has (RFC 2033 4.2). */
		return reply_make(452, "4.5.3", "Error: too many recipients");
	if (!L->in_mail)
		st = first_rcpt(s, parms, &sr, &e);
	else if (send_rcpt(s, parms, &e) != 0)
		st = -1;
	else
		st = smtp_client_reply(&L->c, clock_deadline(LINK_REPLY_MS),
				       &sr, &e);
	if (st != 0) {
		smtp_reply_free(&sr);
		return link_fail(s, &e);
	}
	r = link_pass_on(&sr);
	smtp_reply_free(&sr);
	if (r.code / 100 == 2)
		L->rcpts++;
	else if (r.code < 400)
		r.code = 451;
	return r;
}

bool
link_data(struct session *s, struct reply *r)
{
	struct smtp_reply sr = { 0 };
	struct err e = ERR_INIT;
	bool chunks = (L->c.caps & SMTP_CHUNKING) != 0;

	if (explain_on)
		return true;
	if (s->link_lost || !L->in_mail || L->rcpts == 0) {
		*r = reply_make(451, "4.3.0",
				"Error: mail delivery is not available, try "
				"again later");
		return false;
	}
	wire_out_init(&L->out, !chunks);
	buf_clear(&L->chunk);
	L->owed = false;
	if (!chunks) {
		if (smtp_client_cmd(&L->c, clock_deadline(LINK_REPLY_MS), &sr,
				    &e, "DATA") != 0) {
			*r = link_fail(s, &e);
			return false;
		}
		if (sr.code != 354) {
			*r = link_pass_on(&sr);
			if (r->code < 400)
				r->code = 451;
			smtp_reply_free(&sr);
			return false;
		}
		smtp_reply_free(&sr);
	}
	L->in_data = true;
	return true;
}

/* The reply of the chunk that was sent before.  False: give up. */
bool
link_settle(struct session *s)
{
	struct smtp_reply sr = { 0 };
	struct err e = ERR_INIT;

	if (!L->owed)
		return true;
	L->owed = false;
	if (smtp_client_reply(&L->c, clock_deadline(LINK_REPLY_MS), &sr, &e) !=
	    0) {
		struct reply r = link_fail(s, &e);

		buf_free(&r.text);
		s->link_lost = true;
		return false;
	}
	if (sr.code / 100 == 2) {
		smtp_reply_free(&sr);
		return true;
	}
	/* RFC 3030 2: after a refused chunk the transaction is dead. */
	L->refusal = sr;
	L->in_data = false;
	return false;
}

/* One chunk is in flight while the next is gathered: its reply is read before
 * another is sent (link_settle), so that a refusal stops the stream, and
 * nothing is sent after it. */
static bool
send_chunk(struct session *s, bool last)
{
	deadline_t d = clock_deadline(LINK_REPLY_MS);

	if (!link_settle(s))
		return false;
	L->c.s.out_deadline = d;
	if (L->c.caps & SMTP_CHUNKING) {
		stream_printf(&L->c.s, "BDAT %zu%s\r\n", L->chunk.n,
			      last ? " LAST" : "");
		L->owed = true;
	}
	stream_write(&L->c.s, L->chunk.p, L->chunk.n);
	buf_clear(&L->chunk);
	/* Trouble with it shows when the reply is read. */
	if (!last)
		(void)!stream_flush(&L->c.s, d);
	return true;
}

void
link_write(struct session *s, struct span stored)
{
	if (!L->in_data || s->drop != DROP_NO)
		return;
	wire_encode(&L->out, &L->chunk, stored);
	if (L->chunk.n >= CHUNK && !send_chunk(s, false))
		s->drop = DROP_LINK;
}

/* After the last byte. */
static struct reply
verdict(struct session *s)
{
	struct smtp_reply sr = { 0 };
	struct err e = ERR_INIT;
	struct reply r;

	if (smtp_client_reply(&L->c, clock_deadline(FINAL_MS), &sr, &e) != 0)
		return link_fail(s, &e);
	r = link_pass_on(&sr);
	smtp_reply_free(&sr);
	/* The transaction is over at the other side, whatever it said. */
	/* RFC 2033 4.2: one reply for each recipient it took. */
	L->verdicts = L->c.lmtp ? L->rcpts - 1 : 0;
	L->in_mail = L->in_data = L->owed = false;
	L->rcpts = 0;
	if (r.code / 100 != 2 && r.code < 400) {
		link_close(false);
		r.code = 451;
	}
	return r;
}

bool
link_verdicts(struct session *s)
{
	return s->lmtp && L->verdicts > 0;
}

struct reply
link_verdict(struct session *s)
{
	struct smtp_reply sr = { 0 };
	struct err e = ERR_INIT;
	struct reply r;

	if (!L->open || L->verdicts == 0)
		return reply_make(451, "4.3.0",
				  "Error: mail delivery is not available, try "
				  "again later");
	L->verdicts--;
	if (smtp_client_reply(&L->c, clock_deadline(FINAL_MS), &sr, &e) != 0)
		return link_fail(s, &e);
	r = link_pass_on(&sr);
	smtp_reply_free(&sr);
	if (r.code / 100 != 2 && r.code < 400)
		r.code = 451;
	return r;
}

struct reply
link_finish(struct session *s)
{
	if (explain_on)
		return reply_make(250, "2.0.0", "Ok: would be passed on");
	if (L->in_data && s->drop == DROP_NO) {
		wire_finish(&L->out, &L->chunk);
		if (send_chunk(s, true))
			return verdict(s);
	}
	/* A chunk was refused on the way: that is the answer. */
	if (L->refusal.code != 0)
		return link_pass_on(&L->refusal);
	return reply_make(451, "4.3.0",
			  "Error: mail delivery is not available, try again "
			  "later");
}

void
link_abort(struct session *s)
{
	struct smtp_reply r = { 0 };
	struct err e = ERR_INIT;

	(void)s;
	if (!L->open)
		return;
	if (L->c.broken || L->verdicts > 0) {
		/* Verdicts that nobody wants any more: another link. */
		link_close(false);
		return;
	}
	if (!L->in_mail)
		return;
	/* A half-sent DATA can only be stopped by going away; a BDAT without
	 * LAST never counts, RSET forgets it. */
	if (L->in_data && !(L->c.caps & SMTP_CHUNKING)) {
		link_close(false);
		return;
	}
	if (!link_settle(s) && !L->open)
		return;
	if (smtp_client_cmd(&L->c, clock_deadline(RSET_MS), &r, &e, "RSET") !=
		0 ||
	    r.code / 100 != 2)
		link_close(false);
	smtp_reply_free(&r);
	smtp_reply_free(&L->refusal);
	L->in_mail = L->in_data = false;
	L->rcpts = 0;
	buf_clear(&L->chunk);
}
