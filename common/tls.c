/*
 * tls.c - the server's end: certificates, names, the handshake; see tls.h.
 * Layer: sys.  RFC 8446, 6066 (SNI), 7301 (ALPN).
 */
#include "tls.h"

#include "log.h"
#include "mem.h"
#include "tls_conf.h"
#include "status.h"
#include "tls_key.h"
#include "tls_layer.h"

#include <stdlib.h>

#include <openssl/ssl.h>

struct tls_server {
	SSL_CTX *ctx;
	char *alpn;
	struct map *sni; /* name to SSL_CTX, or NULL */
};

/* THREATS 12 (ALPACA): a client that came for another protocol goes. */
static int
alpn_choose(SSL *ssl, const unsigned char **out, unsigned char *outlen,
	    const unsigned char *in, unsigned int inlen, void *arg)
{
	const struct tls_server *t = arg;
	size_t want = strlen(t->alpn);

	(void)ssl;
	for (size_t at = 0; at < inlen;) {
		size_t n = in[at];

		if (at + 1 + n > inlen)
			break;
		if (n == want && memcmp(in + at + 1, t->alpn, n) == 0) {
			*out = in + at + 1;
			*outlen = (unsigned char)n;
			return SSL_TLSEXT_ERR_OK;
		}
		at += n + 1;
	}
	return SSL_TLSEXT_ERR_ALERT_FATAL;
}

/* A client certificate is asked for, not required: who it is counts later. */
static int
take_any(int ok, X509_STORE_CTX *x)
{
	(void)ok;
	(void)x;
	return 1;
}

/* THREATS 59: tickets of one service, listener and certificate are good for
 * these alone. */
static void
session_context(SSL_CTX *ctx, const char *name)
{
	unsigned char md[EVP_MAX_MD_SIZE], cert[EVP_MAX_MD_SIZE];
	unsigned int n = 0, ncert = 0;
	EVP_MD_CTX *m = EVP_MD_CTX_new();
	X509 *x = SSL_CTX_get0_certificate(ctx);

	if (x != NULL)
		X509_digest(x, EVP_sha256(), cert, &ncert);
	EVP_DigestInit_ex(m, EVP_sha256(), NULL);
	EVP_DigestUpdate(m, name, strlen(name) + 1);
	EVP_DigestUpdate(m, cert, ncert);
	EVP_DigestFinal_ex(m, md, &n);
	EVP_MD_CTX_free(m);
	SSL_CTX_set_session_id_context(ctx, md, n);
}

/* What the configuration says, into a context that has our own rules. */
static int
server_ctx_fill(SSL_CTX *ctx, const struct tls_server_conf *c, struct server *s,
		struct err *e)
{
	if (tls_conf_protocols(ctx, c->protocols, e) != 0 ||
	    tls_conf_ciphers(ctx, c->ciphers, e) != 0)
		return -1;
	if (c->chain_files.n > 0) {
		if (tls_conf_chains(ctx, &c->chain_files, s, e) != 0)
			return -1;
	} else if (tls_conf_pair(ctx, c->cert_file, c->key_file, s, e) != 0)
		return -1;
	if (c->require_client_cert)
		SSL_CTX_set_verify(
		    ctx, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT,
		    NULL);
	else if (c->ask_client_cert)
		SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, take_any);
	if (c->ca_file != NULL && *c->ca_file != '\0' &&
	    !SSL_CTX_load_verify_file(ctx, c->ca_file))
		return tls_conf_err(e, c->ca_file);
	session_context(ctx,
			c->session_context != NULL ? c->session_context : "");
	return 0;
}

/* THREATS 57: the name is a key into a table in memory, no more. */
static int
sni_choose(SSL *ssl, int *alert, void *arg)
{
	const struct tls_server *t = arg;
	const char *name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
	struct span rest = span_of(name);
	struct buf low = BUF_INIT;
	SSL_CTX *found;
	ssize_t dot;

	(void)alert;
	if (rest.n == 0 || rest.n > 255)
		return SSL_TLSEXT_ERR_OK;
	for (size_t i = 0; i < rest.n; i++)
		buf_addc(&low, ascii_tolower(rest.p[i]));
	rest = buf_span(&low);
	found = map_get(t->sni, rest);
	/* ".example.org" has the names below it. */
	while (found == NULL && (dot = span_chr(rest, '.')) >= 0) {
		found = map_get(t->sni, span_from(rest, (size_t)dot));
		rest = span_from(rest, (size_t)dot + 1);
	}
	if (found != NULL)
		(void)SSL_set_SSL_CTX(ssl, found);
	buf_free(&low);
	return SSL_TLSEXT_ERR_OK;
}

static SSL_CTX *
server_ctx_new(const struct tls_server_conf *c, struct server *s, struct err *e)
{
	SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());

	if (ctx == NULL)
		log_fatal(ST_TEMPFAIL, "TLS: out of memory");
	tls_layer_common(ctx);
	/* Tickets only: a cache would be each worker's own.  No 0-RTT, which
	 * can be played again (RFC 8446 8; THREATS 56). */
	SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
	SSL_CTX_set_num_tickets(ctx, 1);
	SSL_CTX_set_max_early_data(ctx, 0);
	SSL_CTX_set_dh_auto(ctx, 1);
	if (server_ctx_fill(ctx, c, s, e) == 0)
		return ctx;
	SSL_CTX_free(ctx);
	return NULL;
}

/* A context for every other name; the table is what sni_choose looks into. */
static int
server_sni(struct tls_server *t, const struct tls_server_conf *c,
	   struct server *s, struct err *e)
{
	t->sni = map_new();
	for (size_t i = 0; i < c->nsni; i++) {
		struct tls_server_conf one = *c;
		SSL_CTX *ctx;

		one.chain_files = c->sni[i].chain_files;
		ctx = server_ctx_new(&one, s, e);
		if (ctx == NULL)
			return err_prefix(e, "%s", c->sni[i].name);
		(void)map_put(t->sni, span_of(c->sni[i].name), ctx);
	}
	SSL_CTX_set_tlsext_servername_callback(t->ctx, sni_choose);
	SSL_CTX_set_tlsext_servername_arg(t->ctx, t);
	return 0;
}

struct tls_server *
tls_server_new(const struct tls_server_conf *c, struct server *s, struct err *e)
{
	struct tls_server *t = mem_alloc(1, sizeof(*t));

	tls_key_scrub();
	/* The ticket keys are made here, before the fork: all workers share
	 * them. */
	t->ctx = server_ctx_new(c, s, e);
	if (t->ctx == NULL || (c->nsni > 0 && server_sni(t, c, s, e) != 0)) {
		tls_server_free(t);
		return NULL;
	}
	if (c->alpn != NULL) {
		t->alpn = mem_strdup(c->alpn);
		SSL_CTX_set_alpn_select_cb(t->ctx, alpn_choose, t);
	}
	return t;
}

static void
free_ctx(void *ctx)
{
	SSL_CTX_free(ctx);
}

void
tls_server_free(struct tls_server *t)
{
	if (t == NULL)
		return;
	SSL_CTX_free(t->ctx);
	if (t->sni != NULL)
		map_free(t->sni, free_ctx);
	free(t->alpn);
	free(t);
}

void
tls_server_worker(struct tls_server *t, struct server *s)
{
	(void)t;
	(void)s;
	tls_key_forget();
}

int
tls_accept(struct tls_server *t, struct stream *s, deadline_t d, struct err *e)
{
	struct tls_layer *l = tls_layer_new(t->ctx, s, e);

	return l == NULL ? -1 : tls_layer_handshake(l, s, SSL_accept, d, e);
}
