/*
 * apart.c - what the network says is read by processes that hold nothing: the
 * one that asks DNS and the system for names, and mx-fetch.  This one, which
 * has rights on tables and passwords until it gives them up, hears typed
 * answers whose lengths are checked, and believes them no more than the network
 * (law 4, DESIGN 3.1).
 * A frame: its length in four bytes, then that many.  apart_ask.c: the side
 * that asks.
 */
#include "apart.h"
#include "io.h"
#include "mem.h"
#include "mtasts.h"
#include "mx_hosts.h"
#include "sandbox.h"
#include "send.h"
#include "site.h"
#include "status.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

void
apart_put(struct buf *b, uint32_t n)
{
	const unsigned char v[4] = { (unsigned char)(n >> 24),
				     (unsigned char)(n >> 16),
				     (unsigned char)(n >> 8),
				     (unsigned char)n };

	buf_add(b, v, sizeof(v));
}

void
apart_put_span(struct buf *b, struct span s)
{
	apart_put(b, (uint32_t)s.n);
	buf_addspan(b, s);
}

bool
apart_get(struct span *in, uint32_t *n)
{
	const unsigned char *p = (const unsigned char *)in->p;

	if (in->n < 4)
		return false;
	*n = (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 |
	     p[3];
	*in = span_from(*in, 4);
	return true;
}

bool
apart_get_span(struct span *in, struct span *out)
{
	uint32_t n;

	if (!apart_get(in, &n) || n > in->n)
		return false;
	*out = span_sub(*in, 0, n);
	*in = span_from(*in, n);
	return true;
}

bool
apart_read(int fd, struct buf *b, deadline_t dl)
{
	unsigned char head[4] = { 0 };
	struct span in = span_make((const char *)head, sizeof(head));
	uint32_t n;

	buf_clear(b);
	if (io_read(fd, head, sizeof(head), dl) != IO_OK ||
	    !apart_get(&in, &n) || n > APART_FRAME_MAX ||
	    io_read(fd, buf_room(b, n), n, dl) != IO_OK)
		return false;
	buf_grew(b, n);
	return true;
}

bool
apart_write(int fd, struct span s, deadline_t dl)
{
	struct buf b = BUF_INIT;

	apart_put_span(&b, s);
	bool ok = io_write(fd, b.p, b.n, dl) == IO_OK;
	buf_free(&b);
	return ok;
}

static void
answer_dns(struct dns *d, struct span in, struct buf *out)
{
	struct dns_answer ans = { .n = 0 };
	struct err e = ERR_INIT;
	enum dns_status st = DNS_TEMP;
	uint32_t type, ms;
	struct span name;

	if (d != NULL && apart_get(&in, &type) && apart_get(&in, &ms) &&
	    apart_get_span(&in, &name)) {
		char *z = mem_spandup(name);

		st = dns_query(d, z, (int)type, &ans, clock_deadline(ms), &e);
		free(z);
	}
	apart_put(out, (uint32_t)st);
	apart_put(out, ans.ad);
	apart_put(out, ans.neg_ttl);
	apart_put_span(out, span_of(ans.name != NULL ? ans.name : ""));
	apart_put_span(out, span_of(e.text));
	apart_put(out, (uint32_t)ans.n);
	for (size_t i = 0; i < ans.n; i++) {
		const struct dns_rr *r = &ans.v[i];

		apart_put(out, r->ttl);
		apart_put(out, (uint32_t)r->preference);
		apart_put(out, (uint32_t)r->usage << 16 |
				   (uint32_t)r->selector << 8 | r->matching);
		apart_put_span(out, span_make(r->text, r->len));
	}
	dns_answer_free(&ans);
}

static void
answer_system(struct span in, struct buf *out)
{
	struct strs addrs = STRS_INIT;
	char *name = mem_spandup(in);
	int r = mx_hosts_system(NULL, name, &addrs);

	/* getaddrinfo's words are small negative numbers. */
	apart_put(out, (uint32_t)-r);
	apart_put(out, (uint32_t)addrs.n);
	for (size_t i = 0; i < addrs.n; i++)
		apart_put_span(out, span_of(addrs.v[i]));
	strs_free(&addrs);
	free(name);
}

/* Asks for as long as somebody wants to know. */
static MX_NORETURN void
serve_names(int fd)
{
	/* What getaddrinfo reads; it loads nss modules, too. */
	static const char *const paths[] = {
		"/etc/hosts",       "/etc/nsswitch.conf",
		"/etc/resolv.conf", "/etc/host.conf",
		"/etc/gai.conf",    "/etc/ld.so.cache",
		"/usr/lib",         "/lib",
		"/lib64",           "/usr/lib64",
		"/run/systemd",     NULL
	};
	struct buf in = BUF_INIT, out = BUF_INIT;
	struct err e = ERR_INIT;
	struct dns *d = dns_open(site.resolver, &e);

	if (sandbox_enter((enum sandbox_mode)site.sandbox,
			  SANDBOX_STDIO | SANDBOX_CONNECT | SANDBOX_RPATH |
			      SANDBOX_QUIET,
			  paths, &e) != 0)
		_exit(ST_TEMPFAIL);
	while (apart_read(fd, &in, DEADLINE_NEVER) && in.n > 0) {
		buf_clear(&out);
		if (in.p[0] == 'q')
			answer_dns(d, span_from(buf_span(&in), 1), &out);
		else
			answer_system(span_from(buf_span(&in), 1), &out);
		if (!apart_write(fd, buf_span(&out), DEADLINE_NEVER))
			break;
	}
	_exit(ST_OK);
}

/* mx-fetch closes its own sandbox; its user is ours. */
static MX_NORETURN void
serve_fetch(int fd)
{
	struct buf in = BUF_INIT, out = BUF_INIT, errs = BUF_INIT;
	struct strs argv = STRS_INIT;
	struct span rest, word;
	uint32_t ms = 0;

	(void)signal(SIGCHLD, SIG_DFL); /* it is waited for */
	if (!apart_read(fd, &in, DEADLINE_NEVER))
		_exit(ST_OK);
	rest = buf_span(&in);
	if (!apart_get(&rest, &ms))
		_exit(ST_USAGE);
	while (apart_get_span(&rest, &word))
		strs_addspan(&argv, word);
	if (argv.n == 0)
		_exit(ST_USAGE);
	int st = mtasts_run(NULL, &argv, &out, &errs, clock_deadline(ms));
	buf_clear(&in);
	apart_put(&in, (uint32_t)st);
	apart_put_span(&in, buf_span(&out));
	apart_put_span(&in, buf_span(&errs));
	_exit(apart_write(fd, buf_span(&in), DEADLINE_NEVER) ? ST_OK
							     : ST_TEMPFAIL);
}

/* In a new process: nothing but this channel, and nobody's rights. */
MX_NORETURN void
apart_become(char what, int fd)
{
	const int keep[] = { fd, -1 };
	struct err e = ERR_INIT;
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	if (null < 0 || dup2(null, STDIN_FILENO) < 0 ||
	    dup2(null, STDOUT_FILENO) < 0)
		_exit(ST_TEMPFAIL);
	sandbox_close_others(3, keep);
	if (sandbox_user(site.net_user, &e) != 0 || sandbox_user_next(&e) != 0)
		_exit(ST_CONFIG);
	if (what == 'f')
		serve_fetch(fd);
	serve_names(fd);
}

/* Forks them for the processes of --jobs, from before any table was read. */
static MX_NORETURN void
keeper(int sock)
{
	static const int plain[] = { SIGTERM, SIGINT, SIGHUP };
	const int keep[] = { sock, -1 };
	struct err e = ERR_INIT;

	(void)signal(SIGCHLD, SIG_IGN);
	/* Whoever asks may still have a message on its way. */
	for (size_t i = 0; i < ARRAY_LEN(plain); i++)
		(void)signal(plain[i], SIG_IGN);
	sandbox_close_others(3, keep);
	if (sandbox_user(site.net_user, &e) != 0)
		_exit(ST_CONFIG);
	for (;;) {
		char what = 0;
		int fd = -1;
		ssize_t n = io_recv_fd(sock, &what, 1, &fd);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			_exit(ST_OK);
		if (fd >= 0 && fork() == 0)
			apart_become(what, fd);
		if (fd >= 0)
			close(fd);
	}
}

int
apart_keeper(void)
{
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0)
		return -1;
	pid_t pid = fork();
	if (pid == 0) {
		close(pair[0]);
		/* The runner's socket ends with us, not with it. */
		int null = open("/dev/null", O_RDWR | O_CLOEXEC);
		if (null < 0 || dup2(null, STDIN_FILENO) < 0)
			_exit(ST_TEMPFAIL);
		keeper(pair[1]);
	}
	close(pair[1]);
	if (pid < 0) {
		close(pair[0]);
		return -1;
	}
	return pair[0];
}
