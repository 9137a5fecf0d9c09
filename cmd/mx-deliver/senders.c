/*
 * senders.c - the Sender Rewriting Scheme for what is forwarded.
 * A forwarded message fails SPF at the next host unless its sender is ours.
 */
#include "senders.h"
#include "clock.h"
#include "conf.h"
#include "log.h"
#include "mem.h"
#include "route_int.h"
#include "site.h"
#include "srs.h"
#include "status.h"

#include <stdio.h>
#include <stdlib.h>

static struct srs srs;
static struct err not_ready; /* status: why there are no secrets */

void
senders_open(void)
{
	not_ready = ERR_INIT;
	strs_free(&srs.secrets);
	srs.domain = conf.srs_domain;
	srs.max_age = conf.srs_max_age / 86400000;
	srs.hash_length = (size_t)conf.srs_hash_length;
	srs.separator = conf.srs_separator[0];
	if (srs.separator == '\0' || strchr("=+-", srs.separator) == NULL)
		srs.separator = '=';
	if (conf.srs_domain[0] == '\0')
		return;
	if (srs_read_secrets(&srs, conf.srs_secrets_file, &not_ready) == 0)
		return;
	log_error("srs_secrets_file: %s: make it with: openssl rand -base64 "
		  "24 > %s",
		  not_ready.text, conf.srs_secrets_file);
	not_ready.status = ST_TEMPFAIL;
}

/* Without a secret nothing is rewritten with a bad one: mail waits until the
 * file is there. */
static int
ready(struct err *e)
{
	if (not_ready.status == 0)
		return 0;
	*e = not_ready;
	return -1;
}

/* Is mail of this sender forwarded under its own name?  FOUND: it is. */
static enum table_result
left_alone(const char *sender, struct err *e)
{
	struct span domain = domain_of(sender);
	enum addr_class c;

	if (conf.srs_domain[0] == '\0' || domain.n == 0 ||
	    span_iis(domain, conf.srs_domain))
		return TABLE_FOUND;
	for (size_t i = 0; i < conf.srs_exclude_domains.n; i++) {
		struct span x = span_of(conf.srs_exclude_domains.v[i]);

		if (span_ieq(domain, x) ||
		    (x.n > 1 && x.p[0] == '.' && domain.n > x.n &&
		     span_ieq(span_from(domain, domain.n - x.n), x)))
			return TABLE_FOUND;
	}
	if (route_class(domain, &c, e) == TABLE_TRY_AGAIN)
		return TABLE_TRY_AGAIN;
	return c == CLASS_DEFAULT ? TABLE_NONE : TABLE_FOUND;
}

char *
senders_forward(const char *sender, struct err *e)
{
	struct buf b = BUF_INIT;

	switch (left_alone(sender, e)) {
	case TABLE_FOUND:
		return mem_strdup(sender);
	case TABLE_TRY_AGAIN:
		return NULL;
	case TABLE_NONE:
		break;
	}
	if (ready(e) != 0 ||
	    srs_forward(&srs, &b, span_of(sender), clock_now(), e) != 0) {
		buf_free(&b);
		return NULL;
	}
	/* RFC 5321 4.5.3.1.1 says 64; hosts take more, none takes this */
	if (b.n > 320) {
		buf_free(&b);
		return mem_strdup(sender);
	}
	return buf_steal(&b);
}

int
senders_mark(struct targets *t, const char *rcpt, const char *sender,
	     struct err *e)
{
	enum table_result ours;

	if (conf.srs_domain[0] == '\0' || sender[0] == '\0')
		return 0;
	ours = route_is_local(domain_of(rcpt), e);
	if (ours != TABLE_FOUND)
		return ours == TABLE_NONE ? 0 : -1; /* relayed as it is */
	for (size_t i = 0; i < t->n; i++) {
		struct target *g = &t->v[i];
		char *to;

		if (g->dest != NULL || g->sender != NULL)
			continue;
		ours = route_is_local(domain_of(g->addr), e);
		if (ours == TABLE_FOUND)
			continue;
		to = ours == TABLE_NONE ? senders_forward(sender, e) : NULL;
		if (to == NULL)
			return -1;
		if (strcmp(to, sender) != 0)
			g->sender = to;
		else
			free(to);
	}
	return 0;
}

/* A bounce to a rewritten sender; a wrong hash or an old stamp is 550: nobody
 * relays by guessing (srs.h). */
int
senders_reverse(char **addr, struct err *e)
{
	struct buf b = BUF_INIT;

	if (conf.srs_domain[0] == '\0' ||
	    !span_iis(domain_of(*addr), conf.srs_domain) ||
	    !srs_is(local_of(*addr)))
		return 0;
	if (ready(e) != 0 ||
	    srs_reverse(&srs, &b, span_of(*addr), clock_now(), e) != 0) {
		buf_free(&b);
		return -1;
	}
	free(*addr);
	*addr = buf_steal(&b);
	return 0;
}

int
senders_print(const char *addr, bool back)
{
	struct err e = ERR_INIT;
	char *r;

	if (conf.srs_domain[0] == '\0') {
		err_set(&e, ST_CONFIG,
			"srs_domain is not set: which domain shall bounces "
			"come back to?");
		return prog_fail(&e);
	}
	route_open();
	r = mem_strdup(addr);
	if (back) {
		struct buf b = BUF_INIT;
		int bad = ready(&e);

		if (bad == 0)
			bad = srs_reverse(&srs, &b, span_of(addr), clock_now(),
					  &e);
		free(r);
		r = bad == 0 ? buf_steal(&b) : NULL;
		buf_free(&b);
	} else {
		free(r);
		r = senders_forward(addr, &e);
	}
	if (r == NULL)
		return prog_fail(&e);
	puts(r);
	free(r);
	return ST_OK;
}
