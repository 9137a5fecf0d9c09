/*
 * dmarc.c - DMARC evaluation with the DNS tree walk.  RFC 9989 4.7, 4.10;
 * what RFC 7489 senders publish (pct=) is still read.
 */
#include "mem.h"
#include "num.h"
#include "verify.h"

#include <stdio.h>
#include <stdlib.h>

#define WALK_LABELS 8 /* 4.10: at most so many questions */

struct policy {
	bool found;
	enum dmarc_policy p, sp, np;
	bool has_sp, has_np;
	char psd; /* y n u */
	char adkim, aspf;
	bool test;
	char *text, *domain;
};

const char *
dmarc_policy_word(enum dmarc_policy p)
{
	static const char *const words[] = { "none", "quarantine", "reject" };

	return words[p];
}

static bool
policy_word(struct span v, enum dmarc_policy *r)
{
	for (int i = 0; i <= DMARC_REJECT; i++) {
		if (span_iis(v, dmarc_policy_word((enum dmarc_policy)i))) {
			*r = (enum dmarc_policy)i;
			return true;
		}
	}
	return false;
}

static char
one_letter(struct span v, const char *allowed, char def)
{
	char c;

	if (v.n != 1)
		return def;
	c = ascii_tolower(v.p[0]);
	return strchr(allowed, c) != NULL ? c : def;
}

/* A URI that reports could go to: what 4.10.1 needs to know. */
static bool
has_uri(struct span rua)
{
	struct span u;

	while (span_split(&rua, ',', &u)) {
		u = span_trim(u);
		if (span_istarts(u, SPAN("mailto:")) && span_chr(u, '@') > 7)
			return true;
	}
	return false;
}

static bool
is_dmarc(struct span txt)
{
	struct span rest = txt, tag;
	ssize_t eq;

	/* v must be first, "DMARC1" exactly (4.7). */
	if (!span_split(&rest, ';', &tag))
		return false;
	eq = span_chr(tag, '=');
	return eq > 0 &&
	       span_is(span_trim(span_sub(tag, 0, (size_t)eq)), "v") &&
	       span_is(span_trim(span_from(tag, (size_t)eq + 1)), "DMARC1");
}

/* False: the record is of no use. */
static bool
parse_policy(struct policy *out, struct span txt)
{
	struct dkim_tags t;
	struct span v, pct;
	const char *why;
	bool p_ok, rest_ok = true;
	uint64_t percent;

	if (!dkim_tags_parse(&t, txt, &why))
		return false;
	v = dkim_tag(&t, "p");
	p_ok = v.p != NULL && policy_word(v, &out->p);
	v = dkim_tag(&t, "sp");
	out->has_sp = v.p != NULL;
	if (v.p != NULL)
		rest_ok &= policy_word(v, &out->sp);
	v = dkim_tag(&t, "np");
	out->has_np = v.p != NULL;
	if (v.p != NULL)
		rest_ok &= policy_word(v, &out->np);
	if (!p_ok || !rest_ok) {
		/* 4.10.1: act as p=none, but only where reports are wanted;
		 * 4.7: a record without p is p=none. */
		if (dkim_tag(&t, "p").p != NULL || !rest_ok)
			if (!has_uri(dkim_tag(&t, "rua")))
				return false;
		out->p = DMARC_NONE;
		out->has_sp = out->has_np = false;
	}
	out->psd = one_letter(dkim_tag(&t, "psd"), "ynu", 'u');
	out->adkim = one_letter(dkim_tag(&t, "adkim"), "rs", 'r');
	out->aspf = one_letter(dkim_tag(&t, "aspf"), "rs", 'r');
	out->test = one_letter(dkim_tag(&t, "t"), "yn", 'n') == 'y';
	pct = dkim_tag(&t, "pct");
	if (pct.p != NULL && num_u64(pct, 100, &percent) && percent == 0)
		out->test = true;
	return true;
}

static void
policy_free(struct policy *p)
{
	free(p->text);
	free(p->domain);
	*p = (struct policy){ 0 };
}

