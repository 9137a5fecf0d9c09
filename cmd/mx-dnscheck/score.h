/*
 * score.h - the scorecard of a message: what its parts share.
 */
#ifndef MX_SCORE_H
#define MX_SCORE_H

#include "auth.h"
#include "finding.h"

/* score_message.c: what needs no DNS. */
void score_fields(struct findings *f, const struct msg *m, int64_t now);

/* score_trace.c: who brought it, as the Received fields tell. */
struct trace {
	struct buf ip, helo; /* of the last host that was not ours */
	bool tls, known;
};
void trace_read(struct trace *t, const struct msg *m);
void trace_done(struct trace *t);
/* What the topmost Authentication-Results says of a method ("spf"): its word,
 * empty when none does. */
struct span trace_result(const struct msg *m, const char *method);

#endif
