/*
 * sql_conf.c - see sql_conf.h.
 */
#include "sql_conf.h"
#include "auth.h"
#include "ext_conf.h"
#include "mem.h"
#include "scheme.h"
#include "status.h"

#include <stdlib.h>

#define ROW(NAME, MEMBER, DEF)                                                 \
	{                                                                      \
		NAME, offsetof(struct sql_conf, MEMBER), DEF                   \
	}
/* The defaults are Dovecot's. */
static const struct ext_row rows[] = {
	ROW("driver", driver, ""),
	ROW("connect", connect, ""),
	ROW("default_pass_scheme", scheme, "MD5"),
	ROW("password_query", password_query,
	    "SELECT username, domain, password FROM users "
	    "WHERE username = '%n' AND domain = '%d'"),
	ROW("user_query", user_query,
	    "SELECT home, uid, gid FROM users "
	    "WHERE username = '%n' AND domain = '%d'"),
	ROW("iterate_query", iterate_query,
	    "SELECT username, domain FROM users"),
	{ "update_query", EXT_IGNORED, NULL },
	{ "userdb_warning_disable", EXT_IGNORED, NULL },
	{ "debug", EXT_IGNORED, NULL },
};

void
sql_conf_free(struct sql_conf *c)
{
	if (c == NULL)
		return;
	ext_conf_free(rows, ARRAY_LEN(rows), c);
	sql_close(c->sql);
	sql_text_free(c->password);
	sql_text_free(c->user);
	sql_text_free(c->iterate);
	free(c->path);
	free(c->like);
	free(c);
}

/* "%u", "%Ln", "%{user}", and %w, the password. */
static size_t
hole_length(struct span rest)
{
	static const struct expand_vars known = { "u@d", "/", "s", "::1" };
	struct buf out = BUF_INIT;
	struct err e = ERR_INIT;
	size_t n = 1;
	bool ok;

	while (n < rest.n && (ascii_isdigit(rest.p[n]) || rest.p[n] == 'L' ||
			      rest.p[n] == 'U'))
		n++;
	if (n >= rest.n)
		return 0;
	if (rest.p[n] == '{') {
		ssize_t end = span_chr(rest, '}');

		if (end < 0)
			return 0;
		n = (size_t)end;
	}
	rest = span_sub(rest, 0, n + 1);
	ok = span_is(rest, "%w") || span_is(rest, "%{password}") ||
	     expand(&out, rest, &known, &e) == 0;
	buf_free(&out);
	return ok ? rest.n : 0;
}

/* ------- connect = */

/* The next NAME=VALUE; values as libpq has them: 'with blanks', \' and \\. */
static bool
next_setting(struct span *rest, struct span *name, struct buf *value)
{
	bool quoted = false;
	ssize_t eq;
	size_t i;

	*rest = span_ltrim(*rest);
	eq = span_chr(*rest, '=');
	if (eq <= 0)
		return false;
	*name = span_trim(span_sub(*rest, 0, (size_t)eq));
	*rest = span_ltrim(span_from(*rest, (size_t)eq + 1));
	buf_clear(value);
	if (rest->n > 0 && rest->p[0] == '\'') {
		quoted = true;
		*rest = span_from(*rest, 1);
	}
	for (i = 0; i < rest->n; i++) {
		if (quoted ? rest->p[i] == '\'' : ascii_isspace(rest->p[i]))
			break;
		if (rest->p[i] == '\\' && i + 1 < rest->n)
			i++;
		buf_addc(value, rest->p[i]);
	}
	*rest = span_from(*rest, quoted ? i + 1 : i);
	return true;
}

/* Dovecot's words for MySQL, where they are others than ours. */
static const char *
mysql_word(struct span name, char *room, size_t n)
{
	static const struct {
		const char *theirs, *ours;
	} words[] = {
		{ "ssl_ca_path", "ssl_capath" },
		{ "ssl_verify_server_cert", "ssl_verify" },
		{ "read_timeout", "timeout" },
		{ "write_timeout", "timeout" },
		{ "dbname", "dbname" },
	};

	for (size_t i = 0; i < ARRAY_LEN(words); i++)
		if (span_is(name, words[i].theirs))
			return words[i].ours;
	if (name.n >= n)
		return "";
	memcpy(room, name.p, name.n);
	room[name.n] = '\0';
	return room;
}

/* All settings but the hosts, which come several times. */
static int
read_settings(const struct sql_conf *c, struct sql_host *h, struct strs *hosts,
	      struct err *e)
{
	struct span rest = span_of(c->connect), name;
	struct buf value = BUF_INIT;
	char room[40];

