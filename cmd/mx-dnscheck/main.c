/*
 * main.c - mx-dnscheck: what DNS says of mail.  A subcommand is a row.
 */
#include "dnscheck.h"
#include "clock.h"
#include "escape.h"
#include "io.h"
#include "num.h"
#include "proc.h"
#include "site.h"
#include "status.h"

#include <stdlib.h>
#include <unistd.h>

struct check_options opts;
struct check_params params;
const struct program *check_program;

#define O(NAME, ARG, MEMBER, MEANING)                                          \
	{                                                                      \
		0, NAME, ARG, OPT_STR, offsetof(struct check_options, MEMBER), \
		    MEANING                                                    \
	}

static const struct opt spf_options[] = {
	O("ip", "IP", ip, "the client's address"),
	O("sender", "ADDRESS", sender, "MAIL FROM; '' is the null sender"),
	O("helo", "NAME", helo, "what the client said in HELO"),
	{ 0, "lint", NULL, OPT_FLAG, offsetof(struct check_options, lint),
	  "look at a domain's record itself" },
};
static const struct opt dkim_options[] = {
	O("time", "EPOCH", time, "verify as of then"),
};
static const struct opt dmarc_options[] = {
	O("from", "DOMAIN", from, "domain of the From field"),
	O("spf", "RESULT:DOMAIN", spf, "what SPF said; none: is no result"),
	O("dkim", "RESULT:DOMAIN[,...]", dkim, "what DKIM said"),
};
static const struct opt auth_options[] = {
	O("authserv-id", "ID", authserv_id, "our name in the field"),
	O("time", "EPOCH", time, "verify as of then"),
	O("sender", "ADDRESS", sender, "MAIL FROM (MX_SENDER)"),
	O("helo", "NAME", helo, "HELO (MX_HELO)"),
	O("client-addr", "IP", client_addr, "the client (MX_CLIENT_ADDR)"),
	O("client-name", "NAME", client_name, "its name (MX_CLIENT_NAME)"),
	O("auth-user", "NAME", auth_user, "login (MX_AUTH_USER)"),
};

#define L(NAME, ARG, MEMBER, MEANING)                                          \
	{                                                                      \
		0, NAME, ARG, OPT_LIST,                                        \
		    offsetof(struct check_options, MEMBER), MEANING            \
	}

static const struct opt audit_options[] = {
	L("selector", "NAME", selectors, "look at this DKIM key (repeatable)"),
	L("rbl", "ZONE", rbl, "ask this list (repeatable)"),
	O("ca-file", "FILE", ca_file, "trust these authorities"),
	O("smtp-port", "PORT", smtp_port, "in the place of 25"),
	O("https-port", "PORT", https_port, "in the place of 443"),
};
static const struct opt dkimkey_options[] = {
	{ 0, "authoritative", NULL, OPT_FLAG,
	  offsetof(struct check_options, authoritative),
	  "ask every name server of the zone" },
	O("dns-port", "PORT", dns_port, "of those servers, in the place of 53"),
};
static const struct opt policy_options[] = { SERVER_OPT_ROWS(
    struct check_options, server) };
static const struct opt rbl_options[] = { L("rbl", "ZONE", rbl,
					    "ask this list (repeatable)") };
static const struct opt tlsa_options[] = { O("smtp-port", "PORT", smtp_port,
					     "in the place of 25") };
static const struct opt sts_options[] = {
	O("ca-file", "FILE", ca_file, "trust these authorities"),
	O("https-port", "PORT", https_port, "in the place of 443")
};

static const struct opt message_options[] = {
	{ 0, "offline", NULL, OPT_FLAG, offsetof(struct check_options, offline),
	  "ask nothing of DNS" },
	L("rbl", "ZONE", rbl, "ask this list (repeatable)"),
	O("time", "EPOCH", time, "verify as of then"),
	O("sender", "ADDRESS", sender, "MAIL FROM (MX_SENDER)"),
	O("helo", "NAME", helo, "HELO (MX_HELO)"),
	O("client-addr", "IP", client_addr, "the client (MX_CLIENT_ADDR)"),
	O("client-name", "NAME", client_name, "its name (MX_CLIENT_NAME)"),
	O("auth-user", "NAME", auth_user, "login (MX_AUTH_USER)"),
};

