/*
 * mbox_read.c - the messages of an mbox.
 * Layer: mail.  RFC 4155.
 */
#include "mbox_read.h"
#include "date.h"
#include "msg.h"
#include "num.h"
#include "status.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#define WORDS_MAX 40
#define READ_BYTES (1 << 18)

static const char from_word[] = "From ";

/* 1 to 12, or 0. */
static int
month_of(struct span w)
{
	static const char names[] = "JanFebMarAprMayJunJulAugSepOctNovDec";

	for (int i = 0; w.n == 3 && i < 12; i++)
		if (memcmp(names + 3 * i, w.p, 3) == 0)
			return i + 1;
	return 0;
}

static bool
is_weekday(struct span w)
{
	static const char names[] = "SunMonTueWedThuFriSat";

	for (int i = 0; w.n == 3 && i < 7; i++)
		if (memcmp(names + 3 * i, w.p, 3) == 0)
			return true;
	return false;
}

/* "21:52" or "21:52:25" in seconds, or -1. */
static int
clock_of(struct span w)
{
	struct span part;
	int v[3] = { 0, 0, 0 }, n = 0;

	while (span_split(&w, ':', &part)) {
		if (n == 3 || part.n == 0 || part.n > 2 ||
		    !num_int(part, 0, n == 0 ? 23 : 60, &v[n]))
			return -1;
		n++;
	}
	return n < 2 ? -1 : v[0] * 3600 + v[1] * 60 + v[2];
}

/* "+0100" in minutes. */
static bool
zone_of(struct span w, int *min_r)
{
	int v;

	if (w.n != 5 || (w.p[0] != '+' && w.p[0] != '-') ||
	    !num_int(span_from(w, 1), 0, 1459, &v))
		return false;
	*min_r = (v / 100 * 60 + v % 100) * (w.p[0] == '-' ? -1 : 1);
	return true;
}

/* "Sat Jan  3 01:05:34 [MET] 1996 [+0100]" at the front of the words. */
static bool
asctime_of(const struct span *w, size_t n, int64_t *time_r)
{
	int month, day, sec, year = 0, zone = 0;
	size_t i;

	if (n < 5 || !is_weekday(w[0]) || (month = month_of(w[1])) == 0 ||
	    w[2].n > 2 || !num_int(w[2], 1, 31, &day) ||
	    (sec = clock_of(w[3])) < 0)
		return false;
	for (i = 4; i < n && i < 8; i++) {
		if (year == 0 && w[i].n == 4 && num_int(w[i], 1, 9999, &year))
			continue;
		(void)zone_of(w[i], &zone);
	}
	if (year == 0)
		return false;
	*time_r = date_days(year, month, day) * 86400 + sec - zone * 60;
	return true;
}

bool
mbox_from_time(struct span line, int64_t *time_r)
{
	struct span words[WORDS_MAX], rest;
	size_t n = 0;

	if (!span_starts(line, SPAN("From ")) || line.n > 2000)
		return false;
	rest = span_from(line, sizeof(from_word) - 1);
	while (n < WORDS_MAX && span_word(&rest, " \t\r", &words[n]))
		n++;
	/* a sender may have blanks, or be missing */
	for (size_t i = 0; i + 5 <= n; i++)
		if (asctime_of(words + i, n - i, time_r))
			return true;
	return false;
}

/* The line at `at`, without its end; *next_r is the next one's place. */
static struct span
line_at(struct span file, size_t at, size_t *next_r)
{
	const char *nl = memchr(file.p + at, '\n', file.n - at);
	size_t end = nl != NULL ? (size_t)(nl - file.p) : file.n;

	*next_r = nl != NULL ? end + 1 : file.n;
	return span_sub(file, at, end);
}

static bool
is_empty(struct span line)
{
	return line.n == 0 || span_is(line, "\r");
}

/* Some programs leave empty lines at the top. */
static size_t
skip_empty(struct span file, size_t at)
{
	size_t next;

	while (at < file.n && is_empty(line_at(file, at, &next)))
		at = next;
	return at;
}

bool
mbox_begins(struct span file)
{
	size_t at = skip_empty(file, 0), next;
	int64_t t;

	if (file.n == 0)
		return true;
	return at < file.n && mbox_from_time(line_at(file, at, &next), &t);
}

/* The place of the next separator from `at` on, or the end. */
static size_t
next_from(struct span file, size_t at)
{
	while (at < file.n) {
		const char *hit =
		    memmem(file.p + at, file.n - at, "\nFrom ", 6);
		size_t next;
		int64_t t;

		if (hit == NULL)
			return file.n;
		at = (size_t)(hit - file.p) + 1;
		if (mbox_from_time(line_at(file, at, &next), &t))
			return at;
	}
	return file.n;
}

/* Without the empty line that stands before the next separator. */
static struct span
without_blank(struct span raw)
{
	if (span_ends(raw, SPAN("\r\n\r\n")))
		return span_sub(raw, 0, raw.n - 2);
	if (span_ends(raw, SPAN("\n\n")) || span_is(raw, "\n"))
		return span_sub(raw, 0, raw.n - 1);
	return raw;
}

bool
mbox_next(struct span file, size_t *at, struct mbox_part *p)
{
	size_t start = *at == 0 ? skip_empty(file, 0) : *at, body, end;

	if (start >= file.n)
		return false;
	p->from = line_at(file, start, &body);
	if (!mbox_from_time(p->from, &p->time))
		return false;
	/* the line's own end is the one before an empty message's next */
	end = next_from(file, body - 1);
	p->raw = without_blank(span_sub(file, body, end));
	*at = end;
	return true;
}

