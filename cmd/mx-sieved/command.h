/*
 * command.h - one ManageSieve command: words, numbers, strings, with literals
 * inside.  RFC 5804 1.2, 4.
 */
#ifndef SIEVED_COMMAND_H
#define SIEVED_COMMAND_H

#include "buf.h"

#define COMMAND_ARGS 5

enum arg_type { ARG_WORD, ARG_NUMBER, ARG_STRING };
struct arg {
	enum arg_type type;
	size_t at, n; /* in text: decoded */
	uint64_t number;
};
struct command {
	struct buf text;
	struct arg args[COMMAND_ARGS]; /* [0] is the command's own word */
	size_t n;
	uint64_t literal; /* bytes that come next */
};
enum command_state {
	COMMAND_DONE,    /* all of it is there */
	COMMAND_LITERAL, /* command_literal, then the rest of the line */
	COMMAND_BAD      /* no command; its line ends here */
};
void command_clear(struct command *c); /* wipes: it may hold a password */
/* A line without its line end: a command's first, or what follows a literal. */
enum command_state command_line(struct command *c,
				struct span line) MX_MUST_CHECK;
/* Does a line that is no command end as one that a literal of n bytes
 * follows? */
bool command_line_literal(struct span line, uint64_t *n_r) MX_MUST_CHECK;
/* The literal's bytes (fewer where they were dropped). */
void command_literal(struct command *c, struct span bytes);
struct span command_span(const struct command *c, size_t i);
/* Is it this word, with strings and numbers as in `shape` ("s", "sn", "",
 * "s?" where the last may be missing)? */
bool command_is(const struct command *c, const char *word);
bool command_shape(const struct command *c, const char *shape);

/* May a script have this name?  UTF-8 without controls and "/", 1 to 128
 * characters, no leading dot.  RFC 5804 1.6; THREATS 91. */
bool command_name_ok(struct span name);

#endif
