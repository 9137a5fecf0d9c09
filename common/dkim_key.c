/*
 * dkim_key.c - key records, private keys, and the signature primitive; see
 * dkim.h.
 * Layer: mail.  RFC 6376 3.6.1; RFC 8301; RFC 8463.
 */
#include "dkim.h"
#include "escape.h"
#include "io.h"
#include "status.h"

#include <openssl/bio.h>
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>

#define KEY_FILE_MAX 65536
#define BITS_MIN 1024
#define BITS_MAX 8192

/* Is the word in a list with colons? */
static bool
list_has(struct span list, const char *word)
{
	struct span w;

	while (span_split(&list, ':', &w)) {
		if (span_iis(span_trim(w), word))
			return true;
	}
	return false;
}

static EVP_PKEY *
key_from_bytes(struct span raw, bool ed25519)
{
	const unsigned char *p = (const unsigned char *)raw.p;
	EVP_PKEY *key;

	if (ed25519)
		/* RFC 8463 4.2 */
		return raw.n == 32 ? EVP_PKEY_new_raw_public_key(
					 EVP_PKEY_ED25519, NULL, p, raw.n)
				   : NULL;
	key = d2i_PUBKEY(NULL, &p, (long)raw.n);
	if (key != NULL)
		return key;
	/* Some publish the bare RSAPublicKey; RFC 6376 3.6.1 says so, too. */
	p = (const unsigned char *)raw.p;
	return d2i_PublicKey(EVP_PKEY_RSA, NULL, &p, (long)raw.n);
}

/* A giant modulus or exponent costs the verifier, an exponent of
 * 1 or an even one proves nothing. */
static bool
rsa_usable(EVP_PKEY *key, int bits)
{
	BIGNUM *e = NULL;
	bool ok;

	if (EVP_PKEY_get_base_id(key) != EVP_PKEY_RSA || bits > BITS_MAX ||
	    EVP_PKEY_get_bn_param(key, OSSL_PKEY_PARAM_RSA_E, &e) != 1)
		return false;
	ok = BN_is_odd(e) && !BN_is_one(e) && BN_num_bits(e) <= 32;
	BN_free(e);
	return ok;
}

static bool
record_key(struct dkim_record *r, struct span p, const char **why_r)
{
	struct buf raw = BUF_INIT;
	bool ok = false;

	/* RFC 6376 3.6.1: an empty p= revokes the key */
	if (span_trim(p).n == 0) {
		r->revoked = true;
		ok = true;
	} else if (!dkim_base64(&raw, p)) {
		*why_r = "p= is not base64";
	} else {
		r->key = key_from_bytes(buf_span(&raw), r->ed25519);
		ok = r->key != NULL;
		if (!ok)
			*why_r = "p= is not a key of that kind";
	}
	if (ok && r->key != NULL) {
		r->bits = EVP_PKEY_get_bits(r->key);
		ok = r->ed25519 || rsa_usable(r->key, r->bits);
		if (!ok)
			*why_r = "unusable key";
	}
	buf_free(&raw);
	return ok;
}

bool
dkim_record_parse(struct dkim_record *r, struct span txt, const char **why_r)
{
	struct dkim_tags t;
	struct span v;

	*r = (struct dkim_record){ .sha256 = true, .email = true };
	if (!dkim_tags_parse(&t, txt, why_r))
		return false;
	/* RFC 6376 3.6.1: v= may be missing; where it is, it stands first */
	v = dkim_tag(&t, "v");
	if (v.p != NULL &&
	    (!span_is(v, "DKIM1") || !span_is(t.v[0].name, "v"))) {
		*why_r = "not a DKIM1 record";
		return false;
	}
	v = dkim_tag(&t, "k");
	if (v.p != NULL && span_iis(v, "ed25519"))
		r->ed25519 = true;
	else if (v.p != NULL && !span_iis(v, "rsa")) {
		*why_r = "unknown key type";
		return false;
	}
	/* RFC 6376 3.6.1: hashes and services that are not known are passed
	 * over in their lists */
	v = dkim_tag(&t, "h");
	if (v.p != NULL)
		r->sha256 = list_has(v, "sha256");
	v = dkim_tag(&t, "s");
	if (v.p != NULL)
		r->email = list_has(v, "*") || list_has(v, "email");
	v = dkim_tag(&t, "t");
	r->testing = list_has(v, "y");
	r->strict = list_has(v, "s");
	v = dkim_tag(&t, "p");
	if (v.p == NULL) {
		*why_r = "p= is missing";
		return false;
	}
	if (record_key(r, v, why_r))
		return true;
	dkim_record_free(r);
	return false;
}

void
dkim_record_free(struct dkim_record *r)
{
	EVP_PKEY_free(r->key);
	r->key = NULL;
}

/* OpenSSL would ask for it on the terminal, and without one on standard input,
 * which holds the message. */
static int
no_passphrase(char *to MX_UNUSED, int size MX_UNUSED, int rw MX_UNUSED,
	      void *ctx MX_UNUSED)
{
	return -1;
}

