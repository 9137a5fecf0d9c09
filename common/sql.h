/*
 * sql.h - questions to SQLite, PostgreSQL and MySQL: one connection per data
 * base, fail-over, and values that cannot become SQL (DESIGN 3.8, 3.11).
 * Layer: sys.  The clients' libraries are loaded with dlopen when the first
 * question is asked: no program links them.
 */
#ifndef MX_SQL_H
#define MX_SQL_H

#include "buf.h"
#include "clock.h"
#include "err.h"
#include "strs.h"

enum sql_kind { SQL_SQLITE, SQL_PGSQL, SQL_MYSQL, SQL_KINDS };

/* "sqlite", "pgsql", "mysql"; false: none of them. */
bool sql_kind_named(struct span name, enum sql_kind *kind_r);

/*
 * One server, as the client's library wants it: names[i] has values[i].
 * pgsql: libpq's connection parameters.  mysql: host, port, socket, user,
 * password, dbname, charset, option_file, option_group, ssl_ca, ssl_capath,
 * ssl_cert, ssl_key, ssl_cipher, ssl_verify.  sqlite: path.
 * "connect_timeout" and "timeout" (seconds) count in both network kinds.
 */
struct sql_host {
	struct strs names, values;
};
void sql_host_set(struct sql_host *h, const char *name, struct span value);
/* NULL: not set. */
const char *sql_host_get(const struct sql_host *h, const char *name);
/* Wipes it: there are passwords among the values. */
void sql_host_free(struct sql_host *h);

/*
 * A query with holes: "%s" of Postfix, "%{user}" of Dovecot; "%%" is a
 * per cent sign.  A hole between single quotes gets its value escaped by the
 * client's library; one outside of quotes is put into quotes first, so that a
 * careless query cannot be led astray either.  Holes in comments, identifiers
 * and strings whose escapes the library does not know are refused.
 */
struct sql_text;
/* hole(rest): how long is the hole at the beginning of rest, which begins with
 * "%"?  0: there is none of that name.  NULL and a sentence on failure. */
struct sql_text *sql_text_parse(enum sql_kind kind, struct span text,
				size_t (*hole)(struct span rest),
				struct err *e);
void sql_text_free(struct sql_text *t);
/* Calls fn for each hole, as it is written. */
void sql_text_holes(const struct sql_text *t,
		    void (*fn)(void *ctx, struct span hole), void *ctx);

/* The value of a hole, appended to out; -1 and a sentence. */
typedef int sql_value_fn(void *ctx, struct span hole, struct buf *out,
			 struct err *e);

/* A row of an answer; a value that is NULL has p NULL.  It lives until the
 * callback returns. */
struct sql_row {
	size_t n;
	const char *const *names;
	const struct span *values;
};
/* Non-zero ends the walk (with a sentence); sql_ask returns -1 then. */
typedef int sql_row_fn(void *ctx, const struct sql_row *row, struct err *e);

/*
 * The data base behind a list of equal servers.  Nothing is connected and no
 * library loaded before the first question; whoever asks for the same settings
 * in the same process gets the same connections.  A connection made before a
 * fork is not used after it.
 */
struct sql;
struct sql *sql_open(enum sql_kind kind, const struct sql_host *hosts,
		     size_t nhosts);
void sql_close(struct sql *s);
/* Milliseconds: after idle a connection is closed (sql_idle), a server that
 * failed is left alone for retry while there are others; both 60 s, Postfix's
 * idle_interval and retry_interval. */
void sql_intervals(struct sql *s, int64_t idle_ms, int64_t retry_ms);
/*
 * Asks; blocks, at most the settings' timeouts for each server.  row is called
 * once the whole answer is there (SQLite, and MySQL's later results: as rows
 * come).  -1 and a sentence, ST_TEMPFAIL, when no server could tell: that is
 * never an empty answer, and what row was given until then is not one either.
 * Once it was given a row no other server is asked.
 */
int sql_ask(struct sql *s, const struct sql_text *t, sql_value_fn *value,
	    sql_row_fn *row, void *ctx, struct err *e) MX_MUST_CHECK;
/* Loads the client's library now: for those who enter a sandbox. */
int sql_load(const struct sql *s, struct err *e) MX_MUST_CHECK;
/* Closes connections that were idle; the milliseconds until the next one will
 * have been, or -1: none is open. */
int64_t sql_idle(void);
/* For a process that may not know passwords: wipes every setting.  It cannot
 * ask any more. */
void sql_forget(void);

#endif
