/*
 * restrict_access.c - check_*_access: which keys are looked up, in Postfix's
 * order; and the policy service.  access(5).
 */
#include "restrict.h"

#include "dns.h"
#include "dns_link.h"
#include "explain.h"
#include "log.h"
#include "mem.h"
#include "policy.h"

#include <stdlib.h>
#include <string.h>

/* A search that goes on while nothing was found. */
struct search {
	const struct rule *rule;
	struct buf value;
	struct err e;
	enum table_result r;
};

/* The first table entry counts; after it, and after a table that is away,
 * nothing is looked up. */
static void
search_key(struct search *k, struct span key)
{
	if (k->r == TABLE_NONE && key.n > 0)
		k->r = tables_lookup(&k->rule->table, key, &k->value, &k->e);
}

static void
search_domain(struct search *k, struct span domain)
{
	if (k->r == TABLE_NONE && domain.n > 0)
		k->r = tables_lookup_domain(&k->rule->table, domain, &k->value,
					    &k->e);
}

/* The address, then its networks at byte borders. */
static void
search_ip(struct search *k, struct span addr)
{
	char sep = span_chr(addr, ':') >= 0 ? ':' : '.';

	while (k->r == TABLE_NONE && addr.n > 0) {
		ssize_t cut = span_rchr(addr, sep);

		search_key(k, addr);
		addr.n = cut > 0 ? (size_t)cut : 0;
	}
}

/* user@domain, user+ext@domain first; the domain; user@. */
static void
search_address(struct search *k, const struct addr *a, const char *delims)
{
	struct span user = a->local, ext, locals[2];
	size_t n = 0;
	struct buf b = BUF_INIT;

	locals[n++] = a->local;
	if (addr_split_ext(a->local, delims, &user, &ext))
		locals[n++] = user;
	for (size_t i = 0; i < n; i++) {
		buf_clear(&b);
		buf_addf(&b, "%.*s@%.*s", SPAN_ARG(locals[i]),
			 SPAN_ARG(a->domain));
		search_key(k, buf_span(&b));
	}
	search_domain(k, a->domain);
	for (size_t i = 0; i < n; i++) {
		buf_clear(&b);
		buf_addf(&b, "%.*s@", SPAN_ARG(locals[i]));
		search_key(k, buf_span(&b));
	}
	buf_free(&b);
}

/* THREATS 71: a table that cannot say is 451, never "no entry". */
static enum verdict
search_end(struct check *c, struct search *k, enum about about)
{
	enum verdict v = V_DUNNO;

	if (k->r == TABLE_FOUND) {
		v = restrict_action(c, about, buf_span(&k->value));
	} else if (k->r == TABLE_TRY_AGAIN) {
		log_warn("%s", k->e.text);
		v = restrict_reject(c, 451, "4.3.5", about,
				    "Server configuration error");
	}
	buf_free(&k->value);
	return v;
}

#define SEARCH(R)                                                              \
	((struct search){ .rule = (R), .e = ERR_INIT, .r = TABLE_NONE })

RULE(restrict_client_access)
{
	struct search k = SEARCH(r);
	const char *name = r->row->about == ABOUT_REVERSE ? c->s->reverse_name
							  : c->s->client_name;

	if (name != NULL && strcmp(name, "unknown") != 0)
		search_domain(&k, span_of(name));
	else
		search_key(&k, SPAN("unknown"));
	if (r->row->about == ABOUT_CLIENT)
		search_ip(&k, span_of(c->s->conn->addr));
	return search_end(c, &k, r->row->about);
}

RULE(restrict_name_access)
{
	struct search k = SEARCH(r);

	if (c->s->helo == NULL)
		return V_DUNNO;
	search_domain(&k, span_of(c->s->helo));
	return search_end(c, &k, r->row->about);
}

RULE(restrict_address_access)
{
	enum about about = r->row->about;
	const struct addr *a =
	    about == ABOUT_SENDER ? &c->s->sender : &c->s->rcpt;
	struct search k = SEARCH(r);
	const struct conf_params *p = &c->s->conf->p;

	if (about == ABOUT_RECIPIENT && a->text.p == NULL)
		return V_DUNNO;
	if (a->null) {
		search_key(&k, span_of(p->null_access_key));
	} else if (a->domain.n == 0) {
		/* as it goes on: with $myorigin */
		search_key(&k, restrict_subject(c, about));
		search_address(&k, a, c->s->conf->site.recipient_delimiter);
	} else {
		search_address(&k, a, c->s->conf->site.recipient_delimiter);
	}
	return search_end(c, &k, about);
}

RULE(restrict_login_access)
{
	struct search k = SEARCH(r);

	if (c->s->auth_user == NULL)
		return V_DUNNO;
	search_key(&k, span_of(c->s->auth_user));
	return search_end(c, &k, ABOUT_LOGIN);
}

