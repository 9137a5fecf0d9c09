/*
 * tls.c - TLS on both ends of a stream; see tls.h.
 * Layer: sys.  RFC 8446, 5246; 3207 for what surrounds it in SMTP.
 */
#include "tls.h"

#include "escape.h"
#include "log.h"
#include "mem.h"
#include "tls_conf.h"
#include "status.h"
#include "tls_key.h"
#include "tls_layer.h"

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

struct tls_server {
	SSL_CTX *ctx;
	char *alpn;
	struct map *sni; /* name to SSL_CTX, or NULL */
};

/*
 * The BIO under it: never waits.  The descriptors stay as they are, blocking
 * or not, since others may share them.
 */
static int
bio_read(BIO *b, char *p, size_t n, size_t *got)
{
	struct tls_layer *l = BIO_get_data(b);
	ssize_t r = recv(l->fd_in, p, n, MSG_DONTWAIT);

	BIO_clear_retry_flags(b);
	if (r < 0 && errno == ENOTSOCK) {
		struct pollfd pf = { l->fd_in, POLLIN, 0 };

		errno = EAGAIN;
		if (poll(&pf, 1, 0) > 0)
			r = read(l->fd_in, p, n);
	}
	if (r > 0) {
		*got = (size_t)r;
		return 1;
	}
	if (r < 0 && (errno == EAGAIN || errno == EINTR))
		BIO_set_retry_read(b);
	return 0;
}

static int
bio_write(BIO *b, const char *p, size_t n, size_t *put)
{
	struct tls_layer *l = BIO_get_data(b);
	ssize_t r = send(l->fd_out, p, n, MSG_DONTWAIT | MSG_NOSIGNAL);

	BIO_clear_retry_flags(b);
	if (r < 0 && errno == ENOTSOCK) {
		struct pollfd pf = { l->fd_out, POLLOUT, 0 };

		/* A pipe that polls writable takes PIPE_BUF at once. */
		errno = EAGAIN;
		if (poll(&pf, 1, 0) > 0)
			r = write(l->fd_out, p, n < 4096 ? n : 4096);
	}
	if (r > 0) {
		*put = (size_t)r;
		return 1;
	}
	if (r < 0 && (errno == EAGAIN || errno == EINTR))
		BIO_set_retry_write(b);
	return 0;
}

static long
bio_ctrl(BIO *b, int cmd, long n, void *p)
{
	(void)b;
	(void)n;
	(void)p;
	return cmd == BIO_CTRL_FLUSH ? 1 : 0;
}

static BIO *
bio_new(struct tls_layer *l)
{
	static BIO_METHOD *method;
	BIO *b;

	if (method == NULL) {
		method = BIO_meth_new(
		    BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "mx stream");
		BIO_meth_set_read_ex(method, bio_read);
		BIO_meth_set_write_ex(method, bio_write);
		BIO_meth_set_ctrl(method, bio_ctrl);
	}
	b = BIO_new(method);
	if (b == NULL)
		log_fatal(ST_TEMPFAIL, "TLS: out of memory");
	BIO_set_data(b, l);
	BIO_set_init(b, 1);
	return b;
}

/*
 * After an operation that returned r <= 0: IO_OK means it may be tried again
 * (the descriptor is ready now).
 */
static enum io_result
layer_wait(struct tls_layer *l, int r, deadline_t d)
{
	enum io_result w;

	switch (SSL_get_error(l->ssl, r)) {
	case SSL_ERROR_WANT_READ:
		w = io_wait(l->fd_in, false, d);
		break;
	case SSL_ERROR_WANT_WRITE:
		w = io_wait(l->fd_out, true, d);
		break;
	case SSL_ERROR_ZERO_RETURN:
		return IO_EOF;
	case SSL_ERROR_SYSCALL:
		w = IO_EOF;
		break;
	default:
		/* A cut without close_notify looks to callers as the end of
		 * the connection, never of a message (THREATS 11). */
		errno = EPROTO;
		w = ERR_GET_REASON(ERR_peek_error()) ==
			    SSL_R_UNEXPECTED_EOF_WHILE_READING
			? IO_EOF
			: IO_ERROR;
	}
	if (w != IO_OK)
		l->broken = true;
	return w;
}

