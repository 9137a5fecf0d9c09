/*
 * send.h - what the parts of mx-send share: options, parameters, the message,
 * recipients, groups of them with one destination, a session.
 */
#ifndef MX_SEND_H
#define MX_SEND_H

#include "mtasts.h"
#include "mx_hosts.h"
#include "param.h"
#include "smtp_client.h"
#include "table.h"
#include "tls.h"

#define XFORWARD_NAMES 7
struct send_options {
	bool lmtp, probe, trace, eight_bit, utf8, requiretls, times, jobs,
	    no_fallback;
	const char *host, *nexthop, *sender, *envid, *ret;
	int64_t size; /* of the message on stdin; 0: up to its end */
	struct strs rcpt_options;
	/* of XFORWARD: where the message came from; NULL: not known */
	const char *xforward[XFORWARD_NAMES];
};
/* Their names, in that order. */
extern const char *const xforward_names[XFORWARD_NAMES];
extern struct send_options options;

/* smtp_tls_security_level, in the order of Postfix's page. */
enum {
	TLS_NONE,
	TLS_MAY,
	TLS_ENCRYPT,
	TLS_FINGERPRINT,
	TLS_DANE,
	TLS_DANE_ONLY,
	TLS_VERIFY,
	TLS_SECURE
};
/* smtp_tls_dane_insecure_mx_policy */
enum { INSECURE_MX_DANE, INSECURE_MX_ENCRYPT, INSECURE_MX_MAY };

struct send_params {
	struct strs cache_destinations;
	bool cache_on_demand;
	int64_t cache_time, reuse_time, reuse_count; /* ms, ms, number */
	int64_t tls_session_time;                    /* ms */
	char *relayhost, *helo_name, *bind4, *bind6, *tcp_port, *lmtp_port;
	int inet_protocols, address_preference; /* enum mx_family */
	struct strs inet_interfaces, proxy_interfaces, host_lookup;
	int64_t address_limit, session_limit, rcpt_batch;
	int64_t failed_time; /* ms */
	struct strs fallback_relay;
	char *old_fallback; /* what $fallback_relay stands for */
	int64_t t_connect, t_helo, t_mail, t_rcpt, t_data, t_xfer, t_done,
	    t_tls;
	int tls_level, lmtp_tls_level, dane_insecure_mx;
	bool mta_sts, wrappermode, send_xforward;
	int64_t t_xforward;
	int64_t sts_port;
	struct strs policy_maps, verify_match, secure_match, fingerprint_match;
	char *tls_ca, *tls_cert, *tls_key, *tls_protocols, *tls_ciphers;
	char *tls_must_protocols, *tls_must_ciphers;
	int64_t tls_loglevel;
	bool no_conversion, chunking, tls_required;
	bool sasl_enable, sasl_enforce, sasl_soft_bounce, sender_auth;
	bool bind_enforce;
	char *token_command, *tlsrpt_history_file;
	struct strs mechanisms;
	struct strs sasl_maps, sasl_options, sasl_tls_options;
};
extern struct send_params params;
extern const struct param_rows send_params;

struct message {
	int fd;
	int64_t at, size; /* where in fd */
	uint64_t wire;    /* bytes on the wire, without dots */
	bool eight_bit, header_eight_bit;
	bool tls_report;      /* RFC 8460 5.3: it is one */
	bool tls_no;          /* RFC 8689 3: "TLS-Required: No" */
	struct buf converted; /* fd -1: the bytes are here */
};
/* Bytes from `at` on; 0 at its end. */
ssize_t message_read(const struct message *m, int64_t at, void *p, size_t n);
/* Counts, and looks for 8-bit bytes. */
int message_look(struct message *m, struct err *e);
/* sevenbit.c: the fields of its parts, too, which RFC 6531 3.2 counts as its
 * header. */
int message_look_inside(struct message *m, struct err *e);
/* The same message in 7 bits; out->converted is the caller's. */
int sevenbit(const struct message *m, struct message *out, struct err *e);
/* Takes fd: as it is when it is a file, else through an unnamed file, and
 * looks at every byte once. */
