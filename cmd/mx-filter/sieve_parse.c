/*
 * sieve_parse.c - the grammar of Sieve.  RFC 5228 8.2.  The recursion is
 * bounded by SIEVE_NESTING.
 */
#include "io.h"
#include "mem.h"
#include "sieve_lex.h"
#include "status.h"

#include <stdio.h>
#include <stdlib.h>

struct parser {
	struct sieve_script *s;
	struct sieve_lex l;
	int depth, test_depth;
	bool lost;     /* nothing more can be made of this command */
	bool told_end; /* that the script ends too early is said once */
};

static void parse_commands(struct parser *p, struct sieve_node *parent);
static void parse_arguments(struct parser *p, struct sieve_node *n);

void
sieve_error(struct sieve_script *s, int line, int col, const char *fmt, ...)
{
	struct buf text = BUF_INIT;
	va_list ap;

	if ((size_t)s->errors++ >= s->max_errors)
		return;
	va_start(ap, fmt);
	buf_vaddf(&text, fmt, ap);
	va_end(ap);
	if (s->say != NULL)
		fprintf(s->say, "%s:%d:%d: error: %s\n", s->file, line, col,
			buf_str(&text));
	if (s->told != NULL)
		strs_addspan(s->told, buf_span(&text));
	buf_free(&text);
}

void
sieve_warn(struct sieve_script *s, int line, int col, const char *fmt, ...)
{
	struct buf text = BUF_INIT;
	va_list ap;

	if (s->say == NULL)
		return;
	va_start(ap, fmt);
	buf_vaddf(&text, fmt, ap);
	va_end(ap);
	fprintf(s->say, "%s:%d:%d: warning: %s\n", s->file, line, col,
		buf_str(&text));
	buf_free(&text);
}

static void
complain(struct parser *p, const char *want)
{
	struct sieve_lex *l = &p->l;

	if (l->token == T_END && p->told_end)
		return;
	p->told_end |= l->token == T_END;
	if (l->token == T_BAD)
		sieve_error(p->s, l->tline, l->tcol, "%s", l->why);
	else if (l->token == T_END)
		sieve_error(p->s, l->tline, l->tcol,
			    "expected %s, found the end of the script", want);
	else if (l->token == T_PUNCT)
		sieve_error(p->s, l->tline, l->tcol,
			    "expected %s, found \"%c\"", want, l->punct);
	else if (l->token == T_NUMBER)
		sieve_error(p->s, l->tline, l->tcol,
			    "expected %s, found a "
			    "number",
			    want);
	else
		sieve_error(p->s, l->tline, l->tcol,
			    "expected %s, found \"%s\"", want,
			    buf_str(&l->text));
}

static bool
at_punct(const struct parser *p, char c)
{
	return p->l.token == T_PUNCT && p->l.punct == c;
}

static struct sieve_arg *
add_arg(struct parser *p, struct sieve_node *n, enum sieve_arg_kind kind)
{
	struct sieve_arg *a;

	if (n->nargs == SIEVE_ARGUMENTS) {
		sieve_error(p->s, p->l.tline, p->l.tcol,
			    "more than %d arguments", SIEVE_ARGUMENTS);
		p->lost = true;
	}
	n->args =
	    mem_grow(n->args, &n->args_cap, n->nargs + 1, sizeof(*n->args));
	a = &n->args[n->nargs++];
	*a = (struct sieve_arg){ .kind = kind,
				 .line = p->l.tline,
				 .col = p->l.tcol };
	return a;
}

/* "[" string *("," string) "]" */
static void
parse_list(struct parser *p, struct sieve_node *n)
{
	struct sieve_arg *a = add_arg(p, n, SIEVE_LIST);

	for (;;) {
		sieve_lex_next(&p->l);
		if (at_punct(p, ']') && a->strings.n == 0) {
			/* RFC 5228 8.2 wants one; an empty list matches
			 * nothing. */
			break;
		}
		if (p->l.token != T_STRING) {
			complain(p, "a string");
			p->lost = true;
			return;
		}
		strs_addspan(&a->strings, buf_span(&p->l.text));
		sieve_lex_next(&p->l);
		if (at_punct(p, ']'))
			break;
		if (!at_punct(p, ',')) {
			complain(p, "\",\" or \"]\"");
			p->lost = true;
			return;
		}
	}
	sieve_lex_next(&p->l);
}

