/*
 * spf.h - check_host() of RFC 7208.
 */
#ifndef MX_SPF_H
#define MX_SPF_H

#include "buf.h"
#include "dns.h"

#include <netinet/in.h>

enum spf_code {
	SPF_NONE,
	SPF_NEUTRAL,
	SPF_PASS,
	SPF_FAIL,
	SPF_SOFTFAIL,
	SPF_TEMPERROR,
	SPF_PERMERROR
};
const char *spf_word(enum spf_code c);

/* --- spf_parse.c: a record; spans into the published text --- */
enum spf_mech {
	SPF_ALL,
	SPF_INCLUDE,
	SPF_A,
	SPF_MX,
	SPF_PTR,
	SPF_IP4,
	SPF_IP6,
	SPF_EXISTS
};
struct spf_term {
	struct span text; /* as published, without a leading "+" */
	enum spf_code qualifier;
	enum spf_mech mech;
	struct span spec; /* domain-spec, or the ip network */
	int bits4, bits6; /* -1: whole address */
};
struct spf_record {
	struct spf_term *v;
	size_t n, cap;
	struct span redirect, exp; /* p NULL: not there */
};
/* Does the text begin with the version section (4.5)? */
bool spf_is_record(struct span txt);
/* False at a syntax error: *bad is the word.  Release either way. */
bool spf_parse(struct spf_record *r, struct span txt,
	       struct span *bad) MX_MUST_CHECK;
void spf_record_free(struct spf_record *r);

/* --- spf.c: the evaluation --- */
struct spf {
	/* the question */
	struct dns *dns;
	char ip[INET6_ADDRSTRLEN]; /* canonical; IPv4-mapped is IPv4 */
	const char *helo;
	struct buf local, sender_domain; /* of the checked identity */
	const char *receiver;            /* %{r} */
	deadline_t deadline;             /* of the whole check */
	/* the answer */
	struct buf mechanism;   /* what matched, or "" */
	struct buf explanation; /* on fail */
	struct buf reason;      /* of an error */
	int lookups, voids;
	/* work */
	struct buf exp_domain;       /* domain whose exp= holds */
	struct buf exp;              /* its macro string */
	char *validated;             /* %{p}, once known, */
	struct buf validated_domain; /* for this domain */
};

/* helo and sender as in SMTP; sender "" checks postmaster@helo (2.4).  False
 * when ip is no address (spf_done is needed all the same). */
bool spf_init(struct spf *s, struct dns *dns, const char *ip,
	      const char *sender, const char *helo,
	      const char *receiver) MX_MUST_CHECK;
void spf_done(struct spf *s);
enum spf_code spf_check(struct spf *s);
bool spf_is_v6(const struct spf *s);

/* --- spf_macro.c: macro strings (7) and validated names (5.5) --- */
/* Expands; `exp` allows c, r, t.  0, or -1 when malformed.  A domain is cut
 * on the left to 253 bytes. */
int spf_expand(struct spf *s, struct buf *out, struct span text,
	       const char *domain, bool exp);
/* Syntax alone, without DNS; *macro_last (may be NULL): it ends in one. */
bool spf_macro_ok(struct span text, bool exp, bool *macro_last);
/* Names that lead back to ip; at most 10 are looked at.  The best for
 * `domain`, or NULL; *temp_r: DNS trouble; *void_r: no name at all. */
char *spf_validated_name(struct spf *s, const char *domain, bool match_only,
			 bool *temp_r, bool *void_r);

#endif
