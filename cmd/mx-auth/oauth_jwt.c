/*
 * oauth_jwt.c - JSON web tokens that are seen to be good from themselves
 * (RFC 7519, 7515, 7518), with keys in FOLDER/AZP/ALG/KID, "default" where
 * the token has no azp or kid, as Dovecot's key dictionary lays them out.
 * The key's place depends on the algorithm, and its kind must fit: a public
 * key is never taken for a shared secret.
 */
#include "escape.h"
#include "io.h"
#include "mem.h"
#include "num.h"
#include "oauth.h"
#include "status.h"

#include <openssl/bn.h>
#include <openssl/ec.h>
#include <openssl/ecdsa.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

enum { KEY_FILE_BYTES = 65536, KEY_NAME_BYTES = 120, RSA_BITS_MIN = 2048 };

enum kind { SECRET, RSA_PKCS1, RSA_PSS, EC };
static const struct alg {
	const char *name, *md;
	enum kind kind;
	size_t half; /* of an EC signature: r, then s (RFC 7518 3.4) */
} algs[] = {
	{ "HS256", "SHA256", SECRET, 0 },
	{ "HS384", "SHA384", SECRET, 0 },
	{ "HS512", "SHA512", SECRET, 0 },
	{ "RS256", "SHA256", RSA_PKCS1, 0 },
	{ "RS384", "SHA384", RSA_PKCS1, 0 },
	{ "RS512", "SHA512", RSA_PKCS1, 0 },
	{ "PS256", "SHA256", RSA_PSS, 0 },
	{ "PS384", "SHA384", RSA_PSS, 0 },
	{ "PS512", "SHA512", RSA_PSS, 0 },
	{ "ES256", "SHA256", EC, 32 },
	{ "ES384", "SHA384", EC, 48 },
	{ "ES512", "SHA512", EC, 66 },
};

bool
oauth_token_ok(struct span token)
{
	size_t i = 0;

	while (i < token.n &&
	       (ascii_isalnum(token.p[i]) ||
		(token.p[i] != '\0' && strchr("-._~+/", token.p[i]) != NULL)))
		i++;
	if (i == 0)
		return false;
	while (i < token.n && token.p[i] == '=')
		i++;
	return i == token.n;
}

/* Without padding (RFC 7515 2). */
static bool
base64url(struct buf *out, struct span in)
{
	struct buf b = BUF_INIT;
	bool ok = span_chr(in, '+') < 0 && span_chr(in, '/') < 0 &&
		  span_chr(in, '=') < 0;

	for (size_t i = 0; i < in.n; i++)
		buf_addc(&b, in.p[i] == '-'   ? '+'
			     : in.p[i] == '_' ? '/'
					      : in.p[i]);
	while (b.n % 4 != 0)
		buf_addc(&b, '=');
	ok = ok && base64_decode(out, buf_span(&b));
	buf_wipe(&b);
	return ok;
}

/* A part of the key's path: '/' and '%' cannot lead elsewhere. */
static bool
add_part(struct buf *path, const char *part)
{
	if (part[0] == '\0' || part[0] == '.' || strlen(part) > KEY_NAME_BYTES)
		return false;
	for (; *part != '\0'; part++) {
		if (*part == '/')
			buf_adds(path, "%2f");
		else if (*part == '%')
			buf_adds(path, "%25");
		else
			buf_addc(path, *part);
	}
	return true;
}

static enum db_result
read_key(const struct oauth_conf *conf, const struct alg *a, const char *azp,
	 const char *kid, struct buf *key, struct err *e)
{
	struct buf path = BUF_INIT;
	enum db_result r = DB_OK;

	buf_adds(&path, conf->key_folder);
	if (!add_part(&path, azp ? azp : "default")) {
		r = DB_MISMATCH;
	} else {
		buf_addf(&path, "/%s/", a->name);
		if (!add_part(&path, kid ? kid : "default"))
			r = DB_MISMATCH;
	}
	if (r == DB_OK &&
	    io_read_file(buf_str(&path), key, KEY_FILE_BYTES, e) < 0)
		r = access(buf_str(&path), F_OK) < 0 &&
			    (errno == ENOENT || errno == ENOTDIR)
			? DB_MISMATCH
			: DB_TEMP;
	if (r == DB_MISMATCH)
		err_set(e, ST_NOPERM, "there is no %s key for this token",
			a->name);
	buf_free(&path);
	return r;
}

