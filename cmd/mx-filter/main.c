/*
 * main.c - mx-filter: one message through a filter.  A subcommand is a row.
 */
#include "filter.h"
#include "maildir_root.h"
#include "scan.h"
#include "sieve_conf.h"
#include "site.h"

struct filter_options opts;
struct filter_params filter_params;
const struct program *filter_program;

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
	ROW(LIST, mailbox_auto, "mailbox_auto", MAILDIR_ROOT_BOXES, 0, 0,
	    "special uses that no client gave, as NAME:AUTO:USE"),
	ROW(INT, process_limit, "default_process_limit", "100", 1, 5000,
	    "policy: most clients at once"),
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
	O(STR, "maildir", "DIR", maildir,
	  "whose mailboxes these are (MX_MAILDIR)"),
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

#define PO(TYPE, NAME, ARG, MEMBER, MEANING)                                   \
	O(TYPE, NAME, ARG, policy.MEMBER, MEANING)
static const struct opt policy_options[] = {
	SERVER_OPT_ROWS(struct filter_options, policy.server),
	PO(STR, "inet", "[HOST:]PORT", inet, "listen here, localhost alone"),
	PO(STR, "unix", "PATH", unix_path, "listen on this unix socket"),
	PO(STR, "delay", "SECONDS", delay, "greylist for so long (300)"),
	PO(STR, "max-age", "DAYS", max_age, "forget after so long (35)"),
	PO(STR, "retry-window", "DAYS", window,
	   "the first retry must come within (2; hours as 6h)"),
	PO(STR, "greylist-action", "ACTION", action, "(DEFER_IF_PERMIT)"),
	PO(STR, "greylist-text", "TEXT", text,
	   "what the client hears; %s seconds, %r recipient's domain"),
	PO(STR, "x-greylist-header", "TEXT", header,
	   "field of a delayed message; %t seconds, %v version, %h host, %d "
	   "date"),
	PO(STR, "hostname", "NAME", hostname, "for %h (myhostname)"),
	PO(STR, "auto-whitelist-clients", "N", awl,
	   "let a client pass after N delayed mails (5; 0: never)"),
	PO(LIST, "whitelist-clients", "FILE", clients,
	   "clients that pass (repeatable)"),
	PO(LIST, "whitelist-recipients", "FILE", rcpts,
	   "recipients whose mail passes (repeatable)"),
	PO(FLAG, "lookup-by-subnet", NULL, by_subnet,
	   "a client is its network (so it is without options)"),
	PO(FLAG, "lookup-by-host", NULL, by_host, "a client is its address"),
	PO(STR, "ipv4cidr", "BITS", v4bits, "of an IPv4 network (24)"),
	PO(STR, "ipv6cidr", "BITS", v6bits, "of an IPv6 network (64)"),
	PO(FLAG, "privacy", NULL, privacy, "keep hashes of addresses alone"),
	PO(STR, "dbdir", "DIR", dbdir,
	   "where the state lies ($data_directory/policy)"),
	PO(STR, "client-rate", "COUNT/TIME", client_rate,
	   "recipients of one client, e.g. 100/1h; beyond: deferred"),
	PO(STR, "login-rate", "COUNT/TIME", login_rate,
	   "recipients of one login; beyond: deferred"),
};

static const struct subcommand subs[] = {
	{ "sieve", "sieve --script FILE [--actions|--explain] < msg",
	  "run a Sieve script", sieve_options, ARRAY_LEN(sieve_options),
	  cmd_sieve },
	{ "policy", "policy [--listen ENDPOINT]... [OPTION...]",
	  "greylisting and rates: a Postfix policy server", policy_options,
	  ARRAY_LEN(policy_options), cmd_policy },
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
		.filters = "sieve headers spam virus procmail",
		.nsubs = ARRAY_LEN(subs),
		.params = sets,
		.nparams = ARRAY_LEN(sets),
	};

	filter_program = &p;
	return prog_run_sub(&p, argc, argv);
}
