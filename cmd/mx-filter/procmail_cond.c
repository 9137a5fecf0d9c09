/*
 * procmail_cond.c - the conditions of a recipe, plain and weighted.
 * procmailrc(5), procmailsc(5).
 */
#include "mem.h"
#include "num.h"
#include "procmail.h"

#include <dlfcn.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SCORE_MAX 2147483647.0

struct cond {
	bool not, weighted;
	double w, x;
	struct span area; /* where a regular expression looks */
};

/* "-150", "1.5", ".75"; its length, or 0. */
static size_t
real(struct span s, double *r)
{
	double v = 0, unit = 1;
	size_t i = 0, digits = 0;
	bool minus = s.n > 0 && s.p[0] == '-';

	if (s.n > 0 && (s.p[0] == '-' || s.p[0] == '+'))
		i++;
	for (; i < s.n && ascii_isdigit(s.p[i]); i++, digits++)
		v = v * 10 + (s.p[i] - '0');
	if (i < s.n && s.p[i] == '.') {
		for (i++; i < s.n && ascii_isdigit(s.p[i]); i++, digits++) {
			unit /= 10;
			v += (s.p[i] - '0') * unit;
		}
	}
	*r = minus ? -v : v;
	return digits > 0 ? i : 0;
}

/* "w^x" and a blank. */
static bool
take_weight(struct span *s, struct cond *c)
{
	size_t a = real(*s, &c->w), b;

	if (a == 0 || a >= s->n || s->p[a] != '^')
		return false;
	b = real(span_from(*s, a + 1), &c->x);
	if (b == 0)
		return false;
	*s = span_ltrim(span_from(*s, a + 1 + b));
	c->weighted = true;
	return true;
}

/* Where expressions look: continued header lines are one line there. */
static struct span
area_of(const struct pm *p, bool header, bool body, struct buf *b)
{
	struct span all = buf_span(&p->mail);

	if (!header)
		return span_from(all, p->header);
	buf_clear(b);
	buf_addspan(b, body ? all : span_sub(all, 0, p->header));
	for (size_t i = 0; i + 1 < p->header; i++) {
		if (b->p[i] == '\n' &&
		    (b->p[i + 1] == ' ' || b->p[i + 1] == '\t'))
			b->p[i] = ' ';
	}
	return buf_span(b);
}

/* "B ??", "NAME ??" */
static bool
take_area(struct pm *p, struct span *s, struct cond *c, struct buf *b)
{
	struct span rest = *s, name;
	size_t n = 0;
	char *v;

	while (n < rest.n && (ascii_isalnum(rest.p[n]) || rest.p[n] == '_'))
		n++;
	name = span_sub(rest, 0, n);
	rest = span_ltrim(span_from(rest, n));
	if (n == 0 || !span_starts(rest, SPAN("??")))
		return false;
	*s = span_ltrim(span_from(rest, 2));
	if (span_is(name, "B") || span_is(name, "H") || span_is(name, "HB") ||
	    span_is(name, "BH")) {
		c->area = area_of(p, span_chr(name, 'H') >= 0,
				  span_chr(name, 'B') >= 0, b);
	} else {
		v = mem_spandup(name);
		c->area = span_of(pm_get(p, v));
		free(v);
	}
	return true;
}

static void
add_score(struct pm_conds *cs, double v)
{
	cs->score += v;
	if (cs->score > SCORE_MAX)
		cs->score = SCORE_MAX;
	if (cs->score < -SCORE_MAX)
		cs->score = -SCORE_MAX;
}

/* w + wx + wxx ... for n matches */
static void
add_matches(struct pm_conds *cs, const struct cond *c, double n)
{
	double term = c->w;

	if (n >= (double)PM_ENDLESS && c->x >= 1) {
		add_score(cs, c->w < 0 ? -SCORE_MAX : SCORE_MAX);
		return;
	}
	for (double i = 0; i < n && i < 100000; i++) {
		add_score(cs, term);
		term *= c->x;
		if (fabs(term) < 1e-9 || fabs(cs->score) >= SCORE_MAX)
			break;
	}
}

static void
take_outcome(struct pm_conds *cs, const struct cond *c, double n)
{
	cs->scored |= c->weighted;
	if (c->weighted)
		add_matches(cs, c, n);
	else
		cs->match &= n > 0;
}

static void
regex(struct pm *p, const struct pm_recipe *r, struct span re, struct cond *c,
      struct pm_conds *cs)
{
	bool many = c->weighted && !c->not &&c->x != 0 && re.n > 0;
	struct buf match = BUF_INIT;
	struct err e = ERR_INIT;
	bool got = false;
	int64_t n;

