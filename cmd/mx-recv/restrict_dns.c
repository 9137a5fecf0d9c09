/*
 * restrict_dns.c - rules that ask DNS: names, domains, block and allow lists.
 * RFC 5782 (lists), 7505 (null MX); Postfix postconf(5) rbl_reply_maps.
 * A question without an answer is never a permanent no (THREATS 71).
 */
#include "restrict.h"

#include "dns.h"
#include "dns_link.h"
#include "escape.h"
#include "log.h"
#include "mem.h"
#include "num.h"
#include "template.h"

#include <stdlib.h>

/* type 0: confirmed name; 1: any name; 2: a name that leads somewhere. */
RULE(restrict_unknown_name)
{
	struct session *s = c->s;
	bool known = strcmp(s->client_name, "unknown") != 0;
	struct dns_answer a = { 0 };
	int64_t code = s->conf->p.code_unknown_client;

	if (!s->conn->has_peer || known)
		return V_DUNNO;
	if (r->row->type == 1 && s->reverse_name != NULL)
		return V_DUNNO;
	if (r->row->type == 2 && s->reverse_name != NULL) {
		enum dns_status st;

		st = dns_link_query(s, span_of(s->reverse_name), DNS_A, &a);
		dns_answer_free(&a);
		if (st != DNS_OK) {
			st = dns_link_query(s, span_of(s->reverse_name),
					    DNS_AAAA, &a);
			dns_answer_free(&a);
		}
		if (st == DNS_OK)
			return V_DUNNO;
		if (st == DNS_TEMP)
			code = 450;
	}
	if (s->name_temp)
		code = 450;
	return restrict_say(c, code, "4.7.25",
			    "Client host rejected: cannot find your %s"
			    "hostname, [%s]",
			    r->row->type == 1 ? "reverse " : "", s->conn->addr);
}

/* A HELO name must have an address, or an MX at least. */
RULE(restrict_unknown_helo)
{
	static const int types[] = { DNS_A, DNS_AAAA, DNS_MX };
	struct span h = span_of(c->s->helo);
	bool temp = false;

	(void)r;
	if (h.n == 0 || h.p[0] == '[')
		return V_DUNNO;
	for (size_t i = 0; i < ARRAY_LEN(types); i++) {
		struct dns_answer a;
		enum dns_status st = dns_link_query(c->s, h, types[i], &a);

		dns_answer_free(&a);
		if (st == DNS_OK)
			return V_DUNNO;
		temp |= st == DNS_TEMP;
	}
	if (!temp)
		return restrict_reject(c, c->s->conf->p.code_unknown_helo,
				       "4.7.1", ABOUT_HELO, "Host not found");
	(void)restrict_reject(c, 450, "4.7.1", ABOUT_HELO, "Host not found");
	return restrict_tempfail(c, c->s->conf->p.tempfail_helo);
}

/* Does mail for this domain have somewhere to go? */
RULE(restrict_unknown_domain)
{
	enum about about = r->row->about;
	bool sender = about == ABOUT_SENDER, null_mx = false;
	struct span domain = restrict_domain(c, about);
	enum dns_status st;

	if (domain.n == 0 || domain.p[0] == '[')
		return V_DUNNO;
	/* Ours needs no record: postconf(5). */
	switch (restrict_is_ours(c, domain)) {
	case TABLE_FOUND:
		return V_DUNNO;
	case TABLE_TRY_AGAIN:
		return restrict_reject(c, 451, "4.3.0", about,
				       "Temporary lookup failure");
	case TABLE_NONE:
		break;
	}
	st = dns_link_mail_domain(c->s, domain, &null_mx);
	if (null_mx)
		return restrict_reject(c, sender ? 550 : 556,
				       sender ? "5.7.27" : "5.1.10", about,
				       "Domain %.*s does not accept mail "
				       "(nullMX)",
				       SPAN_ARG(domain));
	if (st == DNS_OK)
		return V_DUNNO;
	if (st != DNS_TEMP)
		return restrict_reject(c, c->s->conf->p.code_unknown_address,
				       sender ? "4.1.8" : "4.1.2", about,
				       "Domain not found");
	(void)restrict_reject(c, 450, sender ? "4.1.8" : "4.1.2", about,
			      "Domain not found");
	return restrict_tempfail(c, c->s->conf->p.tempfail_address);
}

/* ------- lists */

/* "2", "[2;4..7]" against one number. */
static bool
part_matches(struct span part, int n)
{
	struct span item;

	if (part.n > 2 && part.p[0] == '[' && part.p[part.n - 1] == ']')
		part = span_sub(part, 1, part.n - 1);
	while (span_word(&part, ";", &item)) {
		ssize_t dots = span_find(item, SPAN(".."));
		int lo, hi;

		if (dots > 0 &&
		    num_int(span_sub(item, 0, (size_t)dots), 0, 255, &lo) &&
		    num_int(span_from(item, (size_t)dots + 2), 0, 255, &hi)) {
			if (lo <= n && n <= hi)
				return true;
		} else if (num_int(item, 0, 255, &lo) && lo == n) {
			return true;
		}
	}
	return false;
}

