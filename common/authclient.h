/*
 * authclient.h - the Dovecot authentication protocol, client and master
 * sides (mx-auth, Dovecot).  Dovecot "Authentication Protocol" v1.2.
 * Layer: mail.  TAB, CR, LF, NUL and \x01 are escaped in every value.
 */
#ifndef MX_AUTHCLIENT_H
#define MX_AUTHCLIENT_H

#include "err.h"
#include "io.h"
#include "strs.h"

/* Tab-escaping, as both ends of the protocol need it.  Undoing it is false on
 * a lone \x01 at the end or on a NUL: no value of ours holds one. */
void authclient_escape(struct buf *b, struct span s);
bool authclient_unescape(struct buf *b, struct span s) MX_MUST_CHECK;

struct authclient {
	struct stream s;
	struct strs mechs;      /* names offered */
	struct strs mech_flags; /* the words behind each, e.g. "plaintext" */
	uint32_t next_id;
	uint32_t cpid, spid; /* our and the server's process number */
	struct buf cookie;
	uint32_t id;        /* the last request */
	bool active;        /* it waits for authclient_continue */
	struct buf user;    /* as the server told with OK */
	struct strs fields; /* the other "name=value" of OK or FAIL */
};
/* Handshake (VERSION, CPID; waits for DONE) on a connected fd, which it takes
 * over, also on failure. */
int authclient_open(struct authclient *a, int fd, deadline_t d,
		    struct err *e) MX_MUST_CHECK;
void authclient_close(struct authclient *a);

/* May we offer NAME-PLUS beside the i-th mechanism?  mx-auth's own word of the
 * MECH line; bindings are fields cbind-TYPE=BASE64 of the request. */
bool authclient_plus(const struct authclient *a, size_t i);

struct auth_facts {
	const char *service; /* "smtp", "imap", "pop3", "sieve" */
	const char *local_ip, *remote_ip;
	int local_port, remote_port;
	bool secured;                /* TLS, or the same host by unix socket */
	const struct strs *bindings; /* of tls_bindings, or NULL */
	/* Of a client certificate that was verified, or NULL: for EXTERNAL. */
	const char *cert_username;
};
enum auth_result { AUTH_OK, AUTH_FAIL, AUTH_CONTINUE, AUTH_TEMP };
/* Starts an exchange; initial response decoded (resp.p NULL: none).
 * AUTH_CONTINUE: challenge_r holds decoded bytes for the client. */
enum auth_result authclient_start(struct authclient *a, const char *mech,
				  const struct auth_facts *f, struct span resp,
				  struct buf *challenge_r, deadline_t d,
				  struct err *e) MX_MUST_CHECK;
enum auth_result authclient_continue(struct authclient *a, struct span resp,
				     struct buf *challenge_r, deadline_t d,
				     struct err *e) MX_MUST_CHECK;
/* After AUTH_OK: the user name (may differ from the one the client gave); the
 * other fields are in ->fields.  After AUTH_FAIL and AUTH_TEMP `e` has the
 * server's reason, if it gave one that the client may see. */
const char *authclient_user(const struct authclient *a);
/* The id of the last request, for the master socket. */
uint32_t authclient_id(const struct authclient *a);
void authclient_cancel(struct authclient *a);

/* Master side. */
struct auth_user {
	char *user, *home, *mail;
	uid_t uid;
	gid_t gid;
	bool has_ids;
	struct strs fields; /* all of them, "name=value" */
};
void auth_user_free(struct auth_user *u);
struct authmaster {
	struct stream s;
	uint32_t next_id;
};
/* Handshake on a connected fd, which it takes over, also on failure.  Serves
 * many requests.  AUTH_FAIL: no such user, or no such login. */
int authmaster_open(struct authmaster *m, int fd, deadline_t d,
		    struct err *e) MX_MUST_CHECK;
void authmaster_close(struct authmaster *m);
/* USER: userdb lookup of a name. */
enum auth_result authmaster_user(struct authmaster *m, const char *user,
				 const char *service, struct auth_user *u,
				 deadline_t d, struct err *e) MX_MUST_CHECK;
/* REQUEST: who logged in by request `id` of client process cpid (with the
 * cookie that only that client got). */
enum auth_result authmaster_request(struct authmaster *m, uint32_t cpid,
				    uint32_t id, struct span cookie,
				    struct auth_user *u, deadline_t d,
				    struct err *e) MX_MUST_CHECK;

#endif
