/*
 * footer.h - what every refusal ends with: smtpd_reject_footer, and
 * smtpd_reject_footer_maps.  postconf(5).
 */
#ifndef RECV_FOOTER_H
#define RECV_FOOTER_H

#include "session.h"

/* Adds it to a 4xx or 5xx reply, where there is one; what was logged of the
 * reply stays without it. */
void footer_add(struct session *s, struct reply *r);

#endif
