/*
 * sql_pgsql.c - PostgreSQL's library (libpq) as a client of sql.h.
 * Layer: sys.  The handful of functions and numbers are declared here as the
 * library's documentation has them, so that building needs no headers of it.
 */
#include "sql_int.h"

#include "mem.h"
#include "num.h"
#include "status.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>

#define CONNECTION_OK 0
#define RESULT_TUPLES 2 /* PGRES_TUPLES_OK */

static struct {
	void *(*connect)(const char *const *names, const char *const *values,
			 int expand_dbname);
	void (*finish)(void *c);
	int (*status)(const void *c);
	int (*socket)(const void *c);
	char *(*error)(const void *c);
	void *(*notices)(void *c, void (*fn)(void *, const char *), void *arg);
	size_t (*escape)(void *c, char *to, const char *from, size_t n,
			 int *error);
	int (*send)(void *c, const char *text, int n, const unsigned *types,
		    const char *const *values, const int *lengths,
		    const int *formats, int format);
	int (*flush)(void *c);
	int (*set_nonblocking)(void *c, int on);
	int (*consume)(void *c);
	int (*busy)(void *c);
	void *(*result)(void *c);
	int (*result_status)(const void *r);
	char *(*result_error)(const void *r);
	void (*clear)(void *r);
	int (*rows)(const void *r);
	int (*columns)(const void *r);
	char *(*column)(const void *r, int i);
	char *(*value)(const void *r, int row, int i);
	int (*length)(const void *r, int row, int i);
	int (*is_null)(const void *r, int row, int i);
} pq;

struct pg {
	void *c;
	int seconds;
};

static int
pg_load(struct err *e)
{
	static const char *const files[] = { "libpq.so.5", NULL };
	static const struct sql_symbol symbols[] = {
		{ "PQconnectdbParams", &pq.connect },
		{ "PQfinish", &pq.finish },
		{ "PQstatus", &pq.status },
		{ "PQsocket", &pq.socket },
		{ "PQerrorMessage", &pq.error },
		{ "PQsetNoticeProcessor", &pq.notices },
		{ "PQescapeStringConn", &pq.escape },
		{ "PQsendQueryParams", &pq.send },
		{ "PQflush", &pq.flush },
		{ "PQsetnonblocking", &pq.set_nonblocking },
		{ "PQconsumeInput", &pq.consume },
		{ "PQisBusy", &pq.busy },
		{ "PQgetResult", &pq.result },
		{ "PQresultStatus", &pq.result_status },
		{ "PQresultErrorMessage", &pq.result_error },
		{ "PQclear", &pq.clear },
		{ "PQntuples", &pq.rows },
		{ "PQnfields", &pq.columns },
		{ "PQfname", &pq.column },
		{ "PQgetvalue", &pq.value },
		{ "PQgetlength", &pq.length },
		{ "PQgetisnull", &pq.is_null },
	};
	static bool done;

	if (!done &&
	    sql_library(files, "libpq5", symbols, ARRAY_LEN(symbols), e) != 0)
		return -1;
	done = true;
	return 0;
}

static void
pg_close(void *c)
{
	struct pg *p = c;

	pq.finish(p->c);
	free(p);
}

/* The library's sentences have several lines. */
static int
pg_trouble(struct err *e, const char *text)
{
	struct buf b = BUF_INIT;
	struct span s = span_trim(span_of(text)), line;

	while (span_split(&s, '\n', &line))
		buf_addf(&b, "%s%.*s", b.n > 0 ? ", " : "",
			 SPAN_ARG(span_trim(line)));
	(void)err_set(e, ST_TEMPFAIL, "%s", b.n > 0 ? buf_str(&b) : "no word");
	buf_free(&b);
	return -1;
}

static void
pg_notice(void *ctx, const char *text)
{
	(void)ctx;
	(void)text;
}

