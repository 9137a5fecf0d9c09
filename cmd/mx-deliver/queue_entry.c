/*
 * queue_entry.c - one attempt at one queue entry: route, deliver, mark,
 * report, and when to try again.  DESIGN 3.9: each mark is written before the
 * next step.
 */
#include "queue.h"
#include "clock.h"
#include "log.h"
#include "mem.h"
#include "status.h"

#include <stdio.h>
#include <stdlib.h>

struct work {
	struct queuefile q;
	struct route *route; /* one a recipient */
	struct attempt *a;
	int64_t started; /* clock_now_us */
};

static void
say(struct work *w, size_t i, const char *role, const char *status)
{
	const struct queuefile_rcpt *r = &w->q.env.rcpt[i];
	int64_t now = clock_now_us();
	struct delays dl = { .arrival_us = w->q.env.arrival_us,
			     .a = 0,
			     .b = w->started - w->q.env.arrival_us,
			     .c = 0,
			     .d = now - w->started };

	deliver_log(role, w->q.id, r->addr, r->original, w->a[i].relay, &dl,
		    w->a[i].dsn, status, buf_str(&w->a[i].text));
}

/* Too old to try again?  THREATS 110: a clock that jumps does not expire an
 * entry that was not tried twice. */
static bool
too_old(const struct work *w)
{
	bool report = w->q.env.sender[0] == '\0';
	int64_t limit =
	    report ? queue_conf.bounce_lifetime : queue_conf.maximal_lifetime;
	int64_t age = (w->started - w->q.env.arrival_us) / 1000;

	return age >= limit;
}

/* The verdict of recipient i: marked, noted, logged, in that order. */
static void
settle(struct work *w, size_t i, enum deliver_result result, struct span dsn,
       struct span relay, struct span text)
{
	struct attempt *a = &w->a[i];
	struct queuefile_note note = {
		.rcpt = i, .dsn = dsn, .relay = relay, .text = text
	};
	const char *role = w->route[i].transport;
	const char *status;
	struct err e = ERR_INIT;
	char state;

	if (result == DELIVER_FAILED && queue_conf.soft_bounce)
		result = DELIVER_DEFERRED;
	a->tried = true;
	a->result = result;
	snprintf(a->dsn, sizeof(a->dsn), "%.*s", SPAN_ARG(dsn));
	snprintf(a->relay, sizeof(a->relay), "%.*s", SPAN_ARG(relay));
	buf_clear(&a->text);
	buf_addspan(&a->text, text);
	if (result == DELIVER_DEFERRED && too_old(w)) {
		a->expired = true;
		a->result = DELIVER_FAILED;
	}
	state = a->result == DELIVER_DONE     ? QUEUEFILE_DONE
		: a->result == DELIVER_FAILED ? QUEUEFILE_FAILED
					      : QUEUEFILE_QUEUED;
	status = a->result == DELIVER_DONE     ? "sent"
		 : a->expired                  ? "expired"
		 : a->result == DELIVER_FAILED ? "bounced"
					       : "deferred";
	if (queuefile_mark(&w->q, i, state, &e) != 0)
		log_error("%s: %s", w->q.id, e.text);
	note.word = span_of(status);
	if (queuefile_note(&w->q, &note, &e) != 0)
		log_error("%s: %s", w->q.id, e.text);
	if (role == NULL || role[0] == '\0')
		role = "error";
	say(w, i, strcmp(role, "relay") == 0 ? "smtp" : role, status);
}

static void
remote_done(void *ctx, size_t i, struct span status, struct span dsn,
	    struct span relay, struct span text)
{
	enum deliver_result r = DELIVER_DEFERRED;

	if (span_is(status, "sent"))
		r = DELIVER_DONE;
	else if (span_is(status, "bounced"))
		r = DELIVER_FAILED;
	/* The log line puts its own brackets around it. */
	if (text.n >= 2 && text.p[0] == '(' && text.p[text.n - 1] == ')')
		text = span_sub(text, 1, text.n - 1);
	settle(ctx, i, r, dsn, relay, text);
}