/* The next of four: a dot ends it, but not inside brackets. */
static struct span
next_part(struct span *rest)
{
	size_t i = 0;
	bool in = false;
	struct span part;

	while (i < rest->n && (in || rest->p[i] != '.')) {
		if (rest->p[i] == '[')
			in = true;
		else if (rest->p[i] == ']')
			in = false;
		i++;
	}
	part = span_sub(*rest, 0, i);
	*rest = span_from(*rest, i < rest->n ? i + 1 : i);
	return part;
}

/* The reply "127.0.0.4" against the filter "127.0.0.[2..11]". */
static bool
reply_matches(struct span filter, const char *reply)
{
	struct span got = span_of(reply);

	for (int i = 0; i < 4; i++) {
		struct span mine = next_part(&filter), theirs;
		int n;

		theirs = next_part(&got);
		if (!num_int(theirs, 0, 255, &n) || !part_matches(mine, n))
			return false;
	}
	return filter.n == 0;
}

struct listing {
	struct span zone, filter; /* of "zone=filter" */
	struct span what;         /* for the reply: an address, a name */
	struct buf name;          /* what was asked */
	struct buf data, txt;     /* the answer that counts */
};

/* The answer's texts are copies: the memo of dns_link.c may be dropped
 * meanwhile. */
static void
listing_free(struct listing *l)
{
	buf_free(&l->name);
	buf_free(&l->data);
	buf_free(&l->txt);
}

/* Is l->name listed?  DNS_OK: yes; DNS_TEMP: nobody knows; else no. */
static enum dns_status
look(struct check *c, struct listing *l, bool want_txt)
{
	enum dns_status st, txt;
	struct dns_answer a;
	bool hit = false;

	st = dns_link_query(c->s, buf_span(&l->name), DNS_A, &a);
	for (size_t i = 0; st == DNS_OK && i < a.n && !hit; i++) {
		/* RFC 5782 2.1, 2.3: answers are in 127.0.0.0/8, and others
		 * are a wildcard of somebody who took the zone over. */
		hit = l->filter.n > 0 ? reply_matches(l->filter, a.v[i].text)
				      : strncmp(a.v[i].text, "127.", 4) == 0;
		if (hit)
			buf_adds(&l->data, a.v[i].text);
	}
	dns_answer_free(&a);
	if (st == DNS_OK && !hit)
		return DNS_NXDOMAIN;
	if (!hit || !want_txt)
		return st;
	txt = dns_link_query(c->s, buf_span(&l->name), DNS_TXT, &a);
	if (txt == DNS_OK && a.n > 0)
		escape_line(&l->txt, span_make(a.v[0].text, a.v[0].len), 200);
	dns_answer_free(&a);
	return st;
}

/* "zone=filter"; the zone is lower case already in most files. */
static void
zone_of(struct listing *l, const char *arg)
{
	struct span text = span_of(arg);
	ssize_t eq = span_chr(text, '=');

	*l = (struct listing){ .zone = text, .filter = SPAN("") };
	if (eq > 0) {
		l->zone = span_sub(text, 0, (size_t)eq);
		l->filter = span_from(text, (size_t)eq + 1);
	}
}

static bool
client_name_in(struct check *c, struct listing *l)
{
	char *zone = mem_spandup(l->zone);
	bool ok = c->s->conn->has_peer &&
		  dns_reverse_name(c->s->conn->addr, zone, zone, &l->name);

	free(zone);
	return ok;
}

struct rbl_names {
	struct check *c;
	const struct listing *l;
	enum about about;
};

/* One variable of default_rbl_reply. */
static struct span
variable(void *ctx, struct span name)
{
	const struct rbl_names *n = ctx;
	const struct listing *l = n->l;
	struct session *s = n->c->s;
	const struct {
		const char *name;
		struct span v;
	} vars[] = {
		{ "rbl_class", span_of(restrict_class(n->about)) },
		{ "rbl_what", l->what },
		{ "rbl_domain", l->zone },
		{ "rbl_reason", buf_span(&l->txt) },
		{ "rbl_txt", buf_span(&l->txt) },
		{ "rbl_data", buf_span(&l->data) },
		{ "rbl_code", span_of(s->conf->rbl_code) },
		{ "client", span_of(s->who) },
		{ "client_address", span_of(s->conn->addr) },
		{ "client_name", span_of(s->client_name) },
		{ "reverse_client_name", span_of(s->reverse_name) },
		{ "helo_name", span_of(s->helo) },
		{ "sender", buf_span(&s->sender_text) },
		{ "sender_name", s->sender.local },
		{ "sender_domain", s->sender.domain },
		{ "recipient", buf_span(&s->rcpt_text) },
		{ "recipient_name", s->rcpt.local },
		{ "recipient_domain", s->rcpt.domain },
	};

	for (size_t i = 0; i < ARRAY_LEN(vars); i++)
		if (span_is(name, vars[i].name))
			return vars[i].v;
	return SPAN("");
}

