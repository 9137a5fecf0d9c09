/*
 * The server skeleton: one session script through every way of being started
 * gives the same transcript (DESIGN law 6); asks; limits; signals; sandbox.
 */
#include "unit.h"

#include "io.h"
#include "log.h"
#include "mem.h"
#include "sandbox.h"
#include "server_int.h"
#include "site.h"
#include "status.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

static int echo_offer;

/* In the monitor: upper case, refused when it begins with "no". */
static int
echo_upper(void *ctx, struct server *s, struct span request, struct buf *reply,
	   int *fd_r, struct err *e)
{
	(void)ctx;
	(void)s;
	(void)fd_r;
	if (span_starts(request, SPAN("no")))
		return err_set(e, ST_NOPERM, "not for you");
	for (size_t i = 0; i < request.n; i++)
		buf_addc(reply, ascii_toupper(request.p[i]));
	return 0;
}

static int
echo_before(struct server *s, bool reload, struct err *e)
{
	(void)reload;
	(void)e;
	echo_offer = server_offer(s, echo_upper, NULL);
	return 0;
}

static void
echo_line(struct server *s, struct stream *io, struct span line)
{
	struct buf reply = BUF_INIT;
	struct err e = ERR_INIT;

	if (span_is(line, "escape")) {
		int fd = open("/etc/passwd", O_RDONLY | O_CLOEXEC);
		int sock = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

		stream_printf(io, "%s %s\n", fd < 0 ? "shut" : "OPEN",
			      sock < 0 ? "shut" : "OPEN");
		return;
	}
	if (span_is(line, "crash"))
		abort();
	if (span_is(line, "flood")) { /* asks, and never listens */
		static char request[30000];

		memcpy(request, &echo_offer, sizeof(echo_offer));
		while (io_send_fd(s->ask, request, sizeof(request), -1) == 0)
			;
		return;
	}
	if (server_ask(s, echo_offer, line, &reply, NULL, &e) == 0)
		stream_printf(io, "%.*s\n", SPAN_ARG(buf_span(&reply)));
	else
		stream_printf(io, "refused: %s\n", e.text);
	buf_free(&reply);
}

static void
echo_session(struct server *s, struct server_conn *c)
{
	struct stream io;
	struct span line;

	stream_init(&io, c->fd_in, c->fd_out);
	if (c->too_many) {
		stream_puts(&io, "too many\n");
		(void)!stream_flush(&io, clock_deadline(1000));
		goto out;
	}
	stream_printf(&io, "hello %s\n", c->mode->name);
	for (;;) {
		if (!stream_ready(&io) &&
		    stream_flush(&io, clock_deadline(5000)) != IO_OK)
			break;
		io_stoppable = true;
		if (stream_line(&io, 100, &line, clock_deadline(30000)) !=
		    IO_OK)
			break;
		io_stoppable = false;
		if (span_is(line, "quit"))
			break;
		echo_line(s, &io, line);
	}
	stream_puts(&io, "bye\n");
	(void)!stream_flush(&io, clock_deadline(1000));
out:
	io.fd_in = io.fd_out = -1; /* the skeleton closes them */
	stream_close(&io);
}

/* Shared with the processes of a server, where there is one: workers fail. */
static _Atomic int *broken;

static int
echo_after(struct server *s, struct err *e)
{
	(void)s;
	return broken != NULL && *broken
		   ? err_set(e, ST_TEMPFAIL, "nothing works")
		   : 0;
}

static const struct server_mode echo_modes[] = { { .name = "one" },
						 { .name = "two" } };
static const struct program echo_program = { .name = "echo" };
static const struct server_spec echo_spec = {
	.program = &echo_program,
	.modes = echo_modes,
	.nmodes = ARRAY_LEN(echo_modes),
	.busy_text = "full\n",
	.before_drop = echo_before,
	.after_drop = echo_after,
	.session = echo_session,
};

/* Runs the server in a child; stdin and stdout as given. */
static pid_t
start(struct server_options *o, int in, int out, int listen_fds)
{
	pid_t pid = fork();

	if (pid != 0)
		return pid;
	if (in >= 0)
		(void)dup2(in, 0);
	if (out >= 0)
		(void)dup2(out, 1);
	if (listen_fds > 0) {
		char n[16];

		snprintf(n, sizeof(n), "%ld", (long)getpid());
		setenv("LISTEN_PID", n, 1);
		snprintf(n, sizeof(n), "%d", listen_fds);
		setenv("LISTEN_FDS", n, 1);
		setenv("LISTEN_FDNAMES", "two", 1);
	}
	_exit(server_run(&echo_spec, o, NULL));
}

static const char script[] = "abc\nno\nquit\n";

/* Sends the script, gathers everything until the end. */
static void
talk(int in, int out, const char *say, struct buf *got)
{
	buf_clear(got);
	if (io_write(out, say, strlen(say), clock_deadline(5000)) != IO_OK)
		return;
	if (in != out)
		close(out);
	if (io_read_all(in, got, 10000, clock_deadline(10000)) != IO_OK)
		buf_adds(got, "(no end)");
	close(in);
}

