/*
 * conf.c - the parameters of mx-recv, one row each, with the defaults of the
 * modes; see conf.h.  postconf(5) for the names.
 */
#include "conf.h"

#include "cmd.h"
#include "io.h"
#include "log.h"
#include "mem.h"
#include "milters.h"
#include "restrict.h"
#include "site.h"
#include "status.h"

#include <stdio.h>
#include <stdlib.h>

const struct server_mode conf_modes[] = {
	{ .name = "smtp", .port = 25 },
	{ .name = "submission", .port = 587 },
	{ .name = "submissions", .tls = true, .port = 465 },
	{ .name = "lmtp", .port = 24 },
	{ .name = "reinject" },
	{ .name = "submit", .unix_mode = 0666 },
};
const size_t conf_nmodes = ARRAY_LEN(conf_modes);

#define NMODES ARRAY_LEN(conf_modes)
#define P(TYPE, MEMBER, NAME, DEF, MIN, MAX, WORDS, MEANING)                   \
	PARAM_ROW(struct conf_params, TYPE, MEMBER, NAME, DEF, MIN, MAX,       \
		  WORDS, MEANING)

static const struct param rows[] = {
	P(STR, content_filter, "content_filter", "", 0, 0, NULL,
	  "TRANSPORT:NEXTHOP that all mail goes to first; empty on the "
	  "listener "
	  "where it comes back"),
	P(STR, delivery, "delivery", "unix:$run_directory/deliver", 0, 0, NULL,
	  "who takes the mail: unix:, inet: or exec:, ESMTP or LMTP"),
	P(STR, auth_socket, "auth_socket", "unix:$run_directory/auth", 0, 0,
	  NULL, "who checks passwords: the Dovecot auth protocol"),
	P(STR, mail_name, "mail_name", "mx", 0, 0, NULL,
	  "for smtpd_banner: what this is called"),
	P(STR, banner, "smtpd_banner", "$myhostname ESMTP", 0, 0, NULL,
	  "text behind 220"),
	P(LIST, mydestination, "mydestination",
	  "$myhostname, localhost.$mydomain, localhost", 0, 0, NULL,
	  "domains whose users are this host's"),
	P(LIST, relay_domains, "relay_domains", "", 0, 0, NULL,
	  "domains that strangers may send on to"),
	P(LIST, virtual_alias_maps, "virtual_alias_maps", "", 0, 0, NULL,
	  "address rewriting; mx-deliver does it"),
	P(LIST, virtual_alias_domains, "virtual_alias_domains",
	  "$virtual_alias_maps", 0, 0, NULL, "domains of aliases only"),
	P(LIST, virtual_mailbox_maps, "virtual_mailbox_maps", "", 0, 0, NULL,
	  "virtual users; mx-deliver asks it"),
	P(LIST, virtual_mailbox_domains, "virtual_mailbox_domains",
	  "$virtual_mailbox_maps", 0, 0, NULL, "domains of virtual users"),
	P(LIST, sender_login_maps, "smtpd_sender_login_maps", "", 0, 0, NULL,
	  "who owns a sender address: login names"),
	P(LIST, discard_ehlo, "smtpd_discard_ehlo_keywords", "", 0, 0, NULL,
	  "words not offered after EHLO"),
	P(LIST, forbidden_commands, "smtpd_forbidden_commands",
	  "CONNECT GET POST", 0, 0, NULL, "words that end the session"),
	P(STR, client_restrictions, "smtpd_client_restrictions", "", 0, 0, NULL,
	  "rules for the client"),
	P(STR, helo_restrictions, "smtpd_helo_restrictions", "", 0, 0, NULL,
	  "rules for the HELO name"),
	P(STR, sender_restrictions, "smtpd_sender_restrictions", "", 0, 0, NULL,
	  "rules for the sender"),
	P(STR, relay_restrictions, "smtpd_relay_restrictions",
	  "permit_mynetworks, permit_sasl_authenticated, "
	  "reject_unauth_destination",
	  0, 0, NULL, "rules of who may send where"),
	P(STR, recipient_restrictions, "smtpd_recipient_restrictions", "", 0, 0,
	  NULL, "rules for each recipient"),
	P(STR, data_restrictions, "smtpd_data_restrictions", "", 0, 0, NULL,
	  "rules at DATA and BDAT"),
	P(STR, end_restrictions, "smtpd_end_of_data_restrictions", "", 0, 0,
	  NULL, "rules behind the last byte of a message"),
	P(LIST, restriction_classes, "smtpd_restriction_classes", "", 0, 0,
	  NULL, "parameters that are named lists of rules"),
	P(INT, code_access_reject, "access_map_reject_code", "554", 400, 599,
	  NULL, "code of REJECT in an access table"),
	P(INT, code_access_defer, "access_map_defer_code", "450", 400, 599,
	  NULL, "code of DEFER in an access table"),
	P(INT, code_reject, "reject_code", "554", 400, 599, NULL,
	  "code of the rule reject"),
	P(INT, code_defer, "defer_code", "450", 400, 599, NULL,
	  "code of the rule defer"),
	P(INT, code_invalid_name, "invalid_hostname_reject_code", "501", 400,
	  599, NULL, "code of reject_invalid_helo_hostname"),
	P(INT, code_non_fqdn, "non_fqdn_reject_code", "504", 400, 599, NULL,
	  "code of reject_non_fqdn_*"),
	P(INT, code_plaintext, "plaintext_reject_code", "450", 400, 599, NULL,
	  "code of reject_plaintext_session"),
	P(INT, code_rbl, "maps_rbl_reject_code", "554", 400, 599, NULL,
	  "code of reject_rbl_* and reject_rhsbl_*"),
	P(INT, code_multi_bounce, "multi_recipient_bounce_reject_code", "550",
	  400, 599, NULL, "code of reject_multi_recipient_bounce"),
	P(INT, code_relay, "relay_domains_reject_code", "554", 400, 599, NULL,
	  "code of reject_unauth_destination"),
	P(INT, code_unknown_address, "unknown_address_reject_code", "450", 400,
	  599, NULL, "code of reject_unknown_sender_domain and its like"),
	P(INT, code_unknown_client, "unknown_client_reject_code", "450", 400,
	  599, NULL, "code of reject_unknown_client_hostname and its like"),
	P(INT, code_unknown_helo, "unknown_hostname_reject_code", "450", 400,
	  599, NULL, "code of reject_unknown_helo_hostname"),
	P(INT, code_unknown_local, "unknown_local_recipient_reject_code", "550",
	  400, 599, NULL, "code for users unknown in mydestination"),
	P(INT, code_unknown_relay, "unknown_relay_recipient_reject_code", "550",
	  400, 599, NULL, "code for users unknown in relay_domains"),
	P(INT, code_unknown_alias, "unknown_virtual_alias_reject_code", "550",
	  400, 599, NULL, "code for users unknown in virtual_alias_domains"),
	P(INT, code_unknown_mailbox, "unknown_virtual_mailbox_reject_code",
	  "550", 400, 599, NULL,
	  "code for users unknown in virtual_mailbox_domains"),
	P(INT, code_unverified_sender, "unverified_sender_reject_code", "450",
	  400, 599, NULL, "code of reject_unverified_sender"),
	P(INT, code_unverified_rcpt, "unverified_recipient_reject_code", "450",
	  400, 599, NULL, "code of reject_unverified_recipient"),
	P(INT, code_unverified_sender_defer, "unverified_sender_defer_code",
	  "450", 400, 499, NULL, "the same while nobody can say"),
	P(INT, code_unverified_rcpt_defer, "unverified_recipient_defer_code",
	  "450", 400, 499, NULL, "the same while nobody can say"),
	P(STR, unverified_sender_reason, "unverified_sender_reject_reason", "",
	  0, 0, NULL, "what the client hears instead of the other host's text"),
	P(STR, unverified_rcpt_reason, "unverified_recipient_reject_reason", "",
	  0, 0, NULL, "what the client hears instead of the other host's text"),
	P(CHOICE, tempfail_unverified_sender,
	  "unverified_sender_tempfail_action", "$reject_tempfail_action", 0, 0,
	  "defer_if_permit|defer", "when a sender cannot be verified now"),
	P(CHOICE, tempfail_unverified_rcpt,
	  "unverified_recipient_tempfail_action", "$reject_tempfail_action", 0,
	  0, "defer_if_permit|defer",
	  "when a recipient cannot be verified now"),
	P(INT, verify_poll_count, "address_verify_poll_count", "3", 1, 1000,
	  NULL, "so often the answer of a probe is asked for"),
	P(TIME, verify_poll_delay, "address_verify_poll_delay", "3s", 0,
	  3600000, "s", "and waited for so long"),
	P(CHOICE, tempfail, "reject_tempfail_action", "defer_if_permit", 0, 0,
	  "defer_if_permit|defer", "when a rule cannot tell"),
	P(CHOICE, tempfail_address, "unknown_address_tempfail_action",
	  "$reject_tempfail_action", 0, 0, "defer_if_permit|defer",
	  "when a domain cannot be looked up"),
	P(CHOICE, tempfail_helo, "unknown_helo_hostname_tempfail_action",
	  "$reject_tempfail_action", 0, 0, "defer_if_permit|defer",
	  "when a HELO name cannot be looked up"),
	P(STR, null_access_key, "smtpd_null_access_lookup_key", "<>", 0, 0,
	  NULL, "the null sender in access tables"),
	P(BOOL, reject_unlisted_sender, "smtpd_reject_unlisted_sender", "no", 0,
	  0, NULL, "refuse our own domains' unknown senders"),
	P(RAWSTR, rbl_reply, "default_rbl_reply",
	  "$rbl_code Service unavailable; $rbl_class [$rbl_what] blocked using "
	  "$rbl_domain${rbl_reason?; $rbl_reason}",
	  0, 0, NULL, "what a listed client hears"),
	P(LIST, rbl_reply_maps, "rbl_reply_maps", "", 0, 0, NULL,
	  "the same for each list"),
	P(BOOL, relay_before_recipient,
	  "smtpd_relay_before_recipient_restrictions", "yes", 0, 0, NULL,
	  "relay rules before recipient rules"),
	P(BOOL, delay_reject, "smtpd_delay_reject", "yes", 0, 0, NULL,
	  "client, HELO and sender rules wait for RCPT"),
	P(BOOL, helo_required, "smtpd_helo_required", "no", 0, 0, NULL,
	  "HELO or EHLO before MAIL"),
	P(BOOL, disable_vrfy, "disable_vrfy_command", "no", 0, 0, NULL,
	  "VRFY is answered with 502"),
	P(BOOL, forbid_unauth_pipe, "smtpd_forbid_unauth_pipelining", "yes", 0,
	  0, NULL, "close when commands come too early"),
	P(BOOL, peername_lookup, "smtpd_peername_lookup", "yes", 0, 0, NULL,
	  "look the client's name up in DNS"),
	P(BOOL, sasl_enable, "smtpd_sasl_auth_enable", "no", 0, 0, NULL,
	  "offer AUTH"),
	P(BOOL, tls_auth_only, "smtpd_tls_auth_only", "yes", 0, 0, NULL,
	  "AUTH under TLS only"),
	P(BOOL, tls_received_header, "smtpd_tls_received_header", "yes", 0, 0,
	  NULL, "TLS facts in the Received field"),
	P(BOOL, tls_ask_ccert, "smtpd_tls_ask_ccert", "no", 0, 0, NULL,
	  "ask for a client certificate"),
	P(CHOICE, forbid_bare_lf, "smtpd_forbid_bare_newline", "normalize", 0,
	  0, "normalize|yes|reject|no", "what a line end without CR means"),
	P(CHOICE, tls_level, "smtpd_tls_security_level", "may", 0, 0,
	  "none|may|encrypt", "STARTTLS: not at all, offered, required"),
	P(SIZE, message_size_limit, "message_size_limit", "10240000", 0, 0,
	  NULL, "largest message; 0: no limit"),
	P(INT, recipient_limit, "smtpd_recipient_limit", "1000", 1, 1000000,
	  NULL, "recipients in one transaction"),
	P(INT, line_length_limit, "line_length_limit", "2048", 512, 100000,
	  NULL, "longest command line"),
	P(TIME, timeout, "smtpd_timeout", "300s", 0, 0, "s",
	  "time for a command, and for a reply to be taken"),
	P(TIME, starttls_timeout, "smtpd_starttls_timeout", "300s", 0, 0, "s",
	  "time for a TLS handshake"),
	P(INT, soft_error_limit, "smtpd_soft_error_limit", "10", 0, 1000000,
	  NULL, "errors before replies are delayed"),
	P(INT, hard_error_limit, "smtpd_hard_error_limit", "20", 1, 1000000,
	  NULL, "errors before the session ends"),
	P(TIME, error_sleep, "smtpd_error_sleep_time", "1s", 0, 0, "s",
	  "delay of a reply after soft_error_limit errors"),
	P(INT, junk_command_limit, "smtpd_junk_command_limit", "100", 1,
	  1000000, NULL, "NOOP, VRFY, RSET, EHLO without mail"),
	P(INT, min_data_rate, "smtpd_min_data_rate", "500", 1, 1000000, NULL,
	  "bytes a second that a client must reach"),
	P(INT, tls_loglevel, "smtpd_tls_loglevel", "1", 0, 4, NULL,
	  "1: a line for each handshake"),
	P(TIME, policy_timeout, "smtpd_policy_service_timeout", "100s", 0, 0,
	  "s", "time for a policy server"),
	P(LIST, sasl_options, "smtpd_sasl_security_options", "noanonymous", 0,
	  0, NULL, "mechanisms that AUTH does not offer"),
	P(LIST, sasl_tls_options, "smtpd_sasl_tls_security_options",
	  "$smtpd_sasl_security_options", 0, 0, NULL, "the same under TLS"),
	P(BOOL, broken_sasl, "broken_sasl_auth_clients", "no", 0, 0, NULL,
	  "offer AUTH in an old form, too: AUTH=PLAIN"),
	P(LIST, smtpd_milters, "smtpd_milters", "", 0, 0, NULL,
	  "filters that every session of a client is told to"),
	P(LIST, non_smtpd_milters, "non_smtpd_milters", "", 0, 0, NULL,
	  "the same for sessions on a pipe or a unix socket"),
	P(LIST, milter_maps, "smtpd_milter_maps", "", 0, 0, NULL,
	  "by client address: other smtpd_milters, or DISABLE"),
	P(LIST, milter_header_checks, "milter_header_checks", "", 0, 0, NULL,
	  "header_checks(5) tables for fields that milters add or change"),
	P(CHOICE, milter_action, "milter_default_action", "tempfail", 0, 0,
	  "accept|reject|tempfail|quarantine|shutdown",
	  "what to do when a milter is away or makes no sense"),
	P(STR, milter_protocol, "milter_protocol", "6", 0, 0, NULL,
	  "milter protocol version to offer: 2, 3, 4 or 6"),
	P(TIME, milter_connect_timeout, "milter_connect_timeout", "30s", 0, 0,
	  "s", "time to reach a milter"),
	P(TIME, milter_command_timeout, "milter_command_timeout", "30s", 0, 0,
	  "s", "time for its answer to a command"),
	P(TIME, milter_content_timeout, "milter_content_timeout", "300s", 0, 0,
	  "s", "time for its answer to a message"),
	P(STR, milter_daemon_name, "milter_macro_daemon_name", "$myhostname", 0,
	  0, NULL, "the macro {daemon_name}"),
	P(STR, milter_v, "milter_macro_v", "mx " MX_VERSION, 0, 0, NULL,
	  "the macro v"),
	P(LIST, milter_macro_defaults, "milter_macro_defaults", "", 0, 0, NULL,
	  "name=value of macros that nobody else knows"),
	P(LIST, milter_connect_macros, "milter_connect_macros",
	  "j {daemon_name} {daemon_addr} v _", 0, 0, NULL,
	  "macros sent with CONNECT"),
	P(LIST, milter_helo_macros, "milter_helo_macros",
	  "{tls_version} {cipher} {cipher_bits} {cert_subject} {cert_issuer}",
	  0, 0, NULL, "macros sent with HELO"),
	P(LIST, milter_mail_macros, "milter_mail_macros",
	  "i {auth_type} {auth_authen} {auth_author} {mail_addr} {mail_host} "
	  "{mail_mailer}",
	  0, 0, NULL, "macros sent with MAIL"),
	P(LIST, milter_rcpt_macros, "milter_rcpt_macros",
	  "i {rcpt_addr} {rcpt_host} {rcpt_mailer}", 0, 0, NULL,
	  "macros sent with RCPT"),
	P(LIST, milter_data_macros, "milter_data_macros", "i", 0, 0, NULL,
	  "macros sent with DATA"),
	P(LIST, milter_eoh_macros, "milter_end_of_header_macros", "i", 0, 0,
	  NULL, "macros sent at the end of the header"),
	P(LIST, milter_eom_macros, "milter_end_of_data_macros", "i", 0, 0, NULL,
	  "macros sent at the end of the message"),
	P(LIST, milter_unknown_macros, "milter_unknown_command_macros", "", 0,
	  0, NULL, "macros sent with unknown commands"),
	P(STR, tls_cert_file, "smtpd_tls_cert_file", "", 0, 0, NULL,
	  "certificate chain, PEM"),
	P(STR, tls_key_file, "smtpd_tls_key_file", "$smtpd_tls_cert_file", 0, 0,
	  NULL, "its private key, PEM"),
	P(LIST, tls_chain_files, "smtpd_tls_chain_files", "", 0, 0, NULL,
	  "keys, each followed by its certificates"),
	P(STR, tls_protocols, "smtpd_tls_protocols", ">=TLSv1.2", 0, 0, NULL,
	  "TLS versions; 1.2 is the floor"),
	P(STR, tls_ciphers, "smtpd_tls_ciphers", "medium", 0, 0, NULL,
	  "medium, high, or an OpenSSL list"),
	P(STR, tls_mandatory_protocols, "smtpd_tls_mandatory_protocols",
	  ">=TLSv1.2", 0, 0, NULL, "TLS versions where TLS is required"),
	P(STR, tls_mandatory_ciphers, "smtpd_tls_mandatory_ciphers", "medium",
	  0, 0, NULL, "ciphers where TLS is required"),
	P(LIST, tls_exclude, "smtpd_tls_exclude_ciphers", "", 0, 0, NULL,
	  "ciphers that are not used"),
	P(LIST, tls_mandatory_exclude, "smtpd_tls_mandatory_exclude_ciphers",
	  "", 0, 0, NULL, "more of them where TLS is required"),
	P(LIST, sni_maps, "tls_server_sni_maps", "", 0, 0, NULL,
	  "host names of SNI, and the key and certificate files of each"),
	P(LIST, relay_clientcerts, "relay_clientcerts", "", 0, 0, NULL,
	  "fingerprints (SHA-256) for permit_tls_clientcerts"),
	P(BOOL, tls_req_ccert, "smtpd_tls_req_ccert", "no", 0, 0, NULL,
	  "TLS only with a client certificate that verifies, where required"),
	P(STR, tls_ca_file, "smtpd_tls_CAfile", "", 0, 0, NULL,
	  "CAs of client certificates"),
	P(STR, cert_username_field, "ssl_cert_username_field", "commonName", 0,
	  0, NULL, "the field of a client certificate that names the user"),
	P(STR, sasl_service, "smtpd_sasl_service", "smtp", 0, 0, NULL,
	  "service name for the auth server"),
	P(LIST, xclient_hosts, "smtpd_authorized_xclient_hosts", "", 0, 0, NULL,
	  "hosts that may speak for another client (XCLIENT)"),
	P(LIST, xforward_hosts, "smtpd_authorized_xforward_hosts", "", 0, 0,
	  NULL, "hosts whose XFORWARD is believed"),
	P(STR, upstream_proxy, "smtpd_upstream_proxy_protocol", "", 0, 0, NULL,
	  "haproxy: each connection begins with a PROXY header"),
	P(TIME, proxy_timeout, "smtpd_upstream_proxy_timeout", "5s", 0, 0, "s",
	  "time for that header"),
	P(LIST, proxy_networks, "proxy_networks", "$mynetworks", 0, 0, NULL,
	  "proxies that are believed"),
	P(TIME, rate_unit, "anvil_rate_time_unit", "60s", 0, 0, "s",
	  "the time that the rate limits are about"),
	P(INT, rate_connect, "smtpd_client_connection_rate_limit", "0", 0,
	  1000000, NULL, "connections of a client in that time; 0: no limit"),
	P(INT, rate_message, "smtpd_client_message_rate_limit", "0", 0, 1000000,
	  NULL, "MAIL commands of a client in that time"),
	P(INT, rate_rcpt, "smtpd_client_recipient_rate_limit", "0", 0, 1000000,
	  NULL, "RCPT commands of a client in that time"),
	P(INT, rate_auth, "smtpd_client_auth_rate_limit", "0", 0, 1000000, NULL,
	  "AUTH commands of a client in that time"),
	P(INT, rate_tls, "smtpd_client_new_tls_session_rate_limit", "0", 0,
	  1000000, NULL, "TLS handshakes of a client in that time"),
	P(CHOICE, greet_action, "postscreen_greet_action", "ignore", 0, 0,
	  "ignore|enforce|drop", "a client that speaks before the greeting"),
	P(TIME, greet_wait, "postscreen_greet_wait", "6s", 0, 0, "s",
	  "how long the greeting waits for that"),
	P(LIST, dnsbl_sites, "postscreen_dnsbl_sites", "", 0, 0, NULL,
	  "lists that a client is looked up in: ZONE=FILTER*WEIGHT"),
	P(INT, dnsbl_threshold, "postscreen_dnsbl_threshold", "1", 1, 1000000,
	  NULL, "the sum of weights from which a client does not pass"),
	P(CHOICE, dnsbl_action, "postscreen_dnsbl_action", "ignore", 0, 0,
	  "ignore|enforce|drop", "a client of that sum"),
	P(TIME, greet_ttl, "postscreen_greet_ttl", "1d", 0, 0, "s",
	  "how long a client that passed is not tested again"),
	P(LIST, pregreet_exempt, "postscreen_access_list", "$mynetworks", 0, 0,
	  NULL, "clients that are not tested"),
	P(BOOL, tls_wrappermode, "smtpd_tls_wrappermode", "no", 0, 0, NULL,
	  "TLS from the first byte, as mode submissions has it"),
	P(BOOL, enforce_tls, "smtpd_enforce_tls", "no", 0, 0, NULL,
	  "old: smtpd_tls_security_level = encrypt"),
	P(BOOL, use_tls, "smtpd_use_tls", "no", 0, 0, NULL,
	  "old: smtpd_tls_security_level = may, which is the default"),
	P(BOOL, sasl_header, "smtpd_sasl_authenticated_header", "no", 0, 0,
	  NULL, "the login's name in the Received field"),
	P(BOOL, add_missing_headers, "always_add_missing_headers", "no", 0, 0,
	  NULL, "add Date, Message-ID and From where they are missing"),
	P(INT, process_limit, "default_process_limit", "100", 1, 5000, NULL,
	  "most sessions at once"),
	P(INT, max_use, "max_use", "100", 1, 1000000, NULL,
	  "sessions before a worker is replaced"),
	P(TIME, max_idle, "max_idle", "100s", 0, 0, "s",
	  "inetd wait: end after so long without a client"),
	P(INT, client_limit, "smtpd_client_connection_count_limit", "50", 0,
	  100000, NULL, "sessions of one client at once; 0: no limit"),
	P(LIST, limit_exceptions, "smtpd_client_event_limit_exceptions",
	  "$mynetworks", 0, 0, NULL, "clients without that limit"),
};

