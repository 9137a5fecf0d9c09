/*
 * command.c - see command.h.
 */
#include "command.h"
#include "escape.h"
#include "num.h"

#define NAME_CHARS 128

void
command_clear(struct command *c)
{
	buf_wipe(&c->text);
	c->n = 0;
	c->literal = 0;
}

static struct arg *
add_arg(struct command *c, enum arg_type type)
{
	struct arg *a;

	if (c->n == COMMAND_ARGS)
		return NULL;
	a = &c->args[c->n++];
	*a = (struct arg){ .type = type, .at = c->text.n };
	return a;
}

/* "..." with \" and \\ at *at; RFC 5804 4. */
static bool
quoted(struct command *c, struct span s, size_t *at)
{
	struct arg *a = add_arg(c, ARG_STRING);

	if (a == NULL)
		return false;
	for (size_t i = *at + 1; i < s.n; i++) {
		char ch = s.p[i];

		if (ch == '"') {
			a->n = c->text.n - a->at;
			*at = i + 1;
			return true;
		}
		if (ch == '\\') {
			if (++i == s.n || (s.p[i] != '"' && s.p[i] != '\\'))
				return false;
			ch = s.p[i];
		}
		buf_addc(&c->text, ch);
	}
	return false;
}

/* {N+} at the line's end; a client that would wait is none of this protocol,
 * but {N} does no harm: some send it, and do not wait. */
static bool
literal(struct command *c, struct span s, size_t at)
{
	struct span number = span_sub(s, at + 1, s.n);

	if (!span_ends(number, SPAN("}")))
		return false;
	number.n--;
	if (span_ends(number, SPAN("+")))
		number.n--;
	return num_u64(number, UINT32_MAX, &c->literal) &&
	       add_arg(c, ARG_STRING) != NULL;
}

bool
command_line_literal(struct span line, uint64_t *n_r)
{
	ssize_t at = span_rchr(line, '{');
	struct span number = span_from(line, at < 0 ? line.n : (size_t)at + 1);

	if (!span_ends(number, SPAN("}")))
		return false;
	number.n--;
	if (span_ends(number, SPAN("+")))
		number.n--;
	return num_u64(number, UINT32_MAX, n_r);
}

static bool
bare(struct command *c, struct span s, size_t *at)
{
	size_t from = *at, to = from;
	struct span word;
	struct arg *a;

	while (to < s.n &&
	       (ascii_isalnum(s.p[to]) || s.p[to] == '-' || s.p[to] == '_'))
		to++;
	word = span_sub(s, from, to);
	if (word.n == 0 || word.n > 32 || (a = add_arg(c, ARG_WORD)) == NULL)
		return false;
	if (num_u64(word, UINT32_MAX, &a->number))
		a->type = ARG_NUMBER;
	buf_addspan(&c->text, word);
	a->n = word.n;
	*at = to;
	return true;
}

enum command_state
command_line(struct command *c, struct span line)
{
	struct span s = line;
	bool first = c->n == 0;
	size_t at = 0;

	if (span_chr(s, '\0') >= 0)
		return COMMAND_BAD;
	/* what follows a literal begins with the space */
	while (at < s.n) {
		if (!first) {
			if (s.p[at] != ' ')
				return COMMAND_BAD;
			while (at < s.n && s.p[at] == ' ')
				at++;
			if (at == s.n)
				break;
		}
		first = false;
		if (s.p[at] == '{')
			return literal(c, s, at) ? COMMAND_LITERAL
						 : COMMAND_BAD;
		if (!(s.p[at] == '"' ? quoted(c, s, &at) : bare(c, s, &at)))
			return COMMAND_BAD;
	}
	return c->n > 0 ? COMMAND_DONE : COMMAND_BAD;
}

void
command_literal(struct command *c, struct span bytes)
{
	c->args[c->n - 1].n = bytes.n;
	buf_addspan(&c->text, bytes);
	c->literal = 0;
}

struct span
command_span(const struct command *c, size_t i)
{
	if (c->text.p == NULL)
		return SPAN("");
	return span_sub(buf_span(&c->text), c->args[i].at,
			c->args[i].at + c->args[i].n);
}

bool
command_is(const struct command *c, const char *word)
{
	return c->n > 0 && c->args[0].type == ARG_WORD &&
	       span_iis(command_span(c, 0), word);
}

bool
command_shape(const struct command *c, const char *shape)
{
	size_t i = 1;

	for (; *shape != '\0'; shape++) {
		if (i == c->n)
			return shape[1] == '?';
		if (c->args[i].type !=
		    (*shape == 'n' ? ARG_NUMBER : ARG_STRING))
			return false;
		i++;
		if (shape[1] == '?')
			shape++;
	}
	return i == c->n;
}

bool
command_name_ok(struct span name)
{
	size_t chars = 0;

	if (name.n == 0 || name.p[0] == '.')
		return false;
	while (name.n > 0) {
		uint32_t v;
		size_t n = utf8_next(name, &v);

		if (n == 0 || v < 0x20 || (v >= 0x7f && v < 0xa0) || v == '/' ||
		    v == 0x2028 || v == 0x2029 || ++chars > NAME_CHARS)
			return false;
		name = span_from(name, n);
	}
	return true;
}
