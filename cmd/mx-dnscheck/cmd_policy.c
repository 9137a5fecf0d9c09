/*
 * cmd_policy.c - mx-dnscheck policy: SPF and block lists as a Postfix policy
 * server, in the place of policyd-spf.  SMTPD_POLICY_README; RFC 7208 8;
 * RFC 7372; policyd-spf.conf(5).
 */
#include "auth.h"
#include "io.h"
#include "log.h"
#include "mem.h"
#include "num.h"
#include "policy_request.h"
#include "rbl.h"
#include "sandbox.h"
#include "site.h"
#include "status.h"
#include "table.h"
#include "word_conf.h"

#include <stdlib.h>

/* Words of policyd-spf.conf that mean nothing to us. */
static const char ignored_words[] =
    " debugLevel defaultSeedOnly TestOnly Hide_Receiver Lookup_Time Whitelist "
    "Domain_Whitelist Domain_Whitelist_PTR HELO_Whitelist No_Mail Mock "
    "Void_Limit Reason_Message Prospective SPF_Enhanced_Status_Codes "
    "Reject_Not_Pass_Domains HELO_pass_restriction Mail_From_pass_restriction "
    "CIDR_Whitelist localhost UserName Group PidFile ";

struct request {
	struct buf instance, client, client_name, helo, sender, login;
};
static struct {
	struct dns *dns;
	struct match_list *skip;
} p_state;

static void
request_free(struct request *r)
{
	struct buf *all[] = { &r->instance, &r->client, &r->client_name,
			      &r->helo,     &r->sender, &r->login };

	for (size_t i = 0; i < ARRAY_LEN(all); i++)
		buf_free(all[i]);
}

/* policyd-spf's words: what result is refused? */
static bool
refuses(const char *word, enum spf_code c, bool null_sender)
{
	if (strcasecmp(word, "SPF_Not_Pass") == 0)
		return c == SPF_FAIL || c == SPF_SOFTFAIL || c == SPF_NEUTRAL;
	if (strcasecmp(word, "Softfail") == 0)
		return c == SPF_FAIL || c == SPF_SOFTFAIL;
	if (strcasecmp(word, "Fail") == 0)
		return c == SPF_FAIL;
	if (strcasecmp(word, "Null") == 0)
		return c == SPF_FAIL && null_sender;
	return false;
}

static bool
unchecked(const char *word)
{
	return strcasecmp(word, "No_Check") == 0;
}

/* A verdict of one identity that refuses or defers; false: go on. */
static bool
refused(struct auth *a, const char *word, bool null_sender, struct buf *out)
{
	enum spf_code c = a->spf_code;
	const char *domain = buf_str(&a->spf.sender_domain);
	const char *what = a->sender[0] != '\0' ? "MAIL FROM" : "HELO";

	if (refuses(word, c, null_sender)) {
		if (a->spf.explanation.n > 0)
			buf_addf(out, "550 5.7.23 SPF %s (%s): %s", spf_word(c),
				 what, buf_str(&a->spf.explanation));
		else
			buf_addf(
			    out,
			    "550 5.7.23 SPF %s (%s): %s may not send for %s",
			    spf_word(c), what, a->spf.ip, domain);
		return true;
	}
	if (c == SPF_PERMERROR && params.spf_permerror_reject) {
		buf_addf(out, "550 5.7.24 SPF record of %s: %s", domain,
			 buf_str(&a->spf.reason));
		return true;
	}
	if (c == SPF_TEMPERROR && params.spf_temperror_defer) {
		buf_addf(out,
			 "DEFER_IF_PERMIT 4.7.24 SPF of %s cannot be asked now",
			 domain);
		return true;
	}
	return false;
}

static void
header(struct auth *a, struct buf *out)
{
	struct buf v = BUF_INIT;

	if (strcasecmp(params.spf_header_type, "none") == 0) {
		buf_addf(out, "DUNNO");
		return;
	}
	if (strcasecmp(params.spf_header_type, "ar") == 0) {
		auth_spf_result(a, &v);
		buf_addf(out, "PREPEND Authentication-Results: %s%s", a->id,
			 buf_str(&v));
	} else {
		auth_received_spf(a, &v);
		buf_addf(out, "PREPEND Received-SPF: %s", buf_str(&v));
	}
	buf_free(&v);
}

