/*
 * conf.c - the parameters of mx-imapd alone, one row each; the others are in
 * common/front_conf.c.  Dovecot's names in Dovecot's sense.
 */
#include "conf.h"
#include "maildir_root.h"

struct imapd_params conf;

#define P(TYPE, MEMBER, NAME, DEF, MIN, MAX, WORDS, MEANING)                   \
	PARAM_ROW(struct imapd_params, TYPE, MEMBER, NAME, DEF, MIN, MAX,      \
		  WORDS, MEANING)
static const struct param rows[] = {
	P(CHOICE, fsync, "mail_fsync", "optimized", 0, 0,
	  "optimized|always|never",
	  "when flags are synced to the disk: before the answer to STORE, to "
	  "all commands, or by the system alone"),
	P(RAWSTR, mail_location, "mail_location", "maildir:~/Maildir", 0, 0,
	  NULL,
	  "where mail lies when the auth server does not say; %u %n %d %h and "
	  "~ stand for the user's"),
	P(LIST, mailbox_auto, "mailbox_auto", MAILDIR_ROOT_BOXES, 0, 0, NULL,
	  "mailboxes as NAME:AUTO:USE; AUTO is no, create or subscribe, USE a "
	  "special use or nothing"),
	P(INT, message_limit, "imap_message_limit", "0", 0, 10000000, NULL,
	  "most messages that one command works on, as MESSAGELIMIT tells; 0: "
	  "no limit"),
	P(LIST, move_hook, "imap_move_hook", "", 0, 0, NULL,
	  "what is run for each message that moves or is copied: { FROM>TO "
	  "PROGRAM ARGUMENTS }, ..."),
	P(INT, process_limit, "imap_process_limit", "1000", 1, 5000, NULL,
	  "most sessions at once"),
	P(INT, client_limit, "imap_client_connection_limit", "50", 0, 5000,
	  NULL, "sessions of one client address; 0: no limit"),
};
const struct param_rows conf_rows = { rows, ARRAY_LEN(rows), &conf };
