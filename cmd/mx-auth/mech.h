/*
 * mech.h - SASL mechanisms: one file a mechanism, found by its MECH line.
 */
#ifndef MX_AUTH_MECH_H
#define MX_AUTH_MECH_H

#include "buf.h"
#include "db.h"
#include "registry.h"

enum mech_result {
	MECH_CONTINUE, /* the challenge goes to the client */
	MECH_PASSWORD, /* user and password are known: verify them */
	MECH_FAIL,     /* malformed, or what the mechanism itself refuses */
	MECH_MISMATCH, /* the mechanism verified, and it does not fit */
	MECH_TEMP,     /* it cannot say */
	MECH_REFUSED,  /* it has told the client so before */
	MECH_DONE      /* the mechanism verified: st->user is logged in */
};

/* One exchange; a new one for each AUTH (never reused after a failure). */
struct mech_state {
	int step;
	struct buf user, password;
	const char *service, *remote_ip; /* of the request */
	struct db_entry entry;           /* mech_credentials fills it */
	bool has_entry;
	bool valid_cert;      /* the client's certificate was verified */
	struct buf cert_user; /* and names this one; empty: not asked */
	struct strs bindings; /* "TYPE=BASE64", of the client's TLS */
	bool token;           /* ->password is a bearer token */
	bool unknown;         /* mech_credentials found no such user */
	struct err unfit;     /* why it found nothing that serves */
	void *data;           /* the mechanism's own */
	void (*free)(void *data);
};

struct mech {
	const char *name;
	const char *flags; /* words of the MECH line: "plaintext" */
	/* in.p NULL: the client sent no initial response. */
	enum mech_result (*step)(struct mech_state *st, struct span in,
				 struct buf *challenge);
	/* After MECH_PASSWORD and a no: a last challenge that says why, which
	 * the client answers before it fails.  Optional. */
	void (*refusal)(struct mech_state *st, struct buf *challenge);
	const char *plus;  /* its -PLUS twin; named with it, not of itself */
	bool secured_only; /* not without TLS */
};
#define MECH(ROW) REGISTER(mx_auth_mech, struct mech, ROW)

const struct mech *mech_find(struct span name);
/* The stored password of st->user, "{SCHEME}data"; its name is brought into
 * its own form, limits of the entry (nologin, allow_nets) count. */
enum db_result mech_credentials(struct mech_state *st,
				struct buf *stored) MX_MUST_CHECK;
/* With auth_ssl_username_from_cert: st->user is whom the certificate names,
 * whatever the client said. */
void mech_cert_user(struct mech_state *st);
/* A saslname, "=2C" and "=3D" undone (RFC 5801 4). */
bool mech_saslname(struct span in, struct buf *out) MX_MUST_CHECK;
void mech_state_free(struct mech_state *st);

#endif
