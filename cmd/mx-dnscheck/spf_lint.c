/*
 * spf_lint.c - an SPF record looked at as its owner would like to: what is
 * wrong with it, before a receiver finds out.  RFC 7208 3, 4.6.4, 5.5.
 */
#include "audit.h"
#include "mem.h"

#include <stdlib.h>

#define AREA "SPF"
#define DOMAINS_MAX 40 /* that includes and redirects lead to */
#define LOOKUPS_MAX 10
#define LONG_RECORD 450 /* 3.4: answers should fit into 512 bytes */

struct lint {
	struct findings *f;
	struct dns *dns;
	deadline_t dl;
	struct strs todo; /* domains whose records count */
	int lookups, voids;
	bool temp, macros;
	char all; /* qualifier of the all that ends it; 0: none */
	struct buf top;
};

static void
fail_record(struct lint *l, const char *id, const char *domain, struct span txt,
	    const char *why)
{
	find_add(l->f, FIND_FAIL, AREA, id, 20, "%s: %s", domain, why);
	find_expected(l->f, "one record that follows RFC 7208");
	find_found(l->f, "%.*s", SPAN_ARG(txt));
	find_why(l->f, "a receiver's SPF ends in permerror: as good as no "
		       "record, and DMARC cannot pass by SPF");
}

/* The record of a domain: 1 found, 0 none, -1 broken or in trouble. */
static int
fetch(struct lint *l, const char *domain, struct buf *txt)
{
	struct dns_answer ans;
	enum dns_status st =
	    dns_query(l->dns, domain, DNS_TXT, &ans, l->dl, NULL);
	size_t n = 0;

	if (st == DNS_TEMP) {
		l->temp = true;
		find_add(l->f, FIND_UNKNOWN, AREA, "spf-dns", 0,
			 "%s: DNS is in trouble", domain);
		return -1;
	}
	for (size_t i = 0; i < ans.n; i++) {
		struct span t = span_make(ans.v[i].text, ans.v[i].len);

		if (!spf_is_record(t))
			continue;
		n++;
		buf_addf(txt, "%s", txt->n > 0 ? " | " : "");
		buf_addspan(txt, t);
	}
	dns_answer_free(&ans);
	if (n <= 1)
		return (int)n;
	fail_record(l, "spf-several", domain, buf_span(txt),
		    "there is more than one SPF record (4.5)");
	return -1;
}

/* a, mx: does the name give addresses?  RFC 7208 4.6.4: two voids at most. */
static void
lint_void(struct lint *l, const struct spf_term *t, const char *domain)
{
	struct dns_answer ans;
	char *name = t->spec.n > 0 ? mem_spandup(t->spec) : mem_strdup(domain);
	enum dns_status st =
	    dns_query(l->dns, name, t->mech == SPF_MX ? DNS_MX : DNS_A, &ans,
		      l->dl, NULL);
	size_t n = ans.n;

	if (st == DNS_NODATA && t->mech == SPF_A) {
		dns_answer_free(&ans);
		st = dns_query(l->dns, name, DNS_AAAA, &ans, l->dl, NULL);
	}
	if (st == DNS_TEMP) {
		l->temp = true;
	} else if (st != DNS_OK) {
		l->voids++;
		find_add(l->f, FIND_WARN, AREA, "spf-void", 2,
			 "%s: \"%.*s\" finds nothing in DNS", domain,
			 SPAN_ARG(t->text));
		find_why(l->f, "after two such look-ups receivers end with "
			       "permerror (4.6.4)");
	} else if (t->mech == SPF_MX && n > 10) {
		fail_record(l, "spf-mx-many", domain, t->text,
			    "mx with more than 10 hosts (4.6.4)");
	}
	if (st != DNS_TEMP)
		dns_answer_free(&ans);
	free(name);
}

static void
lint_term(struct lint *l, const struct spf_term *t, const char *domain,
	  bool top)
{
	static const char qualifiers[] = { [SPF_PASS] = '+',
					   [SPF_FAIL] = '-',
					   [SPF_SOFTFAIL] = '~',
					   [SPF_NEUTRAL] = '?' };
	bool macro = span_chr(t->spec, '%') >= 0;

	l->macros |= macro;
	if (t->mech == SPF_ALL) {
		if (top)
			l->all = qualifiers[t->qualifier];
		return;
	}
	if (t->mech == SPF_IP4 || t->mech == SPF_IP6)
		return;
	l->lookups++;
	if (t->mech == SPF_INCLUDE && !macro)
		strs_addspan(&l->todo, t->spec);
	if ((t->mech == SPF_A || t->mech == SPF_MX) && !macro)
		lint_void(l, t, domain);
	if (t->mech == SPF_PTR) {
		find_add(l->f, FIND_WARN, AREA, "spf-ptr", 3,
			 "%s: the mechanism ptr should not be used", domain);
		find_expected(l->f, "ip4:, ip6:, a or mx in its place");
		find_why(l->f, "it is slow, and large receivers leave it out "
			       "(5.5)");
	}
}

/* What stands behind all is never looked at (5.1). */
static void
lint_behind_all(struct lint *l, const struct spf_record *r, const char *domain)
{
	for (size_t i = 0; i + 1 < r->n; i++) {
		if (r->v[i].mech != SPF_ALL)
			continue;
		find_add(l->f, FIND_WARN, AREA, "spf-behind-all", 2,
			 "%s: \"%.*s\" stands behind all and never counts",
			 domain, SPAN_ARG(r->v[i + 1].text));
		return;
	}
}

