/* Addresses of envelopes (RFC 5321) and of header fields (RFC 5322). */
#include "unit.h"

#include "addr.h"

static void
test_path(void)
{
	static const struct {
		const char *in;
		bool strict, utf8, bare, ok;
		const char *local, *domain, *print;
		size_t used;
	} cases[] = {
		{ "<a@b.c>", 1, 0, 0, 1, "a", "b.c", "a@b.c", 7 },
		{ "<>", 1, 0, 0, 1, "", "", "", 2 },
		{ "<A.b+c@EX.Org> SIZE=1", 1, 0, 0, 1, "A.b+c", "ex.org",
		  "A.b+c@ex.org", 14 },
		{ "<@x.y,@z:u@d>", 1, 0, 0, 1, "u", "d", "u@d", 13 },
		{ "<\"a b\\\"c\"@d>", 1, 0, 0, 1, "a b\"c", "d",
		  "\"a b\\\"c\"@d", 12 },
		{ "<\"plain\"@d>", 1, 0, 0, 1, "plain", "d", "plain@d", 11 },
		{ "<a..b@d>", 1, 0, 0, 1, "a..b", "d", "\"a..b\"@d", 8 },
		{ "<u@[192.0.2.1]>", 1, 0, 0, 1, "u", "[192.0.2.1]",
		  "u@[192.0.2.1]", 15 },
		{ "<u@[IPv6:2001:db8::1]>", 1, 0, 0, 1, "u",
		  "[IPv6:2001:db8::1]", "u@[IPv6:2001:db8::1]", 22 },
		{ "<u@d.>", 1, 0, 0, 1, "u", "d", "u@d", 6 },
		{ "<postmaster>", 1, 0, 1, 1, "postmaster", "", "postmaster",
		  12 },
		{ "<\xc3\xbc@d>", 1, 1, 0, 1, "\xc3\xbc", "d", "\xc3\xbc@d",
		  6 },
		{ "u@d", 0, 0, 0, 1, "u", "d", "u@d", 3 },
		{ "<postmaster>", 1, 0, 0, 0, 0, 0, 0, 0 },
		{ "u@d", 1, 0, 0, 0, 0, 0, 0, 0 },
		{ "<u@d", 1, 0, 0, 0, 0, 0, 0, 0 },
		{ "<@d>", 1, 0, 0, 0, 0, 0, 0, 0 },
		{ "<u@>", 1, 0, 0, 0, 0, 0, 0, 0 },
		{ "<u@a..b>", 1, 0, 0, 0, 0, 0, 0, 0 },
		{ "<u@-a>", 1, 0, 0, 0, 0, 0, 0, 0 },
		{ "<u@a-.b>", 1, 0, 0, 1, "u", "a-.b", "u@a-.b", 8 },
		{ "<u@a@b>", 1, 0, 0, 0, 0, 0, 0, 0 },
		{ "<u@[1.2.3.400]>", 1, 0, 0, 0, 0, 0, 0, 0 },
		{ "<u@[IPv6:zz]>", 1, 0, 0, 0, 0, 0, 0, 0 },
		{ "<\"a\tb\"@d>", 1, 0, 0, 0, 0, 0, 0, 0 },
		{ "<\"\"@d>", 1, 0, 0, 0, 0, 0, 0, 0 },
		{ "<\"a@d>", 1, 0, 0, 0, 0, 0, 0, 0 },
		{ "<a b@d>", 1, 0, 0, 0, 0, 0, 0, 0 },
		{ "<\xc3\xbc@d>", 1, 0, 0, 0, 0, 0, 0, 0 },
		{ "<\xc0\x80@d>", 1, 1, 0, 0, 0, 0, 0, 0 },
		{ "<1234567890123456789012345678901234567890123456789012345"
		  "6789012345@d>",
		  1, 0, 0, 0, 0, 0, 0, 0 },
	};
	struct buf b = BUF_INIT;

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct addr a;
		struct err e = ERR_INIT;
		size_t used = 0;
		bool ok = addr_parse_path(&a, span_of(cases[i].in),
					  cases[i].strict, cases[i].utf8,
					  cases[i].bare, &used, &e) == 0;

		CHECK(ok == cases[i].ok, "path %zu \"%s\" %s", i, cases[i].in,
		      e.text);
		if (!ok || !cases[i].ok)
			continue;
		buf_clear(&b);
		addr_print(&b, &a);
		CHECK(span_is(a.local, cases[i].local) &&
			  span_is(a.domain, cases[i].domain) &&
			  used == cases[i].used &&
			  span_is(buf_span(&b), cases[i].print),
		      "path %zu parts: %s", i, buf_str(&b));
		addr_free(&a);
	}
	buf_free(&b);
}

