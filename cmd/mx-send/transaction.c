/*
 * transaction.c - one message over an open session: MAIL, RCPT, DATA, the
 * replies.
 * RFC 5321 4.1.1, 2033 4.2, 2920 3.1, 1870, 3030, 6152, 6531 3.4, 3461 4.
 */
#include "escape.h"
#include "mem.h"
#include "send.h"
#include "status.h"
#include "wire.h"

#include <stdlib.h>
#include <unistd.h>

/* RCPT commands in flight: enough for speed, few enough that their replies
 * fit into the sockets' buffers while we still write. */
#define BATCH 50
/* Bytes of a BDAT chunk, more or less. */
#define CHUNK (512 * 1024)

/* Of addresses: what is not needs SMTPUTF8 (RFC 6531 3.2). */
static bool
is_ascii(const char *s)
{
	return span_is_ascii(span_of(s));
}

/* RFC 6531 3.4: needed when an address holds other than ASCII, or when the
 * message came with it and its header does. */
static bool
needs_utf8(const struct group *g, const struct message *m)
{
	if (!is_ascii(options.sender) || (options.utf8 && m->header_eight_bit))
		return true;
	for (size_t i = 0; i < g->n; i++)
		if (g->v[i]->state == RCPT_PENDING && !is_ascii(g->v[i]->addr))
			return true;
	return false;
}

/* What this server lacks for this message.  0, or -1: next host, or for
 * good. */
static int
check_features(struct session *s, const struct group *g,
	       const struct message *m, struct err *e)
{
	if (needs_utf8(g, m) && !(s->c.caps & SMTP_SMTPUTF8))
		return err_esc(e, ST_UNAVAILABLE, "5.6.7",
			       "SMTPUTF8 is required, but was not offered by "
			       "host %s",
			       s->name);
	/* A socket of this host is no hop. */
	s->unfit = send_requiretls && s->target->port != 0 &&
		   !(s->c.caps & SMTP_REQUIRETLS);
	if (s->unfit)
		return err_esc(e, ST_UNAVAILABLE, "5.7.30",
			       "REQUIRETLS is required, but was not offered by "
			       "host %s",
			       s->name);
	if (s->c.size_limit > 0 && m->wire > s->c.size_limit)
		return err_esc(e, ST_UNAVAILABLE, "5.3.4",
			       "message size %llu exceeds size limit %llu of "
			       "server %s",
			       (unsigned long long)m->wire,
			       (unsigned long long)s->c.size_limit, s->name);
	return 0;
}

/* Only extensions that were offered; what is missing and needed was refused by
 * check_features. */
static int
send_mail(struct session *s, const struct group *g, const struct message *m,
	  struct err *e)
{
	struct buf more = BUF_INIT;
	unsigned caps = s->c.caps;

	if (caps & SMTP_SIZE)
		buf_addf(&more, " SIZE=%llu", (unsigned long long)m->wire);
	if (m->eight_bit && (caps & SMTP_8BITMIME))
		buf_adds(&more, " BODY=8BITMIME");
	if (needs_utf8(g, m))
		buf_adds(&more, " SMTPUTF8");
	if (send_requiretls && (caps & SMTP_REQUIRETLS))
		buf_adds(&more, " REQUIRETLS");
	if ((caps & SMTP_DSN) && options.ret != NULL)
		buf_addf(&more, " RET=%s", options.ret);
	if ((caps & SMTP_DSN) && options.envid != NULL) {
		buf_adds(&more, " ENVID=");
		escape_xtext(&more, span_of(options.envid));
	}
	/* Counted for MAILMAX (RFC 9422 4.1), refused ones too. */
	s->mails++;
	int r = smtp_client_send(&s->c, e, "MAIL FROM:<%s>%s", options.sender,
				 buf_str(&more));
	buf_free(&more);
	return r;
}

static int
send_rcpt(struct session *s, const struct rcpt *r, struct err *e)
{
	bool dsn = (s->c.caps & SMTP_DSN) && r->options[0] != '\0';

	return smtp_client_send(&s->c, e, "RCPT TO:<%s>%s%s", r->addr,
				dsn ? " " : "", dsn ? r->options : "");
}

/* A kept connection that fails before a message was given to it may just be
 * too old: nobody is told. */
