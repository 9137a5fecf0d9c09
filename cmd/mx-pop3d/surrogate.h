/*
 * surrogate.h - a header in UTF-8 for a client that did not say UTF8.
 */
#ifndef POP3D_SURROGATE_H
#define POP3D_SURROGATE_H

#include "buf.h"

/* The length of the header of `whole` (its empty line not counted); 0 when it
 * does not end there. */
size_t surrogate_header_end(struct span whole);
/* The header with encoded words for what is not ASCII, appended; false (and
 * nothing) where none is needed, or where it is not UTF-8: then it is no
 * message of RFC 6532 but a broken one, and goes out as it came. */
bool surrogate_header(struct buf *out, struct span header) MX_MUST_CHECK;

#endif
