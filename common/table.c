/*
 * table.c - look-up tables: opening, many maps per parameter, Postfix's
 * orders of keys; see table.h.
 * Layer: sys.
 */
#include "table.h"
#include "log.h"
#include "mem.h"
#include "status.h"

#include <stdlib.h>

extern const struct table_driver *const table_drivers[];

struct table {
	const struct table_driver *driver; /* NULL: a surrogate */
	void *state;
	char *spec, *type, *name;
	struct err why; /* of the surrogate */
	int number;     /* index in table_all */
};

/* All that are open; the number of a closed one may be given again. */
static struct {
	struct table **v;
	size_t n, cap;
	table_remote_fn *fn; /* who asks for TABLE_NET tables, or NULL */
	void *ctx;
} table_all;

static const struct table_driver *
table_driver_named(struct span type)
{
	for (size_t i = 0; table_drivers[i] != NULL; i++) {
		for (size_t k = 0; table_drivers[i]->names[k] != NULL; k++) {
			if (span_is(type, table_drivers[i]->names[k]))
				return table_drivers[i];
		}
	}
	return NULL;
}

static void
table_load(struct table *t)
{
	t->why = ERR_INIT;
	t->driver = table_driver_named(span_of(t->type));
	if (t->driver == NULL) {
		err_set(&t->why, ST_CONFIG, "%s: unknown table type \"%s\"",
			t->spec, t->type);
		return;
	}
	t->state = t->driver->open(t->type, t->name, &t->why);
	if (t->state == NULL) {
		/* It then answers TRY_AGAIN: mail is deferred, not lost. */
		err_prefix(&t->why, "%s", t->spec);
		t->driver = NULL;
	}
}

struct table *
table_open(const char *spec, struct err *e)
{
	struct table *t = mem_alloc(1, sizeof(*t));
	struct span s = span_of(spec);
	ssize_t colon;

	while (span_starts(s, SPAN("proxy:")) ||
	       span_starts(s, SPAN("proxywrite:")))
		s = span_from(s, (size_t)span_chr(s, ':') + 1);
	t->spec = mem_strdup(spec);
	colon = span_chr(s, ':');
	if (s.n > 0 && s.p[0] == '/') {
		t->type = mem_strdup("texthash");
		t->name = mem_spandup(s);
	} else {
		t->type = mem_spandup(
		    span_sub(s, 0, colon < 0 ? s.n : (size_t)colon));
		t->name = mem_spandup(
		    colon < 0 ? SPAN("") : span_from(s, (size_t)colon + 1));
	}
	table_load(t);
	table_all.v = mem_grow(table_all.v, &table_all.cap, table_all.n + 1,
			       sizeof(struct table *));
	t->number = (int)table_all.n;
	table_all.v[table_all.n++] = t;
	if (t->driver == NULL && e != NULL)
		*e = t->why;
	return t;
}

void
table_close(struct table *t)
{
	if (t == NULL)
		return;
	table_all.v[t->number] = NULL;
	while (table_all.n > 0 && table_all.v[table_all.n - 1] == NULL &&
	       table_all.fn == NULL)
		table_all.n--;
	if (t->driver != NULL)
		t->driver->close(t->state);
	free(t->spec);
	free(t->type);
	free(t->name);
	free(t);
}

const char *
table_spec(const struct table *t)
{
	return t->spec;
}

unsigned
table_flags(const struct table *t)
{
	return t->driver != NULL ? t->driver->flags : 0;
}

bool
table_refresh(struct table *t)
{
	struct table anew = { .spec = t->spec,
			      .type = t->type,
			      .name = t->name };

	if (t->driver != NULL &&
	    (t->driver->changed == NULL || !t->driver->changed(t->state)))
		return false;
	table_load(&anew);
	if (anew.driver == NULL) {
		if (t->driver == NULL)
			t->why = anew.why;
		else
			log_warn("%s: the old table stays", anew.why.text);
		return false;
	}
	if (t->driver != NULL)
		t->driver->close(t->state);
	t->driver = anew.driver;
	t->state = anew.state;
	return true;
}

