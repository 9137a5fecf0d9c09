/*
 * sieve_ext_environment.c - the test environment and ${env.NAME}.  RFC 5183;
 * vnd.dovecot.environment.
 */
#include "mem.h"
#include "sieve.h"
#include "site.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static bool
add(struct buf *b, const char *text)
{
	if (text == NULL)
		return false;
	buf_adds(b, text);
	return true;
}

static bool
host_name(struct buf *b)
{
	char name[256];

	if (site.myhostname != NULL && site.myhostname[0] != '\0')
		return add(b, site.myhostname);
	if (gethostname(name, sizeof(name)) != 0)
		return false;
	name[sizeof(name) - 1] = '\0';
	return add(b, name);
}

/* NAME=VALUE of sieve_environment: the administrator's own. */
static bool
configured(struct buf *b, struct span name)
{
	for (size_t i = 0; i < sieve_conf.environment.n; i++) {
		struct span rest = span_of(sieve_conf.environment.v[i]), key;

		(void)span_split(&rest, '=', &key);
		if (span_ieq(key, name))
			return add(b, rest.p != NULL ? rest.p : "");
	}
	return false;
}

/* RFC 5183 4.1; false: there is no such item. */
static bool
item(struct sieve_run *r, struct span name, struct buf *b)
{
	const char *user = getenv("USER");

	if (span_iis(name, "domain"))
		return add(b, site.mydomain != NULL ? site.mydomain : "");
	if (span_iis(name, "host"))
		return host_name(b);
	if (span_iis(name, "location"))
		return add(b, r->test ? "MS" : "MDA");
	if (span_iis(name, "phase"))
		return add(b, r->test ? "post" : "during");
	if (span_iis(name, "name"))
		return add(b, "mx");
	if (span_iis(name, "version"))
		return add(b, MX_VERSION);
	if (span_iis(name, "remote-host"))
		return add(b, r->client_name);
	if (span_iis(name, "remote-ip"))
		return add(b, r->client_addr);
	if (!sieve_required(r->script, "vnd.dovecot.environment"))
		return false;
	if (span_iis(name, "vnd.dovecot.default-mailbox"))
		return add(b, "INBOX");
	if (span_iis(name, "vnd.dovecot.username"))
		return add(b, user != NULL ? user : "");
	if (span_istarts(name, SPAN("vnd.dovecot.config.")))
		return configured(b, span_from(name, 19));
	return false;
}

static int
run_environment(struct sieve_run *r, const struct sieve_node *n)
{
	const char *name = sieve_pos(n, 0)->strings.v[0];
	struct buf b = BUF_INIT;
	int yes = 0;

	if (item(r, span_of(name), &b))
		yes = sieve_match(r, n, buf_span(&b), sieve_pos(n, 1));
	buf_free(&b);
	return yes;
}

static bool
env_get(struct sieve_run *r, struct span name, struct buf *b)
{
	return item(r, name, b);
}

static const struct sieve_word words[] = {
	{ .name = "environment",
	  .ext = "environment",
	  .is_test = true,
	  .positional = "sS",
	  .with_match = true,
	  .run = run_environment },
};
static const struct sieve_extension environment = {
	.name = "environment",
	.words = words,
	.nwords = ARRAY_LEN(words),
};
static const struct sieve_extension vnd_environment = {
	.name = "vnd.dovecot.environment",
	.space = "env",
	.space_get = env_get,
};
SIEVE_EXTENSION(environment);
SIEVE_EXTENSION(vnd_environment);
