/*
 * session_tls.c - STARTTLS as the destination's policy, its TLSA records and
 * REQUIRETLS ask for.
 * RFC 3207, 7672, 8689; sentences as Postfix smtp(8) writes them.
 */
#include "send.h"
#include "log.h"
#include "opt.h"
#include "status.h"

#include <openssl/sslerr.h>
#include <openssl/x509_vfy.h>
#include <stdio.h>

/* What REQUIRETLS asks for is not to be had at this host: RFC 8689 4.2.1 names
 * the code.  It is the words of e that tell why. */
static void
unfit(struct session *s, struct err *e)
{
	if (!send_requiretls)
		return;
	s->unfit = true;
	e->status = ST_UNAVAILABLE;
	snprintf(e->esc, sizeof(e->esc), "5.7.10");
	(void)err_prefix(e, "REQUIRETLS");
}

/* RFC 8461 5: an enforced policy names the hosts, which show a certificate of
 * theirs.  DANE, where it applies, has decided before (2). */
static int
apply_sts(struct session *s, struct err *e)
{
	const struct group *g = s->group;

	s->sts = g->has_sts && !s->no_tls;
	if (!g->has_sts)
		return 0;
	if (!mtasts_match(&g->sts, s->target->host))
		tlsrpt_failed(s, "validation-failure",
			      "the policy does not name this host");
	if (g->sts.mode != MTASTS_ENFORCE || send_tls_optional)
		return 0;
	s->level = TLS_VERIFY;
	if (s->tls_failure != NULL)
		return err_esc(e, ST_TEMPFAIL, "4.7.5",
			       "the MTA-STS policy of %s does not name host %s",
			       g->hosts.domain, s->name);
	return 0;
}

/* What this host has to show. */
static int
find_dane(struct session *s, struct err *e)
{
	const struct tls_policy *p = &s->group->policy;
	const struct dane *a = s->dane;

	if (p->level != TLS_DANE && p->level != TLS_DANE_ONLY)
		return 0;
	if (p->level == TLS_DANE && send_tls_optional) {
		s->level = TLS_MAY;
		return 0;
	}
	if (a != NULL && a->state == DANE_TROUBLE) {
		tlsrpt_failed(s, "dnssec-invalid", a->why.text);
		return err_esc(e, ST_TEMPFAIL, "4.7.5",
			       "TLSA lookup error for %s:%d: %.300s",
			       s->target->host, s->target->port, a->why.text);
	}
	if (a != NULL && a->state == DANE_USABLE)
		return 0;
	if (a != NULL && a->state == DANE_UNUSABLE)
		tlsrpt_failed(s, "tlsa-invalid", "no record is usable");
	else if (p->level == TLS_DANE_ONLY)
		tlsrpt_failed(s, "dane-required", "no TLSA records");
	if (p->level == TLS_DANE_ONLY)
		(void)err_esc(
		    e, ST_TEMPFAIL, "4.7.5", "%s TLSA records for %s",
		    a != NULL && a->state == DANE_UNUSABLE ? "no usable" : "no",
		    s->name);
	if (p->level == TLS_DANE_ONLY)
		unfit(s, e);
	if (p->level == TLS_DANE_ONLY)
		return -1;
	/* RFC 7672 2.2: records that cannot be used ask for TLS all the
	 * same. */
	s->level =
	    a != NULL && a->state == DANE_UNUSABLE ? TLS_ENCRYPT : TLS_MAY;
	if (send_requiretls)
		s->level = TLS_VERIFY;
	return 0;
}

/* RFC 8689 4.2.1, 2: a certificate of a host that anybody's forged MX record
 * may have named proves nothing.  Where our own policy says what it must show,
 * no MX is believed. */
static int
prove_mx(struct session *s, struct err *e)
{
	const struct group *g = s->group;
	int level = g->policy.level;

	if (!send_requiretls || !g->hosts.by_mx || g->hosts.secure ||
	    level == TLS_SECURE || level == TLS_FINGERPRINT ||
	    (g->has_sts && g->sts.mode != MTASTS_MODE_NONE &&
	     mtasts_match(&g->sts, s->target->host)))
		return 0;
	/* A policy that cannot be had today may name it tomorrow. */
	(void)err_esc(e, ST_TEMPFAIL, "4.7.10",
		      "the MX records of %s are not signed, and no MTA-STS "
		      "policy of it %s %s",
		      g->hosts.domain,
		      g->sts_doubt ? "can be had now that would name host"
				   : "names host",
		      s->name);
	if (!g->sts_doubt)
		unfit(s, e);
	return -1;
}