#define NROWS ARRAY_LEN(rows)

/* Where a mode's default is another one.  RFC 6409 for submission. */
static const struct {
	const char *mode, *name, *def;
} mode_defaults[] = {
	{ "submission", "smtpd_sasl_auth_enable", "yes" },
	{ "submission", "smtpd_relay_restrictions",
	  "permit_sasl_authenticated, reject" },
	{ "submission", "smtpd_sender_restrictions",
	  "reject_sender_login_mismatch" },
	/* RFC 6409 8: what a user's program left out */
	{ "submission", "always_add_missing_headers", "yes" },
	/* final delivery: for others' MTAs, often on a unix socket */
	{ "lmtp", "smtpd_relay_restrictions", "reject_unauth_destination" },
	{ "lmtp", "smtpd_peername_lookup", "no" },
	/* a filter of ours hands a message back: all was checked before */
	{ "reinject", "smtpd_client_restrictions",
	  "permit_mynetworks, reject" },
	{ "reinject", "smtpd_relay_restrictions", "permit_mynetworks, reject" },
	{ "reinject", "smtpd_recipient_restrictions",
	  "permit_mynetworks, reject" },
	{ "reinject", "smtpd_data_restrictions", "reject_unauth_pipelining" },
	{ "reinject", "smtpd_delay_reject", "no" },
	{ "reinject", "smtpd_error_sleep_time", "0" },
	{ "reinject", "smtpd_soft_error_limit", "1001" },
	{ "reinject", "smtpd_hard_error_limit", "1000" },
	{ "reinject", "smtpd_authorized_xforward_hosts", "$mynetworks" },
	{ "reinject", "smtpd_peername_lookup", "no" },
	{ "reinject", "smtpd_tls_security_level", "none" },
	{ "reinject", "smtpd_milters", "" },
	{ "reinject", "smtpd_milter_maps", "" },
	/* programs of this host: whoever runs them may send anywhere */
	{ "submit", "smtpd_client_restrictions", "" },
	{ "submit", "smtpd_helo_restrictions", "" },
	{ "submit", "smtpd_sender_restrictions", "" },
	{ "submit", "smtpd_relay_restrictions", "permit" },
	{ "submit", "smtpd_recipient_restrictions", "" },
	{ "submit", "smtpd_data_restrictions", "" },
	{ "submit", "smtpd_end_of_data_restrictions", "" },
	{ "submit", "smtpd_recipient_limit", "50000" },
	{ "submit", "smtpd_error_sleep_time", "0" },
	{ "submit", "smtpd_soft_error_limit", "1001" },
	{ "submit", "smtpd_hard_error_limit", "1000" },
	{ "submit", "smtpd_peername_lookup", "no" },
	{ "submit", "smtpd_tls_security_level", "none" },
	{ "submit", "smtpd_sasl_auth_enable", "no" },
	{ "submit", "smtpd_forbid_unauth_pipelining", "no" },
};

