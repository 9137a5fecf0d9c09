/*
 * limit.c - imap_message_limit: how many messages one command works on.
 * RFC 9738 (MESSAGELIMIT): the last ones, from the greatest UID down.
 */
#include "cmd.h"
#include "conf.h"

#include <stdio.h>

size_t
limit_messages(void)
{
	return (size_t)conf.message_limit;
}

struct count {
	size_t n, skip;
	struct set kept;
};

static int
count_one(struct session *s, size_t i, void *ctx)
{
	struct count *c = ctx;

	(void)s;
	(void)i;
	c->n++;
	return 0;
}

static int
keep_one(struct session *s, size_t i, void *ctx)
{
	struct count *c = ctx;
	uint32_t uid = s->mb->v[i].uid;
	uint32_t n = s->uid ? uid : (uint32_t)i + 1;

	if (c->skip > 0) {
		c->skip--;
		return 0;
	}
	if (c->kept.n == 0)
		s->lowest = uid;
	set_add(&c->kept, n, n);
	return 0;
}

void
limit_set(struct session *s, struct set *set)
{
	struct count c = { .n = 0 };

	if (limit_messages() == 0)
		return;
	(void)each_message(s, set, count_one, &c);
	if (c.n <= limit_messages())
		return;
	c.skip = c.n - limit_messages();
	(void)each_message(s, set, keep_one, &c);
	set_move(set, &c.kept);
	s->downward = true;
}

static const char *
code(struct session *s)
{
	snprintf(s->limit_code, sizeof(s->limit_code), "MESSAGELIMIT %zu",
		 limit_messages());
	if (s->lowest != 0)
		snprintf(s->limit_code, sizeof(s->limit_code),
			 "MESSAGELIMIT %zu %lu", limit_messages(),
			 (unsigned long)s->lowest);
	return s->limit_code;
}

struct result
limit_refusal(struct session *s)
{
	return result_no(code(s), "Too many messages at once");
}

struct result
limit_result(struct session *s, struct result r)
{
	if (s->lowest == 0)
		return r;
	if (r.kind == RESULT_OK && r.code == NULL)
		return RESULT(RESULT_OK, code(s),
			      "Completed for the last ones of them");
	/* one code a line; another one counts more (RFC 9738 3.1) */
	stream_printf(s->st, "* NO [%s] Not all of them\r\n", code(s));
	return r;
}
