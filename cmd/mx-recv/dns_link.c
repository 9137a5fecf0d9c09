/*
 * dns_link.c - see dns_link.h.  RFC 5782 for block lists.
 */
#include "dns_link.h"

#include "escape.h"
#include "log.h"
#include "mem.h"
#include "site.h"

#include <stdlib.h>

#define NAME_MS 5000
#define DOMAIN_MS 10000

static struct dns *dns;

int
dns_link_start(struct server *s, struct err *e)
{
	struct strs servers = STRS_INIT;
	struct dns *fresh = dns_open(site.resolver, e);

	if (fresh == NULL)
		return -1;
	if (dns != NULL)
		dns_close(dns);
	dns = fresh;
	(void)dns_servers(dns, &servers);
	server_resolvers(s, &servers);
	strs_free(&servers);
	return 0;
}

static struct dns *
opened(struct session *s)
{
	dns_set_opener(dns, server_dns_socket, s->server);
	return dns;
}

void
dns_link_client_name(struct session *s)
{
	if (!s->conn->has_peer || !s->conf->p.peername_lookup)
		return;
	/* Ourselves: no question, as the hosts file would answer. */
	if (strcmp(s->conn->addr, "127.0.0.1") == 0 ||
	    strcmp(s->conn->addr, "::1") == 0) {
		s->client_name = "localhost";
		s->reverse_name = mem_strdup("localhost");
		return;
	}
	if (dns_client_name(opened(s), s->conn->addr, &s->name_mem,
			    &s->reverse_name,
			    clock_deadline(NAME_MS)) == DNS_OK &&
	    s->name_mem != NULL)
		s->client_name = s->name_mem;
}

enum dns_status
dns_link_mail_domain(struct session *s, struct span domain)
{
	static const int types[] = { DNS_MX, DNS_A, DNS_AAAA };
	char *name = mem_spandup(domain);
	enum dns_status last = DNS_NXDOMAIN;
	bool temp = false;

	for (size_t i = 0; i < ARRAY_LEN(types); i++) {
		struct dns_answer a = { 0 };
		struct err e = ERR_INIT;
		bool null_mx;

		last = dns_query(opened(s), name, types[i], &a,
				 clock_deadline(DOMAIN_MS), &e);
		/* RFC 7505: "MX 0 ." takes no mail. */
		null_mx = last == DNS_OK && types[i] == DNS_MX && a.n == 1 &&
			  strcmp(a.v[0].text, ".") == 0;
		dns_answer_free(&a);
		if (null_mx)
			last = DNS_NXDOMAIN;
		if (null_mx || last == DNS_OK || last == DNS_NXDOMAIN ||
		    last == DNS_BADNAME)
			break;
		temp |= last == DNS_TEMP;
	}
	free(name);
	return temp && last != DNS_OK ? DNS_TEMP : last;
}

bool
dns_link_listed(struct session *s, const char *zone, struct buf *why)
{
	struct dns_answer a = { 0 };
	struct err e = ERR_INIT;
	struct buf name = BUF_INIT;
	deadline_t d = clock_deadline(DOMAIN_MS);
	bool listed = false;

	if (s->conn->has_peer &&
	    dns_reverse_name(s->conn->addr, zone, zone, &name)) {
		enum dns_status st =
		    dns_query(opened(s), buf_str(&name), DNS_A, &a, d, &e);

		/* RFC 5782 2.1: an answer in 127.0.0.0/8. */
		for (size_t i = 0; st == DNS_OK && i < a.n; i++)
			listed |= strncmp(a.v[i].text, "127.", 4) == 0;
		if (st == DNS_TEMP)
			log_warn("%s: %s", buf_str(&name), e.text);
		dns_answer_free(&a);
	}
	if (listed && dns_query(opened(s), buf_str(&name), DNS_TXT, &a, d,
				&e) == DNS_OK) {
		escape_line(why, span_make(a.v[0].text, a.v[0].len), 200);
		dns_answer_free(&a);
	}
	buf_free(&name);
	return listed;
}
