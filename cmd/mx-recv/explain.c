/*
 * explain.c - see explain.h.  The real session code runs in a child, as one
 * session on a socket pair; this end is its client.
 */
#include "explain.h"

#include "escape.h"
#include "io.h"
#include "json.h"
#include "log.h"
#include "mem.h"
#include "smtp_client.h"
#include "status.h"
#include "wire.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define STEP_MS 300000
#define MESSAGE_MAX (100u << 20)

bool explain_on;
bool explain_ask = true;
static int out = -1; /* stdout, in whichever process */

static void
print(const char *kind, struct span text)
{
	struct buf line = BUF_INIT, safe = BUF_INIT;

	if (prog.json) {
		struct json j;

		json_init(&j, &line);
		json_object(&j, NULL);
		json_str(&j, "step", span_of(kind));
		json_str(&j, "text", text);
		json_end(&j, '}');
	} else {
		bool inner =
		    strcmp(kind, "table") == 0 || strcmp(kind, "dns") == 0 ||
		    strcmp(kind, "policy") == 0 ||
		    strcmp(kind, "milter") == 0 || strcmp(kind, "probe") == 0;
		bool rule = inner || strcmp(kind, "rule") == 0;

		escape_line(&safe, text, 0);
		buf_addf(&line, "%s%-8s %s",
			 inner  ? "    "
			 : rule ? "  "
				: "",
			 kind, buf_str(&safe));
	}
	buf_addc(&line, '\n');
	(void)!io_write(out, line.p, line.n, DEADLINE_NEVER);
	buf_free(&line);
	buf_free(&safe);
}

void
explain(const char *kind, const char *fmt, ...)
{
	struct buf b = BUF_INIT;
	va_list ap;

	if (!explain_on)
		return;
	va_start(ap, fmt);
	buf_vaddf(&b, fmt, ap);
	va_end(ap);
	print(kind, buf_span(&b));
	buf_free(&b);
}

/* ------- the client's side */

struct script {
	const char *client, *name, *helo, *from, *login, *tls, *ask;
	struct strs rcpts;
};

static int
parse(struct script *s, int argc, char **argv)
{
	const struct {
		const char *word;
		const char **to;
	} rows[] = {
		{ "client=", &s->client }, { "name=", &s->name },
		{ "helo=", &s->helo },     { "from=", &s->from },
		{ "login=", &s->login },   { "tls=", &s->tls },
		{ "ask=", &s->ask },
	};

	for (int i = 0; i < argc; i++) {
		size_t k = 0;

		if (strncmp(argv[i], "rcpt=", 5) == 0) {
			strs_add(&s->rcpts, argv[i] + 5);
			continue;
		}
		while (k < ARRAY_LEN(rows) &&
		       strncmp(argv[i], rows[k].word, strlen(rows[k].word)) !=
			   0)
			k++;
		if (k == ARRAY_LEN(rows))
			return prog_usage("%s: expected client=, name=, helo=, "
					  "from=, rcpt=, login=, tls= or ask=",
					  argv[i]);
		*rows[k].to = argv[i] + strlen(rows[k].word);
	}
	return 0;
}

static void
trace(void *ctx, char dir, struct span line)
{
	(void)ctx;
	print(dir == '>' ? "client" : "server", span_rtrim(line));
}

static void
attribute(struct buf *b, const char *name, const char *value)
{
	if (value == NULL)
		return;
	buf_addf(b, " %s=", name);
	escape_xtext(b, span_of(value));
}

/* Who the client is, by a word of our own. */
static int
introduce(struct smtp_client *c, const struct script *s, struct smtp_reply *r,
	  struct err *e)
{
	struct buf b = BUF_INIT, addr = BUF_INIT;
	int st;

	if (s->client != NULL)
		buf_addf(&addr, "%s%s",
			 strchr(s->client, ':') != NULL ? "IPV6:" : "",
			 s->client);
	attribute(&b, "ADDR", addr.n > 0 ? buf_str(&addr) : NULL);
	attribute(&b, "NAME", s->name);
	attribute(&b, "REVERSE_NAME", s->name);
	attribute(&b, "LOGIN", s->login);
	attribute(&b, "TLS", s->tls);
	st = smtp_client_cmd(c, clock_deadline(STEP_MS), r, e, "XCLIENT%s",
			     b.n > 0 ? buf_str(&b) : " PORT=0");
	buf_free(&b);
	buf_free(&addr);
	return st;
}

/* The worst code so far: the verdict. */
static void
worse(int *worst, const struct smtp_reply *r)
{
	if (r->code / 100 > *worst / 100 && *worst / 100 != 5)
		*worst = r->code;
}

