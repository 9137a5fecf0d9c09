/*
 * footer.c - see footer.h.
 */
#include "footer.h"

#include "clock.h"
#include "log.h"
#include "template.h"

#include <stdio.h>
#include <time.h>

struct footer_names {
	struct session *s;
	char port[8], time[32];
};

static struct span
value(void *ctx, struct span name)
{
	struct footer_names *n = ctx;
	time_t now = (time_t)(clock_now_us() / 1000000);
	struct tm tm;

	if (span_is(name, "client_address"))
		return span_of(n->s->conn->has_peer ? n->s->conn->addr : "");
	if (span_is(name, "client_port")) {
		snprintf(n->port, sizeof(n->port), "%d", n->s->conn->port);
		return span_of(n->port);
	}
	if (span_is(name, "server_name"))
		return span_of(n->s->conf->site.myhostname);
	/* as syslog writes it */
	if (span_is(name, "localtime") && localtime_r(&now, &tm) != NULL &&
	    strftime(n->time, sizeof(n->time), "%b %e %H:%M:%S", &tm) > 0)
		return span_of(n->time);
	return SPAN("");
}

/* The template for this reply: by its first line in the tables, or the one
 * for all. */
static void
find(const struct session *s, const struct reply *r, struct buf *template)
{
	const struct conf *c = s->conf;
	struct span rest = buf_span(&r->text), line;
	struct buf key = BUF_INIT;
	struct err e = ERR_INIT;
	enum table_result found = TABLE_NONE;

	if (c->reject_footer_maps.n > 0 && span_split(&rest, '\n', &line)) {
		buf_addf(&key, "%d %s%s%.*s", r->code,
			 r->esc != NULL ? r->esc : "",
			 r->esc != NULL && r->esc[0] != '\0' ? " " : "",
			 SPAN_ARG(line));
		found = tables_lookup(&c->reject_footer_maps, buf_span(&key),
				      template, &e);
		if (found == TABLE_TRY_AGAIN)
			log_warn("smtpd_reject_footer_maps: %s", e.text);
	}
	if (found != TABLE_FOUND) {
		buf_clear(template);
		buf_adds(template, c->p.reject_footer);
	}
	buf_free(&key);
}

void
footer_add(struct session *s, struct reply *r)
{
	struct buf template = BUF_INIT, text = BUF_INIT;
	struct footer_names names = { .s = s };
	struct span rest, line;

	if (r->code < 400 || (s->conf->p.reject_footer[0] == '\0' &&
			      s->conf->reject_footer_maps.n == 0))
		return;
	find(s, r, &template);
	template_expand(&text, buf_span(&template), value, &names);
	rest = buf_span(&text);
	/* "\c" first: on the reply's own line */
	if (span_starts(rest, SPAN("\\c")))
		rest = span_from(rest, 2);
	else if (rest.n > 0)
		buf_addc(&r->text, '\n');
	while (rest.n > 0) {
		ssize_t end = span_find(rest, SPAN("\\n"));

		line = end >= 0 ? span_sub(rest, 0, (size_t)end) : rest;
		for (size_t i = 0; i < line.n; i++)
			buf_addc(&r->text, line.p[i] >= ' ' && line.p[i] <= '~'
					       ? line.p[i]
					       : ' ');
		if (end < 0)
			break;
		buf_addc(&r->text, '\n');
		rest = span_from(rest, (size_t)end + 2);
	}
	buf_free(&template);
	buf_free(&text);
}
