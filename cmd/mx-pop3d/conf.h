/*
 * conf.h - options and parameters of mx-pop3d.
 */
#ifndef POP3D_CONF_H
#define POP3D_CONF_H

#include "front.h"

struct options {
	struct server_options server;
	bool preauth;
	const char *maildir;
};
extern struct options options;

struct pop3d_params {
	char *mail_location, *uidl_format;
	bool no_flag_updates, fast_size;
	int64_t process_limit, client_limit;
};
extern struct pop3d_params conf;
extern const struct param_rows conf_rows;

#endif
