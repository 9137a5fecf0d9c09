/*
 * conf.c - the parameters of mx-pop3d alone, one row each; the others are in
 * common/front_conf.c.  Dovecot's names in Dovecot's sense.
 */
#include "conf.h"

struct pop3d_params conf;

#define P(TYPE, MEMBER, NAME, DEF, MIN, MAX, WORDS, MEANING)                   \
	PARAM_ROW(struct pop3d_params, TYPE, MEMBER, NAME, DEF, MIN, MAX,      \
		  WORDS, MEANING)
static const struct param rows[] = {
	P(RAWSTR, mail_location, "mail_location", "maildir:~/Maildir", 0, 0,
	  NULL,
	  "where mail lies when the auth server does not say; %u %n %d %h and "
	  "~ stand for the user's"),
	P(RAWSTR, uidl_format, "pop3_uidl_format", "%08Xu%08Xv", 0, 0, NULL,
	  "unique ids of messages: %u UID, %v UIDVALIDITY, %f file name; "
	  "%08X before a letter: eight hexadecimal digits"),
	P(BOOL, no_flag_updates, "pop3_no_flag_updates", "no", 0, 0, NULL,
	  "RETR leaves messages new and unseen"),
	P(BOOL, fast_size, "pop3_fast_size_lookups", "no", 0, 0, NULL,
	  "the size on disk where the exact one is not known"),
	P(INT, process_limit, "pop3_process_limit", "1000", 1, 5000, NULL,
	  "most sessions at once"),
	P(INT, client_limit, "pop3_client_connection_limit", "50", 0, 5000,
	  NULL, "sessions of one client address; 0: no limit"),
};
const struct param_rows conf_rows = { rows, ARRAY_LEN(rows), &conf };