static int
find_level(struct session *s, struct err *e)
{
	const struct tls_policy *p = &s->group->policy;

	s->level = p->level;
	/* RFC 8689 4.2.1: who asked for TLS all the way wants it proved. */
	if (send_requiretls && p->level < TLS_DANE &&
	    p->level != TLS_FINGERPRINT)
		s->level = TLS_VERIFY;
	if (p->trouble.status != 0) {
		*e = p->trouble;
		return -1;
	}
	if (prove_mx(s, e) != 0 || find_dane(s, e) != 0)
		return -1;
	return s->level == TLS_MAY || s->level == TLS_ENCRYPT ? apply_sts(s, e)
							      : 0;
}

/* Case does not count; an empty one equals nothing. */
static bool
same_fingerprint(const char *want, const char *have)
{
	size_t n = strlen(want);

	return have[0] != '\0' && n == strlen(have) &&
	       span_iis(span_make(want, n), have);
}

static int
check_fingerprint(struct session *s, const struct tls_facts *f, struct err *e)
{
	const struct strs *match = &s->group->policy.match;

	for (size_t i = 0; i < match->n; i++)
		if (same_fingerprint(match->v[i], f->peer_fingerprint) ||
		    same_fingerprint(match->v[i], f->peer_key_fingerprint))
			return 0;
	s->c.broken = true;
	(void)err_esc(e, ST_TEMPFAIL, "4.7.5",
		      "Server certificate of %s not trusted: its fingerprint "
		      "is %s, of its key %s",
		      s->name, f->peer_fingerprint, f->peer_key_fingerprint);
	unfit(s, e);
	return -1;
}

static int
handshake(struct session *s, struct err *e)
{
	const struct tls_policy *p = &s->group->policy;
	struct strs names = STRS_INIT;
	long bad = 0;
	int reason = 0;
	struct tls_want w = { .sni = s->target->host,
			      .names = &names,
			      .bad_r = &bad,
			      .reason_r = &reason };
	deadline_t d = clock_deadline(params.t_tls);

	if (p->servername != NULL && strcmp(p->servername, "nexthop") == 0)
		w.sni = s->group->hosts.domain;
	else if (p->servername != NULL &&
		 strcmp(p->servername, "hostname") != 0)
		w.sni = p->servername;
	if (s->sts) {
		/* RFC 8461 4.2: the host's own name. */
		w.verify = TLS_VERIFY_NAME;
		w.advisory = s->level < TLS_VERIFY;
		strs_add(&names, s->target->host);
	} else if (s->level >= TLS_VERIFY) {
		w.verify = TLS_VERIFY_NAME;
		policy_names(s->group, s->target, &names);
	} else if (s->level == TLS_DANE || s->level == TLS_DANE_ONLY) {
		w.sni = s->dane->base;
		w.dane = s->dane->rows;
		w.ndane = s->dane->n;
		dane_names(s->dane, s->group, s->target, &names);
	}
	if (params.tls_session_time > 0) {
		tls_sessions_key(s, &names, w.sni, s->tls_key);
		s->has_key = true;
		w.session = tls_sessions_get(tls_sessions_owner, s->tls_key);
	}
	int r = tls_connect_want(s->group->tls, &s->c.s, &w, d, e);
	strs_free(&names);
	if (r == 0)
		return 0;
	/* It may have been the old session: once more without. */
	tlsrpt_certificate(s, bad, e->text);
	s->fresh_tls = w.session.n > 0;
	if (s->fresh_tls)
		tls_sessions_put(tls_sessions_owner, s->tls_key, SPAN(""));
	s->c.broken = true;
	(void)err_prefix(e, "Cannot start TLS with %s", s->name);
	e->status = ST_TEMPFAIL;
	snprintf(e->esc, sizeof(e->esc), "4.7.5");
	/* OpenSSL's words for a greeting in clear say nothing of it. */
	if (params.wrappermode && reason == SSL_R_WRONG_VERSION_NUMBER)
		(void)err_esc(e, ST_TEMPFAIL, "4.7.5",
			      "Cannot start TLS with %s: it does not speak TLS "
			      "from the first byte on (smtp_tls_wrappermode)",
			      s->name);
	/* A link that is cut, or slow, says nothing of what it could. */
	if ((bad != X509_V_OK || reason != 0) && !s->fresh_tls)
		unfit(s, e);
	return -1;
}