static void
local_one(struct work *w, size_t i)
{
	struct outcome o = { .result = DELIVER_DEFERRED };

	deliver_local(&w->route[i], &w->q, i, &o);
	settle(w, i, o.result, span_of(o.dsn),
	       span_of(w->route[i].transport ? w->route[i].transport : "local"),
	       span_of(o.result == DELIVER_DONE ? o.text : o.why.text));
}

static void
no_route(struct work *w, size_t i)
{
	const struct err *why = &w->route[i].why;

	settle(w, i,
	       w->route[i].kind == ROUTE_FAILED ? DELIVER_FAILED
						: DELIVER_DEFERRED,
	       span_of(err_code(why)), SPAN("none"), span_of(why->text));
}

/* All recipients that share a transport and nexthop go in one session. */
static void
remote_group(struct work *w, size_t first)
{
	size_t *idx = mem_alloc(w->q.env.nrcpt, sizeof(*idx)), n = 0;
	const struct route *r = &w->route[first];

	for (size_t i = first; i < w->q.env.nrcpt && n < 50; i++) {
		const struct route *o = &w->route[i];

		if (w->q.env.rcpt[i].state == QUEUEFILE_QUEUED &&
		    !w->a[i].tried && o->kind == ROUTE_REMOTE &&
		    strcmp(o->transport, r->transport) == 0 &&
		    strcmp(o->nexthop, r->nexthop) == 0)
			idx[n++] = i;
	}
	queue_send(&w->q, r, idx, n, remote_done, w);
	free(idx);
}

static void
deliver_all(struct work *w)
{
	for (size_t i = 0; i < w->q.env.nrcpt; i++) {
		if (w->q.env.rcpt[i].state == QUEUEFILE_QUEUED)
			route_find(&w->route[i], &w->q.env, &w->q.env.rcpt[i]);
	}
	for (size_t i = 0; i < w->q.env.nrcpt; i++) {
		if (w->q.env.rcpt[i].state != QUEUEFILE_QUEUED || w->a[i].tried)
			continue;
		switch (w->route[i].kind) {
		case ROUTE_LOCAL:
		case ROUTE_DISCARD:
			local_one(w, i);
			break;
		case ROUTE_REMOTE:
			remote_group(w, i);
			break;
		default:
			no_route(w, i);
		}
	}
}

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

struct history {
	bool delayed;  /* a delay was told already */
	int64_t tries; /* attempts so far, by notes of the entry */
};

static void
read_note(void *ctx, const struct queuefile_note *n)
{
	struct history *h = ctx;

	if (n->rcpt != SIZE_MAX)
		return;
	h->delayed |= span_is(n->word, "delayed");
	h->tries += span_is(n->word, "attempt");
}

/* RFC 3461 4.1: DELAY asked for, or no NOTIFY at all. */
static void
report_delay(struct work *w, const struct history *h)
{
	struct queuefile_note note = { .rcpt = SIZE_MAX,
				       .word = SPAN("delayed"),
				       .dsn = SPAN("-"),
				       .relay = SPAN("none"),
				       .text = SPAN("sender told") };
	int64_t age = (w->started - w->q.env.arrival_us) / 1000;
	struct err e = ERR_INIT;
	bool any = false;

	if (queue_conf.delay_warning <= 0 || h->delayed ||
	    age < queue_conf.delay_warning || w->q.env.sender[0] == '\0')
		return;
	for (size_t i = 0; i < w->q.env.nrcpt; i++)
		any |= w->q.env.rcpt[i].state == QUEUEFILE_QUEUED &&
		       wants(&w->q.env.rcpt[i], "DELAY", true);
	if (!any)
		return;
	if (bounce_report(&w->q, w->a, BOUNCE_DELAYED, &e) != 0 ||
	    queuefile_note(&w->q, &note, &e) != 0)
		log_error("%s: the delay was not told: %s", w->q.id, e.text);
}

