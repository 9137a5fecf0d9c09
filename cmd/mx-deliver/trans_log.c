/*
 * trans_log.c - the log lines of a message that came in, in Postfix's words
 * (DESIGN 3.10); written after the answer, which does not wait for the log.
 */
#include "trans.h"
#include "log.h"

#include <pwd.h>
#include <stdio.h>

static void
log_one(struct trans *t, const struct trans_rcpt *r, int64_t now)
{
	const struct outcome *o = &r->out;
	struct delays dl = { .arrival_us = t->begun_us,
			     .a = now - t->begun_us };
	const struct dest *d = r->t.n > 0 ? r->t.v[0].dest : NULL;
	const char *relay = d != NULL ? d->relay : "none";

	/* a queued recipient's line is the runner's */
	if (r->queued && o->result == DELIVER_DONE)
		return;
	deliver_log(relay, t->id, r->t.n > 0 ? r->t.v[0].addr : r->addr,
		    r->addr, relay, &dl, o->dsn,
		    o->result == DELIVER_DONE       ? "sent"
		    : o->result == DELIVER_DEFERRED ? "deferred"
						    : "bounced",
		    o->text);
}

/* Postfix's pickup(8): who handed it in here; pflogsumm counts it. */
static void
log_pickup(const struct trans *t)
{
	const char *login = t->client->login != NULL ? t->client->login : "";
	const struct passwd *pw = getpwnam(login);
	struct log_event ev;

	log_role("pickup");
	log_event_begin(&ev, t->id);
	if (pw != NULL)
		log_event_add(&ev, "uid", "%ld", (long)pw->pw_uid);
	else
		log_event_add(&ev, "uid", "%s", login);
	log_event_add(&ev, "from", "<%s>", t->sender);
	log_event_end(&ev);
}

void
trans_log(struct trans *t)
{
	struct log_event ev;
	int64_t now = clock_now_us();

	if (t->id[0] == '\0')
		return;
	log_hold();
	if (t->client->submit && !t->client->forwarded)
		log_pickup(t);
	if (t->head.message_id != NULL) {
		log_role("cleanup");
		log_event_begin(&ev, t->id);
		log_event_add(&ev, "message-id", "%s", t->head.message_id);
		log_event_end(&ev);
	}
	log_role("qmgr");
	log_event_begin(&ev, t->id);
	log_event_add(&ev, "from", "<%s>", t->sender);
	log_event_add(&ev, "size", "%llu", (unsigned long long)t->size);
	log_event_add(&ev, "nrcpt", "%zu", t->nrcpt);
	log_event_words(&ev, "queue active");
	log_event_end(&ev);
	for (size_t i = 0; i < t->nrcpt; i++)
		log_one(t, &t->rcpt[i], now);
	log_release();
	log_role("deliver");
}