static void *
pg_connect(const struct sql_host *h, struct err *e)
{
	const char **names = mem_alloc(h->names.n + 2, sizeof(*names));
	const char **values = mem_alloc(h->names.n + 2, sizeof(*values));
	struct pg *p = mem_alloc(1, sizeof(*p));
	char limit[16];
	size_t n = 0;

	/* First, so that what the settings say counts. */
	snprintf(limit, sizeof(limit), "%d", SQL_CONNECT_S);
	names[n] = "connect_timeout";
	values[n++] = limit;
	for (size_t i = 0; i < h->names.n; i++) {
		/* ours */
		if (strcmp(h->names.v[i], "timeout") == 0)
			continue;
		names[n] = h->names.v[i];
		values[n++] = h->values.v[i];
	}
	p->seconds = sql_seconds(h, "timeout", SQL_TIMEOUT_S);
	p->c = pq.connect(names, values, 1);
	free(names);
	free(values);
	if (p->c != NULL && pq.status(p->c) == CONNECTION_OK &&
	    pq.set_nonblocking(p->c, 1) == 0) {
		(void)pq.notices(p->c, pg_notice, NULL);
		return p;
	}
	(void)pg_trouble(e, p->c != NULL ? pq.error(p->c) : "no memory");
	pg_close(p);
	return NULL;
}

static int
pg_quote(void *c, struct buf *out, struct span value, struct err *e)
{
	struct pg *p = c;
	char *room = buf_room(out, 2 * value.n + 1);
	int bad = 0;
	size_t n = pq.escape(p->c, room, value.p != NULL ? value.p : "",
			     value.n, &bad);

	/* Bytes that are no text in the connection's encoding. */
	if (bad != 0)
		return pg_trouble(e, pq.error(p->c));
	buf_grew(out, n);
	return 0;
}

/* Until the whole answer is there. */
static int
pg_wait(struct pg *p, deadline_t until, struct err *e)
{
	int more = pq.flush(p->c);

	while (more >= 0 && (more > 0 || pq.busy(p->c))) {
		struct pollfd f = { pq.socket(p->c),
				    (short)(POLLIN | (more ? POLLOUT : 0)), 0 };
		int r = poll(&f, 1, clock_left(until));

		if (r < 0 && errno == EINTR)
			continue;
		if (r <= 0)
			return err_set(e, ST_TEMPFAIL, "no answer in %d s",
				       p->seconds);
		if (!pq.consume(p->c))
			return pg_trouble(e, pq.error(p->c));
		if (more > 0)
			more = pq.flush(p->c);
	}
	return more < 0 ? pg_trouble(e, pq.error(p->c)) : 0;
}

static int
pg_rows(const void *result, sql_row_fn *row, void *ctx, struct err *e)
{
	const char *names[SQL_COLUMNS];
	struct span values[SQL_COLUMNS];
	int columns = pq.columns(result);
	struct sql_row r = { (size_t)columns, names, values };

	if (columns > SQL_COLUMNS)
		return err_set(e, ST_TEMPFAIL, "an answer of over %d columns",
			       SQL_COLUMNS);
	for (int i = 0; i < columns; i++)
		names[i] = pq.column(result, i);
	for (int k = 0; k < pq.rows(result); k++) {
		for (int i = 0; i < columns; i++)
			values[i] =
			    pq.is_null(result, k, i)
				? (struct span){ NULL, 0 }
				: span_make(pq.value(result, k, i),
					    (size_t)pq.length(result, k, i));
		if (row(ctx, &r, e) != 0)
			return SQL_STOPPED;
	}
	return 0;
}

static int
pg_run(void *c, const char *text, sql_row_fn *row, void *ctx, bool *lost_r,
       struct err *e)
{
	struct pg *p = c;
	deadline_t until = clock_deadline((int64_t)p->seconds * 1000);
	void *result;
	int r = -1;

	/* Not PQsendQuery: that takes several statements at once. */
	if (!pq.send(p->c, text, 0, NULL, NULL, NULL, NULL, 0)) {
		*lost_r = true;
		return pg_trouble(e, pq.error(p->c));
	}
	if (pg_wait(p, until, e) != 0) {
		*lost_r = true; /* an answer may still come: not for us */
		return -1;
	}
	result = pq.result(p->c);
	if (result != NULL && pq.result_status(result) == RESULT_TUPLES)
		r = pg_rows(result, row, ctx, e);
	else
		pg_trouble(e, result == NULL ? pq.error(p->c)
			      : *pq.result_error(result) != '\0'
				  ? pq.result_error(result)
				  : "the query returns no rows");
	while (result != NULL) {
		pq.clear(result);
		if (pg_wait(p, until, NULL) != 0) {
			*lost_r = r != 0;
			break;
		}
		result = pq.result(p->c);
	}
	if (r == -1 && pq.status(p->c) != CONNECTION_OK)
		*lost_r = true;
	return r;
}

const struct sql_client sql_pgsql = {
	.load = pg_load,
	.connect = pg_connect,
	.quote = pg_quote,
	.run = pg_run,
	.close = pg_close,
};