static enum io_result
layer_read(struct stream *s, char *p, size_t n, size_t *got, deadline_t d)
{
	struct tls_layer *l = s->layer;

	for (;;) {
		enum io_result w;
		int r;

		ERR_clear_error();
		r = SSL_read_ex(l->ssl, p, n, got);
		if (r > 0)
			return IO_OK;
		w = layer_wait(l, r, d);
		if (w != IO_OK)
			return w;
	}
}

static enum io_result
layer_write(struct stream *s, const char *p, size_t n, size_t *put,
	    deadline_t d)
{
	struct tls_layer *l = s->layer;

	for (;;) {
		enum io_result w;
		int r;

		ERR_clear_error();
		r = SSL_write_ex(l->ssl, p, n, put);
		if (r > 0)
			return IO_OK;
		w = layer_wait(l, r, d);
		if (w != IO_OK)
			return w;
	}
}

void
tls_layer_free(struct tls_layer *l)
{
	SSL_free(l->ssl);
	free(l);
	ERR_clear_error();
}

static void
layer_close(struct stream *s)
{
	struct tls_layer *l = s->layer;

	s->layer = NULL;
	if (!l->broken)
		SSL_shutdown(l->ssl);
	tls_layer_free(l);
}

static const struct stream_ops layer_ops = { layer_read, layer_write,
					     layer_close };

/* A layer for this stream, not yet shaken hands; NULL and a sentence when
 * plain bytes are still waiting. */
struct tls_layer *
tls_layer_new(SSL_CTX *ctx, const struct stream *s, struct err *e)
{
	struct tls_layer *l;

	if (stream_buffered(s).n > 0 || s->out.n > 0) {
		err_set(e, ST_PROTOCOL, "plain bytes behind the TLS command");
		return NULL;
	}
	l = mem_alloc(1, sizeof(*l));
	l->fd_in = s->fd_in;
	l->fd_out = s->fd_out;
	l->ssl = SSL_new(ctx);
	if (l->ssl == NULL)
		log_fatal(ST_TEMPFAIL, "TLS: out of memory");
	BIO *b = bio_new(l);

	SSL_set_bio(l->ssl, b, b);
	return l;
}

/* Drives the handshake; on success the stream speaks TLS. */
int
tls_layer_handshake(struct tls_layer *l, struct stream *s, int (*step)(SSL *),
		    deadline_t d, struct err *e)
{
	for (;;) {
		enum io_result w;
		int r;

		ERR_clear_error();
		r = step(l->ssl);
		if (r == 1) {
			s->ops = &layer_ops;
			s->layer = l;
			return 0;
		}
		w = layer_wait(l, r, d);
		if (w == IO_OK)
			continue;
		if (w == IO_ERROR && ERR_peek_error() != 0)
			err_set(e, ST_TEMPFAIL, "TLS handshake: %s",
				ERR_reason_error_string(ERR_peek_error()));
		else
			err_set(e, ST_TEMPFAIL, "TLS handshake: %s",
				io_words(w));
		long bad = SSL_get_verify_result(l->ssl);

		if (l->bad_r != NULL)
			*l->bad_r = bad;
		if (bad != X509_V_OK)
			err_prefix(e, "certificate: %s",
				   X509_verify_cert_error_string(bad));
		tls_layer_free(l);
		return -1;
	}
}

