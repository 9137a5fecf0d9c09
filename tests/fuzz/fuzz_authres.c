/*
 * fuzz_authres.c - Authentication-Results and ARC fields of a message.
 */
#include "arc.h"
#include "authres.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct span s = span_make((const char *)p, n), payload;
	struct authres_result r;
	struct buf v = BUF_INIT;
	struct arc a;
	struct msg m;

	(void)authres_is_from(s, "mx.example.org");
	payload = authres_payload(s);
	while (authres_next(&payload, &r)) {
		(void)authres_find(&r, "header.d", &v);
		(void)authres_find(&r, "smtp.mailfrom", &v);
	}
	msg_index(&m, s, 0);
	arc_find(&a, &m);
	buf_clear(&v);
	for (int i = 1; !a.broken && i <= a.n; i++)
		arc_seal_data(&v, &a, i, false);
	msg_done(&m);
	buf_free(&v);
	return 0;
}
