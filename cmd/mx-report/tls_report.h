/*
 * tls_report.h - one domain's TLS report of one day.  RFC 8460.
 */
#ifndef MX_REPORT_TLS_H
#define MX_REPORT_TLS_H

#include "send.h"

/* Failures that are alike. */
struct tls_failure {
	char *result, *mx, *ip, *local, *helo, *reason;
	int64_t count;
};
/* Sessions under one policy. */
struct tls_policy_seen {
	char *type;
	struct strs lines; /* the policy, or TLSA records */
	int64_t good, bad;
	struct map *failures; /* what is alike -> struct tls_failure */
};
struct tls_outgoing {
	char *domain;
	int64_t day;          /* since 1970, UTC */
	struct map *policies; /* type and lines -> struct tls_policy_seen */
	struct buf text;      /* its lines of the history */
};
/* tls_json.c: "2026-11-20...", the same for the same day. */
void tls_report_id(const struct tls_outgoing *o, struct buf *out);
/* Our domain in reports: that of report_sender (RFC 8460 5.3). */
const char *tls_report_submitter(void);
void tls_report_json(const struct tls_outgoing *o, struct buf *out);
/* json_gz: the report, packed. */
void tls_report_mail(const struct tls_outgoing *o, const struct strs *to,
		     struct span json_gz, int64_t now, struct buf *out);

#endif
