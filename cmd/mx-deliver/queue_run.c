/*
 * queue_run.c - mx-deliver --queue-run [--watch]: looks for entries that are
 * due and gives each to a worker.  One runner a spool.  The runner itself
 * never opens an entry: it sees names and times.  As root it keeps its rights
 * only to start workers, which become mail_owner.
 */
#include "queue.h"
#include "clock.h"
#include "log.h"
#include "mem.h"
#include "site.h"
#include "status.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#define NAMES_MAX                                                              \
	20000 /* names in memory; the rest is found by a later look            \
	       */
#define LOCK_MS 10000
#define ROUNDS_MAX 10 /* of one pass: reports of reports end before that */

/* Names that wait for a worker, in order, each once. */
struct names {
	struct map *known;
	struct strs list;
	size_t at;
};

struct runner {
	int dirfd, lock, events;
	int watch[256]; /* of each folder */
	struct pool *pool;
	struct names due, again;
	time_t next; /* earliest attempt that lies ahead, 0: none known */
	deadline_t look_at;    /* the next look, whatever happens */
	deadline_t look_after; /* no look before this */
	unsigned folder;       /* where the look goes on, 0: a new one */
	bool cut;   /* the look is not at its end: NAMES_MAX was reached */
	bool lost;  /* events, or their names: one more look after this */
	bool moved; /* something was worked on since the last look */
	size_t worked;
	bool failed;
};

static volatile sig_atomic_t runner_stop, runner_reload;

/* THREATS 117: a flag, no more. */
static void
on_signal(int sig)
{
	if (sig == SIGTERM || sig == SIGINT) {
		runner_stop = 1;
	} else if (sig == SIGHUP) {
		runner_reload = 1;
	} else if (sig == SIGCHLD) {
		queue_link_child();
		pool_child();
	}
}

static void
names_init(struct names *n)
{
	*n = (struct names){ .known = map_new() };
}

static void
names_done(struct names *n)
{
	map_free(n->known, NULL);
	strs_free(&n->list);
}

static size_t
names_left(const struct names *n)
{
	return n->list.n - n->at;
}

/* False when there is no room. */
static bool
names_add(struct names *n, const char *id)
{
	if (map_get(n->known, span_of(id)) != NULL)
		return true;
	if (names_left(n) >= NAMES_MAX)
		return false;
	(void)map_put(n->known, span_of(id), n);
	strs_add(&n->list, id);
	return true;
}

static const char *
names_first(const struct names *n)
{
	return n->at < n->list.n ? n->list.v[n->at] : NULL;
}

static void
names_drop(struct names *n)
{
	(void)map_del(n->known, span_of(n->list.v[n->at]));
	n->at++;
	if (n->at == n->list.n) {
		strs_clear(&n->list);
		n->at = 0;
	} else if (n->at >= NAMES_MAX) {
		/* The used-up front goes. */
		for (size_t i = 0; i < n->at; i++)
			free(n->list.v[i]);
		memmove(n->list.v, n->list.v + n->at,
			(n->list.n - n->at + 1) * sizeof(char *));
		n->list.n -= n->at;
		n->at = 0;
	}
}

/* One name with its time: due, or ahead.  False: no room. */
static bool
consider(struct runner *r, const char *id, time_t when)
{
	if (when > clock_now()) {
		if (r->next == 0 || when < r->next)
			r->next = when;
		return true;
	}
	if (pool_has(r->pool, span_of(id)) ||
	    map_get(r->again.known, span_of(id)) != NULL)
		return true;
	return names_add(&r->due, id);
}

/* False stops the scan: there is no room for more names, the next look goes on
 * here. */
static bool
found(void *ctx, const struct queuefile_found *f)
{
	struct runner *r = ctx;

	if (consider(r, f->id, f->next))
		return true;
	r->cut = true;
	return false;
}

/* Looks through the queue; where the names had no room the next look goes on
 * in that folder: each entry is seen about once, however many there are.  A big
 * queue is not looked through all the time: a tenth of the time at most. */
static void
look(struct runner *r)
{
	struct err e = ERR_INIT;
	int64_t start = clock_mono();
	unsigned from = r->folder;
	bool stuck = names_left(&r->due) == 0 && !r->moved;

	if (from == 0) {
		r->next = 0;
		r->lost = false;
	}
	r->cut = r->moved = false;
	if (queuefile_scan_from(r->dirfd, &r->folder, found, r, &e) != 0) {
		log_error("%s: %s", site.queue_directory, e.text);
		r->failed = true;
		r->folder = 0;
	}
	/* A folder full of what cannot be worked on does not hide the rest. */
	if (r->cut && r->folder == from && stuck) {
		r->folder++;
		r->lost = true;
	}
	if (r->folder >= 256)
		r->folder = 0;
	r->look_at = clock_deadline(queue_conf.run_delay);
	r->look_after = clock_deadline((clock_mono() - start) * 10 + 1);
}

