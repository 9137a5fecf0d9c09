/*
 * received.c - the Received field.
 * RFC 5321 4.4, RFC 3848 (LMTP), RFC 5322 3.3 (date).
 */
#include "received.h"
#include "clock.h"
#include "msg.h"
#include "site.h"

static void
add_date(struct buf *b)
{
	static const char *const days[] = { "Sun", "Mon", "Tue", "Wed",
					    "Thu", "Fri", "Sat" };
	static const char *const months[] = { "Jan", "Feb", "Mar", "Apr",
					      "May", "Jun", "Jul", "Aug",
					      "Sep", "Oct", "Nov", "Dec" };
	time_t now = clock_now();
	struct tm tm;

	localtime_r(&now, &tm);
	long off = tm.tm_gmtoff / 60;
	buf_addf(b, "%s, %d %s %d %02d:%02d:%02d %c%02ld%02ld (%s)",
		 days[tm.tm_wday], tm.tm_mday, months[tm.tm_mon],
		 tm.tm_year + 1900, tm.tm_hour, tm.tm_min, tm.tm_sec,
		 off < 0 ? '-' : '+', (off < 0 ? -off : off) / 60,
		 (off < 0 ? -off : off) % 60, tm.tm_zone);
}

void
received_field(struct buf *b, const struct trans *t)
{
	const struct client *c = t->client;
	struct buf v = BUF_INIT;

	if (c->forwarded)
		return;
	if (c->submit) {
		buf_addf(&v, "by %s (mx, from userid %s)", site.myhostname,
			 c->login != NULL ? c->login : "unknown");
	} else {
		buf_addf(&v, "from %s (%s)",
			 c->helo != NULL ? c->helo : "unknown",
			 c->addr != NULL ? c->addr : "local");
		buf_addf(&v, " by %s (mx) with %s", site.myhostname,
			 t->lmtp ? "LMTP" : "ESMTP");
	}
	buf_addf(&v, " id %s", t->id);
	if (t->nrcpt == 1 && t->lmtp)
		buf_addf(&v, " for <%s>", t->rcpt[0].addr);
	buf_adds(&v, "; ");
	add_date(&v);
	msg_make_field(b, "Received", buf_span(&v));
	buf_addc(b, '\n');
	buf_free(&v);
}