/* More of the file behind what waits, at least as much again: then looking
 * through it anew costs no more than reading it. */
static int
read_more(struct mbox_reader *r, const char *path, struct err *e)
{
	size_t want;
	ssize_t n;

	if (r->at > 0)
		buf_shift(&r->window, r->at);
	r->at = 0;
	if (r->window.n > r->max)
		return err_set(e, ST_DATA,
			       "%s: a message of more than %zu bytes", path,
			       r->max);
	want = r->window.n > READ_BYTES ? r->window.n : READ_BYTES;
	do
		n = read(r->fd, buf_room(&r->window, want), want);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return err_sys(e, "%s: reading", path);
	buf_grew(&r->window, (size_t)n);
	r->end = n == 0;
	return 0;
}

/* A line that is cut by the window's end may look like another one. */
static bool
has_line(struct span s, size_t at)
{
	return at < s.n && memchr(s.p + at, '\n', s.n - at) != NULL;
}

int
mbox_reader_next(struct mbox_reader *r, const char *path, struct mbox_part *p,
		 struct err *e)
{
	for (;;) {
		struct span have = span_from(buf_span(&r->window), r->at);
		size_t at = 0;

		if (have.n > 0 && mbox_next(have, &at, p) &&
		    (r->end || has_line(have, at))) {
			r->begun = true;
			r->at += at;
			return 1;
		}
		if (r->end)
			break;
		if (read_more(r, path, e) != 0)
			return -1;
	}
	if (!r->begun && r->window.n > 0)
		return err_set(e, ST_DATA,
			       "%s: no mbox: it does not begin with a "
			       "\"From \" line",
			       path);
	return 0;
}

void
mbox_reader_done(struct mbox_reader *r)
{
	buf_free(&r->window);
}

static const struct {
	char letter;
	maildir_flags flag;
} letters[] = {
	{ 'R', MAILDIR_SEEN },    { 'A', MAILDIR_REPLIED },
	{ 'F', MAILDIR_FLAGGED }, { 'D', MAILDIR_TRASHED },
	{ 'T', MAILDIR_DRAFT },
};

/* A field that only mbox programs write; what it says of flags is taken. */
static bool
is_mbox_field(const struct msg_field *f, maildir_flags *flags, bool *internal)
{
	static const char *const others[] = { "X-Keywords",     "X-UID",
					      "X-IMAP",         "X-IMAPbase",
					      "Content-Length", "Lines" };

	if (span_iis(f->name, "Status") || span_iis(f->name, "X-Status")) {
		for (size_t i = 0; i < ARRAY_LEN(letters); i++)
			if (span_chr(f->value, letters[i].letter) >= 0)
				*flags |= letters[i].flag;
		return true;
	}
	if (span_iis(f->name, "X-IMAP"))
		*internal = true;
	for (size_t i = 0; i < ARRAY_LEN(others); i++)
		if (span_iis(f->name, others[i]))
			return true;
	return false;
}

/* "VALIDITY LAST-UID KEYWORD ..." */
static void
parse_base(struct mbox_facts *f, struct span value)
{
	uint64_t validity, last;
	struct span word;

	if (!span_word(&value, " \t\r\n", &word) ||
	    !num_u64(word, UINT32_MAX, &validity) || validity == 0 ||
	    !span_word(&value, " \t\r\n", &word) ||
	    !num_u64(word, INT32_MAX, &last))
		return;
	f->validity = (uint32_t)validity;
	f->last_uid = (uint32_t)last;
	f->known = value;
}

void
mbox_facts(struct mbox_facts *f, struct span raw)
{
	struct msg_field x;
	uint64_t uid;
	size_t at = 0, n;

	*f = (struct mbox_facts){ .uid = 0 };
	while ((n = msg_next_field(span_from(raw, at), &x)) > 0) {
		if (span_iis(x.name, "X-UID")) {
			if (num_u64(span_trim(x.value), INT32_MAX, &uid))
				f->uid = (uint32_t)uid;
		} else if (span_iis(x.name, "X-IMAPbase") ||
			   span_iis(x.name, "X-IMAP")) {
			parse_base(f, x.value);
		} else if (span_iis(x.name, "X-Keywords")) {
			f->keywords = x.value;
		}
		at += n;
	}
}

/* Appends s, whose first byte begins a line, with one ">" less of each line
 * of ">"s and "From ". */
static void
unquote(struct buf *out, struct span s)
{
	size_t done = 0, at = 0;

	while (at < s.n) {
		const char *hit = memmem(s.p + at, s.n - at, ">From ", 6);
		size_t line, here;

		if (hit == NULL)
			break;
		here = line = (size_t)(hit - s.p);
		while (line > at && s.p[line - 1] == '>')
			line--;
		if (line == 0 || s.p[line - 1] == '\n') {
			buf_add(out, s.p + done, here - done);
			done = here + 1;
		}
		at = here + 6;
	}
	buf_add(out, s.p + done, s.n - done);
}

bool
mbox_message(struct buf *out, struct span raw, maildir_flags *flags_r)
{
	struct msg_field f;
	bool internal = false;
	size_t at = 0, n;

	*flags_r = 0;
	while ((n = msg_next_field(span_from(raw, at), &f)) > 0) {
		if (!is_mbox_field(&f, flags_r, &internal))
			unquote(out, span_sub(raw, at, at + n));
		at += n;
	}
	unquote(out, span_from(raw, at));
	return !internal;
}
