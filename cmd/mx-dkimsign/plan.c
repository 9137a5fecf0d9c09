/*
 * plan.c - which signatures a message gets: options, OpenDKIM's tables, or
 * mx.conf's domains.
 */
#include "dkimsign.h"
#include "status.h"

/* -s and -k pair up; a single -s serves all keys. */
static int
plan_options(struct sign_plan *plan, struct err *e)
{
	for (size_t i = 0; i < opts.keys.n; i++) {
		size_t s = opts.selectors.n == 1 ? 0 : i;

		if (plan_add(plan, opts.domain, opts.selectors.v[s],
			     opts.keys.v[i], opts.auid, e) != 0)
			return -1;
	}
	return 0;
}

/* A domain of dkim_domain, or below one: signed as that domain. */
static int
plan_conf(struct sign_plan *plan, struct span from, struct err *e)
{
	for (size_t i = 0; i < conf.dkim_domain.n; i++) {
		struct span d = span_of(conf.dkim_domain.v[i]);

		if (!span_ieq(from, d) &&
		    !(!conf.exact_domain && from.n > d.n &&
		      span_iends(from, d) && from.p[from.n - d.n - 1] == '.'))
			continue;
		if (conf.dkim_selector[0] == '\0' ||
		    conf.dkim_key_file[0] == '\0')
			return err_set(e, ST_CONFIG,
				       "dkim_domain is set: dkim_selector and "
				       "dkim_key_file are needed, too");
		return plan_add(plan, conf.dkim_domain.v[i], conf.dkim_selector,
				conf.dkim_key_file, NULL, e);
	}
	return 0;
}

int
plan_message(struct sign_plan *plan, const struct msg *m, struct err *e)
{
	const char *st =
	    opts.signing_table ? opts.signing_table : conf.dkim_signing_table;
	const char *kt = opts.key_table ? opts.key_table : conf.dkim_key_table;
	struct buf local = BUF_INIT, domain = BUF_INIT;
	bool tables = opts.domain == NULL && st[0] != '\0' && kt[0] != '\0';
	bool named = opts.domain == NULL && !tables && conf.dkim_domain.n > 0;
	bool exempt = false;
	int r;

	/* Nothing to do: the message passes as it is, From or not. */
	if (conf.verify_only || (opts.domain == NULL && !tables && !named))
		return 0;
	r = sign_from(m, &local, &domain, e);
	if (r == 0 && conf.exempt != NULL &&
	    keytable_has(conf.exempt, buf_span(&domain), &exempt, e) != 0)
		r = -1;
	/* A From without an address belongs to nobody's domain. */
	if (r != 0 && (e == NULL || e->status == 0))
		r = opts.domain != NULL ? plan_options(plan, e) : 0;
	else if (r == 0 && exempt)
		; /* ExemptDomains */
	else if (r == 0 && opts.domain != NULL)
		r = plan_options(plan, e);
	else if (r == 0 && tables)
		r = keytable_plan(plan, st, kt, buf_span(&local),
				  buf_span(&domain), e);
	else if (r == 0)
		r = plan_conf(plan, buf_span(&domain), e);
	buf_free(&local);
	buf_free(&domain);
	return r;
}

/* --arc: -d -s -k, or what mx.conf says; nothing there: unchanged. */
int
plan_arc(struct sign_plan *plan, struct err *e)
{
	if (opts.domain != NULL)
		return plan_options(plan, e);
	if (conf.arc_domain[0] == '\0')
		return 0;
	if (conf.arc_selector[0] == '\0' || conf.arc_key_file[0] == '\0')
		return err_set(e, ST_CONFIG,
			       "arc_domain is set: arc_selector and "
			       "arc_key_file are needed, too");
	return plan_add(plan, conf.arc_domain, conf.arc_selector,
			conf.arc_key_file, NULL, e);
}
