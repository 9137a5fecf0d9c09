/*
 * endpoint.c - where a link's other end is; see endpoint.h.
 * Layer: sys.  DESIGN 3.2.
 */
#include "endpoint.h"
#include "buf.h"
#include "io.h"
#include "mem.h"
#include "num.h"
#include "proc.h"
#include "sandbox.h"
#include "status.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

void
endpoint_free(struct endpoint *ep)
{
	free(ep->text);
	free(ep->path);
	free(ep->host);
	free(ep->port);
	*ep = (struct endpoint){ 0 };
}

/* HOST:PORT, [V6]:PORT, :PORT, PORT */
static int
endpoint_inet(struct endpoint *ep, struct span s, struct err *e)
{
	struct span host, port;
	ssize_t colon;

	if (s.n > 0 && s.p[0] == '[') {
		ssize_t end = span_chr(s, ']');

		if (end < 0 || (size_t)end + 2 >= s.n || s.p[end + 1] != ':')
			return err_set(e, ST_CONFIG,
				       "\"%.*s\": expected [ADDRESS]:PORT",
				       SPAN_ARG(s));
		host = span_sub(s, 1, (size_t)end);
		if (span_istarts(host, SPAN("ipv6:")))
			host = span_from(host, 5);
		port = span_from(s, (size_t)end + 2);
	} else {
		colon = span_rchr(s, ':');
		host = colon < 0 ? SPAN("") : span_sub(s, 0, (size_t)colon);
		port = colon < 0 ? s : span_from(s, (size_t)colon + 1);
	}
	if (port.n == 0 || span_chr(host, ':') >= 0 ? s.p[0] != '[' : false)
		return err_set(e, ST_CONFIG,
			       "\"%.*s\": expected HOST:PORT or [V6]:PORT",
			       SPAN_ARG(s));
	if (span_is(host, "*"))
		host = SPAN("");
	ep->host = mem_spandup(host);
	ep->port = mem_spandup(port);
	return 0;
}

int
endpoint_parse(struct endpoint *ep, struct span text, const char *run_dir,
	       struct err *e)
{
	struct span s = span_trim(text);

	*ep = (struct endpoint){ .text = mem_spandup(s) };
	if (s.n == 0 || span_has_ctl(s)) {
		err_set(e, ST_CONFIG,
			"empty endpoint: expected unix:PATH, inet:HOST:PORT "
			"or exec:COMMAND");
		goto out;
	}
	if (span_starts(s, SPAN("unix:"))) {
		struct span path = span_from(s, 5);
		struct sockaddr_un sun;
		ssize_t slash = span_rchr(path, '/');

		ep->kind = ENDPOINT_UNIX;
		if (path.n > 0 && path.p[0] == '/')
			ep->path = mem_spandup(path);
		else
			ep->path = mem_printf(
			    "%s/%.*s", run_dir ? run_dir : ".",
			    SPAN_ARG(span_from(path, (size_t)(slash + 1))));
		if (path.n == 0 || strlen(ep->path) >= sizeof(sun.sun_path)) {
			err_set(e, ST_CONFIG,
				"\"%s\": a socket's path has 1 to %zu bytes",
				ep->text, sizeof(sun.sun_path) - 1);
			goto out;
		}
		return 0;
	}
	if (span_starts(s, SPAN("exec:"))) {
		ep->kind = ENDPOINT_EXEC;
		ep->path = mem_spandup(span_trim(span_from(s, 5)));
		if (ep->path[0] == '\0') {
			err_set(e, ST_CONFIG, "exec: needs a command");
			goto out;
		}
		return 0;
	}
	ep->kind = ENDPOINT_INET;
	if (span_starts(s, SPAN("inet:")))
		s = span_from(s, 5);
	if (endpoint_inet(ep, s, e) == 0)
		return 0;
out:
	endpoint_free(ep);
	return -1;
}

static int
endpoint_unix_addr(const struct endpoint *ep, struct sockaddr_un *sun)
{
	*sun = (struct sockaddr_un){ .sun_family = AF_UNIX };
	snprintf(sun->sun_path, sizeof(sun->sun_path), "%s", ep->path);
	return socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
}

