/*
 * cert.c - what a certificate says, and TLSA records beside it; see probe.h.
 * RFC 6698 2.1, 7672 3.1.
 */
#include "probe.h"

#include <openssl/err.h>
#include <openssl/x509_vfy.h>
#include <openssl/x509v3.h>

void
cert_names(X509 *x, struct buf *out)
{
	GENERAL_NAMES *names =
	    X509_get_ext_d2i(x, NID_subject_alt_name, NULL, NULL);

	for (int i = 0; i < sk_GENERAL_NAME_num(names); i++) {
		const GENERAL_NAME *g = sk_GENERAL_NAME_value(names, i);

		if (g->type != GEN_DNS)
			continue;
		if (out->n > 0)
			buf_addc(out, ' ');
		buf_add(out, ASN1_STRING_get0_data(g->d.dNSName),
			(size_t)ASN1_STRING_length(g->d.dNSName));
	}
	GENERAL_NAMES_free(names);
}

int
cert_days(X509 *x)
{
	int days = 0, seconds = 0;

	if (!ASN1_TIME_diff(&days, &seconds, NULL, X509_get0_notAfter(x)))
		return -1;
	return days == 0 && seconds < 0 ? -1 : days;
}

bool
cert_has_name(X509 *x, const char *host)
{
	return X509_check_host(x, host, 0, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS,
			       NULL) == 1;
}

bool
cert_trusted(STACK_OF(X509) * chain, const char *ca_file, const char **why_r)
{
	X509_STORE *store = X509_STORE_new();
	X509_STORE_CTX *ctx = X509_STORE_CTX_new();
	bool ok = false;

	*why_r = "the authorities' certificates cannot be read";
	if (store != NULL && ctx != NULL && sk_X509_num(chain) > 0 &&
	    (ca_file != NULL && *ca_file != '\0'
		 ? X509_STORE_load_file(store, ca_file)
		 : X509_STORE_set_default_paths(store)) &&
	    X509_STORE_CTX_init(ctx, store, sk_X509_value(chain, 0), chain)) {
		X509_STORE_CTX_set_default(ctx, "ssl_server");
		ok = X509_verify_cert(ctx) == 1;
		*why_r = X509_verify_cert_error_string(
		    X509_STORE_CTX_get_error(ctx));
	}
	X509_STORE_CTX_free(ctx);
	X509_STORE_free(store);
	ERR_clear_error();
	return ok;
}

/* RFC 6698 2.1.3: the matching type. */
static bool
digest(int matching, const unsigned char *der, size_t n, struct buf *out)
{
	unsigned char md[EVP_MAX_MD_SIZE];
	unsigned int len = 0;

	if (matching == 0) {
		buf_add(out, der, n);
		return true;
	}
	if (!EVP_Digest(der, n, md, &len,
			matching == 1 ? EVP_sha256() : EVP_sha512(), NULL))
		return false;
	buf_add(out, md, len);
	return true;
}

/* RFC 6698 2.1.2: the selector. */
bool
cert_tlsa(X509 *x, int selector, int matching, struct buf *out)
{
	unsigned char *der = NULL;
	int n = 0;
	bool ok;

	if (matching < 0 || matching > 2)
		return false;
	if (selector == 0)
		n = i2d_X509(x, &der);
	else if (selector == 1)
		n = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(x), &der);
	ok = n > 0 && digest(matching, der, (size_t)n, out);
	OPENSSL_free(der);
	return ok;
}

static bool
one_match(X509 *x, const struct dns_rr *rr)
{
	struct buf have = BUF_INIT;
	bool ok = cert_tlsa(x, rr->selector, rr->matching, &have) &&
		  span_eq(buf_span(&have), span_make(rr->text, rr->len));

	buf_free(&have);
	return ok;
}

/* Is the chain good with this certificate, and nothing else, as its anchor? */
static bool
leads_to(STACK_OF(X509) * chain, X509 *anchor)
{
	X509_STORE *store = X509_STORE_new();
	X509_STORE_CTX *ctx = X509_STORE_CTX_new();
	bool ok = false;

	if (store != NULL && ctx != NULL &&
	    X509_STORE_add_cert(store, anchor) &&
	    X509_STORE_CTX_init(ctx, store, sk_X509_value(chain, 0), chain)) {
		X509_STORE_CTX_set_default(ctx, "ssl_server");
		X509_STORE_CTX_set_flags(ctx, X509_V_FLAG_PARTIAL_CHAIN);
		ok = X509_verify_cert(ctx) == 1;
	}
	X509_STORE_CTX_free(ctx);
	X509_STORE_free(store);
	ERR_clear_error();
	return ok;
}

bool
cert_tlsa_match(STACK_OF(X509) * chain, const struct dns_rr *rr,
		const char *host)
{
	if (sk_X509_num(chain) < 1)
		return false;
	/* RFC 7672 3.1.1: DANE-EE(3) asks for no name and no date. */
	if (rr->usage == 3)
		return one_match(sk_X509_value(chain, 0), rr);
	if (rr->usage != 2 || !cert_has_name(sk_X509_value(chain, 0), host))
		return false;
	/* RFC 7672 3.1.2: the anchor is in the chain, and the chain must hold
	 * and be in date.  It is no leaf, for libssl does not take one. */
	for (int i = 1; i < sk_X509_num(chain); i++)
		if (one_match(sk_X509_value(chain, i), rr) &&
		    leads_to(chain, sk_X509_value(chain, i)))
			return true;
	return false;
}
