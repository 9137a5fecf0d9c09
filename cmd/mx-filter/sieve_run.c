/*
 * sieve_run.c - runs a checked script: blocks, tests, actions.
 * RFC 5228 2.10: implicit keep, limits; an error leaves the keep to the
 * caller.
 */
#include "sieve.h"
#include "mem.h"
#include "status.h"

#include <stdio.h>
#include <stdlib.h>

#define STEPS_MAX 1000000

/* Strings are expanded when control gets there (RFC 5229 3). */
static int
run_word(struct sieve_run *r, const struct sieve_node *n)
{
	struct sieve_node now;
	int rc;

	r->count = 0;
	if (n->has_vars) {
		sieve_expand(r, n, &now);
		n = &now;
	}
	rc = n->word->run(r, n);
	if (rc == 0 && n->match != NULL && n->match->finish != NULL)
		rc = sieve_match_finish(r, n);
	if (n == &now)
		sieve_expand_done(&now);
	return rc;
}

int
sieve_run_test(struct sieve_run *r, const struct sieve_node *n)
{
	int yes;

	buf_clear(&r->saw);
	yes = run_word(r, n);
	if (r->explain != NULL && n->word->tests == 0)
		fprintf(r->explain, "%s:%d: %s: %s%s%s%s\n", r->script->file,
			n->line, n->name, yes > 0 ? "true" : "false",
			r->saw.n ? " (saw " : "", buf_str(&r->saw),
			r->saw.n ? ")" : "");
	return yes;
}

/* RFC 5228 2.10.7: the time that a script may take. */
int
sieve_check_time(struct sieve_run *r)
{
	if (r->cpu == 0)
		r->cpu = clock();
	if (sieve_conf.max_cpu_time > 0 &&
	    (clock() - r->cpu) / (CLOCKS_PER_SEC / 1000) >
		sieve_conf.max_cpu_time)
		return err_set(&r->err, ST_UNAVAILABLE,
			       "execution exceeded CPU time limit "
			       "(sieve_max_cpu_time)");
	return 0;
}

static int
check_steps(struct sieve_run *r)
{
	if (++r->steps > STEPS_MAX)
		return err_set(&r->err, ST_UNAVAILABLE,
			       "the script runs too long");
	return sieve_check_time(r);
}

/* The recursion (if inside if) is bounded by SIEVE_NESTING. */
int
sieve_run_block(struct sieve_run *r, const struct sieve_node *n)
{
	for (size_t i = 0;
	     i < n->nblock && !r->stopped && !r->returned && r->broken == NULL;
	     i++) {
		if (check_steps(r) != 0)
			return -1;
		if (run_word(r, &n->block[i]) != 0) {
			if (r->err_line == 0) /* not those around it */
				r->err_line = n->block[i].line;
			return -1;
		}
	}
	return 0;
}

/* A flag or keyword: no control, no blank, none of RFC 3501's specials. */
bool
sieve_flag_ok(struct span w)
{
	struct span name = w.n > 0 && w.p[0] == '\\' ? span_from(w, 1) : w;

	for (size_t i = 0; i < name.n; i++) {
		unsigned char c = (unsigned char)name.p[i];

		if (c <= 0x20 || c >= 0x7f ||
		    strchr("(){%*\"\\]", (char)c) != NULL)
			return false;
	}
	return name.n > 0;
}

/* Flags as RFC 5232 2 has them: words of strings, no word twice. */
static void
action_flags(struct sieve_run *r, const struct sieve_node *n,
	     struct sieve_action *a)
{
	const struct sieve_arg *v = n != NULL ? sieve_value(n, ":flags") : NULL;
	const struct strs *from = v != NULL ? &v->strings : &r->flags;

	a->has_flags = v != NULL || r->flags_set;
	for (size_t i = 0; a->has_flags && i < from->n; i++) {
		struct span rest = span_of(from->v[i]), w;

		while (span_word(&rest, " ", &w)) {
			if (sieve_flag_ok(w) && !strs_ihas(&a->flags, w))
				strs_addspan(&a->flags, w);
		}
	}
}

/* A keep is a fileinto INBOX. */
static const char *
place_verb(const struct sieve_action *a)
{
	bool inbox = strcmp(a->verb, "fileinto") == 0 &&
		     span_iis(span_of(a->what), "INBOX");

	return inbox ? "keep" : a->verb;
}

static bool
same_place(const struct sieve_action *a, const struct sieve_action *b)
{
	/* Notifications and programs are each one of their own. */
	if (a->text != NULL || b->text != NULL || a->args.n + b->args.n > 0 ||
	    strcmp(a->verb, "pipe") == 0)
		return false;
	if (strcmp(place_verb(a), "keep") == 0)
		return true;
	return strcmp(a->what ? a->what : "", b->what ? b->what : "") == 0;
}

/* RFC 5228 2.10.3: the same action on the same place is done once. */
static struct sieve_action *
same_action(const struct sieve_run *r, const struct sieve_action *a)
{
	for (size_t i = 0; i < r->nactions; i++) {
		struct sieve_action *b = &r->actions[i];

		if (strcmp(place_verb(a), place_verb(b)) == 0 &&
		    same_place(a, b))
			return b;
	}
	return NULL;
}

static size_t
count_verb(const struct sieve_run *r, const char *verb)
{
	size_t n = 0;

	for (size_t i = 0; i < r->nactions; i++)
		n += strcmp(r->actions[i].verb, verb) == 0;
	return n;
}

