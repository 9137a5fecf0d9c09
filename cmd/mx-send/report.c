/*
 * report.c - a line per recipient on stdout: ADDR STATUS DSN RELAY TEXT.  It
 * is written when the verdict is known, so that whoever drives us can mark it
 * before the next step.
 */
#include "clock.h"
#include "escape.h"
#include "opt.h"
#include "send.h"
#include "status.h"

#include <stdio.h>

static const char *
state_word(enum rcpt_state state)
{
	switch (state) {
	case RCPT_SENT:
		return options.probe ? "deliverable" : "sent";
	case RCPT_BOUNCED:
		return options.probe ? "undeliverable" : "bounced";
	default:
		return "deferred";
	}
}

static void
print_json(const struct rcpt *r, const char *word, const char *dsn,
	   const char *relay, const char *text)
{
	static const char *const names[] = { "recipient", "status", "dsn",
					     "relay", "text" };
	const char *values[] = { r->addr, word, dsn, relay, text };
	struct buf b = BUF_INIT;

	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		buf_addf(&b, "%s\"%s\": ", i == 0 ? "{" : ", ", names[i]);
		escape_json(&b, span_of(values[i]));
	}
	printf("%s}\n", buf_str(&b));
	buf_free(&b);
}

void
report_final(struct rcpt *r, enum rcpt_state state, const char *dsn,
	     const char *relay, const char *text)
{
	struct buf b = BUF_INIT;
	const char *word = state_word(state);

	r->state = state;
	if (options.times) {
		printf(". %lld %lld%s", (long long)send_connect_us,
		       (long long)(send_began_us == 0
				       ? 0
				       : clock_mono_us() - send_began_us),
		       state == RCPT_SENT && send_dsn ? " dsn" : "");
		if (send_uses > 1)
			printf(" use=%d", send_uses);
		printf("\n");
	}
	if (prog.json) {
		print_json(r, word, dsn, relay, text);
	} else {
		escape_word(&b, span_of(r->addr));
		buf_addf(&b, " %s %s ", word, dsn);
		escape_word(&b, span_of(relay));
		buf_addc(&b, ' ');
		escape_line(&b, span_of(text), 900);
		printf("%s\n", buf_str(&b));
	}
	buf_free(&b);
	(void)fflush(stdout);
}

/* For good: told now. For now: another host may still take it, report_rest
 * tells at the end. */
void
report_failure(struct rcpt *r, const char *relay, const struct err *e)
{
	r->why = *e;
	snprintf(r->relay, sizeof(r->relay), "%s", relay);
	r->temp = true;
	if (!status_is_temp(e->status))
		report_final(r, RCPT_BOUNCED, err_code(e), relay, e->text);
}

void
report_all(struct group *g, const char *relay, const struct err *e)
{
	for (size_t i = 0; i < g->n; i++)
		if (g->v[i]->state == RCPT_PENDING)
			report_failure(g->v[i], relay, e);
}

/* RFC 8689 4.2.1: each host is asked before the sender is told. */
void
report_unfit(struct group *g, const char *relay, const struct err *e)
{
	for (size_t i = 0; i < g->n; i++) {
		struct rcpt *r = g->v[i];

		if (r->state != RCPT_PENDING)
			continue;
		r->unfit = true;
		/* Who waits is told what it waits for. */
		if (r->temp)
			continue;
		r->why = *e;
		snprintf(r->relay, sizeof(r->relay), "%s", relay);
	}
}

bool
report_any_unfit(const struct group *g)
{
	for (size_t i = 0; i < g->n; i++)
		if (g->v[i]->state == RCPT_PENDING && g->v[i]->unfit)
			return true;
	return false;
}

/* Who was refused by nobody for good and taken by nobody waits. */
void
report_rest(struct group *g)
{
	for (size_t i = 0; i < g->n; i++) {
		struct rcpt *r = g->v[i];
		if (r->state != RCPT_PENDING)
			continue;
		if (r->why.status == ST_OK)
			(void)err_esc(&r->why, ST_TEMPFAIL, "4.4.0",
				      "no host was asked for it this time");
		report_final(
		    r, r->unfit && !r->temp ? RCPT_BOUNCED : RCPT_DEFERRED,
		    err_code(&r->why), r->relay[0] != '\0' ? r->relay : "none",
		    r->why.text);
	}
}
