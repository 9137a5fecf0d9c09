/*
 * verify.h - DKIM verification and DMARC evaluation.
 * RFC 6376 6, 8301, 8463; RFC 9989.
 */
#ifndef MX_VERIFY_H
#define MX_VERIFY_H

#include "dkim.h"
#include "dns.h"

/* Words of RFC 8601 2.7.1. */
enum verify_code {
	VERIFY_PASS,
	VERIFY_FAIL,
	VERIFY_NONE,
	VERIFY_POLICY,
	VERIFY_NEUTRAL,
	VERIFY_TEMPERROR,
	VERIFY_PERMERROR
};
const char *verify_word(enum verify_code c);

#define VERIFY_SIGNATURES 10 /* THREATS 67: so many are looked at */

struct signature {
	enum verify_code code;
	struct buf domain, selector, alg, b; /* b: its first 8 characters */
	struct buf auid;
	char reason[160];
	bool testing;
};
struct signatures {
	struct signature v[VERIFY_SIGNATURES];
	size_t n;
	size_t more; /* fields beyond the limit, not verified */
};
/* Verifies the fields from the top down; now: seconds since 1970. */
void verify_dkim(struct signatures *s, const struct msg *m, struct dns *dns,
		 int64_t now);
void verify_done(struct signatures *s);

/* --- DMARC --- */
enum dmarc_policy { DMARC_NONE, DMARC_QUARANTINE, DMARC_REJECT };
const char *dmarc_policy_word(enum dmarc_policy p);

struct dmarc_identity {
	bool pass;
	struct span domain;
};
struct dmarc {
	enum verify_code code; /* PASS FAIL NONE TEMPERROR PERMERROR */
	enum dmarc_policy policy, applied;
	bool has_record;
	struct buf domain; /* whose record was used */
	struct buf record;
	struct buf org; /* Organizational Domain of the author */
	bool spf_aligned, dkim_aligned;
	char adkim, aspf;
	char reason[160];
};
/* spf: the SPF identity (domain empty: no result); dkim: n of them. */
void dmarc_check(struct dmarc *d, struct dns *dns, const char *from,
		 const struct dmarc_identity *spf,
		 const struct dmarc_identity *dkim, size_t n);
void dmarc_done(struct dmarc *d);

#endif
