/*
 * client.c - the auth protocol's client socket: handshake, then requests that
 * may overlap; a delayed one holds up no other.
 * It never tells a client why a login failed; the log knows.
 * Dovecot "Authentication Protocol" v1.2, Client <-> Server.
 */
#include "session.h"
#include "authclient.h"
#include "chain.h"
#include "escape.h"
#include "log.h"
#include "log_failed.h"
#include "mech.h"
#include "mem.h"
#include "num.h"
#include "random.h"
#include "scheme.h"
#include "shared.h"
#include "status.h"
#include "table.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

extern const struct mech *const __start_mx_auth_mech[];
extern const struct mech *const __stop_mx_auth_mech[];

enum {
	LINE_BYTES = 16384,
	BINDINGS = 8,
	REQUESTS = 32,       /* at once on one connection */
	REQUEST_MS = 150000, /* an exchange must end within */
	TICK_MS = 60000
};

enum phase { FREE, EXCHANGE, VERIFY, REFUSE };
struct request {
	enum phase phase;
	int64_t due; /* when VERIFY and REFUSE act, EXCHANGE is given up */
	uint32_t id;
	const struct mech *mech;
	struct mech_state st;
	bool nologin, secured;
	char service[32], remote_ip[64];
	struct buf refusal; /* fields of the FAIL line */
};

struct client {
	struct server *server;
	struct stream st;
	struct request r[REQUESTS];
	char cookie[33];
	bool version, cpid;
};

const struct mech *
mech_find(struct span name)
{
	for (const struct mech *const *m = __start_mx_auth_mech;
	     m < __stop_mx_auth_mech; m++) {
		if (!span_iis(name, (*m)->name))
			continue;
		return strs_ihas(&auth_params.mechanisms, name) ? *m : NULL;
	}
	return NULL;
}

/* Secrets are wiped; a context is never used for a second exchange (THREATS
 * 55). */
void
mech_state_free(struct mech_state *st)
{
	buf_wipe(&st->user);
	buf_wipe(&st->password);
	buf_free(&st->cert_user);
	strs_free(&st->bindings);
	if (st->data != NULL)
		st->free(st->data);
	if (st->has_entry)
		db_entry_free(&st->entry);
	st->data = NULL;
	st->has_entry = false;
	st->step = 0;
}

void
mech_cert_user(struct mech_state *st)
{
	if (st->cert_user.n == 0)
		return;
	buf_clear(&st->user);
	buf_addspan(&st->user, buf_span(&st->cert_user));
}

enum db_result
mech_credentials(struct mech_state *st, struct buf *stored)
{
	struct buf user = BUF_INIT;
	struct db_query q = { NULL, SPAN(""), st->service, st->remote_ip,
			      false };
	struct err e = ERR_INIT;
	enum db_result r = DB_NONE;

	db_entry_init(&st->entry);
	st->has_entry = true;
	mech_cert_user(st);
	if (username_normalize(&user, buf_span(&st->user), &e) == 0) {
		q.user = buf_str(&user);
		r = chain_credentials(&q, &st->entry, stored, &e);
	}
	if (r == DB_OK) {
		buf_clear(&st->user);
		buf_addspan(&st->user, buf_span(&user));
	} else {
		/* the exchange goes on, and fails at its end */
		st->unfit = e;
		st->unknown = r == DB_NONE;
	}
	buf_free(&user);
	return r;
}

/* The place is free; what lay in it is not the next one's. */
static void
request_free(struct request *r)
{
	mech_state_free(&r->st);
	buf_free(&r->refusal);
	memset(r, 0, sizeof(*r));
}

static void
say_hello(struct client *c)
{
	unsigned char random[16];
	struct buf hex = BUF_INIT;

	random_bytes(random, sizeof(random));
	hex_encode(&hex, span_make((const char *)random, sizeof(random)));
	memcpy(c->cookie, buf_str(&hex), sizeof(c->cookie));
	buf_free(&hex);
	stream_puts(&c->st, "VERSION\t1\t2\n");
	for (size_t i = 0; i < auth_params.mechanisms.n; i++) {
		const struct mech *m =
		    mech_find(span_of(auth_params.mechanisms.v[i]));

		/* Who can give bindings adds -PLUS; others never see it. */
		if (m && !span_iends(span_of(m->name), SPAN("-PLUS")))
			stream_printf(&c->st, "MECH\t%s%s%s%s\n", m->name,
				      m->flags[0] != '\0' ? "\t" : "", m->flags,
				      m->plus && mech_find(span_of(m->plus))
					  ? "\tchannel-binding"
					  : "");
	}
	stream_printf(&c->st, "SPID\t%ld\nCUID\t%lu\nCOOKIE\t%s\nDONE\n",
		      (long)getpid(), (unsigned long)random_below(UINT32_MAX),
		      c->cookie);
}

