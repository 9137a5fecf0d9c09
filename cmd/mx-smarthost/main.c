/*
 * main.c - mx-smarthost: one message from stdin to a smarthost over SMTP with
 * TLS and AUTH, by libcurl.  mx-submit runs it where submit_url is set; any
 * refused recipient refuses the message.
 */
#include "clock.h"
#include "err.h"
#include "escape.h"
#include "io.h"
#include "log.h"
#include "mem.h"
#include "msg.h"
#include "opt.h"
#include "proc.h"
#include "site.h"
#include "status.h"
#include "wire.h"

#include <curl/curl.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static struct {
	const char *url, *from, *password_file, *token_command, *ca_file;
} opts;

#define O(NAME, ARG, MEMBER, MEANING)                                          \
	{                                                                      \
		0, NAME, ARG, OPT_STR,                                         \
		    (size_t)((char *)&opts.MEMBER - (char *)&opts), MEANING    \
	}

/* Password or token: the first line of a file or of a command's output. */
static int
secret(struct buf *out, struct err *e)
{
	struct strs argv = STRS_INIT;
	struct proc_spec ps = { .fd = { -1, -1, 2, -1 } };
	struct span line, rest;
	int link[2], r = 0;
	pid_t pid;

	if (opts.token_command == NULL || opts.token_command[0] == '\0') {
		if (opts.password_file == NULL || opts.password_file[0] == '\0')
			return 0;
		r = io_read_file(opts.password_file, out, 65536, e);
	} else {
		if (proc_words(&argv, span_of(opts.token_command), e) != 0)
			return -1;
		if (pipe2(link, O_CLOEXEC) != 0)
			return err_sys(e, "pipe");
		ps.argv = argv.v;
		ps.fd[1] = link[1];
		pid = proc_spawn(&ps, e);
		close(link[1]);
		if (pid < 0)
			r = -1;
		else if (io_read_all(link[0], out, 65536,
				     clock_deadline(60000)) != IO_OK ||
			 proc_wait(pid, clock_deadline(60000), NULL) != 0)
			r = err_set(e, ST_TEMPFAIL,
				    "submit_token_command failed");
		close(link[0]);
		strs_free(&argv);
	}
	rest = buf_span(out);
	if (r == 0 && span_split(&rest, '\n', &line))
		buf_cut(out, span_rtrim(line).n);
	return r;
}

struct source {
	struct buf wire;
	size_t at;
};

static size_t
give(char *to, size_t size, size_t count, void *ctx)
{
	struct source *s = ctx;
	size_t n = s->wire.n - s->at;

	if (n > size * count)
		n = size * count;
	memcpy(to, s->wire.p + s->at, n);
	s->at += n;
	return n;
}

static int
progress(void *ctx, curl_off_t dt, curl_off_t dn, curl_off_t ut, curl_off_t un)
{
	(void)ctx;
	(void)dt;
	(void)dn;
	if (ut > 0)
		fprintf(stderr, "\r%lld of %lld bytes sent", (long long)un,
			(long long)ut);
	return 0;
}

/* The first refusal and the command that it answers, for the sentence:
 * libcurl tells neither the recipient nor the server's words. */
struct dialogue {
	struct buf command, reply;
};

static int
listen_in(CURL *c, curl_infotype type, char *p, size_t n, void *ctx)
{
	struct dialogue *d = ctx;
	struct span line = span_trim(span_sub(span_make(p, n), 0, 500));

	(void)c;
	if (d->reply.n > 0 || line.n == 0)
		return 0;
	if (type == CURLINFO_HEADER_IN &&
	    (line.p[0] == '4' || line.p[0] == '5')) {
		buf_addspan(&d->reply, line);
	} else if (type == CURLINFO_HEADER_OUT) {
		/* The words of AUTH are nobody's business. */
		buf_clear(&d->command);
		if (span_istarts(line, SPAN("RCPT TO:")) ||
		    span_istarts(line, SPAN("MAIL FROM:")))
			buf_addspan(&d->command, line);
	}
	return 0;
}

/* What libcurl's verdict means: 5xx is for good, all else is temporary. */
static int
verdict(CURL *c, CURLcode code, const char *words, const struct dialogue *d,
	struct err *e)
{
	struct buf said = BUF_INIT, what = BUF_INIT;
	struct span who = buf_span(&d->command);
	ssize_t open = span_chr(who, '<'), end = span_chr(who, '>');
	long reply = 0;
	int status;

	if (code == CURLE_OK)
		return 0;
	curl_easy_getinfo(c, CURLINFO_RESPONSE_CODE, &reply);
	status = code == CURLE_LOGIN_DENIED ? ST_NOPERM
		 : reply >= 500             ? ST_UNAVAILABLE
					    : ST_TEMPFAIL;
	if (open >= 0 && end > open)
		escape_line(&what, span_sub(who, (size_t)open + 1, (size_t)end),
			    300);
	if (d->reply.n > 0)
		escape_line(&said, buf_span(&d->reply), 200);
	err_set(e, status, "%s: %s%s%s%s%s", opts.url, buf_str(&what),
		what.n > 0 ? ": " : "", words, said.n > 0 ? ": " : "",
		buf_str(&said));
	buf_free(&said);
	buf_free(&what);
	return -1;
}

