/*
 * main.c - mx-filter: one message through a filter.  A subcommand is a row.
 */
#include "filter.h"
#include "site.h"

struct filter_options opts;

#define O(TYPE, NAME, ARG, MEMBER, MEANING)                                    \
	{                                                                      \
		0, NAME, ARG, OPT_##TYPE,                                      \
		    offsetof(struct filter_options, MEMBER), MEANING           \
	}

static const struct opt sieve_options[] = {
	O(STR, "script", "FILE", script, "the script"),
	O(FLAG, "actions", NULL, actions, "print actions for programs"),
	O(FLAG, "explain", NULL, explain, "print each test and what it saw"),
	O(STR, "edited", "FILE", edited, "where the edited message goes"),
	O(STR, "maildir", "DIR", maildir, "mailboxexists looks here"),
	O(STR, "sender", "ADDRESS", sender, "MAIL FROM (MX_SENDER)"),
	O(STR, "recipient", "ADDRESS", recipient, "RCPT TO (MX_RECIPIENTS)"),
};
static const struct opt headers_options[] = {
	O(FLAG, "body", NULL, body, "body_checks: look at body lines instead"),
};

static const struct subcommand subs[] = {
	{ "sieve", "sieve --script FILE [--actions|--explain] < msg",
	  "run a Sieve script", sieve_options, ARRAY_LEN(sieve_options),
	  cmd_sieve },
	{ "check", "check FILE...", "compile Sieve scripts, tell errors", NULL,
	  0, cmd_check },
	{ "headers", "headers [--body] TABLE... < msg > msg",
	  "Postfix header_checks and body_checks", headers_options,
	  ARRAY_LEN(headers_options), cmd_headers },
};

int
main(int argc, char **argv)
{
	const struct param_rows sets[] = { site_params };
	const struct program p = {
		.name = "mx-filter",
		.synopsis = "mx-filter COMMAND [OPTION...] [ARGUMENT...]",
		.meaning = "one message through a filter: Sieve, header checks",
		.options = &opts,
		.subs = subs,
		.nsubs = ARRAY_LEN(subs),
		.params = sets,
		.nparams = ARRAY_LEN(sets),
	};

	return prog_run_sub(&p, argc, argv);
}
