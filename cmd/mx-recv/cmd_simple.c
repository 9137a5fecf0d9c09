/*
 * cmd_simple.c - the table of commands, and those of a few lines.
 * RFC 5321 4.1.1.
 */
#include "cmd.h"

const struct command session_commands[] = {
	{ "HELO", WHEN_ANY | WHEN_PRE_TLS, CMD_LAST | CMD_JUNK, cmd_helo },
	{ "EHLO", WHEN_ANY | WHEN_PRE_TLS, CMD_LAST | CMD_JUNK, cmd_ehlo },
	{ "LHLO", WHEN_ANY | WHEN_PRE_TLS, CMD_LAST | CMD_JUNK, cmd_lhlo },
	{ "XCLIENT", WHEN_NO_MAIL | WHEN_PRE_TLS, CMD_LONG | CMD_LAST,
	  cmd_xclient },
	{ "XFORWARD", WHEN_HELLO | WHEN_NO_MAIL, 0, cmd_xforward },
	{ "STARTTLS", WHEN_NO_MAIL | WHEN_PRE_TLS, CMD_LAST, cmd_starttls },
	{ "AUTH", WHEN_NO_MAIL, CMD_LONG | CMD_LAST, cmd_auth },
	{ "MAIL", WHEN_NO_MAIL, 0, cmd_mail },
	{ "RCPT", WHEN_MAIL, 0, cmd_rcpt },
	{ "DATA", WHEN_MAIL, CMD_LAST, cmd_data },
	/* Its chunk must be read even when it comes at a wrong time, so it
	 * checks the state by itself (THREATS 4). */
	{ "BDAT", WHEN_ANY | WHEN_PRE_TLS, 0, cmd_bdat },
	{ "RSET", WHEN_ANY, CMD_JUNK, cmd_rset },
	{ "NOOP", WHEN_ANY | WHEN_PRE_TLS, CMD_JUNK | CMD_LAST, cmd_noop },
	{ "VRFY", WHEN_ANY, CMD_JUNK | CMD_LAST, cmd_vrfy },
	{ "EXPN", WHEN_ANY, CMD_JUNK | CMD_LAST, cmd_etrn },
	{ "ETRN", WHEN_ANY, CMD_JUNK | CMD_LAST, cmd_etrn },
	{ "HELP", WHEN_ANY | WHEN_PRE_TLS, CMD_JUNK | CMD_LAST, cmd_help },
	{ "QUIT", WHEN_ANY | WHEN_PRE_TLS, 0, cmd_quit },
};
const size_t session_ncommands = ARRAY_LEN(session_commands);

/* RFC 5321 4.1.1.5: the hello stays. */
struct reply
cmd_rset(struct session *s, struct span args)
{
	if (args.n > 0)
		return reply_syntax("RSET");
	session_end_mail(s);
	cmd_xforward_reset(s);
	return reply_make(250, "2.0.0", "Ok");
}

/* RFC 5321 4.1.1.9: whatever stands behind it. */
struct reply
cmd_noop(struct session *s, struct span args)
{
	(void)s;
	(void)args;
	return reply_make(250, "2.0.0", "Ok");
}

/* RFC 5321 3.5.3, 7.3; THREATS 26: it never tells whether the user is there. */
struct reply
cmd_vrfy(struct session *s, struct span args)
{
	if (s->conf->p.disable_vrfy)
		return reply_make(502, "5.5.1", "VRFY command is disabled");
	if (args.n == 0)
		return reply_syntax("VRFY address [SMTPUTF8]");
	return reply_make(252, "2.0.0",
			  "Cannot VRFY user, but will accept message and "
			  "attempt delivery");
}

struct reply
cmd_etrn(struct session *s, struct span args)
{
	(void)s;
	(void)args;
	return reply_make(502, "5.5.1", "Error: command not implemented");
}

/* RFC 5321 4.1.1.8 */
struct reply
cmd_help(struct session *s, struct span args)
{
	struct reply r = reply_make(214, "2.0.0", "Commands:");

	(void)s;
	(void)args;
	for (size_t i = 0; i < session_ncommands; i++)
		buf_addf(&r.text, " %s", session_commands[i].word);
	return r;
}

/* RFC 5321 4.1.1.10: what was not ended by a dot is gone. */
struct reply
cmd_quit(struct session *s, struct span args)
{
	struct reply r;

	(void)s;
	if (args.n > 0)
		return reply_syntax("QUIT");
	r = reply_make(221, "2.0.0", "Bye");
	r.close = true;
	return r;
}
