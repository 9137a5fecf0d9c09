/*
 * audit_host.c - one address of a mail host as other mail servers meet it:
 * its name, greeting, TLS, DANE; and the block lists.
 */
#include "audit.h"
#include "escape.h"
#include "mem.h"
#include "probe.h"
#include "rbl.h"
#include "site.h"

#include <stdlib.h>

#define SOON_DAYS 14
#define PROBE_MS                                                               \
	12000 /* a host that makes strangers wait longer loses mail            \
	       */

static void
host_ptr(struct audit *a, const char *area, const char *host, const char *ip)
{
	struct findings *f = &a->f;
	char *name = NULL, *reverse = NULL;
	struct buf rname = BUF_INIT;
	enum dns_status st =
	    dns_client_name(a->dns, ip, &name, &reverse, a->dl);

	if (st == DNS_TEMP) {
		audit_trouble(a, area, "the name of the address",
			      "DNS is in trouble");
	} else if (st == DNS_OK) {
		find_add(f, FIND_OK, area, "ptr", 0,
			 "%s is %s, and that leads back", ip, name);
	} else {
		find_add(f, FIND_FAIL, area,
			 reverse ? "ptr-unconfirmed" : "ptr-missing", 15,
			 reverse ? "the name of %s does not lead back to it"
				 : "%s has no name in DNS",
			 ip);
		find_expected(f, "a PTR record whose name has %s as address",
			      ip);
		find_found(f, "%s", reverse ? reverse : "no PTR record");
		find_why(f, "Gmail, Outlook and most others refuse mail from "
			    "addresses without forward-confirmed name; the "
			    "owner of the network (your provider) sets it");
		if (dns_reverse_name(ip, NULL, NULL, &rname))
			find_record(f, buf_str(&rname), "PTR", "%s.", host);
	}
	buf_free(&rname);
	free(name);
	free(reverse);
}

/* Does this name have that address? */
static bool
name_has(struct audit *a, const char *name, const char *ip)
{
	struct dns_answer ans;
	bool has = false;

	if (dns_query(a->dns, name, strchr(ip, ':') != NULL ? DNS_AAAA : DNS_A,
		      &ans, a->dl, NULL) != DNS_OK)
		return false;
	for (size_t i = 0; i < ans.n; i++)
		has |= strcmp(ans.v[i].text, ip) == 0;
	dns_answer_free(&ans);
	return has;
}

static void
host_banner(struct audit *a, const char *area, const char *host, const char *ip,
	    struct probe *p)
{
	const char *name = buf_str(&p->banner_host);

	if (name[0] == '\0')
		return;
	if (strcasecmp(name, host) == 0 || name_has(a, name, ip)) {
		find_add(&a->f, FIND_OK, area, "banner", 0,
			 "answers, and calls itself %s", name);
		return;
	}
	find_add(&a->f, FIND_WARN, area, "banner", 3,
		 "calls itself by a name that is not its own");
	find_expected(&a->f, "%s, or a name with the address %s", host, ip);
	find_found(&a->f, "220 %s", name);
	find_why(&a->f, "what it says in its greeting it most likely says in "
			"HELO too, and others check that: set myhostname");
}

static void
host_tls_name(struct audit *a, const char *area, const char *host, X509 *x)
{
	struct findings *f = &a->f;
	struct buf names = BUF_INIT;

	if (!cert_has_name(x, host)) {
		cert_names(x, &names);
		find_add(f, FIND_WARN, area, "cert-name", 5,
			 "the certificate is for another name");
		find_expected(f, "%s", host);
		find_found(f, "%s", names.n ? buf_str(&names) : "no name");
		find_why(f, "senders that verify (MTA-STS, secure) turn away");
		buf_free(&names);
	}
}

