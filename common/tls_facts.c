/*
 * tls_facts.c - what is known of a connection that speaks TLS: for Received
 * fields, logs, restrictions, resumption and SASL; see tls.h.
 * Layer: sys.  RFC 5929, 9266 (channel bindings).
 */
#include "escape.h"
#include "tls_layer.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

bool
tls_session(const struct stream *s, struct buf *der)
{
	const struct tls_layer *l = tls_layer_of(s);
	unsigned char *p = NULL;
	SSL_SESSION *ses;
	int n = 0;

	if (l == NULL)
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

static const EVP_MD *digest; /* NULL: sha256 */

bool
tls_digest(const char *name)
{
	const EVP_MD *md = EVP_get_digestbyname(name);

	if (md == NULL || EVP_MD_get_size(md) <= 0)
		return false;
	digest = md;
	return true;
}

static const EVP_MD *
facts_digest(void)
{
	return digest != NULL ? digest : EVP_sha256();
}

/* The digest of the key as it stands in the certificate; *n 0: none. */
static void
facts_key(X509 *x, unsigned char *md, unsigned int *n)
{
	unsigned char *der = NULL;
	int len = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(x), &der);

	*n = 0;
	if (len > 0)
		(void)EVP_Digest(der, (size_t)len, md, n, facts_digest(), NULL);
	OPENSSL_free(der);
}

/* Who the peer says it is: escaped, it goes into logs and Received. */
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
	if (X509_digest(x, facts_digest(), md, &n) != 1)
		n = 0;
	for (unsigned int i = 0; i < n; i++)
		buf_addf(&b, "%s%02X", i > 0 ? ":" : "", md[i]);
	if (b.n > 0)
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
	struct tls_layer *l = tls_layer_of(s);
	struct tls_facts *f;
	X509 *x;

	if (l == NULL)
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
	struct tls_layer *l = tls_layer_of(s);
	STACK_OF(X509) * chain;
	BIO *bio;
	char *p;
	long n;

	if (l == NULL)
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
tls_field_known(const char *field)
{
	return OBJ_txt2nid(field) != NID_undef;
}

bool
tls_peer_field(const struct stream *s, const char *field, struct buf *b)
{
	struct tls_layer *l = tls_layer_of(s);
	X509 *x = l != NULL ? SSL_get1_peer_certificate(l->ssl) : NULL;
	unsigned char *text = NULL;
	int at, len = -1, nid = OBJ_txt2nid(field);
	bool ok = false;

	if (x != NULL && nid != NID_undef) {
		X509_NAME *name = X509_get_subject_name(x);

		at = X509_NAME_get_index_by_NID(name, nid, -1);
		/* Of several none is the name. */
		if (at >= 0 && X509_NAME_get_index_by_NID(name, nid, at) < 0)
			len = ASN1_STRING_to_UTF8(
			    &text, X509_NAME_ENTRY_get_data(
				       X509_NAME_get_entry(name, at)));
	}
	if (len > 0) {
		struct span v = span_make((const char *)text, (size_t)len);

		ok = !span_has_ctl(v);
		if (ok)
			buf_addspan(b, v);
	}
	OPENSSL_free(text);
	X509_free(x);
	return ok;
}

bool
tls_channel_binding(const struct stream *s, struct buf *b)
{
	/* RFC 9266 3: label, no context, 32 bytes. */
	static const char label[] = "EXPORTER-Channel-Binding";
	struct tls_layer *l = tls_layer_of(s);
	unsigned char v[32];
	static const unsigned char none[1];

	if (l == NULL)
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
add_end_point(SSL *ssl, struct strs *out)
{
	X509 *x = SSL_is_server(ssl) ? SSL_get_certificate(ssl)
				     : SSL_get0_peer_certificate(ssl);
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
	struct tls_layer *l = tls_layer_of(s);
	unsigned char v[EVP_MAX_MD_SIZE];
	struct buf b = BUF_INIT;
	bool old;
	size_t n;

	if (l == NULL)
		return;
	old = SSL_version(l->ssl) < TLS1_3_VERSION;
	/* RFC 9266 3, 4.2; RFC 7627: else two sessions can share a secret. */
	if ((!old || SSL_get_extms_support(l->ssl) == 1) &&
	    tls_channel_binding(s, &b))
		add_binding(out, "tls-exporter", b.p, b.n);
	if (old && SSL_get_extms_support(l->ssl) == 1) {
		/* RFC 5929 3.1: the first Finished, which after a resumption
		 * is the server's. */
		n = SSL_session_reused(l->ssl) == SSL_is_server(l->ssl)
			? SSL_get_finished(l->ssl, v, sizeof(v))
			: SSL_get_peer_finished(l->ssl, v, sizeof(v));
		if (n > 0 && n <= sizeof(v))
			add_binding(out, "tls-unique", v, n);
	}
	add_end_point(l->ssl, out);
	buf_wipe(&b);
}