/* The one policy record of a domain; false: DNS trouble. */
static bool
fetch(struct dns *dns, const char *domain, struct policy *out, char reason[160])
{
	struct dns_answer ans;
	struct err e = ERR_INIT;
	char *name = mem_printf("_dmarc.%s", domain);
	enum dns_status st =
	    dns_query(dns, name, DNS_TXT, &ans, clock_deadline(20000), &e);
	size_t n = 0, at = 0;

	*out = (struct policy){ 0 };
	free(name);
	if (st == DNS_TEMP) {
		snprintf(reason, 160, "%.150s", e.text);
		return false;
	}
	for (size_t i = 0; st == DNS_OK && i < ans.n; i++) {
		if (is_dmarc(span_make(ans.v[i].text, ans.v[i].len))) {
			n++;
			at = i;
		}
	}
	/* 4.10: several are as good as none. */
	if (n == 1 &&
	    parse_policy(out, span_make(ans.v[at].text, ans.v[at].len))) {
		out->found = true;
		out->text = mem_strdup(ans.v[at].text);
		out->domain = mem_strdup(domain);
	}
	if (st != DNS_BADNAME)
		dns_answer_free(&ans);
	return true;
}

static size_t
labels(const char *name)
{
	size_t n = 1;

	for (; *name != '\0'; name++)
		n += *name == '.';
	return n;
}

/* Without the left label; NULL behind the last. */
static const char *
parent(const char *name)
{
	const char *dot = strchr(name, '.');

	return dot != NULL ? dot + 1 : NULL;
}

/* 4.10 steps 3 and 4: where the walk goes on from the start. */
static const char *
walk_second(const char *start)
{
	size_t x = labels(start);
	const char *at = parent(start);

	while (at != NULL && x > WALK_LABELS && labels(at) > WALK_LABELS - 1)
		at = parent(at);
	return at;
}

/*
 * The tree walk from `start`: every record found, longest name first.
 * 4.10.2 picks the Organizational Domain out of them.
 */
struct walk {
	struct policy v[WALK_LABELS + 1];
	size_t n;
};

static bool
walk(struct dns *dns, const char *start, struct walk *w, char reason[160])
{
	const char *at = start;

	w->n = 0;
	while (at != NULL && at[0] != '\0' && w->n <= WALK_LABELS) {
		struct policy p;

		if (!fetch(dns, at, &p, reason)) {
			/* A top-level domain's server in trouble says nothing
			 * about an organisation whose record was found. */
			if (w->n > 0 && parent(at) == NULL)
				break;
			return false;
		}
		if (p.found) {
			w->v[w->n++] = p;
			if (p.psd != 'u')
				break;
		}
		at = at == start ? walk_second(start) : parent(at);
	}
	return true;
}

static void
walk_done(struct walk *w)
{
	for (size_t i = 0; i < w->n; i++)
		policy_free(&w->v[i]);
	w->n = 0;
}

/* 4.10.2 */
static void
organizational(const struct walk *w, const char *start, struct buf *org)
{
	buf_clear(org);
	for (size_t i = 0; i < w->n; i++) {
		const struct policy *p = &w->v[i];

		if (p->psd == 'n') {
			buf_adds(org, p->domain);
			return;
		}
		if (p->psd == 'y' && strcasecmp(p->domain, start) != 0) {
			/* one label below the public suffix */
			const char *at = start;

			while (parent(at) != NULL &&
			       strcasecmp(parent(at), p->domain) != 0)
				at = parent(at);
			buf_adds(org, at);
			return;
		}
	}
	buf_adds(org, w->n > 0 ? w->v[w->n - 1].domain : start);
}

static int
org_of(struct dns *dns, const char *domain, struct buf *org, char reason[160])
{
	struct walk w = { .n = 0 };
	bool ok = walk(dns, domain, &w, reason);

	if (ok)
		organizational(&w, domain, org);
	walk_done(&w);
	return ok ? 0 : -1;
}

/* 4.4: the same domain, or (relaxed) the same Organizational Domain.
 * -1: DNS trouble. */
