/*
 * hook_run.c - the process that runs imap_move_hook's programs, one after the
 * other.  What the session sends is a user's: numbers are checked, names are
 * words of the environment and nothing else.
 */
#include "hook.h"
#include "log.h"
#include "mem.h"
#include "num.h"
#include "proc.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#define WAITING_MAX 4000
#define PROGRAM_MS (5 * 60 * 1000)
#define LOOK_MS 20
#define JOB_MAX 2048

struct job {
	int fd;
	uint64_t rule;
	char *from, *to;
};
struct runner {
	const struct hook_rules *h;
	const struct auth_user *u;
	int sock;
	bool end;
	struct job *v; /* a ring */
	size_t at, n;
	size_t passed_over;
	pid_t pid; /* the program that runs, or 0 */
	deadline_t until;
};

/* "RULE NUL FROM NUL TO" */
static bool
parse_job(const struct runner *r, struct span s, struct job *j)
{
	struct span rule, from;

	if (!span_split(&s, '\0', &rule) || !span_split(&s, '\0', &from) ||
	    !num_u64(rule, UINT32_MAX, &j->rule) || j->rule >= r->h->n ||
	    r->h->v[j->rule].argv.n == 0 || span_has_ctl(from) ||
	    span_has_ctl(s))
		return false;
	j->from = mem_spandup(from);
	j->to = mem_spandup(s);
	return true;
}

static void
job_free(struct job *j)
{
	close(j->fd);
	free(j->from);
	free(j->to);
}

/* All that has come. */
static void
take(struct runner *r)
{
	char text[JOB_MAX];
	struct job j;
	ssize_t n;

	while ((n = io_recv_fd(r->sock, text, sizeof(text), &j.fd)) > 0) {
		if (j.fd < 0)
			continue;
		if (r->n == WAITING_MAX) {
			r->passed_over++;
			close(j.fd);
		} else if (parse_job(r, span_make(text, (size_t)n), &j)) {
			r->v[(r->at + r->n++) % WAITING_MAX] = j;
		} else {
			close(j.fd);
		}
	}
	if (n == 0 || (n < 0 && errno != EAGAIN))
		r->end = true;
}

/* %u %n %d %h, and %% */
static void
expand(struct strs *argv, const char *arg, const struct auth_user *u)
{
	struct buf b = BUF_INIT;
	struct span user = span_of(u->user), local = user;
	ssize_t at = span_rchr(user, '@');

	if (at >= 0)
		local = span_sub(user, 0, (size_t)at);
	for (; *arg != '\0'; arg++) {
		if (arg[0] != '%' || arg[1] == '\0') {
			buf_addc(&b, *arg);
			continue;
		}
		switch (*++arg) {
		case 'u':
			buf_addspan(&b, user);
			break;
		case 'n':
			buf_addspan(&b, local);
			break;
		case 'd':
			if (at >= 0)
				buf_addspan(&b,
					    span_from(user, (size_t)at + 1));
			break;
		case 'h':
			buf_adds(&b, u->home != NULL ? u->home : "");
			break;
		default:
			buf_addc(&b, *arg);
			break;
		}
	}
	strs_addspan(argv, buf_span(&b));
	buf_free(&b);
}

static void
environment(struct strs *env, const struct job *j, const struct auth_user *u)
{
	strs_add(env, "PATH=/usr/local/bin:/usr/bin:/bin:/usr/local/sbin:"
		      "/usr/sbin:/sbin");
	strs_addf(env, "USER=%s", u->user);
	strs_addf(env, "LOGNAME=%s", u->user);
	strs_addf(env, "HOME=%s", u->home != NULL ? u->home : "/");
	strs_addf(env, "MX_FROM=%s", j->from);
	strs_addf(env, "MX_TO=%s", j->to);
}

static void
start(struct runner *r)
{
	struct job j = r->v[r->at];
	const struct strs *words = &r->h->v[j.rule].argv;
	struct strs argv = STRS_INIT, env = STRS_INIT;
	struct proc_spec ps = { .fd = { j.fd, -1, -1, -1 }, .new_group = true };
	struct err e = ERR_INIT;
	pid_t pid;

	for (size_t i = 0; i < words->n; i++)
		expand(&argv, words->v[i], r->u);
	environment(&env, &j, r->u);
	argv.v = mem_grow(argv.v, &argv.cap, argv.n + 1, sizeof(*argv.v));
	argv.v[argv.n] = NULL;
	env.v = mem_grow(env.v, &env.cap, env.n + 1, sizeof(*env.v));
	env.v[env.n] = NULL;
	ps.argv = argv.v;
	ps.envp = env.v;
	(void)lseek(j.fd, 0, SEEK_SET);
	pid = proc_spawn(&ps, &e);
	if (pid < 0)
		log_error("imap_move_hook: %s: %s", r->u->user, e.text);
	r->pid = pid > 0 ? pid : 0;
	r->until = clock_deadline(PROGRAM_MS);
	if (r->pid == 0) {
		job_free(&r->v[r->at]);
		r->at = (r->at + 1) % WAITING_MAX;
		r->n--;
	}
	strs_free(&argv);
	strs_free(&env);
}

/* Has the program ended?  some tell by it what they learned: its status is
 * for the log. */
static void
look(struct runner *r)
{
	struct job *j = &r->v[r->at];
	const char *program = r->h->v[j->rule].argv.v[0];
	int w;

	if (clock_left(r->until) == 0)
		(void)kill(-r->pid, SIGKILL);
	if (waitpid(r->pid, &w, WNOHANG) != r->pid)
		return;
	if (WIFEXITED(w))
		log_info("%s: moved from %s to %s: %s ended with %d",
			 r->u->user, j->from, j->to, program, WEXITSTATUS(w));
	else
		log_warn("%s: moved from %s to %s: %s was killed", r->u->user,
			 j->from, j->to, program);
	job_free(j);
	r->at = (r->at + 1) % WAITING_MAX;
	r->n--;
	r->pid = 0;
}

/* Files wait open. */
static void
more_files(void)
{
	struct rlimit l;

	if (getrlimit(RLIMIT_NOFILE, &l) != 0)
		return;
	if (l.rlim_cur < WAITING_MAX + 100) {
		l.rlim_cur = WAITING_MAX + 100;
		if (l.rlim_cur > l.rlim_max)
			l.rlim_cur = l.rlim_max;
		(void)setrlimit(RLIMIT_NOFILE, &l);
	}
}

void
hook_run(const struct hook_rules *h, const struct auth_user *u, int sock)
{
	struct runner r = { .h = h, .u = u, .sock = sock };

	r.v = mem_alloc(WAITING_MAX, sizeof(*r.v));
	more_files();
	(void)!io_nonblock(sock, true);
	while (!r.end || r.n > 0) {
		struct pollfd p = { r.end ? -1 : sock, POLLIN, 0 };

		if (r.n > 0 && r.pid == 0)
			start(&r);
		(void)poll(&p, 1, r.pid != 0 ? LOOK_MS : r.n > 0 ? 0 : -1);
		if (!r.end && p.revents != 0)
			take(&r);
		if (r.pid != 0)
			look(&r);
	}
	if (r.passed_over > 0)
		log_warn("%s: imap_move_hook: %zu messages were too many at "
			 "once",
			 u->user, r.passed_over);
	free(r.v);
}
