/*
 * main.c - mx-filter: one message through a filter.  A subcommand is a row.
 */
#include "filter.h"
#include "scan.h"
#include "sieve_conf.h"
#include "site.h"

struct filter_options opts;
struct filter_params filter_params;

#define ROW(TYPE, MEMBER, NAME, DEF, MIN, MAX, MEANING)                        \
	PARAM_ROW(struct filter_params, TYPE, MEMBER, NAME, DEF, MIN, MAX,     \
		  NULL, MEANING)
static const struct param rows[] = {
	ROW(LIST, header_checks, "header_checks", "", 0, 0,
	    "tables for the message's header, where none is named"),
	ROW(LIST, mime_header_checks, "mime_header_checks", "$header_checks", 0,
	    0, "tables for MIME headers"),
	ROW(LIST, nested_header_checks, "nested_header_checks",
	    "$header_checks", 0, 0, "tables for headers of attached messages"),
	ROW(LIST, body_checks, "body_checks", "", 0, 0,
	    "tables for body lines"),
	ROW(INT, header_size_limit, "header_size_limit", "102400", 1, 1048576,
	    "bytes of a header field that are looked up"),
	ROW(INT, line_length_limit, "line_length_limit", "2048", 1, 1048576,
	    "longer body lines are looked up in pieces of so many bytes"),
	ROW(INT, body_checks_size_limit, "body_checks_size_limit", "51200", 0,
	    INT64_MAX, "bytes of each body part that are looked up"),
};

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
static const struct opt replay_options[] = {
	O(STR, "script", "FILE", script, "the script"),
	O(STR, "sender", "ADDRESS", sender, "of all (default: Return-Path)"),
	O(STR, "recipient", "ADDRESS", recipient,
	  "of all (default: Delivered-To)"),
};
static const struct opt headers_options[] = {
	O(LIST, "mime", "TABLE", mime_tables,
	  "for MIME headers (default: the header tables)"),
	O(LIST, "nested", "TABLE", nested_tables,
	  "for headers of attached messages (default: the header tables)"),
	O(LIST, "body", "TABLE", body_tables, "for body lines"),
};

static const struct opt procmail_options[] = {
	{ 'a', "argument", "ARGUMENT", OPT_LIST,
	  offsetof(struct filter_options, args), "$1, $2 ... of the rcfile" },
	{ 'f', "from", "SENDER", OPT_STR, offsetof(struct filter_options, from),
	  "a line \"From SENDER\" on top where there is none" },
	{ 'm', "mailfilter", NULL, OPT_FLAG,
	  offsetof(struct filter_options, mailfilter),
	  "a mail filter: no default mailbox" },
	{ 'p', "preserve", NULL, OPT_FLAG,
	  offsetof(struct filter_options, keep_environment),
	  "keep the environment" },
	{ 't', "tempfail", NULL, OPT_FLAG,
	  offsetof(struct filter_options, ignored),
	  "failures are temporary (they always are)" },
	O(FLAG, "to-sieve", NULL, to_sieve, "print the rcfile as Sieve"),
};

static const struct opt spam_options[] = {
	O(STR, "server", "ENDPOINT", server, "the scanner (spam_server)"),
	O(STR, "learn", "CLASS", learn, "spam, ham or forget: tell it"),
	O(STR, "sender", "ADDRESS", sender, "MAIL FROM (MX_SENDER)"),
	O(STR, "recipient", "ADDRESS", recipient, "RCPT TO (MX_RECIPIENTS)"),
};
static const struct opt virus_options[] = {
	O(STR, "server", "ENDPOINT", server, "the scanner (virus_server)"),
	O(STR, "sender", "ADDRESS", sender, "MAIL FROM (MX_SENDER)"),
	O(STR, "recipient", "ADDRESS", recipient, "RCPT TO (MX_RECIPIENTS)"),
};

static const struct subcommand subs[] = {
	{ "sieve", "sieve --script FILE [--actions|--explain] < msg",
	  "run a Sieve script", sieve_options, ARRAY_LEN(sieve_options),
	  cmd_sieve },
	{ "check", "check FILE...", "compile Sieve scripts, tell errors", NULL,
	  0, cmd_check },
	{ "extensions", "extensions", "print what scripts may require", NULL, 0,
	  cmd_extensions },
	{ "test", "test FILE.svtest", "run a test script, print TAP", NULL, 0,
	  cmd_test },
	{ "replay", "replay --script FILE MAILDIR",
	  "tell which stored messages a script would put elsewhere",
	  replay_options, ARRAY_LEN(replay_options), cmd_replay },
	{ "remember", "remember MARK...",
	  "record what the action lines of sieve said", NULL, 0, cmd_remember },
	{ "procmail", "procmail [OPTION...] RCFILE [NAME=VALUE...] < msg",
	  "deliver as an rcfile of procmail says", procmail_options,
	  ARRAY_LEN(procmail_options), cmd_procmail },
	{ "spam", "spam [--server ENDPOINT] < msg > msg", "ask spamd or rspamd",
	  spam_options, ARRAY_LEN(spam_options), cmd_spam },
	{ "virus", "virus [--server ENDPOINT] < msg > msg", "ask clamd",
	  virus_options, ARRAY_LEN(virus_options), cmd_virus },
	{ "headers", "headers [TABLE...] < msg > msg",
	  "Postfix header_checks and body_checks", headers_options,
	  ARRAY_LEN(headers_options), cmd_headers },
};

int
main(int argc, char **argv)
{
	const struct param_rows sets[] = {
		site_params,
		{ rows, ARRAY_LEN(rows), &filter_params },
		sieve_rows,
		scan_rows,
	};
	const struct program p = {
		.name = "mx-filter",
		.synopsis = "mx-filter COMMAND [OPTION...] [ARGUMENT...]",
		.meaning = "one message through a filter: Sieve, header checks",
		.options = &opts,
		.subs = subs,
		.filters = "sieve headers spam virus",
		.nsubs = ARRAY_LEN(subs),
		.params = sets,
		.nparams = ARRAY_LEN(sets),
	};

	return prog_run_sub(&p, argc, argv);
}
