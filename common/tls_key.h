/*
 * tls_key.h - private keys that stay in the monitor: a worker's key object
 * holds the public half and asks for each signature (server_offer).
 * Layer: sys.  For tls.c; mx-dkimsign overwrites what OpenSSL frees, too.
 */
#ifndef MX_TLS_KEY_H
#define MX_TLS_KEY_H

#include "err.h"
#include <openssl/evp.h>

struct server;

/*
 * The key object to be put into an SSL_CTX for `pkey`, of which it takes a
 * reference.  s NULL: pkey itself.  Else an object that asks the monitor by a
 * new offer (offers belong to a generation of workers).  NULL and a sentence
 * for kinds of keys that cannot be used so.  Caller frees.
 */
EVP_PKEY *tls_key_handle(EVP_PKEY *pkey, struct server *s, struct err *e);
/* Before anything else of OpenSSL: what it frees is overwritten. */
void tls_key_scrub(void);
/* In the worker: overwrites and frees the private halves. */
void tls_key_forget(void);

#endif
