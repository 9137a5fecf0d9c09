/*
 * server.c - the server skeleton: finding the sockets, one session or many;
 * see server.h.
 * Layer: sys.  DESIGN 3.1.
 */
#include "server_int.h"
#include "io.h"
#include "log.h"
#include "mem.h"
#include "num.h"
#include "site.h"
#include "status.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

volatile sig_atomic_t server_term, server_hup, server_chld;

void *
server_ctx(struct server *s)
{
	return s->ctx;
}

bool
server_stopping(const struct server *s)
{
	return server_term || atomic_load(&s->shared->stopping);
}

bool
server_single(const struct server *s)
{
	return s->single;
}

/* Does the descriptor listen?  -1: it is no socket. */
static int
server_accepts(int fd)
{
	int v = 0;
	socklen_t len = sizeof(v);

	if (getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &v, &len) != 0)
		return -1;
	return v;
}

static const struct server_mode *
server_mode_named(const struct server *s, struct span name)
{
	for (size_t i = 0; i < s->spec->nmodes; i++) {
		if (span_is(name, s->spec->modes[i].name))
			return &s->spec->modes[i];
	}
	return NULL;
}

/* The profile of a socket: --mode, its name, its port, the first. */
static const struct server_mode *
server_mode_of(const struct server *s, int fd, struct span name)
{
	const struct server_mode *m = NULL;
	struct sockaddr_storage ss = { 0 };
	socklen_t len = sizeof(ss);
	char addr[64];
	int port = 0;

	if (s->o->mode != NULL)
		return server_mode_named(s, span_of(s->o->mode));
	if (name.n > 0)
		m = server_mode_named(s, name);
	if (m == NULL && getsockname(fd, (struct sockaddr *)&ss, &len) == 0) {
		if (ss.ss_family == AF_UNIX) {
			const struct sockaddr_un *sun = (const void *)&ss;
			struct span path = span_make(
			    sun->sun_path,
			    strnlen(sun->sun_path, sizeof(sun->sun_path)));

			m = server_mode_named(
			    s, span_from(path,
					 (size_t)(span_rchr(path, '/') + 1)));
		} else {
			endpoint_peer(&ss, addr, sizeof(addr), &port);
		}
		for (size_t i = 0; m == NULL && i < s->spec->nmodes; i++) {
			if (port > 0 && s->spec->modes[i].port == port)
				m = &s->spec->modes[i];
		}
	}
	return m != NULL ? m : &s->spec->modes[0];
}

static bool
server_is_unix(int fd)
{
	struct sockaddr_storage ss = { 0 };
	socklen_t len = sizeof(ss);

	return getsockname(fd, (struct sockaddr *)&ss, &len) == 0 &&
	       ss.ss_family == AF_UNIX;
}

static int
server_add_listener(struct server *s, int fd, struct span name, struct err *e)
{
	if (s->nlisteners == SERVER_LISTENERS)
		return err_set(e, ST_CONFIG, "more than %d sockets",
			       SERVER_LISTENERS);
	(void)fcntl(fd, F_SETFD, FD_CLOEXEC);
	(void)io_nonblock(fd, true);
	s->listener[s->nlisteners++] =
	    (struct listener){ fd, server_mode_of(s, fd, name),
			       server_is_unix(fd) };
	return 0;
}

/* A unix socket of ours gets the owner and the group of its profile. */
static int
server_own(const struct server_mode *m, const char *path, struct err *e)
{
	const char *owner = m->owner != NULL ? *m->owner : NULL;
	const char *group = m->group != NULL ? *m->group : NULL;
	uid_t uid = (uid_t)-1;
	gid_t gid = (gid_t)-1;

	if (geteuid() != 0)
		return 0;
	if (owner != NULL && owner[0] != '\0') {
		struct passwd *pw = getpwnam(owner);

		if (pw == NULL)
			return err_set(e, ST_CONFIG,
				       "user \"%s\" does not exist", owner);
		uid = pw->pw_uid;
	}
	if (group != NULL && group[0] != '\0') {
		struct group *gr = getgrnam(group);
		/* a user's name stands for its own group */
		struct passwd *pw = gr == NULL ? getpwnam(group) : NULL;

		if (gr == NULL && pw == NULL)
			return err_set(e, ST_CONFIG,
				       "group \"%s\" does not exist", group);
		gid = gr != NULL ? gr->gr_gid : pw->pw_gid;
	}
	if ((uid != (uid_t)-1 || gid != (gid_t)-1) &&
	    lchown(path, uid, gid) != 0)
		return err_sys(e, "%s", path);
	return 0;
}

