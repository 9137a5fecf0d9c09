/*
 * scheme.c - verifies and makes password hashes: libcrypt's methods, plain
 * text, and libcrypto digests with or without salt.
 * It never logs a password or a hash.  Dovecot "Password schemes".
 */
#include "scheme.h"
#include "escape.h"
#include "mem.h"
#include "random.h"
#include "scram.h"
#include "status.h"

#include <crypt.h>
#include <openssl/evp.h>
#include <stdlib.h>

enum kind { K_CRYPT, K_PLAIN, K_DIGEST, K_SCRAM };
enum coding { C_AUTO, C_BASE64, C_HEX };
enum { SALT_MAX = 256, SALT_NEW = 8 };

struct scheme {
	const char *name;
	enum kind kind;
	const char *detail; /* K_CRYPT: prefix of the data; K_DIGEST: digest */
	enum coding coding; /* what is written; reading takes either */
	bool salted;
};

/* MD5 is found out by its data: $1$ is MD5-CRYPT, else a digest. */
static const struct scheme schemes[] = {
	{ "SHA512-CRYPT", K_CRYPT, "$6$", C_AUTO, true },
	{ "SHA256-CRYPT", K_CRYPT, "$5$", C_AUTO, true },
	{ "BLF-CRYPT", K_CRYPT, "$2", C_AUTO, true },
	{ "MD5-CRYPT", K_CRYPT, "$1$", C_AUTO, true },
	{ "CRYPT", K_CRYPT, "", C_AUTO, true },
	{ "PLAIN", K_PLAIN, "", C_AUTO, false },
	{ "CLEARTEXT", K_PLAIN, "", C_AUTO, false },
	{ "CLEAR", K_PLAIN, "", C_AUTO, false },
	{ "PLAIN-MD5", K_DIGEST, "MD5", C_HEX, false },
	{ "LDAP-MD5", K_DIGEST, "MD5", C_BASE64, false },
	{ "MD5", K_DIGEST, "MD5", C_HEX, false },
	{ "SMD5", K_DIGEST, "MD5", C_BASE64, true },
	{ "SHA", K_DIGEST, "SHA1", C_BASE64, false },
	{ "SHA1", K_DIGEST, "SHA1", C_BASE64, false },
	{ "SSHA", K_DIGEST, "SHA1", C_BASE64, true },
	{ "SHA256", K_DIGEST, "SHA256", C_BASE64, false },
	{ "SSHA256", K_DIGEST, "SHA256", C_BASE64, true },
	{ "SHA512", K_DIGEST, "SHA512", C_BASE64, false },
	{ "SSHA512", K_DIGEST, "SHA512", C_BASE64, true },
	{ "SCRAM-SHA-1", K_SCRAM, "SHA1", C_AUTO, true },
	{ "SCRAM-SHA-256", K_SCRAM, "SHA256", C_AUTO, true },
};

/* What crypt_gensalt makes for each new hash; BLF's $2y$ as Dovecot writes. */
static const char *
gensalt_prefix(const struct scheme *s)
{
	if (strcmp(s->name, "BLF-CRYPT") == 0)
		return "$2y$";
	if (s->detail[0] == '\0')
		return NULL; /* CRYPT: what this libcrypt prefers */
	return s->detail;
}

static const struct scheme *
scheme_find(struct span name)
{
	for (size_t i = 0; i < ARRAY_LEN(schemes); i++)
		if (span_iis(name, schemes[i].name))
			return &schemes[i];
	return NULL;
}

static void
scheme_names(struct buf *b)
{
	for (size_t i = 0; i < ARRAY_LEN(schemes); i++)
		buf_addf(b, "%s%s", i > 0 ? " " : "", schemes[i].name);
}

/* "{NAME.coding}data" -> its parts. */
static const struct scheme *
split_scheme(struct span *stored, const char *fallback, enum coding *coding,
	     struct err *e)
{
	struct span name = span_of(fallback);
	const struct scheme *s;
	ssize_t end, dot;

	*coding = C_AUTO;
	if (stored->n > 0 && stored->p[0] == '{' &&
	    (end = span_chr(*stored, '}')) > 0) {
		name = span_sub(*stored, 1, (size_t)end);
		*stored = span_from(*stored, (size_t)end + 1);
	}
	dot = span_rchr(name, '.');
	if (dot > 0) {
		struct span suffix = span_from(name, (size_t)dot + 1);

		if (span_iis(suffix, "b64") || span_iis(suffix, "base64"))
			*coding = C_BASE64;
		else if (span_iis(suffix, "hex"))
			*coding = C_HEX;
		if (*coding != C_AUTO)
			name = span_sub(name, 0, (size_t)dot);
	}
	s = scheme_find(name);
	if (s && strcmp(s->name, "MD5") == 0 &&
	    span_starts(*stored, SPAN("$1$")))
		s = scheme_find(SPAN("MD5-CRYPT"));
	if (!s) {
		struct buf known = BUF_INIT;

		scheme_names(&known);
		err_set(e, ST_CONFIG,
			"password scheme {%.*s} is not known; known are %s",
			SPAN_ARG(span_sub(name, 0, 30)), buf_str(&known));
		buf_free(&known);
	}
	return s;
}

