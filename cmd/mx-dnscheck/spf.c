/*
 * spf.c - check_host() of RFC 7208: records, terms, limits.
 */
#include "spf.h"
#include "addr.h"
#include "mem.h"
#include "num.h"
#include "table.h"

#include <stdlib.h>

#define LOOKUPS_MAX 10 /* 4.6.4 */
#define VOIDS_MAX 2
#define MX_NAMES_MAX 10
#define TERMS_MAX 1000

enum spf_mech { M_ALL, M_INCLUDE, M_A, M_MX, M_PTR, M_IP4, M_IP6, M_EXISTS };
static const char *const mech_names[] = { "all", "include", "a",   "mx",
					  "ptr", "ip4",     "ip6", "exists" };

struct term {
	struct span text; /* as published */
	enum spf_code qualifier;
	enum spf_mech mech;
	struct span spec; /* domain-spec, or the ip network */
	int bits4, bits6; /* -1: whole address */
};
struct record {
	struct term *v;
	size_t n, cap;
	struct span redirect, exp;
};

const char *
spf_word(enum spf_code c)
{
	static const char *const words[] = { "none",     "neutral",
					     "pass",     "fail",
					     "softfail", "temperror",
					     "permerror" };

	return words[c];
}

void
spf_init(struct spf *s, struct dns *dns, const char *ip, const char *sender,
	 const char *helo, const char *receiver)
{
	struct addr a;

	*s = (struct spf){ .dns = dns,
			   .ip = ip,
			   .helo = helo,
			   .receiver = receiver,
			   .deadline = clock_deadline(20000) };
	if (sender[0] != '\0' && addr_parse(&a, span_of(sender), NULL) == 0) {
		buf_addspan(&s->local, a.local);
		buf_addspan(&s->sender_domain, a.domain);
		addr_free(&a);
	}
	/* 4.3: no local part is "postmaster"; 2.4: no sender is the HELO. */
	if (s->local.n == 0)
		buf_adds(&s->local, "postmaster");
	if (s->sender_domain.n == 0)
		buf_adds(&s->sender_domain, helo);
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
	return c;
}

/* "/24", "//64", "/24//64" at the end of a or mx; cut off *spec. */
static bool
take_dual_cidr(struct span *spec, struct term *t)
{
	ssize_t slash;
	struct span rest;

	t->bits4 = t->bits6 = -1;
	/* A slash inside a macro is a delimiter there, not a length. */
	slash = span_find(*spec, SPAN("//"));
	if (slash >= 0) {
		rest = span_from(*spec, (size_t)slash + 2);
		if (!num_int(rest, 0, 128, &t->bits6) ||
		    (rest.n > 1 && rest.p[0] == '0'))
			return false;
		*spec = span_sub(*spec, 0, (size_t)slash);
	}
	slash = span_rchr(*spec, '/');
	if (slash >= 0 && span_chr(span_from(*spec, (size_t)slash), '}') < 0) {
		rest = span_from(*spec, (size_t)slash + 1);
		if (!num_int(rest, 0, 32, &t->bits4) ||
		    (rest.n > 1 && rest.p[0] == '0'))
			return false;
		*spec = span_sub(*spec, 0, (size_t)slash);
	}
	return true;
}

/* 7.1 domain-spec: ends in a macro or a top label that is no number. */
static bool
domain_spec_ok(struct span spec)
{
	ssize_t dot;
	struct span top;
	bool alpha = false;

	if (spec.n == 0 || !spf_macro_ok(spec, false))
		return false;
	if (spec.p[spec.n - 1] == '.')
		spec.n--;
	if (spec.n == 0)
		return false;
	if (spec.p[spec.n - 1] == '}' || span_ends(spec, SPAN("%%")) ||
	    span_ends(spec, SPAN("%_")) || span_ends(spec, SPAN("%-")))
		return spec.p[spec.n - 1] == '}';
	dot = span_rchr(spec, '.');
	if (dot < 0)
		return false;
	top = span_from(spec, (size_t)dot + 1);
	if (top.n == 0 || top.p[0] == '-' || top.p[top.n - 1] == '-')
		return false;
	for (size_t i = 0; i < top.n; i++) {
		if (!ascii_isalnum(top.p[i]) && top.p[i] != '-')
			return false;
		alpha |= !ascii_isdigit(top.p[i]);
	}
	return alpha;
}

static bool
ip_spec_ok(struct span spec, bool v6)
{
	ssize_t slash = span_chr(spec, '/');
	struct span addr =
	    span_sub(spec, 0, slash < 0 ? spec.n : (size_t)slash);
	int bits;

	if (slash >= 0) {
		struct span n = span_from(spec, (size_t)slash + 1);

		if (!num_int(n, 0, v6 ? 128 : 32, &bits) ||
		    (n.n > 1 && n.p[0] == '0'))
			return false;
	}
	if ((span_chr(addr, ':') >= 0) != v6 || span_chr(addr, '[') >= 0)
		return false;
	return match_cidr(addr, addr);
}

