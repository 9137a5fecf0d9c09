/*
 * arc.h of common/ has the sets; this is their validation.  RFC 8617 5.2.
 */
#ifndef MX_ARC_CHECK_H
#define MX_ARC_CHECK_H

#include "verify.h"

struct arc_result {
	enum verify_code code; /* PASS FAIL NONE TEMPERROR */
	int n;                 /* sets */
	int oldest_pass;       /* 0: all pass */
	struct buf domain;     /* d= of the newest seal */
	char reason[160];
};
void arc_check(struct arc_result *r, const struct msg *m, struct dns *dns,
	       int64_t now, deadline_t dl);
void arc_done(struct arc_result *r);

#endif
