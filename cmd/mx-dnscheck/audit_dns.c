/*
 * audit_dns.c - the audit of what stands in DNS alone: MX, name servers,
 * DNSSEC, DMARC, TLSRPT, MTA-STS, BIMI, CAA.
 */
#include "audit.h"
#include "mem.h"
#include "sts.h"

#include <arpa/inet.h>
#include <stdlib.h>

void
audit_trouble(struct audit *a, const char *area, const char *what,
	      const char *why)
{
	find_add(&a->f, FIND_UNKNOWN, area, "dns-trouble", 0,
		 "%s could not be asked", what);
	find_found(&a->f, "%s", why);
}

static void
mx_host(struct audit *a, const struct audit_host *h)
{
	struct findings *f = &a->f;
	struct buf addrs = BUF_INIT;
	unsigned char ip[16];

	for (size_t i = 0; i < h->addrs.n; i++)
		buf_addf(&addrs, "%s%s", i ? ", " : "", h->addrs.v[i]);
	if (h->addrs.n > 0 && !h->alias) {
		find_add(f, FIND_OK, "MX", "mx", 0, "%d %s: %s", h->preference,
			 h->name, buf_str(&addrs));
	} else if (h->temp) {
		audit_trouble(a, "MX", h->name, "DNS is in trouble");
	} else if (h->addrs.n == 0) {
		find_add(f, FIND_FAIL, "MX", "mx-address", 20,
			 "%s has no address", h->name);
		find_expected(f, "a host name with an A or AAAA record");
		find_found(f, "%s",
			   inet_pton(AF_INET, h->name, ip) == 1
			       ? "an address in the place of a name"
			       : "nothing");
		find_why(f, "mail for this host waits at the sender, or goes "
			    "to the next one");
	} else {
		find_add(f, FIND_WARN, "MX", "mx-cname", 3,
			 "%s is an alias (CNAME)", h->name);
		find_expected(f, "a name with address records of its own");
		find_why(f, "RFC 2181 10.3 forbids it, and some senders do not "
			    "deliver");
	}
	buf_free(&addrs);
}

void
audit_mx(struct audit *a, size_t i, size_t k)
{
	struct findings *f = &a->f;
	bool v6 = false, any = false;

	(void)i;
	(void)k;
	if (a->null_mx) {
		find_add(f, FIND_NOTE, "MX", "mx-null", 0,
			 "takes no mail (null MX, RFC 7505)");
		return;
	}
	if (!a->has_mx) {
		find_add(f, FIND_WARN, "MX", "mx-missing", 10,
			 "%s has no MX record", a->domain);
		find_expected(f, "at least one mail host");
		find_found(f, "senders try the addresses of %s itself",
			   a->domain);
		find_why(f, "many receivers refuse senders' domains without "
			    "MX");
		find_record(f, a->domain, "MX", "10 mail.%s.", a->domain);
	}
	for (size_t h = 0; h < a->n; h++) {
		mx_host(a, &a->host[h]);
		for (size_t n = 0; n < a->host[h].addrs.n; n++) {
			any = true;
			v6 |= strchr(a->host[h].addrs.v[n], ':') != NULL;
		}
	}
	if (any && !v6) {
		find_add(f, FIND_NOTE, "MX", "ipv6", 0,
			 "no mail host has an IPv6 address");
		find_why(f, "hosts that have IPv6 alone cannot deliver");
	}
}

static void
zone_ns(struct audit *a)
{
	struct dns_answer ans;
	enum dns_status st =
	    dns_query(a->dns, a->domain, DNS_NS, &ans, a->dl, NULL);

	if (st == DNS_TEMP) {
		audit_trouble(a, "DNS", "name servers", "DNS is in trouble");
		return;
	}
	if (st == DNS_OK && ans.n == 1) {
		find_add(&a->f, FIND_WARN, "DNS", "ns-one", 1,
			 "one name server: %s", ans.v[0].text);
		find_expected(&a->f, "two at least, in different networks");
		find_why(&a->f, "when it is away, nobody finds your mail "
				"(RFC 2182)");
	} else if (st == DNS_OK) {
		find_add(&a->f, FIND_OK, "DNS", "ns", 0, "%zu name servers",
			 ans.n);
	}
	dns_answer_free(&ans);
}

