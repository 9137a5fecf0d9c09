/*
 * cmd_data.c - DATA and BDAT: the message is passed on as it arrives.
 * RFC 5321 4.1.1.4, 3030; THREATS 1 to 5, 11, 40.
 */
#include "cmd.h"
#include "complete.h"

#include "link.h"
#include "log.h"
#include "mem.h"
#include "milters.h"
#include "msg.h"
#include "num.h"
#include "received.h"
#include "restrict.h"

#include <stdio.h>
#include <stdlib.h>

/* Beyond the limit a refused message is still read, up to so much more. */
#define DRAIN_EXTRA 1000000

/* What a bare LF is: DESIGN 3.11, smtpd_forbid_bare_newline. It never ends a
 * message either way (THREATS 1). */
static enum wire_policy
policy(const struct session *s)
{
	return s->conf->p.forbid_bare_lf == FORBID_LF_REJECT ? WIRE_REJECT
							     : WIRE_NORMALIZE;
}

/* RFC 5321 3.3: DATA without a recipient that was taken. */
static struct reply
no_recipients(const struct session *s)
{
	/* RFC 2033 4.2: 503 for LMTP. */
	return reply_make(s->lmtp ? 503 : 554, "5.5.1",
			  "Error: no valid recipients");
}

/* PREPEND: above everything else. */
static void
add_prepended(struct buf *b, const struct session *s)
{
	for (size_t i = 0; i < s->actions.prepend.n; i++) {
		struct span text = span_of(s->actions.prepend.v[i]);
		ssize_t colon = span_chr(text, ':');
		char *name = mem_spandup(span_sub(text, 0, (size_t)colon));
		struct buf one = BUF_INIT;

		msg_make_field(&one, name,
			       span_trim(span_from(text, (size_t)colon + 1)));
		if (one.n > 0 && one.p[one.n - 1] != '\n')
			buf_addc(&one, '\n');
		buf_addspan(b, buf_span(&one));
		buf_free(&one);
		free(name);
	}
}

/* Before the first byte: rules, then the other side.  False: r it is. */
static bool
message_begin(struct session *s, bool dots, struct reply *r)
{
	struct buf field = BUF_INIT;
	bool ok = true;

	if (s->rcpts == 0) {
		*r = no_recipients(s);
		return false;
	}
	if (restrict_data(s, r) || milters_data(s, r))
		return false;
	wire_in_init(&s->wire, dots, policy(s));
	shape_init(&s->shape);
	s->data_bytes = 0;
	s->drop = DROP_NO;
	if (s->actions.discard) {
		/* The client hears yes; nobody else hears of it. */
		link_abort(s);
		s->drop = DROP_DISCARD;
		return true;
	}
	add_prepended(&field, s);
	received_make(&field, s);
	if (!milters_hold(s, buf_span(&field))) {
		ok = milters_envelope(s, r) && link_actions(s, r) &&
		     link_data(s, r);
		if (ok)
			link_write(s, buf_span(&field));
	}
	buf_free(&field);
	if (ok && s->conf->p.add_missing_headers)
		s->complete = complete_new(s);
	return ok;
}

/* `extra`: how far beyond the limit a client is listened to. */
static bool
over_limit(const struct session *s, uint64_t extra)
{
	int64_t limit = s->conf->p.message_size_limit;

	return limit > 0 && s->wire.bytes > (uint64_t)limit + extra;
}

/* To the milters, which want it whole, or on to the delivery side. */
static void
pass_bytes(struct session *s, struct span stored)
{
	if (milters_holding(s))
		milters_write(s, stored);
	else
		link_write(s, stored);
}

static void
pass_shaped(struct session *s, struct span shaped)
{
	struct buf out = BUF_INIT;

	if (s->complete == NULL) {
		pass_bytes(s, shaped);
		return;
	}
	complete_feed(s->complete, shaped, &out);
	pass_bytes(s, buf_span(&out));
	buf_free(&out);
}

static void
message_piece(struct session *s)
{
	/* THREATS 40: the rest is read and dropped, so that the next command
	 * is found where it is. */
	if (over_limit(s, 0) && s->drop != DROP_LINK)
		s->drop = DROP_SIZE;
	if (s->shape.done) {
		pass_shaped(s, buf_span(&s->piece));
	} else {
		struct buf out = BUF_INIT;

		shape_feed(&s->shape, buf_span(&s->piece), &out);
		pass_shaped(s, buf_span(&out));
		buf_free(&out);
	}
	buf_clear(&s->piece);
}

/* RFC 5321 4.1.1.4: the connection ended in the middle; no end of data was
 * read, so nothing was sent (THREATS 11). */
static struct reply
gone(struct session *s)
{
	struct reply r = { .close = true };

	session_end_mail(s);
	return r;
}

/* RFC 1870 6.3. */
static struct reply
too_large(struct session *s)
{
	struct reply r =
	    reply_make(552, "5.3.4", "Error: message file too big");

	restrict_log(s, "reject", "END-OF-MESSAGE", &r);
	return r;
}

