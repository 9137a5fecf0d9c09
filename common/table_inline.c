/*
 * table_inline.c - inline:{key=value, {key = value with blanks}} and
 * static:VALUE.
 * Layer: sys.
 */
#include "mem.h"
#include "status.h"
#include "table.h"

#include <stdlib.h>

struct fixed {
	struct map *entries; /* NULL: static */
	char *value;
};

static void
inline_close(void *state)
{
	struct fixed *f = state;

	map_free(f->entries, free);
	free(f->value);
	free(f);
}

static int
inline_fill(struct fixed *f, const char *name, struct err *e)
{
	struct span s = span_trim(span_of(name));
	struct strs items = STRS_INIT;
	int r = 0;

	if (s.n < 2 || s.p[0] != '{' || s.p[s.n - 1] != '}')
		return err_set(e, ST_CONFIG, "expected {KEY=VALUE, ...}");
	strs_split_braced(&items, span_sub(s, 1, s.n - 1));
	for (size_t i = 0; r == 0 && i < items.n; i++) {
		struct span item = span_of(items.v[i]);
		ssize_t eq = span_chr(item, '=');
		struct buf key = BUF_INIT;

		if (eq <= 0) {
			r = err_set(e, ST_CONFIG, "\"%s\": expected KEY=VALUE",
				    items.v[i]);
			break;
		}
		struct span k = span_trim(span_sub(item, 0, (size_t)eq));

		for (size_t c = 0; c < k.n; c++)
			buf_addc(&key, ascii_tolower(k.p[c]));
		free(map_put(
		    f->entries, buf_span(&key),
		    mem_spandup(span_trim(span_from(item, (size_t)eq + 1)))));
		buf_free(&key);
	}
	strs_free(&items);
	return r;
}

static void *
inline_open(const char *type, const char *name, struct err *e)
{
	struct fixed *f = mem_alloc(1, sizeof(*f));

	if (strcmp(type, "static") == 0) {
		struct span s = span_trim(span_of(name));

		if (s.n >= 2 && s.p[0] == '{' && s.p[s.n - 1] == '}')
			s = span_trim(span_sub(s, 1, s.n - 1));
		f->value = mem_spandup(s);
		return f;
	}
	f->entries = map_new();
	if (inline_fill(f, name, e) == 0)
		return f;
	inline_close(f);
	return NULL;
}

static enum table_result
inline_lookup(void *state, struct span key, struct buf *value, struct err *e)
{
	struct fixed *f = state;
	const char *v = f->value;

	(void)e;
	if (f->entries != NULL)
		v = map_get(f->entries, key);
	if (v == NULL)
		return TABLE_NONE;
	buf_clear(value);
	buf_adds(value, v);
	return TABLE_FOUND;
}

static const char *const inline_names[] = { "inline", "static", NULL };
static struct map *
inline_entries(void *state)
{
	struct fixed *f = state;

	return f->entries;
}

/* static: it has no entries. */
static int
inline_values(void *state,
	      int (*fn)(void *ctx, const char *value, struct err *e), void *ctx,
	      struct err *e)
{
	struct fixed *f = state;

	return fn(ctx, f->value, e);
}

extern const struct table_driver table_inline;
const struct table_driver table_inline = {
	.names = inline_names,
	.flags = TABLE_FOLD,
	.open = inline_open,
	.lookup = inline_lookup,
	.close = inline_close,
	.entries = inline_entries,
	.values = inline_values,
};
