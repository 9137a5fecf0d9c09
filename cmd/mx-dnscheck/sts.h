/*
 * sts.h - MTA-STS policies (RFC 8461) and TLSRPT records (RFC 8460).
 */
#ifndef MX_STS_H
#define MX_STS_H

#include "dns.h"
#include "strs.h"
#include "verify.h"

#define STS_REASON 300

enum sts_mode { STS_MODE_NONE, STS_MODE_TESTING, STS_MODE_ENFORCE };
struct sts {
	enum verify_code code; /* PASS; NONE: no record; PERMERROR: record or
				  policy is broken; FAIL: the policy cannot be
				  had; TEMPERROR */
	char reason[STS_REASON];
	struct buf record, id;
	enum sts_mode mode;
	int64_t max_age;
	struct strs mx;
};
const char *sts_mode_word(enum sts_mode m);
/* Asks DNS for the record, then mx-fetch for the policy. */
void sts_fetch(struct sts *s, struct dns *dns, const char *domain,
	       deadline_t dl);
/* A policy's text (3.2); false and a reason. */
bool sts_parse(struct sts *s, struct span text);
/* Is this mail host one of the policy's (4.1)? */
bool sts_match(const struct sts *s, const char *host);
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

/* The one TXT record of name that begins with `version` ("v=STSv1"): 1, 0
 * none, 2 several; -1 DNS trouble. */
int sts_txt(struct dns *dns, const char *name, const char *version,
	    struct buf *record, char *reason, deadline_t dl);

#endif
