/*
 * rates.h - how often a client did something lately, counted over all workers
 * in memory they share: smtpd_client_*_rate_limit.  Postfix anvil(8).
 */
#ifndef RECV_RATES_H
#define RECV_RATES_H

#include "session.h"

enum rate { RATE_CONNECT, RATE_MESSAGE, RATE_RCPT, RATE_AUTH, RATE_TLS, RATES };

/* In the monitor, before any worker: the memory.  Once. */
int rates_start(struct err *e);
/* Counts one more for this session's client (IPv6: its /64); true and the
 * reply (and a line in the log) when that is beyond the limit. */
bool rates_over(struct session *s, enum rate what, struct reply *r);

/* Has this client passed the tests before the greeting lately? */
bool rates_passed(const struct session *s);
/* It has, and that is good for so long (ms). */
void rates_pass(const struct session *s, int64_t ttl);

#endif
