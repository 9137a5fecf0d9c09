/*
 * dns.c - questions and answers: see dns.h.
 * Layer: mail.  RFC 1035, 2308 (negative answers), 5891 by libidn2.
 */
#include "dns_int.h"
#include "endpoint.h"
#include "io.h"
#include "mem.h"
#include "random.h"
#include "status.h"

#include <arpa/inet.h>
#include <idn2.h>
#include <stdio.h>
#include <stdlib.h>

/* THREATS 65: CNAMEs in a row; bytes and records kept of one answer.  More is
 * a temporary error, never "no such record". */
#define DNS_CHAIN 8
#define DNS_TOTAL 65536
#define DNS_RECORDS 1000

const char *
dns_words(enum dns_status s)
{
	static const char *const words[] = { "found", "no such domain",
					     "no such record",
					     "temporary DNS failure",
					     "not a domain name" };

	return words[s];
}

/* One that is too many is passed over; -1 and e on bad text. */
static int
dns_add_server(struct dns *d, struct span text, struct err *e)
{
	struct buf full = BUF_INIT;
	struct endpoint ep = { 0 };
	ssize_t colon = span_chr(text, ':');
	int r;

	if (d->nservers == DNS_SERVERS)
		return 0;
	/* ADDR, V6ADDR, ADDR:PORT, [V6]:PORT */
	if (text.n > 0 && text.p[0] == '[')
		buf_addspan(&full, text);
	else if (colon >= 0 &&
		 span_chr(span_from(text, (size_t)colon + 1), ':') >= 0)
		buf_addf(&full, "[%.*s]:53", SPAN_ARG(text));
	else if (colon < 0)
		buf_addf(&full, "%.*s:53", SPAN_ARG(text));
	else
		buf_addspan(&full, text);
	if (full.n > 0 && full.p[full.n - 1] == ']')
		buf_adds(&full, ":53");
	r = endpoint_parse(&ep, buf_span(&full), NULL, e);
	if (r == 0)
		r = endpoint_sockaddr(&ep, &d->server[d->nservers],
				      &d->server_len[d->nservers], e);
	if (r == 0) {
		d->nservers++;
		strs_addspan(&d->text, buf_span(&full));
	}
	endpoint_free(&ep);
	buf_free(&full);
	return r;
}

static void
dns_read_resolv_conf(struct dns *d)
{
	struct buf b = BUF_INIT;
	struct span rest, line, word;

	/* unreadable: dns_open goes on with this host's own resolver */
	if (io_read_file("/etc/resolv.conf", &b, 1 << 20, NULL) != 0) {
		buf_free(&b);
		return;
	}
	rest = buf_span(&b);
	while (span_split(&rest, '\n', &line)) {
		ssize_t zone;

		if (!span_word(&line, " \t", &word) ||
		    !span_is(word, "nameserver") ||
		    !span_word(&line, " \t\r", &word))
			continue;
		/* "fe80::1%eth0": no number for endpoint_sockaddr */
		zone = span_chr(word, '%');
		if (zone < 0 && dns_add_server(d, word, NULL) != 0)
			continue;
	}
	buf_free(&b);
}

struct dns *
dns_open(const char *resolver, struct err *e)
{
	struct dns *d = mem_alloc(1, sizeof(*d));

	if (resolver != NULL && resolver[0] != '\0') {
		if (dns_add_server(d, span_of(resolver), e) != 0) {
			err_prefix(e, "resolver");
			dns_close(d);
			return NULL;
		}
	} else {
		dns_read_resolv_conf(d);
		if (d->nservers == 0 &&
		    dns_add_server(d, SPAN("127.0.0.1"), e) != 0) {
			dns_close(d);
			return NULL;
		}
	}
	return d;
}

void
dns_close(struct dns *d)
{
	if (d == NULL)
		return;
	strs_free(&d->text);
	free(d);
}

