/*
 * test_srs.c - SRS addresses: there and back, by hand and by others' keys.
 */
#include "srs.h"
#include "unit.h"

#define NOW 1700000000

static struct srs ours = { .domain = "fwd.example",
			   .max_age = 21,
			   .hash_length = 4,
			   .separator = '=' };

static void
test_round_trip(void)
{
	static const char *const cases[] = {
		"joe@example.org",
		"Joe.User+tag@Example.ORG",
		"a=b@example.org",
		"\"quoted local\"@example.org",
		"SRS0+HHH=TT=first.example=joe@other.example",
		"SRS0=HHH=TT=first.example=a=b@other.example",
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct buf f = BUF_INIT, b = BUF_INIT;
		struct err e = ERR_INIT;

		CHECK(srs_forward(&ours, &f, span_of(cases[i]), NOW, &e) == 0,
		      "%s: forward", cases[i]);
		CHECK(span_ends(buf_span(&f), SPAN("@fwd.example")),
		      "%s: our domain", buf_str(&f));
		CHECK(srs_reverse(&ours, &b, buf_span(&f), NOW + 86400, &e) ==
			  0,
		      "%s: reverse", buf_str(&f));
		CHECK(strcmp(cases[i], buf_str(&b)) == 0, "%s and back",
		      cases[i]);
		buf_free(&f);
		buf_free(&b);
	}
}

/* Made by another implementation with the same secret. */
static void
test_known(void)
{
	static const char *const pairs[][2] = {
		{ "joe@example.org",
		  "SRS0=uwp1=G3=example.org=joe@fwd.example" },
		{ "SRS0=HHH=TT=first.example=joe@other.example",
		  "SRS1=Hx1W=other.example==HHH=TT=first.example=joe@fwd."
		  "example" },
	};

	for (size_t i = 0; i < ARRAY_LEN(pairs); i++) {
		struct buf f = BUF_INIT;
		struct err e = ERR_INIT;

		CHECK(srs_forward(&ours, &f, span_of(pairs[i][0]), NOW, &e) ==
			      0 &&
			  strcmp(buf_str(&f), pairs[i][1]) == 0,
		      "%s", pairs[i][1]);
		buf_free(&f);
	}
}

static int
reverse(const char *addr, int64_t now)
{
	struct buf b = BUF_INIT;
	struct err e = ERR_INIT;
	int r = srs_reverse(&ours, &b, span_of(addr), now, &e);

	buf_free(&b);
	return r;
}

static void
test_refused(void)
{
	static const char *const bad[] = {
		"joe@fwd.example",
		"SRS0@fwd.example",
		"SRS0=@fwd.example",
		"SRS0=AAAA=BB=example.org=joe@fwd.example",
		"SRS0=AAAA=BB=example.org=@fwd.example",
		"SRS0=AAAA=BB@fwd.example",
		"SRS1=AAAA=host@fwd.example",
		"SRS1=AAAA=host==x@fwd.example",
		"SRS0====@fwd.example",
		"SRS0",
		"",
	};
	struct buf f = BUF_INIT;
	struct err e = ERR_INIT;

	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		CHECK(reverse(bad[i], NOW) != 0, "refused: %s", bad[i]);
	CHECK(srs_forward(&ours, &f, SPAN("joe@example.org"), NOW, &e) == 0,
	      "forward");
	CHECK(reverse(buf_str(&f), NOW + 21 * 86400) == 0, "21 days");
	CHECK(reverse(buf_str(&f), NOW + 23 * 86400) != 0, "expired");
	CHECK(reverse(buf_str(&f), NOW - 2 * 86400) != 0, "from the future");
	/* each byte of it counts, but for case */
	for (size_t i = 5; i < f.n - strlen("@fwd.example"); i++) {
		char was = f.p[i];

		f.p[i] = was == 'x' ? 'y' : 'x';
		if (ascii_tolower(was) != ascii_tolower(f.p[i]))
			CHECK(reverse(buf_str(&f), NOW) != 0, "changed: %s",
			      buf_str(&f));
		f.p[i] = was;
	}
	for (size_t i = 0; i < f.n; i++)
		f.p[i] = ascii_tolower(f.p[i]);
	CHECK(reverse(buf_str(&f), NOW) == 0, "lower case");
	buf_free(&f);
	CHECK(srs_forward(&ours, &f, SPAN("local"), NOW, &e) != 0, "no domain");
	CHECK(srs_forward(&ours, &f, SPAN("SRS1=x@y"), NOW, &e) != 0,
	      "bad SRS1");
	buf_free(&f);
}

static void
test_rotation(void)
{
	struct srs next = ours;
	struct buf f = BUF_INIT, g = BUF_INIT;
	struct err e = ERR_INIT;

	next.secrets = STRS_INIT;
	strs_add(&next.secrets, "new secret");
	CHECK(srs_forward(&ours, &f, SPAN("joe@example.org"), NOW, &e) == 0,
	      "forward");
	CHECK(srs_reverse(&next, &g, buf_span(&f), NOW, &e) != 0,
	      "another key");
	strs_add(&next.secrets, "old secret");
	CHECK(srs_reverse(&next, &g, buf_span(&f), NOW, &e) == 0,
	      "the old key verifies");
	buf_clear(&f);
	CHECK(srs_forward(&next, &f, SPAN("joe@example.org"), NOW, &e) == 0,
	      "signed with the new");
	CHECK(reverse(buf_str(&f), NOW) != 0, "not by the old");
	buf_free(&f);
	buf_free(&g);
	strs_free(&next.secrets);
}

int
main(void)
{
	strs_add(&ours.secrets, "old secret");
	test_round_trip();
	test_known();
	test_refused();
	test_rotation();
	strs_free(&ours.secrets);
	return unit_done();
}
