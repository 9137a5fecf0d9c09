/*
 * command.c - see command.h.  RFC 1939 3, RFC 2449 4.
 */
#include "command.h"
#include "num.h"

bool
command_parse(struct command *c, struct span line)
{
	size_t n = 0;

	if (span_chr(line, '\0') >= 0)
		return false;
	while (n < line.n && line.p[n] > 0x20 && line.p[n] < 0x7f)
		n++;
	if (n == 0 || n > 16 || (n < line.n && line.p[n] != ' '))
		return false;
	c->word = span_sub(line, 0, n);
	c->has_args = n < line.n;
	c->args = c->has_args ? span_from(line, n + 1) : SPAN("");
	return true;
}

bool
command_arg(struct command *c, struct span *arg_r)
{
	return span_word(&c->args, " ", arg_r);
}

bool
command_number(struct span arg, uint32_t *n_r)
{
	uint64_t n;

	if (arg.n > 10 || !num_u64(arg, UINT32_MAX, &n))
		return false;
	*n_r = (uint32_t)n;
	return true;
}
