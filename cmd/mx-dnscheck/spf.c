/*
 * spf.c - check_host() of RFC 7208: records, terms, limits.
 */
#include "spf.h"
#include "mem.h"
#include "table.h"

#include <arpa/inet.h>
#include <stdlib.h>

/* RFC 7208 4.6.4 has the limits: terms that ask, questions without an answer,
 * and at least 20 seconds for all. */
#define LOOKUPS_MAX 10
#define VOIDS_MAX 2
#define TOTAL_MS 20000
#define MX_NAMES_MAX 10

const char *
spf_word(enum spf_code c)
{
	static const char *const words[] = { "none",     "neutral",
					     "pass",     "fail",
					     "softfail", "temperror",
					     "permerror" };

	return words[c];
}

/* RFC 7208 5: an IPv4-mapped IPv6 client is an IPv4 client. */
static bool
canonical_ip(const char *ip, char out[INET6_ADDRSTRLEN])
{
	static const unsigned char mapped[12] = { [10] = 0xff, [11] = 0xff };
	unsigned char a[16];

	if (inet_pton(AF_INET, ip, a) == 1)
		return inet_ntop(AF_INET, a, out, INET6_ADDRSTRLEN) != NULL;
	if (inet_pton(AF_INET6, ip, a) != 1)
		return false;
	if (memcmp(a, mapped, sizeof(mapped)) == 0)
		return inet_ntop(AF_INET, a + 12, out, INET6_ADDRSTRLEN) !=
		       NULL;
	return inet_ntop(AF_INET6, a, out, INET6_ADDRSTRLEN) != NULL;
}

bool
spf_init(struct spf *s, struct dns *dns, const char *ip, const char *sender,
	 const char *helo, const char *receiver)
{
	struct span mail = span_of(sender), domain;
	ssize_t at = span_rchr(mail, '@');

	*s = (struct spf){ .dns = dns,
			   .helo = helo,
			   .receiver = receiver,
			   .deadline = clock_deadline(TOTAL_MS) };
	/* RFC 7208 4.3: no local part is "postmaster"; 2.4: no sender is
	 * the HELO. */
	if (at > 0)
		buf_addspan(&s->local, span_sub(mail, 0, (size_t)at));
	else
		buf_adds(&s->local, "postmaster");
	domain = at >= 0 ? span_from(mail, (size_t)at + 1) : span_of(helo);
	/* RFC 7208 4.3: U-labels become A-labels. */
	if (span_is_ascii(domain) || !dns_to_ascii(domain, &s->sender_domain))
		buf_addspan(&s->sender_domain, domain);
	return canonical_ip(ip, s->ip);
}

bool
spf_is_v6(const struct spf *s)
{
	return strchr(s->ip, ':') != NULL;
}

void
spf_done(struct spf *s)
{
	buf_free(&s->local);
	buf_free(&s->sender_domain);
	buf_free(&s->mechanism);
	buf_free(&s->explanation);
	buf_free(&s->reason);
	buf_free(&s->exp_domain);
	buf_free(&s->exp);
	buf_free(&s->validated_domain);
	free(s->validated);
}

static enum spf_code error(struct spf *s, enum spf_code c, const char *fmt, ...)
    MX_PRINTF(3, 4);

static enum spf_code
error(struct spf *s, enum spf_code c, const char *fmt, ...)
{
	va_list ap;

	buf_clear(&s->reason);
	va_start(ap, fmt);
	buf_vaddf(&s->reason, fmt, ap);
	va_end(ap);
	/* words of strangers' records are in it: it goes to terminals */
	for (size_t i = 0; i < s->reason.n; i++)
		if ((unsigned char)s->reason.p[i] < ' ' ||
		    s->reason.p[i] == 0x7f)
			s->reason.p[i] = '?';
	return c;
}

