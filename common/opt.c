/*
 * opt.c - options as rows, and the start of every program; see opt.h.
 * Layer: sys.
 */
#define MX_OPT_C
#include "opt.h"
#include "log.h"
#include "mem.h"
#include "num.h"
#include "param_int.h"
#include "serve.h"
#include "site.h"
#include "status.h"
#include "table.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

struct prog_state prog;

static const char *prog_name = "mx";
static const char *prog_set;
static const char *prog_lookup;
static bool prog_wants_help, prog_wants_version, prog_wants_parameters,
    prog_wants_check;

/* The standard options; offset is not used, opt_standard tells by name. */
static const struct opt standard[] = {
	{ 'c', "config", "FILE", OPT_STR, 0, "configuration file" },
	{ 'o', NULL, "NAME=VALUE", OPT_LIST, 0, "set a parameter" },
	{ 'O', NULL, "NAME=VALUE", OPT_LIST, 0,
	  "the same, where -o is sendmail's" },
	{ 'v', "verbose", NULL, OPT_COUNT, 0, "say more" },
	{ 0, "json", NULL, OPT_FLAG, 0, "print results as JSON" },
	{ 0, "resolver", "HOST[:PORT]", OPT_STR, 0, "ask this DNS resolver" },
	{ 0, "parameters", NULL, OPT_FLAG, 0,
	  "print the parameters and their values" },
	{ 0, "check-config", NULL, OPT_FLAG, 0, "check the configuration" },
	{ 0, "set", "NAME=VALUE", OPT_STR, 0, "change the configuration file" },
	{ 0, "lookup", "TYPE:NAME", OPT_STR, 0,
	  "look the operand up in a table" },
	{ 0, "version", NULL, OPT_FLAG, 0, "print the version" },
	{ 'h', "help", NULL, OPT_FLAG, 0, "print this help" },
	/* the last one: not in the help of a program without filters */
	{ 0, "serve", NULL, OPT_FLAG, 0,
	  "a filter takes message after message: mx-serve(5)" },
};

static void
opt_standard(const struct opt *o, const char *arg)
{
	const char *name = o->name != NULL ? o->name : "";

	if (o->letter == 'o' || o->letter == 'O')
		strs_add(&prog.overrides, arg);
	else if (o->letter == 'v')
		log_verbose++;
	else if (strcmp(name, "config") == 0)
		prog.config_path = arg;
	else if (strcmp(name, "json") == 0)
		prog.json = true;
	else if (strcmp(name, "resolver") == 0)
		prog.resolver = arg;
	else if (strcmp(name, "serve") == 0)
		prog.serve = true;
	else if (strcmp(name, "parameters") == 0)
		prog_wants_parameters = true;
	else if (strcmp(name, "check-config") == 0)
		prog_wants_check = true;
	else if (strcmp(name, "set") == 0)
		prog_set = arg;
	else if (strcmp(name, "lookup") == 0)
		prog_lookup = arg;
	else if (strcmp(name, "version") == 0)
		prog_wants_version = true;
	else
		prog_wants_help = true;
}

static bool
opt_is_standard(const struct opt *o)
{
	return o >= standard && o < standard + ARRAY_LEN(standard);
}

static void
opt_set(const struct opt *o, void *options, const char *arg)
{
	void *at = options != NULL ? (char *)options + o->offset : NULL;

	if (opt_is_standard(o)) {
		opt_standard(o, arg);
		return;
	}
	switch (o->type) {
	case OPT_FLAG:
		*(bool *)at = true;
		break;
	case OPT_COUNT:
		++*(int *)at;
		break;
	case OPT_STR:
		*(const char **)at = arg;
		break;
	case OPT_LIST:
		strs_add(at, arg);
		break;
	case OPT_INT:
		if (!num_i64(span_of(arg), 0, INT64_MAX, at)) {
			fprintf(stderr, "%s: --%s %s: expected a number\n",
				prog_name, o->name ? o->name : "option", arg);
			exit(ST_USAGE);
		}
		break;
	case OPT_IGNORE:
		break;
	}
}

/* The rows as getopt_long wants them. */
struct opt_parser {
	struct buf letters;
	struct option *longs;
	const struct opt **rows; /* by index; val of a long is 256 + index */
	size_t n, nlongs;
};

static void
opt_add_rows(struct opt_parser *ps, const struct opt *rows, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		const struct opt *o = &rows[i];
		char spec[4] = { o->letter, o->arg ? ':' : '\0', '\0', '\0' };
		bool taken = false;

		/* A program's own row goes before a standard one. */
		for (size_t k = 0; k < ps->n; k++)
			taken |= o->letter && ps->rows[k]->letter == o->letter;
		ps->rows[ps->n] = o;
		if (o->letter && !taken)
			buf_adds(&ps->letters, spec);
		if (o->name != NULL)
			ps->longs[ps->nlongs++] =
			    (struct option){ o->name,
					     o->arg ? required_argument
						    : no_argument,
					     NULL, 256 + (int)ps->n };
		ps->n++;
	}
}