static int
transfer(CURL *c, struct source *src, char **rcpts, int n, const char *word,
	 struct err *e)
{
	struct curl_slist *to = NULL;
	struct dialogue talk = { BUF_INIT, BUF_INIT };
	char words[CURL_ERROR_SIZE] = "";
	char *from = mem_printf("<%s>", opts.from ? opts.from : "");
	CURLcode code;
	int r;

	for (int i = 0; i < n; i++)
		to = curl_slist_append(to, rcpts[i]);
	curl_easy_setopt(c, CURLOPT_URL, opts.url);
	/* TLS always: a password never goes in clear text. */
	curl_easy_setopt(c, CURLOPT_USE_SSL, (long)CURLUSESSL_ALL);
	curl_easy_setopt(c, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
	curl_easy_setopt(c, CURLOPT_VERBOSE, 1L);
	curl_easy_setopt(c, CURLOPT_DEBUGFUNCTION, listen_in);
	curl_easy_setopt(c, CURLOPT_DEBUGDATA, &talk);
	curl_easy_setopt(c, CURLOPT_PROTOCOLS_STR, "smtp,smtps");
	if (opts.ca_file != NULL)
		curl_easy_setopt(c, CURLOPT_CAINFO, opts.ca_file);
	if (word[0] != '\0' && opts.token_command && opts.token_command[0])
		curl_easy_setopt(c, CURLOPT_XOAUTH2_BEARER, word);
	else if (word[0] != '\0')
		curl_easy_setopt(c, CURLOPT_PASSWORD, word);
	curl_easy_setopt(c, CURLOPT_MAIL_FROM, from);
	curl_easy_setopt(c, CURLOPT_MAIL_RCPT, to);
	curl_easy_setopt(c, CURLOPT_READFUNCTION, give);
	curl_easy_setopt(c, CURLOPT_READDATA, src);
	curl_easy_setopt(c, CURLOPT_UPLOAD, 1L);
	curl_easy_setopt(c, CURLOPT_CONNECTTIMEOUT, 60L);
	curl_easy_setopt(c, CURLOPT_TIMEOUT, 600L);
	curl_easy_setopt(c, CURLOPT_ERRORBUFFER, words);
	curl_easy_setopt(c, CURLOPT_INFILESIZE_LARGE, (curl_off_t)src->wire.n);
	if (isatty(STDERR_FILENO)) {
		curl_easy_setopt(c, CURLOPT_NOPROGRESS, 0L);
		curl_easy_setopt(c, CURLOPT_XFERINFOFUNCTION, progress);
	}
	code = curl_easy_perform(c);
	r = verdict(c, code, words[0] ? words : curl_easy_strerror(code), &talk,
		    e);
	buf_free(&talk.command);
	buf_free(&talk.reply);
	curl_slist_free_all(to);
	free(from);
	return r;
}

int
main(int argc, char **argv)
{
	const struct opt options[] = {
		O("url", "URL", url,
		  "smtps://USER@HOST or smtp://USER@HOST:587"),
		O("from", "ADDRESS", from, "envelope sender"),
		O("password-file", "FILE", password_file,
		  "its first line is the password"),
		O("token-command", "COMMAND", token_command,
		  "prints an OAuth 2.0 token: XOAUTH2"),
		O("ca-file", "FILE", ca_file, "trusted certificates"),
	};
	struct param_rows sets[] = { site_params };
	const struct program p = {
		.name = "mx-smarthost",
		.synopsis = "mx-smarthost --url URL [--from SENDER] "
			    "RECIPIENT... < msg",
		.meaning = "send one message to a smarthost, for mx-submit",
		.opts = options,
		.nopts = ARRAY_LEN(options),
		.options = &opts,
		.params = sets,
		.nparams = ARRAY_LEN(sets),
	};
	struct err e = ERR_INIT;
	struct msg_load load;
	struct source src = { BUF_INIT, 0 };
	struct buf word = BUF_INIT;
	struct wire_out w;
	CURL *c;
	int at = prog_start(&p, argc, argv, NULL), r;

	if (opts.url == NULL || at >= argc)
		return prog_usage("--url and a recipient are needed");
	if (msg_load(&load, STDIN_FILENO, 0, &e) != 0 || secret(&word, &e) != 0)
		return prog_fail(&e);
	wire_out_init(&w, false); /* libcurl stuffs the dots itself */
	wire_encode(&w, &src.wire, load.bytes);
	wire_finish(&w, &src.wire);
	msg_unload(&load);
	curl_global_init(CURL_GLOBAL_DEFAULT);
	c = curl_easy_init();
	r = c == NULL
		? err_set(&e, ST_SOFTWARE, "libcurl does not start")
		: transfer(c, &src, argv + at, argc - at, buf_str(&word), &e);
	curl_easy_cleanup(c);
	buf_wipe(&word);
	buf_free(&src.wire);
	return r == 0 ? ST_OK : prog_fail(&e);
}
