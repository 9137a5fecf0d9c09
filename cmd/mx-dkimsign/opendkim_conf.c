/*
 * opendkim_conf.c - opendkim.conf as it is: what concerns signing is acted on,
 * how OpenDKIM's own process lives is passed over, the rest is said not to
 * count, and why; an unknown word is an error.  opendkim.conf(5).
 */
#include "dkimsign.h"
#include "io.h"
#include "mem.h"
#include "num.h"
#include "status.h"
#include "word_conf.h"

#include <stdlib.h>

#define CONF_MAX (1u << 20)

/* How OpenDKIM's own process lives: ours is the monitor's and the sandbox's
 * business. */
static const char process_words[] =
    " AutoRestart AutoRestartCount AutoRestartRate Background "
    "CaptureUnknownErrors Diagnostics DiagnosticDirectory DisableCryptoInit "
    "DNSConnect EnableCoredumps KeepTemporaryFiles Minimum MilterDebug "
    "NoHeaderB PidFile QueryCache SoftStart StrictTestMode Syslog SyslogName "
    "SyslogSuccess TemporaryDirectory TestDNSData TestPublicKeys "
    "UnprotectedKey BogusKey WeakSyntaxChecks ";

/* Words that do not count here, and why; one that is off says nothing. */
static const struct {
	const char *why, *words;
} left_out[] = {
	{ "mx-dnscheck --milter verifies; its parameters, or an "
	  "opendmarc.conf, say how",
	  " AllowSHA1Only AlwaysAddARHeader AuthservID AuthservIDWithJobID "
	  "ClockDrift DNSTimeout ExternalIgnoreList IgnoreMalformedMail "
	  "KeepAuthResults LogResults MaximumHeaders "
	  "MaximumSignaturesToVerify MinimumKeyBits MustBeSigned Nameservers "
	  "On-BadSignature On-Default On-DNSError On-InternalError "
	  "On-KeyNotFound On-NoSignature On-PolicyError On-Security "
	  "On-SignatureError Quarantine RedirectFailuresTo RemoveARAll "
	  "RemoveARFrom RequiredHeaders ResolverConfiguration "
	  "ResolverTracing StrictHeaders TrustAnchorFile "
	  "TrustSignaturesFrom " },
	{ "failure reports are made by mx-dnscheck and mx-report",
	  " ReportAddress ReportBccAddress RequestReports SendReports "
	  "SMTPURI MTACommand " },
	{ "whole bodies are signed, or a sender's mail could be added to",
	  " BodyLengthDB MaximumSignedBytes " },
	{ "what is forwarded is sealed by mx-dkimsign --arc",
	  " ResignAll ResignMailTo " },
	{ "tables are files here",
	  " LDAPAuthMechanism LDAPAuthName LDAPAuthRealm LDAPAuthUser "
	  "LDAPBindPassword LDAPBindUser LDAPDisableCache "
	  "LDAPKeepaliveIdle LDAPKeepaliveInterval LDAPKeepaliveProbes "
	  "LDAPTimeout LDAPUseTLS " },
	{ "no scripts are run: mx-filter has Sieve and header checks",
	  " FinalPolicyScript ScreenPolicyScript SetupPolicyScript "
	  "StatisticsPolicyScript ReplaceHeaders ReplaceRules " },
	{ "logins are told by the MTA ({auth_authen})", " POPDBFile " },
	{ "no statistics are kept: the log says what was signed",
	  " Statistics StatisticsName StatisticsPrefix " },
	{ "workers are in a sandbox (Landlock, seccomp) instead",
	  " ChangeRootDirectory " },
	{ "the log goes to facility mail", " SyslogFacility " },
	{ "it is an experiment of OpenDKIM's, or of the past",
	  " DomainKeysCompat FixCRLF IdentityHeader IdentityHeaderRemove "
	  "SelectCanonicalizationHeader SenderMacro VBR-Certifiers "
	  "VBR-PurgeFields VBR-TrustedCertifiers VBR-TrustedCertifiersOnly "
	  "VBR-Type " },
};

static void (*say_to)(const char *);
static const char *conf_path;

static void
set(char **at, struct span v)
{
	free(*at);
	*at = mem_spandup(v);
}

static void
forget(char **at)
{
	free(*at);
	*at = NULL;
}

/* A dataset: a file as it is, a list as "csl:". */
static void
set_dataset(char **at, struct span v)
{
	static const char *const kinds[] = { "file:", "refile:", "csl:" };
	struct buf b = BUF_INIT;
	bool named = v.n > 0 && v.p[0] == '/';

	for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
		named |= span_starts(v, span_of(kinds[i]));
	buf_adds(&b, named ? "" : "csl:");
	buf_addspan(&b, v);
	free(*at);
	*at = buf_steal(&b);
}

static int
set_domains(struct sign_conf *c, struct span v, struct err *e)
{
	struct buf b = BUF_INIT;
	struct span line, word, rest;
	char *path;
	int r = 0;

	strs_clear(&c->dkim_domain);
	if (v.n == 0 || (v.p[0] != '/' && !span_starts(v, SPAN("file:")) &&
			 !span_starts(v, SPAN("refile:")))) {
		strs_split(&c->dkim_domain, v, ", \t");
		return 0;
	}
	path = mem_spandup(
	    v.p[0] == '/' ? v : span_from(v, (size_t)span_chr(v, ':') + 1));
	r = io_read_file(path, &b, CONF_MAX, e);
	rest = buf_span(&b);
	while (r == 0 && span_split(&rest, '\n', &line))
		if (span_word(&line, " \t\r", &word) && word.p[0] != '#')
			strs_addspan(&c->dkim_domain, word);
	buf_free(&b);
	free(path);
	return r;
}

