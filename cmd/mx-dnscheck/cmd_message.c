/*
 * cmd_message.c - mx-dnscheck message: the scorecard of a received message,
 * as the large receivers would see it; --offline asks nothing of DNS.
 */
#include "audit.h"
#include "jobs.h"
#include "mem.h"
#include "score.h"
#include "status.h"

#include <stdlib.h>
#include <unistd.h>

struct card {
	struct auth a;
	struct trace t;
	struct findings f;
};

/* A verdict's word as a finding: who, what it means, what it costs. */
static void
verdict(struct findings *f, const char *area, const char *word,
	const char *what, const char *why)
{
	static const struct {
		const char *word;
		enum find_level level;
		int cost;
	} rows[] = {
		{ "pass", FIND_OK, 0 },        { "fail", FIND_FAIL, 20 },
		{ "softfail", FIND_WARN, 10 }, { "neutral", FIND_WARN, 8 },
		{ "none", FIND_WARN, 10 },     { "permerror", FIND_FAIL, 15 },
		{ "policy", FIND_WARN, 10 },   { "temperror", FIND_UNKNOWN, 0 },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		if (strcmp(rows[i].word, word) != 0)
			continue;
		char *id = mem_printf("%s-%s", area, word);

		for (char *p = id; *p != '\0'; p++)
			*p = ascii_tolower(*p);
		find_add(f, rows[i].level, area, id, rows[i].cost, "%s: %s",
			 word, what);
		if (rows[i].level != FIND_OK && rows[i].level != FIND_UNKNOWN)
			find_why(f, "%s", why);
		free(id);
		return;
	}
}

#define SPF_WHY                                                                \
	"Gmail, Yahoo and Outlook want SPF or DKIM of everybody, both of who " \
	"sends much"
#define DKIM_WHY                                                               \
	"forwarded mail passes DMARC by DKIM alone, and the large receivers "  \
	"want it"
#define DMARC_WHY                                                              \
	"without DMARC the large receivers refuse bulk mail, and anybody can " \
	"write in this name"

static void
card_spf(struct card *c)
{
	struct auth *a = &c->a;
	struct buf what = BUF_INIT;

	if (!a->client) {
		find_add(&c->f, FIND_NOTE, "SPF", "spf-client", 0,
			 "no Received field tells which host brought it");
		find_found(&c->f, "name it: --client-addr IP --sender ADDRESS "
				  "--helo NAME");
		return;
	}
	buf_addf(&what, "%s for %s", a->spf.ip, buf_str(&a->spf.sender_domain));
	if (a->spf.mechanism.n > 0)
		buf_addf(&what, " (%s)", buf_str(&a->spf.mechanism));
	verdict(&c->f, "SPF", spf_word(a->spf_code), buf_str(&what), SPF_WHY);
	buf_free(&what);
}

static void
card_dkim(struct card *c)
{
	struct signatures *s = &c->a.sigs;
	bool pass = false;

	if (s->n == 0)
		verdict(&c->f, "DKIM", "none", "the message is not signed",
			DKIM_WHY);
	for (size_t i = 0; i < s->n; i++)
		pass |= s->v[i].code == VERIFY_PASS;
	for (size_t i = 0; i < s->n && i < VERIFY_SIGNATURES; i++) {
		struct buf what = BUF_INIT;

		buf_addf(&what, "d=%s s=%s a=%s", buf_str(&s->v[i].domain),
			 buf_str(&s->v[i].selector), buf_str(&s->v[i].alg));
		if (s->v[i].reason[0] != '\0')
			buf_addf(&what, ": %s", s->v[i].reason);
		/* one good signature is enough */
		if (pass && s->v[i].code != VERIFY_PASS)
			find_add(&c->f, FIND_NOTE, "DKIM", "dkim-other", 0,
				 "%s: %s", verify_word(s->v[i].code),
				 buf_str(&what));
		else
			verdict(&c->f, "DKIM", verify_word(s->v[i].code),
				buf_str(&what), DKIM_WHY);
		buf_free(&what);
	}
}

static void
card_dmarc(struct card *c)
{
	struct dmarc *d = &c->a.dmarc;
	struct buf what = BUF_INIT;

	buf_addf(&what, "From %s", c->a.from.n > 0 ? c->a.from.v[0] : "nobody");
	if (d->has_record)
		buf_addf(&what,
			 ", policy %s of %s, SPF %saligned, DKIM "
			 "%saligned",
			 dmarc_policy_word(d->policy), buf_str(&d->domain),
			 d->spf_aligned ? "" : "not ",
			 d->dkim_aligned ? "" : "not ");
	verdict(&c->f, "DMARC", verify_word(d->code), buf_str(&what),
		DMARC_WHY);
	buf_free(&what);
}

static void
card_client(struct card *c)
{
	struct auth *a = &c->a;
	char *name = NULL, *reverse = NULL;
	enum dns_status st;

	if (!a->client)
		return;
	st = dns_client_name(a->dns, a->spf.ip, &name, &reverse,
			     clock_deadline(CHECK_MS));
	if (st == DNS_OK) {
		find_add(&c->f, FIND_OK, "Client", "ptr", 0, "%s is %s",
			 a->spf.ip, name);
	} else if (st == DNS_TEMP) {
		find_add(&c->f, FIND_UNKNOWN, "Client", "dns-trouble", 0,
			 "the name of %s could not be asked", a->spf.ip);
	} else {
		find_add(&c->f, FIND_FAIL, "Client",
			 reverse ? "ptr-unconfirmed" : "ptr-missing", 15,
			 "%s has no name that leads back to it", a->spf.ip);
		find_found(&c->f, "%s", reverse ? reverse : "no PTR record");
		find_why(&c->f, "Gmail and most others refuse mail from such "
				"addresses");
	}
	free(name);
	free(reverse);
}

