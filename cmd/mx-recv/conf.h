/*
 * conf.h - what mx-recv is told: parameters, and what is made of them once in
 * the monitor (tables, lists, certificates, restriction lists).
 */
#ifndef RECV_CONF_H
#define RECV_CONF_H

#include "param.h"
#include "server.h"
#include "site.h"
#include "table.h"
#include "tls.h"

enum { FORBID_LF_NORMALIZE, FORBID_LF_YES, FORBID_LF_REJECT, FORBID_LF_NO };
enum { TLS_LEVEL_NONE, TLS_LEVEL_MAY, TLS_LEVEL_ENCRYPT };

enum { PREGREET_IGNORE, PREGREET_ENFORCE, PREGREET_DROP };
enum { TEMPFAIL_DEFER_IF_PERMIT, TEMPFAIL_DEFER };

/* The lists of rules, in the order in which they are asked. */
enum stage {
	STAGE_CLIENT,
	STAGE_HELO,
	STAGE_SENDER,
	STAGE_RELAY,
	STAGE_RECIPIENT,
	STAGE_DATA,
	STAGE_END,
	STAGES
};

struct conf_params {
	char *content_filter, *delivery, *auth_socket, *banner;
	struct strs mydestination, relay_domains;
	struct strs virtual_alias_domains, virtual_alias_maps;
	struct strs virtual_mailbox_domains, virtual_mailbox_maps;
	struct strs sender_login_maps, discard_ehlo, forbidden_commands;
	char *client_restrictions, *helo_restrictions, *sender_restrictions;
	char *relay_restrictions, *recipient_restrictions, *data_restrictions;
	char *end_restrictions, *null_access_key, *rbl_reply;
	struct strs restriction_classes, rbl_reply_maps;
	int tempfail, tempfail_address, tempfail_helo;
	int64_t code_access_reject, code_access_defer, code_reject, code_defer;
	int64_t code_invalid_name, code_non_fqdn, code_plaintext, code_rbl;
	int64_t code_multi_bounce, code_relay, code_unknown_address;
	int64_t code_unknown_client, code_unknown_helo, code_unknown_local;
	int64_t code_unverified_sender, code_unverified_rcpt;
	int64_t code_unverified_sender_defer, code_unverified_rcpt_defer;
	char *unverified_sender_reason, *unverified_rcpt_reason;
	int tempfail_unverified_sender, tempfail_unverified_rcpt;
	int64_t verify_poll_count, verify_poll_delay;
	int64_t code_unknown_relay, code_unknown_alias, code_unknown_mailbox;
	bool reject_unlisted_sender;
	bool relay_before_recipient, delay_reject, helo_required;
	bool disable_vrfy, forbid_unauth_pipe, peername_lookup;
	bool sasl_enable, tls_auth_only, tls_received_header, tls_ask_ccert;
	int forbid_bare_lf, tls_level;
	int64_t message_size_limit, recipient_limit, line_length_limit;
	int64_t timeout, soft_error_limit, hard_error_limit, error_sleep;
	int64_t junk_command_limit, min_data_rate, tls_loglevel;
	int64_t policy_timeout, policy_tries, policy_delay;
	int64_t policy_idle, policy_ttl, policy_requests;
	char *policy_default, *policy_context, *reject_footer;
	struct strs discard_ehlo_maps, noop_commands, command_filter;
	struct strs reject_footer_maps;
	struct strs sasl_options, sasl_tls_options, sasl_exceptions;
	bool broken_sasl;
	struct strs smtpd_milters, non_smtpd_milters, milter_macro_defaults;
	struct strs milter_maps, milter_header_checks;
	int milter_action;
	char *milter_protocol, *milter_daemon_name, *milter_v;
	int64_t milter_connect_timeout, milter_command_timeout;
	int64_t milter_content_timeout;
	struct strs milter_connect_macros, milter_helo_macros;
	struct strs milter_mail_macros, milter_rcpt_macros, milter_data_macros;
	struct strs milter_eoh_macros, milter_eom_macros, milter_unknown_macros;
	char *tls_cert_file, *tls_key_file, *tls_protocols, *tls_ciphers;
	char *tls_ca_file, *sasl_service, *cert_username_field;
	char *tls_digest;
	struct strs tls_chain_files, limit_exceptions;
	int greet_action, dnsbl_action;
	int64_t greet_wait, greet_ttl, dnsbl_threshold;
	struct strs dnsbl_sites, pregreet_access, dnsbl_reply_map;
	int denylist_action, blacklist_action;
	int64_t dnsbl_allow, dnsbl_white;
	char *upstream_proxy, *mail_name;
	struct strs xclient_hosts, xforward_hosts, proxy_networks;
	bool proxy_protocol; /* of upstream_proxy */
	struct strs tls_exclude, tls_mandatory_exclude, sni_maps;
	struct strs relay_clientcerts;
	char *tls_mandatory_protocols, *tls_mandatory_ciphers;
	bool tls_req_ccert;
	bool tls_wrappermode, enforce_tls, use_tls, add_missing_headers;
	bool sasl_header;
	int64_t starttls_timeout, proxy_timeout, rate_unit, rate_connect,
	    rate_message;
	int64_t rate_rcpt, rate_auth, rate_tls;
	int64_t process_limit, max_use, max_idle, client_limit;
};

struct rules;      /* restrict.h */
struct milter_set; /* milter_int.h */

/* Everything of one listener profile. */
struct conf {
	const struct server_mode *mode;
	struct conf_params p;
	struct site site; /* as this mode sees it */
	struct match_list *mydestination, *relay_domains, *mynetworks;
	struct match_list *limit_exceptions, *xclient_hosts, *xforward_hosts;
	struct match_list *proxy_networks, *sasl_exceptions;
	struct pregreet_rule {
		struct match_list *networks; /* permitted; or NULL */
		struct tables tables;
	} * pregreet;
	size_t npregreet;
	struct tables dnsbl_reply_map;
	bool implicit_tls, lmtp, submit;
	struct match_list *virtual_alias_domains, *virtual_mailbox_domains;
	struct tables sender_login_maps;
	struct tables rbl_reply_maps, relay_clientcerts;
	struct tables discard_ehlo_maps, command_filter, reject_footer_maps;
	char rbl_code[16];
	struct rules *rules[STAGES];
	/* and those that smtpd_milter_maps may name */
	struct milter_set *smtpd_milters, *non_smtpd_milters, *map_milters;
	struct tables milter_maps, milter_header_checks;
	struct rules **classes; /* as restriction_classes has them */
	struct tls_server *tls; /* NULL: no certificate */
	int delivery;           /* numbers for server_connect */
	int auth;
};

extern const struct server_mode conf_modes[];
extern const size_t conf_nmodes;
/* The set that --parameters and --check-config show: mode smtp's. */
extern const struct param_rows conf_params_shown;

/* Reads the configuration for every mode and opens what it names; in the
 * monitor.  The former state stays when this fails. */
int conf_load(struct server *s, struct err *e) MX_MUST_CHECK;
/* The one of this mode; after conf_load. */
const struct conf *conf_of(const struct server_mode *m);
/* In a worker, before its first session. */
void conf_worker(struct server *s);

#endif
