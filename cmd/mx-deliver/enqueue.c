/*
 * enqueue.c - new queue entries, and queue recipients that are delivered
 * here.
 */
#include "enqueue.h"
#include "conf.h"
#include "local.h"
#include "log.h"
#include "mem.h"
#include "pipe.h"
#include "route_int.h"
#include "senders.h"
#include "site.h"
#include "status.h"
#include "via.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* Opened once: the descriptor stays good when rights are given up or the path
 * is mounted over. */
int
deliver_queue_dir(struct err *e)
{
	static int fd = -1;

	if (fd < 0)
		fd = queuefile_dir(site.queue_directory, e);
	return fd;
}

int
deliver_queue_copy(struct queuefile_writer *w, struct queuefile_env *env,
		   struct span head, int fd, uint64_t at, uint64_t size,
		   struct err *e)
{
	int dirfd = deliver_queue_dir(e);
	char id[64], b[65536];

	if (dirfd < 0)
		return -1;
	if (env->id == NULL || env->id[0] == '\0') {
		queuefile_id_new(id, sizeof(id));
		free(env->id);
		env->id = mem_strdup(id);
	}
	if (queuefile_create(w, dirfd, env, e) != 0)
		return -1;
	/* Not due for a minute: an entry that is one of several is undone when
	 * another one fails, and until then no runner may send it. */
	w->later = true;
	int r = queuefile_write(w, head.p, head.n, e);
	while (r == 0 && size > 0) {
		ssize_t n =
		    pread(fd, b, size < sizeof(b) ? (size_t)size : sizeof(b),
			  (off_t)at);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			r = n < 0 ? err_sys(e, "reading the message")
				  : err_set(e, ST_TEMPFAIL,
					    "the message ends early");
		else
			r = queuefile_write(w, b, (size_t)n, e);
		at += n > 0 ? (uint64_t)n : 0;
		size -= n > 0 ? (uint64_t)n : 0;
	}
	if (r == 0)
		return queuefile_commit(w, e);
	queuefile_abort(w);
	return -1;
}

/* Makes n committed entries due, or takes all of them back. */
void
deliver_queue_settle(struct queuefile_writer *w, size_t n, bool good)
{
	for (size_t i = 0; i < n; i++) {
		if (good)
			queuefile_release(&w[i]);
		else
			queuefile_undo(&w[i]);
	}
}

int
deliver_enqueue(struct queuefile_env *env, struct span head, int fd,
		uint64_t at, uint64_t size, char *id_r, struct err *e)
{
	struct queuefile_writer w;
	int r = deliver_queue_copy(&w, env, head, fd, at, size, e);

	if (r == 0)
		deliver_queue_settle(&w, 1, true);
	if (r == 0 && id_r != NULL)
		snprintf(id_r, sizeof(w.id), "%s", w.id);
	return r;
}

struct queuefile_rcpt *
route_to_queue(struct queuefile_env *env, const struct target *t)
{
	struct queuefile_rcpt *r = queuefile_env_add(env, t->addr);

	if (t->dest != NULL && t->dest->user == NULL)
		strs_addf(&r->other, " place: %s%s%s%s%s",
			  t->dest->by != NULL ? "~" : "",
			  t->dest->by != NULL ? t->dest->by : "",
			  t->dest->kind == DEST_COMMAND ? "|" : "",
			  t->dest->path,
			  t->dest->kind == DEST_MAILDIR ? "/" : "");
	else if (!t->later)
		strs_add(&r->other,
			 t->loop ? " place: loop" : " place: mailbox");
	if (t->delivered != NULL)
		strs_addf(&r->other, " delivered: %s", t->delivered);
	return r;
}

/* What an earlier route_to_queue said, " place: " or " delivered: ", or
 * NULL. */
static const char *
kept(const struct queuefile_rcpt *rcpt, const char *name)
{
	for (size_t i = 0; i < rcpt->other.n; i++)
		if (span_starts(span_of(rcpt->other.v[i]), span_of(name)))
			return rcpt->other.v[i] + strlen(name);
	return NULL;
}

