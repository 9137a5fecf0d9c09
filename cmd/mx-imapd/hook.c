/*
 * hook.c - imap_move_hook: the rules, and the session's side.  See hook.h.
 */
#include "hook.h"
#include "conf.h"
#include "io.h"
#include "log.h"
#include "maildir_root.h"
#include "mailbox_name.h"
#include "mem.h"
#include "metadata.h"
#include "proc.h"
#include "sandbox.h"
#include "status.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#define ROOM_MS 100 /* for what was sent to be taken */

static struct hook_rules rules;
static int sock = -1;

void
hook_free(struct hook_rules *h)
{
	for (size_t i = 0; i < h->n; i++) {
		buf_free(&h->v[i].from);
		buf_free(&h->v[i].to);
		strs_free(&h->v[i].argv);
	}
	free(h->v);
	*h = (struct hook_rules){ NULL, 0 };
}

static int
parse_name(struct buf *b, struct span word, struct err *e)
{
	if (span_is(word, "*") || span_starts(word, SPAN("\\"))) {
		buf_addspan(b, word);
		return 0;
	}
	return mailbox_name_parse(b, word, true, e);
}

static int
parse_rule(struct hook_rule *r, struct span text, struct err *e)
{
	struct span words = span_trim(text), pair, from;

	if (!span_word(&words, " \t", &pair))
		return err_set(e, ST_CONFIG, "an empty rule");
	if (!span_split(&pair, '>', &from) || pair.n == 0)
		return err_set(e, ST_CONFIG,
			       "\"%.*s\": FROM>TO and a program are expected",
			       SPAN_ARG(text));
	if (parse_name(&r->from, from, e) != 0 ||
	    parse_name(&r->to, pair, e) != 0 ||
	    proc_words(&r->argv, words, e) != 0)
		return -1;
	if (r->argv.n == 0)
		return err_set(e, ST_CONFIG,
			       "\"%.*s\": no program (\"-\": none is run)",
			       SPAN_ARG(text));
	if (r->argv.n == 1 && strcmp(r->argv.v[0], "-") == 0)
		strs_clear(&r->argv);
	return 0;
}

int
hook_parse(struct hook_rules *h, struct err *e)
{
	size_t n = conf.move_hook.n;

	*h = (struct hook_rules){ mem_alloc(n + 1, sizeof(*h->v)), 0 };
	for (; h->n < n; h->n++) {
		struct hook_rule *r = &h->v[h->n];

		if (parse_rule(r, span_of(conf.move_hook.v[h->n]), e) == 0)
			continue;
		h->n++;
		hook_free(h);
		e->status = ST_CONFIG;
		return err_prefix(e, "imap_move_hook");
	}
	return 0;
}

/* The helper keeps nothing of the session's but the user. */
static MX_NORETURN void
helper(const struct front_user *u, int fd)
{
	int keep[] = { fd, -1 };
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	(void)signal(SIGTERM, SIG_DFL);
	(void)signal(SIGINT, SIG_DFL);
	if (null < 0 || dup2(null, 0) < 0 || dup2(null, 1) < 0)
		_exit(ST_OSERR);
	sandbox_close_others(3, keep);
	log_role("hook");
	log_reopen();
	hook_run(&rules, &u->auth, fd);
	_exit(ST_OK);
}

void
hook_start(const struct front_user *u)
{
	struct err e = ERR_INIT;
	int pair[2];
	pid_t pid;

	if (conf.move_hook.n == 0)
		return;
	/* trouble here costs the training, not the session */
	if (hook_parse(&rules, &e) != 0) {
		log_error("%s", e.text);
		return;
	}
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0) {
		log_error("imap_move_hook: socketpair: %m");
		return;
	}
	pid = fork();
	if (pid == 0) {
		close(pair[0]);
		helper(u, pair[1]);
	}
	if (pid < 0)
		log_error("imap_move_hook: fork: %m");
	close(pair[1]);
	sock = pair[0];
	if (pid < 0 || io_nonblock(sock, true) != 0)
		io_close(&sock);
}

static bool
name_fits(int root, const struct buf *want, struct span name)
{
	struct buf use = BUF_INIT;
	const char *given;
	bool yes;

	if (span_is(buf_span(want), "*"))
		return true;
	if (want->p[0] != '\\')
		return span_eq(buf_span(want), name);
	given = maildir_root_use(name);
	if (given != NULL)
		buf_adds(&use, given);
	else
		metadata_use(&use, root, name);
	yes = span_ieq(buf_span(&use), buf_span(want));
	buf_free(&use);
	return yes;
}

/* The first one counts. */
static ssize_t
find_rule(int root, const char *from, struct span to)
{
	for (size_t i = 0; i < rules.n; i++)
		if (name_fits(root, &rules.v[i].from, span_of(from)) &&
		    name_fits(root, &rules.v[i].to, to))
			return rules.v[i].argv.n > 0 ? (ssize_t)i : -1;
	return -1;
}

static bool
send_file(struct span job, int fd)
{
	struct pollfd p = { sock, POLLOUT, 0 };

	if (io_send_fd(sock, job.p, job.n, fd) == 0)
		return true;
	return (errno == EAGAIN || errno == ETOOMANYREFS) &&
	       poll(&p, 1, ROOM_MS) > 0 &&
	       io_send_fd(sock, job.p, job.n, fd) == 0;
}

void
hook_moved(int root, const char *from, struct span to, int dirfd,
	   const struct strs *paths)
{
	struct buf job = BUF_INIT;
	ssize_t rule;
	size_t i = 0;

	/* a copy beside the message tells nothing of where it belongs */
	if (sock < 0 || span_is(to, from) ||
	    (rule = find_rule(root, from, to)) < 0)
		return;
	buf_addf(&job, "%zd", rule);
	buf_addc(&job, '\0');
	buf_adds(&job, from);
	buf_addc(&job, '\0');
	buf_addspan(&job, to);
	for (; i < paths->n; i++) {
		int fd = openat(dirfd, paths->v[i],
				O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
		bool sent = fd >= 0 && send_file(buf_span(&job), fd);

		if (fd >= 0)
			close(fd);
		if (fd >= 0 && !sent)
			break;
	}
	if (i < paths->n)
		log_warn("imap_move_hook: %zu of %zu messages moved from %s to "
			 "%.*s were too many at once: no program saw them",
			 paths->n - i, paths->n, from, SPAN_ARG(to));
	buf_free(&job);
}
