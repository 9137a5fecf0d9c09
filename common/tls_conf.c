/*
 * tls_conf.c - what configuration says of TLS; see tls_conf.h.
 * Layer: sys.  Postfix TLS_README for the syntax of protocols and grades.
 */
#include "tls_conf.h"

#include "io.h"
#include "log.h"
#include "status.h"
#include "tls_key.h"

#include <stdio.h>

#include <openssl/err.h>
#include <openssl/pem.h>

#define PEM_MAX (1024 * 1024)

int
tls_conf_err(struct err *e, const char *what)
{
	const char *why = ERR_reason_error_string(ERR_peek_last_error());

	ERR_clear_error();
	return err_set(e, ST_CONFIG, "%s%s%s", what, why != NULL ? ": " : "",
		       why != NULL ? why : "");
}

static const struct {
	const char *name;
	int version;
	uint64_t off;
} protocols[] = {
	{ "SSLv2", 0, 0 },
	{ "SSLv3", SSL3_VERSION, 0 },
	{ "TLSv1", TLS1_VERSION, 0 },
	{ "TLSv1.0", TLS1_VERSION, 0 },
	{ "TLSv1.1", TLS1_1_VERSION, 0 },
	{ "TLSv1.2", TLS1_2_VERSION, SSL_OP_NO_TLSv1_2 },
	{ "TLSv1.3", TLS1_3_VERSION, SSL_OP_NO_TLSv1_3 },
};

static int
protocol_find(struct span word)
{
	for (size_t i = 0; i < ARRAY_LEN(protocols); i++)
		if (span_iis(word, protocols[i].name))
			return (int)i;
	return -1;
}

/* What the words of a protocol list add up to. */
struct wanted {
	int min, max;
	uint64_t off;    /* excluded by !NAME */
	uint64_t others; /* named without ! : all but these go */
	bool listed;
};

static int
protocol_word(struct wanted *w, struct span word, struct err *e)
{
	struct span name = word;
	char how = '=';
	int i;

	if (span_starts(word, SPAN(">=")) || span_starts(word, SPAN("<="))) {
		how = word.p[0];
		name = span_from(word, 2);
	} else if (word.p[0] == '!') {
		how = '!';
		name = span_from(word, 1);
	}
	i = protocol_find(name);
	if (i < 0)
		return err_set(e, ST_CONFIG,
			       "\"%.*s\" is no TLS protocol: expected "
			       ">=TLSv1.2, or names such as !TLSv1.2, TLSv1.3",
			       SPAN_ARG(word));
	if (how == '>')
		w->min = protocols[i].version;
	else if (how == '<')
		w->max = protocols[i].version;
	else if (how == '!')
		w->off |= protocols[i].off;
	else {
		w->others |= protocols[i].off;
		w->listed = true;
	}
	return 0;
}

int
tls_conf_protocols(SSL_CTX *ctx, const char *text, struct err *e)
{
	const uint64_t all = SSL_OP_NO_TLSv1_2 | SSL_OP_NO_TLSv1_3;
	struct span rest = span_of(text), word;
	struct wanted w = { 0, 0, 0, 0, false };

	while (span_word(&rest, " \t\r\n,:", &word))
		if (protocol_word(&w, word, e) != 0)
			return -1;
	if (w.listed)
		w.off |= all & ~w.others;
	if (w.min < TLS1_2_VERSION)
		w.min = TLS1_2_VERSION;
	if ((w.off & all) == all || (w.max != 0 && w.max < w.min))
		return err_set(e, ST_CONFIG,
			       "\"%s\" leaves no protocol: TLSv1.2 and TLSv1.3 "
			       "are what there is",
			       text);
	SSL_CTX_set_min_proto_version(ctx, w.min);
	SSL_CTX_set_max_proto_version(ctx, w.max);
	SSL_CTX_set_options(ctx, w.off);
	return 0;
}

/* Names that OpenSSL does not know vanish silently in a list: say so. */
static void
cipher_check(const char *text)
{
	SSL_CTX *scratch = SSL_CTX_new(TLS_method());
	struct span rest = span_of(text), word;

	while (scratch != NULL && span_word(&rest, ":, \t", &word)) {
		char name[128];

		while (word.n > 0 && strchr("!+-", word.p[0]) != NULL)
			word = span_from(word, 1);
		if (word.n == 0 || word.p[0] == '@' || word.n >= sizeof(name))
			continue;
		memcpy(name, word.p, word.n);
		name[word.n] = '\0';
		if (!SSL_CTX_set_cipher_list(scratch, name))
			log_warn("TLS: OpenSSL knows no cipher \"%s\": ignored",
				 name);
		ERR_clear_error();
	}
	SSL_CTX_free(scratch);
}

int
tls_conf_ciphers(SSL_CTX *ctx, const char *text, struct err *e)
{
	char list[1024];
	int n;

	if (span_iis(span_of(text), "high"))
		text = "HIGH:@STRENGTH";
	else if (span_iis(span_of(text), "medium"))
		text = "HIGH:MEDIUM:@STRENGTH";
	else if (text == NULL || *text == '\0')
		text = "DEFAULT";
	else
		cipher_check(text);
	/* No anonymous key, and no RSA key exchange: it has no forward
	 * secrecy and would need decryption by the monitor. */
	n = snprintf(list, sizeof(list), "%s:!aNULL:!kRSA", text);
	if (n < 0 || (size_t)n >= sizeof(list))
		return err_set(e, ST_CONFIG, "cipher list longer than 1000");
	if (!SSL_CTX_set_cipher_list(ctx, list)) {
		ERR_clear_error();
		return err_set(e, ST_CONFIG,
			       "the cipher list \"%s\" holds no cipher that "
			       "can be used; see openssl ciphers",
			       text);
	}
	return 0;
}