static int
endpoint_exec(const struct endpoint *ep, struct err *e)
{
	struct strs argv = STRS_INIT;
	int pair[2];
	pid_t pid = -1;

	if (proc_words(&argv, span_of(ep->path), e) != 0)
		return -1;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0) {
		strs_free(&argv);
		return err_sys(e, "socketpair");
	}
	if (argv.n > 0) {
		struct proc_spec ps = { .argv = argv.v,
					.fd = { pair[1], pair[1], 2, -1 } };

		pid = proc_spawn(&ps, e);
	} else {
		err_set(e, ST_CONFIG, "%s: no command", ep->text);
	}
	strs_free(&argv);
	close(pair[1]);
	if (pid < 0) {
		close(pair[0]);
		return -1;
	}
	return pair[0];
}

/* connect(2) on a non-blocking socket.  A unix socket whose listener has its
 * queue full answers EAGAIN and has begun nothing (there is nothing to poll
 * for): it is asked again. */
static int
endpoint_try(int fd, const struct sockaddr *sa, socklen_t len, deadline_t d)
{
	int r;

	while ((r = connect(fd, sa, len)) != 0 && errno == EAGAIN) {
		if (clock_left(d) == 0) {
			errno = ETIMEDOUT;
			break;
		}
		(void)poll(NULL, 0, 10);
	}
	return r;
}

/* Connects within the deadline; the descriptor is blocking afterwards. */
static int
endpoint_connect_fd(int fd, const struct sockaddr *sa, socklen_t len,
		    deadline_t d)
{
	int code = 0;
	socklen_t size = sizeof(code);

	if (io_nonblock(fd, true) != 0)
		return -1;
	if (endpoint_try(fd, sa, len, d) != 0) {
		if (errno != EINPROGRESS)
			return -1;
		switch (io_wait(fd, true, d)) {
		case IO_OK:
			break;
		case IO_TIMEOUT:
			errno = ETIMEDOUT;
			return -1;
		default:
			return -1;
		}
		if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &code, &size) != 0)
			return -1;
		if (code != 0) {
			errno = code;
			return -1;
		}
	}
	return io_nonblock(fd, false);
}

static int
endpoint_lookup(const struct endpoint *ep, bool passive, struct addrinfo **list,
		struct err *e)
{
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM,
				  .ai_family = AF_UNSPEC,
				  .ai_flags = passive ? AI_PASSIVE : 0 };
	const char *host = ep->host[0] != '\0' ? ep->host : NULL;
	int code = getaddrinfo(host, ep->port, &hints, list);

	if (code == 0)
		return 0;
	/* Never for good: a link that was configured is away for a time, and
	 * a mail must not bounce for it. */
	return err_set(e,
		       code == EAI_NONAME || code == EAI_SERVICE ? ST_CONFIG
								 : ST_TEMPFAIL,
		       "%s: %s", ep->text, gai_strerror(code));
}

