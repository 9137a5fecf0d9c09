/*
 * sql_sqlite.c - SQLite's library as a client of sql.h: files are read, never
 * written.
 * Layer: sys.
 */
#include "sql_int.h"

#include "mem.h"
#include "status.h"

#include <sqlite3.h>
#include <stdlib.h>
#include <sys/stat.h>

#define BUSY_MS 5000
#define STEPS 10000 /* of its machine, between looks at the clock */

#define FN(NAME) __typeof__(sqlite3_##NAME) *NAME
static struct {
	FN(open_v2);
	FN(close);
	FN(errmsg);
	FN(busy_timeout);
	FN(progress_handler);
	FN(prepare_v2);
	FN(step);
	FN(finalize);
	FN(column_count);
	FN(column_name);
	FN(column_text);
	FN(column_bytes);
} sq;

struct lite {
	sqlite3 *db;
	char *path;
	struct stat st;
	int seconds;
	deadline_t until;
};

static int
lite_load(struct err *e)
{
	static const char *const files[] = { "libsqlite3.so.0", NULL };
	static const struct sql_symbol symbols[] = {
		{ "sqlite3_open_v2", &sq.open_v2 },
		{ "sqlite3_close", &sq.close },
		{ "sqlite3_errmsg", &sq.errmsg },
		{ "sqlite3_busy_timeout", &sq.busy_timeout },
		{ "sqlite3_progress_handler", &sq.progress_handler },
		{ "sqlite3_prepare_v2", &sq.prepare_v2 },
		{ "sqlite3_step", &sq.step },
		{ "sqlite3_finalize", &sq.finalize },
		{ "sqlite3_column_count", &sq.column_count },
		{ "sqlite3_column_name", &sq.column_name },
		{ "sqlite3_column_text", &sq.column_text },
		{ "sqlite3_column_bytes", &sq.column_bytes },
	};
	static bool done;

	if (!done && sql_library(files, "libsqlite3-0", symbols,
				 ARRAY_LEN(symbols), e) != 0)
		return -1;
	done = true;
	return 0;
}

static void
lite_close(void *c)
{
	struct lite *l = c;

	if (l->db != NULL)
		(void)sq.close(l->db);
	free(l->path);
	free(l);
}

static int
lite_late(void *c)
{
	const struct lite *l = c;

	return clock_left(l->until) == 0;
}

static void *
lite_connect(const struct sql_host *h, struct err *e)
{
	struct lite *l = mem_alloc(1, sizeof(*l));
	const char *path = sql_host_get(h, "path");

	l->path = mem_strdup(path != NULL ? path : "");
	l->seconds = sql_seconds(h, "timeout", SQL_TIMEOUT_S);
	l->until = DEADLINE_NEVER;
	if (stat(l->path, &l->st) != 0) {
		err_sys(e, "the data base");
	} else if (sq.open_v2(l->path, &l->db, SQLITE_OPEN_READONLY, NULL) !=
		   SQLITE_OK) {
		err_set(e, ST_TEMPFAIL, "%s",
			l->db != NULL ? sq.errmsg(l->db) : "no memory");
	} else {
		(void)sq.busy_timeout(l->db, BUSY_MS);
		sq.progress_handler(l->db, STEPS, lite_late, l);
		return l;
	}
	lite_close(l);
	return NULL;
}

/* A new file of that name is another data base. */
static bool
lite_stale(void *c)
{
	const struct lite *l = c;
	struct stat st;

	return stat(l->path, &st) != 0 || st.st_ino != l->st.st_ino ||
	       st.st_dev != l->st.st_dev;
}

/* As the library's %q: there are no escapes but the doubled quote. */
static int
lite_quote(void *c, struct buf *out, struct span value, struct err *e)
{
	(void)c;
	(void)e;
	for (size_t i = 0; i < value.n; i++) {
		if (value.p[i] == '\'')
			buf_addc(out, '\'');
		buf_addc(out, value.p[i]);
	}
	return 0;
}

static int
lite_row(sqlite3_stmt *st, size_t n, sql_row_fn *row, void *ctx, struct err *e)
{
	const char *names[SQL_COLUMNS];
	struct span values[SQL_COLUMNS];
	struct sql_row r = { n, names, values };

	for (size_t i = 0; i < n; i++) {
		const unsigned char *text = sq.column_text(st, (int)i);

		names[i] = sq.column_name(st, (int)i);
		values[i] = span_make(
		    (const char *)text,
		    text != NULL ? (size_t)sq.column_bytes(st, (int)i) : 0);
	}
	return row(ctx, &r, e) == 0 ? 0 : SQL_STOPPED;
}

static int
lite_run(void *c, const char *text, sql_row_fn *row, void *ctx, bool *lost_r,
	 struct err *e)
{
	struct lite *l = c;
	sqlite3_stmt *st = NULL;
	int step, r = 0;

	l->until = clock_deadline((int64_t)l->seconds * 1000);
	step = sq.prepare_v2(l->db, text, -1, &st, NULL);
	if (step == SQLITE_OK && st == NULL)
		r = err_set(e, ST_TEMPFAIL, "an empty query");
	else if (step == SQLITE_OK && sq.column_count(st) > SQL_COLUMNS)
		r = err_set(e, ST_TEMPFAIL, "an answer of over %d columns",
			    SQL_COLUMNS);
	else if (step == SQLITE_OK)
		while (r == 0 && (step = sq.step(st)) == SQLITE_ROW)
			r = lite_row(st, (size_t)sq.column_count(st), row, ctx,
				     e);
	if (r == 0 && step != SQLITE_DONE) {
		r = err_set(e, ST_TEMPFAIL, "%s", sq.errmsg(l->db));
		*lost_r = step == SQLITE_IOERR || step == SQLITE_NOTADB ||
			  step == SQLITE_CORRUPT;
	}
	(void)sq.finalize(st);
	l->until = DEADLINE_NEVER;
	return r;
}

const struct sql_client sql_sqlite = {
	.load = lite_load,
	.connect = lite_connect,
	.quote = lite_quote,
	.run = lite_run,
	.stale = lite_stale,
	.close = lite_close,
};
