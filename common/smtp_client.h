/*
 * smtp_client.h - the client side of SMTP and LMTP, and reply parsing.
 * RFC 5321, 2033, 2920, 3030, 1870, 6531, 3461, 2034; XFORWARD.
 * Layer: mail.  A hostile server is survived: replies are bounded (512 bytes
 * a line kept, 100 lines), deadlines are per reply.
 */
#ifndef MX_SMTP_CLIENT_H
#define MX_SMTP_CLIENT_H

#include "err.h"
#include "io.h"

struct smtp_reply {
	int code;        /* 0: none (connection failed) */
	char esc[12];    /* "5.1.1" or "" */
	struct buf text; /* lines joined with LF, codes removed, escaped */
};
void smtp_reply_free(struct smtp_reply *r);

/* Capabilities of EHLO/LHLO. */
enum {
	SMTP_PIPELINING = 1,
	SMTP_8BITMIME = 2,
	SMTP_SIZE = 4,
	SMTP_STARTTLS = 8,
	SMTP_AUTH = 16,
	SMTP_CHUNKING = 32,
	SMTP_DSN = 64,
	SMTP_SMTPUTF8 = 128,
	SMTP_ENHANCED = 256,
	SMTP_XFORWARD = 512,
	SMTP_REQUIRETLS = 1024,
	SMTP_XCLIENT = 2048,
	SMTP_LIMITS = 8192,
	SMTP_XACTION = 4096 /* mx-deliver(8) */
};

struct smtp_client {
	struct stream s;
	unsigned caps;
	uint64_t size_limit; /* of SIZE, 0: unknown */
	/* of LIMITS (RFC 9422): MAIL commands a session, recipients and their
	 * domains a message; 0: none told */
	uint64_t mail_max, rcpt_max, domain_max;
	struct buf auth;        /* mechanisms, blank-separated, upper case */
	struct buf xforward;    /* attribute names offered */
	bool lmtp;              /* greeted with LHLO */
	bool broken;            /* no more use: close */
	unsigned unread;        /* commands whose replies were not read yet */
	struct buf banner_host; /* first word of the greeting */
	/* trace: called with '<' or '>' and a line; may be NULL */
	void (*trace)(void *ctx, char dir, struct span line);
	void *trace_ctx;
};

/* The two halves of smtp_client_open, for TLS from the first byte on. */
void smtp_client_start(struct smtp_client *c, int fd);
int smtp_client_greeting(struct smtp_client *c, deadline_t d,
			 struct smtp_reply *r, struct err *e) MX_MUST_CHECK;
/* Takes over fd.  Reads the greeting: 0 whatever it says (look at r->code, 220
 * is the good one).  Set trace before; start with a zeroed struct. */
int smtp_client_open(struct smtp_client *c, int fd, deadline_t d,
		     struct smtp_reply *r, struct err *e) MX_MUST_CHECK;
/* EHLO (falls back to HELO on 5xx) or LHLO; fills caps.  0 whatever the reply
 * says. */
int smtp_client_hello(struct smtp_client *c, const char *name, bool lmtp,
		      deadline_t d, struct smtp_reply *r,
		      struct err *e) MX_MUST_CHECK;
/* Queues a command line (no CRLF in it: checked) without flushing. */
int smtp_client_send(struct smtp_client *c, struct err *e, const char *fmt, ...)
    MX_PRINTF(3, 4) MX_MUST_CHECK;
/* Flushes and reads one reply.  -1: connection lost, timeout, or not SMTP. */
int smtp_client_reply(struct smtp_client *c, deadline_t d, struct smtp_reply *r,
		      struct err *e) MX_MUST_CHECK;
/* send + reply. */
int smtp_client_cmd(struct smtp_client *c, deadline_t d, struct smtp_reply *r,
		    struct err *e, const char *fmt, ...)
    MX_PRINTF(5, 6) MX_MUST_CHECK;
/* QUIT without waiting long, then close. */
void smtp_client_close(struct smtp_client *c, bool quit);
/* Appends ` NAME=xtext` to an XFORWARD line when the server offers NAME; an
 * empty value is [UNAVAILABLE], one that is longer than servers take is cut. */
void smtp_client_xforward(struct smtp_client *c, struct buf *line,
			  const char *name, struct span value);

/* Parses one reply line: code, more, esc, text span; false when malformed. */
bool smtp_reply_line(struct span line, int *code_r, bool *more_r,
		     char esc_r[12], struct span *text_r) MX_MUST_CHECK;

#endif
