/*
 * cmd_test.c - mx-filter test: runs a Sieve test script and prints TAP.
 */
#include "filter.h"
#include "mem.h"
#include "sieve.h"
#include "status.h"
#include "svtest.h"

#include <stdio.h>
#include <stdlib.h>

static const char first_message[] = "From: sender@example.com\n"
				    "To: recipient@example.org\n"
				    "Subject: Frop!\n"
				    "\n"
				    "Friep!\n";

/* Blocks in the file: tests stand at the top alone. */
static size_t
count_blocks(const struct sieve_script *s)
{
	size_t n = 0;

	for (size_t i = 0; i < s->root.nblock; i++)
		n += strcmp(s->root.block[i].name, "test") == 0;
	return n;
}

static void
done(struct svtest *t)
{
	svtest_forget_mail(t, false);
	free(t->mail);
	sieve_store_free(&t->store);
	free(t->orig_to);
	free(t->auth);
	free(t->source);
	map_free(t->annotations, free);
	free(t->sender);
	free(t->recipient);
	free(t->reason);
	free(t->delims);
	strs_free(&t->folders);
	strs_free(&t->errors);
	map_free(t->saved, NULL);
	for (size_t i = 0; i < t->nscripts; i++)
		sieve_close(t->scripts[i]);
	free(t->scripts);
}

static int
run(struct sieve_script *s, const char *dir)
{
	struct svtest t = { .dir = dir };
	struct sieve_run r = {
		.script = s,
		.store = &t.store,
		.has_mailbox = svtest_has_mailbox,
		.annotation = svtest_annotation,
		.implicit_keep = true,
		.test = &t,
		.err = ERR_INIT,
	};
	int status = ST_OK;

	t.top = &r;
	t.saved = map_new();
	t.annotations = map_new();
	t.delims = mem_strdup("+");
	svtest_message(&t, &r, SPAN(first_message));
	if (sieve_run_block(&r, &s->root) != 0 || t.fatal) {
		const char *why = t.fatal ? t.reason : r.err.text;

		printf("Bail out! %s\n", why);
		fprintf(stderr, "%s:%d: error: %s\n", s->file, r.err_line, why);
		status = ST_DATA;
	} else {
		printf("1..%zu\n", r.stopped ? t.entered : count_blocks(s));
		status = t.failures ? ST_NO : ST_OK;
	}
	if (fflush(stdout) != 0)
		status = ST_IOERR;
	sieve_run_done(&r);
	done(&t);
	return status;
}

/* Where a test script finds others, and who answers. */
static void
prepare(const char *dir)
{
	struct buf b = BUF_INIT;

	buf_addf(&b, "%sincluded", dir);
	(void)sieve_conf_set(SPAN("sieve_dir"), buf_span(&b));
	buf_adds(&b, "-global");
	(void)sieve_conf_set(SPAN("sieve_global"), buf_span(&b));
	(void)sieve_conf_set(SPAN("postmaster_address"),
			     SPAN("postmaster@example.com"));
	buf_free(&b);
}

int
cmd_test(int argc, char **argv)
{
	struct err e = ERR_INIT;
	struct sieve_script *s;
	struct span dir;
	ssize_t slash;
	char *path;
	int status = ST_DATA;

	if (argc != 1)
		return prog_usage("test needs one FILE");
	slash = span_rchr(span_of(argv[0]), '/');
	dir = slash < 0 ? SPAN("./")
			: span_sub(span_of(argv[0]), 0, (size_t)slash + 1);
	path = mem_spandup(dir);
	prepare(path);
	s = sieve_load(argv[0], stderr, NULL, true, &e);
	if (s == NULL) {
		free(path);
		return prog_fail(&e);
	}
	if (s->errors > 0)
		printf("Bail out! %s does not compile\n", argv[0]);
	else
		status = run(s, path);
	free(path);
	sieve_close(s);
	return status;
}