EVP_PKEY *
dkim_load_key(const char *path, enum dkim_alg *alg_r, struct err *e)
{
	struct buf pem = BUF_INIT;
	EVP_PKEY *key = NULL;
	BIO *bio;

	if (io_read_file(path, &pem, KEY_FILE_MAX, e) != 0) {
		err_prefix(e, "key");
		if (e != NULL)
			e->status = ST_CONFIG;
		return NULL;
	}
	bio = BIO_new_mem_buf(pem.p, (int)pem.n);
	if (bio != NULL)
		key = PEM_read_bio_PrivateKey(bio, NULL, no_passphrase, NULL);
	BIO_free(bio);
	buf_wipe(&pem);
	if (key == NULL) {
		err_set(e, ST_CONFIG,
			"%s: expected a private key in PEM, without a "
			"passphrase",
			path);
		return NULL;
	}
	if (EVP_PKEY_get_base_id(key) == EVP_PKEY_ED25519) {
		*alg_r = DKIM_ED25519_SHA256;
		return key;
	}
	*alg_r = DKIM_RSA_SHA256;
	if (EVP_PKEY_get_base_id(key) != EVP_PKEY_RSA)
		err_set(e, ST_CONFIG, "%s: expected an RSA or Ed25519 key",
			path);
	else if (EVP_PKEY_get_bits(key) < BITS_MIN)
		err_set(e, ST_CONFIG,
			"%s: a key of %d bits; at least %d are needed (RFC "
			"8301)",
			path, EVP_PKEY_get_bits(key), BITS_MIN);
	else
		return key;
	EVP_PKEY_free(key);
	return NULL;
}

int
dkim_public(EVP_PKEY *key, struct buf *out, struct err *e)
{
	unsigned char raw[32], *der = NULL;
	size_t n = sizeof(raw);
	int len;

	/* RFC 8463 4.2: the 32 bytes alone, not a SubjectPublicKeyInfo. */
	if (EVP_PKEY_get_base_id(key) == EVP_PKEY_ED25519) {
		if (EVP_PKEY_get_raw_public_key(key, raw, &n) != 1)
			return err_set(e, ST_SOFTWARE, "no public key");
		base64_encode(out, span_make((const char *)raw, n));
		return 0;
	}
	len = i2d_PUBKEY(key, &der);
	if (len <= 0)
		return err_set(e, ST_SOFTWARE, "no public key");
	base64_encode(out, span_make((const char *)der, (size_t)len));
	OPENSSL_free(der);
	return 0;
}

const EVP_MD *
dkim_sha256(void)
{
	static const EVP_MD *md;

	if (md == NULL)
		md = EVP_MD_fetch(NULL, "SHA256", NULL);
	return md != NULL ? md : EVP_sha256();
}

/* RFC 6376 3.3.1 signs the hash as PKCS #1 1.5 does, RFC 8463 3 as it is. */
int
dkim_sign_hash(EVP_PKEY *key, enum dkim_alg alg, const unsigned char hash[32],
	       struct buf *sig, struct err *e)
{
	unsigned char out[2048];
	size_t n = sizeof(out);
	EVP_MD_CTX *md = NULL;
	EVP_PKEY_CTX *ctx = NULL;
	bool ok;

	if (alg == DKIM_ED25519_SHA256) {
		md = EVP_MD_CTX_new();
		ok = md != NULL &&
		     EVP_DigestSignInit(md, NULL, NULL, NULL, key) == 1 &&
		     EVP_DigestSign(md, out, &n, hash, 32) == 1;
	} else {
		ctx = EVP_PKEY_CTX_new(key, NULL);
		ok =
		    ctx != NULL && EVP_PKEY_sign_init(ctx) == 1 &&
		    EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_PADDING) == 1 &&
		    EVP_PKEY_CTX_set_signature_md(ctx, dkim_sha256()) == 1 &&
		    EVP_PKEY_sign(ctx, out, &n, hash, 32) == 1;
	}
	EVP_MD_CTX_free(md);
	EVP_PKEY_CTX_free(ctx);
	if (!ok)
		return err_set(e, ST_SOFTWARE, "signing failed");
	buf_add(sig, out, n);
	return 0;
}

int
dkim_sign(EVP_PKEY *key, enum dkim_alg alg, struct span data, struct buf *sig,
	  struct err *e)
{
	unsigned char hash[32];
	unsigned int n = 32;

	if (EVP_Digest(data.p, data.n, hash, &n, dkim_sha256(), NULL) != 1)
		return err_set(e, ST_SOFTWARE, "hashing failed");
	return dkim_sign_hash(key, alg, hash, sig, e);
}

bool
dkim_verify(EVP_PKEY *key, enum dkim_alg alg, struct span data, struct span sig)
{
	const unsigned char *b = (const unsigned char *)sig.p;
	unsigned char hash[32];
	unsigned int n = 32;
	EVP_MD_CTX *md = NULL;
	EVP_PKEY_CTX *ctx = NULL;
	bool ok;

	if (EVP_Digest(data.p, data.n, hash, &n, dkim_sha256(), NULL) != 1)
		return false;
	if (alg == DKIM_ED25519_SHA256) {
		md = EVP_MD_CTX_new();
		ok = md != NULL &&
		     EVP_DigestVerifyInit(md, NULL, NULL, NULL, key) == 1 &&
		     EVP_DigestVerify(md, b, sig.n, hash, n) == 1;
	} else {
		ctx = EVP_PKEY_CTX_new(key, NULL);
		ok =
		    ctx != NULL && EVP_PKEY_verify_init(ctx) == 1 &&
		    EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_PADDING) == 1 &&
		    EVP_PKEY_CTX_set_signature_md(ctx, dkim_sha256()) == 1 &&
		    EVP_PKEY_verify(ctx, b, sig.n, hash, n) == 1;
	}
	EVP_MD_CTX_free(md);
	EVP_PKEY_CTX_free(ctx);
	return ok;
}