static bool
too_old(const struct session *s, const struct smtp_reply *r)
{
	return s->reused && (r == NULL || s->c.broken || r->code == 421);
}

/* It told of an extension and does not know its command or parameter (RFC 5321
 * 4.2.4, 555; a syntax error otherwise, but not one of the address): once more
 * without, rather than a bounce.  used: what was used of optional ones. */
static bool
lies(struct session *s, const struct smtp_reply *r, unsigned used)
{
	if ((s->c.caps & used & SEND_OPTIONAL) == 0 ||
	    s->group->liar == s->target ||
	    !(r->code == 500 || r->code == 502 || r->code == 504 ||
	      r->code == 555 ||
	      (r->code == 501 &&
	       (r->esc[0] == '\0' || strncmp(r->esc, "5.5.", 4) == 0))))
		return false;
	s->lied = true;
	return true;
}

/* What of them stands behind MAIL. */
static unsigned
used_at_mail(const struct message *m)
{
	return SMTP_SIZE | (m->eight_bit ? SMTP_8BITMIME : 0u) |
	       (options.ret != NULL || options.envid != NULL ? SMTP_DSN : 0u);
}

/* Reads the reply to MAIL. */
static enum attempt
mail_reply(struct session *s, struct group *g, const struct message *m)
{
	struct smtp_reply r = { .code = 0 };
	struct err e = ERR_INIT;
	enum attempt a = ATTEMPT_DONE;
	bool lied = false;

	if (smtp_client_reply(&s->c, clock_deadline(params.t_mail), &r, &e) !=
	    0) {
		session_lost(s, "sending MAIL FROM", &e);
		a = ATTEMPT_NEXT;
	} else if (r.code / 100 != 2) {
		session_said(s, &r, "MAIL FROM command", &e);
		lied = lies(s, &r, used_at_mail(m));
		a = ATTEMPT_NEXT;
	}
	smtp_reply_free(&r);
	s->in_mail = a == ATTEMPT_DONE;
	/* "Too many in this session", too, is no word on this message. */
	/* Nothing of this message was given to anybody yet. */
	if (a != ATTEMPT_DONE && (s->reused || lied))
		return ATTEMPT_FRESH;
	if (a != ATTEMPT_DONE)
		report_all(g, s->relay, &e);
	return a;
}

/* Reads the replies to g->v[from..to-1] of those pending. */
static enum attempt
rcpt_replies(struct session *s, struct group *g, size_t from, size_t to)
{
	struct smtp_reply r = { .code = 0 };
	struct err e = ERR_INIT;

	for (size_t i = from; i < to; i++) {
		struct rcpt *rcpt = g->v[i];
		if (rcpt->state != RCPT_PENDING)
			continue;
		if (smtp_client_reply(&s->c, clock_deadline(params.t_rcpt), &r,
				      &e) != 0) {
			session_lost(s, "sending RCPT TO", &e);
			smtp_reply_free(&r);
			if (too_old(s, NULL))
				return ATTEMPT_FRESH;
			report_all(g, s->relay, &e);
			return ATTEMPT_NEXT;
		}
		if (too_old(s, &r) ||
		    (rcpt->options[0] != '\0' && lies(s, &r, SMTP_DSN))) {
			smtp_reply_free(&r);
			return ATTEMPT_FRESH;
		}
		rcpt->accepted = r.code / 100 == 2;
		if (rcpt->accepted) {
			/* For --probe, which ends here. */
			rcpt->why = ERR_INIT;
			struct buf said = BUF_INIT;
			session_reply_text(&said, &r);
			(void)err_esc(&rcpt->why, ST_TEMPFAIL,
				      r.esc[0] != '\0' ? r.esc : "2.0.0", "%s",
				      buf_str(&said));
			buf_free(&said);
			continue;
		}
		session_said(s, &r, "RCPT TO command", &e);
		rcpt->refused = s->target;
		report_failure(rcpt, s->relay, &e);
	}
	smtp_reply_free(&r);
	return ATTEMPT_DONE;
}

static bool
uses_chunks(const struct session *s)
{
	return params.chunking && (s->c.caps & SMTP_CHUNKING);
}

