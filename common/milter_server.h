/*
 * milter_server.h - the filter's end of the milter protocol, as a small loop
 * with callbacks.
 * Layer: mail.  The project's server skeleton (server.h) accepts; a program's
 * session function calls milter_serve:
 *
 *	static void session(struct server *s, struct server_conn *c)
 *	{
 *		milter_serve(&filter, server_ctx(s), s, c);
 *	}
 */
#ifndef MX_MILTER_SERVER_H
#define MX_MILTER_SERVER_H

#include "milter.h"
#include "server.h"

struct milter;

/*
 * A filter.  Callbacks that are NULL are not asked for; each returns a verdict
 * (MILTER_CONTINUE, ACCEPT, REJECT, TEMPFAIL, DISCARD, what milter_reply
 * returns, or MILTER_SKIP where milter_may_skip says so).  Spans live until
 * the callback returns.
 */
struct milter_filter {
	const char *name;  /* for logs */
	uint32_t actions;  /* MILTER_ACT_*: all that it may ever ask */
	uint32_t protocol; /* MILTER_P_RCPT_REJ, MILTER_P_HDR_LEADSPC */
	/* Macros it wants, by stage ("i {auth_authen}"), NULL: the MTA's own
	 * choice. */
	const char *macros[MILTER_STAGES];
	enum milter_code (*connect)(struct milter *,
				    const struct milter_peer *);
	enum milter_code (*helo)(struct milter *, struct span name);
	/* v[0] is the address in < >, behind it ESMTP parameters. */
	enum milter_code (*mail)(struct milter *, const struct span *v,
				 size_t n);
	enum milter_code (*rcpt)(struct milter *, const struct span *v,
				 size_t n);
	enum milter_code (*data)(struct milter *);
	/* The value has its folds ("\n\t" or "\r\n\t") and, where
	 * milter_leading_space says so, the blank behind the colon. */
	enum milter_code (*header)(struct milter *, struct span name,
				   struct span value);
	enum milter_code (*eoh)(struct milter *);
	enum milter_code (*body)(struct milter *, struct span bytes);
	enum milter_code (*eom)(struct milter *);
	enum milter_code (*unknown)(struct milter *, struct span command);
	/* The message is over, however it ended (after eom, too): free what is
	 * the message's. */
	void (*end_mail)(struct milter *);
	/* The client is gone: free what is the client's. */
	void (*close)(struct milter *);
};

/* Serves one connection of an MTA until it quits. */
void milter_serve(const struct milter_filter *f, void *ctx, struct server *s,
		  struct server_conn *c);
/* The same on a stream without skeleton (tests, fuzzer). */
void milter_run(const struct milter_filter *f, void *ctx, struct stream *s);

/* What milter_serve was given, and a place for the filter's own state. */
void *milter_ctx(struct milter *m);
void **milter_state(struct milter *m);
/* A macro's value ("i", "j", "auth_authen": with or without braces) as the
 * nearest stage gave it; p NULL when the MTA did not send it. */
struct span milter_macro(const struct milter *m, const char *name);
/* Does this MTA understand MILTER_SKIP; send values with their blank? */
bool milter_may_skip(const struct milter *m);
bool milter_leading_space(const struct milter *m);

/* Returned by a callback: refuse with this reply; text may have LF. */
enum milter_code milter_reply(struct milter *m, int code, const char *esc,
			      const char *fmt, ...) MX_PRINTF(4, 5);

/*
 * Modifications: in eom only.  False when the MTA did not agree to that action
 * (or the value cannot be sent): the filter decides what to do then.
 */
bool milter_add_header(struct milter *m, const char *name, struct span value);
/* Above the message's index-th field (0: on top). */
bool milter_insert_header(struct milter *m, uint32_t index, const char *name,
			  struct span value);
/* The index-th (from 1) field of that name; an empty value deletes it. */
bool milter_change_header(struct milter *m, uint32_t index, const char *name,
			  struct span value);
bool milter_add_rcpt(struct milter *m, struct span addr, struct span parms);
bool milter_del_rcpt(struct milter *m, struct span addr);
bool milter_change_from(struct milter *m, struct span addr, struct span parms);
/* In pieces; the first one begins the new body.  CRLF line ends. */
bool milter_replace_body(struct milter *m, struct span bytes);
bool milter_quarantine(struct milter *m, const char *reason);
/* "Still at work": flushed at once, the MTA waits again. */
bool milter_progress(struct milter *m);

#endif
