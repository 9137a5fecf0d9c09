/*
 * genkey.c - makes a key pair and its DNS record, as opendkim-genkey does.
 * RFC 6376 3.6.1; RFC 8463.
 */
#include "dkimsign.h"
#include "mem.h"
#include "num.h"
#include "proc.h"
#include "status.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

/* Never overwrites: a lost key is lost mail. */
static int
write_new(const char *path, mode_t mode, struct span text, struct err *e)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
	int r = 0;

	if (fd < 0)
		return err_sys(e, "%s", path);
	if (write(fd, text.p, text.n) != (ssize_t)text.n || fsync(fd) != 0)
		r = err_sys(e, "%s", path);
	if (close(fd) != 0 && r == 0)
		r = err_sys(e, "%s", path);
	if (r != 0)
		(void)unlink(path);
	return r;
}

/* A TXT record of a zone file, strings of at most 250 bytes: one cannot have
 * more than 255 (RFC 1035 3.3), and they are put together again (RFC
 * 6376 3.6.2.2). */
static void
zone_record(struct buf *out, const char *selector, const char *domain,
	    const char *kind, struct span p)
{
	buf_addf(out, "%s._domainkey\tIN\tTXT\t( \"v=DKIM1; h=sha256; k=%s; \"",
		 selector, kind);
	for (size_t at = 0; at < p.n; at += 240)
		buf_addf(out, "\n\t  \"%s%.*s\"",
			 at ? "" : "p=", SPAN_ARG(span_sub(p, at, at + 240)));
	buf_addf(out, " )  ; ----- DKIM key %s for %s\n", selector, domain);
}

/* The same for the forms of DNS hosters, as comments of a zone file: one text,
 * which most of them split by themselves, and strings of at most 250 bytes. */
static void
form_records(struct buf *out, const char *selector, const char *kind,
	     struct span p)
{
	buf_addf(out, "; as one text:\n; name   %s._domainkey\n; value  ",
		 selector);
	buf_addf(out, "v=DKIM1; h=sha256; k=%s; p=%.*s\n", kind, SPAN_ARG(p));
	buf_addf(out, "; in strings:\n; value  \"v=DKIM1; h=sha256; k=%s; \"",
		 kind);
	for (size_t at = 0; at < p.n; at += 240)
		buf_addf(out, " \"%s%.*s\"",
			 at ? "" : "p=", SPAN_ARG(span_sub(p, at, at + 240)));
	buf_addc(out, '\n');
}

static int
save(EVP_PKEY *key, const char *kind, const char *dir, const char *selector,
     const char *domain, struct err *e)
{
	char *priv = mem_printf("%s/%s.private", dir, selector);
	char *txt = mem_printf("%s/%s.txt", dir, selector);
	struct buf p = BUF_INIT, record = BUF_INIT;
	BIO *bio = BIO_new(BIO_s_mem());
	char *pem = NULL;
	long n;
	int r = dkim_public(key, &p, e);

	if (bio == NULL ||
	    PEM_write_bio_PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL) != 1)
		r = err_set(e, ST_SOFTWARE, "the key cannot be written");
	n = BIO_get_mem_data(bio, &pem);
	if (r == 0)
		r = write_new(priv, 0600, span_make(pem, (size_t)n), e);
	if (r == 0) {
		zone_record(&record, selector, domain, kind, buf_span(&p));
		r = write_new(txt, 0644, buf_span(&record), e);
		if (r != 0)
			(void)unlink(priv);
	}
	if (r == 0)
		form_records(&record, selector, kind, buf_span(&p));
	if (r == 0 &&
	    (printf("%s", buf_str(&record)) < 0 || fflush(stdout) != 0))
		r = err_sys(e, "standard output");
	BIO_free(bio);
	buf_free(&p);
	buf_free(&record);
	free(priv);
	free(txt);
	return r;
}

int
genkey_make(const char *dir, const char *selector, const char *domain,
	    struct err *e)
{
	bool ed = opts.algorithm != NULL &&
		  (strcmp(opts.algorithm, "ed25519") == 0 ||
		   strcmp(opts.algorithm, "ed25519-sha256") == 0);
	int bits = 2048, r;
	EVP_PKEY *key;

	if (opts.algorithm != NULL && !ed &&
	    strcmp(opts.algorithm, "rsa") != 0 &&
	    strcmp(opts.algorithm, "rsa-sha256") != 0)
		return err_set(e, ST_USAGE, "-a %s: expected rsa or ed25519",
			       opts.algorithm);
	if (opts.bits != NULL &&
	    !num_int(span_of(opts.bits), 1024, 8192, &bits))
		return err_set(e, ST_USAGE, "-b %s: expected 1024 to 8192 bits",
			       opts.bits);
	key = ed ? EVP_PKEY_Q_keygen(NULL, NULL, "ED25519")
		 : EVP_PKEY_Q_keygen(NULL, NULL, "RSA", (size_t)bits);
	if (key == NULL)
		return err_set(e, ST_SOFTWARE, "the key cannot be made");
	r = save(key, ed ? "ed25519" : "rsa", dir, selector, domain, e);
	EVP_PKEY_free(key);
	return r;
}

int
genkey(void)
{
	struct err e = ERR_INIT;

	if (opts.domain == NULL || opts.selectors.n != 1)
		return prog_usage(
		    "--genkey needs -d DOMAIN and one -s SELECTOR");
	if (!sign_domain_ok(opts.domain) ||
	    !sign_selector_ok(opts.selectors.v[0]))
		return prog_usage("--genkey: -d %s -s %s: expected a domain "
				  "and a selector",
				  opts.domain, opts.selectors.v[0]);
	if (genkey_make(opts.directory ? opts.directory : ".",
			opts.selectors.v[0], opts.domain, &e) != 0)
		return prog_fail(&e);
	return ST_OK;
}

/*
 * Does DNS hold this key?  mx-dnscheck asks (so that signing does not link a
 * resolver): 0 yes; 1 another, none or revoked; 75 trouble.
 */
int
testkey(void)
{
	struct err e = ERR_INIT;
	struct buf p = BUF_INIT;
	struct strs argv = STRS_INIT;
	enum dkim_alg alg;
	EVP_PKEY *key;

	if (opts.domain == NULL || opts.selectors.n != 1 || opts.keys.n != 1)
		return prog_usage("--testkey needs -d, -s and -k");
	key = dkim_load_key(opts.keys.v[0], &alg, &e);
	if (key == NULL || dkim_public(key, &p, &e) != 0)
		return prog_fail(&e);
	strs_take(&argv, proc_sibling("mx-dnscheck"));
	strs_add(&argv, "dkimkey");
	if (prog.config_path != NULL)
		strs_addf(&argv, "--config=%s", prog.config_path);
	if (prog.resolver != NULL)
		strs_addf(&argv, "--resolver=%s", prog.resolver);
	strs_add(&argv, "--");
	strs_addf(&argv, "%s._domainkey.%s", opts.selectors.v[0], opts.domain);
	strs_add(&argv, buf_str(&p));
	execvp(argv.v[0], argv.v);
	err_sys(&e, "cannot run mx-dnscheck");
	e.status = ST_TEMPFAIL;
	return prog_fail(&e);
}
