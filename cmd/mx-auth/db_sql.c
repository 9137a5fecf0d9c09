/*
 * db_sql.c - `sql:PATH`, a file as Dovecot's dovecot-sql.conf.ext: users and
 * passwords in PostgreSQL, MySQL or SQLite.  The file is read when mx-auth
 * starts and when it is told to read its configuration again.
 * Dovecot "SQL authentication database", "Password database extra fields".
 */
#include "db.h"
#include "mem.h"
#include "scheme.h"
#include "sql_conf.h"
#include "status.h"

#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>

/* The files that were read, by their names. */
static struct map *files;

static void
conf_drop(void *c)
{
	sql_conf_free(c);
}

static int
check(const char *arg, struct err *e)
{
	struct sql_conf *c;
	struct err why = ERR_INIT;

	if (arg[0] != '/')
		return err_set(e, ST_CONFIG,
			       "an absolute path is expected, e.g. "
			       "sql:/etc/mx/sql.conf.ext");
	c = sql_conf_load(arg, &why);
	if (c == NULL) {
		*e = why;
		return -1;
	}
	if (files == NULL)
		files = map_new();
	conf_drop(map_put(files, span_of(arg), c));
	return 0;
}

static const char *
path(const char *arg)
{
	return arg;
}

/* What the clients' libraries read: names of hosts, authorities, options. */
static void
folders(const char *arg, struct strs *out)
{
	static const char *const names[] = { "/etc", "/usr", "/lib", "/run" };
	const struct sql_conf *c = map_get(files, span_of(arg));
	struct span p;

	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		strs_add(out, names[i]);
	if (c == NULL || c->path == NULL)
		return;
	/* SQLite's journal stands beside its file. */
	p = span_of(c->path);
	strs_addspan(out, span_sub(p, 0, (size_t)(span_rchr(p, '/') + 1)));
}

/* ------- one answer */

struct answer {
	struct expand_vars vars;
	struct span password; /* %w */
	bool password_known;
	size_t rows;
	struct strs fields; /* "name=value", NULL left out */
};

static int
value(void *ctx, struct span hole, struct buf *out, struct err *e)
{
	const struct answer *a = ctx;

	if (span_is(hole, "%w") || span_is(hole, "%{password}")) {
		if (!a->password_known)
			return err_set(e, ST_CONFIG,
				       "the password is not known here");
		buf_addspan(out, a->password);
		return 0;
	}
	return expand(out, hole, &a->vars, e);
}

static int
take_row(void *ctx, const struct sql_row *row, struct err *e)
{
	struct answer *a = ctx;

	(void)e;
	if (a->rows++ > 0)
		return 0; /* said when all are counted */
	for (size_t i = 0; i < row->n; i++) {
		struct span v = row->values[i];

		if (v.p == NULL)
			continue;
		if (memchr(v.p, '\0', v.n) != NULL)
			return err_set(e, ST_TEMPFAIL, "%s has a NUL byte",
				       row->names[i]);
		strs_addf(&a->fields, "%s=%.*s", row->names[i], SPAN_ARG(v));
	}
	return 0;
}

static void
answer_free(struct answer *a)
{
	for (size_t i = 0; i < a->fields.n; i++)
		explicit_bzero(a->fields.v[i], strlen(a->fields.v[i]));
	strs_free(&a->fields);
}

static const char *
field(const struct answer *a, const char *name)
{
	size_t n = strlen(name);

	for (size_t i = 0; i < a->fields.n; i++)
		if (strncmp(a->fields.v[i], name, n) == 0 &&
		    a->fields.v[i][n] == '=')
			return a->fields.v[i] + n + 1;
	return NULL;
}

/* DB_OK: there is exactly one row. */
static enum db_result
ask(const char *arg, bool user_query, struct answer *a, struct err *e)
{
	const struct sql_conf *c = map_get(files, span_of(arg));

	if (c == NULL) {
		err_set(e, ST_SOFTWARE, "%s was not read", arg);
		return DB_TEMP;
	}
	/* A name that no column can hold: no text. */
	if (sql_ask(c->sql, user_query ? c->user : c->password, value, take_row,
		    a, e) != 0)
		return DB_TEMP;
	if (a->rows > 1) {
		err_set(e, ST_CONFIG, "%s has several rows for this user",
			user_query ? "user_query" : "password_query");
		return DB_TEMP;
	}
	return a->rows == 1 ? DB_OK : DB_NONE;
}

/* ------- the password's side */

