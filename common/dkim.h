/*
 * dkim.h - what signer and verifier share: tag lists, canonicalisation, keys,
 * the signature primitive.
 * Layer: mail.  RFC 6376, 8301 (no rsa-sha1, 1024 bits at least), 8463.
 */
#ifndef MX_DKIM_H
#define MX_DKIM_H

#include "err.h"
#include "msg.h"

#include <openssl/evp.h>

/* Tag=value lists (3.2).  Spans into the parsed text. */
#define DKIM_TAGS 40
struct dkim_tags {
	struct {
		struct span name, value;
	} v[DKIM_TAGS];
	size_t n;
};
/* Strict: a malformed or repeated tag is false, and *why_r says which. */
bool dkim_tags_parse(struct dkim_tags *t, struct span s,
		     const char **why_r) MX_MUST_CHECK;
/* The value, or p NULL. */
struct span dkim_tag(const struct dkim_tags *t, const char *name);
/* Appends s without any blanks and folds (b=, bh=, p=, h=). */
void dkim_strip(struct buf *out, struct span s);

/* Base64 with blanks and folds, with or without the "=" at its end (RFC
 * 6376 2.10's base64string has them as an option); false when it is none, or
 * empty. */
bool dkim_base64(struct buf *out, struct span s) MX_MUST_CHECK;

enum dkim_canon { DKIM_SIMPLE, DKIM_RELAXED };
enum dkim_alg { DKIM_RSA_SHA256, DKIM_ED25519_SHA256, DKIM_RSA_SHA1 };

/* "relaxed/simple", "relaxed" (body simple), "" (simple/simple). */
bool dkim_canon_parse(struct span s, enum dkim_canon *head_r,
		      enum dkim_canon *body_r) MX_MUST_CHECK;
const char *dkim_canon_name(enum dkim_canon c);
bool dkim_alg_parse(struct span s, enum dkim_alg *r) MX_MUST_CHECK;
const char *dkim_alg_name(enum dkim_alg a);

/* Body hash (RFC 6376 3.4.3, 3.4.4), streaming; LF and CRLF both hash as CRLF.
 */
struct dkim_body {
	enum dkim_canon canon;
	EVP_MD_CTX *md;
	int64_t limit;   /* l=, or -1 */
	uint64_t hashed; /* canonical bytes that went into the hash */
	uint64_t total;  /* canonical bytes of the whole body */
	uint64_t lines;  /* line ends held back */
	bool ws, cr, content;
	struct buf out;
};
void dkim_body_init(struct dkim_body *b, enum dkim_canon canon, int64_t limit);
void dkim_body_add(struct dkim_body *b, struct span bytes);
/* 32 bytes; frees the state. */
void dkim_body_done(struct dkim_body *b, unsigned char hash[32]);

/* Appends one canonical field with CRLF (RFC 6376 3.4.1, 3.4.2). */
void dkim_header(struct buf *out, enum dkim_canon canon,
		 const struct msg_field *f);
/*
 * The data to sign or verify (3.7): fields of m named in `names` (h=, colons,
 * bottom up, absent ones skipped), then `sig` (a whole signature field's text,
 * canonical without its last CRLF) whose b= value is left out.
 */
void dkim_data(struct buf *out, const struct msg *m, struct span names,
	       enum dkim_canon canon, const struct msg_field *sig);

/* A key record (RFC 6376 3.6.1). */
struct dkim_record {
	EVP_PKEY *key; /* NULL when revoked */
	bool revoked;  /* p= is empty */
	bool testing;  /* t=y */
	bool strict;   /* t=s: i= must be d= itself */
	bool sha256;   /* h= allows it */
	bool email;    /* s= allows it */
	bool ed25519;
	int bits;
};
/* False when it is no DKIM key record; *why_r says why. */
bool dkim_record_parse(struct dkim_record *r, struct span txt,
		       const char **why_r) MX_MUST_CHECK;
void dkim_record_free(struct dkim_record *r);
/* A private key in PEM (PKCS#1, PKCS#8) of a kind we sign with; ST_CONFIG and
 * a sentence otherwise (missing, unreadable, under 1024 bits). */
EVP_PKEY *dkim_load_key(const char *path, enum dkim_alg *alg_r, struct err *e);
/* The p= value of a key's record, base64. */
int dkim_public(EVP_PKEY *key, struct buf *out, struct err *e) MX_MUST_CHECK;
int dkim_sign(EVP_PKEY *key, enum dkim_alg alg, struct span data,
	      struct buf *sig, struct err *e) MX_MUST_CHECK;
/* SHA-256, looked up once: OpenSSL's own EVP_sha256() is at each use. */
const EVP_MD *dkim_sha256(void);
/* The same for data of which the SHA-256 is known. */
int dkim_sign_hash(EVP_PKEY *key, enum dkim_alg alg,
		   const unsigned char hash[32], struct buf *sig,
		   struct err *e) MX_MUST_CHECK;
bool dkim_verify(EVP_PKEY *key, enum dkim_alg alg, struct span data,
		 struct span sig) MX_MUST_CHECK;

#endif
