/*
 * senders.h - the sender of forwarded mail (SRS): when it is rewritten, how a
 * bounce finds back, and the same as a table for Postfix.
 */
#ifndef MX_DELIVER_SENDERS_H
#define MX_DELIVER_SENDERS_H

#include "opt.h"
#include "route.h"

/* Reads srs_secrets_file, while it may be read; with route_open. */
void senders_open(void);

/* Targets on other hosts that `rcpt`, an address of ours, became: each gets a
 * sender of srs_domain, unless the sender is ours, null or excluded.  -1: try
 * again. */
int senders_mark(struct targets *t, const char *rcpt, const char *sender,
		 struct err *e) MX_MUST_CHECK;
/* The sender for one forwarded message, allocated; a copy where nothing is to
 * change; NULL and e. */
char *senders_forward(const char *sender, struct err *e) MX_MUST_CHECK;
/* An SRS address of srs_domain becomes the one it stands for.  -1 and e:
 * 5.1.1 for a wrong or old one. */
int senders_reverse(char **addr, struct err *e) MX_MUST_CHECK;

/* --srs ADDR, --srs-reverse ADDR: a status. */
int senders_print(const char *addr, bool back);
/* --srs-serve: tcp_table(5) and socketmap_table(5) servers. */
int senders_serve(const struct program *p);

#endif
