/*
 * check.c - mx-filter, which knows the language: what extensions there are,
 * and whether a script compiles.  It runs as the user, in the session's
 * sandbox; its words are shown, nothing else of it is believed.
 */
#include "conf.h"
#include "log.h"
#include "mem.h"
#include "proc.h"
#include "sieved.h"
#include "status.h"

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#define CHECK_MS 60000
#define WORDS_MAX 8192
#define FILTER "mx-filter"

extern char **environ;

static struct buf extensions;

/* Runs it; what it wrote to stdout (`out`) and stderr (`errs`). */
static int
filter(const char *word, const char *arg, struct buf *out, struct buf *errs)
{
	struct proc_stage stage = { .argv = STRS_INIT };
	int pipe_fd[2], status;

	if (pipe2(pipe_fd, O_CLOEXEC) != 0)
		return ST_TEMPFAIL;
	strs_take(&stage.argv, proc_sibling(FILTER));
	if (prog.config_path != NULL) {
		strs_add(&stage.argv, "-c");
		strs_add(&stage.argv, prog.config_path);
	}
	strs_add(&stage.argv, word);
	if (arg != NULL)
		strs_add(&stage.argv, arg);
	/* a list of names fits into the pipe */
	(void)proc_pipe(&stage, 1, -1, pipe_fd[1], environ,
			clock_deadline(CHECK_MS));
	close(pipe_fd[1]);
	(void)!io_read_all(pipe_fd[0], out, WORDS_MAX, clock_deadline(1000));
	close(pipe_fd[0]);
	buf_addspan(errs, buf_span(&stage.errs));
	status = stage.status;
	proc_stage_free(&stage);
	return status;
}

void
sieved_extensions_read(void)
{
	struct buf out = BUF_INIT, errs = BUF_INIT;
	struct span rest, word;

	if (filter("extensions", NULL, &out, &errs) != ST_OK)
		log_error(FILTER " extensions: %s", buf_str(&errs));
	buf_clear(&extensions);
	rest = buf_span(&out);
	while (span_word(&rest, " \n", &word)) {
		if (extensions.n > 0)
			buf_addc(&extensions, ' ');
		buf_addspan(&extensions, word);
	}
	buf_free(&out);
	buf_free(&errs);
}

void
sieved_capabilities(struct stream *st)
{
	struct span all = buf_span(&extensions), word;

	stream_puts(st, "\"IMPLEMENTATION\" \"mx\"\r\n\"SIEVE\" ");
	sieved_string(st, all);
	stream_puts(st, "\r\n");
	while (span_word(&all, " ", &word))
		if (span_is(word, "enotify"))
			stream_puts(st, "\"NOTIFY\" \"mailto\"\r\n");
	stream_printf(st, "\"MAXREDIRECTS\" \"%lld\"\r\n",
		      (long long)conf.max_redirects);
	stream_puts(st, "\"VERSION\" \"1.0\"\r\n");
}

const char *
sieved_check_folder(void)
{
	static char *folder;
	char *path = proc_sibling(FILTER);
	char *slash = strrchr(path, '/');

	free(folder);
	folder = NULL;
	if (slash != NULL && slash != path) {
		*slash = '\0';
		folder = path;
	} else {
		free(path);
	}
	return folder;
}

/* "/home/joe/sieve/tmp/x:3:1: error: ..." -> "main:3:1: error: ..." */
static void
rename_lines(struct buf *b, struct span text, const char *path,
	     struct span name)
{
	struct span line;

	while (span_split(&text, '\n', &line)) {
		line = span_rtrim(line);
		if (line.n == 0)
			continue;
		if (b->n > 0)
			buf_adds(b, "\r\n");
		if (span_starts(line, span_of(path))) {
			buf_addspan(b, name);
			line = span_from(line, strlen(path));
		}
		for (size_t i = 0; i < line.n; i++)
			buf_addc(b, (unsigned char)line.p[i] < 0x20
					? ' '
					: line.p[i]);
	}
}

int
sieved_check(const char *path, struct span name, struct buf *said)
{
	struct buf out = BUF_INIT, errs = BUF_INIT;
	int status = filter("check", path, &out, &errs);

	rename_lines(said, buf_span(&errs), path, name);
	if (status != ST_OK && status != ST_DATA) {
		log_error(FILTER " check: %s", buf_str(&errs));
		status = ST_TEMPFAIL;
	}
	buf_free(&out);
	buf_free(&errs);
	return status;
}
