/*
 * smtp_client.c - the client side of SMTP and LMTP, and reply parsing.
 * Layer: mail.  RFC 5321 4.2, 2033, 2034, 2920.
 */
#include "smtp_client.h"
#include "escape.h"
#include "num.h"
#include "status.h"

#include <stdio.h>

#define LINE_MAX_READ 4096 /* RFC 5321 4.5.3.1.5 says 512; longer: broken */
#define LINE_KEPT 512
#define LINES_KEPT 100
#define LINES_MAX 1000 /* beyond it nobody means a reply */
#define QUIT_MS 2000
#define XFORWARD_MAX 255 /* encoded; Postfix XFORWARD_README */

void
smtp_reply_free(struct smtp_reply *r)
{
	buf_free(&r->text);
	r->code = 0;
	r->esc[0] = '\0';
}

/* RFC 3463 2: class 2, 4 or 5, then two numbers of up to three digits. */
static size_t
esc_length(struct span s)
{
	size_t i = 1;

	if (s.n < 5 || (s.p[0] != '2' && s.p[0] != '4' && s.p[0] != '5'))
		return 0;
	for (int part = 0; part < 2; part++) {
		size_t digits = 0;
		if (i >= s.n || s.p[i] != '.')
			return 0;
		i++;
		while (i < s.n && ascii_isdigit(s.p[i])) {
			i++;
			digits++;
		}
		if (digits == 0 || digits > 3)
			return 0;
	}
	return i == s.n || s.p[i] == ' ' ? i : 0;
}

/* RFC 5321 4.2: three digits, and "-" where more lines follow; the text means
 * nothing to a program. */
bool
smtp_reply_line(struct span line, int *code_r, bool *more_r, char esc_r[12],
		struct span *text_r)
{
	struct span text;
	int code;

	if (line.n > 0 && line.p[line.n - 1] == '\r')
		line.n--;
	if (line.n < 3 || line.p[0] < '2' ||
	    !num_int(span_sub(line, 0, 3), 200, 599, &code))
		return false;
	if (line.n > 3 && line.p[3] != ' ' && line.p[3] != '-')
		return false;
	text = span_from(line, line.n > 3 ? 4 : 3);
	esc_r[0] = '\0';
	size_t n = esc_length(text);
	/* RFC 2034 4: the classes agree, or it is just text. */
	if (n > 0 && n < 12 && text.p[0] == line.p[0]) {
		memcpy(esc_r, text.p, n);
		esc_r[n] = '\0';
		text = span_ltrim(span_from(text, n));
	}
	*code_r = code;
	*more_r = line.n > 3 && line.p[3] == '-';
	*text_r = text;
	return true;
}

/* The link is of no use any more: temporary, whatever became of it. */
static int
lost(struct smtp_client *c, struct err *e, enum io_result r)
{
	c->broken = true;
	if (r == IO_TIMEOUT)
		return err_esc(e, ST_TEMPFAIL, "4.4.2", "timed out");
	if (r == IO_EOF)
		return err_esc(e, ST_TEMPFAIL, "4.4.2", "lost connection");
	return err_esc(e, ST_TEMPFAIL, "4.4.2", "lost connection: %s",
		       io_words(r));
}

static void
trace(struct smtp_client *c, char dir, struct span line)
{
	if (c->trace != NULL)
		c->trace(c->trace_ctx, dir, line);
}

/* One line; a longer one than LINE_MAX_READ ends the connection. */
static int
read_line(struct smtp_client *c, struct span *line_r, deadline_t d,
	  struct err *e)
{
	enum io_result r = stream_line(&c->s, LINE_MAX_READ, line_r, d);

	if (r == IO_TOOLONG) {
		c->broken = true;
		return err_esc(e, ST_TEMPFAIL, "4.5.0",
			       "the reply has a line without end");
	}
	return r == IO_OK ? 0 : lost(c, e, r);
}

/* A whole reply, of one line or many (RFC 5321 4.2.1); -1 and a broken link on
 * anything that is none. */
static int
read_reply(struct smtp_client *c, deadline_t d, struct smtp_reply *r,
	   struct err *e)
{
	bool more = true, refused = false;

