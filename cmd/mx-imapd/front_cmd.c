/*
 * front_cmd.c - what may be said before the login.  RFC 3501 6.1, 6.2.
 */
#include "front.h"

static struct result
front_cmd_capability(struct session *s)
{
	struct buf b = BUF_INIT;

	if (!parse_end(&s->p))
		return result_bad(s);
	front_capability(s->front, &b);
	stream_printf(s->st, "* CAPABILITY %s\r\n", buf_str(&b));
	buf_free(&b);
	return result_ok("Capability completed");
}

static struct result
front_cmd_starttls(struct session *s)
{
	if (!parse_end(&s->p))
		return result_bad(s);
	if (!front_can_starttls(s->front))
		return RESULT(RESULT_BAD, NULL, "TLS is not to be had");
	/* RFC 3501 6.2.1, CVE-2011-0411: what stands behind it in the clear
	 * is an attacker's */
	if (stream_buffered(s->st).n > 0) {
		s->say_bye = true;
		return RESULT(RESULT_BYE, NULL, "Commands behind STARTTLS");
	}
	s->then = front_starttls;
	return result_ok("Begin TLS negotiation now");
}

static struct result
later(struct session *s)
{
	(void)s;
	return RESULT(RESULT_BAD, NULL, "Log in first");
}

const struct command front_commands[] = {
	{ "CAPABILITY", STATE_FIRST, CMD_NO_SYNC, front_cmd_capability },
	{ "NOOP", STATE_FIRST, CMD_NO_SYNC, cmd_noop },
	{ "LOGOUT", STATE_FIRST, CMD_NO_SYNC, cmd_logout },
	{ "ID", STATE_FIRST, CMD_NO_SYNC, cmd_id },
	{ "STARTTLS", STATE_FIRST, CMD_NO_SYNC, front_cmd_starttls },
	{ "LOGIN", STATE_FIRST, CMD_NO_SYNC, front_cmd_login },
	{ "AUTHENTICATE", STATE_FIRST, CMD_NO_SYNC, front_cmd_authenticate },
	{ "SELECT", STATE_FIRST, CMD_NO_SYNC, later },
	{ "EXAMINE", STATE_FIRST, CMD_NO_SYNC, later },
	{ "LIST", STATE_FIRST, CMD_NO_SYNC, later },
	{ "STATUS", STATE_FIRST, CMD_NO_SYNC, later },
	{ NULL, 0, 0, NULL },
};
