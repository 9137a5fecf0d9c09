/*
 * route.h - from a recipient to the places where its mail ends, in Postfix's
 * order: virtual aliases, transport, aliases(5), mailbox.
 */
#ifndef MX_DELIVER_ROUTE_H
#define MX_DELIVER_ROUTE_H

#include "deliver.h"
#include "local.h"
#include "table.h"

/* Opens all tables; in the monitor, before rights are given up. */
void route_open(void);
/* From now on (until false) routes are those of probes: address_verify_*. */
void route_probing(bool on);
/* Reads changed tables again; between sessions. */
void route_refresh(void);

/* What one recipient became. */
struct target {
	char *addr;        /* where it goes: address of mailbox or other host */
	char *sender;      /* owner- alias: instead of the message's; or NULL */
	struct dest *dest; /* it ends here (only then); or NULL: to the queue */
	/* what it came through (via.h): local addresses other than addr; the
	 * Delivered-To that a final delivery adds, NULL: addr; those that the
	 * message carries when it leaves local(8), the last one at the end */
	struct strs via, forwarded;
	char *delivered;
	bool loop;  /* it only bounces: addr is what loops */
	bool later; /* the queue expands addr */
	bool
	    list; /* sender is that of a mailing list (RFC 3461 5.2.7): what
		   * goes there is the list's message, no longer the author's */
};
struct targets {
	struct target *v;
	size_t n, cap;
};
void target_free(struct target *g);
void targets_free(struct targets *t);
/* Does a mailing list send it on, in whole or in part? */
bool targets_list(const struct targets *t);
/* Nothing but addr itself, for the queue to expand. */
void targets_later(struct targets *t, const char *addr);

/*
 * Expands addr.  Returns 0 and at least one target; or -1 with e: 5.1.1 for
 * an unknown user, temporary when a table is away, 5.4.6 for a loop.
 * Unknown users inside an alias are targets without dest: the queue bounces
 * them.
 */
int route_expand(const char *addr, struct targets *t,
		 struct err *e) MX_MUST_CHECK;
/* Is addr's domain one of ours (mydestination, virtual_*)? */
enum table_result route_is_local(struct span domain,
				 struct err *e) MX_MUST_CHECK;
/* Adds a target to a queue entry as a recipient that needs no more expansion;
 * a command or file is kept in a line of its own. */
struct queuefile_rcpt *route_to_queue(struct queuefile_env *env,
				      const struct target *t);

#endif
