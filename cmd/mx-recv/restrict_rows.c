/*
 * restrict_rows.c - the restrictions, a row each; those of a few lines stand
 * here.  Postfix smtpd/smtpd_check.c has the wording that users know.
 */
#include "restrict.h"

#include "dns.h"
#include "log.h"
#include "server.h"

#include <arpa/inet.h>
#include <unistd.h>

/* ------- everybody, nobody */

static RULE(permit)
{
	(void)c;
	(void)r;
	return V_PERMIT;
}

static RULE(reject)
{
	(void)r;
	return restrict_reject(c, c->s->conf->p.code_reject, "5.7.1",
			       restrict_about(c->stage), "Access denied");
}

static RULE(defer)
{
	(void)r;
	return restrict_reject(c, c->s->conf->p.code_defer, "4.7.1",
			       restrict_about(c->stage), "Access denied");
}

static RULE(defer_if_permit)
{
	(void)defer(c, r);
	return restrict_defer_if_permit(c);
}

static RULE(defer_if_reject)
{
	(void)defer(c, r);
	return restrict_defer_if_reject(c);
}

enum verdict
restrict_nothing(struct check *c, const struct rule *r)
{
	(void)c;
	(void)r;
	return V_DUNNO;
}

static RULE(pause_for)
{
	(void)c;
	if (!server_stopping(c->s->server))
		(void)sleep((unsigned)r->endpoint);
	return V_DUNNO;
}

/* ------- who the client is */

static RULE(permit_mynetworks)
{
	(void)r;
	/* THREATS 16 and DESIGN 3.1: without a peer, in no network. */
	return session_in_mynetworks(c->s) ? V_PERMIT : V_DUNNO;
}

/* The client speaks from the address that it speaks to. */
static RULE(permit_inet_interfaces)
{
	const struct server_conn *k = c->s->conn;

	(void)r;
	return k->has_peer && strcmp(k->addr, k->local_addr) == 0 ? V_PERMIT
								  : V_DUNNO;
}

static RULE(permit_sasl)
{
	(void)r;
	return c->s->auth_user != NULL ? V_PERMIT : V_DUNNO;
}

static RULE(permit_clientcerts)
{
	/* type 1: any verified one; 0: those of relay_clientcerts. */
	return session_client_cert(c->s, r->row->type == 1) ? V_PERMIT
							    : V_DUNNO;
}

static RULE(plaintext_session)
{
	(void)r;
	if (c->s->tls || session_is_local(c->s))
		return V_DUNNO;
	return restrict_reject(c, c->s->conf->p.code_plaintext, "5.7.1",
			       restrict_about(c->stage),
			       "Session encryption is required");
}

static RULE(unauth_pipelining)
{
	(void)r;
	if (!c->s->unauth_pipelining)
		return V_DUNNO;
	return restrict_reject(c, 503, "5.5.0", restrict_about(c->stage),
			       "Improper use of SMTP command pipelining");
}

/* RFC 5321 4.5.5: a bounce has one recipient. */
static RULE(multi_recipient_bounce)
{
	struct session *s = c->s;
	bool late = c->stage == STAGE_DATA || c->stage == STAGE_END;

	(void)r;
	if (!s->sender.null || s->rcpts < (late ? 2 : 1))
		return V_DUNNO;
	return restrict_reject(c, s->conf->p.code_multi_bounce, "5.5.3",
			       restrict_about(c->stage),
			       "Multi-recipient bounce");
}

/* ------- HELO */

/* "[192.0.2.1]", "[IPv6:2001:db8::1]" */
static bool
literal_valid(struct span name)
{
	struct span ip = span_sub(name, 1, name.n - 1);
	bool six = span_istarts(ip, SPAN("IPv6:"));
	unsigned char addr[16];
	char text[64];

	if (six)
		ip = span_from(ip, 5);
	if (name.p[name.n - 1] != ']' || ip.n == 0 || ip.n >= sizeof(text))
		return false;
	memcpy(text, ip.p, ip.n);
	text[ip.n] = '\0';
	return inet_pton(six ? AF_INET6 : AF_INET, text, addr) == 1;
}

