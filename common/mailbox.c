/*
 * mailbox.c - an open mailbox: reading the folder and following it.
 * Maildir has no locks for readers: a file may be renamed while its directory
 * is read, and be missed.  So what seems gone is looked for once more.
 * Layer: mail.
 */
#include "mailbox.h"
#include "log.h"
#include "mailbox_name.h"
#include "mem.h"
#include "num.h"
#include "status.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define LOCK_MS 30000
/* A directory's time is the kernel's tick, and coarse on some systems. */
#define UNSURE_NS 1000000000LL

static const char *const sub_names[2] = { "new", "cur" };

/* What one look at new/ and cur/ found. */
struct seen_file {
	size_t name;
	uint32_t n;
	bool in_new;
};
struct scan {
	struct seen_file *v;
	size_t n, cap;
	struct buf text;
	bool in_new;
};

static int
scan_add(void *ctx, const char *file, size_t n)
{
	struct scan *sc = ctx;

	sc->v = mem_grow(sc->v, &sc->cap, sc->n + 1, sizeof(*sc->v));
	sc->v[sc->n++] = (struct seen_file){ .name = sc->text.n,
					     .n = (uint32_t)n,
					     .in_new = sc->in_new };
	buf_add(&sc->text, file, n);
	return 0;
}

static void
scan_free(struct scan *sc)
{
	free(sc->v);
	buf_free(&sc->text);
}

static struct span
scan_name(const struct scan *sc, size_t i)
{
	return span_make(sc->text.p + sc->v[i].name, sc->v[i].n);
}

static int
dir_time(int fd, const char *sub, int64_t *ns_r)
{
	struct stat st;

	if (fstatat(fd, sub, &st, AT_SYMLINK_NOFOLLOW) != 0)
		return -1;
	*ns_r = (int64_t)st.st_mtim.tv_sec * 1000000000 + st.st_mtim.tv_nsec;
	return 0;
}

static int64_t
now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

/* new/ before cur/: a file that goes from one to the other is not missed. */
static int
scan_dirs(struct mailbox *mb, struct scan *sc, struct err *e)
{
	for (int i = 0; i < 2; i++) {
		int64_t ns, start = now_ns();

		if (dir_time(mb->fd, sub_names[i], &ns) != 0)
			return err_sys(e, "%s/", sub_names[i]);
		mb->dirs[i].mtime_ns = ns;
		mb->dirs[i].unsure = ns > start - UNSURE_NS;
		sc->in_new = i == 0;
		if (maildir_each(mb->fd, sub_names[i], scan_add, sc, e) != 0)
			return -1;
	}
	return 0;
}

static bool
unchanged(struct mailbox *mb)
{
	for (int i = 0; i < 2; i++) {
		int64_t ns;

		if (mb->dirs[i].unsure ||
		    dir_time(mb->fd, sub_names[i], &ns) != 0 ||
		    ns != mb->dirs[i].mtime_ns)
			return false;
	}
	return true;
}

