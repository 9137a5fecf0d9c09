/*
 * sasl_scram.c - AUTH SCRAM-SHA-256 and SCRAM-SHA-1, the client's side: the
 * password never travels, and the server proves that it knows it, too.
 * With -PLUS it also shows that the server is the other end of our own TLS.
 * RFC 5802, RFC 7677, RFC 5929 and 9266 (channel bindings).
 */
#include "escape.h"
#include "mem.h"
#include "num.h"
#include "random.h"
#include "saslprep.h"
#include "send.h"
#include "status.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdlib.h>

#define ITERATIONS_MAX 1000000

struct scram {
	const EVP_MD *md;
	unsigned len;
	const char *word; /* of AUTH */
	struct buf gs2;   /* gs2-header, and behind it what binds the channel */
	size_t header;    /* of that, the first part */
	struct buf first; /* client-first-message-bare */
	struct buf nonce; /* ours */
	struct buf auth;  /* AuthMessage */
	unsigned char salted[64];
};

static void
hmac(const struct scram *s, const void *key, struct span text,
     unsigned char *out)
{
	unsigned n = 0;

	(void)HMAC(s->md, key, (int)s->len, (const unsigned char *)text.p,
		   text.n, out, &n);
}

/* RFC 5802 5.1: "=" and "," in a name. */
void
sasl_name(struct buf *b, struct span name)
{
	for (size_t i = 0; i < name.n; i++) {
		if (name.p[i] == '=')
			buf_adds(b, "=3D");
		else if (name.p[i] == ',')
			buf_adds(b, "=2C");
		else
			buf_addc(b, name.p[i]);
	}
}

static bool
attribute(struct span *rest, char name, struct span *value)
{
	struct span piece;

	if (!span_split(rest, ',', &piece) || piece.n < 2 ||
	    piece.p[0] != name || piece.p[1] != '=')
		return false;
	*value = span_from(piece, 2);
	return true;
}

static void
add_proof(const struct scram *s, struct buf *last)
{
	unsigned char key[64], stored[64], sign[64];
	unsigned n = 0;

	hmac(s, s->salted, SPAN("Client Key"), key);
	(void)EVP_Digest(key, s->len, stored, &n, s->md, NULL);
	hmac(s, stored, buf_span(&s->auth), sign);
	for (unsigned i = 0; i < s->len; i++)
		key[i] ^= sign[i];
	buf_adds(last, ",p=");
	base64_encode(last, span_make((const char *)key, s->len));
	OPENSSL_cleanse(key, sizeof(key));
	OPENSSL_cleanse(stored, sizeof(stored));
}

/* RFC 5802 2.2, 5.1: names and passwords are compared as SASLprep has them;
 * what it forbids the server may know all the same. */
static void
prepare(struct buf *out, struct span text)
{
	if (saslprep(out, text) != 0 || out->n == 0)
		buf_addspan(out, text);
}

/* server-first-message -> client-final-message */
static bool
answer(struct scram *s, struct span first, struct span password,
       struct buf *last)
{
	struct span rest = first, nonce, salt64, count;
	struct buf salt = BUF_INIT;
	struct buf text = BUF_INIT;
	int n;
	bool ok = attribute(&rest, 'r', &nonce) &&
		  attribute(&rest, 's', &salt64) &&
		  attribute(&rest, 'i', &count) &&
		  span_starts(nonce, buf_span(&s->nonce)) &&
		  nonce.n > s->nonce.n && base64_decode(&salt, salt64) &&
		  num_int(count, 1, ITERATIONS_MAX, &n);

	prepare(&text, password);
	if (ok)
		ok = PKCS5_PBKDF2_HMAC(
			 text.p, (int)text.n, (const unsigned char *)salt.p,
			 (int)salt.n, n, s->md, (int)s->len, s->salted) == 1;
	if (ok) {
		buf_adds(last, "c=");
		base64_encode(last, buf_span(&s->gs2));
		buf_addf(last, ",r=%.*s", SPAN_ARG(nonce));
		buf_addf(&s->auth, "%s,%.*s,%s", buf_str(&s->first),
			 SPAN_ARG(first), buf_str(last));
		add_proof(s, last);
	}
	buf_wipe(&text);
	buf_free(&salt);
	return ok;
}

static bool
server_proved(const struct scram *s, struct span last)
{
	unsigned char key[64], sign[64];
	struct buf have = BUF_INIT;
	struct span v;
	bool ok;

	hmac(s, s->salted, SPAN("Server Key"), key);
	hmac(s, key, buf_span(&s->auth), sign);
	ok = attribute(&last, 'v', &v) && base64_decode(&have, v) &&
	     have.n == s->len && CRYPTO_memcmp(have.p, sign, s->len) == 0;
	buf_free(&have);
	return ok;
}

