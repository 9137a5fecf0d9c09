/*
 * mailbox.c - an open mailbox: opening it from its index or its folder, and
 * bringing it up to date.
 * Layer: mail.
 */
#include "log.h"
#include "mailbox_cache.h"
#include "mailbox_index.h"
#include "mailbox_name.h"
#include "mem.h"
#include "status.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static const char *const sub_names[2] = { "new", "cur" };

static bool
unchanged(struct mailbox *mb)
{
	for (int i = 0; i < 2; i++) {
		int64_t ns;

		if (mb->dirs[i].unsure ||
		    mailbox_dir_time(mb->fd, sub_names[i], &ns) != 0 ||
		    ns != mb->dirs[i].mtime_ns)
			return false;
	}
	return true;
}

size_t
mailbox_find(const struct mailbox *mb, uint32_t uid, bool *exact_r)
{
	size_t lo = 0, hi = mb->n;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (mb->v[mid].uid < uid)
			lo = mid + 1;
		else
			hi = mid;
	}
	*exact_r = lo < mb->n && mb->v[lo].uid == uid;
	return lo;
}

uint32_t
mailbox_last_uid(const struct mailbox *mb)
{
	return mb->n > 0 ? mb->v[mb->n - 1].uid : 0;
}

/* Dovecot and we replace the file as a whole: another inode. */
static bool
keywords_same(struct mailbox *mb)
{
	struct stat st;
	uint64_t ino = 0;
	int64_t ns = 0;
	bool same;

	if (fstatat(mb->fd, "dovecot-keywords", &st, AT_SYMLINK_NOFOLLOW) ==
	    0) {
		ino = st.st_ino;
		ns = (int64_t)st.st_mtim.tv_sec * 1000000000 +
		     st.st_mtim.tv_nsec;
	}
	same = ino == mb->kw_ino && ns == mb->kw_ns;
	mb->kw_ino = ino;
	mb->kw_ns = ns;
	return same;
}

static int
read_keywords(struct mailbox *mb, struct err *e)
{
	struct keywords now = { { NULL } };

	if (keywords_same(mb))
		return 0;
	if (keywords_read(&now, mb->fd, e) != 0)
		return -1;
	for (int i = 0; i < MAILDIR_KEYWORDS; i++) {
		const char *a = mb->kw.name[i], *b = now.name[i];

		if ((a == NULL) != (b == NULL) ||
		    (a != NULL && strcmp(a, b) != 0))
			mb->kw_changed = true;
	}
	keywords_free(&mb->kw);
	mb->kw = now;
	return 0;
}

void
message_free(struct message *m)
{
	if (!m->lent)
		free(m->file);
	m->lent = false;
	m->file = NULL;
}

void
mailbox_mark(struct mailbox *mb, struct message *m)
{
	mb->news = true;
	if (m->marked)
		return;
	m->marked = true;
	mb->changed = mem_grow(mb->changed, &mb->changed_cap, mb->changed_n + 1,
			       sizeof(*mb->changed));
	mb->changed[mb->changed_n++] = m->uid;
}

void
mailbox_drop_gone(struct mailbox *mb)
{
	size_t to = 0;

	for (size_t i = 0; i < mb->n; i++) {
		if (mb->v[i].gone) {
			message_free(&mb->v[i]);
			continue;
		}
		if (to != i)
			mb->v[to] = mb->v[i];
		to++;
	}
	mb->n = to;
}

/* By events: 0 when that was all; 1: read the folder. */
static int
followed(struct mailbox *mb, struct err *e)
{
	uint32_t told = mb->ul.uidvalidity;
	struct scan newcomers = { 0 };
	enum watch_news news = mailbox_events(mb, &newcomers);
	int r = news == WATCH_LOOK || mb->unread ? 1 : 0;

	/* no list to look into: the folder itself tells */
	if (mb->unsticky) {
		scan_free(&newcomers);
		return news == WATCH_NONE && unchanged(mb) ? 0 : 1;
	}
	if (mb->unread)
		mb->own_at = mb->own_n; /* what was said of them is taken */

	for (int i = 0; r == 0 && i < 2; i++) {
		int64_t ns;

		/* a change without an event: of another host's doing */
		if (mailbox_dir_time(mb->fd, sub_names[i], &ns) != 0 ||
		    (news == WATCH_NONE && ns != mb->dirs[i].mtime_ns))
			r = 1;
		else
			mb->dirs[i].mtime_ns = ns;
	}
	if (r == 0 && newcomers.n > 0)
		r = mailbox_take_some(mb, &newcomers, e);
	else if (r == 0 && !uidlist_current(&mb->ul, mb->fd))
		r = uidlist_read(&mb->ul, mb->fd, e) != 0 ||
		    mb->ul.uidvalidity == 0;
	if (r == 0 && told != mb->ul.uidvalidity)
		mb->dead = true;
	scan_free(&newcomers);
	if (r == 0 && read_keywords(mb, e) != 0)
		log_warn("%s: %s", mb->name, e->text);
	return r;
}