/* RFC 5228 2.10.4: limits; but a keep is never too much. */
static int
check_limits(struct sieve_run *r, const char *verb)
{
	if (strcmp(verb, "keep") == 0)
		return 0;
	if (sieve_conf.max_actions > 0 &&
	    r->nactions >= (size_t)sieve_conf.max_actions)
		return err_set(&r->err, ST_UNAVAILABLE,
			       "total number of actions exceeds policy limit");
	if (strcmp(verb, "redirect") == 0 &&
	    count_verb(r, verb) >= (size_t)sieve_conf.max_redirects)
		return err_set(&r->err, ST_UNAVAILABLE,
			       "number of redirect actions exceeds policy "
			       "limit");
	if (strcmp(verb, "notify") == 0 && sieve_conf.max_notifications > 0 &&
	    count_verb(r, verb) >= (size_t)sieve_conf.max_notifications)
		return err_set(&r->err, ST_UNAVAILABLE,
			       "number of notify actions exceeds policy limit");
	return 0;
}

static void
free_action(struct sieve_action *a)
{
	free(a->what);
	free(a->from);
	free(a->text);
	free(a->special_use);
	free(a->withheld);
	free(a->mark);
	free(a->fcc);
	strs_free(&a->fcc_flags);
	strs_free(&a->args);
	strs_free(&a->flags);
}

/* Of two keeps in one mailbox (RFC 5228 2.10.3) the last one's flags count. */
static void
merge_action(struct sieve_action *was, struct sieve_action *a)
{
	strs_free(&was->flags);
	was->flags = a->flags;
	a->flags = STRS_INIT;
	was->has_flags = a->has_flags;
	was->create |= a->create;
}

struct sieve_action *
sieve_act_more(struct sieve_run *r, const struct sieve_node *n,
	       const char *verb, char *what, char *text)
{
	struct sieve_action a = { .verb = verb, .what = what, .text = text },
			    *was;
	bool keeps =
	    strcmp(verb, "vacation") == 0 || strcmp(verb, "notify") == 0;

	if (n != NULL) {
		a.copy = sieve_has(n, ":copy") != NULL;
		a.create = sieve_has(n, ":create") != NULL;
		a.try = sieve_has(n, ":try") != NULL;
		a.line = n->line;
	}
	/* RFC 3894: :copy leaves the implicit keep alone. */
	if (!a.copy && !keeps)
		r->implicit_keep = false;
	if (strcmp(verb, "keep") == 0 || strcmp(verb, "fileinto") == 0)
		action_flags(r, n, &a);
	a.message = r->message;
	if (r->message != NULL)
		r->message->pinned = true;
	was = same_action(r, &a);
	if (was != NULL) {
		merge_action(was, &a);
		free_action(&a);
		return was;
	}
	if (check_limits(r, verb) != 0) {
		free_action(&a);
		return NULL;
	}
	r->actions = mem_grow(r->actions, &r->actions_cap, r->nactions + 1,
			      sizeof(*r->actions));
	r->actions[r->nactions++] = a;
	return &r->actions[r->nactions - 1];
}

int
sieve_act(struct sieve_run *r, const struct sieve_node *n, const char *verb,
	  char *what)
{
	return sieve_act_more(r, n, verb, what, NULL) != NULL ? 0 : -1;
}

/* A message that is kept in full and refused at once makes no sense
 * (RFC 5429 2.2). */
static int
check_together(struct sieve_run *r)
{
	size_t refused = count_verb(r, "reject") + count_verb(r, "ereject");

	if (refused > 1)
		return err_set(&r->err, ST_UNAVAILABLE,
			       "duplicate reject action not allowed");
	if (refused == 1 && r->nactions > 1 + count_verb(r, "discard") +
					      count_verb(r, "notify") +
					      count_verb(r, "pipe"))
		return err_set(&r->err, ST_UNAVAILABLE,
			       "reject conflicts with another action");
	return 0;
}

void
sieve_forget_actions(struct sieve_run *r)
{
	for (size_t i = 0; i < r->nactions; i++)
		free_action(&r->actions[i]);
	r->nactions = 0;
}

int
sieve_evaluate(struct sieve_run *r)
{
	struct sieve_message *came = r->message;

	if (came != NULL)
		came->pinned = true;
	r->implicit_keep = true;
	if (sieve_run_block(r, &r->script->root) != 0 ||
	    check_together(r) != 0) {
		/* RFC 5228 2.10.6: nothing half done; the message is kept. */
		sieve_forget_actions(r);
		strs_clear(&r->marks);
		r->implicit_keep = true;
		if (came != NULL) {
			r->message = came;
			r->m = &came->m;
			r->size = came->size;
		}
		return -1;
	}
	return 0;
}

/* RFC 5228 2.10.2: what nothing else was done with is kept. */
int
sieve_execute(struct sieve_run *r)
{
	if (sieve_evaluate(r) != 0)
		return -1;
	if (r->implicit_keep && count_verb(r, "keep") == 0)
		return sieve_act(r, NULL, "keep", NULL);
	return 0;
}

void
sieve_run_done(struct sieve_run *r)
{
	sieve_forget_actions(r);
	free(r->actions);
	strs_free(&r->flags);
	strs_free(&r->groups);
	if (r->vars != NULL)
		map_free(r->vars, free);
	if (r->globals != NULL)
		map_free(r->globals, free);
	r->vars = r->globals = NULL;
	strs_free(&r->once);
	strs_free(&r->marks);
	buf_free(&r->saw);
}