/* mx-report has options of its own: the words in front of and behind `report`
 * are passed on as they are. */
static void
run_report(int argc, char **argv)
{
	static const char *const valued[] = { "-c", "-o", "--config",
					      "--resolver" };
	struct strs args = STRS_INIT;
	int at = 0;

	for (int i = 1; i < argc && at == 0; i++) {
		bool skip = false;

		for (size_t k = 0; k < ARRAY_LEN(valued); k++)
			skip |= strcmp(argv[i], valued[k]) == 0;
		if (skip)
			i++;
		else if (argv[i][0] != '-')
			at = strcmp(argv[i], "report") == 0 ? i : argc;
	}
	if (at == 0 || at >= argc)
		return;
	strs_take(&args, proc_sibling("mx-report"));
	for (int i = 1; i < argc; i++)
		if (i != at)
			strs_add(&args, argv[i]);
	execvp(args.v[0], args.v);
	perror("mx-report");
	exit(ST_TEMPFAIL);
}

/* For --help alone: run_report has been there before. */
static int
cmd_report(int argc, char **argv)
{
	(void)argc;
	(void)argv;
	return prog_usage("report: see mx-report(1)");
}

static const struct subcommand audit_sub = {
	"audit",
	"DOMAIN",
	"the audit: everything that decides whether others take its mail",
	audit_options,
	ARRAY_LEN(audit_options),
	cmd_audit
};
static const struct subcommand subs[] = {
	{ "audit", "audit DOMAIN",
	  "the same as mx-dnscheck DOMAIN: what is wrong, and what to publish",
	  audit_options, ARRAY_LEN(audit_options), cmd_audit },
	{ "spf", "spf --ip IP --sender ADDR --helo NAME | --lint DOMAIN",
	  "check_host() of RFC 7208", spf_options, ARRAY_LEN(spf_options),
	  cmd_spf },
	{ "dkim", "dkim < msg", "verify DKIM signatures", dkim_options,
	  ARRAY_LEN(dkim_options), cmd_dkim },
	{ "arc", "arc < msg", "validate the ARC chain", dkim_options,
	  ARRAY_LEN(dkim_options), cmd_arc },
	{ "dmarc",
	  "dmarc --from DOMAIN --spf RESULT:DOMAIN --dkim RESULT:DOMAIN",
	  "evaluate DMARC (RFC 9989)", dmarc_options, ARRAY_LEN(dmarc_options),
	  cmd_dmarc },
	{ "auth", "auth [--authserv-id ID] < msg > msg",
	  "all of these over one message, as a filter", auth_options,
	  ARRAY_LEN(auth_options), cmd_auth },
	{ "message", "message < msg", "the scorecard of a received message",
	  message_options, ARRAY_LEN(message_options), cmd_message },
	{ "mx", "mx DOMAIN", "mail hosts of a domain", NULL, 0, cmd_mx },
	{ "ptr", "ptr IP", "name of an address, forward-confirmed", NULL, 0,
	  cmd_ptr },
	{ "policy", "policy [--listen ENDPOINT]",
	  "SPF and block lists as a Postfix policy server", policy_options,
	  ARRAY_LEN(policy_options), cmd_policy },
	{ "rbl", "rbl IP", "is the address on a block list?", rbl_options,
	  ARRAY_LEN(rbl_options), cmd_rbl },
	{ "tlsa", "tlsa HOST[:PORT]", "DANE against the live certificate",
	  tlsa_options, ARRAY_LEN(tlsa_options), cmd_tlsa },
	{ "mta-sts", "mta-sts DOMAIN", "the MTA-STS policy", sts_options,
	  ARRAY_LEN(sts_options), cmd_mta_sts },
	{ "tlsrpt", "tlsrpt DOMAIN", "where TLS reports go", NULL, 0,
	  cmd_tlsrpt },
	{ "report", "report [FILE|MAILDIR...] | --send",
	  "DMARC and TLS reports, by mx-report", NULL, 0, cmd_report },
	{ "dkimkey", "dkimkey NAME PUBLIC",
	  "does DNS hold this key? (mx-dkimsign --testkey)", dkimkey_options,
	  ARRAY_LEN(dkimkey_options), cmd_dkimkey },
};

