/*
 * date.c - the dates of mail, parsed and printed.
 * Layer: mail.  RFC 5322 3.3 and 4.3, RFC 3501 9.
 */
#include <time.h>

#include "date.h"
#include "num.h"

#define TEXT_MAX 200 /* no date is longer */

static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
static const char days[] = "SunMonTueWedThuFriSat";

int64_t
date_days(int year, int month, int day)
{
	/* Days from civil: the year begins in March, eras of 400 years. */
	int64_t y = month <= 2 ? (int64_t)year - 1 : year;
	int64_t era = (y >= 0 ? y : y - 399) / 400;
	int64_t yoe = y - era * 400;
	int64_t doy = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;

	return era * 146097 + yoe * 365 + yoe / 4 - yoe / 100 + doy - 719468;
}

static int
month_days(int year, int month)
{
	static const int n[] = {
		31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31
	};
	bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;

	return n[month - 1] + (month == 2 && leap);
}

/* Checks the fields and computes instant and weekday.  RFC 5322 3.3: 60 seconds
 * are a leap second; the weekday is not believed. */
static bool
finish(struct date *d)
{
	int64_t n;

	if (d->month < 1 || d->month > 12 || d->year < 1 || d->day < 1 ||
	    d->day > month_days(d->year, d->month) || d->hour > 23 ||
	    d->minute > 59 || d->second > 60)
		return false;
	n = date_days(d->year, d->month, d->day);
	d->weekday = (int)(((n + 4) % 7 + 7) % 7);
	d->unix_s = n * 86400 + d->hour * 3600 + d->minute * 60 + d->second -
		    (int64_t)d->zone_min * 60;
	return true;
}

void
date_from_unix(struct date *r, int64_t unix_s, int zone_min)
{
	int64_t t = unix_s + (int64_t)zone_min * 60;
	int64_t z = (t >= 0 ? t : t - 86399) / 86400, s = t - z * 86400;
	int64_t era, doe, yoe, doy, mp;

	memset(r, 0, sizeof(*r));
	r->unix_s = unix_s;
	r->zone_min = zone_min;
	r->zone_known = true;
	r->weekday = (int)(((z + 4) % 7 + 7) % 7);
	z += 719468;
	era = (z >= 0 ? z : z - 146096) / 146097;
	doe = z - era * 146097;
	yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
	doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
	mp = (5 * doy + 2) / 153;
	r->day = (int)(doy - (153 * mp + 2) / 5 + 1);
	r->month = (int)(mp < 10 ? mp + 3 : mp - 9);
	r->year = (int)(yoe + era * 400 + (r->month <= 2));
	r->hour = (int)(s / 3600);
	r->minute = (int)(s / 60 % 60);
	r->second = (int)(s % 60);
}

void
date_from_unix_local(struct date *r, int64_t unix_s)
{
	time_t t = (time_t)unix_s;
	struct tm tm;

	if (!localtime_r(&t, &tm))
		memset(&tm, 0, sizeof(tm));
	date_from_unix(r, unix_s, (int)(tm.tm_gmtoff / 60));
}

/* --- reading ------------------------------------------------------------- */

/* Index of a three-letter name (longer words count by their beginning). */
static int
name_index(const char *names, size_t n, struct span word)
{
	size_t i;

	if (word.n < 3)
		return -1;
	for (i = 0; i < n; i++)
		if (span_ieq(span_sub(word, 0, 3), span_make(names + 3 * i, 3)))
			return (int)i;
	return -1;
}

/* RFC 5322 3.2.2, 4.3: the text without comments (a counter), blanks for folds.
 */
static bool
strip(struct buf *b, struct span s)
{
	size_t i, depth = 0;

	for (i = 0; i < s.n; i++) {
		char c = s.p[i];

		if (depth && c == '\\')
			i++;
		else if (c == '(')
			depth++;
		else if (depth && c == ')')
			depth--;
		else if (!depth)
			buf_addc(b, c == ',' || ascii_isspace(c) ? ' ' : c);
		if (b->n > TEXT_MAX)
			return false;
	}
	return true;
}

static bool
take_clock(struct span w, struct date *d)
{
	struct span h, m, s = SPAN("0");
	bool ok = span_split(&w, ':', &h) && span_split(&w, ':', &m);

	if (ok && w.p)
		ok = span_split(&w, ':', &s) && !w.p;
	if (ok && span_chr(s, '.') > 0)
		s.n = (size_t)span_chr(s, '.');
	return ok && num_int(h, 0, 23, &d->hour) &&
	       num_int(m, 0, 59, &d->minute) && num_int(s, 0, 60, &d->second);
}

/* RFC 5322 4.3; what is not known counts as -0000. */
static void
take_zone(struct span w, struct date *d)
{
	static const struct {
		const char *name;
		int hours;
	} rows[] = {
		{ "UT", 0 },   { "GMT", 0 },  { "UTC", 0 },  { "Z", 0 },
		{ "EDT", -4 }, { "EST", -5 }, { "CDT", -5 }, { "CST", -6 },
		{ "MDT", -6 }, { "MST", -7 }, { "PDT", -7 }, { "PST", -8 },
		{ "CET", 1 },  { "CEST", 2 }, { "BST", 1 },  { "JST", 9 },
	};
	int hhmm;
	size_t i;

	d->zone_known = false;
	if (w.n == 5 && (w.p[0] == '+' || w.p[0] == '-') &&
	    num_int(span_from(w, 1), 0, 9959, &hhmm) && hhmm % 100 < 60) {
		d->zone_min = hhmm / 100 * 60 + hhmm % 100;
		d->zone_known = w.p[0] == '+' || d->zone_min;
		if (w.p[0] == '-')
			d->zone_min = -d->zone_min;
		return;
	}
	for (i = 0; i < ARRAY_LEN(rows); i++)
		if (span_iis(w, rows[i].name)) {
			d->zone_min = rows[i].hours * 60;
			d->zone_known = true;
		}
}