static int
send_message(struct smtp_client *c, struct span message, bool lmtp, size_t n,
	     int *worst, struct smtp_reply *r, struct err *e)
{
	struct wire_out w;
	struct buf wire = BUF_INIT;
	int st;

	st = smtp_client_cmd(c, clock_deadline(STEP_MS), r, e, "DATA");
	if (st == 0 && r->code == 354) {
		wire_out_init(&w, true);
		wire_encode(&w, &wire, message);
		wire_finish(&w, &wire);
		c->s.out_deadline = clock_deadline(STEP_MS);
		stream_write(&c->s, wire.p, wire.n);
		for (size_t i = 0; st == 0 && i < (lmtp ? n : 1); i++) {
			st =
			    smtp_client_reply(c, clock_deadline(STEP_MS), r, e);
			if (st != 0)
				break;
			worse(worst, r);
			explain("verdict", "message: %d %s %s", r->code, r->esc,
				buf_str(&r->text));
		}
	} else if (st == 0) {
		worse(worst, r);
	}
	buf_free(&wire);
	return st;
}

static int
dialogue(struct smtp_client *c, const struct script *s, struct span message,
	 bool lmtp, int *worst, struct err *e)
{
	struct smtp_reply r = { 0 };
	deadline_t d = clock_deadline(STEP_MS);
	size_t taken = 0;
	int st = introduce(c, s, &r, e);

	if (st == 0 && r.code / 100 == 2) {
		c->trace = trace;
		st = smtp_client_hello(
		    c, s->helo != NULL ? s->helo : "localhost", lmtp, d, &r, e);
	}
	if (st == 0)
		worse(worst, &r);
	if (st == 0 && r.code / 100 == 2 && s->from != NULL) {
		st = smtp_client_cmd(c, d, &r, e, "MAIL FROM:<%s>", s->from);
		worse(worst, &r);
	}
	for (size_t i = 0; st == 0 && r.code != 421 && i < s->rcpts.n; i++) {
		st =
		    smtp_client_cmd(c, d, &r, e, "RCPT TO:<%s>", s->rcpts.v[i]);
		if (st == 0) {
			worse(worst, &r);
			taken += r.code / 100 == 2;
			explain("verdict", "%s: %d %s %s", s->rcpts.v[i],
				r.code, r.esc, buf_str(&r.text));
		}
	}
	if (st == 0 && taken > 0 && message.n > 0)
		st = send_message(c, message, lmtp, taken, worst, &r, e);
	smtp_reply_free(&r);
	return st;
}

static int
rehearse(int fd, const struct script *s, struct span message, bool lmtp)
{
	struct smtp_client c = { 0 };
	struct smtp_reply r = { 0 };
	struct err e = ERR_INIT;
	int worst = 200, st;

	st = smtp_client_open(&c, fd, clock_deadline(STEP_MS), &r, &e);
	if (st == 0 && r.code == 220)
		st = dialogue(&c, s, message, lmtp, &worst, &e);
	else if (st == 0)
		worse(&worst, &r);
	smtp_reply_free(&r);
	c.trace = NULL;
	smtp_client_close(&c, st == 0 && worst != 421);
	/* A refusal that ends the session is an answer, too. */
	if (st != 0 && worst < 400) {
		e.status = e.status != 0 ? e.status : ST_TEMPFAIL;
		return prog_fail(&e);
	}
	explain("verdict", "all: %s",
		worst / 100 == 5   ? "refused"
		: worst / 100 == 4 ? "not now"
				   : "accepted");
	return worst / 100 == 5 ? 1 : worst / 100 == 4 ? ST_TEMPFAIL : 0;
}

static int
read_message(struct buf *b, struct err *e)
{
	if (isatty(0))
		return 0;
	if (io_read_all(0, b, MESSAGE_MAX, DEADLINE_NEVER) != IO_OK)
		return err_set(e, ST_DATA,
			       "the message on stdin is larger "
			       "than 100 MB, or cannot be read");
	return 0;
}

int
explain_main(int argc, char **argv, bool lmtp, int (*run)(void *ctx), void *ctx)
{
	struct script s = { NULL };
	struct buf message = BUF_INIT;
	struct err e = ERR_INIT;
	int pair[2], st = parse(&s, argc, argv), null;
	pid_t pid;

	if (st != 0)
		return st;
	if (read_message(&message, &e) != 0)
		return prog_fail(&e);
	out = fcntl(1, F_DUPFD_CLOEXEC, 10);
	null = open("/dev/null", O_RDWR | O_CLOEXEC);
	if (out < 0 || null < 0 ||
	    socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0) {
		err_sys(&e, "--explain");
		return prog_fail(&e);
	}
	explain_on = true;
	explain_ask = s.ask == NULL || strcmp(s.ask, "no") != 0;
	log_to_fd(log_verbose > 0 ? 2 : null);
	(void)fflush(NULL);
	pid = fork();
	if (pid < 0) {
		err_sys(&e, "fork");
		return prog_fail(&e);
	}
	if (pid == 0) {
		close(pair[0]);
		if (dup2(pair[1], 0) < 0 || dup2(pair[1], 1) < 0)
			_exit(ST_OSERR);
		close(pair[1]);
		unsetenv("LISTEN_PID");
		exit(run(ctx));
	}
	close(pair[1]);
	st = rehearse(pair[0], &s, buf_span(&message), lmtp);
	while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
	strs_free(&s.rcpts);
	buf_free(&message);
	return st;
}
