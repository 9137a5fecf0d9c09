/*
 * queue_entry.c - one attempt at one queue entry: route, deliver, mark, and
 * when to try again.  DESIGN 3.9: each mark is written before the next step.
 */
#include "queue.h"
#include "clock.h"
#include "hand.h"
#include "log.h"
#include "mem.h"
#include "pipe.h"
#include "status.h"

#include <stdio.h>
#include <stdlib.h>

/* THREATS 110: a clock that went back makes no negative age. */
static int64_t
age_ms(const struct work *w)
{
	int64_t age = (w->started - w->q.env.arrival_us) / 1000;

	return age > 0 ? age : 0;
}

static void
say(struct work *w, size_t i, const struct verdict *v, const char *status)
{
	const struct queuefile_rcpt *r = &w->q.env.rcpt[i];
	const char *role = w->route[i].transport;
	struct delays dl = { .arrival_us = w->q.env.arrival_us,
			     .a = w->started - w->q.env.arrival_us,
			     .c = v->connect_us,
			     .d = v->transmit_us,
			     .uses = v->uses };

	dl.b = clock_now_us() - w->started - dl.c - dl.d;
	/* A delivery here is all transmission. */
	if (w->route[i].kind == ROUTE_LOCAL) {
		dl.d = dl.b;
		dl.b = 0;
	}
	if (role == NULL || role[0] == '\0')
		role = "error";
	deliver_log(strcmp(role, "relay") == 0 ? "smtp" : role, w->q.id,
		    r->addr, r->original, w->a[i].relay, &dl, w->a[i].dsn,
		    status, buf_str(&w->a[i].text));
}

static void
say_removed(const struct work *w)
{
	log_role("qmgr");
	log_info("%s: removed", w->q.id);
}

/* Too old to try again?  THREATS 110: whatever the clock says, not before it
 * was tried twice, unless it is to be tried once only. */
static bool
too_old(const struct work *w)
{
	int64_t limit = w->q.env.sender[0] == '\0'
			    ? queue_conf.bounce_lifetime
			    : queue_conf.maximal_lifetime;

	return age_ms(w) >= limit && (limit == 0 || w->tries > 0);
}

/* Nobody else waits, and nobody is to be told anything: then the entry's end is
 * as good as the last mark and its note, and is one step instead of three. */
static bool
ends_entry(struct work *w, size_t rcpt)
{
	struct err e = ERR_INIT;

	for (size_t i = 0; i < w->q.env.nrcpt; i++) {
		char state = w->q.env.rcpt[i].state;

		if ((i != rcpt && state != QUEUEFILE_DONE &&
		     state != QUEUEFILE_TOLD) ||
		    queue_report_asked(&w->q.env.rcpt[i]))
			return false;
	}
	/* what it is that cannot be removed is said by remove_entry */
	w->removed = queuefile_remove(&w->q, &e) == 0;
	return w->removed;
}