static int
aligned(struct dmarc *d, struct dns *dns, const char *from,
	const struct dmarc_identity *id, char mode)
{
	struct buf org = BUF_INIT;
	char *name;
	int r;

	if (!id->pass || id->domain.n == 0)
		return 0;
	if (span_iis(id->domain, from))
		return 1;
	if (mode == 's')
		return 0;
	/* An Organizational Domain is the name itself or above it: who does
	 * not lie below the author's is a stranger, without asking DNS. */
	struct span o = buf_span(&d->org);

	if (!span_ieq(id->domain, o) &&
	    !(id->domain.n > o.n && span_iends(id->domain, o) &&
	      id->domain.p[id->domain.n - o.n - 1] == '.'))
		return 0;
	name = mem_spandup(id->domain);
	r = org_of(dns, name, &org, d->reason);
	if (r == 0)
		r = strcasecmp(buf_str(&org), buf_str(&d->org)) == 0;
	free(name);
	buf_free(&org);
	return r;
}

/* 3.2.13: does the name exist at all (any type)? */
static bool
nonexistent(struct dns *dns, const char *name)
{
	static const int types[] = { DNS_A, DNS_AAAA, DNS_MX };
	struct dns_answer ans;
	bool none = true;

	for (size_t i = 0; none && i < ARRAY_LEN(types); i++) {
		enum dns_status st = dns_query(dns, name, types[i], &ans,
					       clock_deadline(20000), NULL);

		none = st == DNS_NXDOMAIN || st == DNS_NODATA;
		if (st != DNS_TEMP && st != DNS_BADNAME)
			dns_answer_free(&ans);
		if (st == DNS_NXDOMAIN)
			break;
	}
	return none;
}

/* 4.10.1: which record, and which of its policies. */
static void
choose_policy(struct dmarc *d, struct dns *dns, const char *from,
	      const struct walk *w)
{
	const struct policy *use = NULL;

	for (size_t i = 0; i < w->n && use == NULL; i++) {
		if (strcasecmp(w->v[i].domain, from) == 0)
			use = &w->v[i];
	}
	for (size_t i = 0; i < w->n && use == NULL; i++) {
		if (strcasecmp(w->v[i].domain, buf_str(&d->org)) == 0 ||
		    w->v[i].psd == 'y')
			use = &w->v[i];
	}
	if (use == NULL)
		return;
	d->has_record = true;
	buf_adds(&d->domain, use->domain);
	buf_adds(&d->record, use->text);
	d->adkim = use->adkim;
	d->aspf = use->aspf;
	d->policy = use->p;
	if (strcasecmp(use->domain, from) != 0) {
		if (use->has_np && nonexistent(dns, from))
			d->policy = use->np;
		else if (use->has_sp)
			d->policy = use->sp;
	}
	d->applied = d->policy;
	/* t=y: one step milder (RFC 9989 4.7). */
	if (use->test && d->applied != DMARC_NONE)
		d->applied =
		    d->applied == DMARC_REJECT ? DMARC_QUARANTINE : DMARC_NONE;
}

void
dmarc_check(struct dmarc *d, struct dns *dns, const char *from,
	    const struct dmarc_identity *spf, const struct dmarc_identity *dkim,
	    size_t n)
{
	struct walk w = { .n = 0 };
	int a;

	*d = (struct dmarc){ .code = VERIFY_NONE };
	if (!walk(dns, from, &w, d->reason)) {
		d->code = VERIFY_TEMPERROR;
		walk_done(&w);
		return;
	}
	organizational(&w, from, &d->org);
	choose_policy(d, dns, from, &w);
	walk_done(&w);
	if (!d->has_record)
		return;
	a = aligned(d, dns, from, spf, d->aspf);
	d->spf_aligned = a > 0;
	for (size_t i = 0; i < n && !d->dkim_aligned; i++) {
		int one = aligned(d, dns, from, &dkim[i], d->adkim);

		d->dkim_aligned = one > 0;
		a = one < 0 ? one : a;
	}
	if (d->spf_aligned || d->dkim_aligned)
		d->code = VERIFY_PASS;
	else
		d->code = a < 0 ? VERIFY_TEMPERROR : VERIFY_FAIL;
	if (d->code != VERIFY_FAIL)
		d->applied = DMARC_NONE;
}

void
dmarc_done(struct dmarc *d)
{
	buf_free(&d->domain);
	buf_free(&d->record);
	buf_free(&d->org);
}