static bool
hmac_fits(const struct alg *a, struct span key64, struct span text,
	  struct span sig)
{
	unsigned char mac[EVP_MAX_MD_SIZE];
	struct buf key = BUF_INIT;
	unsigned n = 0;
	bool ok =
	    base64_decode_lax(&key, key64) && key.n > 0 &&
	    HMAC(EVP_get_digestbyname(a->md), key.p, (int)key.n,
		 (const unsigned char *)text.p, text.n, mac, &n) != NULL &&
	    sig.n == n && mem_equal_secret(mac, sig.p, n);

	buf_wipe(&key);
	return ok;
}

/* r and s as DER, which OpenSSL wants; NULL: not of this curve's length. */
static unsigned char *
ec_signature(const struct alg *a, struct span sig, size_t *n_r)
{
	ECDSA_SIG *s = ECDSA_SIG_new();
	const unsigned char *p = (const unsigned char *)sig.p;
	unsigned char *der = NULL;
	BIGNUM *x, *y;
	int n = 0;

	if (s != NULL && sig.n == 2 * a->half) {
		x = BN_bin2bn(p, (int)a->half, NULL);
		y = BN_bin2bn(p + a->half, (int)a->half, NULL);
		if (x != NULL && y != NULL && ECDSA_SIG_set0(s, x, y) == 1) {
			n = i2d_ECDSA_SIG(s, &der);
		} else {
			BN_free(x);
			BN_free(y);
		}
	}
	ECDSA_SIG_free(s);
	*n_r = n > 0 ? (size_t)n : 0;
	return n > 0 ? der : NULL;
}

/* A key of another kind than the algorithm's is refused before it is used: an
 * RSA public key never serves as HMAC secret. */
static bool
key_fits(const struct alg *a, EVP_PKEY *key)
{
	int bits = EVP_PKEY_get_bits(key);

	if (a->kind == EC)
		return EVP_PKEY_get_base_id(key) == EVP_PKEY_EC &&
		       (size_t)(bits + 7) / 8 == a->half;
	return EVP_PKEY_get_base_id(key) == EVP_PKEY_RSA &&
	       bits >= RSA_BITS_MIN;
}

static bool
verify_with(const struct alg *a, EVP_PKEY *key, struct span text,
	    struct span sig)
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	EVP_PKEY_CTX *pk = NULL;
	unsigned char *der = NULL;
	const unsigned char *p = (const unsigned char *)sig.p;
	size_t n = sig.n;
	bool ok = ctx != NULL && key_fits(a, key);

	if (ok && a->kind == EC) {
		der = ec_signature(a, sig, &n);
		p = der;
	}
	ok = ok && p != NULL && n > 0 &&
	     EVP_DigestVerifyInit(ctx, &pk, EVP_get_digestbyname(a->md), NULL,
				  key) == 1;
	if (ok && a->kind == RSA_PSS)
		ok = EVP_PKEY_CTX_set_rsa_padding(pk, RSA_PKCS1_PSS_PADDING) ==
			 1 &&
		     EVP_PKEY_CTX_set_rsa_pss_saltlen(
			 pk, RSA_PSS_SALTLEN_DIGEST) == 1;
	ok = ok && EVP_DigestVerify(ctx, p, n, (const unsigned char *)text.p,
				    text.n) == 1;
	OPENSSL_free(der);
	EVP_MD_CTX_free(ctx);
	return ok;
}

static enum db_result
verify(const struct alg *a, struct span key, struct span text, struct span sig,
       struct err *e)
{
	BIO *bio;
	EVP_PKEY *pkey;
	bool ok;

	if (a->kind == SECRET) {
		ok = hmac_fits(a, key, text, sig);
	} else {
		bio = BIO_new_mem_buf(key.p, (int)key.n);
		pkey = bio ? PEM_read_bio_PUBKEY(bio, NULL, NULL, NULL) : NULL;
		BIO_free(bio);
		if (pkey == NULL) {
			err_set(e, ST_CONFIG, "its key is no PEM public key");
			return DB_TEMP;
		}
		ok = verify_with(a, pkey, text, sig);
		EVP_PKEY_free(pkey);
	}
	if (ok)
		return DB_OK;
	err_set(e, ST_NOPERM, "the token's %s signature is wrong", a->name);
	return DB_MISMATCH;
}

