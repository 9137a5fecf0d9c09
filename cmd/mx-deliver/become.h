/*
 * become.h - becoming the user who owns a mailbox: a root parent, which never
 * sees a byte of mail, forks a child that takes the user's rights and serves
 * one client over a socket (hand.h).  The kept child is used again, so that
 * no message costs a fork.  DESIGN 4 and 6.
 */
#ifndef MX_DELIVER_BECOME_H
#define MX_DELIVER_BECOME_H

#include "server.h"

/* Is there a root parent behind us?  Otherwise our own rights do for all. */
bool become_possible(void);
/* A socket to a fresh child with these rights, or -1 and a sentence. */
int become_connect(uid_t uid, gid_t gid, struct err *e) MX_MUST_CHECK;

/* For the server: the monitor is the root parent.  In before_drop ... */
void become_offer(struct server *s);
/* ... and in after_drop. */
void become_in_worker(struct server *s);

#endif
