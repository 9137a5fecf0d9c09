/*
 * quota.c - limits of mailboxes.
 * Dovecot's quota_rule and quota_grace; Maildir++ (maildirsize); RFC 3463
 * X.2.2 for the answer.
 */
#include "quota.h"
#include "clock.h"
#include "conf.h"
#include "date.h"
#include "deposit.h"
#include "log.h"
#include "maildirsize.h"
#include "num.h"
#include "site.h"
#include "status.h"

#include <stdio.h>

/* "1G", "512M", "10%" is no limit of ours. */
static bool
size_of(struct span s, uint64_t unit, uint64_t *r)
{
	static const struct {
		char letter;
		uint64_t unit;
	} units[] = { { 'B', 1 },
		      { 'K', 1 << 10 },
		      { 'M', 1 << 20 },
		      { 'G', 1 << 30 },
		      { 'T', UINT64_C(1) << 40 } };
	uint64_t n;
	size_t used;

	if (!num_prefix(s, INT64_MAX / 2, &n, &used))
		return false;
	s = span_from(s, used);
	for (size_t i = 0; s.n > 0 && i < ARRAY_LEN(units); i++)
		if (span_iis(span_sub(s, 0, 1),
			     (char[]){ units[i].letter, '\0' })) {
			unit = units[i].unit;
			s = span_from(s, 1);
			if (span_iis(s, "B"))
				s = span_from(s, 1);
		}
	if (s.n > 0 || (n > 0 && n > INT64_MAX / 2 / unit))
		return false;
	*r = n * unit;
	return true;
}

bool
quota_rule(struct quota *q, struct span rule)
{
	struct span part, name = SPAN("");
	struct quota r = *q;

	if (!span_split(&rule, ':', &part) || rule.p == NULL)
		return false;
	/* "*" is the whole mailbox, "?" what nobody else set; the old form
	 * has the backend's name there */
	if (!span_is(part, "*") && !span_is(part, "?") &&
	    !span_is(part, "maildir") && !span_is(part, "dirsize") &&
	    !span_is(part, "fs") && !span_is(part, "dict"))
		return true;
	while (rule.p != NULL && span_split(&rule, ':', &part)) {
		struct span value = part;

		if (span_is(part, "ignore"))
			return true;
		if (!span_split(&value, '=', &name) || value.p == NULL)
			return false;
		if (span_is(name, "storage")) {
			if (!size_of(value, 1 << 10, &r.bytes))
				return false;
		} else if (span_is(name, "bytes")) {
			if (!size_of(value, 1, &r.bytes))
				return false;
		} else if (span_is(name, "messages")) {
			if (!num_u64(value, INT64_MAX, &r.count))
				return false;
		} else {
			return false;
		}
	}
	*q = r;
	return true;
}

/* What may be used in all: the limit and its grace. */
static bool
fits(const struct maildirsize *m, const struct quota *q, uint64_t size,
     size_t copies)
{
	uint64_t grace = q->bytes / 100 * (uint64_t)conf.quota_grace;
	uint64_t more = copies > 0 && size > UINT64_MAX / 4 / copies
			    ? UINT64_MAX / 4
			    : size * copies;

	if (q->bytes > 0 && (uint64_t)m->bytes >= q->bytes)
		return false;
	if (q->bytes > 0 && (uint64_t)m->bytes + more > q->bytes + grace)
		return false;
	return q->count == 0 || (uint64_t)m->count + copies <= q->count;
}

/* Our limits go before those that stand in the file. */
static int
usage(int root, struct quota *q, struct maildirsize *m, struct err *e)
{
	if (maildirsize_read(m, root, e) != 0)
		return -1;
	if (q->bytes == 0 && q->count == 0) {
		q->bytes = m->max_bytes;
		q->count = m->max_count;
	} else if (!m->exists || m->max_bytes != q->bytes ||
		   m->max_count != q->count) {
		m->max_bytes = q->bytes;
		m->max_count = q->count;
		maildirsize_sum(root, m);
		return maildirsize_read(m, root, e);
	}
	return 0;
}

int
quota_room(int root, const struct quota *limits, uint64_t size, size_t copies,
	   enum quota_room *r, struct err *e)
{
	struct maildirsize m;
	struct quota q = *limits;