static int
dial_unix(const char *path)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	int fd;

	snprintf(sun.sun_path, sizeof(sun.sun_path), "%s", path);
	for (int i = 0; i < 100; i++) {
		fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
		if (connect(fd, (struct sockaddr *)&sun, sizeof(sun)) == 0)
			return fd;
		close(fd);
		usleep(50000);
	}
	return -1;
}

static int
listen_inet(int *port)
{
	struct sockaddr_in sin = { .sin_family = AF_INET };
	socklen_t len = sizeof(sin);
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	sin.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (bind(fd, (struct sockaddr *)&sin, sizeof(sin)) != 0 ||
	    listen(fd, 10) != 0)
		return -1;
	getsockname(fd, (struct sockaddr *)&sin, &len);
	*port = ntohs(sin.sin_port);
	return fd;
}

static int
dial_inet(int port)
{
	struct sockaddr_in sin = { .sin_family = AF_INET };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	sin.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	sin.sin_port = htons((uint16_t)port);
	if (connect(fd, (struct sockaddr *)&sin, sizeof(sin)) == 0)
		return fd;
	close(fd);
	return -1;
}

static int
ended(pid_t pid)
{
	int w = -1;

	for (int i = 0; i < 250; i++) {
		if (waitpid(pid, &w, WNOHANG) == pid)
			return WIFEXITED(w) ? WEXITSTATUS(w) : 1000;
		usleep(100000);
	}
	kill(pid, SIGKILL);
	waitpid(pid, &w, 0);
	return 2000;
}

#define SAYS(mode) "hello " mode "\nABC\nrefused: not for you\nbye\n"

static void
test_ways(void)
{
	struct server_options o = { .max_workers = 4 };
	struct buf got = BUF_INIT;
	int in[2], out[2], pair[2], port;
	char path[64];
	pid_t pid;

	/* pipes, as at a shell */
	(void)!pipe2(in, O_CLOEXEC);
	(void)!pipe2(out, O_CLOEXEC);
	pid = start(&o, in[0], out[1], 0);
	close(in[0]);
	close(out[1]);
	talk(out[0], in[1], script, &got);
	CHECK(span_is(buf_span(&got), SAYS("one")), "pipe: %zu bytes", got.n);
	CHECK(ended(pid) == 0, "pipe: exit 0");

	/* a connection as fd 0 and 1 (inetd nowait, exec:) */
	(void)!socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair);
	pid = start(&o, pair[1], pair[1], 0);
	close(pair[1]);
	talk(pair[0], pair[0], script, &got);
	CHECK(span_is(buf_span(&got), SAYS("one")), "socket on fd 0");
	CHECK(ended(pid) == 0, "socket on fd 0: exit 0");

	/* a listening socket as fd 0 (inetd wait), ends when idle */
	o.max_idle = 1500;
	int lfd = listen_inet(&port);

	pid = start(&o, lfd, -1, 0);
	close(lfd);
	int c = dial_inet(port);

	talk(c, c, script, &got);
	CHECK(span_is(buf_span(&got), SAYS("one")), "inetd wait");
	CHECK(ended(pid) == 0, "inetd wait: ends when idle");

	/* systemd, Accept=no: fd 3 listens, named */
	lfd = listen_inet(&port);
	if (lfd != 3)
		(void)dup2(lfd, 3);
	pid = start(&o, -1, -1, 1);
	if (lfd != 3)
		close(3);
	close(lfd);
	c = dial_inet(port);
	talk(c, c, script, &got);
	CHECK(span_is(buf_span(&got), SAYS("two")), "LISTEN_FDS: %s",
	      buf_str(&got));
	kill(pid, SIGTERM);
	CHECK(ended(pid) == 0, "LISTEN_FDS: SIGTERM ends with 0");

	/* by itself, on a unix socket whose name is the mode's */
	snprintf(path, sizeof(path), "/tmp/mxtest.%ld", (long)getpid());
	(void)mkdir(path, 0700);
	strs_addf(&o.listen, "unix:%s/two", path);
	pid = start(&o, -1, -1, 0);
	c = dial_unix(o.listen.v[0] + 5);
	talk(c, c, script, &got);
	CHECK(span_is(buf_span(&got), SAYS("two")), "--listen unix");
	kill(pid, SIGTERM);
	CHECK(ended(pid) == 0, "--listen: SIGTERM ends with 0");
	(void)unlink(o.listen.v[0] + 5);
	(void)rmdir(path);
	strs_free(&o.listen);
	buf_free(&got);
}

/* The n-th listener test server with some options; *port_r to dial. */
static pid_t
start_inet(struct server_options *o, int *port_r)
{
	int lfd = listen_inet(port_r);
	pid_t pid = start(o, lfd, -1, 0);

	close(lfd);
	return pid;
}

/* Workers that end before they serve anybody: longer and longer waits between
 * them, and clients are sent away meanwhile (THREATS 120). */