/* The replies to commands behind one that was refused: whoever reads the next
 * ones must not take them for its own.  A server that wants a message all the
 * same, without a recipient, gets a dot (RFC 2920 3.1); one that does without
 * MAIL, too, gets nothing more: it may have made up the rest. */
static void
drain(struct session *s)
{
	struct smtp_reply r = { .code = 0 };
	struct err e = ERR_INIT;

	while (s->c.unread > 0 && !s->c.broken) {
		bool data = s->data_sent && s->c.unread == 1;

		if (smtp_client_reply(&s->c, clock_deadline(params.t_rcpt), &r,
				      &e) != 0 ||
		    (data && r.code == 354 &&
		     (!s->in_mail || smtp_client_send(&s->c, &e, ".") != 0)))
			s->c.broken = s->dropped = true;
		s->data_sent = s->data_sent && !data;
	}
	smtp_reply_free(&r);
}

/* MAIL and RCPT, in batches where the server does PIPELINING; there DATA goes
 * with the last one. */
static enum attempt
envelope(struct session *s, struct group *g, const struct message *m)
{
	size_t batch = s->c.caps & SMTP_PIPELINING ? BATCH : 1;
	struct err e = ERR_INIT;
	enum attempt a = ATTEMPT_DONE;
	bool asked = false; /* the reply to MAIL was read */

	if (send_mail(s, g, m, &e) != 0)
		goto bad;
	if (batch == 1) {
		a = mail_reply(s, g, m);
		asked = true;
	}
	for (size_t i = 0; a == ATTEMPT_DONE && i < g->n; i += batch) {
		size_t to = i + batch < g->n ? i + batch : g->n;
		for (size_t k = i; k < to; k++)
			if (g->v[k]->state == RCPT_PENDING &&
			    send_rcpt(s, g->v[k], &e) != 0)
				goto bad;
		if (batch > 1 && to == g->n && !options.probe &&
		    !uses_chunks(s)) {
			if (smtp_client_send(&s->c, &e, "DATA") != 0)
				goto bad;
			s->data_sent = true;
		}
		if (!asked)
			a = mail_reply(s, g, m);
		asked = true;
		if (a == ATTEMPT_DONE)
			a = rcpt_replies(s, g, i, to);
	}
	return a;
bad:
	/* A control byte in an address: no host will ever take it.  What waits
	 * to be sent is half an envelope. */
	s->c.broken = true;
	report_all(g, s->relay, &e);
	return ATTEMPT_NEXT;
}

/* Streams the message.  False: the link broke, or the server spoke too
 * early; its words, if any, are read by the caller. */
static bool
send_body(struct session *s, const struct message *m)
{
	struct wire_out w;
	struct buf out = BUF_INIT;
	char chunk[32768];
	bool ok = true;

	wire_out_init(&w, true);
	for (int64_t at = 0; ok && at < m->size;) {
		ssize_t n = message_read(m, at, chunk, sizeof(chunk));
		if (n <= 0) {
			/* Never a dot behind half a message. */
			s->c.broken = true;
			ok = false;
			break;
		}
		at += n;
		buf_clear(&out);
		wire_encode(&w, &out, span_make(chunk, (size_t)n));
		s->c.s.out_deadline = clock_deadline(params.t_xfer);
		stream_write(&s->c.s, out.p, out.n);
		ok = s->c.s.out_failed == IO_OK;
	}
	/* Words before the end of the message are no reply to it.  (Under TLS
	 * readable bytes may be a session ticket: not looked at.) */
	if (ok && !s->tls && stream_ready(&s->c.s))
		ok = false;
	if (ok) {
		buf_clear(&out);
		wire_finish(&w, &out);
		stream_write(&s->c.s, out.p, out.n);
	}
	buf_free(&out);
	return ok;
}

/* Those who were accepted get the verdict of what went wrong after it; who was
 * refused at RCPT has its own. */
static void
accepted_failure(struct session *s, struct group *g, const struct err *e)
{
	for (size_t i = 0; i < g->n; i++)
		if (g->v[i]->state == RCPT_PENDING && g->v[i]->accepted) {
			g->v[i]->refused = s->target;
			report_failure(g->v[i], s->relay, e);
		}
}

/* The line is written at once: whoever drives us marks it before the next step
 * (DESIGN 3.9). */
