/*
 * front.h - everything before the login of an IMAP, POP3 or ManageSieve
 * server, and the hand-over to a session that is the user.
 * Layer: mail.  DESIGN 4 mx-imapd; RFC 3501 3.1, RFC 1939, RFC 5804.
 *
 * The front runs in a sandboxed worker: it parses what strangers send and
 * holds no rights on mail.  It cannot say who logged in: the monitor asks the
 * auth server's master socket (law 4).  A protocol gives its greeting, its
 * commands before the login and the session behind it; all else is here.
 */
#ifndef MX_FRONT_H
#define MX_FRONT_H

#include "authclient.h"
#include "server.h"
#include "tls.h"

#define FRONT_LINE_MAX 8192 /* a command before the login (THREATS 72) */
#define FRONT_BAD_COMMANDS 3
#define FRONT_LOGINS 10
#define FRONT_WRITE_MS 60000

/* The parameters that these servers share. */
enum front_ssl { FRONT_SSL_NO, FRONT_SSL_YES, FRONT_SSL_REQUIRED };
struct front_conf {
	char *auth_socket, *auth_master_socket;
	bool disable_plaintext_auth;
	int ssl; /* enum front_ssl */
	char *ssl_cert, *ssl_key, *ssl_min_protocol, *ssl_cipher_list;
	char *smtpd_tls_cert_file, *smtpd_tls_key_file;
	char *login_greeting;
	int64_t login_timeout, first_valid_uid, user_limit, max_use, max_idle;
	char *mail_uid, *mail_gid;
};
extern struct front_conf front_conf;
extern const struct param_rows front_params;

/* One connection before its login. */
struct front {
	struct server *server;
	struct server_conn *conn;
	struct stream *st;
	deadline_t until; /* login_timeout */
	bool tls;         /* under TLS now */
	bool again;       /* a session gave its login up: no greeting */
	int attempts;     /* logins that failed */
	int bad_commands; /* for the protocol to count */
	char *user;       /* once logged in */
	char mech[32];
	char option[32]; /* a word of the protocol's for its session, or "" */
	int fd;          /* the session's stream, or -1 */
};

/* Whom a session belongs to, and what it may do. */
struct front_user {
	struct auth_user auth; /* user, home, mail, fields */
	char option[32];       /* as the front said: hostile */
	bool greet;            /* no login went before: front_preauth */
	struct buf root;       /* front_mail_root */
	const char *paths[8];  /* for the sandbox, NULL-terminated */
	unsigned promises;     /* SANDBOX_* */
};

struct front_protocol {
	const char *name; /* "imap": to the auth server and in the log */
	const char *alpn; /* tls.h */
	const struct program *program;
	const struct server_mode *modes;
	size_t nmodes;
	/* whole lines: no worker is free; beyond the client's limit; SIGTERM;
	 * no session without a login can start */
	const char *busy, *too_many, *stopping, *unavailable;
	/* parameters, read anew at SIGHUP, and the name of the first */
	const int64_t *process_limit, *client_limit;
	const char *process_limit_name;
	/* At start and at SIGHUP, in the monitor; may be NULL. */
	void (*reload)(void);
	/* Greets and takes commands until the login (f->fd) or the end; what
	 * a client sent behind its login stays in the stream. */
	void (*before_login)(struct front *f);
	/* In the session's process, as the user, before its sandbox: opens or
	 * makes what it needs, sets paths and promises. */
	int (*prepare)(struct front_user *u, struct err *e);
	/* The session.  Who says the reply to the login, before_login or the
	 * session, is the protocol's matter. */
	void (*session)(struct stream *st, struct front_user *u);
};

/* What main() of these servers has in common: its parameters (room for three
 * sets, of which the last is its own) and where its options lie. */
struct front_start {
	const struct program *program;
	struct param_rows *params;
	const struct param_rows *own;
	const bool *preauth;
	const char *const *maildir; /* NULL: there is no such option */
};
/* prog_start, and a look at what stands behind the options: with --preauth
 * one *user_r (or NULL), else nothing.  A status for main where that is
 * wrong. */
int front_start(const struct front_start *f, int argc, char **argv,
		const char **user_r);
/* Opens the log as a server that stands where Dovecot's would. */
void front_log(const char *role);

