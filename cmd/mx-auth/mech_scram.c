/*
 * mech_scram.c - SCRAM-SHA-1 and SCRAM-SHA-256 (RFC 5802, 7677): the password
 * is never sent, and the server proves that it knows its keys.  An unknown
 * user gets a salt, too, and fails at the end as with a wrong password.
 */
#include "chain.h"
#include "escape.h"
#include "status.h"
#include "mech.h"
#include "mem.h"
#include "random.h"
#include "scram.h"
#include "shared.h"

#include <openssl/evp.h>
#include <stdlib.h>

enum { NONCE_BYTES = 18, MESSAGE_BYTES = 2048 };

struct scram {
	struct scram_keys keys;
	struct buf gs2, bare, server_first, nonce;
	struct buf binding; /* what stands behind gs2 in c= */
	bool plus_offered;
	bool known; /* the user has keys: the proof can be right */
};

static void
scram_free(void *v)
{
	struct scram *s = v;

	scram_keys_free(&s->keys);
	buf_free(&s->gs2);
	buf_free(&s->bare);
	buf_wipe(&s->binding);
	buf_free(&s->server_first);
	buf_free(&s->nonce);
	free(s);
}

/* RFC 5802 5.1, a saslname: "=2C" and "=3D", and no other "=". */
bool
mech_saslname(struct span in, struct buf *out)
{
	for (size_t i = 0; i < in.n; i++) {
		if (in.p[i] != '=') {
			buf_addc(out, in.p[i]);
			continue;
		}
		if (span_starts(span_from(in, i), SPAN("=2C")))
			buf_addc(out, ',');
		else if (span_starts(span_from(in, i), SPAN("=3D")))
			buf_addc(out, '=');
		else
			return false;
		i += 2;
	}
	return out->n > 0 && out->n < 256 && !span_has_ctl(buf_span(out));
}

/* THREATS 52: a name has one salt, in whatever case it is written and whichever
 * process is asked, be it somebody's with a {PLAIN} password or nobody's:
 * only then does it not tell which of them it is. */
static void
add_salt(struct scram *s, struct span given)
{
	struct buf name = BUF_INIT;
	unsigned char salt[16];
	struct err e = ERR_INIT;

	if (username_normalize(&name, given, &e) == 0)
		given = buf_span(&name);
	shared_salt(given, salt);
	buf_add(&s->keys.salt, salt, sizeof(salt));
	s->keys.iterations = SCRAM_ITERATIONS;
	buf_free(&name);
}

/* The keys of what the database has: {SCRAM-...} as they are, {PLAIN} made
 * now; another hash cannot serve. */
static bool
keys_of(struct scram *s, const char *scheme, const char *md, struct span user,
	struct span stored)
{
	ssize_t end = span_chr(stored, '}');
	struct span name, data;

	if (stored.n == 0 || stored.p[0] != '{' || end < 0)
		return false;
	name = span_sub(stored, 1, (size_t)end);
	data = span_from(stored, (size_t)end + 1);
	if (span_iis(name, scheme))
		return scram_parse(&s->keys, md, data);
	if ((!span_iis(name, "PLAIN") && !span_iis(name, "CLEARTEXT") &&
	     !span_iis(name, "CLEAR")) ||
	    data.n == 0)
		return false;
	add_salt(s, user);
	return scram_derive(&s->keys, md, data);
}

/*
 * The gs2 flag (RFC 5802 6): "p=TYPE" with -PLUS only, where TYPE is one that
 * the server of the client's TLS told; "y", the client believes that there is
 * no -PLUS, is a downgrade if there was.
 */
static bool
binding_ok(const struct mech_state *st, struct scram *s, struct span flag,
	   bool plus)
{
	bool found = false;

	if (!plus)
		return span_is(flag, "n") ||
		       (span_is(flag, "y") &&
			(st->bindings.n == 0 || !s->plus_offered));
	if (!span_starts(flag, SPAN("p=")))
		return false;
	for (size_t i = 0; !found && i < st->bindings.n; i++) {
		struct span data = span_of(st->bindings.v[i]), type;

		found = span_split(&data, '=', &type) &&
			span_eq(type, span_from(flag, 2)) && data.n > 0 &&
			base64_decode(&s->binding, data);
	}
	return found && s->binding.n > 0;
}