static struct conf_params shown;
const struct param_rows conf_params_shown = { rows, NROWS, &shown };

/* The state in use; replaced as a whole. */
static struct conf *confs;

static const char *
mode_default(const struct server_mode *m, const char *name)
{
	for (size_t i = 0; i < ARRAY_LEN(mode_defaults); i++)
		/* submissions has the defaults of submission. */
		if (strncmp(m->name, mode_defaults[i].mode,
			    strlen(mode_defaults[i].mode)) == 0 &&
		    strcmp(mode_defaults[i].name, name) == 0)
			return mode_defaults[i].def;
	return NULL;
}

/* Debian's /etc/mailname: myorigin may be a file that holds it. */
static int
load_origin(struct site *st, struct err *e)
{
	struct buf b = BUF_INIT;
	struct span rest, line;

	if (st->myorigin[0] != '/')
		return 0;
	if (io_read_file(st->myorigin, &b, 4096, e) != 0)
		return err_prefix(e, "myorigin");
	rest = buf_span(&b);
	(void)span_split(&rest, '\n', &line);
	free(st->myorigin);
	st->myorigin = mem_spandup(span_trim(line));
	buf_free(&b);
	return 0;
}

static bool
overridden(const char *name)
{
	size_t n = strlen(name);

	for (size_t i = 0; i < prog.overrides.n; i++)
		if (strncmp(prog.overrides.v[i], name, n) == 0 &&
		    prog.overrides.v[i][n] == '=')
			return true;
	return false;
}

