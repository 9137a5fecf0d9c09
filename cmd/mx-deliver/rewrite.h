/*
 * rewrite.h - addresses of envelope and header as Postfix's trivial-rewrite(8)
 * and cleanup(8) change them: completed, canonical(5), masqueraded.
 */
#ifndef MX_DELIVER_REWRITE_H
#define MX_DELIVER_REWRITE_H

#include "table.h"
#include "trans.h"

/* Postfix's words for where an address stands. */
enum rewrite_class {
	ENVELOPE_SENDER,
	ENVELOPE_RECIPIENT,
	HEADER_SENDER,
	HEADER_RECIPIENT
};

/* Opens and rereads the maps; with route_open and route_refresh. */
void rewrite_open(void);
void rewrite_refresh(void);

/* Replaces *addr (in the form of the wire) where something is to change; the
 * null sender stays.  -1 and a sentence: a table is away. */
int rewrite_address(char **addr, enum rewrite_class class,
		    struct err *e) MX_MUST_CHECK;
/* Are header addresses of this client's mail rewritten
 * (local_header_rewrite_clients, remote_header_rewrite_domain)? */
bool rewrite_wanted(const struct client *c);
/* A header (fields with their line ends) of a message of this client with its
 * addresses rewritten; untouched fields keep every byte. */
int rewrite_header(struct buf *out, const struct client *c, struct span header,
		   struct err *e) MX_MUST_CHECK;

/* Puts an extension that a match dropped from `from` back on `addr` (owned;
 * the result is, too), where propagate_unmatched_extensions lists `where`. */
char *rewrite_extension(char *addr, const char *from, const char *where);

#endif
