/*
 * map.c - a map from byte strings to pointers; see strs.h.
 * Layer: base.  Open addressing over an insertion-ordered array; the hash is
 * SipHash-2-4 with a key from the kernel, so that nobody outside can make
 * entries collide (THREATS 46).
 */
#include "mem.h"
#include "random.h"
#include "strs.h"

#include <stdlib.h>

struct map_entry {
	char *key; /* NULL: removed */
	size_t len;
	void *value;
	uint64_t hash;
};

struct map {
	struct map_entry *v;
	size_t n, cap; /* entries used (removed ones count), allocated */
	size_t live;
	uint32_t *slot; /* index + 1 into v, 0: free */
	size_t nslots;  /* a power of two */
	uint64_t k0, k1;
};

static uint64_t
map_rotl(uint64_t x, int b)
{
	return (x << b) | (x >> (64 - b));
}

static void
map_sipround(uint64_t v[4])
{
	v[0] += v[1];
	v[1] = map_rotl(v[1], 13) ^ v[0];
	v[0] = map_rotl(v[0], 32);
	v[2] += v[3];
	v[3] = map_rotl(v[3], 16) ^ v[2];
	v[0] += v[3];
	v[3] = map_rotl(v[3], 21) ^ v[0];
	v[2] += v[1];
	v[1] = map_rotl(v[1], 17) ^ v[2];
	v[2] = map_rotl(v[2], 32);
}

static uint64_t
map_hash(const struct map *m, struct span s)
{
	uint64_t v[4] = { m->k0 ^ 0x736f6d6570736575ULL,
			  m->k1 ^ 0x646f72616e646f6dULL,
			  m->k0 ^ 0x6c7967656e657261ULL,
			  m->k1 ^ 0x7465646279746573ULL };
	uint64_t last = (uint64_t)s.n << 56;
	size_t i = 0;

	for (; i + 8 <= s.n; i += 8) {
		uint64_t w;

		memcpy(&w, s.p + i, 8);
		v[3] ^= w;
		map_sipround(v);
		map_sipround(v);
		v[0] ^= w;
	}
	for (size_t j = 0; i + j < s.n; j++)
		last |= (uint64_t)(unsigned char)s.p[i + j] << (8 * j);
	v[3] ^= last;
	map_sipround(v);
	map_sipround(v);
	v[0] ^= last;
	v[2] ^= 0xff;
	for (int r = 0; r < 4; r++)
		map_sipround(v);
	return v[0] ^ v[1] ^ v[2] ^ v[3];
}

struct map *
map_new(void)
{
	struct map *m = mem_alloc(1, sizeof(*m));

	random_bytes(&m->k0, sizeof(m->k0));
	random_bytes(&m->k1, sizeof(m->k1));
	return m;
}

void
map_free(struct map *m, void (*free_value)(void *))
{
	if (m == NULL)
		return;
	for (size_t i = 0; i < m->n; i++) {
		if (m->v[i].key != NULL && free_value != NULL)
			free_value(m->v[i].value);
		free(m->v[i].key);
	}
	free(m->v);
	free(m->slot);
	free(m);
}

/* Makes the slots anew over the live entries. */
static void
map_rehash(struct map *m)
{
	size_t n = 16, j = 0;

	while (n < (m->live + 1) * 2)
		n *= 2;
	for (size_t i = 0; i < m->n; i++) {
		if (m->v[i].key != NULL)
			m->v[j++] = m->v[i];
	}
	m->n = j;
	free(m->slot);
	m->slot = mem_alloc(n, sizeof(*m->slot));
	m->nslots = n;
	for (size_t i = 0; i < m->n; i++) {
		size_t at = m->v[i].hash & (n - 1);

		while (m->slot[at] != 0)
			at = (at + 1) & (n - 1);
		m->slot[at] = (uint32_t)(i + 1);
	}
}

static struct map_entry *
map_seek(const struct map *m, struct span key)
{
	uint64_t h;

	if (m->nslots == 0)
		return NULL;
	h = map_hash(m, key);
	for (size_t at = h & (m->nslots - 1); m->slot[at] != 0;
	     at = (at + 1) & (m->nslots - 1)) {
		struct map_entry *e = &m->v[m->slot[at] - 1];

		if (e->key != NULL && e->hash == h && e->len == key.n &&
		    (key.n == 0 || memcmp(e->key, key.p, key.n) == 0))
			return e;
	}
	return NULL;
}

void *
map_get(const struct map *m, struct span key)
{
	struct map_entry *e = map_seek(m, key);

	return e ? e->value : NULL;
}

void *
map_put(struct map *m, struct span key, void *value)
{
	struct map_entry *e = map_seek(m, key);
	void *old = NULL;
	size_t at;

	if (e != NULL) {
		old = e->value;
		e->value = value;
		return old;
	}
	if ((m->n + 1) * 2 > m->nslots)
		map_rehash(m);
	m->v = mem_grow(m->v, &m->cap, m->n + 1, sizeof(*m->v));
	e = &m->v[m->n++];
	*e = (struct map_entry){ mem_spandup(key), key.n, value,
				 map_hash(m, key) };
	m->live++;
	at = e->hash & (m->nslots - 1);
	while (m->slot[at] != 0)
		at = (at + 1) & (m->nslots - 1);
	m->slot[at] = (uint32_t)m->n;
	return NULL;
}

void *
map_del(struct map *m, struct span key)
{
	struct map_entry *e = map_seek(m, key);

	if (e == NULL)
		return NULL;
	free(e->key);
	e->key = NULL;
	m->live--;
	return e->value;
}

size_t
map_count(const struct map *m)
{
	return m->live;
}

bool
map_next(const struct map *m, size_t *i, struct span *key_r, void **value_r)
{
	while (*i < m->n) {
		struct map_entry *e = &m->v[(*i)++];

		if (e->key == NULL)
			continue;
		*key_r = span_make(e->key, e->len);
		if (value_r != NULL)
			*value_r = e->value;
		return true;
	}
	return false;
}
