/*
 * notify_boxes.c - what NOTIFY watches besides the selected mailbox: the tree
 * of names, subscriptions, and the folders of mailboxes, by inotify.  What an
 * event is about is looked at again: events say where, never what.
 * RFC 5465 5, 6.
 */
#include "cmd.h"
#include "log.h"
#include "mailbox_name.h"
#include "mem.h"
#include "metadata.h"
#include "notify.h"
#include "status.h"
#include "subscriptions.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>

#define EVENTS (IN_CREATE | IN_DELETE | IN_MOVED_TO | IN_MOVED_FROM)

static int
by_name(const void *a, const void *b)
{
	const struct notify_box *x = a, *y = b;

	return strcmp(x->name, y->name);
}

static struct notify_box *
find(struct notify_box *v, size_t n, const char *name)
{
	struct notify_box key = { .ino = 0 };

	memcpy(&key.name, &name, sizeof(name)); /* not written through */
	return n > 0 ? bsearch(&key, v, n, sizeof(*v), by_name) : NULL;
}

static void
add(struct notify_box **v, size_t *n, size_t *cap, struct span name,
    uint64_t ino)
{
	*v = mem_grow(*v, cap, *n + 1, sizeof(**v));
	(*v)[(*n)++] = (struct notify_box){ .name = mem_spandup(name),
					    .ino = ino,
					    .wd = { -1, -1, -1 } };
}

