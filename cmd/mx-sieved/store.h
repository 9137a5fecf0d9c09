/*
 * store.h - the scripts of a user in Pigeonhole's layout: sieve_dir with
 * NAME.sieve, and the link `sieve` that names the active one.  A name that no
 * file can bear (RFC 5804 1.6: up to 512 bytes) is in ~HASH.name, its script in
 * ~HASH.sieve.
 * Every change is one rename, durable before it is told: a crash leaves the
 * former script or the new one, and the active one active.
 */
#ifndef SIEVED_STORE_H
#define SIEVED_STORE_H

#include "buf.h"
#include "deposit.h"
#include "err.h"

struct store {
	int dir;             /* sieve_dir */
	struct buf dir_path; /* absolute */
	int link_dir;        /* the folder of the link */
	struct buf link_folder, link_name;
	int64_t max_size, quota_scripts, quota_storage;
};
enum store_result {
	STORE_OK,
	STORE_NONEXISTENT,
	STORE_EXISTS,
	STORE_ACTIVE, /* it is the active one */
	STORE_BAD_NAME,
	STORE_TOO_BIG,  /* QUOTA/MAXSIZE */
	STORE_TOO_MANY, /* QUOTA/MAXSCRIPTS */
	STORE_FULL,     /* QUOTA: storage, or the disk */
	STORE_TEMP      /* err has a sentence */
};

/* Opens, makes sieve_dir where it is missing; takes absolute paths. */
int store_open(struct store *s, const char *dir, const char *link,
	       struct err *e) MX_MUST_CHECK;
void store_close(struct store *s);

/* The name of the active script, appended; false when there is none (or it is
 * none of ours). */
bool store_active(struct store *s, struct buf *name);
/* Visits each script by name, in the order of names. */
int store_each(struct store *s,
	       void (*fn)(void *ctx, struct span name, bool active), void *ctx,
	       struct err *e) MX_MUST_CHECK;
/* Would a script of that name and size find room? */
enum store_result store_space(struct store *s, struct span name, uint64_t size,
			      struct err *e) MX_MUST_CHECK;
enum store_result store_get(struct store *s, struct span name, struct buf *text,
			    struct err *e) MX_MUST_CHECK;
/* Where a script of that name lies, appended, absolute. */
void store_path(const struct store *s, struct span name, struct buf *path);
/* Writes the text under a temporary name (the path for a checker is in
 * *path_r, absolute); then store_commit or deposit_abort. */
enum store_result store_write(struct store *s, struct deposit *d,
			      struct span text, struct buf *path_r,
			      struct err *e) MX_MUST_CHECK;
enum store_result store_commit(struct store *s, struct deposit *d,
			       struct span name, struct err *e) MX_MUST_CHECK;
/* The empty name: none is active. */
enum store_result store_activate(struct store *s, struct span name,
				 struct err *e) MX_MUST_CHECK;
enum store_result store_delete(struct store *s, struct span name,
			       struct err *e) MX_MUST_CHECK;
enum store_result store_rename(struct store *s, struct span from,
			       struct span to, struct err *e) MX_MUST_CHECK;

#endif