static void
host_cert(struct audit *a, const char *area, const char *host, struct probe *p)
{
	struct findings *f = &a->f;
	X509 *x = sk_X509_value(p->chain, 0);
	const char *why;
	size_t before = f->n;
	int days = cert_days(x);

	if (days < 0 || days < SOON_DAYS) {
		find_add(f, days < 0 ? FIND_FAIL : FIND_WARN, area,
			 days < 0 ? "cert-expired" : "cert-expires",
			 days < 0 ? 10 : 3,
			 days < 0 ? "the certificate has expired"
				  : "the certificate ends in %d days",
			 days);
		find_why(f, "senders that verify (MTA-STS, secure) turn away: "
			    "is the renewal running, and the server reloaded "
			    "after it?");
	}
	host_tls_name(a, area, host, x);
	if (days >= 0 && !cert_trusted(p->chain, opts.ca_file, &why)) {
		find_add(f, FIND_WARN, area, "cert-untrusted", 5,
			 "the certificate leads to no known authority");
		find_found(f, "%s", why);
		find_why(f, "senders that verify by MTA-STS turn away; DANE "
			    "does without authorities");
	}
	if (f->n == before)
		find_add(f, FIND_OK, area, "tls", 0,
			 "STARTTLS: %s, %s, certificate valid for %d days",
			 p->protocol, p->cipher, days);
}

static void
dane_missing(struct audit *a, const char *area, const char *name, bool ad,
	     struct probe *p)
{
	struct findings *f = &a->f;
	struct buf data = BUF_INIT, hex = BUF_INIT;

	find_add(f, FIND_NOTE, area, "dane-missing", 0,
		 ad ? "no TLSA record: senders cannot verify by DANE"
		    : "no TLSA record (it would need DNSSEC)");
	find_why(f, "with DANE, senders know before the first byte that this "
		    "host speaks TLS, and with which key (RFC 7672)");
	if (ad && cert_tlsa(sk_X509_value(p->chain, 0), 1, 1, &data)) {
		hex_encode(&hex, buf_span(&data));
		find_record(f, name, "TLSA", "3 1 1 %s", buf_str(&hex));
	}
	buf_free(&data);
	buf_free(&hex);
}

static void
dane_wrong(struct audit *a, const char *area, const char *name,
	   const struct dns_answer *ans, struct probe *p)
{
	struct findings *f = &a->f;
	struct buf data = BUF_INIT, hex = BUF_INIT, have = BUF_INIT;

	for (size_t i = 0; i < ans->n; i++) {
		const struct dns_rr *rr = &ans->v[i];

		buf_addf(&have, "%s%d %d %d ", i ? "; " : "", rr->usage,
			 rr->selector, rr->matching);
		hex_encode(&have, span_make(rr->text, rr->len));
	}
	find_add(f, FIND_FAIL, area, "dane-mismatch", 20,
		 "the TLSA records do not fit the certificate");
	find_expected(f, "a record that fits the key of today");
	find_found(f, "%s", buf_str(&have));
	find_why(f, "senders with DANE (Microsoft, Comcast, gmx, posteo ...) "
		    "deliver nothing: their mail waits, then bounces");
	if (cert_tlsa(sk_X509_value(p->chain, 0), 1, 1, &data)) {
		hex_encode(&hex, buf_span(&data));
		find_record(f, name, "TLSA", "3 1 1 %s", buf_str(&hex));
	}
	buf_free(&data);
	buf_free(&hex);
	buf_free(&have);
}

static void
host_dane(struct audit *a, const char *area, const char *host, struct probe *p)
{
	struct dns_answer ans;
	char *name = mem_printf("_25._tcp.%s", host);
	enum dns_status st =
	    dns_query(a->dns, name, DNS_TLSA, &ans, a->dl, NULL);
	bool match = false;

	if (st == DNS_TEMP) {
		audit_trouble(a, area, name, "DNS is in trouble");
	} else if (st != DNS_OK) {
		dane_missing(a, area, name, ans.ad, p);
	} else {
		for (size_t i = 0; i < ans.n; i++)
			match |= cert_tlsa_match(p->chain, &ans.v[i], host);
		if (!match) {
			dane_wrong(a, area, name, &ans, p);
		} else if (!ans.ad) {
			find_add(&a->f, FIND_WARN, area, "dane-unsigned", 2,
				 "the TLSA record fits, and is not signed by "
				 "DNSSEC as this resolver sees it");
			find_why(&a->f, "without DNSSEC nobody looks at it");
		} else {
			find_add(&a->f, FIND_OK, area, "dane", 0,
				 "DANE: the TLSA record fits the certificate");
		}
	}
	if (st != DNS_TEMP)
		dns_answer_free(&ans);
	free(name);
}

