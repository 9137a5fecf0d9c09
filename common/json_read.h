/*
 * json_read.h - reads JSON in one pass, without recursion (RFC 8259).
 * Layer: base.  Lenient as to words and commas; bounded in depth.
 */
#ifndef MX_JSON_READ_H
#define MX_JSON_READ_H

#include "err.h"
#include "span.h"

/* A scalar at PATH like "policies.policy.x" (arrays add nothing); strings are
 * unescaped, and borrowed for the call. */
struct json_event {
	const char *path;
	struct span value;
	bool begins; /* an object of an array begins at path */
};
int json_read(struct span in, void (*fn)(void *, const struct json_event *),
	      void *ctx, struct err *e) MX_MUST_CHECK;

#endif
