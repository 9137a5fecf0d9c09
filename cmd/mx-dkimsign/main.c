/*
 * main.c - mx-dkimsign: a filter that signs, and the maker of its keys.
 */
#include "dkimsign.h"
#include "clock.h"
#include "io.h"
#include "mem.h"
#include "num.h"
#include "serve.h"
#include "site.h"
#include "status.h"
#include "table.h"

#include <stdlib.h>
#include <unistd.h>

struct sign_options opts;

struct sign_conf conf;

#define O(LETTER, NAME, ARG, TYPE, MEMBER, MEANING)                            \
	{                                                                      \
		LETTER, NAME, ARG, OPT_##TYPE,                                 \
		    offsetof(struct sign_options, MEMBER), MEANING             \
	}

static const struct opt options[] = {
	O('d', "domain", "DOMAIN", STR, domain, "signing domain"),
	O('s', "selector", "SELECTOR", LIST, selectors,
	  "selector (one a key, or one for all)"),
	O('k', "key", "KEYFILE", LIST, keys, "private key in PEM; repeatable"),
	O('c', "canonicalization", "CANON", STR, canon,
	  "header/body: relaxed or simple; relaxed/relaxed"),
	O('H', "headers", "NAME:NAME", STR, headers,
	  "sign these fields instead of the default list"),
	O('i', "auid", "AUID", STR, auid, "i= of the signature"),
	O('t', "time", "EPOCH", STR, time, "t= (now)"),
	O('x', "expire", "SECONDS", STR, expire, "x= is so long behind t="),
	O(0, "header-only", NULL, FLAG, header_only,
	  "print the new fields alone"),
	O(0, "key-table", "FILE", STR, key_table, "OpenDKIM's KeyTable"),
	O(0, "signing-table", "FILE", STR, signing_table,
	  "OpenDKIM's SigningTable"),
	O(0, "trusted-hosts", "FILE", STR, trusted_hosts,
	  "sign for these clients and for logins only"),
	O(0, "opendkim-conf", "FILE", STR, opendkim_conf,
	  "sign as this opendkim.conf says"),
	O(0, "arc", NULL, FLAG, arc, "seal (ARC) instead of signing"),
	O(0, "authserv-id", "ID", STR, authserv_id,
	  "whose Authentication-Results go into the ARC set"),
	O(0, "genkey", NULL, FLAG, genkey, "make a key pair and its record"),
	O('b', "bits", "BITS", STR, bits, "size of an RSA key (2048)"),
	O('a', "algorithm", "ALG", STR, algorithm, "rsa or ed25519"),
	O('D', "directory", "DIR", STR, directory, "where keys are put"),
	O(0, "rotate", NULL, FLAG, rotate,
	  "the next key: made, waited for, switched to"),
	O(0, "force", NULL, FLAG, force, "rotate before it is due"),
	O(0, "dns-port", "PORT", STR, dns_port,
	  "of the name servers that --rotate asks, in the place of 53"),
	O(0, "testkey", NULL, FLAG, testkey, "does DNS hold this key?"),
	O(0, "milter", NULL, FLAG, milter,
	  "a server that signs for an MTA that speaks the milter protocol"),
	SERVER_OPT_ROWS(struct sign_options, server),
};

#define ROW(TYPE, MEMBER, DEF, MEANING)                                        \
	PARAM_ROW(struct sign_conf, TYPE, MEMBER, #MEMBER, DEF, 0, 0, NULL,    \
		  MEANING)

static const struct param rows[] = {
	ROW(LIST, dkim_domain, "",
	    "domains to sign for (their subdomains too) without tables"),
	ROW(STR, dkim_selector, "", "selector of dkim_key_file"),
	ROW(STR, dkim_key_file, "", "private key in PEM"),
	ROW(STR, dkim_key_table, "", "OpenDKIM's KeyTable"),
	ROW(STR, dkim_signing_table, "", "OpenDKIM's SigningTable"),
	ROW(STR, dkim_trusted_hosts, "",
	    "OpenDKIM's TrustedHosts: sign for these and for logins only"),
	ROW(STR, dkim_canonicalization, "relaxed/relaxed",
	    "header and body canonicalization"),
	ROW(STR, opendkim_conf, "",
	    "an opendkim.conf: what it says of signing counts"),
	ROW(TIME, dkim_rotate_after, "90d", "--rotate makes the next key then"),
	ROW(TIME, dkim_retire_after, "7d",
	    "--rotate gives up a key so long after its last signature"),
	ROW(STR, arc_domain, "",
	    "domain that --arc seals as; empty: nothing is sealed"),
	ROW(STR, arc_selector, "", "selector of arc_key_file"),
	ROW(STR, arc_key_file, "", "private key in PEM"),
	PARAM_ROW(struct sign_conf, INT, process_limit, "default_process_limit",
		  "100", 1, 5000, NULL, "--milter: most MTA links at once"),
	ROW(STR, authserv_id, "$myhostname",
	    "whose Authentication-Results go into the ARC set"),
};

