/*
 * confine.c - see confine.h.
 * DESIGN 3.1: the sandbox is a second wall; the first is the uid.  A kept
 * filter enters it with its first message, and stays.  Files are left to the
 * uid: a kept filter serves scripts and mailboxes of any place.
 */
#include "confine.h"
#include "sandbox.h"
#include "sieve_conf.h"
#include "site.h"
#include "span.h"

static const char *const everywhere[] = { "/", NULL };

/* Types that read a file, or nothing; others ask somebody or run a program. */
static bool
plain(const struct strs *specs)
{
	static const char *const types[] = {
		"pcre", "regexp", "cidr", "inline", "static", "texthash",
		"hash", "btree",  "cdb",  "dbm",    "lmdb",
	};

	for (size_t i = 0; i < specs->n; i++) {
		struct span type, rest = span_of(specs->v[i]);
		bool ok = rest.n > 0 && rest.p[0] == '/';

		(void)span_split(&rest, ':', &type);
		for (size_t k = 0; !ok && k < ARRAY_LEN(types); k++)
			ok = span_is(type, types[k]);
		if (!ok)
			return false;
	}
	return true;
}

static int
enter(unsigned promises, struct err *e)
{
	static bool entered;

	if (entered)
		return 0;
	entered = true;
	return sandbox_enter(site.sandbox, promises | SANDBOX_QUIET, everywhere,
			     e);
}

int
confine_sieve(struct err *e)
{
	const struct sieve_conf *c = &sieve_conf;
	struct strs lists = STRS_INIT;
	int r = 0;

	if (c->pipe_dirs.n + c->filter_dirs.n + c->execute_dirs.n > 0)
		return 0;
	/* NAME=TYPE:TABLE */
	for (size_t i = 0; i < c->extlists.n; i++) {
		struct span name, rest = span_of(c->extlists.v[i]);

		(void)span_split(&rest, '=', &name);
		strs_addspan(&lists, rest.p != NULL ? rest : SPAN(""));
	}
	if (plain(&lists))
		r = enter(SANDBOX_RPATH | SANDBOX_WPATH, e);
	strs_free(&lists);
	return r;
}

int
confine_filter(const struct strs *const *specs, const char *server,
	       struct err *e)
{
	for (size_t i = 0; specs[i] != NULL; i++) {
		if (!plain(specs[i]))
			return 0;
	}
	if (server == NULL)
		return enter(SANDBOX_RPATH | SANDBOX_WPATH, e);
	if (span_starts(span_of(server), SPAN("exec:")))
		return 0;
	return enter(SANDBOX_RPATH | SANDBOX_WPATH | SANDBOX_CONNECT, e);
}
