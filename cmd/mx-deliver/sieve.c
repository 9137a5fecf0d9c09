/*
 * sieve.c - a user's Sieve script at delivery.
 * DESIGN 3.3: actions are collected first, then carried out: new queue
 * entries, then the mailbox copy.  A run-time error means keep; a broken
 * script never bounces mail.
 */
#include "sieve.h"
#include "command.h"
#include "enqueue.h"
#include "conf.h"
#include "escape.h"
#include "log.h"
#include "mem.h"
#include "msg.h"
#include "status.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define SIEVE_MS 60000

void
verdict_free(struct verdict *v)
{
	places_free(&v->places);
	free(v->reject);
	free(v->queued);
	v->reject = NULL;
	v->queued = NULL;
	v->nqueued = v->cap = 0;
}

void
verdict_undo(struct verdict *v)
{
	for (size_t i = 0; i < v->nqueued; i++)
		queuefile_undo(&v->queued[i]);
	v->nqueued = 0;
}

/* "\Seen \Flagged" -> Maildir's letters in ASCII order; NULL for none. */
static char *
flag_letters(struct span flags)
{
	static const struct {
		const char *name;
		char letter;
	} rows[] = { { "\\Draft", 'D' },
		     { "\\Flagged", 'F' },
		     { "\\Answered", 'R' },
		     { "\\Seen", 'S' },
		     { "\\Deleted", 'T' } };
	struct buf b = BUF_INIT;

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct span rest = flags, word;
		while (span_word(&rest, " ", &word))
			if (span_iis(word, rows[i].name)) {
				buf_addc(&b, rows[i].letter);
				break;
			}
	}
	if (b.n == 0) {
		buf_free(&b);
		return NULL;
	}
	return buf_steal(&b);
}

/* One line's words: the action, its argument, and the trailing ones. */
struct action {
	struct span word, arg;
	char *flags;
	bool copy, create;
};

static void
parse_action(struct action *a, struct span line)
{
	struct span piece;

	*a = (struct action){ .flags = NULL };
	if (!span_split(&line, '\t', &a->word))
		return;
	while (line.p != NULL && span_split(&line, '\t', &piece)) {
		if (span_starts(piece, SPAN("flags="))) {
			free(a->flags);
			a->flags = flag_letters(span_from(piece, 6));
		} else if (span_is(piece, "copy")) {
			a->copy = true;
		} else if (span_is(piece, "create")) {
			a->create = true;
		} else if (a->arg.p == NULL) {
			a->arg = piece;
		}
	}
}

static void
add_place(struct verdict *v, struct span folder, const struct action *a)
{
	for (size_t i = 0; i < v->places.n; i++)
		if (span_is(folder, v->places.v[i].folder))
			return;
	places_add(&v->places, folder, a->flags, a->create || conf.autocreate,
		   a->create || conf.autosubscribe);
}

/* The text is one line in a reply; in an action line a backslash stands
 * before another one, and before n for LF. */
static void
set_reject(struct verdict *v, struct span text)
{
	struct buf flat = BUF_INIT, b = BUF_INIT;

	for (size_t i = 0; i < text.n; i++) {
		char c = text.p[i];
		if (c == '\\' && i + 1 < text.n)
			c = text.p[++i] == 'n' ? ' ' : text.p[i];
		buf_addc(&flat, c);
	}
	escape_line(&b, span_trim(buf_span(&flat)), 400);
	buf_free(&flat);
	free(v->reject);
	v->reject = b.n > 0 ? buf_steal(&b) : mem_strdup("refused");
}

void
sieve_actions(struct span lines, struct verdict *v, struct strs *redirects)
{
	struct span line;
	struct action a;
	bool any = false;

	while (span_split(&lines, '\n', &line)) {
		line = span_rtrim(line);
		if (line.n == 0)
			continue;
		any = true;
		parse_action(&a, line);
		if (span_is(a.word, "keep")) {
			add_place(v, SPAN(""), &a);
		} else if (span_is(a.word, "fileinto") && a.arg.n > 0) {
			add_place(
			    v, span_iis(a.arg, "INBOX") ? SPAN("") : a.arg, &a);
		} else if (span_is(a.word, "redirect") && a.arg.n > 0) {
			if (redirects->n < (size_t)conf.sieve_max_redirects)
				strs_addspan(redirects, a.arg);
			else
				add_place(v, SPAN(""), &a);
		} else if (span_is(a.word, "reject") ||
			   span_is(a.word, "ereject")) {
			set_reject(v, a.arg);
		} else if (!span_is(a.word, "discard")) {
			/* what is not known here must lose nothing */
			add_place(v, SPAN(""), &a);
		}
		free(a.flags);
	}
	v->keep = !any;
	if (!any)
		places_add(&v->places, SPAN(""), NULL, false, false);
}

