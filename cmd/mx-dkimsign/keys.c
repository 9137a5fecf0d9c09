/*
 * keys.c - private keys of the milter: they stay in the monitor, as TLS keys
 * do; a worker knows their numbers and asks for each signature of a hash.
 *
 * A key that was not there at the start (one of a table that has changed, one
 * named by the domain, "%") is loaded by the monitor when a worker asks for its
 * path, and only if the tables of this moment name it.
 */
#include "dkimsign.h"
#include "mem.h"
#include "status.h"
#include "tls_key.h"

#include <stdlib.h>
#include <sys/stat.h>

#define KEYS_MAX 100000
#define PATH_MAX_BYTES 4096
#define HASH_BYTES 32

struct held_key {
	EVP_PKEY *key; /* NULL in workers */
	enum dkim_alg alg;
	uint32_t number;
};
/* The keys of one generation of workers; old ones are kept, since workers from
 * before a reload go on asking. */
struct key_set {
	struct held_key **v;
	size_t n, cap;
	struct map *by_path;
	struct server *server;
	int offer;
	struct key_set *next;
};
static struct key_set *sets; /* the newest first */
static struct key_set *now;  /* the one that is asked; NULL: none is */

/* A request is one byte, and then a path, or a number and a hash. */
enum { ASK_PATH = 'p', ASK_SIGN = 's' };

EVP_PKEY *
keys_load(const char *path, enum dkim_alg *alg_r, struct err *e)
{
	struct stat st;

	if (conf.safe_keys && !conf.unsafe_keys && stat(path, &st) == 0 &&
	    (st.st_mode & 06) != 0) {
		err_set(e, ST_CONFIG,
			"%s: everybody can read or write this key "
			"(RequireSafeKeys): chmod 600 is expected",
			path);
		return NULL;
	}
	return dkim_load_key(path, alg_r, e);
}

static struct held_key *
set_add(struct key_set *set, struct span path, EVP_PKEY *key, enum dkim_alg alg)
{
	struct held_key *k = mem_alloc(1, sizeof(*k));

	*k = (struct held_key){ key, alg, (uint32_t)set->n };
	set->v = mem_grow(set->v, &set->cap, set->n + 1, sizeof(*set->v));
	set->v[set->n++] = k;
	(void)map_put(set->by_path, path, k);
	return k;
}

/* --- in the monitor: what a worker says is hostile --- */

static int
serve_path(struct key_set *set, struct span path, struct buf *reply,
	   struct err *e)
{
	struct held_key *k = map_get(set->by_path, path);
	enum dkim_alg alg;
	EVP_PKEY *key;
	char *name;

	if (k == NULL) {
		name = mem_spandup(path);
		if (path.n > PATH_MAX_BYTES || strlen(name) != path.n ||
		    set->n >= KEYS_MAX || !keys_named(name)) {
			free(name);
			return err_set(e, ST_CONFIG,
				       "a key file that no table names");
		}
		key = keys_load(name, &alg, e);
		free(name);
		if (key == NULL)
			return -1;
		k = set_add(set, path, key, alg);
	}
	buf_add(reply, &k->number, sizeof(k->number));
	buf_addc(reply, (char)k->alg);
	return 0;
}

static int
serve_sign(const struct key_set *set, struct span r, struct buf *reply,
	   struct err *e)
{
	uint32_t number = UINT32_MAX;

	if (r.n == sizeof(number) + HASH_BYTES)
		memcpy(&number, r.p, sizeof(number));
	if (number >= set->n || set->v[number]->key == NULL)
		return err_set(e, ST_PROTOCOL, "malformed signing request");
	return dkim_sign_hash(set->v[number]->key, set->v[number]->alg,
			      (const unsigned char *)r.p + sizeof(number),
			      reply, e);
}

static int
serve(void *ctx, struct server *s MX_UNUSED, struct span request,
      struct buf *reply, int *fd_r MX_UNUSED, struct err *e)
{
	struct span rest = span_from(request, 1);

	if (request.n > 1 && request.p[0] == ASK_PATH)
		return serve_path(ctx, rest, reply, e);
	if (request.n > 1 && request.p[0] == ASK_SIGN)
		return serve_sign(ctx, rest, reply, e);
	return err_set(e, ST_PROTOCOL, "malformed request for a key");
}

void
keys_begin(struct server *s)
{
	struct key_set *set = mem_alloc(1, sizeof(*set));

	/* before OpenSSL has read a key: what it frees is overwritten */
	tls_key_scrub();
	set->by_path = map_new();
	set->server = s;
	set->offer = server_offer(s, serve, set);
	set->next = sets;
	sets = now = set;
}

void
keys_abandon(void)
{
	struct key_set *set = sets;

	if (set == NULL)
		return;
	sets = now = set->next;
	for (size_t i = 0; i < set->n; i++) {
		EVP_PKEY_free(set->v[i]->key);
		free(set->v[i]);
	}
	free(set->v);
	map_free(set->by_path, NULL);
	free(set);
}

int
keys_keep(const char *keyfile, struct err *e)
{
	enum dkim_alg alg;
	EVP_PKEY *key;

	if (map_get(now->by_path, span_of(keyfile)) != NULL)
		return 0;
	key = keys_load(keyfile, &alg, e);
	if (key == NULL)
		return -1;
	(void)set_add(now, span_of(keyfile), key, alg);
	return 0;
}

/* --- in the worker --- */

void
keys_forget(void)
{
	for (struct key_set *set = sets; set != NULL; set = set->next) {
		for (size_t i = 0; i < set->n; i++) {
			EVP_PKEY_free(set->v[i]->key);
			set->v[i]->key = NULL;
		}
	}
}

static const struct held_key *
ask_path(struct key_set *set, const char *keyfile, struct err *e)
{
	struct buf q = BUF_INIT, a = BUF_INIT;
	struct held_key *k = NULL;
	int r;

	buf_addc(&q, ASK_PATH);
	buf_adds(&q, keyfile);
	r = server_ask(set->server, set->offer, buf_span(&q), &a, NULL, e);
	if (r == 0 && a.n == sizeof(k->number) + 1) {
		k = mem_alloc(1, sizeof(*k));
		memcpy(&k->number, a.p, sizeof(k->number));
		k->alg = (enum dkim_alg)a.p[sizeof(k->number)];
		(void)map_put(set->by_path, span_of(keyfile), k);
	} else if (r == 0) {
		err_set(e, ST_PROTOCOL, "the monitor's answer is malformed");
	}
	buf_free(&q);
	buf_free(&a);
	return k;
}

const struct held_key *
keys_find(const char *keyfile, enum dkim_alg *alg_r, struct err *e)
{
	const struct held_key *k = map_get(now->by_path, span_of(keyfile));

	if (k == NULL)
		k = ask_path(now, keyfile, e);
	if (k != NULL)
		*alg_r = k->alg;
	return k;
}

bool
keys_held(void)
{
	return now != NULL;
}

int
keys_sign(const struct held_key *k, struct span data, struct buf *sig,
	  struct err *e)
{
	unsigned char hash[HASH_BYTES];
	struct buf q = BUF_INIT;
	unsigned n = sizeof(hash);
	int r;

	if (EVP_Digest(data.p, data.n, hash, &n, EVP_sha256(), NULL) != 1)
		return err_set(e, ST_SOFTWARE, "hashing failed");
	buf_addc(&q, ASK_SIGN);
	buf_add(&q, &k->number, sizeof(k->number));
	buf_add(&q, hash, sizeof(hash));
	r = server_ask(now->server, now->offer, buf_span(&q), sig, NULL, e);
	buf_free(&q);
	return r;
}