static void
accepted_done(struct session *s, struct rcpt *r, const struct smtp_reply *reply)
{
	struct buf text = BUF_INIT;

	session_reply_text(&text, reply);
	report_final(r, RCPT_SENT, reply->esc[0] != '\0' ? reply->esc : "2.0.0",
		     s->relay, buf_str(&text));
	buf_free(&text);
}

/* The reply to the message: one, or with LMTP one a recipient. */
static enum attempt
final_replies(struct session *s, struct group *g, bool whole, bool chunks)
{
	struct smtp_reply r = { .code = 0 };
	enum attempt a = ATTEMPT_DONE;
	bool have = false;

	for (size_t i = 0; a == ATTEMPT_DONE && i < g->n; i++) {
		struct rcpt *rcpt = g->v[i];
		struct err e = ERR_INIT;
		if (rcpt->state != RCPT_PENDING || !rcpt->accepted)
			continue;
		if ((!have || s->c.lmtp) &&
		    smtp_client_reply(&s->c, clock_deadline(params.t_done), &r,
				      &e) != 0) {
			session_lost(s,
				     whole ? "sending end of data -- message "
					     "may be sent more than once"
					   : "sending message body",
				     &e);
			accepted_failure(s, g, &e);
			/* RFC 1047: the dot was sent and no reply came. They
			 * may have it: another host would surely deliver it
			 * twice, so this attempt ends here. */
			a = whole ? ATTEMPT_STOP : ATTEMPT_NEXT;
			break;
		}
		/* Nobody was told yet, and nobody has it: it is a "no". */
		if (!have && chunks && lies(s, &r, SMTP_CHUNKING)) {
			a = ATTEMPT_FRESH;
			break;
		}
		have = true;
		s->in_mail = false;
		/* Nobody can have taken what was not all sent. */
		if (r.code / 100 == 2 && whole) {
			accepted_done(s, rcpt, &r);
			continue;
		}
		session_said(
		    s, &r, whole ? "end of DATA command" : "DATA command", &e);
		if (r.code / 100 == 2) {
			e.status = ST_TEMPFAIL;
			s->c.broken = true;
		}
		report_failure(rcpt, s->relay, &e);
	}
	/* In the middle of a message a QUIT would be part of it. */
	s->c.broken = s->c.broken || !whole;
	smtp_reply_free(&r);
	return a;
}

/* The next chunk in wire form; *last_r: it is the last one.  False: the
 * message cannot be read. */
static bool
fill_chunk(struct wire_out *w, const struct message *m, int64_t *at,
	   struct buf *out, bool *last_r)
{
	char piece[32768];

	buf_clear(out);
	while (*at < m->size && out->n < CHUNK) {
		ssize_t n = message_read(m, *at, piece, sizeof(piece));
		if (n <= 0)
			return false;
		*at += n;
		wire_encode(w, out, span_make(piece, (size_t)n));
	}
	*last_r = *at >= m->size;
	if (*last_r)
		wire_finish(w, out);
	return true;
}

static bool
send_chunk(struct session *s, const struct buf *out, bool last, struct err *e)
{
	if (smtp_client_send(&s->c, e, "BDAT %zu%s", out->n,
			     last ? " LAST" : "") != 0)
		return false;
	s->c.s.out_deadline = clock_deadline(params.t_xfer);
	stream_write(&s->c.s, out->p, out->n);
	return stream_flush(&s->c.s, clock_deadline(params.t_xfer)) == IO_OK;
}

/* RFC 3030: a chunk's size is told before it, nothing in it is looked at.
 * One round trip less than DATA, too. */
