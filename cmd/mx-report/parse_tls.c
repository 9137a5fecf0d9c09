/*
 * parse_tls.c - TLS reports.  RFC 8460 4.4.
 */
#include "date.h"
#include "mem.h"
#include "num.h"
#include "json_read.h"
#include "report.h"
#include "status.h"

#include <stdlib.h>

/* The members of an object come in any order (RFC 8259 4): rows are known by
 * their places, for they are moved when there are more. */
#define NO_ROW SIZE_MAX

struct tls {
	struct report *r;
	size_t policy;       /* the row of the policy that is being read */
	size_t failure;      /* and of the failure below it */
	char *type, *domain; /* of its policy */
	bool policies;
};

/* "2026-11-20T00:00:00Z" (RFC 8460 4.4): others write fractions of seconds and
 * other zones; a report is of a day, whatever they are. */
static int64_t
iso_time(struct span s)
{
	static const size_t at[] = { 0, 5, 8, 11, 14, 17 };
	static const size_t len[] = { 4, 2, 2, 2, 2, 2 };
	int v[6];

	for (size_t i = 0; i < ARRAY_LEN(at); i++)
		if (!num_int(span_sub(s, at[i], at[i] + len[i]), 0, 9999,
			     &v[i]))
			return 0;
	return date_days(v[0], v[1], v[2]) * 86400 + v[3] * 3600 + v[4] * 60 +
	       v[5];
}

static void
set(char **at, struct span v)
{
	free(*at);
	*at = mem_spandup(v);
}

static void
begin(struct tls *t, const char *path)
{
	bool policy = strcmp(path, "policies") == 0;
	struct report_row *row;

	if (!policy && strcmp(path, "policies.failure-details") != 0)
		return;
	if (policy) {
		free(t->type);
		free(t->domain);
		t->type = t->domain = NULL;
		t->policies = true;
	}
	row = report_row(t->r);
	t->failure = row != NULL ? t->r->n - 1 : NO_ROW;
	if (policy)
		t->policy = t->failure;
	if (row != NULL && !policy) {
		row->policy_type = t->type ? mem_strdup(t->type) : NULL;
		row->policy_domain = t->domain ? mem_strdup(t->domain) : NULL;
	}
}

/* A word of the policy: its failures may have come before it. */
static void
policy_value(struct tls *t, const char *key, struct span v)
{
	bool type = strcmp(key, "policy.policy-type") == 0;

	if (!type && strcmp(key, "policy.policy-domain") != 0)
		return;
	set(type ? &t->type : &t->domain, v);
	if (!type && t->r->domain == NULL)
		set(&t->r->domain, v);
	for (size_t i = t->policy; i < t->r->n; i++)
		set(type ? &t->r->v[i].policy_type : &t->r->v[i].policy_domain,
		    v);
}

static void
failure_value(struct report_row *row, const char *key, struct span v)
{
	struct {
		const char *key;
		char **at;
	} texts[] = {
		{ "result-type", &row->result_type },
		{ "sending-mta-ip", &row->source_ip },
		{ "receiving-mx-hostname", &row->mx },
		{ "failure-reason-code", &row->text },
	};

	for (size_t i = 0; i < ARRAY_LEN(texts); i++)
		if (strcmp(texts[i].key, key) == 0)
			set(texts[i].at, v);
	if (strcmp(key, "failed-session-count") == 0)
		(void)!num_i64(v, 0, INT64_MAX, &row->count);
}

static void
row_value(struct tls *t, const char *key, struct span v)
{
	if (strncmp(key, "failure-details.", 16) == 0) {
		if (t->failure != NO_ROW)
			failure_value(&t->r->v[t->failure], key + 16, v);
	} else if (t->policy != NO_ROW) {
		policy_value(t, key, v);
		if (strcmp(key, "summary.total-successful-session-count") == 0)
			(void)!num_i64(v, 0, INT64_MAX,
				       &t->r->v[t->policy].good);
	}
}

static void
event(void *ctx, const struct json_event *ev)
{
	struct tls *t = ctx;
	struct {
		const char *path;
		char **at;
	} texts[] = { { "organization-name", &t->r->org_name },
		      { "contact-info", &t->r->email },
		      { "report-id", &t->r->report_id } };

	if (ev->begins) {
		begin(t, ev->path);
		return;
	}
	for (size_t i = 0; i < ARRAY_LEN(texts); i++)
		if (strcmp(texts[i].path, ev->path) == 0)
			set(texts[i].at, ev->value);
	if (strcmp(ev->path, "date-range.start-datetime") == 0)
		t->r->begin = iso_time(ev->value);
	else if (strcmp(ev->path, "date-range.end-datetime") == 0)
		t->r->end = iso_time(ev->value);
	else if (strncmp(ev->path, "policies.", 9) == 0)
		row_value(t, ev->path + 9, ev->value);
}

int
parse_tls(struct reports *all, struct span json, const char *file,
	  struct err *e)
{
	struct tls t = { .r = report_new(all, REPORT_TLS, file),
			 .policy = NO_ROW,
			 .failure = NO_ROW };
	int st = json_read(json, event, &t, e);

	free(t.type);
	free(t.domain);
	if (st == 0 && !t.policies)
		st = err_set(e, ST_DATA, "JSON, and no TLS report");
	if (st != 0)
		report_drop(all);
	return st;
}
