/*
 * users.h - who has a mailbox here: the userdb of mx-auth or Dovecot where
 * auth_master_socket is set, else the users of the system.  Answers are kept
 * userdb_cache_time.
 */
#ifndef MX_DELIVER_USERS_H
#define MX_DELIVER_USERS_H

#include "err.h"
#include "quota.h"
#include "table.h"

struct user {
	char *name;
	char *home; /* "" when there is none */
	char *mail; /* location, variables expanded: "maildir:/home/x/M" */
	uid_t uid;
	gid_t gid;
	bool has_ids; /* false: mail_uid, or our own */
	struct quota quota;
	bool system; /* from getpwnam: mail lies below the home */
};

/* The result lives until the next call of users_find. */
enum table_result users_find(struct span name, const struct user **out,
			     struct err *e) MX_MUST_CHECK;
/* Forgets what is kept. */
void users_forget(void);
/* %u %n %d %h %% and a leading "~/" for one user; false where ~ or %h has no
 * home to stand for. */
bool users_expand(struct buf *b, const char *text, const char *name,
		  const char *home) MX_MUST_CHECK;

#endif
