/*
 * sieve_conf.h - the settings of Sieve, with Pigeonhole's names and defaults:
 * rows of mx.conf, which test scripts can change too.
 */
#ifndef MX_SIEVE_CONF_H
#define MX_SIEVE_CONF_H

#include "param.h"

/* spamtest and virustest: where the verdict stands and what it means. */
struct sieve_scan_conf {
	char *status_header, *status_type, *max_value, *max_header;
	struct strs texts; /* NUMBER=TEXT */
};

struct sieve_conf {
	int64_t max_script_size, max_actions, max_redirects, max_cpu_time;
	int64_t max_value_size, max_scope_size;
	int64_t max_nesting_depth, max_includes;
	char *sieve_dir, *sieve_global;
	int64_t editheader_max_header_size;
	struct strs editheader_protected, editheader_forbid_add,
	    editheader_forbid_delete;
	int64_t max_notifications;
	char *notify_from;
	int64_t vacation_min, vacation_max, vacation_default;
	char *vacation_subject, *vacation_template;
	bool vacation_check_recipient, vacation_orig_recipient;
	bool vacation_from_recipient, vacation_ignore_envelope;
	struct sieve_scan_conf spam, virus;
	char *user_email, *redirect_from, *postmaster_address;
	int64_t duplicate_default, duplicate_max;
	int64_t regex_match_limit;
	struct strs pipe_dirs, filter_dirs, execute_dirs;
	int64_t exec_timeout;
	struct strs extlists; /* NAME=TABLE */
	char *memory;
	struct strs environment; /* NAME=VALUE */
};
extern struct sieve_conf sieve_conf;
extern const struct param_rows sieve_rows;

/* One setting as a test script says it, its default with value.p == NULL.
 * False: there is no such setting, or the value is not of its kind. */
bool sieve_conf_set(struct span name, struct span value);

#endif
