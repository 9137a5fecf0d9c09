/*
 * mailbox_twin.c - two files of one base name (rsync of a folder whose flags
 * differ makes them), and a file that comes back after its message was
 * expunged: one UID would name two messages, or one that is no more.  As
 * Dovecot, the file gets a name of its own, and so a new UID.
 * Layer: mail.
 */
#include "log.h"
#include "mailbox.h"

#include <fcntl.h>
#include <stdio.h>
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

bool
mailbox_came_back(struct mailbox *mb, uint32_t uid, struct span file,
		  bool in_new)
{
	size_t i = 0;

	/* a list that went back (damage) gives again what the index knows */
	if (mb->given != 0 && uid >= mb->given)
		return false;
	while (i < mb->vanished_n && mb->vanished[i].uid != uid)
		i++;
	if (i == mb->vanished_n)
		return false;
	part(mb, file, in_new);
	return true;
}
