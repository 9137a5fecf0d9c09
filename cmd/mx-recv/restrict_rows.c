/*
 * restrict_rows.c - the restrictions, a row and a function each.
 * Postfix smtpd/smtpd_check.c has the wording that users know.
 */
#include "restrict.h"

#include "dns.h"
#include "dns_link.h"
#include "log.h"
#include "policy.h"

/* ------- everybody, nobody */

static enum verdict
r_permit(struct check *c, const struct rule *r)
{
	(void)c;
	(void)r;
	return V_PERMIT;
}

static enum verdict
r_reject(struct check *c, const struct rule *r)
{
	(void)r;
	return restrict_reject(c, 554, "5.7.1", "Access denied");
}

static enum verdict
r_defer(struct check *c, const struct rule *r)
{
	(void)r;
	return restrict_reject(c, 450, "4.7.1", "Access denied");
}

/* The loop in restrict.c knows it by name. */
static enum verdict
r_none(struct check *c, const struct rule *r)
{
	(void)c;
	(void)r;
	return V_DUNNO;
}

/* ------- who the client is */

static enum verdict
r_permit_mynetworks(struct check *c, const struct rule *r)
{
	(void)r;
	/* THREATS 16 and DESIGN 3.1: without a peer, in no network. */
	return session_in_mynetworks(c->s) ? V_PERMIT : V_DUNNO;
}

static enum verdict
r_permit_sasl(struct check *c, const struct rule *r)
{
	(void)r;
	return c->s->auth_user != NULL ? V_PERMIT : V_DUNNO;
}

static enum verdict
r_unauth_pipelining(struct check *c, const struct rule *r)
{
	(void)r;
	if (!c->s->unauth_pipelining)
		return V_DUNNO;
	return restrict_reject(c, 503, "5.5.0",
			       "Improper use of SMTP "
			       "command pipelining");
}

static enum verdict
r_unknown_client(struct check *c, const struct rule *r)
{
	(void)r;
	if (strcmp(c->s->client_name, "unknown") != 0)
		return V_DUNNO;
	return restrict_reject_as(c, 450, "4.7.25", STAGE_CLIENT,
				  "cannot find your hostname");
}

static enum verdict
r_unknown_reverse(struct check *c, const struct rule *r)
{
	(void)r;
	if (c->s->reverse_name != NULL)
		return V_DUNNO;
	return restrict_reject_as(c, 450, "4.7.25", STAGE_CLIENT,
				  "cannot find your reverse hostname");
}

/* ------- HELO */

/* An address literal, or a host name. */
static bool
helo_valid(struct span name)
{
	if (name.n > 2 && name.p[0] == '[' && name.p[name.n - 1] == ']')
		return true;
	return dns_valid_hostname(name);
}

static enum verdict
r_invalid_helo(struct check *c, const struct rule *r)
{
	(void)r;
	if (c->s->helo == NULL || helo_valid(span_of(c->s->helo)))
		return V_DUNNO;
	return restrict_reject_as(c, 501, "5.5.2", STAGE_HELO, "Invalid name");
}

static bool
fqdn(struct span name)
{
	return name.n > 0 && span_chr(name, '.') > 0 &&
	       name.p[name.n - 1] != '.' && dns_valid_hostname(name);
}

static enum verdict
r_nonfqdn_helo(struct check *c, const struct rule *r)
{
	struct span h = span_of(c->s->helo);

	(void)r;
	if (h.n == 0 || h.p[0] == '[' || fqdn(h))
		return V_DUNNO;
	return restrict_reject_as(c, 504, "5.5.2", STAGE_HELO,
				  "need fully-qualified hostname");
}

/* ------- addresses */

static bool
addr_fqdn(const struct addr *a)
{
	struct buf b = BUF_INIT;
	bool ok;

	if (a->null || (a->domain.n > 0 && a->domain.p[0] == '['))
		return true;
	ok = a->domain.n > 0 && dns_to_ascii(a->domain, &b) &&
	     fqdn(buf_span(&b));
	buf_free(&b);
	return ok;
}

static enum verdict
r_nonfqdn_sender(struct check *c, const struct rule *r)
{
	(void)r;
	if (addr_fqdn(&c->s->sender))
		return V_DUNNO;
	return restrict_reject_as(c, 504, "5.5.2", STAGE_SENDER,
				  "need fully-qualified address");
}

