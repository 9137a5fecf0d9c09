/*
 * filters.c - inbound_filter and outbound_filter.
 * DESIGN 3.3: the first failing stage from the left decides: 69 and 77 are
 * 5xx with its last line on stderr, 65 is 5xx with fixed text, else 451.
 */
#include "filters.h"
#include "addr.h"
#include "command.h"
#include "conf.h"
#include "envelope.h"
#include "escape.h"
#include "hand.h"
#include "log.h"
#include "mem.h"
#include "proc.h"
#include "sandbox.h"
#include "site.h"
#include "status.h"
#include "users.h"

#include <stdlib.h>
#include <unistd.h>

#define STAGES_MAX 32

bool
filters_is_ours(const struct client *c)
{
	static struct match_list *networks;

	if (c->submit || (c->login != NULL && c->login[0] != '\0'))
		return true;
	if (c->addr == NULL || c->addr[0] == '\0')
		return false;
	if (networks == NULL)
		networks = match_networks(&site.mynetworks, NULL);
	/* a table that is away: the stricter way */
	return match_lookup(networks, span_of(c->addr), NULL) == TABLE_FOUND;
}

/* Strangers' mail is judged, our users' is signed: the client's address and
 * login decide, no header does. */
static const char *
filter_of(const struct client *c)
{
	return filters_is_ours(c) ? conf.outbound_filter : conf.inbound_filter;
}

bool
filters_wanted(const struct client *c)
{
	if (conf.inbound_filter[0] == '\0' && conf.outbound_filter[0] == '\0')
		return false;
	return filter_of(c)[0] != '\0';
}

/* One of our own programs is found beside this one. */
static void
find_own(struct strs *argv)
{
	if (argv->n == 0 || strncmp(argv->v[0], "mx-", 3) != 0)
		return;
	char *path = command_own(argv->v[0]);
	free(argv->v[0]);
	argv->v[0] = path;
}

/* A command line without a shell: what remote text is in it can only be a word
 * (THREATS 19). */
static int
add_stage(struct strs *v, size_t *n, struct span words, struct err *e)
{
	if (*n >= STAGES_MAX)
		return err_set(e, ST_CONFIG, "a filter has more than %d stages",
			       STAGES_MAX);
	if (proc_words(&v[*n], words, e) != 0)
		return -1;
	if (v[*n].n == 0)
		return err_set(e, ST_CONFIG,
			       "a filter has an empty stage: expected "
			       "\"COMMAND | COMMAND\"");
	find_own(&v[*n]);
	++*n;
	return 0;
}

int
filters_stages(const char *text, struct strs **argv_r, size_t *n_r,
	       struct err *e)
{
	struct strs *v = mem_alloc(STAGES_MAX + 1, sizeof(*v));
	struct span s = span_of(text);
	size_t n = 0, from = 0;
	char quote = '\0';
	int r = 0;

	for (size_t i = 0; r == 0 && i <= s.n; i++) {
		char c = i < s.n ? s.p[i] : '|';
		if (i == s.n)
			quote = '\0';
		if (quote != '\0') {
			quote = c == quote ? '\0' : quote;
		} else if (c == '\'' || c == '"') {
			quote = c;
		} else if (c == '\\') {
			i++;
		} else if (c == '|') {
			r = add_stage(v, &n, span_sub(s, from, i), e);
			from = i + 1;
		}
	}
	*argv_r = v;
	*n_r = n;
	return r;
}

static void
stages_free(struct strs *v, size_t n)
{
	/* a stage that failed to parse is behind the last */
	for (size_t i = 0; v != NULL && i <= n && i < STAGES_MAX; i++)
		strs_free(&v[i]);
	free(v);
}

static char *
dup_or_null(const char *s)
{
	return s != NULL ? mem_strdup(s) : NULL;
}

/* DESIGN 3.4: the envelope as a stage sees it. */
static void
make_env(struct strs *out, const struct trans *t)
{
	const struct client *c = t->client;
	struct envelope env = { .sender = mem_strdup(t->sender),
				.client_addr = dup_or_null(c->addr),
				.client_name = dup_or_null(c->name),
				.helo = dup_or_null(c->helo),
				.auth_user = dup_or_null(c->login),
				.tls = dup_or_null(c->tls),
				.queue_id = mem_strdup(t->id) };

	for (size_t i = 0; i < t->nrcpt; i++)
		strs_add(&env.recipients, t->rcpt[i].addr);
	command_env_base(out);
	envelope_to_env(&env, out);
	strs_add(out, "MX_ACTIONS=3");
	envelope_free(&env);
}

/* The verdict of the failing stage. */
static int
refuse(const struct pipeline_result *r, const char *stage, struct err *e)
{
	struct span said = span_trim(buf_span(&r->errs));
	ssize_t lf = span_rchr(said, '\n');
	struct buf line = BUF_INIT;

	if (lf >= 0)
		said = span_from(said, (size_t)lf + 1);
	escape_line(&line, said, 200);
	log_warn("filter stage %s: status %d (%s): %s", stage, r->status,
		 status_words(r->status), buf_str(&line));
	if (r->status == ST_UNAVAILABLE || r->status == ST_NOPERM)
		err_esc(e, ST_UNAVAILABLE, "5.7.1", "%s",
			line.n > 0 ? buf_str(&line) : "Message refused");
	else if (r->status == ST_DATA)
		err_esc(e, ST_DATA, "5.6.0", "Message content rejected");
	else
		err_esc(e, ST_TEMPFAIL, "4.3.0",
			"Message filter failed, try again later");
	buf_free(&line);
	return -1;
}

