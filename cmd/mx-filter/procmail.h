/*
 * procmail.h - procmailrc(5), procmailsc(5): what the files procmail_*.c share.
 * It delivers itself, as procmail does: whether a delivery worked decides what
 * is done next.  It runs with the user's rights alone.
 */
#ifndef MX_PROCMAIL_H
#define MX_PROCMAIL_H

#include "buf.h"
#include "clock.h"
#include "err.h"
#include "strs.h"

#define PM_NESTING 64         /* rcfiles inside of each other; blocks: 1000 */
#define PM_LINE_MAX (1 << 20) /* LINEBUF may not ask for more */

struct pm_rc {
	char *name;
	struct buf text;
	size_t at;
	size_t blocks; /* how many were open when it began */
};

/* An open block: what is restored at its end. */
struct pm_block {
	bool prevcond, lastcond;
	bool skip;  /* nothing in it is done */
	bool clone; /* `c`: the rest of the file was done by a child */
};

struct pm {
	struct buf mail;
	size_t header; /* its bytes with the empty line */
	struct map *env;
	struct strs args;
	struct pm_rc *rc; /* the stack */
	size_t nrc, rc_cap;
	size_t steps; /* statements, and more for each file: pm_run */
	struct pm_block *block;
	size_t nblocks, blocks_cap;
	size_t skip; /* of the open blocks, so many are skipped */
	bool lastcond, prevcond, lastsucc;
	int64_t score;   /* $= */
	int exit;        /* $? */
	bool done;       /* delivered for good */
	bool ended;      /* HOST: no rcfile is read any more */
	bool tempfail;   /* -t: a failure is told as temporary */
	bool mailfilter; /* -m */
	bool delivered;  /* DELIVERED=yes */
	int log;         /* LOGFILE, or -1: stderr */
	bool verbose, abstract_all, abstract_no;
	char *lockfile; /* LOCKFILE that is held, or NULL */
	size_t written; /* by the last delivery */
	bool failed;    /* some delivery failed */
	bool not_run;   /* the last command: it was not to be found */
	bool clone;     /* the child of a block with `c`: it ends by _exit */
};

/* A recipe's first line. */
struct pm_recipe {
	bool flag[128];
	bool lock;      /* a second colon */
	char *lockfile; /* or NULL: made from the destination */
	long old_count; /* ":n": so many conditions without a star, or -1 */
};

/* procmail_vars.c */
const char *pm_get(const struct pm *p, const char *name); /* "" if unset */
bool pm_isset(const struct pm *p, const char *name);
/* Without the effects that assignments have. */
void pm_put(struct pm *p, const char *name, const char *value);
/* With them. */
void pm_assign(struct pm *p, const char *name, const char *value);
void pm_unset(struct pm *p, const char *name);
bool pm_true(const char *value, bool none);
int64_t pm_number(const struct pm *p, const char *name, int64_t none);
/* All of them, for a child. */
void pm_environ(const struct pm *p, struct strs *env);
void pm_log(struct pm *p, const char *fmt, ...) MX_PRINTF(2, 3);
void pm_verbose(struct pm *p, const char *fmt, ...) MX_PRINTF(2, 3);

/* procmail_expand.c: sh(1)'s substitutions.  Each reads from *rest. */
enum pm_expand {
	PM_VALUE, /* one word, up to a blank outside of quotes; not split */
	PM_WORDS, /* many words; unquoted variables are split */
	PM_DQUOTE /* all of it, as inside of double quotes */
};
/* dry: nothing is run or looked up (skipped blocks).  False: a word whose
 * beginning came out of a variable or a command begins with "-". */
bool pm_expand(struct pm *p, struct span *rest, enum pm_expand how, bool dry,
	       struct strs *words);

/* procmail_regex.c: the dialect as a PCRE2 pattern; *group_r: \/ was there,
 * an empty capture stands there. */
void pm_regex(struct buf *out, struct span re, bool *group_r);
/* Counts matches, up to max (PM_ENDLESS: the empty text is one, procmailsc(5));
 * the first one's \/ part goes into *match (NULL: nobody asks).  -1 and a
 * sentence: the pattern is wrong, or too slow. */
#define PM_ENDLESS INT64_MAX
int64_t pm_match(struct span re, bool fold, struct span text, int64_t max,
		 struct buf *match, bool *matched_part_r, struct err *e);

/* procmail_run.c: commands.  The mail, or in, is their input. */
struct pm_cmd {
	const char *line;
	struct span in;
	struct buf *out; /* or NULL: stdout goes to the log */
	bool wait;
	bool ignore_write; /* i */
};
/* The exit status, -1: it could not be run or was killed. */
int pm_command(struct pm *p, const struct pm_cmd *c);
int pm_argv(struct pm *p, const struct strs *argv, const struct pm_cmd *c);

/* procmail_cond.c: one condition line (behind the star). */
struct pm_conds {
	bool match; /* so far */
	bool scored;
	double score;
};
void pm_condition(struct pm *p, const struct pm_recipe *r, struct span line,
		  struct pm_conds *c);

/* procmail_lock.c: true: it is held; false: there is none, which is said, and
 * all goes on without it.  Waits as LOCKSLEEP and LOCKTIMEOUT say. */
bool pm_lock(struct pm *p, const char *name);
void pm_unlock(struct pm *p, const char *name);
/* The names of the locks of a folder, and of a recipe whose action is line;
 * NULL: none.  Caller frees. */
char *pm_folder_lock(struct pm *p, const char *folder);
char *pm_recipe_lock(struct pm *p, const struct pm_recipe *r, const char *line);
/* A clone holds none of its parent's. */
void pm_forget_locks(void);
/* SIGTERM, SIGINT and SIGHUP end the process with status 75 and without a
 * lock left; not while they are held back. */
void pm_signals(void);
void pm_hold_signals(bool hold);

/* procmail_act.c */
bool pm_is_file(const char *path); /* a mailbox file, not a directory */
/* Delivers the bytes to the folders (one, or directories). */
bool pm_folders(struct pm *p, const struct strs *to, struct span text,
		bool raw);
bool pm_action(struct pm *p, const struct pm_recipe *r, const char *line);
/* The text as it is written: "From " quoted behind the first line, an empty
 * line at the end. */
void pm_text(struct buf *b, struct span text, bool quote, bool blank);
void pm_set_mail(struct pm *p, struct span bytes);
void pm_abstract(struct pm *p);

/* procmail_rc.c: 0, or -1: the file cannot be read. */
int pm_push_rc(struct pm *p, const char *name, struct err *e);
void pm_run(struct pm *p);

/* procmail_sieve.c: --to-sieve. */
int pm_to_sieve(const char *file, struct err *e);

#endif
