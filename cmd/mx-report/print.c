/*
 * print.c - reports as JSON, CSV, or a table for people: who sends in our
 * name, how much, whether it passes, and what to do.
 */
#include "clock.h"
#include "date.h"
#include "escape.h"
#include "json.h"
#include "mem.h"
#include "report.h"

#include <stdlib.h>

#define NAMES_MS 20000
#define NAMES_MAX 500

static const char *const kinds[] = { "dmarc", "failure", "tls" };

static void
str(struct json *j, const char *key, const char *v)
{
	if (v != NULL)
		json_str(j, key, span_of(v));
}

static void
json_row(struct json *j, const struct report *r, const struct report_row *x)
{
	json_object(j, NULL);
	str(j, "source_ip", x->source_ip);
	json_int(j, "count", x->count);
	if (r->kind == REPORT_TLS)
		json_int(j, "successful", x->good);
	str(j, "disposition", x->disposition);
	str(j, "dkim", x->dkim);
	str(j, "spf", x->spf);
	str(j, "reason", x->reason);
	str(j, "comment", x->comment);
	str(j, "header_from", x->header_from);
	str(j, "envelope_from", x->envelope_from);
	str(j, "envelope_to", x->envelope_to);
	str(j, "dkim_domain", x->dkim_domain);
	str(j, "dkim_selector", x->dkim_selector);
	str(j, "dkim_result", x->dkim_result);
	str(j, "spf_domain", x->spf_domain);
	str(j, "spf_result", x->spf_result);
	str(j, "auth_failure", x->auth_failure);
	str(j, "arrival", x->arrival);
	str(j, "subject", x->subject);
	str(j, "policy_type", x->policy_type);
	str(j, "policy_domain", x->policy_domain);
	str(j, "result_type", x->result_type);
	str(j, "receiving_mx", x->mx);
	str(j, "failure_reason", x->text);
	json_end(j, '}');
}

static void
print_json(const struct reports *all, struct buf *out)
{
	struct json j;

	json_init(&j, out);
	json_array(&j, NULL);
	for (size_t i = 0; i < all->n; i++) {
		const struct report *r = &all->v[i];

		json_object(&j, NULL);
		json_str(&j, "type", span_of(kinds[r->kind]));
		str(&j, "file", r->file);
		str(&j, "org_name", r->org_name);
		str(&j, "email", r->email);
		str(&j, "report_id", r->report_id);
		str(&j, "domain", r->domain);
		json_int(&j, "begin", r->begin);
		json_int(&j, "end", r->end);
		str(&j, "p", r->p);
		str(&j, "sp", r->sp);
		str(&j, "np", r->np);
		str(&j, "adkim", r->adkim);
		str(&j, "aspf", r->aspf);
		str(&j, "fo", r->fo);
		str(&j, "testing", r->testing);
		str(&j, "discovery_method", r->discovery_method);
		str(&j, "error", r->error);
		str(&j, "generator", r->generator);
		str(&j, "extra_contact_info", r->extra_contact);
		json_array(&j, "records");
		for (size_t k = 0; k < r->n; k++)
			json_row(&j, r, &r->v[k]);
		json_end(&j, ']');
		json_end(&j, '}');
	}
	json_end(&j, ']');
	buf_addc(out, '\n');
}

/* RFC 4180; a cell that a spreadsheet would run gets a quote before it. */
static void
cell(struct buf *out, const char *v, bool last)
{
	struct buf safe = BUF_INIT;

	if (v != NULL && v[0] != '\0' && strchr("=+-@\t", v[0]) != NULL)
		buf_addc(&safe, '\'');
	escape_line(&safe, span_of(v), 0);
	if (safe.n > 0 && strpbrk(buf_str(&safe), ",\"") != NULL) {
		buf_addc(out, '"');
		for (size_t i = 0; i < safe.n; i++) {
			if (safe.p[i] == '"')
				buf_addc(out, '"');
			buf_addc(out, safe.p[i]);
		}
		buf_addc(out, '"');
	} else {
		buf_addspan(out, buf_span(&safe));
	}
	buf_addc(out, last ? '\n' : ',');
	buf_free(&safe);
}

static void
number(struct buf *out, int64_t v)
{
	buf_addf(out, "%lld,", (long long)v);
}

static void
print_csv(const struct reports *all, struct buf *out)
{
	buf_adds(out, "type,org_name,report_id,domain,begin,end,source_ip,"
		      "count,disposition,dkim,spf,header_from,envelope_from,"
		      "dkim_domain,dkim_result,spf_domain,spf_result,"
		      "policy_type,successful,result_type\n");
	for (size_t i = 0; i < all->n; i++) {
		const struct report *r = &all->v[i];

		for (size_t k = 0; k < r->n; k++) {
			const struct report_row *x = &r->v[k];

			cell(out, kinds[r->kind], false);
			cell(out, r->org_name, false);
			cell(out, r->report_id, false);
			cell(out, r->domain, false);
			number(out, r->begin);
			number(out, r->end);
			cell(out, x->source_ip, false);
			number(out, x->count);
			cell(out, x->disposition, false);
			cell(out, x->dkim, false);
			cell(out, x->spf, false);
			cell(out, x->header_from, false);
			cell(out, x->envelope_from, false);
			cell(out, x->dkim_domain, false);
			cell(out, x->dkim_result, false);
			cell(out, x->spf_domain, false);
			cell(out, x->spf_result, false);
			cell(out, x->policy_type, false);
			number(out, x->good);
			cell(out, x->result_type, true);
		}
	}
}

