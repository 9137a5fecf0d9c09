/*
 * sieve.h - the Sieve language: tree, words, and what a run needs.
 * RFC 5228.  An extension is a file sieve_ext_NAME.c with one SIEVE_EXTENSION:
 * nothing else lists it.
 */
#ifndef MX_SIEVE_H
#define MX_SIEVE_H

#include "addr.h"
#include "err.h"
#include "mime.h"
#include "msg.h"
#include "sieve_conf.h"
#include "strs.h"

#include <stdio.h>
#include <time.h>

#define SIEVE_SCRIPT_MAX ((size_t)1 << 26) /* where the setting is 0 */
#define SIEVE_NESTING 32   /* blocks, and tests; RFC 5228 2.10.5 asks for 15 */
#define SIEVE_ARGUMENTS 32 /* of one command or test */
#define SIEVE_NAME_MAX 32  /* bytes of an identifier */
#define SIEVE_STRING_MAX (1024 * 1024)
#define SIEVE_LOOPS 4    /* sieve_mime's: foreverypart inside of itself */
#define SIEVE_ERRORS 100 /* so many are reported in one run */

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
	struct sieve_script *include; /* what the word runs; not owned */
	bool unreached; /* its block was not checked and must not run */
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
	/* include (RFC 6609) */
	struct sieve_script *parent; /* who includes it, or NULL */
	const char *place;           /* ":personal", ":global"; NULL: neither */
	char *name;                  /* as the include said it */
	struct sieve_script **includes; /* owned by the outermost one */
	size_t nincludes, includes_cap;
	struct strs globals; /* names declared global */
	int loops;           /* around what is being checked */
	struct strs unknown; /* tags that were told */
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
	/* A test whose outcome is known when it is compiled. */
	int (*known)(const struct sieve_script *s, const struct sieve_node *n);
	const char *inside; /* only in a block of that word, or NULL */
	bool ends;          /* what follows in the block is not checked */
	/* Test: 1, 0, or -1 with an error.  Command: 0 or -1. */
	int (*run)(struct sieve_run *r, const struct sieve_node *n);
};

/* RFC 4790; required as "comparator-NAME" but for the two built-in ones. */
struct sieve_comparator {
	const char *name;
	bool substring;     /* :contains and :matches work */
	char (*fold)(char); /* of a byte, for substrings */
	int (*cmp)(struct span a, struct span b);
	/* Or NULL: both strings are brought to this form first; appended. */
	void (*norm)(struct buf *b, struct span s);
};
/* :is and the like.  Its tag is among the core's or in an `added` of "*match"
 * with the group "match type". */
struct sieve_match_type {
	const char *tag;
	bool substring; /* needs a comparator with substrings */
	bool as_is;     /* value and key are not brought to norm's form */
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
	/* ${SPACE.name} of RFC 5229 3: the value appended, false: none such.
	 * Needs the extension and "variables". */
	const char *space;
	bool (*space_get)(struct sieve_run *r, struct span name, struct buf *b);
	/* set "SPACE.name"; NULL: cannot be set. */
	int (*space_set)(struct sieve_run *r, struct span name,
			 struct span value);
	const char *implies; /* is required with it, or NULL */
	/* May say that it is not there with these settings. */
	bool (*available)(void);
};
/* Registers: the linker gathers the pointers of all files. */
#define SIEVE_EXTENSION(x)                                                     \
	static const struct sieve_extension *const sieve_reg_##x               \
	    __attribute__((used, section("sieve_ext"))) = &(x)
extern const struct sieve_extension *const __start_sieve_ext[];
extern const struct sieve_extension *const __stop_sieve_ext[];

/* A message as it was at some instant: the one that came, or an edited one. */
struct sieve_message {
	struct buf text; /* owns the bytes of an edited one */
	struct msg m;
	struct mime mime; /* once it was asked for */
	bool parsed;
	bool pinned;   /* somebody needs it to the end */
	uint64_t size; /* as on the wire, CRLF */
};
struct sieve_store {
	struct sieve_message **v;
	size_t n, cap;
};

/* What a run decides; printed in order. */
struct sieve_action {
	const char *verb; /* keep, fileinto, redirect, discard, reject ... */
	char *what;       /* folder, address, text, program; or NULL */
	struct strs flags;
	bool has_flags, copy, create;
	bool done; /* carried out already (test scripts) */
	const struct sieve_message *message; /* what it is done with */
	char *from;                          /* envelope sender, or NULL */
	char *text;        /* a message that it sends (vacation, notify) */
	struct strs args;  /* of a program; further recipients */
	char *special_use; /* fileinto: a new folder's, RFC 8579 4.1 */
	bool try;          /* pipe: a failure is no error */
	char *withheld;    /* vacation: why no reply is due, or NULL */
	char *mark;        /* "SECONDS ID", remembered before it is sent */
	/* RFC 8580: the folder that gets a copy of text, and its flags */
	char *fcc;
	struct strs fcc_flags;
	bool fcc_create;
	int line;
};

