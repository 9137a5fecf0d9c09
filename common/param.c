/*
 * param.c - the configuration file and its values; see param.h.
 * Layer: sys.  Postfix postconf(5): "name = value", lines that begin with a
 * blank continue, # comments, $name expanded when asked.
 */
#include "param_int.h"
#include "io.h"
#include "mem.h"
#include "num.h"
#include "status.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#define CONFIG_MAX (4 << 20)

static void
config_line_free(void *p)
{
	struct config_line *l = p;

	/* There may be passwords among them. */
	explicit_bzero(l->value, strlen(l->value));
	free(l->value);
	free(l);
}

static void
config_put(struct config *c, struct span name, struct span value, int line)
{
	struct config_line *l = mem_alloc(1, sizeof(*l)), *old;

	l->value = mem_spandup(value);
	l->line = line;
	old = map_put(c->lines, name, l);
	if (old != NULL) {
		l->earlier = old->line;
		config_line_free(old);
	}
}

/* One logical line: NAME = VALUE. */
static int
config_assign(struct config *c, struct span line, int number, struct err *e)
{
	ssize_t eq = span_chr(line, '=');
	struct span name = span_trim(span_sub(line, 0, (size_t)eq));

	if (eq < 0 || name.n == 0)
		return err_set(
		    e, ST_CONFIG, "%s:%d: \"%.*s\": expected NAME = VALUE",
		    c->path, number, SPAN_ARG(span_sub(line, 0, 60)));
	for (size_t i = 0; i < name.n; i++) {
		if (!ascii_isalnum(name.p[i]) &&
		    strchr("_-./", name.p[i]) == NULL)
			return err_set(
			    e, ST_CONFIG,
			    "%s:%d: \"%.*s\" is not a parameter name", c->path,
			    number, SPAN_ARG(name));
	}
	config_put(c, name, span_trim(span_from(line, (size_t)eq + 1)), number);
	return 0;
}

int
config_parse(struct config *c, struct span text, struct err *e)
{
	struct span line;
	struct buf whole = BUF_INIT;
	int number = 0, start = 0, r = 0;

	while (r == 0 && span_split(&text, '\n', &line)) {
		struct span t = span_trim(line);

		number++;
		if (t.n == 0 || t.p[0] == '#')
			continue;
		if (line.p[0] == ' ' || line.p[0] == '\t') {
			if (start == 0) {
				r = err_set(e, ST_CONFIG,
					    "%s:%d: a continuation line "
					    "without a line before it",
					    c->path, number);
				break;
			}
			buf_addc(&whole, ' ');
			buf_addspan(&whole, t);
			continue;
		}
		if (start > 0)
			r = config_assign(c, buf_span(&whole), start, e);
		buf_clear(&whole);
		buf_addspan(&whole, t);
		start = number;
	}
	if (r == 0 && start > 0)
		r = config_assign(c, buf_span(&whole), start, e);
	buf_wipe(&whole);
	return r;
}

static int
config_overrides(struct config *c, const struct strs *overrides, struct err *e)
{
	for (size_t i = 0; overrides != NULL && i < overrides->n; i++) {
		struct span s = span_of(overrides->v[i]);
		ssize_t eq = span_chr(s, '=');

		if (eq <= 0)
			return err_set(e, ST_USAGE,
				       "-o %s: expected NAME=VALUE",
				       overrides->v[i]);
		config_put(c, span_trim(span_sub(s, 0, (size_t)eq)),
			   span_trim(span_from(s, (size_t)eq + 1)), 0);
	}
	return 0;
}

/* "SERVICE/name = value" counts as "name = value" for that service. */
static void
config_service(struct config *c, const char *service)
{
	struct strs names = STRS_INIT;
	char *prefix;
	struct span key;
	size_t i = 0;

	if (service == NULL)
		return;
	prefix = mem_printf("%s/", service);
	while (map_next(c->lines, &i, &key, NULL)) {
		if (span_starts(key, span_of(prefix)))
			strs_addspan(&names, key);
	}
	for (size_t k = 0; k < names.n; k++) {
		struct config_line *l = map_get(c->lines, span_of(names.v[k]));

		config_put(c, span_of(names.v[k] + strlen(prefix)),
			   span_of(l->value), l->line);
	}
	strs_free(&names);
	free(prefix);
}

struct config *
config_open(const char *path, const struct strs *overrides, const char *service,
	    struct err *e)
{
	struct config *c = mem_alloc(1, sizeof(*c));
	struct buf text = BUF_INIT;
	bool named = path != NULL;
	int r;

