/*
 * imap.h - an IMAP session, and what its commands share.
 * RFC 3501; a handler returns its result, only the loop writes tagged lines.
 */
#ifndef IMAPD_IMAP_H
#define IMAPD_IMAP_H

#include "io.h"
#include "mailbox.h"
#include "parse.h"

#define IMAP_COMMAND_MAX 65536 /* a command with its literals, but APPEND's */
#define IMAP_SETS_TOLD 65000

enum imap_state {
	STATE_FIRST = 1, /* not authenticated */
	STATE_AUTH = 2,  /* authenticated, nothing selected */
	STATE_SELECTED = 4,
	STATE_LOGOUT = 8
};

/* What ENABLE turned on (RFC 5161). */
enum {
	ENABLED_CONDSTORE = 1,
	ENABLED_QRESYNC = 2,
	ENABLED_UTF8 = 4,
	ENABLED_REV2 = 8,
	ENABLED_UIDONLY = 16
};

enum result_kind { RESULT_OK, RESULT_NO, RESULT_BAD, RESULT_BYE };
struct result {
	enum result_kind kind;
	const char *code; /* response code without brackets, or NULL */
	const char *text;
};

struct command;
struct notify;
struct context;
struct session;
struct front;
/* What runs behind the tagged line of a command. */
typedef void then_fn(struct session *s);

struct session {
	struct stream *st;
	enum imap_state state;
	unsigned enabled; /* ENABLED_... */
	bool utf8;        /* names are UTF-8: UTF8=ACCEPT or IMAP4rev2 */
	int root;         /* directory of the mail root */
	char *root_path;
	const char *user;
	struct mailbox *mb;
	struct parse p; /* of the command that runs */
	const struct command *cmd;
	bool uid;               /* it came behind "UID" */
	struct buf text;        /* the command */
	struct buf code;        /* room for a response code */
	struct buf words;       /* room for a result's text */
	struct buf tag;         /* of the command that runs */
	struct set saved;       /* RFC 5182: UIDs that "$" stands for */
	deadline_t progress_at; /* RFC 9585: when a word is due */
	/* of this command: the limit cut its messages, see limit.c */
	bool downward;   /* each_message: from the last */
	uint32_t lowest; /* UID that it came down to, or 0 */
	char limit_code[48];
	struct context **contexts; /* RFC 5267 UPDATE */
	size_t ncontexts;
	struct notify *notify; /* NULL: NOTIFY was never said */
	/* APPEND: a literal that was announced and not read yet */
	bool has_literal;
	struct literal literal;
	bool numbers; /* it searches by message numbers */
	bool quiet;   /* a MOVE on another command's behalf */
	bool say_bye; /* the stream cannot go on */
	bool alone;   /* no front stands before it (--preauth) */
	bool again;   /* UNAUTHENTICATE: the front goes on */
	int bad_commands, bad_limit;
	const struct command *rows;
	size_t max;       /* bytes of a command with its literals */
	deadline_t until; /* the whole of it: login_timeout, or never */
	then_fn *then;
	struct front *front; /* before the login only */
};

/* A command is a row: word, states, handler. */
enum {
	CMD_UID = 1,        /* may stand behind UID */
	CMD_NO_EXPUNGE = 2, /* no EXPUNGE may be told while it runs (RFC 3501
			     * 7.4.1), unless it came behind UID */
	CMD_STREAMS = 4,    /* reads its last literal itself */
	CMD_ONLY_UID = 8,
	CMD_NO_SYNC = 16,   /* nothing is looked for behind it */
	CMD_SET_FIRST = 32, /* of those that stream: a set stands first */
	CMD_NAMES = 128,    /* changes names, subscriptions, annotations */
	CMD_FLAGS = 512,    /* its OK says that flags are set */
	CMD_OWN = 256,      /* makes messages: they are no news */
	CMD_NUMBERS = 64    /* without UID it takes or tells numbers */
};
struct command {
	const char *word;
	unsigned states;
	unsigned flags;
	struct result (*run)(struct session *s);
};
extern const struct command session_commands[];
const struct command *command_find(const struct command *rows,
				   struct span word);

/* Results. */
#define RESULT(KIND, CODE, TEXT) ((struct result){ KIND, CODE, TEXT })
struct result result_ok(const char *text);
struct result result_no(const char *code, const char *text);
/* What the parser found missing. */
struct result result_bad(struct session *s);
/* NO with the sentence, and the code that fits its status. */
struct result result_err(struct session *s, const struct err *e);

