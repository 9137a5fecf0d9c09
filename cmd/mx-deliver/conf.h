/*
 * conf.h - the parameters of mx-deliver's intake and local delivery.  Names
 * that Postfix, Dovecot or Pigeonhole have mean what they mean there.
 */
#ifndef MX_DELIVER_CONF_H
#define MX_DELIVER_CONF_H

#include "param.h"

struct conf {
	struct strs alias_maps, alias_database;
	struct strs allow_commands, allow_files;
	struct strs virtual_alias_maps, virtual_alias_domains;
	int64_t alias_expansion_limit, alias_recursion_limit;
	struct strs virtual_mailbox_maps, virtual_mailbox_domains;
	char *virtual_mailbox_base, *virtual_transport;
	struct strs virtual_uid_maps, virtual_gid_maps;
	int64_t virtual_minimum_uid;
	struct strs mydestination, relay_domains, transport_maps;
	struct strs local_recipient_maps, relay_recipient_maps;
	char *local_transport, *relay_transport, *default_transport, *relayhost;
	char *home_mailbox, *mail_spool_directory, *mailbox_command,
	    *mail_location, *mail_uid, *mail_gid, *default_privs;
	char *always_bcc;
	struct strs sender_bcc_maps, recipient_bcc_maps;
	struct strs sender_relayhost_maps, sender_transport_maps;
	struct strs mailbox_transport_maps, fallback_transport_maps;
	char *forward_path;
	char *mailbox_transport, *fallback_transport, *luser_relay;
	int maildir_fsync; /* enum deposit_sync */
	bool enable_original_recipient;
	struct strs prepend_delivered_header;
	int64_t hopcount_limit, message_size_limit, recipient_limit;
	struct strs authorized_forward_users;
	char *inbound_filter, *outbound_filter;
	int64_t filter_time_limit, command_time_limit;
	int64_t session_timeout, process_limit, max_use, max_idle;
	char *sieve, *auth_master_socket;
	char *remote_rewrite_domain;
	struct strs canonical_maps, canonical_classes;
	struct strs sender_canonical_maps, sender_canonical_classes;
	struct strs recipient_canonical_maps, recipient_canonical_classes;
	struct strs masquerade_domains, masquerade_classes,
	    masquerade_exceptions;
	struct strs propagate_extensions, header_rewrite_clients;
	bool append_at_myorigin, append_dot_mydomain;
	bool expand_owner_alias, frozen_delivered_to, reset_owner_alias;
	char *content_filter;
	struct strs sieve_before, sieve_after;
	char *quota_rule, *quota_exceeded_message;
	char *status_nouser, *status_overquota, *status_success,
	    *status_toolarge;
	bool quota_full_tempfail;
	int64_t quota_grace;
	char *quota_warning, *quota_warning2, *quota_warning3, *quota_warning4;
	int64_t mailbox_size_limit, virtual_mailbox_limit;
	char *srs_domain, *srs_secrets_file, *srs_separator;
	struct strs srs_exclude_domains;
	int64_t srs_max_age, srs_hash_length;
	bool autosubscribe, autocreate;
	int64_t userdb_cache_time;
	int64_t sieve_max_redirects;
};
extern struct conf conf;

#endif