/* The mailboxes there are, by name. */
static int
read_tree(struct session *s, struct notify_box **v, size_t *n, struct err *e)
{
	struct buf name = BUF_INIT;
	size_t cap = 0;
	int fd = openat(s->root, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
	struct dirent *d;

	if (dir == NULL) {
		if (fd >= 0)
			close(fd);
		return err_sys(e, "reading the mail root");
	}
	add(v, n, &cap, SPAN("INBOX"), 0);
	while ((d = readdir(dir)) != NULL) {
		buf_clear(&name);
		if ((d->d_type == DT_DIR || d->d_type == DT_UNKNOWN) &&
		    mailbox_name_of_folder(&name, span_of(d->d_name)))
			add(v, n, &cap, buf_span(&name), d->d_ino);
	}
	closedir(dir);
	buf_free(&name);
	qsort(*v, *n, sizeof(**v), by_name);
	return 0;
}

static bool
below(const char *name, const char *top)
{
	size_t n = strlen(top);

	return strncmp(name, top, n) == 0 &&
	       (name[n] == '\0' || name[n] == MAILBOX_NAME_SEP);
}

static bool
group_has(const struct notify *nf, const struct notify_group *g,
	  const char *name)
{
	switch (g->which) {
	case NOTIFY_PERSONAL:
		return true;
	case NOTIFY_SUBSCRIBED:
		return strs_has(&nf->subs, span_of(name));
	case NOTIFY_MAILBOXES:
		return strs_has(&g->names, span_of(name));
	case NOTIFY_SUBTREE:
		for (size_t i = 0; i < g->names.n; i++)
			if (below(name, g->names.v[i]))
				return true;
		return false;
	default:
		return false;
	}
}

static unsigned
events_of(const struct notify *nf, const char *name)
{
	unsigned ev = 0;

	for (size_t i = 0; i < nf->n; i++)
		if (group_has(nf, &nf->v[i], name))
			ev |= nf->v[i].events;
	return ev;
}

static bool
is_selected(const struct session *s, const struct notify_box *b)
{
	return s->mb != NULL && strcmp(s->mb->name, b->name) == 0;
}

static void
note(struct notify_box *b, const struct mailbox *mb)
{
	b->messages = mb->n;
	b->unseen = mailbox_unseen(mb);
	b->uidnext = mb->ul.uidnext;
	b->uidvalidity = mb->ul.uidvalidity;
	b->modseq = mb->modseq;
}

static int
look_at(struct session *s, struct notify_box *b)
{
	struct err e = ERR_INIT;
	struct mailbox *mb;

	if (is_selected(s, b)) {
		note(b, s->mb);
		return 0;
	}
	mb = mailbox_select(s->root, b->name, true, NULL, &e);
	if (mb == NULL)
		return -1;
	note(b, mb);
	mailbox_close(mb);
	return 0;
}

/* One of the three places of a mailbox that a watch may be on.  The folder of
 * INBOX is the mail root, which has its own. */
static bool
wants(const struct notify_box *b, int place)
{
	return place < 2 ? (b->events & NOTIFY_MESSAGE) != 0
			 : (b->events & NOTIFY_NOTES) != 0 && b->ino != 0;
}

static int
watch(struct session *s, struct notify *nf, struct notify_box *b, struct err *e)
{
	static const char *const subs[3] = { "new", "cur", "." };
	struct buf path = BUF_INIT;
	int r = 0;

	for (int i = 0; i < 3; i++) {
		if (!wants(b, i) || b->wd[i] >= 0)
			continue;
		buf_clear(&path);
		buf_addf(&path, "%s/", s->root_path);
		mailbox_name_folder(&path, span_of(b->name));
		buf_addf(&path, "/%s", subs[i]);
		b->wd[i] = inotify_add_watch(nf->fd, buf_str(&path),
					     EVENTS | IN_ONLYDIR);
		if (b->wd[i] < 0 && errno != ENOENT && errno != ENOTDIR)
			r = err_sys(e, "watching %s", b->name);
	}
	buf_free(&path);
	/* a folder that is being made: its next sign brings us here again */
	for (int i = 0; i < 3; i++)
		if (wants(b, i) && b->wd[i] < 0)
			nf->look = true;
	return r;
}

static void
unwatch(struct notify *nf, struct notify_box *b)
{
	for (int i = 0; i < 3; i++) {
		if (b->wd[i] >= 0)
			(void)inotify_rm_watch(nf->fd, b->wd[i]);
		b->wd[i] = -1;
	}
	b->notes.known = false;
}

static bool
watches_server(const struct notify *nf)
{
	for (size_t i = 0; i < nf->n; i++)
		if (nf->v[i].events & NOTIFY_SERVER_NOTES)
			return true;
	return false;
}

/* Each mailbox whose messages or annotations count has its watches, and what
 * they tell the difference to.  own: the client changed some itself. */
static int
watch_all(struct session *s, struct notify *nf, bool own, struct err *e)
{
	size_t n = 0;

	for (size_t i = 0; i < nf->nboxes; i++) {
		struct notify_box *b = &nf->boxes[i];
		bool known;

		b->events = events_of(nf, b->name);
		if (!(b->events & (NOTIFY_MESSAGE | NOTIFY_NOTES))) {
			unwatch(nf, b);
			continue;
		}
		if (++n > NOTIFY_BOXES)
			return err_set(e, ST_TEMPFAIL, "more than %d mailboxes",
				       NOTIFY_BOXES);
		known = b->wd[0] >= 0 && b->wd[1] >= 0;
		if (watch(s, nf, b, e) != 0)
			return -1;
		if ((b->events & NOTIFY_MESSAGE) && !known)
			(void)look_at(s, b);
		if ((b->events & NOTIFY_NOTES) && (!b->notes.known || own))
			notify_notes_look(s, &b->notes, b->name, false);
	}
	if (watches_server(nf) && (!nf->notes.known || own))
		notify_notes_look(s, &nf->notes, "", false);
	return 0;
}

/* RFC 5465 5.4, 5.5: as it is now, all its attributes. */
static void
put_list(struct session *s, struct notify *nf, const char *name,
	 const char *old)
{
	bool children = false;
	bool exists = find(nf->boxes, nf->nboxes, name) != NULL;

	for (size_t i = 0; i < nf->nboxes; i++)
		if (below(nf->boxes[i].name, name) &&
		    strcmp(nf->boxes[i].name, name) != 0)
			children = true;
	stream_printf(s->st, "* LIST (%s%s%s) \".\" ",
		      exists ? "" : "\\NonExistent ",
		      strs_has(&nf->subs, span_of(name)) ? "\\Subscribed " : "",
		      children ? "\\HasChildren" : "\\HasNoChildren");
	put_mailbox(s, span_of(name));
	if (old != NULL) {
		stream_puts(s->st, " (\"OLDNAME\" (");
		put_mailbox(s, span_of(old));
		stream_puts(s->st, "))");
	}
	stream_puts(s->st, "\r\n");
}

/* The mailbox itself, and the one above it. */
static void
put_name(struct session *s, struct notify *nf, const char *name,
	 const char *old)
{
	const char *dot = strrchr(name, MAILBOX_NAME_SEP);

	if (events_of(nf, name) & NOTIFY_NAME)
		put_list(s, nf, name, old);
	if (dot != NULL && old == NULL) {
		char *up = mem_spandup(span_make(name, (size_t)(dot - name)));

		if (events_of(nf, up) & NOTIFY_NAME)
			put_list(s, nf, up, NULL);
		free(up);
	}
}

struct tree {
	struct notify_box *v;
	size_t n;
};

/* What this one was called before: its directory is the same. */
static const char *
old_name(const struct tree *was, const struct tree *is,
	 const struct notify_box *b)
{
	for (size_t i = 0; i < was->n; i++)
		if (was->v[i].ino == b->ino && b->ino != 0 &&
		    find(is->v, is->n, was->v[i].name) == NULL)
			return was->v[i].name;
	return NULL;
}

/* It moved with the mailbox above it, which is told alone. */
static bool
moved_along(const struct tree *was, const struct tree *is, const char *name,
	    const char *old)
{
	const char *a = strrchr(name, MAILBOX_NAME_SEP);
	const char *b = strrchr(old, MAILBOX_NAME_SEP);
	const struct notify_box *up;
	const char *up_old;
	char *top;
	bool yes;

	if (a == NULL || b == NULL || strcmp(a, b) != 0)
		return false;
	top = mem_spandup(span_make(name, (size_t)(a - name)));
	up = find(is->v, is->n, top);
	up_old = up != NULL ? old_name(was, is, up) : NULL;
	yes = up_old != NULL && strlen(up_old) == (size_t)(b - old) &&
	      strncmp(up_old, old, strlen(up_old)) == 0;
	free(top);
	return yes;
}

static void
tell_names(struct session *s, struct notify *nf, const struct tree *was)
{
	struct tree is = { nf->boxes, nf->nboxes };
	struct strs moved = STRS_INIT;

	for (size_t i = 0; i < is.n; i++) {
		const char *name = is.v[i].name, *old;

		if (find(was->v, was->n, name) != NULL)
			continue;
		old = old_name(was, &is, &is.v[i]);
		if (old != NULL)
			strs_add(&moved, old);
		if (old == NULL || !moved_along(was, &is, name, old))
			put_name(s, nf, name, old);
	}
	for (size_t i = 0; i < was->n; i++)
		if (find(is.v, is.n, was->v[i].name) == NULL &&
		    !strs_has(&moved, span_of(was->v[i].name)))
			put_name(s, nf, was->v[i].name, NULL);
	strs_free(&moved);
}

static void
tell_subscriptions(struct session *s, struct notify *nf, const struct strs *was)
{
	for (size_t i = 0; i < nf->subs.n; i++)
		if (!strs_has(was, span_of(nf->subs.v[i])) &&
		    (events_of(nf, nf->subs.v[i]) & NOTIFY_SUBSCRIPTION))
			put_list(s, nf, nf->subs.v[i], NULL);
	for (size_t i = 0; i < was->n; i++) {
		struct notify_group subscribed = { .which = NOTIFY_SUBSCRIBED };
		unsigned ev = events_of(nf, was->v[i]);

		if (strs_has(&nf->subs, span_of(was->v[i])))
			continue;
		/* it was one of SUBSCRIBED until now */
		for (size_t k = 0; k < nf->n; k++)
			if (nf->v[k].which == subscribed.which)
				ev |= nf->v[k].events;
		if (ev & NOTIFY_SUBSCRIPTION)
			put_list(s, nf, was->v[i], NULL);
	}
}

/* Watches and numbers go over to the new list; those of mailboxes that are no
 * more, or others by now, end. */
static void
take_over(struct notify *nf, struct tree *was)
{
	for (size_t i = 0; i < was->n; i++) {
		struct notify_box *b =
		    find(nf->boxes, nf->nboxes, was->v[i].name);
		char *name;

		if (b == NULL || b->ino != was->v[i].ino) {
			unwatch(nf, &was->v[i]);
			continue;
		}
		name = b->name;
		*b = was->v[i];
		was->v[i].name = name;
		was->v[i].notes = (struct notify_notes){ .n = 0 };
	}
}

static int
begin(struct session *s, struct notify *nf, struct err *e)
{
	if (nf->fd >= 0)
		return 0;
	nf->fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	if (nf->fd < 0)
		return err_sys(e, "inotify");
	nf->root_wd =
	    inotify_add_watch(nf->fd, s->root_path, EVENTS | IN_ONLYDIR);
	return nf->root_wd < 0 ? err_sys(e, "watching the mail root") : 0;
}

int
notify_look(struct session *s, struct notify *nf, bool tell, struct err *e)
{
	struct tree was = { nf->boxes, nf->nboxes }, is = { NULL, 0 };
	struct strs subs = STRS_INIT, old_subs = nf->subs;
	int r = begin(s, nf, e);

	if (r == 0)
		r = read_tree(s, &is.v, &is.n, e);
	if (r != 0)
		return -1;
	if (subscriptions_read(&subs, s->root, e) != 0)
		log_warn("%s: %s", s->user, e->text);
	nf->look = false;
	nf->boxes = is.v;
	nf->nboxes = is.n;
	nf->subs = subs;
	take_over(nf, &was);
	if (tell) {
		tell_names(s, nf, &was);
		tell_subscriptions(s, nf, &old_subs);
	}
	r = watch_all(s, nf, !tell, e);
	for (size_t i = 0; i < was.n; i++) {
		free(was.v[i].name);
		notify_notes_free(&was.v[i].notes);
	}
	free(was.v);
	strs_free(&old_subs);
	return r;
}

/* RFC 5465 5.1 to 5.3: of a mailbox that is not selected. */
static void
tell_box(struct session *s, struct notify_box *b)
{
	struct notify_box was = *b;
	struct err e = ERR_INIT;
	unsigned bits = 0;

	b->dirty = false;
	if (look_at(s, b) != 0 || is_selected(s, b))
		return;
	if (b->messages != was.messages || b->uidnext != was.uidnext)
		bits |= STATUS_MESSAGES | STATUS_UIDNEXT;
	if (b->uidvalidity != was.uidvalidity)
		bits |= STATUS_MESSAGES | STATUS_UIDNEXT | STATUS_UIDVALIDITY;
	if ((b->events & NOTIFY_FLAG) &&
	    (b->unseen != was.unseen ||
	     (b->modseq != was.modseq && (s->enabled & ENABLED_CONDSTORE))))
		bits |= STATUS_UNSEEN | STATUS_UIDVALIDITY;
	if (bits != 0 && (s->enabled & ENABLED_CONDSTORE))
		bits |= STATUS_MODSEQ;
	if (bits != 0 && status_put(s, b->name, bits, &e) != 0)
		log_warn("%s: %s", s->user, e.text);
}

static void
one_event(struct notify *nf, const struct inotify_event *ev)
{
	const char *name = ev->len > 0 ? ev->name : "";

	if (ev->mask & IN_Q_OVERFLOW) {
		nf->look = true;
		nf->dirty_notes = true;
		for (size_t i = 0; i < nf->nboxes; i++) {
			nf->boxes[i].dirty = true;
			nf->boxes[i].dirty_notes = true;
		}
		return;
	}
	if (ev->wd == nf->root_wd) {
		struct notify_box *inbox = find(nf->boxes, nf->nboxes, "INBOX");

		if (strcmp(name, METADATA_SERVER_FILE) == 0)
			nf->dirty_notes = true;
		if (strcmp(name, METADATA_FILE) == 0 && inbox != NULL)
			inbox->dirty_notes = true;
		if (((ev->mask & IN_ISDIR) && name[0] == '.') ||
		    strcmp(name, "subscriptions") == 0)
			nf->look = true;
		return;
	}
	for (size_t i = 0; i < nf->nboxes; i++) {
		struct notify_box *b = &nf->boxes[i];

		if (b->wd[0] == ev->wd || b->wd[1] == ev->wd)
			b->dirty = true;
		if (b->wd[2] == ev->wd && strcmp(name, METADATA_FILE) == 0)
			b->dirty_notes = true;
	}
}

static void
tell_notes(struct session *s, struct notify *nf)
{
	if (nf->dirty_notes && watches_server(nf))
		notify_notes_look(s, &nf->notes, "", true);
	nf->dirty_notes = false;
	for (size_t i = 0; i < nf->nboxes; i++) {
		struct notify_box *b = &nf->boxes[i];

		if (b->dirty_notes && (b->events & NOTIFY_NOTES))
			notify_notes_look(s, &b->notes, b->name, true);
		b->dirty_notes = false;
	}
}

int
notify_events(struct session *s, struct notify *nf, struct err *e)
{
	_Alignas(struct inotify_event) char room[16384];
	ssize_t n;

	while ((n = read(nf->fd, room, sizeof(room))) > 0) {
		for (ssize_t at = 0; at < n;) {
			const struct inotify_event *ev =
			    (const void *)(room + at);

			one_event(nf, ev);
			at += (ssize_t)(sizeof(*ev) + ev->len);
		}
	}
	if (nf->look && notify_look(s, nf, true, e) != 0)
		return -1;
	for (size_t i = 0; i < nf->nboxes; i++)
		if (nf->boxes[i].dirty &&
		    (nf->boxes[i].events & NOTIFY_MESSAGE))
			tell_box(s, &nf->boxes[i]);
	tell_notes(s, nf);
	return 0;
}

void
notify_status(struct session *s, struct notify *nf)
{
	for (size_t i = 0; i < nf->nboxes; i++) {
		struct notify_box *b = &nf->boxes[i];
		struct err e = ERR_INIT;
		unsigned bits =
		    STATUS_MESSAGES | STATUS_UIDNEXT | STATUS_UIDVALIDITY;

		if (!(b->events & NOTIFY_MESSAGE) || is_selected(s, b))
			continue;
		if (b->events & NOTIFY_FLAG)
			bits |= STATUS_UNSEEN | STATUS_MODSEQ;
		if (status_put(s, b->name, bits, &e) != 0)
			log_warn("%s: %s", s->user, e.text);
	}
}
