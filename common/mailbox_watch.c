/*
 * mailbox_watch.c - following an open mailbox by inotify: what happens to one
 * file costs one event, not a look at all of them.  Whatever an event does
 * not explain by itself is answered by reading the folder again.
 * Layer: mail.
 */
#include "mailbox.h"
#include "mailbox_name.h"

#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#define EVENTS (IN_CREATE | IN_MOVED_TO | IN_MOVED_FROM | IN_DELETE)

/* What one drain of the queue found. */
struct drain {
	size_t events;
	size_t lost; /* messages whose file went and did not come back */
	bool look;   /* read the folder again */
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

static void
file_came(struct mailbox *mb, struct drain *d, struct span file, bool in_new)
{
	struct maildir_name name;
	struct message *m;
	bool exact;
	uint32_t uid;
	size_t at;

	maildir_name_parse(&name, file);
	uid = uidlist_find(&mb->ul, name.base);
	at = mailbox_find(mb, uid, &exact);
	if (uid == 0 || (!exact && at == mb->n) || (exact && mb->v[at].gone)) {
		d->look = true;
		return;
	}
	if (!exact)
		return; /* shows at the next SELECT, see take_scan */
	m = &mb->v[at];
	if (!m->seen_now)
		d->lost--;
	m->seen_now = true;
	message_take(m, file, &name, in_new);
	if (in_new && !mb->readonly)
		d->look = true;
}

static void
file_went(struct mailbox *mb, struct drain *d, struct span file, bool in_new)
{
	struct maildir_name name;
	struct message *m;
	bool exact;
	size_t at;

	maildir_name_parse(&name, file);
	at = mailbox_find(mb, uidlist_find(&mb->ul, name.base), &exact);
	if (!exact)
		return;
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
	if (ev->mask & (IN_Q_OVERFLOW | IN_IGNORED | IN_UNMOUNT))
		d->look = true;
	else if (file.n == 0 || file.p[0] == '.' || span_has_ctl(file) ||
		 (ev->mask & IN_ISDIR))
		return;
	else if (ev->mask & (IN_CREATE | IN_MOVED_TO))
		file_came(mb, d, file, in_new);
	else
		file_went(mb, d, file, in_new);
}

enum watch_news
mailbox_events(struct mailbox *mb)
{
	_Alignas(struct inotify_event) char room[16384];
	struct drain d = { .events = 0 };
	ssize_t n;

	while ((n = read(mb->watch, room, sizeof(room))) > 0) {
		for (ssize_t at = 0; at < n;) {
			const struct inotify_event *ev =
			    (const void *)(room + at);

			one_event(mb, &d, ev);
			at += (ssize_t)(sizeof(*ev) + ev->len);
		}
	}
	if (d.look || d.lost > 0)
		return WATCH_LOOK;
	return d.events > 0 ? WATCH_DONE : WATCH_NONE;
}