static const struct opt *
opt_by_code(const struct opt_parser *ps, int code)
{
	if (code >= 256)
		return ps->rows[code - 256];
	for (size_t i = 0; i < ps->n; i++) {
		if (ps->rows[i]->letter == code)
			return ps->rows[i];
	}
	return NULL;
}

/* Parses argv against rows and the standard ones; returns optind. */
static int
opt_parse(const struct opt *rows, size_t n, void *options, bool posix_order,
	  int argc, char **argv)
{
	size_t most = n + ARRAY_LEN(standard) + 1;
	struct opt_parser ps = { .letters = BUF_INIT };
	int code;

	ps.longs = mem_alloc(most, sizeof(*ps.longs));
	ps.rows = mem_alloc(most, sizeof(*ps.rows));
	if (posix_order)
		buf_addc(&ps.letters, '+');
	opt_add_rows(&ps, rows, n);
	opt_add_rows(&ps, standard, ARRAY_LEN(standard));
	optind = 0;
	while ((code = getopt_long(argc, argv, buf_str(&ps.letters), ps.longs,
				   NULL)) != -1) {
		const struct opt *o = opt_by_code(&ps, code);

		if (o == NULL) {
			fprintf(stderr, "%s: see %s --help\n", prog_name,
				prog_name);
			exit(ST_USAGE);
		}
		opt_set(o, options, optarg);
	}
	buf_free(&ps.letters);
	free(ps.longs);
	free(ps.rows);
	return optind;
}

static void
help_rows(const struct opt *rows, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		struct buf b = BUF_INIT;

		if (rows[i].letter)
			buf_addf(&b, "-%c", rows[i].letter);
		if (rows[i].letter && rows[i].name)
			buf_adds(&b, ", ");
		if (rows[i].name)
			buf_addf(&b, "--%s", rows[i].name);
		if (rows[i].arg)
			buf_addf(&b, " %s", rows[i].arg);
		printf("  %-30s %s\n", buf_str(&b), rows[i].meaning);
		buf_free(&b);
	}
}

/* Is the subcommand (NULL: the program itself) a filter? */
static bool
prog_is_filter(const struct program *p, const struct subcommand *sub)
{
	struct span names = span_of(p->filters != NULL ? p->filters : ""), w;

	if (sub == NULL)
		return p->filters != NULL && p->nsubs == 0;
	while (span_word(&names, " ", &w))
		if (span_is(w, sub->name))
			return true;
	return false;
}

static void
prog_help(const struct program *p)
{
	printf("usage: %s\n%s: %s\n", p->synopsis, p->name, p->meaning);
	for (size_t i = 0; i < p->nsubs; i++)
		printf("  %-40s %s\n", p->subs[i].synopsis, p->subs[i].meaning);
	if (p->nopts > 0)
		printf("options:\n");
	help_rows(p->opts, p->nopts);
	for (size_t i = 0; i < p->nsubs; i++) {
		if (p->subs[i].nopts == 0)
			continue;
		printf("options of %s:\n", p->subs[i].name);
		help_rows(p->subs[i].opts, p->subs[i].nopts);
	}
	printf("options of every program:\n");
	help_rows(standard, ARRAY_LEN(standard) - (p->filters != NULL ? 0 : 1));
}

int
prog_usage(const char *fmt, ...)
{
	va_list ap;

	fprintf(stderr, "%s: ", prog_name);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fprintf(stderr, "\n");
	return ST_USAGE;
}

int
prog_fail(const struct err *e)
{
	fprintf(stderr, "%s: %s\n", prog_name, e->text);
	return e->status ? e->status : ST_SOFTWARE;
}

/* One key; `with_key`: print it before the value. */
static int
prog_lookup_one(struct table *t, const char *key, bool with_key)
{
	struct err e = ERR_INIT;
	struct buf v = BUF_INIT;
	int r = ST_OK;

	switch (table_lookup(t, span_of(key), &v, &e)) {
	case TABLE_FOUND:
		printf("%s%s%s\n", with_key ? key : "", with_key ? "\t" : "",
		       buf_str(&v));
		break;
	case TABLE_NONE:
		r = ST_NO;
		break;
	case TABLE_TRY_AGAIN:
		e.status = ST_TEMPFAIL;
		r = prog_fail(&e);
		break;
	}
	buf_free(&v);
	return r;
}

/* "-": a key a line on stdin, as postmap -q - takes them; found: 0. */
static int
prog_lookup_stdin(struct table *t)
{
	char *line = NULL;
	size_t cap = 0;
	ssize_t n;
	int r = ST_NO;

	while ((n = getline(&line, &cap, stdin)) >= 0) {
		int one;

		if (n > 0 && line[n - 1] == '\n')
			line[n - 1] = '\0';
		one = prog_lookup_one(t, line, true);
		if (one == ST_OK ? r == ST_NO : one != ST_NO)
			r = one;
	}
	free(line);
	return r;
}

