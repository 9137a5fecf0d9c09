/*
 * table_sql.c - sqlite:FILE, pgsql:FILE, mysql:FILE, with Postfix's files.
 * Layer: sys.  sqlite_table(5), pgsql_table(5), mysql_table(5): "query" with
 * %s %u %d %1 .. %9, or table, select_field, where_field and
 * additional_conditions; result_format, domain, expansion_limit.
 */
#include "sql.h"

#include "escape.h"
#include "log.h"
#include "mem.h"
#include "num.h"
#include "param.h"
#include "status.h"
#include "table.h"

#include <stdlib.h>
#include <sys/stat.h>

#define VALUE_MAX 1000000 /* bytes of an answer */

/* What a template wants of the key, or of the value it formats. */
#define WANTS_USER 1u
#define WANTS_DOMAIN 2u
#define WANTS_VALUE_USER 4u
#define WANTS_VALUE_DOMAIN 8u

struct sql_table {
	char *path;
	struct stat st;
	enum sql_kind kind;
	struct sql *sql;
	struct sql_text *query;
	char *format;               /* result_format */
	unsigned wants;             /* of both templates */
	size_t labels;              /* the highest of %1 .. %9 */
	uint64_t limit;             /* expansion_limit, 0: none */
	bool utf8;                  /* the connection's encoding */
	struct match_list *domains; /* NULL: all */
};

/* One question on its way. */
struct ask {
	const struct sql_table *t;
	struct span key;
	struct buf value;
	uint64_t found;
};

/* ------- the file */

static const char *const sql_table_names[] = { "sqlite", "pgsql", "mysql",
					       NULL };
#define ALL 7u
#define OF(KIND) (1u << (KIND))
/* Postfix's words; `as`: the setting of sql.h that it stands for. */
static const struct word {
	const char *name;
	unsigned kinds;
	const char *as;
} words[] = {
	{ "dbpath", OF(SQL_SQLITE), "path" },
	{ "hosts", OF(SQL_PGSQL) | OF(SQL_MYSQL), NULL },
	{ "user", OF(SQL_PGSQL) | OF(SQL_MYSQL), "user" },
	{ "password", OF(SQL_PGSQL) | OF(SQL_MYSQL), "password" },
	{ "dbname", OF(SQL_PGSQL) | OF(SQL_MYSQL), "dbname" },
	{ "encoding", OF(SQL_PGSQL), "client_encoding" },
	{ "charset", OF(SQL_MYSQL), "charset" },
	{ "option_file", OF(SQL_MYSQL), "option_file" },
	{ "option_group", OF(SQL_MYSQL), "option_group" },
	{ "tls_cert_file", OF(SQL_MYSQL), "ssl_cert" },
	{ "tls_key_file", OF(SQL_MYSQL), "ssl_key" },
	{ "tls_CAfile", OF(SQL_MYSQL), "ssl_ca" },
	{ "tls_CApath", OF(SQL_MYSQL), "ssl_capath" },
	{ "tls_ciphers", OF(SQL_MYSQL), "ssl_cipher" },
	{ "tls_verify_cert", OF(SQL_MYSQL), "ssl_verify" },
	{ "require_result_set", OF(SQL_MYSQL), "require_rows" },
	{ "idle_interval", OF(SQL_PGSQL) | OF(SQL_MYSQL), NULL },
	{ "retry_interval", OF(SQL_PGSQL) | OF(SQL_MYSQL), NULL },
	{ "query", ALL, NULL },
	{ "select_function", OF(SQL_PGSQL), NULL },
	{ "table", ALL, NULL },
	{ "select_field", ALL, NULL },
	{ "where_field", ALL, NULL },
	{ "additional_conditions", ALL, NULL },
	{ "result_format", ALL, NULL },
	{ "domain", ALL, NULL },
	{ "expansion_limit", ALL, NULL },
};

