/*
 * params.c - the parameters of mx-send, Postfix's smtp(8) names and senses.
 */
#include "send.h"

struct send_params params;

#define ROW(TYPE, MEMBER, NAME, DEF, MIN, MAX, WORDS, MEANING)                 \
	PARAM_ROW(struct send_params, TYPE, MEMBER, NAME, DEF, MIN, MAX,       \
		  WORDS, MEANING)
#define LEVELS "none|may|encrypt|verify|secure"

static const struct param rows[] = {
	ROW(STR, relayhost, "relayhost", "", 0, 0, NULL,
	    "where everything goes: DOMAIN, [HOST], with :PORT"),
	ROW(STR, helo_name, "smtp_helo_name", "$myhostname", 0, 0, NULL,
	    "name in EHLO, HELO and LHLO"),
	ROW(STR, bind4, "smtp_bind_address", "", 0, 0, NULL,
	    "our IPv4 address towards other hosts"),
	ROW(STR, bind6, "smtp_bind_address6", "", 0, 0, NULL,
	    "our IPv6 address towards other hosts"),
	ROW(STR, tcp_port, "smtp_tcp_port", "25", 0, 0, NULL,
	    "port where the destination names none"),
	ROW(STR, lmtp_port, "lmtp_tcp_port", "24", 0, 0, NULL,
	    "the same for LMTP"),
	ROW(CHOICE, inet_protocols, "inet_protocols", "all", 0, 0,
	    "all|ipv4|ipv6", "address families to use"),
	ROW(LIST, inet_interfaces, "inet_interfaces", "all", 0, 0, NULL,
	    "our addresses: mail for them would loop"),
	ROW(LIST, proxy_interfaces, "proxy_interfaces", "", 0, 0, NULL,
	    "addresses that lead to us from outside"),
	ROW(LIST, host_lookup, "smtp_host_lookup", "dns, native", 0, 0, NULL,
	    "dns, native (the hosts file), or both"),
	ROW(INT, address_limit, "smtp_mx_address_limit", "5", 0, 1000, NULL,
	    "addresses to try a destination, 0: all"),
	ROW(INT, session_limit, "smtp_mx_session_limit", "2", 0, 1000, NULL,
	    "sessions to try a destination, 0: no limit"),
	ROW(TIME, t_connect, "smtp_connect_timeout", "30s", 0, 0, "s",
	    "wait for a connection"),
	ROW(TIME, t_helo, "smtp_helo_timeout", "300s", 0, 0, "s",
	    "wait for greeting and EHLO"),
	ROW(TIME, t_mail, "smtp_mail_timeout", "300s", 0, 0, "s",
	    "wait for the reply to MAIL"),
	ROW(TIME, t_rcpt, "smtp_rcpt_timeout", "300s", 0, 0, "s",
	    "wait for the reply to RCPT"),
	ROW(TIME, t_data, "smtp_data_init_timeout", "120s", 0, 0, "s",
	    "wait for the reply to DATA"),
	ROW(TIME, t_xfer, "smtp_data_xfer_timeout", "180s", 0, 0, "s",
	    "wait for each piece of the message to go out"),
	ROW(TIME, t_done, "smtp_data_done_timeout", "600s", 0, 0, "s",
	    "wait for the reply to the message"),
	ROW(TIME, t_tls, "smtp_starttls_timeout", "300s", 0, 0, "s",
	    "wait for the TLS handshake"),
	ROW(CHOICE, tls_level, "smtp_tls_security_level", "may", 0, 0, LEVELS,
	    "TLS with other hosts"),
	ROW(CHOICE, lmtp_tls_level, "lmtp_tls_security_level", "none", 0, 0,
	    LEVELS, "TLS over LMTP"),
	ROW(STR, tls_ca, "smtp_tls_CAfile", "", 0, 0, NULL,
	    "certificates of authorities; empty: the system's"),
	ROW(STR, tls_cert, "smtp_tls_cert_file", "", 0, 0, NULL,
	    "our certificate as a client"),
	ROW(STR, tls_key, "smtp_tls_key_file", "$smtp_tls_cert_file", 0, 0,
	    NULL, "its key"),
	ROW(STR, tls_protocols, "smtp_tls_protocols", ">=TLSv1.2", 0, 0, NULL,
	    "TLS versions"),
	ROW(STR, tls_ciphers, "smtp_tls_ciphers", "medium", 0, 0, NULL,
	    "ciphers: medium, high or an OpenSSL list"),
	ROW(BOOL, sasl_enable, "smtp_sasl_auth_enable", "no", 0, 0, NULL,
	    "log in where smtp_sasl_password_maps has a password"),
	ROW(BOOL, sasl_enforce, "smtp_sasl_auth_enforce", "yes", 0, 0, NULL,
	    "with a password, send nothing to a host that offers no AUTH"),
	ROW(LIST, sasl_maps, "smtp_sasl_password_maps", "", 0, 0, NULL,
	    "tables: host or destination to USER:PASSWORD"),
	ROW(LIST, sasl_options, "smtp_sasl_security_options",
	    "noplaintext, noanonymous", 0, 0, NULL,
	    "without TLS: noplaintext forbids PLAIN and LOGIN"),
	ROW(LIST, sasl_tls_options, "smtp_sasl_tls_security_options",
	    "noanonymous", 0, 0, NULL, "the same with TLS"),
};

const struct param_rows send_params = { rows, ARRAY_LEN(rows), &params };
