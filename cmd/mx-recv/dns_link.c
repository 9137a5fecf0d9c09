/*
 * dns_link.c - see dns_link.h.
 */
#include "dns_link.h"

#include "explain.h"
#include "log.h"
#include "mem.h"
#include "site.h"

#include <stdlib.h>

#define NAME_MS 5000
#define DOMAIN_MS 10000
#define MEMO_MAX 200

static struct dns *dns;

/* What this session has asked already. */
static struct memo {
	char *name;
	int type;
	enum dns_status st;
	struct dns_answer a;
} memo[MEMO_MAX];
static size_t nmemo;

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

/* Sockets for questions come from the monitor: the sandbox lets us open none.
 */
static struct dns *
opened(struct session *s)
{
	dns_set_opener(dns, server_dns_socket, s->server);
	return dns;
}

void
dns_link_client_name(struct session *s)
{
	enum dns_status st;

	if (!s->conn->has_peer || !s->conf->p.peername_lookup)
		return;
	/* Ourselves: no question, as the hosts file would answer. */
	if (strcmp(s->conn->addr, "127.0.0.1") == 0 ||
	    strcmp(s->conn->addr, "::1") == 0) {
		s->client_name = "localhost";
		s->reverse_name = mem_strdup("localhost");
		return;
	}
	st = dns_client_name(opened(s), s->conn->addr, &s->name_mem,
			     &s->reverse_name, clock_deadline(NAME_MS));
	s->name_temp = st == DNS_TEMP;
	if (st == DNS_OK && s->name_mem != NULL)
		s->client_name = s->name_mem;
	explain("dns", "name of %s: %s%s%s", s->conn->addr, s->client_name,
		s->reverse_name != NULL ? ", unconfirmed: " : "",
		s->reverse_name != NULL ? s->reverse_name : "");
}

/* Callers free their answer; the memo keeps its own. */
static void
copy(struct dns_answer *to, const struct dns_answer *from)
{
	*to = (struct dns_answer){ .n = from->n, .ad = from->ad };
	if (from->n == 0)
		return;
	to->v = mem_alloc(from->n, sizeof(*to->v));
	for (size_t i = 0; i < from->n; i++) {
		to->v[i] = from->v[i];
		to->v[i].text = mem_spandup(
		    span_make(from->v[i].text, from->v[i].len > 0
						   ? from->v[i].len
						   : strlen(from->v[i].text)));
	}
}

static void
told(const struct memo *m, const char *why)
{
	static const struct {
		int type;
		const char *name;
	} names[] = {
		{ DNS_A, "A" },   { DNS_AAAA, "AAAA" }, { DNS_MX, "MX" },
		{ DNS_NS, "NS" }, { DNS_TXT, "TXT" },   { DNS_PTR, "PTR" }
	};
	struct buf b = BUF_INIT;
	const char *type = "?";

	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		if (names[i].type == m->type)
			type = names[i].name;
	for (size_t i = 0; i < m->a.n; i++)
		buf_addf(&b, "%s%s", i > 0 ? ", " : "", m->a.v[i].text);
	explain("dns", "%s %s: %s", m->name, type,
		m->st == DNS_OK     ? buf_str(&b)
		: m->st == DNS_TEMP ? why
				    : dns_words(m->st));
	buf_free(&b);
}

enum dns_status
dns_link_query(struct session *s, struct span name, int type,
	       struct dns_answer *ans)
{
	struct err e = ERR_INIT;
	struct memo *m;

	*ans = (struct dns_answer){ 0 };
	for (size_t i = 0; i < nmemo; i++)
		if (memo[i].type == type &&
		    span_ieq(name, span_of(memo[i].name))) {
			copy(ans, &memo[i].a);
			told(&memo[i], "no answer before");
			return memo[i].st;
		}
	/* A session of many recipients may ask without end: the oldest go. */
	if (nmemo == MEMO_MAX)
		dns_link_forget();
	m = &memo[nmemo++];
	*m = (struct memo){ .name = mem_spandup(name), .type = type };
	m->st = dns_query(opened(s), m->name, type, &m->a,
			  clock_deadline(DOMAIN_MS), &e);
	if (m->st != DNS_OK) {
		dns_answer_free(&m->a);
		m->a = (struct dns_answer){ 0 };
	}
	if (m->st == DNS_TEMP)
		log_warn("%s: %s", m->name, e.text);
	copy(ans, &m->a);
	told(m, e.text);
	return m->st;
}

/* Another client, or too many questions. */
void
dns_link_forget(void)
{
	for (size_t i = 0; i < nmemo; i++) {
		free(memo[i].name);
		dns_answer_free(&memo[i].a);
	}
	nmemo = 0;
}

enum dns_status
dns_link_mail_domain(struct session *s, struct span domain, bool *null_mx_r)
{
	static const int types[] = { DNS_MX, DNS_A, DNS_AAAA };
	enum dns_status last = DNS_NXDOMAIN;
	bool temp = false;

	*null_mx_r = false;
	for (size_t i = 0; i < ARRAY_LEN(types); i++) {
		struct dns_answer a;

		last = dns_link_query(s, domain, types[i], &a);
		*null_mx_r = last == DNS_OK && types[i] == DNS_MX && a.n == 1 &&
			     strcmp(a.v[0].text, ".") == 0;
		dns_answer_free(&a);
		if (last == DNS_OK || last == DNS_NXDOMAIN ||
		    last == DNS_BADNAME)
			break;
		temp |= last == DNS_TEMP;
	}
	return temp && last != DNS_OK ? DNS_TEMP : last;
}