/* Appends crypt(password, setting); false when libcrypt refuses it. */
static bool
crypt_add(struct buf *out, struct span password, const char *setting)
{
	struct crypt_data *cd = mem_alloc(1, sizeof(*cd));
	char *phrase = mem_spandup(password);
	const char *hash = crypt_r(phrase, setting, cd);
	bool ok = hash != NULL && hash[0] != '*';

	if (ok)
		buf_adds(out, hash);
	explicit_bzero(phrase, password.n);
	explicit_bzero(cd, sizeof(*cd));
	free(phrase);
	free(cd);
	return ok;
}

static enum scheme_result
verify_crypt(const struct scheme *s, struct span data, struct span password,
	     struct err *e)
{
	struct buf hash = BUF_INIT;
	char *setting;
	enum scheme_result r = SCHEME_MISMATCH;

	if (data.n == 0 || !span_starts(data, span_of(s->detail)) ||
	    memchr(data.p, '\0', data.n)) {
		err_set(e, ST_CONFIG, "this is no {%s} hash", s->name);
		return SCHEME_BROKEN;
	}
	if (password.n >= CRYPT_MAX_PASSPHRASE_SIZE)
		return SCHEME_MISMATCH;
	setting = mem_spandup(data);
	if (!crypt_add(&hash, password, setting) || hash.n != data.n) {
		err_set(e, ST_CONFIG, "libcrypt does not know this {%s} hash",
			s->name);
		r = SCHEME_BROKEN;
	} else if (mem_equal_secret(hash.p, data.p, data.n)) {
		r = SCHEME_MATCH;
	}
	buf_wipe(&hash);
	free(setting);
	return r;
}

/* Compared as digests of equal length: not even the length shows. */
static enum scheme_result
verify_plain(struct span data, struct span password)
{
	unsigned char a[32], b[32];
	bool same;

	EVP_Digest(data.p, data.n, a, NULL, EVP_sha256(), NULL);
	EVP_Digest(password.p, password.n, b, NULL, EVP_sha256(), NULL);
	same = mem_equal_secret(a, b, sizeof(a));
	explicit_bzero(a, sizeof(a));
	explicit_bzero(b, sizeof(b));
	return same ? SCHEME_MATCH : SCHEME_MISMATCH;
}

/* digest(password salt) to out; returns its length, 0 on failure. */
static size_t
digest(const char *md_name, struct span password, struct span salt,
       unsigned char *out)
{
	const EVP_MD *md = EVP_get_digestbyname(md_name);
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	unsigned len = 0;

	if (!md || !ctx || EVP_DigestInit_ex(ctx, md, NULL) != 1 ||
	    EVP_DigestUpdate(ctx, password.p, password.n) != 1 ||
	    EVP_DigestUpdate(ctx, salt.p, salt.n) != 1 ||
	    EVP_DigestFinal_ex(ctx, out, &len) != 1)
		len = 0;
	EVP_MD_CTX_free(ctx);
	return len;
}

/* Both codings are read wherever the length tells them apart, as Dovecot does.
 */
static bool
decode(struct buf *raw, const struct scheme *s, struct span data,
       enum coding coding, size_t len)
{
	bool hex = coding == C_HEX ||
		   (coding == C_AUTO &&
		    (s->coding == C_HEX ? data.n != (len + 2) / 3 * 4
					: data.n == 2 * len && !s->salted));

	return hex ? hex_decode(raw, data) : base64_decode(raw, data);
}

static enum scheme_result
verify_digest(const struct scheme *s, struct span data, enum coding coding,
	      struct span password, struct err *e)
{
	unsigned char own[EVP_MAX_MD_SIZE];
	struct buf raw = BUF_INIT;
	const EVP_MD *md = EVP_get_digestbyname(s->detail);
	size_t len = md ? (size_t)EVP_MD_get_size(md) : 0;
	enum scheme_result r = SCHEME_BROKEN;

	if (len == 0 || !decode(&raw, s, data, coding, len) || raw.n < len ||
	    (s->salted ? raw.n - len > SALT_MAX : raw.n != len)) {
		err_set(e, ST_CONFIG, "this is no {%s} hash", s->name);
	} else if (digest(s->detail, password, span_from(buf_span(&raw), len),
			  own) == len) {
		r = mem_equal_secret(own, raw.p, len) ? SCHEME_MATCH
						      : SCHEME_MISMATCH;
	} else {
		err_set(e, ST_OSERR, "libcrypto has no %s", s->detail);
	}
	explicit_bzero(own, sizeof(own));
	buf_wipe(&raw);
	return r;
}

/* RFC 5802: the password's StoredKey is the one that is kept. */
static enum scheme_result
verify_scram(const struct scheme *s, struct span data, struct span password,
	     struct err *e)
{
	struct scram_keys k = { 0 }, own = { 0 };
	enum scheme_result r = SCHEME_BROKEN;

