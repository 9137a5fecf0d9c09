/* Dates of header fields and of IMAP. */
#include "unit.h"

#include "date.h"

static void
test_header(void)
{
	static const struct {
		const char *in;
		bool ok;
		int64_t unix_s;
		const char *print;
	} cases[] = {
		{ "Fri, 21 Nov 1997 09:55:06 -0600", 1, 880127706,
		  "Fri, 21 Nov 1997 09:55:06 -0600" },
		{ "21 Nov 97 09:55:06 GMT", 1, 880106106,
		  "Fri, 21 Nov 1997 09:55:06 +0000" },
		{ "Tue, 1 Jul 2003 10:52:37 +0200", 1, 1057049557,
		  "Tue, 01 Jul 2003 10:52:37 +0200" },
		{ "Thu,\r\n\t13\n Feb\n 1969\n 23:32\n -0330 (Newfoundland (x) "
		  "Time)",
		  1, -27723480, "Thu, 13 Feb 1969 23:32:00 -0330" },
		{ "1 Jan 1970 00:00:00 Z", 1, 0,
		  "Thu, 01 Jan 1970 00:00:00 +0000" },
		{ "1 Jan 1970 00:00:00 A", 1, 0,
		  "Thu, 01 Jan 1970 00:00:00 -0000" },
		{ "1 Jan 1970 00:00:00 -0000", 1, 0,
		  "Thu, 01 Jan 1970 00:00:00 -0000" },
		{ "1 Jan 1970 00:00:00", 1, 0,
		  "Thu, 01 Jan 1970 00:00:00 -0000" },
		{ "Wed, 31 Dec 1969 19:00:00 EST", 1, 0,
		  "Wed, 31 Dec 1969 19:00:00 -0500" },
		{ "Mon Feb  7 21:52:25 1994", 1, 760657945,
		  "Mon, 07 Feb 1994 21:52:25 -0000" },
		{ "Mon Feb  7 21:52:25 PST 1994", 1, 760686745,
		  "Mon, 07 Feb 1994 21:52:25 -0800" },
		{ "29 Feb 2000 12:00:00 +0000", 1, 951825600,
		  "Tue, 29 Feb 2000 12:00:00 +0000" },
		{ "29 Feb 1900 12:00:00 +0000", 0, 0, "" },
		{ "7 Feb 101 00:00:00 +0000", 1, 981504000,
		  "Wed, 07 Feb 2001 00:00:00 +0000" },
		{ "32 Jan 2000 12:00:00 +0000", 0, 0, "" },
		{ "1 Jan 2000 24:00:00 +0000", 0, 0, "" },
		{ "1 Jan 2000", 0, 0, "" },
		{ "", 0, 0, "" },
		{ "(", 0, 0, "" },
		{ "yesterday", 0, 0, "" },
		/* two and three digits: RFC 5322 4.3 */
		{ "Fri, 21 Nov 49 09:55:06 GMT", 1, 2521101306,
		  "Sun, 21 Nov 2049 09:55:06 +0000" },
		{ "Fri, 21 Nov 50 09:55:06 GMT", 1, -603122694,
		  "Tue, 21 Nov 1950 09:55:06 +0000" },
		{ "Fri, 21 Nov 123 09:55:06 GMT", 1, 1700560506,
		  "Tue, 21 Nov 2023 09:55:06 +0000" },
		/* the wrong day of the week */
		{ "Mon, 21 Nov 1997 09:55:06 +0000", 1, 880106106,
		  "Fri, 21 Nov 1997 09:55:06 +0000" },
		/* zones: known words, unknown ones, numbers that are none */
		{ "21 Nov 1997 09:55:06 CEST", 1, 880098906,
		  "Fri, 21 Nov 1997 09:55:06 +0200" },
		{ "21 Nov 1997 09:55:06 MET", 1, 880106106,
		  "Fri, 21 Nov 1997 09:55:06 -0000" },
		{ "21 Nov 1997 09:55:06 GMT+0100", 1, 880106106,
		  "Fri, 21 Nov 1997 09:55:06 -0000" },
		{ "21 Nov 1997 09:55:06 +01:00", 1, 880106106,
		  "Fri, 21 Nov 1997 09:55:06 -0000" },
		{ "21 Nov 1997 09:55:06 +9999", 1, 880106106,
		  "Fri, 21 Nov 1997 09:55:06 -0000" },
		/* other people's forms */
		{ "Fri, 21-Nov-1997 9:5:6 +0100", 1, 880099506,
		  "Fri, 21 Nov 1997 09:05:06 +0100" },
		{ "Friday, 21 November 1997 09:55:06 gmt", 1, 880106106,
		  "Fri, 21 Nov 1997 09:55:06 +0000" },
		{ "Fri (x), 21 (y) Nov (z) 1997 09:55 +0000 (a) junk", 1,
		  880106100, "Fri, 21 Nov 1997 09:55:00 +0000" },
		{ "1997-11-21T09:55:06Z", 0, 0, "" },
		{ "21 Nov 1997 09.55.06 +0100", 0, 0, "" },
		{ "1 Jan 99999 00:00:00 +0000", 0, 0, "" },
	};
	size_t i;

	for (i = 0; i < ARRAY_LEN(cases); i++) {
		struct buf b = BUF_INIT;
		struct date d;
		bool ok = date_parse(span_of(cases[i].in), &d);

		CHECK(ok == cases[i].ok, "date %zu: taken", i);
		if (!ok)
			continue;
		CHECK(d.unix_s == cases[i].unix_s, "date %zu: %lld", i,
		      (long long)d.unix_s);
		date_print(&b, &d);
		CHECK(span_is(buf_span(&b), cases[i].print), "date %zu: %s", i,
		      buf_str(&b));
		buf_free(&b);
	}
}