/* A whole file without a copy of it left in freed memory. */
static int
read_secret(const char *path, struct buf *b, struct err *e)
{
	(void)buf_room(b, PEM_MAX + 65536);
	return io_read_file(path, b, PEM_MAX, e);
}

/* No question for a passphrase: nobody stands at the terminal. */
static int
no_passphrase(char *b, int size, int rw, void *u)
{
	(void)b;
	(void)size;
	(void)rw;
	(void)u;
	return -1;
}

/* The private key in PEM text, or NULL (no sentence: it may be elsewhere). */
static EVP_PKEY *
pem_key(struct span text)
{
	BIO *bio = BIO_new_mem_buf(text.p, (int)text.n);
	EVP_PKEY *k = PEM_read_bio_PrivateKey(bio, NULL, no_passphrase, NULL);

	BIO_free(bio);
	return k;
}

/* Certificate and chain; the leaf must belong to key. */
static int
use_chain(SSL_CTX *ctx, struct span text, const char *cert_file,
	  const char *key_file, EVP_PKEY *key, struct server *s, struct err *e)
{
	BIO *bio = BIO_new_mem_buf(text.p, (int)text.n);
	X509 *x = PEM_read_bio_X509_AUX(bio, NULL, no_passphrase, NULL);
	EVP_PKEY *h = NULL;
	int r = -1;

	if (x == NULL) {
		err_set(e, ST_CONFIG, "%s: no certificate in PEM form",
			cert_file);
		goto out;
	}
	if (X509_check_private_key(x, key) != 1) {
		err_set(e, ST_CONFIG,
			"%s: the private key in %s does not belong to this "
			"certificate",
			cert_file, key_file);
		goto out;
	}
	h = tls_key_handle(key, s, e);
	if (h == NULL) {
		err_prefix(e, "%s", key_file);
		goto out;
	}
	if (SSL_CTX_use_certificate(ctx, x) != 1 ||
	    SSL_CTX_use_PrivateKey(ctx, h) != 1) {
		tls_conf_err(e, cert_file);
		goto out;
	}
	SSL_CTX_clear_chain_certs(ctx);
	for (X509 *c;
	     (c = PEM_read_bio_X509(bio, NULL, no_passphrase, NULL)) != NULL;)
		if (SSL_CTX_add0_chain_cert(ctx, c) != 1) {
			X509_free(c);
			tls_conf_err(e, cert_file);
			goto out;
		}
	r = 0;
out:
	ERR_clear_error();
	X509_free(x);
	EVP_PKEY_free(h);
	BIO_free(bio);
	return r;
}

int
tls_conf_pair(SSL_CTX *ctx, const char *cert_file, const char *key_file,
	      struct server *s, struct err *e)
{
	struct buf cert = BUF_INIT, keybuf = BUF_INIT;
	bool one = key_file == NULL || *key_file == '\0' ||
		   strcmp(key_file, cert_file) == 0;
	EVP_PKEY *key = NULL;
	int r = -1;

	if (one)
		key_file = cert_file;
	if (read_secret(cert_file, &cert, e) != 0 ||
	    (!one && read_secret(key_file, &keybuf, e) != 0))
		goto out;
	key = pem_key(buf_span(one ? &cert : &keybuf));
	if (key == NULL)
		err_set(e, ST_CONFIG,
			"%s: no private key in PEM form (without passphrase)",
			key_file);
	else
		r = use_chain(ctx, buf_span(&cert), cert_file, key_file, key, s,
			      e);
out:
	ERR_clear_error();
	EVP_PKEY_free(key);
	buf_wipe(&cert);
	buf_wipe(&keybuf);
	return r;
}

int
tls_conf_chains(SSL_CTX *ctx, const struct strs *files, struct server *s,
		struct err *e)
{
	const char *key_file = NULL;
	EVP_PKEY *key = NULL;
	int r = 0;

	for (size_t i = 0; i < files->n && r == 0; i++) {
		const char *f = files->v[i];
		struct buf b = BUF_INIT;
		EVP_PKEY *k = NULL;

		r = read_secret(f, &b, e);
		if (r == 0)
			k = pem_key(buf_span(&b));
		if (k != NULL) {
			EVP_PKEY_free(key);
			key = k;
			key_file = f;
		}
		if (r == 0 &&
		    span_find(buf_span(&b), SPAN("-----BEGIN CERT")) >= 0) {
			if (key == NULL)
				r = err_set(e, ST_CONFIG,
					    "%s: a certificate before its "
					    "private key",
					    f);
			else
				r = use_chain(ctx, buf_span(&b), f, key_file,
					      key, s, e);
			EVP_PKEY_free(key);
			key = NULL;
		}
		buf_wipe(&b);
	}
	if (r == 0 && key != NULL)
		r = err_set(e, ST_CONFIG, "%s: no certificate follows this key",
			    key_file);
	EVP_PKEY_free(key);
	ERR_clear_error();
	return r;
}