void
dns_set_opener(struct dns *d, int (*opener)(void *, int, int), void *ctx)
{
	d->opener = opener;
	d->opener_ctx = ctx;
}

void
dns_set_asker(struct dns *d,
	      enum dns_status (*asker)(void *, const char *, int,
				       struct dns_answer *, deadline_t,
				       struct err *),
	      void *ctx)
{
	d->asker = asker;
	d->asker_ctx = ctx;
}

size_t
dns_servers(const struct dns *d, struct strs *hostports)
{
	for (size_t i = 0; i < d->text.n; i++)
		strs_add(hostports, d->text.v[i]);
	return d->text.n;
}

bool
dns_to_ascii(struct span domain, struct buf *out)
{
	char *in, *ascii = NULL;
	size_t n;
	bool ok = true;

	if (domain.n > 0 && domain.p[domain.n - 1] == '.' && domain.n > 1)
		domain.n--;
	if (domain.n == 0 || domain.n > 1000 || span_has_ctl(domain))
		return false;
	in = mem_spandup(domain);
	if (!span_is_ascii(domain)) {
		/* UTS 46, non-transitional: what browsers and Postfix do. */
		ok = idn2_to_ascii_8z(in, &ascii,
				      IDN2_NFC_INPUT | IDN2_NONTRANSITIONAL) ==
		     IDN2_OK;
	}
	if (ok) {
		const char *p = ascii != NULL ? ascii : in;

		n = strlen(p);
		ok = n <= 253 && n > 0;
		for (size_t i = 0; ok && i < n; i++)
			buf_addc(out, ascii_tolower(p[i]));
	}
	idn2_free(ascii);
	free(in);
	return ok;
}

bool
dns_valid_hostname(struct span name)
{
	struct span label;
	bool letter = false;

	if (name.n == 0 || name.n > 253)
		return false;
	while (span_split(&name, '.', &label)) {
		if (label.n == 0 || label.n > 63 || label.p[0] == '-' ||
		    label.p[label.n - 1] == '-')
			return false;
		for (size_t i = 0; i < label.n; i++) {
			char c = label.p[i];

			if (!ascii_isalnum(c) && c != '-' && c != '_')
				return false;
			letter |= !ascii_isdigit(c);
		}
	}
	return letter;
}

void
dns_answer_free(struct dns_answer *ans)
{
	for (size_t i = 0; i < ans->n; i++)
		free(ans->v[i].text);
	free(ans->v);
	free(ans->name);
	*ans = (struct dns_answer){ 0 };
}

/* A name without its last dot, lower case; "." for the root. */
static char *
dns_name_text(const ldns_rdf *rdf)
{
	char *s = ldns_rdf2str(rdf);
	struct span v = span_of(s);
	char *out;

	if (v.n > 1 && v.p[v.n - 1] == '.')
		v.n--;
	out = mem_spandup(v);
	for (char *p = out; *p != '\0'; p++)
		*p = ascii_tolower(*p);
	free(s);
	return out;
}

static void
dns_take_txt(struct dns_rr *out, const ldns_rr *rr)
{
	struct buf b = BUF_INIT;

	/* RFC 7208 3.3: all strings of a record, joined without blanks. */
	for (size_t i = 0; i < ldns_rr_rd_count(rr); i++) {
		const ldns_rdf *rdf = ldns_rr_rdf(rr, i);
		const uint8_t *p = ldns_rdf_data(rdf);
		size_t n = ldns_rdf_size(rdf);

		if (n > 0 && (size_t)p[0] + 1 <= n)
			buf_add(&b, p + 1, p[0]);
	}
	out->len = b.n;
	out->text = buf_steal(&b);
}