/* Fingerprints, of the certificate and of its key. */
RULE(restrict_ccert_access)
{
	struct search k = SEARCH(r);
	struct tls_facts f;

	if (!session_cert(c->s, &f))
		return V_DUNNO;
	search_key(&k, span_of(f.peer_fingerprint));
	search_key(&k, span_of(f.peer_key_fingerprint));
	return search_end(c, &k, ABOUT_CCERT);
}

/* ------- the hosts that serve a name */

struct span
restrict_domain(struct check *c, enum about about)
{
	struct session *s = c->s;
	const char *name;

	switch (about) {
	case ABOUT_CLIENT:
		return span_of(strcmp(s->client_name, "unknown") != 0
				   ? s->client_name
				   : "");
	case ABOUT_REVERSE:
		return span_of(s->reverse_name);
	case ABOUT_HELO:
		name = s->helo;
		return span_of(name != NULL && name[0] != '[' ? name : "");
	case ABOUT_SENDER:
		return s->sender.domain;
	case ABOUT_RECIPIENT:
		return s->rcpt.domain;
	default:
		return SPAN("");
	}
}

/* The hosts behind `domain`: itself, its MX, its (or a parent's) NS. */
static enum dns_status
hosts_of(struct check *c, struct span domain, int type, struct strs *hosts)
{
	struct dns_answer a = { 0 };
	enum dns_status st;

	if (type == DNS_A) {
		strs_addspan(hosts, domain);
		return DNS_OK;
	}
	for (;;) {
		ssize_t dot = span_chr(domain, '.');

		st = dns_link_query(c->s, domain, type, &a);
		if (type != DNS_NS || dot < 0 ||
		    (st != DNS_NXDOMAIN && st != DNS_NODATA))
			break;
		domain = span_from(domain, (size_t)dot + 1);
	}
	for (size_t i = 0; st == DNS_OK && i < a.n; i++)
		if (strcmp(a.v[i].text, ".") != 0)
			strs_add(hosts, a.v[i].text);
	dns_answer_free(&a);
	/* RFC 5321 5.1: without MX the host itself. */
	if (type == DNS_MX && (st == DNS_NXDOMAIN || st == DNS_NODATA)) {
		strs_addspan(hosts, domain);
		st = DNS_OK;
	}
	return st;
}

static void
search_host(struct check *c, struct search *k, const char *host)
{
	static const int types[] = { DNS_A, DNS_AAAA };

	search_domain(k, span_of(host));
	for (size_t t = 0; t < ARRAY_LEN(types); t++) {
		struct dns_answer a = { 0 };

		if (k->r == TABLE_NONE &&
		    dns_link_query(c->s, span_of(host), types[t], &a) == DNS_OK)
			for (size_t i = 0; i < a.n; i++)
				search_ip(k, span_of(a.v[i].text));
		dns_answer_free(&a);
	}
}

RULE(restrict_server_access)
{
	enum about about = r->row->about;
	struct span domain = restrict_domain(c, about);
	struct search k = SEARCH(r);
	struct strs hosts = STRS_INIT;
	enum verdict v;

	if (domain.n == 0)
		return V_DUNNO;
	if (domain.p[0] == '[') {
		struct span ip = span_sub(domain, 1, domain.n - 1);

		if (span_istarts(ip, SPAN("IPv6:")))
			ip = span_from(ip, 5);
		search_ip(&k, ip);
	} else if (hosts_of(c, domain, r->row->type, &hosts) == DNS_TEMP) {
		/* As Postfix: told, and the next rule is asked. */
		log_warn("%s: %.*s: no answer from DNS", r->row->name,
			 SPAN_ARG(domain));
	}
	for (size_t i = 0; i < hosts.n && i < 100; i++)
		search_host(c, &k, hosts.v[i]);
	strs_free(&hosts);
	v = search_end(c, &k, about);
	/* Whoever runs the zone would permit himself: by an address of ours
	 * as well as by a server's name (postconf(5), check_helo_a_access). */
	if (v == V_PERMIT) {
		log_warn("%s %s: OK is not believed here: use DUNNO",
			 r->row->name, r->arg);
		v = V_DUNNO;
	}
	return v;
}

/* ------- policy servers */

RULE(restrict_policy)
{
	enum about about = restrict_about(c->stage);
	struct buf action = BUF_INIT;
	enum verdict v;

	bool ok = policy_ask(c, r, &action);

	explain("policy", "%s: %s%s", r->arg,
		ok ? "" : "no answer: ", buf_str(&action));
	v = restrict_action(c, about, buf_span(&action));
	buf_free(&action);
	return v;
}
