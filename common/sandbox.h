/*
 * sandbox.h - giving up rights: limits, uid, no_new_privs, close_range,
 * Landlock, seccomp last (DESIGN 3.1).
 * Layer: sys.  What the kernel lacks is said once (`try`) or fatal
 * (`require`); uid separation never depends on it.
 */
#ifndef MX_SANDBOX_H
#define MX_SANDBOX_H

#include "err.h"

enum sandbox_mode { SANDBOX_TRY, SANDBOX_REQUIRE, SANDBOX_OFF };

/* What the process will still do; everything else is refused (EPERM/EACCES).*/
#define SANDBOX_STDIO 0u   /* read, write, poll, clock, memory: always */
#define SANDBOX_ACCEPT 1u  /* accept on sockets it has */
#define SANDBOX_CONNECT 2u /* new sockets and connect (mx-send) */
#define SANDBOX_RPATH 4u   /* open files for reading below `paths` */
#define SANDBOX_WPATH 8u   /* create, write, rename, unlink below `paths` */
#define SANDBOX_EXEC 16u   /* execve below `paths` and of system programs */
#define SANDBOX_FORK 32u
/* What the kernel lacks is not said: a program that runs once a message. */
#define SANDBOX_QUIET 64u

/* Become user (name or number; NULL or "" stays; without root: stays) with its
 * groups cleared to its own. */
int sandbox_user(const char *user, struct err *e) MX_MUST_CHECK;
/* The same, and `next` is who a child of this process may become without being
 * root: the saved user and group (setresuid(2)).  Groups of `user` beyond its
 * own stay with that child, too.  sandbox_user_next is that step, for good;
 * where there was none, nothing. */
int sandbox_user_then(const char *user, const char *next,
		      struct err *e) MX_MUST_CHECK;
int sandbox_user_next(struct err *e) MX_MUST_CHECK;
/* What a user's name or number, and a group's (NULL or "": the user's own),
 * stand for.  A number nobody has stands for itself, as user and group. */
int sandbox_names(const char *user, const char *group, uid_t *uid, gid_t *gid,
		  struct err *e) MX_MUST_CHECK;
int sandbox_ids(uid_t uid, gid_t gid, struct err *e) MX_MUST_CHECK;
/* Enters it; paths: NULL-terminated directories (or files)
 * for RPATH/WPATH/EXEC; those that are not there, or out of reach, do not
 * count. */
int sandbox_enter(enum sandbox_mode mode, unsigned promises,
		  const char *const *paths, struct err *e) MX_MUST_CHECK;
/* Closes every descriptor from `from` on but the listed ones (-1 ends). */
void sandbox_close_others(int from, const int *keep);
/* PR_SET_DUMPABLE 0: where keys or passwords are. */
void sandbox_no_dump(void);
/* PR_SET_PDEATHSIG, to be called after the last setuid. */
void sandbox_die_with_parent(void);

#endif