/* A time in seconds; a fraction is cut.  0: not there; -1: none. */
static int
take_time(const struct oauth_claims *c, const char *name, int64_t *t)
{
	const char *v = oauth_claim(c, name);
	struct span s = span_of(v), whole;

	if (v == NULL)
		return 0;
	return span_split(&s, '.', &whole) &&
		       num_i64(whole, 0, INT64_MAX / 2, t)
		   ? 1
		   : -1;
}

/* RFC 7519 4.1. */
static const char *
check_claims(const struct oauth_conf *conf, const struct oauth_claims *c,
	     int64_t now)
{
	int64_t exp = 0, nbf = now, iat = now;
	struct span rest = span_of(conf->issuers), w;
	const char *iss = oauth_claim(c, "iss");
	bool issuer = conf->issuers[0] == '\0';

	if (oauth_claim(c, "sub") == NULL)
		return "the token has no sub";
	if (take_time(c, "exp", &exp) != 1)
		return "the token has no exp";
	if (take_time(c, "nbf", &nbf) < 0 || take_time(c, "iat", &iat) < 0)
		return "the token's nbf or iat is malformed";
	if (exp <= now)
		return "the token has expired";
	if (nbf > now || iat > now)
		return "the token is not valid yet";
	while (!issuer && span_word(&rest, " ,", &w))
		issuer = iss != NULL && span_is(w, iss);
	if (!issuer)
		return "the token's issuer is not one of issuers";
	if (conf->client_id[0] != '\0' &&
	    !oauth_claim_has(c, "aud", span_of(conf->client_id)))
		return "client_id is not in the token's aud";
	return NULL;
}

/* header "." payload "." signature, decoded; false: no JWT. */
static bool
take_apart(struct span token, struct oauth_claims *head,
	   struct oauth_claims *body, struct span *text, struct buf *sig)
{
	struct buf h = BUF_INIT, b = BUF_INIT;
	struct span rest = token, a1, a2, a3;
	bool ok = span_split(&rest, '.', &a1) && span_split(&rest, '.', &a2) &&
		  span_split(&rest, '.', &a3) && rest.p == NULL &&
		  base64url(&h, a1) &&
		  oauth_claims_read(head, buf_span(&h), NULL) == 0 &&
		  oauth_claim(head, "alg") != NULL && base64url(&b, a2) &&
		  oauth_claims_read(body, buf_span(&b), NULL) == 0 &&
		  base64url(sig, a3);

	*text =
	    ok ? span_sub(token, 0, (size_t)(a3.p - token.p) - 1) : SPAN("");
	buf_wipe(&h);
	buf_wipe(&b);
	return ok;
}

static const struct alg *
alg_find(const char *name)
{
	for (size_t i = 0; i < ARRAY_LEN(algs); i++)
		if (strcmp(algs[i].name, name) == 0)
			return &algs[i];
	return NULL;
}

enum db_result
oauth_jwt(const struct oauth_conf *conf, struct span token, int64_t now,
	  struct oauth_claims *c, struct err *e)
{
	struct oauth_claims head = { STRS_INIT, STRS_INIT };
	struct buf sig = BUF_INIT, key = BUF_INIT;
	const struct alg *a = NULL;
	struct span text;
	const char *why;
	enum db_result r = DB_NONE;

	if (!take_apart(token, &head, c, &text, &sig)) {
		err_set(e, ST_NOPERM, "the token is no JWT");
		goto out;
	}
	a = alg_find(oauth_claim(&head, "alg"));
	/* An extension that must be understood (RFC 7515 4.1.11). */
	if (a == NULL || oauth_claim(&head, "crit") != NULL) {
		err_set(e, ST_NOPERM,
			"the token's algorithm is none that is taken");
		r = DB_MISMATCH;
		goto out;
	}
	r = read_key(conf, a, oauth_claim(c, "azp"), oauth_claim(&head, "kid"),
		     &key, e);
	if (r == DB_OK)
		r = verify(a, buf_span(&key), text, buf_span(&sig), e);
	why = r == DB_OK ? check_claims(conf, c, now) : NULL;
	if (why != NULL) {
		err_set(e, ST_NOPERM, "%s", why);
		r = DB_MISMATCH;
	}
out:
	if (r != DB_OK) {
		oauth_claims_free(c);
		*c = (struct oauth_claims){ STRS_INIT, STRS_INIT };
	}
	oauth_claims_free(&head);
	buf_wipe(&key);
	buf_wipe(&sig);
	return r;
}
