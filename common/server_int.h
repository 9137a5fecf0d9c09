/*
 * server_int.h - what the files of the server skeleton share; nobody
 * else includes it.
 * Layer: sys.
 */
#ifndef MX_SERVER_INT_H
#define MX_SERVER_INT_H

#include "server.h"

#include <signal.h>
#include <stdatomic.h>

#define SERVER_LISTENERS 64
#define SERVER_ASK_MAX 65536

struct listener {
	int fd;
	const struct server_mode *mode;
	bool is_unix;
};

/* One worker as all processes see it (shared memory). */
struct server_slot {
	_Atomic int pid;         /* 0: free */
	_Atomic int busy;        /* a session runs */
	_Atomic int served;      /* it had one */
	_Atomic uint64_t client; /* key of its client, see client_key */
};

struct server_shared {
	_Atomic int live;       /* workers that run */
	_Atomic int busy;       /* workers in a session */
	_Atomic int generation; /* raised by SIGHUP: older workers end */
	_Atomic int stopping;
	_Atomic int64_t noted; /* clock_mono of server_note_lack's last word */
	struct server_slot slot[];
};

struct offer {
	server_offer_fn *fn;
	void *ctx;
};

/* The offers of one generation; old ones stay for workers that still run. */
struct offers {
	struct offer *v;
	size_t n, cap;
	struct strs resolvers;
};

/* What the monitor knows of a worker. */
struct worker {
	pid_t pid; /* 0: none */
	int ask;   /* our end of its socket pair, -1: none */
	struct offers *offers;
	int64_t started; /* clock_mono */
};

struct server {
	const struct server_spec *spec;
	struct server_options *o;
	void *ctx;
	struct listener listener[SERVER_LISTENERS];
	size_t nlisteners;
	bool single;
	bool wait_mode;          /* inetd wait: ends when idle */
	struct server_conn conn; /* of single mode */

	struct server_shared *shared;
	struct worker *worker;
	size_t max;
	struct offers *offers; /* of this generation */
	int wake[2];           /* workers say "all busy" here */
	int spare; /* given up to accept one client more, see server_refuse */

	/* in a worker */
	int ask;
	int slot;
	int generation;
};

extern volatile sig_atomic_t server_term, server_hup, server_chld;

/* server.c */
uint64_t server_client_key(const struct sockaddr_storage *ss);
void server_fill_conn(struct server_conn *c, const struct listener *l, int fd,
		      struct sockaddr_storage *peer);
/*
 * server_refuse.c (THREATS 45).  server_refuse takes one waiting client of the
 * listener, says busy_text (not in TLS) and hangs up, and never waits.  Where
 * no descriptor is left it gives up the spare one for that moment.  False:
 * nobody waits, or there is no room even so.
 */
bool server_refuse(struct server *s, const struct listener *l);
/* Opens the spare descriptor where there is none (-1) and room for it. */
void server_spare_take(struct server *s);
/* Logs that a call failed for want of descriptors, processes or memory: once a
 * minute for all processes of the server. */
void server_note_lack(struct server *s, const char *call, int error);
/* server_monitor.c */
int server_monitor(struct server *s);
/* server_worker.c: never returns. */
MX_NORETURN void server_worker(struct server *s, int slot, int ask);

#endif
