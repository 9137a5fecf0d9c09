/*
 * main.c - mx-deliver: the only writer of mail: accepts, filters, delivers to
 * mailboxes, queues, bounces; options and which part runs.
 */
#include "bare.h"
#include "deliver.h"
#include "envelope.h"
#include "log.h"
#include "main.h"
#include "queue.h"
#include "senders.h"
#include "site.h"
#include "status.h"
#include "verify.h"

struct options options;

#define OPT(LETTER, NAME, ARG, TYPE, MEMBER, MEANING)                          \
	{                                                                      \
		LETTER, NAME, ARG, OPT_##TYPE,                                 \
		    offsetof(struct options, MEMBER), MEANING                  \
	}

static const struct opt opts[] = {
	OPT(0, "lmtp", NULL, FLAG, lmtp,
	    "serve ESMTP and LMTP: XFORWARD on deliver, logins on submit"),
	SERVER_OPT_ROWS(struct options, server),
	OPT(0, "maildir", "DIR[/.FOLDER]", STR, maildir,
	    "deposit stdin there; no configuration is read"),
	OPT(0, "mbox", "FILE", STR, mbox,
	    "append stdin there; no configuration is read"),
	OPT('f', "from", "SENDER", STR, sender, "envelope sender"),
	OPT('d', "user", "USER", STR, user, "deliver to this user's mailbox"),
	OPT('a', "original", "ADDR", STR, original,
	    "with -d: the recipient as it came"),
	OPT(0, "queue-run", NULL, FLAG, queue_run,
	    "one pass over the queue: deliver what is due"),
	OPT(0, "watch", NULL, FLAG, watch, "with --queue-run: stay, and watch"),
	OPT(0, "list", NULL, FLAG, list, "list the queue, as mailq does"),
	OPT(0, "show", "ID", STR, show, "print an entry"),
	OPT(0, "why", "ID|ADDR", STR, why,
	    "tell what became of a message, or of an address's messages"),
	OPT(0, "flush", NULL, FLAG, flush,
	    "make everything due, or the entry ID, or what waits for DOMAIN"),
	OPT(0, "hold", "ID", STR, hold, "put an entry on hold"),
	OPT(0, "release", "ID", STR, release, "release it"),
	OPT(0, "requeue", "ID", STR, requeue,
	    "try failed recipients of an entry again"),
	OPT(0, "delete", "ID", STR, remove, "delete an entry"),
	OPT(0, "srs", "ADDR", STR, srs,
	    "print the sender that ADDR's mail is forwarded with"),
	OPT(0, "srs-reverse", "ADDR", STR, srs_reverse,
	    "print the address that an SRS address stands for"),
	OPT(0, "srs-serve", NULL, FLAG, srs_serve,
	    "answer tcp_table and socketmap questions for Postfix"),
};

static struct param_rows params[4]; /* filled in main */

static struct program program = {
	.name = "mx-deliver",
	.synopsis =
	    "mx-deliver --lmtp [--listen ENDPOINT]... [--mode MODE]\n"
	    "       mx-deliver --maildir DIR[/.FOLDER] | --mbox FILE < msg\n"
	    "       mx-deliver [-f SENDER] RECIPIENT... < msg\n"
	    "       mx-deliver -d USER [-f SENDER] [-a ORIG] < msg\n"
	    "       mx-deliver --queue-run [--watch]\n"
	    "       mx-deliver --list | --show ID | --why ID|ADDR | --flush "
	    "[ID|DOMAIN] | "
	    "--hold "
	    "ID | --release ID | --requeue ID | --delete ID\n"
	    "       mx-deliver --srs ADDR | --srs-reverse ADDR\n"
	    "       mx-deliver --srs-serve [--listen MODE=ENDPOINT]...",
	.meaning = "delivers mail: to mailboxes, or into the queue",
	.opts = opts,
	.nopts = ARRAY_LEN(opts),
	.options = &options,
	.params = params,
	.nparams = ARRAY_LEN(params),
};

/* A bare deposit must work with a broken configuration too. */
static bool
is_bare(int argc, char **argv)
{
	for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++) {
		struct span a = span_of(argv[i]);
		if (span_starts(a, SPAN("--mail")) ||
		    span_starts(a, SPAN("--mb")))
			return true;
	}
	return false;
}

/* The tools of the queue. */
static int
run_tool(int argc, char **argv)
{
	if (options.list)
		return queue_list();
	if (options.flush)
		return queue_flush(argc > 0 ? argv[0] : "");
	if (options.show != NULL)
		return queue_show(options.show);
	if (options.why != NULL)
		return queue_why(options.why);
	if (options.hold != NULL)
		return queue_hold(options.hold, true);
	if (options.release != NULL)
		return queue_hold(options.release, false);
	if (options.requeue != NULL)
		return queue_requeue(options.requeue);
	return queue_delete(options.remove);
}

int
main(int argc, char **argv)
{
	bool bare = is_bare(argc, argv);
	int at;

	envelope_clear_env();
	params[0] = site_params;
	params[1] = deliver_params;
	params[2] = queue_params;
	params[3] = verify_params;
	if (bare)
		program.nparams = 0;
	at = prog_start(&program, argc, argv, NULL);
	if (bare && at < argc)
		return prog_usage("%s: a bare deposit takes no recipients",
				  argv[at]);
	if (options.maildir != NULL && options.mbox != NULL)
		return prog_usage("--maildir and --mbox: only one of them");
	if (options.maildir != NULL)
		return bare_maildir(options.maildir);
	if (options.mbox != NULL)
		return bare_mbox(options.mbox, options.sender);
	site_log_open("deliver");
	if (options.queue_run)
		return queue_run(&program, options.watch);
	if (options.list || options.show || options.why || options.flush ||
	    options.hold || options.release || options.requeue ||
	    options.remove)
		return run_tool(argc - at, argv + at);
	if (options.srs != NULL || options.srs_reverse != NULL)
		return senders_print(options.srs != NULL ? options.srs
							 : options.srs_reverse,
				     options.srs == NULL);
	if (options.srs_serve)
		return senders_serve(&program);
	if (options.lmtp)
		return serve_run(&program);
	if (options.user != NULL && at < argc)
		return prog_usage("-d %s: an LDA takes no recipients",
				  options.user);
	if (options.user != NULL)
		return lda_run();
	if (at < argc)
		return submit_run(argc - at, argv + at);
	return prog_usage("a recipient is missing: see mx-deliver --help");
}