static const struct param rows[] = {
	PARAM_ROW(struct check_params, STR, authserv_id, "authserv_id",
		  "$myhostname", 0, 0, NULL,
		  "our name in Authentication-Results"),
	PARAM_ROW(struct check_params, BOOL, dmarc_reject_failures,
		  "dmarc_reject_failures", "no", 0, 0, NULL,
		  "refuse what fails DMARC with p=reject, instead of marking"),
	PARAM_ROW(struct check_params, STR, dmarc_history_file,
		  "dmarc_history_file", "", 0, 0, NULL,
		  "append a line a message here; empty: none"),
	PARAM_ROW(struct check_params, STR, dmarc_failure_file,
		  "dmarc_failure_file", "", 0, 0, NULL,
		  "append here what failure reports are asked for; empty: "
		  "none"),
	PARAM_ROW(struct check_params, LIST, dmarc_ignore_hosts,
		  "dmarc_ignore_hosts", "", 0, 0, NULL,
		  "no DMARC for these clients: addresses, networks, names, "
		  "/file"),
	PARAM_ROW(struct check_params, LIST, dmarc_ignore_mail_from,
		  "dmarc_ignore_mail_from", "", 0, 0, NULL,
		  "no DMARC for these domains in From"),
	PARAM_ROW(struct check_params, BOOL, dmarc_ignore_authenticated,
		  "dmarc_ignore_authenticated", "no", 0, 0, NULL,
		  "no DMARC for clients that have logged in"),
	PARAM_ROW(struct check_params, LIST, dmarc_trusted_authserv_ids,
		  "dmarc_trusted_authserv_ids", "", 0, 0, NULL,
		  "whose Authentication-Results count for DMARC, too"),
	PARAM_ROW(struct check_params, STR, opendmarc_conf, "opendmarc_conf",
		  "", 0, 0, NULL, "an opendmarc.conf: what it says counts"),
	PARAM_ROW(struct check_params, BOOL, authserv_id_with_job_id,
		  "authserv_id_with_job_id", "no", 0, 0, NULL,
		  "authserv_id is followed by a slash and the queue id"),
	PARAM_ROW(struct check_params, LIST, dmarc_copy_failures_to,
		  "dmarc_copy_failures_to", "", 0, 0, NULL,
		  "--milter: these recipients get what fails DMARC, too"),
	PARAM_ROW(struct check_params, BOOL, dmarc_failure_on_none,
		  "dmarc_failure_on_none", "yes", 0, 0, NULL,
		  "failure reports for domains with p=none, too"),
	PARAM_ROW(struct check_params, BOOL, dmarc_hold_quarantined,
		  "dmarc_hold_quarantined", "no", 0, 0, NULL,
		  "--milter: the MTA holds what p=quarantine is for"),
	PARAM_ROW(struct check_params, LIST, dmarc_ignore_mail_to,
		  "dmarc_ignore_mail_to", "", 0, 0, NULL,
		  "mail to these recipients alone leaves no history"),
	PARAM_ROW(struct check_params, BOOL, dmarc_ignore_spf_results,
		  "dmarc_ignore_spf_results", "no", 0, 0, NULL,
		  "of trusted results, those of SPF do not count"),
	PARAM_ROW(struct check_params, BOOL, dmarc_record_all,
		  "dmarc_record_all", "no", 0, 0, NULL,
		  "messages without a DMARC record stand in the history, "
		  "too"),
	PARAM_ROW(struct check_params, BOOL, dmarc_reject_multi_from,
		  "dmarc_reject_multi_from", "no", 0, 0, NULL,
		  "refuse messages whose From names several domains"),
	PARAM_ROW(struct check_params, STR, dmarc_reject_text,
		  "dmarc_reject_text", "rejected by the DMARC policy of %s", 0,
		  0, NULL, "why it is refused; %s is the domain"),
	PARAM_ROW(struct check_params, BOOL, dmarc_required_headers,
		  "dmarc_required_headers", "no", 0, 0, NULL,
		  "refuse headers that RFC 5322 3.6 does not allow"),
	PARAM_ROW(struct check_params, BOOL, dmarc_software_header,
		  "dmarc_software_header", "no", 0, 0, NULL,
		  "add a field DMARC-Filter that names this program"),
	PARAM_ROW(struct check_params, LIST, dmarc_trusted_sealers,
		  "dmarc_trusted_sealers", "", 0, 0, NULL,
		  "domains whose ARC seals outweigh a DMARC failure; /file"),
	PARAM_ROW(struct check_params, LIST, failure_report_bcc,
		  "failure_report_bcc", "", 0, 0, NULL,
		  "as in mx-report: whom each failure is told, asked or not"),
	PARAM_ROW(struct check_params, STR, spf_helo_reject, "spf_helo_reject",
		  "Fail", 0, 0, NULL,
		  "policy refuses HELO names: Fail, Softfail, SPF_Not_Pass, "
		  "Null, False, No_Check"),
	PARAM_ROW(struct check_params, STR, spf_mail_from_reject,
		  "spf_mail_from_reject", "Fail", 0, 0, NULL,
		  "policy refuses senders: the same words"),
	PARAM_ROW(struct check_params, BOOL, spf_permerror_reject,
		  "spf_permerror_reject", "no", 0, 0, NULL,
		  "policy refuses broken records"),
	PARAM_ROW(struct check_params, BOOL, spf_temperror_defer,
		  "spf_temperror_defer", "no", 0, 0, NULL,
		  "policy defers when DNS is in trouble"),
	PARAM_ROW(struct check_params, STR, spf_header_type, "spf_header_type",
		  "SPF", 0, 0, NULL,
		  "policy adds Received-SPF (SPF), Authentication-Results "
		  "(AR), or none"),
	PARAM_ROW(struct check_params, LIST, spf_skip_addresses,
		  "spf_skip_addresses", "127.0.0.0/8 [::1]/128", 0, 0, NULL,
		  "policy does not look at these clients"),
	PARAM_ROW(struct check_params, STR, policyd_spf_conf,
		  "policyd_spf_conf", "", 0, 0, NULL,
		  "a policyd-spf.conf: what it says counts"),
	PARAM_ROW(struct check_params, LIST, policy_rbl_domains,
		  "policy_rbl_domains", "", 0, 0, NULL,
		  "policy refuses clients on these lists"),
	PARAM_ROW(struct check_params, BOOL, arc_verify, "arc_verify", "no", 0,
		  0, NULL, "auth validates ARC chains, too"),
	PARAM_ROW(struct check_params, INT, process_limit,
		  "default_process_limit", "100", 1, 5000, NULL,
		  "--milter: most MTA links at once"),
	PARAM_ROW(struct check_params, LIST, rbl_domains, "rbl_domains",
		  "zen.spamhaus.org bl.spamcop.net psbl.surriel.com "
		  "b.barracudacentral.org dnsbl-1.uceprotect.net "
		  "bl.mailspike.net",
		  0, 0, NULL, "block lists that rbl and the audit ask"),
	PARAM_ROW(struct check_params, LIST, dkim_domain, "dkim_domain", "", 0,
		  0, NULL, "as in mx-dkimsign: the audit compares the keys"),
	PARAM_ROW(struct check_params, STR, dkim_selector, "dkim_selector", "",
		  0, 0, NULL, "as in mx-dkimsign"),
	PARAM_ROW(struct check_params, STR, dkim_key_file, "dkim_key_file", "",
		  0, 0, NULL, "as in mx-dkimsign"),
	PARAM_ROW(struct check_params, STR, dkim_key_table, "dkim_key_table",
		  "", 0, 0, NULL, "as in mx-dkimsign"),
};

