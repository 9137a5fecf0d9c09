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
#include "keywords.h"
#include "log.h"
#include "mem.h"
#include "msg.h"
#include "num.h"
#include "senders.h"
#include "status.h"
#include "users.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define SIEVE_MS 60000

void
verdict_free(struct verdict *v)
{
	places_free(&v->places);
	for (size_t i = 0; i < v->nmails; i++) {
		free(v->mails[i].to);
		free(v->mails[i].from);
	}
	for (size_t i = 0; i < v->ncopies; i++)
		places_free(&v->copies[i].places);
	free(v->mails);
	free(v->copies);
	v->mails = NULL;
	v->copies = NULL;
	v->nmails = v->ncopies = 0;
	/* another script may fill it again */
	v->mails_cap = v->copies_cap = 0;
	strs_free(&v->marks);
	for (size_t i = 0; i < v->nfds; i++)
		close(v->fds[i]);
	v->nfds = 0;
	v->fd = -1;
	free(v->reject);
	free(v->queued);
	v->reject = NULL;
	v->queued = NULL;
	v->nqueued = v->cap = 0;
}

/* Takes back what is queued and not yet due. */
void
verdict_undo(struct verdict *v)
{
	deliver_queue_settle(v->queued, v->nqueued, false);
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
	struct span word, arg, from, use;
	char *flags;
	struct span keywords; /* all flags as the script named them */
	bool copy, create;
	struct piece text;
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
			a->keywords = span_from(piece, 6);
			a->flags = flag_letters(a->keywords);
		} else if (span_is(piece, "copy")) {
			a->copy = true;
		} else if (span_is(piece, "create")) {
			a->create = true;
		} else if (span_starts(piece, SPAN("from="))) {
			a->from = span_from(piece, 5);
		} else if (span_starts(piece, SPAN("specialuse="))) {
			a->use = span_from(piece, 11);
		} else if (span_starts(piece, SPAN("at="))) {
			a->text.set = num_u64(span_from(piece, 3), INT64_MAX,
					      &a->text.at);
		} else if (span_starts(piece, SPAN("size="))) {
			a->text.set &= num_u64(span_from(piece, 5), INT64_MAX,
					       &a->text.size);
		} else if (a->arg.p == NULL) {
			a->arg = piece;
		}
	}
}

/* The places of the message that came, or of that piece. */
static struct places *
places_of(struct verdict *v, const struct piece *text)
{
	if (!text->set)
		return &v->places;
	for (size_t i = 0; i < v->ncopies; i++)
		if (v->copies[i].text.at == text->at &&
		    v->copies[i].text.fd == v->fd)
			return &v->copies[i].places;
	v->copies = mem_grow(v->copies, &v->copies_cap, v->ncopies + 1,
			     sizeof(*v->copies));
	v->copies[v->ncopies] = (struct sieve_copy){ .text = *text };
	v->copies[v->ncopies].text.fd = v->fd;
	return &v->copies[v->ncopies++].places;
}

static void
add_place(struct verdict *v, struct span folder, const struct action *a)
{
	struct places *p = places_of(v, &a->text);
	struct span rest = a->keywords, word;

	for (size_t i = 0; i < p->n; i++)
		if (span_is(folder, p->v[i].folder))
			return;
	places_add(p, folder, a->flags, a->create || conf.autocreate,
		   a->create || conf.autosubscribe);
	if (a->use.n > 0)
		p->v[p->n - 1].use = mem_spandup(a->use);
	struct strs *keywords = &p->v[p->n - 1].keywords;
	while (span_word(&rest, " ", &word))
		if (keywords_valid(word) && keywords->n < MAILDIR_KEYWORDS)
			strs_addspan(keywords, word);
}

static void
add_mail(struct verdict *v, const struct action *a, bool own)
{
	struct sieve_mail *m;

	v->mails =
	    mem_grow(v->mails, &v->mails_cap, v->nmails + 1, sizeof(*v->mails));
	m = &v->mails[v->nmails++];
	*m = (struct sieve_mail){ .to = mem_spandup(a->arg),
				  .own = own,
				  .text = a->text };
	m->text.fd = v->fd;
	if (a->from.p != NULL)
		m->from = mem_spandup(a->from);
}