static void
lint_record(struct lint *l, const char *domain, struct span txt, bool top)
{
	struct spf_record r = { 0 };
	struct span bad;
	bool has_all = false;
	struct buf why = BUF_INIT;

	if (!spf_parse(&r, txt, &bad)) {
		buf_addf(&why, "\"%.*s\" is no SPF term", SPAN_ARG(bad));
		fail_record(l, "spf-syntax", domain, txt, buf_str(&why));
		buf_free(&why);
		spf_record_free(&r);
		return;
	}
	for (size_t i = 0; i < r.n; i++) {
		has_all |= r.v[i].mech == SPF_ALL;
		lint_term(l, &r.v[i], domain, top);
		if (has_all)
			break;
	}
	lint_behind_all(l, &r, domain);
	if (r.redirect.p != NULL && !has_all) {
		l->lookups++;
		if (top && span_chr(r.redirect, '%') < 0)
			l->all = 'r';
		if (span_chr(r.redirect, '%') < 0)
			strs_addspan(&l->todo, r.redirect);
	}
	spf_record_free(&r);
}

/* Everything the record leads to, each domain once for each mention. */
static void
lint_walk(struct lint *l)
{
	for (size_t i = 0; i < l->todo.n && i < DOMAINS_MAX; i++) {
		struct buf txt = BUF_INIT;
		/* the vector moves when it grows */
		char *domain = mem_strdup(l->todo.v[i]);
		bool top = i == 0 || l->all == 'r';
		int n = fetch(l, domain, &txt);

		if (i == 0)
			buf_addspan(&l->top, buf_span(&txt));
		if (l->all == 'r')
			l->all = 0;
		if (n == 1)
			lint_record(l, domain, buf_span(&txt), top);
		else if (n == 0 && i > 0)
			fail_record(l, "spf-include", domain,
				    SPAN("no SPF record"),
				    "it is included, and has no SPF record");
		buf_free(&txt);
		free(domain);
	}
}

static void
lint_all(struct lint *l, const char *suggestion)
{
	const char *domain = l->todo.v[0];

	if (l->all == '-' || l->all == '~')
		return;
	find_add(l->f, l->all == '+' ? FIND_FAIL : FIND_WARN, AREA,
		 l->all == '+' ? "spf-all-pass" : "spf-all",
		 l->all == '+' ? 20 : 5, "%s: %s", domain,
		 l->all == '+'   ? "+all lets every host of the world send in "
				   "its name"
		 : l->all == '?' ? "?all says nothing about other hosts"
				 : "the record does not end in all");
	find_expected(l->f, "-all (or ~all while you still look for senders)");
	find_found(l->f, "%s", buf_str(&l->top));
	find_why(l->f, "receivers learn nothing about forged mail from it");
	find_record(l->f, domain, "TXT", "%s", suggestion);
}

static void
lint_counts(struct lint *l)
{
	const char *domain = l->todo.v[0];

	if (l->lookups > LOOKUPS_MAX) {
		find_add(l->f, FIND_FAIL, AREA, "spf-lookups", 20,
			 "%s: %d DNS look-ups, and receivers stop at 10",
			 domain, l->lookups);
		find_expected(l->f, "at most 10 of include, a, mx, ptr, "
				    "exists, redirect in all (4.6.4)");
		find_found(l->f, "%s", buf_str(&l->top));
		find_why(l->f, "beyond it SPF is permerror for every message; "
			       "put ip4: and ip6: in place of includes");
	}
	if (l->voids > 2) {
		find_add(l->f, FIND_FAIL, AREA, "spf-voids", 20,
			 "%s: %d look-ups find nothing, and receivers stop "
			 "after 2",
			 domain, l->voids);
		find_why(l->f, "beyond it SPF may be permerror (4.6.4)");
	}
	if (l->top.n > LONG_RECORD) {
		find_add(l->f, FIND_NOTE, AREA, "spf-long", 0,
			 "%s: the record has %zu bytes", domain, l->top.n);
		find_why(l->f, "answers above 512 bytes need TCP or EDNS: some "
			       "receivers have neither (3.4)");
	}
}

bool
spf_lint(struct findings *f, struct dns *dns, const char *domain,
	 const char *suggestion, deadline_t dl)
{
	struct lint l = { .f = f, .dns = dns, .dl = dl };
	size_t before = f->n;
	bool ok, faults = false;

	strs_add(&l.todo, domain);
	lint_walk(&l);
	ok = l.top.n > 0;
	if (!ok && !l.temp) {
		find_add(f, FIND_FAIL, AREA, "spf-missing", 20,
			 "%s has no SPF record", domain);
		find_expected(f, "one TXT record that begins with v=spf1");
		find_found(f, "none at %s", domain);
		find_why(f, "Gmail, Yahoo and Outlook refuse or junk mail of "
			    "domains without SPF and DKIM");
		find_record(f, domain, "TXT", "%s", suggestion);
	}
	for (size_t i = before; i < f->n; i++)
		faults |= f->v[i].level == FIND_FAIL;
	if (ok && !faults)
		lint_all(&l, suggestion);
	if (ok)
		lint_counts(&l);
	for (size_t i = before; i < f->n; i++)
		faults |= f->v[i].level >= FIND_WARN;
	if (ok && !faults) {
		find_add(f, FIND_OK, AREA, "spf", 0,
			 "%s: %d of 10 look-ups, %d void", buf_str(&l.top),
			 l.lookups, l.voids);
	}
	strs_free(&l.todo);
	buf_free(&l.top);
	return ok;
}
