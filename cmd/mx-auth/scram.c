/*
 * scram.c - see scram.h.  RFC 5802 3.
 */
#include "scram.h"

#include "escape.h"
#include "num.h"
#include "saslprep.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>

void
scram_keys_free(struct scram_keys *k)
{
	buf_free(&k->salt);
	explicit_bzero(k, sizeof(*k));
}

bool
scram_hmac(const char *md, struct span key, struct span text,
	   unsigned char *mac)
{
	unsigned n = 0;

	return HMAC(EVP_get_digestbyname(md), key.p, (int)key.n,
		    (const unsigned char *)(text.p ? text.p : ""), text.n, mac,
		    &n) != NULL;
}

/* RFC 5802 3: SaltedPassword, StoredKey, ServerKey. */
bool
scram_derive_as_is(struct scram_keys *k, const char *name, struct span password)
{
	const EVP_MD *md = EVP_get_digestbyname(name);
	unsigned char salted[SCRAM_KEY_MAX], client[SCRAM_KEY_MAX];
	bool ok;

	if (md == NULL || k->iterations < 1 || k->iterations > 10000000)
		return false;
	k->len = (size_t)EVP_MD_get_size(md);
	ok = PKCS5_PBKDF2_HMAC(password.p, (int)password.n,
			       (const unsigned char *)k->salt.p, (int)k->salt.n,
			       (int)k->iterations, md, (int)k->len,
			       salted) == 1 &&
	     scram_hmac(name, span_make((char *)salted, k->len),
			SPAN("Client Key"), client) &&
	     EVP_Digest(client, k->len, k->stored, NULL, md, NULL) == 1 &&
	     scram_hmac(name, span_make((char *)salted, k->len),
			SPAN("Server Key"), k->server);
	explicit_bzero(salted, sizeof(salted));
	explicit_bzero(client, sizeof(client));
	return ok;
}

bool
scram_derive(struct scram_keys *k, const char *name, struct span password)
{
	struct buf prepared = BUF_INIT;
	bool ok;

	/* RFC 5802 2.2; what SASLprep forbids, or makes nothing of, stays */
	if (saslprep(&prepared, password) == 0 && prepared.n > 0)
		password = buf_span(&prepared);
	ok = scram_derive_as_is(k, name, password);
	buf_wipe(&prepared);
	return ok;
}

static bool
take_key(struct span text, unsigned char *key, size_t len)
{
	struct buf b = BUF_INIT;
	bool ok = base64_decode(&b, text) && b.n == len;

	if (ok)
		memcpy(key, b.p, len);
	buf_wipe(&b);
	return ok;
}

bool
scram_parse(struct scram_keys *k, const char *name, struct span data)
{
	const EVP_MD *md = EVP_get_digestbyname(name);
	struct span iterations, salt, stored, server;

	if (md == NULL || !span_split(&data, ',', &iterations) ||
	    !span_split(&data, ',', &salt) ||
	    !span_split(&data, ',', &stored) ||
	    !span_split(&data, ',', &server) || data.p != NULL)
		return false;
	k->len = (size_t)EVP_MD_get_size(md);
	buf_clear(&k->salt);
	return num_i64(iterations, 1, 10000000, &k->iterations) &&
	       base64_decode(&k->salt, salt) && k->salt.n > 0 &&
	       take_key(stored, k->stored, k->len) &&
	       take_key(server, k->server, k->len);
}

void
scram_print(struct buf *out, const struct scram_keys *k)
{
	buf_addf(out, "%lld,", (long long)k->iterations);
	base64_encode(out, buf_span(&k->salt));
	buf_addc(out, ',');
	base64_encode(out, span_make((const char *)k->stored, k->len));
	buf_addc(out, ',');
	base64_encode(out, span_make((const char *)k->server, k->len));
}
