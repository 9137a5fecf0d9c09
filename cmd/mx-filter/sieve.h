/*
 * sieve.h - the Sieve language: tree, words, and what a run needs.
 * RFC 5228.  An extension is a file sieve_ext_NAME.c with one SIEVE_EXTENSION:
 * nothing else lists it.
 */
#ifndef MX_SIEVE_H
#define MX_SIEVE_H

#include "addr.h"
#include "err.h"
#include "msg.h"
#include "strs.h"

#include <stdio.h>

#define SIEVE_SCRIPT_MAX (1024 * 1024) /* sieve_max_script_size */
#define SIEVE_NESTING 32 /* blocks and tests; RFC 5228 2.10.5 asks for 15 */
#define SIEVE_ERRORS 20  /* so many are reported in one run */

enum sieve_arg_kind { SIEVE_TAG, SIEVE_NUMBER, SIEVE_STRING, SIEVE_LIST };

struct sieve_arg {
	enum sieve_arg_kind kind;
	int line, col;
	char *tag; /* ":is" in lower case */
	int64_t number;
	struct strs strings; /* one for a string */
};

struct sieve_word;
struct sieve_node { /* a command or a test */
	char *name; /* lower case */
	int line, col;
	struct sieve_arg *args;
	size_t nargs, args_cap;
	struct sieve_node *tests;
	size_t ntests, tests_cap;
	bool test_list; /* "(" was there */
	struct sieve_node *block;
	size_t nblock, block_cap;
	bool has_block;
	/* after the check: */
	const struct sieve_word *word;
	size_t first_pos; /* index of the first positional argument */
	bool has_vars;    /* a string refers to a variable */
	const struct sieve_match_type *match; /* where the word matches */
	const struct sieve_comparator *cmp;
};

struct sieve_script {
	char *file;             /* for messages */
	struct sieve_node root; /* its block is the script */
	struct strs required;
	int errors;
	FILE *say; /* where errors go */
	size_t max_errors;
	struct strs *told; /* or NULL: the errors' texts are added */
	bool testing;      /* extensions for test scripts are known */
};

/* A tagged argument; value: 0 none, 's' string, 'S' string list, 'n'. */
struct sieve_tag {
	const char *name; /* ":copy" */
	char value;
	const char *group; /* at most one of a group, or NULL */
	const char *ext;   /* needed, or NULL */
};

struct sieve_run;
struct sieve_word {
	const char *name;
	bool is_test;
	const char *ext; /* needed by "require", or NULL */
	/* tags: of its own; with_* adds the common ones */
	const struct sieve_tag *tags;
	size_t ntags;
	bool with_match, with_part;
	const char *positional; /* "sSn"; 's' string, 'S' list, 'n' number;
				   lower-case 'o' before one: optional */
	int tests;              /* 0, 1, or 2 for a list */
	bool block;
	/* May be NULL: more checks; reports by sieve_error. */
	void (*check)(struct sieve_script *s, struct sieve_node *n);
	/* Test: 1, 0, or -1 with an error.  Command: 0 or -1. */
	int (*run)(struct sieve_run *r, const struct sieve_node *n);
};

/* RFC 4790; required as "comparator-NAME" but for the two built-in ones. */
struct sieve_comparator {
	const char *name;
	bool substring;     /* :contains and :matches work */
	char (*fold)(char); /* of a byte, for substrings */
	int (*cmp)(struct span a, struct span b);
};
/* :is and the like.  Its tag is among the core's or in an `added` of "*match"
 * with the group "match type". */
struct sieve_match_type {
	const char *tag;
	bool substring; /* needs a comparator with substrings */
	/* 1 or 0. */
	int (*match)(struct sieve_run *r, const struct sieve_node *n,
		     struct span value, struct span key);
	/* For a type that counts values: asked after all, with how many. */
	int (*finish)(struct sieve_run *r, const struct sieve_node *n,
		      struct span count, struct span key);
	void (*check)(struct sieve_script *s, struct sieve_node *n);
};

struct sieve_extension {
	const char *name; /* for require, or NULL (core) */
	bool testing;     /* only test scripts know it */
	const struct sieve_word *words;
	size_t nwords;
	/* tags that it adds to words of others */
	const struct sieve_added {
		const char *word;
		struct sieve_tag tag;
	} * added;
	size_t nadded;
	const struct sieve_match_type *match_types;
	size_t nmatch_types;
	const struct sieve_comparator *comparators;
	size_t ncomparators;
};
/* Registers: the linker gathers the pointers of all files. */
#define SIEVE_EXTENSION(x)                                                     \
	static const struct sieve_extension *const sieve_reg_##x               \
	    __attribute__((used, section("sieve_ext"))) = &(x)
extern const struct sieve_extension *const __start_sieve_ext[];
extern const struct sieve_extension *const __stop_sieve_ext[];

/* What a run decides; printed in order. */
struct sieve_action {
	const char *verb; /* keep, fileinto, redirect, discard, reject ... */
	char *what;       /* folder, address, text; or NULL */
	struct strs flags;
	bool has_flags, copy, create;
	bool done; /* carried out already (test scripts) */
};