static bool
take_year(struct span w, struct date *d)
{
	if (w.n < 2 || !num_int(w, 0, 9999, &d->year))
		return false;
	if (w.n == 2) /* RFC 5322 4.3 */
		d->year += d->year < 50 ? 2000 : 1900;
	else if (w.n == 3)
		d->year += 1900;
	return true;
}

/* "7-Feb-1994" into its three words. */
static size_t
split_dashes(struct span w, struct span out[3])
{
	size_t n = 0;

	if (!w.n || !ascii_isdigit(w.p[0]) || span_chr(w, '-') < 0) {
		out[0] = w;
		return 1;
	}
	while (n < 3 && span_split(&w, '-', &out[n]))
		n++;
	return n;
}

/* Words in the order "7 Feb 1994 21:52:25 -0800"; "Feb 7 21:52:25 1994" of
 * asctime(3) is seen too: what a word is tells its place. */
static bool
take_words(struct span text, struct date *d)
{
	bool day = false, month = false, year = false, clock = false;
	struct span w, part[3];
	size_t i, n;

	while (span_word(&text, " ", &w)) {
		if (clock && day && month && year) {
			take_zone(w, d);
			break;
		}
		if (!clock && span_chr(w, ':') > 0) {
			clock = take_clock(w, d);
			if (!clock)
				return false;
			continue;
		}
		n = split_dashes(w, part);
		for (i = 0; i < n; i++) {
			int m = name_index(months, 12, part[i]);

			if (!day && num_int(part[i], 1, 31, &d->day)) {
				day = true;
			} else if (!month && m >= 0) {
				d->month = m + 1;
				month = true;
			} else if (day && month && !year &&
				   take_year(part[i], d)) {
				year = true;
			} else if (clock && !year) {
				take_zone(part[i], d); /* date(1) */
			} else if (day || month) {
				return false;
			}
		}
	}
	return day && month && year && clock;
}

bool
date_parse(struct span s, struct date *r)
{
	struct date d;
	struct buf b = BUF_INIT;
	bool ok;

	memset(&d, 0, sizeof(d));
	ok = strip(&b, s) && take_words(buf_span(&b), &d) && finish(&d);
	buf_free(&b);
	if (ok)
		*r = d;
	return ok;
}

static bool
take_imap_day(struct span w, struct date *d)
{
	struct span day, mon, year;
	int m;

	if (!span_split(&w, '-', &day) || !span_split(&w, '-', &mon) ||
	    !span_split(&w, '-', &year) || w.p)
		return false;
	if (day.n == 2 && day.p[0] == ' ')
		day = span_from(day, 1);
	m = mon.n == 3 ? name_index(months, 12, mon) : -1;
	d->month = m + 1;
	return m >= 0 && year.n == 4 && day.n <= 2 &&
	       num_int(day, 1, 31, &d->day) && num_int(year, 1, 9999, &d->year);
}

bool
date_parse_imap(struct span s, struct date *r)
{
	struct date d;

	memset(&d, 0, sizeof(d));
	if (s.n != 26 || s.p[11] != ' ' || s.p[20] != ' ' ||
	    !take_imap_day(span_sub(s, 0, 11), &d) ||
	    !take_clock(span_sub(s, 12, 20), &d))
		return false;
	if (s.p[21] != '+' && s.p[21] != '-')
		return false;
	d.zone_known = false;
	take_zone(span_sub(s, 21, 26), &d);
	if ((!d.zone_known && !span_is(span_sub(s, 21, 26), "-0000")) ||
	    !finish(&d))
		return false;
	*r = d;
	return true;
}

bool
date_parse_imap_day(struct span s, struct date *r)
{
	struct date d;

	memset(&d, 0, sizeof(d));
	d.zone_known = true;
	if (!take_imap_day(s, &d) || !finish(&d))
		return false;
	*r = d;
	return true;
}

/* --- printing ------------------------------------------------------------ */

static void
add_zone(struct buf *b, const struct date *d)
{
	int m = d->zone_min < 0 ? -d->zone_min : d->zone_min;

	buf_addf(b, "%c%02d%02d", d->zone_min < 0 || !d->zone_known ? '-' : '+',
		 m / 60, m % 60);
}

void
date_print(struct buf *b, const struct date *d)
{
	buf_addf(b, "%.3s, %02d %.3s %04d %02d:%02d:%02d ",
		 days + 3 * d->weekday, d->day, months + 3 * (d->month - 1),
		 d->year, d->hour, d->minute, d->second);
	add_zone(b, d);
}

void
date_print_imap(struct buf *b, const struct date *d)
{
	buf_addf(b, "%02d-%.3s-%04d %02d:%02d:%02d ", d->day,
		 months + 3 * (d->month - 1), d->year, d->hour, d->minute,
		 d->second);
	add_zone(b, d);
}
