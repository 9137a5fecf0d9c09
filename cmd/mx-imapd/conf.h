/*
 * conf.h - options and parameters of mx-imapd.
 */
#ifndef IMAPD_CONF_H
#define IMAPD_CONF_H

#include "param.h"
#include "server.h"

struct options {
	struct server_options server;
	bool preauth;
	const char *maildir;
};
extern struct options options;

enum ssl_level { SSL_NO, SSL_YES, SSL_REQUIRED };
struct imapd_params {
	char *mail_location;
	struct strs mailbox_auto;
	char *auth_socket, *auth_master_socket;
	bool disable_plaintext_auth;
	int64_t process_limit, max_use, client_limit, max_idle;
	int64_t login_timeout, first_valid_uid;
	int ssl; /* enum ssl_level */
	char *ssl_cert, *ssl_key, *ssl_min_protocol, *ssl_cipher_list;
	char *smtpd_tls_cert_file, *smtpd_tls_key_file;
	char *login_greeting;
	char *mail_uid, *mail_gid;
};
extern struct imapd_params conf;
extern const struct param_rows conf_rows;

#endif
