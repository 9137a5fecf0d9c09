/*
 * trans.c - one message on its way in.
 * Law 1: trans_end says 0 only for what is on stable storage.  Law 3: with
 * one recipient that ends in one Maildir it is written once, there.
 */
#include "trans_int.h"
#include "room.h"
#include "conf.h"
#include "enqueue.h"
#include "filters.h"
#include "hand.h"
#include "log.h"
#include "mem.h"
#include "received.h"
#include "rewrite.h"
#include "route_int.h"
#include "senders.h"
#include "site.h"
#include "status.h"
#include "via.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* A longer header is passed on as it is. */
#define HEADER_MAX (1 << 20)

void
client_free(struct client *c)
{
	free(c->name);
	free(c->addr);
	free(c->port);
	free(c->proto);
	free(c->helo);
	free(c->ident);
	free(c->source);
	free(c->login);
	free(c->tls);
	*c = (struct client){ .submit = c->submit };
}

/* The client outlives the transaction: what XFORWARD said is there before
 * MAIL. */
void
trans_init(struct trans *t, const struct client *c, bool lmtp)
{
	*t = (struct trans){ .client = c, .lmtp = lmtp, .sink = SINK_NONE };
	spool_init(&t->spool);
}

static void
free_rcpt(struct trans_rcpt *r)
{
	free(r->addr);
	free(r->orcpt);
	free(r->notify);
	targets_free(&r->t);
}

void
trans_reset(struct trans *t)
{
	const struct client *c = t->client;
	bool lmtp = t->lmtp;

	/* A place that was opened and not committed: its file in tmp/ goes, so
	 * that nothing of a message nobody answered 250 for is ever seen. */
	if (t->sink == SINK_DIRECT)
		local_abort(&t->local);
	if (t->sink == SINK_QUEUE)
		queuefile_abort(&t->qw);
	spool_free(&t->spool);
	queuefile_env_free(&t->env);
	head_watch_free(&t->head);
	buf_free(&t->top);
	buf_free(&t->extra);
	buf_free(&t->gathered);
	for (size_t i = 0; i < t->nrcpt; i++)
		free_rcpt(&t->rcpt[i]);
	free(t->rcpt);
	free(t->sender);
	free(t->envid);
	free(t->ret);
	strs_free(&t->bcc);
	free(t->redirect);
	free(t->transport);
	trans_init(t, c, lmtp);
}

/* sender_bcc_maps, recipient_bcc_maps: who gets a copy. */
static int
add_copy(struct trans *t, const struct tables *ts, const char *addr,
	 struct err *e)
{
	struct buf v = BUF_INIT;
	enum table_result r = TABLE_NONE;

	if (ts->n > 0 && addr[0] != '\0')
		r = tables_lookup_address(ts, span_of(addr),
					  site.recipient_delimiter, false, &v,
					  NULL, e);
	if (r == TABLE_FOUND && v.n > 0 && t->bcc.n < 1000 &&
	    !strs_ihas(&t->bcc, buf_span(&v)))
		strs_addspan(&t->bcc, span_trim(buf_span(&v)));
	buf_free(&v);
	return r == TABLE_TRY_AGAIN ? -1 : 0;
}

int
trans_rcpt(struct trans *t, const char *addr, char *orcpt, char *notify,
	   int *code_r, struct err *e)
{
	struct trans_rcpt r = { .orcpt = orcpt, .notify = notify };

	for (size_t i = 0; i < t->nrcpt; i++) {
		/* said twice: accepted, delivered once; LMTP counts replies */
		if (!t->lmtp && strcmp(t->rcpt[i].addr, addr) == 0) {
			free(orcpt);
			free(notify);
			return 0;
		}
	}
	if (route_expand(addr, &r.t, e) != 0) {
		free(orcpt);
		free(notify);
		room_unknown(code_r, e);
		return -1;
	}
	/* RFC 3461 5.2.7.1: what a list has got is delivered, and its sender is
	 * told so; the queue expands it, and tells. */
	if (notify != NULL && strstr(notify, "SUCCESS") != NULL &&
	    targets_list(&r.t))
		targets_later(&r.t, addr);
	if (room_ask(&r.t, t->announced, code_r, e) != 0 ||
	    add_copy(t, &maps.recipient_bcc, addr, e) != 0) {
		free_rcpt(&r);
		return -1;
	}
	r.addr = mem_strdup(addr);
	t->rcpt = mem_grow(t->rcpt, &t->cap, t->nrcpt + 1, sizeof(*t->rcpt));
	t->rcpt[t->nrcpt++] = r;
	t->ntargets += r.t.n;
	return 0;
}

