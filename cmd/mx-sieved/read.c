/*
 * read.c - one command from the stream, with its literals; replies.
 * THREATS 72, 91: all of a command is bounded, memory grows as bytes come, a
 * literal that is refused is dropped or ends the session, never executed.
 */
#include "sieved.h"

#define DROP_MAX (16u << 20)

static enum read_result
of_io(enum io_result r)
{
	return r == IO_TOOLONG   ? READ_TOO_LONG
	       : r == IO_TIMEOUT ? READ_TIMEOUT
				 : READ_GONE;
}

static enum io_result
drop(struct stream *st, uint64_t n, deadline_t d)
{
	while (n > 0) {
		size_t have = stream_buffered(st).n;

		if (have == 0) {
			enum io_result r = stream_fill(st, d);

			if (r != IO_OK)
				return r;
			continue;
		}
		if (have > n)
			have = (size_t)n;
		stream_take(st, have);
		n -= have;
	}
	return IO_OK;
}

static bool
holds_script(const struct command *c)
{
	return command_is(c, "PUTSCRIPT") || command_is(c, "CHECKSCRIPT");
}

/* READ_OK, or READ_TOO_BIG: what it was is not there, the rest of the command
 * still comes. */
static enum read_result
read_literal(struct stream *st, struct command *c, const struct limits *l,
	     size_t *room)
{
	bool script = l->script > 0 && holds_script(c);
	struct buf b = BUF_INIT;
	enum io_result r;

	if (c->literal > (script && l->script > *room ? l->script : *room)) {
		if (c->literal > DROP_MAX + l->script || l->script == 0)
			return READ_TOO_LONG;
		r = drop(st, c->literal, l->until);
		command_literal(c, SPAN(""));
		return r == IO_OK ? READ_TOO_BIG : of_io(r);
	}
	if (!script)
		*room -= (size_t)c->literal;
	r = stream_read(st, &b, (size_t)c->literal, l->until);
	if (r == IO_OK)
		command_literal(c, buf_span(&b));
	buf_wipe(&b);
	return r == IO_OK ? READ_OK : of_io(r);
}

/* What is no command has its literals all the same: they are dropped with it,
 * and never read as commands (DESIGN 3.11). */
static enum read_result
drop_rest(struct stream *st, struct span line, const struct limits *l)
{
	enum io_result r;
	uint64_t n;

	while (command_line_literal(line, &n)) {
		if (n > (l->script > 0 ? DROP_MAX + l->script : l->line))
			return READ_TOO_LONG;
		r = drop(st, n, l->until);
		if (r == IO_OK)
			r = front_next_line(st, l->line, &line, l->until);
		if (r != IO_OK)
			return of_io(r);
	}
	return READ_BAD;
}

enum read_result
sieved_read(struct stream *st, struct command *c, const struct limits *l)
{
	enum read_result result = READ_OK;
	size_t room = l->line;

	command_clear(c);
	for (;;) {
		struct span line;
		enum command_state state;
		enum read_result k;
		enum io_result r = front_next_line(st, room, &line, l->until);

		if (r != IO_OK)
			return of_io(r);
		room -= line.n < room ? line.n : room;
		state = command_line(c, line);
		if (state == COMMAND_BAD)
			return drop_rest(st, line, l);
		if (state != COMMAND_LITERAL)
			return result;
		k = read_literal(st, c, l, &room);
		if (k == READ_TOO_BIG)
			result = k;
		else if (k != READ_OK)
			return k;
		if (room == 0)
			return READ_TOO_LONG;
	}
}

void
sieved_string(struct stream *st, struct span s)
{
	bool plain = s.n <= 1024; /* RFC 5804 4: longer ones are literals */

	for (size_t i = 0; plain && i < s.n; i++)
		plain = s.p[i] != '\r' && s.p[i] != '\n' && s.p[i] != '\0';
	if (!plain) {
		stream_printf(st, "{%zu}\r\n", s.n);
		stream_write(st, s.p, s.n);
		return;
	}
	stream_puts(st, "\"");
	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] == '"' || s.p[i] == '\\')
			stream_puts(st, "\\");
		stream_write(st, s.p + i, 1);
	}
	stream_puts(st, "\"");
}

void
sieved_reply(struct stream *st, const char *word, const char *code,
	     struct span text)
{
	stream_puts(st, word);
	if (code != NULL)
		stream_printf(st, " (%s)", code);
	stream_puts(st, " ");
	sieved_string(st, text);
	stream_puts(st, "\r\n");
}
