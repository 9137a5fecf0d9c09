/*
 * policy_request.c - see policy_request.h.
 * Layer: mail.
 */
#include "policy_request.h"

#include "log.h"

#include <string.h>

#define LINE_BYTES 8192  /* Postfix: line_length_limit is 2048 */
#define LINES 200        /* Postfix 3.8 sends some 30 */
#define ANSWER_LINES 100 /* one is the rule */
/* Postfix closes after smtpd_policy_service_max_idle (300 s) or max_ttl
 * (1000 s): the client is the one to end a link. */
#define IDLE_MS (1000 * 1000)
#define WRITE_MS (60 * 1000)

static void
take_line(const struct policy_field *f, size_t n, struct span line)
{
	ssize_t eq = span_chr(line, '=');

	if (eq <= 0 || memchr(line.p, '\0', line.n) != NULL)
		return;
	for (size_t i = 0; i < n; i++) {
		if (!span_is(span_sub(line, 0, (size_t)eq), f[i].name))
			continue;
		buf_clear(f[i].value);
		buf_addspan(f[i].value, span_from(line, (size_t)eq + 1));
		if (f[i].given != NULL)
			*f[i].given = true;
	}
}

bool
policy_request_read(struct stream *s, const struct policy_field *f, size_t n)
{
	struct span line;

	for (size_t i = 0; i < n; i++) {
		buf_clear(f[i].value);
		if (f[i].given != NULL)
			*f[i].given = false;
	}
	for (int i = 0; i < LINES; i++) {
		enum io_result r;

		io_stoppable = i == 0;
		r = stream_line(s, LINE_BYTES, &line, clock_deadline(IDLE_MS));
		io_stoppable = false;
		if (r == IO_TOOLONG)
			log_warn("a policy request's line is longer than %d",
				 LINE_BYTES);
		if (r != IO_OK)
			return false;
		if (line.n > 0 && line.p[line.n - 1] == '\r')
			line.n--;
		if (line.n == 0)
			return true;
		take_line(f, n, line);
	}
	log_warn("a policy request of more than %d lines", LINES);
	return false;
}

bool
policy_request_answer(struct stream *s, struct span action)
{
	stream_write(s, "action=", 7);
	for (size_t i = 0; i < action.n; i++) {
		unsigned char c = (unsigned char)action.p[i];
		char out = c < 0x20 || c == 0x7f ? ' ' : action.p[i];

		stream_write(s, &out, 1);
	}
	stream_write(s, "\n\n", 2);
	return stream_flush(s, clock_deadline(WRITE_MS)) == IO_OK;
}

bool
policy_answer_read(struct stream *s, struct buf *action, deadline_t d)
{
	struct span line;
	bool found = false;

	for (int i = 0; i < ANSWER_LINES; i++) {
		if (stream_line(s, LINE_BYTES, &line, d) != IO_OK)
			return false;
		if (line.n == 0)
			return found;
		/* Postfix: attributes beside the action are passed over. */
		if (span_starts(line, SPAN("action=")) && !found) {
			buf_addspan(action, span_from(line, 7));
			found = true;
		}
	}
	return false;
}