static void
test_imap(void)
{
	static const struct {
		const char *in;
		bool ok;
		int64_t unix_s;
		const char *print;
	} cases[] = {
		{ " 7-Feb-1994 21:52:25 -0800", 1, 760686745,
		  "07-Feb-1994 21:52:25 -0800" },
		{ "17-Jul-1996 02:44:25 +0000", 1, 837571465,
		  "17-Jul-1996 02:44:25 +0000" },
		{ "17-Jul-1996 02:44:25 -0000", 1, 837571465,
		  "17-Jul-1996 02:44:25 -0000" },
		{ "7-Feb-1994 21:52:25 -0800", 0, 0, "" },
		{ "31-Feb-1994 21:52:25 -0800", 0, 0, "" },
		{ "17-Jul-1996 02:44:25  0000", 0, 0, "" },
		{ "17-Jul-1996 02:44:25 +00x0", 0, 0, "" },
	};
	struct date d;
	size_t i;

	for (i = 0; i < ARRAY_LEN(cases); i++) {
		struct buf b = BUF_INIT;
		bool ok = date_parse_imap(span_of(cases[i].in), &d);

		CHECK(ok == cases[i].ok, "imap %zu: taken", i);
		if (!ok)
			continue;
		date_print_imap(&b, &d);
		CHECK(d.unix_s == cases[i].unix_s, "imap %zu: instant", i);
		CHECK(span_is(buf_span(&b), cases[i].print), "imap %zu: %s", i,
		      buf_str(&b));
		buf_free(&b);
	}
	CHECK(date_parse_imap_day(SPAN("7-Feb-1994"), &d) &&
		  d.unix_s == 760579200,
	      "day");
	CHECK(!date_parse_imap_day(SPAN("7-Feb-94"), &d), "short year");
	CHECK(!date_parse_imap_day(SPAN("7-Foo-1994"), &d), "no month");
}

static void
test_calendar(void)
{
	int64_t t;
	bool ok = true;

	/* Every 13th day of 500 years goes there and back. */
	for (t = -8000000000; t < 8000000000; t += 13 * 86400 + 4567) {
		struct date d;

		date_from_unix(&d, t, -210);
		ok &=
		    (date_days(d.year, d.month, d.day) * 86400 + d.hour * 3600 +
		     d.minute * 60 + d.second + 210 * 60) == t;
	}
	CHECK(ok, "from and to seconds");
}

int
main(void)
{
	test_header();
	test_imap();
	test_calendar();
	return unit_done();
}