/* The one record of a domain (RFC 7208 4.4, 4.5).  SPF_PASS: *txt holds it. */
static enum spf_code
fetch(struct spf *s, const char *domain, struct buf *txt)
{
	struct dns_answer ans;
	struct err e = ERR_INIT;
	enum dns_status st =
	    dns_query(s->dns, domain, DNS_TXT, &ans, s->deadline, &e);
	enum spf_code c = SPF_NONE;

	if (st == DNS_TEMP)
		return error(s, SPF_TEMPERROR, "%s", e.text);
	/* RFC 7208 4.3: no such name, or no text there, is "none" */
	if (st != DNS_OK) {
		dns_answer_free(&ans);
		return SPF_NONE;
	}
	for (size_t i = 0; i < ans.n; i++) {
		struct span t = span_make(ans.v[i].text, ans.v[i].len);

		if (!spf_is_record(t))
			continue;
		/* RFC 7208 4.5: two records are none that can be chosen */
		if (c == SPF_PASS) {
			c = error(s, SPF_PERMERROR,
				  "%s has more than one SPF record", domain);
			break;
		}
		buf_addspan(txt, t);
		c = SPF_PASS;
	}
	dns_answer_free(&ans);
	return c;
}

/* Counts a term that asks DNS (RFC 7208 4.6.4); true when it is one too many.
 */
static bool
over_limit(struct spf *s)
{
	return ++s->lookups > LOOKUPS_MAX;
}

static enum spf_code
limit_error(struct spf *s)
{
	return error(s, SPF_PERMERROR, "more than %d DNS lookups", LOOKUPS_MAX);
}

/* What a term says: match, no match, or an error in *c. */
enum verdict { V_NO, V_YES, V_ERROR };

static enum verdict
count_void(struct spf *s, enum dns_status st, enum spf_code *c)
{
	/* RFC 7208 4.6.4: of questions; a name that is none was never
	 * asked */
	if (st != DNS_NXDOMAIN && st != DNS_NODATA)
		return V_NO;
	if (++s->voids <= VOIDS_MAX)
		return V_NO;
	*c =
	    error(s, SPF_PERMERROR, "more than %d void DNS lookups", VOIDS_MAX);
	return V_ERROR;
}

/* Is ip within `bits` of one of the addresses of name?  RFC 7208 5.3; `counts`:
 * not for the hosts of an MX record, which have a limit of their own. */
static enum verdict
match_addresses(struct spf *s, const char *name, const struct spf_term *t,
		bool counts, enum spf_code *c)
{
	struct dns_answer ans;
	struct err e = ERR_INIT;
	enum dns_status st =
	    dns_query(s->dns, name, spf_is_v6(s) ? DNS_AAAA : DNS_A, &ans,
		      s->deadline, &e);
	int bits = spf_is_v6(s) ? t->bits6 : t->bits4;
	enum verdict v = V_NO;

	if (st == DNS_TEMP) {
		*c = error(s, SPF_TEMPERROR, "%s", e.text);
		return V_ERROR;
	}
	if (counts && count_void(s, st, c) == V_ERROR)
		v = V_ERROR;
	for (size_t i = 0; v == V_NO && i < ans.n; i++) {
		struct buf net = BUF_INIT;

		buf_addf(&net, "%s/%d", ans.v[i].text,
			 bits >= 0      ? bits
			 : spf_is_v6(s) ? 128
					: 32);
		if (match_cidr(buf_span(&net), span_of(s->ip)))
			v = V_YES;
		buf_free(&net);
	}
	dns_answer_free(&ans);
	return v;
}

/* RFC 7208 5.4, without the implicit MX; more than ten hosts are an error
 * (4.6.4), for who publishes them can mend it. */
static enum verdict
match_mx(struct spf *s, const char *name, const struct spf_term *t,
	 enum spf_code *c)
{
	struct dns_answer ans;
	struct err e = ERR_INIT;
	enum dns_status st =
	    dns_query(s->dns, name, DNS_MX, &ans, s->deadline, &e);
	enum verdict v = V_NO;

	if (st == DNS_TEMP) {
		*c = error(s, SPF_TEMPERROR, "%s", e.text);
		return V_ERROR;
	}
	if (count_void(s, st, c) == V_ERROR) {
		v = V_ERROR;
	} else if (ans.n > MX_NAMES_MAX) {
		*c = error(s, SPF_PERMERROR, "%s has more than %d MX hosts",
			   name, MX_NAMES_MAX);
		v = V_ERROR;
	}
	for (size_t i = 0; v == V_NO && i < ans.n; i++)
		v = match_addresses(s, ans.v[i].text, t, false, c);
	dns_answer_free(&ans);
	return v;
}

