/*
 * received.h - the Received field (RFC 5321 4.4, 3848, 6531).
 */
#ifndef RECV_RECEIVED_H
#define RECV_RECEIVED_H

#include "session.h"

/* Appends the field with LF line ends. */
void received_make(struct buf *b, struct session *s);
/* SMTP, ESMTP, ESMTPS, ESMTPSA, UTF8SMTPS ... */
void received_with(struct buf *b, const struct session *s);

#endif