/* gs2-header client-first-message-bare (RFC 5802 7): "n,,n=user,r=nonce".  What
 * is not "n=" there, "m=" before all, is an extension that must be understood.
 */
static bool
read_first(struct mech_state *st, struct scram *s, struct span in, bool plus)
{
	struct span rest = in, flag, authzid, name, nonce;
	struct buf zid = BUF_INIT;
	bool ok;

	if (in.n > MESSAGE_BYTES || !span_split(&rest, ',', &flag) ||
	    !binding_ok(st, s, flag, plus) ||
	    !span_split(&rest, ',', &authzid) || rest.p == NULL)
		return false;
	buf_addspan(&s->gs2, span_sub(in, 0, (size_t)(rest.p - in.p)));
	buf_addspan(&s->bare, rest);
	if (!span_split(&rest, ',', &name) || !span_split(&rest, ',', &nonce) ||
	    !span_starts(name, SPAN("n=")) || !span_starts(nonce, SPAN("r=")) ||
	    nonce.n < 10)
		return false;
	buf_addspan(&s->nonce, span_from(nonce, 2));
	ok = mech_saslname(span_from(name, 2), &st->user);
	if (ok && authzid.n > 0)
		ok = span_starts(authzid, SPAN("a=")) &&
		     mech_saslname(span_from(authzid, 2), &zid) &&
		     span_eq(buf_span(&zid), buf_span(&st->user));
	buf_free(&zid);
	return ok;
}

/* The answer to "n,,n=user,r=nonce": salt and iterations, also for who is not
 * there. */
static enum mech_result
first(struct mech_state *st, struct scram *s, const char *name,
      const char *scheme, const char *md, struct span in, struct buf *challenge)
{
	unsigned char nonce[NONCE_BYTES];
	struct buf stored = BUF_INIT;
	enum db_result r;

	bool plus = span_iends(span_of(name), SPAN("-PLUS"));
	struct buf twin = BUF_INIT;

	buf_addf(&twin, "%s-PLUS", scheme);
	s->plus_offered = mech_find(buf_span(&twin)) != NULL;
	buf_free(&twin);
	if (!read_first(st, s, in, plus))
		return MECH_FAIL;
	r = mech_credentials(st, &stored);
	if (r == DB_TEMP) {
		buf_wipe(&stored);
		return MECH_TEMP;
	}
	s->known = r == DB_OK && keys_of(s, scheme, md, buf_span(&st->user),
					 buf_span(&stored));
	if (r == DB_OK && !s->known)
		err_set(&st->unfit, ST_NOPERM,
			"the stored password is no {%s} or {PLAIN} one",
			scheme);
	buf_wipe(&stored);
	if (!s->known) {
		buf_clear(&s->keys.salt);
		add_salt(s, buf_span(&st->user));
		s->keys.len = strcmp(md, "SHA1") == 0 ? 20 : 32;
	}
	/* RFC 5802 5.1, r=: the client's nonce with ours behind it */
	random_bytes(nonce, sizeof(nonce));
	base64_encode(&s->nonce, span_make((char *)nonce, sizeof(nonce)));
	buf_addf(&s->server_first, "r=%s,s=", buf_str(&s->nonce));
	base64_encode(&s->server_first, buf_span(&s->keys.salt));
	buf_addf(&s->server_first, ",i=%lld", (long long)s->keys.iterations);
	buf_addspan(challenge, buf_span(&s->server_first));
	return MECH_CONTINUE;
}

/* RFC 5802 3: ClientKey = proof XOR HMAC(StoredKey, AuthMessage); its digest is
 * the stored one. */
static bool
proof_fits(const struct scram *s, const char *md, struct span message,
	   struct span proof)
{
	unsigned char sig[SCRAM_KEY_MAX], digest[SCRAM_KEY_MAX];
	struct buf key = BUF_INIT;
	bool ok =
	    base64_decode(&key, proof) && key.n == s->keys.len &&
	    scram_hmac(md, span_make((const char *)s->keys.stored, s->keys.len),
		       message, sig);

	for (size_t i = 0; ok && i < key.n; i++)
		key.p[i] = (char)((unsigned char)key.p[i] ^ sig[i]);
	ok = ok &&
	     EVP_Digest(key.p, key.n, digest, NULL, EVP_get_digestbyname(md),
			NULL) == 1 &&
	     mem_equal_secret(digest, s->keys.stored, s->keys.len) && s->known;
	buf_wipe(&key);
	return ok;
}