int message_load(struct message *m, int fd, int64_t size, struct err *e);

enum rcpt_state { RCPT_PENDING, RCPT_SENT, RCPT_DEFERRED, RCPT_BOUNCED };

struct rcpt {
	const char *addr;
	const char *options; /* "NOTIFY=... ORCPT=..." or "" */
	enum rcpt_state state;
	bool accepted;   /* in this transaction */
	struct err why;  /* PENDING: what the last host said */
	char relay[400]; /* of `why` */
	bool unfit;      /* a host is not fit for its REQUIRETLS */
	bool temp;       /* one of them could not tell for now */
	const struct mx_target *refused; /* by this host, for now */
};

/* User and password for a target, found before the sandbox. */
struct secret {
	struct buf user, password;
	struct buf token;   /* of OAuth 2, in the password's place */
	struct err trouble; /* the table was away */
};

/* What a destination's policy asks of TLS. */
struct tls_policy {
	int level;
	struct strs match; /* words of names, or fingerprints */
	char *protocols, *ciphers, *servername; /* NULL: the parameters' */
	struct err trouble;                     /* the table was away */
};

/* TLSA records of a host. */
enum dane_state { DANE_NONE, DANE_TROUBLE, DANE_UNUSABLE, DANE_USABLE };
struct dane {
	enum dane_state state;
	struct tls_tlsa *rows;
	size_t n;
	char *base; /* the name they were found under */
	struct err why;
};

struct group;
struct session {
	struct smtp_client c;
	const struct mx_target *target;
	const struct group *group;
	const struct secret *secret;
	const struct dane *dane; /* NULL: not looked for */
	char relay[400];         /* "mx.example.org[192.0.2.1]:25" */
	char name[400];          /* the same without port, for sentences */
	bool tls, no_tls, hide;
	bool tls_later;   /* STARTTLS was refused for now */
	int level;        /* of TLS, after DANE's records were seen */
	bool sts;         /* the MTA-STS policy decides */
	deadline_t until; /* smtp_connection_reuse_time_limit */
	int uses;         /* messages */
	uint64_t mails;   /* MAIL commands */
	bool reused;      /* there was one before this */
	bool has_key;     /* under which its TLS session is kept */
	bool fresh_tls;   /* an old TLS session may have failed it */
	unsigned char tls_key[32];
	bool in_mail;   /* MAIL was taken, the message was not */
	bool data_sent; /* DATA is under way with the last recipients */
	bool dropped;   /* by us, out of step: nothing against the host */
	bool lied;      /* an extension that it told of is not there */
	bool unfit;     /* for REQUIRETLS, which is for good */
	/* For TLS reports: what failed, a word of RFC 8460 4.3; NULL: nothing.
	 */
	const char *tls_failure;
	char tls_why[300];
};

/* Recipients with one destination. */
struct group {
	const char *destination;
	struct group *fallback; /* smtp_fallback_relay, for what is left; or
				   NULL */
	struct rcpt **v;
	size_t n, cap;
	struct mx_hosts hosts;
	size_t *order; /* hosts.n: who is asked first; NULL: not known */
	struct secret *secrets; /* hosts.n */
	struct tls_policy policy;
	struct dane *dane; /* hosts.n, or NULL: not looked for */
	struct mtasts sts;
	bool has_sts;         /* a policy is in force */
	bool sts_doubt;       /* there is one perhaps */
	char sts_failure[40]; /* RFC 8460 4.3.2.2: why none could be had */
	struct tls_client *tls;
	struct err no_hosts; /* hosts.n is 0 */
	/* What this one tells of extensions is not believed; or NULL. */
	const struct mx_target *liar;
	bool keep; /* leave the session open for the next message */
	bool open;
	struct session session;
};
struct groups {
	struct group *v;
	size_t n, cap;
};

/* Extensions without which a message goes as well. */
#define SEND_OPTIONAL (SMTP_SIZE | SMTP_8BITMIME | SMTP_DSN | SMTP_CHUNKING)