/* "submit/NAME": what stands in the file for strangers is not for programs of
 * this host, whom Postfix's smtpd_ rules never met either; only a line (or -o)
 * for this mode is. */
static const char *
own_name(const char *name)
{
	static struct strs kept;

	for (size_t i = 0; i < kept.n; i++)
		if (strcmp(kept.v[i] + strlen("submit/"), name) == 0)
			return kept.v[i];
	strs_addf(&kept, "submit/%s", name);
	return kept.v[kept.n - 1];
}

/* Reads the file as this mode sees it.  What the host is called was found
 * out at start and stands above an empty value in the file. */
static struct config *
load_params(struct conf *c, struct err *e)
{
	struct param mine[NROWS];
	struct param_rows sets[2] = { { site_params.rows, site_params.count,
					&c->site },
				      { mine, NROWS, &c->p } };
	struct strs over = STRS_INIT;
	struct config *file;

	memcpy(mine, rows, sizeof(mine));
	for (size_t i = 0; i < NROWS; i++) {
		const char *def = mode_default(c->mode, mine[i].name);

		if (def == NULL)
			continue;
		mine[i].def = def;
		if (strcmp(c->mode->name, "submit") == 0 &&
		    !overridden(mine[i].name))
			mine[i].name = own_name(mine[i].name);
	}
	strs_addf(&over, "myhostname=%s", site.myhostname);
	strs_addf(&over, "mydomain=%s", site.mydomain);
	for (size_t i = 0; i < prog.overrides.n; i++)
		strs_add(&over, prog.overrides.v[i]);
	file = config_open(prog.config_path, &over, c->mode->name, e);
	if (file != NULL && param_load(file, sets, 2, e) != 0) {
		config_free(file);
		file = NULL;
	}
	strs_free(&over);
	return file;
}