/* What both ends have in common. */
void
tls_layer_common(SSL_CTX *ctx)
{
	SSL_CTX_set_options(ctx, SSL_OP_NO_RENEGOTIATION |
				     SSL_OP_NO_COMPRESSION |
				     SSL_OP_CIPHER_SERVER_PREFERENCE);
	SSL_CTX_set_mode(ctx, SSL_MODE_ENABLE_PARTIAL_WRITE |
				  SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
				  SSL_MODE_RELEASE_BUFFERS);
}

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
	SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
	SSL_CTX_set_num_tickets(ctx, 1);
	SSL_CTX_set_max_early_data(ctx, 0);
	SSL_CTX_set_dh_auto(ctx, 1);
	if (server_ctx_fill(ctx, c, s, e) == 0)
		return ctx;
	SSL_CTX_free(ctx);
	return NULL;
}

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

bool
tls_session(const struct stream *s, struct buf *der)
{
	const struct tls_layer *l = s->layer;
	unsigned char *p = NULL;
	SSL_SESSION *ses;
	int n = 0;

	if (s->ops != &layer_ops || l == NULL)
		return false;
	ses = SSL_get1_session(l->ssl);
	if (ses != NULL && SSL_SESSION_is_resumable(ses))
		n = i2d_SSL_SESSION(ses, &p);
	if (n > 0)
		buf_add(der, p, (size_t)n);
	OPENSSL_clear_free(p, n > 0 ? (size_t)n : 0);
	SSL_SESSION_free(ses);
	return n > 0;
}

static void
facts_key(X509 *x, unsigned char *md, unsigned int *n)
{
	unsigned char *der = NULL;
	int len = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(x), &der);

	*n = 0;
	if (len > 0)
		(void)EVP_Digest(der, (size_t)len, md, n, EVP_sha256(), NULL);
	OPENSSL_free(der);
}

static void
facts_peer(struct tls_facts *f, X509 *x)
{
	unsigned char md[EVP_MAX_MD_SIZE];
	unsigned int n = 0;
	struct buf b = BUF_INIT;
	char cn[256];
	int len;

	len = X509_NAME_get_text_by_NID(X509_get_subject_name(x),
					NID_commonName, cn, sizeof(cn));
	if (len > 0) {
		escape_line(&b, span_make(cn, (size_t)len),
			    sizeof(f->peer_cn) - 8);
		memcpy(f->peer_cn, b.p, b.n);
	}
	buf_clear(&b);
	X509_digest(x, EVP_sha256(), md, &n);
	for (unsigned int i = 0; i < n; i++)
		buf_addf(&b, "%s%02X", i > 0 ? ":" : "", md[i]);
	memcpy(f->peer_fingerprint, b.p, b.n);
	buf_clear(&b);
	/* Postfix: of the key as it stands in the certificate, with its
	 * algorithm (SubjectPublicKeyInfo). */
	facts_key(x, md, &n);
	for (unsigned int i = 0; i < n; i++)
		buf_addf(&b, "%s%02X", i > 0 ? ":" : "", md[i]);
	if (b.n > 0)
		memcpy(f->peer_key_fingerprint, b.p, b.n);
	buf_free(&b);
}

bool
tls_facts(const struct stream *s, struct tls_facts *f_r)
{
	struct tls_layer *l = s->layer;
	struct tls_facts *f;
	X509 *x;

	if (s->ops != &layer_ops || l == NULL)
		return false;
	f = &l->facts;
	if (!l->has_facts) {
		const char *sni =
		    SSL_get_servername(l->ssl, TLSEXT_NAMETYPE_host_name);

		f->protocol = SSL_get_version(l->ssl);
		f->cipher = SSL_get_cipher_name(l->ssl);
		f->bits = SSL_get_cipher_bits(l->ssl, &f->alg_bits);
		f->sni = sni != NULL ? sni : "";
		f->resumed = SSL_session_reused(l->ssl);
		x = SSL_get0_peer_certificate(l->ssl);
		if (x != NULL)
			facts_peer(f, x);
		f->verified = x != NULL &&
			      SSL_get_verify_mode(l->ssl) != SSL_VERIFY_NONE &&
			      SSL_get_verify_result(l->ssl) == X509_V_OK;
		f->bad = x == NULL ? X509_V_ERR_UNSPECIFIED
				   : SSL_get_verify_result(l->ssl);
		f->bad_words = X509_verify_cert_error_string(f->bad);
		l->has_facts = true;
	}
	*f_r = *f;
	return true;
}

