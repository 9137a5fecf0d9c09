/*
 * master.c - the auth protocol's master socket, for programs that hold rights
 * of their own: who logged in by that request, and who is this user.
 * Dovecot "Authentication Protocol" v1.2, Server <-> Master.
 */
#include "session.h"
#include "authclient.h"
#include "chain.h"
#include "log.h"
#include "num.h"
#include "shared.h"
#include "status.h"

#include <pwd.h>
#include <unistd.h>

enum { LINE_BYTES = 8192 };

struct master {
	struct server *server;
	struct stream st;
	bool version;
};

enum { MASTER_UIDS = 32 };
static uid_t master_uids[MASTER_UIDS];
static size_t master_count;

int
master_load(struct err *e)
{
	master_count = 0;
	for (size_t i = 0; i < auth_params.master_users.n; i++) {
		const char *name = auth_params.master_users.v[i];
		const struct passwd *pw = getpwnam(name);
		uint64_t n;

		if (pw)
			n = pw->pw_uid;
		else if (!num_u64(span_of(name), UINT32_MAX - 1, &n))
			continue; /* not on this host */
		if (master_count == MASTER_UIDS)
			return err_set(e, ST_CONFIG,
				       "auth_master_users: more than %d",
				       MASTER_UIDS);
		master_uids[master_count++] = (uid_t)n;
	}
	return 0;
}

/* Root, ourselves, and the users that auth_master_users names; never a peer
 * from the network.  A pipe is from whoever started us. */
static bool
peer_allowed(const struct server_conn *c)
{
	if (!c->is_unix)
		return !c->has_peer;
	for (size_t i = 0; i < master_count; i++)
		if (master_uids[i] == c->peer_uid)
			return true;
	return c->peer_uid == 0 || c->peer_uid == geteuid();
}

static void
reply_user(struct master *m, uint32_t id, const char *user,
	   const struct db_entry *entry)
{
	struct strs fields = STRS_INIT;
	struct buf line = BUF_INIT;

	buf_addf(&line, "USER\t%lu\t", (unsigned long)id);
	authclient_escape(&line, span_of(entry->user ? entry->user : user));
	chain_fields(entry, &fields);
	for (size_t i = 0; i < fields.n; i++) {
		buf_addc(&line, '\t');
		authclient_escape(&line, span_of(fields.v[i]));
	}
	buf_addc(&line, '\n');
	stream_write(&m->st, line.p, line.n);
	strs_free(&fields);
	buf_free(&line);
}

/* FAIL is "try again" here, NOTFOUND "no such user": a database that is away
 * is never the latter. */
static void
answer_user(struct master *m, uint32_t id, const char *user,
	    const char *service)
{
	struct db_entry entry;
	struct err e = ERR_INIT;
	enum db_result r;

	db_entry_init(&entry);
	r = chain_user(user, service, &entry, &e);
	if (r == DB_OK)
		reply_user(m, id, user, &entry);
	else if (r == DB_TEMP)
		stream_printf(&m->st, "FAIL\t%lu\n", (unsigned long)id);
	else
		stream_printf(&m->st, "NOTFOUND\t%lu\n", (unsigned long)id);
	db_entry_free(&entry);
}

static bool
take_number(struct span *rest, uint32_t *r)
{
	struct span word;
	uint64_t n;

	if (!span_split(rest, '\t', &word) || !num_u64(word, UINT32_MAX, &n))
		return false;
	*r = (uint32_t)n;
	return true;
}

static int
cmd_version(struct master *m, struct span rest)
{
	uint32_t major;

	m->version = take_number(&rest, &major) && major == 1;
	return m->version ? 0 : -1;
}

/* USER <id> <userid> service=... */
static int
cmd_user(struct master *m, struct span rest)
{
	struct buf given = BUF_INIT, user = BUF_INIT, service = BUF_INIT;
	struct span name, p;
	struct err e = ERR_INIT;
	uint32_t id;
	int r = -1;

	if (take_number(&rest, &id) && span_split(&rest, '\t', &name) &&
	    authclient_unescape(&given, name)) {
		r = 0;
		while (span_split(&rest, '\t', &p))
			if (span_starts(p, SPAN("service=")) &&
			    !authclient_unescape(&service, span_from(p, 8)))
				buf_clear(&service);
		if (username_normalize(&user, buf_span(&given), &e) == 0)
			answer_user(m, id, buf_str(&user), buf_str(&service));
		else
			stream_printf(&m->st, "NOTFOUND\t%lu\n",
				      (unsigned long)id);
	}
	buf_free(&given);
	buf_free(&user);
	buf_free(&service);
	return r;
}

