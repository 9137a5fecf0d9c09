/*
 * front_start.c - what main() of an IMAP, POP3 or ManageSieve server begins
 * with; see front.h.
 * Layer: mail.
 */
#include "front.h"
#include "log.h"
#include "site.h"
#include "status.h"

int
front_start(const struct front_start *f, int argc, char **argv,
	    const char **user_r)
{
	int at;

	f->params[0] = site_params;
	f->params[1] = front_params;
	f->params[2] = *f->own;
	at = prog_start(f->program, argc, argv, NULL);
	*user_r = *f->preauth && at < argc ? argv[at] : NULL;
	if (*user_r != NULL && at + 1 < argc)
		return prog_usage("%s: one user is expected", argv[at + 1]);
	if (*user_r == NULL && at < argc)
		return prog_usage("%s: no operand is expected", argv[at]);
	if (!*f->preauth && f->maildir != NULL && *f->maildir != NULL)
		return prog_usage("--maildir goes with --preauth");
	return ST_OK;
}

void
front_log(const char *role)
{
	log_dovecot();
	site_log_open(role);
}
