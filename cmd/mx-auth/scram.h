/*
 * scram.h - the keys of SCRAM (RFC 5802, 7677), as Dovecot stores them:
 * {SCRAM-SHA-256}ITERATIONS,SALT,STOREDKEY,SERVERKEY in base64.
 */
#ifndef MX_AUTH_SCRAM_H
#define MX_AUTH_SCRAM_H

#include "buf.h"
#include "err.h"

#define SCRAM_KEY_MAX 64
#define SCRAM_ITERATIONS 4096

struct scram_keys {
	int64_t iterations;
	struct buf salt;
	unsigned char stored[SCRAM_KEY_MAX], server[SCRAM_KEY_MAX];
	size_t len; /* of a key: the digest's */
};
void scram_keys_free(struct scram_keys *k);
/* Of the password as SASLprep has it (RFC 5802 2.2).  md: "SHA1" or "SHA256".
 * The salt and iterations are there already. */
bool scram_derive(struct scram_keys *k, const char *md,
		  struct span password) MX_MUST_CHECK;
/* Of the password byte by byte, as Dovecot does it. */
bool scram_derive_as_is(struct scram_keys *k, const char *md,
			struct span password) MX_MUST_CHECK;
/* What stands behind {SCRAM-...}. */
bool scram_parse(struct scram_keys *k, const char *md,
		 struct span data) MX_MUST_CHECK;
void scram_print(struct buf *out, const struct scram_keys *k);
/* mac = HMAC(key, text), k->len bytes. */
bool scram_hmac(const char *md, struct span key, struct span text,
		unsigned char *mac) MX_MUST_CHECK;

#endif