bool
table_refresh_all(void)
{
	bool any = false;

	for (size_t i = 0; i < table_all.n; i++)
		if (table_all.v[i] != NULL)
			any |= table_refresh(table_all.v[i]);
	return any;
}

int
table_each(struct table *t,
	   int (*fn)(void *ctx, struct span key, const char *value,
		     struct err *e),
	   void *ctx, struct err *e)
{
	struct map *m = NULL;
	struct span key;
	void *value;
	int r = 0;

	if (t->driver == NULL) {
		*e = t->why;
		return -1;
	}
	if (t->driver->entries != NULL)
		m = t->driver->entries(t->state);
	if (m == NULL)
		return err_set(e, ST_CONFIG,
			       "%s: the entries of this type cannot be "
			       "listed: use texthash:FILE",
			       t->spec);
	for (size_t i = 0; r == 0 && map_next(m, &i, &key, &value);)
		r = fn(ctx, key, value, e);
	return r;
}

int
table_values(struct table *t,
	     int (*fn)(void *ctx, const char *value, struct err *e), void *ctx,
	     struct err *e)
{
	struct map *m = NULL;
	struct span key;
	void *value;
	int r = 0;

	if (t->driver == NULL)
		return 1;
	if (t->driver->entries != NULL)
		m = t->driver->entries(t->state);
	if (m == NULL && t->driver->values == NULL)
		return 1;
	if (m == NULL)
		return t->driver->values(t->state, fn, ctx, e);
	for (size_t i = 0; r == 0 && map_next(m, &i, &key, &value);)
		r = fn(ctx, value, e);
	return r;
}

void
table_remote(table_remote_fn *fn, void *ctx)
{
	table_all.fn = fn;
	table_all.ctx = ctx;
}

enum table_result
table_lookup_number(int number, struct span key, struct buf *value,
		    struct err *e)
{
	struct table *t = number >= 0 && (size_t)number < table_all.n
			      ? table_all.v[number]
			      : NULL;

	if (t == NULL || !(table_flags(t) & TABLE_NET)) {
		err_set(e, ST_SOFTWARE, "no table has number %d", number);
		return TABLE_TRY_AGAIN;
	}
	return table_lookup(t, key, value, e);
}

void (*table_trace)(const char *spec, struct span key, enum table_result r,
		    struct span value, const char *why);

static enum table_result
table_ask(struct table *t, struct span key, struct buf *value, struct err *e)
{
	struct buf folded = BUF_INIT;
	enum table_result r;

	if (t->driver == NULL) {
		if (e != NULL)
			*e = t->why;
		return TABLE_TRY_AGAIN;
	}
	if (t->driver->flags & TABLE_FOLD) {
		for (size_t i = 0; i < key.n; i++)
			buf_addc(&folded, ascii_tolower(key.p[i]));
		key = buf_span(&folded);
	}
	if ((t->driver->flags & TABLE_NET) && table_all.fn != NULL) {
		struct err why = ERR_INIT;

		r = table_all.fn(table_all.ctx, t->number, key, value, &why);
		if (r == TABLE_TRY_AGAIN && e != NULL)
			err_set(e, why.status ? why.status : ST_TEMPFAIL,
				"%s: %s", t->spec, why.text);
	} else {
		r = t->driver->lookup(t->state, key, value, e);
	}
	buf_free(&folded);
	return r;
}

enum table_result
table_lookup(struct table *t, struct span key, struct buf *value, struct err *e)
{
	struct err mine = ERR_INIT, *why = e != NULL ? e : &mine;
	enum table_result r = table_ask(t, key, value, why);

	/* A file that is missing or may not be read (66, 77) makes no mail
	 * bounce: who passes the status on says "try again" too. */
	if (r == TABLE_TRY_AGAIN && !status_is_temp(why->status))
		why->status = ST_TEMPFAIL;
	if (table_trace != NULL)
		table_trace(t->spec, key, r,
			    r == TABLE_FOUND ? buf_span(value) : SPAN(""),
			    r == TABLE_TRY_AGAIN ? why->text : "");
	return r;
}