static enum attempt
bdat(struct session *s, struct group *g, const struct message *m)
{
	struct wire_out w;
	struct buf out = BUF_INIT;
	struct smtp_reply r = { .code = 0 };
	struct err e = ERR_INIT;
	enum attempt a = ATTEMPT_DONE;
	bool last = false, whole = true;
	int64_t at = 0;

	wire_out_init(&w, false);
	while (a == ATTEMPT_DONE && !last && whole) {
		/* Half a chunk is never ended: the link is. */
		whole = fill_chunk(&w, m, &at, &out, &last) &&
			send_chunk(s, &out, last, &e);
		if (!whole || last)
			break;
		if (smtp_client_reply(&s->c, clock_deadline(params.t_xfer), &r,
				      &e) != 0) {
			session_lost(s, "sending message body", &e);
			a = ATTEMPT_NEXT;
		} else if (r.code / 100 != 2) {
			session_said(s, &r, "BDAT command", &e);
			a = lies(s, &r, SMTP_CHUNKING) ? ATTEMPT_FRESH
						       : ATTEMPT_NEXT;
		}
	}
	if (a == ATTEMPT_NEXT)
		accepted_failure(s, g, &e);
	else if (a == ATTEMPT_DONE)
		a = final_replies(s, g, whole && last, true);
	smtp_reply_free(&r);
	buf_free(&out);
	return a;
}

static enum attempt
data(struct session *s, struct group *g, const struct message *m)
{
	struct smtp_reply r = { .code = 0 };
	struct err e = ERR_INIT;
	int code;

	if ((!s->data_sent && smtp_client_send(&s->c, &e, "DATA") != 0) ||
	    smtp_client_reply(&s->c, clock_deadline(params.t_data), &r, &e) !=
		0) {
		session_lost(s, "sending DATA command", &e);
		if (too_old(s, NULL))
			return ATTEMPT_FRESH;
		accepted_failure(s, g, &e);
		return ATTEMPT_NEXT;
	}
	code = r.code;
	if (code != 354)
		session_said(s, &r, "DATA command", &e);
	smtp_reply_free(&r);
	if (code != 354) {
		accepted_failure(s, g, &e);
		/* Replies out of step: this link cannot be trusted further. */
		s->c.broken = s->c.broken || code / 100 < 4;
		return ATTEMPT_NEXT;
	}
	/* A reply that is here before the message is none to it. */
	if (stream_buffered(&s->c.s).n > 0) {
		s->c.broken = true;
		(void)err_esc(&e, ST_TEMPFAIL, "4.5.0",
			      "host %s replied before the message was sent",
			      s->name);
		accepted_failure(s, g, &e);
		return ATTEMPT_NEXT;
	}
	bool whole = send_body(s, m);
	if (whole) {
		enum io_result w =
		    stream_flush(&s->c.s, clock_deadline(params.t_xfer));
		whole = w == IO_OK;
	}
	return final_replies(s, g, whole, false);
}

/* --probe: what was said to RCPT is the verdict. */
static enum attempt
probe_end(struct session *s, struct group *g)
{
	for (size_t i = 0; i < g->n; i++) {
		struct rcpt *r = g->v[i];
		if (r->state == RCPT_PENDING && r->accepted)
			report_final(r, RCPT_SENT, r->why.esc, s->relay,
				     r->why.text);
	}
	return ATTEMPT_DONE;
}

const char *const xforward_names[XFORWARD_NAMES] = { "NAME",  "ADDR", "PORT",
						     "PROTO", "HELO", "IDENT",
						     "SOURCE" };

/* Postfix's XFORWARD_README.  A server that refuses does without. */
static enum attempt
xforward(struct session *s, struct group *g)
{
	struct buf line = BUF_INIT;
	struct smtp_reply r = { .code = 0 };
	struct err e = ERR_INIT;
	enum attempt a = ATTEMPT_DONE;

	if (!params.send_xforward || !(s->c.caps & SMTP_XFORWARD))
		return a;
	for (size_t i = 0; i < XFORWARD_NAMES; i++)
		if (options.xforward[i] != NULL)
			smtp_client_xforward(&s->c, &line, xforward_names[i],
					     span_of(options.xforward[i]));
	if (line.n > 0 &&
	    smtp_client_cmd(&s->c, clock_deadline(params.t_xforward), &r, &e,
			    "XFORWARD%s", buf_str(&line)) != 0) {
		session_lost(s, "sending XFORWARD", &e);
		a = s->reused ? ATTEMPT_FRESH : ATTEMPT_NEXT;
		if (!s->reused)
			report_all(g, s->relay, &e);
	}
	smtp_reply_free(&r);
	buf_free(&line);
	return a;
}

