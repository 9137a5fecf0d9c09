/*
 * test_wire.c - every message, cut at every position and at every pair of
 * positions, gives the same result; only CRLF.CRLF ends.
 */
#include "unit.h"
#include "wire.h"

/* Cases of the scanner: wire, stored, bytes behind the end (or -1: no end). */
static const struct {
	const char *in;
	size_t n;
	const char *out;
	int rest;
	bool lf, cr;
} scans[] = {
#define W(s) s, sizeof(s) - 1
	{ W(".\r\n"), "", 0, false, false },
	{ W("a\r\n.\r\n"), "a\n", 0, false, false },
	{ W("a\r\n.\r\nQUIT\r\n"), "a\n", 6, false, false },
	{ W("\r\n.\r\n"), "\n", 0, false, false },
	{ W("..\r\n.\r\n"), ".\n", 0, false, false },
	{ W("...a\r\n.b\r\n.\r\n"), "..a\nb\n", 0, false, false },
	{ W("a\n.\nMAIL\r\n.\r\n"), "a\n.\nMAIL\n", 0, true, false },
	{ W("a\n.\r\nMAIL\r\n.\r\n"), "a\n.\nMAIL\n", 0, true, false },
	{ W("a\r\n.\nMAIL\r\n.\r\n"), "a\n\nMAIL\n", 0, true, false },
	{ W("a\r.\rMAIL\r\n.\r\n"), "a . MAIL\n", 0, false, true },
	{ W("a\r\n.\rMAIL\r\n.\r\n"), "a\n MAIL\n", 0, false, true },
	{ W("a\r\n.\r\rMAIL\r\n.\r\n"), "a\n  MAIL\n", 0, false, true },
	{ W("a\r.\r\nMAIL\r\n.\r\n"), "a .\nMAIL\n", 0, false, true },
	{ W("a\r\r\n.\r\n"), "a \n", 0, false, true },
	{ W("a\r\n.\r\r\nb\r\n.\r\n"), "a\n \nb\n", 0, false, true },
	{ W("a\n\r\n.\r\n"), "a\n\n", 0, true, false },
	{ W("a\r\n\r.\r\nb\r\n.\r\n"), "a\n .\nb\n", 0, false, true },
	{ W("a\r\n\n.\r\nb\r\n.\r\n"), "a\n\n.\nb\n", 0, true, false },
	{ W("a\r\n.\0\r\nb\r\n.\r\n"), "a\n\0\nb\n", 0, false, false },
	{ W("a\r\n\0.\r\nb\r\n.\r\n"), "a\n\0.\nb\n", 0, false, false },
	{ W("a\r\0\n.\r\nb\r\n.\r\n"), "a \0\n.\nb\n", 0, true, true },
	{ W("a\r\n. \r\n.\r\n"), "a\n \n", 0, false, false },
	{ W("\r\r\r\r\n\n\n\r\n.\r\n"), "   \n\n\n\n", 0, true, true },
	{ W("abc"), "abc", -1, false, false },
	{ W("abc\r"), "abc ", -1, false, true },
	{ W("a\n.\n"), "a\n.\n", -1, true, false },
	{ W("a\n.\r\n"), "a\n.\n", -1, true, false },
	{ W("a\r.\r"), "a . ", -1, false, true },
	{ W("a\r\n.\n"), "a\n\n", -1, true, false },
	{ W("a\r\n.\r"), "a\n ", -1, false, true },
};

/* Stored -> wire with dots, without. */
static const struct {
	const char *in;
	size_t n;
	const char *dots, *plain;
} encodes[] = {
	{ W(""), ".\r\n", "" },
	{ W("a\n"), "a\r\n.\r\n", "a\r\n" },
	{ W("a"), "a\r\n.\r\n", "a\r\n" },
	{ W(".\n"), "..\r\n.\r\n", ".\r\n" },
	{ W("..a\n.\n"), "...a\r\n..\r\n.\r\n", "..a\r\n.\r\n" },
	{ W("a\r\n.b\r\n"), "a\r\n..b\r\n.\r\n", "a\r\n.b\r\n" },
	{ W("a\rb\n"), "a b\r\n.\r\n", "a b\r\n" },
	{ W("a\r.\rb\n"), "a . b\r\n.\r\n", "a . b\r\n" },
	{ W("\r.\n"), " .\r\n.\r\n", " .\r\n" },
	{ W("a\r"), "a \r\n.\r\n", "a \r\n" },
	{ W("\r\r\n"), " \r\n.\r\n", " \r\n" },
	{ W("\n\n.\n"), "\r\n\r\n..\r\n.\r\n", "\r\n\r\n.\r\n" },
	{ W("a\n.\r\nMAIL\n"), "a\r\n..\r\nMAIL\r\n.\r\n",
	  "a\r\n.\r\nMAIL\r\n" },
};
#undef W