	if (scram_parse(&k, s->detail, data)) {
		buf_addspan(&own.salt, buf_span(&k.salt));
		own.iterations = k.iterations;
		if (scram_derive(&own, s->detail, password))
			r = mem_equal_secret(own.stored, k.stored, k.len)
				? SCHEME_MATCH
				: SCHEME_MISMATCH;
		/* keys that Dovecot made are of the bytes that were typed */
		if (r == SCHEME_MISMATCH && !span_is_ascii(password) &&
		    scram_derive_as_is(&own, s->detail, password) &&
		    mem_equal_secret(own.stored, k.stored, k.len))
			r = SCHEME_MATCH;
	}
	if (r == SCHEME_BROKEN)
		err_set(e, ST_CONFIG, "this is no {%s} hash", s->name);
	scram_keys_free(&k);
	scram_keys_free(&own);
	return r;
}

static int
make_scram(struct buf *out, const struct scheme *s, int64_t rounds,
	   struct span password, struct err *e)
{
	struct scram_keys k = { .iterations =
				    rounds > 0 ? rounds : SCRAM_ITERATIONS };
	char salt[16];
	bool ok;

	random_bytes(salt, sizeof(salt));
	buf_add(&k.salt, salt, sizeof(salt));
	ok = scram_derive(&k, s->detail, password);
	if (ok)
		scram_print(out, &k);
	scram_keys_free(&k);
	return ok ? 0
		  : err_set(e, ST_USAGE, "{%s}: rounds %lld", s->name,
			    (long long)rounds);
}

enum scheme_result
scheme_verify(struct span stored, const char *fallback, struct span password,
	      struct err *e)
{
	enum coding coding;
	const struct scheme *s = split_scheme(&stored, fallback, &coding, e);

	if (!s)
		return SCHEME_BROKEN;
	/* An empty password never fits, nor one that a C string cuts. */
	if (password.n == 0 || memchr(password.p, '\0', password.n))
		return SCHEME_MISMATCH;
	switch (s->kind) {
	case K_CRYPT:
		return verify_crypt(s, stored, password, e);
	case K_PLAIN:
		return verify_plain(stored, password);
	case K_SCRAM:
		return verify_scram(s, stored, password, e);
	case K_DIGEST:
		break;
	}
	return verify_digest(s, stored, coding, password, e);
}

/* rounds 0: libcrypt's own choice. */
static int
make_crypt(struct buf *out, const struct scheme *s, int64_t rounds,
	   struct span password, struct err *e)
{
	char setting[CRYPT_GENSALT_OUTPUT_SIZE];

	if (!crypt_gensalt_rn(gensalt_prefix(s), (unsigned long)rounds, NULL, 0,
			      setting, sizeof(setting)))
		return err_set(e, ST_USAGE,
			       "libcrypt makes no {%s} hash with rounds %lld",
			       s->name, (long long)rounds);
	if (password.n >= CRYPT_MAX_PASSPHRASE_SIZE ||
	    !crypt_add(out, password, setting))
		return err_set(e, ST_DATA,
			       "libcrypt takes no password of %zu bytes",
			       password.n);
	return 0;
}

int
scheme_make(struct buf *out, const char *scheme, int64_t rounds,
	    struct span password, struct err *e)
{
	struct span data = SPAN("");
	enum coding coding;
	const struct scheme *s = split_scheme(&data, scheme, &coding, e);
	unsigned char md[EVP_MAX_MD_SIZE];
	char salt[SALT_NEW];
	struct buf raw = BUF_INIT;
	size_t len, salt_len;

	if (!s)
		return -1;
	if (password.n == 0 || memchr(password.p, '\0', password.n))
		return err_set(e, ST_DATA,
			       "the password is empty or has a NUL");
	buf_addf(out, "{%s}", scheme);
	if (s->kind == K_CRYPT)
		return make_crypt(out, s, rounds, password, e);
	if (s->kind == K_SCRAM)
		return make_scram(out, s, rounds, password, e);
	if (s->kind == K_PLAIN) {
		buf_addspan(out, password);
		return 0;
	}
	random_bytes(salt, sizeof(salt));
	salt_len = s->salted ? sizeof(salt) : 0;
	len = digest(s->detail, password, span_make(salt, salt_len), md);
	if (len == 0)
		return err_set(e, ST_OSERR, "libcrypto has no %s", s->detail);
	buf_add(&raw, md, len);
	buf_add(&raw, salt, salt_len);
	if (coding == C_HEX || (coding == C_AUTO && s->coding == C_HEX))
		hex_encode(out, buf_span(&raw));
	else
		base64_encode(out, buf_span(&raw));
	buf_wipe(&raw);
	return 0;
}

void
scheme_dummy(struct span like, struct span password)
{
	/* SHA512-CRYPT of a random word nobody knows. */
	static const char any[] =
	    "{SHA512-CRYPT}$6$mxunknownuser$/CgVtqLsI8XPx5K6uZNUsXEKJr.wtp"
	    "aVRUnKZ1.9Wa2ry3xnWF9C6wzB4HyyE3Jy0OUUDl3VQb.oDFKrxJeQu1";
	struct err e = ERR_INIT;

	if (like.n == 0)
		like = SPAN(any);
	if (scheme_verify(like, "CRYPT", password, &e) == SCHEME_MATCH)
		return;
}
