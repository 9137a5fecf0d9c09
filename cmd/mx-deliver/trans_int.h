/*
 * trans_int.h - what trans.c and trans_spool.c share: envelopes of one message.
 */
#ifndef MX_DELIVER_TRANS_INT_H
#define MX_DELIVER_TRANS_INT_H

#include "trans.h"

/* Does it end in one mailbox of this host, so that it can be delivered to
 * before the answer? */
bool trans_ends_here(const struct trans *t, const struct trans_rcpt *r);
/* t->facts for that recipient; they point into the transaction. */
void trans_fill_facts(struct trans *t, const struct trans_rcpt *r);
/* The envelope without recipients, with this sender; the caller frees it. */
void trans_fill_env(struct trans *t, struct queuefile_env *env,
		    const char *sender);
/* One target of a recipient, with the recipient's ORCPT and NOTIFY. */
void trans_add_to_env(struct queuefile_env *env, const struct trans_rcpt *r,
		      const struct target *g);
/* always_bcc, sender_bcc_maps, recipient_bcc_maps, BCC of mx-recv. */
void trans_add_bcc(const struct trans *t, struct queuefile_env *env);
/* REDIRECT: one recipient in place of all; nothing to do without one. */
int trans_redirect(struct trans *t, struct err *e) MX_MUST_CHECK;
/* The message is in t->spool.  0, or (without LMTP) -1 and e; each recipient's
 * `out` says how it ended. */
int trans_finish_spool(struct trans *t, struct err *e) MX_MUST_CHECK;

#endif
