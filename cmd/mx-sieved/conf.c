/*
 * conf.c - the parameters of mx-sieved alone, one row each; the others are in
 * common/front_conf.c.  Pigeonhole's names in Pigeonhole's sense.
 */
#include "conf.h"

struct sieved_params conf;

#define P(TYPE, MEMBER, NAME, DEF, MIN, MAX, WORDS, MEANING)                   \
	PARAM_ROW(struct sieved_params, TYPE, MEMBER, NAME, DEF, MIN, MAX,     \
		  WORDS, MEANING)
static const struct param rows[] = {
	P(STR, sieve, "sieve", "~/.dovecot.sieve", 0, 0, NULL,
	  "the active script: a link that delivery follows; %u %n %d %h and ~ "
	  "stand for the user's"),
	P(STR, sieve_dir, "sieve_dir", "~/sieve", 0, 0, NULL,
	  "where a user's scripts are, as NAME.sieve"),
	P(SIZE, max_script_size, "sieve_max_script_size", "1M", 0, 67108864,
	  NULL, "largest script; 0: 64M"),
	P(INT, quota_scripts, "sieve_quota_max_scripts", "0", 0, 1000000, NULL,
	  "scripts a user may have; 0: no limit"),
	P(SIZE, quota_storage, "sieve_quota_max_storage", "0", 0, 0, NULL,
	  "bytes a user's scripts may have together; 0: no limit"),
	P(INT, max_redirects, "sieve_max_redirects", "4", 0, 10000, NULL,
	  "redirects a script may make, as clients are told"),
	P(INT, process_limit, "sieve_process_limit", "500", 1, 5000, NULL,
	  "most sessions at once"),
	P(INT, client_limit, "sieve_client_connection_limit", "50", 0, 5000,
	  NULL, "sessions of one client address; 0: no limit"),
};
const struct param_rows conf_rows = { rows, ARRAY_LEN(rows), &conf };
