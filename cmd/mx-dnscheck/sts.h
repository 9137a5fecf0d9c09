/*
 * sts.h - MTA-STS policies (RFC 8461) and TLSRPT records (RFC 8460).
 */
#ifndef MX_STS_H
#define MX_STS_H

#include "mtasts.h"
#include "strs.h"
#include "verify.h"

#define STS_REASON MTASTS_REASON

struct sts {
	enum verify_code code; /* PASS; NONE: no record; PERMERROR: record or
				  policy is broken; FAIL: the policy cannot be
				  had; TEMPERROR */
	struct mtasts p;
};
/* Asks DNS for the record, then mx-fetch for the policy. */
void sts_fetch(struct sts *s, struct dns *dns, const char *domain,
	       deadline_t dl);
void sts_done(struct sts *s);

struct tlsrpt {
	enum verify_code code; /* PASS NONE PERMERROR TEMPERROR */
	char reason[STS_REASON];
	struct buf record;
	struct strs rua;
};
void tlsrpt_fetch(struct tlsrpt *t, struct dns *dns, const char *domain,
		  deadline_t dl);
void tlsrpt_done(struct tlsrpt *t);

#endif
