/*
 * report.h - reports that others send about our mail: DMARC aggregate (RFC
 * 7489, RFC 9990) and failure (RFC 6591, RFC 9991), TLS (RFC 8460).
 */
#ifndef MX_REPORT_H
#define MX_REPORT_H

#include "buf.h"
#include "dns.h"
#include "err.h"
#include "strs.h"

#define REPORT_BYTES_MAX (100u << 20) /* unpacked */
#define REPORT_ROWS_MAX 1000000

enum report_kind { REPORT_DMARC, REPORT_FAILURE, REPORT_TLS };

/* One row; NULL: not said. */
struct report_row {
	char *source_ip, *disposition, *dkim, *spf; /* dkim, spf: aligned? */
	char *header_from, *envelope_from, *envelope_to, *reason, *comment;
	char *dkim_domain, *dkim_selector, *dkim_result; /* the best one */
	char *spf_domain, *spf_result;
	/* failure */
	char *subject, *auth_failure, *arrival;
	/* TLS */
	char *policy_type, *policy_domain, *result_type, *mx, *text;
	int64_t count; /* messages; TLS: sessions that failed */
	int64_t good;  /* TLS: sessions that did not */
};
struct report {
	enum report_kind kind;
	char *file; /* where it stood */
	char *org_name, *email, *report_id, *domain;
	char *p, *sp, *np, *adkim, *aspf, *fo, *version;
	char *testing, *discovery_method, *error, *generator, *extra_contact;
	int64_t begin, end;
	struct report_row *v;
	size_t n, cap;
};
struct reports {
	struct report *v;
	size_t n, cap;
	bool failed; /* something was no report: said on stderr */
};

struct report *report_new(struct reports *all, enum report_kind kind,
			  const char *file);
struct report_row *report_row(struct report *r);
/* Forgets the last one: it turned out to be none. */
void report_drop(struct reports *all);
void reports_free(struct reports *all);

/* source.c: a file, a Maildir, or "-"; adds what it holds. */
void source_read(struct reports *all, const char *path);
/* Any document by its contents; -1 and a sentence when it is no report. */
int source_document(struct reports *all, struct span bytes, const char *file,
		    struct err *e);
/* unpack.c: gz or zip (its first member) into out; bounded. */
int unpack_gzip(struct span in, struct buf *out, struct err *e);
int unpack_zip(struct span in, struct buf *out, struct err *e);
/* The parsers. */
int parse_aggregate(struct reports *all, struct span xml, const char *file,
		    struct err *e);
int parse_tls(struct reports *all, struct span json, const char *file,
	      struct err *e);
/* fields: of the message/feedback-report part; original: what it is about. */
int parse_failure(struct reports *all, struct span fields, struct span original,
		  const char *file, struct err *e);
/* print.c */
enum report_format { REPORT_TABLE, REPORT_JSON, REPORT_CSV };
/* dns: for the names of sources; NULL: none are asked. */
void reports_print(const struct reports *all, enum report_format f,
		   struct dns *dns, struct buf *out);

#endif
