/*
 * db.h - password and user databases: one driver a file, found by its
 * REGISTER line.  A driver answers for one source; chain.c asks them in order.
 */
#ifndef MX_AUTH_DB_H
#define MX_AUTH_DB_H

#include "auth.h"
#include "registry.h"

enum db_result {
	DB_OK,
	DB_NONE,     /* this source does not know the user */
	DB_MISMATCH, /* it does, but: wrong password, locked, expired */
	DB_TEMP      /* it cannot say */
};

/* What a source tells of a user. */
struct db_entry {
	struct strs
	    fields; /* "name=value"; passdb ones may be userdb_NAME=.. */
	char *user; /* when it gives the name another form, or NULL */
	char *home, *mail;
	uid_t uid;
	gid_t gid;
	bool has_uid, has_gid;
	bool hashed; /* a password was hashed, so the time is spent */
};
void db_entry_init(struct db_entry *r);
void db_entry_free(struct db_entry *r);
/* Sorts "uid=5", "home=/x" ... into the struct, the rest into ->fields.
 * -1: a number that is none. */
int db_entry_field(struct db_entry *r, struct span field,
		   struct err *e) MX_MUST_CHECK;

struct db_query {
	const char *user;
	struct span password;
	const char *service, *remote_ip; /* "" when not known */
	bool token; /* the password is a bearer token (RFC 6750) */
};

/* What a driver's process needs beyond reading its file. */
#define DB_SYSTEM 1u /* name service, PAM modules: no file sandbox */
#define DB_ROOT 2u   /* stays root where it is */
#define DB_NET 4u    /* connects to servers, looks names up */

struct db_driver {
	const char *name; /* the word before ":" */
	unsigned needs;
	bool token; /* it judges bearer tokens, and nothing else */
	/* Is arg well-formed?  At start; may be NULL. */
	int (*check)(const char *arg, struct err *e);
	/* The file that arg names, to be let into the sandbox, or NULL. */
	const char *(*path)(const char *arg);
	/* More files and folders that it reads; may be NULL. */
	void (*folders)(const char *arg, struct strs *out);
	/* passdb: is this the password?  `e` says why not (for the log). */
	enum db_result (*verify)(const char *arg, const struct db_query *q,
				 struct db_entry *r, struct err *e);
	/* passdb: is there such a user?  NULL: it cannot know. */
	enum db_result (*exists)(const char *arg, const char *user,
				 struct err *e);
	/* passdb: what is stored, as "{SCHEME}data", and the entry's fields;
	 * NULL: it never shows that (PAM).  DB_NONE, DB_MISMATCH (locked). */
	enum db_result (*credentials)(const char *arg, const char *user,
				      struct buf *stored, struct db_entry *r,
				      struct err *e);
	/* userdb: may be NULL. */
	enum db_result (*lookup)(const char *arg, const char *user,
				 struct db_entry *r, struct err *e);
	/* passdb: what its userdb_ fields tell of the user, for the userdb
	 * `prefetch`; DB_NONE: it has none.  May be NULL. */
	enum db_result (*prefetch)(const char *arg, const char *user,
				   struct db_entry *r, struct err *e);
	/* userdb: calls fn for every user there is; may be NULL. */
	int (*each)(const char *arg, void (*fn)(void *ctx, const char *user),
		    void *ctx, struct err *e);
};
#define DB_DRIVER(ROW) REGISTER(mx_auth_db, struct db_driver, ROW)

#endif
