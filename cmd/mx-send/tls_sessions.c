/*
 * tls_sessions.c - TLS sessions of connections that were, for the next one to
 * the same address under the same policy: a resumed session shows no
 * certificate, so that whatever decides about certificates is part of the key
 * (Postfix smtp_tls_session_cache_*).  In memory; children of --jobs have what
 * was there when they began, and tell what they get.
 */
#include "send.h"
#include "clock.h"
#include "mem.h"

#include <openssl/evp.h>
#include <stdlib.h>

#define SESSIONS_MAX 2000
#define SESSION_MAX 16384

struct stored {
	struct buf der;
	int64_t until; /* clock_now */
};
static struct map *stored;
const char *tls_sessions_owner = "";

static void
stored_free(void *p)
{
	struct stored *s = p;

	buf_wipe(&s->der);
	free(s);
}

static void
add_names(struct buf *b, const struct strs *names)
{
	for (size_t i = 0; i < names->n; i++)
		buf_addf(b, " %s", names->v[i]);
	buf_addc(b, '\n');
}

void
tls_sessions_key(const struct session *s, const struct strs *names,
		 const char *sni, unsigned char key[TLS_SESSION_KEY])
{
	const struct group *g = s->group;
	const struct tls_policy *p = &g->policy;
	struct buf b = BUF_INIT;

	buf_addf(&b, "%d%d%d %s %s\n%s\n%d %d %d %d\n%s\n%s\n%s\n",
		 options.lmtp, send_requiretls, g->has_sts, s->relay,
		 g->destination, sni, s->level, p->level, s->sts,
		 g->has_sts ? (int)g->sts.mode : -1,
		 p->protocols != NULL ? p->protocols : "",
		 p->ciphers != NULL ? p->ciphers : "",
		 params.sender_auth ? options.sender : "");
	add_names(&b, names);
	add_names(&b, &p->match);
	for (size_t i = 0; s->dane != NULL && i < s->dane->n; i++) {
		const struct tls_tlsa *r = &s->dane->rows[i];

		buf_addf(&b, "%d %d %d %zu ", r->usage, r->selector,
			 r->matching, r->data.n);
		buf_addspan(&b, r->data);
	}
	if (EVP_Digest(b.p, b.n, key, NULL, EVP_sha256(), NULL) != 1)
		memset(key, 0, TLS_SESSION_KEY);
	buf_free(&b);
}

static void
map_key(struct buf *b, const char *owner, const unsigned char *key)
{
	buf_addf(b, "%s\n", owner);
	buf_add(b, key, TLS_SESSION_KEY);
}

struct span
tls_sessions_get(const char *owner, const unsigned char key[TLS_SESSION_KEY])
{
	struct buf k = BUF_INIT;

	map_key(&k, owner, key);
	const struct stored *s =
	    stored == NULL ? NULL : map_get(stored, buf_span(&k));
	buf_free(&k);
	if (s == NULL || clock_now() >= s->until)
		return SPAN("");
	return buf_span(&s->der);
}

/* The oldest makes room. */
static void
drop_oldest(void)
{
	struct span key;
	void *value;
	size_t at = 0;
	struct buf copy = BUF_INIT;

	if (!map_next(stored, &at, &key, &value))
		return;
	buf_addspan(&copy, key);
	(void)map_del(stored, buf_span(&copy));
	stored_free(value);
	buf_free(&copy);
}

void
tls_sessions_put(const char *owner, const unsigned char key[TLS_SESSION_KEY],
		 struct span der)
{
	struct buf k = BUF_INIT;

	if (stored == NULL)
		stored = map_new();
	map_key(&k, owner, key);
	struct stored *s = map_del(stored, buf_span(&k));
	if (s != NULL)
		stored_free(s);
	if (der.n > 0 && der.n <= SESSION_MAX &&
	    params.tls_session_time >= 1000) {
		if (map_count(stored) >= SESSIONS_MAX)
			drop_oldest();
		s = mem_alloc(1, sizeof(*s));
		buf_addspan(&s->der, der);
		s->until = clock_now() + params.tls_session_time / 1000;
		(void)map_put(stored, buf_span(&k), s);
	}
	buf_free(&k);
}
