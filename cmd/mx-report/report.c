/*
 * report.c - reports in memory.
 */
#include "report.h"
#include "mem.h"

#include <stdlib.h>

struct report *
report_new(struct reports *all, enum report_kind kind, const char *file)
{
	all->v = mem_grow(all->v, &all->cap, all->n + 1, sizeof(*all->v));
	all->v[all->n] = (struct report){ .kind = kind };
	all->v[all->n].file = mem_strdup(file);
	return &all->v[all->n++];
}

struct report_row *
report_row(struct report *r)
{
	if (r->n >= REPORT_ROWS_MAX)
		return NULL;
	r->v = mem_grow(r->v, &r->cap, r->n + 1, sizeof(*r->v));
	r->v[r->n] = (struct report_row){ 0 };
	return &r->v[r->n++];
}

static void
row_free(struct report_row *x)
{
	char *all[] = {
		x->source_ip,   x->disposition,   x->dkim,
		x->spf,         x->header_from,   x->envelope_from,
		x->reason,      x->dkim_domain,   x->dkim_selector,
		x->dkim_result, x->spf_domain,    x->spf_result,
		x->subject,     x->auth_failure,  x->arrival,
		x->policy_type, x->policy_domain, x->result_type,
		x->mx,          x->text,          x->envelope_to,
		x->comment,
	};

	for (size_t i = 0; i < ARRAY_LEN(all); i++)
		free(all[i]);
}

void
report_drop(struct reports *all)
{
	struct report *r = &all->v[--all->n];
	char *texts[] = { r->file,         r->org_name,
			  r->email,        r->report_id,
			  r->domain,       r->p,
			  r->sp,           r->np,
			  r->adkim,        r->aspf,
			  r->version,      r->fo,
			  r->testing,      r->discovery_method,
			  r->error,        r->generator,
			  r->extra_contact };

	for (size_t i = 0; i < r->n; i++)
		row_free(&r->v[i]);
	free(r->v);
	for (size_t i = 0; i < ARRAY_LEN(texts); i++)
		free(texts[i]);
}

void
reports_free(struct reports *all)
{
	while (all->n > 0)
		report_drop(all);
	free(all->v);
	*all = (struct reports){ 0 };
}