/* The words of rbl_reply_maps or default_rbl_reply: "554 5.7.1 text". */
static enum verdict
refuse(struct check *c, const struct rule *r, const struct listing *l,
       enum about about)
{
	const struct conf *conf = c->s->conf;
	struct rbl_names names = { c, l, about };
	struct buf template = BUF_INIT, b = BUF_INIT;
	struct span text, word, rest;
	struct err e = ERR_INIT;
	char esc[12] = "5.7.1";
	int code = 0;

	if (conf->rbl_reply_maps.n == 0 ||
	    tables_lookup(&conf->rbl_reply_maps, span_of(r->arg), &template,
			  &e) != TABLE_FOUND)
		buf_adds(&template, conf->p.rbl_reply);
	template_expand(&b, buf_span(&template), variable, &names);
	text = rest = buf_span(&b);
	if (span_word(&rest, " \t", &word) && word.n == 3 &&
	    num_int(word, 400, 599, &code))
		text = span_trim(rest);
	else
		code = (int)conf->p.code_rbl;
	rest = text;
	if (span_word(&rest, " \t", &word) && word.n >= 5 &&
	    word.n < sizeof(esc) && (word.p[0] == '4' || word.p[0] == '5') &&
	    word.p[1] == '.') {
		memcpy(esc, word.p, word.n);
		esc[word.n] = '\0';
		text = span_trim(rest);
	}
	(void)restrict_say(c, code, esc, "%.*s", SPAN_ARG(text));
	buf_free(&template);
	buf_free(&b);
	return V_REJECT;
}

RULE(restrict_rbl)
{
	struct listing l;
	enum verdict v = V_DUNNO;

	zone_of(&l, r->arg);
	l.what = span_of(c->s->conn->addr);
	/* A list that does not answer lists nobody. */
	if (client_name_in(c, &l) && look(c, &l, true) == DNS_OK)
		v = refuse(c, r, &l, r->row->about);
	listing_free(&l);
	return v;
}

bool
restrict_listed(struct session *s, const char *spec)
{
	struct check c = { .s = s };
	struct listing l;
	bool yes;

	zone_of(&l, spec);
	yes = client_name_in(&c, &l) && look(&c, &l, false) == DNS_OK;
	listing_free(&l);
	return yes;
}

/* A domain in a list of domains. */
static bool
domain_name_in(struct check *c, const struct rule *r, struct listing *l)
{
	struct span d = restrict_domain(c, r->row->about);
	struct buf ascii = BUF_INIT;
	bool ok = d.n > 0 && d.p[0] != '[' && dns_to_ascii(d, &ascii);

	zone_of(l, r->arg);
	if (ok)
		buf_addf(&l->name, "%s.%.*s", buf_str(&ascii),
			 SPAN_ARG(l->zone));
	buf_free(&ascii);
	return ok;
}

RULE(restrict_rhsbl)
{
	enum about about = r->row->about;
	enum verdict v = V_DUNNO;
	struct listing l;

	if (domain_name_in(c, r, &l)) {
		l.what = about == ABOUT_SENDER || about == ABOUT_RECIPIENT
			     ? restrict_subject(c, about)
			     : restrict_domain(c, about);
		if (look(c, &l, true) == DNS_OK)
			v = refuse(c, r, &l, about);
	}
	listing_free(&l);
	return v;
}

/* Who is listed passes; where nobody answers, a later no is not for good. */
static enum verdict
allow(struct check *c, struct listing *l)
{
	enum dns_status st = look(c, l, false);

	if (st == DNS_TEMP) {
		(void)restrict_say(c, 450, "4.7.1",
				   "<%s>: Service unavailable: no answer from "
				   "%.*s",
				   c->s->who, SPAN_ARG(l->zone));
		return restrict_defer_if_reject(c);
	}
	return st == DNS_OK ? V_PERMIT : V_DUNNO;
}

RULE(restrict_dnswl)
{
	struct listing l;
	enum verdict v = V_DUNNO;

	zone_of(&l, r->arg);
	if (client_name_in(c, &l))
		v = allow(c, &l);
	listing_free(&l);
	return v;
}

RULE(restrict_rhswl)
{
	struct listing l;
	enum verdict v = V_DUNNO;

	if (domain_name_in(c, r, &l))
		v = allow(c, &l);
	listing_free(&l);
	return v;
}