	*r = QUOTA_FITS;
	if (usage(root, &q, &m, e) != 0)
		return -1;
	if (!m.exists || fits(&m, &q, size, copies))
		return 0;
	/* the sum may be stale: counted anew before anybody is refused */
	m.max_bytes = q.bytes;
	m.max_count = q.count;
	maildirsize_sum(root, &m);
	if (maildirsize_read(&m, root, e) != 0)
		return -1;
	if (fits(&m, &q, size, copies))
		return 0;
	*r = quota_large(&q, size) ? QUOTA_LARGE : QUOTA_OVER;
	return 0;
}

bool
quota_large(const struct quota *q, uint64_t size)
{
	return q->bytes > 0 && size > q->bytes;
}

int
quota_check(int root, const struct quota *limits, uint64_t size, size_t copies,
	    struct err *e)
{
	enum quota_room room;

	if (quota_room(root, limits, size, copies, &room, e) != 0)
		return -1;
	return room == QUOTA_FITS ? 0 : quota_refusal(e);
}

int
quota_refusal(struct err *e)
{
	if (conf.quota_full_tempfail)
		return err_esc(e, ST_TEMPFAIL, "4.2.2", "%s",
			       conf.quota_exceeded_message);
	return err_esc(e, ST_UNAVAILABLE, "5.2.2", "%s",
		       conf.quota_exceeded_message);
}

static int
percent(int64_t used, uint64_t limit)
{
	if (limit == 0 || used <= 0)
		return 0;
	if ((uint64_t)used >= limit)
		return 100;
	return (int)((double)used * 100 / (double)limit);
}

int
quota_added(int root, const struct quota *limits, uint64_t size, size_t copies)
{
	int64_t bytes = (int64_t)(size * copies), count = (int64_t)copies;
	struct quota q = *limits;
	struct maildirsize m;
	struct err e = ERR_INIT;
	int before, now, passed = 0;

	maildirsize_note(root, bytes, count);
	if (conf.quota_warning.n == 0 || usage(root, &q, &m, &e) != 0 ||
	    !m.exists)
		return 0;
	now = percent(m.bytes, q.bytes);
	before = percent(m.bytes - bytes, q.bytes);
	if (percent(m.count, q.count) > now) {
		now = percent(m.count, q.count);
		before = percent(m.count - count, q.count);
	}
	for (size_t i = 0; i < conf.quota_warning.n; i++) {
		struct span w = span_of(conf.quota_warning.v[i]);
		uint64_t n;
		size_t used;

		if (!num_prefix(w, 100, &n, &used)) {
			log_warn("quota_warning: \"%s\": expected a "
				 "percentage",
				 conf.quota_warning.v[i]);
			continue;
		}
		if (before < (int)n && now >= (int)n && (int)n > passed)
			passed = (int)n;
	}
	return passed;
}

void
quota_warn(int root, const char *user, int passed)
{
	struct deposit d;
	struct buf b = BUF_INIT, date = BUF_INIT;
	struct err e = ERR_INIT;
	struct date now;

	date_from_unix_local(&now, clock_now());
	date_print(&date, &now);
	buf_addf(&b,
		 "Return-Path: <>\n"
		 "From: Mail Delivery System <MAILER-DAEMON@%s>\n"
		 "To: <%s>\n"
		 "Date: %s\n"
		 "Subject: Your mailbox is %d%% full\n"
		 "Message-ID: <%lld.quota@%s>\n"
		 "Auto-Submitted: auto-generated\n"
		 "Precedence: bulk\n"
		 "MIME-Version: 1.0\n"
		 "Content-Type: text/plain; charset=us-ascii\n"
		 "\n"
		 "Your mailbox at %s has passed %d%% of what it may hold.\n"
		 "When it is full, no more mail can be delivered to it:\n"
		 "please delete what you no longer need.\n",
		 site.myhostname, user, buf_str(&date), passed,
		 (long long)clock_now_us(), site.myhostname, site.myhostname,
		 passed);
	int r = deposit_open(&d, root, DEPOSIT_AUTO, &e);
	if (r == 0) {
		r = deposit_write(&d, b.p, b.n, &e);
		if (r == 0)
			r = deposit_commit(&d, NULL, &e);
		if (r == 0)
			maildirsize_note(root, (int64_t)b.n, 1);
		deposit_abort(&d);
	}
	if (r != 0)
		log_warn("quota warning of %s: %s", user, e.text);
	buf_free(&b);
	buf_free(&date);
}
