/*
 * keytable.c - OpenDKIM's KeyTable, SigningTable and TrustedHosts as they are
 * (opendkim.conf(5)): "[file:|refile:]FILE"; without a prefix a "*" makes a
 * pattern.
 */
#include "dkimsign.h"
#include "io.h"
#include "mem.h"
#include "status.h"
#include "table.h"

#include <stdlib.h>

#define TABLE_MAX (16u << 20)

/* Linear two-pointer match; '*' any run, case-insensitive. */
static bool
glob(struct span pat, struct span s)
{
	size_t p = 0, i = 0, star = SIZE_MAX, mark = 0;

	while (i < s.n) {
		if (p < pat.n && pat.p[p] == '*') {
			star = p++;
			mark = i;
		} else if (p < pat.n &&
			   ascii_tolower(pat.p[p]) == ascii_tolower(s.p[i])) {
			p++;
			i++;
		} else if (star != SIZE_MAX) {
			p = star + 1;
			i = ++mark;
		} else {
			return false;
		}
	}
	while (p < pat.n && pat.p[p] == '*')
		p++;
	return p == pat.n;
}

static int
read_table(const char *spec, struct buf *b, bool *pattern, struct err *e)
{
	const char *path = spec;

	*pattern = true;
	if (strncmp(spec, "refile:", 7) == 0) {
		path = spec + 7;
	} else if (strncmp(spec, "file:", 5) == 0) {
		path = spec + 5;
		*pattern = false;
	}
	if (io_read_file(path, b, TABLE_MAX, e) == 0)
		return 0;
	if (e != NULL)
		e->status = ST_CONFIG;
	return -1;
}

/* The next "KEY VALUE" line. */
static bool
next_line(struct span *rest, struct span *key, struct span *value)
{
	struct span line;

	while (span_split(rest, '\n', &line)) {
		ssize_t hash = span_chr(line, '#');

		if (hash >= 0)
			line.n = (size_t)hash;
		line = span_trim(line);
		if (!span_word(&line, " \t", key))
			continue;
		*value = span_trim(line);
		return true;
	}
	return false;
}

/* user@host, host, or .domain above it, as file: tables are asked. */
static bool
signing_match(struct span key, struct span addr, struct span domain,
	      bool pattern)
{
	if (pattern && span_chr(key, '*') >= 0)
		return glob(key, addr);
	if (span_ieq(key, addr) || span_ieq(key, domain))
		return true;
	return key.n > 1 && key.p[0] == '.' && span_iends(domain, key);
}

/* NAME DOMAIN:SELECTOR:KEYFILE */
static int
add_key(struct sign_plan *plan, struct span table, const char *file,
	struct span name, struct span from_domain, struct err *e)
{
	struct span key, value, domain, selector;
	char *d, *s, *k;
	int r;

	while (next_line(&table, &key, &value)) {
		if (!span_ieq(key, name))
			continue;
		if (!span_split(&value, ':', &domain) ||
		    !span_split(&value, ':', &selector) || value.p == NULL)
			break;
		if (span_is(span_trim(domain), "%"))
			domain = from_domain;
		d = mem_spandup(span_trim(domain));
		s = mem_spandup(span_trim(selector));
		k = mem_spandup(span_trim(value));
		r = plan_add(plan, d, s, k, e);
		free(d);
		free(s);
		free(k);
		return r;
	}
	return err_set(e, ST_CONFIG,
		       "%s: no line \"%.*s DOMAIN:SELECTOR:KEYFILE\"", file,
		       SPAN_ARG(name));
}

int
keytable_plan(struct sign_plan *plan, const char *signing_table,
	      const char *key_table, struct span local, struct span domain,
	      struct err *e)
{
	struct buf signing = BUF_INIT, keys = BUF_INIT, addr = BUF_INIT;
	struct span rest, key, value, from = domain;
	bool pattern, unused;
	int r = read_table(signing_table, &signing, &pattern, e);

	if (r == 0)
		r = read_table(key_table, &keys, &unused, e);
	buf_addf(&addr, "%.*s@%.*s", SPAN_ARG(local), SPAN_ARG(domain));
	rest = buf_span(&signing);
	while (r == 0 && next_line(&rest, &key, &value)) {
		if (!signing_match(key, buf_span(&addr), domain, pattern))
			continue;
		r = add_key(plan, buf_span(&keys), key_table, value, from, e);
		break;
	}
	buf_free(&signing);
	buf_free(&keys);
	buf_free(&addr);
	return r;
}

static bool
host_match(struct span word, const char *addr, const char *name)
{
	struct span n = span_of(name);

	if (addr != NULL && match_cidr(word, span_of(addr)))
		return true;
	if (span_is(word, "localhost"))
		return addr != NULL &&
		       (match_cidr(SPAN("127.0.0.0/8"), span_of(addr)) ||
			match_cidr(SPAN("::1"), span_of(addr)));
	if (n.n == 0 || span_is(n, "unknown"))
		return false;
	if (word.n > 0 && word.p[0] == '.')
		return span_iends(n, word);
	return glob(word, n);
}

int
keytable_trusted(const char *file, const char *addr, const char *name,
		 bool *yes, struct err *e)
{
	struct buf b = BUF_INIT;
	struct span rest, word, value;
	bool pattern;

	if (read_table(file, &b, &pattern, e) != 0)
		return -1;
	*yes = false;
	rest = buf_span(&b);
	while (next_line(&rest, &word, &value)) {
		bool not = word.p[0] == '!';

		if (not )
			word = span_from(word, 1);
		if (host_match(word, addr, name)) {
			*yes = !not ;
			break;
		}
	}
	buf_free(&b);
	return 0;
}