static enum attempt
transact_part(struct session *s, struct group *g, const struct message *m)
{
	struct err e = ERR_INIT;
	bool some = false;

	for (size_t i = 0; i < g->n; i++)
		g->v[i]->accepted = false;
	s->data_sent = false;
	if (check_features(s, g, m, &e) != 0) {
		if (s->unfit)
			report_unfit(g, s->relay, &e);
		else
			report_all(g, s->relay, &e);
		return ATTEMPT_NEXT;
	}
	enum attempt a = xforward(s, g);
	if (a == ATTEMPT_DONE)
		a = envelope(s, g, m);
	for (size_t i = 0; i < g->n; i++)
		some = some || g->v[i]->accepted;
	/* The message is wanted perhaps, but it is not sent: no word may follow
	 * DATA. */
	if (a != ATTEMPT_DONE && some && s->data_sent)
		s->c.broken = true;
	if (a != ATTEMPT_DONE || !some)
		drain(s);
	if (a != ATTEMPT_DONE)
		return a;
	if (!some)
		return ATTEMPT_NEXT;
	if (options.probe)
		return probe_end(s, g);
	return uses_chunks(s) ? bdat(s, g, m) : data(s, g, m);
}

static bool
same_domain(const struct rcpt *a, const struct rcpt *b)
{
	const char *x = strrchr(a->addr, '@'), *y = strrchr(b->addr, '@');

	return x != NULL && y != NULL && strcasecmp(x, y) == 0;
}

/* May r be one more of this message's recipients? */
static bool
within_limits(const struct smtp_client *c, const struct group *part,
	      const struct rcpt *r)
{
	size_t domains = 1;

	if (c->rcpt_max > 0 && part->n >= c->rcpt_max)
		return false;
	for (size_t i = 0; c->domain_max > 0 && i < part->n; i++) {
		bool seen = same_domain(part->v[i], r);

		for (size_t k = 0; k < i; k++)
			seen = seen || same_domain(part->v[i], part->v[k]);
		domains += !seen;
	}
	return c->domain_max == 0 || domains <= c->domain_max;
}

/* RFC 9422 4: as many messages as the server's limits ask for. */
static enum attempt
transact(struct session *s, struct group *g, const struct message *m)
{
	enum attempt a = ATTEMPT_DONE;
	struct group part = *g;

	if (s->c.rcpt_max == 0 && s->c.domain_max == 0)
		return transact_part(s, g, m);
	part.v = mem_alloc(g->n, sizeof(*part.v));
	for (;;) {
		part.n = 0;
		for (size_t i = 0; i < g->n; i++)
			if (g->v[i]->state == RCPT_PENDING &&
			    g->v[i]->refused != s->target &&
			    within_limits(&s->c, &part, g->v[i]))
				part.v[part.n++] = g->v[i];
		if (part.n == 0)
			break;
		if (s->in_mail && session_rest(s) != 0)
			a = ATTEMPT_FRESH;
		else if (s->c.mail_max > 0 && s->mails >= s->c.mail_max)
			a = ATTEMPT_FRESH;
		else
			a = transact_part(s, &part, m);
		/* Whoever waits still was asked here: not once more. */
		/* A server whose limits are smaller than its word would make
		 * this endless. */
		for (size_t i = 0; a != ATTEMPT_FRESH && i < part.n; i++)
			part.v[i]->refused = s->target;
		if (a == ATTEMPT_NEXT && s->dropped)
			a = ATTEMPT_FRESH; /* the others, once more here */
		if (a == ATTEMPT_STOP || a == ATTEMPT_FRESH || s->c.broken)
			break;
	}
	free(part.v);
	return a;
}

/* RFC 6152 3: 8-bit parts of a message are converted for a server that takes
 * none.  Over LMTP servers take what they get. */
enum attempt
transaction(struct session *s, struct group *g, const struct message *m)
{
	struct message seven;
	struct err e = ERR_INIT;
	enum attempt a = ATTEMPT_NEXT;

	if (!m->eight_bit || options.lmtp || (s->c.caps & SMTP_8BITMIME) ||
	    params.no_conversion)
		return transact(s, g, m);
	if (sevenbit(m, &seven, &e) == 0)
		a = transact(s, g, &seven);
	else
		report_all(g, s->relay, &e);
	buf_free(&seven.converted);
	return a;
}
