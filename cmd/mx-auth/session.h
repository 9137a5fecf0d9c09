/*
 * session.h - the two protocols of mx-auth's sockets.
 */
#ifndef MX_AUTH_SESSION_H
#define MX_AUTH_SESSION_H

#include "server.h"

/* The client socket: servers that want somebody logged in. */
void client_session(struct server *s, struct server_conn *c);
/* The master socket: who has logged in, and who is this user. */
int master_load(struct err *e) MX_MUST_CHECK; /* auth_master_users -> uids */
void master_session(struct server *s, struct server_conn *c);

#endif
