/*
 * site.h - the parameters that every program shares: names, places, users,
 * logging, sandbox.
 * Layer: sys.
 */
#ifndef MX_SITE_H
#define MX_SITE_H

#include "param.h"

struct site {
	char *myhostname, *mydomain, *myorigin; /* myorigin: a file's first
						   line when it begins with / */
	char *run_directory, *queue_directory, *data_directory;
	char *net_user, *mail_owner, *filter_user, *sign_user, *auth_user;
	char *syslog_name;
	int log_format; /* enum log_format */
	int sandbox;    /* enum sandbox_mode: try|require|off */
	struct strs mynetworks;
	char *recipient_delimiter;
	char *resolver; /* HOST[:PORT], default: /etc/resolv.conf */
};

extern struct site site;
/* Row set of the above, to be put first in each program's list. */
extern const struct param_rows site_params;

/* A server's start of its log: syslog or stderr (DESIGN 3.10), as these
 * parameters say; role as in log_open. */
void site_log_open(const char *role);

#endif
