/*
 * chain.h - the configured databases, asked in order.
 */
#ifndef MX_AUTH_CHAIN_H
#define MX_AUTH_CHAIN_H

#include "db.h"

/* Reads `passdb` and `userdb`; on failure the former lists stay. */
int chain_load(struct err *e) MX_MUST_CHECK;
/* The needs (DB_*) of all that are configured. */
unsigned chain_needs(void);
/* Folders that hold their files, NULL-terminated; lives until chain_load. */
const char *const *chain_folders(void);
/* The file of the first passwd-file, or NULL. */
const char *chain_passwd_file(void);

/*
 * Does the password fit?  The first source that says yes decides; a source
 * that cannot say makes a no into DB_TEMP.  Takes the time of a hash when no
 * source hashed one.  trail (may be NULL) gets a line per source.
 */
enum db_result chain_verify(const struct db_query *q, struct db_entry *r,
			    struct strs *trail, struct err *e) MX_MUST_CHECK;
/* The first source that knows the user and shows what it stores.  DB_NONE:
 * none does. */
enum db_result chain_credentials(const struct db_query *q, struct db_entry *r,
				 struct buf *stored,
				 struct err *e) MX_MUST_CHECK;
/*
 * Where the user's mail lies: uid, gid, home, mail with variables expanded;
 * mail_location and the passdb's own source where no userdb is configured.
 */
enum db_result chain_user(const char *user, const char *service,
			  struct db_entry *r, struct err *e) MX_MUST_CHECK;
/* Every user of the databases that can list theirs; -1: none can, or one is
 * away. */
int chain_each(void (*fn)(void *ctx, const char *user), void *ctx,
	       struct err *e) MX_MUST_CHECK;
/* The reply's fields of an entry, "uid=5" first. */
void chain_fields(const struct db_entry *r, struct strs *out);

#endif
