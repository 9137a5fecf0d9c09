/* Encoded words and charsets. */
#include "unit.h"

#include <time.h>

#include "encword.h"
#include "escape.h"

static void
test_words(void)
{
	static const struct {
		const char *in, *out;
	} cases[] = {
		{ "plain text", "plain text" },
		/* RFC 2047 8 */
		{ "=?US-ASCII?Q?Keith_Moore?= <moore@cs.utk.edu>",
		  "Keith Moore <moore@cs.utk.edu>" },
		{ "=?ISO-8859-1?Q?Keld_J=F8rn_Simonsen?=",
		  "Keld J\xc3\xb8rn Simonsen" },
		{ "=?ISO-8859-1?Q?Andr=E9?= Pirard", "Andr\xc3\xa9 Pirard" },
		{ "=?ISO-8859-1?B?SWYgeW91IGNhbiByZWFkIHRoaXMgeW8=?=\r\n "
		  "=?ISO-8859-2?B?dSB1bmRlcnN0YW5kIHRoZSBleGFtcGxlLg==?=",
		  "If you can read this you understand the example." },
		{ "(=?ISO-8859-1?Q?a?=)", "(a)" },
		{ "(=?ISO-8859-1?Q?a?= b)", "(a b)" },
		{ "(=?ISO-8859-1?Q?a?= =?ISO-8859-1?Q?b?=)", "(ab)" },
		{ "(=?ISO-8859-1?Q?a?=  \r\n  =?ISO-8859-1?Q?b?=)", "(ab)" },
		{ "(=?ISO-8859-1?Q?a_b?=)", "(a b)" },
		{ "(=?ISO-8859-1?Q?a?= =?ISO-8859-2?Q?_b?=)", "(a b)" },
		/* RFC 2231 5 */
		{ "=?US-ASCII*EN?Q?Keith_Moore?=", "Keith Moore" },
		/* a character split between words */
		{ "=?utf-8?Q?a=C3?= =?utf-8?Q?=A9?=", "a\xc3\xa9" },
		{ "=?utf-8?B?w6k?=", "\xc3\xa9" },
		{ "=?utf-8?Q?=ff?=", "\xef\xbf\xbd" },
		{ "=?iso-2022-jp?B?GyRCRnxLXBsoQg==?=",
		  "\xe6\x97\xa5\xe6\x9c\xac" },
		{ "=?no-such-charset?Q?a=20b?= c",
		  "=?no-such-charset?Q?a=20b?= c" },
		{ "=?utf-8//IGNORE?Q?a?=", "=?utf-8//IGNORE?Q?a?=" },
		{ "=?utf-8?X?a?= =?utf-8?Q?a b?= =?utf-8?Q?",
		  "=?utf-8?X?a?= =?utf-8?Q?a b?= =?utf-8?Q?" },
		{ "=?utf-8?Q?a=0D=0AX:_y=00?=", "a  X: y " },
		{ "bare \xe9", "bare \xc3\xa9" },
		{ "bare \xc3\xa9", "bare \xc3\xa9" },
		{ "fold\r\n ed", "fold ed" },
		/* words without a blank around them, in quotes, in an atom */
		{ "=?utf-8?Q?a?==?utf-8?Q?b?=", "ab" },
		{ "x=?utf-8?Q?a?=b", "xab" },
		{ "\"=?utf-8?Q?a?=\" <b@c>", "\"a\" <b@c>" },
		/* blanks in a word */
		{ "=?utf-8?Q?not this?=", "=?utf-8?Q?not this?=" },
		{ "=?utf-8?B?w6k= ?=", "=?utf-8?B?w6k= ?=" },
		/* bytes, signs and codes that may not be there */
		{ "=?utf-8?Q?raw\xc3\xa9?=", "raw\xc3\xa9" },
		{ "=?utf-8?Q?bad=G1=?=", "bad=G1=" },
		{ "=?utf-8?B?w6k=!?=", "\xc3\xa9" },
		{ "=?utf-8?Q?a?b?=", "=?utf-8?Q?a?b?=" },
		{ "=?utf-8?Q?"
		  "?=x",
		  "x" },
		/* half a character, and no other half */
		{ "=?utf-8?Q?half=C3?= x", "half\xef\xbf\xbd x" },
		/* names of charsets that are not in the register */
		{ "=?UTF8?Q?=C3=A9?=", "\xc3\xa9" },
		{ "=?latin1?Q?=E9?=", "\xc3\xa9" },
		{ "=?cp1252?Q?=80?=", "\xe2\x82\xac" },
		{ "=?iso-8859-1?Q?=80uro?=", "\xe2\x82\xacuro" },
		{ "=?ks_c_5601-1987?B?x9GxuQ==?=", "\xed\x95\x9c\xea\xb5\xad" },
		{ "=?gb2312?B?xOO6ww==?=", "\xe4\xbd\xa0\xe5\xa5\xbd" },
		{ "=?unknown-8bit?Q?=E9?=", "=?unknown-8bit?Q?=E9?=" },
		{ "=?us-ascii?Q?=E9?=", "\xef\xbf\xbd" },
		{ "", "" },
	};
	size_t i;

	for (i = 0; i < ARRAY_LEN(cases); i++) {
		struct buf b = BUF_INIT;

		encword_decode(&b, span_of(cases[i].in));
		CHECK(span_is(buf_span(&b), cases[i].out), "word %zu: %s", i,
		      buf_str(&b));
		buf_free(&b);
	}
}

