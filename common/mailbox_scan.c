/*
 * mailbox_scan.c - reading the folder of an open mailbox, and giving UIDs to
 * what has none.
 * Layer: mail.  Maildir has no locks for readers: a file may be renamed while
 * its directory is read, and be missed.  So what seems gone is looked for once
 * more.
 */
#include "clock.h"
#include "log.h"
#include "mailbox.h"
#include "mem.h"
#include "num.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

/* For the list's lock: then the command fails, the mailbox stays. */
#define LOCK_MS 30000
/* A directory's time is the kernel's tick, and coarse on some systems. */
#define UNSURE_NS 1000000000LL
/* So many are looked for one by one in a list that was not read. */
#define SOME_MAX 16

static const char *const sub_names[2] = { "new", "cur" };

int
scan_add(void *ctx, const char *file, size_t n)
{
	struct scan *sc = ctx;

	sc->v = mem_grow(sc->v, &sc->cap, sc->n + 1, sizeof(*sc->v));
	sc->v[sc->n++] = (struct seen_file){ .name = sc->text.n,
					     .n = (uint32_t)n,
					     .in_new = sc->in_new };
	buf_add(&sc->text, file, n);
	buf_addc(&sc->text, '\0');
	return 0;
}

void
scan_free(struct scan *sc)
{
	free(sc->v);
	buf_free(&sc->text);
}

struct span
scan_name(const struct scan *sc, size_t i)
{
	return span_make(sc->text.p + sc->v[i].name, sc->v[i].n);
}

int
mailbox_dir_time(int fd, const char *sub, int64_t *ns_r)
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

		if (mailbox_dir_time(mb->fd, sub_names[i], &ns) != 0)
			return err_sys(e, "%s/", sub_names[i]);
		mb->dirs[i].mtime_ns = ns;
		mb->dirs[i].unsure = ns > start - UNSURE_NS;
		sc->in_new = i == 0;
		if (maildir_each(mb->fd, sub_names[i], scan_add, sc, e) != 0)
			return -1;
	}
	return 0;
}

/* The file of a message as it is named now. */
void
message_take(struct mailbox *mb, struct message *m, struct span file,
	     const struct maildir_name *name, bool in_new)
{
	if (m->file == NULL || !span_is(file, m->file)) {
		message_free(m);
		m->file = mem_spandup(file);
	} else if (m->in_new == in_new) {
		return;
	}
	m->base_n = (uint32_t)name->base.n;
	m->in_new = in_new;
	m->flags = name->flags;
	mailbox_mark(mb, m);
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

/* Those without an index entry are marked as they come. */
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
	message_take(mb, m, file, name, in_new);
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

/* A file whose UID is not above the last one: one of the first n messages, or
 * one that was missed; in the order of UIDs a client cannot be told of that. */
static void
take_known(struct mailbox *mb, uint32_t uid, struct span file,
	   const struct maildir_name *name, bool in_new, size_t n)
{
	size_t lo = 0, hi = n;

	/* as mailbox_find, among those that are in order */
	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (mb->v[mid].uid < uid)
			lo = mid + 1;
		else
			hi = mid;
	}
	if (lo < n && mb->v[lo].uid == uid) {
		if (mb->v[lo].seen_now &&
		    mailbox_twin(mb, &mb->v[lo], file, in_new))
			return;
		message_take(mb, &mb->v[lo], file, name, in_new);
		mb->v[lo].seen_now = true;
		mb->v[lo].gone = false;
		if (mb->v[lo].vsize == MAILDIR_NO_SIZE)
			mb->v[lo].vsize = noted_size(&mb->ul, name->base);
	} else if (mailbox_came_back(mb, uid, file, in_new)) {
		;
	} else if (mb->told) {
		mb->incomplete = true;
	} else {
		append_message(mb, uid, file, name, in_new);
	}
}

static int
by_uid_of_file(const void *a, const void *b)
{
	const struct seen_file *x = a, *y = b;

	return x->uid < y->uid ? -1 : x->uid > y->uid;
}

/* In the order of UIDs, before the first messages are made of it: these few
 * bytes are sorted, and not the messages. */
static void
sort_scan(const struct mailbox *mb, struct scan *sc)
{
	uint32_t last = 0;
	bool in_order = true;

	for (size_t i = 0; i < sc->n; i++) {
		struct seen_file *f = &sc->v[i];

		if (f->uid == 0)
			f->uid = uidlist_find(
			    &mb->ul, maildir_name_base(scan_name(sc, i)));
		in_order = in_order && last <= f->uid;
		last = f->uid;
	}
	if (!in_order)
		qsort(sc->v, sc->n, sizeof(*sc->v), by_uid_of_file);
}

