/*
 * received.c - the Received field; see received.h.
 */
#include "received.h"

#include "clock.h"
#include "msg.h"

#include <time.h>

void
received_with(struct buf *b, const struct session *s)
{
	/* RFC 6531 4.3: UTF8SMTP...; RFC 3848: ESMTP with S and A. */
	if (s->utf8)
		buf_adds(b, s->lmtp ? "UTF8LMTP" : "UTF8SMTP");
	else if (s->lmtp)
		buf_adds(b, "LMTP");
	else
		buf_adds(b, s->esmtp ? "ESMTP" : "SMTP");
	if (s->esmtp && s->tls)
		buf_addc(b, 'S');
	if (s->esmtp && s->auth_user != NULL)
		buf_addc(b, 'A');
}

/* RFC 5322 3.3, local time with its offset. */
static void
add_date(struct buf *b, time_t now)
{
	struct tm tm;
	char text[64];

	if (localtime_r(&now, &tm) != NULL &&
	    strftime(text, sizeof(text), "%a, %e %b %Y %H:%M:%S %z (%Z)", &tm) >
		0)
		buf_adds(b, text);
}

/* Without what would end a comment or a quoted string. */
static void
add_comment_text(struct buf *b, const char *text)
{
	for (; text != NULL && *text != '\0'; text++)
		buf_addc(b, strchr("()\\\"", *text) != NULL ? '?' : *text);
}

/* RFC 5321 4.4: what it says it is, then what we know. */
static void
add_from(struct buf *b, const struct session *s)
{
	const char *addr = s->conn->addr;
	bool v6 = strchr(addr, ':') != NULL;

	buf_adds(b, "from ");
	add_comment_text(b, s->helo != NULL ? s->helo : s->client_name);
	buf_addf(b, " (%s [%s%s])", s->client_name, v6 ? "IPv6:" : "", addr);
}

/* RFC 5321 4.4: above all that is there, nothing of which is changed. */
void
received_make(struct buf *b, struct session *s)
{
	struct buf v = BUF_INIT;
	struct tls_facts f;

	if (!s->conf->submit)
		add_from(&v, s);
	if (s->conf->p.tls_received_header && tls_facts(&s->s, &f)) {
		buf_addf(&v, " (using %s with cipher %s (%d/%d bits))",
			 f.protocol, f.cipher, f.bits, f.alg_bits);
		if (f.peer_cn[0] != '\0') {
			buf_adds(&v, " (Client CN \"");
			add_comment_text(&v, f.peer_cn);
			buf_addf(&v, "\" (%sverified))",
				 f.verified ? "" : "not ");
		}
	}
	if (s->conf->p.sasl_header && s->auth_method != NULL) {
		buf_adds(&v, " (Authenticated sender: ");
		add_comment_text(&v, s->auth_user);
		buf_addc(&v, ')');
	}
	if (s->conf->submit) {
		buf_addf(&v, "by %s (mx, from userid ",
			 s->conf->site.myhostname);
		add_comment_text(&v, s->auth_user);
		buf_addc(&v, ')');
	} else {
		buf_addf(&v, " by %s (mx) with ", s->conf->site.myhostname);
		received_with(&v, s);
	}
	buf_addf(&v, " id %s", s->queue_id);
	/* RFC 5321 7.2: several recipients would tell each other of
	 * themselves. */
	if (s->rcpts == 1)
		buf_addf(&v, " for <%s>", buf_str(&s->first_rcpt));
	buf_adds(&v, "; ");
	add_date(&v, clock_now());
	msg_make_field(b, "Received", buf_span(&v));
	if (b->n == 0 || b->p[b->n - 1] != '\n')
		buf_addc(b, '\n');
	buf_free(&v);
}