static enum verdict
r_nonfqdn_rcpt(struct check *c, const struct rule *r)
{
	const struct addr *a = &c->s->rcpt;

	(void)r;
	/* RFC 5321 4.5.1: postmaster needs no domain. */
	if (addr_fqdn(a) ||
	    (a->domain.n == 0 && span_iis(a->local, "postmaster")))
		return V_DUNNO;
	return restrict_reject_as(c, 504, "5.5.2", STAGE_RECIPIENT,
				  "need fully-qualified address");
}

/* Does mail for this domain have somewhere to go? */
static enum verdict
unknown_domain(struct check *c, struct span domain, enum stage about)
{
	enum dns_status st;

	if (domain.n == 0 || domain.p[0] == '[')
		return V_DUNNO;
	st = dns_link_mail_domain(c->s, domain);
	if (st == DNS_OK)
		return V_DUNNO;
	if (st == DNS_TEMP)
		return restrict_reject_as(
		    c, 450, about == STAGE_SENDER ? "4.1.8" : "4.1.2", about,
		    "Domain not found");
	return restrict_reject_as(c, 550,
				  about == STAGE_SENDER ? "5.1.8" : "5.1.2",
				  about, "Domain not found");
}

static enum verdict
r_unknown_sender(struct check *c, const struct rule *r)
{
	(void)r;
	return unknown_domain(c, c->s->sender.domain, STAGE_SENDER);
}

static enum verdict
r_unknown_rcpt(struct check *c, const struct rule *r)
{
	(void)r;
	return unknown_domain(c, c->s->rcpt.domain, STAGE_RECIPIENT);
}

/* ------- where mail may go */

enum home { HOME_YES, HOME_NO, HOME_TRY_AGAIN };

/* Is the recipient's domain one that we take mail for? */
static enum home
is_ours(struct check *c, struct span domain)
{
	const struct conf *conf = c->s->conf;
	const struct match_list *lists[] = { conf->mydestination,
					     conf->virtual_alias_domains,
					     conf->virtual_mailbox_domains,
					     conf->relay_domains };
	struct err e = ERR_INIT;

	if (domain.n == 0)
		return HOME_YES; /* it got $myorigin */
	if (domain.p[0] == '[') {
		struct span ip = span_sub(domain, 1, domain.n - 1);

		if (span_istarts(ip, SPAN("IPv6:")))
			ip = span_from(ip, 5);
		return span_iis(ip, c->s->conn->local_addr) ? HOME_YES
							    : HOME_NO;
	}
	for (size_t i = 0; i < ARRAY_LEN(lists); i++)
		switch (match_lookup(lists[i], domain, &e)) {
		case TABLE_FOUND:
			return HOME_YES;
		case TABLE_TRY_AGAIN:
			log_warn("%.*s: %s", SPAN_ARG(domain), e.text);
			return HOME_TRY_AGAIN;
		case TABLE_NONE:
			break;
		}
	return HOME_NO;
}

/* THREATS 15: a second route inside the local part gives no right. */
static bool
is_routed(struct span local)
{
	return span_chr(local, '@') >= 0 || span_chr(local, '%') >= 0 ||
	       span_chr(local, '!') >= 0;
}

static enum verdict
relay_check(struct check *c, int code, const char *esc)
{
	const struct addr *a = &c->s->rcpt;
	enum home h = is_ours(c, a->domain);
	struct span t = buf_span(&c->s->rcpt_text);

	if (h == HOME_YES && !is_routed(a->local))
		return V_DUNNO;
	buf_free(&c->reply.text);
	if (h == HOME_TRY_AGAIN)
		c->reply =
		    reply_make(451, "4.3.0", "<%.*s>: Temporary lookup failure",
			       SPAN_ARG(t));
	else
		c->reply = reply_make(code, esc, "<%.*s>: Relay access denied",
				      SPAN_ARG(t));
	return V_REJECT;
}

static enum verdict
r_unauth_destination(struct check *c, const struct rule *r)
{
	(void)r;
	return relay_check(c, 554, "5.7.1");
}

static enum verdict
r_defer_unauth(struct check *c, const struct rule *r)
{
	(void)r;
	return relay_check(c, 454, "4.7.1");
}

