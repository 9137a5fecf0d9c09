/*
 * queue.h - the queue's runner, tools and reports.
 */
#ifndef MX_DELIVER_QUEUE_H
#define MX_DELIVER_QUEUE_H

#include "deliver.h"

struct queue_conf {
	int64_t minimal_backoff, maximal_backoff; /* ms */
	int64_t maximal_lifetime, bounce_lifetime, delay_warning;
	int64_t run_delay;
	int64_t process_limit;
	int64_t bounce_size_limit;
	bool soft_bounce;
	char *double_bounce_sender, *bounce_notice_recipient;
	struct strs notify_classes;
};
extern struct queue_conf queue_conf;

/* One recipient's result in an attempt. */
struct attempt {
	enum deliver_result result;
	bool tried; /* this time */
	bool expired;
	char relay[300], dsn[16];
	struct buf text;
};

/* queue_entry.c: one attempt at an entry, in a child of the runner.  Marks
 * each recipient before the next step; then removes the entry, or sets its
 * next attempt.  0 when the entry is in order afterwards. */
int queue_entry(const char *id);
/* queue_send.c: recipients idx[0..n-1] of q to one nexthop by mx-send; calls
 * done for each as soon as its verdict is read. */
typedef void queue_done_fn(void *ctx, size_t rcpt, struct span status,
			   struct span dsn, struct span relay,
			   struct span text);
void queue_send(const struct queuefile *q, const struct route *r,
		const size_t *idx, size_t n, queue_done_fn *done, void *ctx);

/* bounce.c: a report (RFC 3464) about these recipients, as a new entry. */
enum bounce_kind { BOUNCE_FAILED, BOUNCE_DELAYED, BOUNCE_SUCCESS };
int bounce_report(const struct queuefile *q, const struct attempt *a,
		  enum bounce_kind kind, struct err *e);

/* queue_run.c: --queue-run [--watch]; a status. */
int queue_run(bool watch);
/* queue_tools.c: --list, --show ... */
int queue_list(void);
int queue_show(const char *id);
int queue_flush(const char *what); /* "": all */
int queue_hold(const char *id, bool hold);
int queue_requeue(const char *id);
int queue_delete(const char *id);

#endif