static void
unknown_word(void *ctx, const char *name, const char *value)
{
	const struct sql_table *t = ctx;

	(void)value;
	for (size_t i = 0; i < ARRAY_LEN(words); i++)
		if (strcmp(words[i].name, name) == 0 &&
		    (words[i].kinds & OF(t->kind)))
			return;
	log_warn("%s: \"%s\" is no setting of a %s table: it is ignored",
		 t->path, name, sql_table_names[t->kind]);
}

/* The setting, or def; caller frees. */
static char *
setting(struct config *c, const char *name, const char *def)
{
	char *text = config_text(c, name);

	return text != NULL ? text : def != NULL ? mem_strdup(def) : NULL;
}

static int
setting_time(struct config *c, const char *name, int64_t *ms_r, struct err *e)
{
	char *text = setting(c, name, "60s");
	bool ok = num_time(span_of(text), 's', ms_r);

	free(text);
	return ok ? 0 : err_set(e, ST_CONFIG, "%s: expected a time", name);
}

/* "inet:HOST:PORT", "HOST:PORT", "unix:PATH", "postgresql://...". */
static void
host_address(enum sql_kind kind, struct sql_host *h, struct span host)
{
	ssize_t colon;

	if (kind == SQL_PGSQL && (span_starts(host, SPAN("postgresql://")) ||
				  span_starts(host, SPAN("postgres://")))) {
		sql_host_set(h, "dbname", host);
		return;
	}
	if (span_starts(host, SPAN("unix:")) ||
	    span_starts(host, SPAN("inet:")))
		host = span_from(host, 5);
	if (host.n > 0 && host.p[0] == '/' && kind == SQL_MYSQL) {
		sql_host_set(h, "socket", host);
		return;
	}
	colon = span_rchr(host, ':');
	if (colon >= 0) {
		sql_host_set(h, "port", span_from(host, (size_t)colon + 1));
		host = span_sub(host, 0, (size_t)colon);
	}
	sql_host_set(h, "host", host);
}

static void
host_fill(enum sql_kind kind, struct config *c, struct sql_host *h,
	  struct span host)
{
	if (kind != SQL_SQLITE)
		host_address(kind, h, host);
	for (size_t i = 0; i < ARRAY_LEN(words); i++) {
		const char *as = words[i].as;
		char *text;

		/* A URI says everything by itself. */
		if (as == NULL || !(words[i].kinds & OF(kind)) ||
		    sql_host_get(h, as) != NULL)
			continue;
		text = config_text(c, words[i].name);
		if (text == NULL)
			continue;
		if (text[0] != '\0')
			sql_host_set(h, as, span_of(text));
		explicit_bzero(text, strlen(text));
		free(text);
	}
	if (kind == SQL_PGSQL && sql_host_get(h, "client_encoding") == NULL)
		sql_host_set(h, "client_encoding", SPAN("UTF8"));
	if (kind == SQL_MYSQL && sql_host_get(h, "charset") == NULL)
		sql_host_set(h, "charset", SPAN("utf8mb4"));
	/* Unless it says "option_group =". */
	if (kind == SQL_MYSQL && sql_host_get(h, "option_group") == NULL) {
		char *text = config_text(c, "option_group");

		if (text == NULL)
			sql_host_set(h, "option_group", SPAN("client"));
		free(text);
	}
}

static int
read_hosts(struct sql_table *t, struct config *c, struct err *e)
{
	struct strs list = STRS_INIT;
	struct sql_host *hosts;
	char *text = setting(c, "hosts", "");
	int64_t idle, retry;
	size_t n;
	int r = -1;

	if (t->kind != SQL_SQLITE)
		strs_split(&list, span_of(text), ", \t\r\n");
	if (list.n == 0)
		strs_add(&list, "localhost");
	explicit_bzero(text, strlen(text));
	free(text);
	n = list.n;
	hosts = mem_alloc(n, sizeof(*hosts));
	for (size_t i = 0; i < n; i++) {
		host_fill(t->kind, c, &hosts[i], span_of(list.v[i]));
		explicit_bzero(list.v[i], strlen(list.v[i]));
	}
	if (t->kind == SQL_SQLITE && sql_host_get(&hosts[0], "path") == NULL)
		err_set(e, ST_CONFIG, "dbpath is missing");
	else if (t->kind != SQL_SQLITE &&
		 sql_host_get(&hosts[0], "dbname") == NULL)
		err_set(e, ST_CONFIG, "dbname is missing");
	else if (setting_time(c, "idle_interval", &idle, e) == 0 &&
		 setting_time(c, "retry_interval", &retry, e) == 0) {
		t->sql = sql_open(t->kind, hosts, n);
		sql_intervals(t->sql, idle, retry);
		r = 0;
	}
	for (size_t i = 0; i < n; i++)
		sql_host_free(&hosts[i]);
	free(hosts);
	strs_free(&list);
	return r;
}

