/*
 * date.h - the dates of mail: RFC 5322 date-time with obsolete zones, and
 * IMAP's INTERNALDATE; calendar arithmetic without the C library's zone.
 * Layer: mail.  RFC 5322 3.3 and 4.3, RFC 3501 9 (date-time, date).
 */
#ifndef MX_DATE_H
#define MX_DATE_H

#include "buf.h"

struct date {
	int64_t unix_s;  /* seconds since 1970 in UTC */
	int zone_min;    /* offset east of UTC in minutes */
	bool zone_known; /* false for "-0000" and military letters */
	/* the clock as written, in that zone */
	int year, month, day, hour, minute, second; /* month 1-12 */
	int weekday; /* of that day, 0 Sunday; computed, not believed */
};

/* The value of a Date field: comments, folds, two-digit years, no seconds,
 * "GMT", "EST", "Z" ... all taken.  False: no date. */
bool date_parse(struct span s, struct date *r) MX_MUST_CHECK;
/* " 7-Feb-1994 21:52:25 -0800" of IMAP. */
bool date_parse_imap(struct span s, struct date *r) MX_MUST_CHECK;
/* "7-Feb-1994" of IMAP's SEARCH; time is midnight, zone +0000. */
bool date_parse_imap_day(struct span s, struct date *r) MX_MUST_CHECK;
/* Fills r from an instant, seen in a zone. */
void date_from_unix(struct date *r, int64_t unix_s, int zone_min);
/* The same in the local zone of this host. */
void date_from_unix_local(struct date *r, int64_t unix_s);
/* "Mon, 07 Feb 1994 21:52:25 -0800" */
void date_print(struct buf *b, const struct date *d);
/* "07-Feb-1994 21:52:25 -0800", without quotes. */
void date_print_imap(struct buf *b, const struct date *d);
/* Days since 1970-01-01 of a day of the proleptic Gregorian calendar. */
int64_t date_days(int year, int month, int day);

#endif
