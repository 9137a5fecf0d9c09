/*
 * sql.c - connections to data bases, kept and shared; which server is asked;
 * see sql.h.
 * Layer: sys.  Postfix pgsql_table(5), mysql_table(5): servers are taken in
 * random order, those on a UNIX socket first.
 */
#include "sql_int.h"

#include "log.h"
#include "mem.h"
#include "num.h"
#include "random.h"
#include "status.h"

#include <dlfcn.h>
#include <stdlib.h>
#include <unistd.h>

#define INTERVAL_MS 60000
#define QUICK_MS 1000 /* a failure that took no longer may be tried again */

struct server {
	struct sql_host settings;
	void *connection; /* NULL: none */
	deadline_t idle;  /* when the connection has been idle for long */
	int64_t away;     /* it failed: leave it alone until then */
	bool slow;        /* and finding that out took its time */
	bool tried;       /* in this question */
};
struct sql {
	enum sql_kind kind;
	const struct sql_client *client;
	struct server *server;
	size_t n;
	size_t users;
	int64_t idle_ms, retry_ms;
	pid_t pid; /* whose the connections are */
	struct sql *next;
};
static struct sql *all;

static const struct {
	const char *name;
	const struct sql_client *client;
} kinds[SQL_KINDS] = {
	[SQL_SQLITE] = { "sqlite", &sql_sqlite },
	[SQL_PGSQL] = { "pgsql", &sql_pgsql },
	[SQL_MYSQL] = { "mysql", &sql_mysql },
};

bool
sql_kind_named(struct span name, enum sql_kind *kind_r)
{
	for (size_t i = 0; i < SQL_KINDS; i++) {
		if (!span_is(name, kinds[i].name))
			continue;
		*kind_r = (enum sql_kind)i;
		return true;
	}
	return false;
}

/* ------- settings */

void
sql_host_set(struct sql_host *h, const char *name, struct span value)
{
	strs_add(&h->names, name);
	strs_addspan(&h->values, value);
}

const char *
sql_host_get(const struct sql_host *h, const char *name)
{
	for (size_t i = h->names.n; i-- > 0;)
		if (strcmp(h->names.v[i], name) == 0)
			return h->values.v[i];
	return NULL;
}

static void
host_wipe(struct sql_host *h)
{
	for (size_t i = 0; i < h->values.n; i++)
		explicit_bzero(h->values.v[i], strlen(h->values.v[i]));
}

void
sql_host_free(struct sql_host *h)
{
	host_wipe(h);
	strs_free(&h->names);
	strs_free(&h->values);
}

static bool
host_equal(const struct sql_host *a, const struct sql_host *b)
{
	if (a->names.n != b->names.n)
		return false;
	for (size_t i = 0; i < a->names.n; i++)
		if (strcmp(a->names.v[i], b->names.v[i]) != 0 ||
		    strcmp(a->values.v[i], b->values.v[i]) != 0)
			return false;
	return true;
}

static const char *
host_name(const struct sql_host *h)
{
	const char *name = sql_host_get(h, "host");

	if (name == NULL)
		name = sql_host_get(h, "socket");
	if (name == NULL)
		name = sql_host_get(h, "path");
	return name != NULL ? name : "localhost";
}

int
sql_seconds(const struct sql_host *h, const char *name, int def)
{
	const char *text = sql_host_get(h, name);

	if (text == NULL || !num_int(span_of(text), 1, 3600, &def))
		return def;
	return def;
}

/* ------- the list of all */

