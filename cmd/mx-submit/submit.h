/*
 * submit.h - what the files of mx-submit share.
 */
#ifndef MX_SUBMIT_H
#define MX_SUBMIT_H

#include "addr.h"
#include "msg.h"
#include "opt.h"

struct submit_options {
	const char *from;                 /* -f, -r */
	const char *full_name;            /* -F */
	const char *mode;                 /* -b */
	struct strs sendmail;             /* -o */
	bool dot_is_text;                 /* -i */
	bool recipients;                  /* -t */
	bool queue;                       /* -q */
	const char *queue_what;           /* -qI ID, -qR SITE; NULL: all */
	const char *notify, *ret, *envid; /* -N -R -V */
	const char *spool;                /* --spool */
	bool newaliases;                  /* -I */
};

struct submit_params {
	char *submit_url, *submit_password_file, *submit_token_command,
	    *ca_file;
	int64_t message_size_limit;
	int64_t timeout;
};

extern struct submit_options opts;
extern struct submit_params params;

/* A message that is ready to go. */
struct submission {
	char *sender;           /* "" is the null sender */
	char *login;            /* the caller's own address */
	struct strs recipients; /* complete addresses */
	struct buf head;        /* the header as it will be sent, LF */
	struct span body;       /* with its empty line */
	bool eight_bit;
	bool utf8_path, utf8_header; /* SMTPUTF8 is needed; is fitting */
};
void submission_free(struct submission *s);

/* complete.c: fills in what is missing, strips Bcc, takes recipients. */
int complete(struct submission *s, struct span message, char *const *operands,
	     int count, struct err *e);
/* handover.c: gives it to mx-deliver; 0 when it is on stable storage. */
int handover(const struct submission *s, struct err *e);
/* The same session for a caller who speaks SMTP himself (-bs). */
int handover_session(struct err *e);
/* smarthost.c: over SMTP with TLS to submit_url, by mx-smarthost. */
int smarthost(const struct submission *s, struct err *e);

#endif
