/*
 * mech_external.c - EXTERNAL: the server that asks has verified a client
 * certificate, and says whom it names.
 * RFC 4422 appendix A; Dovecot auth_ssl_username_from_cert.
 */
#include "mech.h"

/*
 * The message is the authzid; one that is another than the certificate's would
 * be logging in as somebody else: refused.  The user must be in a database
 * that shows its entries, where a login may be forbidden.
 */
static enum mech_result
external_step(struct mech_state *st, struct span in, struct buf *challenge)
{
	struct buf stored = BUF_INIT;
	enum db_result r;

	if (!in.p) {
		buf_clear(challenge);
		return st->step++ == 0 ? MECH_CONTINUE : MECH_FAIL;
	}
	if (!st->valid_cert || st->cert_user.n == 0)
		return MECH_FAIL;
	if (in.n > 0 && !span_eq(in, buf_span(&st->cert_user)))
		return MECH_FAIL;
	r = mech_credentials(st, &stored);
	buf_wipe(&stored);
	return r == DB_OK     ? MECH_DONE
	       : r == DB_TEMP ? MECH_TEMP
			      : MECH_MISMATCH;
}

static const struct mech mech_external = {
	.name = "EXTERNAL",
	.flags = "",
	.step = external_step,
};
MECH(mech_external);
