/*
 * auth_lists.c - whom DMARC leaves alone, and whose results it believes.
 * opendmarc.conf(5).
 */
#include "auth.h"
#include "authres.h"
#include "io.h"
#include "mem.h"
#include "site.h"
#include "status.h"
#include "table.h"

#include <stdlib.h>
#include <unistd.h>

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

bool
auth_unrecorded(const struct auth *a)
{
	const struct strs *l = &params.dmarc_ignore_mail_to;
	size_t n = 0;

	for (size_t i = 0; i < a->env.recipients.n; i++)
		n += strs_ihas(l, span_of(a->env.recipients.v[i]));
	return n > 0 && n == a->env.recipients.n;
}

/* RFC 8617 7.2.1: a chain is worth what its last custodian is. */
int
auth_trusts_seal(const struct auth *a, bool *yes, struct err *e)
{
	const struct strs *l = &params.dmarc_trusted_sealers;
	struct span domain = buf_span(&a->arc.domain);

	*yes = false;
	if (a->arc.code != VERIFY_PASS || domain.n == 0)
		return 0;
	return host_listed(l, SPAN(""), domain, yes, e);
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
	const struct msg_field *f = NULL;
	struct authres_result r;
	size_t n = 0;

	while ((f = msg_next(&a->m, "Authentication-Results", f)) != NULL) {
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
				 !params.dmarc_ignore_spf_results &&
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