static int
load_endpoint(struct server *s, const char *name, const char *text, int *n_r,
	      struct err *e)
{
	struct endpoint ep;

	if (endpoint_parse(&ep, span_of(text), site.run_directory, e) != 0)
		return err_prefix(e, "%s", name);
	*n_r = server_endpoint(s, &ep);
	endpoint_free(&ep);
	return 0;
}

static int
load_lists(struct conf *c, struct err *e)
{
	const struct {
		const char *name;
		const struct strs *words;
		bool parents;
		struct match_list **list;
	} lists[] = {
		{ "mydestination", &c->p.mydestination, false,
		  &c->mydestination },
		{ "relay_domains", &c->p.relay_domains, true,
		  &c->relay_domains },
		{ "virtual_alias_domains", &c->p.virtual_alias_domains, false,
		  &c->virtual_alias_domains },
		{ "virtual_mailbox_domains", &c->p.virtual_mailbox_domains,
		  false, &c->virtual_mailbox_domains },
	};
	for (size_t i = 0; i < ARRAY_LEN(lists); i++) {
		*lists[i].list =
		    match_domains(lists[i].words, lists[i].parents, e);
		if (*lists[i].list == NULL)
			return err_prefix(e, "%s", lists[i].name);
	}
	c->mynetworks = match_networks(&c->site.mynetworks, e);
	if (c->mynetworks == NULL)
		return err_prefix(e, "mynetworks");
	c->limit_exceptions = match_networks(&c->p.limit_exceptions, e);
	if (c->limit_exceptions == NULL)
		return err_prefix(e, "smtpd_client_event_limit_exceptions");
	c->xclient_hosts = match_networks(&c->p.xclient_hosts, e);
	if (c->xclient_hosts == NULL)
		return err_prefix(e, "smtpd_authorized_xclient_hosts");
	c->xforward_hosts = match_networks(&c->p.xforward_hosts, e);
	if (c->xforward_hosts == NULL)
		return err_prefix(e, "smtpd_authorized_xforward_hosts");
	c->proxy_networks = match_networks(&c->p.proxy_networks, e);
	if (c->proxy_networks == NULL)
		return err_prefix(e, "proxy_networks");
	/* Postfix's default is a word. */
	c->pregreet_exempt = match_networks(
	    strs_has(&c->p.pregreet_exempt, SPAN("permit_mynetworks"))
		? &c->site.mynetworks
		: &c->p.pregreet_exempt,
	    e);
	if (c->pregreet_exempt == NULL)
		return err_prefix(e, "postscreen_access_list");
	tables_open(&c->sender_login_maps, &c->p.sender_login_maps);
	tables_open(&c->rbl_reply_maps, &c->p.rbl_reply_maps);
	tables_open(&c->relay_clientcerts, &c->p.relay_clientcerts);
	snprintf(c->rbl_code, sizeof(c->rbl_code), "%d", (int)c->p.code_rbl);
	return 0;
}