static void
zone_dnssec(struct audit *a)
{
	struct dns_answer ans;
	enum dns_status st;

	if (a->mx_ad) {
		find_add(&a->f, FIND_OK, "DNS", "dnssec", 0,
			 "signed with DNSSEC");
		return;
	}
	st = dns_query(a->dns, a->domain, DNS_DNSKEY, &ans, a->dl, NULL);
	if (st == DNS_OK) {
		find_add(&a->f, FIND_NOTE, "DNS", "dnssec-unverified", 0,
			 "has DNSSEC keys; this resolver does not verify them");
	} else if (st != DNS_TEMP) {
		find_add(&a->f, FIND_WARN, "DNS", "dnssec-missing", 2,
			 "not signed with DNSSEC");
		find_why(&a->f, "answers can be forged, and DANE cannot be "
				"used");
	}
	if (st != DNS_TEMP)
		dns_answer_free(&ans);
}

static void
zone_caa(struct audit *a)
{
	struct dns_answer ans;
	enum dns_status st =
	    dns_query(a->dns, a->domain, DNS_CAA, &ans, a->dl, NULL);

	if (st == DNS_OK) {
		find_add(&a->f, FIND_OK, "DNS", "caa", 0, "CAA: %s",
			 ans.v[0].text);
	} else if (st != DNS_TEMP) {
		find_add(&a->f, FIND_NOTE, "DNS", "caa-missing", 0,
			 "no CAA record: any authority may issue certificates");
		find_record(&a->f, a->domain, "CAA",
			    "0 issue \"letsencrypt.org\"");
	}
	if (st != DNS_TEMP)
		dns_answer_free(&ans);
}

void
audit_zone(struct audit *a, size_t i, size_t k)
{
	(void)i;
	(void)k;
	zone_ns(a);
	zone_dnssec(a);
	zone_caa(a);
}

static void
dmarc_missing(struct audit *a)
{
	struct findings *f = &a->f;
	char *name = mem_printf("_dmarc.%s", a->domain);

	find_add(f, FIND_FAIL, "DMARC", "dmarc-missing", 15,
		 "%s has no DMARC record", a->domain);
	find_expected(f,
		      "one TXT record that begins with v=DMARC1 at %s, "
		      "p=none to begin with",
		      name);
	find_found(f, "none there nor above");
	find_why(f, "Gmail, Yahoo and Outlook want it of who sends much; "
		    "without it anybody may write in your name");
	find_record(f, name, "TXT",
		    "v=DMARC1; p=none; rua=mailto:postmaster@%s", a->domain);
	free(name);
}

static struct span
tag_of(struct span txt, const char *want)
{
	struct span piece;

	while (span_split(&txt, ';', &piece)) {
		ssize_t eq = span_chr(piece, '=');

		if (eq > 0 &&
		    span_iis(span_trim(span_sub(piece, 0, (size_t)eq)), want))
			return span_trim(span_from(piece, (size_t)eq + 1));
	}
	return span_make(NULL, 0);
}

/* Reports that go to another organisation need its consent, under the name of
 * the domain where the record stands (RFC 9990 4). */
