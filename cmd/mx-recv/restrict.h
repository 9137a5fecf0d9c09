/*
 * restrict.h - restriction lists: Postfix's words, one row each
 * (restrict_rows.c), parsed once in the monitor, run for each command.
 * Postfix SMTPD_ACCESS_README, access(5).
 */
#ifndef RECV_RESTRICT_H
#define RECV_RESTRICT_H

#include "session.h"

enum verdict {
	V_DUNNO,  /* the next rule */
	V_PERMIT, /* this list is done */
	V_REJECT  /* check->reply says what */
};

struct rule;
/* A rule that runs: about whom, at which stage. */
struct check {
	struct session *s;
	enum stage stage;
	const char *what;   /* "RCPT": for the log */
	struct reply reply; /* of V_REJECT */
	int depth;          /* of lists named in tables */
	/* DEFER_IF_PERMIT and its like: decides when nothing rejects. */
	struct reply defer_if_permit, defer_if_reject;
};

struct restriction {
	const char *name;
	bool takes_arg;  /* the next word belongs to it */
	bool arg_table;  /* it is TYPE:NAME, opened in the monitor */
	bool arg_server; /* it is an endpoint */
	enum verdict (*run)(struct check *c, const struct rule *rule);
};
extern const struct restriction restrict_rows[];
extern const size_t restrict_nrows;

struct rule {
	const struct restriction *row;
	char *arg;
	struct tables table;
	int endpoint;       /* for server_connect */
	struct rules *list; /* a restriction class */
};
struct rules {
	struct rule *v;
	size_t n, cap;
};

/* "permit_mynetworks, check_client_access hash:/x ...".  An unknown word is an
 * error with the words that there are. */
struct rules *restrict_parse(struct config *file, struct server *s,
			     const struct conf_params *p, const char *text,
			     struct err *e);
const char *restrict_stage_name(int stage);

/* Each returns true when *r is a refusal to be sent (and logged). */
bool restrict_connect(struct session *s, struct reply *r);
bool restrict_helo(struct session *s, struct reply *r);
bool restrict_mail(struct session *s, struct reply *r);
bool restrict_rcpt(struct session *s, struct reply *r);
bool restrict_data(struct session *s, struct reply *r);
/* "ID: reject: RCPT from name[addr]: CODE ...; from=<> to=<> proto= helo=" */
void restrict_log(struct session *s, const char *verb, const char *what,
		  const struct reply *r);

/* For the rows: "CODE ESC <SUBJECT>: CLASS rejected: TEXT". */
enum verdict restrict_reject(struct check *c, int code, const char *esc,
			     const char *text);
/* The same about another address than the stage's. */
enum verdict restrict_reject_as(struct check *c, int code, const char *esc,
				enum stage about, const char *text);
/* What an access table said: OK, REJECT text, 4NN text ...  access(5). */
enum verdict restrict_action(struct check *c, enum stage about,
			     struct span action);
/* Who the stage is about, as text. */
struct span restrict_subject(struct check *c, enum stage about);

#endif
