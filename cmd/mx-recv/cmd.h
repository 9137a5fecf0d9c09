/*
 * cmd.h - the handlers of commands, one a row in cmd_table.c.
 */
#ifndef RECV_CMD_H
#define RECV_CMD_H

#include "session.h"

struct reply cmd_helo(struct session *s, struct span args);
struct reply cmd_ehlo(struct session *s, struct span args);
struct reply cmd_starttls(struct session *s, struct span args);
struct reply cmd_auth(struct session *s, struct span args);
struct reply cmd_mail(struct session *s, struct span args);
struct reply cmd_rcpt(struct session *s, struct span args);
struct reply cmd_data(struct session *s, struct span args);
struct reply cmd_bdat(struct session *s, struct span args);
struct reply cmd_rset(struct session *s, struct span args);
struct reply cmd_noop(struct session *s, struct span args);
struct reply cmd_vrfy(struct session *s, struct span args);
struct reply cmd_help(struct session *s, struct span args);
struct reply cmd_etrn(struct session *s, struct span args);
struct reply cmd_quit(struct session *s, struct span args);

/* The handshake of an implicit-TLS listener, and what follows 220 of
 * STARTTLS; code 0 when it went well, else close is set. */
struct reply cmd_tls_handshake(struct session *s);
/* "PLAIN LOGIN ...", or "" when AUTH is not to be offered now. */
const char *cmd_auth_mechanisms(struct session *s);

#endif