static size_t
count_redirects(const struct verdict *v)
{
	size_t n = 0;

	for (size_t i = 0; i < v->nmails; i++)
		n += !v->mails[i].own;
	return n;
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
sieve_actions(struct span lines, struct verdict *v)
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
			if (count_redirects(v) <
			    (size_t)conf.sieve_max_redirects)
				add_mail(v, &a, false);
			else
				add_place(v, SPAN(""), &a);
		} else if ((span_is(a.word, "vacation") ||
			    span_is(a.word, "notify")) &&
			   a.arg.n > 0 && a.text.set) {
			add_mail(v, &a, true);
		} else if (span_is(a.word, "fcc") && a.arg.n > 0 &&
			   a.text.set) {
			add_place(
			    v, span_iis(a.arg, "INBOX") ? SPAN("") : a.arg, &a);
		} else if (span_is(a.word, "remember")) {
			strs_addspan(&v->marks, a.arg);
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
implicit_keep(struct verdict *v, const struct local *l, const char *script,
	      const char *why)
{
	log_warn("%s: sieve: %s: %s: kept in the inbox", l->facts->id, script,
		 why);
	places_add(&v->places, SPAN(""), NULL, false, false);
}

/* A redirected message is a new queue entry: same sender, null stays null. */
static int
queue_mail(struct local *l, struct verdict *v, const struct sieve_mail *m,
	   struct err *e)
{
	bool null = l->facts->sender[0] == '\0' && !m->own;
	/* RFC 8689 6: what became of it is as confidential. */
	struct queuefile_env env = { .flags = QUEUEFILE_FILTERED |
					      (l->facts->flags &
					       QUEUEFILE_REQUIRETLS) };
	struct buf head = BUF_INIT;
	struct queuefile_writer w;
	int r;

	if (m->own || m->from != NULL || null)
		env.sender =
		    mem_strdup(m->from && !null ? m->from : l->facts->sender);
	else
		env.sender = senders_forward(l->facts->sender, e);
	if (env.sender == NULL)
		return -1;
	env.id = mem_strdup(l->facts->id);
	(void)queuefile_env_add(&env, m->to);
	if (!m->own) {
		msg_make_field(&head, "X-Sieve-Redirected-From",
			       span_of(l->facts->addr));
		buf_addc(&head, '\n');
	}
	r = deliver_queue_copy(&w, &env, buf_span(&head),
			       m->text.set ? m->text.fd : l->out->fd,
			       m->text.set ? m->text.at : 0,
			       m->text.set ? m->text.size : l->out->size, e);
	if (r == 0) {
		v->queued = mem_grow(v->queued, &v->cap, v->nqueued + 1,
				     sizeof(*v->queued));
		v->queued[v->nqueued++] = w;
		v->redirected |= !m->own;
	}
	queuefile_env_free(&env);
	buf_free(&head);
	return r;
}

/* The log's words: every folder that got a copy. */
static void
say_where(struct verdict *v)
{
	struct buf b = BUF_INIT;

	for (size_t i = 0; i <= v->ncopies; i++) {
		const struct places *p =
		    i == 0 ? &v->places : &v->copies[i - 1].places;
		for (size_t k = 0; k < p->n; k++)
			buf_addf(&b, "%s%s", b.n > 0 ? ", " : "",
				 p->v[k].folder[0] ? p->v[k].folder : "INBOX");
	}
	if (b.n > 0)
		snprintf(v->words, sizeof(v->words),
			 "delivered to maildir: %.120s", buf_str(&b));
	buf_free(&b);
}

/* As the mailbox's owner; the message is read from its file in tmp/, which
 * nobody else knows yet. */
static int
run_script(struct local *l, const char *script, struct pipeline_result *res,
	   struct err *e)
{
	struct strs argv = STRS_INIT;
	struct pipeline p = { .argv = &argv, .n = 1, .limit_ms = SIEVE_MS };
	int r = -1;

	strs_take(&argv, command_own("mx-filter"));
	strs_add(&argv, "sieve");
	strs_add(&argv, "--actions");
	command_env(&p.env, l->dest, l->facts);
	/* not an option: the filter is kept for all scripts of its uid */
	strs_addf(&p.env, "MX_SIEVE_SCRIPT=%s", script);
	if (l->dest->kind == DEST_MAILDIR)
		strs_addf(&p.env, "MX_MAILDIR=%s", l->dest->path);
	strs_add(&p.env, "MX_ACTIONS=3");
	if (lseek(l->out->fd, 0, SEEK_SET) != 0)
		err_sys(e, "rewinding the message");
	else
		r = hand_pipe(l->hand, &p, l->out->fd, res, e);
	strs_free(&argv);
	strs_free(&p.env);
	return r;
}

/* Pieces are inside of what was written: nothing else is believed. */
static bool
piece_ok(const struct piece *p)
{
	struct stat st = { .st_size = 0 };

	if (!p->set)
		return true;
	return p->fd >= 0 && fstat(p->fd, &st) == 0 &&
	       p->at <= (uint64_t)st.st_size &&
	       p->size <= (uint64_t)st.st_size - p->at;
}

static bool
pieces_ok(const struct verdict *v)
{
	bool ok = true;

	for (size_t i = 0; i < v->nmails; i++)
		ok &= piece_ok(&v->mails[i].text);
	for (size_t i = 0; i < v->ncopies; i++)
		ok &= piece_ok(&v->copies[i].text);
	return ok;
}

bool
sieve_for_all(void)
{
	return conf.sieve_before.n + conf.sieve_after.n > 0;
}

static int
by_name(const struct dirent **a, const struct dirent **b)
{
	return strcmp((*a)->d_name, (*b)->d_name);
}

static int
is_script(const struct dirent *d)
{
	return d->d_name[0] != '.' &&
	       span_ends(span_of(d->d_name), SPAN(".sieve"));
}

/* A script, or all *.sieve of a folder; what is not there does not count. */
static void
add_scripts(struct strs *out, const struct strs *list, const struct local *l)
{
	for (size_t i = 0; i < list->n; i++) {
		struct buf b = BUF_INIT;
		struct dirent **v = NULL;
		struct stat st;
		int n = 0;

		if (users_expand(&b, list->v[i], l->dest->user,
				 l->dest->home) &&
		    stat(buf_str(&b), &st) == 0) {
			if (S_ISDIR(st.st_mode))
				n = scandir(buf_str(&b), &v, is_script,
					    by_name);
			else
				strs_add(out, buf_str(&b));
		}
		for (int k = 0; k < n; k++) {
			strs_addf(out, "%s/%s", buf_str(&b), v[k]->d_name);
			free(v[k]);
		}
		free(v);
		buf_free(&b);
	}
}

/* The keep of a script is the next one's to decide (Pigeonhole, multiscript).
 * False: there is none. */
static bool
take_keep(struct verdict *v)
{
	for (size_t i = 0; i < v->places.n; i++) {
		struct place p = v->places.v[i];

		if (p.folder[0] != '\0')
			continue;
		free(p.folder);
		free(p.flags);
		free(p.use);
		strs_free(&p.keywords);
		v->places.v[i] = v->places.v[--v->places.n];
		return true;
	}
	return false;
}

/* Whatever goes wrong with a script, the message is kept: RFC 5228 2.10.6, and
 * a user's mistake is not the sender's. */
static void
run_one(struct local *l, const char *script, struct verdict *v, struct err *e)
{
	struct pipeline_result res = { .bad = -1, .fd_out = -1 };
	struct buf line = BUF_INIT;

	v->fd = -1;
	if (run_script(l, script, &res, e) != 0) {
		implicit_keep(v, l, script, e->text);
	} else if (res.bad >= 0) {
		escape_line(&line, span_trim(buf_span(&res.errs)), 200);
		implicit_keep(v, l, script,
			      line.n > 0 ? buf_str(&line)
					 : status_words(res.status));
	} else {
		v->fd = v->fds[v->nfds++] = res.fd_out;
		/* What the interpreter wrote (edited messages, replies) stays
		 * open as long as actions point into it. */
		res.fd_out = -1;
		sieve_actions(buf_span(&res.actions), v);
		if (!pieces_ok(v)) {
			verdict_free(v);
			implicit_keep(v, l, script,
				      "its answer makes no sense");
		}
	}
	buf_free(&line);
	buf_free(&res.actions);
	buf_free(&res.errs);
	if (res.fd_out >= 0)
		close(res.fd_out);
}

int
sieve_run(struct local *l, struct verdict *v, struct err *e)
{
	struct strs scripts = STRS_INIT;
	int r = 0;

	add_scripts(&scripts, &conf.sieve_before, l);
	if (l->script)
		strs_add(&scripts, l->dest->sieve);
	add_scripts(&scripts, &conf.sieve_after, l);
	for (size_t i = 0; i < scripts.n && v->nfds < SIEVE_SCRIPTS_MAX; i++) {
		run_one(l, scripts.v[i], v, e);
		if (v->reject != NULL || i + 1 == scripts.n ||
		    v->nfds == SIEVE_SCRIPTS_MAX || !take_keep(v))
			break;
	}
	if (scripts.n == 0)
		places_add(&v->places, SPAN(""), NULL, false, false);
	for (size_t i = 0; r == 0 && i < v->nmails; i++)
		r = queue_mail(l, v, &v->mails[i], e);
	if (r == 0)
		say_where(v);
	strs_free(&scripts);
	return r;
}

/* One copy, into its folders. */
static int
store_copy(const struct sieve_copy *c, struct local *l, struct err *e)
{
	uint64_t at = c->text.at, left = c->text.size;
	struct deposit *out;
	bool script;
	char b[65536];
	int r;

	if (hand_open(l->hand, l->dest, &out, &script, e) != 0)
		return -1;
	for (r = 0; r == 0 && left > 0;) {
		size_t want = left < sizeof(b) ? (size_t)left : sizeof(b);
		ssize_t got = pread(c->text.fd, b, want, (off_t)at);
		if (got <= 0)
			r = err_set(e, ST_TEMPFAIL,
				    "the edited message cannot be read");
		else
			r = deposit_write(out, b, (size_t)got, e);
		at += got > 0 ? (uint64_t)got : 0;
		left -= got > 0 ? (uint64_t)got : 0;
	}
	if (r == 0)
		return hand_commit(l->hand, &c->places, e);
	hand_abort(l->hand);
	return r;
}

int
verdict_copies(struct verdict *v, struct local *l, struct err *e)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < v->ncopies; i++)
		r = store_copy(&v->copies[i], l, e);
	return r;
}

