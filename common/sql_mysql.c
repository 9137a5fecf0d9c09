/*
 * sql_mysql.c - MariaDB's client library, which speaks to MySQL too, as a
 * client of sql.h.
 * Layer: sys.  The handful of functions and numbers are declared here as the
 * library's documentation has them, so that building needs no headers of it.
 */
#include "sql_int.h"

#include "mem.h"
#include "num.h"
#include "status.h"

#include <stdlib.h>

/* enum mysql_option */
#define OPT_CONNECT_TIMEOUT 0
#define OPT_DEFAULT_FILE 4
#define OPT_DEFAULT_GROUP 5
#define OPT_CHARSET 7
#define OPT_LOCAL_INFILE 8
#define OPT_READ_TIMEOUT 11
#define OPT_WRITE_TIMEOUT 12
#define OPT_SSL_VERIFY 21

#define CLIENT_MULTI_RESULTS (1ul << 17) /* of stored procedures */

/* errmsg.h, mysqld_error.h */
#define CLIENT_ERRORS 2000
#define SERVER_SHUTDOWN 1053
#define CONNECTION_KILLED 1927

/* The beginning of MYSQL_FIELD, which never changed. */
struct field {
	const char *name;
};

static struct {
	void *(*init)(void *c);
	int (*options)(void *c, int option, const void *arg);
	char (*ssl)(void *c, const char *key, const char *cert, const char *ca,
		    const char *capath, const char *cipher);
	void *(*connect)(void *c, const char *host, const char *user,
			 const char *password, const char *db, unsigned port,
			 const char *socket, unsigned long flags);
	void (*close)(void *c);
	const char *(*error)(void *c);
	unsigned (*number)(void *c);
	unsigned long (*escape)(void *c, char *to, const char *from,
				unsigned long n);
	int (*query)(void *c, const char *text, unsigned long n);
	void *(*store)(void *c);
	unsigned (*count)(void *c);
	int (*next)(void *c);
	void (*free)(void *result);
	unsigned (*columns)(void *result);
	struct field *(*column)(void *result);
	char **(*row)(void *result);
	unsigned long *(*lengths)(void *result);
} my;

struct my_link {
	void *c;
	bool lax; /* a query without rows is one that found nothing */
};

static int
my_load(struct err *e)
{
	static const char *const files[] = { "libmariadb.so.3", NULL };
	static const struct sql_symbol symbols[] = {
		{ "mysql_init", &my.init },
		{ "mysql_options", &my.options },
		{ "mysql_ssl_set", &my.ssl },
		{ "mysql_real_connect", &my.connect },
		{ "mysql_close", &my.close },
		{ "mysql_error", &my.error },
		{ "mysql_errno", &my.number },
		{ "mysql_real_escape_string", &my.escape },
		{ "mysql_real_query", &my.query },
		{ "mysql_store_result", &my.store },
		{ "mysql_field_count", &my.count },
		{ "mysql_next_result", &my.next },
		{ "mysql_free_result", &my.free },
		{ "mysql_num_fields", &my.columns },
		{ "mysql_fetch_field", &my.column },
		{ "mysql_fetch_row", &my.row },
		{ "mysql_fetch_lengths", &my.lengths },
	};
	static bool done;

	if (!done && sql_library(files, "libmariadb3", symbols,
				 ARRAY_LEN(symbols), e) != 0)
		return -1;
	done = true;
	return 0;
}

static int
my_trouble(void *c, struct err *e)
{
	return err_set(e, ST_TEMPFAIL, "%s", my.error(c));
}

static bool
is_lost(void *c)
{
	unsigned n = my.number(c);

	return n >= CLIENT_ERRORS || n == SERVER_SHUTDOWN ||
	       n == CONNECTION_KILLED;
}

static void
my_option(void *c, int option, const struct sql_host *h, const char *name)
{
	const char *value = sql_host_get(h, name);

	if (value != NULL)
		(void)my.options(c, option, value);
}