/* A place that can be delivered to before the answer. */
bool
trans_ends_here(const struct trans *t, const struct trans_rcpt *r)
{
	const struct target *g = &r->t.v[0];

	return r->t.n == 1 && g->dest != NULL && g->dest->user != NULL &&
	       g->dest->kind != DEST_COMMAND && g->sender == NULL &&
	       conf.always_bcc[0] == '\0' && !t->hold && t->bcc.n == 0 &&
	       t->transport == NULL &&
	       (r->notify == NULL || strstr(r->notify, "SUCCESS") == NULL);
}

/* What a delivery before the answer knows; it points into the transaction, so
 * it must not outlive it. */
void
trans_fill_facts(struct trans *t, const struct trans_rcpt *r)
{
	const struct client *c = t->client;

	buf_clear(&t->extra);
	via_fields(&t->extra, &r->t.v[0]);
	buf_addspan(&t->extra, buf_span(&t->top));
	t->facts = (struct facts){ .id = t->id,
				   .sender = t->sender,
				   .addr = r->t.v[0].addr,
				   .original = r->addr,
				   .delivered = r->t.v[0].delivered,
				   .client_addr = c->addr,
				   .client_name = c->name,
				   .helo = c->helo,
				   .proto = c->proto,
				   .login = c->login,
				   .tls = c->tls,
				   .extra = buf_span(&t->extra),
				   .flags = t->flags };
}

/* The queue's envelope has no line for what is empty. */
static char *
dup_or_null(const char *s)
{
	return s != NULL && s[0] != '\0' ? mem_strdup(s) : NULL;
}

/* The envelope without recipients. */
void
trans_fill_env(struct trans *t, struct queuefile_env *env, const char *sender)
{
	const struct client *c = t->client;

	*env = (struct queuefile_env){ .flags = t->flags | QUEUEFILE_FILTERED };
	env->id = mem_strdup(t->id);
	env->sender = mem_strdup(sender);
	env->arrival_us = t->begun_us;
	env->hold = t->hold;
	env->transport = dup_or_null(t->transport);
	env->envid = dup_or_null(t->envid);
	env->ret = dup_or_null(t->ret);
	env->client_addr = dup_or_null(c->addr);
	env->client_name = dup_or_null(c->name);
	env->client_port = dup_or_null(c->port);
	env->helo = dup_or_null(c->helo);
	env->proto = dup_or_null(c->proto);
	env->tls = dup_or_null(c->tls);
	env->login = dup_or_null(c->login);
	if (!filters_is_ours(c))
		env->flags |= QUEUEFILE_INBOUND;
}

/* RFC 3461 5.2.7.3: what a recipient was named with goes to each place that it
 * became, so that a report can say who was meant; but nothing of it
 * to those whom a mailing list sends it on to. */
void
trans_add_to_env(struct queuefile_env *env, const struct trans_rcpt *r,
		 const struct target *g)
{
	struct queuefile_rcpt *q = route_to_queue(env, g);

	q->original = mem_strdup(r->addr);
	q->orcpt = g->list ? NULL : dup_or_null(r->orcpt);
	q->notify = g->list ? NULL : dup_or_null(r->notify);
}

/* Do all recipients get the same bytes from the message's own sender, and can
 * it be refused as a whole should it loop? */
static bool
one_copy(const struct trans *t)
{
	for (size_t i = 0; i < t->nrcpt; i++)
		for (size_t k = 0; k < t->rcpt[i].t.n; k++) {
			const struct target *g = &t->rcpt[i].t.v[k];

			if (g->sender != NULL ||
			    (g->via.n > 0 && t->ntargets > 1) ||
			    !via_same(g, &t->rcpt[0].t.v[0]))
				return false;
		}
	return true;
}

/* Copies have no NOTIFY of their own: as with Postfix's always_bcc their
 * failure is told to the sender. */
void
trans_add_bcc(const struct trans *t, struct queuefile_env *env)
{
	for (size_t i = 0; i < t->bcc.n; i++)
		(void)queuefile_env_add(env, t->bcc.v[i]);
	if (conf.always_bcc[0] != '\0')
		(void)queuefile_env_add(env, conf.always_bcc);
}

/* The message goes straight into its queue entry: written once (law 3),
 * complete only with the trailer that queuefile_commit adds. */
static int
begin_queue(struct trans *t, struct err *e)
{
	int dirfd = deliver_queue_dir(e), r;
	struct buf above = BUF_INIT;

	if (dirfd < 0)
		return -1;
	trans_fill_env(t, &t->env, t->sender);
	for (size_t i = 0; i < t->nrcpt; i++)
		for (size_t k = 0; k < t->rcpt[i].t.n; k++)
			trans_add_to_env(&t->env, &t->rcpt[i],
					 &t->rcpt[i].t.v[k]);
	trans_add_bcc(t, &t->env);
	if (queuefile_create(&t->qw, dirfd, &t->env, e) != 0)
		return -1;
	t->sink = SINK_QUEUE;
	if (t->ntargets > 0)
		via_fields(&above, &t->rcpt[0].t.v[0]);
	r = queuefile_write(&t->qw, above.p, above.n, e);
	buf_free(&above);
	if (r != 0)
		return -1;
	return queuefile_write(&t->qw, t->top.p, t->top.n, e);
}

