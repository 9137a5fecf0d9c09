/*
 * procmail_rc.c - reads rcfiles and does what they say, statement by
 * statement.  procmailrc(5).  INCLUDERC and blocks are stacks, not recursion.
 */
#include "io.h"
#include "mem.h"
#include "num.h"
#include "procmail.h"
#include "status.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#define RC_MAX ((size_t)4 << 20)
#define BLOCKS_MAX 1000
#define STATEMENTS_MAX 1000000
#define FILE_STEPS 100 /* what reading one counts: SWITCHRC to itself ends */

int
pm_push_rc(struct pm *p, const char *name, struct err *e)
{
	struct pm_rc *rc;
	struct buf text = BUF_INIT;

	if (p->nrc >= PM_NESTING)
		return err_set(e, ST_CONFIG, "%s: rcfiles are nested too deep",
			       name);
	if (strcmp(name, "/dev/null") != 0 &&
	    io_read_file(name, &text, RC_MAX, e) != 0)
		return -1;
	p->steps += FILE_STEPS;
	p->rc = mem_grow(p->rc, &p->rc_cap, p->nrc + 1, sizeof(*p->rc));
	rc = &p->rc[p->nrc++];
	*rc = (struct pm_rc){ .name = mem_strdup(name),
			      .text = text,
			      .blocks = p->nblocks };
	return 0;
}

static void
pop_rc(struct pm *p)
{
	struct pm_rc *rc = &p->rc[--p->nrc];

	while (p->nblocks > rc->blocks) {
		p->nblocks--;
		p->skip -= p->block[p->nblocks].skip;
	}
	free(rc->name);
	buf_free(&rc->text);
}

static struct span
left(const struct pm *p)
{
	const struct pm_rc *rc = &p->rc[p->nrc - 1];

	return span_from(buf_span(&rc->text), rc->at);
}

static void
take(struct pm *p, size_t n)
{
	p->rc[p->nrc - 1].at += n;
}

/* The rest of the line; a backslash at its end joins the next one.  Blanks at
 * the start of a joined line are dropped where `trim`. */
static void
take_line(struct pm *p, struct buf *b, bool trim)
{
	struct span s = left(p);
	size_t i = 0;

	for (; i < s.n && s.p[i] != '\n'; i++) {
		if (s.p[i] == '\\' && i + 1 < s.n && s.p[i + 1] == '\n') {
			i++;
			while (trim && i + 1 < s.n &&
			       (s.p[i + 1] == ' ' || s.p[i + 1] == '\t'))
				i++;
			continue;
		}
		if (b->n < PM_LINE_MAX)
			buf_addc(b, s.p[i]);
	}
	take(p, i < s.n ? i + 1 : i);
}

static void
skip_line(struct pm *p)
{
	struct span s = left(p);
	ssize_t lf = span_chr(s, '\n');

	take(p, lf < 0 ? s.n : (size_t)lf + 1);
}

static void
skip_blanks(struct pm *p)
{
	struct span s = left(p);
	size_t i = 0;

	while (i < s.n && (s.p[i] == ' ' || s.p[i] == '\t'))
		i++;
	take(p, i);
}

/* --- assignments --- */

static void
assignment(struct pm *p)
{
	struct span s = left(p), rest;
	struct strs words = STRS_INIT;
	size_t n = 0, at = p->nrc - 1;
	char *name;

	while (n < s.n && (ascii_isalnum(s.p[n]) || s.p[n] == '_'))
		n++;
	name = mem_spandup(span_sub(s, 0, n));
	take(p, n);
	if (n == 0) {
		pm_log(p, "Skipped \"%.*s\"",
		       SPAN_ARG(span_sub(s, 0,
					 (size_t)(span_chr(s, '\n') < 0
						      ? (ssize_t)s.n
						      : span_chr(s, '\n')))));
		skip_line(p);
		free(name);
		return;
	}
	skip_blanks(p);
	rest = left(p);
	if (rest.n > 0 && rest.p[0] == '=') {
		take(p, 1);
		skip_blanks(p);
		rest = left(p);
		pm_expand(p, &rest, PM_VALUE, p->skip > 0, &words);
		p->rc[at].at = p->rc[at].text.n - rest.n;
		if (p->skip == 0)
			pm_assign(p, name, words.n > 0 ? words.v[0] : "");
	} else if (p->skip == 0) {
		pm_unset(p, name);
	}
	strs_free(&words);
	free(name);
}