/* A refusal waits: failing is slow, and as slow for any reason. */
static void
refuse(struct request *r, const char *fields)
{
	r->phase = REFUSE;
	r->due = clock_mono() + auth_params.failure_delay;
	if (r->st.user.n > 0 && !span_has_ctl(buf_span(&r->st.user))) {
		buf_adds(&r->refusal, "\tuser=");
		authclient_escape(&r->refusal, buf_span(&r->st.user));
	}
	buf_adds(&r->refusal, fields);
	mech_state_free(&r->st);
}

/* login_trusted_networks: webmail hosts log in for everybody, and one user's
 * failures shall not slow the others. */
static bool
trusted(const char *addr)
{
	for (size_t i = 0; i < auth_params.trusted_networks.n; i++)
		if (match_cidr(span_of(auth_params.trusted_networks.v[i]),
			       span_of(addr)))
			return true;
	return false;
}

static void
accepted(struct client *c, struct request *r, const char *user,
	 const struct db_entry *entry)
{
	struct buf line = BUF_INIT;
	const char *name = entry->user ? entry->user : user;

	buf_addf(&line, "OK\t%lu\tuser=", (unsigned long)r->id);
	authclient_escape(&line, span_of(name));
	for (size_t i = 0; i < entry->fields.n; i++) {
		/* userdb_ fields and limits are ours alone. */
		if (strncmp(entry->fields.v[i], "userdb_", 7) == 0 ||
		    strncmp(entry->fields.v[i], "allow_nets", 10) == 0)
			continue;
		buf_addc(&line, '\t');
		authclient_escape(&line, span_of(entry->fields.v[i]));
	}
	buf_addc(&line, '\n');
	/* Known to masters before the client can tell one of it. */
	if (!r->nologin)
		shared_login_add(c->cookie, r->id, name);
	stream_write(&c->st, line.p, line.n);
	buf_free(&line);
}

static void
say_challenge(struct client *c, struct request *r, const struct buf *challenge)
{
	struct buf b64 = BUF_INIT;

	r->phase = EXCHANGE;
	base64_encode(&b64, buf_span(challenge));
	stream_printf(&c->st, "CONT\t%lu\t%s\n", (unsigned long)r->id,
		      buf_str(&b64));
	buf_wipe(&b64);
}

/* Why, in the mechanism's own words; the client's answer ends it. */
static void
say_refusal(struct client *c, struct request *r)
{
	struct buf challenge = BUF_INIT;

	r->due = clock_mono() + REQUEST_MS;
	r->mech->refusal(&r->st, &challenge);
	say_challenge(c, r, &challenge);
	buf_free(&challenge);
}

static void
verify(struct client *c, struct request *r)
{
	struct buf user = BUF_INIT;
	struct db_query q = { NULL, buf_span(&r->st.password), r->service,
			      r->remote_ip, r->st.token };
	struct db_entry entry;
	struct err e = ERR_INIT;
	enum db_result res = DB_NONE;

	db_entry_init(&entry);
	mech_cert_user(&r->st);
	/* A token may say itself whose it is. */
	if ((q.token && r->st.user.n == 0) ||
	    username_normalize(&user, buf_span(&r->st.user), &e) == 0) {
		q.user = buf_str(&user);
		res = chain_verify(&q, &entry, NULL, &e);
	} else {
		log_failed("auth", buf_str(&r->st.user), r->remote_ip,
			   "invalid credentials", e.text);
		/* The work of a hash all the same: a name that cannot exist
		 * must not answer sooner (THREATS 52). */
		scheme_dummy(SPAN(""), q.password);
	}
	if (res == DB_OK) {
		accepted(c, r, q.user, &entry);
		request_free(r);
	} else if (res == DB_TEMP) {
		refuse(r, "\ttemp");
	} else {
		if (!trusted(r->remote_ip))
			shared_penalty_add(r->remote_ip, buf_str(&user),
					   q.password);
		if (r->mech->refusal)
			say_refusal(c, r);
		else
			refuse(r, "");
	}
	db_entry_free(&entry);
	buf_free(&user);
}

