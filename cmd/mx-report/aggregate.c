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

/* Text that strangers chose: XML's five, no control bytes, UTF-8 alone, and
 * not the two characters of it that XML forbids. */
static void
xml_text(struct buf *out, struct span s)
{
	struct buf safe = BUF_INIT;

	escape_line(&safe, s, 300);
	for (size_t i = 0; i < safe.n; i++) {
		if (span_starts(span_from(buf_span(&safe), i),
				SPAN("\xef\xbf\xbe")) ||
		    span_starts(span_from(buf_span(&safe), i),
				SPAN("\xef\xbf\xbf"))) {
			buf_addc(out, '?');
			i += 2;
			continue;
		}
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

/* One of the schema's words, whatever its case; else the other. */
static const char *
word_of(struct span v, const char *const *words, const char *other)
{
	for (; *words != NULL; words++)
		if (span_iis(v, *words))
			return *words;
	return other;
}

static const char *const policies[] = { "none", "quarantine", "reject", NULL };
static const char *const modes[] = { "r", "s", NULL };
static const char *const dkim_results[] = { "none",      "pass",    "fail",
					    "policy",    "neutral", "temperror",
					    "permerror", NULL };
static const char *const spf_results[] = { "none",      "pass",      "fail",
					   "softfail",  "policy",    "neutral",
					   "temperror", "permerror", NULL };

/* RFC 9990 3.1.3: which signatures tell most.  0 to 3. */
static int
dkim_rank(const struct seen *s, struct span result, struct span domain)
{
	struct span org = span_of(s->org ? s->org : s->policy_domain);

	if (!span_is(result, "pass"))
		return 3;
	if (span_ieq(domain, span_of(s->from)))
		return 0;
	return span_iends(domain, org) &&
		       (domain.n == org.n ||
			domain.p[domain.n - org.n - 1] == '.')
		   ? 1
		   : 2;
}

static void
results_dkim(const struct seen *s, struct buf *out)
{
	for (int rank = 0; rank < 4; rank++) {
		for (size_t i = 0; i < s->dkim.n; i++) {
			struct span rest = span_of(s->dkim.v[i]),
				    word[3] = { { 0 } };

			for (int k = 0; k < 3; k++)
				(void)span_word(&rest, " ", &word[k]);
			if (dkim_rank(s, word[0], word[1]) != rank)
				continue;
			buf_adds(out, "<dkim>");
			element(out, "domain", word[1]);
			element(out, "selector", word[2]);
			element(
			    out, "result",
			    span_of(word_of(word[0], dkim_results, "neutral")));
			buf_adds(out, "</dkim>");
		}
	}
}

/* The policy that was meant for this message. */
static const char *
policy_of(const struct seen *s)
{
	struct span sp = aggregate_tag(s->record, "sp");

	if (s->policy != NULL)
		return word_of(span_of(s->policy), policies, "none");
	if (strcasecmp(s->from, s->policy_domain) != 0 && sp.n > 0)
		return word_of(sp, policies, "none");
	return word_of(aggregate_tag(s->record, "p"), policies, "none");
}

/* RFC 9990 3.1.1.8: a reason MUST stand where a failure was not treated as the
 * policy says. */
static void
evaluated(const struct seen *s, struct buf *out)
{
	bool aligned = s->dkim_aligned || s->spf_aligned;
	const char *policy = policy_of(s),
		   *done = word_of(span_of(s->disposition), policies, "none");

	buf_adds(out, "<policy_evaluated>");
	if (aligned && strcmp(done, "none") == 0 && strcmp(policy, "none") != 0)
		done = "pass";
	element(out, "disposition", span_of(done));
	element(out, "dkim", span_of(s->dkim_aligned ? "pass" : "fail"));
	element(out, "spf", span_of(s->spf_aligned ? "pass" : "fail"));
	if (!aligned && strcmp(done, policy) != 0) {
		bool test = span_iis(aggregate_tag(s->record, "t"), "y");

		buf_adds(out, "<reason>");
		element(out, "type",
			span_of(test ? "policy_test_mode" : "local_policy"));
		if (!test)
			element(out, "comment",
				SPAN("the failure was marked in the message, "
				     "and not acted upon here"));
		buf_adds(out, "</reason>");
	}
	buf_adds(out, "</policy_evaluated>");
}

void
aggregate_row(const struct seen *s, struct buf *out)
{
	bool mfrom = s->spf_scope == NULL || strcmp(s->spf_scope, "mfrom") == 0;

	buf_adds(out, "<row>");
	element(out, "source_ip", span_of(s->ip));
	buf_adds(out, "<count>%</count>");
	evaluated(s, out);
	buf_adds(out, "</row><identifiers>");
	element(out, "header_from", span_of(s->from));
	/* RFC 9990 3.1.1.9: empty for a null reverse-path */
	if (s->spf_domain != NULL)
		element(out, "envelope_from",
			mfrom ? span_of(s->spf_domain) : SPAN(""));
	buf_adds(out, "</identifiers><auth_results>");
	results_dkim(s, out);
	/* RFC 9990 3.1.1.12: no scope but mfrom; a null reverse-path has one,
	 * too, which is postmaster at the HELO name (RFC 7208 2.4) */
	if (s->spf_domain != NULL && s->spf_domain[0] != '\0') {
		buf_adds(out, "<spf>");
		element(out, "domain", span_of(s->spf_domain));
		element(out, "scope", SPAN("mfrom"));
		element(out, "result",
			span_of(word_of(span_of(s->spf), spf_results, "none")));
		buf_adds(out, "</spf>");
	}
	buf_adds(out, "</auth_results>");
}

/* A tag as published, or its default; what is no such word is told in error.
 * Without a default: nothing where it is not published. */
static void
published(const struct outgoing *o, const char *tag, const char *const *words,
	  const char *other, struct buf *out, struct buf *error)
{
	struct span v = aggregate_tag(o->record, tag);
	const char *w = word_of(v, words, other);

	if (v.n > 0 && word_of(v, words, NULL) == NULL)
		buf_addf(error, "%sthe tag %s has no value that is known",
			 error->n ? "; " : "", tag);
	if (w != NULL)
		element(out, strcmp(tag, "t") == 0 ? "testing" : tag,
			span_of(w));
}

/* RFC 9990 3.1.1.6: the elements from p on hold what is published, or the
 * default. */
static void
policy(const struct outgoing *o, struct buf *out, struct buf *error)
{
	static const char *const yes_no[] = { "n", "y", NULL };
	struct span fo = aggregate_tag(o->record, "fo");

	buf_adds(out, "<policy_published>");
	element(out, "domain", span_of(o->domain));
	element(out, "discovery_method", span_of(o->psl ? "psl" : "treewalk"));
	published(o, "p", policies, "none", out, error);
	published(o, "sp", policies, NULL, out, error);
	published(o, "np", policies, NULL, out, error);
	published(o, "adkim", modes, "r", out, error);
	published(o, "aspf", modes, "r", out, error);
	element(out, "fo", fo.n > 0 ? fo : SPAN("0"));
	published(o, "t", yes_no, "n", out, error);
	buf_adds(out, "</policy_published>\n");
}

static void
metadata(const struct outgoing *o, const char *id, const struct buf *error,
	 struct buf *out)
{
	buf_adds(out, "<report_metadata>");
	element(out, "org_name", span_of(params.report_org_name));
	element(out, "email", span_of(params.report_sender));
	if (params.report_extra_contact_info[0] != '\0')
		element(out, "extra_contact_info",
			span_of(params.report_extra_contact_info));
	element(out, "report_id", span_of(id));
	buf_addf(out,
		 "<date_range><begin>%lld</begin><end>%lld</end></date_range>",
		 (long long)o->begin, (long long)o->end);
	if (error->n > 0)
		element(out, "error", buf_span(error));
	element(out, "generator", SPAN("mx " MX_VERSION));
	buf_adds(out, "</report_metadata>\n");
}

void
aggregate_xml(const struct outgoing *o, const char *id, struct buf *out)
{
	struct buf tags = BUF_INIT, error = BUF_INIT;
	struct span key;
	void *count;
	size_t i = 0;

	policy(o, &tags, &error);
	buf_adds(out, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
		      "<feedback xmlns=\"urn:ietf:params:xml:ns:dmarc-2.0\">\n"
		      "<version>1.0</version>\n");
	metadata(o, id, &error, out);
	buf_addspan(out, buf_span(&tags));
	buf_free(&tags);
	buf_free(&error);
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