enum attempt {
	ATTEMPT_DONE,  /* every recipient was answered */
	ATTEMPT_NEXT,  /* the next host may be asked */
	ATTEMPT_PLAIN, /* the same once more, without TLS */
	ATTEMPT_FRESH, /* all anew: a kept connection was of no use any more */
	ATTEMPT_STOP   /* the message may have arrived: ask nobody else */
};

/* What --times tells: microseconds so far spent connecting, and when the
 * transmission began (0: not yet). */
extern int64_t send_connect_us, send_began_us;
/* And whether the server does DSN. */
extern bool send_dsn;
/* Messages over this connection, this one included. */
extern int send_uses;

/* destination.c */
void group_add(struct groups *gs, const char *destination, struct rcpt *r);
/* Where does this recipient's mail go? */
const char *destination_of(const char *addr);
/* smtp_tcp_port as a number: where SMTP servers are, ours among them. */
int destination_smtp_port(void);
/* Everything that needs files or names. */
int groups_prepare(struct groups *gs, struct err *e) MX_MUST_CHECK;
/* Everything that does is done. */
int send_give_up_rights(struct err *e) MX_MUST_CHECK;
/* A verdict for each of its recipients. */
void group_run(struct group *g, const struct message *m);
void group_close(struct group *g);

/* jobs.c: --jobs; a status.  jobs_child.c: one destination's messages. */
int jobs_serve(void);
struct job_key {
	bool lmtp, requiretls, no_fallback;
	char *sender, *nexthop;
};
MX_NORETURN void jobs_child(const struct job_key *k, int channel, int job);

/* failing.c: the order in which a group's hosts are asked: those that failed
 * of late come last. */
void failing_order(struct group *g);
bool failing_is(const struct mx_target *t);
/* It did not answer, or it did. */
void failing_note(const struct mx_target *t, bool failed);
/* The process that keeps it for others; what it was told of "ADDR:PORT". */
void failing_tell(int channel);
void failing_take(struct span name, bool failed);

/* session.c */
/* Connects, greets, STARTTLS, AUTH.  On failure e is filled. */
enum attempt session_open(struct session *s, const struct group *g, size_t i,
			  bool no_tls, struct err *e);
void session_close(struct session *s);
/* May one more message go over it? */
bool session_alive(struct session *s);
/* Ends what a message left open (RSET).  -1: it is of no use any more. */
int session_rest(struct session *s) MX_MUST_CHECK;
/* e becomes Postfix's sentence for a link that broke while ... */
void session_lost(const struct session *s, const char *doing, struct err *e);
/* "host H said: 550 5.1.1 no (in reply to RCPT TO command)" */
void session_said(const struct session *s, const struct smtp_reply *r,
		  const char *command, struct err *e);
/* "250 2.0.0 Ok" */
void session_reply_text(struct buf *b, const struct smtp_reply *r);

/* tls_sessions.c: sessions to take up again; an empty one forgets. */
#define TLS_SESSION_KEY 32
void tls_sessions_key(const struct session *s, const struct strs *names,
		      const char *sni, unsigned char key[TLS_SESSION_KEY]);
struct span tls_sessions_get(const char *owner,
			     const unsigned char key[TLS_SESSION_KEY]);
void tls_sessions_put(const char *owner,
		      const unsigned char key[TLS_SESSION_KEY],
		      struct span der);
/* Whose they are: a child of --jobs has those of its own destination alone,
 * whatever it says of another. */
extern const char *tls_sessions_owner;

/* session_tls.c: TLS before the greeting where that is configured; STARTTLS as
 * the policy asks. */
enum attempt session_wrap(struct session *s, struct err *e);
enum attempt session_secure(struct session *s, struct err *e);
/* session.c: EHLO or LHLO; 0, or -1 with a sentence. */
int session_hello(struct session *s, struct err *e);

