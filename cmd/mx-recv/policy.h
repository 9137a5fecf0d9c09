/*
 * policy.h - Postfix's policy delegation protocol (SMTPD_POLICY_README).
 */
#ifndef RECV_POLICY_H
#define RECV_POLICY_H

#include "restrict.h"

/* Asks; the server's action without "action=".  False: no answer (logged). */
bool policy_ask(struct check *c, const struct rule *r, struct buf *action);

#endif
