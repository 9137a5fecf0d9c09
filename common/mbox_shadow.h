/*
 * mbox_shadow.h - mboxes of a user, shown as mailboxes: mail_location =
 * mbox:DIR:INBOX=FILE as Dovecot has it.  For each mbox a folder of the mail
 * root (DIR/.mx, Maildir++) holds its messages as they are read from it, so
 * that they have UIDs, an index and a cache like all others; its file
 * mx-mbox says which mbox it is, and as of when.  The mbox is the truth and
 * is never written.
 * Layer: mail.  Locks as Dovecot's mbox_read_locks = fcntl.
 */
#ifndef MX_MBOX_SHADOW_H
#define MX_MBOX_SHADOW_H

#include "buf.h"
#include "err.h"

#define MBOX_SHADOW_FILE "mx-mbox"
#define MBOX_SHADOW_MAX 2000 /* mboxes of a user */

/* An mbox as it was last taken over. */
struct mbox_view {
	char *path; /* of the caller's struct: to be freed; NULL: not known */
	uint64_t ino;
	int64_t size, ns; /* ns: its time, or -1: to be looked at again */
};

/* For this process and its user: 1 when `location` is not of mboxes; else
 * *root is the mail root, and what follows acts.  DIR alone means DIR/inbox;
 * a FILE alone (mbox:/var/mail/%u) has its root in HOME/.mx-mbox. */
int mbox_shadow_use(struct buf *root, const char *location, const char *user,
		    const char *home, struct err *e) MX_MUST_CHECK;
/* For the sandbox; NULL: there is none. */
const char *mbox_shadow_dir(void);
const char *mbox_shadow_inbox(void);

/* Makes a folder for each mbox that has none, and removes those whose mbox is
 * gone.  Nothing is done where no mboxes are used. */
int mbox_shadow_folders(int root, struct err *e) MX_MUST_CHECK;
/* Is the folder an mbox's? */
bool mbox_shadow_is(int fd);
/* Takes over what is new, changed or gone in the mbox of this folder; one
 * stat(2) where *v (zeroed at first) says that it is the same. */
int mbox_shadow_sync(int fd, struct mbox_view *v, struct err *e) MX_MUST_CHECK;

/* For mbox_s*.c alone.  The folder's lock, which ends when the descriptor is
 * closed, with its process at the latest; -1.  What mx-mbox holds. */
int mbox_shadow_lock(int fd, struct err *e) MX_MUST_CHECK;
int mbox_shadow_note(int fd, struct span text, struct err *e) MX_MUST_CHECK;

#endif
