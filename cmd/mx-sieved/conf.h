/*
 * conf.h - options and parameters of mx-sieved.
 */
#ifndef SIEVED_CONF_H
#define SIEVED_CONF_H

#include "front.h"

struct options {
	struct server_options server;
	bool preauth;
};
extern struct options options;

struct sieved_params {
	char *sieve, *sieve_dir;
	int64_t max_script_size, quota_scripts, quota_storage, max_redirects;
	int64_t process_limit, client_limit;
};
extern struct sieved_params conf;
extern const struct param_rows conf_rows;

#endif
