/*
 * parse_aggregate.c - DMARC aggregate reports, old and new.  RFC 7489 appendix
 * C; RFC 9990 appendix A.  No DTD, no entity, no file, no network.
 */
#include "mem.h"
#include "num.h"
#include "report.h"
#include "status.h"

#include <libxml/xmlreader.h>
#include <stdlib.h>

#define DEPTH_MAX 32
#define TEXT_MAX 10000

struct parse {
	struct report *r;
	struct report_row *row;
	struct buf path, text;
	size_t mark[DEPTH_MAX];
	int depth;
	bool feedback;
	char *space; /* the namespace of the root: "" without one */
	/* the auth_results entry that is being read */
	char *domain, *selector, *result;
};

static void
set(char **at, struct span v)
{
	free(*at);
	*at = mem_spandup(v);
}

/* The first pass counts, else the first: a line has room for one signature, and
 * which of them passed is what is asked. */
static void
keep_dkim(struct parse *p)
{
	struct report_row *row = p->row;

	if (row == NULL ||
	    (row->dkim_result != NULL &&
	     (strcmp(row->dkim_result, "pass") == 0 || p->result == NULL ||
	      strcmp(p->result, "pass") != 0)))
		return;
	free(row->dkim_domain);
	free(row->dkim_selector);
	free(row->dkim_result);
	row->dkim_domain = p->domain;
	row->dkim_selector = p->selector;
	row->dkim_result = p->result ? p->result : mem_strdup("");
	p->domain = p->selector = p->result = NULL;
}

static void
entry_end(struct parse *p, const char *path)
{
	if (strcmp(path, "record.auth_results.dkim") == 0) {
		keep_dkim(p);
	} else if (strcmp(path, "record.auth_results.spf") == 0 &&
		   p->row != NULL && p->row->spf_result == NULL) {
		p->row->spf_domain = p->domain;
		p->row->spf_result = p->result;
		p->domain = p->result = NULL;
	} else {
		return;
	}
	free(p->domain);
	free(p->selector);
	free(p->result);
	p->domain = p->selector = p->result = NULL;
}

