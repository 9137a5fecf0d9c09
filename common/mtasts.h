/*
 * mtasts.h - MTA-STS (RFC 8461): a domain's record, its policy over HTTPS by
 * mx-fetch, the mail hosts it names.
 * Layer: mail.
 */
#ifndef MX_MTASTS_H
#define MX_MTASTS_H

#include "dns.h"

#define MTASTS_REASON 300
/* How mx-fetch begins its sentence about a certificate. */
#define MTASTS_UNTRUSTED "certificate: "

enum mtasts_mode { MTASTS_MODE_NONE, MTASTS_TESTING, MTASTS_ENFORCE };
enum mtasts_result {
	MTASTS_FOUND,
	MTASTS_NONE,   /* no record */
	MTASTS_BROKEN, /* the record or the policy */
	MTASTS_UNHAD,  /* the policy cannot be had */
	MTASTS_TEMP
};
struct mtasts { /* start with zeroes */
	enum mtasts_mode mode;
	int64_t max_age; /* seconds */
	struct strs mx;
	struct buf record, id;
	struct buf text; /* of the policy */
	char reason[MTASTS_REASON];
	bool untrusted; /* UNHAD: the server's certificate is the reason */
};
struct mtasts_conf {
	struct dns *dns;
	const char *ca_file; /* NULL or "": the system's */
	int https_port;      /* 443 */
	/* Who runs mx-fetch (mtasts_run, when NULL): a process with fewer
	 * rights than this one. */
	int (*run)(void *ctx, const struct strs *argv, struct buf *out,
		   struct buf *errs, deadline_t dl);
	void *run_ctx;
};
/* Runs a command; what it wrote to stdout (bounded) and stderr; its status. */
int mtasts_run(void *ctx, const struct strs *argv, struct buf *out,
	       struct buf *errs, deadline_t dl);
const char *mtasts_mode_word(enum mtasts_mode m);
/* The record of DNS: s->record, s->id. */
enum mtasts_result mtasts_record(struct mtasts *s, struct dns *dns,
				 const char *domain,
				 deadline_t dl) MX_MUST_CHECK;
/* The policy, fetched anew: s->text, and what it says.  The certificate is
 * checked, redirects are not followed (3.3). */
enum mtasts_result mtasts_policy(struct mtasts *s, const struct mtasts_conf *c,
				 const char *domain,
				 deadline_t dl) MX_MUST_CHECK;
/* A policy's text (3.2); false and a reason. */
bool mtasts_parse(struct mtasts *s, struct span text) MX_MUST_CHECK;
/* Is this mail host one of the policy's (4.1)? */
bool mtasts_match(const struct mtasts *s, const char *host);
void mtasts_free(struct mtasts *s);

/* The one TXT record of name that begins with `version` ("v=STSv1"): 1, 0
 * none, 2 several; -1 DNS trouble.  reason: of MTASTS_REASON bytes. */
int mtasts_txt(struct dns *dns, const char *name, const char *version,
	       struct buf *record, char *reason, deadline_t dl);
/* The value of NAME=VALUE; in such a record; p is NULL when it has none. */
struct span mtasts_field(struct span text, const char *name);

#endif