static void
identity(struct auth *a, struct request *r, const char *sender)
{
	struct envelope *env = &a->env;

	*a = (struct auth){ .dns = p_state.dns, .id = auth_id() };
	env->client_addr = mem_strdup(buf_str(&r->client));
	env->helo = mem_strdup(buf_str(&r->helo));
	env->sender = mem_strdup(sender);
	auth_spf(a);
}

/* HELO, then MAIL FROM; the field tells of the last that was looked at. */
static void
judge_spf(struct request *r, struct buf *out)
{
	struct auth a;
	bool helo = !unchecked(params.spf_helo_reject) && r->helo.n > 0,
	     mail = !unchecked(params.spf_mail_from_reject) && r->sender.n > 0;

	if (!helo && !mail) {
		buf_addf(out, "DUNNO");
		return;
	}
	if (helo) {
		identity(&a, r, "");
		if (refused(&a, params.spf_helo_reject, r->sender.n == 0,
			    out) ||
		    !mail) {
			if (out->n == 0)
				header(&a, out);
			auth_done(&a);
			return;
		}
		auth_done(&a);
	}
	identity(&a, r, buf_str(&r->sender));
	if (!refused(&a, params.spf_mail_from_reject, false, out))
		header(&a, out);
	auth_done(&a);
}

static bool
judge_rbl(struct request *r, struct buf *out)
{
	for (size_t i = 0; i < params.policy_rbl_domains.n; i++) {
		struct rbl x;
		bool listed;

		rbl_query(&x, p_state.dns, buf_str(&r->client),
			  params.policy_rbl_domains.v[i],
			  clock_deadline(CHECK_MS));
		listed = x.code == RBL_LISTED;
		if (listed)
			buf_addf(out,
				 "554 5.7.1 Service unavailable; Client "
				 "host [%s] blocked using %s; %s",
				 buf_str(&r->client),
				 params.policy_rbl_domains.v[i],
				 buf_str(&x.text));
		rbl_done(&x);
		if (listed)
			return true;
	}
	return false;
}

/* Logins and our own networks are not looked at.  TRY_AGAIN: cannot tell. */
static enum table_result
skipped(struct request *r, struct err *e)
{
	if (r->login.n > 0 || r->client.n == 0)
		return TABLE_FOUND;
	return match_lookup(p_state.skip, buf_span(&r->client), e);
}

/* Several recipients of one message get one answer, and the field once. */
struct memory {
	struct buf instance, answer;
};

static void
answer(struct request *r, struct memory *m, struct buf *out)
{
	struct err e = ERR_INIT;

	if (r->instance.n > 0 &&
	    span_eq(buf_span(&m->instance), buf_span(&r->instance))) {
		if (span_starts(buf_span(&m->answer), SPAN("PREPEND")))
			buf_adds(out, "DUNNO");
		else
			buf_addspan(out, buf_span(&m->answer));
		return;
	}
	switch (skipped(r, &e)) {
	case TABLE_FOUND:
		buf_addf(out, "DUNNO");
		break;
	case TABLE_NONE:
		if (!judge_rbl(r, out))
			judge_spf(r, out);
		break;
	default:
		/* one of ours must not be refused for good */
		log_warn("spf_skip_addresses: %s", e.text);
		buf_addf(out, "DEFER_IF_PERMIT 4.3.0 a table is away");
	}
	buf_clear(&m->instance);
	buf_addspan(&m->instance, buf_span(&r->instance));
	buf_clear(&m->answer);
	buf_addspan(&m->answer, buf_span(out));
}