static void
dns_take_tlsa(struct dns_rr *out, const ldns_rr *rr)
{
	const ldns_rdf *data;

	if (ldns_rr_rd_count(rr) < 4)
		return;
	out->usage = ldns_rdf2native_int8(ldns_rr_rdf(rr, 0));
	out->selector = ldns_rdf2native_int8(ldns_rr_rdf(rr, 1));
	out->matching = ldns_rdf2native_int8(ldns_rr_rdf(rr, 2));
	data = ldns_rr_rdf(rr, 3);
	out->len = ldns_rdf_size(data);
	out->text =
	    mem_spandup(span_make((const char *)ldns_rdf_data(data), out->len));
}

/* The record in the form of dns.h; fields that its RDATA lacks are 0 or "". */
static void
dns_take(struct dns_rr *out, const ldns_rr *rr, int type)
{
	struct buf b = BUF_INIT;
	const ldns_rdf *rdf =
	    ldns_rr_rd_count(rr) > 0 ? ldns_rr_rdf(rr, 0) : NULL;

	*out = (struct dns_rr){ .ttl = ldns_rr_ttl(rr) };
	if (type == DNS_TXT) {
		dns_take_txt(out, rr);
	} else if (type == DNS_TLSA) {
		dns_take_tlsa(out, rr);
	} else if (type == DNS_MX && ldns_rr_rd_count(rr) >= 2) {
		out->preference = ldns_rdf2native_int16(rdf);
		out->text = dns_name_text(ldns_rr_rdf(rr, 1));
	} else if (rdf != NULL &&
		   (type == DNS_PTR || type == DNS_NS || type == DNS_CNAME)) {
		out->text = dns_name_text(rdf);
	} else {
		for (size_t i = 0; i < ldns_rr_rd_count(rr); i++) {
			char *s = ldns_rdf2str(ldns_rr_rdf(rr, i));

			buf_addf(&b, "%s%s", i ? " " : "", s ? s : "");
			free(s);
		}
		out->text = buf_steal(&b);
	}
	if (out->text == NULL)
		out->text = mem_strdup("");
	if (out->len == 0 && type != DNS_TXT && type != DNS_TLSA)
		out->len = strlen(out->text);
}

/* RFC 5321 5.1: by preference, equal ones in random order. */
static void
dns_sort_mx(struct dns_answer *ans)
{
	for (size_t i = ans->n; i > 1; i--) {
		size_t k = random_below((uint32_t)i);
		struct dns_rr t = ans->v[i - 1];

		ans->v[i - 1] = ans->v[k];
		ans->v[k] = t;
	}
	/* Insertion sort is stable: the shuffle stays among equals. */
	for (size_t i = 1; i < ans->n; i++) {
		struct dns_rr t = ans->v[i];
		size_t k = i;

		for (; k > 0 && ans->v[k - 1].preference > t.preference; k--)
			ans->v[k] = ans->v[k - 1];
		ans->v[k] = t;
	}
}

/* The record of this owner and type; the first from *at on. */
static const ldns_rr *
dns_pick(const ldns_rr_list *l, const char *name, int type, size_t *at)
{
	for (; *at < ldns_rr_list_rr_count(l); (*at)++) {
		const ldns_rr *rr = ldns_rr_list_rr(l, *at);
		char *owner;
		bool same;

		if ((int)ldns_rr_get_type(rr) != type)
			continue;
		owner = dns_name_text(ldns_rr_owner(rr));
		same = strcmp(owner, name) == 0;
		free(owner);
		if (same) {
			(*at)++;
			return rr;
		}
	}
	return NULL;
}

/* All records of that owner and type.  DNS_OK, DNS_NODATA or DNS_TEMP. */
static enum dns_status
dns_gather(struct dns_answer *ans, const ldns_rr_list *l, const char *name,
	   int type, struct err *e)
{
	const ldns_rr *rr;
	size_t at = 0, cap = 0, total = 0;

	while ((rr = dns_pick(l, name, type, &at)) != NULL) {
		ans->v = mem_grow(ans->v, &cap, ans->n + 1, sizeof(*ans->v));
		dns_take(&ans->v[ans->n], rr, type);
		total += ans->v[ans->n++].len;
		if (ans->n > DNS_RECORDS || total > DNS_TOTAL) {
			err_set(e, ST_TEMPFAIL, "DNS: %s: the answer is huge",
				name);
			return DNS_TEMP;
		}
	}
	if (ans->n > 0 && type == DNS_MX)
		dns_sort_mx(ans);
	return ans->n > 0 ? DNS_OK : DNS_NODATA;
}

