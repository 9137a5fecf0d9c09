/*
 * handwork.h - what is done with the rights of the user who owns a mailbox:
 * open a file in tmp/, put it in its places, append to an mbox, run a
 * command.  The same code runs in our own process when the rights are ours,
 * and in a kept child that became the user (hand.h).
 */
#ifndef MX_DELIVER_HANDWORK_H
#define MX_DELIVER_HANDWORK_H

#include "deposit.h"
#include "local.h"
#include "place.h"

/* A command to run with the message as its stdin. */
struct command {
	struct strs argv, env; /* argv[0] absolute or found through PATH */
	const char *dir;       /* or NULL: / */
	int64_t limit_ms;
};
struct command_result {
	int status;      /* ST_* */
	struct buf out;  /* of stdout, at most 60 KB */
	struct buf errs; /* of stderr, its last 4 KB */
};

/* Stages of a filter over real pipes, the message as the first one's stdin;
 * what the last one writes is in fd_out, a new descriptor without a name. */
struct pipeline {
	struct strs *argv; /* one list a stage */
	size_t n;
	struct strs env;
	int64_t limit_ms;
};
struct pipeline_result {
	int bad;            /* index of the failing stage, or -1 */
	int status;         /* its ST_* */
	struct buf errs;    /* its stderr, the last 4 KB */
	struct buf actions; /* all stages' fd 3, in order */
	int fd_out;
};

/* Maildirs of the last deliveries are kept open for some seconds. */
#define HANDWORK_KEPT 128
struct kept_dir {
	char *path; /* NULL: free */
	int dirfd;
	enum deposit_sync sync; /* what its file system needs */
	int64_t opened;
	bool pinned; /* handwork_many is at work in it */
};
struct handwork {
	struct kept_dir dir[HANDWORK_KEPT];
	struct kept_dir *at; /* of the open message */
	struct quota quota;
	char *user, *home; /* who is warned, or NULL */
	struct deposit d;
	bool active;
};
void handwork_init(struct handwork *w);
void handwork_done(struct handwork *w);

/* Opens tmp/ of the Maildir.  *script_r: does `sieve` (may be NULL) exist? */
int handwork_open(struct handwork *w, const char *maildir,
		  enum deposit_sync sync, const char *sieve, bool *script_r,
		  struct err *e) MX_MUST_CHECK;
/* Limits that its commit keeps to. */
void handwork_quota(struct handwork *w, const struct quota *q, const char *user,
		    const char *home);
/* size and vsize as the writer counted them. */
int handwork_commit(struct handwork *w, uint64_t size, uint64_t vsize,
		    const struct places *p, struct err *e) MX_MUST_CHECK;
void handwork_abort(struct handwork *w);

/* One of several Maildirs that the same message goes to.  Not two of them in
 * one path: the second one's quota would not know of the first. */
struct handwork_item {
	const char *path, *sieve, *user, *home; /* as in struct dest */
	struct quota quota;
	const char *once; /* its file's name in every attempt: deposit.h */
	struct span head; /* its own fields, in front of the message */
	/* what became of it; FAILED: e says why */
	enum { ITEM_DONE, ITEM_FAILED, ITEM_SCRIPT } state;
	struct err e;
	struct kept_dir *at; /* handwork_many's own */
	struct deposit d;
};
#define HANDWORK_MANY 16
/* Delivers into n <= HANDWORK_MANY of them: all written, all put in place, then
 * each synced, so that one commit of the journal does for all.  Each has its
 * own verdict; where a Sieve script exists (ITEM_SCRIPT) nothing was done. */
void handwork_many(struct handwork *w, enum deposit_sync sync,
		   struct handwork_item *item, size_t n, struct span body);
/* Appends size bytes of fd from `at`, behind `head`; the file stays below
 * limit (0: none). */
int handwork_mbox(const char *path, const char *sender, struct span head,
		  int fd, uint64_t at, uint64_t size, uint64_t limit,
		  struct err *e) MX_MUST_CHECK;
/* Runs it; stdin is fd.  -1: it could not be run at all. */
int handwork_run(const struct command *c, int fd, struct command_result *r,
		 struct err *e) MX_MUST_CHECK;
/* A .forward file of ours, at most FORWARD_MAX bytes: 1 and its bytes, 0 when
 * there is none that counts (why is logged), -1 and a sentence.  own false: a
 * file that it includes, which may be anybody's. */
#define FORWARD_MAX 100000
int handwork_forward(const char *path, bool own, struct buf *b,
		     struct err *e) MX_MUST_CHECK;
/* Would it fit?  Nothing is made; no Maildir yet: it is empty. */
int handwork_room(const char *maildir, const struct quota *q, uint64_t size,
		  enum quota_room *r, struct err *e) MX_MUST_CHECK;
int handwork_pipe(const struct pipeline *p, int fd, struct pipeline_result *r,
		  struct err *e) MX_MUST_CHECK;

#endif