	smtp_reply_free(r);
	for (int lines = 0; more; lines++) {
		struct span line, text;
		char esc[12];
		int code;
		if (read_line(c, &line, d, e) != 0)
			return -1;
		trace(c, '<', line);
		if (lines >= LINES_MAX ||
		    !smtp_reply_line(line, &code, &more, esc, &text)) {
			struct buf shown = BUF_INIT;
			c->broken = true;
			escape_line(&shown, line, 80);
			(void)err_esc(e, ST_TEMPFAIL, "4.5.0",
				      lines >= LINES_MAX
					  ? "the reply has no end: %s"
					  : "this is no SMTP reply: %s",
				      buf_str(&shown));
			buf_free(&shown);
			return -1;
		}
		r->code = code;
		refused = refused || code >= 400;
		if (esc[0] != '\0')
			memcpy(r->esc, esc, sizeof(esc));
		if (lines >= LINES_KEPT)
			continue;
		if (lines > 0)
			buf_addc(&r->text, '\n');
		escape_line(&r->text, text, LINE_KEPT);
	}
	/* Lines of different classes, which RFC 5321 4.2.1 forbids: the last
	 * one counts, as with Postfix, whose postscreen does it, and only a
	 * code of its class goes with it.  But a "yes" behind a "no" is in
	 * doubt (law 1). */
	if (refused && r->code < 400) {
		c->broken = true;
		return err_esc(e, ST_TEMPFAIL, "4.5.0",
			       "the reply says no and yes: %.300s",
			       buf_str(&r->text));
	}
	if (r->esc[0] != '\0' && r->esc[0] - '0' != r->code / 100)
		r->esc[0] = '\0';
	/* RFC 5321 3.8: after 421 the server closes. */
	if (r->code == 421)
		c->broken = true;
	return 0;
}

int
smtp_client_reply(struct smtp_client *c, deadline_t d, struct smtp_reply *r,
		  struct err *e)
{
	if (c->broken)
		return err_esc(e, ST_TEMPFAIL, "4.4.2", "lost connection");
	/* the greeting, and verdicts on a message, follow no command */
	if (c->unread > 0)
		c->unread--;
	c->s.out_deadline = d;
	enum io_result w = stream_flush(&c->s, d);
	if (w == IO_OK)
		return read_reply(c, d, r, e);
	/* It may have said why before it closed.  A "yes" is no answer to what
	 * has not reached it: taken for the reply to a message, it would be
	 * marked as sent. */
	int st =
	    w == IO_TIMEOUT ? -1 : read_reply(c, clock_deadline(QUIT_MS), r, e);
	c->broken = true;
	return st == 0 && r->code >= 400 ? 0 : lost(c, e, w);
}

/* Into the buffer; refused with 65 rather than sent when an address or a name
 * would break the line (THREATS 22). */
static int
vsend(struct smtp_client *c, struct err *e, const char *fmt, va_list ap)
{
	struct buf line = BUF_INIT;
	int r = 0;

	buf_vaddf(&line, fmt, ap);
	struct span s = buf_span(&line);
	if (span_has_ctl(s))
		r = err_esc(e, ST_DATA, "5.5.2",
			    "a control byte in a command for the server");
	else {
		trace(c, '>', s);
		buf_adds(&line, "\r\n");
		stream_write(&c->s, line.p, line.n);
		c->unread++;
	}
	buf_wipe(&line); /* it may be a password */
	return r;
}

int
smtp_client_send(struct smtp_client *c, struct err *e, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	int r = vsend(c, e, fmt, ap);
	va_end(ap);
	return r;
}

int
smtp_client_cmd(struct smtp_client *c, deadline_t d, struct smtp_reply *r,
		struct err *e, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	int st = vsend(c, e, fmt, ap);
	va_end(ap);
	return st != 0 ? st : smtp_client_reply(c, d, r, e);
}

void
smtp_client_start(struct smtp_client *c, int fd)
{
	void (*kept_trace)(void *, char, struct span) = c->trace;
	void *kept_ctx = c->trace_ctx;

	*c = (struct smtp_client){ .trace = kept_trace, .trace_ctx = kept_ctx };
	stream_init(&c->s, fd, fd);
}

int
smtp_client_greeting(struct smtp_client *c, deadline_t d, struct smtp_reply *r,
		     struct err *e)
{
	if (smtp_client_reply(c, d, r, e) != 0)
		return -1;
	struct span rest = buf_span(&r->text), word;
	if (span_word(&rest, " \n", &word))
		buf_addspan(&c->banner_host, word);
	return 0;
}

int
smtp_client_open(struct smtp_client *c, int fd, deadline_t d,
		 struct smtp_reply *r, struct err *e)
{
	smtp_client_start(c, fd);
	return smtp_client_greeting(c, d, r, e);
}

/* RFC 9422 3: NAME=NUMBER; what is malformed or not known is no limit. */
static void
take_limit(struct smtp_client *c, struct span value)
{
	struct span name;
	uint64_t n;

	if (!span_split(&value, '=', &name) || !num_u64(value, 999999, &n))
		return;
	if (span_iis(name, "MAILMAX"))
		c->mail_max = n;
	else if (span_iis(name, "RCPTMAX"))
		c->rcpt_max = n;
	else if (span_iis(name, "RCPTDOMAINMAX"))
		c->domain_max = n;
}