/* TTL of a negative answer: RFC 2308 5, the SOA's minimum. */
static uint32_t
dns_negative_ttl(const ldns_pkt *pkt)
{
	const ldns_rr_list *l = ldns_pkt_authority(pkt);

	for (size_t i = 0; i < ldns_rr_list_rr_count(l); i++) {
		const ldns_rr *rr = ldns_rr_list_rr(l, i);

		if (ldns_rr_get_type(rr) == LDNS_RR_TYPE_SOA &&
		    ldns_rr_rd_count(rr) >= 7) {
			uint32_t min =
			    ldns_rdf2native_int32(ldns_rr_rdf(rr, 6));

			return min < ldns_rr_ttl(rr) ? min : ldns_rr_ttl(rr);
		}
	}
	return 0;
}

/* Follows CNAMEs inside one packet; *name moves along.  How many steps. */
static int
dns_follow(const ldns_rr_list *l, int type, char **name, int left)
{
	int steps = 0;

	while (type != DNS_CNAME && steps <= left) {
		size_t at = 0;
		const ldns_rr *rr = dns_pick(l, *name, DNS_CNAME, &at);

		if (rr == NULL || ldns_rr_rd_count(rr) < 1)
			break;
		free(*name);
		*name = dns_name_text(ldns_rr_rdf(rr, 0));
		steps++;
	}
	return steps;
}

/* Asks until the chain of CNAMEs that begins at *name ends; *name is then what
 * it ends with.  AD counts only when every answer on the way had it. */
static enum dns_status
dns_ask_chain(struct dns *d, char **name, int type, struct dns_answer *ans,
	      deadline_t dl, struct err *e)
{
	int chain = 0;
	bool ad = true;

	for (;;) {
		ldns_pkt *pkt = dns_wire_ask(d, *name, type, dl, e);
		enum dns_status st;
		int steps;

		if (pkt == NULL)
			return DNS_TEMP;
		ad = ad && ldns_pkt_ad(pkt);
		steps = dns_follow(ldns_pkt_answer(pkt), type, name,
				   DNS_CHAIN - chain);
		chain += steps;
		if (chain > DNS_CHAIN) {
			ldns_pkt_free(pkt);
			err_set(e, ST_TEMPFAIL,
				"DNS: %s: more than %d CNAMEs in a row", *name,
				DNS_CHAIN);
			return DNS_TEMP;
		}
		st = dns_gather(ans, ldns_pkt_answer(pkt), *name, type, e);
		if (st == DNS_NODATA &&
		    ldns_pkt_get_rcode(pkt) == LDNS_RCODE_NXDOMAIN)
			st = DNS_NXDOMAIN;
		ans->ad = ad;
		ans->neg_ttl = dns_negative_ttl(pkt);
		ldns_pkt_free(pkt);
		/* The chain leads out of this server's zones: ask anew. */
		if (st == DNS_NODATA && steps > 0 && ans->neg_ttl == 0)
			continue;
		return st;
	}
}