static bool
decode(struct buf *b, const struct smtp_reply *r)
{
	buf_clear(b);
	return r->code / 100 <= 3 &&
	       base64_decode(b, span_trim(buf_span(&r->text)));
}

static int
dialogue(struct session *s, struct scram *c, struct smtp_reply *r,
	 struct err *e)
{
	struct buf last = BUF_INIT, said = BUF_INIT, start = BUF_INIT;
	int st;

	buf_addspan(&start, span_sub(buf_span(&c->gs2), 0, c->header));
	buf_addspan(&start, buf_span(&c->first));
	st = sasl_secret(s, c->word, buf_span(&start), r, e);
	if (st == 0 && r->code == 334) {
		if (decode(&said, r) &&
		    answer(c, buf_span(&said), buf_span(&s->secret->password),
			   &last))
			st = sasl_secret(s, "", buf_span(&last), r, e);
		else
			st = err_esc(e, ST_TEMPFAIL, "4.7.0",
				     "SASL authentication failed; server %s "
				     "speaks no SCRAM we know",
				     s->name);
	}
	/* The proof comes as a challenge, or behind the 235 (RFC 4954 4). */
	if (st == 0 && (r->code == 334 || r->code == 235)) {
		if (!decode(&said, r) || !server_proved(c, buf_span(&said)))
			st = err_esc(e, ST_TEMPFAIL, "4.7.0",
				     "SASL authentication failed; server %s "
				     "does not know the password itself",
				     s->name);
		else if (r->code == 334)
			st = sasl_secret(s, "", SPAN(""), r, e);
	}
	buf_free(&start);
	buf_free(&said);
	buf_wipe(&last);
	return st;
}

/* RFC 5802 6: "p=TYPE" with -PLUS; "y" where we could and the server seems not
 * to, which a server that does takes for a downgrade; "n" where we cannot, or
 * may not.  False: there is nothing to bind with. */
static bool
bind_channel(struct scram *c, const struct session *s, bool plus, bool seen)
{
	struct strs have = STRS_INIT;
	struct buf data = BUF_INIT;
	bool ok = true;

	sasl_bindings(s, &have);
	if (plus) {
		struct span rest = have.n > 0 ? span_of(have.v[0]) : SPAN(""),
			    type;

		ok =
		    span_split(&rest, '=', &type) && base64_decode(&data, rest);
		buf_addf(&c->gs2, "p=%.*s,,", SPAN_ARG(type));
	} else {
		buf_adds(&c->gs2, have.n > 0 && !seen ? "y,," : "n,,");
	}
	c->header = c->gs2.n;
	buf_addspan(&c->gs2, buf_span(&data));
	buf_wipe(&data);
	strs_free(&have);
	return ok;
}

/* The server does not say which types it knows: those come first that RFC 5802
 * 6 and RFC 9266 2 make every server know. */
void
sasl_bindings(const struct session *s, struct strs *out)
{
	struct strs all = STRS_INIT;

	if (s->tls)
		tls_bindings(&s->c.s, &all);
	for (size_t i = 0; i < all.n; i++)
		if (span_starts(span_of(all.v[i]), SPAN("tls-unique=")))
			strs_add(out, all.v[i]);
	for (size_t i = 0; i < all.n; i++)
		strs_add(out, all.v[i]);
	strs_free(&all);
}

int
sasl_scram(struct session *s, const char *word, bool seen, struct smtp_reply *r,
	   struct err *e)
{
	bool sha256 = span_istarts(span_of(word), SPAN("SCRAM-SHA-256"));
	bool plus = span_iends(span_of(word), SPAN("-PLUS"));
	struct scram c = { .md = sha256 ? EVP_sha256() : EVP_sha1(),
			   .len = sha256 ? 32 : 20 };
	struct buf name = BUF_INIT;
	char *command = mem_printf("AUTH %s ", word);
	int st;

	c.word = command;
	if (!bind_channel(&c, s, plus, seen)) {
		buf_free(&c.gs2);
		free(command);
		return err_esc(e, ST_TEMPFAIL, "4.7.0",
			       "SASL authentication failed; no channel to "
			       "bind with server %s",
			       s->name);
	}
	random_word(&c.nonce, 24);
	buf_adds(&c.first, "n=");
	prepare(&name, buf_span(&s->secret->user));
	sasl_name(&c.first, buf_span(&name));
	buf_free(&name);
	buf_addf(&c.first, ",r=%s", buf_str(&c.nonce));
	st = dialogue(s, &c, r, e);
	if (st != 0)
		s->c.broken = true;
	free(command);
	buf_free(&c.gs2);
	buf_free(&c.first);
	buf_free(&c.nonce);
	buf_wipe(&c.auth);
	OPENSSL_cleanse(c.salted, sizeof(c.salted));
	return st;
}