static bool
parse_mechanism(struct record *r, struct span text)
{
	struct term t = {
		.text = text, .qualifier = SPF_PASS, .bits4 = -1, .bits6 = -1
	};
	struct span s = text, name;
	size_t n = 0;
	bool colon;

	switch (s.p[0]) {
	case '+':
		t.text = span_from(text, 1);
		break;
	case '-':
		t.qualifier = SPF_FAIL;
		break;
	case '~':
		t.qualifier = SPF_SOFTFAIL;
		break;
	case '?':
		t.qualifier = SPF_NEUTRAL;
		break;
	default:
		n = SIZE_MAX;
	}
	if (n == 0)
		s = span_from(s, 1);
	n = 0;
	while (n < s.n && (ascii_isalnum(s.p[n]) || s.p[n] == '-'))
		n++;
	name = span_sub(s, 0, n);
	colon = n < s.n && s.p[n] == ':';
	t.spec = span_from(s, n + colon);
	for (t.mech = M_ALL; t.mech <= M_EXISTS; t.mech++) {
		if (span_iis(name, mech_names[t.mech]))
			break;
	}
	switch (t.mech) {
	case M_ALL:
		if (colon || t.spec.n > 0)
			return false;
		break;
	case M_A:
	case M_MX:
		if (!take_dual_cidr(&t.spec, &t))
			return false;
		if (colon ? !domain_spec_ok(t.spec) : t.spec.n > 0)
			return false;
		break;
	case M_PTR:
		if (colon ? !domain_spec_ok(t.spec) : t.spec.n > 0)
			return false;
		break;
	case M_INCLUDE:
	case M_EXISTS:
		if (!colon || !domain_spec_ok(t.spec))
			return false;
		break;
	case M_IP4:
	case M_IP6:
		if (!colon || !ip_spec_ok(t.spec, t.mech == M_IP6))
			return false;
		break;
	default:
		return false;
	}
	r->v = mem_grow(r->v, &r->cap, r->n + 1, sizeof(*r->v));
	r->v[r->n++] = t;
	return true;
}

/* 6: redirect and exp once each; unknown ones are ignored when well formed. */
static bool
parse_modifier(struct record *r, struct span name, struct span value)
{
	struct span *slot = NULL;

	if (span_iis(name, "redirect"))
		slot = &r->redirect;
	else if (span_iis(name, "exp"))
		slot = &r->exp;
	if (slot == NULL)
		return spf_macro_ok(value, false);
	if (slot->p != NULL || !domain_spec_ok(value))
		return false;
	*slot = value;
	return true;
}

/* Is it "name=" with ALPHA *(ALPHA / DIGIT / "-" / "_" / ".")? */
static size_t
modifier_name(struct span s)
{
	size_t n = 0;

	if (s.n == 0 || !ascii_isalpha(s.p[0]))
		return 0;
	while (n < s.n && (ascii_isalnum(s.p[n]) || s.p[n] == '-' ||
			   s.p[n] == '_' || s.p[n] == '.'))
		n++;
	return n < s.n && s.p[n] == '=' ? n : 0;
}

/* The whole record is parsed first: an error anywhere is a permerror (4.6). */
static bool
parse_record(struct record *r, struct span txt, struct span *bad)
{
	struct span rest = span_from(txt, strlen("v=spf1")), word;

	*r = (struct record){ 0 };
	while (span_word(&rest, " ", &word)) {
		size_t n = modifier_name(word);

		*bad = word;
		if (r->n > TERMS_MAX || !span_is_ascii(word) ||
		    span_has_ctl(word))
			return false;
		if (n > 0 ? !parse_modifier(r, span_sub(word, 0, n),
					    span_from(word, n + 1))
			  : !parse_mechanism(r, word))
			return false;
	}
	return true;
}

/* The one record of a domain.  SPF_PASS: found, caller frees *txt. */
static enum spf_code
fetch(struct spf *s, const char *domain, char **txt)
{
	struct dns_answer ans;
	struct err e = ERR_INIT;
	enum dns_status st =
	    dns_query(s->dns, domain, DNS_TXT, &ans, s->deadline, &e);
	const char *found = NULL;
	enum spf_code c = SPF_NONE;

	if (st == DNS_TEMP)
		return error(s, SPF_TEMPERROR, "%s", e.text);
	if (st != DNS_OK) {
		dns_answer_free(&ans);
		return SPF_NONE;
	}
	for (size_t i = 0; i < ans.n; i++) {
		struct span t = span_make(ans.v[i].text, ans.v[i].len);

		if (!span_istarts(t, SPAN("v=spf1")) ||
		    (t.n > 6 && t.p[6] != ' '))
			continue;
		if (found != NULL) {
			c = error(s, SPF_PERMERROR,
				  "%s has more than one SPF record", domain);
			found = NULL;
			break;
		}
		found = ans.v[i].text;
	}
	if (found != NULL) {
		*txt = mem_strdup(found);
		c = SPF_PASS;
	}
	dns_answer_free(&ans);
	return c;
}

