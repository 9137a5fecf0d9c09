/*
 * test_sql.c - an answer that breaks off is never made whole by another
 * server's.
 */
#include "unit.h"

#include "mem.h"
#include "sql.h"
#include "status.h"

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

static size_t
no_hole(struct span rest MX_UNUSED)
{
	return 0;
}

static int
no_value(void *ctx MX_UNUSED, struct span hole MX_UNUSED,
	 struct buf *out MX_UNUSED, struct err *e MX_UNUSED)
{
	return 0;
}

static int
count_row(void *ctx, const struct sql_row *row, struct err *e MX_UNUSED)
{
	*(size_t *)ctx += row->n;
	return 0;
}

/* Two equal servers: an empty file is an empty data base. */
static void
two_files(struct sql_host *hosts, char *dir)
{
	static const char *const names[] = { "one", "two" };

	CHECK(mkdtemp(dir) != NULL, "a folder");
	for (size_t i = 0; i < 2; i++) {
		char *path = mem_printf("%s/%s", dir, names[i]);
		int fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);

		CHECK(fd >= 0 && close(fd) == 0, "%s", path);
		sql_host_set(&hosts[i], "path", span_of(path));
		free(path);
	}
}

int
main(void)
{
	static const struct {
		const char *query;
		size_t rows;
		int ret;
	} cases[] = {
		{ "SELECT 1 UNION ALL SELECT 2", 2, 0 },
		/* before the first row: the other server is asked, too */
		{ "SELECT abs(-9223372036854775807 - 1)", 0, -1 },
		/* the second row fails, on each server */
		{ "SELECT abs(x) FROM (SELECT 1 AS x UNION ALL SELECT "
		  "-9223372036854775807 - 1)",
		  1, -1 },
	};
	char dir[] = "/tmp/test_sql.XXXXXX";
	struct sql_host hosts[2] = { 0 };
	struct sql *s;

	two_files(hosts, dir);
	s = sql_open(SQL_SQLITE, hosts, 2);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct err e = ERR_INIT;
		struct sql_text *t = sql_text_parse(
		    SQL_SQLITE, span_of(cases[i].query), no_hole, &e);
		size_t rows = 0;
		int r;

		CHECK(t != NULL, "%s", cases[i].query);
		r = sql_ask(s, t, no_value, count_row, &rows, &e);
		CHECK(r == cases[i].ret && rows == cases[i].rows,
		      "%d and %zu rows", r, rows);
		CHECK(r == 0 || e.status == ST_TEMPFAIL, "temporary");
		sql_text_free(t);
	}
	sql_close(s);
	for (size_t i = 0; i < 2; i++) {
		CHECK(unlink(sql_host_get(&hosts[i], "path")) == 0, "unlink");
		sql_host_free(&hosts[i]);
	}
	CHECK(rmdir(dir) == 0, "rmdir");
	return unit_done();
}
