/*
 * main.c - mx-submit: sendmail(8)-compatible; completes a message from stdin
 * and hands it to mx-deliver, or over SMTP to a smarthost.  Linked as
 * sendmail, mailq and newaliases it does what these do.
 */
#include "submit.h"
#include "log.h"
#include "mem.h"
#include "site.h"
#include "status.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

struct submit_options opts;
struct submit_params params;

#define O(LETTER, NAME, ARG, TYPE, MEMBER, MEANING)                            \
	{                                                                      \
		LETTER, NAME, ARG, OPT_##TYPE,                                 \
		    offsetof(struct submit_options, MEMBER), MEANING           \
	}
#define IGNORED(LETTER, ARG)                                                   \
	{                                                                      \
		LETTER, NULL, ARG, OPT_IGNORE, 0, "ignored"                    \
	}

static const struct opt options[] = {
	O('t', NULL, NULL, FLAG, recipients,
	  "recipients are in To, Cc and Bcc too"),
	O('f', NULL, "ADDRESS", STR, from, "envelope sender"),
	O('r', NULL, "ADDRESS", STR, from, "the same"),
	O('F', NULL, "NAME", STR, full_name, "full name of the sender"),
	O('i', NULL, NULL, FLAG, dot_is_text,
	  "a line with a dot alone does not end the message"),
	O('o', NULL, "OPTION", LIST, sendmail,
	  "sendmail's option: i, as -i; others are ignored"),
	O('b', NULL, "MODE", STR, mode,
	  "m: submit; s: speak SMTP; p: list the queue; i: newaliases; v: "
	  "verify only"),
	O('q', NULL, NULL, FLAG, queue, "flush the queue"),
	O('I', NULL, NULL, FLAG, newaliases, "as newaliases: nothing to do"),
	O('N', NULL, "WHEN", STR, notify, "NOTIFY of RFC 3461"),
	O('R', NULL, "WHAT", STR, ret, "RET of RFC 3461: full or hdrs"),
	O('V', NULL, "ID", STR, envid, "ENVID of RFC 3461"),
	O(0, "spool", "DIR", STR, spool, "queue in a directory of your own"),
	IGNORED('m', NULL),
	IGNORED('n', NULL),
	IGNORED('U', NULL),
	IGNORED('G', NULL),
	IGNORED('A', "MODE"),
	IGNORED('B', "TYPE"),
	IGNORED('L', "TAG"),
	IGNORED('X', "FILE"),
	IGNORED('p', "PROTOCOL"),
	IGNORED('e', "MODE"),
};

static const struct param rows[] = {
	PARAM_ROW(struct submit_params, STR, submit_url, "submit_url", "", 0, 0,
		  NULL,
		  "smtps://USER@HOST or smtp://USER@HOST:587 of a smarthost; "
		  "empty: mx-deliver"),
	PARAM_ROW(struct submit_params, STR, submit_password_file,
		  "submit_password_file", "", 0, 0, NULL,
		  "file with the password for submit_url"),
	PARAM_ROW(struct submit_params, STR, submit_token_command,
		  "submit_token_command", "", 0, 0, NULL,
		  "command that prints an OAuth 2.0 token (XOAUTH2)"),
	PARAM_ROW(struct submit_params, SIZE, message_size_limit,
		  "message_size_limit", "10240000", 0, INT64_MAX, NULL,
		  "largest message; 0: no limit"),
	PARAM_ROW(struct submit_params, TIME, timeout, "submit_timeout", "300s",
		  1, INT64_MAX, "s", "waiting for each reply"),
};

/* Up to a line with a dot alone, unless -i (sendmail(1)). */
static struct span
until_dot(struct span s)
{
	struct span rest = s, line;
	size_t at = 0;

	while (span_split(&rest, '\n', &line)) {
		if (span_is(line, ".") || span_is(line, ".\r"))
			return span_sub(s, 0, at);
		at += line.n + 1;
	}
	return s;
}

static int
submit(int argc, char **argv)
{
	struct msg_load load = { 0 };
	struct submission s = { 0 };
	struct err e = ERR_INIT;
	struct span text;
	bool verify = opts.mode != NULL && opts.mode[0] == 'v';
	size_t limit = params.message_size_limit > 0
			   ? (size_t)params.message_size_limit
			   : 0;
	int r;

	/* -bv reads no message, but for its recipients (sendmail(1)). */
	if ((!verify || opts.recipients) &&
	    msg_load(&load, STDIN_FILENO, limit, &e) != 0)
		return prog_fail(&e);
	text = opts.dot_is_text ? load.bytes : until_dot(load.bytes);
	r = complete(&s, text, argv, argc, &e);
	if (r == 0 && verify) {
		for (size_t i = 0; i < s.recipients.n; i++)
			printf("%s\n", s.recipients.v[i]);
	} else if (r == 0) {
		r = params.submit_url[0] != '\0' ? smarthost(&s, &e)
						 : handover(&s, &e);
	}
	submission_free(&s);
	msg_unload(&load);
	return r == 0 ? ST_OK : prog_fail(&e);
}

/* mailq, -bp, -q: mx-deliver's own commands. */
static int
run_deliver(const char *what)
{
	char *argv[] = { mem_strdup("mx-deliver"), mem_strdup(what),
			 prog.config_path
			     ? mem_printf("--config=%s", prog.config_path)
			     : NULL,
			 NULL };

	execvp(argv[0], argv);
	fprintf(stderr, "mx-submit: cannot run mx-deliver\n");
	return ST_TEMPFAIL;
}

int
main(int argc, char **argv)
{
	struct program p = {
		.name = "mx-submit",
		.synopsis = "mx-submit [-t] [-i] [-f SENDER] [-F NAME] "
			    "RECIPIENT... < msg\n"
			    "       mx-submit -bs | -bp | -bi | -bv | -q",
		.meaning = "submit a message (sendmail)",
		.opts = options,
		.nopts = ARRAY_LEN(options),
		.options = &opts,
	};
	struct param_rows sets[] = { site_params,
				     { rows, ARRAY_LEN(rows), &params } };
	const char *name = strrchr(argv[0], '/');
	struct err e = ERR_INIT;
	char mode;
	int at;

	name = name != NULL ? name + 1 : argv[0];
	p.params = sets;
	p.nparams = ARRAY_LEN(sets);
	at = prog_start(&p, argc, argv, NULL);
	for (size_t i = 0; i < opts.sendmail.n; i++)
		opts.dot_is_text |= strcmp(opts.sendmail.v[i], "i") == 0;
	mode = opts.mode != NULL ? opts.mode[0] : 'm';
	if (strcmp(name, "newaliases") == 0 || mode == 'i' || opts.newaliases)
		return ST_OK; /* aliases are read as text */
	if (strcmp(name, "mailq") == 0 || mode == 'p')
		return run_deliver("--list");
	if (opts.queue)
		return run_deliver("--flush");
	if (mode == 's')
		return handover_session(&e) == 0 ? ST_OK : prog_fail(&e);
	if (mode != 'm' && mode != 'v')
		return prog_usage("-b%s: expected -bm, -bs, -bp, -bi or -bv",
				  opts.mode);
	return submit(argc - at, argv + at);
}