/* REQUEST <id> <client-pid> <client-id> <cookie>; the cookie alone is what
 * nobody else can know, it stands for the client's number. */
static int
cmd_request(struct master *m, struct span rest)
{
	struct buf user = BUF_INIT;
	struct span cookie;
	uint32_t id, cpid, client_id;

	if (!take_number(&rest, &id) || !take_number(&rest, &cpid) ||
	    !take_number(&rest, &client_id) ||
	    !span_split(&rest, '\t', &cookie))
		return -1;
	if (shared_login_take(cookie, client_id, &user)) {
		answer_user(m, id, buf_str(&user), "");
	} else {
		log_warn("master asked for a login that does not wait");
		stream_printf(&m->st, "FAIL\t%lu\n", (unsigned long)id);
	}
	buf_free(&user);
	return 0;
}

struct listing {
	struct master *m;
	uint32_t id;
};

static void
list_one(void *ctx, const char *user)
{
	const struct listing *l = ctx;
	struct buf line = BUF_INIT;

	buf_addf(&line, "LIST\t%lu\t", (unsigned long)l->id);
	authclient_escape(&line, span_of(user));
	buf_addc(&line, '\n');
	stream_write(&l->m->st, line.p, line.n);
	buf_free(&line);
}

/* LIST <id>: "LIST <id> <user>" for each, then "DONE <id>", with "fail" where
 * that cannot be known. */
static int
cmd_list(struct master *m, struct span rest)
{
	struct listing l = { .m = m };
	struct err e = ERR_INIT;
	int r;

	if (!take_number(&rest, &l.id))
		return -1;
	m->st.out_deadline = clock_deadline(30000);
	r = chain_each(list_one, &l, &e);
	if (r != 0)
		log_warn("auth master: LIST: %s", e.text);
	stream_printf(&m->st, "DONE\t%lu%s\n", (unsigned long)l.id,
		      r != 0 ? "\tfail" : "");
	return 0;
}

static int
run_line(struct master *m, struct span line)
{
	static const struct {
		const char *word;
		int (*run)(struct master *, struct span);
	} commands[] = {
		{ "VERSION", cmd_version },
		{ "USER", cmd_user },
		{ "REQUEST", cmd_request },
		{ "LIST", cmd_list },
	};
	struct span word;

	if (!span_split(&line, '\t', &word))
		return 0;
	for (size_t i = 0; i < ARRAY_LEN(commands); i++) {
		if (!span_is(word, commands[i].word))
			continue;
		return i > 0 && !m->version ? -1 : commands[i].run(m, line);
	}
	return m->version ? 0 : -1;
}

static void
master_loop(struct master *m)
{
	for (;;) {
		struct span line;
		enum io_result r;

		if (stream_flush(&m->st, clock_deadline(30000)) != IO_OK ||
		    server_stopping(m->server))
			return;
		io_stoppable = true;
		r = stream_line(&m->st, LINE_BYTES, &line, DEADLINE_NEVER);
		io_stoppable = false;
		if (r == IO_TIMEOUT)
			continue;
		if (r != IO_OK)
			return;
		if (run_line(m, line) < 0) {
			log_warn("auth master: protocol error: closing");
			return;
		}
	}
}

void
master_session(struct server *s, struct server_conn *c)
{
	struct master m = { .server = s };

	if (!peer_allowed(c)) {
		log_warn("auth master: uid %ld may not ask; see "
			 "auth_master_users",
			 (long)c->peer_uid);
		return;
	}
	stream_init(&m.st, c->fd_in, c->fd_out);
	stream_printf(&m.st, "VERSION\t1\t1\nSPID\t%ld\n", (long)getpid());
	master_loop(&m);
	/* The descriptors are the skeleton's. */
	m.st.fd_in = m.st.fd_out = -1;
	stream_close(&m.st);
}