static void
show_facts(const struct session *s, const struct tls_facts *f)
{
	static const char *const how[] = { "Anonymous", "Untrusted",
					   "Verified" };
	int i = f->peer_fingerprint[0] == '\0'               ? 0
		: f->verified || s->level == TLS_FINGERPRINT ? 2
							     : 1;

	if (options.trace)
		fprintf(stderr,
			"* %s TLS connection to %s: %s with cipher %s; "
			"certificate %s, fingerprint %s, of its key %s; level "
			"%s%s%s\n",
			how[i], s->relay, f->protocol, f->cipher, f->peer_cn,
			f->peer_fingerprint, f->peer_key_fingerprint,
			policy_level_word(s->level), s->sts ? ", MTA-STS" : "",
			f->resumed ? ", session taken up again" : "");
	/* As Postfix's smtp(8) has it.  At a terminal --trace is the way. */
	if (options.jobs && params.tls_loglevel > 0)
		log_info("%s TLS connection established to %s: %s with cipher "
			 "%s (%d/%d bits)",
			 how[i], s->relay, f->protocol, f->cipher, f->bits,
			 f->alg_bits);
}

/* The handshake, and what its facts say. */
static int
secured(struct session *s, struct err *e)
{
	struct tls_facts f;

	if (handshake(s, e) != 0)
		return -1;
	s->tls = true;
	if (!tls_facts(&s->c.s, &f))
		return err_esc(e, ST_TEMPFAIL, "4.7.5", "TLS without facts");
	show_facts(s, &f);
	/* A policy that is only tested: what would have failed. */
	if (s->sts && s->level < TLS_VERIFY && f.bad != 0 &&
	    s->tls_failure == NULL)
		tlsrpt_certificate(s, f.bad, f.bad_words);
	return s->level == TLS_FINGERPRINT ? check_fingerprint(s, &f, e) : 0;
}

/* 1: TLS is on; 0: not offered, or refused; -1: the link is of no use. */
static int
starttls(struct session *s, struct err *e)
{
	struct smtp_reply r = { .code = 0 };

	if (!(s->c.caps & SMTP_STARTTLS))
		return 0;
	if (smtp_client_cmd(&s->c, clock_deadline(params.t_tls), &r, e,
			    "STARTTLS") != 0) {
		session_lost(s, "sending STARTTLS", e);
		return -1;
	}
	int code = r.code;
	smtp_reply_free(&r);
	/* 454 of RFC 3207 4: it may have it again. */
	s->tls_later = code / 100 == 4;
	if (code / 100 != 2)
		return 0;
	/* What came before the handshake was nobody's we know (RFC 3207
	 * 4.2). */
	if (stream_buffered(&s->c.s).n > 0)
		return err_esc(e, ST_TEMPFAIL, "4.7.5",
			       "host %s sent bytes in clear behind its reply "
			       "to STARTTLS",
			       s->name);
	return secured(s, e) == 0 ? 1 : -1;
}

/* RFC 8314 3.3: TLS from the first byte on (smtp_tls_wrappermode), never
 * without it. */
enum attempt
session_wrap(struct session *s, struct err *e)
{
	if (!params.wrappermode || s->target->port == 0)
		return ATTEMPT_DONE;
	if (find_level(s, e) != 0)
		return ATTEMPT_NEXT;
	if (s->level < TLS_ENCRYPT)
		s->level = TLS_ENCRYPT;
	if (s->group->tls == NULL) {
		(void)err_esc(e, ST_TEMPFAIL, "4.7.5",
			      "smtp_tls_wrappermode needs "
			      "smtp_tls_security_level = encrypt");
		return ATTEMPT_NEXT;
	}
	if (secured(s, e) == 0)
		return ATTEMPT_DONE;
	return s->fresh_tls ? ATTEMPT_FRESH : ATTEMPT_NEXT;
}

static enum attempt
secure(struct session *s, struct err *e)
{
	if (find_level(s, e) != 0)
		return ATTEMPT_NEXT;
	if (s->level == TLS_NONE || s->no_tls || s->target->port == 0)
		return ATTEMPT_DONE;
	int r = starttls(s, e);
	if (r < 0 && s->fresh_tls)
		return ATTEMPT_FRESH;
	if (r < 0)
		return s->level == TLS_MAY ? ATTEMPT_PLAIN : ATTEMPT_NEXT;
	if (r > 0)
		return ATTEMPT_DONE;
	if (!s->c.broken)
		tlsrpt_failed(s, "starttls-not-supported", "");
	if (s->level == TLS_MAY)
		return s->c.broken ? ATTEMPT_PLAIN : ATTEMPT_DONE;
	(void)err_esc(e, ST_TEMPFAIL, "4.7.4",
		      "TLS is required, but was not offered by host %s",
		      s->name);
	if (!s->tls_later && !s->c.broken)
		unfit(s, e);
	return ATTEMPT_NEXT;
}

enum attempt
session_secure(struct session *s, struct err *e)
{
	if (s->tls)
		return ATTEMPT_DONE;
	enum attempt a = secure(s, e);
	if (a != ATTEMPT_FRESH)
		tlsrpt_session(s);
	if (a == ATTEMPT_DONE && s->tls && session_hello(s, e) != 0)
		return ATTEMPT_NEXT;
	return a;
}
