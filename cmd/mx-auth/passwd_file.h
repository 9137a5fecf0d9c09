/*
 * passwd_file.h - the lines of Dovecot's passwd-file:
 * user:password:uid:gid:(gecos):home:(shell):extra fields
 */
#ifndef MX_AUTH_PASSWD_FILE_H
#define MX_AUTH_PASSWD_FILE_H

#include "buf.h"
#include "err.h"

struct passwd_line {
	struct span user, password, uid, gid, home, extra;
	struct span whole; /* the line with its LF */
};

/* The next line of *rest that is an entry; comments and blanks are skipped.
 * False at the end. */
bool passwd_file_next(struct span *rest, struct passwd_line *l);
/* The entry of user, or the first one (for its kind of hash) when user is
 * empty.  False: none. */
bool passwd_file_find(struct span content, struct span user,
		      struct passwd_line *l);
#define PASSWD_FILE_MAX (64u << 20)

#endif