void
queue_settle(struct work *w, const struct verdict *v, bool noted)
{
	struct attempt *a = &w->a[v->rcpt];
	struct queuefile_note note = { .rcpt = v->rcpt,
				       .dsn = span_of(v->dsn),
				       .relay = span_of(v->relay),
				       .text = v->text };
	const char *status;
	struct err e = ERR_INIT;
	char state;

	a->tried = true;
	a->result = v->result;
	a->relayed = w->route[v->rcpt].kind == ROUTE_REMOTE && !v->has_dsn;
	if (a->result == DELIVER_FAILED && queue_conf.soft_bounce)
		a->result = DELIVER_DEFERRED;
	snprintf(a->dsn, sizeof(a->dsn), "%s", v->dsn);
	snprintf(a->relay, sizeof(a->relay), "%s", v->relay);
	buf_clear(&a->text);
	buf_addspan(&a->text, v->text);
	if (a->result == DELIVER_DEFERRED && too_old(w)) {
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
	if (state == QUEUEFILE_DONE && ends_entry(w, v->rcpt)) {
		w->q.env.rcpt[v->rcpt].state = state;
		log_hold();
		say(w, v->rcpt, v, status);
		say_removed(w);
		log_release();
		return;
	}
	if (state != QUEUEFILE_QUEUED &&
	    queuefile_mark(&w->q, v->rcpt, state, &e) != 0)
		log_error("%s: %s", w->q.id, e.text);
	note.word = span_of(status);
	if ((noted || state != QUEUEFILE_QUEUED) &&
	    queuefile_note(&w->q, &note, &e) != 0)
		log_error("%s: %s", w->q.id, e.text);
	say(w, v->rcpt, v, status);
}

/* A line of mx-send: marked before the next one is read, so that a crash
 * repeats at most the recipient in flight. */
void
queue_settle_here(struct work *w, size_t i, const struct outcome *o)
{
	const struct route *r = &w->route[i];
	struct verdict v = {
		.rcpt = i,
		.result = o->result,
		.dsn = o->dsn,
		.relay = r->transport != NULL ? r->transport : "local",
		.text =
		    span_of(o->result == DELIVER_DONE ? o->text : o->why.text)
	};

	queue_settle(w, &v, true);
}

static void
remote_done(void *ctx, const struct verdict *v)
{
	queue_settle(ctx, v, true);
}

/* The next Maildir after that of recipient i, or NULL. */
static const struct dest *
next_maildir(const struct work *w, size_t i)
{
	while (++i < w->q.env.nrcpt) {
		const struct route *r = &w->route[i];

		if (w->q.env.rcpt[i].state == QUEUEFILE_QUEUED &&
		    !w->a[i].tried && !w->a[i].skip && r->kind == ROUTE_LOCAL)
			return r->forward == NULL && r->dest != NULL &&
				       r->dest->kind == DEST_MAILDIR
				   ? r->dest
				   : NULL;
	}
	return NULL;
}

/* A delivery here; what it became is marked before the next recipient's mail
 * is written. */
static void
local_one(struct work *w, size_t i)
{
	const struct route *r = &w->route[i];
	struct outcome o = { .result = DELIVER_DEFERRED };

	hand_next(next_maildir(w, i));
	deliver_local(r, &w->q, i, &o);
	hand_next(NULL);
	queue_settle_here(w, i, &o);
}

/* A verdict without a delivery: unknown user, transport error: or retry:, a
 * table that is away. */
static void
no_route(struct work *w, size_t i)
{
	const struct route *r = &w->route[i];
	struct verdict v = { .rcpt = i,
			     .result = r->kind == ROUTE_FAILED
					   ? DELIVER_FAILED
					   : DELIVER_DEFERRED,
			     .dsn = err_code(&r->why),
			     .relay = "none",
			     .text = span_of(r->why.text) };

	queue_settle(w, &v, true);
}

/* A command of the administrator's: no mailbox, no alias, nothing to watch. */
static bool
is_pipe(const struct route *r)
{
	return r->kind == ROUTE_LOCAL && r->forward == NULL &&
	       r->dest == NULL && r->via.n == 0;
}

/* Those that share transport and nexthop with `first` and wait. */
static size_t
gather(const struct work *w, size_t first, size_t *idx, size_t max)
{
	const struct route *r = &w->route[first];
	size_t n = 0;

	for (size_t i = first; i < w->q.env.nrcpt && n < max; i++) {
		const struct route *o = &w->route[i];

		if (w->q.env.rcpt[i].state == QUEUEFILE_QUEUED &&
		    !w->a[i].tried && !w->a[i].skip && o->kind == r->kind &&
		    (o->kind == ROUTE_REMOTE || is_pipe(o)) &&
		    strcmp(o->transport, r->transport) == 0 &&
		    strcmp(o->nexthop, r->nexthop) == 0)
			idx[n++] = i;
	}
	return n;
}

/* As many recipients in one call as *_destination_recipient_limit says, with
 * one outcome (pipe(8)). */
static void
pipe_group(struct work *w, size_t first)
{
	const struct route *r = &w->route[first];
	size_t max = pipe_single(r->transport) ? 1 : queue_dest_recipients(r);
	size_t *idx = mem_alloc(max, sizeof(*idx));
	size_t n = gather(w, first, idx, max);
	struct outcome o = { .result = DELIVER_DEFERRED };

	pipe_deliver(r, &w->q, idx, n, &o);
	for (size_t i = 0; i < n; i++)
		queue_settle_here(w, idx[i], &o);
	free(idx);
}

/* Nobody who cannot be reached is called again and again. */
static bool
suspended(struct work *w, const struct route *r, const size_t *idx, size_t n)
{
	char why[300], text[360];

	if (!queue_dest_suspended(r, why))
		return false;
	snprintf(text, sizeof(text), "delivery temporarily suspended: %s", why);
	for (size_t i = 0; i < n; i++) {
		struct verdict v = { .rcpt = idx[i],
				     .result = DELIVER_DEFERRED,
				     .dsn = "4.4.1",
				     .relay = "none",
				     .text = span_of(text) };
		queue_settle(w, &v, false);
	}
	return true;
}

/* Was it the host that failed, and not the message? */
static void
judge_host(const struct work *w, const struct route *r, const size_t *idx,
	   size_t n)
{
	const struct attempt *a = NULL;

	for (size_t i = 0; i < n; i++) {
		a = &w->a[idx[i]];
		if (a->result == DELIVER_DONE ||
		    (strcmp(a->dsn, "4.4.1") != 0 &&
		     strcmp(a->dsn, "4.4.3") != 0)) {
			queue_dest_works(r);
			return;
		}
	}
	if (a != NULL)
		queue_dest_fails(r, buf_span(&a->text));
}

/* All recipients of one destination, in sessions of recipient_limit.  False:
 * too many are there already. */
static bool
remote_group(struct work *w, size_t first)
{
	const struct route *r = &w->route[first];
	size_t max = queue_dest_recipients(r), n;
	size_t *idx;

	if (route_client(r->transport) == NULL) {
		struct route *own = &w->route[first];
		own->kind = ROUTE_DEFERRED;
		(void)err_esc(&own->why, ST_TEMPFAIL, "4.3.5",
			      "mail transport \"%s\" is not known: see "
			      "transport_maps, default_transport",
			      r->transport);
		no_route(w, first);
		return true;
	}
	int wait = queue_dest_enter(r);
	if (wait > 0)
		w->later = w->later > wait ? w->later : wait;
	if (wait != 0)
		return false;
	/* gather() finds each waiting recipient once: settle() marks all of a
	 * group as tried, whatever came of it, so this ends. */
	idx = mem_alloc(max, sizeof(*idx));
	while (!queue_stopping && (n = gather(w, first, idx, max)) > 0) {
		if (suspended(w, r, idx, n))
			continue;
		queue_send(&w->q, r, idx, n, remote_done, w);
		judge_host(w, r, idx, n);
	}
	free(idx);
	queue_dest_leave();
	return true;
}

/* False when some wait for a busy destination. */
static bool
deliver_all(struct work *w)
{
	bool all = true;

	for (size_t i = 0; i < w->q.env.nrcpt; i++) {
		if (w->q.env.rcpt[i].state == QUEUEFILE_QUEUED && !w->a[i].skip)
			route_find(&w->route[i], &w->q.env, &w->q.env.rcpt[i]);
	}
	for (size_t i = 0; i < w->q.env.nrcpt && !queue_stopping; i++) {
		if (w->q.env.rcpt[i].state != QUEUEFILE_QUEUED ||
		    w->a[i].tried || w->a[i].skip)
			continue;
		switch (w->route[i].kind) {
		case ROUTE_LOCAL:
			if (is_pipe(&w->route[i]))
				pipe_group(w, i);
			else if (!queue_many(w, i))
				local_one(w, i);
			break;
		case ROUTE_DISCARD:
			local_one(w, i);
			break;
		case ROUTE_REMOTE:
			all = remote_group(w, i) && all;
			break;
		default:
			no_route(w, i);
		}
	}
	return all && !queue_stopping;
}

static void
read_note(void *ctx, const struct queuefile_note *n)
{
	struct work *w = ctx;

	/* An attempt that went to busy destinations in vain goes on with
	 * the others; who said "later" in it is not asked again. */
	if (n->rcpt != SIZE_MAX) {
		w->a[n->rcpt].skip = span_is(n->word, "deferred");
		return;
	}
	w->delayed |= span_is(n->word, "delayed");
	if (!span_is(n->word, "attempt"))
		return;
	w->tries++;
	for (size_t i = 0; i < w->q.env.nrcpt; i++)
		w->a[i].skip = false;
}

/* As old as the entry is, between minimal and maximal: it doubles, as
 * Postfix's does. */
static time_t
next_attempt(const struct work *w)
{
	int64_t wait = (clock_now_us() - w->q.env.arrival_us) / 1000;

	if (wait < queue_conf.minimal_backoff)
		wait = queue_conf.minimal_backoff;
	if (wait > queue_conf.maximal_backoff)
		wait = queue_conf.maximal_backoff;
	return clock_now() + (time_t)(wait / 1000 > 0 ? wait / 1000 : 1);
}

/* The last act: every recipient is done or told (law 2), so a failed unlink
 * repeats no delivery, it only leaves an entry in which nobody waits. */
static enum queue_result
remove_entry(struct work *w)
{
	struct err e = ERR_INIT;

	if (w->removed)
		return QUEUE_WORKED;
	log_role("qmgr");
	if (queuefile_remove(&w->q, &e) != 0) {
		log_error("%s: %s", w->q.id, e.text);
		return QUEUE_TROUBLE;
	}
	say_removed(w);
	return QUEUE_WORKED;
}

static enum queue_result
finish(struct work *w, bool all)
{
	struct queuefile_note note = { .rcpt = SIZE_MAX,
				       .word = SPAN("attempt"),
				       .dsn = SPAN("-"),
				       .relay = SPAN("none"),
				       .text = SPAN("-") };
	struct err e = ERR_INIT;
	/* Reports are durable before anybody is marked as told. */
	int told = queue_report(w);

	if (queuefile_count(&w->q, QUEUEFILE_QUEUED) == 0 && told == 0)
		return remove_entry(w);
	if (!all) {
		/* Due still; who asked to end, or the runner's list of what
		 * waits for a place, sees to it. */
		if (queuefile_next(&w->q, clock_now() + w->later, &e) != 0)
			log_error("%s: %s", w->q.id, e.text);
		return w->later > 0 ? QUEUE_WORKED : QUEUE_AGAIN;
	}
	queue_report_delay(w);
	if (queuefile_note(&w->q, &note, &e) != 0 ||
	    queuefile_next(&w->q, next_attempt(w), &e) != 0) {
		log_error("%s: %s", w->q.id, e.text);
		return QUEUE_TROUBLE;
	}
	return told == 0 ? QUEUE_WORKED : QUEUE_TROUBLE;
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

/* Notes what was, and puts the next attempt ahead: should this process die,
 * the entry is not tried again at once. */
static int
prepare(struct work *w)
{
	time_t ahead =
	    clock_now() + (time_t)(queue_conf.minimal_backoff / 1000);
	struct err e = ERR_INIT;

	if (queuefile_ahead(&w->q, ahead, &e) == 0 &&
	    queuefile_notes(&w->q, read_note, w, &e) == 0)
		return 0;
	log_error("%s: %s", w->q.id, e.text);
	return -1;
}

/* One look at all recipients. The entry is locked by our caller. */
static enum queue_result
attempt(struct work *w)
{
	enum queue_result r = QUEUE_TROUBLE;

	w->route = mem_alloc(w->q.env.nrcpt, sizeof(*w->route));
	w->a = mem_alloc(w->q.env.nrcpt, sizeof(*w->a));
	if (prepare(w) == 0) {
		say_active(w);
		r = finish(w, deliver_all(w));
	}
	for (size_t i = 0; i < w->q.env.nrcpt; i++) {
		route_free(&w->route[i]);
		buf_free(&w->a[i].text);
	}
	free(w->route);
	free(w->a);
	return r;
}

enum queue_result
queue_entry(const char *id)
{
	struct work w = { .started = clock_now_us() };
	struct err e = ERR_INIT;
	enum queue_result r = QUEUE_NOTHING;
	int dirfd = deliver_queue_dir(&e);

	log_role("qmgr");
	if (dirfd < 0) {
		log_error("%s", e.text);
		return QUEUE_TROUBLE;
	}
	enum queuefile_result got = queuefile_open(
	    &w.q, dirfd, id, QUEUEFILE_LOCK | QUEUEFILE_CHECK, &e);
	if (got == QUEUEFILE_ERROR)
		log_error("%s: %s", id, e.text);
	if (got != QUEUEFILE_OK)
		return got == QUEUEFILE_ERROR  ? QUEUE_TROUBLE
		       : got == QUEUEFILE_BUSY ? QUEUE_LOCKED
					       : QUEUE_NOTHING;
	if (w.q.env.hold) {
		if (queuefile_next(&w.q, QUEUE_NEVER, &e) != 0)
			log_error("%s: %s", id, e.text);
	} else if (w.q.next <= clock_now()) {
		r = attempt(&w);
	}
	queuefile_close(&w.q);
	return r;
}
