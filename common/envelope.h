/*
 * envelope.h - what a stage cannot read in the message: the MX_* environment
 * (DESIGN 3.4).
 * Layer: mail.
 */
#ifndef MX_ENVELOPE_H
#define MX_ENVELOPE_H

#include "strs.h"

struct envelope {
	char *sender; /* "" is the null sender; NULL: not known */
	struct strs recipients;
	char *client_addr, *client_name, *helo, *auth_user, *tls, *queue_id;
};

/* From the environment; fields not there are NULL. */
void envelope_from_env(struct envelope *env);
/* Adds MX_X=... to the list for a child (NULL fields are left out). */
void envelope_to_env(const struct envelope *env, struct strs *envp);
/* Forgets every MX_* of our own environment but MX_CONFIG and the hooks of
 * tests (MX_TEST_*): nobody outside says what the envelope is. */
void envelope_clear_env(void);
void envelope_free(struct envelope *env);
/* Option rows that override it; STRUCT embeds struct envelope as MEMBER:
 * --sender --recipient (repeatable) --client-addr --client-name --helo
 * --auth-user --tls --queue-id. */
#define ENVELOPE_OPT(STRUCT, MEMBER, FIELD, NAME, ARG, MEANING)                \
	{                                                                      \
		0, NAME, ARG, OPT_STR,                                         \
		    offsetof(STRUCT, MEMBER) +                                 \
			offsetof(struct envelope, FIELD),                      \
		    MEANING                                                    \
	}

#endif
