/*
 * filter.h - options, parameters and subcommands of mx-filter.
 */
#ifndef MX_FILTER_H
#define MX_FILTER_H

#include "opt.h"
#include "server.h"

/* policy: as they were given; NULL: not. */
struct policy_options {
	const char *delay, *max_age, *window, *awl, *v4bits, *v6bits;
	const char *action, *text, *header, *hostname, *dbdir;
	const char *inet, *unix_path, *client_rate, *login_rate;
	bool by_host, by_subnet, privacy;
	struct strs clients, rcpts;
	struct server_options server;
};
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
	struct policy_options policy;
};
extern struct filter_options opts;

struct filter_params {
	int64_t header_size_limit, line_length_limit, body_checks_size_limit;
	struct strs header_checks, mime_header_checks, nested_header_checks;
	struct strs body_checks, mailbox_auto;
	int64_t process_limit;
};
extern struct filter_params filter_params;

extern const struct program *filter_program;

int cmd_policy(int argc, char **argv);
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
