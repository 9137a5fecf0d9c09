/*
 * spf.h - check_host() of RFC 7208.
 */
#ifndef MX_SPF_H
#define MX_SPF_H

#include "buf.h"
#include "dns.h"

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

struct spf {
	/* the question */
	struct dns *dns;
	const char *ip; /* textual, IPv4-mapped already unmapped */
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
	struct buf exp_domain; /* domain whose exp= holds */
	struct buf exp;        /* its macro string */
	char *validated;       /* %{p}, once known */
};

/* helo and sender as in SMTP; sender "" checks postmaster@helo (2.4). */
void spf_init(struct spf *s, struct dns *dns, const char *ip,
	      const char *sender, const char *helo, const char *receiver);
void spf_done(struct spf *s);
enum spf_code spf_check(struct spf *s);

/* spf_macro.c: expands a macro string (7); `exp` allows c, r, t.  0, or -1
 * when malformed.  A domain is cut on the left to 253 bytes. */
int spf_expand(struct spf *s, struct buf *out, struct span text,
	       const char *domain, bool exp);
/* Syntax alone, without DNS. */
bool spf_macro_ok(struct span text, bool exp);
/* spf_ptr.c: names that lead back to ip (5.5); at most 10 are looked at.
 * The best for `domain`, or NULL; *temp_r: DNS trouble. */
char *spf_validated_name(struct spf *s, const char *domain, bool match_only,
			 bool *temp_r, bool *void_r);

#endif
