/*
 * mech_password.c - PLAIN (RFC 4616) and LOGIN (draft-murchison-sasl-login):
 * the two that carry the password itself.
 */
#include "mech.h"

enum { NAME_BYTES = 255, PASSWORD_BYTES = 1024 };

/*
 * message = [authzid] UTF8NUL authcid UTF8NUL passwd (RFC 4616 2).  Another
 * authzid than the authcid would be logging in as somebody else: refused.
 */
static enum mech_result
plain_step(struct mech_state *st, struct span in, struct buf *challenge)
{
	struct span authzid, user, password;

	if (!in.p) {
		buf_clear(challenge);
		return st->step++ == 0 ? MECH_CONTINUE : MECH_FAIL;
	}
	if (!span_split(&in, '\0', &authzid) || !span_split(&in, '\0', &user) ||
	    !span_split(&in, '\0', &password) || in.p)
		return MECH_FAIL;
	/* RFC 4616 2: the right to act as another is nobody's here */
	if (authzid.n > 0 && !span_eq(authzid, user))
		return MECH_FAIL;
	if (user.n == 0 || user.n > NAME_BYTES || password.n == 0 ||
	    password.n > PASSWORD_BYTES)
		return MECH_FAIL;
	buf_addspan(&st->user, user);
	buf_addspan(&st->password, password);
	return MECH_PASSWORD;
}

static const struct mech mech_plain = {
	.name = "PLAIN",
	.flags = "plaintext",
	.step = plain_step,
};
MECH(mech_plain);

static enum mech_result
login_step(struct mech_state *st, struct span in, struct buf *challenge)
{
	buf_clear(challenge);
	/* exim hands over an empty response where its client sent none. */
	if (st->step == 0 && in.n == 0) {
		st->step = 1;
		buf_adds(challenge, "Username:");
		return MECH_CONTINUE;
	}
	if (!in.p || in.n == 0 || memchr(in.p, '\0', in.n))
		return MECH_FAIL;
	if (st->step < 2) {
		if (in.n > NAME_BYTES)
			return MECH_FAIL;
		buf_addspan(&st->user, in);
		st->step = 2;
		buf_adds(challenge, "Password:");
		return MECH_CONTINUE;
	}
	if (in.n > PASSWORD_BYTES)
		return MECH_FAIL;
	buf_addspan(&st->password, in);
	return MECH_PASSWORD;
}

static const struct mech mech_login = {
	.name = "LOGIN",
	.flags = "plaintext",
	.step = login_step,
};
MECH(mech_login);