static RULE(invalid_helo)
{
	struct span h = span_of(c->s->helo);
	bool literal = h.n > 2 && h.p[0] == '[';

	(void)r;
	if (c->s->helo == NULL ||
	    (literal ? literal_valid(h) : dns_valid_hostname(h)))
		return V_DUNNO;
	return restrict_reject(c, c->s->conf->p.code_invalid_name, "5.5.2",
			       ABOUT_HELO, "Invalid %s",
			       literal ? "address" : "name");
}

static RULE(non_fqdn_helo)
{
	struct span h = span_of(c->s->helo);

	(void)r;
	if (h.n == 0 || h.p[0] == '[' ||
	    (span_chr(h, '.') > 0 && h.p[h.n - 1] != '.' &&
	     dns_valid_hostname(h)))
		return V_DUNNO;
	return restrict_reject(c, c->s->conf->p.code_non_fqdn, "5.5.2",
			       ABOUT_HELO, "need fully-qualified hostname");
}

/* ------- the table */

#define ROW(NAME, ARG, FN, ABOUT, TYPE)                                        \
	{                                                                      \
		NAME, ARG, FN, ABOUT_##ABOUT, TYPE                             \
	}
#define PLAIN(NAME, FN) ROW(NAME, ARG_NONE, FN, CLIENT, 0)
/* check_X_a_access, check_X_mx_access, check_X_ns_access */
#define SERVERS(WHO, ABOUT)                                                    \
	ROW("check_" WHO "_a_access", ARG_TABLE, restrict_server_access,       \
	    ABOUT, DNS_A),                                                     \
	    ROW("check_" WHO "_mx_access", ARG_TABLE, restrict_server_access,  \
		ABOUT, DNS_MX),                                                \
	    ROW("check_" WHO "_ns_access", ARG_TABLE, restrict_server_access,  \
		ABOUT, DNS_NS)

