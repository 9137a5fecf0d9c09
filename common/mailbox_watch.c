/*
 * mailbox_watch.c - following an open mailbox by inotify: what happens to one
 * file costs one event, not a look at all of them.  Whatever an event does
 * not explain by itself is answered by reading the folder again.
 * Layer: mail.
 */
#include "mailbox.h"
#include "mailbox_name.h"
#include "mem.h"

#include <stdio.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#define EVENTS (IN_CREATE | IN_MOVED_TO | IN_MOVED_FROM | IN_DELETE)

/* After so many changes of our own the queue is emptied. */
#define OWN_EVENTS 2048
/* Bytes of events that are kept; the kernel's queue overflows then. */
#define EVENTS_MAX ((size_t)16 << 20)

/* What one drain of the queue found. */
struct drain {
	size_t events;
	size_t lost; /* messages whose file went and did not come back */
	bool look;   /* read the folder again */
	bool empty_new;
	struct scan *newcomers; /* files that are not known */
};

void
mailbox_watch(struct mailbox *mb, const char *root_path)
{
	static const char *const subs[2] = { "new", "cur" };
	struct buf path = BUF_INIT;

	mb->watch = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	for (int i = 0; mb->watch >= 0 && i < 2; i++) {
		buf_clear(&path);
		buf_addf(&path, "%s/", root_path);
		mailbox_name_folder(&path, span_of(mb->name));
		buf_addf(&path, "/%s", subs[i]);
		mb->watched[i] = inotify_add_watch(mb->watch, buf_str(&path),
						   EVENTS | IN_ONLYDIR);
		/* no watch left for this user: looked at from time to time */
		if (mb->watched[i] < 0) {
			close(mb->watch);
			mb->watch = -1;
		}
	}
	buf_free(&path);
}

void
mailbox_watch_mbox(struct mailbox *mb)
{
	if (mb->watch >= 0 && mb->mbox.path != NULL)
		mb->watched_mbox = inotify_add_watch(
		    mb->watch, mb->mbox.path,
		    IN_MODIFY | IN_ATTRIB | IN_MOVE_SELF | IN_DELETE_SELF);
}

/* Our own changes come back as events, in the order they were made. */
static uint64_t
own_hash(const char *path, bool came)
{
	uint64_t h = came ? 0x9e3779b97f4a7c15 : 0xcbf29ce484222325;

	for (; *path != '\0'; path++) /* FNV-1a */
		h = (h ^ (unsigned char)*path) * 0x100000001b3;
	return h;
}

static bool
is_own(struct mailbox *mb, struct span file, bool in_new, bool came)
{
	char path[300];

	if (mb->own_at == mb->own_n || file.n > 255)
		return false;
	snprintf(path, sizeof(path), "%s/%.*s", in_new ? "new" : "cur",
		 SPAN_ARG(file));
	if (mb->own[mb->own_at] != own_hash(path, came))
		return false;
	mb->own_at++;
	return true;
}

static bool
is_own_event(struct mailbox *mb, const struct inotify_event *ev)
{
	struct span file = span_of(ev->len > 0 ? ev->name : "");

	return !(ev->mask &
		 (IN_Q_OVERFLOW | IN_IGNORED | IN_UNMOUNT | IN_ISDIR)) &&
	       file.n > 0 && file.p[0] != '.' && !span_has_ctl(file) &&
	       is_own(mb, file, ev->wd == mb->watched[0],
		      (ev->mask & (IN_CREATE | IN_MOVED_TO)) != 0);
}

/*
 * The kernel keeps 16,384 events, and a STORE of all makes two for each
 * message: where more come, every one is lost and the folder has to be read.
 * So they are taken out before.  Ours are done with, up to the first one of
 * another process: renamed_since needs to know what of ours came behind it.
 */
static void
take_events(struct mailbox *mb)
{
	_Alignas(struct inotify_event) char room[16384];
	ssize_t n;

	while (mb->events.n < EVENTS_MAX &&
	       (n = read(mb->watch, room, sizeof(room))) > 0) {
		for (ssize_t at = 0; at < n;) {
			const struct inotify_event *ev =
			    (const void *)(room + at);
			size_t size = sizeof(*ev) + ev->len;

			if (mb->events.n > 0 || !is_own_event(mb, ev))
				buf_add(&mb->events, ev, size);
			at += (ssize_t)size;
		}
	}
}

void
mailbox_own(struct mailbox *mb, const char *path, bool came)
{
	if (mb->watch < 0)
		return;
	if (mb->own_at == mb->own_n)
		mb->own_at = mb->own_n = 0;
	mb->own =
	    mem_grow(mb->own, &mb->own_cap, mb->own_n + 1, sizeof(*mb->own));
	mb->own[mb->own_n++] = own_hash(path, came);
	if (mb->own_n % OWN_EVENTS == 0)
		take_events(mb);
}

/*
 * Another process gave the file this name, and we have renamed it away since:
 * what we know is newer.  Without this the name of before would stay, because
 * our own events behind it are passed over; a flag that we had set would be
 * missing from our view, and not be cleared when it is to be.
 */
