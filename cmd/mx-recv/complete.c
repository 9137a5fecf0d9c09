/*
 * complete.c - see complete.h.
 */
#include "complete.h"

#include "clock.h"
#include "date.h"
#include "mem.h"
#include "msg.h"

#include <stdlib.h>

#define HEADER_MAX 262144

struct complete {
	const struct session *s;
	struct buf line; /* begun, not ended */
	struct buf held; /* whole lines of the header */
	bool done, fields;
	bool date, id, from;
	bool resent, resent_date, resent_id, resent_from;
};

struct complete *
complete_new(const struct session *s)
{
	struct complete *c = mem_alloc(1, sizeof(*c));

	c->s = s;
	return c;
}

void
complete_free(struct complete **c)
{
	if (*c == NULL)
		return;
	buf_free(&(*c)->line);
	buf_free(&(*c)->held);
	free(*c);
	*c = NULL;
}

/* RFC 5322 3.6.6: Resent- fields are of the sending again; then those are
 * completed. */
static void
note_field(struct complete *c, struct span name)
{
	const struct {
		const char *name;
		bool *seen;
	} rows[] = {
		{ "Date", &c->date },
		{ "Message-ID", &c->id },
		{ "From", &c->from },
		{ "Resent-Date", &c->resent_date },
		{ "Resent-Message-ID", &c->resent_id },
		{ "Resent-From", &c->resent_from },
	};

	if (span_istarts(name, SPAN("Resent-")))
		c->resent = true;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		if (span_iis(name, rows[i].name))
			*rows[i].seen = true;
}

static void add(struct complete *c, struct buf *out, const char *name,
		const char *fmt, ...) MX_PRINTF(4, 5);
static void
add(struct complete *c, struct buf *out, const char *name, const char *fmt, ...)
{
	struct buf v = BUF_INIT, field = BUF_INIT, full = BUF_INIT;
	va_list ap;

	va_start(ap, fmt);
	buf_vaddf(&v, fmt, ap);
	va_end(ap);
	buf_addf(&full, "%s%s", c->resent ? "Resent-" : "", name);
	msg_make_field(&field, buf_str(&full), buf_span(&v));
	if (field.n > 0 && field.p[field.n - 1] != '\n')
		buf_addc(&field, '\n');
	buf_addspan(out, buf_span(&field));
	buf_free(&v);
	buf_free(&field);
	buf_free(&full);
}

/* RFC 5322 3.6.6: of a message that was sent again, the Resent- fields. */
static void
add_missing(struct complete *c, struct buf *out)
{
	const struct session *s = c->s;
	struct buf date = BUF_INIT;

	if (!(c->resent ? c->resent_date : c->date)) {
		struct date d;

		date_from_unix_local(&d, clock_now());
		date_print(&date, &d);
		add(c, out, "Date", "%s", buf_str(&date));
	}
	if (!(c->resent ? c->resent_id : c->id))
		add(c, out, "Message-ID", "<%lld.%s@%s>",
		    (long long)clock_now(), s->queue_id,
		    s->conf->site.myhostname);
	if (!(c->resent ? c->resent_from : c->from) && !s->sender.null)
		add(c, out, "From", "%s", buf_str(&s->sender_text));
	buf_free(&date);
}

/* The header is over; `line` (with LF, or empty) comes behind it. */
static void
end_header(struct complete *c, struct span line, struct buf *out)
{
	c->done = true;
	buf_addspan(out, buf_span(&c->held));
	add_missing(c, out);
	/* A body that begins without an empty line gets one. */
	if (!span_is(line, "\n"))
		buf_addc(out, '\n');
	buf_addspan(out, line);
	buf_clear(&c->held);
}

/* A whole line with its LF. */
static void
take_line(struct complete *c, struct span line, struct buf *out)
{
	ssize_t colon = span_chr(line, ':');
	struct span name =
	    colon > 0 ? span_rtrim(span_sub(line, 0, (size_t)colon)) : line;
	bool field = colon > 0 && name.n > 0;

	for (size_t i = 0; field && i < name.n; i++)
		field = name.p[i] > ' ' && name.p[i] < 127;
	if (field) {
		c->fields = true;
		note_field(c, name);
		buf_addspan(&c->held, line);
	} else if (c->fields && (line.p[0] == ' ' || line.p[0] == '\t')) {
		buf_addspan(&c->held, line);
	} else {
		end_header(c, line, out);
	}
}

void
complete_feed(struct complete *c, struct span in, struct buf *out)
{
	while (!c->done && in.n > 0) {
		ssize_t lf = span_chr(in, '\n');
		size_t n = lf < 0 ? in.n : (size_t)lf + 1;

		buf_addspan(&c->line, span_sub(in, 0, n));
		in = span_from(in, n);
		if (lf >= 0) {
			struct buf line = c->line;

			c->line = BUF_INIT;
			take_line(c, buf_span(&line), out);
			buf_free(&line);
		}
		if (!c->done && c->held.n + c->line.n > HEADER_MAX) {
			/* Not a header that anybody reads: as it is. */
			c->done = true;
			buf_addspan(out, buf_span(&c->held));
			buf_addspan(out, buf_span(&c->line));
			buf_clear(&c->held);
			buf_clear(&c->line);
		}
	}
	if (c->done)
		buf_addspan(out, in);
}

void
complete_finish(struct complete *c, struct buf *out)
{
	if (c->done)
		return;
	if (c->line.n > 0) {
		struct buf line = c->line;

		c->line = BUF_INIT;
		buf_addc(&line, '\n');
		take_line(c, buf_span(&line), out);
		buf_free(&line);
	}
	if (!c->done)
		end_header(c, SPAN("\n"), out);
}
