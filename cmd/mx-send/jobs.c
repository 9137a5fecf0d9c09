/*
 * jobs.c - mx-send --jobs: what mx-deliver's runner keeps.  Its workers send
 * jobs, each a destination and a socket for everything else; each goes to the
 * process that has a connection to that destination left from an earlier
 * message, else to a new one.  That process alone speaks to other hosts: this
 * one reads no byte of theirs.
 * mx-send(1), JOBS.  Postfix's scache(8) and its on-demand rule.
 */
#include "apart.h"
#include "send.h"
#include "log.h"
#include "mem.h"
#include "sandbox.h"
#include "site.h"
#include "status.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#define KEY_MAX 4096
#define WORD_MAX 20000
#define KEPT_MAX 1000
#define DEST_MAX 4096
#define TOLD_MAX 50 /* words of other kinds a message */

/* A destination that mail went to of late. */
struct dest {
	int busy;      /* messages on their way there */
	int64_t ended; /* when the last one was done; clock_mono, 0: none */
};

struct kept {
	pid_t pid;
	int channel;
	char *key;
	struct dest *dest;
	bool idle, follows; /* its message came close behind another one */
	int told;           /* words of other kinds */
	deadline_t until;
};

static struct jobs {
	struct kept v[KEPT_MAX];
	size_t n;
	struct map *dests;
	struct job_key k; /* of the job at hand */
	char *key;
	int keeper; /* of the processes that ask for names */
} jobs;
static volatile sig_atomic_t stop;

static void
on_stop(int sig)
{
	(void)sig;
	stop = 1;
}

static void
key_free(void)
{
	free(jobs.k.sender);
	free(jobs.k.nexthop);
	free(jobs.key);
	jobs.k = (struct job_key){ .sender = NULL };
	jobs.key = NULL;
}

/* "send1", flags, sender, nexthop: a line each. */
static bool
key_parse(struct span s)
{
	struct span word, flags, sender;

	key_free();
	if (!span_split(&s, '\n', &word) || !span_is(word, "send1") ||
	    !span_split(&s, '\n', &flags) || !span_split(&s, '\n', &sender) ||
	    s.n == 0 || span_chr(s, '\n') >= 0)
		return false;
	jobs.k.lmtp = span_chr(flags, 'l') >= 0;
	jobs.k.requiretls = span_chr(flags, 'r') >= 0;
	jobs.k.no_fallback = span_chr(flags, 'b') >= 0;
	jobs.k.sender = mem_spandup(sender);
	jobs.k.nexthop = mem_spandup(s);
	/* Whose password is used is part of what a connection is, and so is
	 * what a bounce does without (RFC 8689 5). */
	jobs.key = mem_printf(
	    "%d%d%d\n%s\n%s", jobs.k.lmtp,
	    jobs.k.requiretls ? 1 + (sender.n == 0) : 0, jobs.k.no_fallback,
	    params.sasl_enable && params.sender_auth ? jobs.k.sender : "",
	    jobs.k.nexthop);
	return true;
}

/* Those that nothing went to of late are forgotten. */
static void
forget(void)
{
	struct strs old = STRS_INIT;
	struct span key;
	void *value;
	size_t at = 0;

	while (map_next(jobs.dests, &at, &key, &value)) {
		const struct dest *d = value;

		if (d->busy == 0 && clock_mono() - d->ended > params.cache_time)
			strs_addspan(&old, key);
	}
	for (size_t i = 0; i < old.n; i++)
		free(map_del(jobs.dests, span_of(old.v[i])));
	strs_free(&old);
}

/* Made where it is not there yet. */
static struct dest *
dest_of(const char *key)
{
	struct dest *d = map_get(jobs.dests, span_of(key));

	if (d == NULL && map_count(jobs.dests) >= DEST_MAX)
		forget();
	if (d == NULL) {
		d = mem_alloc(1, sizeof(*d));
		(void)map_put(jobs.dests, span_of(key), d);
	}
	return d;
}

/* "example.org" for "[Example.org]:25", for the list of destinations. */
static bool
always_kept(const char *nexthop)
{
	struct span host;
	int port = 0;
	bool literal;

	if (strs_ihas(&params.cache_destinations, span_of(nexthop)))
		return true;
	return mx_hosts_parse(span_of(nexthop), &host, &port, &literal) &&
	       strs_ihas(&params.cache_destinations, host);
}