struct sql *
sql_open(enum sql_kind kind, const struct sql_host *hosts, size_t nhosts)
{
	struct sql *s;

	for (s = all; s != NULL; s = s->next) {
		size_t i = 0;

		if (s->kind != kind || s->n != nhosts)
			continue;
		while (i < nhosts &&
		       host_equal(&s->server[i].settings, &hosts[i]))
			i++;
		if (i < nhosts)
			continue;
		s->users++;
		return s;
	}
	s = mem_alloc(1, sizeof(*s));
	s->kind = kind;
	s->client = kinds[kind].client;
	s->users = 1;
	s->n = nhosts;
	s->server = mem_alloc(nhosts, sizeof(*s->server));
	s->idle_ms = s->retry_ms = INTERVAL_MS;
	for (size_t i = 0; i < nhosts; i++)
		for (size_t k = 0; k < hosts[i].names.n; k++)
			sql_host_set(&s->server[i].settings,
				     hosts[i].names.v[k],
				     span_of(hosts[i].values.v[k]));
	s->next = all;
	all = s;
	return s;
}

static void
server_close(const struct sql *s, struct server *v)
{
	if (v->connection != NULL)
		s->client->close(v->connection);
	v->connection = NULL;
}

/* A parent's connections are not ours: a word of farewell would end them. */
static void
sql_own(struct sql *s)
{
	if (s->pid == getpid())
		return;
	s->pid = getpid();
	for (size_t i = 0; i < s->n; i++) {
		s->server[i].connection = NULL;
		s->server[i].away = 0;
	}
}

void
sql_close(struct sql *s)
{
	struct sql **at = &all;

	if (s == NULL || --s->users > 0)
		return;
	while (*at != s)
		at = &(*at)->next;
	*at = s->next;
	sql_own(s);
	for (size_t i = 0; i < s->n; i++) {
		server_close(s, &s->server[i]);
		sql_host_free(&s->server[i].settings);
	}
	free(s->server);
	free(s);
}

void
sql_intervals(struct sql *s, int64_t idle_ms, int64_t retry_ms)
{
	s->idle_ms = idle_ms;
	s->retry_ms = retry_ms;
}

int
sql_load(const struct sql *s, struct err *e)
{
	return s->client->load(e);
}

int64_t
sql_idle(void)
{
	int64_t now = clock_mono(), next = -1;

	for (struct sql *s = all; s != NULL; s = s->next) {
		sql_own(s);
		for (size_t i = 0; i < s->n; i++) {
			struct server *v = &s->server[i];

			if (v->connection == NULL)
				continue;
			if (v->idle <= now)
				server_close(s, v);
			else if (next < 0 || v->idle - now < next)
				next = v->idle - now;
		}
	}
	return next;
}

void
sql_forget(void)
{
	for (struct sql *s = all; s != NULL; s = s->next)
		for (size_t i = 0; i < s->n; i++)
			host_wipe(&s->server[i].settings);
}

int
sql_library(const char *const *files, const char *package,
	    const struct sql_symbol *symbols, size_t n, struct err *e)
{
	void *lib = NULL;

	for (size_t i = 0; lib == NULL && files[i] != NULL; i++)
		lib = dlopen(files[i], RTLD_NOW | RTLD_LOCAL);
	if (lib == NULL)
		return err_set(e, ST_TEMPFAIL,
			       "this needs %s (Debian's %s): %s", files[0],
			       package, dlerror());
	for (size_t i = 0; i < n; i++) {
		void *at = dlsym(lib, symbols[i].name);

		if (at == NULL)
			return err_set(e, ST_TEMPFAIL, "%s has no %s", files[0],
				       symbols[i].name);
		memcpy(symbols[i].to, &at, sizeof(at));
	}
	return 0;
}

/* ------- which server */

static bool
is_unix(const struct server *v)
{
	return sql_host_get(&v->settings, "socket") != NULL ||
	       host_name(&v->settings)[0] == '/';
}

/* The lower, the sooner; -1: not at all. */
static int
server_rank(const struct server *v, int64_t now)
{
	int rank = is_unix(v) ? 0 : 1;

	if (v->tried)
		return -1;
	if (v->connection != NULL)
		return rank;
	if (v->away <= now)
		return rank + 2;
	/* When nobody else is left and asking costs nothing, ask: the server
	 * may be up again, and mail waits. */
	return v->slow ? -1 : 4;
}

