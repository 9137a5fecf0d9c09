/*
 * deposit.h - safe deposit: open in tmp, write, rename, one fsync.  Laws 1
 * and 3 of DESIGN live here and in mbox.h only.
 * Layer: sys.  After a failed fsync the file is unlinked and the descriptor
 * given up.  Bytes, not C strings: NUL passes through.
 */
#ifndef MX_DEPOSIT_H
#define MX_DEPOSIT_H

#include "buf.h"
#include "clock.h"
#include "err.h"

/* maildir_fsync = auto|file|both (DESIGN law 3): auto asks statfs. */
enum deposit_sync { DEPOSIT_AUTO, DEPOSIT_FILE, DEPOSIT_BOTH };

struct deposit {
	int dirfd;       /* the Maildir (or queue) folder */
	int fd;          /* the open file, or -1 */
	char tmp[320];   /* "tmp/NAME" relative to dirfd */
	char place[320]; /* final name once committed, relative to dirfd */
	uint64_t size;   /* bytes written */
	uint64_t vsize;  /* the same with CRLF line ends (Maildir W=) */
	char last;       /* last byte written, for vsize */
	enum deposit_sync sync;
	struct buf out; /* small writes gathered */
};

/* Makes the folder with its parents, cur, new, tmp (0700) where missing; a
 * new ".Folder" also gets Maildir++'s file maildirfolder.  Returns a directory
 * fd (CLOEXEC, O_DIRECTORY|O_NOFOLLOW on the last part) or -1. */
int deposit_maildir_open(const char *path, struct err *e) MX_MUST_CHECK;
/* What AUTO means on the file system of dirfd: FILE or BOTH.  For callers
 * that keep the descriptor and need not ask again. */
enum deposit_sync deposit_sync_of(int dirfd, enum deposit_sync wish);
/* Opens tmp/UNIQUE exclusively.  The name: seconds.MusecPpidQcounterRrandom
 * .host (unique over hosts and threads). */
int deposit_open(struct deposit *d, int dirfd, enum deposit_sync sync,
		 struct err *e) MX_MUST_CHECK;
/* Writes through a descriptor that somebody else opened, and will commit
 * (mx-deliver's become hop): see deposit_flush. */
void deposit_adopt(struct deposit *d, int fd);
int deposit_write(struct deposit *d, const void *p, size_t n,
		  struct err *e) MX_MUST_CHECK;
/* Writes what is gathered and starts the write-out; size is final then. */
int deposit_flush(struct deposit *d, struct err *e) MX_MUST_CHECK;
/* Makes it durable as new/UNIQUE,S=size,W=vsize (flags NULL) or
 * cur/UNIQUE,S=..,W=..:2,FLAGS.  On failure nothing is left behind. */
int deposit_commit(struct deposit *d, const char *flags,
		   struct err *e) MX_MUST_CHECK;
/* The same in two steps, for several files at once: all of them in place, then
 * each made durable.  A file system with a journal commits once for all, while
 * every file has its own fsync, and its own error.  Between the two a name is
 * there that a power cut may take back; on failure of either nothing is left
 * behind. */
int deposit_put(struct deposit *d, const char *flags,
		struct err *e) MX_MUST_CHECK;
/* The same into new/ under a name that this delivery has in every attempt:
 * `once`, made of what no other delivery has, without slash, colon, comma.
 * Where an attempt that was killed left that file, whole, it is the one: a
 * second copy is dropped and deposit_durable syncs the first.  deposit_there
 * only looks: true when it is so (before a quota is asked, which that copy may
 * have filled). */
int deposit_put_once(struct deposit *d, const char *once,
		     struct err *e) MX_MUST_CHECK;
bool deposit_there(struct deposit *d, const char *once);
int deposit_durable(struct deposit *d, struct err *e) MX_MUST_CHECK;
/* The same under a name of the caller's choice (queue files): rename tmp to
 * `name` relative to dirfd, one fsync. */
int deposit_commit_as(struct deposit *d, const char *name,
		      struct err *e) MX_MUST_CHECK;
/* The same, but never over a name that exists: then 1, nothing is done, and
 * another name may be tried. */
int deposit_commit_new(struct deposit *d, const char *name,
		       struct err *e) MX_MUST_CHECK;
/* The same into new/ (or cur/ with flags) of several folders of one file
 * system: one file, a name in each, one fsync. */
struct deposit_place {
	int dirfd;
	const char *flags; /* or NULL */
};
int deposit_commit_many(struct deposit *d, const struct deposit_place *at,
			size_t n, struct err *e) MX_MUST_CHECK;
/* Takes the commit back (a later recipient failed): unlinks `place`. */
void deposit_undo(struct deposit *d);
/* Gives up: unlinks tmp, frees memory.  Harmless after commit. */
void deposit_abort(struct deposit *d);

#endif
