/*
 * fuzz_dmarc.c - DMARC records, histories (ours and OpenDMARC's).
 * uses: cmd/mx-dnscheck/dmarc_record.c
 * uses: cmd/mx-report/history.c
 * uses: cmd/mx-report/aggregate.c
 */
#include "dmarc.h"
#include "send.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

struct report_params params;

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct span s = span_make((const char *)p, n);
	struct dmarc_record r = { 0 };
	struct buf out = BUF_INIT;
	struct seen x;

	if (dmarc_is_record(s))
		dmarc_record_parse(&r, s);
	dmarc_record_free(&r);
	while (history_next(&s, &x)) {
		aggregate_row(&x, &out);
		history_free(&x);
	}
	buf_free(&out);
	return 0;
}
