/*
 * verify.c - see verify.h: what the routes say, else the cache, else a probe.
 * The probe is made by a child of its own, which goes on when nobody waits any
 * longer: its answer is for the next who asks.
 */
#include "verify.h"

#include "clock.h"
#include "io.h"
#include "log.h"
#include "mem.h"
#include "num.h"
#include "queue.h"
#include "route.h"
#include "site.h"
#include "status.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define DEFER_S 300 /* "nobody could say" counts so long */
#define STEP_MS 100

struct verify_conf verify_conf;

#define ROW(TYPE, MEMBER, NAME, DEF, WORDS, MEANING)                           \
	PARAM_ROW(struct verify_conf, TYPE, MEMBER, NAME, DEF, 0, 0, WORDS,    \
		  MEANING)

static const struct param rows[] = {
	ROW(STR, map, "address_verify_map",
	    "btree:$data_directory/verify_cache", NULL,
	    "what is known of probed addresses: a folder; empty: nothing kept"),
	ROW(BOOL, negative_cache, "address_verify_negative_cache", "yes", NULL,
	    "keep failures, too"),
	ROW(TIME, positive_expire, "address_verify_positive_expire_time", "31d",
	    "d", "a success counts so long"),
	ROW(TIME, positive_refresh, "address_verify_positive_refresh_time",
	    "7d", "d", "after so long a success is probed again"),
	ROW(TIME, negative_expire, "address_verify_negative_expire_time", "3d",
	    "d", "a failure counts so long"),
	ROW(TIME, negative_refresh, "address_verify_negative_refresh_time",
	    "3h", "h", "after so long a failure is probed again"),
	ROW(STR, sender, "address_verify_sender", "$double_bounce_sender", NULL,
	    "sender of probes; empty or <>: the null sender"),
	ROW(TIME, sender_ttl, "address_verify_sender_ttl", "0s", "s",
	    "so often the sender of probes changes; 0: never"),
	/* routes of probes, where they are not those of mail */
	ROW(LIST, transport_maps, "address_verify_transport_maps",
	    "$transport_maps", NULL, "transport_maps of probes"),
	ROW(STR, relayhost, "address_verify_relayhost", "$relayhost", NULL,
	    "relayhost of probes"),
	ROW(STR, local_transport, "address_verify_local_transport",
	    "$local_transport", NULL, "local_transport of probes"),
	ROW(STR, virtual_transport, "address_verify_virtual_transport",
	    "$virtual_transport", NULL, "virtual_transport of probes"),
	ROW(STR, relay_transport, "address_verify_relay_transport",
	    "$relay_transport", NULL, "relay_transport of probes"),
	ROW(STR, default_transport, "address_verify_default_transport",
	    "$default_transport", NULL, "default_transport of probes"),
	ROW(LIST, sender_relayhost_maps,
	    "address_verify_sender_dependent_relayhost_maps",
	    "$sender_dependent_relayhost_maps", NULL,
	    "sender_dependent_relayhost_maps of probes"),
	ROW(LIST, sender_transport_maps,
	    "address_verify_sender_dependent_default_transport_maps",
	    "$sender_dependent_default_transport_maps", NULL,
	    "sender_dependent_default_transport_maps of probes"),
};

const struct param_rows verify_params = { rows, ARRAY_LEN(rows), &verify_conf };

static void
set(struct verify_answer *a, enum verify_state state, const char *dsn,
    const char *text)
{
	a->state = state;
	snprintf(a->dsn, sizeof(a->dsn), "%s", dsn);
	buf_clear(&a->text);
	buf_adds(&a->text, text);
}

/* Does the cached answer still count; is it time to ask again? */
static bool
counts(const struct verify_answer *a, int64_t now, bool *refresh)
{
	int64_t age = now - a->updated;
	int64_t expire = a->state == VERIFY_OK ? verify_conf.positive_expire
					       : verify_conf.negative_expire;
	int64_t again = a->state == VERIFY_OK ? verify_conf.positive_refresh
					      : verify_conf.negative_refresh;

	*refresh = age < 0 || age >= again / 1000;
	if (a->state == VERIFY_DEFER)
		return age >= 0 && age < DEFER_S && age < expire / 1000;
	return age >= 0 && age < expire / 1000;
}

/* In the child.  A success is not overwritten by a failure before its time. */
static void
probe_and_keep(const char *addr, const struct route *r, int out)
{
	struct verify_answer a = { .text = BUF_INIT }, was = a;
	char *sender = verify_sender();
	bool refresh;
	struct buf b = BUF_INIT;

	verify_probe(addr, r, sender, &a);
	a.probed = a.updated = (int64_t)clock_now();
	if (a.state != VERIFY_OK && verify_load(addr, &was) &&
	    was.state == VERIFY_OK && counts(&was, a.updated, &refresh))
		;
	else if (a.state == VERIFY_OK || verify_conf.negative_cache)
		verify_store(addr, &a);
	buf_addf(&b, "%d %s %s", (int)a.state, a.dsn, buf_str(&a.text));
	(void)!io_write(out, b.p, b.n, clock_deadline(1000));
	verify_sweep();
	buf_free(&b);
	free(sender);
}

