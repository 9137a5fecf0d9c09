/*
 * main.c - mx-submit: sendmail(8)-compatible; completes a message from stdin
 * and hands it to mx-deliver, or over SMTP to a smarthost.  Linked as
 * sendmail, mailq and newaliases it does what these do.
 */
#include "submit.h"
#include "log.h"
#include "num.h"
#include "site.h"
#include "status.h"

#include <errno.h>
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
	  "print the recipients"),
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
	IGNORED('x', NULL),
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
	PARAM_ROW(struct submit_params, STR, ca_file, "smtp_tls_CAfile", "", 0,
		  0, NULL,
		  "certificates that submit_url's must lead to; empty: the "
		  "system's"),
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

/* 0 only when handover or the smarthost has said so. */
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
	if (r != 0 && e.text[0] == '\0')
		return e.status; /* mx-smarthost has said why */
	return r == 0 ? ST_OK : prog_fail(&e);
}

/* mailq, -bp, -q: mx-deliver's own commands; it takes our place. */
static int
run_deliver(const char *what, const char *which)
{
	struct strs argv = STRS_INIT;

	strs_add(&argv, "mx-deliver");
	if (prog.config_path != NULL)
		strs_addf(&argv, "--config=%s", prog.config_path);
	for (size_t i = 0; i < prog.overrides.n; i++) {
		strs_add(&argv, "-o");
		strs_add(&argv, prog.overrides.v[i]);
	}
	if (opts.spool != NULL) {
		strs_add(&argv, "-o");
		strs_addf(&argv, "queue_directory=%s", opts.spool);
	}
	strs_add(&argv, what);
	if (which != NULL)
		strs_add(&argv, which);
	execvp(argv.v[0], argv.v);
	fprintf(stderr, "mx-submit: mx-deliver cannot be run: %s\n",
		strerror(errno));
	return ST_TEMPFAIL;
}

/* sendmail's "-h 5" or "-h5", the hops so far, is ignored as Postfix does; as
 * our -h it would print the help and end with 0: the mail would be lost.  How
 * many words more than the first it is. */
static int
hop_words(int argc, char **argv)
{
	static char nothing[] = "-m"; /* another one that is ignored */
	uint64_t hops;

	if (strncmp(argv[0], "-h", 2) != 0)
		return 0;
	if (argv[0][2] != '\0') {
		if (num_u64(span_of(argv[0] + 2), INT32_MAX, &hops))
			argv[0] = nothing;
		return 0;
	}
	if (argc < 2 || !num_u64(span_of(argv[1]), INT32_MAX, &hops))
		return 0;
	argv[0] = argv[1] = nothing;
	return 1;
}

/*
 * sendmail's -q has its argument glued on, or none: -qIID, -qRSITE, -q30m
 * (an interval, ignored).  It becomes a plain -q before options are read.
 */
static int
queue_words(int argc, char **argv)
{
	static char plain[] = "-q";

	for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++) {
		const char *w = argv[i];

		if (strncmp(w, "-XV", 3) == 0)
			return prog_usage("-XV: envelope senders for each "
					  "recipient (VERP) are not made here");
		i += hop_words(argc - i, argv + i);
		if (strncmp(w, "-q", 2) != 0 || w[2] == '\0')
			continue;
		if ((w[2] == 'I' || w[2] == 'R') && w[3] != '\0')
			opts.queue_what = w + 3;
		else if (!ascii_isdigit(w[2]))
			return prog_usage("%s: expected -q, -qIID or -qRSITE",
					  w);
		argv[i] = plain;
	}
	return 0;
}

/* -N and -R as RFC 3461 has them: other words would be refused later. */
static int
notify_words(void)
{
	struct span rest = span_of(opts.notify), w;
	bool never = false;
	int n = 0;

	while (opts.notify != NULL && span_split(&rest, ',', &w)) {
		n++;
		if (span_iis(w, "never"))
			never = true;
		else if (!span_iis(w, "success") && !span_iis(w, "failure") &&
			 !span_iis(w, "delay"))
			n = -10000;
	}
	if (n < 0 || (never && n > 1))
		return prog_usage("-N %s: expected never, or some of success,"
				  "failure,delay",
				  opts.notify);
	if (opts.ret != NULL && !span_iis(span_of(opts.ret), "full") &&
	    !span_iis(span_of(opts.ret), "hdrs"))
		return prog_usage("-R %s: expected full or hdrs", opts.ret);
	return 0;
}

static int
by_mode(char mode, int argc, char **argv)
{
	struct err e = ERR_INIT;

	switch (mode) {
	case 'i':
		return ST_OK; /* aliases are read as text */
	case 'p':
		return run_deliver("--list", NULL);
	case 's':
		return handover_session(&e) == 0 ? ST_OK : prog_fail(&e);
	case 'm':
	case 'v':
		return submit(argc, argv);
	case 'd':
	case 'l':
		return prog_usage("-b%c: a server is mx-recv: see mx-recv(8)",
				  mode);
	}
	return prog_usage("-b%c: expected -bm, -bs, -bp, -bi or -bv", mode);
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
	char mode;
	int at;

	name = name != NULL ? name + 1 : argv[0];
	p.params = sets;
	p.nparams = ARRAY_LEN(sets);
	if (queue_words(argc, argv) != 0)
		return ST_USAGE;
	at = prog_start(&p, argc, argv, NULL);
	for (size_t i = 0; i < opts.sendmail.n; i++)
		opts.dot_is_text |= strcmp(opts.sendmail.v[i], "i") == 0;
	if (notify_words() != 0)
		return ST_USAGE;
	mode = opts.mode != NULL ? opts.mode[0] : 'm';
	if (opts.newaliases || strcmp(name, "newaliases") == 0)
		mode = 'i';
	else if (strcmp(name, "mailq") == 0)
		mode = 'p';
	else if (opts.queue)
		return run_deliver("--flush", opts.queue_what);
	return by_mode(mode, argc - at, argv + at);
}
