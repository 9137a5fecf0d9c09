/*
 * score_trace.c - the trace of a message: the host that brought it, and what
 * its receiver noted.  RFC 5321 4.4; RFC 8601 2.2.
 */
#include "score.h"

#include <arpa/inet.h>

/* Loopback and private networks (RFC 1918, RFC 4193; ::ffff:0:0/96 is IPv4)
 * say nothing about the sender's host. */
static bool
is_private(struct span ip)
{
	static const unsigned char mapped[12] = { [10] = 0xff, [11] = 0xff };
	static const unsigned char loopback[16] = { [15] = 1 };
	unsigned char b[16], v4[4];

	if (inet_pton(AF_INET6, ip.p, b) == 1) {
		if (memcmp(b, mapped, sizeof(mapped)) != 0)
			return memcmp(b, loopback, sizeof(b)) == 0 ||
			       (b[0] & 0xfe) == 0xfc ||
			       (b[0] == 0xfe && (b[1] & 0xc0) == 0x80);
		memcpy(v4, b + 12, sizeof(v4));
	} else if (inet_pton(AF_INET, ip.p, v4) != 1) {
		return false;
	}
	return v4[0] == 127 || v4[0] == 10 || (v4[0] == 192 && v4[1] == 168) ||
	       (v4[0] == 169 && v4[1] == 254) ||
	       (v4[0] == 172 && (v4[1] & 0xf0) == 16);
}

/* The address in "[...]" of a from clause. */
static bool
bracketed(struct span v, struct buf *ip)
{
	ssize_t open = span_chr(v, '['), close;
	unsigned char bin[16];

	buf_clear(ip);
	if (open < 0)
		return false;
	v = span_from(v, (size_t)open + 1);
	close = span_chr(v, ']');
	if (close <= 0 || close > 60)
		return false;
	v = span_sub(v, 0, (size_t)close);
	if (span_istarts(v, SPAN("IPv6:")))
		v = span_from(v, 5);
	buf_addspan(ip, v);
	return inet_pton(AF_INET, buf_str(ip), bin) == 1 ||
	       inet_pton(AF_INET6, buf_str(ip), bin) == 1;
}

void
trace_read(struct trace *t, const struct msg *m)
{
	const struct msg_field *f = NULL;
	struct buf v = BUF_INIT;

	*t = (struct trace){ 0 };
	while ((f = msg_next(m, "Received", f)) != NULL) {
		struct span rest, word;
		ssize_t by;

		buf_clear(&v);
		msg_unfold(&v, f->value);
		rest = buf_span(&v);
		by = span_ifind(rest, SPAN(" by "));
		if (!span_istarts(rest, SPAN("from ")))
			continue;
		if (!bracketed(by < 0 ? rest : span_sub(rest, 0, (size_t)by),
			       &t->ip) ||
		    is_private(buf_span(&t->ip))) {
			buf_clear(&t->ip);
			continue;
		}
		/* RFC 3848: an S behind the protocol's name */
		t->tls = span_ifind(rest, SPAN("with ESMTPS")) >= 0 ||
			 span_ifind(rest, SPAN("with LMTPS")) >= 0 ||
			 span_ifind(rest, SPAN("with UTF8SMTPS")) >= 0 ||
			 span_ifind(rest, SPAN("version=TLS")) >= 0 ||
			 span_ifind(rest, SPAN("using TLS")) >= 0;
		t->known = true;
		rest = span_from(rest, 5);
		if (span_word(&rest, " \t", &word))
			buf_addspan(&t->helo, word);
		break;
	}
	buf_free(&v);
}

void
trace_done(struct trace *t)
{
	buf_free(&t->ip);
	buf_free(&t->helo);
}

struct span
trace_result(const struct msg *m, const char *method)
{
	const struct msg_field *f = NULL;
	size_t n = strlen(method);

	while ((f = msg_next(m, "Authentication-Results", f)) != NULL) {
		struct span rest = f->value, piece;

		while (span_split(&rest, ';', &piece)) {
			struct span word, p = span_trim(piece);

			if (!span_istarts(p, span_make(method, n)) ||
			    p.n <= n || p.p[n] != '=')
				continue;
			p = span_from(p, n + 1);
			if (span_word(&p, " \t\r\n(", &word))
				return word;
		}
	}
	return SPAN("");
}
