/*
 * sieved.h - what ManageSieve's two states share: reading commands, replies.
 * RFC 5804.
 */
#ifndef SIEVED_SIEVED_H
#define SIEVED_SIEVED_H

#include "command.h"
#include "front.h"
#include "store.h"

/* How much a command may be: its lines together, and a script's literal. */
struct limits {
	size_t line;
	uint64_t script; /* PUTSCRIPT, CHECKSCRIPT; 0: no such */
	deadline_t until;
};
enum read_result {
	READ_OK,
	READ_BAD,      /* no command: NO */
	READ_TOO_BIG,  /* a literal beyond its limit was dropped */
	READ_TOO_LONG, /* say BYE */
	READ_TIMEOUT,
	READ_GONE
};
enum read_result sieved_read(struct stream *st, struct command *c,
			     const struct limits *l) MX_MUST_CHECK;

/* "OK", "NO", "BYE" with a code ("QUOTA/MAXSIZE") or NULL, and a text: quoted,
 * or a literal where it has several lines. */
void sieved_reply(struct stream *st, const char *word, const char *code,
		  struct span text);
void sieved_string(struct stream *st, struct span s);

/* Words behind "SIEVE" of the capabilities: mx-filter's extensions, read in
 * the monitor (before every sandbox). */
void sieved_extensions_read(void);
/* What both states tell. */
void sieved_capabilities(struct stream *st);

/* check.c: compiles the file; the compiler's words, each line with the
 * script's name in place of the path.  ST_OK, ST_DATA (the script is wrong),
 * or ST_TEMPFAIL and nothing is known. */
int sieved_check(const char *path, struct span name, struct buf *said);
/* The folder that the checker is in, for the sandbox; may be NULL. */
const char *sieved_check_folder(void);

/* The session behind a login (greet: there was none). */
void sieved_run(struct stream *st, const char *user, struct store *store,
		bool greet);

#endif