static int
look(struct mailbox *mb, struct err *e)
{
	struct stat st;

	if (fstat(mb->fd, &st) != 0 || st.st_nlink == 0) {
		mb->dead = true;
		return 0;
	}
	if (read_keywords(mb, e) != 0)
		return -1;
	return mailbox_follow(mb, e);
}

void
mailbox_commit(struct mailbox *mb)
{
	mailbox_index_commit(mb);
}

void
mailbox_touch(struct mailbox *mb)
{
	mailbox_index_touch(mb);
}

/* The folder of an mbox, as the mbox is now. */
static int
sync_mbox(struct mailbox *mb, struct err *e)
{
	int r;

	if (!mb->is_mbox)
		return 0;
	mailbox_watch_mbox(mb);
	r = mbox_shadow_sync(mb->fd, &mb->mbox, e);
	mailbox_watch_mbox(mb);
	return r;
}

int
mailbox_sync(struct mailbox *mb, struct err *e)
{
	int r = 1;

	if (mb->dead)
		return 0;
	if (sync_mbox(mb, e) != 0)
		return -1;
	if (mb->watch >= 0)
		r = followed(mb, e);
	else if (!mb->unread && unchanged(mb))
		r = 0;
	if (r > 0)
		r = look(mb, e);
	/* The events are used up, and the times noted: what this look could
	 * not take over (a lock, a full disk) is for the next one, and until
	 * then the index does not say that it knows the folder. */
	mb->unread = r != 0 || mb->unnumbered || mb->parted;
	if (r == 0)
		mailbox_index_commit(mb);
	return r;
}

/* From the index, as far as the directories are what they were; 1: read the
 * folder. */
static int
open_indexed(struct mailbox *mb, struct err *e)
{
	uint32_t told;
	int64_t ns[2];

	if (!mailbox_index_load(mb) || !mb->index.dirs_known)
		return 1;
	told = mb->ul.uidvalidity;
	if (uidlist_read(&mb->ul, mb->fd, e) != 0)
		return -1;
	for (int i = 0; i < 2; i++)
		if (mailbox_dir_time(mb->fd, sub_names[i], &ns[i]) != 0)
			return 1;
	/* another list than the one that was known: every UID is looked up */
	if (!mb->ul.lazy || mb->ul.uidvalidity != told ||
	    ns[1] != mb->index.dir_ns[1])
		return 1;
	for (int i = 0; i < 2; i++)
		mb->dirs[i] = (struct dir_state){ .mtime_ns = ns[i] };
	if (ns[0] != mb->index.dir_ns[0])
		return mailbox_follow_new(mb, e);
	if (!mb->readonly)
		mailbox_empty_new(mb);
	return 0;
}

/* UIDs of another validity are other messages. */
static void
forget_other_validity(struct mailbox *mb)
{
	uint32_t known = mb->ul.uidvalidity;
	struct err e = ERR_INIT;

	if (mb->n == 0 || uidlist_read(&mb->ul, mb->fd, &e) != 0 ||
	    mb->ul.uidvalidity == known)
		return;
	for (size_t i = 0; i < mb->n; i++)
		message_free(&mb->v[i]);
	mb->n = 0;
	mb->vanished_n = 0;
	mb->vanished_since = 0;
}

