/*
 * tls_conf.h - what configuration says of TLS, put into an SSL_CTX.
 * Layer: sys.  For tls.c alone.
 */
#ifndef MX_TLS_CONF_H
#define MX_TLS_CONF_H

#include "err.h"
#include "strs.h"
#include <openssl/ssl.h>

struct server;

/* "FMT: what OpenSSL said last", and its error queue is emptied. */
int tls_conf_err(struct err *e, const char *what);
/* Postfix's protocol list: ">=TLSv1.2", "!SSLv2, !SSLv3", "TLSv1.3".  TLS 1.2
 * is the floor whatever it says. */
int tls_conf_protocols(SSL_CTX *ctx, const char *text, struct err *e);
/* An OpenSSL list, or Postfix's grades medium and high; a name that OpenSSL
 * does not know is a warning in the log. */
int tls_conf_ciphers(SSL_CTX *ctx, const char *text, struct err *e);
/* A chain and its key ("" or NULL: in cert_file) from PEM files; a pair that
 * does not match is refused. */
int tls_conf_pair(SSL_CTX *ctx, const char *cert_file, const char *key_file,
		  struct server *s, struct err *e);
/* smtpd_tls_chain_files: each key followed by its certificates, in one file
 * or the next. */
int tls_conf_chains(SSL_CTX *ctx, const struct strs *files, struct server *s,
		    struct err *e);

#endif
