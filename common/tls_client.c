/*
 * tls_client.c - the client side of TLS: verification by CA, name or DANE; see
 * tls.h.
 * Layer: sys.  RFC 7672, 6125.
 */
#include "tls.h"

#include "log.h"
#include "mem.h"
#include "status.h"
#include "tls_conf.h"
#include "tls_layer.h"

#include <arpa/inet.h>
#include <stdlib.h>

#include <openssl/err.h>
#include <openssl/x509v3.h>

struct tls_client {
	SSL_CTX *ctx;
	char *ca_file;
	bool has_roots;
};

struct tls_client *
tls_client_new(const struct tls_client_conf *c, struct err *e)
{
	struct tls_client *t = mem_alloc(1, sizeof(*t));
	bool bad;

	t->ctx = SSL_CTX_new(TLS_client_method());
	if (t->ctx == NULL)
		log_fatal(ST_TEMPFAIL, "TLS: out of memory");
	t->ca_file = mem_strdup(c->ca_file != NULL ? c->ca_file : "");
	tls_layer_common(t->ctx);
	bad = tls_conf_protocols(t->ctx, c->protocols, e) != 0 ||
	      tls_conf_ciphers(t->ctx, c->ciphers, e) != 0;
	if (!bad && c->cert_file != NULL && *c->cert_file != '\0')
		bad = tls_conf_pair(t->ctx, c->cert_file, c->key_file, NULL,
				    e) != 0;
	if (!bad && SSL_CTX_dane_enable(t->ctx) <= 0)
		bad = tls_conf_err(e, "DANE") != 0;
	if (bad) {
		tls_client_free(t);
		return NULL;
	}
	return t;
}

void
tls_client_free(struct tls_client *t)
{
	if (t == NULL)
		return;
	SSL_CTX_free(t->ctx);
	free(t->ca_file);
	free(t);
}

/* Roots are read when first needed: most connections verify nothing. */
static int
client_roots(struct tls_client *t, struct err *e)
{
	if (t->has_roots)
		return 0;
	if (*t->ca_file != '\0' ? !SSL_CTX_load_verify_file(t->ctx, t->ca_file)
				: !SSL_CTX_set_default_verify_paths(t->ctx))
		return tls_conf_err(e, *t->ca_file != '\0' ? t->ca_file
							   : "system's CAs");
	t->has_roots = true;
	return 0;
}

int
tls_client_load(struct tls_client *t, struct err *e)
{
	static const char *const bundles[] = {
		"/etc/ssl/certs/ca-certificates.crt", "/etc/ssl/cert.pem"
	};

	if (client_roots(t, e) != 0)
		return -1;
	/* OpenSSL would look into a directory during the handshake. */
	for (size_t i = 0; *t->ca_file == '\0' && i < ARRAY_LEN(bundles); i++)
		if (SSL_CTX_load_verify_file(t->ctx, bundles[i]))
			break;
	ERR_clear_error();
	return 0;
}

static bool
is_ip(const char *host)
{
	unsigned char a[16];

	return inet_pton(AF_INET, host, a) == 1 ||
	       inet_pton(AF_INET6, host, a) == 1;
}

bool
tls_tlsa_usable(const struct tls_tlsa *t)
{
	static const size_t lengths[] = { 0, 32, 64 };

	/* PKIX usages 0 and 1 are not for SMTP (RFC 7672 3.1.3). */
	return (t->usage == 2 || t->usage == 3) && t->selector <= 1 &&
	       t->matching <= 2 && t->data.n > 0 &&
	       (t->matching == 0 || t->data.n == lengths[t->matching]);
}

/* RFC 7672: rows that cannot be used are skipped; with none left the
 * connection is encrypted and not authenticated. */
static int
client_dane(SSL *ssl, const struct tls_want *w, struct err *e)
{
	const struct tls_tlsa *v = w->dane;
	size_t usable = 0;

	if (SSL_dane_enable(ssl, w->sni) <= 0)
		return tls_conf_err(e, "DANE");
	for (size_t i = 0; w->names != NULL && i < w->names->n; i++)
		if (!SSL_add1_host(ssl, w->names->v[i]))
			return tls_conf_err(e, w->names->v[i]);
	/* RFC 7672 3.1.1: DANE-EE(3) checks no names. */
	SSL_dane_set_flags(ssl, DANE_FLAG_NO_DANE_EE_NAMECHECKS);
	for (size_t i = 0; i < w->ndane; i++)
		if (tls_tlsa_usable(&v[i]) &&
		    SSL_dane_tlsa_add(
			ssl, v[i].usage, v[i].selector, v[i].matching,
			(const unsigned char *)v[i].data.p, v[i].data.n) > 0)
			usable++;
	ERR_clear_error();
	SSL_set_verify(ssl, usable > 0 ? SSL_VERIFY_PEER : SSL_VERIFY_NONE,
		       NULL);
	return 0;
}

static int
client_name(SSL *ssl, const char *name, struct err *e)
{
	/* An address cannot stand beside names. */
	if (is_ip(name)
		? !X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), name)
		: !SSL_add1_host(ssl, name))
		return tls_conf_err(e, name);
	return 0;
}

static int
client_verify(struct tls_client *t, SSL *ssl, const struct tls_want *w,
	      struct err *e)
{
	if (client_roots(t, e) != 0)
		return -1;
	SSL_set_verify(ssl, w->advisory ? SSL_VERIFY_NONE : SSL_VERIFY_PEER,
		       NULL);
	if (w->verify != TLS_VERIFY_NAME)
		return 0;
	SSL_set_hostflags(ssl, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
	if (w->names == NULL || w->names->n == 0)
		return client_name(ssl, w->sni, e);
	for (size_t i = 0; i < w->names->n; i++)
		if (client_name(ssl, w->names->v[i], e) != 0)
			return -1;
	return 0;
}

/* One that cannot be read is none. */
static void
client_session(SSL *ssl, struct span der)
{
	const unsigned char *p = (const unsigned char *)der.p;
	SSL_SESSION *ses = d2i_SSL_SESSION(NULL, &p, (long)der.n);

	if (ses != NULL)
		(void)SSL_set_session(ssl, ses);
	SSL_SESSION_free(ses);
	ERR_clear_error();
}

int
tls_connect_want(struct tls_client *t, struct stream *s,
		 const struct tls_want *w, deadline_t d, struct err *e)
{
	struct tls_layer *l = tls_layer_new(t->ctx, s, e);
	int r = 0;

	if (l == NULL)
		return -1;
	l->bad_r = w->bad_r;
	l->reason_r = w->reason_r;
	if (w->ndane > 0)
		r = client_dane(l->ssl, w, e);
	else if (w->verify != TLS_VERIFY_NONE)
		r = client_verify(t, l->ssl, w, e);
	if (r != 0) {
		tls_layer_free(l);
		return -1;
	}
	if (*w->sni != '\0' && !is_ip(w->sni))
		SSL_set_tlsext_host_name(l->ssl, w->sni);
	if (w->session.n > 0)
		client_session(l->ssl, w->session);
	return tls_layer_handshake(l, s, SSL_connect, d, e);
}

int
tls_connect(struct tls_client *t, struct stream *s, const char *host,
	    enum tls_verify verify, const struct tls_tlsa *dane, size_t ndane,
	    deadline_t d, struct err *e)
{
	const struct tls_want w = { .sni = host,
				    .verify = verify,
				    .dane = dane,
				    .ndane = dane != NULL ? ndane : 0 };

	return tls_connect_want(t, s, &w, d, e);
}
