/*
 * hand_int.h - the client of hand.h from inside: hand.c, hand_many.c.
 */
#ifndef MX_DELIVER_HAND_INT_H
#define MX_DELIVER_HAND_INT_H

#include "hand.h"

struct hand {
	int sock;  /* -1: our own rights */
	bool dead; /* the child ended; freed when nobody uses it */
	uid_t uid;
	gid_t gid;
	int64_t used;
	struct handwork own;
	struct deposit remote; /* writes through the passed descriptor */
	bool active;
	/* A file that was opened with the last commit (hand_next). */
	struct buf ahead; /* the request for it; empty: none */
	int ahead_fd;
	bool ahead_script;
	int64_t ahead_at;
};

/* Sends the request (freed) and waits for the answer; the child's own failure
 * becomes e.  A lost child is never asked again.  answer, fd_r: may be NULL. */
int hand_ask(struct hand *h, struct buf *request, int fd, struct buf *answer,
	     int *fd_r, int64_t ms, struct err *e) MX_MUST_CHECK;
/* The file that was opened with the last commit is given up. */
void hand_ahead_forget(struct hand *h);

#endif
