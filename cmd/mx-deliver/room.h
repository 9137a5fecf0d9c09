/*
 * room.h - the answer to RCPT for a mailbox that is full: Dovecot's
 * quota-status, asked where the recipient is known.
 */
#ifndef MX_DELIVER_ROOM_H
#define MX_DELIVER_ROOM_H

#include "route.h"

/* Where mail for one mailbox with a limit goes: is there room for a message of
 * that size (0: not known)?  -1 and e: the answer to RCPT; *code_r: its code,
 * where the configuration names one.  What cannot be found out now is found
 * out by delivering. */
int room_ask(const struct targets *t, uint64_t size, int *code_r,
	     struct err *e) MX_MUST_CHECK;
/* e is 5.1.1: quota_status_nouser may have other words. */
void room_unknown(int *code_r, struct err *e);

#endif