struct sieve_run {
	const struct sieve_script *script;
	const struct msg *m;
	uint64_t size;      /* as on the wire, CRLF */
	const char *sender; /* NULL: not known */
	const char *recipient;
	const char *delims;  /* recipient_delimiter */
	const char *maildir; /* for mailboxexists, or NULL */
	/* Asked instead of the Maildir, where it is not NULL. */
	bool (*has_mailbox)(struct sieve_run *r, const char *name);
	int64_t max_actions, max_redirects; /* 0: no limit */
	void *test; /* what a test script knows; NULL in others */
	struct sieve_action *actions;
	size_t nactions, actions_cap;
	struct strs flags; /* the internal variable of RFC 5232 */
	bool flags_set;
	bool implicit_keep;
	bool stopped;
	bool last_if;       /* outcome of the last if/elsif */
	FILE *explain;      /* or NULL */
	struct buf saw;     /* values that the test looked at, for explain */
	uint64_t count;     /* values seen by a match type that counts */
	struct map *vars;   /* by name in lower case; RFC 5229 */
	struct strs groups; /* ${0}, ${1} ... */
	struct err err;
	int err_line; /* where it happened; 0: at the end */
	int64_t steps;
};

/* sieve_lex.c, sieve_parse.c: the tree, errors counted in s->errors. */
void sieve_parse(struct sieve_script *s, struct span text);
/* sieve_check.c: words, arguments, require; errors counted. */
void sieve_check(struct sieve_script *s);
/* Both, from a file.  NULL and a sentence when it cannot be read; errors of
 * the script are printed as FILE:LINE:COL and counted. */
struct sieve_script *sieve_open(const char *file, FILE *say, struct err *e);
/* The same; told and testing as in the script. */
struct sieve_script *sieve_load(const char *file, FILE *say, struct strs *told,
				bool testing, struct err *e);
void sieve_close(struct sieve_script *s);
void sieve_error(struct sieve_script *s, int line, int col, const char *fmt,
		 ...) MX_PRINTF(4, 5);
bool sieve_required(const struct sieve_script *s, const char *ext);
bool sieve_known(const struct sieve_script *s, const char *ext);
/* The tag's argument (the tag itself), or NULL. */
const struct sieve_arg *sieve_has(const struct sieve_node *n, const char *tag);
/* The value behind a tag that takes one, or NULL. */
const struct sieve_arg *sieve_value(const struct sieve_node *n,
				    const char *tag);
/* The i-th positional argument. */
const struct sieve_arg *sieve_pos(const struct sieve_node *n, size_t i);

/* sieve_run.c: 0, or -1 with r->err (then the message is kept). */
int sieve_execute(struct sieve_run *r);
/* The same without adding the implicit keep, which r->implicit_keep tells. */
int sieve_evaluate(struct sieve_run *r);
void sieve_forget_actions(struct sieve_run *r);
void sieve_run_done(struct sieve_run *r);
int sieve_run_test(struct sieve_run *r, const struct sieve_node *n);
int sieve_run_block(struct sieve_run *r, const struct sieve_node *n);
/* Adds an action; takes what (allocated or NULL).  The tags :copy, :create
 * and :flags of n count; without :copy the implicit keep is cancelled. */
int sieve_act(struct sieve_run *r, const struct sieve_node *n, const char *verb,
	      char *what);
/* May the word be a flag or keyword (RFC 3501)? */
bool sieve_flag_ok(struct span w);
/* sieve_match.c: does the value match one of the keys, as the node's match
 * type and comparator say? */
int sieve_match(struct sieve_run *r, const struct sieve_node *n,
		struct span value, const struct sieve_arg *keys);
const struct sieve_comparator *sieve_comparator(const char *name);
/* Resolves n->match and n->cmp. */
void sieve_check_match(struct sieve_script *s, struct sieve_node *n);
/* After a test that matched nothing: what a counting type says. */
int sieve_match_finish(struct sieve_run *r, const struct sieve_node *n);
/* The walk over all extensions: *i from 0. */
bool sieve_each_extension(size_t *i, const struct sieve_extension **x);
/* A header's values, decoded: fn is called until it returns non-zero. */
int sieve_each_value(struct sieve_run *r, const struct sieve_arg *names,
		     int (*fn)(void *ctx, struct span value), void *ctx);
/* The part of an address that :all :localpart :domain :user :detail ask for;
 * false: there is no such part (no detail). */
bool sieve_part(struct sieve_run *r, const struct sieve_node *n,
		struct span local, struct span domain, struct buf *out);

/* sieve_vars.c: RFC 5229 without its words.  Is the string the same whenever
 * it is used? */
bool sieve_constant(const struct sieve_script *s, const char *text);
bool sieve_identifier(struct span name);
/* References to namespaces, which nobody has here, are errors. */
void sieve_check_vars(struct sieve_script *s, struct sieve_node *n);
/* A copy of the node with its strings expanded. */
void sieve_expand(struct sieve_run *r, const struct sieve_node *n,
		  struct sieve_node *out);
void sieve_expand_done(struct sieve_node *n);
/* "" when it is not set.  The name in any case. */
const char *sieve_var(const struct sieve_run *r, struct span name);
int sieve_var_set(struct sieve_run *r, struct span name, struct span value);

#endif