static bool
renamed_since(const struct mailbox *mb, struct span file, bool in_new)
{
	char path[300];
	uint64_t hash;

	if (mb->own_at == mb->own_n || file.n > 255)
		return false;
	snprintf(path, sizeof(path), "%s/%.*s", in_new ? "new" : "cur",
		 SPAN_ARG(file));
	hash = own_hash(path, false);
	for (size_t i = mb->own_at; i < mb->own_n; i++)
		if (mb->own[i] == hash)
			return true;
	return false;
}

/* The list is read as a whole once somebody else renames what we know. */
static uint32_t
find_uid(struct mailbox *mb, struct drain *d, struct span base)
{
	uint32_t uid = uidlist_find(&mb->ul, base);
	struct err e = ERR_INIT;

	if (uid != 0 || !mb->ul.lazy)
		return uid;
	if (uidlist_lazy_has(&mb->ul, mb->fd, base) == 0)
		return 0;
	if (uidlist_read_all(&mb->ul, mb->fd, &e) != 0)
		d->look = true;
	return uidlist_find(&mb->ul, base);
}

static void
file_came(struct mailbox *mb, struct drain *d, struct span file, bool in_new)
{
	struct maildir_name name;
	struct message *m;
	bool exact;
	uint32_t uid;
	size_t at;

	maildir_name_parse(&name, file);
	uid = find_uid(mb, d, name.base);
	at = mailbox_find(mb, uid, &exact);
	if (uid == 0 || (!exact && at == mb->n)) {
		d->newcomers->in_new = in_new;
		(void)scan_add(d->newcomers, file.p, file.n);
		return;
	}
	if (exact && mb->v[at].gone) {
		d->look = true;
		return;
	}
	if (!exact) {
		mb->incomplete = true; /* shows at the next SELECT */
		return;
	}
	m = &mb->v[at];
	if (m->seen_now && (m->in_new != in_new || !span_is(file, m->file))) {
		d->look = true; /* a second file of its name? */
		return;
	}
	if (!m->seen_now)
		d->lost--;
	m->seen_now = true;
	message_take(mb, m, file, &name, in_new);
	if (in_new && !mb->readonly)
		d->empty_new = true;
}

/* It came and went, or went on from new/ to cur/, before it was looked at. */
static void
forget_newcomer(struct drain *d, struct span file, bool in_new)
{
	struct scan *sc = d->newcomers;
	size_t to = 0;

	for (size_t i = 0; i < sc->n; i++)
		if (sc->v[i].in_new != in_new ||
		    !span_eq(scan_name(sc, i), file))
			sc->v[to++] = sc->v[i];
	sc->n = to;
}

static void
file_went(struct mailbox *mb, struct drain *d, struct span file, bool in_new)
{
	struct maildir_name name;
	struct message *m;
	bool exact;
	size_t at;

	maildir_name_parse(&name, file);
	at = mailbox_find(mb, find_uid(mb, d, name.base), &exact);
	if (!exact) {
		forget_newcomer(d, file, in_new);
		return;
	}
	m = &mb->v[at];
	/* an older name than the one we know: our own rename */
	if (m->gone || !m->seen_now || m->in_new != in_new ||
	    !span_is(file, m->file))
		return;
	m->seen_now = false;
	d->lost++;
}

static void
one_event(struct mailbox *mb, struct drain *d, const struct inotify_event *ev)
{
	struct span file = span_of(ev->len > 0 ? ev->name : "");
	bool in_new = ev->wd == mb->watched[0];

	d->events++;
	/* mbox_shadow_sync has looked at that */
	if (mb->is_mbox && ev->wd >= 0 && ev->wd != mb->watched[0] &&
	    ev->wd != mb->watched[1])
		return;
	if (ev->mask & (IN_Q_OVERFLOW | IN_IGNORED | IN_UNMOUNT))
		d->look = true;
	else if (file.n == 0 || file.p[0] == '.' || span_has_ctl(file) ||
		 (ev->mask & IN_ISDIR))
		return;
	else if (is_own(mb, file, in_new,
			(ev->mask & (IN_CREATE | IN_MOVED_TO)) != 0))
		return;
	else if (ev->mask & (IN_CREATE | IN_MOVED_TO)) {
		if (!renamed_since(mb, file, in_new))
			file_came(mb, d, file, in_new);
	} else
		file_went(mb, d, file, in_new);
}

static void
each_event(struct mailbox *mb, struct drain *d, const char *bytes, size_t n)
{
	for (size_t at = 0; at < n;) {
		const struct inotify_event *ev = (const void *)(bytes + at);

		one_event(mb, d, ev);
		at += sizeof(*ev) + ev->len;
	}
}

enum watch_news
mailbox_events(struct mailbox *mb, struct scan *newcomers)
{
	_Alignas(struct inotify_event) char room[16384];
	struct drain d = { .newcomers = newcomers };
	struct buf before = mb->events;
	ssize_t n;

	mb->events = BUF_INIT;
	each_event(mb, &d, before.p, before.n);
	buf_free(&before);
	while ((n = read(mb->watch, room, sizeof(room))) > 0)
		each_event(mb, &d, room, (size_t)n);
	if (d.look)
		mb->own_at = mb->own_n;
	if (d.look || d.lost > 0)
		return WATCH_LOOK;
	if (d.empty_new)
		mailbox_empty_new(mb);
	return d.events > 0 ? WATCH_DONE : WATCH_NONE;
}
