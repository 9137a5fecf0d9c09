/*
 * scan.h - scanners of mail: spamd, rspamd, clamd; what they say of a message.
 */
#ifndef MX_SCAN_H
#define MX_SCAN_H

#include "buf.h"
#include "endpoint.h"
#include "envelope.h"
#include "param.h"

struct scan_conf {
	char *spam_server, *virus_server;
	int spam_protocol; /* spamd|rspamd */
	int64_t spam_timeout, virus_timeout, spam_size_limit;
	int spam_default_action, virus_default_action; /* tempfail|accept */
	char *spam_tag_level, *spam_tag2_level, *spam_kill_level;
	char *spam_subject_tag, *spam_user, *quarantine, *virus_header;
	int final_spam_destiny, final_virus_destiny;
	struct strs bypass_spam, bypass_virus;
};
extern struct scan_conf scan_conf;
extern const struct param_rows scan_rows;
enum scan_destiny { SCAN_PASS, SCAN_REJECT, SCAN_DISCARD, SCAN_QUARANTINE };

struct scan_request {
	struct span message;
	const struct envelope *env;
	const char *user; /* whose settings count, or "" */
	deadline_t deadline;
};

struct scan_verdict {
	bool bad;              /* spam, as the scanner has it; a virus */
	int64_t score, needed; /* in thousandths */
	bool scored;
	struct buf tests; /* rules that matched; the virus's name */
	bool soft;        /* rspamd: try again later */
};

/* 0, or -1: the scanner is away, slow, or its answer makes no sense. */
int scan_spamd(const struct endpoint *ep, const struct scan_request *q,
	       struct scan_verdict *v, struct err *e) MX_MUST_CHECK;
/* TELL: class "spam" or "ham"; "" forgets. */
int scan_spamd_tell(const struct endpoint *ep, const struct scan_request *q,
		    const char *class, struct err *e) MX_MUST_CHECK;
int scan_rspamd(const struct endpoint *ep, const struct scan_request *q,
		struct scan_verdict *v, struct err *e) MX_MUST_CHECK;
int scan_rspamd_learn(const struct endpoint *ep, const struct scan_request *q,
		      const char *class, struct err *e) MX_MUST_CHECK;
int scan_clamd(const struct endpoint *ep, const struct scan_request *q,
	       struct scan_verdict *v, struct err *e) MX_MUST_CHECK;
/* "-1.25" in thousandths. */
bool scan_decimal(struct span s, int64_t *r) MX_MUST_CHECK;
void scan_print(struct buf *b, int64_t milli);

#endif
