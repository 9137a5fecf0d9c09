/*
 * send.h - our own reports, made from the history.  RFC 9990, RFC 9989 8.
 */
#ifndef MX_REPORT_SEND_H
#define MX_REPORT_SEND_H

#include "dns.h"
#include "err.h"
#include "strs.h"

struct report_options {
	bool csv, no_names, send, send_failures, send_tls, print;
	const char *until;
};
struct report_params {
	char *dmarc_history_file, *report_org_name, *report_sender,
	    *report_extra_contact_info, *report_command;
	int64_t report_expire;
	char *dmarc_failure_file;
	int64_t failure_report_limit;
	bool failure_report_subject;
	char *tlsrpt_history_file, *report_CAfile;
	int64_t tlsrpt_expire;
	struct strs failure_report_bcc;
	char *opendmarc_conf;
};
extern struct report_options opts;
extern struct report_params params;

/* opendmarc_conf.c: what opendmarc_conf says of reports, into params. */
int report_configure(struct err *e) MX_MUST_CHECK;

/* --send: the status of the program. */
int send_reports(void);
/* failure.c: --send-failures. */
int send_failures(void);
/* tls_send.c: --send-tls. */
int send_tls(void);
/* send.c: reports are made of what is older than *until_r: --until, or the
 * last midnight of UTC before now.  False: said on stderr, ST_USAGE. */
bool report_until(int64_t now, int64_t *until_r);
/* gzip (RFC 1952); false: no memory. */
bool report_gzip(struct span bytes, struct buf *out);
/* Lines of base64. */
void report_base64(struct buf *out, struct span bytes);

/* spool.c: the lines of path as text, taken away from it (look: left there).
 * -1 and a sentence; spool_close is needed either way. */
struct spool {
	const char *path;
	char *work;
	int lock;
	bool look, taken;
	struct buf back; /* what returns to the file */
};
int spool_open(struct spool *s, const char *path, bool look, struct buf *text,
	       struct err *e);
/* st: what went on in between; unless it is 0 nothing is thrown away. */
int spool_close(struct spool *s, int st, struct err *e);
/* Hands a mail to report_command; -1 and a sentence. */
int report_submit(const struct buf *mail, struct err *e);
/* Runs argv with bytes on its standard input; -1 and a sentence, which calls
 * it by name, when it fails. */
int report_feed(const struct strs *argv, struct span bytes, const char *name,
		struct err *e);

/* history.c: one message of the history. */
struct seen {
	int64_t time;
	char *ip, *from, *policy_domain, *policy, *disposition, *record, *org;
	bool spf_aligned, dkim_aligned;
	bool psl; /* of a program that knows no tree walk */
	char *spf, *spf_scope, *spf_domain;
	struct strs dkim; /* "RESULT DOMAIN SELECTOR [IDENTITY]" */
	/* of a failure to be reported */
	char *why, *sender, *id, *header;
	bool unasked;     /* for failure_report_bcc alone */
	struct span text; /* the line, or the lines of OpenDMARC's block */
};
/* The next message of *rest, in our form or in OpenDMARC's; false at the end.
 * What is neither is passed over. */
bool history_next(struct span *rest, struct seen *s);
void history_free(struct seen *s);
/* The next KEY=VALUE or KEY="VALUE" of a line; false at its end. */
bool history_pair(struct span *s, struct span *key, struct buf *value);

/* One domain's report. */
struct outgoing {
	char *domain, *record, *org;
	int64_t begin, end;
	struct strs rua;  /* addresses that may have it */
	struct map *rows; /* what differs, to a count */
	struct buf text;  /* its lines of the history */
	bool keep;        /* could not be sent now */
	bool psl;         /* the record was found as RFC 7489 does */
};
/* aggregate.c: the XML (RFC 9990). */
void aggregate_xml(const struct outgoing *o, const char *id, struct buf *out);
/* The row of a message: the XML of its record without the count. */
void aggregate_row(const struct seen *s, struct buf *out);
/* A tag of a DMARC record; p NULL without it. */
struct span aggregate_tag(const char *record, const char *name);

/* destination.c: the addresses of a record's tag (rua, ruf) that may have a
 * report about domain; *trouble: of one it is not known now.  What is left out
 * is said on stderr. */
void destinations(struct dns *dns, const char *tag, const char *domain,
		  const char *org, const char *record, struct strs *out,
		  bool *trouble);
/* "mailto:a@b!10m": the address, %XX undone; false for what we cannot use. */
bool destination_mail(struct span uri, struct buf *addr);

#endif
