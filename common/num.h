/*
 * num.h - numbers from text, checked: no strtol, no atoi elsewhere.
 * Layer: base.  All take the whole span (no blanks, no sign unless said) and
 * return false, output untouched, on anything else or beyond the range.
 */
#ifndef MX_NUM_H
#define MX_NUM_H

#include "span.h"

bool num_u64(struct span s, uint64_t max, uint64_t *r) MX_MUST_CHECK;
bool num_i64(struct span s, int64_t min, int64_t max, int64_t *r) MX_MUST_CHECK;
bool num_int(struct span s, int min, int max, int *r) MX_MUST_CHECK;
bool num_hex(struct span s, uint64_t max, uint64_t *r) MX_MUST_CHECK;
/* Leading decimal digits; *used tells how many bytes (at least 1). */
bool num_prefix(struct span s, uint64_t max, uint64_t *r,
		size_t *used) MX_MUST_CHECK;
/* Bytes: digits with an optional k, M, G (1024) behind, B optional. */
bool num_bytes(struct span s, int64_t *bytes_r) MX_MUST_CHECK;
/* Milliseconds: Postfix's "NUMBER[smhdw]" or "NUMBERms"; `unit` is used when
 * no letter stands there, e.g. 's'. */
bool num_time(struct span s, char unit, int64_t *ms_r) MX_MUST_CHECK;
/* yes/no, true/false, on/off, 1/0, any case. */
bool num_bool(struct span s, bool *r) MX_MUST_CHECK;

#endif