static enum verdict
r_permit_auth_dest(struct check *c, const struct rule *r)
{
	const struct addr *a = &c->s->rcpt;

	(void)r;
	return is_ours(c, a->domain) == HOME_YES && !is_routed(a->local)
		   ? V_PERMIT
		   : V_DUNNO;
}

/* ------- who may use which sender (RFC 6409 6.1) */

/* The owners of the sender address: a list of logins. */
static enum table_result
owners(struct check *c, struct strs *list)
{
	struct buf v = BUF_INIT;
	struct err e = ERR_INIT;
	enum table_result t;

	t = tables_lookup_address(&c->s->conf->sender_login_maps,
				  buf_span(&c->s->sender_text), "+", true, &v,
				  NULL, &e);
	if (t == TABLE_FOUND)
		strs_split(list, buf_span(&v), ", \t");
	else if (t == TABLE_TRY_AGAIN)
		log_warn("smtpd_sender_login_maps: %s", e.text);
	buf_free(&v);
	return t;
}

static enum verdict
r_login_mismatch(struct check *c, const struct rule *r)
{
	const char *user = c->s->auth_user;
	struct strs list = STRS_INIT;
	enum verdict v = V_DUNNO;

	(void)r;
	if (c->s->conf->sender_login_maps.n == 0 || c->s->sender.null)
		return V_DUNNO;
	switch (owners(c, &list)) {
	case TABLE_TRY_AGAIN:
		v = restrict_reject_as(c, 451, "4.3.0", STAGE_SENDER,
				       "Temporary lookup failure");
		break;
	case TABLE_FOUND:
		if (user == NULL)
			v = restrict_reject_as(c, 553, "5.7.1", STAGE_SENDER,
					       "not logged in");
		else if (!strs_ihas(&list, span_of(user)))
			v = restrict_reject_as(c, 553, "5.7.1", STAGE_SENDER,
					       "not owned by user");
		break;
	case TABLE_NONE:
		if (user != NULL)
			v = restrict_reject_as(c, 553, "5.7.1", STAGE_SENDER,
					       "not owned by user");
		break;
	}
	strs_free(&list);
	return v;
}

/* ------- tables */

static enum verdict
table_verdict(struct check *c, enum stage about, enum table_result t,
	      const struct buf *v, const struct err *e)
{
	switch (t) {
	case TABLE_FOUND:
		return restrict_action(c, about, buf_span(v));
	case TABLE_TRY_AGAIN:
		log_warn("%s", e->text);
		return restrict_reject_as(c, 451, "4.3.5", about,
					  "Server configuration error");
	case TABLE_NONE:
		break;
	}
	return V_DUNNO;
}

static enum verdict
r_client_access(struct check *c, const struct rule *r)
{
	struct span addr = span_of(c->s->conn->addr);
	struct buf v = BUF_INIT;
	struct err e = ERR_INIT;
	enum table_result t = TABLE_NONE;

	if (strcmp(c->s->client_name, "unknown") != 0)
		t = tables_lookup_domain(&r->table, span_of(c->s->client_name),
					 &v, &e);
	/* access(5): the address, then its networks at byte borders. */
	while (t == TABLE_NONE && addr.n > 0) {
		ssize_t dot;

		t = tables_lookup(&r->table, addr, &v, &e);
		dot = span_rchr(addr, span_chr(addr, ':') >= 0 ? ':' : '.');
		addr.n = dot > 0 ? (size_t)dot : 0;
	}
	enum verdict k = table_verdict(c, STAGE_CLIENT, t, &v, &e);

	buf_free(&v);
	return k;
}

static enum verdict
r_helo_access(struct check *c, const struct rule *r)
{
	struct buf v = BUF_INIT;
	struct err e = ERR_INIT;
	enum verdict k = V_DUNNO;

	if (c->s->helo != NULL)
		k = table_verdict(c, STAGE_HELO,
				  tables_lookup_domain(
				      &r->table, span_of(c->s->helo), &v, &e),
				  &v, &e);
	buf_free(&v);
	return k;
}