/* What may still be said against the whole message: true and the reply. */
static bool
refused(struct session *s, struct reply *r)
{
	if (s->drop == DROP_SIZE) {
		*r = too_large(s);
		return true;
	}
	if (s->wire.bare_lf && policy(s) == WIRE_REJECT) {
		*r = reply_make(521, "5.5.2", "%s Error: bare <LF> received",
				s->conf->site.myhostname);
		r->close = true;
	} else if (s->drop != DROP_LINK && restrict_end(s, r)) {
		return true;
	} else if (!s->actions.discard && milters_holding(s) &&
		   milters_message(s, r)) {
		return true;
	} else if (s->actions.discard ||
		   (milters_holding(s) ? milters_send(s, r)
				       : link_actions(s, r))) {
		return false;
	}
	restrict_log(s, "reject", "END-OF-MESSAGE", r);
	return true;
}

/* LMTP: the next recipient's reply (RFC 2033 4.2). */
static struct reply
next_verdict(struct session *s)
{
	struct reply r = { 0 };

	if (s->lmtp_reply.code != 0) {
		r = s->lmtp_reply;
		r.text = BUF_INIT;
		buf_addspan(&r.text, buf_span(&s->lmtp_reply.text));
		r.close = false;
	} else {
		r = link_verdict(s);
		if (r.code / 100 != 2)
			restrict_log(s, "reject", "END-OF-MESSAGE", &r);
	}
	if (--s->lmtp_left > 0) {
		r.then = next_verdict;
	} else {
		session_end_mail(s);
		cmd_xforward_reset(s);
	}
	return r;
}

/* LMTP, and a filter has changed the recipients: the verdicts are no longer
 * those of the client's, one by one.  The worst is told to all, "try again"
 * before "never": a copy too many, but none lost. */
static void
worst_verdict(struct session *s, struct reply *r)
{
	char esc[sizeof(s->esc_mem)];

	while (link_verdicts(s)) {
		struct reply v;
		bool worse;

		/* the link has one place for enhanced codes */
		snprintf(esc, sizeof(esc), "%s", r->esc != NULL ? r->esc : "");
		v = link_verdict(s);
		worse = r->code / 100 == 2   ? v.code / 100 != 2
			: r->code / 100 == 5 ? v.code / 100 == 4
					     : false;
		if (worse) {
			snprintf(esc, sizeof(esc), "%s",
				 v.esc != NULL ? v.esc : "");
			buf_free(&r->text);
			*r = v;
		} else {
			buf_free(&v.text);
		}
		memcpy(s->esc_mem, esc, sizeof(esc));
		r->esc = s->esc_mem;
	}
}

/* RFC 5321 4.1.1.4, RFC 2033 4.2: the message is whole: one reply (LMTP: one a
 * recipient, in the order of RCPT), and the
 * transaction is over. */
static struct reply
message_end(struct session *s)
{
	struct reply r;

	if (s->drop == DROP_NO) {
		struct buf out = BUF_INIT;

		shape_finish(&s->shape, &out);
		pass_shaped(s, buf_span(&out));
		buf_free(&out);
	}
	if (s->complete != NULL && s->drop == DROP_NO) {
		struct buf out = BUF_INIT;

		complete_finish(s->complete, &out);
		pass_bytes(s, buf_span(&out));
		buf_free(&out);
	}
	if (!refused(s, &r)) {
		if (s->actions.discard) {
			r = reply_make(250, "2.0.0", "Ok: discarded as %s",
				       s->queue_id);
		} else {
			r = link_finish(s);
			if (s->renamed)
				worst_verdict(s, &r);
			if (r.code / 100 != 2)
				restrict_log(s, "reject", "END-OF-MESSAGE", &r);
		}
	}
	if (s->wire.bare_lf || s->wire.bare_cr)
		log_info("%s: message from %s has bare %s", s->queue_id, s->who,
			 !s->wire.bare_cr   ? "LF"
			 : !s->wire.bare_lf ? "CR"
					    : "CR and LF");
	s->lmtp_left = s->lmtp && !r.close ? s->rcpts - 1 : 0;
	if (s->lmtp_left > 0) {
		/* One that is not the delivery side's counts for all. */
		if (!link_verdicts(s)) {
			s->lmtp_reply = r;
			s->lmtp_reply.text = BUF_INIT;
			buf_addspan(&s->lmtp_reply.text, buf_span(&r.text));
			if (r.esc != NULL && r.esc != s->esc_mem) {
				snprintf(s->esc_mem, sizeof(s->esc_mem), "%s",
					 r.esc);
				s->lmtp_reply.esc = s->esc_mem;
			}
		}
		r.then = next_verdict;
		return r;
	}
	session_end_mail(s);
	cmd_xforward_reset(s);
	return r;
}