/* --- the table --- */

static void
safe(struct buf *out, const char *v)
{
	if (v == NULL || *v == '\0')
		buf_addc(out, '-');
	else
		escape_line(out, span_of(v), 120);
}

static void
day(struct buf *out, int64_t t)
{
	struct date d;

	date_from_unix(&d, t, 0);
	buf_addf(out, "%04d-%02d-%02d", d.year, d.month, d.day);
}

static bool
is(const char *v, const char *word)
{
	return v != NULL && strcasecmp(v, word) == 0;
}

/* All rows of one source for one From, added up. */
struct source {
	const struct report_row *row; /* the first of them */
	int64_t count, pass, dkim, spf, quarantined, rejected;
	char *name; /* PTR */
};

static int
by_count(const void *a, const void *b)
{
	const struct source *x = a, *y = b;

	return x->count < y->count ? 1 : x->count > y->count ? -1 : 0;
}

/* What to do about it. */
static void
advice(struct buf *out, const struct source *s)
{
	const struct report_row *x = s->row;

	if (s->pass == s->count && s->dkim == s->count && s->spf == s->count) {
		buf_adds(out, "fine");
	} else if (s->dkim == s->count) {
		buf_adds(out, "fine; SPF does not cover it: a forwarder, or "
			      "add it to SPF");
	} else if (s->spf == s->count) {
		buf_adds(out,
			 "passes by SPF alone: sign its mail with DKIM as ");
		safe(out, x->header_from);
	} else if (s->pass == s->count) {
		buf_adds(out, "passes; not all of it by both");
	} else if (is(x->dkim_result, "pass") && x->dkim_domain != NULL) {
		buf_adds(out, "signed as ");
		safe(out, x->dkim_domain);
		buf_adds(out, ", not as ");
		safe(out, x->header_from);
		buf_adds(out, ": if it sends for you, let it sign as you");
	} else if (is(x->spf_result, "pass") && x->spf_domain != NULL) {
		buf_adds(out, "sends as ");
		safe(out, x->spf_domain);
		buf_adds(out, ": if it sends for you, let it sign as ");
		safe(out, x->header_from);
	} else if (s->pass > 0) {
		buf_adds(out, "fails now and then: look at its signing");
	} else {
		buf_adds(out, "if it is yours, add it to SPF and sign; else it "
			      "is forged");
	}
}

static struct source *
source_of(struct map *m, struct source **v, size_t *n, size_t *cap,
	  const struct report_row *x)
{
	struct buf key = BUF_INIT;
	size_t at;

	buf_addf(&key, "%s %s", x->source_ip ? x->source_ip : "-",
		 x->header_from ? x->header_from : "-");
	at = (size_t)(uintptr_t)map_get(m, buf_span(&key));
	if (at == 0) {
		*v = mem_grow(*v, cap, *n + 1, sizeof(**v));
		(*v)[(*n)++] = (struct source){ .row = x };
		at = *n;
		(void)map_put(m, buf_span(&key), (void *)(uintptr_t)at);
	}
	buf_free(&key);
	return &(*v)[at - 1];
}

static void
add_row(struct source *s, const struct report_row *x)
{
	bool dkim = is(x->dkim, "pass"), spf = is(x->spf, "pass");

	s->count += x->count;
	s->dkim += dkim ? x->count : 0;
	s->spf += spf ? x->count : 0;
	s->pass += dkim || spf ? x->count : 0;
	s->quarantined += is(x->disposition, "quarantine") ? x->count : 0;
	s->rejected += is(x->disposition, "reject") ? x->count : 0;
}

static void
ask_names(struct source *v, size_t n, struct dns *dns)
{
	deadline_t dl = clock_deadline(NAMES_MS);

	for (size_t i = 0;
	     dns != NULL && i < n && i < NAMES_MAX && clock_left(dl) > 0; i++) {
		char *reverse = NULL;

		if (v[i].row->source_ip != NULL &&
		    dns_client_name(dns, v[i].row->source_ip, &v[i].name,
				    &reverse, dl) != DNS_OK &&
		    reverse != NULL)
			v[i].name = mem_printf("(%s)", reverse);
		free(reverse);
	}
}

