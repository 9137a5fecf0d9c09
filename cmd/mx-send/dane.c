/*
 * dane.c - TLSA records of a mail host.
 * RFC 7672 2.2, 3.1: only authenticated answers count; a lookup that fails is
 * never "no records".
 */
#include "send.h"
#include "escape.h"
#include "mem.h"
#include "status.h"

#include <stdio.h>
#include <stdlib.h>

#define ROWS_MAX 100

/* The records of one name.  DANE_NONE: none, or not authenticated. */
static enum dane_state
rows_of(struct dane *a, struct dns *dns, const char *base, int port,
	struct err *e)
{
	struct dns_answer ans = { .n = 0 };
	enum dane_state state = DANE_NONE;
	char *name = mem_printf("_%d._tcp.%s", port, base);

	switch (dns_query(dns, name, DNS_TLSA, &ans, DEADLINE_NEVER, e)) {
	case DNS_OK:
		state = ans.ad ? DANE_UNUSABLE : DANE_NONE;
		break;
	case DNS_TEMP:
		state = DANE_TROUBLE;
		break;
	default:
		break;
	}
	if (state == DANE_UNUSABLE) {
		a->rows = mem_alloc(ans.n, sizeof(a->rows[0]));
		for (size_t i = 0; i < ans.n && i < ROWS_MAX; i++) {
			struct tls_tlsa *r = &a->rows[a->n++];
			*r = (struct tls_tlsa){
				.usage = ans.v[i].usage,
				.selector = ans.v[i].selector,
				.matching = ans.v[i].matching,
				.data = span_make(ans.v[i].text, ans.v[i].len)
			};
			ans.v[i].text = NULL; /* ours now */
			if (tls_tlsa_usable(r))
				state = DANE_USABLE;
		}
		a->base = mem_strdup(base);
	}
	dns_answer_free(&ans);
	free(name);
	return state;
}

/* RFC 7672 2.2.2: the target of an alias is not authenticated; the alias
 * itself may be. */
static bool
alias_is_secure(struct dns *dns, const char *host, enum dane_state *state,
		struct err *e)
{
	struct dns_answer ans = { .n = 0 };
	enum dns_status st =
	    dns_query(dns, host, DNS_CNAME, &ans, DEADLINE_NEVER, e);
	bool secure = st == DNS_OK && ans.ad;

	if (st == DNS_TEMP)
		*state = DANE_TROUBLE;
	dns_answer_free(&ans);
	return secure;
}

void
dane_find(struct dane *a, const struct group *g, const struct mx_target *t,
	  struct dns *dns)
{
	bool alias = t->owner != NULL && strcasecmp(t->owner, t->host) != 0;

	*a = (struct dane){ .state = DANE_NONE };
	/* Names of the hosts file and addresses have no records. */
	if (dns == NULL || t->owner == NULL || t->port == 0)
		return;
	if (!g->hosts.secure && params.dane_insecure_mx == INSECURE_MX_MAY)
		return;
	if (t->secure) {
		/* The name behind the alias first. */
		a->state = rows_of(a, dns, t->owner, t->port, &a->why);
		if (a->state == DANE_NONE && alias)
			a->state = rows_of(a, dns, t->host, t->port, &a->why);
	} else if (alias && alias_is_secure(dns, t->host, &a->state, &a->why)) {
		a->state = rows_of(a, dns, t->host, t->port, &a->why);
	}
	/* Records under a host whose MX nobody vouches for: encrypted only. */
	if (!g->hosts.secure && a->state == DANE_USABLE &&
	    params.dane_insecure_mx == INSECURE_MX_ENCRYPT)
		a->state = DANE_UNUSABLE;
}

/* RFC 7672 3.2.2, 3.2.3: the names that a trust anchor's certificate may
 * stand for. */
void
dane_names(const struct dane *a, const struct group *g,
	   const struct mx_target *t, struct strs *out)
{
	if (strcmp(a->base, t->host) != 0)
		strs_add(out, t->host);
	if (g->hosts.secure && g->hosts.by_mx)
		strs_add(out, g->hosts.domain);
}
