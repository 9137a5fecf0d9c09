/*
 * verify.h - DKIM verification.  RFC 6376 6, RFC 8301, RFC 8463.
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

#define VERIFY_SIGNATURES 10 /* so many are verified */

struct signature {
	enum verify_code code;
	struct buf domain, selector, alg, b; /* b: its first 8 characters */
	struct buf auid;
	char reason[160];
	bool testing;
};
struct signatures {
	struct signature *v;
	size_t n, cap;
};
/* Verifies the fields from the top down; those beyond the limit are
 * `policy`.  now: seconds since 1970. */
void verify_dkim(struct signatures *s, const struct msg *m, struct dns *dns,
		 int64_t now, deadline_t dl);
/* Another message comes: what is known of the last one's body is not its.
 * verify_dkim and verify_body do so by themselves. */
void verify_forget(void);
/* An ARC-Message-Signature (RFC 8617 4.1.2): as a DKIM signature, but for v=
 * and i=.  reason has 160 bytes. */
enum verify_code verify_ams(const struct msg *m, const struct msg_field *f,
			    struct dns *dns, int64_t now, deadline_t dl,
			    char *reason);
/* An ARC-Seal over `data` (RFC 8617 4.1.3); domain_r (may be NULL): its d=. */
enum verify_code verify_seal(const struct msg_field *f, struct span data,
			     struct dns *dns, deadline_t dl, char *reason,
			     struct buf *domain_r);
/* The body hash of one field alone, without DNS; else *why_r. */
bool verify_body(const struct msg *m, const struct msg_field *f, int64_t now,
		 const char **why_r);
void verify_done(struct signatures *s);

#endif
