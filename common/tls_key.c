/*
 * tls_key.c - TLS keys by question to the monitor; see tls_key.h.
 * Layer: sys.  OpenSSL's RSA_METHOD and EC_KEY_METHOD are deprecated but are
 * the way to a foreign key without a provider of our own.
 */
#define OPENSSL_SUPPRESS_DEPRECATED
#include "tls_key.h"

#include "log.h"
#include "mem.h"
#include "server.h"
#include "status.h"

#include <malloc.h>
#include <stdlib.h>

#include <openssl/crypto.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/rsa.h>

/* Keys of this process and its workers; they live as long as the monitor,
 * since workers from before a reload go on asking. */
struct tls_key {
	EVP_PKEY *pkey; /* NULL in workers */
	struct server *server;
	int offer;
	struct tls_key *next;
};
static struct tls_key *keys;

/*
 * OpenSSL's memory is overwritten when it is given back: workers are forked
 * from the process that read the keys, and a decoder leaves copies behind.
 */
static void
scrub_free(void *p, const char *file, int line)
{
	(void)file;
	(void)line;
	if (p == NULL)
		return;
	explicit_bzero(p, malloc_usable_size(p));
	free(p);
}

static void *
plain_malloc(size_t n, const char *file, int line)
{
	(void)file;
	(void)line;
	return n > 0 ? malloc(n) : NULL;
}

static void *
scrub_realloc(void *p, size_t n, const char *file, int line)
{
	size_t had = p != NULL ? malloc_usable_size(p) : 0;
	void *q;

	if (n == 0) {
		scrub_free(p, file, line);
		return NULL;
	}
	if (n <= had)
		return p;
	q = malloc(n);
	if (q != NULL && p != NULL) {
		memcpy(q, p, had);
		scrub_free(p, file, line);
	}
	return q;
}

void
tls_key_scrub(void)
{
	static bool tried;

	/* Refused when OpenSSL has memory already: then it is as it is. */
	if (!tried &&
	    !CRYPTO_set_mem_functions(plain_malloc, scrub_realloc, scrub_free))
		log_debug("TLS: OpenSSL's memory is not overwritten");
	tried = true;
}

/* A request is one byte, how to pad, and then what is to be signed. */
enum { PAD_EC = 'e', PAD_PKCS1 = '1', PAD_NONE = '0' };
/* The longest DigestInfo of TLS is 19 + 64 bytes (RFC 8017 9.2). */
#define DIGEST_INFO_MAX 83

static bool
request_ok(const EVP_PKEY *pkey, struct span r)
{
	size_t size = (size_t)EVP_PKEY_get_size(pkey);

	if (r.n < 2)
		return false;
	switch (r.p[0]) {
	case PAD_EC:
		return EVP_PKEY_get_base_id(pkey) == EVP_PKEY_EC &&
		       r.n - 1 >= 20 && r.n - 1 <= 64;
	case PAD_PKCS1:
		return EVP_PKEY_get_base_id(pkey) == EVP_PKEY_RSA &&
		       r.n - 1 <= DIGEST_INFO_MAX && r.n - 1 + 11 <= size;
	case PAD_NONE:
		return EVP_PKEY_get_base_id(pkey) == EVP_PKEY_RSA &&
		       r.n - 1 == size;
	default:
		return false;
	}
}

/* In the monitor: what a worker says is hostile. */
static int
key_serve(void *ctx, struct server *s, struct span request, struct buf *reply,
	  int *fd_r, struct err *e)
{
	struct tls_key *k = ctx;
	EVP_PKEY_CTX *pc = NULL;
	size_t n = 0;
	int pad, r = -1;

	(void)s;
	(void)fd_r;
	if (k->pkey == NULL || !request_ok(k->pkey, request))
		return err_set(e, ST_PROTOCOL, "malformed signing request");
	pc = EVP_PKEY_CTX_new(k->pkey, NULL);
	if (pc == NULL || EVP_PKEY_sign_init(pc) <= 0)
		goto out;
	pad = request.p[0] == PAD_NONE ? RSA_NO_PADDING : RSA_PKCS1_PADDING;
	if (request.p[0] != PAD_EC &&
	    EVP_PKEY_CTX_set_rsa_padding(pc, pad) <= 0)
		goto out;
	const unsigned char *tbs = (const unsigned char *)request.p + 1;

	n = (size_t)EVP_PKEY_get_size(k->pkey);
	unsigned char *sig = (unsigned char *)buf_room(reply, n);

	if (EVP_PKEY_sign(pc, sig, &n, tbs, request.n - 1) <= 0)
		goto out;
	buf_grew(reply, n);
	r = 0;
out:
	EVP_PKEY_CTX_free(pc);
	if (r != 0)
		err_set(e, ST_SOFTWARE, "signing failed: %s",
			ERR_reason_error_string(ERR_peek_last_error()));
	ERR_clear_error();
	return r;
}

