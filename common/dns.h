/*
 * dns.h - DNS on ldns behind a few calls (timeouts, TCP fallback, CNAME
 * limit 8, AD bit).
 * Layer: mail.  A temporary failure is never "no such name".
 */
#ifndef MX_DNS_H
#define MX_DNS_H

#include "buf.h"
#include "clock.h"
#include "err.h"
#include "strs.h"

enum dns_status {
	DNS_OK,
	DNS_NXDOMAIN, /* the name does not exist */
	DNS_NODATA,   /* the name exists, without this type */
	DNS_TEMP,     /* timeout, SERVFAIL, malformed answer: try again */
	DNS_BADNAME   /* not a domain name: no question was asked */
};
const char *dns_words(enum dns_status s);

/* Types as in RFC 1035 and later. */
enum {
	DNS_A = 1,
	DNS_NS = 2,
	DNS_CNAME = 5,
	DNS_SOA = 6,
	DNS_PTR = 12,
	DNS_MX = 15,
	DNS_TXT = 16,
	DNS_AAAA = 28,
	DNS_DS = 43,
	DNS_DNSKEY = 48,
	DNS_TLSA = 52,
	DNS_CAA = 257
};

struct dns_rr {
	uint32_t ttl;
	int preference;                    /* MX */
	uint8_t usage, selector, matching; /* TLSA */
	char *text; /* A/AAAA: address; MX/PTR/NS/CNAME: name without the
		       last dot ("." for the root), lower case; TXT: all
		       strings joined (may hold NUL: see len); else ldns's
		       presentation form */
	size_t len; /* bytes in text; TLSA: data bytes */
};
struct dns_answer {
	struct dns_rr *v;
	size_t n;
	bool ad;    /* authenticated by the resolver */
	char *name; /* owner after CNAMEs */
	uint32_t neg_ttl;
};

struct dns;
/* resolver "HOST[:PORT]" or NULL/"" for /etc/resolv.conf (127.0.0.1 when
 * that is missing).  Questions wait 5 s, twice. */
struct dns *dns_open(const char *resolver, struct err *e);
void dns_close(struct dns *d);
/* Get sockets from elsewhere (a sandboxed worker): opener(ctx, SOCK_DGRAM or
 * SOCK_STREAM, number of the attempt) returns a connected fd or -1. */
void dns_set_opener(struct dns *d, int (*opener)(void *, int, int), void *ctx);
/* Every question goes to asker(ctx, ...) instead, in the sense of dns_query,
 * with the name as it was given: another process asks, which has fewer rights
 * than this one (law 4). */
void dns_set_asker(struct dns *d,
		   enum dns_status (*asker)(void *ctx, const char *name,
					    int type, struct dns_answer *ans,
					    deadline_t dl, struct err *e),
		   void *ctx);
/* The resolvers as addresses, for whoever opens the sockets. */
size_t dns_servers(const struct dns *d, struct strs *hostports);
/* name: U- or A-labels; converted by libidn2.  MX records come sorted by
 * preference, equal ones shuffled.  ans is freed by dns_answer_free. */
enum dns_status dns_query(struct dns *d, const char *name, int type,
			  struct dns_answer *ans, deadline_t dl,
			  struct err *e) MX_MUST_CHECK;
void dns_answer_free(struct dns_answer *ans);
/* "4.3.2.1.in-addr.arpa" or the ip6.arpa form; false if ip is not one.  The
 * suffix may be another zone (DNSBL). */
bool dns_reverse_name(const char *ip, const char *zone4, const char *zone6,
		      struct buf *name) MX_MUST_CHECK;
/* PTR, then forward confirmation (RFC 8601 iprev).  DNS_OK with *name_r set
 * (caller frees) when a name leads back to ip; *reverse_r (may be NULL) is
 * the first PTR name even when it does not. */
enum dns_status dns_client_name(struct dns *d, const char *ip, char **name_r,
				char **reverse_r, deadline_t dl);
/* A-label form, lower case, without trailing dot; false when not a name. */
bool dns_to_ascii(struct span domain, struct buf *out) MX_MUST_CHECK;
/* RFC 1123 host name syntax with at least one letter label (Postfix
 * valid_hostname); labels 1..63, total 253. */
bool dns_valid_hostname(struct span name);

#endif
