/*
 * aliases.c - aliases(5) as Postfix and sendmail read it.
 */
#include "aliases.h"
#include "io.h"
#include "log.h"
#include "mem.h"
#include "status.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>

#define FILE_MAX (64 << 20)

/* Empty afterwards, and usable again. */
void
alias_list_free(struct alias_list *l)
{
	for (size_t i = 0; i < l->n; i++)
		free(l->v[i].text);
	free(l->v);
	*l = (struct alias_list){ NULL, 0, 0 };
}

/* Takes one destination off the front of *rest: up to a comma (or a line's
 * end in files) outside quotes.  Quotes go; a backslash keeps the next byte. */
static void
take_piece(struct span *rest, bool file, struct buf *b, bool *literal)
{
	bool quoted = false;
	size_t i = 0;

	buf_clear(b);
	*literal = false;
	for (; i < rest->n; i++) {
		char c = rest->p[i];

		if (c == '"') {
			quoted = !quoted;
		} else if (c == '\\' && i + 1 < rest->n && quoted) {
			buf_addc(b, rest->p[++i]);
		} else if (c == '\\' && b->n == 0) {
			*literal = true;
		} else if ((c == ',' && !quoted) || (file && c == '\n')) {
			break;
		} else {
			buf_addc(b, c);
		}
	}
	*rest = span_from(*rest, i < rest->n ? i + 1 : i);
}

static void
add_item(struct alias_list *l, struct span s, bool literal)
{
	const struct span include = SPAN(":include:");
	struct alias_item it = { ALIAS_ADDRESS, NULL, literal };

	if (!literal && s.p[0] == '|') {
		it.kind = ALIAS_COMMAND;
		s = span_trim(span_from(s, 1));
	} else if (!literal && s.p[0] == '/') {
		it.kind = ALIAS_FILE;
	} else if (!literal && span_istarts(s, include)) {
		it.kind = ALIAS_INCLUDE;
		s = span_trim(span_from(s, include.n));
	}
	if (s.n == 0)
		return;
	it.text = mem_spandup(s);
	l->v = mem_grow(l->v, &l->cap, l->n + 1, sizeof(*l->v));
	l->v[l->n++] = it;
}

int
alias_parse(struct alias_list *l, struct span text, bool file, size_t max,
	    struct err *e)
{
	struct buf b = BUF_INIT;
	bool literal;
	int r = 0;

	while (text.n > 0 && r == 0) {
		if (file && span_ltrim(text).n > 0 &&
		    span_ltrim(text).p[0] == '#') {
			ssize_t lf = span_chr(span_ltrim(text), '\n');
			text = lf < 0 ? SPAN("")
				      : span_from(span_ltrim(text),
						  (size_t)lf + 1);
			continue;
		}
		take_piece(&text, file, &b, &literal);
		struct span s = span_trim(buf_span(&b));
		if (s.n == 0)
			continue;
		if (s.n > 2000 || span_has_ctl(s))
			r = err_set(e, ST_TEMPFAIL,
				    "an alias destination is longer than 2000 "
				    "bytes or has control characters");
		else if (l->n >= max)
			r = err_set(e, ST_TEMPFAIL,
				    "more than %zu alias destinations", max);
		else
			add_item(l, s, literal);
	}
	buf_free(&b);
	return r;
}

/* "name: value" of one logical line into the map. */
static void
take_line(struct map *m, struct span line, const char *path, int number)
{
	struct span name, value;
	size_t i = 0;
	bool quoted = false;

	for (; i < line.n && (quoted || line.p[i] != ':'); i++)
		if (line.p[i] == '"')
			quoted = !quoted;
	if (i >= line.n || span_chr(line, '\0') >= 0) {
		log_warn("%s:%d: expected \"name: destination, ...\"", path,
			 number);
		return;
	}
	name = span_trim(span_sub(line, 0, i));
	value = span_trim(span_from(line, i + 1));
	if (name.n >= 2 && name.p[0] == '"' && name.p[name.n - 1] == '"')
		name = span_sub(name, 1, name.n - 1);
	if (name.n == 0 || value.n == 0) {
		log_warn("%s:%d: the %s is missing", path, number,
			 name.n == 0 ? "name" : "destination");
		return;
	}
	struct buf key = BUF_INIT;
	for (i = 0; i < name.n; i++)
		buf_addc(&key, ascii_tolower(name.p[i]));
	if (map_get(m, buf_span(&key)) != NULL)
		log_warn("%s:%d: duplicate alias \"%s\": the first counts",
			 path, number, buf_str(&key));
	else
		map_put(m, buf_span(&key), mem_spandup(value));
	buf_free(&key);
}