static struct sieve_node *
add_node(struct parser *p, struct sieve_node **v, size_t *n, size_t *cap)
{
	struct sieve_node *x;

	*v = mem_grow(*v, cap, *n + 1, sizeof(**v));
	x = &(*v)[(*n)++];
	*x = (struct sieve_node){ .line = p->l.tline, .col = p->l.tcol };
	x->name = mem_strdup(buf_str(&p->l.text));
	return x;
}

static void
parse_test(struct parser *p, struct sieve_node *parent)
{
	struct sieve_node *t;

	if (p->l.token != T_WORD) {
		complain(p, "a test");
		p->lost = true;
		return;
	}
	if (++p->test_depth > SIEVE_NESTING) {
		sieve_error(p->s, p->l.tline, p->l.tcol,
			    "tests are nested more than %d deep",
			    SIEVE_NESTING);
		p->lost = true;
		return;
	}
	t = add_node(p, &parent->tests, &parent->ntests, &parent->tests_cap);
	sieve_lex_next(&p->l);
	parse_arguments(p, t);
	p->test_depth--;
}

/* "(" test *("," test) ")" */
static void
parse_test_list(struct parser *p, struct sieve_node *n)
{
	n->test_list = true;
	do {
		sieve_lex_next(&p->l);
		parse_test(p, n);
		if (p->lost)
			return;
	} while (at_punct(p, ','));
	if (!at_punct(p, ')')) {
		complain(p, "\",\" or \")\"");
		p->lost = true;
		return;
	}
	sieve_lex_next(&p->l);
}

/* *argument [test / test-list] */
static void
parse_arguments(struct parser *p, struct sieve_node *n)
{
	struct sieve_arg *a;

	while (!p->lost) {
		switch (p->l.token) {
		case T_TAG:
			a = add_arg(p, n, SIEVE_TAG);
			a->tag = mem_strdup(buf_str(&p->l.text));
			sieve_lex_next(&p->l);
			continue;
		case T_NUMBER:
			a = add_arg(p, n, SIEVE_NUMBER);
			a->number = p->l.number;
			sieve_lex_next(&p->l);
			continue;
		case T_STRING:
			a = add_arg(p, n, SIEVE_STRING);
			strs_addspan(&a->strings, buf_span(&p->l.text));
			sieve_lex_next(&p->l);
			continue;
		default:
			break;
		}
		if (at_punct(p, '[')) {
			parse_list(p, n);
			continue;
		}
		if (at_punct(p, '('))
			parse_test_list(p, n);
		else if (p->l.token == T_WORD)
			parse_test(p, n);
		return;
	}
}

/* identifier arguments (";" / block) */
static void
parse_command(struct parser *p, struct sieve_node *parent)
{
	struct sieve_node *n =
	    add_node(p, &parent->block, &parent->nblock, &parent->block_cap);

	sieve_lex_next(&p->l);
	parse_arguments(p, n);
	if (p->lost)
		return;
	if (at_punct(p, ';')) {
		sieve_lex_next(&p->l);
		return;
	}
	if (!at_punct(p, '{')) {
		complain(p, "\";\" or \"{\"");
		p->lost = true;
		return;
	}
	if (p->depth >= SIEVE_NESTING) {
		sieve_error(p->s, p->l.tline, p->l.tcol,
			    "blocks are nested more than %d deep",
			    SIEVE_NESTING);
		p->lost = true;
		return;
	}
	p->depth++;
	n->has_block = true;
	sieve_lex_next(&p->l);
	parse_commands(p, n);
	p->depth--;
	if (!at_punct(p, '}')) {
		complain(p, "\"}\"");
		p->lost = true;
		return;
	}
	sieve_lex_next(&p->l);
}

/* After an error: to behind the next ";" or the next block, and on from there,
 * so that one run tells of several errors. */
static void
recover(struct parser *p)
{
	int braces = 0;

	p->lost = false;
	p->test_depth = 0;
	while (p->l.token != T_END) {
		if (at_punct(p, '{')) {
			braces++;
		} else if (at_punct(p, '}')) {
			if (braces == 0)
				return; /* that of the block around it */
			if (--braces == 0)
				break;
		} else if (at_punct(p, ';') && braces == 0) {
			break;
		}
		sieve_lex_next(&p->l);
	}
	sieve_lex_next(&p->l);
}