enum dns_status
dns_query(struct dns *d, const char *name, int type, struct dns_answer *ans,
	  deadline_t dl, struct err *e)
{
	struct buf ascii = BUF_INIT;
	enum dns_status st;
	char *at;

	*ans = (struct dns_answer){ 0 };
	if (d->asker != NULL)
		return d->asker(d->asker_ctx, name, type, ans, dl, e);
	if (!dns_to_ascii(span_of(name), &ascii)) {
		buf_free(&ascii);
		err_set(e, ST_NOHOST, "\"%s\" is not a domain name", name);
		return DNS_BADNAME;
	}
	at = buf_steal(&ascii);
	ldns_rdf *check = ldns_dname_new_frm_str(at);

	if (check == NULL) {
		err_set(e, ST_NOHOST, "\"%s\" is not a domain name", name);
		free(at);
		return DNS_BADNAME;
	}
	/* As ldns writes it (blanks are \032): owners are compared with it. */
	free(at);
	at = dns_name_text(check);
	ldns_rdf_deep_free(check);
	st = dns_ask_chain(d, &at, type, ans, dl, e);
	if (st == DNS_TEMP) {
		dns_answer_free(ans);
		free(at);
	} else {
		ans->name = at;
	}
	return st;
}

bool
dns_reverse_name(const char *ip, const char *zone4, const char *zone6,
		 struct buf *name)
{
	unsigned char a[16];

	if (inet_pton(AF_INET, ip, a) == 1) {
		buf_addf(name, "%d.%d.%d.%d.%s", a[3], a[2], a[1], a[0],
			 zone4 != NULL ? zone4 : "in-addr.arpa");
		return true;
	}
	if (inet_pton(AF_INET6, ip, a) != 1)
		return false;
	for (int i = 15; i >= 0; i--)
		buf_addf(name, "%x.%x.", a[i] & 15, a[i] >> 4);
	buf_adds(name, zone6 != NULL ? zone6 : "ip6.arpa");
	return true;
}

/* Does this name lead to ip?  DNS_OK, DNS_TEMP, or DNS_NODATA. */
static enum dns_status
dns_leads_to(struct dns *d, const char *name, const char *ip, deadline_t dl)
{
	struct dns_answer ans;
	unsigned char want[16], have[16];
	int family = strchr(ip, ':') != NULL ? AF_INET6 : AF_INET;
	size_t len = family == AF_INET6 ? 16 : 4;
	enum dns_status st = dns_query(
	    d, name, family == AF_INET6 ? DNS_AAAA : DNS_A, &ans, dl, NULL);

	if (st != DNS_OK)
		return st == DNS_TEMP ? DNS_TEMP : DNS_NODATA;
	st = DNS_NODATA;
	for (size_t i = 0; i < ans.n; i++) {
		if (inet_pton(family, ip, want) == 1 &&
		    inet_pton(family, ans.v[i].text, have) == 1 &&
		    memcmp(want, have, len) == 0)
			st = DNS_OK;
	}
	dns_answer_free(&ans);
	return st;
}

enum dns_status
dns_client_name(struct dns *d, const char *ip, char **name_r, char **reverse_r,
		deadline_t dl)
{
	struct buf q = BUF_INIT;
	struct dns_answer ans;
	enum dns_status st, one;

	if (reverse_r != NULL)
		*reverse_r = NULL;
	if (!dns_reverse_name(ip, NULL, NULL, &q)) {
		buf_free(&q);
		return DNS_BADNAME;
	}
	st = dns_query(d, buf_str(&q), DNS_PTR, &ans, dl, NULL);
	buf_free(&q);
	if (st != DNS_OK)
		return st;
	if (reverse_r != NULL)
		*reverse_r = mem_strdup(ans.v[0].text);
	/* RFC 7208 5.5 and Postfix: a bounded number of names is followed. */
	st = DNS_NODATA;
	for (size_t i = 0; i < ans.n && i < 10 && st != DNS_OK; i++) {
		if (!dns_valid_hostname(span_of(ans.v[i].text)))
			continue;
		one = dns_leads_to(d, ans.v[i].text, ip, dl);
		if (one == DNS_OK)
			*name_r = mem_strdup(ans.v[i].text);
		if (one == DNS_OK || one == DNS_TEMP)
			st = one;
	}
	dns_answer_free(&ans);
	return st;
}