/* What follows from several parameters together. */
static int
load_modes(struct conf *c, struct err *e)
{
	struct conf_params *p = &c->p;

	c->lmtp = strcmp(c->mode->name, "lmtp") == 0;
	c->submit = strcmp(c->mode->name, "submit") == 0;
	c->implicit_tls = c->mode->tls || p->tls_wrappermode;
	if (p->enforce_tls && p->tls_level == TLS_LEVEL_MAY)
		p->tls_level = TLS_LEVEL_ENCRYPT;
	p->proxy_protocol = strcmp(p->upstream_proxy, "haproxy") == 0;
	if (p->upstream_proxy[0] != '\0' && !p->proxy_protocol)
		return err_set(e, ST_CONFIG,
			       "smtpd_upstream_proxy_protocol = %s: expected "
			       "haproxy, or nothing",
			       p->upstream_proxy);
	return 0;
}

/* A list of ciphers, and those that are not to be used. */
static char *
cipher_text(const char *base, const struct strs *out, const struct strs *more)
{
	struct buf b = BUF_INIT;

	if (strcmp(base, "medium") == 0)
		base = "HIGH:MEDIUM:@STRENGTH";
	else if (strcmp(base, "high") == 0)
		base = "HIGH:@STRENGTH";
	buf_adds(&b, base[0] != '\0' ? base : "DEFAULT");
	for (size_t i = 0; i < out->n; i++)
		buf_addf(&b, ":!%s", out->v[i]);
	for (size_t i = 0; more != NULL && i < more->n; i++)
		buf_addf(&b, ":!%s", more->v[i]);
	return buf_steal(&b);
}

