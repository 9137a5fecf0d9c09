/*
 * aggregate.c - the XML of an aggregate report.  RFC 9990 3, appendix A.
 */
#include "send.h"
#include "escape.h"
#include "strs.h"

struct span
aggregate_tag(const char *record, const char *name)
{
	struct span rest = span_of(record), piece;

	while (span_split(&rest, ';', &piece)) {
		ssize_t eq = span_chr(piece, '=');

		if (eq > 0 &&
		    span_iis(span_trim(span_sub(piece, 0, (size_t)eq)), name))
			return span_trim(span_from(piece, (size_t)eq + 1));
	}
	return span_make(NULL, 0);
}

/* Text that strangers chose: XML's five, no control bytes, UTF-8 alone. */
static void
xml_text(struct buf *out, struct span s)
{
	struct buf safe = BUF_INIT;

	escape_line(&safe, s, 300);
	for (size_t i = 0; i < safe.n; i++) {
		switch (safe.p[i]) {
		case '<':
			buf_adds(out, "&lt;");
			break;
		case '>':
			buf_adds(out, "&gt;");
			break;
		case '&':
			buf_adds(out, "&amp;");
			break;
		case '"':
			buf_adds(out, "&quot;");
			break;
		default:
			buf_addc(out, safe.p[i]);
		}
	}
	buf_free(&safe);
}

static void
element(struct buf *out, const char *name, struct span v)
{
	buf_addf(out, "<%s>", name);
	xml_text(out, v);
	buf_addf(out, "</%s>", name);
}

static void
result_dkim(struct buf *out, const char *text)
{
	struct span rest = span_of(text), word[3] = { { 0 } };

	for (int i = 0; i < 3; i++)
		(void)span_word(&rest, " ", &word[i]);
	buf_adds(out, "<dkim>");
	element(out, "domain", word[1]);
	element(out, "selector", word[2]);
	element(out, "result", word[0]);
	buf_adds(out, "</dkim>");
}

void
aggregate_row(const struct seen *s, struct buf *out)
{
	buf_adds(out, "<row>");
	element(out, "source_ip", span_of(s->ip));
	buf_adds(out, "<count>%</count><policy_evaluated>");
	element(out, "disposition",
		span_of(s->disposition ? s->disposition : "none"));
	element(out, "dkim", span_of(s->dkim_aligned ? "pass" : "fail"));
	element(out, "spf", span_of(s->spf_aligned ? "pass" : "fail"));
	buf_adds(out, "</policy_evaluated></row><identifiers>");
	element(out, "header_from", span_of(s->from));
	if (s->spf_domain != NULL &&
	    (s->spf_scope == NULL || strcmp(s->spf_scope, "mfrom") == 0))
		element(out, "envelope_from", span_of(s->spf_domain));
	buf_adds(out, "</identifiers><auth_results>");
	for (size_t i = 0; i < s->dkim.n; i++)
		result_dkim(out, s->dkim.v[i]);
	buf_adds(out, "<spf>");
	element(out, "domain", span_of(s->spf_domain));
	element(out, "scope", span_of(s->spf_scope ? s->spf_scope : "mfrom"));
	element(out, "result", span_of(s->spf ? s->spf : "none"));
	buf_adds(out, "</spf></auth_results>");
}

static void
policy(const struct outgoing *o, struct buf *out)
{
	static const char *const tags[] = { "sp", "np", "adkim", "aspf", "fo" };
	struct span p = aggregate_tag(o->record, "p"),
		    t = aggregate_tag(o->record, "t");

	buf_adds(out, "<policy_published>");
	element(out, "domain", span_of(o->domain));
	element(out, "discovery_method", SPAN("treewalk"));
	element(out, "p", p.n > 0 ? p : SPAN("none"));
	for (size_t i = 0; i < ARRAY_LEN(tags); i++) {
		struct span v = aggregate_tag(o->record, tags[i]);

		if (v.n > 0)
			element(out, tags[i], v);
	}
	element(out, "testing", span_iis(t, "y") ? SPAN("y") : SPAN("n"));
	buf_adds(out, "</policy_published>\n");
}

void
aggregate_xml(const struct outgoing *o, const char *id, struct buf *out)
{
	struct span key;
	void *count;
	size_t i = 0;

	buf_adds(out, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
		      "<feedback xmlns=\"urn:ietf:params:xml:ns:dmarc-2.0\">\n"
		      "<version>1.0</version>\n<report_metadata>");
	element(out, "org_name", span_of(params.report_org_name));
	element(out, "email", span_of(params.report_sender));
	element(out, "report_id", span_of(id));
	buf_addf(out,
		 "<date_range><begin>%lld</begin><end>%lld</end></date_range>",
		 (long long)o->begin, (long long)o->end);
	element(out, "generator", SPAN("mx " MX_VERSION));
	buf_adds(out, "</report_metadata>\n");
	policy(o, out);
	while (map_next(o->rows, &i, &key, &count)) {
		ssize_t at = span_find(key, SPAN("<count>%"));

		buf_addf(out, "<record>%.*s<count>%lld",
			 SPAN_ARG(span_sub(key, 0, (size_t)at)),
			 (long long)(intptr_t)count);
		buf_addspan(out, span_from(key, (size_t)at + 8));
		buf_adds(out, "</record>\n");
	}
	buf_adds(out, "</feedback>\n");
}
