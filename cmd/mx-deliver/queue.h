/*
 * queue.h - the queue's runner, tools and reports.
 *   queue_run.c      looks for entries that are due, one runner a spool
 *   queue_pool.c     the runner's workers: an entry at a time each
 *   queue_entry.c    in a worker: one attempt at one entry
 *   queue_many.c     several Maildirs of one owner at once
 *   queue_report.c   who is to be told of what
 *   queue_send.c     a message to mx-send, its verdicts
 *   queue_link.c     the runner's mx-send
 *   queue_dest.c     what all workers know of destinations
 *   bounce.c         writes a report
 *   queue_tools.c    --list, --show, --hold ...
 *   queue_why.c      --why
 */
#ifndef MX_DELIVER_QUEUE_H
#define MX_DELIVER_QUEUE_H

#include "deliver.h"
#include "opt.h"

struct queue_conf {
	int64_t minimal_backoff, maximal_backoff; /* ms */
	int64_t maximal_lifetime, bounce_lifetime, delay_warning;
	int64_t run_delay;
	int64_t process_limit, concurrency_limit, recipient_limit;
	int64_t initial_concurrency, cohort_limit, rate_delay;
	char *positive_feedback, *negative_feedback;
	int64_t bounce_size_limit, minfree, report_limit;
	bool soft_bounce;
	char *double_bounce_sender, *bounce_notice_recipient;
	char *authserv_id; /* Authentication-Results of ours */
	char *copy_recipient, *delay_copy_recipient;
	struct strs notify_classes;
};
extern struct queue_conf queue_conf;

/* The next attempt of what is on hold: far ahead, in 2100. */
#define QUEUE_NEVER ((time_t)4102444800)

/* One recipient's result in an attempt. */
struct attempt {
	enum deliver_result result;
	bool tried; /* this time */
	bool skip;  /* tried in the first part of this attempt */
	bool expired;
	bool alone;   /* not with others: its mailbox has a script */
	bool relayed; /* to a host that reports nothing */
	char relay[300], dsn[16];
	struct buf text;
};

/* An entry being worked on. */
struct work {
	struct queuefile q;
	struct route *route; /* one a recipient */
	struct attempt *a;
	int64_t started; /* clock_now_us */
	int64_t tries;   /* attempts before this one */
	bool delayed;    /* the sender was told of a delay already */
	bool removed;    /* the entry is gone: its last recipient is done */
	int later;       /* seconds of a rate delay to wait for */
};

/* queue_entry.c: one attempt at an entry, in a worker.  Marks each recipient
 * before the next step; then removes the entry, or sets its next attempt. */
enum queue_result {
	QUEUE_WORKED = 'd',  /* tried */
	QUEUE_NOTHING = 'n', /* gone, on hold, not due */
	QUEUE_LOCKED = 'l',  /* a tool has it: soon once more */
	QUEUE_AGAIN = 'a',   /* a destination is busy: soon once more */
	QUEUE_TROUBLE = 'e'  /* logged; the entry waits */
};
enum queue_result queue_entry(const char *id);
/* Asked to end: the worker finishes the step it is in. */
extern volatile int queue_stopping;

/* The verdict of a recipient: marked, noted (where it is not noted, a deferral
 * leaves no line), logged, in that order. */
struct verdict;
void queue_settle(struct work *w, const struct verdict *v, bool noted);
/* The same for recipient i, whose mail was delivered on this host, or not. */
void queue_settle_here(struct work *w, size_t i, const struct outcome *o);

/* queue_many.c: the Maildir of recipient `first` and those of others who have
 * the same owner, at once; false: that is to be done alone. */
bool queue_many(struct work *w, size_t first);

/* queue_report.c: is its delivery reported (NOTIFY=SUCCESS)? */
bool queue_report_asked(const struct queuefile_rcpt *r);
/* Failures, the first delay, successes.  -1 when the report of a failure could
 * not be made: the entry has to stay. */
int queue_report(struct work *w);
void queue_report_delay(struct work *w);

/* queue_send.c: recipients idx[0..n-1] of q to one nexthop by mx-send; calls
 * done for each as soon as its verdict is read. */
struct verdict {
	size_t rcpt;
	enum deliver_result result;
	const char *dsn, *relay; /* checked, escaped */
	struct span text;
	int64_t connect_us, transmit_us;
	int64_t uses; /* messages over that connection, with this one */
	bool has_dsn; /* the next server sends reports itself (RFC 3461) */
};
void queue_send(const struct queuefile *q, const struct route *r,
		const size_t *idx, size_t n,
		void (*done)(void *ctx, const struct verdict *v), void *ctx);