static void
fail(struct route *r, enum route_kind kind, int status, const char *esc,
     const char *text)
{
	r->kind = kind;
	err_esc(&r->why, status, esc, "%s", text);
}

/* A mailbox that is known becomes ROUTE_LOCAL; TRY_AGAIN is never "unknown
 * user". */
static void
take_dest(struct route *r, enum table_result t, struct dest *d,
	  const char *where)
{
	char text[100];

	snprintf(text, sizeof(text), "unknown user in %s", where);
	r->kind = ROUTE_LOCAL;
	r->dest = d;
	if (t == TABLE_NONE)
		fail(r, ROUTE_FAILED, ST_NOUSER, "5.1.1", text);
	else if (t == TABLE_TRY_AGAIN)
		r->kind = ROUTE_DEFERRED;
}

/* An address that needs no more expansion. */
static void
route_final(struct route *r, const char *addr, const char *sender)
{
	struct span local = local_of(addr);
	struct dest *d = NULL;
	struct buf low = BUF_INIT;
	enum table_result t, o = TABLE_NONE;
	enum addr_class c;
	struct hop h;

	if (route_hop(addr, sender != NULL ? sender : "", &c, &h, &r->why) ==
	    TABLE_TRY_AGAIN) {
		r->kind = ROUTE_DEFERRED;
		return;
	}
	for (size_t i = 0; i < local.n; i++)
		buf_addc(&low, ascii_tolower(local.p[i]));
	const char *next = h.nexthop[0] ? h.nexthop : "undeliverable";
	r->kind = ROUTE_REMOTE;
	if (strcmp(h.transport, "local") == 0) {
		t = user_dest(buf_span(&low), &d, &r->why);
		if (t != TABLE_TRY_AGAIN)
			o = route_local_hop(t == TABLE_FOUND ? 'm' : 'f',
					    buf_span(&low), &h, &r->why);
		if (o == TABLE_FOUND) {
			dest_free(d);
			d = NULL;
		} else {
			take_dest(r, o == TABLE_TRY_AGAIN ? o : t, d,
				  "local recipient table");
		}
	}
	if (r->kind != ROUTE_REMOTE || strcmp(h.transport, "local") == 0) {
		/* decided */
	} else if (strcmp(h.transport, "virtual") == 0) {
		t = virtual_dest(addr, &d, &r->why);
		take_dest(r, t, d, "virtual mailbox table");
	} else if (c == CLASS_ALIAS && strcmp(h.transport, "smtp") == 0)
		fail(r, ROUTE_FAILED, ST_NOUSER, "5.1.1",
		     "unknown user in virtual alias table");
	else if (strcmp(h.transport, "error") == 0)
		fail(r, ROUTE_FAILED, ST_UNAVAILABLE, "5.0.0", next);
	else if (strcmp(h.transport, "retry") == 0)
		fail(r, ROUTE_DEFERRED, ST_TEMPFAIL, "4.0.0", next);
	else if (strcmp(h.transport, "discard") == 0)
		r->kind = ROUTE_DISCARD;
	else if (pipe_known(h.transport))
		r->kind = ROUTE_LOCAL;
	r->transport = h.transport;
	r->nexthop = h.nexthop;
	buf_free(&low);
}

/* Expands now; one target that is the address itself needs no detour. */
static void
route_expanding(struct route *r, const char *addr, const char *sender)
{
	struct targets t;

	if (route_expand(addr, &t, &r->why) != 0) {
		r->kind = status_is_temp(r->why.status) ? ROUTE_DEFERRED
							: ROUTE_FAILED;
		return;
	}
	if (t.n == 1 && t.v[0].sender == NULL && t.v[0].dest != NULL &&
	    t.v[0].forwarded.n == 0) {
		r->kind = ROUTE_LOCAL;
		r->dest = t.v[0].dest;
		r->via = t.v[0].via;
		r->delivered = t.v[0].delivered;
		t.v[0].dest = NULL;
		t.v[0].via = STRS_INIT;
		t.v[0].delivered = NULL;
		targets_free(&t);
	} else if (t.n == 1 && t.v[0].sender == NULL &&
		   span_ieq(span_of(t.v[0].addr), span_of(addr))) {
		targets_free(&t);
		route_final(r, addr, sender);
		return;
	} else {
		r->kind = ROUTE_LOCAL;
		r->forward = mem_alloc(1, sizeof(t));
		*r->forward = t;
	}
	r->transport = mem_strdup(r->dest != NULL ? r->dest->relay : "local");
	r->nexthop = mem_strdup("");
}

