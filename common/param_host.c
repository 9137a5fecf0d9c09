/*
 * param_host.c - what myhostname and mydomain are where nobody set them.
 * Layer: sys.  Postfix postconf(5): the system's name; without a dot in it
 * the full name that /etc/hosts gives it, else $mydomain or "localdomain" is
 * put behind it.  No DNS is asked.
 */
#include "io.h"
#include "mem.h"
#include "param_int.h"

#include <stdlib.h>
#include <unistd.h>

#define HOSTS "/etc/hosts"

/* "192.0.2.1 host.example.org host": a full name for a bare one; NULL. */
static char *
host_from_file(const char *bare)
{
	struct buf text = BUF_INIT;
	struct span rest, line, word;
	char *dotted = mem_printf("%s.", bare), *found = NULL;

	if (io_read_file(HOSTS, &text, 1 << 20, NULL) != 0)
		buf_clear(&text);
	rest = buf_span(&text);
	while (found == NULL && span_split(&rest, '\n', &line)) {
		ssize_t hash = span_chr(line, '#');

		if (hash >= 0)
			line.n = (size_t)hash;
		if (!span_word(&line, " \t\r", &word))
			continue; /* the address */
		while (found == NULL && span_word(&line, " \t\r", &word)) {
			if (span_istarts(word, span_of(dotted)))
				found = mem_spandup(word);
		}
	}
	buf_free(&text);
	free(dotted);
	return found;
}

static char *
host_name(const char *domain)
{
	char bare[256] = "localhost";
	char *full;

	if (gethostname(bare, sizeof(bare) - 1) != 0 || bare[0] == '\0')
		memcpy(bare, "localhost", sizeof("localhost"));
	if (strchr(bare, '.') != NULL)
		return mem_strdup(bare);
	full = domain[0] == '\0' ? host_from_file(bare) : NULL;
	if (full == NULL)
		full = mem_printf("%s.%s", bare,
				  domain[0] ? domain : "localdomain");
	return full;
}

/* What the file says of a name, expanded; "" when nothing. */
static char *
host_said(const struct config *c, const char *name)
{
	const struct config_line *l = map_get(c->lines, span_of(name));
	struct buf b = BUF_INIT;

	if (l != NULL && config_expand(c, &b, span_of(l->value), NULL) != 0)
		buf_clear(&b);
	return buf_steal(&b);
}

void
config_host(struct config *c)
{
	const char *dot;
	char *domain;

	free(c->host);
	free(c->domain);
	c->domain = NULL;
	c->host = host_said(c, "myhostname"); /* mydomain may refer to it */
	domain = host_said(c, "mydomain");
	if (c->host[0] == '\0') {
		free(c->host);
		c->host = host_name(domain);
	}
	if (domain[0] == '\0') {
		dot = strchr(c->host, '.');
		free(domain);
		domain = mem_strdup(dot != NULL ? dot + 1 : "localdomain");
	}
	c->domain = domain;
}