/* policy.c */
const char *policy_level_word(int level);
void policy_find(struct group *g, const struct tables *maps);
void policy_names(const struct group *g, const struct mx_target *t,
		  struct strs *out);
/* The client to connect with; roots: read the authorities' certificates now.
 */
struct tls_client *policy_client(struct tls_policy *p, bool roots,
				 struct err *e);
/* Makes that client early, for children to have it. */
void policy_warm(void);

/* dane.c */
void dane_find(struct dane *a, const struct group *g, const struct mx_target *t,
	       struct dns *dns);
void dane_names(const struct dane *a, const struct group *g,
		const struct mx_target *t, struct strs *out);

/* sts.c: is a policy in force for this domain?  failure: a word of RFC 8460
 * 4.3.2.2 where one is announced and cannot be had, else "".  *doubt_r: nobody
 * can say for now whether there is one. */
bool sts_find(struct mtasts *p, const char *domain, struct dns *dns,
	      char failure[40], bool *doubt_r);

/* The message at hand goes whatever DANE and MTA-STS say, and nothing of it
 * counts in TLS reports: it is such a report (RFC 8460 3, 5.3.1), or says
 * "TLS-Required: No" (RFC 8689 4.2.2). */
extern bool send_tls_optional;
/* It goes over hosts alone that keep what REQUIRETLS asks for (RFC 8689
 * 4.2.1). */
extern bool send_requiretls;

/* tlsrpt.c: lines for TLS reports. */
/* Before the sandbox: the file; or the one who keeps it. */
void tlsrpt_open(void);
void tlsrpt_tell(int channel);
/* What a child told of this destination. */
void tlsrpt_take(const char *destination, struct span rest);
/* Something failed: a word of 4.3, and a sentence; or OpenSSL's code. */
void tlsrpt_failed(struct session *s, const char *result, const char *why);
void tlsrpt_certificate(struct session *s, long bad, const char *words);
/* What became of TLS in this session is known: it is told. */
void tlsrpt_session(struct session *s);

/* secrets.c: smtp_sasl_password_maps.  As root: what only root may read stays
 * at hand; has such a file changed since? */
void secrets_preload(void);
bool secrets_changed(void);
void secrets_open(struct tables *out);
void secrets_close(struct tables *ts);
/* Those of all the other destinations: who speaks to strangers lacks them. */
void secrets_forget(void);

/* sasl.c */
void sasl_find(struct secret *s, const struct tables *maps, const char *host,
	       const char *destination);
void sasl_forget(struct secret *s);
/* 0, or -1 with a sentence. */
int sasl_login(struct session *s, struct err *e);
/* Sends a line that no trace shows: prefix, then the bytes in base64. */
int sasl_secret(struct session *s, const char *prefix, struct span bytes,
		struct smtp_reply *r, struct err *e);
/* sasl_scram.c: "=" and "," in a name (RFC 5802 5.1). */
void sasl_name(struct buf *b, struct span name);
/* "TYPE=BASE64" of this session, the one to use first; none without TLS. */
void sasl_bindings(const struct session *s, struct strs *out);
/* word: the mechanism; seen: the server offers one with -PLUS. */
int sasl_scram(struct session *s, const char *word, bool seen,
	       struct smtp_reply *r, struct err *e);

/* transaction.c */
enum attempt transaction(struct session *s, struct group *g,
			 const struct message *m);

/* report.c: lines on stdout. */
void report_final(struct rcpt *r, enum rcpt_state state, const char *dsn,
		  const char *relay, const char *text);
/* A failure: temporary ones wait for another host; for good is for good. */
void report_failure(struct rcpt *r, const char *relay, const struct err *e);
/* The same for all that are pending. */
void report_all(struct group *g, const char *relay, const struct err *e);
/* Not at this host; for good where no other one is fit nor in doubt. */
void report_unfit(struct group *g, const char *relay, const struct err *e);
bool report_any_unfit(const struct group *g);
/* Nobody else is left to ask: what is pending is deferred, or was fit for
 * nobody. */
void report_rest(struct group *g);

#endif