/* Names of fields with colons between, From among them. */
static bool
headers_ok(const char *list)
{
	struct span s = span_of(list), w;
	bool from = false;

	while (span_split(&s, ':', &w)) {
		w = span_trim(w);
		if (w.n == 0)
			return false;
		for (size_t i = 0; i < w.n; i++) {
			if (w.p[i] <= 0x20 || w.p[i] >= 0x7f || w.p[i] == ';')
				return false;
		}
		from |= span_iis(w, "From");
	}
	return from;
}

/* Options that cannot be: 64, nothing written. */
int
sign_check_options(struct sign_plan *plan)
{
	const char *canon =
	    opts.canon ? opts.canon : conf.dkim_canonicalization;

	plan->conf = &conf;
	plan->expire = conf.expire;
	plan->time = clock_now();
	plan->headers = opts.headers;
	plan->header_only = opts.header_only;
	if (opts.algorithm != NULL)
		return prog_usage("-a is for --genkey: the key says how it "
				  "signs (rsa-sha1 is not made)");
	if (!dkim_canon_parse(span_of(canon), &plan->head, &plan->body))
		return prog_usage("-c %s: expected relaxed or simple, as in "
				  "relaxed/simple",
				  canon);
	if (opts.time != NULL &&
	    !num_i64(span_of(opts.time), 0, INT64_MAX / 2, &plan->time))
		return prog_usage("-t %s: expected seconds since 1970",
				  opts.time);
	if (opts.expire != NULL &&
	    !num_i64(span_of(opts.expire), 1, INT32_MAX, &plan->expire))
		return prog_usage("-x %s: expected seconds", opts.expire);
	if (opts.headers != NULL && !headers_ok(opts.headers))
		return prog_usage("-H %s: expected names of fields with colons "
				  "between, From among them (RFC 6376 5.4)",
				  opts.headers);
	if (opts.domain == NULL)
		return opts.keys.n + opts.selectors.n > 0 || opts.auid != NULL
			   ? prog_usage("-s, -k and -i need -d DOMAIN")
			   : ST_OK;
	if (!sign_domain_ok(opts.domain))
		return prog_usage("-d %s: expected a domain", opts.domain);
	for (size_t i = 0; i < opts.selectors.n; i++) {
		if (!sign_selector_ok(opts.selectors.v[i]))
			return prog_usage("-s %s: expected a selector",
					  opts.selectors.v[i]);
	}
	if (opts.keys.n == 0 || opts.selectors.n == 0 ||
	    (opts.selectors.n != 1 && opts.selectors.n != opts.keys.n))
		return prog_usage("-d needs -k KEYFILE and -s SELECTOR, as "
				  "many -s as -k or a single one");
	if (opts.auid != NULL && !sign_auid_inside(opts.auid, opts.domain))
		return prog_usage("-i %s is not inside -d %s", opts.auid,
				  opts.domain);
	return ST_OK;
}

static int
check_arc(void)
{
	struct span rest = span_of(opts.headers), w;

	if (opts.domain != NULL && opts.authserv_id == NULL)
		return prog_usage("--arc needs --authserv-id ID");
	if (opts.keys.n > 1)
		return prog_usage("--arc seals with one key");
	if (opts.auid != NULL || opts.expire != NULL)
		return prog_usage("-i and -x are not for --arc");
	while (opts.headers != NULL && span_split(&rest, ':', &w)) {
		w = span_trim(w);
		/* RFC 8617 4.1.2 */
		if (span_istarts(w, SPAN("ARC-")) ||
		    span_iis(w, "Authentication-Results"))
			return prog_usage("-H: %.*s must not be signed by ARC",
					  SPAN_ARG(w));
	}
	return ST_OK;
}