	while (next_setting(&rest, &name, &value)) {
		const char *word;

		if (span_is(name, "host")) {
			strs_addspan(hosts, buf_span(&value));
			continue;
		}
		/* Dovecot's own. */
		if (span_is(name, "maxconns") || span_is(name, "client_flags"))
			continue;
		if (c->kind == SQL_MYSQL) {
			word = mysql_word(name, room, sizeof(room));
		} else if (name.n < sizeof(room)) {
			memcpy(room, name.p, name.n);
			room[name.n] = '\0';
			word = room;
		} else {
			word = "";
		}
		sql_host_set(h, word, buf_span(&value));
	}
	buf_wipe(&value);
	if (span_trim(rest).n > 0)
		return err_set(e, ST_CONFIG,
			       "connect: expected host=NAME dbname=NAME "
			       "user=NAME password=TEXT");
	return 0;
}

static int
read_network(struct sql_conf *c, struct err *e)
{
	struct sql_host common = { STRS_INIT, STRS_INIT }, *hosts;
	struct strs names = STRS_INIT;
	int r = read_settings(c, &common, &names, e);
	size_t n;

	if (r == 0 && names.n == 0)
		strs_add(&names, "");
	n = names.n;
	hosts = mem_alloc(n, sizeof(*hosts));
	for (size_t i = 0; i < n; i++) {
		struct span host = span_of(names.v[i]);

		if (host.n > 0)
			sql_host_set(&hosts[i],
				     c->kind == SQL_MYSQL && host.p[0] == '/'
					 ? "socket"
					 : "host",
				     host);
		for (size_t k = 0; k < common.names.n; k++)
			sql_host_set(&hosts[i], common.names.v[k],
				     span_of(common.values.v[k]));
	}
	if (r == 0)
		c->sql = sql_open(c->kind, hosts, n);
	for (size_t i = 0; i < n; i++)
		sql_host_free(&hosts[i]);
	free(hosts);
	sql_host_free(&common);
	strs_free(&names);
	return r;
}

/* "PATH [journal_mode=..] [readonly=..]": it is only read anyway. */
static int
read_sqlite(struct sql_conf *c, struct err *e)
{
	struct span rest = span_of(c->connect), path;
	struct sql_host h = { STRS_INIT, STRS_INIT };

	if (!span_word(&rest, " \t", &path) || path.p[0] != '/')
		return err_set(e, ST_CONFIG,
			       "connect: expected the path of the data base");
	c->path = mem_spandup(path);
	sql_host_set(&h, "path", path);
	c->sql = sql_open(c->kind, &h, 1);
	sql_host_free(&h);
	return 0;
}

static int
read_query(const struct sql_conf *c, const char *name, const char *text,
	   struct sql_text **r, struct err *e)
{
	*r = sql_text_parse(c->kind, span_of(text), hole_length, e);
	return *r != NULL ? 0 : err_prefix(e, "%s", name);
}

static int
read_all(struct sql_conf *c, struct err *e)
{
	struct buf like = BUF_INIT;
	struct err why = ERR_INIT;

	if (!sql_kind_named(span_of(c->driver), &c->kind))
		return err_set(e, ST_CONFIG,
			       "driver = %s: expected pgsql, mysql or sqlite",
			       c->driver);
	if (c->scheme[0] == '\0')
		return err_set(e, ST_CONFIG, "default_pass_scheme is empty");
	if ((c->kind == SQL_SQLITE ? read_sqlite(c, e) : read_network(c, e)) !=
		0 ||
	    read_query(c, "password_query", c->password_query, &c->password,
		       e) != 0 ||
	    read_query(c, "user_query", c->user_query, &c->user, e) != 0 ||
	    read_query(c, "iterate_query", c->iterate_query, &c->iterate, e) !=
		0)
		return -1;
	/* Of a scheme that makes no hashes it costs nothing. */
	if (scheme_make(&like, c->scheme, 0, SPAN("x"), &why) == 0)
		c->like = buf_steal(&like);
	buf_free(&like);
	return sql_load(c->sql, e);
}

struct sql_conf *
sql_conf_load(const char *path, struct err *e)
{
	struct sql_conf *c = mem_alloc(1, sizeof(*c));

	if (ext_conf_load(path, rows, ARRAY_LEN(rows), c, e) == 0) {
		if (read_all(c, e) == 0)
			return c;
		err_prefix(e, "%s", path);
	}
	sql_conf_free(c);
	return NULL;
}