void
tables_open(struct tables *ts, const struct strs *specs)
{
	struct err e = ERR_INIT;

	ts->n = specs->n;
	ts->v = mem_alloc(specs->n, sizeof(*ts->v));
	for (size_t i = 0; i < specs->n; i++) {
		e = ERR_INIT;
		ts->v[i] = table_open(specs->v[i], &e);
		if (e.status != 0)
			log_warn("%s: lookups will be tried again", e.text);
	}
}

void
tables_close(struct tables *ts)
{
	for (size_t i = 0; i < ts->n; i++)
		table_close(ts->v[i]);
	free(ts->v);
	*ts = (struct tables){ NULL, 0 };
}

enum table_result
tables_lookup(const struct tables *ts, struct span key, struct buf *value,
	      struct err *e)
{
	for (size_t i = 0; i < ts->n; i++) {
		enum table_result r = table_lookup(ts->v[i], key, value, e);

		if (r != TABLE_NONE)
			return r;
	}
	return TABLE_NONE;
}

/* Only the tables of one kind: those that take parts of an address. */
static enum table_result
tables_lookup_part(const struct tables *ts, struct span key, struct buf *value,
		   struct err *e)
{
	for (size_t i = 0; i < ts->n; i++) {
		enum table_result r;

		if (table_flags(ts->v[i]) & TABLE_PATTERN)
			continue;
		r = table_lookup(ts->v[i], key, value, e);
		if (r != TABLE_NONE)
			return r;
	}
	return TABLE_NONE;
}

/* user+ext at the first delimiter that is not the first byte. */
static bool
tables_split(struct span user, const char *delims, struct span *bare_r)
{
	for (size_t i = 1; delims != NULL && i < user.n; i++) {
		if (user.p[i] != '\0' && strchr(delims, user.p[i]) != NULL) {
			*bare_r = span_sub(user, 0, i);
			return true;
		}
	}
	return false;
}

enum table_result
tables_lookup_address(const struct tables *ts, struct span addr,
		      const char *delims, bool local, struct buf *value,
		      bool *ext_r, struct err *e)
{
	ssize_t at = span_rchr(addr, '@');
	struct span user = at < 0 ? addr : span_sub(addr, 0, (size_t)at);
	struct span domain =
	    at < 0 ? SPAN("") : span_from(addr, (size_t)at + 1);
	struct span bare = user;
	bool has_ext = tables_split(user, delims, &bare);
	struct buf key = BUF_INIT;
	enum table_result r = tables_lookup(ts, addr, value, e);

	if (ext_r != NULL)
		*ext_r = false;
	if (r == TABLE_NONE && has_ext && at >= 0) {
		buf_addf(&key, "%.*s@%.*s", SPAN_ARG(bare), SPAN_ARG(domain));
		r = tables_lookup_part(ts, buf_span(&key), value, e);
		if (ext_r != NULL)
			*ext_r = r == TABLE_FOUND;
	}
	if (r == TABLE_NONE && local && at >= 0)
		r = tables_lookup_part(ts, user, value, e);
	if (r == TABLE_NONE && local && has_ext) {
		r = tables_lookup_part(ts, bare, value, e);
		if (ext_r != NULL)
			*ext_r = r == TABLE_FOUND;
	}
	if (r == TABLE_NONE && at >= 0)
		r = tables_lookup_part(ts, span_from(addr, (size_t)at), value,
				       e);
	buf_free(&key);
	return r;
}

enum table_result
tables_lookup_domain(const struct tables *ts, struct span domain,
		     struct buf *value, struct err *e)
{
	enum table_result r = tables_lookup(ts, domain, value, e);
	ssize_t dot;

	while (r == TABLE_NONE &&
	       (dot = span_chr(span_from(domain, 1), '.')) >= 0) {
		domain = span_from(domain, (size_t)dot + 1);
		r = tables_lookup_part(ts, domain, value, e);
		if (r == TABLE_NONE) {
			domain = span_from(domain, 1);
			r = tables_lookup_part(ts, domain, value, e);
		}
	}
	return r;
}