/* Signed are our own hosts' messages and our users' (opendkim's rule). */
static int
may_sign(bool *yes, struct err *e)
{
	const char *file =
	    opts.trusted_hosts ? opts.trusted_hosts : conf.dkim_trusted_hosts;
	struct envelope env;
	int r = 0;

	*yes = !conf.verify_only;
	envelope_from_env(&env);
	if (*yes && file[0] != '\0' && env.client_addr != NULL &&
	    env.client_addr[0] != '\0' &&
	    (env.auth_user == NULL || env.auth_user[0] == '\0'))
		r = keytable_trusted(file, env.client_addr, env.client_name,
				     yes, e);
	for (size_t i = 0;
	     r == 0 && *yes && conf.unsigned_to != NULL && i < env.recipients.n;
	     i++) {
		bool never = false;

		r = keytable_has(conf.unsigned_to, span_of(env.recipients.v[i]),
				 &never, e);
		*yes = !never;
	}
	envelope_free(&env);
	return r;
}

static int
sign(int argc, char **argv)
{
	struct sign_plan plan = { 0 };
	struct msg_load load;
	struct msg m;
	struct err e = ERR_INIT;
	const char *opendkim =
	    opts.opendkim_conf ? opts.opendkim_conf : conf.opendkim_conf;
	bool yes = false;
	int r;

	if (opendkim[0] != '\0' &&
	    opendkim_read(&conf, opendkim, NULL, &e) != 0)
		return prog_fail(&e);
	r = sign_check_options(&plan);
	if (argc > 0)
		return prog_usage("%s: unexpected: the message is read from "
				  "standard input",
				  argv[0]);
	if (r == ST_OK && opts.arc)
		r = check_arc();
	if (r != ST_OK)
		return r;
	if (msg_load(&load, STDIN_FILENO, 0, &e) != 0)
		return prog_fail(&e);
	msg_index(&m, load.bytes, 0);
	r = opts.arc ? plan_arc(&plan, &e) : may_sign(&yes, &e);
	if (r == 0 && !opts.arc && yes)
		r = plan_message(&plan, &m, &e);
	if (r == 0 && opts.arc)
		r = seal_message(
		    &plan, &m,
		    opts.authserv_id ? opts.authserv_id : conf.authserv_id, &e);
	else if (r == 0)
		r = sign_message(&plan, &m, &e);
	plan_free(&plan);
	msg_done(&m);
	msg_unload(&load);
	return r == 0 ? ST_OK : prog_fail(&e);
}

int
main(int argc, char **argv)
{
	const struct param_rows sets[] = { site_params,
					   { rows, ARRAY_LEN(rows), &conf } };
	const struct program p = {
		.name = "mx-dkimsign",
		.synopsis =
		    "mx-dkimsign -d DOMAIN -s SELECTOR -k KEYFILE < msg > msg\n"
		    "       mx-dkimsign --key-table FILE --signing-table FILE "
		    "[--trusted-hosts FILE] < msg > msg\n"
		    "       mx-dkimsign --arc --authserv-id ID -d DOMAIN "
		    "-s SELECTOR -k KEYFILE < msg > msg\n"
		    "       mx-dkimsign --genkey -d DOMAIN -s SELECTOR "
		    "[-b BITS] [-a ALG] [-D DIR]\n"
		    "       mx-dkimsign --rotate -d DOMAIN [-D DIR]\n"
		    "       mx-dkimsign --milter [--listen ENDPOINT]...\n"
		    "       mx-dkimsign --testkey -d DOMAIN -s SELECTOR "
		    "-k KEYFILE",
		.meaning = "sign a message, make and test keys",
		.opts = options,
		.nopts = ARRAY_LEN(options),
		.options = &opts,
		.filters = "",
		.params = sets,
		.nparams = ARRAY_LEN(sets),
	};
	int at = prog_start(&p, argc, argv, NULL);

	if (opts.genkey)
		return genkey();
	if (opts.rotate)
		return rotate();
	if (opts.testkey)
		return testkey();
	if (opts.milter)
		return sign_milter(&p);
	return prog.serve ? serve_loop(sign, argc - at, argv + at)
			  : sign(argc - at, argv + at);
}
