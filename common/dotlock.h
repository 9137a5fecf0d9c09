/*
 * dotlock.h - NAME.lock beside a file, as Dovecot makes it, so that both keep
 * out of each other's way.
 * Layer: sys.
 */
#ifndef MX_DOTLOCK_H
#define MX_DOTLOCK_H

#include "buf.h"
#include "clock.h"
#include "err.h"

/* O_EXCL, "PID:HOST" inside.
 * One whose process is dead, or that is older than two minutes, is taken
 * away. */
struct dotlock {
	int dirfd, fd;
	char name[64]; /* "dovecot-uidlist.lock"; "" when not held */
};
int dotlock_take(struct dotlock *l, int dirfd, const char *file, deadline_t d,
		 struct err *e) MX_MUST_CHECK;
/* Is it still ours?  To be asked before what was read under the lock is
 * written back: another may have taken it for stale. */
bool dotlock_held(const struct dotlock *l);
/* Takes the lock file away. */
void dotlock_drop(struct dotlock *l);
/* Writes `content` into the lock file and renames that over the file, durably:
 * the lock is gone then, also on failure; 75 when it was lost meanwhile. */
int dotlock_replace(struct dotlock *l, const char *file, struct span content,
		    struct err *e) MX_MUST_CHECK;

/* A small file as a whole, at most 4 MB, appended; a missing one is empty. */
int dotlock_read(int dirfd, const char *name, struct buf *b,
		 struct err *e) MX_MUST_CHECK;

#endif