int
check_port(const char *opt, int standard)
{
	int port = standard;

	if (opt != NULL && !num_int(span_of(opt), 1, 65535, &port))
		exit(prog_usage("%s: expected a port number", opt));
	return port;
}

const struct strs *
check_rbl_zones(void)
{
	return opts.rbl.n > 0 ? &opts.rbl : &params.rbl_domains;
}

struct dns *
check_dns(void)
{
	struct err e = ERR_INIT;
	struct dns *d = dns_open(site.resolver, &e);

	if (d == NULL)
		exit(prog_fail(&e));
	return d;
}

int64_t
check_time(void)
{
	int64_t t = clock_now();

	if (opts.time != NULL &&
	    !num_i64(span_of(opts.time), 0, INT64_MAX / 2, &t))
		exit(prog_usage("--time %s: expected seconds since 1970",
				opts.time));
	return t;
}

int
check_print(struct buf *b, int status)
{
	struct err e = ERR_INIT;
	enum io_result r = io_write(STDOUT_FILENO, b->p, b->n, DEADLINE_NEVER);

	buf_free(b);
	if (r == IO_OK)
		return status;
	err_set(&e, ST_IOERR, "standard output: %s", io_words(r));
	return prog_fail(&e);
}

void
check_word(struct buf *b, const char *key, struct span v)
{
	buf_addf(b, " %s=", key);
	escape_word(b, v);
}

