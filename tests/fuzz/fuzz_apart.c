/*
 * fuzz_apart.c - what the processes without rights answer mx-send: of names,
 * of the system's names, of mx-fetch.
 * uses: cmd/mx-send/apart.c
 */
#include "apart_ask.c" /* its readers are static */

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

/* A stand-in for the child: the answer waits before the question is asked. */
static enum dns_status
ask_mad(struct span frame, int type, struct dns_answer *ans, struct err *e)
{
	enum dns_status st;
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0 ||
	    io_write(pair[1], frame.p, frame.n, DEADLINE_NEVER) != IO_OK ||
	    shutdown(pair[1], SHUT_WR) != 0)
		abort();
	names = pair[0];
	st = ask_dns(NULL, "x.test", type, ans, DEADLINE_NEVER, e);
	close(pair[1]);
	close_fd(&names);
	return st;
}

static void
check_answer(const struct dns_answer *ans, int type, enum dns_status st,
	     const struct err *e)
{
	if ((unsigned)st > DNS_BADNAME || (st == DNS_OK) != (ans->n > 0) ||
	    (st == DNS_TEMP && (ans->n > 0 || e->text[0] == '\0')))
		abort();
	for (size_t i = 0; i < ans->n; i++) {
		const struct dns_rr *r = &ans->v[i];

		if (r->text[r->len] != '\0' ||
		    (type == DNS_MX && strlen(r->text) != r->len))
			abort();
	}
}

static void
names_of(struct span in)
{
	static const int types[] = { DNS_A,   DNS_AAAA, DNS_MX,
				     DNS_TXT, DNS_TLSA, DNS_CNAME };
	int type = types[(unsigned char)in.p[0] % ARRAY_LEN(types)];
	struct dns_answer ans = { .n = 0 };
	struct err e = ERR_INIT;
	struct buf b = BUF_INIT;

	/* a frame of its length, and one that says any */
	if ((in.p[0] & 0x80) != 0)
		buf_addspan(&b, span_from(in, 1));
	else
		apart_put_span(&b, span_from(in, 1));
	enum dns_status st = ask_mad(buf_span(&b), type, &ans, &e);
	check_answer(&ans, type, st, &e);
	dns_answer_free(&ans);
	buf_free(&b);
}

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct span in = span_make((const char *)p, n);
	struct strs addrs = STRS_INIT;
	struct buf out = BUF_INIT, errs = BUF_INIT;
	uint32_t st = 0;

	if (n == 0)
		return 0;
	names_of(in);
	if (take_system(span_from(in, 1), &addrs) == EAI_AGAIN &&
	    addrs.n > RECORDS_MAX)
		abort();
	strs_free(&addrs);
	if (take_fetched(span_from(in, 1), &st, &out, &errs)
		? st > 255 || out.n + errs.n + 13 != n
		: out.n + errs.n > 0)
		abort();
	buf_free(&out);
	buf_free(&errs);
	return 0;
}