/* RFC 2047 2: 75 bytes; more is met, and read. */
static void
test_long_word(void)
{
	struct buf in = BUF_INIT, out = BUF_INIT;

	buf_adds(&in, "=?utf-8?Q?");
	for (int i = 0; i < 3000; i++)
		buf_addc(&in, 'a');
	buf_adds(&in, "?=");
	encword_decode(&out, buf_span(&in));
	CHECK(out.n == 3000 && out.p[0] == 'a', "long word: %zu", out.n);
	buf_free(&in);
	buf_free(&out);
}

static void
test_ext(void)
{
	static const struct {
		const char *in, *out;
	} cases[] = {
		{ "us-ascii'en-us'This%20is%20%2A%2A%2Afun%2A%2A%2A",
		  "This is ***fun***" },
		{ "iso-8859-1''%a3%20rates", "\xc2\xa3 rates" },
		{ "''%c3%a9", "\xc3\xa9" },
		{ "plain%", "plain%" },
		{ "x'y", "x'y" },
	};
	size_t i;

	for (i = 0; i < ARRAY_LEN(cases); i++) {
		struct buf b = BUF_INIT;

		encword_decode_ext(&b, span_of(cases[i].in));
		CHECK(span_is(buf_span(&b), cases[i].out), "ext %zu: %s", i,
		      buf_str(&b));
		buf_free(&b);
	}
}

static void
test_encode(void)
{
	struct buf in = BUF_INIT, out = BUF_INIT, back = BUF_INIT;
	struct span rest, word;
	bool shortw = true;
	int i;

	for (i = 0; i < 50; i++)
		buf_adds(&in, "\xe2\x82\xac");
	encword_encode(&out, buf_span(&in));
	encword_decode(&back, buf_span(&out));
	CHECK(span_eq(buf_span(&in), buf_span(&back)), "there and back");
	rest = buf_span(&out);
	while (span_word(&rest, " ", &word))
		shortw &= word.n <= 75;
	CHECK(shortw, "no word above 75");
	buf_clear(&out);
	encword_encode(&out, SPAN("plain"));
	CHECK(span_is(buf_span(&out), "plain"), "ASCII stays");
	buf_free(&in);
	buf_free(&out);
	buf_free(&back);
}

static double
seconds_for(const char *unit, int n)
{
	struct buf in = BUF_INIT, out = BUF_INIT;
	struct timespec a, b;

	while (n--)
		buf_adds(&in, unit);
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &a);
	encword_decode(&out, buf_span(&in));
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &b);
	buf_free(&in);
	buf_free(&out);
	return (double)(b.tv_sec - a.tv_sec) +
	       (double)(b.tv_nsec - a.tv_nsec) / 1e9;
}

static void
test_linear(void)
{
	static const char *const units[] = { "=?",
					     "=?a?q?",
					     "=?utf-8?q?a?= ",
					     "=?latin1?q?a?= =?koi8-r?q?a?= ",
					     "=",
					     "\xff" };
	size_t i;

	for (i = 0; i < ARRAY_LEN(units); i++) {
		double a = seconds_for(units[i], 40000);
		double b = seconds_for(units[i], 80000);

		CHECK(b < 3 * a + 0.05, "linear on %s: %f %f", units[i], a, b);
	}
}

int
main(void)
{
	test_words();
	test_long_word();
	test_ext();
	test_encode();
	test_linear();
	return unit_done();
}
