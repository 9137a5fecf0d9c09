/*
 * auth_lists.c - whom DMARC leaves alone, whose results it believes, and
 * opendmarc.conf, which says both.  opendmarc.conf(5).
 */
#include "auth.h"
#include "authres.h"
#include "io.h"
#include "mem.h"
#include "num.h"
#include "site.h"
#include "status.h"
#include "table.h"
#include "word_conf.h"

#include <stdlib.h>
#include <unistd.h>

/* Words that mean nothing to us. */
static const char ignored_words[] =
    " AuthservIDWithJobID AutoRestart AutoRestartCount AutoRestartRate "
    "Background BaseDirectory ChangeRootDirectory CopyFailuresTo "
    "DomainWhitelist DomainWhitelistFile DomainWhitelistSize DNSTimeout "
    "EnableCoredumps FailureReports FailureReportsBcc FailureReportsOnNone "
    "FailureReportsSentBy HoldQuarantinedMessages IgnoreMailTo MilterDebug "
    "PidFile PublicSuffixList RecordAllMessages RejectMultiValueFrom "
    "RejectString ReportCommand RequiredHeaders Socket SoftwareHeader "
    "SPFIgnoreResults SPFSelfValidate Syslog SyslogFacility UMask UserID ";

static int
set_bool(bool *at, struct span v, struct err *e)
{
	if (num_bool(v, at))
		return 0;
	return err_set(e, ST_CONFIG, "expected true or false");
}

static void
set_list(struct strs *l, struct span v)
{
	strs_clear(l);
	strs_split(l, v, ", \t");
}

static int
take(void *ctx, struct span name, struct span v, struct err *e)
{
	struct {
		const char *name;
		char **at;
	} texts[] = { { "AuthservID", &params.authserv_id },
		      { "HistoryFile", &params.dmarc_history_file } };
	struct {
		const char *name;
		struct strs *at;
	} lists[] = {
		{ "IgnoreHosts", &params.dmarc_ignore_hosts },
		{ "IgnoreMailFrom", &params.dmarc_ignore_mail_from },
		{ "TrustedAuthservIDs", &params.dmarc_trusted_authserv_ids },
	};

	(void)ctx;
	for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
		if (!span_iis(name, texts[i].name))
			continue;
		free(*texts[i].at);
		*texts[i].at = span_is(v, "HOSTNAME")
				   ? mem_strdup(site.myhostname)
				   : mem_spandup(v);
		return 0;
	}
	for (size_t i = 0; i < ARRAY_LEN(lists); i++) {
		if (!span_iis(name, lists[i].name))
			continue;
		set_list(lists[i].at, v);
		return 0;
	}
	if (span_iis(name, "RejectFailures"))
		return set_bool(&params.dmarc_reject_failures, v, e);
	if (span_iis(name, "IgnoreAuthenticatedClients"))
		return set_bool(&params.dmarc_ignore_authenticated, v, e);
	return 1;
}

int
auth_configure(struct err *e)
{
	if (params.opendmarc_conf[0] == '\0')
		return 0;
	/* its own default */
	if (params.dmarc_ignore_hosts.n == 0)
		strs_add(&params.dmarc_ignore_hosts, "127.0.0.1");
	return word_conf_read(params.opendmarc_conf, ignored_words, take, NULL,
			      e);
}

/* An address, a network, a name, .domain. */
static bool
word_matches(struct span w, struct span ip, struct span name)
{
	if (w.n == 0)
		return false;
	if (ip.n > 0 &&
	    (span_is(w, "localhost")
		 ? match_cidr(SPAN("127.0.0.0/8"), ip) || span_is(ip, "::1")
		 : match_cidr(w, ip)))
		return true;
	if (name.n == 0)
		return false;
	return span_ieq(w, name) || (w.p[0] == '.' && span_iends(name, w));
}

/* The words, and the lines of /files among them. */
static int
host_listed(const struct strs *l, struct span ip, struct span name, bool *yes,
	    struct err *e)
{
	for (size_t i = 0; i < l->n && !*yes; i++) {
		struct buf b = BUF_INIT;
		struct span rest, line, w;

		if (l->v[i][0] != '/') {
			*yes = word_matches(span_of(l->v[i]), ip, name);
			continue;
		}
		if (io_read_file(l->v[i], &b, 1 << 20, e) != 0)
			return -1;
		rest = buf_span(&b);
		while (!*yes && span_split(&rest, '\n', &line))
			if (span_word(&line, " \t\r", &w) && w.p[0] != '#')
				*yes = word_matches(w, ip, name);
		buf_free(&b);
	}
	return 0;
}

int
auth_ignores(const struct auth *a, bool *yes, struct err *e)
{
	const struct envelope *env = &a->env;

	*yes = params.dmarc_ignore_authenticated && env->auth_user != NULL &&
	       env->auth_user[0] != '\0';
	for (size_t i = 0; i < a->from.n; i++)
		*yes |= strs_ihas(&params.dmarc_ignore_mail_from,
				  span_of(a->from.v[i]));
	if (env->client_addr == NULL || env->client_addr[0] == '\0')
		return 0;
	return host_listed(&params.dmarc_ignore_hosts,
			   span_of(env->client_addr), span_of(env->client_name),
			   yes, e);
}

static bool
is_trusted(const struct msg_field *f)
{
	for (size_t i = 0; i < params.dmarc_trusted_authserv_ids.n; i++) {
		const char *id = params.dmarc_trusted_authserv_ids.v[i];

		if (strcmp(id, "HOSTNAME") == 0)
			id = site.myhostname;
		if (authres_is_from(f->value, id))
			return true;
	}
	return false;
}

/* "user@domain" or "domain" of a property. */
static bool
domain_of(const struct authres_result *r, const char *prop, struct strs *names)
{
	struct buf v = BUF_INIT;
	ssize_t at;

	if (!authres_find(r, prop, &v) || v.n == 0) {
		buf_free(&v);
		return false;
	}
	at = span_rchr(buf_span(&v), '@');
	strs_addspan(names, span_from(buf_span(&v), (size_t)(at + 1)));
	buf_free(&v);
	return true;
}

size_t
auth_trusted(const struct auth *a, struct dmarc_identity *spf,
	     struct dmarc_identity *v, size_t max, struct strs *names)
{
	const struct msg_field *f;
	struct authres_result r;
	size_t n = 0;

	for (size_t i = 0;
	     (f = msg_find(&a->m, "Authentication-Results", i)) != NULL; i++) {
		struct span payload;

		if (!is_trusted(f))
			continue;
		payload = authres_payload(f->value);
		while (authres_next(&payload, &r)) {
			if (!span_iis(r.result, "pass"))
				continue;
			if (span_iis(r.method, "dkim") && n < max &&
			    domain_of(&r, "header.d", names))
				v[n++] = (struct dmarc_identity){
					true, false,
					span_of(names->v[names->n - 1])
				};
			else if (span_iis(r.method, "spf") && !spf->pass &&
				 (domain_of(&r, "smtp.mailfrom", names) ||
				  domain_of(&r, "smtp.helo", names)))
				*spf = (struct dmarc_identity){
					true, false,
					span_of(names->v[names->n - 1])
				};
		}
	}
	return n;
}
