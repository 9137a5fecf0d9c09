/*
 * policy.h - Postfix's policy delegation protocol (SMTPD_POLICY_README).
 */
#ifndef RECV_POLICY_H
#define RECV_POLICY_H

#include "restrict.h"

/* How one server is asked: the smtpd_policy_service_* parameters, and what a
 * rule says of its own.  Times in ms. */
struct policy_options {
	int64_t timeout, delay, idle, ttl, requests, tries;
	char *default_action, *context;
};

/* arg: "ENDPOINT", or what stood in { }: "ENDPOINT, timeout=10s,
 * default_action=DUNNO, { policy_context = submission }".  The endpoint goes
 * to *endpoint_r and lies in arg; never freed, as rules are not.  NULL: a word
 * that there is not. */
struct policy_options *policy_options_parse(const char *arg,
					    const struct conf_params *p,
					    struct span *endpoint_r,
					    struct err *e);

/* Asks; the server's action without "action=", or the default action when it
 * does not answer (logged; false). */
bool policy_ask(struct check *c, const struct rule *r, struct buf *action);

#endif