/* In the worker: n bytes signed into sig (room bytes); its length or -1. */
static int
key_ask(const struct tls_key *k, char pad, const unsigned char *tbs, size_t n,
	unsigned char *sig, size_t room)
{
	struct buf q = BUF_INIT, a = BUF_INIT;
	struct err e = ERR_INIT;
	int r = -1;

	if (k == NULL)
		return -1;
	buf_addc(&q, pad);
	buf_add(&q, tbs, n);
	if (server_ask(k->server, k->offer, buf_span(&q), &a, NULL, &e) != 0)
		log_error("TLS key: %s", e.text);
	else if (a.n == 0 || a.n > room)
		log_error("TLS key: signature of %zu bytes", a.n);
	else {
		memcpy(sig, a.p, a.n);
		r = (int)a.n;
	}
	buf_free(&q);
	buf_free(&a);
	return r;
}

static int
rsa_sign(int n, const unsigned char *from, unsigned char *to, RSA *rsa,
	 int padding)
{
	const struct tls_key *k = RSA_get_ex_data(rsa, 0);
	char pad = padding == RSA_NO_PADDING ? PAD_NONE : PAD_PKCS1;

	if (n <= 0 ||
	    (padding != RSA_NO_PADDING && padding != RSA_PKCS1_PADDING))
		return -1;
	return key_ask(k, pad, from, (size_t)n, to, (size_t)RSA_size(rsa));
}

static int
ec_sign(int type, const unsigned char *dgst, int n, unsigned char *sig,
	unsigned int *siglen, const BIGNUM *kinv, const BIGNUM *r, EC_KEY *ec)
{
	const struct tls_key *k = EC_KEY_get_ex_data(ec, 0);
	int got;

	(void)type;
	(void)kinv;
	(void)r;
	if (n <= 0)
		return 0;
	got = key_ask(k, PAD_EC, dgst, (size_t)n, sig, (size_t)ECDSA_size(ec));
	if (got <= 0)
		return 0;
	*siglen = (unsigned)got;
	return 1;
}

static EVP_PKEY *
rsa_handle(struct tls_key *k)
{
	static RSA_METHOD *method;
	RSA *rsa = RSA_new();
	EVP_PKEY *h = EVP_PKEY_new();
	BIGNUM *n = NULL, *ex = NULL;

	if (method == NULL) {
		method = RSA_meth_dup(RSA_PKCS1_OpenSSL());
		RSA_meth_set1_name(method, "mx monitor");
		RSA_meth_set_priv_enc(method, rsa_sign);
		RSA_meth_set_flags(method, RSA_METHOD_FLAG_NO_CHECK);
	}
	if (rsa == NULL || h == NULL ||
	    !EVP_PKEY_get_bn_param(k->pkey, "n", &n) ||
	    !EVP_PKEY_get_bn_param(k->pkey, "e", &ex) ||
	    !RSA_set0_key(rsa, n, ex, NULL))
		log_panic("tls_key: RSA parts");
	RSA_set_method(rsa, method);
	RSA_set_ex_data(rsa, 0, k);
	if (!EVP_PKEY_assign_RSA(h, rsa))
		log_panic("tls_key: RSA object");
	return h;
}

static EVP_PKEY *
ec_handle(struct tls_key *k)
{
	static EC_KEY_METHOD *method;
	const EC_KEY *real = EVP_PKEY_get0_EC_KEY(k->pkey);
	EC_KEY *ec = EC_KEY_new();
	EVP_PKEY *h = EVP_PKEY_new();

	if (method == NULL) {
		method = EC_KEY_METHOD_new(EC_KEY_OpenSSL());
		EC_KEY_METHOD_set_sign(method, ec_sign, NULL, NULL);
	}
	if (ec == NULL || h == NULL || real == NULL ||
	    !EC_KEY_set_group(ec, EC_KEY_get0_group(real)) ||
	    !EC_KEY_set_public_key(ec, EC_KEY_get0_public_key(real)))
		log_panic("tls_key: EC parts");
	EC_KEY_set_method(ec, method);
	EC_KEY_set_ex_data(ec, 0, k);
	if (!EVP_PKEY_assign_EC_KEY(h, ec))
		log_panic("tls_key: EC object");
	return h;
}

EVP_PKEY *
tls_key_handle(EVP_PKEY *pkey, struct server *s, struct err *e)
{
	int kind = EVP_PKEY_get_base_id(pkey);
	struct tls_key *k;

	if (s == NULL) {
		EVP_PKEY_up_ref(pkey);
		return pkey;
	}
	if (kind != EVP_PKEY_RSA && kind != EVP_PKEY_EC) {
		err_set(e, ST_CONFIG,
			"a TLS key must be RSA or EC (such as P-256), this "
			"is %s",
			EVP_PKEY_get0_type_name(pkey));
		return NULL;
	}
	k = mem_alloc(1, sizeof(*k));
	k->server = s;
	EVP_PKEY_up_ref(pkey);
	k->pkey = pkey;
	k->offer = server_offer(s, key_serve, k);
	k->next = keys;
	keys = k;
	return kind == EVP_PKEY_RSA ? rsa_handle(k) : ec_handle(k);
}

void
tls_key_forget(void)
{
	for (struct tls_key *k = keys; k != NULL; k = k->next) {
		EVP_PKEY_free(k->pkey);
		k->pkey = NULL;
	}
}
