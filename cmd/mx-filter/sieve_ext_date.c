/*
 * sieve_ext_date.c - the tests date and currentdate, and ":index", ":last".
 * RFC 5260.
 */
#include "clock.h"
#include "date.h"
#include "num.h"
#include "sieve.h"

#include <stdio.h>
#include <stdlib.h>

static void
add_zone(struct buf *b, int min, bool colon)
{
	int a = min < 0 ? -min : min;

	buf_addf(b, "%c%02d%s%02d", min < 0 ? '-' : '+', a / 60,
		 colon ? ":" : "", a % 60);
}

/* RFC 5260 4.2 */
static bool
add_part(struct buf *b, const struct date *d, struct span part)
{
	if (span_iis(part, "year"))
		buf_addf(b, "%04d", d->year);
	else if (span_iis(part, "month"))
		buf_addf(b, "%02d", d->month);
	else if (span_iis(part, "day"))
		buf_addf(b, "%02d", d->day);
	else if (span_iis(part, "date"))
		buf_addf(b, "%04d-%02d-%02d", d->year, d->month, d->day);
	else if (span_iis(part, "julian")) /* the modified one */
		buf_addf(b, "%lld",
			 (long long)date_days(d->year, d->month, d->day) +
			     40587);
	else if (span_iis(part, "hour"))
		buf_addf(b, "%02d", d->hour);
	else if (span_iis(part, "minute"))
		buf_addf(b, "%02d", d->minute);
	else if (span_iis(part, "second"))
		buf_addf(b, "%02d", d->second);
	else if (span_iis(part, "time"))
		buf_addf(b, "%02d:%02d:%02d", d->hour, d->minute, d->second);
	else if (span_iis(part, "iso8601"))
		buf_addf(b, "%04d-%02d-%02dT%02d:%02d:%02d", d->year, d->month,
			 d->day, d->hour, d->minute, d->second);
	else if (span_iis(part, "std11"))
		date_print(b, d);
	else if (span_iis(part, "weekday"))
		buf_addf(b, "%d", d->weekday);
	else if (!span_iis(part, "zone"))
		return false;
	if (span_iis(part, "iso8601"))
		add_zone(b, d->zone_min, true);
	if (span_iis(part, "zone"))
		add_zone(b, d->zone_min, false);
	return true;
}

/* "+0200", "-1030" in minutes. */
static bool
parse_zone(const char *text, int *min_r)
{
	struct span s = span_of(text);
	uint64_t hours, min;

	if (s.n != 5 || (s.p[0] != '+' && s.p[0] != '-') ||
	    !num_u64(span_sub(s, 1, 3), 99, &hours) ||
	    !num_u64(span_sub(s, 3, 5), 59, &min) || hours > 24)
		return false;
	*min_r = (int)(hours * 60 + min) * (s.p[0] == '-' ? -1 : 1);
	return true;
}

struct when {
	struct sieve_run *r;
	const struct sieve_node *n;
	struct span part;
	const struct sieve_arg *keys;
};

static int
match_date(struct when *w, const struct date *was)
{
	const struct sieve_arg *zone = sieve_value(w->n, ":zone");
	struct buf b = BUF_INIT;
	struct date d = *was;
	int min = 0, yes = 0;

	if (zone != NULL && parse_zone(zone->strings.v[0], &min))
		date_from_unix(&d, was->unix_s, min);
	else if (sieve_has(w->n, ":originalzone") == NULL && w->r->now != 0)
		date_from_unix(&d, was->unix_s, w->r->zone);
	else if (sieve_has(w->n, ":originalzone") == NULL)
		date_from_unix_local(&d, was->unix_s);
	if (add_part(&b, &d, w->part))
		yes = sieve_match(w->r, w->n, buf_span(&b), w->keys);
	buf_free(&b);
	return yes;
}

/* RFC 5260 4: the date stands at the end of a Received field, behind the last
 * ";". */
static int
field_date(void *ctx, struct span value)
{
	struct when *w = ctx;
	ssize_t semicolon = span_rchr(value, ';');
	struct date d;

	if (semicolon >= 0)
		value = span_from(value, (size_t)semicolon + 1);
	return date_parse(value, &d) ? match_date(w, &d) : 0;
}

static int
run_date(struct sieve_run *r, const struct sieve_node *n)
{
	struct when w = { r, n, span_of(sieve_pos(n, 1)->strings.v[0]),
			  sieve_pos(n, 2) };

	return sieve_each_value(r, n, sieve_pos(n, 0), true, field_date, &w);
}

static int
run_currentdate(struct sieve_run *r, const struct sieve_node *n)
{
	struct when w = { r, n, span_of(sieve_pos(n, 0)->strings.v[0]),
			  sieve_pos(n, 1) };
	struct date d;

	if (r->now != 0)
		date_from_unix(&d, r->now, r->zone);
	else
		date_from_unix_local(&d, clock_now());
	return match_date(&w, &d);
}

static void
check_date(struct sieve_script *s, struct sieve_node *n)
{
	const struct sieve_arg *zone = sieve_value(n, ":zone");
	bool current = strcmp(n->name, "currentdate") == 0;
	const struct sieve_arg *part = sieve_pos(n, current ? 0 : 1);
	static const struct date any = { .month = 1, .day = 1 };
	struct buf b = BUF_INIT;
	int min;

	if (zone != NULL && sieve_constant(s, zone->strings.v[0]) &&
	    !parse_zone(zone->strings.v[0], &min))
		sieve_error(s, zone->line, zone->col,
			    "specified :zone argument '%s' is not a valid "
			    "timezone",
			    zone->strings.v[0]);
	if (sieve_constant(s, part->strings.v[0]) &&
	    !add_part(&b, &any, span_of(part->strings.v[0])))
		sieve_warn(s, part->line, part->col, "unknown date part '%s'",
			   part->strings.v[0]);
	buf_free(&b);
}

static const struct sieve_tag date_tags[] = {
	{ ":zone", 's', "zone", NULL },
	{ ":originalzone", 0, "zone", NULL },
};
static const struct sieve_tag current_tags[] = {
	{ ":zone", 's', "zone", NULL },
};
static const struct sieve_word words[] = {
	{ .name = "date",
	  .ext = "date",
	  .is_test = true,
	  .positional = "ssS",
	  .tags = date_tags,
	  .ntags = ARRAY_LEN(date_tags),
	  .with_match = true,
	  .check = check_date,
	  .run = run_date },
	{ .name = "currentdate",
	  .ext = "date",
	  .is_test = true,
	  .positional = "sS",
	  .tags = current_tags,
	  .ntags = ARRAY_LEN(current_tags),
	  .with_match = true,
	  .check = check_date,
	  .run = run_currentdate },
};
static const struct sieve_extension date = {
	.name = "date",
	.words = words,
	.nwords = ARRAY_LEN(words),
};
SIEVE_EXTENSION(date);

/* RFC 5260 6: what reads them is sieve_match.c. */
static const struct sieve_added added[] = {
	{ "header", { ":index", 'n', NULL, "index" } },
	{ "header", { ":last", 0, NULL, "index" } },
	{ "address", { ":index", 'n', NULL, "index" } },
	{ "address", { ":last", 0, NULL, "index" } },
	{ "date", { ":index", 'n', NULL, "index" } },
	{ "date", { ":last", 0, NULL, "index" } },
};
static const struct sieve_extension index_ = {
	.name = "index",
	.added = added,
	.nadded = ARRAY_LEN(added),
};
SIEVE_EXTENSION(index_);