/* 1: OpenDKIM does not know it, either. */
static int
leave_out(struct span name, struct span v)
{
	bool on = true;
	char *text;

	if (word_conf_has(process_words, name))
		return 0;
	for (size_t i = 0; i < ARRAY_LEN(left_out); i++) {
		if (!word_conf_has(left_out[i].words, name))
			continue;
		if (say_to == NULL || (num_bool(v, &on) && !on))
			return 0;
		text = mem_printf("%s: %.*s does not count: %s", conf_path,
				  SPAN_ARG(name), left_out[i].why);
		say_to(text);
		free(text);
		return 0;
	}
	return 1;
}

/* The key says which; RFC 8301 3.1 */
static int
take_algorithm(struct span v, struct err *e)
{
	if (!span_iis(v, "rsa-sha1"))
		return 0;
	return err_set(e, ST_CONFIG,
		       "SignatureAlgorithm: rsa-sha1 is not made (RFC 8301): "
		       "rsa-sha256 is expected");
}

static int
take_lists(struct sign_conf *c, struct span name, struct span v)
{
	struct {
		const char *name;
		struct strs *at;
	} rows[] = {
		{ "SignHeaders", &c->sign_headers },
		{ "OversignHeaders", &c->oversign_headers },
		{ "OmitHeaders", &c->omit_headers },
		{ "SenderHeaders", &c->sender_headers },
		{ "MacroList", &c->macros },
		{ "MTA", &c->mtas },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		if (!span_iis(name, rows[i].name))
			continue;
		if (span_istarts(v, SPAN("csl:")))
			v = span_from(v, 4);
		strs_clear(rows[i].at);
		strs_split(rows[i].at, v, ", \t");
		return 0;
	}
	return 1;
}

static int
take_bools(struct sign_conf *c, struct span name, struct span v, struct err *e)
{
	struct {
		const char *name;
		bool *at, turned;
	} rows[] = {
		{ "SubDomains", &c->exact_domain, true },
		{ "MultipleSignatures", &c->all_signers, false },
		{ "RequireSafeKeys", &c->unsafe_keys, true },
		{ "RemoveOldSignatures", &c->remove_old, false },
		{ "SoftwareHeader", &c->software_header, false },
		{ "LogWhy", &c->log_why, false },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		bool yes = false;

		if (!span_iis(name, rows[i].name))
			continue;
		if (!num_bool(v, &yes))
			return err_set(e, ST_CONFIG, "%s: expected yes or no",
				       rows[i].name);
		*rows[i].at = yes != rows[i].turned;
		return 0;
	}
	return 1;
}

/* One "Name value"; 1: not ours. */
static int
take(void *ctx, struct span name, struct span v, struct err *e)
{
	struct sign_conf *c = ctx;
	struct {
		const char *name;
		char **at;
		bool dataset;
	} rows[] = {
		{ "Selector", &c->dkim_selector, false },
		{ "KeyFile", &c->dkim_key_file, false },
		{ "KeyTable", &c->dkim_key_table, false },
		{ "SigningTable", &c->dkim_signing_table, false },
		{ "InternalHosts", &c->dkim_trusted_hosts, true },
		{ "TrustedHosts", &c->dkim_trusted_hosts, true },
		{ "Canonicalization", &c->dkim_canonicalization, false },
		{ "PeerList", &c->peers, true },
		{ "DontSignMailTo", &c->unsigned_to, true },
		{ "ExemptDomains", &c->exempt, true },
	};
	int r;

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		if (!span_iis(name, rows[i].name))
			continue;
		if (rows[i].dataset)
			set_dataset(rows[i].at, v);
		else
			set(rows[i].at, v);
		return 0;
	}
	if (span_iis(name, "Domain"))
		return set_domains(c, v, e);
	if (span_iis(name, "Mode")) {
		c->verify_only = span_chr(v, 's') < 0;
		return 0;
	}
	if (span_iis(name, "SignatureTTL")) {
		if (!num_i64(v, 0, INT32_MAX, &c->expire))
			return err_set(e, ST_CONFIG,
				       "SignatureTTL: expected seconds");
		return 0;
	}
	if (span_iis(name, "SignatureAlgorithm"))
		return take_algorithm(v, e);
	r = milter_process_word(&c->process, name, v, e);
	if (r == 1)
		r = take_lists(c, name, v);
	if (r == 1)
		r = take_bools(c, name, v, e);
	return r == 1 ? leave_out(name, v) : r;
}

int
opendkim_read(struct sign_conf *c, const char *path,
	      void (*say)(const char *sentence), struct err *e)
{
	say_to = say;
	conf_path = path;
	/* What an older state of the file said is gone when it is read again.
	 */
	strs_clear(&c->sign_headers);
	strs_clear(&c->oversign_headers);
	strs_clear(&c->omit_headers);
	strs_clear(&c->sender_headers);
	strs_clear(&c->macros);
	strs_clear(&c->mtas);
	forget(&c->peers);
	forget(&c->unsigned_to);
	forget(&c->exempt);
	c->expire = 0;
	/* opendkim's defaults, not ours */
	c->exact_domain = true;
	c->safe_keys = true;
	c->unsafe_keys = c->all_signers = c->remove_old = false;
	c->software_header = c->log_why = c->verify_only = false;
	set(&c->dkim_canonicalization, SPAN("simple/simple"));
	set(&c->dkim_trusted_hosts, SPAN("csl:127.0.0.1,::1"));
	return word_conf_read(path, "", take, c, e);
}
