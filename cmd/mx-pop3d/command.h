/*
 * command.h - a POP3 command line: its word and its arguments.
 */
#ifndef POP3D_COMMAND_H
#define POP3D_COMMAND_H

#include "span.h"

struct command {
	struct span word;
	struct span args; /* behind the one space; may be empty */
	bool has_args;
};
/* False: no command (RFC 1939 3: a keyword of three or four printable
 * characters, then arguments; the line may hold no NUL). */
bool command_parse(struct command *c, struct span line);
/* The next argument, parted by spaces; false when there is none. */
bool command_arg(struct command *c, struct span *arg_r);
/* A number, at most 10 digits. */
bool command_number(struct span arg, uint32_t *n_r);

#endif
