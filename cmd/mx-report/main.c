/*
 * main.c - mx-report: reads the reports that others send, makes ours.
 * mx-dnscheck report runs it, so that nothing else links XML and zlib.
 */
#include "io.h"
#include "opt.h"
#include "report.h"
#include "send.h"
#include "site.h"
#include "status.h"

#include <unistd.h>

struct report_options opts;
struct report_params params;

#define O(LETTER, NAME, ARG, TYPE, MEMBER, MEANING)                            \
	{                                                                      \
		LETTER, NAME, ARG, OPT_##TYPE,                                 \
		    offsetof(struct report_options, MEMBER), MEANING           \
	}

static const struct opt rows[] = {
	O(0, "csv", NULL, FLAG, csv, "a line a record, for a spreadsheet"),
	O(0, "no-names", NULL, FLAG, no_names,
	  "do not ask DNS for the sources' names"),
	O(0, "send", NULL, FLAG, send,
	  "make the reports that the history asks for, and send them"),
	O(0, "send-failures", NULL, FLAG, send_failures,
	  "make and send the failure reports that wait"),
	O(0, "send-tls", NULL, FLAG, send_tls,
	  "make the TLS reports of our sessions with other hosts, and send "
	  "them"),
	O(0, "print", NULL, FLAG, print,
	  "with --send, --send-failures, --send-tls: show the mails, send "
	  "and change nothing"),
	O(0, "until", "EPOCH", STR, until,
	  "with --send, --send-tls: report what is older (today, 0:00 UTC)"),
};

#define ROW(TYPE, MEMBER, DEF, MEANING)                                        \
	PARAM_ROW(struct report_params, TYPE, MEMBER, #MEMBER, DEF, 0, 0,      \
		  NULL, MEANING)

static const struct param param_rows[] = {
	ROW(STR, dmarc_history_file, "", "what --send reads"),
	ROW(STR, report_org_name, "$mydomain", "who we are, in reports"),
	ROW(STR, report_sender, "postmaster@$myhostname",
	    "sender and contact of our reports"),
	ROW(STR, report_extra_contact_info, "",
	    "how else we can be reached, in reports"),
	ROW(STR, report_command, "mx-submit -t -i -f $report_sender",
	    "takes a report's mail on standard input"),
	ROW(TIME, report_expire, "14d",
	    "messages that could not be reported are kept so long"),
	ROW(STR, dmarc_failure_file, "", "what --send-failures reads"),
	PARAM_ROW(struct report_params, INT, failure_report_limit,
		  "failure_report_limit", "20", 0, 100000, NULL,
		  "failure reports a domain and day"),
	ROW(STR, tlsrpt_history_file, "", "what --send-tls reads"),
	ROW(TIME, tlsrpt_expire, "3d",
	    "sessions that could not be reported are kept so long"),
	ROW(STR, report_CAfile, "",
	    "authorities of servers that take reports; empty: the system's"),
	ROW(LIST, failure_report_bcc, "",
	    "whom each failure report goes to, too, asked or not"),
	ROW(STR, opendmarc_conf, "",
	    "an opendmarc.conf: what it says of reports counts"),
	ROW(BOOL, failure_report_subject, "no",
	    "Subject is shown in failure reports"),
};

static int
read_all(int argc, char **argv)
{
	struct reports all = { 0 };
	struct buf out = BUF_INIT;
	struct err e = ERR_INIT;
	enum report_format f = prog.json  ? REPORT_JSON
			       : opts.csv ? REPORT_CSV
					  : REPORT_TABLE;
	struct dns *dns = NULL;
	bool failed;
	enum io_result r;

	if (argc == 0)
		source_read(&all, "-");
	for (int i = 0; i < argc; i++)
		source_read(&all, argv[i]);
	if (f == REPORT_TABLE && !opts.no_names) {
		dns = dns_open(site.resolver, &e);
		if (dns == NULL)
			return prog_fail(&e);
	}
	reports_print(&all, f, dns, &out);
	r = io_write(STDOUT_FILENO, out.p, out.n, DEADLINE_NEVER);
	failed = all.failed;
	buf_free(&out);
	reports_free(&all);
	dns_close(dns);
	if (r != IO_OK) {
		err_set(&e, ST_IOERR, "standard output: %s", io_words(r));
		return prog_fail(&e);
	}
	return failed ? ST_DATA : ST_OK;
}

int
main(int argc, char **argv)
{
	const struct param_rows sets[] = {
		site_params, { param_rows, ARRAY_LEN(param_rows), &params }
	};
	const struct program p = {
		.name = "mx-report",
		.synopsis =
		    "mx-report [--json|--csv] [FILE|MAILDIR...]\n"
		    "       mx-report --send|--send-failures|--send-tls",
		.meaning = "DMARC and TLS reports: theirs read, ours sent",
		.opts = rows,
		.nopts = ARRAY_LEN(rows),
		.options = &opts,
		.params = sets,
		.nparams = ARRAY_LEN(sets),
	};
	struct err e = ERR_INIT;
	int at = prog_start(&p, argc, argv, NULL);

	if ((opts.send || opts.send_failures || opts.send_tls) && argc > at)
		return prog_usage("--send takes no files");
	if ((opts.send || opts.send_failures) && report_configure(&e) != 0)
		return prog_fail(&e);
	if (opts.send)
		return send_reports();
	if (opts.send_failures)
		return send_failures();
	if (opts.send_tls)
		return send_tls();
	return read_all(argc - at, argv + at);
}
