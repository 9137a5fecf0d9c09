/*
 * input.c - reading one command with its literals.
 * THREATS 72, 73: all of a command is bounded, memory grows as bytes come, a
 * literal that is refused is dropped or ends the session, never executed.
 * RFC 3501 4.3, RFC 7888.
 */
#include "imap.h"
#include "log.h"

#define IDLE_MS (30 * 60 * 1000) /* RFC 3501 5.4 */
#define LITERAL_MS (5 * 60 * 1000)
#define DROP_MAX 4096

/* No wait is longer than the login may take. */
static deadline_t
wait_until(const struct session *s, int64_t ms)
{
	deadline_t d = clock_deadline(ms);

	return d < s->until ? d : s->until;
}

enum io_result
input_continue(struct session *s, const char *text)
{
	stream_printf(s->st, "+ %s\r\n", text);
	return stream_flush(s->st, wait_until(s, LITERAL_MS));
}

enum io_result
input_drop(struct session *s, uint64_t n)
{
	deadline_t d = wait_until(s, LITERAL_MS);

	while (n > 0) {
		size_t have = stream_buffered(s->st).n;

		if (have == 0) {
			enum io_result r = stream_fill(s->st, d);

			if (r != IO_OK)
				return r;
			continue;
		}
		if (have > n)
			have = (size_t)n;
		stream_take(s->st, have);
		n -= have;
	}
	return IO_OK;
}

/* A line and what follows its literal are one text; the line end before a
 * literal stays in it. */
static enum io_result
read_line(struct session *s, size_t max, bool first, struct literal *lit,
	  bool *more_r)
{
	struct span line;
	size_t at, room = max - s->text.n;
	deadline_t d = wait_until(s, first ? IDLE_MS : LITERAL_MS);
	enum io_result r;

	io_stoppable = first;
	r = stream_line(s->st, room, &line, d);
	io_stoppable = false;
	if (r != IO_OK)
		return r;
	if (line.n > 0 && line.p[line.n - 1] == '\r')
		line.n--;
	buf_addspan(&s->text, line);
	*more_r = parse_literal_end(line, lit, &at);
	return IO_OK;
}

/* Does the literal belong to the handler?  It is the message of an APPEND or
 * REPLACE: one whose command line holds a mailbox before it. */
static bool
streams(struct session *s)
{
	struct parse p;
	struct span tag, word;
	struct buf name = BUF_INIT;
	const struct command *c;
	bool yes;

	parse_init(&p, buf_span(&s->text));
	if (!parse_tag(&p, &tag) || !parse_sp(&p) || !parse_atom(&p, &word) ||
	    (span_iis(word, "UID") &&
	     (!parse_sp(&p) || !parse_atom(&p, &word))))
		return false;
	c = command_find(s->rows, word);
	yes = c != NULL && (c->flags & CMD_STREAMS) != 0 &&
	      (c->states & s->state) != 0 && parse_sp(&p);
	if (yes && (c->flags & CMD_SET_FIRST)) {
		/* RFC 8508 4: a number, or "*", which no atom holds */
		while (parse_peek(&p) != ' ' && parse_peek(&p) != '\0')
			p.at++;
		yes = parse_sp(&p);
	}
	yes = yes && parse_astring(&p, &name) && parse_sp(&p);
	buf_free(&name);
	return yes;
}

static enum io_result
too_long(struct session *s, struct result *refusal_r)
{
	/* What comes cannot be told from commands any more. */
	s->say_bye = true;
	*refusal_r = RESULT(RESULT_BYE, "TOOBIG", "Command too long");
	return IO_OK;
}

/* True: the literal is in s->text; *refusal_r->text is set otherwise. */
static enum io_result
read_literal(struct session *s, size_t max, const struct literal *lit,
	     struct result *refusal_r)
{
	enum io_result r;

	if (lit->n > max - s->text.n) {
		if (!lit->sync && (lit->n > DROP_MAX || s->front != NULL))
			return too_long(s, refusal_r);
		*refusal_r = RESULT(RESULT_BAD, "TOOBIG", "Literal too long");
		return lit->sync ? IO_OK : input_drop(s, lit->n);
	}
	if (lit->sync && (r = input_continue(s, "OK")) != IO_OK)
		return r;
	buf_adds(&s->text, "\r\n");
	return stream_read(s->st, &s->text, (size_t)lit->n,
			   wait_until(s, LITERAL_MS));
}

/* What follows a literal that was dropped belongs to the refused command,
 * further literals too. */
static enum io_result
drop_rest(struct session *s, size_t max, struct result *refusal_r)
{
	deadline_t d = wait_until(s, LITERAL_MS);

	for (;;) {
		struct literal lit;
		struct span line;
		size_t at;
		enum io_result r = stream_line(s->st, max, &line, d);

		if (r == IO_TOOLONG)
			return too_long(s, refusal_r);
		if (r != IO_OK)
			return r;
		if (line.n > 0 && line.p[line.n - 1] == '\r')
			line.n--;
		if (!parse_literal_end(line, &lit, &at) || lit.sync)
			return IO_OK;
		if (lit.n > DROP_MAX)
			return too_long(s, refusal_r);
		r = input_drop(s, lit.n);
		if (r != IO_OK)
			return r;
	}
}

bool
input_more(struct session *s)
{
	bool more;
	enum io_result r = IO_TOOLONG;

	s->has_literal = false;
	if (s->text.n + 2 < IMAP_COMMAND_MAX)
		r = read_line(s, IMAP_COMMAND_MAX, false, &s->literal, &more);
	if (r != IO_OK) {
		s->say_bye = true;
		return false;
	}
	s->has_literal = more;
	s->p.s = buf_span(&s->text);
	return true;
}

enum io_result
input_command(struct session *s, size_t max, struct result *refusal_r)
{
	enum io_result r;
	bool more, first = true;

	buf_clear(&s->text);
	s->has_literal = false;
	refusal_r->text = NULL;
	for (;;) {
		if (s->text.n + 2 >= max)
			return too_long(s, refusal_r);
		r = read_line(s, max, first, &s->literal, &more);
		if (r == IO_TOOLONG)
			return too_long(s, refusal_r);
		if (r != IO_OK || !more)
			return r;
		first = false;
		if (streams(s)) {
			s->has_literal = true;
			return IO_OK;
		}
		r = read_literal(s, max, &s->literal, refusal_r);
		if (r != IO_OK)
			return r;
		if (refusal_r->text != NULL)
			return s->literal.sync || s->say_bye
				   ? IO_OK
				   : drop_rest(s, max, refusal_r);
	}
}