void
check_text(struct buf *b, const char *key, struct span v)
{
	buf_addf(b, " %s=", key);
	escape_quoted(b, v);
}

int
check_status(enum verify_code c)
{
	switch (c) {
	case VERIFY_PASS:
		return ST_OK;
	case VERIFY_TEMPERROR:
		return ST_TEMPFAIL;
	case VERIFY_PERMERROR:
		return ST_DATA;
	default:
		return ST_NO;
	}
}

static const struct opt main_options[] = {
	{ 0, "milter", NULL, OPT_FLAG, offsetof(struct check_options, milter),
	  "a server: auth for an MTA that speaks the milter protocol" },
	SERVER_OPT_ROWS(struct check_options, server),
};

int
main(int argc, char **argv)
{
	const struct subcommand *sub = NULL;
	const struct param_rows sets[] = { site_params,
					   { rows, ARRAY_LEN(rows), &params } };
	const struct program p = {
		.name = "mx-dnscheck",
		.synopsis = "mx-dnscheck DOMAIN\n"
			    "       mx-dnscheck COMMAND [OPTION...] "
			    "[ARGUMENT...]\n"
			    "       mx-dnscheck --milter "
			    "[--listen ENDPOINT]...",
		.meaning = "what DNS says of mail: SPF, DKIM, DMARC, MX, PTR",
		.opts = main_options,
		.nopts = ARRAY_LEN(main_options),
		.options = &opts,
		.subs = subs,
		.filters = "auth",
		.nsubs = ARRAY_LEN(subs),
		.fallback = &audit_sub,
		.params = sets,
		.nparams = ARRAY_LEN(sets),
	};
	int at;

	run_report(argc, argv);
	check_program = &p;
	at = prog_start(&p, argc, argv, &sub);
	if (opts.milter)
		return sub != NULL || at < argc
			   ? prog_usage("--milter: no command is expected")
			   : cmd_milter(&p);
	return prog_sub(&p, sub, argc - at, argv + at);
}