static void
step(struct client *c, struct request *r, struct span in)
{
	struct buf challenge = BUF_INIT;
	int64_t delay;

	r->st.service = r->service;
	r->st.remote_ip = r->remote_ip;
	switch (r->mech->step(&r->st, in, &challenge)) {
	case MECH_CONTINUE:
		say_challenge(c, r, &challenge);
		break;
	case MECH_PASSWORD:
		r->phase = VERIFY;
		/* The delay of an address comes before the password is looked
		 * at: a right guess waits as long as a wrong one. */
		r->due =
		    clock_mono() +
		    (trusted(r->remote_ip) ? 0 : shared_penalty(r->remote_ip));
		break;
	case MECH_FAIL:
		log_failed("auth", "?", r->remote_ip, "invalid credentials",
			   r->mech->name);
		refuse(r, "");
		break;
	case MECH_REFUSED:
		refuse(r, "");
		break;
	case MECH_TEMP:
		refuse(r, "\ttemp");
		break;
	case MECH_MISMATCH:
		log_failed(strcmp(r->mech->name, "EXTERNAL") == 0 ? "external"
								  : "scram",
			   buf_str(&r->st.user), r->remote_ip,
			   r->st.unknown ? "unknown user" : "Password mismatch",
			   r->st.unfit.text);
		if (!trusted(r->remote_ip))
			shared_penalty_add(r->remote_ip, buf_str(&r->st.user),
					   in);
		delay =
		    trusted(r->remote_ip) ? 0 : shared_penalty(r->remote_ip);
		refuse(r, "");
		r->due += delay;
		break;
	case MECH_DONE:
		accepted(c, r, buf_str(&r->st.user), &r->st.entry);
		request_free(r);
		break;
	}
	buf_free(&challenge);
}