/* RFC 5802 7: channel binding and nonce are the ones of the first message,
 * else the exchange was spliced from two. */
static enum mech_result
final(struct scram *s, const char *md, struct span in, struct buf *challenge)
{
	unsigned char sig[SCRAM_KEY_MAX];
	struct buf message = BUF_INIT, c = BUF_INIT;
	struct span rest = in, binding, nonce, proof = { NULL, 0 }, piece;
	bool ok;

	if (in.n > MESSAGE_BYTES || !span_split(&rest, ',', &binding) ||
	    !span_split(&rest, ',', &nonce) ||
	    !span_starts(binding, SPAN("c=")) ||
	    !span_starts(nonce, SPAN("r=")))
		return MECH_FAIL;
	while (span_split(&rest, ',', &piece))
		proof = piece;
	ok = proof.p != NULL && span_starts(proof, SPAN("p=")) &&
	     base64_decode(&c, span_from(binding, 2)) &&
	     c.n == s->gs2.n + s->binding.n &&
	     span_eq(span_sub(buf_span(&c), 0, s->gs2.n), buf_span(&s->gs2)) &&
	     mem_equal_secret(buf_str(&c) + s->gs2.n, buf_str(&s->binding),
			      s->binding.n) &&
	     span_eq(span_from(nonce, 2), buf_span(&s->nonce));
	buf_free(&c);
	if (!ok)
		return MECH_FAIL;
	/* RFC 5802 3: AuthMessage, of all that was said but the proof */
	buf_addf(&message, "%s,%s,%.*s", buf_str(&s->bare),
		 buf_str(&s->server_first),
		 SPAN_ARG(span_sub(in, 0, (size_t)(proof.p - in.p) - 1)));
	ok =
	    proof_fits(s, md, buf_span(&message), span_from(proof, 2)) &&
	    scram_hmac(md, span_make((const char *)s->keys.server, s->keys.len),
		       buf_span(&message), sig);
	buf_free(&message);
	if (!ok)
		return MECH_MISMATCH;
	/* RFC 5802 3: ServerSignature, by which the client knows us */
	buf_adds(challenge, "v=");
	base64_encode(challenge, span_make((const char *)sig, s->keys.len));
	return MECH_CONTINUE;
}

static enum mech_result
step(struct mech_state *st, struct span in, struct buf *challenge,
     const char *name, const char *scheme, const char *md)
{
	struct scram *s = st->data;

	buf_clear(challenge);
	if (st->data == NULL) {
		if (in.p == NULL)
			return st->step++ == 0 ? MECH_CONTINUE : MECH_FAIL;
		s = st->data = mem_alloc(1, sizeof(*s));
		st->free = scram_free;
		st->step = 1;
		return first(st, s, name, scheme, md, in, challenge);
	}
	if (st->step == 1) {
		st->step = 2;
		return final(s, md, in, challenge);
	}
	/* The client has seen our proof and says nothing more. */
	return in.n == 0 ? MECH_DONE : MECH_FAIL;
}

#define SCRAM(ID, NAME, PLUS, SCHEME, MD)                                      \
	static enum mech_result ID##_step(                                     \
	    struct mech_state *st, struct span in, struct buf *challenge)      \
	{                                                                      \
		return step(st, in, challenge, NAME, SCHEME, MD);              \
	}                                                                      \
	static const struct mech mech_##ID = { .name = NAME,                   \
					       .flags = "mutual-auth",         \
					       .plus = PLUS,                   \
					       .step = ID##_step };            \
	MECH(mech_##ID)
SCRAM(sha1, "SCRAM-SHA-1", "SCRAM-SHA-1-PLUS", "SCRAM-SHA-1", "SHA1");
SCRAM(sha256, "SCRAM-SHA-256", "SCRAM-SHA-256-PLUS", "SCRAM-SHA-256", "SHA256");
SCRAM(sha1_plus, "SCRAM-SHA-1-PLUS", NULL, "SCRAM-SHA-1", "SHA1");
SCRAM(sha256_plus, "SCRAM-SHA-256-PLUS", NULL, "SCRAM-SHA-256", "SHA256");