/* RFC 7208 5.5 */
static enum verdict
match_ptr(struct spf *s, const char *name, enum spf_code *c)
{
	bool temp = false, empty = false;
	char *found = spf_validated_name(s, name, true, &temp, &empty);
	enum verdict v = found != NULL ? V_YES : V_NO;

	/* RFC 7208 5.5: DNS trouble means no match; an empty answer is a void.
	 */
	if (v == V_NO && empty)
		v = count_void(s, DNS_NODATA, c);
	free(found);
	return v;
}

static enum verdict
match_exists(struct spf *s, const char *name, enum spf_code *c)
{
	struct dns_answer ans;
	struct err e = ERR_INIT;
	/* RFC 7208 5.7: always A, whatever the client's family. */
	enum dns_status st =
	    dns_query(s->dns, name, DNS_A, &ans, s->deadline, &e);
	enum verdict v;

	if (st == DNS_TEMP) {
		*c = error(s, SPF_TEMPERROR, "%s", e.text);
		return V_ERROR;
	}
	v = st == DNS_OK ? V_YES : count_void(s, st, c);
	dns_answer_free(&ans);
	return v;
}

static enum spf_code check_host(struct spf *s, const char *domain, bool top);

/* The table of RFC 7208 5.2. What matched inside is not what the result names:
 * that is the include. */
static enum verdict
match_include(struct spf *s, const char *name, enum spf_code *c)
{
	struct buf saved = BUF_INIT;
	enum spf_code r;

	buf_addspan(&saved, buf_span(&s->mechanism));
	r = check_host(s, name, false);
	buf_clear(&s->mechanism);
	buf_addspan(&s->mechanism, buf_span(&saved));
	buf_free(&saved);
	switch (r) {
	case SPF_PASS:
		return V_YES;
	case SPF_TEMPERROR:
		*c = r;
		return V_ERROR;
	case SPF_PERMERROR:
		*c = r;
		return V_ERROR;
	case SPF_NONE:
		*c = error(s, SPF_PERMERROR, "include:%s has no SPF record",
			   name);
		return V_ERROR;
	default:
		return V_NO;
	}
}

static enum verdict
match_term(struct spf *s, const struct spf_term *t, const char *domain,
	   enum spf_code *c)
{
	struct buf name = BUF_INIT;
	enum verdict v = V_NO;

	if (t->mech == SPF_ALL)
		return V_YES;
	if (t->mech == SPF_IP4 || t->mech == SPF_IP6)
		return (t->mech == SPF_IP6) == spf_is_v6(s) &&
			       match_cidr(t->spec, span_of(s->ip))
			   ? V_YES
			   : V_NO;
	/* RFC 7208 4.6.4: all that are left ask, matching or not */
	if (over_limit(s)) {
		*c = limit_error(s);
		return V_ERROR;
	}
	/* RFC 7208 4.8: without a name it is the record's own */
	if (t->spec.n == 0) {
		buf_adds(&name, domain);
	} else if (spf_expand(s, &name, t->spec, domain, false) != 0) {
		*c = error(s, SPF_PERMERROR, "\"%.*s\": bad macro",
			   SPAN_ARG(t->text));
		return V_ERROR;
	}
	switch (t->mech) {
	case SPF_A:
		v = match_addresses(s, buf_str(&name), t, true, c);
		break;
	case SPF_MX:
		v = match_mx(s, buf_str(&name), t, c);
		break;
	case SPF_PTR:
		v = match_ptr(s, buf_str(&name), c);
		break;
	case SPF_EXISTS:
		v = match_exists(s, buf_str(&name), c);
		break;
	default:
		v = match_include(s, buf_str(&name), c);
	}
	buf_free(&name);
	return v;
}