/* access(5): user@domain, domain and its parents, user@. */
static enum verdict
address_access(struct check *c, const struct rule *r, enum stage about,
	       const struct addr *a, struct span text)
{
	struct buf v = BUF_INIT, user = BUF_INIT;
	struct err e = ERR_INIT;
	enum table_result t;

	/* smtpd_null_access_lookup_key */
	t = tables_lookup(&r->table, a->null ? SPAN("<>") : text, &v, &e);
	if (t == TABLE_NONE && a->domain.n > 0)
		t = tables_lookup_domain(&r->table, a->domain, &v, &e);
	if (t == TABLE_NONE && !a->null) {
		buf_addf(&user, "%.*s@", SPAN_ARG(a->local));
		t = tables_lookup(&r->table, buf_span(&user), &v, &e);
	}
	enum verdict k = table_verdict(c, about, t, &v, &e);

	buf_free(&v);
	buf_free(&user);
	return k;
}

static enum verdict
r_sender_access(struct check *c, const struct rule *r)
{
	return address_access(c, r, STAGE_SENDER, &c->s->sender,
			      buf_span(&c->s->sender_text));
}

static enum verdict
r_recipient_access(struct check *c, const struct rule *r)
{
	return address_access(c, r, STAGE_RECIPIENT, &c->s->rcpt,
			      buf_span(&c->s->rcpt_text));
}

/* ------- others to ask */

static enum verdict
r_rbl_client(struct check *c, const struct rule *r)
{
	struct buf why = BUF_INIT;
	enum verdict v = V_DUNNO;

	/* THREATS 71: a list that does not answer lists nobody. */
	if (dns_link_listed(c->s, r->arg, &why)) {
		buf_free(&c->reply.text);
		c->reply = reply_make(
		    554, "5.7.1",
		    "Service unavailable; Client host [%s] blocked using "
		    "%s%s%s",
		    c->s->conn->addr, r->arg, why.n > 0 ? "; " : "",
		    buf_str(&why));
		v = V_REJECT;
	}
	buf_free(&why);
	return v;
}

static enum verdict
r_policy(struct check *c, const struct rule *r)
{
	struct buf action = BUF_INIT;
	enum verdict v;

	if (policy_ask(c, r, &action))
		v = restrict_action(c, c->stage, buf_span(&action));
	else
		v = restrict_reject(c, 451, "4.3.5",
				    "Server configuration problem");
	buf_free(&action);
	return v;
}

#define ROW(NAME, FN)                                                          \
	{                                                                      \
		NAME, false, false, false, FN                                  \
	}
#define ROW_TABLE(NAME, FN)                                                    \
	{                                                                      \
		NAME, true, true, false, FN                                    \
	}

const struct restriction restrict_rows[] = {
	ROW("permit", r_permit),
	ROW("reject", r_reject),
	ROW("defer", r_defer),
	ROW("warn_if_reject", r_none),
	ROW("permit_mynetworks", r_permit_mynetworks),
	ROW("permit_sasl_authenticated", r_permit_sasl),
	ROW("permit_auth_destination", r_permit_auth_dest),
	ROW("reject_unauth_destination", r_unauth_destination),
	ROW("defer_unauth_destination", r_defer_unauth),
	ROW("reject_unauth_pipelining", r_unauth_pipelining),
	ROW("reject_unknown_client_hostname", r_unknown_client),
	ROW("reject_unknown_reverse_client_hostname", r_unknown_reverse),
	ROW("reject_invalid_helo_hostname", r_invalid_helo),
	ROW("reject_non_fqdn_helo_hostname", r_nonfqdn_helo),
	ROW("reject_non_fqdn_sender", r_nonfqdn_sender),
	ROW("reject_non_fqdn_recipient", r_nonfqdn_rcpt),
	ROW("reject_unknown_sender_domain", r_unknown_sender),
	ROW("reject_unknown_recipient_domain", r_unknown_rcpt),
	ROW("reject_sender_login_mismatch", r_login_mismatch),
	ROW_TABLE("check_client_access", r_client_access),
	ROW_TABLE("check_helo_access", r_helo_access),
	ROW_TABLE("check_sender_access", r_sender_access),
	ROW_TABLE("check_recipient_access", r_recipient_access),
	{ "reject_rbl_client", true, false, false, r_rbl_client },
	{ "check_policy_service", true, false, true, r_policy },
};
const size_t restrict_nrows = ARRAY_LEN(restrict_rows);