int
endpoint_connect(const struct endpoint *ep, deadline_t d, struct err *e)
{
	struct sockaddr_un sun;
	struct addrinfo *list, *ai;
	int fd, one = 1;

	if (ep->kind == ENDPOINT_EXEC)
		return endpoint_exec(ep, e);
	if (ep->kind == ENDPOINT_UNIX) {
		fd = endpoint_unix_addr(ep, &sun);
		if (fd >= 0 && endpoint_connect_fd(fd, (struct sockaddr *)&sun,
						   sizeof(sun), d) == 0)
			return fd;
		err_sys(e, "%s", ep->path);
		if (fd >= 0)
			close(fd);
		if (e != NULL)
			e->status = ST_TEMPFAIL;
		return -1;
	}
	if (endpoint_lookup(ep, false, &list, e) != 0)
		return -1;
	fd = -1;
	for (ai = list; ai != NULL; ai = ai->ai_next) {
		fd = socket(ai->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
		if (fd >= 0 && endpoint_connect_fd(fd, ai->ai_addr,
						   ai->ai_addrlen, d) == 0)
			break;
		err_sys(e, "%s", ep->text);
		if (e != NULL)
			e->status = ST_TEMPFAIL;
		io_close(&fd);
	}
	freeaddrinfo(list);
	if (fd >= 0)
		(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one,
				 sizeof(one));
	return fd;
}

int
endpoint_sockaddr(const struct endpoint *ep, struct sockaddr_storage *ss,
		  socklen_t *len, struct err *e)
{
	struct sockaddr_in *v4 = (void *)ss;
	struct sockaddr_in6 *v6 = (void *)ss;
	int port;

	*ss = (struct sockaddr_storage){ 0 };
	if (ep->kind == ENDPOINT_INET &&
	    num_int(span_of(ep->port), 1, 65535, &port)) {
		if (inet_pton(AF_INET, ep->host, &v4->sin_addr) == 1) {
			v4->sin_family = AF_INET;
			v4->sin_port = htons((uint16_t)port);
			*len = sizeof(*v4);
			return 0;
		}
		if (inet_pton(AF_INET6, ep->host, &v6->sin6_addr) == 1) {
			v6->sin6_family = AF_INET6;
			v6->sin6_port = htons((uint16_t)port);
			*len = sizeof(*v6);
			return 0;
		}
	}
	return err_set(e, ST_CONFIG, "%s: expected ADDRESS:PORT in numbers",
		       ep->text);
}

/* The inode of the socket that listens on this port, from /proc/net. */
static bool
endpoint_inode(const char *file, int port, struct span *inode_r, struct buf *b)
{
	struct span rest, line;
	char want[16];

	snprintf(want, sizeof(want), ":%04X ", (unsigned)port);
	buf_clear(b);
	if (io_read_file(file, b, 4 << 20, NULL) != 0)
		return false;
	rest = buf_span(b);
	while (span_split(&rest, '\n', &line)) {
		struct span w, words = line;
		int field = 0;

		/* sl local remote st ... inode: 0A is LISTEN. */
		if (span_find(span_sub(line, 0, 45), span_of(want)) < 0 ||
		    span_find(line, SPAN(" 0A ")) < 0)
			continue;
		while (field < 10 && span_word(&words, " ", &w))
			field++;
		if (field == 10) {
			*inode_r = w;
			return true;
		}
	}
	return false;
}

/* Does process `pid` hold the socket?  Then its name is appended. */
static bool
endpoint_holds(const char *pid, const char *target, struct buf *out)
{
	char path[300], link[300];
	struct buf comm = BUF_INIT;
	struct dirent *de;
	DIR *d;
	bool found = false;

	snprintf(path, sizeof(path), "/proc/%s/fd", pid);
	d = opendir(path);
	if (d == NULL)
		return false;
	while (!found && (de = readdir(d)) != NULL) {
		ssize_t n =
		    readlinkat(dirfd(d), de->d_name, link, sizeof(link) - 1);

		if (n > 0) {
			link[n] = '\0';
			found = strcmp(link, target) == 0;
		}
	}
	closedir(d);
	if (!found)
		return false;
	snprintf(path, sizeof(path), "/proc/%s/comm", pid);
	if (io_read_file(path, &comm, 256, NULL) == 0)
		buf_addf(out, "%.*s, ", SPAN_ARG(span_trim(buf_span(&comm))));
	buf_addf(out, "process %s", pid);
	buf_free(&comm);
	return true;
}

/* Who listens on this port?  What /proc lets us see. */
static void
endpoint_owner(int port, struct buf *out)
{
	struct buf b = BUF_INIT;
	struct span inode;
	char target[64];
	struct dirent *de;
	DIR *d;

	if (!endpoint_inode("/proc/net/tcp", port, &inode, &b) &&
	    !endpoint_inode("/proc/net/tcp6", port, &inode, &b)) {
		buf_free(&b);
		return;
	}
	snprintf(target, sizeof(target), "socket:[%.*s]", SPAN_ARG(inode));
	buf_free(&b);
	d = opendir("/proc");
	while (d != NULL && (de = readdir(d)) != NULL) {
		if (ascii_isdigit(de->d_name[0]) &&
		    endpoint_holds(de->d_name, target, out))
			break;
	}
	if (d != NULL)
		closedir(d);
}

/* Takes away a socket that nobody listens on: a dead server's.  Only
 * ECONNREFUSED says that; a busy one (EAGAIN) is served. */
static int
endpoint_clear(const struct endpoint *ep, struct err *e)
{
	struct sockaddr_un sun;
	int fd = endpoint_unix_addr(ep, &sun), r;

	if (fd < 0 || io_nonblock(fd, true) != 0) {
		r = err_sys(e, "%s", ep->path);
		io_close(&fd);
		return r;
	}
	r = connect(fd, (struct sockaddr *)&sun, sizeof(sun));
	if (r == 0 || errno == EAGAIN)
		r = err_set(e, ST_TEMPFAIL, "%s: another process serves it",
			    ep->path);
	else if (errno != ECONNREFUSED ||
		 (unlink(ep->path) != 0 && errno != ENOENT))
		r = err_sys(e, "%s", ep->path);
	else
		r = 0;
	close(fd);
	return r;
}

static int
endpoint_listen_unix(const struct endpoint *ep, unsigned mode, int *fd_r,
		     struct err *e)
{
	struct sockaddr_un sun;
	struct stat st;
	int fd;

	if (lstat(ep->path, &st) == 0 && S_ISSOCK(st.st_mode) &&
	    endpoint_clear(ep, e) != 0)
		return -1;
	fd = endpoint_unix_addr(ep, &sun);
	if (fd < 0)
		return err_sys(e, "%s", ep->path);
	mode_t old = umask((mode_t)(~mode & 0777));
	int r = bind(fd, (struct sockaddr *)&sun, sizeof(sun));

	umask(old);
	if (r != 0 || listen(fd, 1024) != 0) {
		err_sys(e, "%s", ep->path);
		close(fd);
		return -1;
	}
	*fd_r = fd;
	return 1;
}

static int
endpoint_listen_one(const struct addrinfo *ai)
{
	int fd = socket(ai->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1;

	if (fd < 0)
		return -1;
	(void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (ai->ai_family == AF_INET6)
		(void)setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on,
				 sizeof(on));
	if (bind(fd, ai->ai_addr, ai->ai_addrlen) == 0 && listen(fd, 1024) == 0)
		return fd;
	int code = errno;

	close(fd);
	errno = code;
	return -1;
}

int
endpoint_listen(const struct endpoint *ep, unsigned mode, int *fds_r, int max,
		struct err *e)
{
	struct addrinfo *list, *ai;
	struct buf who = BUF_INIT;
	int n = 0, port;

	if (ep->kind == ENDPOINT_EXEC)
		return err_set(e, ST_USAGE, "%s: cannot listen on a command",
			       ep->text);
	if (ep->kind == ENDPOINT_UNIX)
		return endpoint_listen_unix(ep, mode, fds_r, e);
	if (endpoint_lookup(ep, true, &list, e) != 0)
		return -1;
	for (ai = list; ai != NULL && n < max; ai = ai->ai_next) {
		int fd = endpoint_listen_one(ai);

		if (fd >= 0) {
			fds_r[n++] = fd;
			continue;
		}
		/* No IPv6 here: the other family will do. */
		if (errno == EAFNOSUPPORT || errno == EADDRNOTAVAIL) {
			err_sys(e, "%s", ep->text);
			continue;
		}
		err_sys(e, "%s", ep->text);
		if (errno == EADDRINUSE && e != NULL &&
		    num_int(span_of(ep->port), 1, 65535, &port)) {
			endpoint_owner(port, &who);
			err_set(e, ST_TEMPFAIL,
				"%s: port %d is in use%s%s%s: stop that "
				"server or choose another port",
				ep->text, port, who.n ? " (" : "",
				buf_str(&who), who.n ? ")" : "");
			buf_free(&who);
		}
		while (n > 0)
			close(fds_r[--n]);
		freeaddrinfo(list);
		return -1;
	}
	freeaddrinfo(list);
	return n > 0 ? n : -1;
}

void
endpoint_peer(const struct sockaddr_storage *ss, char *addr_r, size_t size,
	      int *port_r)
{
	const struct sockaddr_in *v4 = (const void *)ss;
	const struct sockaddr_in6 *v6 = (const void *)ss;

	*port_r = 0;
	snprintf(addr_r, size, "unknown");
	if (ss->ss_family == AF_INET) {
		inet_ntop(AF_INET, &v4->sin_addr, addr_r, (socklen_t)size);
		*port_r = ntohs(v4->sin_port);
	} else if (ss->ss_family == AF_INET6) {
		if (IN6_IS_ADDR_V4MAPPED(&v6->sin6_addr))
			inet_ntop(AF_INET, v6->sin6_addr.s6_addr + 12, addr_r,
				  (socklen_t)size);
		else
			inet_ntop(AF_INET6, &v6->sin6_addr, addr_r,
				  (socklen_t)size);
		*port_r = ntohs(v6->sin6_port);
	}
}
