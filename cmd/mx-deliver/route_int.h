/*
 * route_int.h - what route.c, expand.c and resolve.c share.
 */
#ifndef MX_DELIVER_ROUTE_INT_H
#define MX_DELIVER_ROUTE_INT_H

#include "route.h"
#include "users.h"

/* Postfix's address classes. */
enum addr_class {
	CLASS_LOCAL,
	CLASS_ALIAS,
	CLASS_MAILBOX,
	CLASS_RELAY,
	CLASS_DEFAULT
};

struct maps {
	struct match_list *mydestination, *alias_domains, *mailbox_domains,
	    *relay_domains;
	struct tables virtual_alias, mailbox, uid, gid, transport,
	    relay_recipient, sender_relayhost, sender_transport,
	    mailbox_transport, fallback_transport, sender_bcc, recipient_bcc,
	    local_recipient; /* without the two below */
	bool local_passwd;   /* it lists the users of the system */
};
extern struct maps maps;

struct hop {
	char *transport, *nexthop;
};
void hop_set(struct hop *h, const char *text);
void hop_free(struct hop *h);

enum table_result route_class(struct span domain, enum addr_class *c,
			      struct err *e);
/* A match list of table.h; one that cannot be read is said once, and each
 * match_lookup is TRY_AGAIN. */
struct match_list *route_list(const struct strs *words, bool parents);
/* Class and transport of an address; sender (NULL: not known yet) may choose
 * another relay.  TRY_AGAIN or FOUND. */
enum table_result route_hop(const char *addr, const char *sender,
			    enum addr_class *c, struct hop *h, struct err *e);
/* mailbox_transport (which: 'm') or fallback_transport ('f') of a local name:
 * FOUND and set in h, NONE, TRY_AGAIN. */
enum table_result route_local_hop(char which, struct span name, struct hop *h,
				  struct err *e);
/* postconf(5) local_recipient_maps: is the local address listed?  FOUND where
 * the list is empty; where it names the users of the system they are asked
 * by the delivery itself, and this says NONE. */
enum table_result route_local_listed(const char *addr, struct err *e);
/* The domain of an address, "" without one; and what stands before it. */
struct span domain_of(const char *addr);
struct span local_of(const char *addr);

/* A user's mailbox; NULL and a sentence when the configuration is wrong. */
struct dest *dest_of_user(const struct user *u, struct err *e);
/* A local name (without domain) or a userdb name, extension dropped. */
enum table_result user_dest(struct span name, struct dest **d, struct err *e);
/* A virtual mailbox, by virtual_mailbox_maps or the userdb. */
enum table_result virtual_dest(const char *addr, struct dest **d,
			       struct err *e);
/* A place named in an alias: command or file, with default_privs. */
struct dest *dest_of_alias(const char *text, bool command, struct err *e);
/* The same from the .forward of a system user, with that user's rights. */
struct dest *dest_of_forward(const char *text, bool command, struct span user,
			     struct err *e);
/* The .forward of a system user: 1 and its text, 0 none, -1 and e. */
int forward_read(const struct user *u, struct span ext, struct buf *b,
		 struct err *e) MX_MUST_CHECK;

#endif