static void
host_no_tls(struct audit *a, const char *area, const struct probe *p)
{
	struct findings *f = &a->f;

	if (p->reached < PROBE_STARTTLS) {
		find_add(f, FIND_FAIL, area,
			 p->reached == PROBE_CONNECT ? "smtp-unreachable"
						     : "smtp-refuses",
			 20,
			 p->reached == PROBE_CONNECT
			     ? "no answer on port 25"
			     : "answers, and does not take mail");
		find_expected(f, "220 and a greeting, then 250 to EHLO");
		find_found(f, "%s", p->error);
		find_why(f, "no mail arrives here (if every host is silent, "
			    "look whether your own network lets port 25 out)");
		return;
	}
	find_add(f, FIND_FAIL, area,
		 p->reached == PROBE_STARTTLS ? "starttls-missing"
					      : "starttls-fails",
		 10,
		 p->reached == PROBE_STARTTLS
		     ? "mail comes in without encryption"
		     : "STARTTLS is offered, and the handshake fails");
	find_expected(f, "STARTTLS with TLS 1.2 or newer (RFC 3207)");
	find_found(f, "%s", p->error);
	find_why(f, "Gmail wants TLS of who sends to it and shows a red "
		    "padlock for the rest; senders with MTA-STS or DANE turn "
		    "away");
}

void
audit_host(struct audit *a, size_t i, size_t k)
{
	const char *host = a->host[i].name, *ip = a->host[i].addrs.v[k];
	char *area = mem_printf("%s[%s]", host, ip);
	deadline_t dl = clock_deadline(PROBE_MS);
	struct probe p;

	probe_run(&p, PROBE_SMTP, host, ip, check_port(opts.smtp_port, 25),
		  site.myhostname, dl < a->dl ? dl : a->dl);
	host_banner(a, area, host, ip, &p);
	host_ptr(a, area, host, ip);
	if (p.reached != PROBE_DONE) {
		host_no_tls(a, area, &p);
	} else {
		host_cert(a, area, host, &p);
		host_dane(a, area, host, &p);
	}
	probe_done(&p);
	free(area);
}

static void
rbl_one(struct audit *a, const char *zone, const char *ip, int *clean)
{
	struct rbl r;

	rbl_query(&r, a->dns, ip, zone, a->dl);
	switch (r.code) {
	case RBL_LISTED:
		find_add(&a->f, FIND_FAIL, "Block-lists", "rbl-listed", 20,
			 "%s lists %s", zone, ip);
		find_found(&a->f, "%s %s", r.answer, buf_str(&r.text));
		find_why(&a->f, "receivers that ask this list refuse mail from "
				"there; its page says how to get off");
		break;
	case RBL_CLEAN:
		++*clean;
		break;
	default:
		find_add(&a->f, FIND_NOTE, "Block-lists", "rbl-unknown", 0,
			 r.code == RBL_REFUSED
			     ? "%s does not answer this resolver about %s"
			     : "%s does not answer about %s",
			 zone, ip);
		if (r.code == RBL_REFUSED)
			find_found(&a->f, "%s %s", r.answer, buf_str(&r.text));
	}
	rbl_done(&r);
}

void
audit_rbl(struct audit *a, size_t i, size_t k)
{
	const char *zone = check_rbl_zones()->v[i];
	int clean = 0;

	(void)k;
	for (size_t h = 0; h < a->n; h++)
		for (size_t n = 0; n < a->host[h].addrs.n; n++)
			rbl_one(a, zone, a->host[h].addrs.v[n], &clean);
	if (clean > 0)
		find_add(&a->f, FIND_OK, "Block-lists", "rbl", 0,
			 "%s: %d address%s not listed", zone, clean,
			 clean == 1 ? "" : "es");
}
