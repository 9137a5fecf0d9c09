/*
 * tls.h - TLS on both ends of a stream (OpenSSL), TLS 1.2 floor.
 * Layer: sys.  The server's private key stays in the monitor: workers hold
 * certificates and ask the monitor to sign (server_offer).
 */
#ifndef MX_TLS_H
#define MX_TLS_H

#include "io.h"
#include "strs.h"

struct server;
struct tls_server; /* certificates, key handles, options */
struct tls_client;

struct tls_server_conf {
	const char *cert_file;   /* PEM chain; or chain_files */
	const char *key_file;    /* empty: in cert_file */
	struct strs chain_files; /* smtpd_tls_chain_files: key, cert pairs */
	const char *protocols;   /* ">=TLSv1.2", "!SSLv2, !SSLv3 ..." */
	const char *ciphers;     /* OpenSSL string, medium, high or "" */
	const char *session_context; /* program/listener: ticket context */
	const char *ca_file;         /* for client certificates, or "" */
	bool ask_client_cert;
	bool require_client_cert; /* the handshake fails without one that
				     ca_file verifies */
	/* Other names' certificates (smtpd_tls_chain_files form): a host
	 * name, or ".example.org" for those below it.  A client that names
	 * one in SNI gets it; n of them. */
	const struct tls_sni {
		char *name; /* lower case */
		struct strs chain_files;
	} * sni;
	size_t nsni;
	const char *alpn; /* "smtp", "imap": a client that offers others only
			     is refused (ALPACA); NULL: not looked at */
};

/* In the monitor.  NULL and a sentence (file, what is wrong: a pair that does
 * not match is refused).  With `s` not NULL keys are used by offer only. */
struct tls_server *tls_server_new(const struct tls_server_conf *c,
				  struct server *s, struct err *e);
void tls_server_free(struct tls_server *t);
/* In the worker, before the first handshake: forget key memory. */
void tls_server_worker(struct tls_server *t, struct server *s);
/* Handshake on a stream (its buffered plaintext must be empty). */
int tls_accept(struct tls_server *t, struct stream *s, deadline_t d,
	       struct err *e) MX_MUST_CHECK;

enum tls_verify { TLS_VERIFY_NONE, TLS_VERIFY_CA, TLS_VERIFY_NAME };
struct tls_client_conf {
	const char *ca_file; /* "": system's */
	const char *protocols, *ciphers;
	const char *cert_file, *key_file;
};
struct tls_client *tls_client_new(const struct tls_client_conf *c,
				  struct err *e);
void tls_client_free(struct tls_client *t);
/* Reads the authorities' certificates now: for whoever can open no file when
 * the handshake comes. */
int tls_client_load(struct tls_client *t, struct err *e) MX_MUST_CHECK;
/* What a client wants to see of the other side. */
struct tls_tlsa;
struct tls_want {
	const char *sni;        /* "" or an address: none */
	enum tls_verify verify; /* NONE: any certificate will do */
	/* TLS_VERIFY_NAME: one of these; ".domain": its subdomains; NULL or
	 * empty: sni.  For TLSA rows of a trust anchor, too. */
	const struct strs *names;
	bool advisory; /* go on whatever is found: tls_facts tells */
	const struct tls_tlsa *dane;
	size_t ndane; /* with usable rows they alone count (RFC 7672) */
	/* An earlier session (tls_session) to take up again; empty: none.  A
	 * resumed one shows no certificate: whoever keeps it sees to it that
	 * it was made under the same wants. */
	struct span session;
	long *bad_r; /* OpenSSL's X509_V_ERR_* of a handshake that failed, 0:
			it was not the certificate; may be NULL */
	/* And its SSL_R_* where TLS itself failed it; 0: the link did.  May be
	 * NULL. */
	int *reason_r;
};
/* host: SNI and name to verify.  With TLS_VERIFY_NONE any certificate will
 * do.  `dane` (may be NULL): ldns-free TLSA rows as DER bytes. */
struct tls_tlsa {
	uint8_t usage, selector, matching;
	struct span data;
};
int tls_connect(struct tls_client *t, struct stream *s, const char *host,
		enum tls_verify verify, const struct tls_tlsa *dane,
		size_t ndane, deadline_t d, struct err *e) MX_MUST_CHECK;
int tls_connect_want(struct tls_client *t, struct stream *s,
		     const struct tls_want *w, deadline_t d,
		     struct err *e) MX_MUST_CHECK;
/* Is this a row that SMTP can use (RFC 7672 3.1)? */
bool tls_tlsa_usable(const struct tls_tlsa *t);

/* Facts for Received fields and logs; "" when not known.  Borrowed strings
 * live as long as the stream. */
struct tls_facts {
	const char *protocol; /* "TLSv1.3" */
	const char *cipher;   /* "TLS_AES_256_GCM_SHA384" */
	int bits, alg_bits;
	char peer_cn[256];              /* escaped */
	char peer_fingerprint[200];     /* tls_digest, colons */
	char peer_key_fingerprint[200]; /* of its public key */
	bool verified;
	long bad; /* OpenSSL's X509_V_ERR_*, 0: none, or nobody looked */
	const char *bad_words;
	const char *sni;
	bool resumed; /* the certificate is an earlier connection's */
};
/* The digest of fingerprints from now on, by OpenSSL's name; sha256 before.
 * false: it knows none of that name. */
bool tls_digest(const char *name) MX_MUST_CHECK;
bool tls_facts(const struct stream *s, struct tls_facts *f_r);
/* The session as it is now, for a later connection; false: it cannot be taken
 * up again.  After the peer's first words: tickets come behind the handshake.
 */
bool tls_session(const struct stream *s, struct buf *der);
/* The certificates that the peer showed, its own first, as PEM text. */
bool tls_peer_chain(const struct stream *s, struct buf *pem);
/* A field of the subject of the peer's certificate, by OpenSSL's name
 * ("commonName", "emailAddress", "UID"), as UTF-8; false: it has none, several,
 * or one with control bytes.  Whether the certificate was verified is not
 * asked here. */
bool tls_peer_field(const struct stream *s, const char *field, struct buf *b);
/* Does OpenSSL know such a field? */
bool tls_field_known(const char *field);
/* tls-exporter channel binding (RFC 9266) for SCRAM-PLUS. */
bool tls_channel_binding(const struct stream *s, struct buf *b);
/* At either end all channel bindings that are sound, "TYPE=BASE64":
 * tls-exporter (with TLS 1.2 only under RFC 7627), tls-unique (TLS 1.2, the
 * same), tls-server-end-point (RFC 5929). */
void tls_bindings(const struct stream *s, struct strs *out);

#endif
