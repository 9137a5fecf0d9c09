/*
 * command.h - commands that take a message: |command of aliases,
 * mailbox_command; and the environment that children get.
 */
#ifndef MX_DELIVER_COMMAND_H
#define MX_DELIVER_COMMAND_H

#include "local.h"

void command_deliver(const struct dest *d, const struct facts *f, int fd,
		     uint64_t at, uint64_t size, struct outcome *out);
/* The verdict of a command: `what` was done, or its failure with the last line
 * it said, as a bounce shows it. */
struct command_result;
void command_judge(const char *what, const struct command_result *r,
		   struct outcome *out);
/* What every child gets: PATH, TZ, LANG and what tests pass on. */
void command_env_base(struct strs *env);
/* The same with MX_* and what Postfix local(8) exports. */
void command_env(struct strs *env, const struct dest *d, const struct facts *f);
/* A path to one of our own programs: beside this one, else by PATH. */
char *command_own(const char *name);

#endif
