/*
 * dns_link.h - what a session asks DNS; sockets come from the monitor.
 */
#ifndef RECV_DNS_LINK_H
#define RECV_DNS_LINK_H

#include "dns.h"
#include "session.h"

/* In the monitor: which resolvers workers may reach. */
int dns_link_start(struct server *s, struct err *e);
/* Fills client_name (confirmed, or "unknown") and reverse_name. */
void dns_link_client_name(struct session *s);
/* DNS_OK: the domain has MX (not the null MX, RFC 7505), A or AAAA. */
enum dns_status dns_link_mail_domain(struct session *s, struct span domain);
/* Is the client's address listed in this zone?  why: the TXT record. */
bool dns_link_listed(struct session *s, const char *zone, struct buf *why);

#endif