static void
parse_commands(struct parser *p, struct sieve_node *parent)
{
	bool top = parent == &p->s->root;

	while (p->l.token != T_END && (top || !at_punct(p, '}'))) {
		if (p->l.token == T_WORD) {
			parse_command(p, parent);
		} else {
			complain(p, top ? "a command" : "a command or \"}\"");
			if (at_punct(p, '}')) { /* one too many */
				sieve_lex_next(&p->l);
				continue;
			}
			p->lost = true;
		}
		if (p->lost)
			recover(p);
	}
}

void
sieve_parse(struct sieve_script *s, struct span text)
{
	struct parser p = { .s = s };

	if (span_starts(text, SPAN("\xef\xbb\xbf")))
		text = span_from(text, 3);
	sieve_lex_init(&p.l, text);
	sieve_lex_next(&p.l);
	s->root.has_block = true;
	parse_commands(&p, &s->root);
	sieve_lex_done(&p.l);
}

struct sieve_script *
sieve_open(const char *file, FILE *say, struct err *e)
{
	return sieve_load(file, say, NULL, false, e);
}

/* One more error ends the list, as those who count them expect. */
static void
tell_end(struct sieve_script *s, const char *what)
{
	if (s->told != NULL)
		strs_add(s->told, what);
}

static int
compile(struct sieve_script *s, struct err *e)
{
	struct buf text = BUF_INIT;
	size_t max = (size_t)sieve_conf.max_script_size;

	if (max == 0)
		max = SIEVE_SCRIPT_MAX;
	if (io_read_file(s->file, &text, max, e) != 0)
		return -1;
	sieve_parse(s, buf_span(&text));
	buf_free(&text);
	if (s->errors > 0) {
		tell_end(s, "parse failed");
		return 0;
	}
	sieve_check(s);
	if (s->errors > 0)
		tell_end(s, "validation failed");
	return 0;
}

struct sieve_script *
sieve_load(const char *file, FILE *say, struct strs *told, bool testing,
	   struct err *e)
{
	struct sieve_script *s = mem_alloc(1, sizeof(*s));

	s->file = mem_strdup(file);
	s->say = say;
	s->max_errors = SIEVE_ERRORS;
	s->told = told;
	s->testing = testing;
	if (compile(s, e) != 0) {
		sieve_close(s);
		return NULL;
	}
	return s;
}

struct sieve_script *
sieve_load_included(struct sieve_script *parent, const char *file,
		    const char *place, const char *name, struct err *e)
{
	struct sieve_script *s = mem_alloc(1, sizeof(*s)), *top = parent;

	while (top->parent != NULL)
		top = top->parent;
	s->file = mem_strdup(file);
	s->say = parent->say;
	s->max_errors = SIEVE_ERRORS;
	s->told = parent->told;
	s->testing = parent->testing;
	s->parent = parent;
	s->place = place;
	s->name = mem_strdup(name);
	top->includes =
	    mem_grow(top->includes, &top->includes_cap, top->nincludes + 1,
		     sizeof(struct sieve_script *));
	top->includes[top->nincludes++] = s;
	return compile(s, e) != 0 ? NULL : s;
}

/* The depth of the tree is bounded by SIEVE_NESTING. */
static void
node_free(struct sieve_node *n)
{
	for (size_t i = 0; i < n->nargs; i++) {
		free(n->args[i].tag);
		strs_free(&n->args[i].strings);
	}
	for (size_t i = 0; i < n->ntests; i++)
		node_free(&n->tests[i]);
	for (size_t i = 0; i < n->nblock; i++)
		node_free(&n->block[i]);
	free(n->args);
	free(n->tests);
	free(n->block);
	free(n->name);
}

void
sieve_close(struct sieve_script *s)
{
	if (s == NULL)
		return;
	for (size_t i = 0; i < s->nincludes; i++)
		sieve_close(s->includes[i]);
	free(s->includes);
	node_free(&s->root);
	strs_free(&s->required);
	strs_free(&s->globals);
	strs_free(&s->unknown);
	free(s->name);
	free(s->file);
	free(s);
}
