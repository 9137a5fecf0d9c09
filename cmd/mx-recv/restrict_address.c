/*
 * restrict_address.c - rules about sender and recipient: form, destination,
 * owner, whether they exist.  RFC 5321 2.3.5, RFC 6409 6.1; THREATS 15, 16,
 * 28.
 */
#include "restrict.h"

#include "dns.h"
#include "dns_link.h"
#include "link.h"
#include "log.h"
#include "mem.h"

/* The parsed address: rules never look at the client's text (THREATS 15). */
static const struct addr *
address_of(struct check *c, enum about about)
{
	return about == ABOUT_SENDER ? &c->s->sender : &c->s->rcpt;
}

/* At the end of the data no single recipient is in question. */
static bool
has_address(struct check *c, enum about about)
{
	return about == ABOUT_SENDER ? c->s->in_mail || c->s->sender.text.p
				     : c->s->rcpt.text.p != NULL;
}

RULE(restrict_non_fqdn)
{
	const struct addr *a = address_of(c, r->row->about);
	struct buf b = BUF_INIT;
	bool ok;

	if (!has_address(c, r->row->about) || a->null ||
	    (a->domain.n > 0 && a->domain.p[0] == '['))
		return V_DUNNO;
	/* RFC 5321 4.5.1: postmaster needs no domain. */
	ok = r->row->about == ABOUT_RECIPIENT && a->domain.n == 0 &&
	     span_iis(a->local, "postmaster");
	if (a->domain.n > 0 && dns_to_ascii(a->domain, &b))
		ok = b.n > 0 && span_chr(buf_span(&b), '.') > 0 &&
		     b.p[b.n - 1] != '.' && dns_valid_hostname(buf_span(&b));
	buf_free(&b);
	return ok ? V_DUNNO
		  : restrict_reject(c, c->s->conf->p.code_non_fqdn, "5.5.2",
				    r->row->about,
				    "need fully-qualified address");
}

/* ------- where mail may go */

enum table_result
restrict_is_ours(struct check *c, struct span domain)
{
	const struct conf *conf = c->s->conf;
	const struct match_list *lists[] = { conf->mydestination,
					     conf->virtual_alias_domains,
					     conf->virtual_mailbox_domains,
					     conf->relay_domains };
	struct err e = ERR_INIT;

	if (domain.n == 0)
		return TABLE_FOUND; /* it got $myorigin */
	if (domain.p[0] == '[') {
		struct span ip = span_sub(domain, 1, domain.n - 1);

		if (span_istarts(ip, SPAN("IPv6:")))
			ip = span_from(ip, 5);
		return span_iis(ip, c->s->conn->local_addr) ? TABLE_FOUND
							    : TABLE_NONE;
	}
	for (size_t i = 0; i < ARRAY_LEN(lists); i++)
		switch (match_lookup(lists[i], domain, &e)) {
		case TABLE_FOUND:
			return TABLE_FOUND;
		case TABLE_TRY_AGAIN:
			log_warn("%.*s: %s", SPAN_ARG(domain), e.text);
			return TABLE_TRY_AGAIN;
		case TABLE_NONE:
			break;
		}
	return TABLE_NONE;
}

/* THREATS 15: a second route inside the local part gives no right. */
static bool
is_routed(struct span local)
{
	return span_chr(local, '@') >= 0 || span_chr(local, '%') >= 0 ||
	       span_chr(local, '!') >= 0;
}

/* type 0: for good; 1: for now. */
RULE(restrict_unauth_destination)
{
	const struct addr *a = &c->s->rcpt;
	enum table_result ours;
	struct span t = buf_span(&c->s->rcpt_text);

	if (a->text.p == NULL && c->stage != STAGE_RELAY &&
	    c->stage != STAGE_RECIPIENT)
		return V_DUNNO;
	/* Nobody relays by who he says he is: the sender is not looked at
	 * (THREATS 16). */
	ours = restrict_is_ours(c, a->domain);
	if (ours == TABLE_FOUND && !is_routed(a->local))
		return V_DUNNO;
	if (ours == TABLE_TRY_AGAIN)
		return restrict_say(c, 451, "4.3.0",
				    "<%.*s>: Temporary lookup failure",
				    SPAN_ARG(t));
	return restrict_say(
	    c, r->row->type == 1 ? 454 : c->s->conf->p.code_relay, "5.7.1",
	    "<%.*s>: Relay access denied", SPAN_ARG(t));
}