static enum spf_code
redirect(struct spf *s, const struct spf_record *r, const char *domain,
	 bool top)
{
	struct buf name = BUF_INIT;
	enum spf_code c;

	if (over_limit(s))
		return limit_error(s);
	if (spf_expand(s, &name, r->redirect, domain, false) != 0) {
		c = error(s, SPF_PERMERROR, "redirect: bad macro");
	} else {
		c = check_host(s, buf_str(&name), top);
		/* RFC 7208 6.1: the target must have a record. */
		if (c == SPF_NONE)
			c = error(s, SPF_PERMERROR,
				  "redirect=%s has no SPF record",
				  buf_str(&name));
	}
	buf_free(&name);
	return c;
}

/* RFC 7208 4.6.2, 4.7. An "all" always matches, and so a redirect beside one is
 * never reached (6.1). */
static enum spf_code
evaluate(struct spf *s, const struct spf_record *r, const char *domain,
	 bool top)
{
	for (size_t i = 0; i < r->n; i++) {
		enum spf_code c = SPF_PERMERROR;

		switch (match_term(s, &r->v[i], domain, &c)) {
		case V_ERROR:
			return c;
		case V_NO:
			continue;
		case V_YES:
			break;
		}
		buf_clear(&s->mechanism);
		buf_addspan(&s->mechanism, r->v[i].text);
		/* RFC 7208 6.2: never of an included record, and of the one
		 * that a redirect leads to */
		if (top && r->exp.p != NULL) {
			buf_clear(&s->exp);
			buf_addspan(&s->exp, r->exp);
			buf_clear(&s->exp_domain);
			buf_adds(&s->exp_domain, domain);
		}
		return r->v[i].qualifier;
	}
	if (r->redirect.p != NULL)
		return redirect(s, r, domain, top);
	return SPF_NEUTRAL;
}

/* RFC 7208 4.3: a domain that is no multi-label name has no record. */
static bool
domain_ok(const char *domain)
{
	struct span rest = span_of(domain), label;
	size_t labels = 0;

	if (rest.n > 1 && rest.p[rest.n - 1] == '.')
		rest.n--;
	if (rest.n == 0 || rest.n > 253 || rest.p[0] == '[')
		return false;
	while (span_split(&rest, '.', &label)) {
		if (label.n == 0 || label.n > 63)
			return false;
		labels++;
	}
	return labels > 1;
}

/* The recursion (include, redirect) is bounded by LOOKUPS_MAX. */
static enum spf_code
check_host(struct spf *s, const char *domain, bool top)
{
	struct spf_record r = { 0 };
	struct buf txt = BUF_INIT;
	struct span bad;
	enum spf_code c;

	if (!domain_ok(domain))
		return SPF_NONE;
	c = fetch(s, domain, &txt);
	if (c == SPF_PASS && !spf_parse(&r, buf_span(&txt), &bad))
		c = error(s, SPF_PERMERROR, "%s: \"%.*s\" is not SPF", domain,
			  SPAN_ARG(span_sub(bad, 0, 80)));
	else if (c == SPF_PASS)
		c = evaluate(s, &r, domain, top);
	spf_record_free(&r);
	buf_free(&txt);
	return c;
}

/* RFC 7208 6.2: any trouble on the way means no explanation. */
static void
explain(struct spf *s)
{
	struct buf name = BUF_INIT;
	struct dns_answer ans;

	if (s->exp.n == 0 || spf_expand(s, &name, buf_span(&s->exp),
					buf_str(&s->exp_domain), false) != 0) {
		buf_free(&name);
		return;
	}
	if (dns_query(s->dns, buf_str(&name), DNS_TXT, &ans, s->deadline,
		      NULL) == DNS_OK &&
	    ans.n == 1) {
		struct span t = span_make(ans.v[0].text, ans.v[0].len);

		/* RFC 7208 6.2: it is for an SMTP reply */
		if (span_is_ascii(t) &&
		    spf_expand(s, &s->explanation, t, buf_str(&s->exp_domain),
			       true) != 0)
			buf_clear(&s->explanation);
	}
	dns_answer_free(&ans);
	buf_free(&name);
}

enum spf_code
spf_check(struct spf *s)
{
	enum spf_code c = check_host(s, buf_str(&s->sender_domain), true);

	if (c == SPF_FAIL)
		explain(s);
	if (c != SPF_PASS && c != SPF_FAIL && c != SPF_SOFTFAIL &&
	    c != SPF_NEUTRAL)
		buf_clear(&s->mechanism);
	return c;
}
