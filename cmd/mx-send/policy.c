/*
 * policy.c - how much TLS a destination needs: smtp_tls_security_level and
 * smtp_tls_policy_maps, Postfix's words and senses.  Everything that opens a
 * file is done here, before the sandbox.
 */
#include "send.h"
#include "mem.h"
#include "status.h"

#include <stdio.h>

static const char *const levels[] = { "none",        "may",   "encrypt",
				      "fingerprint", "dane",  "dane-only",
				      "verify",      "secure" };

const char *
policy_level_word(int level)
{
	return levels[level];
}

static int
bad(struct tls_policy *p, const char *what, struct span word)
{
	return err_esc(&p->trouble, ST_TEMPFAIL, "4.7.5",
		       "smtp_tls_policy_maps: %s \"%.*s\"", what,
		       (int)(word.n < 100 ? word.n : 100), word.p);
}

static void
split_match(struct strs *out, struct span list, bool fingerprints)
{
	struct span one;

	/* A fingerprint has colons of its own. */
	while (span_split(&list, fingerprints ? '|' : ':', &one))
		if (span_trim(one).n > 0)
			strs_addspan(out, span_trim(one));
}

/* "level name=value ..." of the table. */
static int
take_words(struct tls_policy *p, struct span text)
{
	struct span word, name;
	size_t level = 0;

	if (!span_word(&text, " \t,", &word))
		return bad(p, "no level in", text);
	while (level < ARRAY_LEN(levels) && !span_is(word, levels[level]))
		level++;
	if (level == ARRAY_LEN(levels))
		return bad(p, "no such level:", word);
	p->level = (int)level;
	while (span_word(&text, " \t,", &word)) {
		struct span value = word;

		if (!span_split(&value, '=', &name) || value.n == 0)
			return bad(p, "expected name=value:", word);
		if (span_is(name, "match"))
			split_match(&p->match, value,
				    p->level == TLS_FINGERPRINT);
		else if (span_is(name, "protocols"))
			p->protocols = mem_spandup(value);
		else if (span_is(name, "ciphers"))
			p->ciphers = mem_spandup(value);
		else if (span_is(name, "servername"))
			p->servername = mem_spandup(value);
		else if (!span_istarts(name, SPAN("policy_")) &&
			 !span_is(name, "enable_rpk") &&
			 !span_is(name, "connection_reuse") &&
			 !span_is(name, "exclude") && !span_is(name, "tafile"))
			return bad(p, "no such attribute:", word);
		else if (span_is(name, "exclude") || span_is(name, "tafile"))
			return bad(p, "mx-send does not do", name);
	}
	return 0;
}

/* The destination as it stands, then as a domain with its parents. */
static enum table_result
find(const struct tables *maps, const struct group *g, struct buf *value,
     struct err *e)
{
	enum table_result r =
	    tables_lookup(maps, span_of(g->destination), value, e);

	if (r == TABLE_NONE && g->hosts.domain != NULL &&
	    strcmp(g->hosts.domain, g->destination) != 0)
		r = tables_lookup(maps, span_of(g->hosts.domain), value, e);
	const char *dot =
	    g->hosts.domain != NULL ? strchr(g->hosts.domain, '.') : NULL;
	for (; r == TABLE_NONE && dot != NULL; dot = strchr(dot + 1, '.'))
		r = tables_lookup(maps, span_of(dot), value, e);
	return r;
}

static void
default_match(struct tls_policy *p)
{
	const struct strs *from =
	    p->level == TLS_FINGERPRINT ? &params.fingerprint_match
	    : p->level == TLS_SECURE    ? &params.secure_match
					: &params.verify_match;

	for (size_t i = 0; i < from->n; i++)
		split_match(&p->match, span_of(from->v[i]),
			    p->level == TLS_FINGERPRINT);
}

void
policy_find(struct group *g, const struct tables *maps)
{
	struct tls_policy *p = &g->policy;
	struct buf value = BUF_INIT;

	p->level = options.lmtp ? params.lmtp_tls_level : params.tls_level;
	switch (options.lmtp || maps->n == 0
		    ? TABLE_NONE
		    : find(maps, g, &value, &p->trouble)) {
	case TABLE_FOUND:
		(void)!take_words(p, buf_span(&value));
		break;
	case TABLE_TRY_AGAIN:
		p->trouble.status = ST_TEMPFAIL;
		snprintf(p->trouble.esc, sizeof(p->trouble.esc), "4.7.5");
		(void)err_prefix(&p->trouble, "smtp_tls_policy_maps");
		break;
	default:
		break;
	}
	buf_free(&value);
	if (p->match.n == 0)
		default_match(p);
}

/* What the words of a match list stand for at this host. */
void
policy_names(const struct group *g, const struct mx_target *t, struct strs *out)
{
	/* RFC 7672 3.2.2: the next hop domain is a name only where the MX
	 * records are believed. */
	for (size_t i = 0; i < g->policy.match.n; i++) {
		const char *word = g->policy.match.v[i];
		const char *domain = g->hosts.domain;

		if (strcmp(word, "hostname") == 0)
			strs_add(out, t->host);
		else if (strcmp(word, "nexthop") == 0)
			strs_add(out, domain != NULL ? domain : t->host);
		else if (strcmp(word, "dot-nexthop") != 0)
			strs_add(out, word);
		else if (domain != NULL && strchr(domain, '.') != NULL)
			strs_addf(out, ".%s", domain);
	}
}

/* Most destinations ask for no ciphers of their own: one where TLS is a
 * choice, one where it is a must. */
static struct tls_client *shared[2];

struct tls_client *
policy_client(struct tls_policy *p, bool roots, struct err *e)
{
	bool must = p->level > TLS_MAY || options.requiretls;
	struct tls_client_conf conf = { .ca_file = params.tls_ca,
					.protocols =
					    p->protocols != NULL ? p->protocols
					    : must ? params.tls_must_protocols
						   : params.tls_protocols,
					.ciphers =
					    p->ciphers != NULL ? p->ciphers
					    : must ? params.tls_must_ciphers
						   : params.tls_ciphers,
					.cert_file = params.tls_cert,
					.key_file = params.tls_key };
	bool own = p->protocols != NULL || p->ciphers != NULL;
	struct tls_client *t = own ? NULL : shared[must];

	if (t == NULL)
		t = tls_client_new(&conf, e);
	if (t != NULL && !own)
		shared[must] = t;
	if (t != NULL && roots && tls_client_load(t, e) != 0)
		t = NULL;
	return t;
}

void
policy_warm(void)
{
	struct tls_policy plain = { .level = params.tls_level };
	struct err e = ERR_INIT;

	if (plain.level != TLS_NONE)
		(void)policy_client(&plain, plain.level >= TLS_VERIFY, &e);
}
