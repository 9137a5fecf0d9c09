/*
 * audit_dkim.c - the audit of DKIM keys: those that mx.conf names, those of
 * --selector, else the selectors that are common.  RFC 6376 3.6, 8301.
 */
#include "audit.h"
#include "io.h"
#include "mem.h"
#include "status.h"

#include <stdlib.h>

#define AREA "DKIM"

static const char *const common_selectors[] = {
	"default",  "mail",      "dkim",      "mx",         "smtp", "email",
	"key1",     "s1",        "s2",        "k1",         "k2",   "k3",
	"google",   "selector1", "selector2", "protonmail", "fm1",  "zoho",
	"mandrill", "ed25519",   "rsa"
};

struct looked {
	size_t found, tried;
	bool temp;
};

static void
weak_key(struct audit *a, const char *name, const struct dkim_record *r)
{
	struct findings *f = &a->f;

	if (!r->ed25519 && r->bits < 1024) {
		find_add(f, FIND_FAIL, AREA, "dkim-weak", 10,
			 "%s: an RSA key of %d bits", name, r->bits);
		find_expected(f, "2048 bits, or Ed25519 beside it");
		find_why(f, "receivers ignore keys under 1024 bits (RFC 8301 "
			    "3.2)");
	} else if (!r->ed25519 && r->bits < 2048) {
		find_add(f, FIND_WARN, AREA, "dkim-1024", 2,
			 "%s: an RSA key of %d bits", name, r->bits);
		find_expected(f, "2048 bits (mx-dkimsign --genkey)");
		find_why(f, "1024 bits are within reach of a rich attacker");
	}
}

static void
judge_record(struct audit *a, const char *name, const struct dkim_record *r)
{
	struct findings *f = &a->f;
	size_t before = f->n;

	weak_key(a, name, r);
	if (r->testing) {
		find_add(f, FIND_WARN, AREA, "dkim-testing", 3,
			 "%s: t=y says that it is only a test", name);
		find_expected(f, "no t=y");
		find_why(f, "receivers may treat such mail as unsigned (RFC "
			    "6376 3.6.1)");
	}
	if (!r->email || !r->sha256) {
		find_add(f, FIND_FAIL, AREA, "dkim-use", 10,
			 "%s: the key is not for mail with SHA-256", name);
		find_expected(f, "s=* or s=email; h= with sha256, or no h=");
	}
	if (f->n == before)
		find_add(f, FIND_OK, AREA, "dkim", 0, "%s: %s key%s", name,
			 r->ed25519 ? "Ed25519" : "RSA",
			 r->bits >= 4096 ? " of 4096 bits or more" : "");
}

/* The key of this file, and the record: the same? */
static void
judge_file(struct audit *a, const char *name, const char *file,
	   const struct dkim_record *r)
{
	struct buf disk = BUF_INIT, dns = BUF_INIT;
	struct err e = ERR_INIT;
	enum dkim_alg alg;
	EVP_PKEY *key = file != NULL ? dkim_load_key(file, &alg, &e) : NULL;

	if (key == NULL) {
		if (file != NULL)
			find_add(&a->f, FIND_NOTE, AREA, "dkim-file", 0, "%s",
				 e.text);
		return;
	}
	if (dkim_public(key, &disk, &e) == 0 &&
	    (r == NULL || r->key == NULL ||
	     dkim_public(r->key, &dns, &e) != 0 ||
	     !span_eq(buf_span(&disk), buf_span(&dns)))) {
		find_add(&a->f, FIND_FAIL, AREA, "dkim-other-key", 20,
			 r == NULL ? "%s: the key we sign with is not in DNS"
				   : "%s: DNS holds another key than the one "
				     "we sign with",
			 name);
		find_expected(&a->f, "the public half of %s", file);
		find_why(&a->f, "every signature fails at every receiver");
		find_record(&a->f, name, "TXT", "v=DKIM1; k=%s; p=%s",
			    alg == DKIM_ED25519_SHA256 ? "ed25519" : "rsa",
			    buf_str(&disk));
	}
	buf_free(&disk);
	buf_free(&dns);
	EVP_PKEY_free(key);
}

