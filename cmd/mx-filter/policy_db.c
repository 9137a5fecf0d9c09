/*
 * policy_db.c - see policy.h.  Several workers share one file: WAL, and a
 * transaction for each question.
 */
#include "policy.h"

#include "log.h"
#include "status.h"

#include <dlfcn.h>
#include <sqlite3.h>
#include <stdio.h>

#define BUSY_MS 5000

#define SQ(NAME) __typeof__(sqlite3_##NAME) *NAME
static struct {
	SQ(open_v2);
	SQ(close);
	SQ(errmsg);
	SQ(exec);
	SQ(busy_timeout);
	SQ(prepare_v2);
	SQ(bind_text);
	SQ(bind_int64);
	SQ(step);
	SQ(reset);
	SQ(column_int64);
} sq;

static sqlite3 *db;
static sqlite3_stmt *get_stmt[POLICY_TABLES], *put_stmt[POLICY_TABLES];
#define TABLE(NAME)                                                            \
	{                                                                      \
		"SELECT a, b FROM " NAME " WHERE k = ?1",                      \
		    "INSERT OR REPLACE INTO " NAME " VALUES (?1, ?2, ?3)"      \
	}
static const struct {
	const char *get, *put;
} sql[] = { TABLE("grey"), TABLE("awl"), TABLE("rate") };

int
policy_db_load(struct err *e)
{
	static const struct {
		const char *name;
		void *to;
	} symbols[] = {
		{ "sqlite3_open_v2", &sq.open_v2 },
		{ "sqlite3_close", &sq.close },
		{ "sqlite3_errmsg", &sq.errmsg },
		{ "sqlite3_exec", &sq.exec },
		{ "sqlite3_busy_timeout", &sq.busy_timeout },
		{ "sqlite3_prepare_v2", &sq.prepare_v2 },
		{ "sqlite3_bind_text", &sq.bind_text },
		{ "sqlite3_bind_int64", &sq.bind_int64 },
		{ "sqlite3_step", &sq.step },
		{ "sqlite3_reset", &sq.reset },
		{ "sqlite3_column_int64", &sq.column_int64 },
	};
	void *lib = dlopen("libsqlite3.so.0", RTLD_NOW | RTLD_LOCAL);

	for (size_t i = 0; lib != NULL && i < ARRAY_LEN(symbols); i++) {
		void *at = dlsym(lib, symbols[i].name);

		if (at == NULL)
			return err_set(e, ST_SOFTWARE,
				       "libsqlite3.so.0 has no %s",
				       symbols[i].name);
		memcpy(symbols[i].to, &at, sizeof(at));
	}
	return lib != NULL ? 0
			   : err_set(e, ST_CONFIG,
				     "policy needs libsqlite3.so.0 (Debian's "
				     "libsqlite3-0): %s",
				     dlerror());
}

static bool
trouble(const char *what)
{
	log_warn("policy state: %s: %s", what, sq.errmsg(db));
	return false;
}

static bool
prepare(const char *text, sqlite3_stmt **r)
{
	return sq.prepare_v2(db, text, -1, r, NULL) == SQLITE_OK;
}

int
policy_db_open(const char *path, struct err *e)
{
	static const char schema[] =
	    "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;"
	    "CREATE TABLE IF NOT EXISTS grey (k TEXT PRIMARY KEY, a INTEGER,"
	    " b INTEGER) WITHOUT ROWID;"
	    "CREATE TABLE IF NOT EXISTS awl (k TEXT PRIMARY KEY, a INTEGER,"
	    " b INTEGER) WITHOUT ROWID;"
	    "CREATE TABLE IF NOT EXISTS rate (k TEXT PRIMARY KEY, a INTEGER,"
	    " b INTEGER) WITHOUT ROWID;";
	bool ok =
	    sq.open_v2(path, &db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE,
		       NULL) == SQLITE_OK;

	ok = ok && sq.busy_timeout(db, BUSY_MS) == SQLITE_OK &&
	     sq.exec(db, schema, NULL, NULL, NULL) == SQLITE_OK;
	for (size_t i = 0; ok && i < POLICY_TABLES; i++)
		ok = prepare(sql[i].get, &get_stmt[i]) &&
		     prepare(sql[i].put, &put_stmt[i]);
	if (ok)
		return 0;
	err_set(e, ST_TEMPFAIL, "%s: %s", path,
		db != NULL ? sq.errmsg(db) : "no memory");
	if (db != NULL)
		(void)sq.close(db);
	db = NULL;
	return -1;
}

bool
policy_db_begin(void)
{
	return sq.exec(db, "BEGIN IMMEDIATE", NULL, NULL, NULL) == SQLITE_OK ||
	       trouble("begin");
}

bool
policy_db_end(bool good)
{
	if (good && sq.exec(db, "COMMIT", NULL, NULL, NULL) == SQLITE_OK)
		return true;
	if (good)
		(void)trouble("commit");
	(void)sq.exec(db, "ROLLBACK", NULL, NULL, NULL);
	return false;
}

int
policy_db_get(enum policy_table t, const char *key, int64_t *a, int64_t *b)
{
	sqlite3_stmt *s = get_stmt[t];
	int r = SQLITE_ERROR;

	if (sq.bind_text(s, 1, key, -1, SQLITE_STATIC) == SQLITE_OK)
		r = sq.step(s);
	if (r == SQLITE_ROW) {
		*a = sq.column_int64(s, 0);
		*b = sq.column_int64(s, 1);
	} else if (r != SQLITE_DONE) {
		(void)trouble("read");
	}
	(void)sq.reset(s);
	return r == SQLITE_ROW ? 1 : r == SQLITE_DONE ? 0 : -1;
}

bool
policy_db_put(enum policy_table t, const char *key, int64_t a, int64_t b)
{
	sqlite3_stmt *s = put_stmt[t];
	bool ok = sq.bind_text(s, 1, key, -1, SQLITE_STATIC) == SQLITE_OK &&
		  sq.bind_int64(s, 2, a) == SQLITE_OK &&
		  sq.bind_int64(s, 3, b) == SQLITE_OK &&
		  sq.step(s) == SQLITE_DONE;

	if (!ok)
		(void)trouble("write");
	(void)sq.reset(s);
	return ok;
}

void
policy_db_sweep(int64_t now)
{
	const struct policy_conf *c = &policy_conf;
	char text[500];

	/* What was never let through goes with the retry window. */
	snprintf(text, sizeof(text),
		 "DELETE FROM grey WHERE b < %lld OR (b - a < %lld AND b < "
		 "%lld); DELETE FROM awl WHERE b < %lld; DELETE FROM rate "
		 "WHERE a < %lld",
		 (long long)(now - c->max_age), (long long)c->delay,
		 (long long)(now - c->retry_window),
		 (long long)(now - c->max_age),
		 (long long)(now - (c->client.seconds > c->login.seconds
					? c->client.seconds
					: c->login.seconds)));
	if (sq.exec(db, text, NULL, NULL, NULL) != SQLITE_OK)
		(void)trouble("sweep");
}