/* Counts a term that asks DNS; true when it is one too many. */
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
	if (st != DNS_NXDOMAIN && st != DNS_NODATA && st != DNS_BADNAME)
		return V_NO;
	if (++s->voids <= VOIDS_MAX)
		return V_NO;
	*c =
	    error(s, SPF_PERMERROR, "more than %d void DNS lookups", VOIDS_MAX);
	return V_ERROR;
}

static bool
is_v6(const struct spf *s)
{
	return strchr(s->ip, ':') != NULL;
}

/* Is ip within `bits` of one of the addresses of name? */
static enum verdict
match_addresses(struct spf *s, const char *name, const struct term *t,
		bool counts, enum spf_code *c)
{
	struct dns_answer ans;
	struct err e = ERR_INIT;
	enum dns_status st = dns_query(
	    s->dns, name, is_v6(s) ? DNS_AAAA : DNS_A, &ans, s->deadline, &e);
	int bits = is_v6(s) ? t->bits6 : t->bits4;
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
			 bits >= 0  ? bits
			 : is_v6(s) ? 128
				    : 32);
		if (match_cidr(buf_span(&net), span_of(s->ip)))
			v = V_YES;
		buf_free(&net);
	}
	dns_answer_free(&ans);
	return v;
}

static enum verdict
match_mx(struct spf *s, const char *name, const struct term *t,
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

static enum verdict
match_ptr(struct spf *s, const char *name, enum spf_code *c)
{
	bool temp = false, empty = false;
	char *found = spf_validated_name(s, name, true, &temp, &empty);
	enum verdict v = found != NULL ? V_YES : V_NO;

	/* 5.5: DNS trouble means no match; an empty answer is a void. */
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
	/* 5.7: always A, whatever the client's family. */
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
match_term(struct spf *s, const struct term *t, const char *domain,
	   enum spf_code *c)
{
	struct buf name = BUF_INIT;
	enum verdict v = V_NO;

	if (t->mech == M_ALL)
		return V_YES;
	if (t->mech == M_IP4 || t->mech == M_IP6)
		return (t->mech == M_IP6) == is_v6(s) &&
			       match_cidr(t->spec, span_of(s->ip))
			   ? V_YES
			   : V_NO;
	if (over_limit(s)) {
		*c = limit_error(s);
		return V_ERROR;
	}
	if (t->spec.n == 0) {
		buf_adds(&name, domain);
	} else if (spf_expand(s, &name, t->spec, domain, false) != 0) {
		*c = error(s, SPF_PERMERROR, "\"%.*s\": bad macro",
			   SPAN_ARG(t->text));
		return V_ERROR;
	}
	switch (t->mech) {
	case M_A:
		v = match_addresses(s, buf_str(&name), t, true, c);
		break;
	case M_MX:
		v = match_mx(s, buf_str(&name), t, c);
		break;
	case M_PTR:
		v = match_ptr(s, buf_str(&name), c);
		break;
	case M_EXISTS:
		v = match_exists(s, buf_str(&name), c);
		break;
	default:
		v = match_include(s, buf_str(&name), c);
	}
	buf_free(&name);
	return v;
}

static enum spf_code
redirect(struct spf *s, const struct record *r, const char *domain, bool top)
{
	struct buf name = BUF_INIT;
	enum spf_code c;

	if (over_limit(s))
		return limit_error(s);
	if (spf_expand(s, &name, r->redirect, domain, false) != 0) {
		c = error(s, SPF_PERMERROR, "redirect: bad macro");
	} else {
		c = check_host(s, buf_str(&name), top);
		/* 6.1: the target must have a record. */
		if (c == SPF_NONE)
			c = error(s, SPF_PERMERROR,
				  "redirect=%s has no SPF record",
				  buf_str(&name));
	}
	buf_free(&name);
	return c;
}

static enum spf_code
evaluate(struct spf *s, const struct record *r, const char *domain, bool top)
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

/* 4.3: a domain that is no multi-label name has no record. */
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
	struct record r = { 0 };
	struct span bad;
	char *txt = NULL;
	enum spf_code c;

	if (!domain_ok(domain))
		return SPF_NONE;
	c = fetch(s, domain, &txt);
	if (c != SPF_PASS)
		return c;
	if (!parse_record(&r, span_of(txt), &bad))
		c = error(s, SPF_PERMERROR, "%s: \"%.*s\" is not SPF", domain,
			  SPAN_ARG(span_sub(bad, 0, 80)));
	else
		c = evaluate(s, &r, domain, top);
	free(r.v);
	free(txt);
	return c;
}

/* 6.2: any trouble on the way means no explanation. */
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
