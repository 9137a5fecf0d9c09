/*
 * local.h - places on this host, and the delivery of one message to one of
 * them: opened, written as it arrives, then committed.
 */
#ifndef MX_DELIVER_LOCAL_H
#define MX_DELIVER_LOCAL_H

#include "deliver.h"

enum dest_kind { DEST_MAILDIR, DEST_MBOX, DEST_COMMAND };

struct dest {
	enum dest_kind kind;
	const char *relay; /* word for the log: "local", "virtual", "pipe" */
	char *path;        /* absolute; or the command line */
	char *user;        /* login name, or NULL: no user stands behind it */
	char *home;        /* or NULL */
	char *sieve;       /* script, or NULL */
	uid_t uid;
	gid_t gid;
	bool has_ids; /* false: our own rights */
	bool shell;   /* a command of the administrator or the user */
};

void dest_free(struct dest *d);
struct dest *dest_copy(const struct dest *d);

#endif
