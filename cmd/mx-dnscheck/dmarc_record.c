/*
 * dmarc_record.c - DMARC policy records: what one says, and fetching the one
 * of a domain.  RFC 9989 4.7, 4.8, 4.10.1; RFC 7489 senders' pct= is read.
 */
#include "dmarc.h"
#include "mem.h"
#include "num.h"

#include <stdio.h>
#include <stdlib.h>

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

/* The next "name = value" of the list; malformed ones are passed over (RFC
 * 9989 4.8: syntax errors are discarded in favour of default values). */
static bool
next_tag(struct span *rest, struct span *name, struct span *value)
{
	struct span piece;

	while (span_split(rest, ';', &piece)) {
		ssize_t eq = span_chr(piece, '=');

		if (eq < 0)
			continue;
		*name = span_trim(span_sub(piece, 0, (size_t)eq));
		*value = span_trim(span_from(piece, (size_t)eq + 1));
		if (name->n > 0)
			return true;
	}
	return false;
}

struct span
dmarc_tag(struct span txt, const char *want)
{
	struct span name, value;

	while (next_tag(&txt, &name, &value)) {
		if (span_iis(name, want))
			return value;
	}
	return span_make(NULL, 0);
}

static char
one_letter(struct span v, const char *allowed, char def)
{
	char c;

	if (v.n != 1 || !ascii_isalpha(v.p[0]))
		return def;
	c = ascii_tolower(v.p[0]);
	return strchr(allowed, c) != NULL ? c : def;
}

/* A URI that reports could go to: what RFC 9989 4.10.1 needs to know. */
static bool
has_uri(struct span rua)
{
	struct span u;

	while (rua.p != NULL && span_split(&rua, ',', &u)) {
		u = span_trim(u);
		if (span_istarts(u, SPAN("mailto:")) && span_chr(u, '@') > 7)
			return true;
	}
	return false;
}

bool
dmarc_is_record(struct span txt)
{
	struct span first;
	ssize_t eq;

	/* RFC 9989 4.7: v must be first, "DMARC1" exactly. */
	if (!span_split(&txt, ';', &first))
		return false;
	eq = span_chr(first, '=');
	return eq > 0 &&
	       span_iis(span_trim(span_sub(first, 0, (size_t)eq)), "v") &&
	       span_is(span_trim(span_from(first, (size_t)eq + 1)), "DMARC1");
}

void
dmarc_record_parse(struct dmarc_record *r, struct span txt)
{
	struct span p = dmarc_tag(txt, "p"), sp = dmarc_tag(txt, "sp"),
		    np = dmarc_tag(txt, "np"), pct = dmarc_tag(txt, "pct");
	uint64_t percent;
	bool ok = true;

	r->p = DMARC_NONE;
	r->has_sp = sp.p != NULL;
	r->has_np = np.p != NULL;
	/* RFC 9989 4.7: without p it is p=none; 4.10.1: a value that is none of
	 * the three makes the whole p=none where reports are wanted, else the
	 * record says nothing about messages. */
	if (p.p != NULL)
		ok &= policy_word(p, &r->p);
	if (r->has_sp)
		ok &= policy_word(sp, &r->sp);
	if (r->has_np)
		ok &= policy_word(np, &r->np);
	if (!ok) {
		r->p = DMARC_NONE;
		r->has_sp = r->has_np = false;
		r->useless = !has_uri(dmarc_tag(txt, "rua"));
	}
	r->psd = one_letter(dmarc_tag(txt, "psd"), "ynu", 'u');
	r->adkim = one_letter(dmarc_tag(txt, "adkim"), "rs", 'r');
	r->aspf = one_letter(dmarc_tag(txt, "aspf"), "rs", 'r');
	r->test = one_letter(dmarc_tag(txt, "t"), "yn", 'n') == 'y';
	/* RFC 7489's pct=0 was the test mode that is t=y now */
	if (pct.p != NULL && num_u64(pct, 100, &percent) && percent == 0)
		r->test = true;
}

void
dmarc_record_free(struct dmarc_record *r)
{
	buf_free(&r->text);
	free(r->domain);
	*r = (struct dmarc_record){ 0 };
}

bool
dmarc_fetch(struct dns *dns, const char *domain, struct dmarc_record *r,
	    deadline_t dl, char reason[DMARC_REASON])
{
	struct dns_answer ans;
	struct err e = ERR_INIT;
	char *name = mem_printf("_dmarc.%s", domain);
	enum dns_status st = dns_query(dns, name, DNS_TXT, &ans, dl, &e);
	size_t n = 0, at = 0;

	*r = (struct dmarc_record){ 0 };
	free(name);
	if (st == DNS_TEMP) {
		snprintf(reason, DMARC_REASON, "%.*s", DMARC_REASON - 1,
			 e.text);
		return false;
	}
	for (size_t i = 0; i < ans.n; i++) {
		if (dmarc_is_record(span_make(ans.v[i].text, ans.v[i].len))) {
			n++;
			at = i;
		}
	}
	/* RFC 9989 4.10: several are as good as none. */
	if (n == 1) {
		struct span txt = span_make(ans.v[at].text, ans.v[at].len);

		dmarc_record_parse(r, txt);
		r->found = true;
		buf_addspan(&r->text, txt);
		r->domain = mem_strdup(domain);
	}
	dns_answer_free(&ans);
	return true;
}
