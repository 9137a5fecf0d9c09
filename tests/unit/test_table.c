/* Tables: every driver that needs no peer, match lists, orders of keys. */
#include "unit.h"

#include "status.h"
#include "table.h"

#include <unistd.h>

static char dir[64];

static char *
file(const char *name, const char *text)
{
	static char path[4][128];
	static int turn;
	char *p = path[turn++ % 4];
	FILE *f;

	snprintf(p, sizeof(path[0]), "%s/%s", dir, name);
	f = fopen(p, "w");
	if (f == NULL || fputs(text, f) < 0 || fclose(f) != 0)
		exit(70);
	return p;
}

static void
look(const char *spec, const char *key, const char *want)
{
	struct err e = ERR_INIT;
	struct buf v = BUF_INIT;
	struct table *t = table_open(spec, &e);
	enum table_result r = table_lookup(t, span_of(key), &v, &e);

	if (want == NULL)
		CHECK(r == TABLE_NONE, "%s [%s]: none", spec, key);
	else if (strcmp(want, "?") == 0)
		CHECK(r == TABLE_TRY_AGAIN && e.text[0] &&
			  status_is_temp(e.status),
		      "%s [%s]: %d %s", spec, key, e.status, e.text);
	else
		CHECK(r == TABLE_FOUND && strcmp(buf_str(&v), want) == 0,
		      "%s [%s]: %s", spec, key, buf_str(&v));
	buf_free(&v);
	table_close(t);
}

static void
test_drivers(void)
{
	static const char pcre[] = "# comment\n"
				   "/^a(.)c$/ one $1\n"
				   "  and ${1}x$$\n"
				   "!/example/ not example\n"
				   "if /^sub/\n"
				   "/x\\/y/i slash\n"
				   "/b$/ inside\n"
				   "endif\n"
				   "/^(a+)+$/ slow\n";
	char spec[300], evil[64];

	snprintf(spec, sizeof(spec), "hash:%s",
		 file("text", "a@b  one\n# c\nKey\ttwo\n   three\nalias: four\n"
			      "\"q k\" five\nkey second\n"));
	look(spec, "a@b", "one");
	look(spec, "KEY", "two   three");
	look(spec, "alias", "four");
	look(spec, "q k", "five");
	look(spec, "none", NULL);
	snprintf(spec, sizeof(spec), "texthash:%s",
		 file("odd", "alone\nalone:\n: x\nk v\r\n  \nlast :  w\n"));
	look(spec, "alone", NULL);
	look(spec, "k", "v");
	look(spec, "last", "w");
	look("hash:/nonexistent/table", "x", "?");
	look("nosuch:x", "x", "?");
	look("proxy:static:yes", "anything", "yes");
	look("inline:{a=b, {c = d e}}", "C", "d e");
	look("inline:{a=b}", "b", NULL);
	look("inline:{a}", "a", "?");
	look("unionmap:{static:1, inline:{k=2}}", "k", "1,2");
	look("unionmap:{inline:{k=2}, hash:/nonexistent}", "k", "?");
	snprintf(spec, sizeof(spec), "pcre:%s", file("pcre", pcre));
	look(spec, "aBc", "one B  and Bx$");
	look(spec, "other", "not example");
	look(spec, "sub example x/y", "slash");
	look(spec, "sub example b", "inside");
	look(spec, "example b", NULL);
	snprintf(spec, sizeof(spec), "regexp:%s",
		 file("bad", "/(/ unclosed\n"));
	look(spec, "x", "?");
	/* POSIX: no escapes in brackets, word ends of the C library. */
	snprintf(spec, sizeof(spec), "regexp:%s",
		 file("posix", "/^[\\d]+$/ slash or d\n/^[]x[:digit:]]+$/ set\n"
			       "/\\<word\\>/ word\n!/[^^a-z\\]/ plain\n"));
	look(spec, "\\d\\", "slash or d");
	look(spec, "]5x", "set");
	look(spec, "5d", NULL);
	look(spec, "A word!", "word");
	look(spec, "A swordfish", NULL);
	look(spec, "^\\a", "plain");
	snprintf(spec, sizeof(spec), "pcre:%s",
		 file("p", "/^[\\d]+$/ digits\n"));
	look(spec, "55", "digits");
	snprintf(spec, sizeof(spec), "pcre:%s", file("if", "if /a/\n"));
	look(spec, "x", "?");
	snprintf(spec, sizeof(spec), "pcre:%s",
		 file("slow", "/^(a+)+(b+)+c$/ slow\n"));
	memset(evil, 'a', sizeof(evil));
	evil[sizeof(evil) - 1] = '\0';
	look(spec, evil, NULL);
	snprintf(spec, sizeof(spec), "cidr:%s",
		 file("cidr", "192.0.2.1 one\n!192.0.2.0/24 outside\n"
			      "2001:db8::/32 six\n192.0.2.0/24 net\n"));
	look(spec, "192.0.2.1", "one");
	look(spec, "192.0.2.7", "net");
	look(spec, "198.51.100.1", "outside");
	look(spec, "unknown", NULL);
	look(spec, "198.51.100", NULL);
	look(spec, "2001:db9::1", NULL);
	look(spec, "::ffff:198.51.100.1", "outside");
	snprintf(spec, sizeof(spec), "cidr:%s", file("cb", "192.0.2.300 x\n"));
	look(spec, "192.0.2.1", "?");
}