/* A connection is left.  Is more mail likely to come for it? */
static bool
worth_keeping(const struct kept *k)
{
	if (params.cache_time <= 0)
		return false;
	return always_kept(strrchr(k->key, '\n') + 1) ||
	       (params.cache_on_demand && (k->follows || k->dest->busy > 0));
}

/* The channel's end is the child's end. Its TLS sessions stay: they are of the
 * destination. */
static void
drop(size_t i)
{
	struct kept *k = &jobs.v[i];

	if (!k->idle) {
		k->dest->busy--;
		k->dest->ended = clock_mono();
	}
	close(k->channel);
	free(k->key);
	jobs.v[i] = jobs.v[--jobs.n];
}

/* In the child: nothing of the others stays. */
static MX_NORETURN void
become_child(int channel, int job)
{
	for (size_t i = 0; i < jobs.n; i++)
		close(jobs.v[i].channel);
	(void)signal(SIGCHLD, SIG_DFL);
	/* A message on its way is not cut; the end of the channel ends us. */
	(void)signal(SIGTERM, SIG_IGN);
	(void)signal(SIGINT, SIG_IGN);
	tls_sessions_owner = jobs.key;
	jobs_child(&jobs.k, channel, job);
}

static bool
start(struct dest *d, bool follows, int job)
{
	int pair[2];

	if (jobs.n == KEPT_MAX ||
	    socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0)
		return false;
	pid_t pid = fork();
	if (pid == 0) {
		close(pair[0]);
		become_child(pair[1], job);
	}
	close(pair[1]);
	if (pid < 0) {
		close(pair[0]);
		return false;
	}
	jobs.v[jobs.n++] = (struct kept){ .pid = pid,
					  .channel = pair[0],
					  .key = jobs.key,
					  .dest = d,
					  .follows = follows };
	jobs.key = NULL;
	return true;
}

/* Whoever has a connection there, the one used last first, so that the others
 * come to their end. */
static bool
give_kept(struct dest *d, bool follows, int job)
{
	for (;;) {
		struct kept *k = NULL;

		for (size_t i = 0; i < jobs.n; i++)
			if (jobs.v[i].idle &&
			    strcmp(jobs.v[i].key, jobs.key) == 0 &&
			    (k == NULL || jobs.v[i].until > k->until))
				k = &jobs.v[i];
		if (k == NULL)
			return false;
		if (io_send_fd(k->channel, "j", 1, job) == 0) {
			k->idle = false;
			k->told = 0;
			k->dest = d;
			k->follows = follows;
			return true;
		}
		drop((size_t)(k - jobs.v));
	}
}

static void
take_job(void)
{
	char b[KEY_MAX];
	int job = -1;
	ssize_t n = io_recv_fd(STDIN_FILENO, b, sizeof(b), &job);

	if (n <= 0) {
		stop = n == 0 || (errno != EAGAIN && errno != EINTR);
		return;
	}
	if (job < 0)
		return;
	if (key_parse(span_make(b, (size_t)n))) {
		struct dest *d = dest_of(jobs.key);
		bool follows = d->busy > 0 ||
			       (d->ended > 0 &&
				clock_mono() - d->ended <= params.cache_time);
		/* Nobody's: the worker hears the end of its socket. */
		d->busy++;
		if (!give_kept(d, follows, job) && !start(d, follows, job)) {
			log_warn("no process for %s: %s", jobs.k.nexthop,
				 strerror(errno));
			d->busy--;
		}
	}
	close(job);
}

/* A child's word: 'k', a connection is left; 's', a TLS session; 't', a line
 * for TLS reports; 'f' and 'g', a host that failed, or did not.  Its end, and
 * what makes no sense, are its end.  False: there is no more. */
