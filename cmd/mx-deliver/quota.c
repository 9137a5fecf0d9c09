/*
 * quota.c - limits of mailboxes.
 * Dovecot's quota_rule and quota_grace; Maildir++ (maildirsize); RFC 3463
 * X.2.2 for the answer.
 */
#include "quota.h"
#include "conf.h"
#include "maildirsize.h"
#include "num.h"
#include "status.h"

/* "1G", "512M", "10%" is no limit of ours. */
bool
quota_size(struct span s, uint64_t unit, uint64_t *r)
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
			if (!quota_size(value, 1 << 10, &r.bytes))
				return false;
		} else if (span_is(name, "bytes")) {
			if (!quota_size(value, 1, &r.bytes))
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
	/* Nobody is refused by a file that other programs write, too. */
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

/* Can never fit: 552 at once, whatever is deleted. */
bool
quota_large(const struct quota *q, uint64_t size)
{
	return q->bytes > 0 && size > q->bytes;
}

/* mailbox_size_limit is one of a file: in a Maildir, of a message. */
int
quota_file(const struct quota *q, uint64_t size, const char *path,
	   struct err *e)
{
	if (q->file == 0 || size <= q->file)
		return 0;
	return err_esc(e, ST_UNAVAILABLE, "5.2.2",
		       "cannot update mailbox %s: file too large "
		       "(mailbox_size_limit, virtual_mailbox_limit)",
		       path);
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

int
quota_added(int root, const struct quota *limits, uint64_t size, size_t copies,
	    struct quota_step *step)
{
	struct quota q = *limits;
	struct maildirsize m;
	struct err e = ERR_INIT;
	int64_t bytes = (int64_t)(size * copies), count = (int64_t)copies;

	maildirsize_note(root, bytes, count);
	if (!quota_warns() || usage(root, &q, &m, &e) != 0 || !m.exists)
		return -1;
	*step = (struct quota_step){ .limit = q,
				     .bytes = { m.bytes - bytes, m.bytes },
				     .count = { m.count - count, m.count } };
	return 0;
}