/* [MODE=]ENDPOINT; the mode may be named before the endpoint. */
static int
server_listen(struct server *s, const char *text, struct err *e)
{
	const struct server_mode *named = NULL;
	struct span rest = span_of(text);
	struct endpoint ep;
	ssize_t eq = span_chr(rest, '=');
	int fds[16], n, r = 0;
	unsigned mode;

	if (eq > 0) {
		named = server_mode_named(s, span_sub(rest, 0, (size_t)eq));
		if (named != NULL)
			rest = span_from(rest, (size_t)eq + 1);
	}
	if (endpoint_parse(&ep, rest, site.run_directory, e) != 0)
		return -1;
	mode = s->o->unix_mode ? s->o->unix_mode : 0600;
	if (ep.kind == ENDPOINT_UNIX) {
		struct span p = span_of(ep.path);
		const struct server_mode *m = named;

		if (m == NULL && s->o->mode != NULL)
			m = server_mode_named(s, span_of(s->o->mode));
		if (m == NULL)
			m = server_mode_named(
			    s, span_from(p, (size_t)(span_rchr(p, '/') + 1)));
		if (m == NULL)
			m = &s->spec->modes[0];
		if (m->unix_mode)
			mode = m->unix_mode;
		n = endpoint_listen(&ep, mode, fds, 16, e);
		if (n > 0)
			r = server_own(m, ep.path, e);
	} else {
		n = endpoint_listen(&ep, mode, fds, 16, e);
	}
	for (int i = 0; i < n && r == 0; i++) {
		r = server_add_listener(s, fds[i], SPAN(""), e);
		if (r == 0 && named != NULL)
			s->listener[s->nlisteners - 1].mode = named;
	}
	endpoint_free(&ep);
	return n > 0 && r == 0 ? 0 : -1;
}

/* systemd's protocol (sd_listen_fds(3)); returns how many were taken. */
static int
server_listen_fds(struct server *s, struct err *e)
{
	const char *pid = getenv("LISTEN_PID"), *fds = getenv("LISTEN_FDS");
	struct span names = span_of(getenv("LISTEN_FDNAMES")), name;
	int64_t want;
	int n;

	if (pid == NULL || fds == NULL ||
	    !num_i64(span_of(pid), 1, INT32_MAX, &want) || want != getpid() ||
	    !num_int(span_of(fds), 1, SERVER_LISTENERS, &n))
		return 0;
	unsetenv("LISTEN_PID");
	unsetenv("LISTEN_FDS");
	unsetenv("LISTEN_FDNAMES");
	for (int fd = 3; fd < 3 + n; fd++) {
		if (!span_split(&names, ':', &name))
			name = SPAN("");
		(void)fcntl(fd, F_SETFD, FD_CLOEXEC);
		if (server_accepts(fd) == 1) {
			if (server_add_listener(s, fd, name, e) != 0)
				return -1;
			continue;
		}
		if (n > 1)
			return err_set(e, ST_CONFIG,
				       "systemd passed a connection among %d "
				       "descriptors: use Accept=yes with one",
				       n);
		s->single = true;
		s->conn.fd_in = s->conn.fd_out = fd;
		s->conn.mode = server_mode_of(s, fd, name);
	}
	return n;
}

