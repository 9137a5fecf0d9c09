/*
 * trans.h - one message on its way in: sender and recipients, where it is
 * written while it arrives, and what is answered at its end.
 * DESIGN 4 (mx-deliver), 3.9.
 */
#ifndef MX_DELIVER_TRANS_H
#define MX_DELIVER_TRANS_H

#include "head.h"
#include "local.h"
#include "route.h"
#include "spool.h"

/* Who sent it, as XFORWARD or the socket say; strings owned, NULL: unknown. */
struct client {
	char *name, *addr, *port, *proto, *helo, *ident, *source, *login, *tls;
	bool forwarded; /* XFORWARD said so: Received is there already */
	bool submit;    /* local submission */
};
void client_free(struct client *c);

struct trans_rcpt {
	char *addr; /* as the client gave it */
	char *orcpt, *notify;
	struct targets t;
	struct outcome out; /* after trans_end */
	bool queued;
};

enum sink { SINK_NONE, SINK_DIRECT, SINK_QUEUE, SINK_SPOOL };

struct trans {
	const struct client *client;
	bool lmtp; /* a verdict for each recipient */
	char id[64];
	char *sender; /* NULL: no transaction */
	char *envid, *ret;
	uint64_t announced; /* SIZE= of MAIL, 0: none */
	unsigned flags;     /* QUEUEFILE_* */
	struct trans_rcpt *rcpt;
	size_t nrcpt, cap, ntargets;
	int64_t begun_us;

	/* while the message arrives */
	enum sink sink;
	struct head_watch head;
	bool rewriting; /* the header is gathered in `gathered` */
	struct buf gathered;
	struct buf top;   /* our Received field */
	struct buf extra; /* facts.extra: what is above it, and it */
	struct local local;
	struct facts facts;
	struct queuefile_writer qw;
	struct queuefile_env env;
	struct spool spool;
	uint64_t size;
	/* what a filter's actions or the restrictions of mx-recv say */
	bool hold, discard;
	struct strs bcc;
	bool late;         /* more may be said until the last byte */
	char *redirect;    /* instead of all recipients */
	char *transport;   /* TRANSPORT:NEXTHOP that overrides routing */
	struct err failed; /* status: the message will be refused */
};

void trans_init(struct trans *t, const struct client *c, bool lmtp);
/* The one function that ends a transaction, whatever ended it. */
void trans_reset(struct trans *t);
/* Expands the recipient, asks whether its mailbox has room; -1 and e: the
 * answer to RCPT; *code_r: the reply code that the configuration names, 0. */
int trans_rcpt(struct trans *t, const char *addr, char *orcpt, char *notify,
	       int *code_r, struct err *e) MX_MUST_CHECK;
/* Opens the place where the message goes.  A failure is kept in t->failed:
 * what still comes is consumed. */
void trans_begin(struct trans *t);
void trans_write(struct trans *t, const void *p, size_t n);
/*
 * Everything has come.  Without lmtp: 0, or -1 and e (the one verdict); with
 * it each rcpt's out holds its own.  Durable when it says so.
 */
int trans_end(struct trans *t, struct err *e) MX_MUST_CHECK;
/* Log lines; after the answer was sent. */
void trans_log(struct trans *t);

#endif
