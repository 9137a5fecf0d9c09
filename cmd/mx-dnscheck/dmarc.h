/*
 * dmarc.h - DMARC: records, the DNS tree walk, the evaluation.  RFC 9989.
 */
#ifndef MX_DMARC_H
#define MX_DMARC_H

#include "dns.h"
#include "verify.h"

#define DMARC_REASON 160

enum dmarc_policy { DMARC_NONE, DMARC_QUARANTINE, DMARC_REJECT };
const char *dmarc_policy_word(enum dmarc_policy p);

/* --- dmarc_record.c --- */
struct dmarc_record {
	bool found;
	bool useless; /* broken p, sp or np, and nobody to tell */
	enum dmarc_policy p, sp, np;
	bool has_sp, has_np;
	char psd; /* y n u */
	char adkim, aspf;
	bool test;
	struct buf text;
	char *domain;
};
/* Does the text begin with v=DMARC1? */
bool dmarc_is_record(struct span txt);
/* The first tag of that name; p NULL: none. */
struct span dmarc_tag(struct span txt, const char *want);
void dmarc_record_parse(struct dmarc_record *r, struct span txt);
void dmarc_record_free(struct dmarc_record *r);
/* The one record of a domain (found is false without); false: DNS trouble. */
bool dmarc_fetch(struct dns *dns, const char *domain, struct dmarc_record *r,
		 deadline_t dl, char reason[DMARC_REASON]) MX_MUST_CHECK;

/* --- dmarc.c --- */
struct dmarc_identity {
	bool pass, temp; /* what SPF or DKIM said: pass, temperror */
	struct span domain;
};
struct dmarc {
	enum verify_code code; /* PASS FAIL NONE TEMPERROR PERMERROR */
	enum dmarc_policy policy, applied;
	enum dmarc_policy on_failure; /* what is applied to one that fails */
	bool has_record;
	struct buf domain; /* whose record was used */
	struct buf record;
	struct buf org; /* Organizational Domain of the author */
	bool spf_aligned, dkim_aligned;
	char adkim, aspf;
	char reason[DMARC_REASON];
};
/* from: an A-label name; spf: the SPF identity (domain empty: no result);
 * dkim: n of them. */
void dmarc_check(struct dmarc *d, struct dns *dns, const char *from,
		 const struct dmarc_identity *spf,
		 const struct dmarc_identity *dkim, size_t n, deadline_t dl);
void dmarc_done(struct dmarc *d);

#endif
