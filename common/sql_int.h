/*
 * sql_int.h - what sql.c asks of the client of one data base; the files
 * sql_NAME.c have one each.
 * Layer: sys.
 */
#ifndef MX_SQL_INT_H
#define MX_SQL_INT_H

#include "sql.h"

/* Seconds, where the settings say nothing. */
#define SQL_CONNECT_S 10
#define SQL_TIMEOUT_S 30
#define SQL_STOPPED 2
#define SQL_COLUMNS 256 /* more are an error */

struct sql_client {
	/* Loads the library, once; tells which Debian package has it. */
	int (*load)(struct err *e);
	/* The connection, or NULL and a sentence. */
	void *(*connect)(const struct sql_host *h, struct err *e);
	/* Appends value as it may stand between single quotes. */
	int (*quote)(void *c, struct buf *out, struct span value,
		     struct err *e);
	/* One statement.  -1 and a sentence; *lost_r: the connection is of no
	 * use any more; SQL_STOPPED: row did not return 0. */
	int (*run)(void *c, const char *text, sql_row_fn *row, void *ctx,
		   bool *lost_r, struct err *e);
	/* Optional: does the connection lead elsewhere by now? */
	bool (*stale)(void *c);
	void (*close)(void *c);
};
extern const struct sql_client sql_sqlite, sql_pgsql, sql_mysql;

/* Opens the first library that is there and fills each `to` (a pointer to a
 * function) by its symbol. */
struct sql_symbol {
	const char *name;
	void *to;
};
int sql_library(const char *const *files, const char *package,
		const struct sql_symbol *symbols, size_t n,
		struct err *e) MX_MUST_CHECK;
/* A whole number of seconds among the settings. */
int sql_seconds(const struct sql_host *h, const char *name, int def);
/* For sql_text.c: writes the query, each hole by quote. */
int sql_text_build(const struct sql_text *t, sql_value_fn *value, void *ctx,
		   const struct sql_client *client, void *connection,
		   struct buf *out, struct err *e) MX_MUST_CHECK;

#endif