uint64_t
server_client_key(const struct sockaddr_storage *ss)
{
	const struct sockaddr_in *v4 = (const void *)ss;
	const struct sockaddr_in6 *v6 = (const void *)ss;
	uint64_t k = 0;

	if (ss->ss_family == AF_INET)
		return (uint64_t)4 << 60 | ntohl(v4->sin_addr.s_addr);
	if (ss->ss_family != AF_INET6)
		return 0;
	if (IN6_IS_ADDR_V4MAPPED(&v6->sin6_addr)) {
		uint32_t a;

		memcpy(&a, v6->sin6_addr.s6_addr + 12, 4);
		return (uint64_t)4 << 60 | ntohl(a);
	}
	/* Per /64 (DESIGN 3.11); the top bits of global addresses are 001. */
	for (int i = 0; i < 8; i++)
		k = k << 8 | v6->sin6_addr.s6_addr[i];
	return k ? k : 1;
}

/*
 * A superserver's word about the peer, when fd 0 has none of its own: believed
 * only from root or ourselves as parent.
 */
static void
server_env_peer(struct server_conn *c)
{
	static const char *const names[] = { "REMOTE_ADDR", "TCPREMOTEIP" };
	static const char *const ports[] = { "REMOTE_PORT", "TCPREMOTEPORT" };
	unsigned char addr[16];
	struct stat st;
	char path[64];

	snprintf(path, sizeof(path), "/proc/%ld", (long)getppid());
	if (stat(path, &st) != 0 || (st.st_uid != 0 && st.st_uid != geteuid()))
		return;
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		const char *v = getenv(names[i]), *p = getenv(ports[i]);

		if (v == NULL || (inet_pton(AF_INET, v, addr) != 1 &&
				  inet_pton(AF_INET6, v, addr) != 1))
			continue;
		snprintf(c->addr, sizeof(c->addr), "%s", v);
		c->has_peer = true;
		if (p == NULL || !num_int(span_of(p), 0, 65535, &c->port))
			c->port = 0;
		return;
	}
}

void
server_fill_conn(struct server_conn *c, const struct listener *l, int fd,
		 struct sockaddr_storage *peer)
{
	struct sockaddr_storage ss = { 0 };
	socklen_t len = sizeof(ss);
	struct ucred cred;
	int one = 1;

	*c = (struct server_conn){ .fd_in = fd,
				   .fd_out = fd,
				   .mode = l->mode,
				   .is_unix = l->is_unix,
				   .peer_uid = (uid_t)-1 };
	endpoint_peer(peer, c->addr, sizeof(c->addr), &c->port);
	c->has_peer = peer->ss_family == AF_INET || peer->ss_family == AF_INET6;
	snprintf(c->local_addr, sizeof(c->local_addr), "unknown");
	if (getsockname(fd, (struct sockaddr *)&ss, &len) == 0)
		endpoint_peer(&ss, c->local_addr, sizeof(c->local_addr),
			      &c->local_port);
	len = sizeof(cred);
	if (l->is_unix &&
	    getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len) == 0)
		c->peer_uid = cred.uid;
	if (c->has_peer)
		(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one,
				 sizeof(one));
}

static bool
server_same_file(int x, int y)
{
	struct stat a, b;

	return fstat(x, &a) == 0 && fstat(y, &b) == 0 && a.st_ino == b.st_ino &&
	       a.st_dev == b.st_dev;
}

/*
 * The session's descriptors move above 2, and 0 and 1 become /dev/null: then
 * the peer sees the end when the session closes, and nothing is said there by
 * accident.  inetd makes fd 2 the client's socket too.
 */
static int
server_move_stdio(int *in, int *out, struct err *e)
{
	bool loud = server_same_file(*in, 2);
	int i = fcntl(*in, F_DUPFD_CLOEXEC, 3), o = i, null;

	if (*out != *in)
		o = fcntl(*out, F_DUPFD_CLOEXEC, 3);
	null = open("/dev/null", O_RDWR | O_CLOEXEC);
	if (i < 0 || o < 0 || null < 0)
		return err_sys(e, "moving descriptors");
	if (*in > 2)
		close(*in);
	(void)dup2(null, 0);
	(void)dup2(null, 1);
	if (loud && server_accepts(i) >= 0)
		(void)dup2(null, 2);
	if (null > 2)
		close(null);
	*in = i;
	*out = o;
	return 0;
}