/* name|local|domain|kind, one item a line; bad ones begin with '!'. */
static void
show(struct buf *b, const struct addr_list *l)
{
	buf_clear(b);
	for (size_t i = 0; i < l->n; i++) {
		const struct addr_item *it = &l->v[i];

		buf_addf(b, "%s%.*s|%.*s|%.*s%s\n", it->bad ? "!" : "",
			 SPAN_ARG(it->name), SPAN_ARG(it->local),
			 SPAN_ARG(it->domain),
			 it->kind == ADDR_GROUP_START ? "{"
			 : it->kind == ADDR_GROUP_END ? "}"
						      : "");
	}
}

static void
test_list(void)
{
	static const struct {
		const char *in, *want;
	} cases[] = {
		{ "a@b.c", "|a|b.c\n" },
		{ "A B <a@b>, c@d", "A B|a|b\n|c|d\n" },
		{ "\"Q, \\\"x\\\"\" <a@b>", "Q, \"x\"|a|b\n" },
		{ "a@b (Old Name)", "Old Name|a|b\n" },
		{ "(c1 (nested)) a . b @ c (x) . d", "x|a.b|c.d\n" },
		{ "G: a@b, N <c@d>;, e@f", "G||{\n|a|b\nN|c|d\n||}\n|e|f\n" },
		{ "undisclosed-recipients:;",
		  "undisclosed-recipients||{\n||}\n" },
		{ "<@r1,@r2:a@b>", "|a|b\n" },
		{ "\"a b\"@c", "!|a b|c\n" },
		{ "justaname", "!|justaname|\n" },
		{ "a b <>", "!a b||\n" },
		{ ",, a@b ,,", "|a|b\n" },
		{ "a@[192.0.2.1]", "|a|[192.0.2.1]\n" },
		{ "X <a@b", "!X|a|b\n" },
		{ "X <a@b, c@d", "!X|a|b\n|c|d\n" },
		{ "a@b c@d", "|a|b\n|c|d\n" },
		{ "J. R. <a@b>", "J. R.|a|b\n" },
		{ "=?utf-8?q?J=C3=B6?= <a@b>", "=?utf-8?q?J=C3=B6?=|a|b\n" },
		{ "", "" },
		{ "(", "" },
		{ "\"", "!||\n" },
		{ "Fold\r\n ed <a@b>", "Fold ed|a|b\n" },
		{ "<a@d@e>", "!|a|d\n" },
		{ "a@d@e", "|a|d\n!|e|\n" },
		{ "a@b, \"x <c@d>", "|a|b\n!|x <c@d>|\n" },
		{ "j..d.@x.y", "|j..d.|x.y\n" },
		{ "ceo@b.c <a@e>", "|ceo|b.c\n|a|e\n" },
		{ "a@b; c@f", "|a|b\n|c|f\n" },
		{ "J\xf6rg <j@m\xfcn.de>", "J\xf6rg|j|m\xfcn.de\n" },
	};
	struct buf b = BUF_INIT;

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct addr_list l;

		addr_list_parse(&l, span_of(cases[i].in), 0);
		show(&b, &l);
		CHECK(span_is(buf_span(&b), cases[i].want), "list %zu %s: %s",
		      i, cases[i].in, buf_str(&b));
		/* in these an address is passed over */
		CHECK(l.unread == (strstr(cases[i].in, "d@") != NULL ||
				   strstr(cases[i].in, "\"x <") != NULL),
		      "list %zu unread", i);
		addr_list_free(&l);
	}
	/* Hostile: deep comments, many items; bounded and quick. */
	buf_clear(&b);
	for (int i = 0; i < 200000; i++)
		buf_addc(&b, '(');
	struct addr_list l;

	addr_list_parse(&l, buf_span(&b), 0);
	CHECK(l.n == 0, "200,000 open comments");
	addr_list_free(&l);
	buf_clear(&b);
	for (int i = 0; i < 50000; i++)
		buf_adds(&b, "a@b,");
	addr_list_parse(&l, buf_span(&b), 0);
	CHECK(l.n == 10000, "items are bounded");
	addr_list_free(&l);
	buf_free(&b);
}

static void
test_ext(void)
{
	struct span u, x;

	CHECK(addr_split_ext(SPAN("a+b+c"), "+-", &u, &x) && span_is(u, "a") &&
		  span_is(x, "b+c"),
	      "extension at the first delimiter");
	CHECK(!addr_split_ext(SPAN("+a"), "+", &u, &x) && span_is(u, "+a"),
	      "a delimiter in front is none");
	CHECK(!addr_split_ext(SPAN("a+b"), "", &u, &x), "no delimiters");
}

/* What is checked is what is kept: a NUL does not hide the rest. */
static void
test_nul(void)
{
	static const struct span cases[] = {
		{ "<u@[192.0.2.1\0x]>", 18 },
		{ "<u@[IPv6:::1\0x]>", 17 },
		{ "<u\0v@d>", 8 },
		{ "<u@d\0e>", 8 },
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct err e = ERR_INIT;
		struct addr a;
		size_t used;

		CHECK(addr_parse_path(&a, cases[i], true, true, false, &used,
				      &e) != 0,
		      "NUL %zu: %s", i, e.text);
	}
}

int
main(void)
{
	test_path();
	test_list();
	test_ext();
	test_nul();
	return unit_done();
}
