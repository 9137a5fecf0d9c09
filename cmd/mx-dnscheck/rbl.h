/*
 * rbl.h - block lists in DNS.  RFC 5782.
 */
#ifndef MX_RBL_H
#define MX_RBL_H

#include "dns.h"

enum rbl_code { RBL_CLEAN, RBL_LISTED, RBL_REFUSED, RBL_TEMPERROR };
const char *rbl_word(enum rbl_code c);

struct rbl {
	enum rbl_code code;
	char answer[64]; /* 127.0.0.2 */
	struct buf text; /* what the list says of it */
};
/* REFUSED: the list says that it does not answer this resolver. */
void rbl_query(struct rbl *r, struct dns *dns, const char *ip, const char *zone,
	       deadline_t dl);
void rbl_done(struct rbl *r);

#endif