void
message_free(struct message *m)
{
	free(m->file);
	m->file = NULL;
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

/* The file of a message as it is named now. */
void
message_take(struct message *m, struct span file,
	     const struct maildir_name *name, bool in_new)
{
	if (m->file == NULL || !span_is(file, m->file)) {
		free(m->file);
		m->file = mem_spandup(file);
	}
	m->base_n = (uint32_t)name->base.n;
	m->in_new = in_new;
	m->flags = name->flags;
}

/* The size with CRLF that Dovecot noted in its list, where names lack it. */
static uint64_t
noted_size(const struct uidlist *u, struct span base)
{
	uint64_t v;
	struct span ext = uidlist_ext(u, base), word;

	while (span_word(&ext, " ", &word))
		if (word.p[0] == 'W' &&
		    num_u64(span_from(word, 1), INT64_MAX, &v))
			return v;
	return MAILDIR_NO_SIZE;
}

static void
append_message(struct mailbox *mb, uint32_t uid, struct span file,
	       const struct maildir_name *name, bool in_new)
{
	struct message *m;

	mb->v = mem_grow(mb->v, &mb->cap, mb->n + 1, sizeof(*mb->v));
	m = &mb->v[mb->n++];
	*m = (struct message){ .uid = uid,
			       .recent = in_new,
			       .seen_now = true,
			       .size = name->size,
			       .vsize = name->vsize,
			       .mtime = INT64_MIN };
	message_take(m, file, name, in_new);
	m->told = m->flags;
	if (m->vsize == MAILDIR_NO_SIZE)
		m->vsize = noted_size(&mb->ul, name->base);
}

static int
by_uid(const void *a, const void *b)
{
	const struct message *x = a, *y = b;

	return x->uid < y->uid ? -1 : x->uid > y->uid;
}

/*
 * Takes over what a scan saw.  A UID below the last one that the session
 * knows (its file was missed until now) cannot be put in between: it shows at
 * the next SELECT.  Returns how many files have no UID.
 */
static size_t
take_scan(struct mailbox *mb, const struct scan *sc)
{
	size_t before = mb->n, unknown = 0;
	uint32_t last = mailbox_last_uid(mb);

	for (size_t i = 0; i < sc->n; i++) {
		struct span file = scan_name(sc, i);
		struct maildir_name name;
		uint32_t uid;

		maildir_name_parse(&name, file);
		uid = uidlist_find(&mb->ul, name.base);
		if (uid == 0) {
			unknown++;
		} else if (uid > last) {
			append_message(mb, uid, file, &name, sc->v[i].in_new);
		} else {
			bool exact;
			size_t at = mailbox_find(mb, uid, &exact);

			if (!exact)
				continue;
			message_take(&mb->v[at], file, &name, sc->v[i].in_new);
			mb->v[at].seen_now = true;
			mb->v[at].gone = false;
		}
	}
	if (mb->n > before) {
		size_t to = before;

		qsort(mb->v + before, mb->n - before, sizeof(*mb->v), by_uid);
		/* a file seen in new/ and, renamed, in cur/ */
		for (size_t i = before; i < mb->n; i++) {
			if (to > before && mb->v[to - 1].uid == mb->v[i].uid)
				message_free(&mb->v[i]);
			else
				mb->v[to++] = mb->v[i];
		}
		mb->n = to;
	}
	return unknown;
}

static bool
any_missing(const struct mailbox *mb)
{
	for (size_t i = 0; i < mb->n; i++)
		if (!mb->v[i].seen_now && !mb->v[i].gone)
			return true;
	return false;
}

struct newcomer {
	struct span base;
	int64_t time;
};

static int
by_arrival(const void *a, const void *b)
{
	const struct newcomer *x = a, *y = b;

	if (x->time != y->time)
		return x->time < y->time ? -1 : 1;
	return span_cmp(x->base, y->base);
}

/* DESIGN law 3: shorter than its name says is what a power cut left over. */
static bool
is_torn(struct mailbox *mb, const struct scan *sc, size_t i,
	const struct maildir_name *name)
{
	struct stat st;
	struct buf path = BUF_INIT;
	bool torn;

	if (name->size == MAILDIR_NO_SIZE)
		return false;
	buf_addf(&path, "%s/%.*s", sc->v[i].in_new ? "new" : "cur",
		 SPAN_ARG(scan_name(sc, i)));
	torn = fstatat(mb->fd, buf_str(&path), &st, AT_SYMLINK_NOFOLLOW) == 0 &&
	       (uint64_t)st.st_size < name->size;
	if (torn)
		log_debug("%s: %s: shorter than its name says: not shown",
			  mb->name, buf_str(&path));
	buf_free(&path);
	return torn;
}

static bool
in_map(void *ctx, uint32_t uid, struct span base)
{
	(void)uid;
	return map_get(ctx, base) != NULL;
}

/* Gives UIDs to the files of a scan that have none, in the order of their
 * arrival.  The list is locked and fresh. */
static bool
number_files(struct mailbox *mb, const struct scan *sc, struct map *there)
{
	struct newcomer *v = mem_alloc(sc->n + 1, sizeof(*v));
	size_t n = 0;
	bool room = true;

	for (size_t i = 0; i < sc->n; i++) {
		struct maildir_name name;

		maildir_name_parse(&name, scan_name(sc, i));
		if (name.base.n == 0)
			continue;
		if (uidlist_find(&mb->ul, name.base) == 0 &&
		    map_get(there, name.base) == NULL &&
		    !is_torn(mb, sc, i, &name))
			v[n++] =
			    (struct newcomer){ name.base,
					       maildir_name_time(name.base) };
		(void)map_put(there, name.base, mb);
	}
	qsort(v, n, sizeof(*v), by_arrival);
	for (size_t i = 0; room && i < n; i++)
		room = uidlist_add(&mb->ul, v[i].base) != 0;
	free(v);
	return room;
}

/* New files: UIDs, under the lock, written before anyone is told. */
static int
assign(struct mailbox *mb, struct scan *sc, struct err *e)
{
	struct dotlock lock;
	struct map *there;
	size_t before;
	int r;

	if (uidlist_lock(&lock, mb->fd, clock_deadline(LOCK_MS), e) != 0)
		return -1;
	r = uidlist_read(&mb->ul, mb->fd, e);
	if (r == 0 && mb->ul.uidvalidity == 0)
		r = uidlist_renew(&mb->ul, mb->root, e);
	sc->n = 0;
	buf_clear(&sc->text);
	/* Looked at again, twice: under the lock nobody else gives UIDs, and
	 * only what two looks did not see is struck off the list. */
	for (int i = 0; r == 0 && i < 2; i++)
		r = scan_dirs(mb, sc, e);
	before = mb->ul.n;
	there = map_new();
	if (r == 0 && !number_files(mb, sc, there)) {
		r = uidlist_renew(&mb->ul, mb->root, e);
		map_free(there, NULL);
		there = map_new();
		if (r == 0)
			(void)!number_files(mb, sc, there);
	}
	if (r == 0) {
		size_t with = mb->ul.n;

		uidlist_filter(&mb->ul, in_map, there);
		if (with != before || mb->ul.n != with || before == 0)
			r = uidlist_write(&mb->ul, mb->fd, e);
	}
	map_free(there, NULL);
	dotlock_drop(&lock);
	return r;
}

/* RFC 3501 2.3.2: what lay in new/ is \Recent in this session, and in no
 * later one. */
static void
empty_new(struct mailbox *mb)
{
	struct buf from = BUF_INIT, to = BUF_INIT;

	for (size_t i = mb->n; i-- > 0;) {
		struct message *m = &mb->v[i];

		if (!m->in_new || m->gone)
			continue;
		buf_clear(&from);
		mailbox_path(&from, m);
		buf_clear(&to);
		buf_adds(&to, "cur/");
		maildir_name_make(&to, span_make(m->file, m->base_n), m->flags);
		if (renameat(mb->fd, buf_str(&from), mb->fd, buf_str(&to)) ==
		    0) {
			struct span file = span_from(buf_span(&to), 4);

			free(m->file);
			m->file = mem_spandup(file);
			m->in_new = false;
		} else if (errno == ENOENT) {
			m->recent = false; /* another session has it */
		}
	}
	buf_free(&from);
	buf_free(&to);
}

/* Another validity than the one told: every UID that the client knows would
 * be a lie. */
static bool
check_validity(struct mailbox *mb, uint32_t told)
{
	if (told != 0 && mb->ul.uidvalidity != told)
		mb->dead = true;
	return !mb->dead;
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

static int
follow(struct mailbox *mb, struct scan *sc, struct err *e)
{
	uint32_t told = mb->ul.uidvalidity;

	for (size_t i = 0; i < mb->n; i++)
		mb->v[i].seen_now = false;
	if (uidlist_read(&mb->ul, mb->fd, e) != 0 || read_keywords(mb, e) != 0)
		return -1;
	if (mb->ul.uidvalidity != 0 && !check_validity(mb, told))
		return 0;
	if (scan_dirs(mb, sc, e) != 0)
		return -1;
	if (mb->ul.uidvalidity == 0 || take_scan(mb, sc) > 0) {
		if (assign(mb, sc, e) != 0)
			return -1;
		if (!check_validity(mb, told))
			return 0;
		(void)take_scan(mb, sc);
	} else if (any_missing(mb)) {
		if (scan_dirs(mb, sc, e) != 0)
			return -1;
		(void)take_scan(mb, sc);
	}
	for (size_t i = 0; i < mb->n; i++)
		if (!mb->v[i].seen_now)
			mb->v[i].gone = true;
	if (!mb->readonly)
		empty_new(mb);
	return 0;
}

/* By events: true when the folder need not be read. */
static bool
followed(struct mailbox *mb, struct err *e)
{
	enum watch_news news = mailbox_events(mb);

	if (news == WATCH_LOOK || mb->dirs[0].mtime_ns == 0 ||
	    !uidlist_current(&mb->ul, mb->fd))
		return false;
	for (int i = 0; i < 2; i++) {
		int64_t ns;

		if (dir_time(mb->fd, sub_names[i], &ns) != 0)
			return false;
		/* a change without an event: of another host's doing */
		if (news == WATCH_NONE && ns != mb->dirs[i].mtime_ns)
			return false;
		mb->dirs[i].mtime_ns = ns;
	}
	if (read_keywords(mb, e) != 0)
		log_warn("%s: %s", mb->name, e->text);
	return true;
}

int
mailbox_sync(struct mailbox *mb, struct err *e)
{
	struct scan sc = { 0 };
	struct stat st;
	int r;

	if (mb->dead || (mb->watch >= 0 ? followed(mb, e) : unchanged(mb)))
		return 0;
	if (fstat(mb->fd, &st) != 0 || st.st_nlink == 0) {
		mb->dead = true;
		return 0;
	}
	r = follow(mb, &sc, e);
	scan_free(&sc);
	return r;
}

struct mailbox *
mailbox_select(int root, const char *name, bool readonly,
	       const char *watch_path, struct err *e)
{
	struct mailbox *mb;
	int fd = mailbox_name_open(root, span_of(name));

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
	mb->readonly = readonly;
	mb->dirs[0].unsure = mb->dirs[1].unsure = true;
	mb->watch = -1;
	mb->kw_ino = UINT64_MAX;
	uidlist_init(&mb->ul);
	/* watched first, looked at then: nothing falls between */
	if (watch_path != NULL)
		mailbox_watch(mb, watch_path);
	if (mailbox_sync(mb, e) != 0) {
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
	for (size_t i = 0; i < mb->n; i++)
		message_free(&mb->v[i]);
	free(mb->v);
	uidlist_done(&mb->ul);
	keywords_free(&mb->kw);
	close(mb->fd);
	if (mb->watch >= 0)
		close(mb->watch);
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
