/*
 * Unit tests of common/io.c, endpoint.c and pipeline.c: deadlines that hold on
 * blocking descriptors, sockets that are busy or dead, stages that say too
 * much.
 */
#include "endpoint.h"
#include "io.h"
#include "proc.h"
#include "status.h"
#include "unit.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

static char dir[] = "/tmp/mx-unit-XXXXXX", path[64];
static char big[1 << 20];

/* A peer that never reads. */
static void
test_deadline(void)
{
	struct stream s;
	int pair[2], p[2];

	CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) == 0 &&
		  pipe2(p, O_CLOEXEC) == 0,
	      "a socket and a pipe");
	CHECK(io_write(pair[0], big, sizeof(big), clock_deadline(50)) ==
		  IO_TIMEOUT,
	      "a full socket: io_write ends");
	CHECK(io_write(p[1], big, sizeof(big), clock_deadline(50)) ==
		  IO_TIMEOUT,
	      "a full pipe: io_write ends");
	stream_init(&s, p[0], p[1]);
	s.out_limit = sizeof(big) * 2;
	stream_write(&s, big, sizeof(big));
	CHECK(stream_flush(&s, clock_deadline(50)) == IO_TIMEOUT,
	      "a full pipe: stream_flush ends");
	stream_close(&s);
	close(pair[0]);
	close(pair[1]);
}

static struct endpoint
at(const char *text)
{
	struct endpoint ep = { 0 };
	struct err e = ERR_INIT;

	CHECK(endpoint_parse(&ep, span_of(text), NULL, &e) == 0, "%s %s", text,
	      e.text);
	return ep;
}

/* Fills the queue of a listener; how many connections that took. */
static int
fill(int fds[64])
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	int n = 0;

	snprintf(sun.sun_path, sizeof(sun.sun_path), "%s", path);
	for (; n < 64; n++) {
		fds[n] = socket(AF_UNIX,
				SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
		if (connect(fds[n], (struct sockaddr *)&sun, sizeof(sun)) != 0)
			break;
	}
	close(fds[n]);
	return n;
}

static void
test_busy(void)
{
	char text[80];
	struct endpoint ep;
	struct err e = ERR_INIT;
	int lfd, fd, again, n, fds[64];
	pid_t pid;

	snprintf(path, sizeof(path), "%s/socket", dir);
	snprintf(text, sizeof(text), "unix:%s", path);
	ep = at(text);
	CHECK(endpoint_listen(&ep, 0600, &lfd, 1, &e) == 1 &&
		  listen(lfd, 2) == 0,
	      "listens");
	n = fill(fds);
	fd = endpoint_connect(&ep, clock_deadline(50), &e);
	CHECK(fd < 0 && e.status == ST_TEMPFAIL,
	      "%d wait, the next does not: %s", n, e.text);
	e = ERR_INIT;
	CHECK(endpoint_listen(&ep, 0600, &again, 1, &e) < 0 &&
		  strstr(e.text, "another process serves") != NULL,
	      "a busy one is served: %s", e.text);
	pid = fork();
	if (pid == 0) {
		(void)poll(NULL, 0, 100);
		for (int i = 0; i < n; i++)
			(void)!accept(lfd, NULL, NULL);
		fd = accept(lfd, NULL, NULL);
		_exit(write(fd, "hi", 2) == 2 ? 0 : 1);
	}
	fd = endpoint_connect(&ep, clock_deadline(10000), &e);
	CHECK(fd >= 0 && io_read(fd, text, 2, clock_deadline(10000)) == IO_OK,
	      "connected once there is room");
	CHECK(proc_wait(pid, clock_deadline(10000), NULL) == 0, "and taken");
	close(fd);
	for (int i = 0; i < n; i++)
		close(fds[i]);
	close(lfd);
	CHECK(endpoint_listen(&ep, 0600, &lfd, 1, &e) == 1,
	      "a dead one makes room: %s", e.text);
	close(lfd);
	unlink(path);
	endpoint_free(&ep);
	ep = at("inet:no.such.name.invalid:25");
	e = ERR_INIT;
	CHECK(endpoint_connect(&ep, clock_deadline(5000), &e) < 0 &&
		  status_is_temp(e.status),
	      "an unknown name is not for good: %d %s", e.status, e.text);
	endpoint_free(&ep);
}

/* A list of actions that is cut off must not pass for a whole one. */
static void
test_actions(void)
{
	static const struct {
		const char *bytes;
		int failed;
	} cases[] = { { "1000", -1 }, { "1048576", -1 }, { "3000000", 0 } };

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct proc_stage s = { .argv = STRS_INIT };
		int null = open("/dev/null", O_RDWR | O_CLOEXEC);

		strs_add(&s.argv, "sh");
		strs_add(&s.argv, "-c");
		strs_addf(&s.argv, "head -c %s /dev/zero >&3", cases[i].bytes);
		CHECK(proc_pipe(&s, 1, null, null, NULL,
				clock_deadline(20000)) == cases[i].failed,
		      "%s bytes: %zu kept", cases[i].bytes, s.actions.n);
		proc_stage_free(&s);
		close(null);
	}
}

int
main(void)
{
	(void)signal(SIGPIPE, SIG_IGN);
	alarm(60);
	if (mkdtemp(dir) == NULL)
		return 1;
	setvbuf(stdout, NULL, _IONBF, 0);
	test_busy();
	test_actions();
	test_deadline();
	rmdir(dir);
	return unit_done();
}
