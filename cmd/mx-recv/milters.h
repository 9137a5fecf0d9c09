/*
 * milters.h - the milters of a session: each event of the session is told to
 * each of them in order, the first refusal decides, and what they change is
 * carried out on the held message.  Postfix MILTER_README.
 */
#ifndef RECV_MILTERS_H
#define RECV_MILTERS_H

#include "session.h"

/* In the monitor: smtpd_milters, non_smtpd_milters of one listener profile. */
int milters_load(struct conf *c, struct server *s, struct err *e);

/* Each returns true when *r is a refusal to be sent (logged). */
bool milters_connect(struct session *s, struct reply *r);
bool milters_helo(struct session *s, struct reply *r);
bool milters_mail(struct session *s, struct span parms, struct reply *r);
/* After the delivery side took the recipient. */
bool milters_rcpt(struct session *s, struct span parms, struct reply *r);
/* A recipient that is refused already, for those who want to know. */
void milters_rcpt_refused(struct session *s, struct span parms,
			  const struct reply *why);
bool milters_data(struct session *s, struct reply *r);
bool milters_unknown(struct session *s, struct span line, struct reply *r);

/* At the beginning of a message: is it to be held for them?  `ours`: fields
 * that go on top and that they do not see. */
bool milters_hold(struct session *s, struct span ours);
bool milters_holding(const struct session *s);
/* Stored (LF) bytes of a held message. */
void milters_write(struct session *s, struct span stored);
/* The held message is whole: they look at it and change it. */
bool milters_message(struct session *s, struct reply *r);
/* Recipients or sender changed after the delivery side heard of them: it hears
 * of them again.  False: r is the reply instead. */
bool milters_envelope(struct session *s, struct reply *r);
/* The held message, as it is now, behind link_data. */
bool milters_send(struct session *s, struct reply *r);

/* The transaction is over, however it ended; the session is. */
void milters_abort(struct session *s);
void milters_close(struct session *s);

#endif
