/*
 * auth.h - the parameters of mx-auth, names of users, and what a login is.
 * Dovecot's names in Dovecot's sense (auth_*, passdb, userdb, mail_location).
 */
#ifndef MX_AUTH_H
#define MX_AUTH_H

#include "buf.h"
#include "err.h"
#include "param.h"
#include "site.h"
#include "strs.h"

struct auth_params {
	struct strs passdb, userdb;
	struct strs mechanisms;
	struct strs trusted_networks;
	struct strs master_users;
	char *mail_location;
	char *username_chars, *username_format, *default_realm;
	bool username_from_cert, require_client_cert;
	int64_t failure_delay;
	int64_t process_limit;
};
extern struct auth_params auth_params;
extern const struct param_rows auth_param_rows;

/* What %-variables stand for; NULL: not known here. */
struct expand_vars {
	const char *user, *home, *service, *remote_ip;
};
/* "%u %n %d %h %s %r %%", "%{user}" ..., modifiers L U and a width, and a
 * leading "~/" (RFC-less: Dovecot "Variables").  -1: unknown variable, or one
 * without a value. */
int expand(struct buf *out, struct span text, const struct expand_vars *v,
	   struct err *e) MX_MUST_CHECK;

/*
 * A login name as the client gave it -> as the databases see it: charset,
 * default realm, auth_username_format.  A name that could leave a directory
 * when it is put into a path ("/", a part that is empty or begins with a dot)
 * is refused whatever the charset says.
 */
int username_normalize(struct buf *out, struct span given,
		       struct err *e) MX_MUST_CHECK;
/* The name without the check of charset and format, for names that come from
 * a command line. */
int username_check(struct span user, struct err *e) MX_MUST_CHECK;

#endif
