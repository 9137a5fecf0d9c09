/*
 * test_smtp_reply.c - replies of servers, friendly and not: lines as a table,
 * whole dialogues from a socket pair that is fed beforehand.
 */
#include "status.h"
#include "smtp_client.h"
#include "unit.h"

#include <sys/socket.h>
#include <unistd.h>

static void
test_lines(void)
{
	static const struct {
		const char *line;
		bool ok;
		int code;
		bool more;
		const char *esc, *text;
	} cases[] = {
		{ "250 2.1.0 Ok\r", true, 250, false, "2.1.0", "Ok" },
		{ "250-SIZE 1000", true, 250, true, "", "SIZE 1000" },
		{ "250", true, 250, false, "", "" },
		{ "250 ", true, 250, false, "", "" },
		{ "550 5.1.1 <a@b>: no", true, 550, false, "5.1.1",
		  "<a@b>: no" },
		{ "550 4.1.1 odd", true, 550, false, "", "4.1.1 odd" },
		{ "550 5.1.1", true, 550, false, "5.1.1", "" },
		{ "550 5.1111.1 x", true, 550, false, "", "5.1111.1 x" },
		{ "550 5.1.1x", true, 550, false, "", "5.1.1x" },
		{ "550 5..1 x", true, 550, false, "", "5..1 x" },
		{ "354 go", true, 354, false, "", "go" },
		{ "150 x", false, 0, false, "", "" },
		{ "600 x", false, 0, false, "", "" },
		{ "25 x", false, 0, false, "", "" },
		{ "2500 x", false, 0, false, "", "" },
		{ "250x", false, 0, false, "", "" },
		{ "+50 x", false, 0, false, "", "" },
		{ "HTTP/1.1 400 Bad Request", false, 0, false, "", "" },
		{ "", false, 0, false, "", "" },
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		int code = 0;
		bool more = false;
		char esc[12] = "";
		struct span text = { "", 0 };
		bool ok = smtp_reply_line(span_of(cases[i].line), &code, &more,
					  esc, &text);
		CHECK(ok == cases[i].ok, "line %zu: taken", i);
		if (ok)
			CHECK(code == cases[i].code && more == cases[i].more &&
				  strcmp(esc, cases[i].esc) == 0 &&
				  span_is(text, cases[i].text),
			      "line %zu: %d %s %.*s", i, code, esc,
			      SPAN_ARG(text));
	}
}

/* A client whose server has said `text` already and then closed. */
static int
fed(const char *text, size_t n)
{
	int fd[2];
	int big = 1 << 20;

	if (socketpair(AF_UNIX, SOCK_STREAM, 0, fd) != 0)
		return -1;
	(void)setsockopt(fd[1], SOL_SOCKET, SO_SNDBUF, &big, sizeof(big));
	if (send(fd[1], text, n, MSG_NOSIGNAL) != (ssize_t)n)
		printf("# short feed\n");
	(void)shutdown(fd[1], SHUT_WR);
	return fd[0]; /* fd[1] stays open: it reads nothing */
}

static void
test_dialogues(void)
{
	static const struct {
		const char *text;
		int open, hello; /* -1, or the code */
		unsigned caps;
	} cases[] = {
		{ "220 a ESMTP\r\n250-a\r\n250-PIPELINING\r\n250-size 99\r\n"
		  "250 AUTH=PLAIN login\r\n",
		  220, 250, SMTP_PIPELINING | SMTP_SIZE | SMTP_AUTH },
		{ "220 a\r\n500 what?\r\n250 a\r\n", 220, 250, 0 },
		{ "220 a\r\n502 no\r\n502 no\r\n", 220, 502, 0 },
		{ "554 go away\r\n", 554, -1, 0 },
		{ "421 busy\r\n", 421, -1, 0 },
		{ "220 a\r\n", 220, -1, 0 },
		{ "220-a\r\n", -1, -1, 0 },
		{ "220", -1, -1, 0 },
		{ "", -1, -1, 0 },
		{ "SSH-2.0-OpenSSH_9\r\n", -1, -1, 0 },
		{ "220 a\r\n250-a\r\n250-STARTTLS\r\n250", 220, -1, 0 },
		{ "220 a\n250-a\n250 DSN\n", 220, 250, SMTP_DSN },
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct smtp_client c = { .broken = false };
		struct smtp_reply r = { .code = 0 };
		struct err e = ERR_INIT;
		deadline_t d = clock_deadline(5000);
		int fd = fed(cases[i].text, strlen(cases[i].text));
		int o = smtp_client_open(&c, fd, d, &r, &e);
		CHECK((o == 0 ? r.code : o) == cases[i].open, "%zu: open: %s",
		      i, e.text);
		if (o == 0) {
			int h = smtp_client_hello(&c, "me", false, d, &r, &e);
			CHECK((h == 0 ? r.code : h) == cases[i].hello,
			      "%zu: hello: %s", i, e.text);
			CHECK(h != 0 || c.caps == cases[i].caps, "%zu: caps %x",
			      i, c.caps);
			if (i == 0)
				CHECK(c.size_limit == 99 &&
					  strcmp(buf_str(&c.auth),
						 "PLAIN LOGIN") == 0,
				      "values %s", buf_str(&c.auth));
		}
		smtp_reply_free(&r);
		smtp_client_close(&c, false);
	}
}

