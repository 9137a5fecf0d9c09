/*
 * server.h - the one server skeleton: every way of being started, a monitor
 * that holds rights, workers that hold none (DESIGN 3.1).
 * Layer: sys.
 *
 * Sockets: --listen ENDPOINT (repeatable), else LISTEN_FDS, else fd 0.
 * The monitor calls before_drop once (configuration, tables, keys, offers),
 * forks workers; each worker drops to net_user, enters the sandbox, calls
 * after_drop once and then session for one connection after the other.
 */
#ifndef MX_SERVER_H
#define MX_SERVER_H

#include "buf.h"
#include "endpoint.h"
#include "opt.h"

struct server;

/* A listener profile, e.g. smtp, submission, submissions. */
struct server_mode {
	const char *name; /* as in LISTEN_FDNAMES and --mode */
	bool tls;         /* implicit TLS */
	int port;         /* sockets of this local port default to the mode */
	/* For unix sockets, which take the mode of their file's name: access
	 * rights (0: as in server_options) and, for root, owner and group
	 * (names, known when the configuration is read; NULL or "": as they
	 * are). */
	unsigned unix_mode;
	char *const *owner, *const *group;
};

struct server_conn {
	int fd_in, fd_out; /* the session closes neither; the skeleton does */
	const struct server_mode *mode;
	bool has_peer; /* a socket with an IP peer (or vouched for) */
	bool is_unix;  /* unix socket: uid below is the peer's */
	uid_t peer_uid;
	char addr[64]; /* "192.0.2.1", "2001:db8::1" or "unknown" */
	int port;
	char local_addr[64];
	int local_port;
	int count;     /* sessions of this client now (per /64 for IPv6) */
	bool too_many; /* beyond the per-client limit: say 421 and return */
};

struct server_spec {
	const struct program *program;
	const struct server_mode *modes; /* the first is the default */
	size_t nmodes;
	const char *user; /* what workers drop to; NULL: stay (own uid) */
	unsigned sandbox; /* SANDBOX_* promises of a worker (sandbox.h) */
	/* Folders for RPATH/WPATH/EXEC, NULL-terminated, or NULL: none; may be
	 * set by before_drop. */
	const char *const *sandbox_paths;
	/* What to say (whole bytes) when no worker is free, e.g. "421 ...". */
	const char *busy_text;
	/* Clients wait then, however long: an MTA's links are not refused. */
	bool patient;
	/* In the monitor, at start and again at SIGHUP (reload true: the
	 * configuration has been read again; make new objects and new offers,
	 * leave the old ones to the workers that still run; on failure the
	 * old state must still stand). */
	int (*before_drop)(struct server *s, bool reload, struct err *e);
	int (*after_drop)(struct server *s, struct err *e);
	void (*session)(struct server *s, struct server_conn *c);
	/* May be NULL: in the monitor, every two seconds or so; true: workers
	 * are replaced, behind their present session. */
	bool (*tick)(struct server *s);
	/* May be NULL: in the worker while it waits, every second or so. */
	void (*idle)(struct server *s);
};

/* What the skeleton takes from the program's options and parameters. */
struct server_options {
	struct strs listen;   /* --listen */
	const char *mode;     /* --mode */
	int64_t max_workers;  /* default_process_limit, 100 */
	int64_t max_use;      /* sessions a worker, 100 */
	int64_t client_limit; /* connections per client, 0: none */
	int64_t max_idle;     /* ms, inetd wait: 100 s */
	unsigned unix_mode;   /* mode of unix sockets, e.g. 0666 */
};
/* Option rows for --listen and --mode, to be put into a program's rows with
 * the offset of its struct server_options. */
#define SERVER_OPT_ROWS(STRUCT, MEMBER)                                        \
	{ 0,                                                                   \
	  "listen",                                                            \
	  "ENDPOINT",                                                          \
	  OPT_LIST,                                                            \
	  offsetof(STRUCT, MEMBER) + offsetof(struct server_options, listen),  \
	  "listen here (repeatable): inet:HOST:PORT, ADDR:PORT, unix:PATH" },  \
	{                                                                      \
		0, "mode", "MODE", OPT_STR,                                    \
		    offsetof(STRUCT, MEMBER) +                                 \
			offsetof(struct server_options, mode),                 \
		    "listener profile of these sockets"                        \
	}

/* Runs until SIGTERM (or the one session ends); returns ST_*. */
int server_run(const struct server_spec *spec, struct server_options *o,
	       void *ctx);
void *server_ctx(struct server *s);
/* In the worker: has the monitor been told to stop?  A session ends at its
 * next safe point then (421). */
bool server_stopping(const struct server *s);
/* True in one-session mode (inetd nowait, pipe, terminal). */
bool server_single(const struct server *s);

/*
 * Asking the monitor.  An offer is made in before_drop and known by number;
 * the handler runs in the monitor, treats the request as hostile, and must
 * not block for long.  *fd_r, when set, is passed to the worker and closed.
 * Returns 0, or -1 (the worker sees failure and e's text).
 */
typedef int server_offer_fn(void *ctx, struct server *s, struct span request,
			    struct buf *reply, int *fd_r, struct err *e);
int server_offer(struct server *s, server_offer_fn *fn, void *ctx);
/* In the worker: at most 64 KB each way.  fd_r may be NULL. */
int server_ask(struct server *s, int offer, struct span request,
	       struct buf *reply, int *fd_r, struct err *e) MX_MUST_CHECK;
/* Offers made by the skeleton: connect this endpoint (exec: once a worker,
 * started before its sandbox); returns the number for server_connect. */
int server_endpoint(struct server *s, const struct endpoint *ep);
int server_connect(struct server *s, int endpoint, deadline_t d,
		   struct err *e) MX_MUST_CHECK;
/* The addresses (HOST:PORT, numbers only) that server_dns_socket may reach;
 * in before_drop, e.g. from dns_servers. */
void server_resolvers(struct server *s, const struct strs *hostports);
/* In the worker: a fresh connected DNS socket (SOCK_DGRAM or SOCK_STREAM) to
 * the resolver number `which` modulo their count, or -1; suits
 * dns_set_opener. */
int server_dns_socket(void *server, int type, int which);

#endif
