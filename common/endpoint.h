/*
 * endpoint.h - unix:PATH, inet:HOST:PORT, exec:COMMAND (DESIGN 3.2), and the
 * short ADDR:PORT / [V6]:PORT / :PORT for inet.
 * Layer: sys.
 */
#ifndef MX_ENDPOINT_H
#define MX_ENDPOINT_H

#include "clock.h"
#include "err.h"
#include "span.h"
#include <sys/socket.h>

enum endpoint_kind { ENDPOINT_UNIX, ENDPOINT_INET, ENDPOINT_EXEC };

struct endpoint {
	enum endpoint_kind kind;
	char *text; /* as configured, for messages */
	char *path; /* unix: absolute path; exec: the command line */
	char *host; /* inet; "" means every address */
	char *port; /* inet: number or service name */
};

/* A relative unix path (Postfix's private/auth) is under run_dir, its
 * directory part dropped: DESIGN 3.7.  -1 and a sentence on bad text. */
int endpoint_parse(struct endpoint *ep, struct span text, const char *run_dir,
		   struct err *e) MX_MUST_CHECK;
void endpoint_free(struct endpoint *ep);
/*
 * Connects (exec: starts the command on a socket pair as its stdin/stdout,
 * without a shell, found through PATH; the child gets PDEATHSIG).  Returns a
 * CLOEXEC descriptor with TCP_NODELAY, or -1 and a sentence that says what to
 * start.  Names are looked up with getaddrinfo (hosts file and resolver).
 */
int endpoint_connect(const struct endpoint *ep, deadline_t d,
		     struct err *e) MX_MUST_CHECK;
/* The address of an inet endpoint that is given in numbers (no look-up). */
int endpoint_sockaddr(const struct endpoint *ep, struct sockaddr_storage *ss,
		      socklen_t *len, struct err *e) MX_MUST_CHECK;
/* Binds and listens (backlog 1024); unix: removes a dead socket first, mode
 * as given.  Several descriptors where a host name has several addresses:
 * fds_r[0..max-1], returns how many, or -1.  On EADDRINUSE the sentence names
 * the port and, where /proc tells, the process that owns it. */
int endpoint_listen(const struct endpoint *ep, unsigned mode, int *fds_r,
		    int max, struct err *e) MX_MUST_CHECK;

/* "192.0.2.1" / "2001:db8::1" / "unknown" (unix) and the port (0). */
void endpoint_peer(const struct sockaddr_storage *ss, char *addr_r, size_t size,
		   int *port_r);

#endif
