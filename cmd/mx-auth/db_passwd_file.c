/*
 * db_passwd_file.c - `passwd-file:[scheme=NAME] [username_format=TEXT] PATH`,
 * a text file in Dovecot's format, read anew for each question, so that an
 * edit counts at once.
 */
#include "db.h"
#include "io.h"
#include "mem.h"
#include "passwd_file.h"
#include "scheme.h"
#include "status.h"

#include <stdlib.h>

struct args {
	char scheme[32];
	struct span username_format, path;
};

static int
parse_args(const char *arg, struct args *a, struct err *e)
{
	struct span rest = span_of(arg), word;

	memset(a, 0, sizeof(*a));
	memcpy(a->scheme, "CRYPT", sizeof("CRYPT"));
	while (span_word(&rest, " \t", &word)) {
		struct span v = span_from(word, 7);

		if (span_starts(word, SPAN("scheme=")) && v.n > 0 &&
		    v.n < sizeof(a->scheme)) {
			memcpy(a->scheme, v.p, v.n);
			a->scheme[v.n] = '\0';
		} else if (span_starts(word, SPAN("username_format="))) {
			a->username_format = span_from(word, 16);
		} else {
			a->path = word;
		}
	}
	if (a->path.n == 0 || a->path.p[0] != '/')
		return err_set(e, ST_CONFIG,
			       "an absolute path is expected, e.g. "
			       "passwd-file:/etc/mx/users");
	return 0;
}

static int
check(const char *arg, struct err *e)
{
	struct args a;

	return parse_args(arg, &a, e);
}

static const char *
path(const char *arg)
{
	struct args a;
	struct err e = ERR_INIT;

	/* The path is the last word: a C string of its own. */
	return parse_args(arg, &a, &e) == 0 ? a.path.p : "";
}

/* Reads the file and finds the user's line (which points into *content). */
static enum db_result
find(const struct args *a, const char *user, struct buf *content,
     struct passwd_line *l, struct err *e)
{
	struct expand_vars v = { user, NULL, NULL, NULL };
	struct buf file = BUF_INIT, name = BUF_INIT;
	enum db_result r = DB_TEMP;

	if (expand(&file, a->path, &v, e) == 0 &&
	    expand(&name,
		   a->username_format.n ? a->username_format : SPAN("%u"), &v,
		   e) == 0 &&
	    io_read_file(buf_str(&file), content, PASSWD_FILE_MAX, e) == 0) {
		r = name.n > 0 && passwd_file_find(buf_span(content),
						   buf_span(&name), l)
			? DB_OK
			: DB_NONE;
	}
	buf_free(&file);
	buf_free(&name);
	return r;
}

/* A password field that no password fits: locked, or never set. */
static bool
locked(struct span p)
{
	return p.n == 0 || p.p[0] == '!' || p.p[0] == '*' || span_is(p, "x");
}

/* userdb: fields named userdb_X count as X, others are the passdb's. */
static int
user_fields(struct db_entry *r, struct span extra, bool userdb, struct err *e)
{
	struct span word;

	while (span_word(&extra, " \t", &word)) {
		bool mine = span_starts(word, SPAN("userdb_"));

		if (mine != userdb)
			continue;
		if (db_entry_field(r, mine ? span_from(word, 7) : word, e) < 0)
			return -1;
	}
	return 0;
}

static enum db_result
verify_line(const struct args *a, const struct passwd_line *l,
	    const struct db_query *q, struct db_entry *r, struct err *e)
{
	if (locked(l->password)) {
		err_set(e, ST_NOPERM, "the account has no usable password");
		return DB_MISMATCH;
	}
	r->hashed = true;
	switch (scheme_verify(l->password, a->scheme, q->password, e)) {
	case SCHEME_MATCH:
		break;
	case SCHEME_MISMATCH:
		return DB_MISMATCH;
	case SCHEME_BROKEN:
		return DB_TEMP;
	}
	return user_fields(r, l->extra, false, e) < 0 ? DB_TEMP : DB_OK;
}