void
route_find(struct route *r, const struct queuefile_env *env,
	   const struct queuefile_rcpt *rcpt)
{
	const char *place = kept(rcpt, " place: ");
	const char *delivered = kept(rcpt, " delivered: ");

	*r = (struct route){ .kind = ROUTE_REMOTE };
	if (env->transport != NULL && env->transport[0] != '\0') {
		struct hop h = { mem_strdup("smtp"), mem_strdup("") };
		hop_set(&h, env->transport);
		r->transport = h.transport;
		r->nexthop = h.nexthop;
		if (pipe_known(r->transport))
			r->kind = ROUTE_LOCAL;
	} else if (place == NULL) {
		route_expanding(r, rcpt->addr, env->sender);
	} else if (strcmp(place, "loop") == 0) {
		r->kind = ROUTE_FAILED;
		r->transport = mem_strdup("local");
		(void)via_err(&r->why, rcpt->addr);
	} else if (strcmp(place, "mailbox") == 0) {
		route_final(r, rcpt->addr, env->sender);
	} else {
		/* "~joe|command": from the .forward of joe */
		size_t by = place[0] == '~' ? strcspn(place, "|/") : 0;
		bool command = place[by] == '|';
		const char *text = place + by + command;
		r->dest = by > 0 ? dest_of_forward(text, command,
						   span_make(place + 1, by - 1),
						   &r->why)
				 : dest_of_alias(text, command, &r->why);
		r->kind = r->dest != NULL ? ROUTE_LOCAL : ROUTE_DEFERRED;
		r->transport = mem_strdup("local");
		r->nexthop = mem_strdup("");
	}
	if (delivered != NULL && r->delivered == NULL)
		r->delivered = mem_strdup(delivered);
	if (r->kind == ROUTE_DEFERRED)
		outcome_settle(&r->why);
}

const char *
route_client(const char *transport)
{
	static const char *const clients[] = { "smtp", "relay", "lmtp" };

	for (size_t i = 0; i < ARRAY_LEN(clients); i++) {
		size_t n = strlen(clients[i]);

		if (strncmp(transport, clients[i], n) == 0 &&
		    (transport[n] == '\0' || transport[n] == '-'))
			return clients[i];
	}
	return NULL;
}

/* Harmless on a route that was never found. */
void
route_free(struct route *r)
{
	free(r->transport);
	free(r->nexthop);
	dest_free(r->dest);
	strs_free(&r->via);
	free(r->delivered);
	if (r->forward != NULL)
		targets_free(r->forward);
	free(r->forward);
	*r = (struct route){ .kind = ROUTE_FAILED };
}

/* The recipients of an entry for those who have the sender and the bytes of
 * `first`. */
static size_t
forward_some(const struct targets *t, const struct queuefile_rcpt *from,
	     const char *sender, const struct target *first, bool *used,
	     struct queuefile_env *env)
{
	const char *s = first->sender != NULL ? first->sender : sender;
	size_t n = 0;

	env->sender = mem_strdup(s);
	for (size_t k = 0; k < t->n; k++) {
		const struct target *g = &t->v[k];

		if (used[k] || !via_same(g, first) || g->list != first->list ||
		    strcmp(s, g->sender != NULL ? g->sender : sender) != 0)
			continue;
		struct queuefile_rcpt *to = route_to_queue(env, g);
		to->original = mem_strdup(
		    from->original != NULL ? from->original : from->addr);
		/* RFC 3461 5.2.7.3: an alias keeps it, a list does not
		 * (5.2.7.1) */
		if (from->notify != NULL && !g->list)
			to->notify = mem_strdup(from->notify);
		if (from->orcpt != NULL && !g->list)
			to->orcpt = mem_strdup(from->orcpt);
		used[k] = true;
		n++;
	}
	return n;
}