struct map *
alias_file_parse(struct span text, const char *path)
{
	struct map *m = map_new();
	struct buf logical = BUF_INIT;
	struct span line;
	int number = 0, first = 1;

	while (span_split(&text, '\n', &line)) {
		struct span s = span_trim(line);

		number++;
		if (s.n == 0 || s.p[0] == '#')
			continue;
		/* a line that begins with white space goes on */
		if ((line.p[0] == ' ' || line.p[0] == '\t') && logical.n > 0) {
			buf_addc(&logical, ' ');
			buf_addspan(&logical, s);
			continue;
		}
		if (logical.n > 0)
			take_line(m, buf_span(&logical), path, first);
		buf_clear(&logical);
		buf_addspan(&logical, s);
		first = number;
	}
	if (logical.n > 0)
		take_line(m, buf_span(&logical), path, first);
	buf_free(&logical);
	return m;
}

/* One of alias_maps. */
struct source {
	struct table *table; /* NULL: a text file */
	char *path;
	struct map *map;
	struct stat seen;
	struct err why; /* status: it cannot be read */
};
static struct source *sources;
static size_t nsources;

/* Types whose source Postfix's newaliases reads as aliases(5) text. */
static const char *const text_types[] = { "hash", "btree", "cdb",     "lmdb",
					  "dbm",  "sdbm",  "texthash" };

/* One that cannot be read keeps its reason: lookups are TRY_AGAIN then, not
 * "no such alias". */
static void
source_load(struct source *s)
{
	struct buf b = BUF_INIT;
	struct stat st;

	if (stat(s->path, &st) != 0 && errno == ENOENT &&
	    strcmp(s->path, "/etc/aliases") == 0) {
		/* the default, on a host that has none */
		map_free(s->map, free);
		s->map = map_new();
		memset(&s->seen, 0, sizeof(s->seen));
		s->why = ERR_INIT;
		return;
	}
	s->why = ERR_INIT;
	if (io_read_file(s->path, &b, FILE_MAX, &s->why) != 0) {
		log_error("alias_maps: %s", s->why.text);
	} else {
		map_free(s->map, free);
		s->map = alias_file_parse(buf_span(&b), s->path);
		s->seen = st;
	}
	buf_free(&b);
}

void
aliases_open(const struct strs *maps)
{
	sources = mem_alloc(maps->n > 0 ? maps->n : 1, sizeof(*sources));
	nsources = maps->n;
	for (size_t i = 0; i < maps->n; i++) {
		struct span spec = span_of(maps->v[i]);
		struct source *s = &sources[i];

		if (span_starts(spec, SPAN("proxy:")))
			spec = span_from(spec, 6);
		ssize_t colon = span_chr(spec, ':');
		bool text = spec.n > 0 && spec.p[0] == '/';
		for (size_t k = 0; !text && k < ARRAY_LEN(text_types); k++)
			text = colon > 0 &&
			       span_is(span_sub(spec, 0, (size_t)colon),
				       text_types[k]);
		if (text) {
			s->path = mem_spandup(
			    spec.p[0] == '/'
				? spec
				: span_from(spec, (size_t)colon + 1));
			s->map = map_new();
			source_load(s);
		} else {
			s->table = table_open(maps->v[i], NULL);
		}
	}
}

void
aliases_refresh(void)
{
	for (size_t i = 0; i < nsources; i++) {
		struct source *s = &sources[i];
		struct stat st;

		if (s->table != NULL) {
			table_refresh(s->table);
			continue;
		}
		if (stat(s->path, &st) != 0)
			memset(&st, 0, sizeof(st));
		if (s->why.status != 0 || st.st_ino != s->seen.st_ino ||
		    st.st_mtim.tv_sec != s->seen.st_mtim.tv_sec ||
		    st.st_mtim.tv_nsec != s->seen.st_mtim.tv_nsec ||
		    st.st_size != s->seen.st_size)
			source_load(s);
	}
}

enum table_result
aliases_lookup(struct span name, struct buf *value, struct err *e)
{
	struct buf key = BUF_INIT;
	enum table_result r = TABLE_NONE;

	for (size_t i = 0; i < name.n; i++)
		buf_addc(&key, ascii_tolower(name.p[i]));
	for (size_t i = 0; i < nsources && r == TABLE_NONE; i++) {
		struct source *s = &sources[i];
		const char *v;

		if (s->table != NULL) {
			r = table_lookup(s->table, buf_span(&key), value, e);
		} else if (s->why.status != 0) {
			if (e != NULL)
				*e = s->why;
			r = TABLE_TRY_AGAIN;
		} else if ((v = map_get(s->map, buf_span(&key))) != NULL) {
			buf_clear(value);
			buf_adds(value, v);
			r = TABLE_FOUND;
		}
	}
	buf_free(&key);
	return r;
}