/* The last stage that says it wins. */
static void
set(char **to, struct span value)
{
	free(*to);
	*to = mem_spandup(value);
}

/* What a stage names as a recipient. */
static bool
address_ok(struct span s)
{
	struct addr a;
	struct err e = ERR_INIT;
	bool ok = !span_has_ctl(s) && addr_parse(&a, s, &e) == 0;

	if (ok) {
		ok = a.domain.n > 0;
		addr_free(&a);
	}
	return ok;
}

static int
take_actions(struct trans *t, struct span lines, struct err *e)
{
	struct span line, word, arg;

	while (span_split(&lines, '\n', &line)) {
		line = span_rtrim(line);
		if (line.n == 0 || !span_split(&line, '\t', &word))
			continue;
		arg = SPAN("");
		if (line.p != NULL)
			(void)!span_split(&line, '\t', &arg);
		if (span_is(word, "hold") || span_is(word, "quarantine"))
			t->hold = true;
		else if (span_is(word, "discard"))
			t->discard = true;
		else if (span_is(word, "redirect") && address_ok(arg))
			set(&t->redirect, arg);
		else if (span_is(word, "filter") && span_chr(arg, ':') > 0 &&
			 !span_has_ctl(arg))
			set(&t->transport, arg);
		else if (span_is(word, "bcc") && arg.n > 0 &&
			 !span_has_ctl(arg) && t->bcc.n < 100)
			strs_addspan(&t->bcc, arg);
		else if (span_is(word, "reject") || span_is(word, "ereject")) {
			struct buf b = BUF_INIT;
			escape_line(&b, arg, 200);
			err_esc(e, ST_UNAVAILABLE, "5.7.1", "%s", buf_str(&b));
			buf_free(&b);
			return -1;
		} else if (!span_is(word, "keep"))
			log_warn("%s: filter action \"%.*s\" is not known "
				 "here: left out",
				 t->id, SPAN_ARG(span_sub(word, 0, 40)));
	}
	return 0;
}

/* DESIGN 2: the stage that reads keys has a user of its own. */
static bool
signs(const struct strs *argv)
{
	const char *slash = strrchr(argv->v[0], '/');

	return strcmp(slash != NULL ? slash + 1 : argv->v[0], "mx-dkimsign") ==
	       0;
}

/* Who filters: filter_user or sign_user where we can become it, else
 * ourselves. */
static struct hand *
filter_hand(bool sign, struct err *e)
{
	const char *user = sign ? site.sign_user : site.filter_user;
	struct dest d = { .has_ids = false };

	if (geteuid() != 0 && user[0] != '\0') {
		struct err none = ERR_INIT;
		d.has_ids =
		    sandbox_names(user, NULL, &d.uid, &d.gid, &none) == 0;
	}
	return hand_get(&d, e);
}

/* Stages next to each other that one user runs: from `in` to res->fd_out. */
static int
run_some(struct pipeline *all, size_t from, size_t n, int in,
	 struct pipeline_result *res, struct err *e)
{
	struct pipeline p = *all;
	struct hand *h = filter_hand(signs(&all->argv[from]), e);

	p.argv = all->argv + from;
	p.n = n;
	return h != NULL && hand_pipe(h, &p, in, res, e) == 0 ? 0 : -1;
}

static int
run_all(struct trans *t, struct pipeline *p, int in, int *out_r, struct err *e)
{
	deadline_t d = clock_deadline(conf.filter_time_limit);
	int r = 0;

	*out_r = -1;
	for (size_t i = 0, to; r == 0 && i < p->n; i = to) {
		struct pipeline_result res = { .bad = -1, .fd_out = -1 };

		for (to = i + 1;
		     to < p->n && signs(&p->argv[to]) == signs(&p->argv[i]);)
			to++;
		p->limit_ms = clock_left(d);
		if (run_some(p, i, to - i, in, &res, e) != 0) {
			r = -1;
			e->status = ST_TEMPFAIL;
		} else if (res.bad >= 0) {
			r = refuse(&res, p->argv[i + (size_t)res.bad].v[0], e);
		} else {
			/* Stages further right see what is left of the
			 * message; their actions come on top. */
			r = take_actions(t, buf_span(&res.actions), e);
		}
		if (*out_r >= 0)
			close(*out_r);
		*out_r = in = res.fd_out;
		buf_free(&res.errs);
		buf_free(&res.actions);
	}
	return r;
}

int
filters_run(struct trans *t, struct spool *s, struct err *e)
{
	struct pipeline p = { .argv = NULL };
	int out = -1, r;

	if (!filters_wanted(t->client))
		return 0;
	r = filters_stages(filter_of(t->client), &p.argv, &p.n, e);
	make_env(&p.env, t);
	if (r == 0)
		r = run_all(t, &p, s->fd, &out, e);
	if (r == 0) {
		r = spool_adopt(s, out, e);
		out = -1;
		/* the last stage ended well and wrote nothing */
		if (r == 0 && s->size == 0)
			r = err_esc(e, ST_DATA, "5.6.0",
				    "Message content rejected");
	}
	if (out >= 0)
		close(out);
	stages_free(p.argv, p.n);
	strs_free(&p.env);
	return r;
}
