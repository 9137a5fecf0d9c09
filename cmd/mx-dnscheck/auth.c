/*
 * auth.c - SPF, DKIM and DMARC over one message; see auth.h.
 */
#include "auth.h"
#include "addr.h"
#include "mem.h"
#include "site.h"

#include <stdlib.h>

#define FROM_MAX 10    /* domains of From that are looked at */
#define FROM_ITEMS 100 /* addresses of a From */

const char *
auth_id(void)
{
	if (opts.authserv_id != NULL)
		return opts.authserv_id;
	return params.authserv_id[0] ? params.authserv_id : site.myhostname;
}

void
auth_spf(struct auth *a)
{
	a->sender = a->env.sender ? a->env.sender : "";
	a->helo = a->env.helo ? a->env.helo : "";
	a->client = spf_init(&a->spf, a->dns,
			     a->env.client_addr ? a->env.client_addr : "",
			     a->sender, a->helo, site.myhostname);
	a->spf_code = a->client ? spf_check(&a->spf) : SPF_NONE;
}

static void
read_from(struct auth *a)
{
	for (size_t i = 0; i < a->m.n; i++) {
		struct addr_list l;

		if (!span_iis(a->m.v[i].name, "From"))
			continue;
		if (a->from_fields++ >= FROM_MAX)
			continue;
		addr_list_parse(&l, a->m.v[i].value, FROM_ITEMS);
		a->from_unread |= l.n == FROM_ITEMS || l.unread;
		for (size_t k = 0; k < l.n; k++) {
			struct buf ascii = BUF_INIT;

			if (l.v[k].kind != ADDR_MAILBOX || l.v[k].domain.n == 0)
				continue;
			if (!dns_to_ascii(l.v[k].domain, &ascii))
				a->from_unread = true;
			else if (!strs_ihas(&a->from, buf_span(&ascii)))
				strs_addspan(&a->from, buf_span(&ascii));
			buf_free(&ascii);
		}
		addr_list_free(&l);
	}
}

/* Is one result worse news than the other? */
static bool
worse(const struct dmarc *d, const struct dmarc *than)
{
	static const int rank[] = {
		[VERIFY_PASS] = 0,      [VERIFY_NONE] = 1,
		[VERIFY_TEMPERROR] = 2, [VERIFY_FAIL] = 3,
		[VERIFY_PERMERROR] = 0, [VERIFY_POLICY] = 0,
		[VERIFY_NEUTRAL] = 0,
	};

	if (rank[d->code] != rank[than->code])
		return rank[d->code] > rank[than->code];
	return d->applied > than->applied;
}

/*
 * Each domain in From must pass, and the strictest policy counts: a reader may
 * be shown any of them (RFC 9989 11.5).  A second From field fails, and so
 * does one that cannot be read to its end.
 */
static void
auth_dmarc(struct auth *a)
{
	struct dmarc_identity spf = { a->spf_code == SPF_PASS,
				      a->spf_code == SPF_TEMPERROR,
				      buf_span(&a->spf.sender_domain) };
	struct dmarc_identity dkim[2 * VERIFY_SIGNATURES];
	struct strs names = STRS_INIT;
	deadline_t dl = clock_deadline(CHECK_MS);
	size_t n = 0;

	for (size_t i = 0; i < a->sigs.n && n < VERIFY_SIGNATURES; i++) {
		struct signature *s = &a->sigs.v[i];

		/* A key in test mode passes as any other (RFC 6376 3.6.1). */
		dkim[n++] =
		    (struct dmarc_identity){ s->code == VERIFY_PASS,
					     s->code == VERIFY_TEMPERROR,
					     buf_span(&s->domain) };
	}
	n += auth_trusted(a, &spf, dkim + n, VERIFY_SIGNATURES, &names);
	a->dmarc.code = VERIFY_PERMERROR;
	for (size_t i = 0; i < a->from.n && i < FROM_MAX; i++) {
		struct dmarc d;

		dmarc_check(&d, a->dns, a->from.v[i], &spf, dkim, n, dl);
		if (i > 0 && !worse(&d, &a->dmarc)) {
			dmarc_done(&d);
			continue;
		}
		dmarc_done(&a->dmarc);
		a->dmarc = d;
	}
	if (a->dmarc.code == VERIFY_PASS &&
	    (a->from_fields > 1 || a->from.n > FROM_MAX || a->from_unread)) {
		a->dmarc.code = VERIFY_FAIL;
		a->dmarc.applied = a->dmarc.on_failure;
	}
	strs_free(&names);
}

/* ARC speaks for what broke on its way (RFC 8617 7.2.1). */
static int
heed_seal(struct auth *a, struct err *e)
{
	if (a->dmarc.code != VERIFY_FAIL)
		return 0;
	if (auth_trusts_seal(a, &a->sealed, e) != 0)
		return -1;
	if (a->sealed)
		a->dmarc.applied = DMARC_NONE;
	return 0;
}

int
auth_run(struct auth *a, struct err *e)
{
	if (params.authserv_id_with_job_id && a->env.queue_id != NULL &&
	    a->env.queue_id[0] != '\0')
		a->job_id = mem_printf("%s/%s", a->id, a->env.queue_id);
	read_from(a);
	if (auth_ignores(a, &a->ignored, e) != 0)
		return -1;
	auth_spf(a);
	verify_dkim(&a->sigs, &a->m, a->dns, a->now, clock_deadline(CHECK_MS));
	if (params.arc_verify || params.dmarc_trusted_sealers.n > 0)
		arc_check(&a->arc, &a->m, a->dns, a->now,
			  clock_deadline(CHECK_MS));
	if (a->ignored)
		a->dmarc.code = VERIFY_NONE;
	else
		auth_dmarc(a);
	return heed_seal(a, e);
}

void
auth_done(struct auth *a)
{
	dmarc_done(&a->dmarc);
	verify_done(&a->sigs);
	arc_done(&a->arc);
	spf_done(&a->spf);
	strs_free(&a->from);
	free(a->job_id);
	envelope_free(&a->env);
}