bool
tls_peer_chain(const struct stream *s, struct buf *pem)
{
	struct tls_layer *l = s->layer;
	STACK_OF(X509) * chain;
	BIO *bio;
	char *p;
	long n;

	if (s->ops != &layer_ops || l == NULL)
		return false;
	chain = SSL_get_peer_cert_chain(l->ssl);
	bio = BIO_new(BIO_s_mem());
	for (int i = 0; bio != NULL && i < sk_X509_num(chain); i++)
		(void)PEM_write_bio_X509(bio, sk_X509_value(chain, i));
	n = bio != NULL ? BIO_get_mem_data(bio, &p) : 0;
	if (n > 0)
		buf_add(pem, p, (size_t)n);
	BIO_free(bio);
	return n > 0;
}

bool
tls_channel_binding(const struct stream *s, struct buf *b)
{
	/* RFC 9266 3: label, no context, 32 bytes. */
	static const char label[] = "EXPORTER-Channel-Binding";
	struct tls_layer *l = s->layer;
	unsigned char v[32];
	static const unsigned char none[1];

	if (s->ops != &layer_ops || l == NULL)
		return false;
	if (SSL_export_keying_material(l->ssl, v, sizeof(v), label,
				       sizeof(label) - 1, none, 0, 1) != 1) {
		ERR_clear_error();
		return false;
	}
	buf_add(b, v, sizeof(v));
	return true;
}

static void
add_binding(struct strs *out, const char *type, const void *p, size_t n)
{
	struct buf b = BUF_INIT;

	buf_addf(&b, "%s=", type);
	base64_encode(&b, span_make(p, n));
	strs_add(out, buf_str(&b));
	buf_free(&b);
}

/* RFC 5929 4.1: the digest of the signature, but never MD5 or SHA-1. */
static void
add_end_point(const SSL *ssl, struct strs *out)
{
	X509 *x = SSL_get_certificate(ssl);
	unsigned char v[EVP_MAX_MD_SIZE];
	unsigned n = 0;
	int nid = NID_undef;
	const EVP_MD *md;

	if (x == NULL ||
	    X509_get_signature_info(x, &nid, NULL, NULL, NULL) != 1)
		return;
	md = nid == NID_md5 || nid == NID_sha1 ? EVP_sha256()
					       : EVP_get_digestbynid(nid);
	if (md != NULL && X509_digest(x, md, v, &n) == 1)
		add_binding(out, "tls-server-end-point", v, n);
	ERR_clear_error();
}

void
tls_bindings(const struct stream *s, struct strs *out)
{
	struct tls_layer *l = s->layer;
	unsigned char v[EVP_MAX_MD_SIZE];
	struct buf b = BUF_INIT;
	bool old;
	size_t n;

	if (s->ops != &layer_ops || l == NULL)
		return;
	old = SSL_version(l->ssl) < TLS1_3_VERSION;
	/* RFC 9266 3, 4.2; RFC 7627: else two sessions can share a secret. */
	if ((!old || SSL_get_extms_support(l->ssl) == 1) &&
	    tls_channel_binding(s, &b))
		add_binding(out, "tls-exporter", b.p, b.n);
	if (old && SSL_get_extms_support(l->ssl) == 1) {
		/* RFC 5929 3.1: the first Finished, which after a resumption
		 * is the server's. */
		n = SSL_session_reused(l->ssl)
			? SSL_get_finished(l->ssl, v, sizeof(v))
			: SSL_get_peer_finished(l->ssl, v, sizeof(v));
		if (n > 0 && n <= sizeof(v))
			add_binding(out, "tls-unique", v, n);
	}
	add_end_point(l->ssl, out);
	buf_wipe(&b);
}
