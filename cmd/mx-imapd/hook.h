/*
 * hook.h - imap_move_hook: a program is given each message that moves between
 * two mailboxes, to train a spam filter for instance.
 *
 * A session is closed into its mail root, so the programs run below another
 * process: it is forked before the sandbox, is the user too, and takes open
 * files over a socket.  Nobody waits for it: a move is done before its program
 * is told, and a socket that is full costs the program, never the move.
 */
#ifndef IMAPD_HOOK_H
#define IMAPD_HOOK_H

#include "front.h"

struct hook_rule {
	struct buf from, to; /* canonical names, "\Use", or "*" */
	struct strs argv;    /* none: nothing is done */
};
struct hook_rules {
	struct hook_rule *v;
	size_t n;
};

/* Takes the parameter apart: "FROM>TO PROGRAM ARGUMENTS" each. */
int hook_parse(struct hook_rules *h, struct err *e) MX_MUST_CHECK;
void hook_free(struct hook_rules *h);

/* In a session's process, as the user, before its sandbox. */
void hook_start(const struct front_user *u);
/* These files of folder `dirfd` came from another mailbox. */
void hook_moved(int root, const char *from, struct span to, int dirfd,
		const struct strs *paths);
/* What the process behind the socket does until nobody holds its other end and
 * its work is done. */
void hook_run(const struct hook_rules *h, const struct auth_user *u, int sock);

#endif
