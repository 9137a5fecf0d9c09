/*
 * local.h - mode submit: the socket where programs of this host, mx-submit
 * above all, hand mail in.  Who they are is what the kernel says of them.
 */
#ifndef RECV_LOCAL_H
#define RECV_LOCAL_H

#include "session.h"

/* In the monitor: reads the names of uids, which workers cannot. */
void local_load(void);
/* In a session of mode submit: sets the login from the peer's uid.  False: the
 * client came over a network, which this mode is not for; *r says so. */
bool local_begin(struct session *s, struct reply *r) MX_MUST_CHECK;

#endif