/*
 * Takes over what a scan saw.  A UID below the last one that the session
 * knows (its file was missed until now) cannot be put in between: it shows at
 * the next SELECT.  Returns how many files have no UID; where there are two
 * files of one UID, one is among them from now on.
 */
static size_t
take_scan(struct mailbox *mb, struct scan *sc)
{
	size_t before = mb->n, unknown = 0;
	uint32_t last = mailbox_last_uid(mb), top = last;
	bool in_order = true;

	mb->parted = false;
	if (before == 0)
		sort_scan(mb, sc);
	for (size_t i = 0; i < sc->n; i++) {
		struct span file = scan_name(sc, i);
		struct maildir_name name;
		uint32_t uid = sc->v[i].uid;

		maildir_name_parse(&name, file);
		if (uid == 0)
			uid = uidlist_find(&mb->ul, name.base);
		if (uid == 0) {
			unknown++;
		} else if (uid > last &&
			   mailbox_came_back(mb, uid, file, sc->v[i].in_new)) {
			;
		} else if (uid > last) {
			append_message(mb, uid, file, &name, sc->v[i].in_new);
			in_order = in_order && uid > top;
			top = uid;
		} else {
			size_t was = mb->n;

			take_known(mb, uid, file, &name, sc->v[i].in_new,
				   before);
			in_order = in_order && mb->n == was;
		}
	}
	if (!in_order) {
		size_t to;

		/* nothing was told: those that were missed go in between */
		before = mb->told ? before : 0;
		to = before;
		qsort(mb->v + before, mb->n - before, sizeof(*mb->v), by_uid);
		/* a file seen in new/ and, renamed, in cur/ */
		for (size_t i = before; i < mb->n; i++) {
			struct message *m = &mb->v[i];

			if (to > before && mb->v[to - 1].uid == m->uid) {
				(void)mailbox_twin(mb, &mb->v[to - 1],
						   span_of(m->file), m->in_new);
				message_free(m);
			} else {
				mb->v[to++] = *m;
			}
		}
		mb->n = to;
	}
	mb->given = 0;
	return unknown + (mb->parted ? 1 : 0);
}

/* Seen before, not by this scan: perhaps renamed while we read. */
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
	size_t at; /* in the scan */
};

static int
by_arrival(const void *a, const void *b)
{
	const struct newcomer *x = a, *y = b;

	if (x->time != y->time)
		return x->time < y->time ? -1 : 1;
	return span_cmp(x->base, y->base);
}

/* new/ and cur/, each opened when it is first asked for; -1: not yet. */
struct subs {
	int fd[2];
};
#define SUBS_INIT                                                              \
	{                                                                      \
		{                                                              \
			-1, -1                                                 \
		}                                                              \
	}