static struct reply
data_read(struct session *s)
{
	bool end = false;

	s->data_start = clock_mono();
	while (!end) {
		struct span have = stream_buffered(&s->s);

		if (have.n == 0) {
			if (!session_fill(s))
				return gone(s);
			continue;
		}
		stream_take(&s->s,
			    wire_decode(&s->wire, &s->piece, have, &end));
		message_piece(s);
		/* Far too much: nobody waits for its end. */
		if (!end &&
		    over_limit(s, (uint64_t)s->conf->p.message_size_limit +
				      DRAIN_EXTRA)) {
			struct reply r = too_large(s);

			r.close = true;
			session_end_mail(s);
			return r;
		}
	}
	return message_end(s);
}

struct reply
cmd_data(struct session *s, struct span args)
{
	struct reply r;

	if (args.n > 0)
		return reply_syntax("DATA");
	if (s->bdat) {
		session_end_mail(s);
		return reply_make(503, "5.5.1", "Error: DATA after BDAT");
	}
	if (!message_begin(s, true, &r)) {
		/* Without a recipient the client may still name one. */
		if (s->rcpts > 0)
			session_end_mail(s);
		return r;
	}
	r = reply_make(354, NULL, "End data with <CR><LF>.<CR><LF>");
	r.then = data_read;
	return r;
}

/* ------- BDAT */

/* n bytes of a chunk: into the message, or nowhere.  False: gone. */
static bool
read_chunk(struct session *s, uint64_t n, bool keep)
{
	s->data_start = clock_mono();
	s->data_bytes = 0;
	while (n > 0) {
		struct span have = stream_buffered(&s->s);
		bool end = false;

		if (have.n == 0) {
			if (!session_fill(s))
				return false;
			continue;
		}
		have = span_sub(have, 0, n < have.n ? (size_t)n : have.n);
		if (keep) {
			(void)wire_decode(&s->wire, &s->piece, have, &end);
			message_piece(s);
		}
		n -= have.n;
		stream_take(&s->s, have.n);
	}
	return true;
}

/* A refused chunk is read before the reply; none of it is a command. */
static struct reply
refuse_chunk(struct session *s, uint64_t n, struct reply r)
{
	uint64_t most =
	    (uint64_t)s->conf->p.message_size_limit * 2 + DRAIN_EXTRA;

	/* More than anybody would send by mistake: not read, so the session is
	 * out of step and ends. */
	if (n > most)
		r.close = true;
	else if (!read_chunk(s, n, false)) {
		buf_free(&r.text);
		return gone(s);
	}
	session_end_mail(s);
	return r;
}

/* "SIZE [LAST]": digits only. */
static bool
bdat_args(struct span args, uint64_t *n_r, bool *last_r)
{
	struct span word;

	if (!span_word(&args, " \t", &word) ||
	    !num_u64(word, UINT64_MAX / 4, n_r))
		return false;
	*last_r = span_word(&args, " \t", &word);
	return !*last_r || (span_iis(word, "LAST") && span_trim(args).n == 0);
}

/* What stands against this chunk; true and the reply. */
static bool
bdat_refused(struct session *s, uint64_t n, struct reply *r)
{
	int64_t limit = s->conf->p.message_size_limit;

	if (s->conf->p.tls_level == TLS_LEVEL_ENCRYPT && !s->tls &&
	    !session_is_local(s))
		*r = reply_make(530, "5.7.0",
				"Must issue a STARTTLS command first");
	else if (!s->esmtp)
		*r = reply_make(503, "5.5.1", "Error: send EHLO first");
	else if (!s->in_mail)
		*r = reply_make(503, "5.5.1", "Error: need MAIL command");
	else if (s->rcpts == 0)
		*r = no_recipients(s);
	else if (limit > 0 && n + (s->bdat ? s->wire.bytes : 0) >
				  (uint64_t)limit * 2 + DRAIN_EXTRA)
		*r = too_large(s);
	else
		return false;
	return true;
}

struct reply
cmd_bdat(struct session *s, struct span args)
{
	struct reply r = { 0 };
	uint64_t n = 0;
	bool last = false;

	if (!bdat_args(args, &n, &last)) {
		/* How much to skip is not known: out of step. */
		session_end_mail(s);
		r = reply_syntax("BDAT count [LAST]");
		r.close = true;
		return r;
	}
	if (bdat_refused(s, n, &r))
		return refuse_chunk(s, n, r);
	if (!s->bdat && !message_begin(s, false, &r))
		return refuse_chunk(s, n, r);
	s->bdat = true;
	if (n == 0 && !last)
		session_count_junk(s);
	if (!read_chunk(s, n, true))
		return gone(s);
	if (last) {
		wire_in_finish(&s->wire, &s->piece);
		message_piece(s);
		return message_end(s);
	}
	/* RFC 3030 2: a failed chunk ends the transaction; chunks that are on
	 * their way get 503, and are read all the same. */
	if (s->drop == DROP_SIZE || s->drop == DROP_LINK) {
		r = s->drop == DROP_SIZE ? too_large(s) : link_finish(s);
		session_end_mail(s);
		return r;
	}
	return reply_make(250, "2.0.0", "Ok: %llu bytes",
			  (unsigned long long)n);
}