/* By id among those in use; with in_use false any free place. */
static struct request *
request_find(struct client *c, uint32_t id, bool in_use)
{
	for (size_t i = 0; i < REQUESTS; i++)
		if (in_use ? c->r[i].phase != FREE && c->r[i].id == id
			   : c->r[i].phase == FREE)
			return &c->r[i];
	return NULL;
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

static void
take_text(char *slot, size_t size, struct span v)
{
	struct buf b = BUF_INIT;

	if (authclient_unescape(&b, v) && b.n < size &&
	    !span_has_ctl(buf_span(&b)))
		memcpy(slot, buf_str(&b), b.n + 1);
	buf_free(&b);
}

/* Parameters up to resp=, behind which nothing is read.  False: bad base64. */
static bool
take_params(struct request *r, struct span rest, struct buf *resp, bool *have)
{
	struct span p;

	*have = false;
	while (span_split(&rest, '\t', &p)) {
		if (span_starts(p, SPAN("resp="))) {
			struct span v = span_from(p, 5);

			/* An empty one is "=" or nothing at all. */
			*have = true;
			return span_is(v, "=") || base64_decode(resp, v);
		}
		if (span_starts(p, SPAN("service=")))
			take_text(r->service, sizeof(r->service),
				  span_from(p, 8));
		else if (span_starts(p, SPAN("rip=")))
			take_text(r->remote_ip, sizeof(r->remote_ip),
				  span_from(p, 4));
		else if (span_starts(p, SPAN("cbind-")) &&
			 r->st.bindings.n < BINDINGS)
			strs_addspan(&r->st.bindings, span_from(p, 6));
		else if (span_is(p, "valid-client-cert"))
			r->st.valid_cert = true;
		else if (span_starts(p, SPAN("cert_username=")) &&
			 auth_params.username_from_cert) {
			buf_clear(&r->st.cert_user);
			if (!authclient_unescape(&r->st.cert_user,
						 span_from(p, 14)))
				buf_clear(&r->st.cert_user);
		} else if (span_is(p, "nologin"))
			r->nologin = true;
		else if (span_is(p, "secured") ||
			 span_starts(p, SPAN("secured=")))
			r->secured = true;
	}
	return true;
}

/* AUTH <id> <mechanism> service=... [resp=...] */
static int
cmd_auth(struct client *c, struct span rest)
{
	struct buf resp = BUF_INIT;
	struct span name;
	struct request *r;
	uint32_t id;
	bool have;

	if (!take_number(&rest, &id) || !span_split(&rest, '\t', &name) ||
	    request_find(c, id, true))
		return -1;
	r = request_find(c, 0, false);
	if (!r) {
		stream_printf(&c->st, "FAIL\t%lu\ttemp\n", (unsigned long)id);
		return 0;
	}
	r->id = id;
	r->due = clock_mono() + REQUEST_MS;
	r->mech = mech_find(name);
	if (!r->mech)
		refuse(r, "\treason=Unsupported authentication mechanism.");
	else if (!take_params(r, rest, &resp, &have))
		refuse(r, "\treason=Invalid base64 data in initial response");
	else if (r->mech->secured_only && !r->secured)
		refuse(r, "\treason=Not without TLS.");
	else if (auth_params.require_client_cert && !r->st.valid_cert)
		refuse(r, "\treason=Client didn't present valid SSL "
			  "certificate");
	else
		step(c, r,
		     have ? span_make(buf_str(&resp), resp.n)
			  : (struct span){ NULL, 0 });
	buf_wipe(&resp);
	return 0;
}

/* CONT <id> <base64> */
static int
cmd_cont(struct client *c, struct span rest)
{
	struct buf in = BUF_INIT;
	struct request *r;
	uint32_t id;

	if (!take_number(&rest, &id))
		return -1;
	r = request_find(c, id, true);
	/* It may have been given up, or refused meanwhile. */
	if (!r || r->phase != EXCHANGE)
		return 0;
	if (base64_decode(&in, rest.p ? rest : SPAN("")))
		step(c, r, span_make(buf_str(&in), in.n));
	else
		refuse(r, "\treason=Invalid base64 data in continued response");
	buf_wipe(&in);
	return 0;
}

static int
cmd_cancel(struct client *c, struct span rest)
{
	struct request *r;
	uint32_t id;

	if (!take_number(&rest, &id))
		return -1;
	r = request_find(c, id, true);
	/* A refusal that waits keeps its place: cancelling wins no time. */
	if (r && r->phase != REFUSE)
		request_free(r);
	return 0;
}

static int
cmd_version(struct client *c, struct span rest)
{
	uint32_t major;

	c->version = take_number(&rest, &major) && major == 1;
	return c->version ? 0 : -1;
}

static int
cmd_cpid(struct client *c, struct span rest)
{
	uint32_t pid;

	if (!c->version || c->cpid || !take_number(&rest, &pid))
		return -1;
	c->cpid = true;
	return 0;
}

/* -1: not the protocol, the connection ends. */
static int
run_line(struct client *c, struct span line)
{
	static const struct {
		const char *word;
		bool after_hello;
		int (*run)(struct client *, struct span);
	} commands[] = {
		{ "VERSION", false, cmd_version }, { "CPID", false, cmd_cpid },
		{ "AUTH", true, cmd_auth },        { "CONT", true, cmd_cont },
		{ "CANCEL", true, cmd_cancel },
	};
	struct span word;

	if (!span_split(&line, '\t', &word))
		return 0;
	for (size_t i = 0; i < ARRAY_LEN(commands); i++) {
		if (!span_is(word, commands[i].word))
			continue;
		if (commands[i].after_hello && !c->cpid)
			return -1;
		return commands[i].run(c, line);
	}
	/* Words of later minor versions are passed over, once we have met. */
	return c->version ? 0 : -1;
}

/* Does what is due; returns when the next thing is. */
static int64_t
run_due(struct client *c)
{
	int64_t next = clock_mono() + TICK_MS;

	for (size_t i = 0; i < REQUESTS; i++) {
		struct request *r = &c->r[i];

		if (r->phase == VERIFY && r->due <= clock_mono())
			verify(c, r);
		if (r->phase == EXCHANGE && r->due <= clock_mono())
			refuse(r, "\ttemp\treason=Authentication timed out");
		if (r->phase == REFUSE && r->due <= clock_mono()) {
			stream_printf(&c->st, "FAIL\t%lu%s\n",
				      (unsigned long)r->id,
				      buf_str(&r->refusal));
			request_free(r);
		}
		if (r->phase != FREE && r->due < next)
			next = r->due;
	}
	return next;
}

/* A worker with requests under way is not stopped by SIGTERM before they are
 * answered. */
static bool
any_waiting(const struct client *c)
{
	for (size_t i = 0; i < REQUESTS; i++)
		if (c->r[i].phase != FREE)
			return true;
	return false;
}

/* Passwords do not stay in the buffer behind the line that brought them. */
static void
wipe_taken(struct stream *st)
{
	if (st->at > 0 && st->at <= st->in.n)
		explicit_bzero(st->in.p, st->at);
}

static void
client_loop(struct client *c)
{
	for (;;) {
		int64_t next = run_due(c);
		struct span line;
		enum io_result r;

		if (stream_flush(&c->st, clock_deadline(30000)) != IO_OK)
			return;
		io_stoppable = !any_waiting(c);
		if (io_stoppable && server_stopping(c->server))
			return;
		r = stream_line(&c->st, LINE_BYTES, &line, next);
		io_stoppable = false;
		if (r == IO_TIMEOUT)
			continue;
		if (r != IO_OK)
			return;
		if (run_line(c, line) < 0) {
			log_warn("auth client: protocol error: closing");
			return;
		}
		wipe_taken(&c->st);
	}
}

void
client_session(struct server *s, struct server_conn *conn)
{
	struct client *c = mem_alloc(1, sizeof(*c));

	c->server = s;
	stream_init(&c->st, conn->fd_in, conn->fd_out);
	say_hello(c);
	client_loop(c);
	for (size_t i = 0; i < REQUESTS; i++)
		request_free(&c->r[i]);
	/* The descriptors are the skeleton's. */
	c->st.fd_in = c->st.fd_out = -1;
	stream_close(&c->st);
	free(c);
}
