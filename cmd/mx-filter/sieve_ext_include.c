/*
 * sieve_ext_include.c - include, return, global.  RFC 6609.  Scripts are
 * found and compiled when the one that includes them is.
 */
#include "mem.h"
#include "sieve.h"
#include "status.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* A name of one level: nothing leads out of the directory. */
static bool
name_ok(const char *name)
{
	struct span s = span_of(name);

	return s.n > 0 && s.n <= 200 && span_chr(s, '/') < 0 &&
	       !span_has_ctl(s) && name[0] != '.';
}

/* DIR/NAME.sieve, "~" being $HOME; false: there is no such directory. */
static bool
script_path(struct buf *b, const char *place, const char *name)
{
	const char *dir = strcmp(place, ":global") == 0
			      ? sieve_conf.sieve_global
			      : sieve_conf.sieve_dir;
	const char *home = getenv("HOME");

	if (dir == NULL || dir[0] == '\0')
		return false;
	if (dir[0] == '~' && (dir[1] == '/' || dir[1] == '\0')) {
		if (home == NULL)
			return false;
		buf_adds(b, home);
		dir++;
	}
	buf_addf(b, "%s/%s.sieve", dir, name);
	return true;
}

static const char *
place_of(const struct sieve_script *s, const struct sieve_node *n)
{
	if (sieve_has(n, ":global") != NULL)
		return ":global";
	if (sieve_has(n, ":personal") != NULL)
		return ":personal";
	(void)s;
	return ":personal"; /* RFC 6609 3.2: the default */
}

static struct sieve_script *
find_loaded(const struct sieve_script *top, const char *file)
{
	for (size_t i = 0; i < top->nincludes; i++) {
		if (strcmp(top->includes[i]->file, file) == 0)
			return top->includes[i];
	}
	return NULL;
}

/* RFC 6609 3.2: a script that includes itself, however far off, is an error. */
static bool
is_ancestor(const struct sieve_script *s, const char *file)
{
	for (; s != NULL; s = s->parent) {
		if (strcmp(s->file, file) == 0)
			return true;
	}
	return false;
}

static int
depth_of(const struct sieve_script *s)
{
	int depth = 0;

	for (; s->parent != NULL; s = s->parent)
		depth++;
	return depth;
}

static void
load(struct sieve_script *s, struct sieve_node *n, const struct sieve_arg *a,
     const char *file)
{
	struct sieve_script *top = s, *in;
	struct err e = ERR_INIT;
	bool once = sieve_has(n, ":once") != NULL;

	while (top->parent != NULL)
		top = top->parent;
	if (access(file, F_OK) != 0) {
		if (sieve_has(n, ":optional") == NULL)
			sieve_error(s, a->line, a->col,
				    "included script '%s' does not exist",
				    a->strings.v[0]);
		return;
	}
	if (is_ancestor(s, file)) {
		/* RFC 6609 3.2: with :once nothing is run a second time */
		if (!once)
			sieve_error(s, a->line, a->col,
				    "circular include of '%s'",
				    a->strings.v[0]);
		return;
	}
	if (depth_of(s) >= sieve_conf.max_nesting_depth) {
		sieve_error(s, a->line, a->col,
			    "cannot nest includes deeper than %lld levels",
			    (long long)sieve_conf.max_nesting_depth);
		return;
	}
	in = find_loaded(top, file);
	if (in == NULL) {
		if (top->nincludes >= (size_t)sieve_conf.max_includes) {
			sieve_error(s, a->line, a->col,
				    "failed to include script '%s': no more "
				    "than %lld includes allowed",
				    a->strings.v[0],
				    (long long)sieve_conf.max_includes);
			return;
		}
		in = sieve_load_included(s, file, place_of(s, n),
					 a->strings.v[0], &e);
	}
	if (in == NULL)
		sieve_error(s, a->line, a->col, "%s", e.text);
	else if (in->errors > 0)
		sieve_error(s, a->line, a->col,
			    "failed to compile included script '%s'",
			    a->strings.v[0]);
	else
		n->include = in;
}

