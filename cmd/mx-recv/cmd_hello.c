/*
 * cmd_hello.c - HELO, EHLO, STARTTLS.  RFC 5321 4.1.1.1, 3207.
 */
#include "cmd.h"

#include "link.h"
#include "log.h"
#include "mem.h"
#include "milters.h"
#include "rates.h"
#include "restrict.h"
#include "tls.h"

#include <stdio.h>
#include <stdlib.h>

/* A host name, an address literal, or whatever people send, on one line. */
static bool
take_name(struct session *s, struct span name)
{
	if (name.n == 0 || name.n > 255 || span_has_ctl(name) ||
	    span_chr(name, ' ') >= 0)
		return false;
	/* RFC 5321 4.1.4: EHLO is a RSET, too. */
	session_end_mail(s);
	cmd_xforward_reset(s);
	free(s->helo);
	s->helo = mem_spandup(name);
	return true;
}

/* RFC 2033 4.1 */
static struct reply
wrong_hello(void)
{
	return reply_make(500, "5.5.1", "Error: this is LMTP: say LHLO");
}

struct reply
cmd_helo(struct session *s, struct span args)
{
	struct reply r;

	if (s->lmtp)
		return wrong_hello();
	if (!take_name(s, args))
		return reply_syntax("HELO hostname");
	/* RFC 5321 4.1.1.1: no extensions after HELO */
	s->esmtp = false;
	if (restrict_helo(s, &r) || milters_helo(s, &r))
		return r;
	return reply_make(250, NULL, "%s", s->conf->site.myhostname);
}

/* smtpd_discard_ehlo_keywords, or what smtpd_discard_ehlo_keyword_address_maps
 * says for this client; false: nobody can say now. */
static bool
find_hidden(const struct session *s, struct strs *hidden)
{
	const struct conf *c = s->conf;
	struct buf v = BUF_INIT;
	struct err e = ERR_INIT;
	enum table_result found = TABLE_NONE;

	if (c->discard_ehlo_maps.n > 0 && s->conn->has_peer)
		found = tables_lookup(&c->discard_ehlo_maps,
				      span_of(s->conn->addr), &v, &e);
	if (found == TABLE_FOUND)
		strs_split(hidden, buf_span(&v), ", \t");
	else
		for (size_t i = 0; i < c->p.discard_ehlo.n; i++)
			strs_add(hidden, c->p.discard_ehlo.v[i]);
	if (found == TABLE_TRY_AGAIN)
		log_warn("smtpd_discard_ehlo_keyword_address_maps: %s", e.text);
	buf_free(&v);
	return found != TABLE_TRY_AGAIN;
}

/* What is hidden is still taken. */
static void
offer(const struct strs *hidden, struct reply *r, const char *word,
      const char *value)
{
	if (strs_ihas(hidden, span_of(word)))
		return;
	buf_addf(&r->text, "\n%s%s%s", word, *value != '\0' ? " " : "", value);
}

/* smtpd_sasl_exceptions_networks */
static bool
offers_auth(const struct session *s)
{
	struct err e = ERR_INIT;

	return !s->conn->has_peer ||
	       match_lookup(s->conf->sasl_exceptions, span_of(s->conn->addr),
			    &e) != TABLE_FOUND;
}

/* What there is, line by line. */
static void
offer_all(struct session *s, struct reply *r, const struct strs *hidden)
{
	const char *mechs = cmd_auth_mechanisms(s);
	char text[200] = "";

	if (s->conf->p.message_size_limit > 0)
		snprintf(text, sizeof(text), "%lld",
			 (long long)s->conf->p.message_size_limit);
	offer(hidden, r, "PIPELINING", "");
	offer(hidden, r, "SIZE", text);
	if (s->conf->tls != NULL && !s->tls)
		offer(hidden, r, "STARTTLS", "");
	if (*mechs != '\0' && offers_auth(s)) {
		offer(hidden, r, "AUTH", mechs);
		if (s->conf->p.broken_sasl)
			buf_addf(&r->text, "\nAUTH=%s", mechs);
	}
	if (cmd_xclient_offered(s))
		offer(hidden, r, "XCLIENT",
		      "NAME ADDR PORT PROTO HELO LOGIN DESTADDR DESTPORT "
		      "REVERSE_NAME");
	if (cmd_xforward_offered(s))
		offer(hidden, r, "XFORWARD",
		      "NAME ADDR PORT PROTO HELO IDENT SOURCE");
	offer(hidden, r, "ENHANCEDSTATUSCODES", "");
	offer(hidden, r, "8BITMIME", "");
	offer(hidden, r, "DSN", "");
	/* RFC 8689 2: under TLS only. */
	if (s->tls)
		offer(hidden, r, "REQUIRETLS", "");
	/* RFC 9422 */
	snprintf(text, sizeof(text), "RCPTMAX=%lld",
		 (long long)s->conf->p.recipient_limit);
	offer(hidden, r, "LIMITS", text);
	offer(hidden, r, "SMTPUTF8", "");
	offer(hidden, r, "CHUNKING", "");
}