/* The stored password; "password_noscheme" has no {SCHEME} of its own. */
static enum db_result
stored_password(const char *arg, const struct answer *a, struct buf *out,
		struct err *e)
{
	const struct sql_conf *c = map_get(files, span_of(arg));
	const char *p = field(a, "password");
	const char *bare = field(a, "password_noscheme");

	if (bare != NULL)
		buf_addf(out, "{%s}%s", c->scheme, bare);
	else if (p != NULL && p[0] == '{')
		buf_adds(out, p);
	else if (p != NULL && p[0] != '\0')
		buf_addf(out, "{%s}%s", c->scheme, p);
	if (out->n > 0 && (bare == NULL || bare[0] != '\0'))
		return DB_OK;
	err_set(e, ST_NOPERM, "the account has no usable password");
	return DB_MISMATCH;
}

/* What is told of the user; "username" and "domain" make the name. */
static int
pass_fields(const struct answer *a, const char *asked, struct db_entry *r,
	    struct err *e)
{
	const char *user = field(a, "user"), *name = field(a, "username");
	const char *domain = field(a, "domain");
	struct buf b = BUF_INIT;
	ssize_t at = span_chr(span_of(asked), '@');
	int ret = 0;

	for (size_t i = 0; i < a->fields.n; i++) {
		static const char *const ours[] = {
			"password=", "password_noscheme=", "user=", "username=",
			"domain=",   "nopassword=",
		};
		struct span f = span_of(a->fields.v[i]);
		bool mine = false;

		for (size_t k = 0; k < ARRAY_LEN(ours); k++)
			mine |= span_starts(f, span_of(ours[k]));
		if (!mine)
			strs_addspan(&r->fields, f);
	}
	if (user == NULL && name == NULL && domain == NULL)
		return 0;
	if (user != NULL)
		buf_adds(&b, user);
	else if (name != NULL)
		buf_adds(&b, name);
	else
		buf_addspan(&b, span_sub(span_of(asked), 0,
					 at < 0 ? SIZE_MAX : (size_t)at));
	if (span_chr(buf_span(&b), '@') < 0 && domain != NULL && *domain)
		buf_addf(&b, "@%s", domain);
	else if (span_chr(buf_span(&b), '@') < 0 && name != NULL && at >= 0 &&
		 user == NULL)
		buf_adds(&b, asked + at);
	ret = username_check(buf_span(&b), e);
	if (ret == 0 && strcmp(buf_str(&b), asked) != 0) {
		free(r->user);
		r->user = mem_strdup(buf_str(&b));
	}
	buf_free(&b);
	return ret;
}

static enum db_result
compare(const char *arg, const struct answer *a, const struct db_query *q,
	struct db_entry *r, struct err *e)
{
	const struct sql_conf *c = map_get(files, span_of(arg));
	const char *p = field(a, "password");
	struct buf stored = BUF_INIT;
	enum db_result res;

	/* Whoever comes: the data base says so, in a field of that name. */
	if (field(a, "nopassword") != NULL && (p == NULL || p[0] == '\0'))
		return DB_OK;
	res = stored_password(arg, a, &stored, e);
	if (res == DB_OK) {
		r->hashed = true;
		switch (scheme_verify(buf_span(&stored), c->scheme, q->password,
				      e)) {
		case SCHEME_MATCH:
			break;
		case SCHEME_MISMATCH:
			res = DB_MISMATCH;
			break;
		case SCHEME_BROKEN:
			res = DB_TEMP;
			break;
		}
	}
	buf_wipe(&stored);
	return res;
}

/* The time tells nobody which users there are. */
static void
same_work(const char *arg, const struct db_query *q, struct db_entry *r)
{
	const struct sql_conf *c = map_get(files, span_of(arg));

	if (c->like == NULL)
		return;
	scheme_dummy(span_of(c->like), q->password);
	r->hashed = true;
}

static enum db_result
verify(const char *arg, const struct db_query *q, struct db_entry *r,
       struct err *e)
{
	struct answer a = { .vars = { q->user, NULL, q->service, q->remote_ip },
			    .password = q->password,
			    .password_known = true };
	enum db_result res = ask(arg, false, &a, e);

	if (res == DB_NONE)
		same_work(arg, q, r);
	if (res == DB_OK)
		res = compare(arg, &a, q, r, e);
	if (res == DB_OK && pass_fields(&a, q->user, r, e) != 0)
		res = DB_TEMP;
	answer_free(&a);
	return res;
}

static enum db_result
exists(const char *arg, const char *user, struct err *e)
{
	struct answer a = { .vars = { user, NULL, "", "" } };
	enum db_result res = ask(arg, false, &a, e);

	answer_free(&a);
	return res;
}

