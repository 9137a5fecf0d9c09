/*
 * svtest.h - what the words of Sieve test scripts share: the run, the current
 * message and envelope, the mail that was stored and sent.
 */
#ifndef MX_SVTEST_H
#define MX_SVTEST_H

#include "sieve.h"

struct svtest_mail {
	char *text;
	char *folder; /* NULL: it was sent */
	char *from, *to;
	struct strs flags;
};

struct svtest {
	const char *dir; /* paths are relative to it */
	/* TAP */
	size_t entered, failures;
	bool in_block, failed; /* the block at hand */
	char *reason;
	bool fatal; /* a test_fail outside of blocks */
	/* the current message */
	struct sieve_run *top; /* the test script's run: has the message */
	struct sieve_store store;
	char *sender, *recipient, *orig_to, *auth;
	char *source; /* the folder that the message is from, or NULL */
	const struct sieve_message *source_message;
	/* what the implicit keep of the last run would store */
	struct sieve_message *to_keep;
	/* the current script, and the named ones */
	struct sieve_script *script;
	struct map *saved;
	struct sieve_script **scripts; /* all of them, to the end */
	size_t nscripts, scripts_cap;
	/* the world */
	struct svtest_mail *mail;
	size_t nmail, mail_cap;
	struct strs folders;
	struct map *annotations; /* "MAILBOX NAME" */
	char *delims;
	struct strs errors;
	bool kept; /* the implicit keep was carried out */
};

/* Of the run that a test script's word is in. */
struct svtest *svtest_of(const struct sieve_run *r);
/* Makes this the current message; its envelope is derived from its header. */
void svtest_message(struct svtest *t, struct sieve_run *r, struct span text);
/* The run looks at the current message and envelope. */
void svtest_look(struct svtest *t, struct sieve_run *r);
void svtest_fail(struct svtest *t, struct sieve_run *r, const char *reason);
/* svtest_result.c */
bool svtest_annotation(struct sieve_run *r, const char *mailbox,
		       const char *name, struct buf *value);
bool svtest_has_mailbox(struct sieve_run *r, const char *name);
void svtest_forget_mail(struct svtest *t, bool sent_only);

#endif