/* EHLO or LHLO. */
static struct reply
hello(struct session *s, struct span args)
{
	struct strs hidden = STRS_INIT;
	struct reply r;

	if (!take_name(s, args))
		return reply_syntax(s->lmtp ? "LHLO hostname"
					    : "EHLO hostname");
	s->esmtp = true;
	if (restrict_helo(s, &r) || milters_helo(s, &r))
		return r;
	if (find_hidden(s, &hidden)) {
		r = reply_make(250, NULL, "%s", s->conf->site.myhostname);
		offer_all(s, &r, &hidden);
	} else {
		r = reply_make(450, "4.3.2", "Service currently unavailable");
	}
	strs_free(&hidden);
	return r;
}

struct reply
cmd_ehlo(struct session *s, struct span args)
{
	return s->lmtp ? wrong_hello() : hello(s, args);
}

struct reply
cmd_lhlo(struct session *s, struct span args)
{
	return s->lmtp
		   ? hello(s, args)
		   : reply_make(500, "5.5.2", "Error: command not recognized");
}

/* What the log and the Received field say of the connection. */
static void
log_tls(struct session *s)
{
	struct tls_facts f;

	if (s->conf->p.tls_loglevel < 1 || !tls_facts(&s->s, &f))
		return;
	log_info("%s TLS connection established from %s: %s with cipher %s "
		 "(%d/%d bits)",
		 f.verified                      ? "Trusted"
		 : f.peer_fingerprint[0] != '\0' ? "Untrusted"
						 : "Anonymous",
		 s->who, f.protocol, f.cipher, f.bits, f.alg_bits);
	if (f.peer_fingerprint[0] != '\0')
		log_info("%s: %s: subject_CN=%s, fingerprint=%s, "
			 "pkey_fingerprint=%s",
			 s->who, f.verified ? "Trusted" : "Untrusted",
			 f.peer_cn, f.peer_fingerprint, f.peer_key_fingerprint);
}

struct reply
cmd_tls_handshake(struct session *s)
{
	struct reply r = { 0 };
	struct err e = ERR_INIT;
	deadline_t d = clock_deadline(s->conf->p.starttls_timeout);

	if (rates_over(s, RATE_TLS, &r))
		return r;
	if (s->conf->tls == NULL) {
		log_error("a session of mode %s needs smtpd_tls_cert_file",
			  s->conf->mode->name);
		r.close = true;
		return r;
	}
	if (tls_accept(s->conf->tls, &s->s, d, &e) != 0) {
		log_info("SSL_accept error from %s: %s", s->who, e.text);
		log_info("lost connection after %s from %s", s->last_cmd,
			 s->who);
		r.close = true;
		return r;
	}
	/* RFC 3207 4.2: what was learnt before is forgotten. */
	session_forget(s);
	s->tls = true;
	s->tls_of_proxy = false;
	log_tls(s);
	return r;
}

struct reply
cmd_starttls(struct session *s, struct span args)
{
	struct reply r;

	if (args.n > 0)
		return reply_syntax("STARTTLS");
	if (s->tls)
		return reply_make(554, "5.5.1", "Error: TLS already active");
	if (s->conf->tls == NULL)
		return reply_make(502, "5.5.1",
				  "Error: command not implemented");
	if (stream_buffered(&s->s).n > 0) {
		/* THREATS 8: somebody in the middle speaks for the client. */
		log_warn("improper command pipelining after STARTTLS from %s",
			 s->who);
		r = reply_make(554, "5.5.0",
			       "Error: SMTP protocol synchronization");
		r.close = true;
		return r;
	}
	r = reply_make(220, "2.0.0", "Ready to start TLS");
	r.then = cmd_tls_handshake;
	return r;
}
