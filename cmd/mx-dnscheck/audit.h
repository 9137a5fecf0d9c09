/*
 * audit.h - the audit of a domain: what its parts share.
 */
#ifndef MX_AUDIT_H
#define MX_AUDIT_H

#include "dnscheck.h"
#include "finding.h"

struct audit_host {
	char *name;
	int preference;
	struct strs addrs;
	bool temp;  /* its addresses could not be asked */
	bool alias; /* the name is a CNAME */
};
struct audit {
	char *domain; /* A-labels */
	struct dns *dns;
	deadline_t dl;
	bool mx_ad, has_mx, null_mx;
	struct audit_host *host;
	size_t n, cap;
	struct findings f;
};

/* One question, in a child of its own: adds findings to a->f.  i and k: the
 * host, its address, or a number of the task's own. */
struct audit_task {
	void (*run)(struct audit *a, size_t i, size_t k);
	const char *area;
	size_t i, k;
	struct audit *a;
};

/* audit_dns.c */
void audit_mx(struct audit *a, size_t i, size_t k);
void audit_zone(struct audit *a, size_t i, size_t k); /* NS, DNSSEC, CAA */
void audit_dmarc(struct audit *a, size_t i, size_t k);
void audit_bimi(struct audit *a, size_t i, size_t k);
void audit_sts(struct audit *a, size_t i, size_t k);
void audit_tlsrpt(struct audit *a, size_t i, size_t k);
/* audit_dkim.c */
void audit_dkim(struct audit *a, size_t i, size_t k);
/* audit_host.c */
void audit_host(struct audit *a, size_t i, size_t k); /* address k of host i */
void audit_rbl(struct audit *a, size_t i, size_t k);  /* zone i */
/* spf_lint.c */
void audit_spf(struct audit *a, size_t i, size_t k);
void audit_spf_host(struct audit *a, size_t i, size_t k);
/* Looks at the record itself; true when there is one that evaluates. */
bool spf_lint(struct findings *f, struct dns *dns, const char *domain,
	      const char *suggestion, deadline_t dl);

/* "cannot be asked" of something: DNS or network trouble, never a fault. */
void audit_trouble(struct audit *a, const char *area, const char *what,
		   const char *why);

#endif