static void
dmarc_destinations(struct audit *a, const struct dmarc *d)
{
	struct span rest = tag_of(buf_span(&d->record), "rua"), uri;

	while (rest.p != NULL && span_split(&rest, ',', &uri)) {
		ssize_t at = span_rchr(uri, '@');
		struct span host = span_trim(span_from(uri, (size_t)(at + 1)));
		struct dmarc other;
		struct buf record = BUF_INIT;
		char reason[STS_REASON];
		char *h, *name;

		if (at < 0 || host.n == 0)
			continue;
		if (span_chr(host, '!') >= 0)
			host.n = (size_t)span_chr(host, '!');
		h = mem_spandup(host);
		dmarc_check(&other, a->dns, h, &(struct dmarc_identity){ 0 },
			    NULL, 0, a->dl);
		name =
		    mem_printf("%s._report._dmarc.%s", buf_str(&d->domain), h);
		if (strcasecmp(buf_str(&other.org), buf_str(&d->org)) != 0 &&
		    other.code != VERIFY_TEMPERROR &&
		    mtasts_txt(a->dns, name, "v=DMARC1", &record, reason,
			       a->dl) == 0) {
			find_add(&a->f, FIND_WARN, "DMARC", "dmarc-external", 3,
				 "%s has not said that it takes your reports",
				 h);
			find_why(&a->f, "nobody sends reports there until this "
					"stands in its zone");
			find_record(&a->f, name, "TXT", "v=DMARC1;");
		}
		dmarc_done(&other);
		buf_free(&record);
		free(h);
		free(name);
	}
}

static void
dmarc_tags(struct audit *a, const struct dmarc *d)
{
	static const char *const dropped[] = { "pct", "rf", "ri" };
	struct span txt = buf_span(&d->record);

	for (size_t i = 0; i < ARRAY_LEN(dropped); i++) {
		if (tag_of(txt, dropped[i]).p == NULL)
			continue;
		find_add(&a->f, FIND_NOTE, "DMARC", "dmarc-old-tag", 0,
			 "%s= has no meaning any more (RFC 9989)%s", dropped[i],
			 i == 0 ? ": t=y is the test mode" : "");
	}
	if (tag_of(txt, "rua").p == NULL) {
		find_add(&a->f, FIND_WARN, "DMARC", "dmarc-no-rua", 2,
			 "no rua=: nobody tells you who sends in your name");
		find_found(&a->f, "%s", buf_str(&d->record));
	}
}

void
audit_dmarc(struct audit *a, size_t i, size_t k)
{
	struct findings *f = &a->f;
	struct dmarc d;
	size_t before = f->n;

	(void)i;
	(void)k;
	dmarc_check(&d, a->dns, a->domain, &(struct dmarc_identity){ 0 }, NULL,
		    0, a->dl);
	if (d.code == VERIFY_TEMPERROR) {
		audit_trouble(a, "DMARC", "the DMARC record", d.reason);
	} else if (!d.has_record) {
		dmarc_missing(a);
	} else {
		if (d.policy == DMARC_NONE) {
			find_add(f, FIND_WARN, "DMARC", "dmarc-none", 5,
				 "p=none: forged mail in your name is "
				 "delivered");
			find_expected(f, "p=quarantine or p=reject, once the "
					 "reports show that your own mail "
					 "passes");
			find_found(f, "%s (at %s)", buf_str(&d.record),
				   buf_str(&d.domain));
			find_why(f, "none is enough for the large receivers, "
				    "and stops no forger");
		}
		dmarc_tags(a, &d);
		dmarc_destinations(a, &d);
		if (f->n == before || d.policy != DMARC_NONE)
			find_add(f, FIND_OK, "DMARC", "dmarc", 0, "%s (at %s)",
				 buf_str(&d.record), buf_str(&d.domain));
	}
	dmarc_done(&d);
}

void
audit_bimi(struct audit *a, size_t i, size_t k)
{
	char *name = mem_printf("default._bimi.%s", a->domain);
	struct buf record = BUF_INIT;
	char reason[STS_REASON];
	int n = mtasts_txt(a->dns, name, "v=BIMI1", &record, reason, a->dl);

	(void)i;
	(void)k;
	if (n == 1)
		find_add(&a->f, FIND_OK, "BIMI", "bimi", 0, "%s",
			 buf_str(&record));
	else if (n == 0)
		find_add(&a->f, FIND_NOTE, "BIMI", "bimi-missing", 0,
			 "no logo published; it needs p=quarantine or reject");
	buf_free(&record);
	free(name);
}