/* What a server said before it closed, to a command that never reached it: a
 * refusal counts, a "yes" does not. */
static void
test_unsent(void)
{
	static const struct {
		const char *text;
		int want;
	} cases[] = { { "250 2.0.0 Ok: queued\r\n", -1 },
		      { "354 go\r\n", -1 },
		      { "451 4.3.2 going down\r\n", 451 },
		      { "550 5.7.1 no\r\n", 550 } };

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct smtp_client c = { .broken = false };
		struct smtp_reply r = { .code = 0 };
		struct err e = ERR_INIT;
		size_t n = strlen(cases[i].text);
		int fd[2];

		CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, fd) == 0 &&
			  write(fd[1], cases[i].text, n) == (ssize_t)n,
		      "pair");
		close(fd[1]);
		smtp_client_start(&c, fd[0]);
		stream_puts(&c.s, "the end of a message\r\n.\r\n");
		int st = smtp_client_reply(&c, clock_deadline(5000), &r, &e);
		CHECK((st == 0 ? r.code : st) == cases[i].want, "%zu: %d %s", i,
		      r.code, e.text);
		CHECK(st == 0 || e.status == ST_TEMPFAIL, "%zu: temporary", i);
		smtp_reply_free(&r);
		smtp_client_close(&c, false);
	}
}

/* Replies without end cost bounded memory and end in an error. */
static void
test_endless(void)
{
	struct buf b = BUF_INIT;
	static const char *const heads[] = { "220-", "220 ", "220-x\r\n" };

	for (int k = 0; k < 3; k++) {
		struct smtp_client c = { .broken = false };
		struct smtp_reply r = { .code = 0 };
		struct err e = ERR_INIT;
		buf_clear(&b);
		buf_adds(&b, heads[k]);
		while (b.n < 100000)
			buf_adds(&b, k == 2 ? heads[k] : "xxxxxxxx");
		int o = smtp_client_open(&c, fed(b.p, b.n),
					 clock_deadline(5000), &r, &e);
		CHECK(o == -1 && c.broken && e.status == ST_TEMPFAIL,
		      "endless %d: %s", k, e.text);
		CHECK(r.text.n < 60000, "bounded: %zu", r.text.n);
		smtp_reply_free(&r);
		smtp_client_close(&c, false);
	}
	buf_free(&b);
}

static void
test_commands(void)
{
	struct smtp_client c = { .broken = false };
	struct smtp_reply r = { .code = 0 };
	struct err e = ERR_INIT;
	struct buf line = BUF_INIT;
	const char *hi = "220 a\r\n250-a\r\n250 XFORWARD NAME addr\r\n";

	CHECK(smtp_client_open(&c, fed(hi, strlen(hi)), clock_deadline(5000),
			       &r, &e) == 0,
	      "open");
	CHECK(smtp_client_hello(&c, "me", true, clock_deadline(5000), &r, &e) ==
		  0,
	      "LHLO");
	CHECK(smtp_client_send(&c, &e, "MAIL FROM:<%s>", "a\r\nRCPT TO:<b>") !=
		      0 &&
		  e.status == ST_DATA,
	      "no line break inside a command");
	smtp_client_xforward(&c, &line, "ADDR", SPAN("192.0.2.1"));
	smtp_client_xforward(&c, &line, "NAME", SPAN("a b"));
	smtp_client_xforward(&c, &line, "HELO", SPAN("x"));
	CHECK(strcmp(buf_str(&line), " ADDR=192.0.2.1 NAME=a+20b") == 0,
	      "XFORWARD:%s", buf_str(&line));
	buf_free(&line);
	smtp_reply_free(&r);
	smtp_client_close(&c, false);
}

int
main(void)
{
	test_lines();
	test_dialogues();
	test_unsent();
	test_endless();
	test_commands();
	return unit_done();
}