/* REDIRECT: one recipient in place of all. */
int
trans_redirect(struct trans *t, struct err *e)
{
	int code = 0;
	char *to = t->redirect;
	int r;

	if (to == NULL)
		return 0;
	t->redirect = NULL;
	/* LMTP has a reply for each that was named: the first one gets the
	 * message, the others nothing */
	for (size_t i = 0; i < t->nrcpt; i++)
		if (t->lmtp)
			targets_free(&t->rcpt[i].t);
		else
			free_rcpt(&t->rcpt[i]);
	t->ntargets = 0;
	if (t->lmtp) {
		r = route_expand(to, &t->rcpt[0].t, e);
	} else {
		t->nrcpt = 0;
		r = trans_rcpt(t, to, NULL, NULL, &code, e);
	}
	free(to);
	if (r != 0 && strcmp(e->esc, "5.2.2") == 0)
		return -1;
	/* nobody was told of this address: not the sender's fault */
	return r == 0 ? 0 : err_set(e, ST_TEMPFAIL, "REDIRECT: no such user");
}

/* SRS for what strangers send and is forwarded. */
static int
forwarded_senders(struct trans *t, struct err *e)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < t->nrcpt; i++)
		if (!filters_is_ours(t->client))
			r = senders_mark(&t->rcpt[i].t, t->rcpt[i].addr,
					 t->sender, e);
	return r;
}

void
trans_begin(struct trans *t)
{
	const char *ident = t->client->ident;
	int r = 0;

	/* Whatever fails here is kept in t->failed and told at the end of the
	 * message: the client is sending already, and RFC 5321 has no word for
	 * it before the dot. */
	t->failed = ERR_INIT;
	t->begun_us = clock_now_us();
	if (ident != NULL && queuefile_id_ok(span_of(ident)))
		snprintf(t->id, sizeof(t->id), "%s", ident);
	else
		queuefile_id_new(t->id, sizeof(t->id));
	received_field(&t->top, t);
	/* mx-recv says FILTER= for what came over SMTP */
	if (t->transport == NULL && t->client->submit)
		t->transport = dup_or_null(conf.content_filter);
	t->rewriting = rewrite_wanted(t->client);
	if (rewrite_address(&t->sender, ENVELOPE_SENDER, &t->failed) != 0) {
		t->failed.status = ST_TEMPFAIL;
		return;
	}
	if (forwarded_senders(t, &t->failed) != 0) {
		t->failed.status = ST_TEMPFAIL;
		return;
	}
	if (add_copy(t, &maps.sender_bcc, t->sender, &t->failed) != 0) {
		t->failed.status = ST_TEMPFAIL;
		return;
	}
	if (!t->late && trans_redirect(t, &t->failed) != 0)
		return;
	/* The three places a message may be written to as it comes. The spool
	 * is for what must be whole before anybody knows where it goes: a
	 * filter decides, a restriction of end-of-data, several senders or
	 * verdicts, or an mbox, which is locked for as short a time as can be.
	 */
	if (t->late || filters_wanted(t->client) || !one_copy(t) ||
	    (t->lmtp && t->nrcpt > 1) ||
	    (t->nrcpt == 1 && trans_ends_here(t, &t->rcpt[0]) &&
	     t->rcpt[0].t.v[0].dest->kind == DEST_MBOX)) {
		t->sink = SINK_SPOOL;
	} else if (t->nrcpt == 1 && trans_ends_here(t, &t->rcpt[0])) {
		trans_fill_facts(t, &t->rcpt[0]);
		r = local_begin(&t->local, t->rcpt[0].t.v[0].dest, &t->facts,
				&t->failed);
		t->sink = r == 0 ? SINK_DIRECT : SINK_NONE;
	} else {
		r = begin_queue(t, &t->failed);
	}
	if (r != 0 && t->failed.status == 0)
		t->failed.status = ST_TEMPFAIL;
}

/* The message is refused; what still comes of it is read and dropped (put,
 * trans_write), since the client cannot be stopped before its dot. */
static void
give_up(struct trans *t)
{
	if (t->sink == SINK_DIRECT)
		local_abort(&t->local);
	else if (t->sink == SINK_QUEUE)
		queuefile_abort(&t->qw);
	spool_free(&t->spool);
	t->sink = SINK_NONE;
	if (t->failed.status == 0)
		t->failed.status = ST_TEMPFAIL;
}