static struct server *
server_pick(struct sql *s)
{
	int64_t now = clock_mono();
	struct server *best = NULL;
	int best_rank = 0;
	uint32_t equals = 0;

	for (size_t i = 0; i < s->n; i++) {
		int rank = server_rank(&s->server[i], now);

		if (rank < 0 || (best != NULL && rank > best_rank))
			continue;
		if (best == NULL || rank < best_rank)
			equals = 0;
		/* Each of n equals is kept with the chance of 1/n. */
		if (++equals == 1 || random_below(equals) == 0) {
			best = &s->server[i];
			best_rank = rank;
		}
	}
	return best;
}

static void
server_failed(const struct sql *s, struct server *v, int64_t since)
{
	int64_t now = clock_mono();

	server_close(s, v);
	v->away = now + s->retry_ms;
	v->slow = now - since > QUICK_MS;
}

static int
server_connect(const struct sql *s, struct server *v, struct err *e)
{
	int64_t since = clock_mono();

	if (v->connection != NULL && s->client->stale != NULL &&
	    s->client->stale(v->connection))
		server_close(s, v);
	if (v->connection != NULL)
		return 0;
	v->connection = s->client->connect(&v->settings, e);
	if (v->connection != NULL) {
		v->away = 0;
		return 0;
	}
	server_failed(s, v, since);
	return -1;
}

/* Counts: what was given to the caller cannot be taken back. */
struct given {
	sql_row_fn *row;
	void *ctx;
	size_t rows;
};

static int
give_row(void *ctx, const struct sql_row *row, struct err *e)
{
	struct given *g = ctx;

	g->rows++;
	return g->row(g->ctx, row, e);
}

/* 1: the connection is lost; SQL_STOPPED: nobody else is to be asked. */
static int
server_ask(const struct sql *s, struct server *v, const struct sql_text *t,
	   sql_value_fn *value, sql_row_fn *row, void *ctx, struct err *e)
{
	struct buf text = BUF_INIT;
	struct given given = { row, ctx, 0 };
	int64_t since = clock_mono();
	bool lost = false;
	int r =
	    sql_text_build(t, value, ctx, s->client, v->connection, &text, e);

	if (r == 0)
		r = s->client->run(v->connection, buf_str(&text), give_row,
				   &given, &lost, e);
	if (r == 0)
		v->idle = clock_deadline(s->idle_ms);
	buf_wipe(&text);
	/* The rows of another answer would come on top of the half that the
	 * caller has: every value twice. */
	if (r != 0 && given.rows > 0) {
		if (lost)
			server_failed(s, v, since);
		return SQL_STOPPED;
	}
	return lost ? 1 : r;
}

int
sql_ask(struct sql *s, const struct sql_text *t, sql_value_fn *value,
	sql_row_fn *row, void *ctx, struct err *e)
{
	struct server *v;
	struct err why = ERR_INIT;
	bool again = false;
	int r = -1;

	if (s->client->load(e) != 0)
		return -1;
	sql_own(s);
	for (size_t i = 0; i < s->n; i++)
		s->server[i].tried = false;
	err_set(&why, ST_TEMPFAIL, "%s: no server answered lately",
		kinds[s->kind].name);
	while (r != 0 && (v = server_pick(s)) != NULL) {
		bool kept = v->connection != NULL;
		int64_t since = clock_mono();

		v->tried = true;
		if (server_connect(s, v, &why) == 0) {
			r = server_ask(s, v, t, value, row, ctx, &why);
			/* It may have been closed over there long ago. */
			if (r == 1 && kept && !again) {
				again = true;
				v->tried = false;
				server_close(s, v);
				continue;
			}
			if (r == 1)
				server_failed(s, v, since);
			if (r == SQL_STOPPED)
				break;
		}
		if (r != 0)
			err_prefix(&why, "%s", host_name(&v->settings));
	}
	if (r == 0)
		return 0;
	why.status = ST_TEMPFAIL;
	if (e != NULL)
		*e = why;
	return -1;
}