/* The query that the older settings stand for. */
static char *
old_query(enum sql_kind kind, struct config *c, struct err *e)
{
	static const char *const parts[] = { "select_field", "table",
					     "where_field" };
	char *v[ARRAY_LEN(parts)] = { NULL }, *query = NULL, *more;

	if (kind == SQL_PGSQL) {
		v[0] = setting(c, "select_function", NULL);
		if (v[0] != NULL)
			query = mem_printf("SELECT %s('%%s')", v[0]);
		free(v[0]);
		v[0] = NULL;
		if (query != NULL)
			return query;
	}
	for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
		v[i] = setting(c, parts[i], NULL);
		if (v[i] == NULL || v[i][0] == '\0') {
			err_set(e, ST_CONFIG,
				"expected query, or table, select_field and "
				"where_field: %s is missing",
				parts[i]);
			goto out;
		}
	}
	more = setting(c, "additional_conditions", "");
	query = mem_printf("SELECT %s FROM %s WHERE %s = '%%s' %s", v[0], v[1],
			   v[2], more);
	free(more);
out:
	for (size_t i = 0; i < ARRAY_LEN(parts); i++)
		free(v[i]);
	return query;
}

/* ------- templates */

static size_t
hole_length(struct span rest)
{
	return rest.n >= 2 && strchr("suUdDS123456789", rest.p[1]) != NULL &&
		       rest.p[1] != '\0'
		   ? 2
		   : 0;
}

/* What "%X" wants; in result_format the small letters are of the value. */
static void
wants(struct sql_table *t, char letter, bool format)
{
	switch (letter) {
	case 'u':
		t->wants |= format ? WANTS_VALUE_USER : WANTS_USER;
		break;
	case 'd':
		t->wants |= format ? WANTS_VALUE_DOMAIN : WANTS_DOMAIN;
		break;
	case 'U':
		t->wants |= WANTS_USER;
		break;
	case 'D':
		t->wants |= WANTS_DOMAIN;
		break;
	default:
		if (!ascii_isdigit(letter))
			break;
		t->wants |= WANTS_DOMAIN;
		if ((size_t)(letter - '0') > t->labels)
			t->labels = (size_t)(letter - '0');
	}
}

static void
query_hole(void *ctx, struct span hole)
{
	wants(ctx, hole.p[1], false);
}

static int
read_templates(struct sql_table *t, struct config *c, struct err *e)
{
	char *query = setting(c, "query", NULL);
	struct span f;

	if (query == NULL || query[0] == '\0') {
		free(query);
		query = old_query(t->kind, c, e);
	}
	if (query == NULL)
		return -1;
	t->query = sql_text_parse(t->kind, span_of(query), hole_length, e);
	free(query);
	if (t->query == NULL)
		return err_prefix(e, "query");
	sql_text_holes(t->query, query_hole, t);
	t->format = setting(c, "result_format", "%s");
	f = span_of(t->format);
	for (size_t i = 0; i < f.n; i++) {
		if (f.p[i] != '%')
			continue;
		if (++i >= f.n ||
		    (f.p[i] != '%' && hole_length(span_from(f, i - 1)) == 0))
			return err_set(e, ST_CONFIG,
				       "result_format: \"%s\": expected %%s, "
				       "%%u, %%d, %%S, %%U, %%D or %%1 to %%9 "
				       "behind each %%",
				       t->format);
		wants(t, f.p[i], true);
	}
	return 0;
}

