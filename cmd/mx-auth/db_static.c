/*
 * db_static.c - `static:password=TEXT` accepts every user with that password;
 * `static:uid=.. gid=.. home=.. mail=..` gives every user the same shape of
 * home.  Values may hold %-variables.
 */
#include "db.h"
#include "scheme.h"
#include "status.h"

static int
check(const char *arg, struct err *e)
{
	struct span rest = span_of(arg), word;
	struct db_entry r;
	int ret = 0;

	db_entry_init(&r);
	while (ret == 0 && span_word(&rest, " \t", &word)) {
		if (span_chr(word, '=') <= 0)
			ret =
			    err_set(e, ST_CONFIG, "\"%.*s\" is not NAME=VALUE",
				    SPAN_ARG(span_sub(word, 0, 60)));
		else
			ret = db_entry_field(&r, word, e);
	}
	db_entry_free(&r);
	return ret;
}

static enum db_result
verify(const char *arg, const struct db_query *q, struct db_entry *r,
       struct err *e)
{
	struct span rest = span_of(arg), word;
	enum db_result res = DB_MISMATCH;

	while (span_word(&rest, " \t", &word)) {
		struct span v = span_from(word, 9);

		if (!span_starts(word, SPAN("password=")) || v.n == 0)
			continue;
		r->hashed = true;
		switch (scheme_verify(v, "PLAIN", q->password, e)) {
		case SCHEME_MATCH:
			res = DB_OK;
			break;
		case SCHEME_MISMATCH:
			break;
		case SCHEME_BROKEN:
			return DB_TEMP;
		}
	}
	return res;
}

static enum db_result
exists(const char *arg MX_UNUSED, const char *user MX_UNUSED,
       struct err *e MX_UNUSED)
{
	return DB_OK;
}

static enum db_result
lookup(const char *arg, const char *user MX_UNUSED, struct db_entry *r,
       struct err *e)
{
	struct span rest = span_of(arg), word;

	while (span_word(&rest, " \t", &word))
		if (!span_starts(word, SPAN("password=")) &&
		    db_entry_field(r, word, e) < 0)
			return DB_TEMP;
	return DB_OK;
}

static const struct db_driver db_static = {
	.name = "static",
	.check = check,
	.verify = verify,
	.exists = exists,
	.lookup = lookup,
};
DB_DRIVER(db_static);
