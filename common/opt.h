/*
 * opt.h - options as rows, and the start of every program.
 * Layer: sys.  getopt_long reads the rows, --help prints them, a test
 * compares them with the manual page.  An unknown option is 64, always.
 */
#ifndef MX_OPT_H
#define MX_OPT_H

#include "param.h"

enum opt_type {
	OPT_FLAG,  /* bool at offset becomes true */
	OPT_COUNT, /* int at offset is incremented */
	OPT_STR,   /* const char * at offset; the last one counts */
	OPT_LIST,  /* struct strs at offset: each use adds */
	OPT_INT,   /* int64_t at offset, 0.. */
	OPT_IGNORE /* taken and ignored (sendmail compatibility) */
};

struct opt {
	char letter;      /* 0: none */
	const char *name; /* long name or NULL */
	const char *arg;  /* name of the argument for --help, or NULL */
	enum opt_type type;
	size_t offset;       /* into the program's options struct */
	const char *meaning; /* one line */
};

/* A subcommand is a row: a file with its own small entry. */
struct subcommand {
	const char *name;
	const char *synopsis; /* "sieve [--script FILE] < msg" */
	const char *meaning;
	const struct opt *opts;
	size_t nopts;
	int (*run)(int argc, char **argv); /* arguments behind the options */
};

struct program {
	const char *name;     /* "mx-recv" */
	const char *synopsis; /* lines behind "usage: " */
	const char *meaning;  /* one line */
	const struct opt *opts;
	size_t nopts;
	void *options; /* the struct that opts (of main and sub) fill */
	const struct subcommand *subs;
	size_t nsubs;
	/* taken when the first operand is no subcommand; NULL: that is 64 */
	const struct subcommand *fallback;
	const struct param_rows *params; /* site_params first */
	size_t nparams;
	bool posix_order; /* stop at the first operand */
	/* Which subcommands are filters, "sieve headers"; "" the program
	 * itself; NULL none.  --serve keeps those (serve.h). */
	const char *filters;
};

/* What the standard options said. */
struct prog_state {
	struct config *config; /* NULL before prog_config */
	struct strs overrides;
	const char *config_path; /* -c, or NULL */
	const char *service;     /* listener name for NAME/param lines */
	bool json;
	bool serve;           /* --serve: main of a filter calls serve_loop */
	const char *resolver; /* --resolver, or NULL */
};
extern struct prog_state prog;

/*
 * Parses options; serves --help, --version, --parameters, --check-config,
 * --set, --lookup itself and exits; loads the configuration into the rows'
 * structs (exits 78 on errors) unless `bare` subcommands ask otherwise; opens
 * the log.  Returns the index of the first operand, and *sub_r (NULL when the
 * program has none, or the first operand is no subcommand).
 * Standard options: -c/--config FILE, -o NAME=VALUE, -v, --version, -h/--help,
 * --parameters, --check-config, --lookup TYPE:NAME KEY, --json,
 * --resolver HOST[:PORT].
 */
int prog_start(const struct program *p, int argc, char **argv,
	       const struct subcommand **sub_r);
/* As prog_start with the subcommand's options parsed too, then runs it and
 * returns its status; a missing or unknown subcommand is 64. */
int prog_run_sub(const struct program *p, int argc, char **argv);
/* Its second half, for a main that looks at the options between. */
int prog_sub(const struct program *p, const struct subcommand *sub, int argc,
	     char **argv);
/* Reads the configuration again (SIGHUP): on error the old values stay. */
int prog_reload(const struct program *p, struct err *e) MX_MUST_CHECK;
/* "mx-x: SENTENCE" on stderr and the status to return from main. */
int prog_fail(const struct err *e);
int prog_usage(const char *fmt, ...) MX_PRINTF(1, 2); /* returns 64 */
#if defined(__clang_analyzer__) && !defined(MX_OPT_C)
#define prog_fail(e) (prog_fail(e), 70) /* see err.h */
#define prog_usage(...) (prog_usage(__VA_ARGS__), 64)
#endif

#endif