/* One session on fd 0/1, or on the descriptor that systemd passed. */
static int
server_single_conn(struct server *s, int fd_in, int fd_out,
		   const struct server_mode *mode, struct err *e)
{
	struct listener l = { fd_in, mode, server_is_unix(fd_in) };
	struct sockaddr_storage peer = { 0 };
	socklen_t len = sizeof(peer);

	if (server_move_stdio(&fd_in, &fd_out, e) != 0)
		return -1;
	if (getpeername(fd_in, (struct sockaddr *)&peer, &len) != 0)
		peer.ss_family = AF_UNSPEC;
	server_fill_conn(&s->conn, &l, fd_in, &peer);
	s->conn.fd_out = fd_out;
	if (!s->conn.has_peer && !(l.is_unix && peer.ss_family == AF_UNIX &&
				   s->conn.peer_uid == (uid_t)-1))
		server_env_peer(&s->conn);
	return 0;
}

static int
server_find_sockets(struct server *s, struct err *e)
{
	int n;

	for (size_t i = 0; i < s->o->listen.n; i++) {
		if (server_listen(s, s->o->listen.v[i], e) != 0)
			return -1;
	}
	if (s->o->listen.n > 0)
		return 0;
	n = server_listen_fds(s, e);
	if (n < 0)
		return -1;
	if (s->single)
		return server_single_conn(s, s->conn.fd_in, s->conn.fd_in,
					  s->conn.mode, e);
	if (n > 0)
		return 0;
	if (server_accepts(0) == 1) {
		s->wait_mode = true;
		return server_add_listener(s, 0, SPAN(""), e);
	}
	s->single = true;
	return server_single_conn(
	    s, 0, server_accepts(0) == 0 && server_same_file(0, 1) ? 0 : 1,
	    server_mode_of(s, 0, SPAN("")), e);
}

static void
server_on_signal(int sig)
{
	if (sig == SIGTERM || sig == SIGINT) {
		server_term = 1;
		io_stop = 1;
	} else if (sig == SIGHUP) {
		server_hup = 1;
	} else if (sig == SIGCHLD) {
		server_chld = 1;
	}
}

static void
server_signals(void)
{
	static const int sigs[] = { SIGTERM, SIGINT, SIGHUP, SIGCHLD };
	struct sigaction sa = { .sa_handler = server_on_signal };

	for (size_t i = 0; i < ARRAY_LEN(sigs); i++)
		(void)sigaction(sigs[i], &sa, NULL);
	(void)signal(SIGPIPE, SIG_IGN);
}

int
server_run(const struct server_spec *spec, struct server_options *o, void *ctx)
{
	struct server s = {
		.spec = spec, .o = o, .ctx = ctx, .ask = -1, .spare = -1
	};
	struct err e = ERR_INIT;
	size_t size;

	s.max = o->max_workers > 0 ? (size_t)o->max_workers : 100;
	if (s.max > 5000)
		s.max = 5000;
	if (o->max_use <= 0)
		o->max_use = 100;
	if (o->mode != NULL && server_mode_named(&s, span_of(o->mode)) == NULL)
		return prog_usage("--mode %s: unknown mode", o->mode);
	/* first: who sees it listen may send SIGHUP, which else would end it */
	server_signals();
	if (server_find_sockets(&s, &e) != 0)
		return prog_fail(&e);
	size = sizeof(*s.shared) + s.max * sizeof(s.shared->slot[0]);
	s.shared = mmap(NULL, size, PROT_READ | PROT_WRITE,
			MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (s.shared == MAP_FAILED) {
		err_sys(&e, "shared memory");
		return prog_fail(&e);
	}
	s.worker = mem_alloc(s.max, sizeof(*s.worker));
	for (size_t i = 0; i < s.max; i++)
		s.worker[i].ask = -1;
	return server_monitor(&s);
}
