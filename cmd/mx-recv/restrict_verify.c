/*
 * restrict_verify.c - reject_unverified_sender and _recipient: the delivery
 * side asks the host that an address's mail goes to.
 * Postfix ADDRESS_VERIFICATION_README.
 */
#include "explain.h"
#include "link.h"
#include "log.h"
#include "restrict.h"

#include <stdlib.h>

/* It waits for the answer as often and as long as the parameters say. */
static struct reply
ask(struct check *c, struct span addr)
{
	const struct conf_params *p = &c->s->conf->p;
	struct reply r = { .code = 0 };

	for (int64_t i = 0; i < p->verify_poll_count; i++) {
		buf_free(&r.text);
		r = link_probe(c->s, addr, p->verify_poll_delay);
		if (r.code != 252 || server_stopping(c->s->server))
			break;
	}
	return r;
}

RULE(restrict_unverified)
{
	const struct conf_params *p = &c->s->conf->p;
	enum about about = r->row->about;
	bool sender = about == ABOUT_SENDER;
	struct span addr = restrict_subject(c, about);
	const char *reason =
	    sender ? p->unverified_sender_reason : p->unverified_rcpt_reason;
	enum verdict v = V_DUNNO;
	struct reply said;

	if ((sender && c->s->sender.null) || addr.n == 0 ||
	    span_chr(addr, '@') < 0)
		return V_DUNNO;
	if (explain_on) {
		explain("probe", "%.*s: not asked", SPAN_ARG(addr));
		return V_DUNNO;
	}
	said = ask(c, addr);
	if (said.code == 550) {
		v = restrict_reject(
		    c,
		    sender ? p->code_unverified_sender
			   : p->code_unverified_rcpt,
		    sender ? "5.1.7" : "5.1.1", about, "unverified address: %s",
		    reason[0] != '\0' ? reason : buf_str(&said.text));
	} else if (said.code != 250) {
		(void)restrict_reject(c,
				      sender ? p->code_unverified_sender_defer
					     : p->code_unverified_rcpt_defer,
				      sender ? "4.1.7" : "4.1.1", about,
				      "unverified address: %s",
				      buf_str(&said.text));
		v = restrict_tempfail(c, sender ? p->tempfail_unverified_sender
						: p->tempfail_unverified_rcpt);
	}
	buf_free(&said.text);
	return v;
}