/* Input: one command in s->text, s->p set behind the line's start. */
enum io_result input_command(struct session *s, size_t max,
			     struct result *refusal_r) MX_MUST_CHECK;
/* The line behind a literal that the handler took: added to s->text.  False:
 * s->say_bye. */
bool input_more(struct session *s);
/* Drops a literal that was announced. */
enum io_result input_drop(struct session *s, uint64_t n) MX_MUST_CHECK;
enum io_result input_continue(struct session *s,
			      const char *text) MX_MUST_CHECK;

/* Output: the one writer that chooses quoted or literal (THREATS 81). */
void put_string(struct stream *st, struct span s);
/* NIL for p == NULL. */
void put_nstring(struct stream *st, struct span s);
void put_literal(struct stream *st, struct span s);
/* The name of an annotation. */
void put_entry_name(struct stream *st, const char *name);
/* A mailbox name: atom-like ones too are quoted when in doubt. */
void put_mailbox(struct session *s, struct span name);
/* "* 7 FETCH (", or "* 123 UIDFETCH (" after ENABLE UIDONLY. */
void put_fetch(struct session *s, size_t index);
/* Is the UID told in the answer to a FETCH that did not ask for it? */
bool put_uid_too(const struct session *s);
/* And where a FETCH tells flags that changed (RFC 7162 3.2.4, RFC 9051
 * 7.5.2)? */
bool put_uid_as_news(const struct session *s);
/* "FLAGS (...)", and UID and MODSEQ where the client wants them. */
void put_fetch_flags(struct session *s, size_t index, bool flags);
/* From now on MODSEQ is told; the first time, the greatest too. */
void condstore_enable(struct session *s);
/* "HIGHESTMODSEQ n" for a tagged OK, or NULL. */
const char *condstore_code(struct session *s);
/* RFC 7162 3.2.10: "* VANISHED (EARLIER) ...": what of `known` went since. */
void put_vanished_since(struct session *s, const struct set *known,
			uint64_t since);
/* A long command tells now and then how far it is (RFC 9585). */
void put_progress(struct session *s, size_t done, size_t total);
/* "(\Seen $Label1)" */
void put_flags(struct stream *st, const struct mailbox *mb,
	       const struct message *m);
/* "* FLAGS (...)" and PERMANENTFLAGS. */
void put_flag_lists(struct session *s);

/* Untagged news: EXPUNGE where it is allowed, EXISTS, RECENT, flags. */
void report_changes(struct session *s, bool expunge_too);

/* Mailbox names as arguments: canonical in *name; a result otherwise. */
bool arg_mailbox(struct session *s, struct buf *name, struct result *r);
/* RFC 9051 6.3.4, 6.3.6: may a mailbox be given this name (canonical)?  A name
 * in UTF-8 that is not in normal form C would look like another one.  False
 * and *r: no. */
bool arg_net_unicode(const struct session *s, struct span name,
		     struct result *r);
/* What "*" is among UIDs: the last one that the client was told of, or 0. */
uint32_t arg_star(const struct session *s);
/* The set of messages, as indexes that exist: parsed by UID or number.  False
 * with a result otherwise. */
bool arg_set(struct session *s, struct set *set, struct result *r);
/* "$" where it stands: the saved result as a set of UIDs or numbers. */
bool arg_saved(struct session *s, struct set *set, bool uids);
/* Visits each message of the set, in order; stops on non-zero. */
int each_message(struct session *s, const struct set *set,
		 int (*fn)(struct session *s, size_t index, void *ctx),
		 void *ctx);
/* "(\Seen kw)" or the flags without parentheses; keywords that have no letter
 * in mb are given one, or (make false) passed over.  RESULT_OK, or why not. */
struct result arg_flags(struct session *s, struct mailbox *mb, bool make,
			maildir_flags *flags_r);

/* Reads and runs one command.  False: the connection is over. */
bool session_one(struct session *s);
void session_done(struct session *s);
/* A session on this stream for a user whose mail root is `path`; returns when
 * it is over.  `greet`: says PREAUTH; else the tagged OK of the login has been
 * said and the session goes on. */
int session_run(struct stream *st, const char *user, const char *path,
		bool greet);

#endif
