/*
 * dnscheck.h - what the files of mx-dnscheck share: options, parameters, and
 * one entry a subcommand.
 */
#ifndef MX_DNSCHECK_H
#define MX_DNSCHECK_H

#include "dmarc.h"
#include "dns.h"
#include "finding.h"
#include "json.h"
#include "opt.h"
#include "server.h"
#include "spf.h"
#include "verify.h"

struct check_options {
	const char *ip, *sender, *helo; /* spf */
	const char *from, *spf, *dkim;  /* dmarc */
	const char *authserv_id, *time; /* auth, dkim */
	const char *client_addr, *client_name, *auth_user;
	/* audit, rbl, tlsa, mta-sts */
	const char *ca_file, *smtp_port, *https_port;
	struct strs selectors, rbl;
	bool lint, offline, authoritative, milter;
	struct server_options server;
	const char *dns_port;
};
struct check_params {
	char *authserv_id;
	bool dmarc_reject_failures, arc_verify, dmarc_ignore_authenticated;
	struct strs dmarc_ignore_hosts, dmarc_ignore_mail_from,
	    dmarc_trusted_authserv_ids;
	char *opendmarc_conf;
	int64_t process_limit;
	/* policy */
	char *spf_helo_reject, *spf_mail_from_reject, *spf_header_type,
	    *policyd_spf_conf;
	bool spf_permerror_reject, spf_temperror_defer;
	struct strs spf_skip_addresses, policy_rbl_domains;
	char *dmarc_history_file;
	char *dmarc_failure_file;
	/* what opendmarc.conf knows, too */
	bool authserv_id_with_job_id, dmarc_failure_on_none,
	    dmarc_hold_quarantined, dmarc_ignore_spf_results, dmarc_record_all,
	    dmarc_reject_multi_from, dmarc_required_headers,
	    dmarc_software_header;
	struct strs dmarc_copy_failures_to, dmarc_ignore_mail_to,
	    dmarc_trusted_sealers, failure_report_bcc;
	char *dmarc_reject_text;
	struct strs rbl_domains;
	/* mx-dkimsign's: the keys on disk */
	struct strs dkim_domain;
	char *dkim_selector, *dkim_key_file, *dkim_key_table;
};
extern struct check_options opts;
extern struct check_params params;
extern const struct program *check_program; /* for servers */

/* The resolver of the options or the system; exits with a sentence. */
struct dns *check_dns(void);
/* What a whole stage (DKIM, DMARC) may wait for DNS. */
#define CHECK_MS 20000
/* --time, or now. */
int64_t check_time(void);
/* Prints and flushes; the status, or 74. */
int check_print(struct buf *b, int status);
/* " KEY=VALUE" of a text line: quoted where needed; a text always is. */
void check_word(struct buf *b, const char *key, struct span v);
void check_text(struct buf *b, const char *key, struct span v);
/* A port of an option, or the standard one; exits 64 if it is none. */
int check_port(const char *opt, int standard);
/* --rbl, or rbl_domains. */
const struct strs *check_rbl_zones(void);
/* Prints the findings (they are freed) and gives the exit status. */
int check_findings(struct findings *f, const char *title);
/* Is stdout a terminal that shows colours? */
bool check_colour(void);
/* 0 pass, 1 no, 65, 75. */
int check_status(enum verify_code c);

int cmd_spf(int argc, char **argv);
int cmd_dkim(int argc, char **argv);
int cmd_dmarc(int argc, char **argv);
int cmd_auth(int argc, char **argv);
int cmd_audit(int argc, char **argv);
int cmd_arc(int argc, char **argv);
int cmd_message(int argc, char **argv);
int cmd_policy(int argc, char **argv);
int cmd_rbl(int argc, char **argv);
int cmd_tlsa(int argc, char **argv);
int cmd_mta_sts(int argc, char **argv);
int cmd_tlsrpt(int argc, char **argv);
int cmd_mx(int argc, char **argv);
int cmd_ptr(int argc, char **argv);
int cmd_dkimkey(int argc, char **argv);
int cmd_milter(const struct program *p);

#endif
