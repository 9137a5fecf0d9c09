/*
 * addr.h - addresses of envelopes (RFC 5321 4.1.2, 6531) and of header fields
 * (RFC 5322 3.4 with the obsolete forms; group syntax).
 * Layer: mail.  Parsed once to (local, domain); every decision is made on
 * that value.  No recursion, no unbounded nesting.
 */
#ifndef MX_ADDR_H
#define MX_ADDR_H

#include "buf.h"
#include "err.h"

/* A mailbox: local part unquoted, domain as written (lower case for A-Z);
 * an address literal keeps its brackets. */
struct addr {
	struct span local, domain; /* into `text` */
	struct buf text;           /* owns the unquoted bytes */
	bool utf8;                 /* needs SMTPUTF8 */
	bool null;                 /* <> */
};

/*
 * A Path of MAIL or RCPT: "<...>" (angle brackets required when strict),
 * source route dropped (RFC 5321 appendix C), quoted local part, literals.
 * Length limits of 4.5.3.1 (local 64, domain 255, path 256).  utf8_ok: after
 * SMTPUTF8.  A bare local part is let through when `bare_ok` (postmaster,
 * own users).  *used_r: bytes taken; parameters follow.
 */
int addr_parse_path(struct addr *a, struct span s, bool strict, bool utf8_ok,
		    bool bare_ok, size_t *used_r, struct err *e) MX_MUST_CHECK;
/* "user@domain" without brackets, whole span. */
int addr_parse(struct addr *a, struct span s, struct err *e) MX_MUST_CHECK;
void addr_free(struct addr *a);
/* local@domain with quotes where needed (what goes on the wire); "" if null. */
void addr_print(struct buf *b, const struct addr *a);
/* Local part quoted where RFC 5321 Dot-string does not hold it. */
void addr_quote_local(struct buf *b, struct span local);
/* user+ext: splits at the first byte of delims; false without extension. */
bool addr_split_ext(struct span local, const char *delims, struct span *user_r,
		    struct span *ext_r);

/* Header address lists. */
struct addr_item {
	struct span name; /* display name, decoded of quotes/comments */
	struct span local, domain; /* unquoted; both empty for group marks */
	struct span route;
	enum { ADDR_MAILBOX, ADDR_GROUP_START, ADDR_GROUP_END } kind;
	bool bad; /* not RFC 5322, taken as well as possible */
};
struct addr_list {
	struct addr_item *v;
	size_t n;
	struct buf text; /* owns all bytes */
	bool unread; /* an '@' stood in what was passed over: a second one in
		      * an address, a quote or comment that never ends.  A
		      * reader may find an address there that is not here. */
};
/* Parses a field body (folded or not); what cannot be parsed is kept as a
 * `bad` item or skipped.  At most max items (0: 10,000). */
void addr_list_parse(struct addr_list *l, struct span body, size_t max);
void addr_list_free(struct addr_list *l);

#endif
