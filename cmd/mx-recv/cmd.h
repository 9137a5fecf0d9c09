/*
 * cmd.h - the handlers of commands, one a row in cmd_table.c.
 */
#ifndef RECV_CMD_H
#define RECV_CMD_H

#include "session.h"

struct reply cmd_helo(struct session *s, struct span args);
struct reply cmd_ehlo(struct session *s, struct span args);
struct reply cmd_lhlo(struct session *s, struct span args);
struct reply cmd_xclient(struct session *s, struct span args);
struct reply cmd_xforward(struct session *s, struct span args);
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
/* May this peer say who the client is? */
bool cmd_xclient_offered(const struct session *s);
bool cmd_xforward_offered(const struct session *s);
/* XFORWARD's words are for one transaction. */
void cmd_xforward_reset(struct session *s);
/* s->who from name and address. */
void cmd_xclient_who(struct session *s);
/* The header of a proxy before us; false: close without a word. */
bool cmd_proxy(struct session *s);
/* "PLAIN LOGIN ...", or "" when AUTH is not to be offered now. */
const char *cmd_auth_mechanisms(struct session *s);
/* Are these the words of smtpd_sasl_security_options? */
int cmd_auth_check(const struct strs *options, struct err *e) MX_MUST_CHECK;

#endif
