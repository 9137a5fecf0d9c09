/*
 * auth_failure.c - messages that somebody asked to hear of, because they fail
 * (ruf, fo), written down for mx-report --send-failures.  RFC 9989 4.7; RFC
 * 9991.
 */
#include "auth.h"
#include "escape.h"
#include "history.h"

#include <sys/stat.h>
#include <unistd.h>

#define HEADER_MAX 16384u
#define FILE_MAX (32 << 20) /* nobody sends them: no more are written */

static bool
asked(struct span fo, char letter)
{
	struct span one;

	if (fo.n == 0)
		fo = SPAN("0");
	while (span_split(&fo, ':', &one)) {
		one = span_trim(one);
		if (one.n == 1 && ascii_tolower(one.p[0]) == letter)
			return true;
	}
	return false;
}

static bool
signature_failed(const struct auth *a)
{
	for (size_t i = 0; i < a->sigs.n; i++)
		if (a->sigs.v[i].code == VERIFY_FAIL ||
		    a->sigs.v[i].code == VERIFY_PERMERROR)
			return true;
	return false;
}

/* What is to be told, "dmarc", "dkim" or "spf"; NULL: nothing. */
static const char *
why(const struct auth *a)
{
	struct span record = buf_span(&a->dmarc.record),
		    fo = dmarc_tag(record, "fo");
	bool both = !a->dmarc.spf_aligned && !a->dmarc.dkim_aligned,
	     one = !a->dmarc.spf_aligned || !a->dmarc.dkim_aligned;

	/* RFC 9991 2: not where psd=y */
	if (dmarc_tag(record, "ruf").n == 0 ||
	    span_iis(dmarc_tag(record, "psd"), "y") ||
	    a->dmarc.code == VERIFY_TEMPERROR)
		return NULL;
	if ((both && asked(fo, '0')) || (one && asked(fo, '1')))
		return "dmarc";
	if (asked(fo, 'd') && signature_failed(a))
		return "dkim";
	if (asked(fo, 's') &&
	    (a->spf_code == SPF_FAIL || a->spf_code == SPF_SOFTFAIL))
		return "spf";
	return NULL;
}

/* A report about a report about a report (RFC 9991 5.1). */
static bool
is_report(const struct auth *a)
{
	const struct msg_field *f = msg_find(&a->m, "Content-Type", 0);

	return f != NULL && span_ifind(f->value, SPAN("feedback-report")) >= 0;
}

void
auth_failure(struct auth *a)
{
	struct buf b = BUF_INIT;
	struct err e = ERR_INIT;
	const char *what;
	bool unasked;
	struct stat st;
	int fd;

	if (params.dmarc_failure_file[0] == '\0' || !a->dmarc.has_record ||
	    a->ignored || is_report(a) ||
	    (a->dmarc.policy == DMARC_NONE && !params.dmarc_failure_on_none))
		return;
	what = why(a);
	/* told to somebody of ours alone */
	unasked = what == NULL && params.failure_report_bcc.n > 0 &&
		  a->dmarc.code == VERIFY_FAIL;
	if (what == NULL && !unasked)
		return;
	auth_line(a, "mx-failure-1", &b);
	buf_addf(&b, " why=%s", unasked ? "dmarc" : what);
	if (unasked)
		buf_adds(&b, " unasked=1");
	check_word(&b, "sender", span_of(a->sender));
	check_word(&b, "header", span_sub(a->m.header, 0, HEADER_MAX));
	buf_addc(&b, '\n');
	/* mx-report may be taking the file's lines away just now */
	fd = history_open(params.dmarc_failure_file, &e);
	if (fd < 0)
		fprintf(stderr, "mx-dnscheck: %s\n", e.text);
	else if (fstat(fd, &st) == 0 && st.st_size < FILE_MAX &&
		 write(fd, b.p, b.n) != (ssize_t)b.n)
		fprintf(stderr, "mx-dnscheck: %s: cannot append\n",
			params.dmarc_failure_file);
	if (fd >= 0)
		close(fd);
	buf_free(&b);
}
