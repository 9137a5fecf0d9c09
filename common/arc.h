/*
 * arc.h - ARC sets of a message: found, ordered, and what a seal covers; for
 * sealer and validator.
 * Layer: mail.  RFC 8617.
 */
#ifndef MX_ARC_H
#define MX_ARC_H

#include "dkim.h"

#define ARC_MAX 50 /* RFC 8617 4.2.1 */

enum arc_cv { ARC_CV_NONE, ARC_CV_PASS, ARC_CV_FAIL, ARC_CV_BAD };
const char *arc_cv_word(enum arc_cv cv);

struct arc_set {
	const struct msg_field *aar, *ams, *as;
};
struct arc {
	struct arc_set v[ARC_MAX]; /* v[0] is i=1 */
	int n;                     /* highest instance; 0: no ARC at all */
	bool broken;               /* not a chain, why says so */
	const char *why;
	enum arc_cv newest; /* what the newest seal says of the chain before */
};
/* Sorts the fields into sets (5.2 steps 1 to 3).  Fields stay with m. */
void arc_find(struct arc *a, const struct msg *m);
/* The instance of an ARC field, 1..50; 0 when malformed. */
int arc_instance(const struct msg_field *f);
enum arc_cv arc_seal_cv(const struct msg_field *as);
/* What the seal of set i (from 1) covers (RFC 8617 5.1.1); `alone`: of a chain
 * that failed, the newest set alone (5.1.2). */
void arc_seal_data(struct buf *out, const struct arc *a, int i, bool alone);

#endif
