/*
 * options.h - what the command line of mx-auth said, for its subcommands.
 */
#ifndef MX_AUTH_OPTIONS_H
#define MX_AUTH_OPTIONS_H

#include "server.h"

struct options {
	struct server_options server;
	const char *scheme, *socket, *service, *remote;
	const char *file, *hash, *uid, *gid, *home, *mail;
	int64_t rounds;
};
extern struct options options;

int cmd_test(int argc, char **argv);
int cmd_user(int argc, char **argv);
int cmd_hash(int argc, char **argv);
int cmd_add(int argc, char **argv);
int cmd_del(int argc, char **argv);
int cmd_passwd(int argc, char **argv);
/* What a checkpassword program runs when the password is right. */
int checkpassword_reply(void);

/* A password from the terminal (not shown, asked twice when `confirm`), or
 * the first line of stdin.  Wipe it after use. */
int ask_password(struct buf *out, bool confirm, struct err *e) MX_MUST_CHECK;

#endif