/* Of all above 2. */
static void
keep_only(int a, int b)
{
	unsigned lo = (unsigned)(b >= 0 && b < a ? b : a);
	unsigned hi = (unsigned)(b > a ? b : a);

	if (lo > 3)
		(void)close_range(3, lo - 1, 0);
	if (hi > lo + 1)
		(void)close_range(lo + 1, hi - 1, 0);
	(void)close_range(hi + 1, ~0u, 0);
}

/* Starts the child; returns where its answer can be read, or -1. */
static int
start(const char *addr, const struct route *r, int lock)
{
	int link[2];
	pid_t pid;

	if (pipe2(link, O_CLOEXEC) != 0)
		return -1;
	(void)fflush(NULL);
	pid = fork();
	if (pid == 0) {
		/* Twice, so that nobody has to wait for it; without the
		 * session's descriptors, and without the log's. */
		if (fork() != 0)
			_exit(0);
		log_to_fd(2);
		(void)signal(SIGPIPE, SIG_IGN);
		keep_only(link[1], lock);
		probe_and_keep(addr, r, link[1]);
		verify_unlock(addr, lock);
		_exit(0);
	}
	close(link[1]);
	if (pid < 0) {
		close(link[0]);
		return -1;
	}
	(void)waitpid(pid, NULL, 0);
	return link[0];
}

/* What the child says, if it does in time. */
static bool
read_answer(int fd, int64_t wait_ms, struct verify_answer *a)
{
	struct buf b = BUF_INIT;
	struct span rest, word;
	int state;
	bool ok = wait_ms > 0 &&
		  io_read_all(fd, &b, 4096, clock_deadline(wait_ms)) == IO_OK;

	rest = buf_span(&b);
	ok = ok && span_word(&rest, " ", &word) &&
	     num_int(word, VERIFY_OK, VERIFY_BOUNCE, &state) &&
	     span_word(&rest, " ", &word) && word.n < sizeof(a->dsn);
	if (ok) {
		a->state = (enum verify_state)state;
		snprintf(a->dsn, sizeof(a->dsn), "%.*s", SPAN_ARG(word));
		buf_clear(&a->text);
		buf_addspan(&a->text, span_trim(rest));
	}
	buf_free(&b);
	return ok;
}

/* Somebody else probes: its answer appears in the cache. */
static bool
wait_for_other(const char *addr, int64_t wait_ms, struct verify_answer *a)
{
	const struct timespec step = { 0, STEP_MS * 1000000L };
	bool refresh;

	for (; wait_ms > 0; wait_ms -= STEP_MS) {
		(void)nanosleep(&step, NULL);
		if (verify_load(addr, a) &&
		    counts(a, (int64_t)clock_now(), &refresh))
			return true;
	}
	return false;
}

static void
remote(const char *addr, const struct route *r, int64_t wait_ms,
       struct verify_answer *a)
{
	bool refresh = false, known;
	int lock, fd;

	known =
	    verify_load(addr, a) && counts(a, (int64_t)clock_now(), &refresh);
	/* Old enough to be asked again: answered from the cache all the same,
	 * the new answer is for the next. */
	if (known && !refresh)
		return;
	lock = verify_lock(addr);
	if (lock == -1) {
		if (!known && !wait_for_other(addr, wait_ms, a))
			set(a, VERIFY_ASKING, "4.0.0",
			    "Address verification in progress");
		return;
	}
	fd = start(addr, r, lock);
	if (lock >= 0)
		close(lock); /* the child has it */
	if (!known && (fd < 0 || !read_answer(fd, wait_ms, a)))
		set(a, VERIFY_ASKING, "4.0.0",
		    "Address verification in progress");
	if (fd >= 0)
		close(fd);
}

void
verify_address(const char *addr, int64_t wait_ms, struct verify_answer *a)
{
	char *low = mem_strdup(addr), *sender = verify_sender();
	ssize_t at = span_rchr(span_of(low), '@');
	struct queuefile_rcpt rcpt = { .addr = low };
	struct queuefile_env env = { .sender = sender };
	struct route r;

	for (size_t i = at < 0 ? 0 : (size_t)at; low[i] != '\0'; i++)
		low[i] = ascii_tolower(low[i]);
	route_probing(true);
	route_find(&r, &env, &rcpt);
	route_probing(false);
	switch (r.kind) {
	case ROUTE_REMOTE:
		remote(low, &r, wait_ms, a);
		break;
	case ROUTE_FAILED:
		set(a, VERIFY_BOUNCE, err_code(&r.why), r.why.text);
		break;
	case ROUTE_DEFERRED:
		set(a, VERIFY_DEFER, err_code(&r.why), r.why.text);
		break;
	default:
		set(a, VERIFY_OK, "2.1.5", "delivered on this host");
		break;
	}
	route_free(&r);
	free(low);
	free(sender);
}
