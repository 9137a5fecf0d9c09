/*
 * queue_report.c - who is to be told of what: failures, the first delay,
 * successes.  RFC 3461 4.1, 5.2, 6.
 */
#include "queue.h"
#include "route.h"
#include "log.h"

/* NOTIFY as RFC 3461 4.1 has it; without one, `unless_said`. */
static bool
wants(const struct queuefile_rcpt *r, const char *what, bool unless_said)
{
	struct span rest = span_of(r->notify), w;

	if (r->notify == NULL || r->notify[0] == '\0')
		return unless_said;
	while (span_word(&rest, ", ", &w)) {
		if (span_iis(w, what))
			return true;
	}
	return false;
}

bool
queue_report_asked(const struct queuefile_rcpt *r)
{
	return wants(r, "SUCCESS", false);
}

/* Failures that nobody was told of yet: also those of an earlier run that
 * died before its report was durable. */
static int
report_failures(struct work *w)
{
	struct err e = ERR_INIT;
	bool any = false;

	for (size_t i = 0; i < w->q.env.nrcpt; i++) {
		struct queuefile_rcpt *r = &w->q.env.rcpt[i];

		if (r->state != QUEUEFILE_FAILED)
			continue;
		w->a[i].result = DELIVER_FAILED;
		if (!wants(r, "FAILURE", true))
			w->a[i].result = DELIVER_DONE; /* not in the report */
		else
			any = true;
	}
	if (any && bounce_report(&w->q, w->a, BOUNCE_FAILED, &e) != 0) {
		log_error("%s: the report could not be made: %s: it will be "
			  "tried again",
			  w->q.id, e.text);
		return -1;
	}
	for (size_t i = 0; i < w->q.env.nrcpt; i++) {
		if (w->q.env.rcpt[i].state == QUEUEFILE_FAILED &&
		    queuefile_mark(&w->q, i, QUEUEFILE_TOLD, &e) != 0)
			log_error("%s: %s", w->q.id, e.text);
	}
	return 0;
}

/* NOTIFY=SUCCESS where this is the last hop, or the last one that reports
 * (RFC 3461 5.2.2, 5.2.3), or a mailing list has it (5.2.7.1). */
static void
report_success(struct work *w)
{
	struct err e = ERR_INIT;
	bool any = false;

	for (size_t i = 0; i < w->q.env.nrcpt; i++) {
		struct attempt *a = &w->a[i];
		bool listed =
		    a->tried && a->result == DELIVER_DONE &&
		    w->q.env.rcpt[i].state == QUEUEFILE_DONE &&
		    (a->relayed || (w->route[i].kind == ROUTE_LOCAL &&
				    (w->route[i].forward == NULL ||
				     targets_list(w->route[i].forward)))) &&
		    wants(&w->q.env.rcpt[i], "SUCCESS", false);

		a->tried = listed; /* bounce_report lists those */
		any |= listed;
	}
	if (any && bounce_report(&w->q, w->a, BOUNCE_SUCCESS, &e) != 0)
		log_error("%s: the success was not told: %s", w->q.id, e.text);
}

int
queue_report(struct work *w)
{
	int r = report_failures(w);

	report_success(w);
	return r;
}

/* RFC 3461 4.1: DELAY asked for, or no NOTIFY at all. */
void
queue_report_delay(struct work *w)
{
	struct queuefile_note note = { .rcpt = SIZE_MAX,
				       .word = SPAN("delayed"),
				       .dsn = SPAN("-"),
				       .relay = SPAN("none"),
				       .text = SPAN("sender told") };
	int64_t age = (w->started - w->q.env.arrival_us) / 1000;
	struct err e = ERR_INIT;
	bool any = false;

	if (queue_conf.delay_warning <= 0 || w->delayed ||
	    age < queue_conf.delay_warning || w->q.env.sender[0] == '\0')
		return;
	for (size_t i = 0; i < w->q.env.nrcpt; i++) {
		struct attempt *a = &w->a[i];

		a->result = w->q.env.rcpt[i].state == QUEUEFILE_QUEUED &&
				    wants(&w->q.env.rcpt[i], "DELAY", true)
				? DELIVER_DEFERRED
				: DELIVER_DONE;
		any |= a->result == DELIVER_DEFERRED;
	}
	if (!any)
		return;
	if (bounce_report(&w->q, w->a, BOUNCE_DELAYED, &e) != 0 ||
	    queuefile_note(&w->q, &note, &e) != 0)
		log_error("%s: the delay was not told: %s", w->q.id, e.text);
}
