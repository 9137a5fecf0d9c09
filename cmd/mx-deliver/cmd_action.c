/*
 * cmd_action.c - XACTION: what the restrictions of mx-recv decided about the
 * message (access(5): HOLD, REDIRECT, FILTER, BCC), and VRFY and XVERIFY, by
 * which it asks whether an address is known here, or deliverable at all.
 * mx-deliver(8), "What mx-recv says". Believed from authorized_forward_users
 * alone.
 */
#include "addr.h"
#include "escape.h"
#include "mem.h"
#include "session.h"
#include "num.h"
#include "status.h"
#include "verify.h"

#include <stdlib.h>

#define BCC_MAX 100
#define WAIT_MAX 3600 /* seconds */

/* The value as an address of its wire form; NULL when it is none. */
static char *
address(struct span xtext)
{
	struct buf b = BUF_INIT, out = BUF_INIT;
	struct err e = ERR_INIT;
	struct addr a;
	char *r = NULL;

	if (escape_unxtext(&b, xtext) && !span_has_ctl(buf_span(&b)) &&
	    addr_parse(&a, buf_span(&b), &e) == 0) {
		addr_print(&out, &a);
		if (a.domain.n > 0)
			r = mem_strdup(buf_str(&out));
		addr_free(&a);
	}
	buf_free(&b);
	buf_free(&out);
	return r;
}

/* TRANSPORT:NEXTHOP */
static char *
transport(struct span xtext)
{
	struct buf b = BUF_INIT;
	char *r = NULL;

	if (xtext.n <= 255 && escape_unxtext(&b, xtext) &&
	    !span_has_ctl(buf_span(&b)) && span_chr(buf_span(&b), ':') > 0)
		r = mem_strdup(buf_str(&b));
	buf_free(&b);
	return r;
}

static bool
take(struct trans *t, struct span name, struct span value)
{
	char *v = NULL;

	if (span_iis(name, "HOLD") && value.p == NULL) {
		t->hold = true;
		return true;
	}
	if (span_iis(name, "LATE") && value.p == NULL) {
		t->late = true;
		return true;
	}
	if (value.p == NULL)
		return false;
	if (span_iis(name, "BCC") && t->bcc.n < BCC_MAX) {
		if ((v = address(value)) != NULL)
			strs_take(&t->bcc, v);
	} else if (span_iis(name, "REDIRECT")) {
		if ((v = address(value)) != NULL) {
			free(t->redirect);
			t->redirect = v;
		}
	} else if (span_iis(name, "FILTER")) {
		if ((v = transport(value)) != NULL) {
			free(t->transport);
			t->transport = v;
		}
	}
	return v != NULL;
}

struct reply
cmd_xaction(struct session *x, struct span arg)
{
	struct span word;

	if (!x->trusted)
		return reply_make(550, "5.7.0",
				  "Error: insufficient authorization");
	if (x->bdat && !x->t.late)
		return reply_make(503, "5.5.1",
				  "Error: XACTION LATE was not said before the "
				  "message");
	if (arg.n == 0)
		return reply_make(501, "5.5.4", "Syntax: XACTION name[=value]");
	while (span_word(&arg, " ", &word)) {
		ssize_t eq = span_chr(word, '=');
		struct span name =
		    eq < 0 ? word : span_sub(word, 0, (size_t)eq);
		struct span value = eq < 0 ? (struct span){ NULL, 0 }
					   : span_from(word, (size_t)eq + 1);

		if (!take(&x->t, name, value))
			return reply_make(501, "5.5.4", "Bad XACTION: %.*s",
					  SPAN_ARG(span_sub(name, 0, 40)));
	}
	return reply_make(250, "2.0.0", "Ok");
}

struct reply
cmd_vrfy(struct session *x, struct span arg)
{
	struct targets t = { 0 };
	struct err e = ERR_INIT;
	char *addr;

	if (arg.n > 2 && arg.p[0] == '<' && arg.p[arg.n - 1] == '>')
		arg = span_sub(arg, 1, arg.n - 1);
	/* nobody else learns who is here: THREATS 26 */
	addr = x->trusted ? address(arg) : NULL;
	if (addr == NULL)
		return reply_make(252, "2.0.0", "Try RCPT to find out");
	if (route_expand(addr, &t, &e) == 0) {
		targets_free(&t);
		free(addr);
		return reply_make(250, "2.1.5", "Ok");
	}
	struct reply why = reply_err(x, &e);
	struct reply r =
	    reply_make(why.code, why.esc,
		       "<%s>: Recipient address rejected: %s", addr, why.text);

	free(addr);
	return r;
}

/* "<addr> SECONDS": 250 it can be delivered, 550 it cannot, 450 nobody could
 * say, 252 it is being asked for. */
struct reply
cmd_xverify(struct session *x, struct span arg)
{
	static const int codes[] = { [VERIFY_OK] = 250,
				     [VERIFY_DEFER] = 450,
				     [VERIFY_BOUNCE] = 550,
				     [VERIFY_ASKING] = 252 };
	struct verify_answer a = { .text = BUF_INIT };
	ssize_t blank = span_rchr(arg, ' ');
	struct reply r;
	char *addr;
	int wait;

	if (!x->trusted)
		return reply_make(550, "5.7.0",
				  "Error: insufficient authorization");
	if (blank < 2 || arg.p[0] != '<' || arg.p[blank - 1] != '>' ||
	    !num_int(span_from(arg, (size_t)blank + 1), 0, WAIT_MAX, &wait) ||
	    (addr = address(span_sub(arg, 1, (size_t)blank - 1))) == NULL)
		return reply_make(501, "5.5.4",
				  "Syntax: XVERIFY <address> "
				  "seconds");
	verify_address(addr, (int64_t)wait * 1000, &a);
	r = reply_make(codes[a.state], a.dsn, "%s",
		       a.text.n > 0 ? buf_str(&a.text) : "Ok");
	if (a.state == VERIFY_ASKING)
		r.esc[0] = '2';
	buf_free(&a.text);
	free(addr);
	return r;
}
