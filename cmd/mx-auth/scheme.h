/*
 * scheme.h - password hashes in Dovecot's notation: {SCHEME}data,
 * {SCHEME.b64}data, {SCHEME.hex}data, and what libcrypt reads.
 */
#ifndef MX_AUTH_SCHEME_H
#define MX_AUTH_SCHEME_H

#include "buf.h"
#include "err.h"

enum scheme_result { SCHEME_MATCH, SCHEME_MISMATCH, SCHEME_BROKEN };

/* stored: with or without {SCHEME}; `fallback` names the scheme then.
 * SCHEME_BROKEN: unknown scheme or malformed data, e says which. */
enum scheme_result scheme_verify(struct span stored, const char *fallback,
				 struct span password,
				 struct err *e) MX_MUST_CHECK;
/* Appends "{SCHEME}data" with a fresh salt; rounds 0: the default. */
int scheme_make(struct buf *out, const char *scheme, int64_t rounds,
		struct span password, struct err *e) MX_MUST_CHECK;
/* Takes the time that verifying against `like` (or, when it is empty, a hash
 * of the default scheme) takes: for users who do not exist. */
void scheme_dummy(struct span like, struct span password);
#define SCHEME_DEFAULT "SHA512-CRYPT"

#endif
