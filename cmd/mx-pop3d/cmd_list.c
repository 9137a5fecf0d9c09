/*
 * cmd_list.c - what there is: STAT, LIST, UIDL.  RFC 1939 5, 7.
 */
#include "pop3.h"

void
cmd_stat(struct pop3 *s, struct command *c)
{
	uint64_t octets = 0, n = 0, size;

	(void)c;
	for (size_t i = 0; i < s->mb->n; i++) {
		if ((s->marks[i] & MARK_DELETED) ||
		    !pop3_size(s, &s->mb->v[i], &size))
			continue;
		n++;
		octets += size;
	}
	stream_printf(s->st, "+OK %llu %llu\r\n", (unsigned long long)n,
		      (unsigned long long)octets);
}

/* RFC 1460: gone from RFC 1939, and still asked for, as Dovecot knows. */
void
cmd_last(struct pop3 *s, struct command *c)
{
	(void)c;
	stream_printf(s->st, "+OK %zu\r\n", s->last);
}

/* All of them, or the one that is named; what about each, `put` says. */
static void
each(struct pop3 *s, struct command *c, const char *what,
     bool (*put)(struct pop3 *s, struct message *m, struct buf *b))
{
	struct buf b = BUF_INIT;
	bool one = span_ltrim(c->args).n > 0;
	struct message *named = NULL;

	if (one && (named = pop3_message(s, c)) == NULL)
		return;
	if (!one)
		stream_printf(s->st, "+OK %s:\r\n", what);
	for (size_t i = 0; i < s->mb->n; i++) {
		struct message *m = &s->mb->v[i];

		if (one ? m != named : (s->marks[i] & MARK_DELETED) != 0)
			continue;
		buf_clear(&b);
		if (put(s, m, &b))
			stream_printf(s->st, "%s%zu %s\r\n", one ? "+OK " : "",
				      i + 1, buf_str(&b));
		else if (one)
			pop3_err(s, "There's no message with that number");
	}
	if (!one)
		stream_puts(s->st, ".\r\n");
	buf_free(&b);
}

static bool
put_size(struct pop3 *s, struct message *m, struct buf *b)
{
	uint64_t size;

	if (!pop3_size(s, m, &size))
		return false;
	buf_addf(b, "%llu", (unsigned long long)size);
	return true;
}

static bool
put_uidl(struct pop3 *s, struct message *m, struct buf *b)
{
	pop3_uidl(s, m, b);
	return true;
}

void
cmd_list(struct pop3 *s, struct command *c)
{
	each(s, c, "Messages and their sizes", put_size);
}

void
cmd_uidl(struct pop3 *s, struct command *c)
{
	each(s, c, "Messages and their unique ids", put_uidl);
}
