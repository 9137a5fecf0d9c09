/*
 * siphash.c - see siphash.h.
 * Layer: base.
 */
#include "siphash.h"
#include "random.h"

struct state {
	uint64_t a, b, c, d;
};

static inline uint64_t
rotl(uint64_t x, int b)
{
	return (x << b) | (x >> (64 - b));
}

static inline void
round_of(struct state *v)
{
	v->a += v->b;
	v->b = rotl(v->b, 13) ^ v->a;
	v->a = rotl(v->a, 32);
	v->c += v->d;
	v->d = rotl(v->d, 16) ^ v->c;
	v->a += v->d;
	v->d = rotl(v->d, 21) ^ v->a;
	v->c += v->b;
	v->b = rotl(v->b, 17) ^ v->c;
	v->c = rotl(v->c, 32);
}

static inline void
take_word(struct state *v, uint64_t w)
{
	v->d ^= w;
	round_of(v);
	v->a ^= w;
}

/* Numbers of this machine's byte order: the hash leaves no process. */
uint64_t
siphash(const struct siphash_key *key, struct span s)
{
	struct state v = { key->k[0] ^ 0x736f6d6570736575ULL,
			   key->k[1] ^ 0x646f72616e646f6dULL,
			   key->k[0] ^ 0x6c7967656e657261ULL,
			   key->k[1] ^ 0x7465646279746573ULL };
	uint64_t last = (uint64_t)s.n << 56, w;
	size_t i = 0;

	for (; i + sizeof(w) <= s.n; i += sizeof(w)) {
		memcpy(&w, s.p + i, sizeof(w));
		take_word(&v, w);
	}
	for (size_t j = 0; i + j < s.n; j++)
		last |= (uint64_t)(unsigned char)s.p[i + j] << (8 * j);
	take_word(&v, last);
	v.c ^= 0xff;
	for (int r = 0; r < 3; r++)
		round_of(&v);
	return v.a ^ v.b ^ v.c ^ v.d;
}

void
siphash_key_new(struct siphash_key *key)
{
	random_bytes(key->k, sizeof(key->k));
}