static int
gather(void *ctx, const char *value, struct err *e)
{
	(void)e;
	buf_addf(ctx, "[%s]", value);
	return strcmp(value, "stop") == 0 ? -7 : 0;
}

static void
test_values(void)
{
	static const struct {
		const char *spec;
		int result;
		const char *want;
	} cases[] = {
		{ "inline:{a=one}", 0, "[one]" },
		{ "inline:{a=stop}", -7, "[stop]" },
		{ "static:all of it", 0, "[all of it]" },
		{ "pcre:{{/x(.)/ got $1}, {if /y/}, {/z/ two}, {endif}}", 0,
		  "[got $1][two]" },
		{ "cidr:{{192.0.2.0/24 net}, {::1 six}}", 0, "[net][six]" },
		{ "texthash:/nonexistent/file", 1, "" },
		{ "unionmap:{inline:{a=one}}", 1, "" },
		{ "tcp:127.0.0.1:1", 1, "" },
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct table *t = table_open(cases[i].spec, NULL);
		struct buf b = BUF_INIT;
		int r = table_values(t, gather, &b, NULL);

		CHECK(r == cases[i].result &&
			  strcmp(buf_str(&b), cases[i].want) == 0,
		      "values of %s: %d %s", cases[i].spec, r, buf_str(&b));
		buf_free(&b);
		table_close(t);
	}
}

static void
test_address(void)
{
	static const struct {
		const char *addr;
		bool local;
		const char *want;
	} cases[] = {
		{ "u+x@d.test", true, "full" },
		{ "u+y@d.test", true, "plain" },
		{ "v+z@d.test", true, "userext" },
		{ "v+y@d.test", true, "user" },
		{ "v+y@d.test", false, "all" },
		{ "w@d.test", true, "all" },
		{ "w@e.test", true, NULL },
	};
	struct strs specs = STRS_INIT;
	struct tables ts;
	struct buf v = BUF_INIT;

	strs_add(&specs, "inline:{u+x@d.test=full, u@d.test=plain, "
			 "v+z=userext, v=user, @d.test=all}");
	tables_open(&ts, &specs);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		enum table_result r =
		    tables_lookup_address(&ts, span_of(cases[i].addr), "+",
					  cases[i].local, &v, NULL, NULL);

		CHECK(cases[i].want == NULL
			  ? r == TABLE_NONE
			  : r == TABLE_FOUND &&
				strcmp(buf_str(&v), cases[i].want) == 0,
		      "address %zu", i);
	}
	tables_close(&ts);
	strs_free(&specs);
	buf_free(&v);
}

static void
test_match(void)
{
	static const struct {
		const char *words, *key;
		bool networks, parents;
		enum table_result want;
	} cases[] = {
		{ "127.0.0.0/8 [::1]/128", "127.1.2.3", true, false,
		  TABLE_FOUND },
		{ "127.0.0.0/8 [::1]/128", "::1", true, false, TABLE_FOUND },
		{ "127.0.0.0/8", "128.0.0.1", true, false, TABLE_NONE },
		{ "[::ffff:127.0.0.0]/104", "127.0.0.9", true, false,
		  TABLE_FOUND },
		{ "10.0.0.0/8", "::ffff:10.1.1.1", true, false, TABLE_FOUND },
		{ "!10.0.0.5 10.0.0.0/8", "10.0.0.5", true, false, TABLE_NONE },
		{ "0.0.0.0/0", "unknown", true, false, TABLE_NONE },
		{ "10.0.0.0/8", "unknown", true, false, TABLE_NONE },
		{ "a.test, b.test", "B.TEST", false, false, TABLE_FOUND },
		{ "a.test", "x.a.test", false, false, TABLE_NONE },
		{ "a.test", "x.a.test", false, true, TABLE_FOUND },
		{ ".a.test", "x.a.test", false, false, TABLE_FOUND },
		{ "a.test", "xa.test", false, true, TABLE_NONE },
		{ "inline:{t.test=1}", "t.test", false, false, TABLE_FOUND },
		{ "hash:/nonexistent", "t", false, false, TABLE_TRY_AGAIN },
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct strs w = STRS_INIT;
		struct match_list *m;

		strs_split_braced(&w, span_of(cases[i].words));
		m = cases[i].networks
			? match_networks(&w, NULL)
			: match_domains(&w, cases[i].parents, NULL);
		CHECK(m != NULL && match_lookup(m, span_of(cases[i].key),
						NULL) == cases[i].want,
		      "match %zu: %s in %s", i, cases[i].key, cases[i].words);
		match_free(m);
		strs_free(&w);
	}
}

int
main(void)
{
	snprintf(dir, sizeof(dir), "/tmp/mxtable.%ld", (long)getpid());
	char cmd[128];

	snprintf(cmd, sizeof(cmd), "mkdir -p %s", dir);
	if (system(cmd) != 0)
		return 70;
	test_drivers();
	test_values();
	test_address();
	test_match();
	snprintf(cmd, sizeof(cmd), "rm -rf %s", dir);
	return system(cmd) != 0 ? 70 : unit_done();
}
