/*
 * tls_layer.c - TLS between a stream and its descriptors; see tls_layer.h.
 * Layer: sys.  RFC 8446, 5246; 3207 for what surrounds it in SMTP.
 */
#include "tls_layer.h"
#include "log.h"
#include "mem.h"
#include "status.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <openssl/err.h>

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

/* OpenSSL asks for a flush behind each flight; nothing is held back here. */
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
	/* RFC 8446 6.1: our close_notify, where the layer still works; the
	 * peer's is not waited for. */
	if (!l->broken)
		SSL_shutdown(l->ssl);
	tls_layer_free(l);
}

static const struct stream_ops layer_ops = { layer_read, layer_write,
					     layer_close };

struct tls_layer *
tls_layer_of(const struct stream *s)
{
	return s->ops == &layer_ops ? s->layer : NULL;
}

struct tls_layer *
tls_layer_new(SSL_CTX *ctx, const struct stream *s, struct err *e)
{
	struct tls_layer *l;

	/* THREATS 8: what came in clear with STARTTLS is not taken for what
	 * comes inside it (RFC 3207 4.2). */
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
		long bad = SSL_get_verify_result(l->ssl);
		/* What a look into the store of authorities left behind comes
		 * before the word that the certificate is bad. */
		unsigned long why =
		    bad != X509_V_OK ? ERR_peek_last_error() : ERR_peek_error();

		if (w == IO_ERROR && why != 0)
			err_set(e, ST_TEMPFAIL, "TLS handshake: %s",
				ERR_reason_error_string(why));
		else
			err_set(e, ST_TEMPFAIL, "TLS handshake: %s",
				io_words(w));
		if (l->bad_r != NULL)
			*l->bad_r = bad;
		if (l->reason_r != NULL && w == IO_ERROR &&
		    ERR_GET_LIB(why) == ERR_LIB_SSL)
			*l->reason_r = ERR_GET_REASON(why);
		if (bad != X509_V_OK)
			err_prefix(e, "certificate: %s",
				   X509_verify_cert_error_string(bad));
		tls_layer_free(l);
		return -1;
	}
}

void
tls_layer_common(SSL_CTX *ctx)
{
	SSL_CTX_set_options(ctx, SSL_OP_NO_RENEGOTIATION |
				     SSL_OP_NO_COMPRESSION |
				     SSL_OP_CIPHER_SERVER_PREFERENCE);
	/* The last gives 34 KB back while a session idles. */
	SSL_CTX_set_mode(ctx, SSL_MODE_ENABLE_PARTIAL_WRITE |
				  SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
				  SSL_MODE_RELEASE_BUFFERS);
}
