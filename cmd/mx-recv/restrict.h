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

/* Whom a rule is about: Postfix's words for it in replies. */
enum about {
	ABOUT_CLIENT,
	ABOUT_REVERSE, /* its unconfirmed name */
	ABOUT_HELO,
	ABOUT_SENDER,
	ABOUT_RECIPIENT,
	ABOUT_DATA,
	ABOUT_END,
	ABOUT_CCERT,
	ABOUT_LOGIN
};

struct rule;
/* A rule that runs: about whom, at which stage. */
struct check {
	struct session *s;
	enum stage stage;
	const char *what;   /* "RCPT": for the log */
	struct reply reply; /* of V_REJECT */
	char esc[12];       /* what reply.esc may point to */
	int depth;          /* of lists named in tables */
	bool warn;          /* warn_if_reject stands before the rule */
	/* DEFER_IF_PERMIT and its like: decides when nothing rejects. */
	struct reply defer_if_permit, defer_if_reject;
};

enum rule_arg {
	ARG_NONE,
	ARG_TABLE,  /* TYPE:NAME, opened in the monitor */
	ARG_SERVER, /* an endpoint */
	ARG_ZONE,   /* of DNS, "zone=127.0.0.2" */
	ARG_NUMBER
};

struct restriction {
	const char *name;
	enum rule_arg arg;
	enum verdict (*run)(struct check *c, const struct rule *rule);
	enum about about;
	int type; /* for the function: a DNS type, a variant */
};
extern const struct restriction restrict_rows[];
extern const size_t restrict_nrows;
/* One word in restrict_rows that only the loop knows. */
enum verdict restrict_nothing(struct check *c, const struct rule *r);

struct rule {
	const struct restriction *row;
	char *arg;
	struct tables table;
	int endpoint; /* for server_connect */
	struct policy_options *policy;
	struct rules *list; /* a restriction class */
};
struct rules {
	struct rule *v;
	size_t n, cap;
};

/* "permit_mynetworks, check_client_access hash:/x ...".  A bare table is
 * check_STAGE_access of `stage`.  An unknown word is an error with the words
 * that there are. */
struct rules *restrict_parse(struct config *file, struct server *s,
			     const struct conf_params *p, int stage,
			     const char *text, struct err *e);
const struct restriction *restrict_row(const char *word);
const char *restrict_stage_name(int stage);

/* Each returns true when *r is a refusal to be sent (and logged). */
bool restrict_connect(struct session *s, struct reply *r);
bool restrict_helo(struct session *s, struct reply *r);
bool restrict_mail(struct session *s, struct reply *r);
bool restrict_rcpt(struct session *s, struct reply *r);
bool restrict_data(struct session *s, struct reply *r);
bool restrict_end(struct session *s, struct reply *r);
/* "ID: reject: RCPT from name[addr]: CODE ...; from=<> to=<> proto= helo=" */
void restrict_log(struct session *s, const char *verb, const char *what,
		  const struct reply *r);
/* The same without a code: "ID: hold: RCPT from ...: TEXT; from=..." */
void restrict_log_text(struct session *s, const char *verb, const char *what,
		       const char *text);

/* For the rules: "CODE ESC <SUBJECT>: CLASS rejected: TEXT"; the first digit
 * of the code and of esc are made to agree. */
enum verdict restrict_reject(struct check *c, int64_t code, const char *esc,
			     enum about about, const char *fmt, ...)
    MX_PRINTF(5, 6);
/* The same, said as it is. */
enum verdict restrict_say(struct check *c, int64_t code, const char *esc,
			  const char *fmt, ...) MX_PRINTF(4, 5);
/* What was just rejected waits: it decides when nothing rejects, or when
 * something does (then instead of a permanent answer). */
enum verdict restrict_defer_if_permit(struct check *c);
enum verdict restrict_defer_if_reject(struct check *c);
/* After a temporary failure: as *_tempfail_action says. */
enum verdict restrict_tempfail(struct check *c, int action);
/* "451 4.3.0 <SUBJECT>: Temporary lookup failure" */
enum verdict restrict_no_table(struct check *c, enum about about,
			       const struct err *e);
/* A list, in the middle of another. */
enum verdict restrict_run(struct check *c, const struct rules *l);
/* What an access table or a policy server said: restrict_action.c.  subject:
 * instead of that of `about`, or empty. */
enum verdict restrict_action(struct check *c, enum about about,
			     struct span action);
/* Who the rule is about, as text. */
struct span restrict_subject(struct check *c, enum about about);
enum about restrict_about(enum stage stage);
const char *restrict_class(enum about about);

/* Variants of restrict_login_mismatch. */
enum { LOGIN_UNAUTH = 1, LOGIN_AUTH = 2, LOGIN_KNOWN = 4 };

/* The rules with a file of their own. */
#define RULE(NAME) enum verdict NAME(struct check *c, const struct rule *r)
/* restrict_address.c */
RULE(restrict_non_fqdn);
RULE(restrict_unauth_destination);
RULE(restrict_permit_auth_destination);
RULE(restrict_login_mismatch);
RULE(restrict_unlisted);
RULE(restrict_permit_mx_backup);
/* restrict_access.c */
RULE(restrict_client_access);
RULE(restrict_name_access);
RULE(restrict_address_access);
RULE(restrict_server_access);
RULE(restrict_login_access);
RULE(restrict_ccert_access);
RULE(restrict_policy);
/* restrict_verify.c */
RULE(restrict_unverified);
/* restrict_dns.c */
RULE(restrict_unknown_name);
RULE(restrict_unknown_helo);
RULE(restrict_unknown_domain);
RULE(restrict_rbl);
RULE(restrict_rhsbl);
RULE(restrict_dnswl);
RULE(restrict_rhswl);

/* Is the client's address in this list, "zone" or "zone=filter"? */
bool restrict_listed(struct session *s, const char *spec);
/* The domain that a rule about `about` looks at; empty: none. */
struct span restrict_domain(struct check *c, enum about about);
/* Is mail for this domain ours to take?  FOUND: yes. */
enum table_result restrict_is_ours(struct check *c, struct span domain);

#endif
