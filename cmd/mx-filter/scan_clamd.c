/*
 * scan_clamd.c - clamd's INSTREAM.  clamd(8).
 */
#include "io.h"
#include "scan.h"
#include "status.h"

#include <stdio.h>
#include <unistd.h>

#define CHUNK ((size_t)65536)

static enum io_result
send_message(int fd, struct span s, deadline_t d)
{
	enum io_result r = io_write(fd, "zINSTREAM", 10, d);
	unsigned char len[4] = { 0, 0, 0, 0 };

	while (r == IO_OK && s.n > 0) {
		size_t n = s.n < CHUNK ? s.n : CHUNK;

		for (int i = 0; i < 4; i++)
			len[i] = (unsigned char)(n >> (24 - 8 * i));
		r = io_write(fd, len, 4, d);
		if (r == IO_OK)
			r = io_write(fd, s.p, n, d);
		s = span_from(s, n);
	}
	return r == IO_OK ? io_write(fd, "\0\0\0\0", 4, d) : r;
}

int
scan_clamd(const struct endpoint *ep, const struct scan_request *q,
	   struct scan_verdict *v, struct err *e)
{
	struct buf answer = BUF_INIT;
	struct span s;
	int fd = endpoint_connect(ep, q->deadline, e), r = 0;
	enum io_result sent, got;

	if (fd < 0)
		return -1;
	sent = send_message(fd, q->message, q->deadline);
	/* what it did not want to read it tells in its answer */
	got = io_read_all(fd, &answer, 4096, q->deadline);
	s = span_trim(span_of(buf_str(&answer)));
	if (got == IO_OK && span_is(s, "stream: OK") && sent == IO_OK) {
		v->bad = false;
	} else if (got == IO_OK && span_starts(s, SPAN("stream: ")) &&
		   span_ends(s, SPAN(" FOUND"))) {
		v->bad = true;
		buf_addspan(&v->tests, span_sub(s, 8, s.n - 6));
	} else if (got != IO_OK) {
		r = err_set(e, ST_TEMPFAIL, "%s: %s", ep->text, io_words(got));
	} else {
		r = err_set(e, ST_TEMPFAIL, "%s: \"%.*s\"", ep->text,
			    SPAN_ARG(span_sub(s, 0, 100)));
	}
	close(fd);
	buf_free(&answer);
	return r;
}