struct sni_list {
	struct tls_sni *v;
	size_t n, cap;
};

static int
add_sni(void *ctx, struct span key, const char *value, struct err *e)
{
	struct sni_list *l = ctx;
	struct tls_sni *one;

	(void)e;
	l->v = mem_grow(l->v, &l->cap, l->n + 1, sizeof(*l->v));
	one = &l->v[l->n++];
	*one = (struct tls_sni){ .name = mem_spandup(key) };
	strs_split(&one->chain_files, span_of(value), ", \t");
	return 0;
}

/* All of the maps, now: a worker opens no file. */
static int
load_sni(const struct conf *c, struct sni_list *l, struct err *e)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < c->p.sni_maps.n; i++) {
		struct table *t = table_open(c->p.sni_maps.v[i], e);

		r = table_each(t, add_sni, l, e);
		table_close(t);
	}
	return r == 0 ? 0 : err_prefix(e, "tls_server_sni_maps");
}

static void
free_sni(struct sni_list *l)
{
	for (size_t i = 0; i < l->n; i++) {
		free(l->v[i].name);
		strs_free(&l->v[i].chain_files);
	}
	free(l->v);
}

static int
load_tls(struct conf *c, struct server *s, struct err *e)
{
	const struct conf_params *p = &c->p;
	bool must = p->tls_level == TLS_LEVEL_ENCRYPT || c->implicit_tls;
	struct sni_list sni = { NULL, 0, 0 };
	struct tls_server_conf t = {
		.cert_file = p->tls_cert_file,
		.key_file = p->tls_key_file,
		.chain_files = p->tls_chain_files,
		.protocols =
		    must ? p->tls_mandatory_protocols : p->tls_protocols,
		.ca_file = p->tls_ca_file,
		.ask_client_cert = p->tls_ask_ccert,
		.require_client_cert = p->tls_req_ccert && must,
		.alpn = "smtp"
	};
	char *context, *ciphers;

	if (p->tls_cert_file[0] == '\0' && t.chain_files.n == 0) {
		/* A mode of TLS alone that nobody uses is no reason to stop;
		 * its sessions are refused. */
		if (p->tls_level == TLS_LEVEL_ENCRYPT)
			return err_set(e, ST_CONFIG,
				       "smtpd_tls_security_level = encrypt "
				       "needs smtpd_tls_cert_file");
		return 0;
	}
	if (p->tls_level == TLS_LEVEL_NONE && !c->implicit_tls)
		return 0;
	if (load_sni(c, &sni, e) != 0)
		return -1;
	context = mem_printf("mx-recv/%s", c->mode->name);
	ciphers = cipher_text(must ? p->tls_mandatory_ciphers : p->tls_ciphers,
			      &p->tls_exclude,
			      must ? &p->tls_mandatory_exclude : NULL);
	t.session_context = context;
	t.ciphers = ciphers;
	t.sni = sni.v;
	t.nsni = sni.n;
	c->tls = tls_server_new(&t, s, e);
	free(context);
	free(ciphers);
	free_sni(&sni);
	if (c->tls == NULL)
		return err_prefix(e, "smtpd_tls_cert_file");
	return 0;
}