static void
session(struct server *s, struct server_conn *c)
{
	struct request r = { 0 };
	struct memory m = { 0 };
	struct stream st;
	struct buf out = BUF_INIT;
	bool alive = true;
	struct policy_field f[] = {
		{ "instance", &r.instance, NULL },
		{ "client_address", &r.client, NULL },
		{ "client_name", &r.client_name, NULL },
		{ "helo_name", &r.helo, NULL },
		{ "sender", &r.sender, NULL },
		{ "sasl_username", &r.login, NULL },
	};

	dns_set_opener(p_state.dns, server_dns_socket, s);
	stream_init(&st, c->fd_in, c->fd_out);
	while (alive && !server_stopping(s) &&
	       policy_request_read(&st, f, ARRAY_LEN(f))) {
		buf_clear(&out);
		answer(&r, &m, &out);
		log_info("client=%s[%s], sender=%s, helo=%s: %s",
			 buf_str(&r.client_name), buf_str(&r.client),
			 buf_str(&r.sender), buf_str(&r.helo), buf_str(&out));
		alive = policy_request_answer(&st, buf_span(&out));
	}
	st.fd_in = st.fd_out = -1; /* the skeleton's */
	buf_free(&st.in);
	buf_free(&st.out);
	buf_free(&out);
	buf_free(&m.instance);
	buf_free(&m.answer);
	request_free(&r);
}

/* policyd-spf.conf: "NAME = VALUE". */
static int
take(void *ctx, struct span name, struct span v, struct err *e)
{
	struct {
		const char *name;
		char **at;
	} rows[] = { { "HELO_reject", &params.spf_helo_reject },
		     { "Mail_From_reject", &params.spf_mail_from_reject },
		     { "Header_Type", &params.spf_header_type },
		     { "Authserv_Id", &params.authserv_id } };
	struct {
		const char *name;
		bool *at;
	} flags[] = { { "PermError_reject", &params.spf_permerror_reject },
		      { "TempError_Defer", &params.spf_temperror_defer } };

	(void)ctx;
	if (span_starts(v, SPAN("=")))
		v = span_trim(span_from(v, 1));
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		if (!span_iis(name, rows[i].name))
			continue;
		free(*rows[i].at);
		*rows[i].at = mem_spandup(v);
		return 0;
	}
	for (size_t i = 0; i < ARRAY_LEN(flags); i++) {
		if (!span_iis(name, flags[i].name))
			continue;
		return num_bool(v, flags[i].at)
			   ? 0
			   : err_set(e, ST_CONFIG, "expected True or False");
	}
	if (span_iis(name, "skip_addresses")) {
		strs_clear(&params.spf_skip_addresses);
		strs_split(&params.spf_skip_addresses, v, ", \t");
		return 0;
	}
	return 1;
}

static int
before_drop(struct server *s, bool reload, struct err *e)
{
	struct strs servers = STRS_INIT;
	struct dns *dns;

	(void)reload;
	if (params.policyd_spf_conf[0] != '\0' &&
	    word_conf_read(params.policyd_spf_conf, ignored_words, take, NULL,
			   e) != 0)
		return -1;
	dns = dns_open(site.resolver, e);
	if (dns == NULL)
		return -1;
	match_free(p_state.skip);
	p_state.skip = match_networks(&params.spf_skip_addresses, e);
	if (p_state.skip == NULL) {
		dns_close(dns);
		return -1;
	}
	dns_close(p_state.dns);
	p_state.dns = dns;
	(void)dns_servers(dns, &servers);
	server_resolvers(s, &servers);
	strs_free(&servers);
	return 0;
}

int
cmd_policy(int argc, char **argv)
{
	static const struct server_mode mode = { .name = "policy",
						 .unix_mode = 0666 };
	struct server_spec spec = { .program = check_program,
				    .modes = &mode,
				    .nmodes = 1,
				    .user = mem_strdup(site.filter_user),
				    .sandbox = SANDBOX_STDIO,
				    .before_drop = before_drop,
				    .session = session };

	if (argc > 0)
		return prog_usage("policy: %s: unexpected", argv[0]);
	site_log_open("policy");
	opts.server.max_workers = params.process_limit;
	opts.server.max_use = 100;
	return server_run(&spec, &opts.server, NULL);
}