static void
table_sources(const struct reports *all, struct dns *dns, struct buf *out)
{
	struct map *m = map_new();
	struct source *v = NULL;
	size_t n = 0, cap = 0;

	for (size_t i = 0; i < all->n; i++)
		for (size_t k = 0;
		     all->v[i].kind == REPORT_DMARC && k < all->v[i].n; k++)
			add_row(source_of(m, &v, &n, &cap, &all->v[i].v[k]),
				&all->v[i].v[k]);
	map_free(m, NULL);
	if (n == 0)
		return;
	qsort(v, n, sizeof(*v), by_count);
	ask_names(v, n, dns);
	buf_adds(out, "\n   count    pass  dkim   spf  source\n");
	for (size_t i = 0; i < n; i++) {
		struct source *s = &v[i];

		buf_addf(out, "%8lld %6lld%% %4lld%% %4lld%%  ",
			 (long long)s->count,
			 (long long)(s->count ? s->pass * 100 / s->count : 0),
			 (long long)(s->count ? s->dkim * 100 / s->count : 0),
			 (long long)(s->count ? s->spf * 100 / s->count : 0));
		safe(out, s->row->source_ip);
		buf_addc(out, ' ');
		safe(out, s->name);
		buf_adds(out, " From ");
		safe(out, s->row->header_from);
		if (s->quarantined > 0)
			buf_addf(out, ", %lld quarantined",
				 (long long)s->quarantined);
		if (s->rejected > 0)
			buf_addf(out, ", %lld rejected",
				 (long long)s->rejected);
		buf_adds(out, "\n                               -> ");
		advice(out, s);
		buf_addc(out, '\n');
		free(s->name);
	}
	free(v);
}

static const char *
tls_advice(const char *result)
{
	static const struct {
		const char *result, *advice;
	} rows[] = {
		{ "starttls-not-supported", "offer STARTTLS on that host" },
		{ "certificate-host-mismatch",
		  "its certificate lacks the MX name" },
		{ "certificate-expired", "renew its certificate" },
		{ "certificate-not-trusted",
		  "take a certificate of a known authority, with its chain" },
		{ "tlsa-invalid", "publish a TLSA record that fits" },
		{ "dnssec-invalid", "mend the zone's DNSSEC" },
		{ "dane-required", "publish TLSA records" },
		{ "sts-policy-fetch-error", "look at the policy's web server" },
		{ "sts-policy-invalid", "mend the policy file" },
		{ "sts-webpki-invalid", "renew the policy host's certificate" },
		{ "validation-failure", "look at mx-dnscheck DOMAIN" },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		if (is(result, rows[i].result))
			return rows[i].advice;
	return "look at mx-dnscheck DOMAIN";
}

static void
table_tls(const struct report *r, struct buf *out)
{
	for (size_t k = 0; k < r->n; k++) {
		const struct report_row *x = &r->v[k];

		buf_adds(out, "    ");
		safe(out, x->policy_type);
		buf_addc(out, ' ');
		safe(out, x->policy_domain);
		if (x->result_type == NULL) {
			buf_addf(out, ": %lld sessions well\n",
				 (long long)x->good);
			continue;
		}
		buf_addf(out, ": %lld failed: ", (long long)x->count);
		safe(out, x->result_type);
		buf_adds(out, " at ");
		safe(out, x->mx);
		buf_addf(out, " -> %s\n", tls_advice(x->result_type));
	}
}

static void
table_failure(const struct report *r, struct buf *out)
{
	const struct report_row *x = &r->v[0];

	buf_adds(out, "    ");
	safe(out, x->source_ip);
	buf_adds(out, " sent as ");
	safe(out, x->header_from);
	buf_adds(out, ": ");
	safe(out, x->auth_failure);
	buf_adds(out, ", ");
	safe(out, x->disposition);
	buf_adds(out, ", Subject ");
	safe(out, x->subject);
	buf_addc(out, '\n');
}

static void
print_table(const struct reports *all, struct dns *dns, struct buf *out)
{
	for (size_t i = 0; i < all->n; i++) {
		const struct report *r = &all->v[i];
		int64_t count = 0;

		for (size_t k = 0; k < r->n; k++)
			count += r->v[k].count;
		buf_addf(out, "%s ", kinds[r->kind]);
		safe(out, r->domain);
		buf_addc(out, ' ');
		day(out, r->begin);
		buf_adds(out, " to ");
		day(out, r->end);
		buf_adds(out, " from ");
		safe(out, r->org_name);
		if (r->p != NULL) {
			buf_adds(out, ", p=");
			safe(out, r->p);
		}
		if (is(r->testing, "y"))
			buf_adds(out, " (testing)");
		buf_addf(out, ", %lld %s\n", (long long)count,
			 r->kind == REPORT_TLS ? "failed sessions"
					       : "messages");
		if (r->error != NULL) {
			buf_adds(out, "    they say: ");
			safe(out, r->error);
			buf_addc(out, '\n');
		}
		if (r->kind == REPORT_TLS)
			table_tls(r, out);
		else if (r->kind == REPORT_FAILURE)
			table_failure(r, out);
	}
	table_sources(all, dns, out);
}

void
reports_print(const struct reports *all, enum report_format f, struct dns *dns,
	      struct buf *out)
{
	if (f == REPORT_JSON)
		print_json(all, out);
	else if (f == REPORT_CSV)
		print_csv(all, out);
	else
		print_table(all, dns, out);
}