/* When to look again: at queue_run_delay, or when something gets due. */
static int64_t
wait_ms(const struct runner *r)
{
	int64_t ms = clock_left(r->look_at);
	int64_t least = clock_left(r->look_after);

	if (r->next > 0) {
		int64_t to = (int64_t)(r->next - clock_now()) * 1000 + 20;
		ms = to < ms ? to : ms;
	}
	if ((r->cut || r->lost) && names_left(&r->due) == 0)
		ms = 0;
	return ms < least ? least : ms;
}

/* What a worker said of its entry. Nothing is believed of the entry itself:
 * its marks and its time are on disk. */
static void
entry_done(void *ctx, const char *id, enum queue_result result)
{
	struct runner *r = ctx;

	switch (result) {
	case QUEUE_AGAIN:
		/* No room: its time is set, a look finds it. */
		(void)names_add(&r->again, id);
		return;
	case QUEUE_WORKED:
		r->worked++;
		r->moved = true;
		break;
	case QUEUE_LOCKED:
		/* The event that --release or --flush made was seen before
		 * their lock was gone. */
		if (r->next == 0 || r->next > clock_now() + 1)
			r->next = clock_now() + 1;
		break;
	case QUEUE_NOTHING:
		break;
	default:
		r->failed = true;
	}
	/* A place at some destination may be free now. */
	const char *next = names_first(&r->again);
	if (next != NULL && names_add(&r->due, next))
		names_drop(&r->again);
}

static void
give_out(struct runner *r)
{
	const char *id;

	/* With nobody at work nobody's end can bring them back. */
	while (pool_busy(r->pool) == 0 && names_left(&r->due) == 0 &&
	       (id = names_first(&r->again)) != NULL && names_add(&r->due, id))
		names_drop(&r->again);
	while ((id = names_first(&r->due)) != NULL && pool_give(r->pool, id))
		names_drop(&r->due);
}

/* Only one runner; the lock goes with the process.  Its children let go of it
 * when they start: one that was killed meanwhile may hold it for a moment. */