/* Bytes of the message, as they are stored. */
static void
put(struct trans *t, const void *p, size_t n)
{
	int r = 0;

	if (t->sink == SINK_DIRECT)
		r = local_write(&t->local, p, n, &t->failed);
	else if (t->sink == SINK_QUEUE)
		r = queuefile_write(&t->qw, p, n, &t->failed);
	else if (t->sink == SINK_SPOOL)
		r = spool_write(&t->spool, p, n, &t->failed);
	if (r != 0)
		give_up(t);
}

/* The header is whole (or too long to be one): its addresses are rewritten. */
static void
end_header(struct trans *t, size_t end)
{
	struct buf out = BUF_INIT;
	struct span all = buf_span(&t->gathered);

	t->rewriting = false;
	if (rewrite_header(&out, t->client, span_sub(all, 0, end),
			   &t->failed) != 0) {
		t->failed.status = ST_TEMPFAIL;
		give_up(t);
	} else {
		buf_addspan(&out, span_from(all, end));
		put(t, out.p, out.n);
	}
	buf_free(&out);
	buf_free(&t->gathered);
}

/* Looks for the empty line over the border of two pieces: one byte of what was
 * there before is looked at again. */
static void
gather_header(struct trans *t, struct span in)
{
	size_t from = t->gathered.n > 0 ? t->gathered.n - 1 : 0;
	ssize_t blank;

	buf_addspan(&t->gathered, in);
	struct span all = buf_span(&t->gathered);
	if (all.n > 0 && all.p[0] == '\n') {
		end_header(t, 0);
		return;
	}
	blank = span_find(span_from(all, from), SPAN("\n\n"));
	if (blank >= 0)
		end_header(t, from + (size_t)blank + 1);
	else if (all.n > HEADER_MAX)
		end_header(t, 0);
}

void
trans_write(struct trans *t, const void *p, size_t n)
{
	/* Counted here and not believed from SIZE= (RFC 1870 6.1). */
	t->size += n;
	if (conf.message_size_limit > 0 &&
	    t->size > (uint64_t)conf.message_size_limit &&
	    t->failed.status == 0) {
		err_esc(&t->failed, ST_UNAVAILABLE, "5.3.4",
			"Error: message size exceeds fixed limit of %lld "
			"bytes",
			(long long)conf.message_size_limit);
		give_up(t);
	}
	if (t->failed.status != 0)
		return;
	if (!t->head.done)
		head_watch(&t->head, span_make(p, n));
	if (t->rewriting)
		gather_header(t, span_make(p, n));
	else
		put(t, p, n);
}

/* RFC 5321 6.3: loops. Where the message is in the spool or the queue each
 * recipient's own Delivered-To is asked for at its delivery. */
static int
check_header(struct trans *t, struct err *e)
{
	if (t->head.received > conf.hopcount_limit)
		return err_esc(e, ST_UNAVAILABLE, "5.4.0",
			       "Error: too many hops");
	if (t->sink == SINK_DIRECT && head_watch_loops(&t->head, t->facts.addr))
		return via_err(e, t->facts.addr);
	/* one target: nobody else would lose the message */
	if (t->sink == SINK_SPOOL || t->ntargets != 1)
		return 0;
	return via_check(&t->rcpt[0].t, &t->head, e);
}

int
trans_end(struct trans *t, struct err *e)
{
	int r = 0;

	if (t->rewriting && t->failed.status == 0)
		end_header(t, t->gathered.n);
	if (t->failed.status != 0) {
		*e = t->failed;
		r = -1;
	} else {
		r = check_header(t, e);
	}
	if (r != 0) {
		give_up(t);
	} else if (t->sink == SINK_DIRECT) {
		local_finish(&t->local, &t->rcpt[0].out);
		if (t->rcpt[0].out.result != DELIVER_DONE) {
			*e = t->rcpt[0].out.why;
			r = -1;
		}
	} else if (t->sink == SINK_QUEUE) {
		r = queuefile_commit(&t->qw, e);
		for (size_t i = 0; r == 0 && i < t->nrcpt; i++)
			t->rcpt[i].queued = true;
		if (r == 0)
			snprintf(t->id, sizeof(t->id), "%s", t->qw.id);
	} else {
		r = trans_finish_spool(t, e);
	}
	/* From here on nothing is undone: what was committed is somebody's
	 * mail. */
	t->sink = SINK_NONE;
	if (r != 0)
		/* Law 1: an error that nobody meant as a refusal is temporary.
		 */
		outcome_settle(e);
	for (size_t i = 0; i < t->nrcpt; i++) {
		struct outcome *o = &t->rcpt[i].out;
		if (r != 0)
			outcome_fail(o, e);
		else if (o->dsn[0] == '\0')
			outcome_done(o, "queued");
	}
	return t->lmtp ? 0 : r;
}
