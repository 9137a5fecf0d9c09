/*
 * session.h - one SMTP session: its state, replies, and the table of
 * commands.  Handlers return a reply; only the loop in session.c writes.
 * RFC 5321, 2920, 2034.
 */
#ifndef RECV_SESSION_H
#define RECV_SESSION_H

#include "addr.h"
#include "conf.h"
#include "shape.h"
#include "wire.h"

struct session;

struct reply {
	int code;        /* 0: say nothing */
	const char *esc; /* "5.5.1", or NULL: none */
	struct buf text; /* lines joined with LF; freed by the loop */
	bool close;      /* after it the session ends */
	/* After the reply was sent: TLS handshake, reading the message, next
	 * step of AUTH; its reply is handled the same way. */
	struct reply (*then)(struct session *);
};

struct reply reply_make(int code, const char *esc, const char *fmt, ...)
    MX_PRINTF(3, 4);

/* States in which a command may be given. */
#define WHEN_ANY 1u      /* always */
#define WHEN_HELLO 2u    /* after HELO or EHLO */
#define WHEN_NO_MAIL 4u  /* outside a transaction */
#define WHEN_MAIL 8u     /* in one */
#define WHEN_PRE_TLS 16u /* also where TLS is required and not there yet */
/* What a command does. */
#define CMD_LAST 1u /* nothing may follow it unseen (RFC 2920 3.1) */
#define CMD_JUNK 2u /* counts against smtpd_junk_command_limit */
#define CMD_LONG 4u /* its line may be 12288 bytes (RFC 4954 4) */

struct command {
	const char *word;
	unsigned states, flags;
	struct reply (*fn)(struct session *s, struct span args);
};
extern const struct command session_commands[];
extern const size_t session_ncommands;

/* What access tables and policy servers want done with a message besides
 * saying yes or no: restrict_action.c. */
struct actions {
	bool hold, discard;
	char *redirect, *filter;
	struct strs bcc, prepend;
};
void session_actions_clear(struct actions *a);
void session_actions_copy(struct actions *to, const struct actions *from);

/* What XFORWARD may say, in the order of its README. */
enum {
	FORWARD_NAME,
	FORWARD_ADDR,
	FORWARD_PORT,
	FORWARD_PROTO,
	FORWARD_HELO,
	FORWARD_IDENT,
	FORWARD_SOURCE,
	FORWARDS
};

struct session {
	struct server *server;
	struct server_conn *conn;
	const struct conf *conf;
	struct stream s;
	deadline_t deadline; /* of the present request */

	const char *client_name; /* confirmed, or "unknown" */
	char *name_mem, *reverse_name;
	bool name_temp;     /* DNS did not answer about it */
	char who[200];      /* "name[addr]" for logs and replies */
	char peer_addr[64]; /* who connected, whatever XCLIENT says; "" */
	/* XFORWARD of an authorised host, for one transaction */
	char *forward[FORWARDS];
	bool forwarded;

	char *helo; /* NULL: none yet */
	bool esmtp, tls;
	bool tls_of_proxy; /* who shook hands then spoke XCLIENT */
	bool lmtp; /* mode lmtp: a reply for each recipient (RFC 2033) */
	uid_t uid; /* mode submit: whose program this is; auth_user is its
		    * name, and no mechanism said so */
	bool unauth_pipelining; /* seen in this session */
	char *auth_user, *auth_method;
	bool auth_tried; /* the mechanism list was asked for */

	/* "5.7.1 WORDS": why it did not pass before the greeting, or NULL */
	char *pregreet;
	struct actions lasting; /* said before MAIL */
	char esc_mem[12];       /* a reply's enhanced code */
	char *told_actions;     /* what the delivery side knows of them */

	int errors, junk;
	struct buf filtered; /* of smtpd_command_filter */
	int *done, *tried;   /* by command, for the last log line */
	int unknown_cmds;
	const char *last_cmd; /* "lost connection after" */

	/* The transaction: cleared by session_end_mail alone. */
	bool in_mail;
	struct actions actions;
	struct addr sender;
	struct buf sender_text; /* as on the wire, without < > */
	struct buf sender_parms;
	bool utf8, body8, requiretls;
	int rcpts;
	struct addr rcpt; /* the one in question */
	struct buf rcpt_text, first_rcpt;
	bool link_lost;    /* recipients were taken there, and it is gone */
	bool logged;       /* the client= line */
	char queue_id[32]; /* "" : none yet (NOQUEUE) */
	char instance[48]; /* the same, for policy servers */

	struct milters *milters; /* NULL: none */
	bool renamed;            /* they changed its sender or recipients */
	int lmtp_left;           /* replies still to be given */
	struct reply lmtp_reply; /* the same for all, or code 0 */

	/* The message, while it is read. */
	struct shape shape;        /* where its header ends */
	struct complete *complete; /* its header, while it is completed */
	struct wire_in wire;
	struct buf piece;
	bool bdat; /* a BDAT came in this transaction */
	/* read and forget */
	enum { DROP_NO, DROP_SIZE, DROP_LINK, DROP_DISCARD } drop;
	uint64_t claimed; /* SIZE= of MAIL */
	int64_t data_start, data_bytes;
};

/* What is said to a client that just came (also after XCLIENT): 220, or a
 * refusal. */
struct reply session_greeting(struct session *s);
void session_run(struct server *server, struct server_conn *conn);
/* The one function that ends a transaction, whatever ended it. */
void session_end_mail(struct session *s);
/* What brings no message nearer; beyond smtpd_junk_command_limit it is an
 * error each time. */
void session_count_junk(struct session *s);
/* Forgets HELO and login too: STARTTLS (RFC 3207 4.2). */
void session_forget(struct session *s);
/* Reads what is there, for a message; sets the deadline that goes with the
 * amount read.  False: the connection is gone. */
bool session_fill(struct session *s);
/* A line from the client in answer to a challenge; false: gone. */
bool session_line(struct session *s, size_t max, struct span *line_r,
		  struct reply *r);
/* Replies that several commands need. */
struct reply reply_syntax(const char *syntax);
/* The client is on this host, on a socket that names no network. */
bool session_is_local(const struct session *s);
bool session_in_mynetworks(const struct session *s);
/* "SMTP", "ESMTP", "LMTP" */
const char *session_proto(const struct session *s);
/* What TLS says of the client's certificate; false: none, or it is that of the
 * host that said XCLIENT, which gives those behind it no rights. */
bool session_cert(const struct session *s, struct tls_facts *f);
/* A verified client certificate, or (any false) one of relay_clientcerts. */
bool session_client_cert(const struct session *s, bool any);
/* unknown_*_recipient_reject_code of the domain's class. */
int64_t session_unknown_code(struct session *s, struct span domain);

#endif