static int
take_lock(int dirfd, int64_t wait_ms, struct err *e)
{
	int fd = openat(dirfd, "runner.lock",
			O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	deadline_t d = clock_deadline(wait_ms);
	int r;

	if (fd < 0)
		return err_sys(e, "%s/runner.lock", site.queue_directory);
	while ((r = flock(fd, LOCK_EX | LOCK_NB)) != 0 && clock_left(d) > 0 &&
	       !runner_stop)
		usleep(50000);
	if (r != 0) {
		close(fd);
		return err_set(e, ST_TEMPFAIL, "%s: another runner is at work",
			       site.queue_directory);
	}
	return fd;
}

/* As root the queue's folders are made as mail_owner's. */
static int
open_queue(struct runner *r, bool watch, struct err *e)
{
	struct passwd *pw = NULL;

	if (geteuid() == 0) {
		pw = getpwnam(site.mail_owner);
		if (pw == NULL)
			return err_set(e, ST_CONFIG,
				       "mail_owner = %s: no such user",
				       site.mail_owner);
		if (mkdir(site.queue_directory, 0700) == 0 &&
		    chown(site.queue_directory, pw->pw_uid, pw->pw_gid) != 0)
			return err_sys(e, "%s", site.queue_directory);
		if (setegid(pw->pw_gid) != 0 || seteuid(pw->pw_uid) != 0)
			return err_sys(e, "cannot become %s", site.mail_owner);
	}
	r->dirfd = queuefile_dir(site.queue_directory, e);
	r->lock =
	    r->dirfd < 0 ? -1 : take_lock(r->dirfd, watch ? LOCK_MS : 0, e);
	if (pw != NULL && (seteuid(0) != 0 || setegid(0) != 0))
		return err_sys(e, "cannot become root again");
	return r->lock < 0 ? -1 : 0;
}

/* New entries are renamed into queue/XX, flushed ones get a new time: 256
 * watches. */
static void
watch_queue(struct runner *r)
{
	char path[4200];

	r->events = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	for (int i = 0; r->events >= 0 && i < 256; i++) {
		snprintf(path, sizeof(path), "%s/queue/%02X",
			 site.queue_directory, i);
		r->watch[i] = inotify_add_watch(
		    r->events, path, IN_MOVED_TO | IN_ATTRIB | IN_ONLYDIR);
		if (r->watch[i] >= 0)
			continue;
		log_warn("%s: %s: new mail is found every queue_run_delay only",
			 path, strerror(errno));
		close(r->events);
		r->events = -1;
	}
}

static void
take_event(struct runner *r, const struct inotify_event *ev)
{
	char path[300];
	struct stat st;
	int i = 0;

	if (ev->mask & IN_Q_OVERFLOW)
		r->lost = true;
	if (ev->len == 0 || ev->name[0] == '.' || strlen(ev->name) >= 64)
		return;
	while (i < 256 && r->watch[i] != ev->wd)
		i++;
	snprintf(path, sizeof(path), "queue/%02X/%s", (unsigned)i & 0xff,
		 ev->name);
	/* Our workers' own changes lie ahead; what is gone is done. */
	if (i < 256 && fstatat(r->dirfd, path, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
	    !consider(r, ev->name, st.st_mtime))
		r->lost = true;
}

/* inotify may lose events (IN_Q_OVERFLOW): then the next look finds what they
 * told of. */
static void
take_events(struct runner *r)
{
	char b[16384] __attribute__((aligned(8)));
	ssize_t n;

	while (r->events >= 0 && (n = read(r->events, b, sizeof(b))) > 0) {
		for (ssize_t at = 0; at < n;) {
			const struct inotify_event *ev = (const void *)(b + at);
			take_event(r, ev);
			at += (ssize_t)(sizeof(*ev) + ev->len);
		}
	}
}

/* Until a worker, an event, a signal, or ms have passed. */
static void
wait_for_something(struct runner *r, int64_t ms)
{
	static struct pollfd v[1100];
	struct timespec ts = { ms / 1000, ms % 1000 * 1000000L };
	sigset_t block, old;

	/* Before the look at who died: a death after it ends the wait. */
	sigfillset(&block);
	sigprocmask(SIG_BLOCK, &block, &old);
	size_t n = pool_watch(r->pool, v, ARRAY_LEN(v) - 1);
	if (r->events >= 0)
		v[n++] = (struct pollfd){ r->events, POLLIN, 0 };
	if (!runner_stop && !runner_reload)
		(void)ppoll(v, n, &ts, &old);
	sigprocmask(SIG_SETMASK, &old, NULL);
	pool_take(r->pool, v, entry_done, r);
	take_events(r);
}

/* Everything that is due, and what that made due: reports, forwards. */
static void
one_pass(struct runner *r)
{
	for (int round = 0; round < ROUNDS_MAX && !runner_stop;) {
		r->worked = 0;
		look(r);
		if (names_left(&r->due) == 0 && !r->cut)
			break;
		while (!runner_stop) {
			give_out(r);
			if (pool_busy(r->pool) == 0)
				break;
			wait_for_something(r, 60000);
		}
		/* A huge queue comes in pieces, which are no rounds. */
		round += !r->cut;
		if (r->worked == 0 && !r->cut)
			break;
	}
}

static void
reload(struct runner *r, const struct program *p)
{
	struct err e = ERR_INIT;

	runner_reload = 0;
	if (prog_reload(p, &e) != 0)
		log_error("%s: the old configuration stays", e.text);
	pool_recycle(r->pool);
	r->look_at = clock_deadline(1);
}

static void
stay(struct runner *r, const struct program *p)
{
	watch_queue(r);
	look(r);
	while (!runner_stop) {
		if (runner_reload)
			reload(r, p);
		give_out(r);
		int64_t ms = wait_ms(r);
		if (ms <= 0) {
			look(r);
			continue;
		}
		wait_for_something(r, ms);
	}
}

int
queue_run(const struct program *p, bool watch)
{
	static const int sigs[] = { SIGTERM, SIGINT, SIGHUP, SIGCHLD };
	struct runner r = {
		.events = -1, .lock = -1, .dirfd = -1, .moved = true
	};
	struct sigaction sa = { .sa_handler = on_signal };
	struct err e = ERR_INIT;

	log_role("qmgr");
	if (open_queue(&r, watch, &e) != 0)
		return prog_fail(&e);
	for (size_t i = 0; i < ARRAY_LEN(sigs); i++)
		(void)sigaction(sigs[i], &sa, NULL);
	int shut[] = { r.lock };
	r.pool = pool_new((size_t)queue_conf.process_limit, shut, 1);
	names_init(&r.due);
	names_init(&r.again);
	queuefile_sweep(r.dirfd, 36 * 3600);
	if (watch)
		stay(&r, p);
	else
		one_pass(&r);
	pool_end(r.pool);
	names_done(&r.due);
	names_done(&r.again);
	return r.failed && !watch ? ST_TEMPFAIL : ST_OK;
}
