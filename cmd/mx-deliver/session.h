/*
 * session.h - one ESMTP or LMTP session with a program of this host.
 * RFC 5321, 2033, 2034, 2920, 3030, 1870, 6531, 3461; Postfix XFORWARD.
 */
#ifndef MX_DELIVER_SESSION_H
#define MX_DELIVER_SESSION_H

#include "io.h"
#include "server.h"
#include "trans.h"

/* A handler returns this; only the loop writes it.  code 0: already said. */
struct reply {
	int code;
	char esc[12]; /* "" without enhanced code */
	char text[600];
};

struct session {
	struct stream s;
	struct server *server; /* NULL: none (tests) */
	bool submit;           /* profile */
	bool trusted;          /* XFORWARD is believed */
	char *helo;
	bool greeted, lmtp;
	struct client client;
	struct trans t;
	bool bdat;            /* inside a BDAT sequence */
	struct wire_in *wire; /* its scanner */
	int errors;
	bool quit;
};

struct reply reply_make(int code, const char *esc, const char *fmt, ...)
    MX_PRINTF(3, 4);
/* A failure as a reply: permanent or temporary by its status.  What is wrong
 * with this host is logged, and told to its own users only. */
struct reply reply_err(const struct session *x, const struct err *e);
void session_say(struct session *x, const struct reply *r);
deadline_t session_deadline(void);

void session_run(struct server *s, struct server_conn *c);

/* Handlers; arg is what stands behind the word, trimmed. */
struct reply cmd_mail(struct session *x, struct span arg);
struct reply cmd_rcpt(struct session *x, struct span arg);
struct reply cmd_xforward(struct session *x, struct span arg);
struct reply cmd_xaction(struct session *x, struct span arg);
struct reply cmd_vrfy(struct session *x, struct span arg);
struct reply cmd_xverify(struct session *x, struct span arg);
struct reply cmd_data(struct session *x, struct span arg);
struct reply cmd_bdat(struct session *x, struct span arg);
/* The end of a transaction, and of a BDAT sequence with it. */
void session_reset(struct session *x);

#endif
