/*
 * room.c - the answer to RCPT for a mailbox that is full.
 * Dovecot's quota_status_* settings, their values as in Postfix's access(5):
 * OK, DUNNO, REJECT TEXT, DEFER TEXT, or 4NN/5NN, enhanced code and text.
 */
#include "room.h"
#include "conf.h"
#include "escape.h"
#include "hand.h"
#include "log.h"
#include "num.h"
#include "status.h"

#include <stdio.h>
#include <string.h>

/* "4.2.2"? */
static bool
is_code(struct span s)
{
	if (s.n < 5 || s.n > 11 || (s.p[0] != '4' && s.p[0] != '5') ||
	    s.p[1] != '.')
		return false;
	for (size_t i = 1; i < s.n; i++)
		if (s.p[i] != '.' && !ascii_isdigit(s.p[i]))
			return false;
	return true;
}

/* 0: the action lets it pass; else -1 and e.  esc: its subject and detail,
 * ".2.2", where the action names no code. */
static int
act(const char *action, const char *esc, int *code_r, struct err *e)
{
	struct span rest = span_trim(span_of(action)), word, code;
	char full[12];
	uint64_t n = 550;

	if (!span_word(&rest, " ", &word) || span_iis(word, "OK") ||
	    span_iis(word, "DUNNO") || span_iis(word, "PERMIT"))
		return 0;
	if (span_istarts(word, SPAN("DEFER"))) {
		n = 450;
	} else if (!span_iis(word, "REJECT") &&
		   (!num_u64(word, 599, &n) || n < 400)) {
		log_warn("\"%s\" is no answer to RCPT: expected OK, REJECT "
			 "TEXT, or a code and text as in \"452 4.2.2 full\"",
			 action);
		return 0;
	}
	*code_r = (int)n;
	snprintf(full, sizeof(full), "%c%.8s", n < 500 ? '4' : '5', esc);
	rest = span_trim(rest);
	word = rest;
	if (span_word(&word, " ", &code) && is_code(code) &&
	    code.p[0] == full[0]) {
		snprintf(full, sizeof(full), "%.*s", SPAN_ARG(code));
		rest = span_trim(word);
	}
	return err_esc(
	    e, n < 500 ? ST_TEMPFAIL : ST_UNAVAILABLE, full, "%.*s",
	    SPAN_ARG(rest.n > 0 ? rest : span_of(conf.quota_exceeded_message)));
}

void
room_unknown(int *code_r, struct err *e)
{
	struct err other = ERR_INIT;

	if (strcmp(e->esc, "5.1.1") == 0 && conf.status_nouser[0] != '\0' &&
	    act(conf.status_nouser, ".1.1", code_r, &other) != 0)
		*e = other;
}

int
room_ask(const struct targets *t, uint64_t size, int *code_r, struct err *e)
{
	const struct dest *d = t->n == 1 ? t->v[0].dest : NULL;
	enum quota_room room = QUOTA_FITS;
	struct err trouble = ERR_INIT;
	const char *action = conf.status_overquota;
	struct hand *h;

	if (d == NULL || d->kind != DEST_MAILDIR ||
	    (d->quota.bytes == 0 && d->quota.count == 0))
		return 0;
	h = hand_get(d, &trouble);
	if (h == NULL || hand_quota(h, d, size, &room, &trouble) != 0) {
		log_warn("%s: is it full? %s", d->path, trouble.text);
		return 0;
	}
	if (room == QUOTA_FITS)
		return act(conf.status_success, ".2.2", code_r, e);
	if (room == QUOTA_LARGE && conf.status_toolarge[0] != '\0')
		return act(conf.status_toolarge, ".2.3", code_r, e);
	return action[0] != '\0' ? act(action, ".2.2", code_r, e)
				 : quota_refusal(e);
}