static void
row_value(struct parse *p, const char *path, struct span v)
{
	struct report_row *row = p->row;
	struct {
		const char *path;
		char **at;
	} rows[] = {
		{ "row.source_ip", &row->source_ip },
		{ "row.policy_evaluated.disposition", &row->disposition },
		{ "row.policy_evaluated.dkim", &row->dkim },
		{ "row.policy_evaluated.spf", &row->spf },
		{ "row.policy_evaluated.reason.type", &row->reason },
		{ "identifiers.header_from", &row->header_from },
		{ "identities.header_from", &row->header_from },
		{ "row.policy_evaluated.reason.comment", &row->comment },
		{ "identifiers.envelope_from", &row->envelope_from },
		{ "identifiers.envelope_to", &row->envelope_to },
		{ "auth_results.dkim.domain", &p->domain },
		{ "auth_results.dkim.selector", &p->selector },
		{ "auth_results.dkim.result", &p->result },
		{ "auth_results.spf.domain", &p->domain },
		{ "auth_results.spf.result", &p->result },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		if (strcmp(rows[i].path, path) == 0)
			set(rows[i].at, v);
	if (strcmp(path, "row.count") == 0)
		(void)!num_i64(v, 0, INT64_MAX, &row->count);
}

static void
value(struct parse *p, const char *path, struct span v)
{
	struct report *r = p->r;
	struct {
		const char *path;
		char **at;
	} rows[] = {
		{ "report_metadata.org_name", &r->org_name },
		{ "report_metadata.email", &r->email },
		{ "report_metadata.report_id", &r->report_id },
		{ "policy_published.domain", &r->domain },
		{ "policy_published.p", &r->p },
		{ "policy_published.sp", &r->sp },
		{ "policy_published.np", &r->np },
		{ "policy_published.adkim", &r->adkim },
		{ "policy_published.aspf", &r->aspf },
		{ "policy_published.fo", &r->fo },
		{ "policy_published.testing", &r->testing },
		{ "policy_published.discovery_method", &r->discovery_method },
		{ "report_metadata.error", &r->error },
		{ "report_metadata.generator", &r->generator },
		{ "report_metadata.extra_contact_info", &r->extra_contact },
		{ "version", &r->version },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		if (strcmp(rows[i].path, path) == 0)
			set(rows[i].at, v);
	if (strcmp(path, "report_metadata.date_range.begin") == 0)
		(void)!num_i64(v, 0, INT64_MAX / 2, &r->begin);
	else if (strcmp(path, "report_metadata.date_range.end") == 0)
		(void)!num_i64(v, 0, INT64_MAX / 2, &r->end);
	else if (p->row != NULL && strncmp(path, "record.", 7) == 0)
		row_value(p, path + 7, v);
}

/* An element of another namespace than the root's is an extension (RFC 9990 5),
 * and never one of ours, whatever its name. */
static bool
element_start(struct parse *p, const char *name, const char *space)
{
	if (p->depth == DEPTH_MAX || strlen(name) > 200)
		return false;
	if (p->depth == 0) {
		p->feedback = strcmp(name, "feedback") == 0;
		p->space = mem_strdup(space);
	}
	p->mark[p->depth] = p->path.n;
	if (p->depth > 0) /* without the root's name */
		buf_addf(&p->path, "%s%s%s", p->path.n ? "." : "",
			 strcmp(space, p->space) == 0 ? "" : ":", name);
	p->depth++;
	buf_clear(&p->text);
	if (strcmp(buf_str(&p->path), "record") == 0)
		p->row = report_row(p->r);
	return true;
}

static void
element_end(struct parse *p)
{
	const char *path = buf_str(&p->path);

	value(p, path, span_trim(buf_span(&p->text)));
	entry_end(p, path);
	if (strcmp(path, "record") == 0)
		p->row = NULL;
	buf_clear(&p->text);
	p->depth--;
	buf_cut(&p->path, p->mark[p->depth]);
}

/* One node; false ends the reading with a sentence. */
static bool
node(struct parse *p, xmlTextReaderPtr x, struct err *e)
{
	const xmlChar *name = xmlTextReaderConstLocalName(x);
	const xmlChar *text, *space;

	switch (xmlTextReaderNodeType(x)) {
	case XML_READER_TYPE_ELEMENT: {
		bool empty = xmlTextReaderIsEmptyElement(x) == 1;

		space = xmlTextReaderConstNamespaceUri(x);
		if (!element_start(p, (const char *)name,
				   space ? (const char *)space : "")) {
			err_set(e, ST_DATA, "the XML is nested too deep");
			return false;
		}
		if (empty)
			element_end(p);
		return true;
	}
	case XML_READER_TYPE_END_ELEMENT:
		element_end(p);
		return true;
	case XML_READER_TYPE_TEXT:
	case XML_READER_TYPE_CDATA:
		text = xmlTextReaderConstValue(x);
		if (text != NULL && p->text.n < TEXT_MAX)
			buf_addspan(
			    &p->text,
			    span_sub(span_of((const char *)text), 0, TEXT_MAX));
		return true;
	case XML_READER_TYPE_DOCUMENT_TYPE:
	case XML_READER_TYPE_ENTITY_REFERENCE:
	case XML_READER_TYPE_ENTITY:
		err_set(e, ST_DATA, "XML with a DTD or entities is refused");
		return false;
	default:
		return true;
	}
}

static void
quiet(void *ctx, const char *msg, ...)
{
	(void)ctx;
	(void)msg;
}

int
parse_aggregate(struct reports *all, struct span xml, const char *file,
		struct err *e)
{
	struct parse p = { .r = report_new(all, REPORT_DMARC, file) };
	xmlTextReaderPtr x;
	int st = 0, more = -1;

	/* before libxml2 reads a byte: nothing a report needs begins so */
	if (span_ifind(xml, SPAN("<!DOCTYPE")) >= 0 ||
	    span_ifind(xml, SPAN("<!ENTITY")) >= 0) {
		report_drop(all);
		return err_set(e, ST_DATA,
			       "XML with a DTD or entities is refused");
	}
	xmlSetGenericErrorFunc(NULL, quiet);
	x = xmlReaderForMemory(xml.p, (int)xml.n, NULL, NULL,
			       XML_PARSE_NONET | XML_PARSE_NOERROR |
				   XML_PARSE_NOWARNING | XML_PARSE_COMPACT);
	while (x != NULL && st == 0 && (more = xmlTextReaderRead(x)) == 1)
		if (!node(&p, x, e))
			st = -1;
	xmlFreeTextReader(x);
	if (st == 0 && more != 0)
		st = err_set(e, ST_DATA, "malformed XML");
	if (st == 0 && !p.feedback)
		st = err_set(e, ST_DATA, "XML, and no DMARC report");
	buf_free(&p.path);
	buf_free(&p.text);
	free(p.domain);
	free(p.selector);
	free(p.result);
	free(p.space);
	if (st != 0)
		report_drop(all);
	return st;
}
