/*
 * auth.h - SPF, DKIM and DMARC over one message, and the fields that say so;
 * for the filter, the milter and the scorecard.  RFC 8601; RFC 7208 9.1.
 */
#ifndef MX_AUTH_H
#define MX_AUTH_H

#include "arc_check.h"
#include "dnscheck.h"
#include "envelope.h"
#include "milter_process.h"

struct auth {
	/* the question: set before auth_run */
	struct dns *dns;
	const char *id; /* authserv-id */
	char *job_id;   /* with the queue id behind it, or NULL: allocated */
	struct envelope env;
	struct msg m; /* indexed */
	int64_t now;
	/* the answer */
	const char *sender, *helo; /* of env, never NULL */
	bool client; /* a client on a network: there is SPF to check */
	struct spf spf;
	enum spf_code spf_code;
	struct signatures sigs;
	struct arc_result arc; /* with arc_verify */
	struct dmarc dmarc;
	bool ignored; /* DMARC was not looked at */
	bool sealed;  /* a trusted ARC seal outweighs its failure */
	size_t from_fields;
	bool from_unread; /* From has a domain that is not in `from` */
	struct strs from; /* domains of From, A-labels */
};

/* Our name in the fields: --authserv-id, authserv_id, myhostname. */
const char *auth_id(void);
/* env from the options and MX_*; options win. */
void auth_envelope(struct auth *a);
/* -1 and a sentence: a list of the configuration cannot be read. */
int auth_run(struct auth *a, struct err *e) MX_MUST_CHECK;
/* Frees everything but dns; m is the caller's. */
/* SPF alone. */
void auth_spf(struct auth *a);
void auth_done(struct auth *a);

/* auth_fields.c: removes forged results, puts ours on top. */
void auth_mark(struct auth *a, struct msg_edit *ed);
/* "; spf=...", and the value of Received-SPF. */
void auth_spf_result(struct auth *a, struct buf *v);
void auth_received_spf(struct auth *a, struct buf *v);
/* What is to be done with the message: refused only where that is asked for,
 * nothing else is done here. */
enum dmarc_policy auth_disposition(const struct auth *a);
/* One line a message, for the reports; a failure never stops mail. */
void auth_history(struct auth *a);
/* What such a line says, without its end; kind is its first word. */
void auth_line(const struct auth *a, const char *kind, struct buf *b);
/* auth_failure.c: another one, with the header, where a failure report is
 * asked for. */
void auth_failure(struct auth *a);

/* What is to be said when the message is refused; false: it is not.  *esc_r is
 * the enhanced code. */
bool auth_refusal(const struct auth *a, struct buf *text, const char **esc_r);

/* opendmarc_conf.c: opendmarc_conf into params, before the first message and
 * when the configuration is read again; `say` is called with a sentence for
 * each word that does not count here (may be NULL). */
int auth_configure(void (*say)(const char *sentence), struct err *e);
/* What it says of the process. */
extern struct milter_process auth_process;

/* auth_lists.c */
/* Does the history leave out mail to these recipients? */
bool auth_unrecorded(const struct auth *a);
/* Is the newest ARC seal of one of dmarc_trusted_sealers? */
int auth_trusts_seal(const struct auth *a, bool *yes, struct err *e);
/* Is DMARC not asked about this client, login or From? */
int auth_ignores(const struct auth *a, bool *yes, struct err *e);
/* What trusted Authentication-Results say, as identities in v[0..max-1] (spf
 * first in *spf when it has none yet).  The names are owned by `names`. */
size_t auth_trusted(const struct auth *a, struct dmarc_identity *spf,
		    struct dmarc_identity *v, size_t max, struct strs *names);

#endif