static void
implicit_keep(struct verdict *v, const struct local *l, const char *why)
{
	log_warn("%s: sieve: %s: %s: kept in the inbox", l->facts->id,
		 l->dest->sieve, why);
	places_add(&v->places, SPAN(""), NULL, false, false);
}

/* A redirected message is a new queue entry: same sender, null stays null. */
static int
queue_redirect(struct local *l, struct verdict *v, const char *to,
	       struct err *e)
{
	struct queuefile_env env = { .flags = QUEUEFILE_FILTERED };
	struct buf head = BUF_INIT;
	struct queuefile_writer w;
	int r;

	env.sender = mem_strdup(l->facts->sender);
	env.id = mem_strdup(l->facts->id);
	(void)queuefile_env_add(&env, to);
	msg_make_field(&head, "X-Sieve-Redirected-From",
		       span_of(l->facts->addr));
	buf_addc(&head, '\n');
	r = deliver_queue_copy(&w, &env, buf_span(&head), l->out->fd, 0,
			       l->out->size, e);
	if (r == 0) {
		v->queued = mem_grow(v->queued, &v->cap, v->nqueued + 1,
				     sizeof(*v->queued));
		v->queued[v->nqueued++] = w;
		v->redirected = true;
	}
	queuefile_env_free(&env);
	buf_free(&head);
	return r;
}

static void
say_where(struct verdict *v)
{
	struct buf b = BUF_INIT;

	for (size_t i = 0; i < v->places.n; i++)
		buf_addf(&b, "%s%s", i > 0 ? ", " : "",
			 v->places.v[i].folder[0] ? v->places.v[i].folder
						  : "INBOX");
	if (b.n > 0)
		snprintf(v->words, sizeof(v->words),
			 "delivered to maildir: %.120s", buf_str(&b));
	buf_free(&b);
}

static int
run_script(struct local *l, struct command_result *res, struct err *e)
{
	struct command c = { .argv = STRS_INIT,
			     .env = STRS_INIT,
			     .dir = l->dest->home,
			     .limit_ms = SIEVE_MS };
	int r = -1;

	strs_take(&c.argv, command_own("mx-filter"));
	strs_add(&c.argv, "sieve");
	strs_add(&c.argv, "--actions");
	command_env(&c.env, l->dest, l->facts);
	/* not an option: the filter is kept for all scripts of its uid */
	strs_addf(&c.env, "MX_SIEVE_SCRIPT=%s", l->dest->sieve);
	if (lseek(l->out->fd, 0, SEEK_SET) != 0)
		err_sys(e, "rewinding the message");
	else
		r = hand_run(l->hand, &c, l->out->fd, res, e);
	strs_free(&c.argv);
	strs_free(&c.env);
	return r;
}

int
sieve_run(struct local *l, struct verdict *v, struct err *e)
{
	struct command_result res = { .out = BUF_INIT, .errs = BUF_INIT };
	struct strs redirects = STRS_INIT;
	struct buf line = BUF_INIT;
	int r = 0;

	if (run_script(l, &res, e) != 0) {
		implicit_keep(v, l, e->text);
	} else if (res.status != 0) {
		escape_line(&line, span_trim(buf_span(&res.errs)), 200);
		implicit_keep(v, l,
			      line.n > 0 ? buf_str(&line)
					 : status_words(res.status));
	} else {
		sieve_actions(buf_span(&res.out), v, &redirects);
	}
	for (size_t i = 0; r == 0 && i < redirects.n; i++)
		r = queue_redirect(l, v, redirects.v[i], e);
	if (r == 0)
		say_where(v);
	buf_free(&line);
	buf_free(&res.out);
	buf_free(&res.errs);
	strs_free(&redirects);
	return r;
}
