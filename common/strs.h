/*
 * strs.h - a list of C strings that owns them, and a map from string to
 * pointer with a seeded hash (no flooding).
 * Layer: base.
 */
#ifndef MX_STRS_H
#define MX_STRS_H

#include "span.h"

struct strs {
	char **v; /* v[n] is always NULL once something was added */
	size_t n, cap;
};

#define STRS_INIT ((struct strs){ NULL, 0, 0 })

void strs_add(struct strs *l, const char *s);
void strs_addspan(struct strs *l, struct span s);
void strs_addf(struct strs *l, const char *fmt, ...) MX_PRINTF(2, 3);
/* Takes over s, which was allocated. */
void strs_take(struct strs *l, char *s);
bool strs_has(const struct strs *l, struct span s);
bool strs_ihas(const struct strs *l, struct span s);
void strs_sort(struct strs *l); /* strcmp order */
void strs_clear(struct strs *l);
void strs_free(struct strs *l);
/* Adds the words of s, split at any byte of seps, empty ones skipped. */
void strs_split(struct strs *l, struct span s, const char *seps);
/* As split at commas and blanks, but a piece inside { } stays whole, braces
 * removed (Postfix's list syntax). */
void strs_split_braced(struct strs *l, struct span s);

struct map; /* from byte strings to pointers; keeps insertion order */
struct map *map_new(void);
/* free_value may be NULL. */
void map_free(struct map *m, void (*free_value)(void *));
/* Returns the value or NULL. */
void *map_get(const struct map *m, struct span key);
/* Sets, and returns the former value or NULL. */
void *map_put(struct map *m, struct span key, void *value);
/* Removes; returns the value or NULL. */
void *map_del(struct map *m, struct span key);
size_t map_count(const struct map *m);
/* The i-th entry in insertion order, 0 <= i; false behind the last.  Removed
 * entries are skipped: start with i = 0 and let *i be advanced. */
bool map_next(const struct map *m, size_t *i, struct span *key_r,
	      void **value_r);

/* The same strings in the same order. */
bool strs_same(const struct strs *a, const struct strs *b);

#endif
