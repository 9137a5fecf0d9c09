/*
 * opendmarc_conf.c - opendmarc.conf as it is: each word is acted on, concerns
 * only how OpenDMARC's own process lives, or is said not to count, and why.
 * opendmarc.conf(5).
 */
#include "auth.h"
#include "mem.h"
#include "num.h"
#include "site.h"
#include "status.h"
#include "word_conf.h"

#include <stdlib.h>

struct milter_process auth_process;

/* How that process lives; ours is the monitor's and the sandbox's business. */
static const char process_words[] =
    " AutoRestart AutoRestartCount AutoRestartRate Background "
    "DomainWhitelistSize EnableCoredumps MilterDebug PidFile PublicSuffixList "
    "SPFSelfValidate Syslog ";

/* Words that do not count here, and why. */
static const struct {
	const char *word, *why;
} left_out[] = {
	{ "ChangeRootDirectory",
	  "workers are in a sandbox (Landlock, seccomp) instead" },
	{ "DNSTimeout", "each question is asked twice and waits 5 s; no answer "
			"is temperror" },
	{ "ReportCommand",
	  "mx-report --send-failures hands reports to report_command" },
	{ "SyslogFacility", "the log goes to facility mail" },
};

static void (*say_to)(const char *);
static bool failures, failures_said;

static int
set_bool(bool *at, struct span v, struct err *e)
{
	if (num_bool(v, at))
		return 0;
	return err_set(e, ST_CONFIG, "expected true or false");
}

static void
set_list(struct strs *l, struct span v)
{
	strs_clear(l);
	strs_split(l, v, ", \t");
}

static void
set_text(char **at, struct span v)
{
	free(*at);
	*at = span_is(v, "HOSTNAME") ? mem_strdup(site.myhostname)
				     : mem_spandup(v);
}

static int
take_bool(struct span name, struct span v, struct err *e)
{
	struct {
		const char *name;
		bool *at;
	} rows[] = {
		{ "AuthservIDWithJobID", &params.authserv_id_with_job_id },
		{ "FailureReportsOnNone", &params.dmarc_failure_on_none },
		{ "HoldQuarantinedMessages", &params.dmarc_hold_quarantined },
		{ "IgnoreAuthenticatedClients",
		  &params.dmarc_ignore_authenticated },
		{ "RecordAllMessages", &params.dmarc_record_all },
		{ "RejectFailures", &params.dmarc_reject_failures },
		{ "RejectMultiValueFrom", &params.dmarc_reject_multi_from },
		{ "RequiredHeaders", &params.dmarc_required_headers },
		{ "SoftwareHeader", &params.dmarc_software_header },
		{ "SPFIgnoreResults", &params.dmarc_ignore_spf_results },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		if (span_iis(name, rows[i].name))
			return set_bool(rows[i].at, v, e);
	return 1;
}

static int
take_list(struct span name, struct span v)
{
	struct {
		const char *name;
		struct strs *at;
		bool more; /* two words say it together */
	} rows[] = {
		{ "CopyFailuresTo", &params.dmarc_copy_failures_to, false },
		{ "DomainWhitelist", &params.dmarc_trusted_sealers, true },
		{ "DomainWhitelistFile", &params.dmarc_trusted_sealers, true },
		{ "FailureReportsBcc", &params.failure_report_bcc, false },
		{ "IgnoreHosts", &params.dmarc_ignore_hosts, false },
		{ "IgnoreMailFrom", &params.dmarc_ignore_mail_from, false },
		{ "IgnoreMailTo", &params.dmarc_ignore_mail_to, false },
		{ "TrustedAuthservIDs", &params.dmarc_trusted_authserv_ids,
		  false },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		if (!span_iis(name, rows[i].name))
			continue;
		if (rows[i].more)
			strs_split(rows[i].at, v, ", \t");
		else
			set_list(rows[i].at, v);
		return 0;
	}
	return 1;
}

static int
take(void *ctx MX_UNUSED, struct span name, struct span v, struct err *e)
{
	int r = take_bool(name, v, e);

	if (r == 1)
		r = take_list(name, v);
	if (r == 1)
		r = milter_process_word(&auth_process, name, v, e);
	if (r != 1)
		return r;
	if (span_iis(name, "AuthservID")) {
		set_text(&params.authserv_id, v);
	} else if (span_iis(name, "HistoryFile")) {
		set_text(&params.dmarc_history_file, v);
	} else if (span_iis(name, "RejectString")) {
		if (span_ifind(v, SPAN("%s")) < 0)
			return err_set(e, ST_CONFIG,
				       "RejectString: %%s is expected in it");
		if (v.n >= 2 && v.p[0] == '"' && v.p[v.n - 1] == '"')
			v = span_sub(v, 1, v.n - 1);
		set_text(&params.dmarc_reject_text, v);
	} else if (span_iis(name, "FailureReports")) {
		failures_said = true;
		return set_bool(&failures, v, e);
	} else if (span_iis(name, "FailureReportsSentBy")) {
		return 0; /* mx-report reads it */
	} else {
		for (size_t i = 0; i < ARRAY_LEN(left_out); i++) {
			char *text;

			if (!span_iis(name, left_out[i].word))
				continue;
			text = mem_printf("%s: %s does not count: %s",
					  params.opendmarc_conf,
					  left_out[i].word, left_out[i].why);
			if (say_to != NULL)
				say_to(text);
			free(text);
			return 0;
		}
		return 1;
	}
	return 0;
}

/* FailureReports: where mx-report finds what is to be told: beside the
 * history, unless a place is named. */
static void
place_failures(void)
{
	char **at = &params.dmarc_failure_file;
	struct span history = span_of(params.dmarc_history_file);
	ssize_t slash = span_rchr(history, '/');

	if (!failures_said || (failures && (*at)[0] != '\0'))
		return;
	free(*at);
	if (!failures)
		*at = mem_strdup("");
	else if (slash > 0)
		*at = mem_printf("%.*s/dmarc-failures",
				 SPAN_ARG(span_sub(history, 0, (size_t)slash)));
	else
		*at = mem_printf("%s/dmarc-failures", site.data_directory);
}

int
auth_configure(void (*say)(const char *), struct err *e)
{
	bool on_none = params.dmarc_failure_on_none;
	int r;

	if (params.opendmarc_conf[0] == '\0')
		return 0;
	/* its own defaults */
	if (params.dmarc_ignore_hosts.n == 0)
		strs_add(&params.dmarc_ignore_hosts, "127.0.0.1");
	params.dmarc_failure_on_none = false;
	strs_clear(&params.dmarc_trusted_sealers);
	say_to = say;
	failures_said = false;
	r = word_conf_read(params.opendmarc_conf, process_words, take, NULL, e);
	if (r != 0)
		params.dmarc_failure_on_none = on_none;
	else
		place_failures();
	return r;
}