struct sieve_run {
	const struct sieve_script *script;
	const struct msg *m; /* message->m */
	uint64_t size;       /* as on the wire, CRLF */
	struct sieve_message *message;
	struct sieve_store *store; /* owns the messages */
	const char *sender;        /* NULL: not known */
	const char *recipient;
	const char *orig_recipient, *auth_user; /* or NULL */
	const char *client_addr, *client_name;
	const char *delims;  /* recipient_delimiter */
	const char *maildir; /* of the user, or NULL */
	/* Asked instead of the Maildir, where they are not NULL. */
	bool (*has_mailbox)(struct sieve_run *r, const char *name);
	/* An annotation (RFC 5490), appended; mailbox NULL: the server's. */
	bool (*annotation)(struct sieve_run *r, const char *mailbox,
			   const char *name, struct buf *value);
	struct memory *memory; /* or NULL: nothing is remembered */
	struct strs marks;     /* "SECONDS ID": remembered when all went well */
	void *test;            /* what a test script knows; NULL in others */
	struct sieve_action *actions;
	size_t nactions, actions_cap;
	struct strs flags; /* the internal variable of RFC 5232 */
	bool flags_set;
	bool implicit_keep;
	bool explicit_keep; /* some keep or :copy, for scripts behind it */
	bool stopped;
	bool returned;        /* out of the included script */
	const char *broken;   /* break: the loop's name, "" the innermost */
	bool last_if;         /* outcome of the last if/elsif */
	FILE *explain;        /* or NULL */
	struct buf saw;       /* values that the test looked at, for explain */
	uint64_t count;       /* values seen by a match type that counts */
	struct map *vars;     /* by name in lower case; RFC 5229 */
	struct map *globals;  /* RFC 6609 3.4 */
	struct span original; /* the value that norm changed; p NULL: none */
	struct strs groups;   /* ${0}, ${1} ... */
	bool no_groups;       /* a match sets none now */
	struct strs once;     /* scripts that were included */
	int depth;            /* of includes */
	/* foreverypart (RFC 5703) */
	bool in_part;
	size_t part;
	struct sieve_loop *loop;
	int64_t now; /* currentdate; 0: the clock */
	int zone;    /* minutes east of UTC, with now */
	struct err err;
	int err_line; /* where it happened; 0: at the end */
	int64_t steps;
	uint64_t matched; /* values that were matched */
	clock_t cpu;      /* when it began */
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
/* A script that another one includes: errors are counted in it, and told where
 * the parent's are. */
struct sieve_script *sieve_load_included(struct sieve_script *parent,
					 const char *file, const char *place,
					 const char *name, struct err *e);
void sieve_close(struct sieve_script *s);
/* A note that is no error. */
void sieve_warn(struct sieve_script *s, int line, int col, const char *fmt, ...)
    MX_PRINTF(4, 5);
void sieve_error(struct sieve_script *s, int line, int col, const char *fmt,
		 ...) MX_PRINTF(4, 5);
bool sieve_required(const struct sieve_script *s, const char *ext);
/* Takes the extension, and what it implies, for required. */
void sieve_require(struct sieve_script *s, const char *ext);
bool sieve_known(const struct sieve_script *s, const char *ext);
/* The tag's argument (the tag itself), or NULL. */
const struct sieve_arg *sieve_has(const struct sieve_node *n, const char *tag);
/* The value behind a tag that takes one, or NULL. */
const struct sieve_arg *sieve_value(const struct sieve_node *n,
				    const char *tag);
/* The i-th positional argument. */
const struct sieve_arg *sieve_pos(const struct sieve_node *n, size_t i);

/* sieve_ext_extlists.c: calls fn for each member of a list (RFC 6134); -1 with
 * r->err: there is no such list, or it does not tell its members, or fn's. */
int sieve_list_each(struct sieve_run *r, const char *name,
		    int (*fn)(void *ctx, struct span member, const char *value,
			      struct err *e),
		    void *ctx);

/* Has the run had its share?  -1 with r->err: yes. */
int sieve_check_time(struct sieve_run *r) MX_MUST_CHECK;
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
/* The same; text (taken too) is a message that the action sends.  The action,
 * to be filled further, or NULL. */
struct sieve_action *sieve_act_more(struct sieve_run *r,
				    const struct sieve_node *n,
				    const char *verb, char *what, char *text);
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
/* The values of the header fields that n asks for (:mime, :index ...), raw or
 * decoded: fn is called until it returns non-zero. */
int sieve_each_value(struct sieve_run *r, const struct sieve_node *n,
		     const struct sieve_arg *names, bool raw,
		     int (*fn)(void *ctx, struct span value), void *ctx);
/* The i-th (from 1; 0: all) field of that name in one header, from the end
 * when last. */
int sieve_header_values(struct sieve_run *r, const struct sieve_node *n,
			const struct msg *m, const char *name, bool raw,
			int (*fn)(void *ctx, struct span value), void *ctx);
/* The same of the MIME parts that :mime and :anychild name (RFC 5703). */
int sieve_mime_values(struct sieve_run *r, const struct sieve_node *n,
		      const struct sieve_arg *names, bool raw,
		      int (*fn)(void *ctx, struct span value), void *ctx);
/* HTML without its tags, a blank for each. */
void sieve_strip_tags(struct buf *b);
/* The part of an address that :all :localpart :domain :user :detail ask for;
 * false: there is no such part (no detail). */
bool sieve_part(struct sieve_run *r, const struct sieve_node *n,
		struct span local, struct span domain, struct buf *out);

/* A bare address out of a string (display names and blanks dropped), or NULL.
 * Caller frees. */
char *sieve_address(const char *text);
/* The value of a From field: the text, a display name in encoded words. */
void sieve_from_text(struct buf *b, const char *text);
/* Checks the constant ones of an argument; wording as of a redirect. */
void sieve_check_address(struct sieve_script *s, const struct sieve_arg *a);
/* The extension that knows this name, or NULL. */
const struct sieve_extension *sieve_extension(const struct sieve_script *s,
					      const char *name);

/* sieve_message.c: the message that came becomes the current one. */
void sieve_message_first(struct sieve_run *r, struct span bytes);
/* The current message gets these bytes (taken); earlier actions keep the one
 * they saw. */
void sieve_message_edit(struct sieve_run *r, struct buf *text);
void sieve_store_free(struct sieve_store *st);
/* Its parts. */
const struct mime *sieve_parts(struct sieve_run *r);
uint64_t sieve_wire_size(struct span s);

/* sieve_mail.c: the header of a message that a script sends, up to but without
 * its MIME fields; auto_submitted as RFC 3834 5 has it. */
void sieve_mail_head(struct buf *b, const char *from, const char *to,
		     const char *subject, const char *auto_submitted);
/* A value of the current message's header, decoded; false: no such field. */
bool sieve_field(const struct sieve_run *r, const char *name, struct buf *b);
/* The sender that a setting such as sieve_redirect_envelope_from means:
 * sender, recipient, orig_recipient, user_email, postmaster, <ADDRESS>. */
const char *sieve_envelope_from(const struct sieve_run *r, const char *setting,
				struct buf *b);
/* The action pipe: -1 and an error when the program fails. */
int sieve_run_pipe(struct sieve_run *r, const struct sieve_action *a);
/* :fcc and its tags of n (RFC 8580) into the action. */
int sieve_take_fcc(struct sieve_run *r, const struct sieve_node *n,
		   struct sieve_action *a) MX_MUST_CHECK;
/* :specialuse and :mailboxid of n: *name (allocated) becomes the mailbox that
 * they stand for.  *use_r: the use that a new one is to have, or NULL. */
int sieve_take_box(struct sieve_run *r, const struct sieve_node *n, char **name,
		   const char **use_r) MX_MUST_CHECK;
void sieve_check_box(struct sieve_script *s, struct sieve_node *n);
/* Is it time again for what is remembered as id?  Always without memory. */
bool sieve_remembered(const struct sieve_run *r, const char *id);

/* sieve_vars.c: RFC 5229 without its words.  Is the string the same whenever
 * it is used? */
bool sieve_constant(const struct sieve_script *s, const char *text);
bool sieve_identifier(struct span name);
/* References to namespaces that nobody has are errors. */
void sieve_check_vars(struct sieve_script *s, struct sieve_node *n);
/* A copy of the node with its strings expanded. */
void sieve_expand(struct sieve_run *r, const struct sieve_node *n,
		  struct sieve_node *out);
void sieve_expand_done(struct sieve_node *n);
/* "" when it is not set.  The name in any case. */
const char *sieve_var(const struct sieve_run *r, struct span name);
int sieve_var_set(struct sieve_run *r, struct span name, struct span value);
/* The same of a shared variable (RFC 6609 3.4). */
int sieve_global_set(struct sieve_run *r, struct span name, struct span value);
const char *sieve_global(const struct sieve_run *r, struct span name);
/* As the command set does it: the modifiers among n's tags applied. */
int sieve_set_modified(struct sieve_run *r, const struct sieve_node *n,
		       const char *name, struct span text);
/* ${1} ... from a match. */
void sieve_set_groups(struct sieve_run *r, const struct span *v, size_t n);
/* A variable's name: an identifier, or one of a namespace that can be set. */
bool sieve_settable(const struct sieve_script *s, const char *name);
/* A string as RFC 5229 3 expands it; appended. */
void sieve_expand_text(struct sieve_run *r, const char *text, struct buf *out);
/* At most max bytes, not inside a character. */
struct span sieve_cut(struct span s, size_t max);

#endif
