/*
 * front.h - everything before the login, and the hand-over to a session.
 * The front runs in a sandboxed worker: it parses what strangers send and
 * holds no rights on mail.  It cannot say who logged in: the monitor asks the
 * auth server's master socket (law 4).
 */
#ifndef IMAPD_FRONT_H
#define IMAPD_FRONT_H

#include "authclient.h"
#include "cmd.h"
#include "imap.h"
#include "server.h"
#include "tls.h"

#define FRONT_COMMAND_MAX 8192 /* THREATS 72 */
#define FRONT_BAD_COMMANDS 3
#define FRONT_LOGINS 10

/* One connection. */
struct front {
	struct server *server;
	struct server_conn *conn;
	bool tls;     /* under TLS now */
	int attempts; /* logins that failed */
	char *user;   /* once logged in */
	char mech[32];
	int fd; /* the session's stream, or -1 */
};

/* The server: returns a status for main. */
int front_run(const struct program *program);
/* Is a password safe on this connection (THREATS 48)? */
bool front_secured(const struct front *f);
/* May it be given here at all (disable_plaintext_auth, ssl = required)? */
bool front_login_ok(const struct front *f);
bool front_can_starttls(const struct front *f);
/* STARTTLS, behind its tagged OK. */
void front_starttls(struct session *s);
void front_capability(struct front *f, struct buf *b);

/* login.c: the auth link of this worker. */
void login_use(int endpoint);
/* Mechanisms as " AUTH=PLAIN ..."; appended. */
void login_mechs(struct front *f, struct buf *b);
CMD_HANDLER(front_cmd_login);
CMD_HANDLER(front_cmd_authenticate);

/* hand.c: the monitor's offer, and the front's question. */
int hand_offer(struct server *s, struct err *e) MX_MUST_CHECK;
/* Asks for a session of the user who logged in by this request.  A stream, or
 * -1 and the sentence for the client. */
int hand_ask(struct server *s, const struct authclient *a, const char *addr,
	     struct err *e) MX_MUST_CHECK;

/* relay.c: copies bytes until either end closes. */
void relay(struct front *f, struct stream *client, int session);

#endif
