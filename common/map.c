/*
 * map.c - a map from byte strings to pointers; see strs.h.
 * Layer: base.  Open addressing over an insertion-ordered array; the hash is
 * keyed, so that nobody outside can make entries collide (THREATS 46).
 */
#include "mem.h"
#include "siphash.h"
#include "strs.h"

#include <stdlib.h>

struct map_entry {
	char *key; /* NULL: removed */
	size_t len;
	void *value;
	uint64_t hash;
};

/* Half of the hash stands beside the number: most entries that are not meant
 * are passed over without a look at them. */
struct map_slot {
	uint32_t at; /* index + 1 into v, 0: free */
	uint32_t tag;
};

struct map {
	struct map_entry *v;
	size_t n, cap; /* entries used (removed ones count), allocated */
	size_t live;
	struct map_slot *slot;
	size_t nslots; /* a power of two */
	struct siphash_key key;
};

struct map *
map_new(void)
{
	struct map *m = mem_alloc(1, sizeof(*m));

	siphash_key_new(&m->key);
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

static void
map_place(struct map *m, uint64_t hash, size_t index)
{
	size_t at = hash & (m->nslots - 1);

	while (m->slot[at].at != 0)
		at = (at + 1) & (m->nslots - 1);
	m->slot[at] =
	    (struct map_slot){ (uint32_t)(index + 1), (uint32_t)(hash >> 32) };
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
	for (size_t i = 0; i < m->n; i++)
		map_place(m, m->v[i].hash, i);
}

static struct map_entry *
map_seek(const struct map *m, struct span key, uint64_t h)
{
	if (m->nslots == 0)
		return NULL;
	for (size_t at = h & (m->nslots - 1); m->slot[at].at != 0;
	     at = (at + 1) & (m->nslots - 1)) {
		struct map_entry *e;

		if (m->slot[at].tag != (uint32_t)(h >> 32))
			continue;
		e = &m->v[m->slot[at].at - 1];
		if (e->key != NULL && e->hash == h && e->len == key.n &&
		    (key.n == 0 || memcmp(e->key, key.p, key.n) == 0))
			return e;
	}
	return NULL;
}

void *
map_get(const struct map *m, struct span key)
{
	struct map_entry *e = map_seek(m, key, siphash(&m->key, key));

	return e ? e->value : NULL;
}

void *
map_put(struct map *m, struct span key, void *value)
{
	uint64_t h = siphash(&m->key, key);
	struct map_entry *e = map_seek(m, key, h);
	void *old = NULL;

	if (e != NULL) {
		old = e->value;
		e->value = value;
		return old;
	}
	if ((m->n + 1) * 2 > m->nslots)
		map_rehash(m);
	m->v = mem_grow(m->v, &m->cap, m->n + 1, sizeof(*m->v));
	m->v[m->n++] = (struct map_entry){ mem_spandup(key), key.n, value, h };
	m->live++;
	map_place(m, h, m->n - 1);
	return NULL;
}

void *
map_del(struct map *m, struct span key)
{
	struct map_entry *e = map_seek(m, key, siphash(&m->key, key));

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
