/*
 * conf.h - options and parameters of mx-imapd.
 */
#ifndef IMAPD_CONF_H
#define IMAPD_CONF_H

#include "param.h"
#include "server.h"

struct options {
	struct server_options server;
	bool preauth;
	const char *maildir;
};
extern struct options options;

/* mail_fsync: its words in their order. */
enum { FSYNC_OPTIMIZED, FSYNC_ALWAYS, FSYNC_NEVER };
struct imapd_params {
	char *mail_location;
	struct strs mailbox_auto, move_hook;
	int64_t process_limit, client_limit, message_limit;
	int fsync; /* FSYNC_... */
};
extern struct imapd_params conf;
extern const struct param_rows conf_rows;

#endif