/* The server; returns a status for main. */
int front_run(const struct front_protocol *p, struct server_options *o);

/* Is a password safe on this connection (THREATS 48)? */
bool front_secured(const struct front *f);
/* May it be given here at all (disable_plaintext_auth, ssl = required)? */
bool front_login_ok(const struct front *f);
bool front_can_starttls(const struct front *f);
/* Flushes what was said and shakes hands.  False: the connection is over. */
bool front_starttls(struct front *f);
/* The next line, without its line end; what is waiting to be said is flushed
 * first when the client has nothing more on the way. */
enum io_result front_next_line(struct stream *st, size_t max,
			       struct span *line_r, deadline_t d) MX_MUST_CHECK;
/* The same before the login. */
enum io_result front_line(struct front *f, size_t max,
			  struct span *line_r) MX_MUST_CHECK;

/* Logins. */
enum front_login_kind {
	FRONT_LOGIN_OK, /* f->fd and f->user are set */
	FRONT_LOGIN_FAILED,
	FRONT_LOGIN_TEMP,      /* the auth server did not say */
	FRONT_LOGIN_SESSION,   /* the session could not start */
	FRONT_LOGIN_LIMIT,     /* mail_max_userip_connections */
	FRONT_LOGIN_PRIVACY,   /* not without TLS */
	FRONT_LOGIN_MECH,      /* no such mechanism */
	FRONT_LOGIN_ABORTED,   /* the client's "*" */
	FRONT_LOGIN_MALFORMED, /* no base64 */
	FRONT_LOGIN_TOO_MANY,  /* failed: say so and close */
	FRONT_LOGIN_TOO_LONG,  /* a line: say so and close */
	FRONT_LOGIN_GONE       /* nobody is there any more */
};
/* The sentence for the client. */
const char *front_login_text(enum front_login_kind k);
/* Sends a challenge (in base64) as the protocol does, and reads the answer (in
 * base64; "*" aborts).  IO_TOOLONG and the others end the login. */
typedef enum io_result front_answer_fn(struct front *f, struct span challenge,
				       struct buf *answer_r);
/* For protocols that say "+ BASE64" and read a line. */
enum io_result front_answer_line(struct front *f, struct span challenge,
				 struct buf *answer_r);
/* A whole SASL exchange; initial: the decoded first response, p NULL: none. */
enum front_login_kind front_login(struct front *f, struct span mech,
				  struct span initial, front_answer_fn *ask);
/* LOGIN, USER and PASS. */
enum front_login_kind front_login_plain(struct front *f, struct span user,
					struct span pass);
/* The mechanisms, each with `before` in front. */
void front_mechs(struct front *f, struct buf *b, const char *before);

/* One path more for the sandbox; NULL: none.  The caller's bytes. */
void front_path(struct front_user *u, const char *path);
/* For prepare(): the mail root by the auth server's word or mail_location,
 * made when missing, into u->root; the sandbox is given it. */
int front_mail_root(struct front_user *u, const char *mail_location,
		    struct err *e) MX_MUST_CHECK;

/* UNAUTHENTICATE, the last thing that a session does, behind its reply (which
 * need not be flushed yet): the front takes commands again, those too that the
 * client has sent already. */
void front_again(struct stream *st);

/* One session on stdin and stdout as the caller (--preauth), with the mail
 * root `maildir` where that is not NULL.  Returns a status for main. */
int front_preauth(const struct front_protocol *p, const char *user,
		  const char *maildir);

/* front_login.c: the endpoint of the auth server, in the monitor. */
void front_login_use(const struct front_protocol *p, int endpoint);
/* The link to the auth server is closed until somebody logs in again: at its
 * other end a process may wait for each. */
void front_login_rest(void);
/* front_hand.c: the monitor's offer; the worker forgets what only sessions
 * need; the worker's question: a stream, or -1 and why; -2: the user has
 * too many sessions. */
int front_hand_offer(const struct front_protocol *p, struct server *s,
		     struct err *e) MX_MUST_CHECK;
void front_hand_worker(void);
int front_hand_ask(struct front *f, const struct authclient *a,
		   struct err *e) MX_MUST_CHECK;
/* front_relay.c: copies bytes until either end closes.  True: the session said
 * front_again. */
bool front_relay(const struct front *f, const char *stopping);

#endif
