/*
 * cmd_quota.c - GETQUOTA, GETQUOTAROOT, SETQUOTA.  RFC 9208.  One root, that
 * of Maildir++'s maildirsize; its limits are set by who makes that file.
 */
#include "cmd.h"
#include "maildirsize.h"

#define ROOT_NAME "User quota"

static int
put_quota(struct session *s, struct err *e)
{
	struct maildirsize m;
	const char *sep = "";

	if (maildirsize_read(&m, s->root, e) != 0)
		return -1;
	if (!m.exists)
		return 0;
	stream_puts(s->st, "* QUOTA \"" ROOT_NAME "\" (");
	if (m.max_bytes > 0) { /* RFC 9208 5.1: in units of 1024 */
		stream_printf(s->st, "STORAGE %llu %llu",
			      (unsigned long long)(m.bytes + 1023) / 1024,
			      (unsigned long long)m.max_bytes / 1024);
		sep = " ";
	}
	if (m.max_count > 0)
		stream_printf(s->st, "%sMESSAGE %lld %llu", sep,
			      (long long)m.count,
			      (unsigned long long)m.max_count);
	stream_puts(s->st, ")\r\n");
	return 0;
}

struct result
cmd_getquota(struct session *s)
{
	struct buf name = BUF_INIT;
	struct err e = ERR_INIT;
	struct result r;

	if (!parse_sp(&s->p) || !parse_astring(&s->p, &name) ||
	    !parse_end(&s->p))
		r = result_bad(s);
	else if (!span_is(buf_span(&name), ROOT_NAME))
		r = result_no("NONEXISTENT", "No such quota root");
	else if (put_quota(s, &e) != 0)
		r = result_err(s, &e);
	else
		r = result_ok("Getquota completed");
	buf_free(&name);
	return r;
}

struct result
cmd_getquotaroot(struct session *s)
{
	struct buf name = BUF_INIT;
	struct maildirsize m;
	struct err e = ERR_INIT;
	struct result r;

	if (!parse_sp(&s->p)) {
		r = result_bad(s);
	} else if (arg_mailbox(s, &name, &r)) {
		r = result_ok("Getquotaroot completed");
		if (!parse_end(&s->p)) {
			r = result_bad(s);
		} else if (maildirsize_read(&m, s->root, &e) != 0) {
			r = result_err(s, &e);
		} else {
			stream_puts(s->st, "* QUOTAROOT ");
			put_mailbox(s, buf_span(&name));
			stream_puts(s->st, m.exists ? " \"" ROOT_NAME "\"\r\n"
						    : "\r\n");
			if (put_quota(s, &e) != 0)
				r = result_err(s, &e);
		}
	}
	buf_free(&name);
	return r;
}

struct result
cmd_setquota(struct session *s)
{
	(void)s;
	return result_no("NOPERM", "Quotas are set by the administrator");
}

bool
quota_fits(struct session *s, uint64_t bytes, uint64_t count, struct result *r)
{
	if (maildirsize_room(s->root, bytes, count))
		return true;
	*r = result_no("OVERQUOTA", "Quota exceeded");
	return false;
}
