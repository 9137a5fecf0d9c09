/*
 * pregreet.c - see pregreet.h.
 */
#include "pregreet.h"

#include "explain.h"
#include "log.h"
#include "mem.h"
#include "num.h"
#include "rates.h"
#include "restrict.h"
#include "table.h"

#include <stdlib.h>

static bool
exempt(struct session *s)
{
	const struct conf_params *p = &s->conf->p;
	struct err e = ERR_INIT;

	if (explain_on || !s->conn->has_peer)
		return true;
	if (p->greet_action == PREGREET_IGNORE && p->dnsbl_sites.n == 0)
		return true;
	/* A table that is away lets in: the tests are no law. */
	return match_lookup(s->conf->pregreet_exempt, span_of(s->conn->addr),
			    &e) != TABLE_NONE ||
	       rates_passed(s);
}

/* THREATS 12: who has been told nothing has nothing to say. */
static bool
talks_early(struct session *s)
{
	deadline_t d = clock_deadline(s->conf->p.greet_wait);
	int64_t begun = clock_mono();
	struct span said;

	if (s->conf->p.greet_action == PREGREET_IGNORE || s->conf->implicit_tls)
		return false;
	if (io_wait(s->s.fd_in, false, d) != IO_OK)
		return false;
	if (stream_fill(&s->s, clock_deadline(1000)) != IO_OK) {
		log_info("HANGUP after %lld ms from [%s]:%d",
			 (long long)(clock_mono() - begun), s->conn->addr,
			 s->conn->port);
		return true;
	}
	said = stream_buffered(&s->s);
	log_info("PREGREET %zu after %lld ms from [%s]:%d: %.*s", said.n,
		 (long long)(clock_mono() - begun), s->conn->addr,
		 s->conn->port, SPAN_ARG(span_sub(said, 0, 100)));
	return true;
}

/* "zone=filter*weight": the sum over all lists; where: the first. */
static int
dnsbl_rank(struct session *s, struct buf *where)
{
	const struct strs *sites = &s->conf->p.dnsbl_sites;
	int rank = 0;

	for (size_t i = 0; i < sites->n; i++) {
		struct span spec = span_of(sites->v[i]);
		ssize_t star = span_rchr(spec, '*');
		int weight = 1;
		char *zone;

		if (star > 0 && num_int(span_from(spec, (size_t)star + 1),
					-1000, 1000, &weight))
			spec = span_sub(spec, 0, (size_t)star);
		zone = mem_spandup(spec);
		if (restrict_listed(s, zone)) {
			rank += weight;
			if (weight > 0 && where->n == 0)
				buf_addspan(
				    where,
				    span_sub(spec, 0,
					     span_chr(spec, '=') > 0
						 ? (size_t)span_chr(spec, '=')
						 : spec.n));
		}
		free(zone);
	}
	return rank;
}

/* Who does not wait for 220 speaks something else. */
static struct reply
no_protocol(int code)
{
	return reply_make(code, "5.5.1", "Protocol error");
}

bool
pregreet_check(struct session *s, struct reply *r)
{
	const struct conf_params *p = &s->conf->p;
	struct buf where = BUF_INIT;
	bool end = false, passed = true;
	int rank;

	if (exempt(s))
		return false;
	if (talks_early(s)) {
		passed = false;
		if (p->greet_action == PREGREET_DROP) {
			*r = no_protocol(521);
			end = true;
		} else {
			s->pregreet = mem_strdup("");
			/* What it said goes with the refusal. */
			stream_take(&s->s, stream_buffered(&s->s).n);
		}
	}
	rank = end ? 0 : dnsbl_rank(s, &where);
	if (rank >= p->dnsbl_threshold) {
		passed = false;
		log_info("DNSBL rank %d for [%s]:%d", rank, s->conn->addr,
			 s->conn->port);
		if (p->dnsbl_action == PREGREET_DROP) {
			*r = reply_make(521, "5.7.1",
					"Service unavailable; client [%s] "
					"blocked using %s",
					s->conn->addr, buf_str(&where));
			end = true;
		} else if (p->dnsbl_action == PREGREET_ENFORCE) {
			free(s->pregreet);
			s->pregreet = mem_strdup(buf_str(&where));
		}
	}
	buf_free(&where);
	if (passed) {
		log_info("PASS NEW [%s]:%d", s->conn->addr, s->conn->port);
		rates_pass(s, p->greet_ttl);
	}
	r->close = end;
	return end;
}

bool
pregreet_refuses(struct session *s, struct reply *r)
{
	if (s->pregreet == NULL)
		return false;
	if (s->pregreet[0] == '\0')
		*r = no_protocol(550);
	else
		*r = reply_make(550, "5.7.1",
				"Service unavailable; client [%s] blocked "
				"using %s",
				s->conn->addr, s->pregreet);
	restrict_log(s, "reject", "RCPT", r);
	return true;
}
