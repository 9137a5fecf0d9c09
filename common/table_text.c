/*
 * table_text.c - texthash:, and hash:, btree:, cdb:, dbm:, which read the text
 * beside the compiled file (DESIGN 3.8).  Format: postmap(1): "key value",
 * continuation lines, # comments; aliases(5) files: "key: value".
 * Layer: sys.
 */
#include "io.h"
#include "log.h"
#include "mem.h"
#include "status.h"
#include "table.h"

#include <stdlib.h>
#include <sys/stat.h>

#define TEXT_MAX (256u << 20)

struct text {
	struct map *entries;
	char *path;
	struct stat st;
};

/* Some tables hold passwords: nothing of them stays in memory. */
static void
value_free(void *value)
{
	explicit_bzero(value, strlen(value));
	free(value);
}

static void
text_close(void *state)
{
	struct text *t = state;

	map_free(t->entries, value_free);
	free(t->path);
	free(t);
}

/* What is wrong with a line costs that line only, and is said. */
static void
text_put(struct text *t, struct span line, int number)
{
	struct buf key = BUF_INIT;
	struct span k, v;
	size_t n = 0;

	if (line.n > 0 && line.p[0] == '"') {
		/* "quoted key": postmap since 2.x, aliases(5) */
		n = 1;
		while (n < line.n && line.p[n] != '"')
			n += line.p[n] == '\\' ? 2 : 1;
		k = span_sub(line, 1, n);
		v = span_ltrim(span_from(line, n + 1));
	} else {
		while (n < line.n && !ascii_isspace(line.p[n]))
			n++;
		k = span_sub(line, 0, n);
		v = span_ltrim(span_from(line, n));
	}
	if (k.n > 1 && k.p[k.n - 1] == ':')
		k.n--;
	else if (v.n > 0 && v.p[0] == ':')
		v = span_ltrim(span_from(v, 1));
	for (size_t i = 0; i < k.n; i++)
		buf_addc(&key, ascii_tolower(k.p[i]));
	if (k.n == 0 || v.n == 0)
		log_warn("%s:%d: \"%.*s\": expected KEY VALUE: the line is "
			 "ignored",
			 t->path, number, SPAN_ARG(span_sub(line, 0, 60)));
	else if (map_get(t->entries, buf_span(&key)) != NULL)
		/* The first of two counts, as postmap keeps it. */
		log_warn("%s:%d: \"%.*s\" stands there already: the line is "
			 "ignored",
			 t->path, number, SPAN_ARG(span_sub(k, 0, 60)));
	else
		map_put(t->entries, buf_span(&key), mem_spandup(v));
	buf_free(&key);
}

static void
text_parse(struct text *t, struct span all)
{
	struct buf whole = BUF_INIT;
	struct span line;
	int number = 0, start = 0;

	while (span_split(&all, '\n', &line)) {
		struct span s = span_trim(line);

		number++;
		if (s.n == 0 || s.p[0] == '#')
			continue;
		if (line.p[0] != ' ' && line.p[0] != '\t') {
			if (whole.n > 0)
				text_put(t, buf_span(&whole), start);
			buf_clear(&whole);
			start = number;
		}
		/* A continuation keeps its blanks: postmap(1). */
		buf_addspan(&whole, span_rtrim(line));
	}
	if (whole.n > 0)
		text_put(t, buf_span(&whole), start);
	buf_wipe(&whole);
}

static void *
text_open(const char *type, const char *name, struct err *e)
{
	struct text *t = mem_alloc(1, sizeof(*t));
	struct buf b = BUF_INIT;

	(void)type;
	t->entries = map_new();
	t->path = mem_strdup(name);
	if (stat(name, &t->st) != 0 ||
	    io_read_file(name, &b, TEXT_MAX, e) != 0) {
		err_sys(e, "%s", name);
		buf_free(&b);
		text_close(t);
		return NULL;
	}
	text_parse(t, buf_span(&b));
	buf_wipe(&b);
	return t;
}

static enum table_result
text_lookup(void *state, struct span key, struct buf *value, struct err *e)
{
	struct text *t = state;
	const char *v = map_get(t->entries, key);

	(void)e;
	if (v == NULL)
		return TABLE_NONE;
	buf_clear(value);
	buf_adds(value, v);
	return TABLE_FOUND;
}

static bool
text_changed(void *state)
{
	struct text *t = state;
	struct stat st;

	return stat(t->path, &st) == 0 &&
	       (st.st_mtim.tv_sec != t->st.st_mtim.tv_sec ||
		st.st_mtim.tv_nsec != t->st.st_mtim.tv_nsec ||
		st.st_ino != t->st.st_ino || st.st_size != t->st.st_size);
}

static const char *const text_names[] = { "texthash", "hash", "btree", "cdb",
					  "dbm",      "lmdb", NULL };
static struct map *
text_entries(void *state)
{
	struct text *t = state;

	return t->entries;
}

extern const struct table_driver table_text;
const struct table_driver table_text = {
	.names = text_names,
	.flags = TABLE_FOLD,
	.open = text_open,
	.lookup = text_lookup,
	.close = text_close,
	.entries = text_entries,
	.changed = text_changed,
};