static void
sts_missing(struct audit *a)
{
	struct findings *f = &a->f;
	char *name = mem_printf("_mta-sts.%s", a->domain);

	find_add(f, FIND_WARN, "MTA-STS", "mta-sts-missing", 3,
		 "no MTA-STS policy");
	find_expected(f,
		      "a record, and a policy at https://mta-sts.%s"
		      "/.well-known/mta-sts.txt",
		      a->domain);
	find_why(f, "Gmail and Outlook then know that TLS is a must, where "
		    "DANE is not (RFC 8461)");
	find_record(f, name, "TXT", "v=STSv1; id=%lld", (long long)clock_now());
	free(name);
}

void
audit_sts(struct audit *a, size_t i, size_t k)
{
	struct findings *f = &a->f;
	struct sts s;

	(void)i;
	(void)k;
	sts_fetch(&s, a->dns, a->domain, a->dl);
	if (s.code == VERIFY_NONE) {
		sts_missing(a);
	} else if (s.code == VERIFY_TEMPERROR) {
		audit_trouble(a, "MTA-STS", "the policy", s.p.reason);
	} else if (s.code != VERIFY_PASS) {
		find_add(f, FIND_FAIL, "MTA-STS", "mta-sts-broken", 5,
			 "the policy cannot be used");
		find_expected(f, "version, mode, max_age and mx lines over "
				 "HTTPS with a valid certificate");
		find_found(f, "%s", s.p.reason);
		find_why(f, "senders go on without, or with an older policy "
			    "of yours");
	} else {
		size_t before = f->n;

		for (size_t h = 0; h < a->n && s.p.mode != MTASTS_MODE_NONE;
		     h++) {
			if (mtasts_match(&s.p, a->host[h].name))
				continue;
			find_add(f, FIND_FAIL, "MTA-STS", "mta-sts-mx", 15,
				 "the policy does not name the mail host %s",
				 a->host[h].name);
			find_why(f, "under mode: enforce nobody delivers "
				    "there");
		}
		if (f->n == before)
			find_add(
			    f, s.p.mode == MTASTS_ENFORCE ? FIND_OK : FIND_NOTE,
			    "MTA-STS", "mta-sts", 0,
			    "mode %s, id %s, for %lld days",
			    mtasts_mode_word(s.p.mode), buf_str(&s.p.id),
			    (long long)s.p.max_age / 86400);
	}
	sts_done(&s);
}

void
audit_tlsrpt(struct audit *a, size_t i, size_t k)
{
	struct findings *f = &a->f;
	char *name = mem_printf("_smtp._tls.%s", a->domain);
	struct tlsrpt t;

	(void)i;
	(void)k;
	tlsrpt_fetch(&t, a->dns, a->domain, a->dl);
	switch (t.code) {
	case VERIFY_PASS:
		find_add(f, FIND_OK, "TLSRPT", "tlsrpt", 0, "%s",
			 buf_str(&t.record));
		break;
	case VERIFY_TEMPERROR:
		audit_trouble(a, "TLSRPT", name, t.reason);
		break;
	case VERIFY_NONE:
		find_add(f, FIND_WARN, "TLSRPT", "tlsrpt-missing", 1,
			 "no TLS reports are asked for");
		find_why(f, "you do not learn when others cannot encrypt to "
			    "you (RFC 8460)");
		find_record(f, name, "TXT",
			    "v=TLSRPTv1; rua=mailto:postmaster@%s", a->domain);
		break;
	default:
		find_add(f, FIND_FAIL, "TLSRPT", "tlsrpt-broken", 2, "%s",
			 t.reason);
		find_found(f, "%s", buf_str(&t.record));
		find_record(f, name, "TXT",
			    "v=TLSRPTv1; rua=mailto:postmaster@%s", a->domain);
	}
	tlsrpt_done(&t);
	free(name);
}