RULE(restrict_permit_auth_destination)
{
	const struct addr *a = &c->s->rcpt;

	(void)r;
	return a->text.p != NULL &&
		       restrict_is_ours(c, a->domain) == TABLE_FOUND &&
		       !is_routed(a->local)
		   ? V_PERMIT
		   : V_DUNNO;
}

/* Is this host among the domain's MX? */
RULE(restrict_permit_mx_backup)
{
	const struct addr *a = &c->s->rcpt;
	struct dns_answer mx = { 0 };
	enum dns_status st;
	bool mine = false;

	(void)r;
	if (a->text.p == NULL || a->domain.n == 0 || a->domain.p[0] == '[' ||
	    is_routed(a->local))
		return V_DUNNO;
	if (restrict_is_ours(c, a->domain) == TABLE_FOUND)
		return V_PERMIT;
	st = dns_link_query(c->s, a->domain, DNS_MX, &mx);
	if (st == DNS_TEMP) {
		(void)restrict_reject(c, 450, "4.4.4", ABOUT_RECIPIENT,
				      "Unable to look up mail exchanger "
				      "information");
		return restrict_defer_if_permit(c);
	}
	for (size_t i = 0; st == DNS_OK && i < mx.n && !mine; i++)
		mine = span_iis(span_of(mx.v[i].text),
				c->s->conf->site.myhostname);
	dns_answer_free(&mx);
	return mine ? V_PERMIT : V_DUNNO;
}

/* ------- who may use which sender */

/* The owners of the sender address: a list of logins. */
static enum table_result
owners(struct check *c, struct strs *list, struct err *e)
{
	struct buf v = BUF_INIT;
	enum table_result t;

	t = tables_lookup_address(
	    &c->s->conf->sender_login_maps, buf_span(&c->s->sender_text),
	    c->s->conf->site.recipient_delimiter, true, &v, NULL, e);
	if (t == TABLE_FOUND)
		strs_split(list, buf_span(&v), ", \t");
	buf_free(&v);
	return t;
}

RULE(restrict_login_mismatch)
{
	const char *user = c->s->auth_user;
	int type = r->row->type;
	struct strs list = STRS_INIT;
	struct err e = ERR_INIT;
	enum verdict v = V_DUNNO;
	enum table_result t;

	if (c->s->conf->sender_login_maps.n == 0 || c->s->sender.null ||
	    !has_address(c, ABOUT_SENDER))
		return V_DUNNO;
	if (!(type & (user != NULL ? LOGIN_AUTH : LOGIN_UNAUTH)))
		return V_DUNNO;
	t = owners(c, &list, &e);
	if (t == TABLE_TRY_AGAIN)
		v = restrict_no_table(c, ABOUT_SENDER, &e);
	else if (user == NULL && t == TABLE_FOUND)
		v = restrict_reject(c, 553, "5.7.1", ABOUT_SENDER,
				    "not logged in");
	else if (user != NULL && !(t == TABLE_NONE && (type & LOGIN_KNOWN)) &&
		 !strs_ihas(&list, span_of(user)))
		v = restrict_reject(c, 553, "5.7.1", ABOUT_SENDER,
				    "not owned by user %s", user);
	strs_free(&list);
	return v;
}

/* ------- whether it exists */

/* Only of our own domains is it known; the delivery side says it. */
RULE(restrict_unlisted)
{
	enum about about = r->row->about;
	const struct addr *a = address_of(c, about);
	struct reply said;

	if (!has_address(c, about) || a->null)
		return V_DUNNO;
	switch (restrict_is_ours(c, a->domain)) {
	case TABLE_NONE:
		return V_DUNNO;
	case TABLE_TRY_AGAIN:
		return restrict_reject(c, 451, "4.3.0", about,
				       "Temporary lookup failure");
	case TABLE_FOUND:
		break;
	}
	said = link_verify(c->s, restrict_subject(c, about));
	if (said.code / 100 == 2) {
		buf_free(&said.text);
		return V_DUNNO;
	}
	if (said.code / 100 == 5 && about == ABOUT_SENDER)
		restrict_reject(c, said.code, "5.1.0", about, "User unknown");
	else if (said.code / 100 == 5)
		restrict_reject(c, session_unknown_code(c->s, a->domain),
				"5.1.1", about, "User unknown");
	else
		restrict_say(c, 451, "4.3.0", "%s", buf_str(&said.text));
	buf_free(&said.text);
	return V_REJECT;
}
