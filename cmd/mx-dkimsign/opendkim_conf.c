/*
 * opendkim_conf.c - opendkim.conf as it is: what concerns signing is taken,
 * what concerns OpenDKIM's own workings is passed over, an unknown word is an
 * error.  opendkim.conf(5).
 */
#include "dkimsign.h"
#include "io.h"
#include "mem.h"
#include "num.h"
#include "status.h"
#include "word_conf.h"

#include <stdlib.h>

#define CONF_MAX (1u << 20)

/* Words that mean nothing to us. */
static const char ignored[] =
    " AllowSHA1Only AlwaysAddARHeader AuthservID AuthservIDWithJobID "
    "AutoRestart AutoRestartCount AutoRestartRate Background BaseDirectory "
    "BodyLengthDB BogusKey CaptureUnknownErrors ChangeRootDirectory "
    "ClockDrift Diagnostics DiagnosticDirectory DisableCryptoInit DNSConnect "
    "DNSTimeout DomainKeysCompat DontSignMailTo EnableCoredumps "
    "ExemptDomains ExternalIgnoreList FinalPolicyScript FixCRLF "
    "IdentityHeader IdentityHeaderRemove IgnoreMalformedMail KeepAuthResults "
    "KeepTemporaryFiles LDAPAuthMechanism LDAPAuthName LDAPAuthRealm "
    "LDAPAuthUser LDAPBindPassword LDAPBindUser LDAPDisableCache "
    "LDAPKeepaliveIdle LDAPKeepaliveInterval LDAPKeepaliveProbes LDAPTimeout "
    "LDAPUseTLS LogResults LogWhy MacroList MaximumHeaders "
    "MaximumSignaturesToVerify MaximumSignedBytes MilterDebug Minimum "
    "MinimumKeyBits MTA MTACommand MultipleSignatures MustBeSigned "
    "Nameservers NoHeaderB On-BadSignature On-Default On-DNSError "
    "On-InternalError On-KeyNotFound On-NoSignature On-PolicyError "
    "On-Security On-SignatureError PeerList PidFile POPDBFile Quarantine "
    "QueryCache RedirectFailuresTo RemoveARAll RemoveARFrom "
    "RemoveOldSignatures ReplaceHeaders ReplaceRules ReportAddress "
    "ReportBccAddress RequestReports RequiredHeaders RequireSafeKeys "
    "ResignAll ResignMailTo ResolverConfiguration ResolverTracing "
    "ScreenPolicyScript SelectCanonicalizationHeader SenderHeaders "
    "SenderMacro SendReports SetupPolicyScript SignatureAlgorithm SMTPURI "
    "SoftStart SoftwareHeader Statistics StatisticsName "
    "StatisticsPolicyScript StatisticsPrefix StrictHeaders StrictTestMode "
    "Syslog SyslogFacility SyslogName SyslogSuccess TemporaryDirectory "
    "TestDNSData TestPublicKeys TrustAnchorFile TrustSignaturesFrom UMask "
    "UnprotectedKey UserID VBR-Certifiers VBR-PurgeFields "
    "VBR-TrustedCertifiers VBR-TrustedCertifiersOnly VBR-Type "
    "WeakSyntaxChecks ";

static void
set(char **at, struct span v)
{
	free(*at);
	*at = mem_spandup(v);
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
		{ "Socket", &c->socket, false },
	};

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
	if (span_iis(name, "SubDomains")) {
		bool yes = false;

		if (!num_bool(v, &yes))
			return err_set(e, ST_CONFIG,
				       "SubDomains: expected "
				       "yes or no");
		c->exact_domain = !yes;
		return 0;
	}
	if (span_iis(name, "SignatureTTL")) {
		if (!num_i64(v, 0, INT32_MAX, &c->expire))
			return err_set(e, ST_CONFIG,
				       "SignatureTTL: expected seconds");
		return 0;
	}
	if (span_iis(name, "SignHeaders") ||
	    span_iis(name, "OversignHeaders") ||
	    span_iis(name, "OmitHeaders")) {
		struct strs *l =
		    span_iis(name, "SignHeaders")   ? &c->sign_headers
		    : span_iis(name, "OmitHeaders") ? &c->omit_headers
						    : &c->oversign_headers;

		strs_clear(l);
		strs_split(l, v, ", \t");
		return 0;
	}
	return 1;
}

int
opendkim_read(struct sign_conf *c, const char *path, struct err *e)
{
	/* opendkim's defaults, not ours */
	c->exact_domain = true;
	set(&c->dkim_canonicalization, SPAN("simple/simple"));
	set(&c->dkim_trusted_hosts, SPAN("csl:127.0.0.1,::1"));
	return word_conf_read(path, ignored, take, c, e);
}