/* For whoever else runs mx-send: its nexthop; a word of its lines
 * (false: none is left); is this an enhanced code of that class? */
void queue_send_nexthop(struct buf *b, const struct route *r);
bool queue_send_word(struct span *rest, struct buf *out);
bool queue_send_dsn(struct span dsn, char class);

/* queue_link.c: one mx-send for all workers, which keeps connections for the
 * message after this one.  The runner starts it when the first job lies in
 * its socket, and anew when it has ended. */
void queue_link_init(void);
/* In a worker: where jobs go. */
int queue_link_fd(void);
void queue_link_worker(void);
/* What the runner's poll(2) should watch, -1: nothing; then looks at it. */
int queue_link_watch(void);
void queue_link_take(void);
/* SIGCHLD came; safe in its handler. */
void queue_link_child(void);
/* It ends when nobody waits for it (SIGHUP: new configuration). */
void queue_link_recycle(void);
void queue_link_end(void);

/* queue_dest.c: shared by all workers; made by the runner before them. */
void queue_dest_init(size_t n);
/* This process is worker number `n`. */
void queue_dest_worker(size_t n);
/* A worker died: its place at a destination is free. */
void queue_dest_forget(size_t n);
/* May we go there now?  0: yes, until queue_dest_leave; -1: as many are there
 * as may be; else so many seconds are left of the rate delay. */
int queue_dest_enter(const struct route *r);
void queue_dest_leave(void);
/* The host could not be reached.  After enough of that others need not try for
 * a while; text is what they will say. */
void queue_dest_fails(const struct route *r, struct span text);
void queue_dest_works(const struct route *r);
/* Recipients in one transaction. */
size_t queue_dest_recipients(const struct route *r);
/* Is it suspended?  Then text (of 300 bytes) says why. */
bool queue_dest_suspended(const struct route *r, char text[300]);
/* --flush: forget what was suspended before now. */
void queue_dest_flushed(int dirfd);

/* bounce.c: a report (RFC 3464) about these recipients, as a new entry. */
enum bounce_kind { BOUNCE_FAILED, BOUNCE_DELAYED, BOUNCE_SUCCESS };
int bounce_report(const struct queuefile *q, const struct attempt *a,
		  enum bounce_kind kind, struct err *e);
/* Appends the message's header, LF, at most 128 KB. */
int bounce_header(const struct queuefile *q, struct buf *out,
		  struct err *e) MX_MUST_CHECK;

/* report_limit.c: may that address get one more report in this hour?  Counts
 * it. */
bool report_allowed(const char *to);
/* Did a stranger's message fail DMARC with p=reject, as our own
 * Authentication-Results says? */
bool report_forged(const struct queuefile *q);

/* queue_pool.c */
struct pool;
struct pool *pool_new(size_t max, const int *close_in_child, size_t n);
/* Gives an entry to an idle worker, or to a new one.  False: all are busy. */
bool pool_give(struct pool *p, const char *id);
bool pool_has(const struct pool *p, struct span id);
size_t pool_busy(const struct pool *p);
/* Adds what ppoll(2) should watch; max entries; returns how many. */
struct pollfd;
size_t pool_watch(struct pool *p, struct pollfd *v, size_t max);
/* SIGCHLD came; safe in its handler. */
void pool_child(void);
/* Takes results and deaths that v, filled by pool_watch and polled, tells of.
 */
void pool_take(struct pool *p, const struct pollfd *v,
	       void (*done)(void *ctx, const char *id, enum queue_result r),
	       void *ctx);
/* Idle workers end; busy ones after their entry (SIGHUP: new configuration).*/
void pool_recycle(struct pool *p);
/* All end: each finishes the step it is in; after 15 s they are killed. */
void pool_end(struct pool *p);

/* queue_run.c: --queue-run [--watch]; a status. */
int queue_run(const struct program *p, bool watch);
/* queue_tools.c: --list, --show ...; id "ALL": every entry. */
int queue_list(void);
int queue_show(const char *id);
int queue_flush(const char *what); /* "": all */
int queue_hold(const char *id, bool hold);
int queue_requeue(const char *id);
int queue_delete(const char *id);
/* Is there room for a message of that size (0: unknown), as queue_minfree asks?
 */
bool queue_room(uint64_t size);
/* The queue as it is, for whoever only looks; ST_NOINPUT: there is none. */
int queue_open_dir(struct err *e) MX_MUST_CHECK;
/* queue_why.c: --why */
int queue_why(const char *what);

#endif
