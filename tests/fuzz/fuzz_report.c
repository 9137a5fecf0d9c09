/*
 * fuzz_report.c - reports from strangers: XML, JSON, gz, zip, mails.
 * uses: cmd/mx-report/source.c cmd/mx-report/unpack.c
 * uses: cmd/mx-report/parse_tls.c
 * uses: cmd/mx-report/parse_aggregate.c
 * uses: cmd/mx-report/parse_failure.c
 * uses: cmd/mx-report/report.c cmd/mx-report/print.c
 * libs: -lxml2 -lz
 */
#include "report.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct reports all = { 0 };
	struct buf out = BUF_INIT;
	struct err e = ERR_INIT;

	(void)source_document(&all, span_make((const char *)p, n), "fuzz", &e);
	for (int f = REPORT_TABLE; f <= REPORT_CSV; f++)
		reports_print(&all, (enum report_format)f, NULL, &out);
	buf_free(&out);
	reports_free(&all);
	return 0;
}
