/*
 * saslprep.h - names and passwords as they are compared.
 * Layer: base.  RFC 4013 (SASLprep), RFC 3454 (stringprep).
 */
#ifndef MX_SASLPREP_H
#define MX_SASLPREP_H

#include "buf.h"

/* Appends what SASLprep makes of a query string (unassigned code points are
 * allowed).  -1: it is not UTF-8, holds a character of RFC 4013 2.3 (a control
 * character, say), or mixes directions (2.4); then `out` is as it was.  The
 * memory that it used meanwhile is wiped. */
int saslprep(struct buf *out, struct span in) MX_MUST_CHECK;

#endif