/* NOTIFY=SUCCESS where this is the last hop (RFC 3461 5.2). */
static void
report_success(struct work *w)
{
	struct err e = ERR_INIT;
	bool any = false;

	for (size_t i = 0; i < w->q.env.nrcpt; i++)
		any |= w->a[i].tried && w->a[i].result == DELIVER_DONE &&
		       w->route[i].kind == ROUTE_LOCAL &&
		       wants(&w->q.env.rcpt[i], "SUCCESS", false);
	if (any && bounce_report(&w->q, w->a, BOUNCE_SUCCESS, &e) != 0)
		log_error("%s: the success was not told: %s", w->q.id, e.text);
}

/* Doubling from minimal to maximal, as old as the entry is: Postfix's way. */
static time_t
next_attempt(const struct work *w)
{
	int64_t age = (clock_now_us() - w->q.env.arrival_us) / 1000;
	int64_t wait = age;

	if (wait < queue_conf.minimal_backoff)
		wait = queue_conf.minimal_backoff;
	if (wait > queue_conf.maximal_backoff)
		wait = queue_conf.maximal_backoff;
	return clock_now() + (time_t)(wait / 1000 > 0 ? wait / 1000 : 1);
}

static int
finish(struct work *w)
{
	struct queuefile_note note = { .rcpt = SIZE_MAX,
				       .word = SPAN("attempt"),
				       .dsn = SPAN("-"),
				       .relay = SPAN("none"),
				       .text = SPAN("-") };
	struct history h = { false, 0 };
	struct err e = ERR_INIT;
	int told = report_failures(w);

	report_success(w);
	if (queuefile_count(&w->q, QUEUEFILE_QUEUED) == 0 && told == 0) {
		log_role("qmgr");
		if (queuefile_remove(&w->q, &e) != 0) {
			log_error("%s: %s", w->q.id, e.text);
			return -1;
		}
		log_info("%s: removed", w->q.id);
		return 0;
	}
	if (queuefile_notes(&w->q, read_note, &h, &e) == 0)
		report_delay(w, &h);
	if (queuefile_note(&w->q, &note, &e) != 0 ||
	    queuefile_next(&w->q, next_attempt(w), &e) != 0) {
		log_error("%s: %s", w->q.id, e.text);
		return -1;
	}
	return 0;
}

static void
say_active(const struct work *w)
{
	struct log_event ev;

	log_role("qmgr");
	log_event_begin(&ev, w->q.id);
	log_event_add(&ev, "from", "<%s>", w->q.env.sender);
	log_event_add(&ev, "size", "%llu", (unsigned long long)w->q.msg_size);
	log_event_add(&ev, "nrcpt", "%zu", w->q.env.nrcpt);
	log_event_words(&ev, "queue active");
	log_event_end(&ev);
}

int
queue_entry(const char *id)
{
	struct work w = { .started = clock_now_us() };
	struct err e = ERR_INIT;
	int dirfd = deliver_queue_dir(&e), r;
	enum queuefile_result got;

	if (dirfd < 0) {
		log_error("%s", e.text);
		return -1;
	}
	got = queuefile_open(&w.q, dirfd, id, QUEUEFILE_LOCK | QUEUEFILE_CHECK,
			     &e);
	if (got != QUEUEFILE_OK) {
		if (got == QUEUEFILE_ERROR)
			log_error("%s: %s", id, e.text);
		return got == QUEUEFILE_ERROR ? -1 : 0;
	}
	if (w.q.env.hold) {
		queuefile_close(&w.q);
		return 0;
	}
	/* Should this process die, the entry is not tried again at once. */
	if (queuefile_next(
		&w.q, clock_now() + queue_conf.minimal_backoff / 1000, &e) != 0)
		log_error("%s: %s", id, e.text);
	w.route = mem_alloc(w.q.env.nrcpt, sizeof(*w.route));
	w.a = mem_alloc(w.q.env.nrcpt, sizeof(*w.a));
	say_active(&w);
	deliver_all(&w);
	r = finish(&w);
	for (size_t i = 0; i < w.q.env.nrcpt; i++) {
		route_free(&w.route[i]);
		buf_free(&w.a[i].text);
	}
	free(w.route);
	free(w.a);
	queuefile_close(&w.q);
	return r;
}