static void
card_tls(struct card *c)
{
	if (!c->t.known)
		return;
	if (c->t.tls) {
		find_add(&c->f, FIND_OK, "Client", "tls", 0,
			 "it came over TLS");
		return;
	}
	find_add(&c->f, FIND_WARN, "Client", "tls-none", 5,
		 "it came without TLS, as its Received field says");
	find_why(&c->f, "Gmail wants TLS of everybody who sends to it");
}

struct rbl_job {
	struct audit a;
	size_t zone;
};

static void
rbl_run(struct buf *out, void *arg)
{
	struct rbl_job *j = arg;

	audit_rbl(&j->a, j->zone, 0);
	find_save(&j->a.f, out);
}

/* All lists at once. */
static void
card_rbl(struct card *c)
{
	const struct strs *zones = check_rbl_zones();
	struct job *v = mem_alloc(zones->n + 1, sizeof(*v));
	struct rbl_job *j = mem_alloc(zones->n + 1, sizeof(*j));
	struct audit_host h = { .name = c->a.spf.ip };
	deadline_t dl = clock_deadline(CHECK_MS);

	strs_add(&h.addrs, c->a.spf.ip);
	for (size_t i = 0; i < zones->n; i++) {
		j[i] = (struct rbl_job){ .zone = i };
		j[i].a = (struct audit){
			.dns = c->a.dns, .dl = dl, .host = &h, .n = 1
		};
		v[i] = (struct job){ .run = rbl_run, .arg = &j[i] };
	}
	if (c->a.client)
		jobs_run(v, zones->n, clock_deadline(CHECK_MS + 2000));
	for (size_t i = 0; i < zones->n; i++) {
		find_load(&c->f, buf_span(&v[i].out));
		buf_free(&v[i].out);
	}
	strs_free(&h.addrs);
	free(v);
	free(j);
}

/* What the receiver's own field says, where we ask nobody. */
static void
card_noted(struct card *c, const char *area, const char *method,
	   const char *why)
{
	struct span word = trace_result(&c->a.m, method);
	char *w;

	if (word.n == 0) {
		find_add(&c->f, FIND_NOTE, area, "not-noted", 0,
			 "no Authentication-Results field says anything");
		return;
	}
	w = mem_spandup(word);
	verdict(&c->f, area, w, "as its Authentication-Results field says",
		why);
	free(w);
}

static void
card_bodies(struct card *c)
{
	const struct msg_field *f;

	for (size_t i = 0; (f = msg_find(&c->a.m, "DKIM-Signature", i)) != NULL;
	     i++) {
		const char *why = "";

		if (i >= VERIFY_SIGNATURES)
			break;
		if (verify_body(&c->a.m, f, c->a.now, &why))
			find_add(&c->f, FIND_OK, "DKIM", "dkim-body", 0,
				 "the body is as it was signed");
		else
			find_add(&c->f, FIND_FAIL, "DKIM", "dkim-body", 15,
				 "%s", why);
	}
}

/* Envelope: options and MX_*, else what the message's trace tells. */
static void
card_envelope(struct card *c)
{
	struct envelope *env = &c->a.env;
	const struct msg_field *f = msg_find(&c->a.m, "Return-Path", 0);

	auth_envelope(&c->a);
	trace_read(&c->t, &c->a.m);
	if (env->client_addr == NULL && c->t.known) {
		env->client_addr = mem_strdup(buf_str(&c->t.ip));
		if (env->helo == NULL)
			env->helo = mem_strdup(buf_str(&c->t.helo));
	}
	if (env->sender == NULL && f != NULL) {
		struct span v = span_trim(f->value);

		if (v.n >= 2 && v.p[0] == '<' && v.p[v.n - 1] == '>')
			env->sender = mem_spandup(span_sub(v, 1, v.n - 1));
	}
}

int
cmd_message(int argc, char **argv)
{
	struct card c = { 0 };
	struct msg_load load;
	struct err e = ERR_INIT;
	int st;

	if (argc > 0)
		return prog_usage("message: %s: unexpected", argv[0]);
	if (msg_load(&load, STDIN_FILENO, 0, &e) != 0)
		return prog_fail(&e);
	msg_index(&c.a.m, load.bytes, 0);
	c.a.id = auth_id();
	c.a.now = check_time();
	card_envelope(&c);
	if (opts.offline) {
		card_noted(&c, "SPF", "spf", SPF_WHY);
		card_noted(&c, "DKIM", "dkim", DKIM_WHY);
		card_bodies(&c);
		card_noted(&c, "DMARC", "dmarc", DMARC_WHY);
		card_tls(&c);
	} else {
		c.a.dns = check_dns();
		if (auth_run(&c.a, &e) != 0)
			return prog_fail(&e);
		card_spf(&c);
		card_dkim(&c);
		card_dmarc(&c);
		card_client(&c);
		card_tls(&c);
		card_rbl(&c);
	}
	score_fields(&c.f, &c.a.m, c.a.now);
	st = check_findings(&c.f, "message");
	trace_done(&c.t);
	auth_done(&c.a);
	msg_done(&c.a.m);
	msg_unload(&load);
	return st;
}
