/*
 * scan_spamd.c - the protocol of SpamAssassin's spamd (SPAMC/1.5).
 */
#include "io.h"
#include "num.h"
#include "scan.h"
#include "status.h"

#include <stdio.h>
#include <unistd.h>

#define ANSWER_MAX ((size_t)1 << 20)

/* One request, the whole answer. */
static int
ask(const struct endpoint *ep, const struct scan_request *q, const char *verb,
    const char *fields, struct buf *answer, struct err *e)
{
	struct buf head = BUF_INIT;
	int fd = endpoint_connect(ep, q->deadline, e), r = 0;
	enum io_result io;

	if (fd < 0)
		return -1;
	buf_addf(&head, "%s SPAMC/1.5\r\nContent-length: %zu\r\n%s", verb,
		 q->message.n, fields);
	if (q->user != NULL && q->user[0] != '\0' &&
	    !span_has_ctl(span_of(q->user)))
		buf_addf(&head, "User: %s\r\n", q->user);
	buf_adds(&head, "\r\n");
	io = io_write(fd, head.p, head.n, q->deadline);
	if (io == IO_OK)
		io = io_write(fd, q->message.p, q->message.n, q->deadline);
	if (io == IO_OK)
		io = shutdown(fd, SHUT_WR) == 0 ? IO_OK : IO_ERROR;
	if (io == IO_OK)
		io = io_read_all(fd, answer, ANSWER_MAX, q->deadline);
	if (io != IO_OK)
		r = err_set(e, ST_TEMPFAIL, "%s: %s", ep->text, io_words(io));
	close(fd);
	buf_free(&head);
	return r;
}

bool
scan_decimal(struct span s, int64_t *r)
{
	uint64_t whole = 0;
	int64_t milli = 0, unit = 100;
	bool minus;
	size_t used;

	s = span_trim(s);
	minus = s.n > 0 && s.p[0] == '-';
	if (minus)
		s = span_from(s, 1);
	if (!num_prefix(s, 1000000000, &whole, &used))
		return false;
	s = span_from(s, used);
	if (s.n > 0 && s.p[0] == '.') {
		for (s = span_from(s, 1); s.n > 0 && ascii_isdigit(s.p[0]);
		     s = span_from(s, 1)) {
			milli += (s.p[0] - '0') * unit;
			unit /= 10;
		}
	}
	*r = ((int64_t)whole * 1000 + milli) * (minus ? -1 : 1);
	return s.n == 0;
}

void
scan_print(struct buf *b, int64_t milli)
{
	int64_t a = milli < 0 ? -milli : milli;

	buf_addf(b, "%s%lld.%lld", milli < 0 ? "-" : "", (long long)(a / 1000),
		 (long long)(a % 1000 / 100));
	if (a % 100 != 0)
		buf_addf(b, "%02lld", (long long)(a % 100));
}

/* "SPAMD/1.1 0 EX_OK", fields, an empty line; *rest_r: what is behind. */
static int
check_answer(const struct buf *answer, const struct endpoint *ep,
	     struct span *rest_r, struct err *e)
{
	struct span rest = buf_span(answer), line, word, words;

	if (!span_split(&rest, '\n', &line) ||
	    !span_starts(line, SPAN("SPAMD/")))
		return err_set(e, ST_TEMPFAIL, "%s: it is no spamd", ep->text);
	words = line;
	(void)span_word(&words, " \r", &word);
	if (!span_word(&words, " \r", &word) || !span_is(word, "0"))
		return err_set(e, ST_TEMPFAIL, "%s: %.*s", ep->text,
			       SPAN_ARG(span_sub(span_trim(line), 0, 100)));
	*rest_r = rest;
	return 0;
}

int
scan_spamd(const struct endpoint *ep, const struct scan_request *q,
	   struct scan_verdict *v, struct err *e)
{
	struct buf answer = BUF_INIT;
	struct span rest = SPAN(""), line, word;
	int r = ask(ep, q, "SYMBOLS", "", &answer, e);

	if (r == 0)
		r = check_answer(&answer, ep, &rest, e);
	while (r == 0 && rest.p != NULL && span_split(&rest, '\n', &line)) {
		line = span_trim(line);
		if (line.n == 0)
			break;
		/* "Spam: True ; 1000.0 / 5.0" */
		if (span_istarts(line, SPAN("Spam:"))) {
			line = span_from(line, 5);
			(void)span_split(&line, ';', &word);
			v->bad = span_iis(span_trim(word), "true") ||
				 span_iis(span_trim(word), "yes");
			v->scored =
			    line.p != NULL && span_split(&line, '/', &word) &&
			    line.p != NULL && scan_decimal(word, &v->score) &&
			    scan_decimal(line, &v->needed);
		}
	}
	if (r == 0 && !v->scored)
		r = err_set(e, ST_TEMPFAIL, "%s: the answer has no score",
			    ep->text);
	if (r == 0 && rest.p != NULL)
		buf_addspan(&v->tests, span_trim(rest));
	buf_free(&answer);
	return r;
}

int
scan_spamd_tell(const struct endpoint *ep, const struct scan_request *q,
		const char *class, struct err *e)
{
	struct buf answer = BUF_INIT, fields = BUF_INIT;
	struct span rest;
	int r;

	if (class[0] != '\0')
		buf_addf(&fields, "Message-class: %s\r\nSet: local\r\n", class);
	else
		buf_adds(&fields, "Remove: local\r\n");
	r = ask(ep, q, "TELL", buf_str(&fields), &answer, e);
	if (r == 0)
		r = check_answer(&answer, ep, &rest, e);
	buf_free(&answer);
	buf_free(&fields);
	return r;
}
