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

#include <stdio.h>
#include <stdlib.h>

/* What the first entry of postscreen_access_list that knows the client says:
 * permit, reject, or "" when none does.  A table that is away lets in: the
 * tests are no law. */
static const char *
listed(struct session *s)
{
	struct span addr = span_of(s->conn->addr);
	const char *said = "";

	for (size_t i = 0; said[0] == '\0' && i < s->conf->npregreet; i++) {
		const struct pregreet_rule *r = &s->conf->pregreet[i];
		struct buf v = BUF_INIT;
		struct err e = ERR_INIT;
		enum table_result k =
		    r->networks != NULL
			? match_lookup(r->networks, addr, &e)
			: tables_lookup(&r->tables, addr, &v, &e);

		if (k == TABLE_TRY_AGAIN) {
			log_warn("postscreen_access_list: %s", e.text);
			said = "permit";
		} else if (k == TABLE_FOUND && r->networks != NULL) {
			said = "permit";
		} else if (k == TABLE_FOUND) {
			struct span w = span_trim(buf_span(&v));

			if (span_iis(w, "permit"))
				said = "permit";
			else if (span_iis(w, "reject"))
				said = "reject";
			else if (!span_iis(w, "dunno"))
				log_warn("postscreen_access_list: \"%.*s\": "
					 "expected permit, reject or dunno",
					 SPAN_ARG(span_sub(w, 0, 100)));
		}
		buf_free(&v);
	}
	return said;
}

/* Nothing is to be tested here. */
static bool
off(const struct session *s)
{
	const struct conf_params *p = &s->conf->p;

	return explain_on || !s->conn->has_peer ||
	       (p->greet_action == PREGREET_IGNORE && p->dnsbl_sites.n == 0 &&
		p->denylist_action == PREGREET_IGNORE);
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

/* A test failed: text is "5.7.1 WORDS".  drop: the answer is given now, true;
 * enforce: at RCPT. */
static bool
fail(struct session *s, int action, const char *text, struct reply *r)
{
	if (action == PREGREET_DROP) {
		*r = reply_make(521, "5.7.1", "%s", text + 6);
		snprintf(s->esc_mem, sizeof(s->esc_mem), "%.5s", text);
		r->esc = s->esc_mem;
		r->close = true;
		return true;
	}
	if (action == PREGREET_ENFORCE && s->pregreet == NULL)
		s->pregreet = mem_strdup(text);
	return false;
}

/* "5.7.1 Service unavailable ...", the list by its public name: a zone may
 * hold a key that is nobody's business. */
static char *
blocked_text(struct session *s, const struct buf *where)
{
	struct buf name = BUF_INIT;
	struct err e = ERR_INIT;
	char *text;

	if (tables_lookup(&s->conf->dnsbl_reply_map, buf_span(where), &name,
			  &e) != TABLE_FOUND) {
		buf_clear(&name);
		buf_addspan(&name, buf_span(where));
	}
	text = mem_printf("5.7.1 Service unavailable; client [%s] blocked "
			  "using %s",
			  s->conn->addr, buf_str(&name));
	buf_free(&name);
	return text;
}

/* The sum is too high; true: it ends here. */
static bool
blocked(struct session *s, int rank, const struct buf *where, struct reply *r)
{
	char *text = blocked_text(s, where);
	bool end;

	log_info("DNSBL rank %d for [%s]:%d", rank, s->conn->addr,
		 s->conn->port);
	/* a list's refusal says more than the other one */
	if (s->conf->p.dnsbl_action == PREGREET_ENFORCE) {
		free(s->pregreet);
		s->pregreet = NULL;
	}
	end = fail(s, s->conf->p.dnsbl_action, text, r);
	free(text);
	return end;
}

static void
pass(struct session *s)
{
	log_info("PASS NEW [%s]:%d", s->conn->addr, s->conn->port);
	rates_pass(s, s->conf->p.greet_ttl);
}

/* The tests; true: the session ends with *r. */
static bool
tests(struct session *s, struct reply *r)
{
	const struct conf_params *p = &s->conf->p;
	struct buf where = BUF_INIT;
	bool end = false, passed = true, asked = p->dnsbl_allow < 0;
	int rank = asked ? dnsbl_rank(s, &where) : 0;

	/* one that allow lists know need not wait */
	if (asked && rank <= p->dnsbl_allow) {
		pass(s);
		buf_free(&where);
		return false;
	}
	if (talks_early(s)) {
		passed = false;
		end = fail(s, p->greet_action, "5.5.1 Protocol error", r);
		/* What it said goes with the refusal. */
		if (!end)
			stream_take(&s->s, stream_buffered(&s->s).n);
	}
	if (!end && !asked)
		rank = dnsbl_rank(s, &where);
	if (!end && rank >= p->dnsbl_threshold) {
		passed = false;
		end = blocked(s, rank, &where, r);
	}
	buf_free(&where);
	if (passed)
		pass(s);
	return end;
}

bool
pregreet_check(struct session *s, struct reply *r)
{
	const char *said;

	if (off(s))
		return false;
	said = listed(s);
	if (strcmp(said, "permit") == 0)
		return false;
	if (strcmp(said, "reject") == 0) {
		log_info("DENYLISTED [%s]:%d", s->conn->addr, s->conn->port);
		if (s->conf->p.denylist_action != PREGREET_IGNORE)
			return fail(s, s->conf->p.denylist_action,
				    "5.3.2 Service currently unavailable", r);
	}
	return !rates_passed(s) && tests(s, r);
}

bool
pregreet_refuses(struct session *s, struct reply *r)
{
	if (s->pregreet == NULL)
		return false;
	*r = reply_make(550, "5.7.1", "%s", s->pregreet + 6);
	snprintf(s->esc_mem, sizeof(s->esc_mem), "%.5s", s->pregreet);
	r->esc = s->esc_mem;
	restrict_log(s, "reject", "RCPT", r);
	return true;
}