static int
read_limits(struct sql_table *t, struct config *c, struct err *e)
{
	struct strs list = STRS_INIT;
	char *text = setting(c, "expansion_limit", "0");
	bool ok = num_u64(span_of(text), INT32_MAX, &t->limit);

	free(text);
	if (!ok)
		return err_set(e, ST_CONFIG,
			       "expansion_limit: expected a number");
	text =
	    setting(c, t->kind == SQL_PGSQL ? "encoding" : "charset", "utf8");
	t->utf8 =
	    t->kind != SQL_SQLITE && span_istarts(span_of(text), SPAN("utf"));
	free(text);
	text = setting(c, "domain", "");
	strs_split_braced(&list, span_of(text));
	free(text);
	if (list.n > 0)
		t->domains = match_domains(&list, false, e);
	ok = list.n == 0 || t->domains != NULL;
	strs_free(&list);
	return ok ? 0 : -1;
}

static void
sql_table_close(void *state)
{
	struct sql_table *t = state;

	if (t->domains != NULL)
		match_free(t->domains);
	sql_close(t->sql);
	sql_text_free(t->query);
	free(t->format);
	free(t->path);
	free(t);
}

static void *
sql_table_open(const char *type, const char *name, struct err *e)
{
	struct sql_table *t = mem_alloc(1, sizeof(*t));
	struct config *c;
	int r = -1;

	if (!sql_kind_named(span_of(type), &t->kind))
		t->kind = SQL_SQLITE;
	t->path = mem_strdup(name);
	if (name[0] != '/' && name[0] != '.') {
		err_set(e, ST_CONFIG,
			"expected %s:/PATH of a file with the settings", type);
		sql_table_close(t);
		return NULL;
	}
	if (stat(name, &t->st) == 0 && (t->st.st_mode & S_IWOTH))
		log_warn("%s: everybody may write to it: chmod o-w", name);
	c = config_open(name, NULL, NULL, e);
	if (c != NULL) {
		config_each(c, "", "", unknown_word, t);
		r = read_templates(t, c, e);
		if (r == 0)
			r = read_limits(t, c, e);
		if (r == 0)
			r = read_hosts(t, c, e);
		if (r != 0)
			err_prefix(e, "%s", name);
		config_free(c);
	}
	if (r == 0)
		return t;
	sql_table_close(t);
	return NULL;
}

/* ------- a question */

/* user@domain; at -1: it is no address. */
struct parts {
	struct span whole, user, domain;
};

static struct parts
parts_of(struct span s)
{
	ssize_t at = span_rchr(s, '@');
	struct parts p = { s, s, SPAN("") };

	if (at >= 0) {
		p.user = span_sub(s, 0, (size_t)at);
		p.domain = span_from(s, (size_t)at + 1);
	}
	return p;
}

/* The n-th label from the right, 1 the first; n 0 bytes: it has none. */
static struct span
label(struct span domain, size_t n)
{
	for (; n > 0; n--) {
		ssize_t dot = span_rchr(domain, '.');

		if (n == 1)
			return span_from(domain, (size_t)(dot + 1));
		if (dot < 0)
			break;
		domain = span_sub(domain, 0, (size_t)dot);
	}
	return SPAN("");
}

/* Is there, in the key, all that the templates want? */
static bool
key_serves(const struct sql_table *t, struct span key)
{
	struct parts p = parts_of(key);

	if (key.n == 0 || memchr(key.p, '\0', key.n) != NULL)
		return false;
	if ((t->wants & WANTS_DOMAIN) && p.domain.n == 0)
		return false;
	if ((t->wants & WANTS_USER) && p.user.n == 0)
		return false;
	for (size_t i = 1; i <= t->labels; i++)
		if (label(p.domain, i).n == 0)
			return false;
	return true;
}

static struct span
part(const struct parts *p, char letter)
{
	switch (letter) {
	case 'u':
	case 'U':
		return p->user;
	case 'd':
	case 'D':
		return p->domain;
	case 's':
	case 'S':
		return p->whole;
	default:
		return label(p->domain, (size_t)(letter - '0'));
	}
}

