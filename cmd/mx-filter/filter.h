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
	/* spam, virus */
	const char *server, *learn;
	/* procmail */
	bool to_sieve, mailfilter, keep_environment, ignored;
	const char *from;
	struct strs args;
	/* headers: tables of each class */
	struct strs mime_tables, nested_tables, body_tables;
};
extern struct filter_options opts;

struct filter_params {
	int64_t header_size_limit, line_length_limit, body_checks_size_limit;
	struct strs header_checks, mime_header_checks, nested_header_checks;
	struct strs body_checks;
};
extern struct filter_params filter_params;

int cmd_sieve(int argc, char **argv);
int cmd_check(int argc, char **argv);
int cmd_extensions(int argc, char **argv);
int cmd_remember(int argc, char **argv);
int cmd_replay(int argc, char **argv);
int cmd_test(int argc, char **argv);
int cmd_procmail(int argc, char **argv);
int cmd_spam(int argc, char **argv);
int cmd_virus(int argc, char **argv);
int cmd_headers(int argc, char **argv);

#endif