/* file: the private key, or NULL; guessed: nothing is said when absent. */
static void
look(struct audit *a, struct looked *l, const char *selector, const char *file,
     bool guessed)
{
	char *name = mem_printf("%s._domainkey.%s", selector, a->domain);
	struct dns_answer ans;
	struct dkim_record r = { 0 };
	const char *why = "no key record";
	enum dns_status st =
	    dns_query(a->dns, name, DNS_TXT, &ans, a->dl, NULL);
	bool have = false;

	l->tried++;
	l->temp |= st == DNS_TEMP;
	for (size_t i = 0; st == DNS_OK && i < ans.n && !have; i++)
		have = dkim_record_parse(
		    &r, span_make(ans.v[i].text, ans.v[i].len), &why);
	if (st == DNS_TEMP) {
		if (!guessed)
			audit_trouble(a, AREA, name, "DNS is in trouble");
	} else if (have && r.revoked) {
		find_add(&a->f, FIND_NOTE, AREA, "dkim-revoked", 0,
			 "%s: the key is revoked (p= is empty)", name);
	} else if (have) {
		l->found++;
		judge_record(a, name, &r);
	} else if (!guessed || (st == DNS_OK && ans.n > 0)) {
		find_add(&a->f, FIND_FAIL, AREA, "dkim-record", 15, "%s: %s",
			 name, why);
		find_expected(&a->f, "v=DKIM1; k=rsa; p=...");
		find_found(&a->f, "%s",
			   st == DNS_OK && ans.n > 0 ? ans.v[0].text
						     : dns_words(st));
	}
	if (st != DNS_TEMP) {
		judge_file(a, name, file, have ? &r : NULL);
		dns_answer_free(&ans);
	}
	dkim_record_free(&r);
	free(name);
}

/* KeyTable: NAME DOMAIN:SELECTOR:FILE */
static void
look_table(struct audit *a, struct looked *l, const char *spec)
{
	struct buf b = BUF_INIT;
	struct span rest, line, name, value, part[3];

	if (strncmp(spec, "file:", 5) == 0)
		spec += 5;
	else if (strncmp(spec, "refile:", 7) == 0)
		spec += 7;
	if (*spec == '\0' || io_read_file(spec, &b, 16 << 20, NULL) != 0)
		return;
	rest = buf_span(&b);
	while (span_split(&rest, '\n', &line)) {
		line = span_trim(line);
		if (line.n == 0 || line.p[0] == '#' ||
		    !span_word(&line, " \t", &name))
			continue;
		value = span_trim(line);
		if (!span_split(&value, ':', &part[0]) ||
		    !span_split(&value, ':', &part[1]) || value.p == NULL)
			continue;
		part[2] = value;
		if (!span_iis(part[0], a->domain) && !span_is(part[0], "%"))
			continue;
		char *selector = mem_spandup(part[1]);
		char *file = mem_spandup(part[2]);

		look(a, l, selector, file, false);
		free(selector);
		free(file);
	}
	buf_free(&b);
}

static bool
is_ours(const struct audit *a)
{
	for (size_t i = 0; i < params.dkim_domain.n; i++)
		if (strcasecmp(params.dkim_domain.v[i], a->domain) == 0)
			return true;
	return false;
}

void
audit_dkim(struct audit *a, size_t i, size_t k)
{
	struct looked l = { 0 };
	struct buf tried = BUF_INIT;

	(void)i;
	(void)k;
	for (size_t n = 0; n < opts.selectors.n; n++)
		look(a, &l, opts.selectors.v[n], NULL, false);
	look_table(a, &l, params.dkim_key_table);
	if (is_ours(a) && params.dkim_selector[0] != '\0')
		look(a, &l, params.dkim_selector,
		     *params.dkim_key_file ? params.dkim_key_file : NULL,
		     false);
	if (l.tried > 0)
		return;
	for (size_t n = 0; n < ARRAY_LEN(common_selectors); n++) {
		look(a, &l, common_selectors[n], NULL, true);
		buf_addf(&tried, "%s%s", n ? " " : "", common_selectors[n]);
	}
	if (l.found == 0 && l.temp) {
		audit_trouble(a, AREA, "DKIM keys", "DNS is in trouble");
	} else if (l.found == 0) {
		find_add(&a->f, FIND_WARN, AREA, "dkim-none", 10,
			 "no DKIM key under the selectors that are common");
		find_expected(&a->f,
			      "a key; name its selector with "
			      "--selector, or make one: mx-dkimsign "
			      "--genkey -d %s -s mail",
			      a->domain);
		find_found(&a->f, "none of: %s", buf_str(&tried));
		find_why(&a->f, "Gmail, Yahoo and Outlook want DKIM of who "
				"sends more than a little, and forwarded mail "
				"passes DMARC by it alone");
	}
	buf_free(&tried);
}