/* Access tables name classes, so each is there whether a list has it or
 * not. */
static int
load_classes(struct conf *c, struct server *s, struct config *file,
	     struct err *e)
{
	const struct strs *names = &c->p.restriction_classes;

	c->classes = mem_alloc(names->n + 1, sizeof(*c->classes));
	for (size_t i = 0; i < names->n; i++) {
		c->classes[i] = restrict_parse(file, s, &c->p, STAGE_RECIPIENT,
					       names->v[i], e);
		if (c->classes[i] == NULL)
			return err_prefix(e, "smtpd_restriction_classes");
	}
	return 0;
}

static int
load_one(struct conf *c, struct server *s, struct err *e)
{
	struct config *file = load_params(c, e);
	char *const text[STAGES] = {
		c->p.client_restrictions,    c->p.helo_restrictions,
		c->p.sender_restrictions,    c->p.relay_restrictions,
		c->p.recipient_restrictions, c->p.data_restrictions,
		c->p.end_restrictions,
	};
	int r = file == NULL || load_origin(&c->site, e) != 0 ? -1 : 0;

	if (r == 0 && (load_modes(c, e) != 0 ||
		       load_endpoint(s, "delivery", c->p.delivery, &c->delivery,
				     e) != 0 ||
		       load_endpoint(s, "auth_socket", c->p.auth_socket,
				     &c->auth, e) != 0 ||
		       load_lists(c, e) != 0 || load_tls(c, s, e) != 0))
		r = -1;
	if (r == 0)
		r = load_classes(c, s, file, e);
	if (r == 0)
		r = milters_load(c, s, e);
	if (r == 0 && (cmd_auth_check(&c->p.sasl_options, e) != 0 ||
		       cmd_auth_check(&c->p.sasl_tls_options, e) != 0))
		r = err_prefix(e, "smtpd_sasl_security_options");
	if (r == 0 && !tls_field_known(c->p.cert_username_field))
		r = err_set(e, ST_CONFIG,
			    "ssl_cert_username_field = %s: expected a field's "
			    "name, as commonName or emailAddress",
			    c->p.cert_username_field);
	for (int i = 0; i < STAGES && r == 0; i++) {
		c->rules[i] = restrict_parse(file, s, &c->p, i, text[i], e);
		if (c->rules[i] == NULL)
			r = err_prefix(e, "smtpd_%s_restrictions",
				       restrict_stage_name(i));
	}
	config_free(file);
	return r;
}

int
conf_load(struct server *s, struct err *e)
{
	struct conf *fresh = mem_alloc(NMODES, sizeof(*fresh));

	for (size_t i = 0; i < NMODES; i++) {
		fresh[i].mode = &conf_modes[i];
		if (load_one(&fresh[i], s, e) != 0)
			/* The little that was made stays: reloads are rare.*/
			return -1;
	}
	/* Workers of before have their own copy; the monitor's handlers may
	 * still serve them from the old one, so it is not freed. */
	confs = fresh;
	return 0;
}

const struct conf *
conf_of(const struct server_mode *m)
{
	for (size_t i = 0; i < NMODES; i++)
		if (confs[i].mode == m)
			return &confs[i];
	log_panic("conf_of: unknown mode");
}

void
conf_worker(struct server *s)
{
	for (size_t i = 0; i < NMODES; i++)
		if (confs[i].tls != NULL)
			tls_server_worker(confs[i].tls, s);
}
