/*
 * front_conf.c - the parameters that IMAP, POP3 and ManageSieve servers share.
 * Layer: mail.  Dovecot's names in Dovecot's sense; where one is not set its
 * Postfix twin counts.
 */
#include "front.h"

struct front_conf front_conf;

#define P(TYPE, MEMBER, NAME, DEF, MIN, MAX, WORDS, MEANING)                   \
	PARAM_ROW(struct front_conf, TYPE, MEMBER, NAME, DEF, MIN, MAX, WORDS, \
		  MEANING)
static const struct param rows[] = {
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
	P(INT, user_limit, "mail_max_userip_connections", "10", 0, 5000, NULL,
	  "sessions of one user from one address; 0: no limit"),
	P(INT, max_use, "max_use", "100", 1, 1000000, NULL,
	  "sessions before a worker is replaced"),
	P(TIME, max_idle, "max_idle", "100s", 0, 0, "s",
	  "inetd wait: ends without a client"),
};
const struct param_rows front_params = { rows, ARRAY_LEN(rows), &front_conf };