	if (re.n > 1 && re.p[0] == '\\' && strchr("!$?<>\\", re.p[1]) != NULL &&
	    re.p[1] != '/')
		re = span_from(re, 1);
	n = pm_match(re, !r->flag['D'], c->area, many ? 100000 : 1, &match,
		     &got, &e);
	if (n < 0) { /* nothing is known: neither it nor its opposite holds */
		pm_log(p, "%s", e.text);
		take_outcome(cs, c, 0);
		buf_free(&match);
		return;
	}
	if (got && !c->not )
		pm_assign(p, "MATCH", buf_str(&match));
	pm_verbose(p, "%s on %s\"%.*s\"",
		   (n > 0) != c->not ? "Match" : "No match", c->not ? "! " : "",
		   SPAN_ARG(re));
	take_outcome(cs, c, c->not ? n == 0 : (double)n);
	buf_free(&match);
}

/* pow(3).  Few rcfiles weigh a length, and to link libm would cost every start
 * a tenth of it.  Without one the power is a whole number's. */
static double
power(double base, double x)
{
	static double (*fn)(double, double);
	static bool asked;
	double v = 1;

	if (!asked) {
		void *lib = dlopen("libm.so.6", RTLD_NOW);
		void *sym = lib != NULL ? dlsym(lib, "pow") : NULL;

		memcpy(&fn, &sym, sizeof(fn));
		asked = true;
	}
	if (fn != NULL)
		return fn(base, x);
	for (int i = 0; i < 64 && i < x; i++)
		v *= base;
	return v;
}

/* "< 1000": the length of the mail. */
static void
length(struct pm *p, struct span s, struct cond *c, struct pm_conds *cs)
{
	bool less = s.p[0] == '<';
	double m = (double)p->mail.n, l;
	bool yes;

	if (real(span_trim(span_from(s, 1)), &l) == 0)
		l = 0;
	yes = less ? m < l : m > l;
	pm_verbose(p, "%s on \"%.*s\"", yes ? "Match" : "No match",
		   SPAN_ARG(s));
	if (!c->weighted) {
		cs->match &= yes != c->not ;
		return;
	}
	cs->scored = true;
	if (c->not )
		less = !less;
	if (l > 0 && m > 0)
		add_score(cs, c->w * power(less ? l / m : m / l, c->x));
}

/* "? command" */
static void
program(struct pm *p, struct span s, struct cond *c, struct pm_conds *cs)
{
	char *line = mem_spandup(span_trim(span_from(s, 1)));
	struct pm_cmd cmd = { .line = line,
			      .in = buf_span(&p->mail),
			      .wait = true,
			      .ignore_write = true };
	struct buf out = BUF_INIT;
	int status;

	cmd.out = &out;
	status = pm_command(p, &cmd);
	p->exit = status < 0 ? 127 : status;
	if (out.n > 0 && p->log >= 0)
		(void)!write(p->log, out.p, out.n);
	pm_verbose(p, "%s on \"%s\"", status == 0 ? "Match" : "Program failure",
		   line);
	if (!c->weighted)
		cs->match &= (status == 0) != c->not ;
	else if (c->not )
		take_outcome(cs, c, p->exit);
	else
		add_score(cs, status == 0 ? c->w : c->x);
	cs->scored |= c->weighted;
	buf_free(&out);
	free(line);
}

void
pm_condition(struct pm *p, const struct pm_recipe *r, struct span line,
	     struct pm_conds *cs)
{
	struct cond c = { .not = false };
	struct span s = span_trim(line);
	struct strs words = STRS_INIT;
	struct buf area = BUF_INIT;
	char *held = NULL;

	c.area = area_of(p, r->flag['H'] || !r->flag['B'], r->flag['B'], &area);
	(void)take_weight(&s, &c);
	while (s.n > 0) {
		if (s.p[0] == '!') {
			c.not = !c.not ;
			s = span_ltrim(span_from(s, 1));
		} else if (s.p[0] == '$') {
			struct span rest = span_ltrim(span_from(s, 1));

			strs_clear(&words);
			pm_expand(p, &rest, PM_DQUOTE, false, &words);
			free(held);
			held = mem_strdup(words.n > 0 ? words.v[0] : "");
			s = span_ltrim(span_of(held));
			if (!c.weighted)
				(void)take_weight(&s, &c);
		} else if (!take_area(p, &s, &c, &area)) {
			break;
		}
	}
	if (s.n > 0 && s.p[0] == '?')
		program(p, s, &c, cs);
	else if (s.n > 0 && (s.p[0] == '<' || s.p[0] == '>') &&
		 span_trim(span_from(s, 1)).n > 0 &&
		 ascii_isdigit(span_trim(span_from(s, 1)).p[0]))
		length(p, s, &c, cs);
	else
		regex(p, r, s, &c, cs);
	strs_free(&words);
	buf_free(&area);
	free(held);
}