static int
first_look(struct mailbox *mb, struct err *e)
{
	int r = open_indexed(mb, e);

	if (r == 0 && read_keywords(mb, e) != 0)
		r = -1;
	if (r > 0) {
		forget_other_validity(mb);
		mb->ul.uidvalidity = 0; /* nothing was told: any will do */
		mb->ul.file.ino = 0;
		r = look(mb, e);
	}
	mb->unread = mb->unnumbered || mb->parted;
	if (r == 0) {
		mailbox_index_commit(mb);
		mailbox_drop_gone(mb);
		for (size_t i = 0; i < mb->n; i++)
			mb->v[i].told = mb->v[i].flags;
		mb->news = false;
	}
	return r;
}

/* Of two that make the first index at once, one takes over the other's. */
static int
open_messages(struct mailbox *mb, struct err *e)
{
	for (int i = 0; i < 3; i++) {
		if (first_look(mb, e) != 0)
			return -1;
		if (mailbox_index_begin(mb))
			break;
		mailbox_index_forget(mb);
	}
	return 0;
}

struct mailbox *
mailbox_select(int root, const char *name, bool readonly,
	       const char *watch_path, struct err *e)
{
	struct mailbox *mb;
	int fd = mailbox_name_open(root, span_of(name));

	/* an mbox that came since */
	if (fd < 0 && errno == ENOENT && mbox_shadow_dir() != NULL) {
		if (mbox_shadow_folders(root, e) != 0)
			return NULL;
		fd = mailbox_name_open(root, span_of(name));
	}
	if (fd < 0) {
		if (errno == ENOENT || errno == ENOTDIR || errno == ELOOP)
			err_set(e, ST_NOINPUT, "Mailbox doesn't exist: %s",
				name);
		else
			err_sys(e, "%s: opening the mailbox", name);
		return NULL;
	}
	mb = mem_alloc(1, sizeof(*mb));
	mb->name = mem_strdup(name);
	mb->root = root;
	mb->fd = fd;
	mb->is_mbox = mbox_shadow_is(fd);
	/* as Dovecot: flags are names in cur/, and it cannot be written */
	mb->readonly = readonly || mb->is_mbox ||
		       (faccessat(fd, "cur", W_OK, 0) != 0 &&
			(errno == EACCES || errno == EROFS));
	mb->dirs[0].unsure = mb->dirs[1].unsure = true;
	mb->watch = mb->watched_mbox = -1;
	mb->index.fd = -1;
	mb->cache.fd = -1;
	mb->kw_ino = UINT64_MAX;
	uidlist_init(&mb->ul);
	/* watched first, looked at then: nothing falls between */
	if (watch_path != NULL)
		mailbox_watch(mb, watch_path);
	if (sync_mbox(mb, e) != 0 || open_messages(mb, e) != 0) {
		mb->dead = true;
		mailbox_close(mb);
		return NULL;
	}
	return mb;
}

void
mailbox_close(struct mailbox *mb)
{
	if (mb == NULL)
		return;
	mailbox_cache_close(mb);
	mailbox_index_close(mb);
	for (size_t i = 0; i < MAILBOX_AHEAD; i++)
		if (mb->ahead[i].uid != 0)
			close(mb->ahead[i].fd);
	for (size_t i = 0; i < mb->n; i++)
		message_free(&mb->v[i]);
	free(mb->v);
	free(mb->changed);
	free(mb->vanished);
	free(mb->vanished_uids);
	free(mb->own);
	buf_free(&mb->events);
	if (mb->index.map != NULL)
		(void)munmap(mb->index.map, mb->index.map_n);
	if (mb->index.fd >= 0)
		close(mb->index.fd);
	uidlist_done(&mb->ul);
	keywords_free(&mb->kw);
	close(mb->fd);
	if (mb->watch >= 0)
		close(mb->watch);
	free(mb->mbox.path);
	free(mb->name);
	free(mb);
}

size_t
mailbox_recent(const struct mailbox *mb)
{
	size_t n = 0;

	for (size_t i = 0; i < mb->n; i++)
		n += mb->v[i].recent ? 1 : 0;
	return n;
}

size_t
mailbox_first_unseen(const struct mailbox *mb)
{
	for (size_t i = 0; i < mb->n; i++)
		if (!(mb->v[i].flags & MAILDIR_SEEN))
			return i + 1;
	return 0;
}

size_t
mailbox_unseen(const struct mailbox *mb)
{
	size_t n = 0;

	for (size_t i = 0; i < mb->n; i++)
		n += mb->v[i].flags & MAILDIR_SEEN ? 0 : 1;
	return n;
}