/* Scans the three pieces of `in`; returns the position behind the end or -1.*/
static long
scan(struct span in, size_t c1, size_t c2, struct wire_in *w, struct buf *out)
{
	size_t cut[4] = { 0, c1, c2, in.n };

	wire_in_init(w, true, WIRE_NORMALIZE);
	for (int i = 0; i < 3; i++) {
		struct span piece = span_sub(in, cut[i], cut[i + 1]);
		bool end = false;
		size_t n = wire_decode(w, out, piece, &end);

		if (end)
			return (long)(cut[i] + n);
		if (n != piece.n)
			return -2;
	}
	wire_in_finish(w, out);
	return -1;
}

static void
test_scan(size_t i)
{
	struct span in = span_make(scans[i].in, scans[i].n);
	long want = scans[i].rest < 0 ? -1 : (long)in.n - scans[i].rest;
	size_t bad = 0;

	for (size_t a = 0; a <= in.n; a++)
		for (size_t b = a; b <= in.n; b++) {
			struct wire_in w;
			struct buf out = BUF_INIT;
			long end = scan(in, a, b, &w, &out);
			/* The expected text may hold a NUL. */
			bool same =
			    memcmp(buf_str(&out), scans[i].out, out.n) == 0 &&
			    scans[i].out[out.n] == '\0';

			if (end != want || !same || w.bare_lf != scans[i].lf ||
			    w.bare_cr != scans[i].cr || w.bytes != out.n)
				bad++;
			buf_free(&out);
		}
	CHECK(bad == 0, "scan case %zu, all pairs of cuts", i);
}

static void
test_encode(size_t i, bool dots)
{
	struct span in = span_make(encodes[i].in, encodes[i].n);
	const char *want = dots ? encodes[i].dots : encodes[i].plain;
	size_t bad = 0;

	for (size_t a = 0; a <= in.n; a++)
		for (size_t b = a; b <= in.n; b++) {
			struct wire_out w;
			struct buf out = BUF_INIT;

			wire_out_init(&w, dots);
			wire_encode(&w, &out, span_sub(in, 0, a));
			wire_encode(&w, &out, span_sub(in, a, b));
			wire_encode(&w, &out, span_sub(in, b, in.n));
			wire_finish(&w, &out);
			if (!span_is(buf_span(&out), want))
				bad++;
			buf_free(&out);
		}
	CHECK(bad == 0, "encode case %zu dots %d, all pairs of cuts", i, dots);
}

/* Every text of up to 6 of these bytes: what is encoded ends where it ends,
 * and nowhere before, for our scanner. */
static void
test_round(void)
{
	static const char alphabet[] = { 'a', '.', '\r', '\n', '\0' };
	size_t total = 1, bad = 0;

	for (int i = 0; i < 6; i++)
		total *= sizeof(alphabet);
	for (size_t k = 0; k < total; k++) {
		char text[6];
		size_t v = k;
		struct wire_out wo;
		struct wire_in wi;
		struct buf wire = BUF_INIT, back = BUF_INIT;
		bool end = false;

		for (size_t i = 0; i < 6; i++, v /= sizeof(alphabet))
			text[i] = alphabet[v % sizeof(alphabet)];
		wire_out_init(&wo, true);
		wire_encode(&wo, &wire, span_make(text, 6));
		wire_finish(&wo, &wire);
		wire_in_init(&wi, true, WIRE_NORMALIZE);
		size_t n = wire_decode(&wi, &back, buf_span(&wire), &end);

		if (!end || n != wire.n || wi.bare_lf || wi.bare_cr)
			bad++;
		buf_free(&wire);
		buf_free(&back);
	}
	CHECK(bad == 0, "%zu texts survive encode and scan", total);
}

/* BDAT: no dots, nothing ends, CR at the end of a chunk waits. */
static void
test_bdat(void)
{
	struct wire_in w;
	struct buf out = BUF_INIT;
	bool end = false;

	wire_in_init(&w, false, WIRE_NORMALIZE);
	wire_decode(&w, &out, SPAN("a\r\n.\r"), &end);
	wire_decode(&w, &out, SPAN("\n..b\r"), &end);
	wire_in_finish(&w, &out);
	CHECK(!end && span_is(buf_span(&out), "a\n.\n..b "), "BDAT");
	buf_free(&out);
}

/* CRs without LF: twice the input takes no more than about twice the time;
 * a quadratic scanner would not end within the test. */
static void
test_flood(void)
{
	struct wire_in w;
	struct buf in = BUF_INIT, out = BUF_INIT;
	bool end = false;

	for (int i = 0; i < 8000000; i++)
		buf_addc(&in, i % 2 ? '\r' : 'x');
	wire_in_init(&w, true, WIRE_NORMALIZE);
	wire_decode(&w, &out, buf_span(&in), &end);
	CHECK(!end && out.n == in.n - 1, "flood of CRs");
	buf_free(&in);
	buf_free(&out);
}

int
main(void)
{
	for (size_t i = 0; i < ARRAY_LEN(scans); i++)
		test_scan(i);
	for (size_t i = 0; i < ARRAY_LEN(encodes); i++) {
		test_encode(i, true);
		test_encode(i, false);
	}
	test_round();
	test_bdat();
	test_flood();
	return unit_done();
}
