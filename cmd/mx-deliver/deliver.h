/*
 * deliver.h - what the parts of mx-deliver say to each other: routing of a
 * recipient, delivery that ends on this host, and log lines.
 * The queue runner (queue_run.c) routes each queued recipient with
 * route_find, gives LOCAL ones to deliver_local and REMOTE ones to mx-send.
 */
#ifndef MX_DELIVER_H
#define MX_DELIVER_H

#include "param.h"
#include "queuefile.h"

enum route_kind {
	ROUTE_LOCAL,   /* ends here: mailbox, file, command, pipe */
	ROUTE_REMOTE,  /* transport and nexthop say where */
	ROUTE_DISCARD, /* transport discard: */
	ROUTE_FAILED,  /* why: for good (unknown user, transport error:) */
	ROUTE_DEFERRED /* why: a table is away, transport retry: */
};

struct dest;    /* a place on this host; see local.h */
struct targets; /* see route.h */

struct route {
	enum route_kind kind;
	char *transport;   /* "local", "virtual", "pipe"; "smtp", "relay",
			      "lmtp": also the log's relay word */
	char *nexthop;     /* REMOTE: "example.org", "[host]:25", "unix:PATH" */
	struct dest *dest; /* LOCAL */
	struct targets *forward; /* LOCAL: aliases gave these instead */
	struct strs via;         /* local addresses that it came through */
	char *delivered;         /* Delivered-To, NULL: the recipient */
	struct err why;          /* FAILED, DEFERRED */
};

/*
 * Where does this recipient of a queue entry go?  Aliases are expanded unless
 * that was done when the entry was made.  env->transport overrides.  May ask
 * tables and mx-auth, so it may block some seconds.
 */
void route_find(struct route *r, const struct queuefile_env *env,
		const struct queuefile_rcpt *rcpt);
void route_free(struct route *r);
/* The client behind a transport: "smtp", "relay", "lmtp", also for a clone
 * named smtp-ANYTHING (Postfix's master.cf has them); NULL: none. */
const char *route_client(const char *transport);

enum deliver_result { DELIVER_DONE, DELIVER_DEFERRED, DELIVER_FAILED };

/* How one delivery ended; what log line, journal and DSN are made of. */
struct outcome {
	enum deliver_result result;
	struct err why; /* not DONE: status, enhanced code, sentence */
	char text[200]; /* DONE: "delivered to maildir" */
	char dsn[12];   /* "2.0.0" or why's code */
};

/*
 * Delivers message i of an open entry where route says LOCAL or DISCARD.
 * DONE means on stable storage (or taken by a command).  Sieve's redirects
 * and rejections become new queue entries before it returns.
 */
void deliver_local(const struct route *r, const struct queuefile *q, size_t i,
		   struct outcome *out);

/*
 * Writes a new queue entry: `head` (may be empty) and then size bytes of fd
 * from offset `at`; durable when it returns 0.  The recipients are expanded
 * when the runner routes them.
 * For bounces, redirects, forwards.  env->id NULL or "": a new one is made,
 * and left in id_r (64 bytes, may be NULL).
 */
int deliver_enqueue(struct queuefile_env *env, struct span head, int fd,
		    uint64_t at, uint64_t size, char *id_r,
		    struct err *e) MX_MUST_CHECK;

/* delays=a/b/c/d of a log line, in microseconds: before the queue, in it,
 * connecting, sending.  A negative part prints as 0. */
struct delays {
	int64_t arrival_us, a, b, c, d;
	int64_t uses; /* messages over the connection; one is not told */
};

/* "ID: to=<>, orig_to=<>, relay=, delay=, delays=, dsn=, status=sent (...)".
 * status: "sent", "deferred", "bounced", "expired". */
void deliver_log(const char *role, const char *id, const char *to,
		 const char *orig_to, const char *relay,
		 const struct delays *dl, const char *dsn, const char *status,
		 const char *text);

/* The queue directory's descriptor, opened once; -1 and a sentence. */
int deliver_queue_dir(struct err *e);

/*
 * Opens the tables of routes, then rights.  As root: starts the small root
 * parent that becomes users for us, then gives up root for $mail_owner.  Not
 * root: nothing.  Called once before mail is touched (the server does it by
 * itself).
 */
int deliver_drop(struct err *e) MX_MUST_CHECK;

/* Row sets of parameters: this part's, and the queue's (queue_conf.c). */
extern const struct param_rows deliver_params, queue_params;

#endif
