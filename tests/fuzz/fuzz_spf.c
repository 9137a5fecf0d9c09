/*
 * fuzz_spf.c - SPF records and macro strings; nothing is asked of DNS.
 * uses: cmd/mx-dnscheck/spf.c
 * uses: cmd/mx-dnscheck/spf_parse.c
 * uses: cmd/mx-dnscheck/spf_macro.c
 */
#include "spf.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct span s = span_make((const char *)p, n), bad;
	struct spf_record r = { 0 };
	struct buf out = BUF_INIT;
	struct spf spf;

	if (spf_is_record(s) && spf_parse(&r, s, &bad))
		(void)r.n;
	spf_record_free(&r);
	if (spf_init(&spf, NULL, "2001:db8::1", "a-b@c.example", "helo.example",
		     "mx.example") &&
	    span_ifind(s, SPAN("p")) < 0) /* %{p} asks */
		(void)spf_expand(&spf, &out, s, "example.org", n % 2 == 0);
	spf_done(&spf);
	buf_free(&out);
	return 0;
}