/* vacation and duplicate: written only now that the message is delivered, so
 * that a retry is not taken for a duplicate of itself. */
static void
remember_marks(const struct verdict *v, struct local *l)
{
	struct command c = { .dir = l->dest->home, .limit_ms = SIEVE_MS };
	struct command_result res = { .status = ST_TEMPFAIL };
	struct strs argv = STRS_INIT;
	struct err e = ERR_INIT;

	if (v->marks.n == 0)
		return;
	int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
	strs_take(&argv, command_own("mx-filter"));
	strs_add(&argv, "remember");
	for (size_t i = 0; i < v->marks.n; i++)
		strs_add(&argv, v->marks.v[i]);
	c.argv = argv;
	command_env(&c.env, l->dest, l->facts);
	if (hand_run(l->hand, &c, null, &res, &e) != 0 || res.status != ST_OK)
		log_warn("%s: sieve: what the script saw is not remembered",
			 l->facts->id);
	strs_free(&c.argv);
	strs_free(&c.env);
	buf_free(&res.out);
	buf_free(&res.errs);
	if (null >= 0)
		close(null);
}

void
verdict_done(struct verdict *v, struct local *l)
{
	/* THREATS 43: remembered before it can be sent, or a crash between
	 * would answer the same sender twice. */
	remember_marks(v, l);
	deliver_queue_settle(v->queued, v->nqueued, true);
	v->nqueued = 0;
}
