/*
 * tls_layer.h - the layer between a stream and its descriptors, which the
 * server and the client side of TLS share.
 * Layer: sys.  For tls*.c alone.
 */
#ifndef MX_TLS_LAYER_H
#define MX_TLS_LAYER_H

#include "tls.h"
#include <openssl/ssl.h>

/* ->layer of a stream under TLS. */
struct tls_layer {
	SSL *ssl;
	int fd_in, fd_out;
	bool broken; /* after a failure no close_notify may be sent */
	struct tls_facts facts;
	bool has_facts;
	long *bad_r;   /* where a failed handshake leaves its X509_V_ERR_* */
	int *reason_r; /* and its SSL_R_* */
};

/* Options of every context: no renegotiation, no compression. */
void tls_layer_common(SSL_CTX *ctx);
/* The stream's layer; NULL where it does not speak TLS. */
struct tls_layer *tls_layer_of(const struct stream *s);
/* A layer for this stream, not yet shaken hands; NULL and a sentence when
 * plain bytes are still waiting. */
struct tls_layer *tls_layer_new(SSL_CTX *ctx, const struct stream *s,
				struct err *e);
/* Says no close_notify: for a handshake that failed. */
void tls_layer_free(struct tls_layer *l);
/* Drives the handshake; on success the stream speaks TLS, else l is freed. */
int tls_layer_handshake(struct tls_layer *l, struct stream *s,
			int (*step)(SSL *), deadline_t d, struct err *e);

#endif