/* --- recipes --- */

/* ":0 flags : lockfile", behind the ":". */
static void
recipe_line(struct pm *p, struct pm_recipe *r)
{
	struct buf line = BUF_INIT;
	struct strs words = STRS_INIT;
	struct span s;
	uint64_t count = 1;
	size_t used;

	*r = (struct pm_recipe){ .old_count = -1 };
	take_line(p, &line, true);
	s = buf_span(&line);
	if (num_prefix(s, 1000, &count, &used))
		s = span_from(s, used);
	if (count > 0)
		r->old_count = (long)count;
	for (; s.n > 0 && s.p[0] != ':' && s.p[0] != '#'; s = span_from(s, 1)) {
		if (strchr("HBDAaEehbfcwWir", s.p[0]) != NULL)
			r->flag[(int)s.p[0]] = true;
		else if (s.p[0] != ' ' && s.p[0] != '\t')
			pm_log(p, "Extraneous flag '%c' ignored", s.p[0]);
	}
	if (s.n > 0 && s.p[0] == ':') {
		r->lock = true;
		s = span_ltrim(span_from(s, 1));
		pm_expand(p, &s, PM_WORDS, p->skip > 0, &words);
		if (words.n > 0)
			r->lockfile = mem_strdup(words.v[0]);
	}
	strs_free(&words);
	buf_free(&line);
}

/* Does the next line begin with a star?  Empty lines and comments before one
 * are passed over. */
static bool
next_condition(struct pm *p, struct pm_recipe *r)
{
	struct span s = left(p);
	size_t i = 0;

	if (r->old_count > 0) {
		r->old_count--;
		return true;
	}
	for (;;) {
		while (i < s.n && ascii_isspace(s.p[i]))
			i++;
		if (i < s.n && s.p[i] == '#') {
			while (i < s.n && s.p[i] != '\n')
				i++;
			continue;
		}
		break;
	}
	if (i < s.n && s.p[i] == '*' && r->old_count < 0) {
		take(p, i + 1);
		return true;
	}
	take(p, i);
	return false;
}

/* "E", "e", "A", "a": may it run at all, after what was before it? */
static bool
may_run(const struct pm *p, const struct pm_recipe *r)
{
	bool yes = true;

	if (r->flag['e'])
		yes = p->prevcond && !p->lastsucc;
	else if (r->flag['E'])
		yes = !p->prevcond;
	if (r->flag['A'])
		yes = yes && p->lastcond;
	if (r->flag['a'])
		yes = yes && p->lastcond && p->lastsucc;
	return yes;
}

static bool
conditions(struct pm *p, struct pm_recipe *r)
{
	struct pm_conds c = { .match = p->skip == 0 && may_run(p, r) };
	struct buf line = BUF_INIT;

	while (next_condition(p, r)) {
		struct span s = left(p);
		size_t i = 0;

		while (i < s.n && (s.p[i] == ' ' || s.p[i] == '\t'))
			i++;
		buf_clear(&line);
		take_line(p, &line, !(i < s.n && s.p[i] == '$'));
		if (c.match)
			pm_condition(p, r, buf_span(&line), &c);
	}
	buf_free(&line);
	if (p->skip > 0)
		return false;
	p->score = (int64_t)c.score;
	if (p->score == 0 && c.score != 0)
		p->score = c.score > 0 ? 1 : -1;
	if (c.scored && c.score <= 0)
		c.match = false;
	return c.match;
}

static void
remember(struct pm *p, const struct pm_recipe *r, bool matched)
{
	if (!r->flag['A'] && !r->flag['a'])
		p->lastcond = matched;
	if (!p->prevcond || !r->flag['E'])
		p->prevcond = matched;
}