static enum db_result
verify(const char *arg, const struct db_query *q, struct db_entry *r,
       struct err *e)
{
	struct buf content = BUF_INIT;
	struct passwd_line l;
	struct args a;
	enum db_result res = DB_TEMP;

	if (parse_args(arg, &a, e) == 0)
		res = find(&a, q->user, &content, &l, e);
	if (res == DB_OK) {
		res = verify_line(&a, &l, q, r, e);
	} else if (res == DB_NONE &&
		   passwd_file_find(buf_span(&content), SPAN(""), &l) &&
		   !locked(l.password)) {
		/* The same work as for a user who is there. */
		scheme_dummy(l.password, q->password);
		r->hashed = true;
	}
	buf_wipe(&content);
	return res;
}

static enum db_result
exists(const char *arg, const char *user, struct err *e)
{
	struct buf content = BUF_INIT;
	struct passwd_line l;
	struct args a;
	enum db_result r = DB_TEMP;

	if (parse_args(arg, &a, e) == 0)
		r = find(&a, user, &content, &l, e);
	buf_wipe(&content);
	return r;
}

static enum db_result
credentials(const char *arg, const char *user, struct buf *stored,
	    struct db_entry *r, struct err *e)
{
	struct buf content = BUF_INIT;
	struct passwd_line l;
	struct args a;
	enum db_result res = DB_TEMP;

	if (parse_args(arg, &a, e) == 0)
		res = find(&a, user, &content, &l, e);
	if (res == DB_OK && locked(l.password)) {
		err_set(e, ST_NOPERM, "the account has no usable password");
		res = DB_MISMATCH;
	} else if (res == DB_OK) {
		if (l.password.p[0] != '{')
			buf_addf(stored, "{%s}", a.scheme);
		buf_addspan(stored, l.password);
		if (user_fields(r, l.extra, false, e) < 0)
			res = DB_TEMP;
	}
	buf_wipe(&content);
	return res;
}

static int
add_number(struct db_entry *r, const char *name, struct span v, struct err *e)
{
	struct buf b = BUF_INIT;
	int ret;

	buf_adds(&b, name);
	buf_addspan(&b, v);
	ret = db_entry_field(r, buf_span(&b), e);
	buf_free(&b);
	return ret;
}

static enum db_result
lookup(const char *arg, const char *user, struct db_entry *r, struct err *e)
{
	struct buf content = BUF_INIT;
	struct passwd_line l;
	struct args a;
	enum db_result res = DB_TEMP;

	if (parse_args(arg, &a, e) == 0)
		res = find(&a, user, &content, &l, e);
	if (res == DB_OK) {
		if (l.home.n > 0)
			r->home = mem_spandup(l.home);
		if (add_number(r, "uid=", l.uid, e) < 0 ||
		    add_number(r, "gid=", l.gid, e) < 0 ||
		    user_fields(r, l.extra, true, e) < 0)
			res = DB_TEMP;
	}
	buf_wipe(&content);
	return res;
}

static int
each(const char *arg, void (*fn)(void *ctx, const char *user), void *ctx,
     struct err *e)
{
	struct buf content = BUF_INIT;
	struct passwd_line l;
	struct span rest;
	struct args a;
	int r = parse_args(arg, &a, e);

	if (r == 0 && span_chr(a.path, '%') >= 0)
		r = err_set(e, ST_CONFIG, "%s: a path with variables",
			    a.path.p);
	if (r == 0)
		r = io_read_file(a.path.p, &content, PASSWD_FILE_MAX, e);
	rest = buf_span(&content);
	while (r == 0 && passwd_file_next(&rest, &l)) {
		char *user = mem_spandup(l.user);

		fn(ctx, user);
		free(user);
	}
	buf_wipe(&content);
	return r;
}

static const struct db_driver db_passwd_file = {
	.name = "passwd-file",
	.check = check,
	.path = path,
	.verify = verify,
	.exists = exists,
	.credentials = credentials,
	.lookup = lookup,
	.each = each,
};
DB_DRIVER(db_passwd_file);
