/*
 * dns_link.h - what a session asks DNS; sockets come from the monitor.
 */
#ifndef RECV_DNS_LINK_H
#define RECV_DNS_LINK_H

#include "dns.h"
#include "session.h"

/* In the monitor: which resolvers workers may reach. */
int dns_link_start(struct server *s, struct err *e);
/* Fills client_name (confirmed, or "unknown"), reverse_name, name_temp. */
void dns_link_client_name(struct session *s);
/* One question; answers are remembered until dns_link_forget, so that each
 * recipient of a message does not ask again.  ans is the caller's. */
enum dns_status dns_link_query(struct session *s, struct span name, int type,
			       struct dns_answer *ans);
/* At the end of a session. */
void dns_link_forget(void);
/* DNS_OK: the domain has MX, A or AAAA; *null_mx_r: it says "MX 0 ."
 * (RFC 7505), it takes no mail. */
enum dns_status dns_link_mail_domain(struct session *s, struct span domain,
				     bool *null_mx_r);

#endif