const struct restriction restrict_rows[] = {
	PLAIN("permit", permit),
	PLAIN("reject", reject),
	PLAIN("defer", defer),
	PLAIN("defer_if_permit", defer_if_permit),
	PLAIN("defer_if_reject", defer_if_reject),
	PLAIN("warn_if_reject", restrict_nothing),
	ROW("sleep", ARG_NUMBER, pause_for, CLIENT, 0),

	PLAIN("permit_mynetworks", permit_mynetworks),
	PLAIN("permit_inet_interfaces", permit_inet_interfaces),
	PLAIN("permit_sasl_authenticated", permit_sasl),
	PLAIN("permit_tls_clientcerts", permit_clientcerts),
	ROW("permit_tls_all_clientcerts", ARG_NONE, permit_clientcerts, CLIENT,
	    1),
	PLAIN("reject_plaintext_session", plaintext_session),
	PLAIN("reject_unauth_pipelining", unauth_pipelining),
	PLAIN("reject_multi_recipient_bounce", multi_recipient_bounce),

	/* client */
	ROW("check_client_access", ARG_TABLE, restrict_client_access, CLIENT,
	    0),
	ROW("check_reverse_client_hostname_access", ARG_TABLE,
	    restrict_client_access, REVERSE, 0),
	SERVERS("client", CLIENT),
	SERVERS("reverse_client_hostname", REVERSE),
	ROW("check_ccert_access", ARG_TABLE, restrict_ccert_access, CCERT, 0),
	ROW("check_sasl_access", ARG_TABLE, restrict_login_access, LOGIN, 0),
	PLAIN("reject_unknown_client_hostname", restrict_unknown_name),
	PLAIN("reject_unknown_client", restrict_unknown_name),
	ROW("reject_unknown_reverse_client_hostname", ARG_NONE,
	    restrict_unknown_name, REVERSE, 1),
	ROW("reject_unknown_forward_client_hostname", ARG_NONE,
	    restrict_unknown_name, CLIENT, 2),
	ROW("reject_rbl_client", ARG_ZONE, restrict_rbl, CLIENT, 0),
	ROW("permit_dnswl_client", ARG_ZONE, restrict_dnswl, CLIENT, 0),
	ROW("reject_rhsbl_client", ARG_ZONE, restrict_rhsbl, CLIENT, 0),
	ROW("reject_rhsbl_reverse_client", ARG_ZONE, restrict_rhsbl, REVERSE,
	    0),
	ROW("permit_rhswl_client", ARG_ZONE, restrict_rhswl, CLIENT, 0),

	/* HELO */
	ROW("check_helo_access", ARG_TABLE, restrict_name_access, HELO, 0),
	SERVERS("helo", HELO),
	PLAIN("reject_invalid_helo_hostname", invalid_helo),
	PLAIN("reject_invalid_hostname", invalid_helo),
	PLAIN("reject_non_fqdn_helo_hostname", non_fqdn_helo),
	PLAIN("reject_non_fqdn_hostname", non_fqdn_helo),
	PLAIN("reject_unknown_helo_hostname", restrict_unknown_helo),
	PLAIN("reject_unknown_hostname", restrict_unknown_helo),
	ROW("reject_rhsbl_helo", ARG_ZONE, restrict_rhsbl, HELO, 0),

	/* sender */
	ROW("check_sender_access", ARG_TABLE, restrict_address_access, SENDER,
	    0),
	SERVERS("sender", SENDER),
	ROW("reject_non_fqdn_sender", ARG_NONE, restrict_non_fqdn, SENDER, 0),
	ROW("reject_unknown_sender_domain", ARG_NONE, restrict_unknown_domain,
	    SENDER, 0),
	ROW("reject_unknown_address", ARG_NONE, restrict_unknown_domain, SENDER,
	    0),
	ROW("reject_rhsbl_sender", ARG_ZONE, restrict_rhsbl, SENDER, 0),
	ROW("reject_unverified_sender", ARG_NONE, restrict_unverified, SENDER,
	    0),
	ROW("reject_unlisted_sender", ARG_NONE, restrict_unlisted, SENDER, 0),
	ROW("reject_sender_login_mismatch", ARG_NONE, restrict_login_mismatch,
	    SENDER, LOGIN_UNAUTH | LOGIN_AUTH),
	ROW("reject_authenticated_sender_login_mismatch", ARG_NONE,
	    restrict_login_mismatch, SENDER, LOGIN_AUTH),
	ROW("reject_unauthenticated_sender_login_mismatch", ARG_NONE,
	    restrict_login_mismatch, SENDER, LOGIN_UNAUTH),
	ROW("reject_known_sender_login_mismatch", ARG_NONE,
	    restrict_login_mismatch, SENDER,
	    LOGIN_UNAUTH | LOGIN_AUTH | LOGIN_KNOWN),

	/* recipient */
	ROW("check_recipient_access", ARG_TABLE, restrict_address_access,
	    RECIPIENT, 0),
	SERVERS("recipient", RECIPIENT),
	ROW("reject_non_fqdn_recipient", ARG_NONE, restrict_non_fqdn, RECIPIENT,
	    0),
	ROW("reject_unknown_recipient_domain", ARG_NONE,
	    restrict_unknown_domain, RECIPIENT, 0),
	ROW("reject_rhsbl_recipient", ARG_ZONE, restrict_rhsbl, RECIPIENT, 0),
	ROW("reject_unverified_recipient", ARG_NONE, restrict_unverified,
	    RECIPIENT, 0),
	ROW("reject_unlisted_recipient", ARG_NONE, restrict_unlisted, RECIPIENT,
	    0),
	ROW("check_recipient_maps", ARG_NONE, restrict_unlisted, RECIPIENT, 0),
	ROW("reject_unauth_destination", ARG_NONE, restrict_unauth_destination,
	    RECIPIENT, 0),
	ROW("check_relay_domains", ARG_NONE, restrict_unauth_destination,
	    RECIPIENT, 0),
	ROW("defer_unauth_destination", ARG_NONE, restrict_unauth_destination,
	    RECIPIENT, 1),
	PLAIN("permit_auth_destination", restrict_permit_auth_destination),
	PLAIN("permit_mx_backup", restrict_permit_mx_backup),

	ROW("check_policy_service", ARG_SERVER, restrict_policy, CLIENT, 0),
};
const size_t restrict_nrows = ARRAY_LEN(restrict_rows);