static void
my_options(void *c, const struct sql_host *h)
{
	unsigned connect =
	    (unsigned)sql_seconds(h, "connect_timeout", SQL_CONNECT_S);
	unsigned timeout = (unsigned)sql_seconds(h, "timeout", SQL_TIMEOUT_S);
	const char *ca = sql_host_get(h, "ssl_ca");
	const char *capath = sql_host_get(h, "ssl_capath");
	const char *cert = sql_host_get(h, "ssl_cert");
	const char *key = sql_host_get(h, "ssl_key");
	const char *cipher = sql_host_get(h, "ssl_cipher");
	const char *verify = sql_host_get(h, "ssl_verify");
	unsigned none = 0;
	char on = 1;

	/* A server may not ask for our files. */
	(void)my.options(c, OPT_LOCAL_INFILE, &none);
	(void)my.options(c, OPT_CONNECT_TIMEOUT, &connect);
	(void)my.options(c, OPT_READ_TIMEOUT, &timeout);
	(void)my.options(c, OPT_WRITE_TIMEOUT, &timeout);
	my_option(c, OPT_CHARSET, h, "charset");
	my_option(c, OPT_DEFAULT_FILE, h, "option_file");
	my_option(c, OPT_DEFAULT_GROUP, h, "option_group");
	if (ca || capath || cert || key || cipher)
		(void)my.ssl(c, key, cert, ca, capath, cipher);
	if (verify != NULL && strcmp(verify, "yes") == 0)
		(void)my.options(c, OPT_SSL_VERIFY, &on);
}

static void *
my_connect(const struct sql_host *h, struct err *e)
{
	void *c = my.init(NULL);
	const char *port = sql_host_get(h, "port");
	const char *rows = sql_host_get(h, "require_rows");
	struct my_link *l;
	const char *db = sql_host_get(h, "dbname");
	int number = 0;

	if (c == NULL) {
		err_set(e, ST_TEMPFAIL, "no memory");
		return NULL;
	}
	my_options(c, h);
	if (port != NULL && !num_int(span_of(port), 1, 65535, &number))
		err_set(e, ST_CONFIG, "\"%s\" is no port", port);
	else if (my.connect(c, sql_host_get(h, "host"), sql_host_get(h, "user"),
			    sql_host_get(h, "password"), db, (unsigned)number,
			    sql_host_get(h, "socket"), CLIENT_MULTI_RESULTS)) {
		l = mem_alloc(1, sizeof(*l));
		l->c = c;
		l->lax = rows != NULL && strcmp(rows, "no") == 0;
		return l;
	} else {
		my_trouble(c, e);
	}
	my.close(c);
	return NULL;
}

static void
my_close(void *link)
{
	struct my_link *l = link;

	my.close(l->c);
	free(l);
}

static int
my_quote(void *link, struct buf *out, struct span value, struct err *e)
{
	void *c = ((struct my_link *)link)->c;
	char *room = buf_room(out, 2 * value.n + 1);
	unsigned long n =
	    my.escape(c, room, value.p != NULL ? value.p : "", value.n);

	if (n == (unsigned long)-1)
		return my_trouble(c, e);
	buf_grew(out, n);
	return 0;
}

static int
my_rows(void *result, sql_row_fn *row, void *ctx, struct err *e)
{
	const char *names[SQL_COLUMNS];
	struct span values[SQL_COLUMNS];
	size_t n = my.columns(result);
	struct sql_row r = { n, names, values };
	char **v;

	if (n > SQL_COLUMNS)
		return err_set(e, ST_TEMPFAIL, "an answer of over %d columns",
			       SQL_COLUMNS);
	for (size_t i = 0; i < n; i++)
		names[i] = my.column(result)->name;
	while ((v = my.row(result)) != NULL) {
		const unsigned long *length = my.lengths(result);

		for (size_t i = 0; i < n; i++)
			values[i] =
			    span_make(v[i], v[i] != NULL ? length[i] : 0);
		if (row(ctx, &r, e) != 0)
			return SQL_STOPPED;
	}
	return 0;
}

/* The first result counts; a procedure's status follows it. */
static int
my_run(void *link, const char *text, sql_row_fn *row, void *ctx, bool *lost_r,
       struct err *e)
{
	struct my_link *l = link;
	void *c = l->c, *result;
	int r, more;

	if (my.query(c, text, strlen(text)) != 0) {
		*lost_r = is_lost(c);
		return my_trouble(c, e);
	}
	result = my.store(c);
	if (result == NULL && my.count(c) > 0) {
		*lost_r = is_lost(c);
		return my_trouble(c, e);
	}
	r = result != NULL ? my_rows(result, row, ctx, e)
	    : l->lax       ? 0
		     : err_set(e, ST_TEMPFAIL, "the query returns no rows");
	if (result != NULL)
		my.free(result);
	while ((more = my.next(c)) == 0) {
		result = my.store(c);
		if (result != NULL)
			my.free(result);
	}
	if (more > 0) {
		*lost_r = is_lost(c);
		return my_trouble(c, e);
	}
	return r;
}

const struct sql_client sql_mysql = {
	.load = my_load,
	.connect = my_connect,
	.quote = my_quote,
	.run = my_run,
	.close = my_close,
};
