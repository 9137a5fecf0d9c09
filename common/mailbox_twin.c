/*
 * mailbox_twin.c - two files of one base name (rsync of a folder whose flags
 * differ makes them), and a file that comes back after its message was
 * expunged: one UID would name two messages, or one that is no more.  As
 * Dovecot, the file gets a name of its own, and so a new UID.
 * Layer: mail.
 */
#include "log.h"
#include "mailbox.h"
#include "mem.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

static void
put_path(struct buf *b, struct span file, bool in_new)
{
	buf_adds(b, in_new ? "new/" : "cur/");
	buf_addspan(b, file);
}

/* Nothing but the name changes: no other program loses a message by it that
 * is just about to remove, or rename, one of the two. */
static bool
rename_apart(struct mailbox *mb, struct span file, bool in_new)
{
	struct buf from = BUF_INIT, to = BUF_INIT;
	struct maildir_name name;
	bool ok;

	maildir_name_parse(&name, file);
	put_path(&from, file, in_new);
	put_path(&to, SPAN(""), in_new);
	maildir_name_new(&to, name.size, name.vsize);
	if (name.base.n < file.n)
		maildir_name_make(&to, SPAN(""), name.flags);
	ok = renameat(mb->fd, buf_str(&from), mb->fd, buf_str(&to)) == 0;
	if (ok)
		log_info("%s: %s: its name is taken: now %s", mb->name,
			 buf_str(&from), buf_str(&to));
	buf_free(&from);
	buf_free(&to);
	return ok;
}

/* Where it keeps its name it is not shown, and the index must not say that it
 * knows the folder. */
static void
part(struct mailbox *mb, struct span file, bool in_new)
{
	if (!mb->readonly && rename_apart(mb, file, in_new))
		mb->parted = true;
	else
		mb->incomplete = true;
}

bool
mailbox_twin(struct mailbox *mb, const struct message *m, struct span file,
	     bool in_new)
{
	struct buf one = BUF_INIT, other = BUF_INIT;
	struct stat a, b;
	bool both;

	if (m->file == NULL || (m->in_new == in_new && span_is(file, m->file)))
		return false;
	mailbox_path(&one, m);
	put_path(&other, file, in_new);
	/* mostly it is one file, renamed while we read */
	both = fstatat(mb->fd, buf_str(&other), &b, AT_SYMLINK_NOFOLLOW) == 0 &&
	       fstatat(mb->fd, buf_str(&one), &a, AT_SYMLINK_NOFOLLOW) == 0;
	buf_free(&one);
	buf_free(&other);
	/* a rename by link and unlink, not done yet: looked at again */
	if (both && a.st_dev == b.st_dev && a.st_ino == b.st_ino &&
	    m->in_new != in_new)
		return false;
	if (both)
		part(mb, file, in_new);
	return both;
}

static int
by_number(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return x < y ? -1 : x > y;
}

/* Asked for every file of a scan that is not known: so by halving. */
static bool
has_vanished(struct mailbox *mb, uint32_t uid)
{
	if (mb->vanished_n == 0)
		return false;
	if (mb->vanished_uids == NULL) {
		mb->vanished_uids = mem_alloc(mb->vanished_n, sizeof(uid));
		for (size_t i = 0; i < mb->vanished_n; i++)
			mb->vanished_uids[i] = mb->vanished[i].uid;
		qsort(mb->vanished_uids, mb->vanished_n, sizeof(uid),
		      by_number);
	}
	return bsearch(&uid, mb->vanished_uids, mb->vanished_n, sizeof(uid),
		       by_number) != NULL;
}

bool
mailbox_came_back(struct mailbox *mb, uint32_t uid, struct span file,
		  bool in_new)
{
	/* a list that went back (damage) gives again what the index knows */
	if (mb->given != 0 && uid >= mb->given)
		return false;
	if (!has_vanished(mb, uid))
		return false;
	part(mb, file, in_new);
	return true;
}
