/*
 * sql_conf.h - dovecot-sql.conf.ext: which data base, and the three queries.
 * Dovecot "SQL authentication database", "SQL connect string".
 */
#ifndef MX_AUTH_SQL_CONF_H
#define MX_AUTH_SQL_CONF_H

#include "err.h"
#include "sql.h"

struct sql_conf {
	char *driver, *connect, *scheme, *password_query, *user_query,
	    *iterate_query;
	enum sql_kind kind;
	struct sql *sql;
	struct sql_text *password, *user, *iterate;
	char *path; /* of an SQLite file, or NULL */
	char *like; /* a hash of the scheme, for users who are not there */
};

/* Reads the file, opens what it names (nothing is connected yet) and loads the
 * client's library, since a sandbox follows.  NULL: FILE:LINE and why. */
struct sql_conf *sql_conf_load(const char *path, struct err *e);
void sql_conf_free(struct sql_conf *c);

#endif