static void
check_include(struct sieve_script *s, struct sieve_node *n)
{
	const struct sieve_arg *a = sieve_pos(n, 0);
	struct buf path = BUF_INIT;

	if (!sieve_constant(s, a->strings.v[0]) || a->kind != SIEVE_STRING)
		sieve_error(s, a->line, a->col,
			    "the name of an included script must be constant");
	else if (!name_ok(a->strings.v[0]))
		sieve_error(s, a->line, a->col, "invalid script name '%s'",
			    a->strings.v[0]);
	else if (!script_path(&path, place_of(s, n), a->strings.v[0]))
		sieve_error(s, a->line, a->col,
			    "%s scripts have no directory here",
			    place_of(s, n));
	else
		load(s, n, a, buf_str(&path));
	buf_free(&path);
}

/* RFC 6609 3.2: with its own variables; a stop ends all, a return or the end
 * only it. */
static int
run_include(struct sieve_run *r, const struct sieve_node *n)
{
	const struct sieve_script *outer = r->script, *in = n->include;
	struct map *vars = r->vars;
	bool last_if = r->last_if;
	int rc;

	if (in == NULL)
		return 0;
	if (sieve_has(n, ":once") != NULL &&
	    strs_has(&r->once, span_of(in->file)))
		return 0;
	if (!strs_has(&r->once, span_of(in->file)))
		strs_add(&r->once, in->file);
	if (r->depth >= 100)
		return err_set(&r->err, ST_UNAVAILABLE,
			       "includes are nested too deeply");
	r->depth++;
	r->script = in;
	r->vars = NULL;
	rc = sieve_run_block(r, &in->root);
	if (r->vars != NULL)
		map_free(r->vars, free);
	r->vars = vars;
	r->script = outer;
	r->returned = false;
	r->last_if = last_if;
	r->depth--;
	return rc;
}

static int
run_return(struct sieve_run *r, const struct sieve_node *n)
{
	(void)n;
	if (r->depth > 0)
		r->returned = true;
	else
		r->stopped = true; /* RFC 6609 3.3: of the outermost */
	return 0;
}

static int
run_global(struct sieve_run *r, const struct sieve_node *n)
{
	(void)r;
	(void)n;
	return 0;
}

/* RFC 6609 3.4.1 */
static void
check_global(struct sieve_script *s, struct sieve_node *n)
{
	const struct sieve_arg *a = sieve_pos(n, 0);

	if (!sieve_required(s, "variables")) {
		sieve_error(s, n->line, n->col,
			    "the %s command needs require \"variables\"",
			    n->name);
		return;
	}
	for (size_t i = 0; i < a->strings.n; i++) {
		struct span name = span_of(a->strings.v[i]);

		if (!sieve_identifier(name))
			sieve_error(s, a->line, a->col,
				    "invalid variable identifier '%s'",
				    a->strings.v[i]);
		else if (strs_ihas(&s->globals, name))
			continue;
		else if (s->globals.n < (size_t)sieve_conf.max_scope_size)
			strs_addspan(&s->globals, name);
		else {
			sieve_error(s, a->line, a->col,
				    "more than %lld shared variables",
				    (long long)sieve_conf.max_scope_size);
			return;
		}
	}
}

static bool
global_get(struct sieve_run *r, struct span name, struct buf *b)
{
	buf_adds(b, sieve_global(r, name));
	return true;
}

static const struct sieve_tag tags[] = {
	{ ":personal", 0, "location", NULL },
	{ ":global", 0, "location", NULL },
	{ ":once", 0, NULL, NULL },
	{ ":optional", 0, NULL, NULL },
};
static const struct sieve_word words[] = {
	{ .name = "include",
	  .ext = "include",
	  .positional = "s",
	  .tags = tags,
	  .ntags = ARRAY_LEN(tags),
	  .check = check_include,
	  .run = run_include },
	{ .name = "return", .ext = "include", .run = run_return },
	{ .name = "global",
	  .ext = "include",
	  .positional = "S",
	  .check = check_global,
	  .run = run_global },
	/* names of the drafts, which scripts still have */
	{ .name = "import",
	  .ext = "include",
	  .positional = "S",
	  .check = check_global,
	  .run = run_global },
	{ .name = "export",
	  .ext = "include",
	  .positional = "S",
	  .check = check_global,
	  .run = run_global },
};
static const struct sieve_extension include = {
	.name = "include",
	.words = words,
	.nwords = ARRAY_LEN(words),
	.space = "global",
	.space_get = global_get,
	.space_set = sieve_global_set,
};
SIEVE_EXTENSION(include);