static void
test_failing(void)
{
	struct server_options o = { .max_workers = 3 };
	struct buf got = BUF_INIT;
	bool full = false, served = false;
	int port, c;
	pid_t pid;

	broken = mmap(NULL, sizeof(*broken), PROT_READ | PROT_WRITE,
		      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	CHECK(broken != MAP_FAILED, "mmap");
	*broken = 1;
	pid = start_inet(&o, &port);
	c = dial_inet(port);
	(void)!io_read_all(c, &got, 100, clock_deadline(20000));
	close(c);
	full = span_is(buf_span(&got), "full\n");
	CHECK(full, "no worker starts: %s", buf_str(&got));
	*broken = 0;
	for (int i = 0; i < 100 && !served; i++) {
		c = dial_inet(port);
		talk(c, c, script, &got);
		served = span_is(buf_span(&got), SAYS("one"));
		if (!served)
			usleep(100000);
	}
	CHECK(served, "one starts later: %s", buf_str(&got));
	kill(pid, SIGTERM);
	CHECK(ended(pid) == 0, "SIGTERM ends it with 0");
	(void)munmap(broken, sizeof(*broken));
	broken = NULL;
	buf_free(&got);
}

static void
test_limits(void)
{
	struct server_options o = { .max_workers = 3, .client_limit = 2 };
	struct buf got = BUF_INIT;
	int port, c[4];
	char word[32];
	pid_t pid = start_inet(&o, &port);

	for (int i = 0; i < 3; i++) {
		c[i] = dial_inet(port);
		memset(word, 0, sizeof(word));
		(void)!io_read(c[i], word, 9, clock_deadline(5000));
		CHECK(strcmp(word, i < 2 ? "hello one" : "too many\n") == 0,
		      "client limit %d: %s", i, word);
	}
	close(c[2]);
	talk(c[0], c[0], "crash\n", &got);
	CHECK(got.n == 1, "a crashed worker drops its client only");
	talk(c[1], c[1], "x\nquit\n", &got);
	CHECK(span_is(buf_span(&got), "\nX\nbye\n"), "the other one goes on");
	buf_free(&got);
	kill(pid, SIGTERM);
	(void)ended(pid);
}

/* A worker that was taken over floods the monitor: the others go on. */
static void
test_flood(void)
{
	struct server_options o = { .max_workers = 3 };
	struct buf got = BUF_INIT;
	int port, c[2];
	pid_t pid = start_inet(&o, &port);

	c[0] = dial_inet(port);
	c[1] = dial_inet(port);
	CHECK(io_write(c[0], "flood\n", 6, clock_deadline(5000)) == IO_OK,
	      "flood");
	/* by now the monitor has its answers refused */
	(void)poll(NULL, 0, 300);
	talk(c[1], c[1], "x\nquit\n", &got);
	CHECK(span_is(buf_span(&got), "hello one\nX\nbye\n"),
	      "the other one is answered, %zu bytes", got.n);
	close(c[0]);
	buf_free(&got);
	kill(pid, SIGTERM);
	CHECK(ended(pid) == 0, "stopped");
}

static void
test_full(void)
{
	struct server_options o = { .max_workers = 2 };
	struct buf got = BUF_INIT;
	int port, c[3];
	char word[16];
	pid_t pid = start_inet(&o, &port);

	for (int i = 0; i < 2; i++) {
		c[i] = dial_inet(port);
		(void)!io_read(c[i], word, 10, clock_deadline(5000));
	}
	c[2] = dial_inet(port);
	talk(c[2], c[2], "", &got);
	CHECK(span_is(buf_span(&got), "full\n"), "full: the client is told");
	/* sessions that wait for a command end at once with SIGTERM */
	kill(pid, SIGTERM);
	talk(c[0], c[0], "", &got);
	CHECK(span_is(buf_span(&got), "bye\n"), "SIGTERM at a safe point");
	CHECK(ended(pid) == 0, "stopped");
	close(c[1]);
	buf_free(&got);
}

static void
test_sandbox(void)
{
	struct server_options o = { .max_workers = 2 };
	struct buf got = BUF_INIT;
	int pair[2];
	pid_t pid;

	site.sandbox = SANDBOX_TRY;
	(void)!socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair);
	pid = start(&o, pair[1], pair[1], 0);
	close(pair[1]);
	talk(pair[0], pair[0], "escape\nabc\nquit\n", &got);
	CHECK(span_is(buf_span(&got), "hello one\nshut shut\nABC\nbye\n"),
	      "sandbox: %s", buf_str(&got));
	(void)ended(pid);
	buf_free(&got);
}

int
main(void)
{
	static char name[] = "mx-test";
	int null = open("/dev/null", O_WRONLY | O_CLOEXEC);

	site.syslog_name = name;
	site.run_directory = name;
	site.sandbox = SANDBOX_OFF;
	(void)signal(SIGPIPE, SIG_IGN);
	(void)signal(SIGALRM, SIG_DFL);
	alarm(120);
	setvbuf(stdout, NULL, _IONBF, 0);
	log_to_fd(null);
	test_ways();
	test_failing();
	test_limits();
	test_flood();
	test_full();
	test_sandbox();
	return unit_done();
}