/* The capabilities that are kept as a bit alone, and those with a value. */
static void
take_capability(struct smtp_client *c, struct span line)
{
	static const struct {
		const char *word;
		unsigned bit;
	} words[] = {
		{ "PIPELINING", SMTP_PIPELINING },
		{ "8BITMIME", SMTP_8BITMIME },
		{ "SIZE", SMTP_SIZE },
		{ "STARTTLS", SMTP_STARTTLS },
		{ "AUTH", SMTP_AUTH },
		{ "CHUNKING", SMTP_CHUNKING },
		{ "DSN", SMTP_DSN },
		{ "SMTPUTF8", SMTP_SMTPUTF8 },
		{ "ENHANCEDSTATUSCODES", SMTP_ENHANCED },
		{ "XFORWARD", SMTP_XFORWARD },
		{ "REQUIRETLS", SMTP_REQUIRETLS },
		{ "XCLIENT", SMTP_XCLIENT },
		{ "XACTION", SMTP_XACTION },
		{ "LIMITS", SMTP_LIMITS },
	};
	struct span rest = line, word, value;
	unsigned bit = 0;

	/* "AUTH=LOGIN" is what old servers say. */
	if (!span_word(&rest, " \t=", &word))
		return;
	for (size_t i = 0; i < ARRAY_LEN(words); i++)
		if (span_iis(word, words[i].word))
			bit = words[i].bit;
	c->caps |= bit;
	while (span_word(&rest, bit == SMTP_AUTH ? " \t=" : " \t", &value)) {
		struct buf *list = bit == SMTP_AUTH       ? &c->auth
				   : bit == SMTP_XFORWARD ? &c->xforward
							  : NULL;
		if (bit == SMTP_SIZE &&
		    !num_u64(value, UINT64_MAX, &c->size_limit))
			c->size_limit = 0;
		if (bit == SMTP_LIMITS)
			take_limit(c, value);
		if (list == NULL)
			continue;
		if (list->n > 0)
			buf_addc(list, ' ');
		for (size_t i = 0; i < value.n; i++)
			buf_addc(list, ascii_toupper(value.p[i]));
	}
}

static void
take_capabilities(struct smtp_client *c, struct span text)
{
	struct span line;
	bool first = true;

	while (span_split(&text, '\n', &line)) {
		if (!first)
			take_capability(c, line);
		first = false;
	}
}

int
smtp_client_hello(struct smtp_client *c, const char *name, bool lmtp,
		  deadline_t d, struct smtp_reply *r, struct err *e)
{
	/* what was offered before counts no more (RFC 3207 4.2) */
	c->caps = 0;
	c->size_limit = 0;
	c->mail_max = c->rcpt_max = c->domain_max = 0;
	c->lmtp = lmtp;
	buf_clear(&c->auth);
	buf_clear(&c->xforward);
	if (smtp_client_cmd(c, d, r, e, "%s %s", lmtp ? "LHLO" : "EHLO",
			    name) != 0)
		return -1;
	/* RFC 5321 3.2: who does not know EHLO is asked by HELO */
	if (r->code / 100 == 5 && !lmtp && !c->broken)
		return smtp_client_cmd(c, d, r, e, "HELO %s", name);
	if (r->code / 100 == 2)
		take_capabilities(c, buf_span(&r->text));
	return 0;
}

void
smtp_client_close(struct smtp_client *c, bool quit)
{
	if (quit && !c->broken && c->s.ops != NULL) {
		struct smtp_reply r = { .code = 0 };
		struct err e = ERR_INIT;
		/* Whatever it says, we are done. */
		if (smtp_client_cmd(c, clock_deadline(QUIT_MS), &r, &e,
				    "QUIT") != 0)
			c->broken = true;
		smtp_reply_free(&r);
	}
	if (c->s.ops != NULL)
		stream_close(&c->s);
	c->broken = true;
	buf_free(&c->auth);
	buf_free(&c->xforward);
	buf_free(&c->banner_host);
}

void
smtp_client_xforward(struct smtp_client *c, struct buf *line, const char *name,
		     struct span value)
{
	struct span rest = buf_span(&c->xforward), word;
	struct buf text = BUF_INIT;

	while (span_word(&rest, " ", &word)) {
		if (!span_iis(word, name))
			continue;
		/* Who gets more than XFORWARD_MAX refuses the command, and
		 * with it the attributes behind this one. */
		for (size_t i = 0; i < value.n; i++) {
			size_t before = text.n;

			escape_xtext(&text, span_sub(value, i, i + 1));
			if (text.n <= XFORWARD_MAX)
				continue;
			buf_cut(&text, before);
			break;
		}
		buf_addf(line, " %s=%s", name,
			 text.n > 0 ? buf_str(&text) : "[UNAVAILABLE]");
		break;
	}
	buf_free(&text);
}