static int
sub_of(const struct mailbox *mb, struct subs *subs, bool in_new)
{
	int i = in_new ? 0 : 1;

	if (subs->fd[i] < 0)
		subs->fd[i] =
		    openat(mb->fd, sub_names[i],
			   O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	return subs->fd[i];
}

/* DESIGN law 3: shorter than its name says is what a power cut left over.  In
 * cur/ it may as well be a message that its reader shortened, or that Dovecot
 * compressed: hidden, it would be lost to its user; so only an empty one is. */
static bool
is_torn(const struct mailbox *mb, const struct scan *sc, size_t i,
	struct subs *subs, const struct maildir_name *name)
{
	const char *file = scan_name(sc, i).p;
	struct stat st;
	bool torn;

	if (name->size == MAILDIR_NO_SIZE)
		return false;
	torn = fstatat(sub_of(mb, subs, sc->v[i].in_new), file, &st,
		       AT_SYMLINK_NOFOLLOW) == 0 &&
	       (uint64_t)st.st_size < name->size &&
	       (sc->v[i].in_new || st.st_size == 0);
	if (torn)
		log_debug("%s: %s: shorter than its name says: not shown",
			  mb->name, file);
	return torn;
}

static void
close_subs(const struct subs *subs)
{
	for (int i = 0; i < 2; i++)
		if (subs->fd[i] >= 0)
			close(subs->fd[i]);
}

static bool
in_map(void *ctx, uint32_t uid, struct span base)
{
	(void)uid;
	return map_get(ctx, base) != NULL;
}

/* Both looks saw it under one name. */
static bool
same_file(const struct scan *sc, size_t a, size_t b)
{
	return sc->v[a].in_new == sc->v[b].in_new &&
	       span_eq(scan_name(sc, a), scan_name(sc, b));
}

/* UIDs in the order of arrival, noted in the scan too; twins get one, and are
 * told apart later.  False when there are no more UIDs. */
static bool
number_sorted(struct mailbox *mb, struct scan *sc, struct newcomer *v, size_t n)
{
	uint32_t uid = 0;

	if (n > 0)
		qsort(v, n, sizeof(*v), by_arrival);
	for (size_t i = 0; i < n; i++) {
		if (i == 0 || !span_eq(v[i].base, v[i - 1].base))
			uid = uidlist_add(&mb->ul, v[i].base);
		if (uid == 0)
			return false;
		sc->v[v[i].at].uid = uid;
	}
	return true;
}

/* Gives UIDs to the files of a scan that have none, in the order of their
 * arrival.  The list is locked and fresh.  `there` learns what the scan saw;
 * NULL where nothing is on the list yet. */
static bool
number_files(struct mailbox *mb, struct scan *sc, struct map *there)
{
	struct newcomer *v = mem_alloc(sc->n + 1, sizeof(*v));
	struct subs subs = SUBS_INIT;
	size_t n = 0, to = 0;
	bool room;

	for (size_t i = 0; i < sc->n; i++) {
		struct maildir_name name;
		uintptr_t was = 0;

		maildir_name_parse(&name, scan_name(sc, i));
		if (name.base.n == 0)
			continue;
		/* from 1: where it was seen first */
		if (there != NULL)
			was = (uintptr_t)map_put(there, name.base,
						 (void *)(to + 1));
		if (was > 0 && same_file(sc, was - 1, i)) {
			(void)map_put(there, name.base, (void *)was);
			continue;
		}
		sc->v[to] = sc->v[i];
		sc->v[to].uid = was == 0 && there != NULL
				    ? uidlist_find(&mb->ul, name.base)
				    : 0;
		if (was == 0 && sc->v[to].uid == 0 &&
		    !is_torn(mb, sc, to, &subs, &name))
			v[n++] = (struct newcomer){
				name.base, maildir_name_time(name.base), to
			};
		to++;
	}
	sc->n = to;
	room = number_sorted(mb, sc, v, n);
	close_subs(&subs);
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
	 * only what two looks did not see is struck off the list (where there
	 * is something on it). */
	before = mb->ul.n;
	there = before > 0 ? map_new() : NULL;
	for (int i = 0; r == 0 && i < (there != NULL ? 2 : 1); i++)
		r = scan_dirs(mb, sc, e);
	mb->given = mb->ul.uidnext;
	if (r == 0 && !number_files(mb, sc, there)) {
		r = uidlist_renew(&mb->ul, mb->root, e);
		mb->given = 1;
		map_free(there, NULL);
		there = map_new();
		if (r == 0)
			(void)!number_files(mb, sc, there);
	}
	if (r == 0) {
		size_t with = mb->ul.n;

		if (there != NULL)
			uidlist_filter(&mb->ul, in_map, there);
		if (with != before || mb->ul.n != with || before == 0)
			r = uidlist_write(&mb->ul, mb->fd, &lock, e);
	}
	map_free(there, NULL);
	dotlock_drop(&lock);
	return r;
}

void
mailbox_empty_new(struct mailbox *mb)
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

			mailbox_own(mb, buf_str(&from), false);
			mailbox_own(mb, buf_str(&to), true);
			message_free(m);
			m->file = mem_spandup(file);
			m->in_new = false;
			mailbox_mark(mb, m);
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

/* Two looks did not see them. */
static void
mark_gone(struct mailbox *mb)
{
	for (size_t i = 0; i < mb->n; i++) {
		if (mb->v[i].seen_now || mb->v[i].gone)
			continue;
		mb->v[i].gone = true;
		mailbox_mark(mb, &mb->v[i]);
	}
}

/* After a failure halfway the list in memory is not the one on disk. */
static void
distrust(struct mailbox *mb)
{
	mb->ul.file.ino = 0;
	mb->ul.lazy = true;
}

/* No UID can be written: the user may only read this folder (its file system),
 * or the disk is full.  Waiting does not help; what has UIDs can be shown. */
static bool
unwritable(const struct mailbox *mb, const struct err *e)
{
	return e->full || faccessat(mb->fd, ".", W_OK, 0) != 0;
}

/*
 * What has a UID on stable storage is shown, as Dovecot does; the rest is not
 * there yet.  A UID in memory alone would be the UID of another message as
 * soon as somebody who may write the list gives it away.
 */
static int
show_numbered(struct mailbox *mb, struct scan *sc, uint32_t told, struct err *e)
{
	if (!mb->unnumbered)
		log_warn("%s: %s: new messages get no UIDs and are not shown",
			 mb->name, e->text);
	mb->unnumbered = true;
	sc->n = 0;
	buf_clear(&sc->text);
	distrust(mb);
	if (uidlist_read_all(&mb->ul, mb->fd, e) != 0)
		return -1;
	if (mb->ul.uidvalidity == 0)
		return err_prefix(e, "no message has a UID");
	if (!check_validity(mb, told))
		return 0;
	/* twice, as assign: a file that is renamed meanwhile is not missed */
	for (int i = 0; i < 2; i++)
		if (scan_dirs(mb, sc, e) != 0)
			return -1;
	if (take_scan(mb, sc) == 0)
		mb->unnumbered = false; /* another one gave them theirs */
	mark_gone(mb);
	return 0;
}

static bool
has_list(const struct mailbox *mb)
{
	struct stat st;

	return fstatat(mb->fd, "dovecot-uidlist", &st, AT_SYMLINK_NOFOLLOW) ==
		   0 ||
	       errno != ENOENT;
}

/* Nobody here can ever write a list into it: another's folder, or a file system
 * that is read-only. */
static bool
is_closed(const struct mailbox *mb)
{
	return faccessat(mb->fd, ".", W_OK, 0) != 0 &&
	       (errno == EACCES || errno == EROFS) && !has_list(mb);
}

/*
 * RFC 4315 3, RFC 9051 7.1 UIDNOTSTICKY: UIDs that live in this session's
 * memory, under a validity of its own, where no message ever had another one.
 * They are never mixed with written ones: once there is a list, the session is
 * over.
 */
static int
show_unsticky(struct mailbox *mb, struct scan *sc, struct err *e)
{
	struct map *there;
	int r = 0;

	if (!mb->unsticky) {
		uidlist_found(&mb->ul, (uint32_t)clock_now());
		mb->ul.lazy = false;
		mb->unsticky = true;
	}
	sc->n = 0;
	buf_clear(&sc->text);
	there = map_new();
	/* twice, as assign: a file that is renamed meanwhile is not missed */
	for (int i = 0; r == 0 && i < 2; i++)
		r = scan_dirs(mb, sc, e);
	if (r == 0) {
		mb->given = mb->ul.uidnext;
		if (!number_files(mb, sc, there))
			mb->dead = true;
		(void)take_scan(mb, sc);
		mark_gone(mb);
	}
	map_free(there, NULL);
	return r;
}

/* The folder as it is now: known files, new ones (with UIDs), gone ones. */
static int
follow(struct mailbox *mb, struct scan *sc, struct err *e)
{
	uint32_t told = mb->ul.uidvalidity;

	for (size_t i = 0; i < mb->n; i++)
		mb->v[i].seen_now = false;
	if (mb->unsticky && has_list(mb)) {
		mb->dead = true;
		return 0;
	}
	if (mb->unsticky)
		return show_unsticky(mb, sc, e);
	if (uidlist_read_all(&mb->ul, mb->fd, e) != 0)
		return -1;
	if (mb->ul.uidvalidity == 0 && told == 0 && is_closed(mb))
		return show_unsticky(mb, sc, e);
	if (mb->ul.uidvalidity != 0 && !check_validity(mb, told))
		return 0;
	if (mb->ul.uidvalidity != 0 && scan_dirs(mb, sc, e) != 0)
		return -1;
	if (mb->ul.uidvalidity == 0 || take_scan(mb, sc) > 0) {
		/* once more for those that got names of their own */
		for (int i = 0; i == 0 || (mb->parted && i < 3); i++) {
			if (assign(mb, sc, e) != 0)
				return unwritable(mb, e)
					   ? show_numbered(mb, sc, told, e)
					   : -1;
			mb->unnumbered = false;
			if (!check_validity(mb, told))
				return 0;
			(void)take_scan(mb, sc);
		}
	} else if (any_missing(mb)) {
		if (scan_dirs(mb, sc, e) != 0)
			return -1;
		(void)take_scan(mb, sc);
	}
	mark_gone(mb);
	if (!mb->readonly)
		mailbox_empty_new(mb);
	return 0;
}

int
mailbox_follow(struct mailbox *mb, struct err *e)
{
	struct scan sc = { 0 };
	int r = follow(mb, &sc, e);

	scan_free(&sc);
	return r;
}

/* One that has no UID yet; -1: it may have one that we have not read. */
static int
is_new(struct mailbox *mb, const struct scan *sc, size_t i, struct subs *subs)
{
	struct maildir_name name;

	maildir_name_parse(&name, scan_name(sc, i));
	if (name.base.n == 0 || uidlist_find(&mb->ul, name.base) != 0 ||
	    is_torn(mb, sc, i, subs, &name))
		return 0;
	if (mb->ul.lazy && (sc->n > SOME_MAX ||
			    uidlist_lazy_has(&mb->ul, mb->fd, name.base) != 0))
		return -1;
	return 1;
}

static int
by_arrival_of_file(const void *a, const void *b, void *ctx)
{
	const struct seen_file *x = a, *y = b;
	const struct scan *sc = ctx;
	struct span s = span_make(sc->text.p + x->name, x->n);
	struct span t = span_make(sc->text.p + y->name, y->n);
	int64_t u = maildir_name_time(s), v = maildir_name_time(t);

	return u != v ? (u < v ? -1 : 1) : span_cmp(s, t);
}

/* Under the lock, with the list as it is now. */
static int
number_some(struct mailbox *mb, struct scan *sc, struct err *e)
{
	size_t before;
	struct subs subs = SUBS_INIT;
	int r = uidlist_read(&mb->ul, mb->fd, e);

	if (r != 0 || mb->ul.uidvalidity == 0)
		return r != 0 ? r : 1;
	before = mb->ul.n;
	mb->given = mb->ul.uidnext;
	for (size_t i = 0; r == 0 && i < sc->n; i++) {
		struct span base = maildir_name_base(scan_name(sc, i));
		int new = is_new(mb, sc, i, &subs);

		sc->v[i].uid = 0; /* the list may be another one now */
		if (new < 0 || (new > 0 && uidlist_add(&mb->ul, base) == 0))
			r = 1;
	}
	close_subs(&subs);
	if (r != 0 || mb->ul.n == before)
		return r;
	return uidlist_append(&mb->ul, mb->fd, before, e);
}

int
mailbox_take_some(struct mailbox *mb, struct scan *sc, struct err *e)
{
	uint32_t told = mb->ul.uidvalidity;
	struct dotlock lock;
	int r = uidlist_read(&mb->ul, mb->fd, e);

	if (r != 0)
		return r;
	if (mb->ul.uidvalidity == 0)
		return 1;
	if (!check_validity(mb, told))
		return 0;
	if (sc->n > 0)
		qsort_r(sc->v, sc->n, sizeof(*sc->v), by_arrival_of_file, sc);
	if (take_scan(mb, sc) > 0) {
		if (mb->parted)
			return 1;
		if (uidlist_lock(&lock, mb->fd, clock_deadline(LOCK_MS), e) !=
		    0)
			return unwritable(mb, e) ? 1 : -1;
		r = number_some(mb, sc, e);
		dotlock_drop(&lock);
		if (r != 0)
			distrust(mb);
		if (r < 0 && unwritable(mb, e))
			r = 1;
		if (r == 0 && check_validity(mb, told))
			(void)take_scan(mb, sc);
	}
	if (r == 0 && !mb->readonly && !mb->dead)
		mailbox_empty_new(mb);
	return r;
}

/* Those of a scan of new/ that we know to lie there are taken out. */
static bool
known_in_new(struct mailbox *mb, struct scan *sc)
{
	struct map *there = map_new();
	size_t to = 0;
	bool all = true;

	for (size_t i = 0; i < sc->n; i++)
		(void)map_put(there, scan_name(sc, i), mb);
	for (size_t i = 0; i < mb->n; i++) {
		struct message *m = &mb->v[i];

		if (m->in_new && !m->gone &&
		    map_del(there, span_of(m->file)) == NULL)
			all = false; /* one went */
	}
	for (size_t i = 0; i < sc->n; i++)
		if (map_get(there, scan_name(sc, i)) != NULL)
			sc->v[to++] = sc->v[i];
	sc->n = to;
	map_free(there, NULL);
	return all;
}

int
mailbox_follow_new(struct mailbox *mb, struct err *e)
{
	struct scan sc = { .in_new = true };
	int64_t ns, start = now_ns();
	int r = mailbox_dir_time(mb->fd, "new", &ns);

	if (r == 0)
		r = maildir_each(mb->fd, "new", scan_add, &sc, e);
	if (r == 0)
		r = known_in_new(mb, &sc) ? mailbox_take_some(mb, &sc, e) : 1;
	if (r == 0) {
		mb->dirs[0].mtime_ns = ns;
		mb->dirs[0].unsure = ns > start - UNSURE_NS;
	}
	scan_free(&sc);
	return r;
}
