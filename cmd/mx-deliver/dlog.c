/*
 * dlog.c - log lines in Postfix's shape (DESIGN 3.10).
 */
#include "clock.h"
#include "deliver.h"
#include "log.h"

#include <stdio.h>

/* Postfix prints delays with two significant digits and no useless zeros. */
static void
add_delay(struct buf *b, int64_t us)
{
	double s = us > 0 ? (double)us / 1e6 : 0;

	if (s >= 9.95)
		buf_addf(b, "%.0f", s);
	else if (s >= 0.995)
		buf_addf(b, "%.1f", s);
	else if (s >= 0.005)
		buf_addf(b, "%.2g", s);
	else
		buf_addc(b, '0');
}

void
deliver_log(const char *role, const char *id, const char *to,
	    const char *orig_to, const char *relay, const struct delays *dl,
	    const char *dsn, const char *status, const char *text)
{
	struct log_event ev;
	struct buf b = BUF_INIT;
	const int64_t parts[] = { dl->a, dl->b, dl->c, dl->d };

	log_role(role);
	log_event_begin(&ev, id);
	log_event_add(&ev, "to", "<%s>", to);
	if (orig_to != NULL && orig_to[0] != '\0' && strcmp(orig_to, to) != 0)
		log_event_add(&ev, "orig_to", "<%s>", orig_to);
	log_event_add(&ev, "relay", "%s", relay);
	if (dl->uses > 1)
		log_event_add(&ev, "conn_use", "%lld", (long long)dl->uses);
	add_delay(&b, dl->a + dl->b + dl->c + dl->d);
	log_event_add(&ev, "delay", "%s", buf_str(&b));
	buf_clear(&b);
	for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
		if (i > 0)
			buf_addc(&b, '/');
		add_delay(&b, parts[i]);
	}
	log_event_add(&ev, "delays", "%s", buf_str(&b));
	log_event_add(&ev, "dsn", "%s", dsn);
	log_event_add(&ev, "status", "%s", status);
	log_event_words(&ev, "%s", text);
	log_event_end(&ev);
	buf_free(&b);
}
