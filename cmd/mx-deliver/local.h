/*
 * local.h - places on this host, and the delivery of one message to one of
 * them: opened, written as it arrives, then committed.
 */
#ifndef MX_DELIVER_LOCAL_H
#define MX_DELIVER_LOCAL_H

#include "deliver.h"
#include "quota.h"

enum dest_kind { DEST_MAILDIR, DEST_MBOX, DEST_COMMAND };

struct dest {
	enum dest_kind kind;
	const char *relay; /* word for the log: "local", "virtual", "pipe" */
	char *path;        /* absolute; or the command line */
	char *user;        /* login name, or NULL: no user stands behind it */
	char *by;          /* user == NULL: whose .forward names it, or NULL */
	char *home;        /* or NULL */
	char *sieve;       /* script, or NULL */
	struct quota quota;
	uid_t uid;
	gid_t gid;
	bool has_ids; /* false: our own rights */
	bool shell;   /* a command of the administrator or the user */
};

/* What a delivery knows of the message: header fields on top, environment of
 * commands and filters. */
struct facts {
	const char *id;        /* queue ID */
	const char *sender;    /* "" is the null sender */
	const char *addr;      /* the recipient now */
	const char *original;  /* as it came, or NULL */
	const char *delivered; /* Delivered-To, NULL: addr */
	const char *client_addr, *client_name, *helo, *proto, *login, *tls;
	struct span extra; /* fields below ours, e.g. Received; may be empty */
	unsigned flags;    /* QUEUEFILE_* of the message */
};

/* Those of recipient i of an entry. */
void deliver_facts(struct facts *f, const struct route *r,
		   const struct queuefile *q, size_t i);

/* A delivery into a Maildir that is written as the message arrives. */
struct local {
	const struct dest *dest;
	const struct facts *facts;
	struct hand *hand;
	struct deposit *out; /* or NULL: not open */
	bool script;         /* the user has a Sieve script */
};
int local_begin(struct local *l, const struct dest *d, const struct facts *f,
		struct err *e) MX_MUST_CHECK;
int local_write(struct local *l, const void *p, size_t n,
		struct err *e) MX_MUST_CHECK;
/* Do sieve_before or sieve_after look at its mail, whatever its owner has? */
bool local_filtered(const struct dest *d);
/* Sieve where there is a script, then the one commit. */
void local_finish(struct local *l, struct outcome *out);
void local_abort(struct local *l);

/* The whole of it from a descriptor: size bytes from `at`. */
void local_deliver(const struct dest *d, const struct facts *f, int fd,
		   uint64_t at, uint64_t size, struct outcome *out);
/* Law 1: a failure is for good only where that was said on purpose, by an
 * enhanced code of class 5; a full disk, a missing file and all else that the
 * system says become "try again". */
void outcome_settle(struct err *e);
/* A mailbox that could not be opened or written (r != 0): e becomes temporary.
 * Returns r. */
int local_trouble(int r, struct err *e);
/* Outcome from a failure. */
void outcome_fail(struct outcome *out, const struct err *e);
void outcome_done(struct outcome *out, const char *text);

void dest_free(struct dest *d);
struct dest *dest_copy(const struct dest *d);

#endif