	if (path == NULL && (path = getenv("MX_CONFIG")) != NULL)
		named = path[0] != '\0';
	if (!named)
		path = CONFIG_DEFAULT;
	c->path = mem_strdup(path);
	c->lines = map_new();
	errno = 0;
	r = strcmp(path, "/dev/null") == 0
		? 0
		: io_read_file(path, &text, CONFIG_MAX, e);
	if (r != 0 && !named && errno == ENOENT)
		r = 0;
	else if (r != 0 && e != NULL)
		e->status = ST_CONFIG;
	if (r == 0)
		r = config_parse(c, buf_span(&text), e);
	buf_wipe(&text);
	if (r == 0)
		config_service(c, service);
	if (r == 0)
		r = config_overrides(c, overrides, e);
	if (r == 0) {
		if (e != NULL)
			*e = ERR_INIT;
		return c;
	}
	config_free(c);
	return NULL;
}

void
config_free(struct config *c)
{
	if (c == NULL)
		return;
	map_free(c->lines, config_line_free);
	free(c->path);
	free(c->sets);
	free(c->host);
	free(c->domain);
	free(c);
}

const char *
config_path(const struct config *c)
{
	return c->path;
}

const struct param *
config_row(const struct config *c, struct span name)
{
	for (size_t i = 0; i < c->nsets; i++) {
		for (size_t k = 0; k < c->sets[i].count; k++) {
			if (span_is(name, c->sets[i].rows[k].name))
				return &c->sets[i].rows[k];
		}
	}
	return NULL;
}

const char *
config_raw(const struct config *c, struct span name, int *line_r)
{
	const char *raw = config_written(c, name, line_r);

	if (raw == NULL || raw[0] != '\0')
		return raw;
	if (c->host != NULL && span_is(name, "myhostname"))
		return c->host;
	if (c->domain != NULL && span_is(name, "mydomain"))
		return c->domain;
	return raw;
}

const char *
config_written(const struct config *c, struct span name, int *line_r)
{
	const struct config_line *l = map_get(c->lines, name);
	const struct param *row;

	*line_r = 0;
	if (l != NULL) {
		*line_r = l->line;
		return l->value;
	}
	row = config_row(c, name);
	return row != NULL ? row->def : NULL;
}

char *
config_text(struct config *c, const char *name)
{
	int line;
	const char *raw = config_raw(c, span_of(name), &line);

	return raw != NULL ? mem_strdup(raw) : NULL;
}

char *
config_value(struct config *c, const char *name)
{
	struct buf out = BUF_INIT;
	const char *raw;
	int line;

	raw = config_raw(c, span_of(name), &line);
	if (raw == NULL)
		return NULL;
	if (config_expand(c, &out, span_of(raw), NULL) != 0)
		buf_clear(&out);
	return buf_steal(&out);
}

void
config_each(struct config *c, const char *prefix, const char *suffix,
	    void (*fn)(void *ctx, const char *name, const char *value),
	    void *ctx)
{
	struct span key;
	size_t i = 0;

	while (map_next(c->lines, &i, &key, NULL)) {
		char *name, *value;

		if (!span_starts(key, span_of(prefix)) ||
		    !span_ends(key, span_of(suffix)))
			continue;
		name = mem_spandup(key);
		value = config_value(c, name);
		fn(ctx, name, value);
		free(name);
		free(value);
	}
}

static int
param_bad(const struct config *c, const struct param *p, int line,
	  const char *text, const char *want, struct err *e)
{
	if (line > 0)
		return err_set(e, ST_CONFIG, "%s:%d: %s: \"%s\": expected %s",
			       c->path, line, p->name, text, want);
	return err_set(e, ST_CONFIG, "%s: \"%s\": expected %s", p->name, text,
		       want);
}

static int
param_choice(const char *words, struct span v)
{
	struct span rest = span_of(words), w;
	int i = 0;

	for (; span_split(&rest, '|', &w); i++) {
		if (span_ieq(w, v))
			return i;
	}
	return -1;
}