static int
prog_lookup_run(int argc, char **argv, int at)
{
	struct err e = ERR_INIT;
	struct table *t;
	int r;

	if (at >= argc)
		return prog_usage("--lookup TYPE:NAME KEY: the key is missing");
	t = table_open(prog_lookup, &e);
	r = strcmp(argv[at], "-") == 0 ? prog_lookup_stdin(t)
				       : prog_lookup_one(t, argv[at], false);
	table_close(t);
	return r;
}

static const struct subcommand *
prog_find_sub(const struct program *p, const char *name)
{
	for (size_t i = 0; i < p->nsubs; i++) {
		if (strcmp(p->subs[i].name, name) == 0)
			return &p->subs[i];
	}
	return NULL;
}

/* What an option says comes before the file. */
static void
prog_options_win(void)
{
	if (prog.resolver == NULL)
		return;
	free(site.resolver);
	site.resolver = mem_strdup(prog.resolver);
}

static void
prog_configure(const struct program *p)
{
	struct err e = ERR_INIT;

	prog.config =
	    config_open(prog.config_path, &prog.overrides, prog.service, &e);
	if (prog.config == NULL)
		exit(prog_fail(&e));
	/* Programs that we start read the same file. */
	if (prog.config_path != NULL)
		(void)setenv("MX_CONFIG", prog.config_path, 1);
	if (prog_wants_check)
		exit(param_check(prog.config, p->params, p->nparams));
	if (param_load(prog.config, p->params, p->nparams, &e) != 0)
		exit(prog_fail(&e));
	if (prog_wants_parameters) {
		param_print(prog.config, p->params, p->nparams);
		exit(0);
	}
	/* Programs that we start (exec:, filters) read the same file. */
	if (prog.config_path != NULL) {
		char *full = realpath(prog.config_path, NULL);

		if (full != NULL)
			(void)setenv("MX_CONFIG", full, 1);
		free(full);
	}
	prog_options_win();
}

int
prog_start(const struct program *p, int argc, char **argv,
	   const struct subcommand **sub_r)
{
	struct err e = ERR_INIT;
	int at;

	prog_name = p->name;
	log_program(p->name);
	at = opt_parse(p->opts, p->nopts, p->options,
		       p->posix_order || p->nsubs > 0, argc, argv);
	if (sub_r != NULL) {
		*sub_r = at < argc ? prog_find_sub(p, argv[at]) : NULL;
		if (*sub_r != NULL) {
			int sub_at =
			    opt_parse((*sub_r)->opts, (*sub_r)->nopts,
				      p->options, false, argc - at, argv + at);

			at += sub_at;
		} else if (at < argc && p->fallback != NULL) {
			/* the operand itself is the first argument */
			*sub_r = p->fallback;
			at += opt_parse(p->fallback->opts, p->fallback->nopts,
					p->options, false, argc - at + 1,
					argv + at - 1) -
			      1;
		}
	}
	if (prog_wants_help || prog_wants_version) {
		if (prog_wants_help)
			prog_help(p);
		else
			printf("%s %s\n", p->name, MX_VERSION);
		exit(fflush(stdout) == 0 ? 0 : ST_IOERR);
	}
	if (prog_lookup != NULL)
		exit(prog_lookup_run(argc, argv, at));
	if (prog_set != NULL) {
		const char *path = prog.config_path;

		if (path == NULL)
			path = getenv("MX_CONFIG");
		if (param_set(path, prog_set, p->params, p->nparams, &e) != 0)
			exit(prog_fail(&e));
		exit(0);
	}
	if (prog.serve && !prog_is_filter(p, sub_r != NULL ? *sub_r : NULL))
		exit(prog_usage("--serve: this is no filter"));
	if (p->nparams > 0)
		prog_configure(p);
	return at;
}

int
prog_run_sub(const struct program *p, int argc, char **argv)
{
	const struct subcommand *sub = NULL;
	int at = prog_start(p, argc, argv, &sub);

	return prog_sub(p, sub, argc - at, argv + at);
}

int
prog_sub(const struct program *p, const struct subcommand *sub, int argc,
	 char **argv)
{
	if (sub == NULL && argc == 0)
		return prog_usage("a command is missing: see %s --help",
				  p->name);
	if (sub == NULL)
		return prog_usage("%s: unknown command: see %s --help", argv[0],
				  p->name);
	return prog.serve ? serve_loop(sub->run, argc, argv)
			  : sub->run(argc, argv);
}

int
prog_reload(const struct program *p, struct err *e)
{
	struct config *c = config_open(prog.config_path, &prog.overrides,
				       prog.service, e),
		      *old = prog.config;

	if (c == NULL)
		return -1;
	if (param_load(c, p->params, p->nparams, e) != 0) {
		config_free(c);
		/* What was loaded before the error goes back to the old. */
		if (old != NULL &&
		    param_load(old, p->params, p->nparams, NULL) != 0)
			log_warn("the old configuration did not load again");
		return -1;
	}
	prog.config = c;
	config_free(old);
	prog_options_win();
	return 0;
}