static enum db_result
credentials(const char *arg, const char *user, struct buf *stored,
	    struct db_entry *r, struct err *e)
{
	struct answer a = { .vars = { user, NULL, "", "" } };
	enum db_result res = ask(arg, false, &a, e);

	if (res == DB_OK)
		res = stored_password(arg, &a, stored, e);
	if (res == DB_OK && pass_fields(&a, user, r, e) != 0)
		res = DB_TEMP;
	answer_free(&a);
	return res;
}

/* ------- the user's side */

/* "uid=vmail" as "uid=5000": Dovecot takes names, too. */
static int
user_field(struct db_entry *r, const char *text, struct err *e)
{
	struct span f = span_of(text), v = span_from(f, 4);
	bool uid = span_starts(f, SPAN("uid=")),
	     gid = span_starts(f, SPAN("gid="));
	char number[16];

	if ((uid || gid) && v.n > 0 && !ascii_isdigit(v.p[0])) {
		const struct passwd *pw = uid ? getpwnam(v.p) : NULL;
		const struct group *gr = gid ? getgrnam(v.p) : NULL;

		if (pw == NULL && gr == NULL)
			return err_set(e, ST_CONFIG, "there is no %s \"%.*s\"",
				       uid ? "user" : "group",
				       SPAN_ARG(span_sub(v, 0, 40)));
		snprintf(number, sizeof(number), "%s=%lu", uid ? "uid" : "gid",
			 (unsigned long)(pw ? pw->pw_uid : gr->gr_gid));
		return db_entry_field(r, span_of(number), e);
	}
	return db_entry_field(r, f, e);
}

static enum db_result
lookup(const char *arg, const char *user, struct db_entry *r, struct err *e)
{
	struct answer a = { .vars = { user, NULL, "", "" } };
	enum db_result res = ask(arg, true, &a, e);

	for (size_t i = 0; res == DB_OK && i < a.fields.n; i++)
		if (user_field(r, a.fields.v[i], e) != 0)
			res = DB_TEMP;
	answer_free(&a);
	return res;
}

static enum db_result
prefetch(const char *arg, const char *user, struct db_entry *r, struct err *e)
{
	struct answer a = { .vars = { user, NULL, "", "" } };
	enum db_result res = ask(arg, false, &a, e);
	bool any = false;

	for (size_t i = 0; res == DB_OK && i < a.fields.n; i++) {
		if (strncmp(a.fields.v[i], "userdb_", 7) != 0)
			continue;
		any = true;
		if (user_field(r, a.fields.v[i] + 7, e) != 0)
			res = DB_TEMP;
	}
	answer_free(&a);
	return res == DB_OK && !any ? DB_NONE : res;
}

struct walk {
	void (*fn)(void *ctx, const char *user);
	void *ctx;
};

/* "username" and "domain", or "user". */
static int
each_row(void *ctx, const struct sql_row *row, struct err *e)
{
	const struct walk *w = ctx;
	struct span name = SPAN(""), domain = SPAN("");
	struct buf user = BUF_INIT;

	(void)e;
	for (size_t i = 0; i < row->n; i++) {
		if (strcmp(row->names[i], "domain") == 0)
			domain = row->values[i];
		else if (strcmp(row->names[i], "user") == 0 ||
			 strcmp(row->names[i], "username") == 0)
			name = row->values[i];
	}
	buf_addspan(&user, name);
	if (domain.n > 0 && span_chr(name, '@') < 0) {
		buf_addc(&user, '@');
		buf_addspan(&user, domain);
	}
	if (name.n > 0 && username_check(buf_span(&user), NULL) == 0)
		w->fn(w->ctx, buf_str(&user));
	buf_free(&user);
	return 0;
}

static int
no_value(void *ctx, struct span hole, struct buf *out, struct err *e)
{
	(void)ctx;
	(void)out;
	return err_set(e, ST_CONFIG, "iterate_query: %.*s has no value here",
		       SPAN_ARG(hole));
}

static int
each(const char *arg, void (*fn)(void *ctx, const char *user), void *ctx,
     struct err *e)
{
	const struct sql_conf *c = map_get(files, span_of(arg));
	struct walk w = { fn, ctx };

	if (c == NULL)
		return err_set(e, ST_SOFTWARE, "%s was not read", arg);
	return sql_ask(c->sql, c->iterate, no_value, each_row, &w, e);
}

static const struct db_driver db_sql = {
	.name = "sql",
	.needs = DB_NET,
	.check = check,
	.path = path,
	.folders = folders,
	.verify = verify,
	.exists = exists,
	.credentials = credentials,
	.lookup = lookup,
	.prefetch = prefetch,
	.each = each,
};
DB_DRIVER(db_sql);