/* Sets one member from its expanded text. */
static int
param_store(const struct config *c, const struct param *p, void *base,
	    const char *text, int line, struct err *e)
{
	void *at = (char *)base + p->offset;
	struct span v = span_of(text);
	int64_t n;
	bool ok = true;
	char want[120];

	switch (p->type) {
	case PARAM_STR:
	case PARAM_RAWSTR:
		free(*(char **)at);
		*(char **)at = mem_strdup(text);
		return 0;
	case PARAM_LIST:
		strs_clear(at);
		strs_split_braced(at, v);
		return 0;
	case PARAM_BOOL:
		if (!num_bool(v, at))
			return param_bad(c, p, line, text, "yes or no", e);
		return 0;
	case PARAM_CHOICE:
		n = param_choice(p->words, v);
		if (n < 0)
			return param_bad(c, p, line, text, p->words, e);
		*(int *)at = (int)n;
		return 0;
	case PARAM_INT:
		ok = num_i64(v, INT64_MIN + 1, INT64_MAX, &n);
		snprintf(want, sizeof(want), "a number");
		break;
	case PARAM_SIZE:
		ok = num_bytes(v, &n);
		snprintf(want, sizeof(want), "a size such as 10M");
		break;
	case PARAM_TIME:
		ok = num_time(v, p->words && p->words[0] ? p->words[0] : 's',
			      &n);
		snprintf(want, sizeof(want), "a time such as 30s, 5m, 2h, 1d");
		break;
	}
	if (ok && (p->min != 0 || p->max != 0) && (n < p->min || n > p->max)) {
		ok = false;
		snprintf(want, sizeof(want), "%lld to %lld", (long long)p->min,
			 (long long)p->max);
	}
	if (!ok)
		return param_bad(c, p, line, text, want, e);
	*(int64_t *)at = n;
	return 0;
}

void
config_use(struct config *c, const struct param_rows *sets, size_t n)
{
	free(c->sets);
	c->sets = mem_alloc(n, sizeof(*c->sets));
	if (n > 0)
		memcpy(c->sets, sets, n * sizeof(*sets));
	c->nsets = n;
	config_host(c);
}

/* The expanded text of a row's raw value. */
static int
param_text(struct config *c, const struct param *p, const char *raw, int line,
	   struct buf *text, struct err *e)
{
	if (p->type == PARAM_RAWSTR) {
		buf_adds(text, raw);
		return 0;
	}
	if (config_expand(c, text, span_of(raw), e) == 0 &&
	    config_from_file(p, text, e) == 0)
		return 0;
	if (e != NULL)
		e->status = ST_CONFIG;
	if (line > 0)
		err_prefix(e, "%s:%d: %s", c->path, line, p->name);
	else
		err_prefix(e, "%s", p->name);
	return -1;
}

int
param_load_one(struct config *c, const struct param *p, void *base,
	       struct err *e)
{
	struct buf text = BUF_INIT;
	int line, r;
	const char *raw = config_raw(c, span_of(p->name), &line);

	r = param_text(c, p, raw, line, &text, e);
	if (r == 0)
		r = param_store(c, p, base, buf_str(&text), line, e);
	buf_free(&text);
	return r;
}

int
param_try(struct config *c, const struct param *p, const char *raw, int line,
	  struct strs *words_r, struct err *e)
{
	union {
		char *str;
		struct strs list;
		int64_t number;
		int choice;
		bool flag;
	} place = { 0 };
	struct param row = *p;
	struct buf text = BUF_INIT;
	int r;

	row.offset = 0;
	r = param_text(c, p, raw, line, &text, e);
	if (r == 0)
		r = param_store(c, &row, &place, buf_str(&text), line, e);
	buf_free(&text);
	if (p->type == PARAM_LIST && words_r != NULL)
		*words_r = place.list;
	else if (p->type == PARAM_LIST)
		strs_free(&place.list);
	else if (p->type == PARAM_STR || p->type == PARAM_RAWSTR)
		free(place.str);
	return r;
}

int
param_load(struct config *c, const struct param_rows *sets, size_t n,
	   struct err *e)
{
	config_use(c, sets, n);
	for (size_t i = 0; i < n; i++) {
		for (size_t k = 0; k < sets[i].count; k++) {
			if (param_load_one(c, &sets[i].rows[k], sets[i].base,
					   e) != 0)
				return -1;
		}
	}
	return 0;
}

void
param_free(const struct param_rows *set)
{
	for (size_t k = 0; k < set->count; k++) {
		void *at = (char *)set->base + set->rows[k].offset;

		if (set->rows[k].type == PARAM_STR ||
		    set->rows[k].type == PARAM_RAWSTR) {
			free(*(char **)at);
			*(char **)at = NULL;
		} else if (set->rows[k].type == PARAM_LIST) {
			strs_free(at);
		}
	}
}
