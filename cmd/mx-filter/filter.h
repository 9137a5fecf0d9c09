/*
 * filter.h - options, parameters and subcommands of mx-filter.
 */
#ifndef MX_FILTER_H
#define MX_FILTER_H

#include "opt.h"

struct filter_options {
	const char *script, *edited, *maildir;
	bool actions, explain;
	const char *sender, *recipient;
	bool mime, body; /* headers */
};
extern struct filter_options opts;

int cmd_sieve(int argc, char **argv);
int cmd_check(int argc, char **argv);
int cmd_headers(int argc, char **argv);

#endif
