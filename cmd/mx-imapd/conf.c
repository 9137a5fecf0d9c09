/*
 * conf.c - the parameters of mx-imapd, one row each.  Dovecot's names in
 * Dovecot's sense; where one is not set its Postfix twin counts.
 */
#include "conf.h"

struct imapd_params conf;

#define P(TYPE, MEMBER, NAME, DEF, MIN, MAX, WORDS, MEANING)                   \
	PARAM_ROW(struct imapd_params, TYPE, MEMBER, NAME, DEF, MIN, MAX,      \
		  WORDS, MEANING)
static const struct param rows[] = {
	P(RAWSTR, mail_location, "mail_location", "maildir:~/Maildir", 0, 0,
	  NULL,
	  "where mail lies when the auth server does not say; %u %n %d %h and "
	  "~ stand for the user's"),
	P(LIST, mailbox_auto, "mailbox_auto",
	  "Drafts:no:\\Drafts, Sent:no:\\Sent, Archive:no:\\Archive, "
	  "Junk:no:\\Junk, Trash:no:\\Trash",
	  0, 0, NULL,
	  "mailboxes as NAME:AUTO:USE; AUTO is no, create or subscribe, USE a "
	  "special use or nothing"),
	P(STR, auth_socket, "auth_socket", "unix:$run_directory/auth", 0, 0,
	  NULL, "who checks passwords: the Dovecot auth protocol"),
	P(STR, auth_master_socket, "auth_master_socket",
	  "unix:$run_directory/auth-master", 0, 0, NULL,
	  "who tells the monitor who logged in: the same protocol's master "
	  "side"),
	P(BOOL, disable_plaintext_auth, "disable_plaintext_auth", "yes", 0, 0,
	  NULL, "logins under TLS only (or over a unix socket)"),
	P(CHOICE, ssl, "ssl", "yes", 0, 0, "no|yes|required",
	  "STARTTLS: not at all, offered where there is a certificate, "
	  "required before a login"),
	P(STR, ssl_cert, "ssl_cert", "$smtpd_tls_cert_file", 0, 0, NULL,
	  "certificate chain, PEM; Dovecot's </path is the file"),
	P(STR, ssl_key, "ssl_key", "$smtpd_tls_key_file", 0, 0, NULL,
	  "its private key, PEM; Dovecot's </path is the file"),
	P(STR, ssl_min_protocol, "ssl_min_protocol", "TLSv1.2", 0, 0, NULL,
	  "oldest TLS version; 1.2 is the floor"),
	P(STR, ssl_cipher_list, "ssl_cipher_list", "medium", 0, 0, NULL,
	  "medium, high, or an OpenSSL list"),
	P(STR, smtpd_tls_cert_file, "smtpd_tls_cert_file", "", 0, 0, NULL,
	  "certificate chain where ssl_cert is not set"),
	P(STR, smtpd_tls_key_file, "smtpd_tls_key_file", "$smtpd_tls_cert_file",
	  0, 0, NULL, "its key where ssl_key is not set"),
	P(STR, login_greeting, "login_greeting", "mx ready.", 0, 0, NULL,
	  "words of the greeting"),
	P(TIME, login_timeout, "login_timeout", "3m", 1000, 3600000, "s",
	  "how long a client may take to log in"),
	P(INT, first_valid_uid, "first_valid_uid", "500", 1, UINT32_MAX, NULL,
	  "users with a smaller uid may not log in (where sessions become "
	  "their user)"),
	P(STR, mail_uid, "mail_uid", "", 0, 0, NULL,
	  "whose mail it is where the auth server tells no uid"),
	P(STR, mail_gid, "mail_gid", "", 0, 0, NULL,
	  "its group; empty: mail_uid's own"),
	P(INT, process_limit, "imap_process_limit", "1000", 1, 5000, NULL,
	  "most sessions at once"),
	P(INT, client_limit, "imap_client_connection_limit", "50", 0, 5000,
	  NULL, "sessions of one client address; 0: no limit"),
	P(INT, max_use, "max_use", "100", 1, 1000000, NULL,
	  "sessions before a worker is replaced"),
	P(TIME, max_idle, "max_idle", "100s", 0, 0, "s",
	  "inetd wait: ends without a client"),
};
const struct param_rows conf_rows = { rows, ARRAY_LEN(rows), &conf };
