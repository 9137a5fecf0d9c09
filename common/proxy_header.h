/*
 * proxy_header.h - who the client is, as a proxy before us says: the PROXY
 * protocol, versions 1 and 2 (haproxy's proxy-protocol.txt).
 * Layer: sys.  Read from proxies that are trusted only; nothing of what
 * follows it is taken.
 */
#ifndef MX_PROXY_HEADER_H
#define MX_PROXY_HEADER_H

#include "clock.h"
#include "err.h"
#include "span.h"

#define PROXY_HEADER_MAX 4096 /* a longer one is refused */

struct proxy_header {
	bool local; /* the proxy speaks for itself: nothing is set */
	char addr[64], local_addr[64];
	int port, local_port;
};

/* How many bytes are needed to go on: 0 when `have` is a whole header, or
 * cannot be the beginning of one (*bad_r). */
size_t proxy_header_need(struct span have, bool *bad_r);
/* A whole header; false: malformed. */
bool proxy_header_parse(struct proxy_header *h, struct span whole);
/* Both, from a descriptor: exactly the header's bytes are read. */
int proxy_header_read(struct proxy_header *h, int fd, deadline_t d,
		      struct err *e) MX_MUST_CHECK;

#endif