static bool
take_word(size_t i)
{
	static char b[WORD_MAX];
	const size_t head = 1 + TLS_SESSION_KEY;
	struct kept *k = &jobs.v[i];
	ssize_t n = recv(k->channel, b, sizeof(b), MSG_DONTWAIT);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return false;
	if (n > (ssize_t)head && b[0] == 's' && !k->idle) {
		tls_sessions_put(k->key, (const unsigned char *)b + 1,
				 span_make(b + head, (size_t)n - head));
		return true;
	}
	if (n > 1 && b[0] == 't' && !k->idle && k->told++ < TOLD_MAX) {
		tlsrpt_take(strrchr(k->key, '\n') + 1,
			    span_make(b + 1, (size_t)n - 1));
		return true;
	}
	if (n > 1 && (b[0] == 'f' || b[0] == 'g') && !k->idle &&
	    k->told++ < TOLD_MAX) {
		failing_take(span_make(b + 1, (size_t)n - 1), b[0] == 'f');
		return true;
	}
	if (n != 1 || b[0] != 'k' || k->idle) {
		drop(i);
		return false;
	}
	k->dest->busy--;
	k->dest->ended = clock_mono();
	k->idle = true;
	k->until = clock_deadline(params.cache_time);
	if (!worth_keeping(k))
		drop(i);
	return false;
}

/* Until the first kept connection is too old. */
static int
next_ms(void)
{
	int64_t ms = 3600000;

	for (size_t i = 0; i < jobs.n; i++)
		if (jobs.v[i].idle && clock_left(jobs.v[i].until) < ms)
			ms = clock_left(jobs.v[i].until);
	return ms < 0 ? 0 : (int)ms;
}

/* One round: words of children, what has become old, then at most one job, so
 * that none of them starves the others. */
static void
turn(const sigset_t *open)
{
	static struct pollfd v[KEPT_MAX + 2];
	size_t n = jobs.n;
	int64_t ms = next_ms();
	struct timespec ts = { ms / 1000, ms % 1000 * 1000000L };

	v[0] = (struct pollfd){ STDIN_FILENO, POLLIN, 0 };
	for (size_t i = 0; i < n; i++)
		v[i + 1] = (struct pollfd){ jobs.v[i].channel, POLLIN, 0 };
	/* Without it no name is found: whoever comes next has a new one. */
	v[n + 1] = (struct pollfd){ jobs.keeper, 0, 0 };
	int r = ppoll(v, n + 2, &ts, open);
	if (r > 0 && v[n + 1].revents != 0)
		stop = 1;
	/* From the end: a dropped one's place is taken by the last. */
	for (size_t i = n; r > 0 && i-- > 0;)
		while (v[i + 1].revents != 0 && take_word(i))
			;
	for (size_t i = jobs.n; i-- > 0;)
		if (jobs.v[i].idle && clock_left(jobs.v[i].until) <= 0)
			drop(i);
	/* Who comes next reads them anew. */
	if (r > 0 && v[0].revents != 0 && !stop && secrets_changed())
		stop = 1;
	if (r > 0 && v[0].revents != 0 && !stop)
		take_job();
}

int
jobs_serve(void)
{
	static const int stops[] = { SIGTERM, SIGINT, SIGHUP };
	struct sigaction sa = { .sa_handler = on_stop };
	sigset_t block, open;
	struct err e = ERR_INIT;
	int type = 0;
	socklen_t len = sizeof(type);

	if (getsockopt(STDIN_FILENO, SOL_SOCKET, SO_TYPE, &type, &len) != 0 ||
	    type != SOCK_SEQPACKET) {
		log_error("--jobs: standard input is no socket of mx-deliver's "
			  "runner");
		return ST_USAGE;
	}
	site_log_open("smtp");
	sigemptyset(&block);
	for (size_t i = 0; i < ARRAY_LEN(stops); i++) {
		(void)sigaction(stops[i], &sa, NULL);
		sigaddset(&block, stops[i]);
	}
	(void)signal(SIGCHLD, SIG_IGN); /* nobody waits for children */
	sigprocmask(SIG_BLOCK, &block, &open);
	jobs.dests = map_new();
	jobs.keeper = apart_keeper();
	if (jobs.keeper < 0) {
		log_error("fork: %s", strerror(errno));
		return ST_TEMPFAIL;
	}
	apart_set_keeper(jobs.keeper);
	policy_warm();
	secrets_preload();
	/* Only reading files needed root; mail_owner's rights, that and what
	 * is kept in files: who speaks to other hosts becomes net_user. */
	if (sandbox_user_then(site.mail_owner, site.net_user, &e) != 0) {
		log_error("%s", e.text);
		return e.status;
	}
	while (!stop)
		turn(&open);
	/* Who is at work ends its message, the others hear the end. */
	return ST_OK;
}
