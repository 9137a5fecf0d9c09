/*
 * mech_oauth.c - OAUTHBEARER (RFC 7628) and XOAUTH2 (Google's, before it):
 * a bearer token logs its owner in.  A refused one is told with a JSON
 * status, which the client answers before the exchange fails (RFC 7628 3.2.2,
 * 3.2.3).
 */
#include "json.h"
#include "mech.h"
#include "oauth.h"

enum { MESSAGE_BYTES = 12288 };

/* "auth=Bearer TOKEN" among the pairs, each ended by ^A (RFC 7628 3.1); host=
 * and port= are no concern of a server that has one name. */
static bool
take_pairs(struct mech_state *st, struct span rest)
{
	struct span pair, token = { NULL, 0 };

	while (span_split(&rest, '\1', &pair) && pair.n > 0)
		if (span_istarts(pair, SPAN("auth=Bearer ")) && !token.p)
			token = span_from(pair, 12);
	/* An empty pair ends them, and nothing stands behind. */
	if (rest.p == NULL || rest.n > 0 || token.p == NULL ||
	    !oauth_token_ok(token))
		return false;
	buf_addspan(&st->password, token);
	st->token = true;
	return true;
}

/* The client's first message; MECH_CONTINUE asks for it. */
static bool
begins(struct mech_state *st, struct span in, enum mech_result *r)
{
	*r = MECH_CONTINUE;
	if (st->step == 2) /* the answer to refusal() */
		*r = MECH_REFUSED;
	else if (in.p == NULL)
		*r = st->step == 0 ? MECH_CONTINUE : MECH_FAIL;
	else
		*r = MECH_PASSWORD;
	st->step = st->step == 0 && in.p == NULL ? 1 : 2;
	if (*r == MECH_PASSWORD && in.n > MESSAGE_BYTES)
		*r = MECH_FAIL;
	return *r == MECH_PASSWORD;
}

static enum mech_result
bearer_step(struct mech_state *st, struct span in,
	    struct buf *challenge MX_UNUSED)
{
	struct span rest = in, flag, authzid, nothing;
	enum mech_result r;

	if (!begins(st, in, &r))
		return r;
	if (!span_split(&rest, ',', &flag) ||
	    !(span_is(flag, "n") || span_is(flag, "y")) ||
	    !span_split(&rest, ',', &authzid) ||
	    !span_split(&rest, '\1', &nothing) || nothing.n > 0 ||
	    rest.p == NULL)
		return MECH_FAIL;
	if (authzid.n > 0 && (!span_starts(authzid, SPAN("a=")) ||
			      !mech_saslname(span_from(authzid, 2), &st->user)))
		return MECH_FAIL;
	return take_pairs(st, rest) ? MECH_PASSWORD : MECH_FAIL;
}

static enum mech_result
xoauth2_step(struct mech_state *st, struct span in,
	     struct buf *challenge MX_UNUSED)
{
	struct span rest = in, user;
	enum mech_result r;

	if (!begins(st, in, &r))
		return r;
	if (!span_split(&rest, '\1', &user) ||
	    !span_starts(user, SPAN("user=")) || user.n <= 5 || user.n > 260 ||
	    span_has_ctl(user) || rest.p == NULL)
		return MECH_FAIL;
	buf_addspan(&st->user, span_from(user, 5));
	return take_pairs(st, rest) ? MECH_PASSWORD : MECH_FAIL;
}

static void
add_conf(struct json *j, bool with_openid)
{
	const char *file = chain_oauth_file();
	struct oauth_conf c;

	if (file == NULL || oauth_conf_load(&c, file, NULL) < 0)
		return;
	if (c.scope[0] != '\0')
		json_str(j, "scope", span_of(c.scope));
	if (with_openid && c.openid_configuration_url[0] != '\0')
		json_str(j, "openid-configuration",
			 span_of(c.openid_configuration_url));
	oauth_conf_free(&c);
}

/* RFC 7628 3.2.2: the words of RFC 6750 3.1, and where to get a token. */
static void
bearer_refusal(struct mech_state *st MX_UNUSED, struct buf *challenge)
{
	struct json j;

	json_init(&j, challenge);
	json_object(&j, NULL);
	json_str(&j, "status", SPAN("invalid_token"));
	add_conf(&j, true);
	json_end(&j, '}');
}

static void
xoauth2_refusal(struct mech_state *st MX_UNUSED, struct buf *challenge)
{
	struct json j;

	json_init(&j, challenge);
	json_object(&j, NULL);
	json_str(&j, "status", SPAN("401"));
	json_str(&j, "schemes", SPAN("bearer"));
	add_conf(&j, false);
	json_end(&j, '}');
}

static const struct mech mech_oauthbearer = {
	.name = "OAUTHBEARER",
	.flags = "",
	.step = bearer_step,
	.refusal = bearer_refusal,
	.secured_only = true,
};
MECH(mech_oauthbearer);
static const struct mech mech_xoauth2 = {
	.name = "XOAUTH2",
	.flags = "",
	.step = xoauth2_step,
	.refusal = xoauth2_refusal,
	.secured_only = true,
};
MECH(mech_xoauth2);
