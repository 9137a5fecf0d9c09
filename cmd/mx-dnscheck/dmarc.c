/*
 * dmarc.c - DMARC evaluation with the DNS tree walk.  RFC 9989 4.10, 5.3.
 */
#include "dmarc.h"
#include "mem.h"

#include <stdio.h>
#include <stdlib.h>

#define WALK_LABELS 8 /* RFC 9989 4.10: at most so many questions */

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

/* RFC 9989 4.10, steps 3 and 4: where the walk goes on from the start. */
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
 * RFC 9989 4.10.2 picks the Organizational Domain out of them.
 */
struct walk {
	struct dmarc_record v[WALK_LABELS + 1];
	size_t n;
};

static bool
walk(struct dns *dns, const char *start, struct walk *w, deadline_t dl,
     char reason[DMARC_REASON])
{
	const char *at = start;

	w->n = 0;
	while (at != NULL && at[0] != '\0' && w->n < ARRAY_LEN(w->v)) {
		struct dmarc_record r;

		if (!dmarc_fetch(dns, at, &r, dl, reason)) {
			/* A top-level domain's server in trouble says nothing
			 * about an organisation whose record was found. */
			if (w->n > 0 && parent(at) == NULL)
				break;
			return false;
		}
		if (r.found) {
			w->v[w->n++] = r;
			/* RFC 9989 4.10, steps 2 and 6: psd= says whose it
			 * is */
			if (r.psd != 'u')
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
		dmarc_record_free(&w->v[i]);
	w->n = 0;
}

/* RFC 9989 4.10.2: psd=n says it; else the longest name below a public suffix
 * that says so; else the shortest name with a record. */
static void
organizational(const struct walk *w, const char *start, struct buf *org)
{
	buf_clear(org);
	for (size_t i = 0; i < w->n; i++) {
		const struct dmarc_record *p = &w->v[i];

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

static bool
same_or_below(const char *name, const char *domain)
{
	size_t n = strlen(name), d = strlen(domain);

	return n >= d && strcasecmp(name + n - d, domain) == 0 &&
	       (n == d || name[n - d - 1] == '.');
}

/* RFC 9989 4.4: the same domain, or (relaxed) the same Organizational Domain.
 * -1: DNS trouble. */
static int
aligned(struct dmarc *d, struct dns *dns, const char *from,
	const struct dmarc_identity *id, char mode, deadline_t dl)
{
	struct walk w = { .n = 0 };
	struct buf name = BUF_INIT, org = BUF_INIT;
	int r = 0;

	if (id->domain.n == 0 || !dns_to_ascii(id->domain, &name)) {
		buf_free(&name);
		return 0;
	}
	if (strcasecmp(buf_str(&name), from) == 0) {
		r = 1;
	} else if (mode != 's' &&
		   same_or_below(buf_str(&name), buf_str(&d->org))) {
		/* What is not below the author's organisation is not of it:
		 * no walk for strangers. */
		if (!walk(dns, buf_str(&name), &w, dl, d->reason)) {
			r = -1;
		} else {
			organizational(&w, buf_str(&name), &org);
			r = strcasecmp(buf_str(&org), buf_str(&d->org)) == 0;
		}
	}
	walk_done(&w);
	buf_free(&name);
	buf_free(&org);
	return r;
}

/* RFC 9989 3.2.13: NXDOMAIN, and nothing else, means that there is no such
 * domain. */
static enum dns_status
existence(struct dns *dns, const char *name, deadline_t dl,
	  char reason[DMARC_REASON])
{
	struct dns_answer ans;
	struct err e = ERR_INIT;
	enum dns_status st = dns_query(dns, name, DNS_A, &ans, dl, &e);

	if (st == DNS_TEMP)
		snprintf(reason, DMARC_REASON, "%.*s", DMARC_REASON - 1,
			 e.text);
	else
		dns_answer_free(&ans);
	return st;
}

/* RFC 9989 4.10.1: the author's own record, else the organisation's, else the
 * public suffix's; NULL. */
static const struct dmarc_record *
choose_record(const struct walk *w, const char *from, const char *org)
{
	for (size_t i = 0; i < w->n; i++) {
		if (strcasecmp(w->v[i].domain, from) == 0)
			return &w->v[i];
	}
	for (size_t i = 0; i < w->n; i++) {
		if (strcasecmp(w->v[i].domain, org) == 0 || w->v[i].psd == 'y')
			return &w->v[i];
	}
	return NULL;
}

/* Which of the record's policies (RFC 9989 4.10.1); false: DNS trouble, and it
 * is not known. */
static bool
choose_policy(struct dmarc *d, struct dns *dns, const char *from,
	      const struct dmarc_record *use, deadline_t dl)
{
	enum dns_status st = DNS_OK;

	d->has_record = true;
	buf_adds(&d->domain, use->domain);
	buf_addspan(&d->record, buf_span(&use->text));
	d->adkim = use->adkim;
	d->aspf = use->aspf;
	d->policy = use->p;
	if (strcasecmp(use->domain, from) != 0) {
		if (use->has_sp)
			d->policy = use->sp;
		if (use->has_np)
			st = existence(dns, from, dl, d->reason);
		if (use->has_np && st == DNS_NXDOMAIN)
			d->policy = use->np;
	}
	d->applied = d->policy;
	/* t=y: one step milder (RFC 9989 4.7). */
	if (use->test && d->applied != DMARC_NONE)
		d->applied =
		    d->applied == DMARC_REJECT ? DMARC_QUARANTINE : DMARC_NONE;
	return st != DNS_TEMP;
}

/* RFC 9989 5.3.4, 5.3.5.  True in *temp: what could have passed was in trouble.
 */
static bool
one_identity(struct dmarc *d, struct dns *dns, const char *from,
	     const struct dmarc_identity *id, char mode, bool *temp,
	     deadline_t dl)
{
	int a;

	if (!id->pass && !id->temp)
		return false;
	a = aligned(d, dns, from, id, mode, dl);
	if (a < 0 || (a > 0 && id->temp))
		*temp = true;
	return a > 0 && id->pass;
}

void
dmarc_check(struct dmarc *d, struct dns *dns, const char *from,
	    const struct dmarc_identity *spf, const struct dmarc_identity *dkim,
	    size_t n, deadline_t dl)
{
	struct walk w = { .n = 0 };
	const struct dmarc_record *use;
	bool temp = false;

	*d = (struct dmarc){ .code = VERIFY_NONE };
	if (!walk(dns, from, &w, dl, d->reason)) {
		d->code = VERIFY_TEMPERROR;
		walk_done(&w);
		return;
	}
	organizational(&w, from, &d->org);
	use = choose_record(&w, from, buf_str(&d->org));
	if (use == NULL || use->useless) {
		walk_done(&w);
		return;
	}
	temp = !choose_policy(d, dns, from, use, dl);
	walk_done(&w);
	d->spf_aligned = one_identity(d, dns, from, spf, d->aspf, &temp, dl);
	for (size_t i = 0; i < n && !d->dkim_aligned; i++)
		d->dkim_aligned =
		    one_identity(d, dns, from, &dkim[i], d->adkim, &temp, dl);
	if (d->spf_aligned || d->dkim_aligned)
		d->code = VERIFY_PASS;
	else
		d->code = temp ? VERIFY_TEMPERROR : VERIFY_FAIL;
	d->on_failure = d->applied;
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
