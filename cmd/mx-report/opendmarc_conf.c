/*
 * opendmarc_conf.c - what opendmarc.conf says of reports; mx-dnscheck reads the
 * rest of it, and says what it does not know.  opendmarc.conf(5).
 */
#include "mem.h"
#include "num.h"
#include "send.h"
#include "site.h"
#include "status.h"
#include "word_conf.h"

#include <stdlib.h>

static bool failures;

static void
set(char **at, struct span v)
{
	free(*at);
	*at = mem_spandup(v);
}

/* The sender in report_command's -f, too. */
static void
set_sender(struct span v)
{
	struct span cmd = span_of(params.report_command),
		    old = span_of(params.report_sender);
	ssize_t at = old.n > 0 ? span_ifind(cmd, old) : -1;
	struct buf b = BUF_INIT;

	if (at >= 0) {
		buf_addspan(&b, span_sub(cmd, 0, (size_t)at));
		buf_addspan(&b, v);
		buf_addspan(&b, span_from(cmd, (size_t)at + old.n));
		free(params.report_command);
		params.report_command = buf_steal(&b);
	}
	set(&params.report_sender, v);
}

static int
take(void *ctx MX_UNUSED, struct span name, struct span v, struct err *e)
{
	if (span_iis(name, "HistoryFile")) {
		set(&params.dmarc_history_file, v);
	} else if (span_iis(name, "FailureReportsSentBy")) {
		set_sender(v);
	} else if (span_iis(name, "FailureReportsBcc")) {
		strs_clear(&params.failure_report_bcc);
		strs_split(&params.failure_report_bcc, v, ", \t");
	} else if (span_iis(name, "FailureReports") &&
		   !num_bool(v, &failures)) {
		return err_set(e, ST_CONFIG, "expected true or false");
	}
	return 0;
}

int
report_configure(struct err *e)
{
	struct span history;
	ssize_t slash;

	if (params.opendmarc_conf[0] == '\0')
		return 0;
	if (word_conf_read(params.opendmarc_conf, "", take, NULL, e) != 0)
		return -1;
	if (!failures || params.dmarc_failure_file[0] != '\0')
		return 0;
	/* where mx-dnscheck puts it */
	history = span_of(params.dmarc_history_file);
	slash = span_rchr(history, '/');
	free(params.dmarc_failure_file);
	params.dmarc_failure_file =
	    slash > 0
		? mem_printf("%.*s/dmarc-failures",
			     SPAN_ARG(span_sub(history, 0, (size_t)slash)))
		: mem_printf("%s/dmarc-failures", site.data_directory);
	return 0;
}