/* `c` on a block: a child does what is in it, and all that follows there. */
static bool
clone(struct pm *p)
{
	pid_t pid = fork();
	int w = 1;

	if (pid == 0) {
		pm_forget_locks(); /* they are not inherited */
		free(p->lockfile);
		p->lockfile = NULL;
		p->clone = true;
		return true;
	}
	if (pid > 0)
		(void)waitpid(pid, &w, 0);
	p->lastsucc = pid > 0 && w == 0;
	return false;
}

static void
open_block(struct pm *p, const struct pm_recipe *r, bool matched)
{
	struct pm_block *b;

	if (p->nblocks >= BLOCKS_MAX) {
		pm_log(p, "Too many nested blocks");
		p->rc[p->nrc - 1].at = p->rc[p->nrc - 1].text.n;
		return;
	}
	p->block = mem_grow(p->block, &p->blocks_cap, p->nblocks + 1,
			    sizeof(*p->block));
	b = &p->block[p->nblocks++];
	*b = (struct pm_block){ .prevcond = p->prevcond,
				.lastcond = p->lastcond,
				.skip = !matched };
	if (matched && r->flag['c'] && !clone(p))
		b->skip = true;
	else if (matched)
		p->lastsucc = true;
	p->skip += b->skip;
}

static void
close_block(struct pm *p)
{
	struct pm_block *b;

	take(p, 1);
	if (p->nrc == 0 || p->nblocks <= p->rc[p->nrc - 1].blocks) {
		pm_log(p, "Closing brace unexpected");
		return;
	}
	b = &p->block[--p->nblocks];
	p->skip -= b->skip;
	p->prevcond = b->prevcond;
	p->lastcond = b->lastcond;
}

/* Does the action end all?  A filter, a variable and a carbon copy do not. */
static bool
is_delivery(const struct pm_recipe *r, const char *line)
{
	size_t n = 0;

	if (r->flag['c'])
		return false;
	if (line[0] == '|')
		return !r->flag['f'];
	while (ascii_isalnum(line[n]) || line[n] == '_')
		n++;
	return n == 0 || line[n] != '=' ||
	       line[n + 1 + strspn(line + n + 1, " \t")] != '|';
}

static void
run_action(struct pm *p, const struct pm_recipe *r, const char *line)
{
	p->lastsucc = pm_action(p, r, line);
	if (!is_delivery(r, line)) {
		if (p->lastsucc && p->abstract_all && r->flag['c'])
			pm_abstract(p);
		return;
	}
	if (p->lastsucc) {
		p->done = true;
		pm_abstract(p);
	} else {
		p->failed = true;
	}
}

static void
recipe(struct pm *p)
{
	struct pm_recipe r;
	struct buf line = BUF_INIT;
	struct span s;
	bool matched;

	take(p, 1);
	recipe_line(p, &r);
	matched = conditions(p, &r);
	if (p->skip == 0)
		remember(p, &r, matched);
	skip_blanks(p);
	s = left(p);
	if (s.n > 0 && s.p[0] == '{' && (s.n == 1 || ascii_isspace(s.p[1]))) {
		take(p, 1);
		open_block(p, &r, matched);
	} else {
		take_line(p, &line, s.n > 0 && s.p[0] != '|');
		if (matched)
			run_action(p, &r, buf_str(&line));
	}
	free(r.lockfile);
	buf_free(&line);
}

void
pm_run(struct pm *p)
{
	for (; p->nrc > 0 && !p->done; p->steps++) {
		struct span s = left(p);

		if (p->steps > STATEMENTS_MAX) {
			pm_log(p, "The rcfile does not end");
			p->failed = true;
			return;
		}
		if (s.n == 0) {
			pop_rc(p);
		} else if (ascii_isspace(s.p[0])) {
			take(p, 1);
		} else if (s.p[0] == '#') {
			skip_line(p);
		} else if (s.p[0] == ':') {
			recipe(p);
		} else if (s.p[0] == '}') {
			close_block(p);
		} else {
			assignment(p);
		}
	}
}