/* New entries for what an alias gave, one for each sender and Delivered-To. */
static void
forward(const struct route *r, const struct queuefile *q, size_t i,
	struct outcome *out)
{
	const struct queuefile_rcpt *from = &q->env.rcpt[i];
	const char *sender = q->env.sender != NULL ? q->env.sender : "";
	struct targets *t = r->forward;
	struct head_watch head = { .done = false };
	struct queuefile_writer w[16];
	struct err e = ERR_INIT;
	size_t n = 0, done = 0;
	bool *used = mem_alloc(t->n, sizeof(*used));
	int r2;

	head_watch_file(&head, q->fd, q->msg_at, q->msg_size);
	r2 = via_check(t, &head, &e);
	head_watch_free(&head);
	/* A stranger's mail that leaves again needs a sender of ours (SRS). */
	if (r2 == 0 && (q->env.flags & QUEUEFILE_INBOUND))
		r2 = senders_mark(r->forward, from->addr, q->env.sender, &e);
	while (r2 == 0 && done < t->n && n < ARRAY_LEN(w)) {
		struct queuefile_env env = { .flags = q->env.flags };
		struct buf top = BUF_INIT;
		size_t k = 0;

		while (used[k])
			k++;
		env.id = mem_strdup(q->env.id);
		if (q->env.envid != NULL && !t->v[k].list)
			env.envid = mem_strdup(q->env.envid);
		if (q->env.ret != NULL && !t->v[k].list)
			env.ret = mem_strdup(q->env.ret);
		via_fields(&top, &t->v[k]);
		done += forward_some(t, from, sender, &t->v[k], used, &env);
		r2 = deliver_queue_copy(&w[n], &env, buf_span(&top), q->fd,
					q->msg_at, q->msg_size, &e);
		n += r2 == 0;
		queuefile_env_free(&env);
		buf_free(&top);
	}
	if (r2 == 0 && done < t->n)
		r2 = err_set(&e, ST_TEMPFAIL,
			     "an alias with too many owner- aliases");
	deliver_queue_settle(w, n, r2 == 0);
	free(used);
	if (r2 == 0)
		outcome_done(out, "forwarded to the alias's addresses");
	else
		outcome_fail(out, &e);
}

/* What a delivery of recipient i should know of the message. */
void
deliver_facts(struct facts *f, const struct route *r, const struct queuefile *q,
	      size_t i)
{
	const struct queuefile_rcpt *to = &q->env.rcpt[i];
	const struct queuefile_env *env = &q->env;

	*f = (struct facts){ .id = q->id,
			     .sender = env->sender != NULL ? env->sender : "",
			     .addr = to->addr,
			     .original =
				 to->original != NULL ? to->original : to->addr,
			     .delivered = r->delivered,
			     .client_addr = env->client_addr,
			     .client_name = env->client_name,
			     .helo = env->helo,
			     .proto = env->proto,
			     .login = env->login,
			     .tls = env->tls,
			     .extra = SPAN(""),
			     .flags = env->flags };
}

void
deliver_local(const struct route *r, const struct queuefile *q, size_t i,
	      struct outcome *out)
{
	struct head_watch head = { .done = false };
	const char *loop = NULL;
	struct facts f;

	deliver_facts(&f, r, q, i);
	if (r->via.n > 0) {
		head_watch_file(&head, q->fd, q->msg_at, q->msg_size);
		loop = via_loops(&r->via, &head);
		head_watch_free(&head);
	}
	if (loop != NULL) {
		struct err e = ERR_INIT;

		(void)via_err(&e, loop);
		outcome_fail(out, &e);
	} else if (r->kind == ROUTE_DISCARD)
		outcome_done(out, r->nexthop != NULL && r->nexthop[0]
				      ? r->nexthop
				      : "discarded");
	else if (r->forward != NULL)
		forward(r, q, i, out);
	else if (r->dest == NULL)
		pipe_deliver(r, q, &i, 1, out);
	else
		local_deliver(r->dest, &f, q->fd, q->msg_at, q->msg_size, out);
}
