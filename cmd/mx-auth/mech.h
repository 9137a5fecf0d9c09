/*
 * mech.h - SASL mechanisms: one file a mechanism, found by its MECH line.
 */
#ifndef MX_AUTH_MECH_H
#define MX_AUTH_MECH_H

#include "buf.h"
#include "registry.h"

enum mech_result {
	MECH_CONTINUE, /* the challenge goes to the client */
	MECH_PASSWORD, /* user and password are known: verify them */
	MECH_FAIL      /* malformed, or what the mechanism itself refuses */
};

/* One exchange; a new one for each AUTH (never reused after a failure). */
struct mech_state {
	int step;
	struct buf user, password;
};

struct mech {
	const char *name;
	const char *flags; /* words of the MECH line: "plaintext" */
	/* in.p NULL: the client sent no initial response. */
	enum mech_result (*step)(struct mech_state *st, struct span in,
				 struct buf *challenge);
};
#define MECH(ROW) REGISTER(mx_auth_mech, struct mech, ROW)

const struct mech *mech_find(struct span name);
void mech_state_free(struct mech_state *st);

#endif
