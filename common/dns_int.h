/*
 * dns_int.h - what the files of the resolver share; nobody else includes it.
 * Layer: mail.
 */
#ifndef MX_DNS_INT_H
#define MX_DNS_INT_H

#include "buf.h"
#include "dns.h"

#include <ldns/ldns.h>
#include <sys/socket.h>

#define DNS_SERVERS 8

struct dns {
	struct sockaddr_storage server[DNS_SERVERS];
	socklen_t server_len[DNS_SERVERS];
	size_t nservers;
	struct strs text; /* the servers as HOST:PORT */
	int (*opener)(void *, int, int);
	void *opener_ctx;
	enum dns_status (*asker)(void *, const char *, int, struct dns_answer *,
				 deadline_t, struct err *);
	void *asker_ctx;
};

/* Asks until a server says NOERROR or NXDOMAIN; NULL and a sentence. */
ldns_pkt *dns_wire_ask(struct dns *d, const char *name, int type, deadline_t dl,
		       struct err *e) MX_MUST_CHECK;

#endif