static int
query_value(void *ctx, struct span hole, struct buf *out, struct err *e)
{
	struct ask *a = ctx;
	struct parts p = parts_of(a->key);

	(void)e;
	buf_addspan(out, part(&p, hole.p[1]));
	return 0;
}

/* One value by result_format; what cannot fill it is left out. */
static void
add_value(struct ask *a, struct span value)
{
	const struct sql_table *t = a->t;
	struct parts key = parts_of(a->key), v = parts_of(value);
	bool address = span_chr(value, '@') >= 0;

	if (value.n == 0 ||
	    ((t->wants & WANTS_VALUE_DOMAIN) && v.domain.n == 0) ||
	    ((t->wants & WANTS_VALUE_USER) && address && v.user.n == 0))
		return;
	if (a->found++ > 0)
		buf_addc(&a->value, ',');
	for (const char *f = t->format; *f != '\0'; f++) {
		if (*f != '%' || *++f == '%')
			buf_addc(&a->value, *f);
		else
			buf_addspan(&a->value,
				    part(*f == 's' || *f == 'u' || *f == 'd'
					     ? &v
					     : &key,
					 *f));
	}
}

static int
take_row(void *ctx, const struct sql_row *row, struct err *e)
{
	struct ask *a = ctx;

	/* Postfix's sqlite: takes the first column alone. */
	size_t n = a->t->kind == SQL_SQLITE && row->n > 0 ? 1 : row->n;

	for (size_t i = 0; i < n; i++) {
		if (row->values[i].p == NULL)
			continue;
		if (memchr(row->values[i].p, '\0', row->values[i].n) != NULL)
			return err_set(e, ST_TEMPFAIL, "a value with a NUL");
		add_value(a, row->values[i]);
		if (a->t->limit > 0 && a->found > a->t->limit)
			return err_set(e, ST_TEMPFAIL,
				       "more values than expansion_limit "
				       "= %llu",
				       (unsigned long long)a->t->limit);
		if (a->value.n > VALUE_MAX)
			return err_set(e, ST_TEMPFAIL,
				       "an answer of over %d bytes", VALUE_MAX);
	}
	return 0;
}

static enum table_result
sql_table_lookup(void *state, struct span key, struct buf *value, struct err *e)
{
	struct sql_table *t = state;
	struct ask a = { .t = t, .key = key, .value = BUF_INIT };
	enum table_result r = TABLE_TRY_AGAIN;

	if (t->domains != NULL) {
		struct parts p = parts_of(key);

		if (p.domain.n == 0 || p.user.n == 0)
			return TABLE_NONE;
		r = match_lookup(t->domains, p.domain, e);
		if (r != TABLE_FOUND)
			return r;
	}
	/* What is no text in the encoding stands in no column. */
	if (!key_serves(t, key) || (t->utf8 && !utf8_valid(key)))
		return TABLE_NONE;
	if (sql_ask(t->sql, t->query, query_value, take_row, &a, e) != 0) {
		r = TABLE_TRY_AGAIN;
		err_prefix(e, "%s", t->path);
	} else {
		r = a.value.n > 0 ? TABLE_FOUND : TABLE_NONE;
	}
	if (r == TABLE_FOUND) {
		buf_clear(value);
		buf_addspan(value, buf_span(&a.value));
	}
	buf_free(&a.value);
	return r;
}

static bool
sql_table_changed(void *state)
{
	struct sql_table *t = state;
	struct stat st;

	return stat(t->path, &st) == 0 &&
	       (st.st_mtim.tv_sec != t->st.st_mtim.tv_sec ||
		st.st_mtim.tv_nsec != t->st.st_mtim.tv_nsec ||
		st.st_ino != t->st.st_ino || st.st_size != t->st.st_size);
}

extern const struct table_driver table_sql;
const struct table_driver table_sql = {
	.names = sql_table_names,
	.flags = TABLE_FOLD | TABLE_NET,
	.open = sql_table_open,
	.lookup = sql_table_lookup,
	.close = sql_table_close,
	.changed = sql_table_changed,
};
