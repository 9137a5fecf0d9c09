/*
 * sieve_out.c - the actions of a run as lines: for people, and for the program
 * that carries them out (mx-filter(1)).  The messages that actions are about,
 * where they are not the one that came, go to a stream of their own.
 */
#include "sieve_out.h"
#include "clock.h"
#include "escape.h"
#include "io.h"
#include "mem.h"
#include "memory.h"
#include "num.h"
#include "status.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* No byte of a script may begin a line of its own.  Text for people may have
 * several lines; folders and addresses stay as they are. */
static void
add_field(struct buf *b, const char *text, bool for_people)
{
	buf_addc(b, '\t');
	for (; *text != '\0'; text++) {
		if (for_people && *text == '\n')
			buf_adds(b, "\\n");
		else if (for_people && *text == '\\')
			buf_adds(b, "\\\\");
		else
			buf_addc(b, (unsigned char)*text < 32 ? ' ' : *text);
	}
}

static void
add_word(struct buf *b, const char *key, const char *text)
{
	if (text == NULL)
		return;
	buf_addf(b, "\t%s=", key);
	for (; *text != '\0'; text++)
		buf_addc(b, (unsigned char)*text < 32 ? ' ' : *text);
}

static void
add_flags(struct buf *b, const struct strs *flags)
{
	buf_adds(b, "\tflags=");
	for (size_t i = 0; i < flags->n; i++)
		buf_addf(b, "%s%s", i ? " " : "", flags->v[i]);
}

/* Writes the bytes to the stream of messages, once; tells where. */
static int
add_bytes(struct sieve_out *o, struct span s, struct buf *line)
{
	buf_addf(line, "\tat=%llu\tsize=%zu", (unsigned long long)o->at, s.n);
	o->at += s.n;
	return io_write(o->fd, s.p, s.n, DEADLINE_NEVER) == IO_OK ? 0 : -1;
}

static int
add_message(struct sieve_out *o, const struct sieve_message *m,
	    struct buf *line)
{
	if (o->fd < 0 || m == NULL || m->text.n == 0)
		return 0;
	for (size_t i = 0; i < o->n; i++) {
		if (o->seen[i].m == m) {
			buf_addf(line, "\tat=%llu\tsize=%zu",
				 (unsigned long long)o->seen[i].at, m->text.n);
			return 0;
		}
	}
	o->seen = mem_grow(o->seen, &o->cap, o->n + 1, sizeof(*o->seen));
	o->seen[o->n].m = m;
	o->seen[o->n++].at = o->at;
	return add_bytes(o, buf_span(&m->text), line);
}

static int
add_fcc(struct sieve_out *o, const struct sieve_action *a, struct buf *b)
{
	int r = 0;

	if (a->fcc == NULL)
		return 0;
	buf_adds(b, "fcc");
	add_field(b, a->fcc, false);
	if (a->fcc_flags.n > 0)
		add_flags(b, &a->fcc_flags);
	add_word(b, "specialuse", a->special_use);
	if (a->fcc_create)
		buf_adds(b, "\tcreate");
	if (o->fd >= 0)
		r = add_bytes(o, span_of(a->text), b);
	buf_addc(b, '\n');
	return r;
}

/* A message that the script sends: a line a recipient. */
static int
add_sent(struct sieve_out *o, const struct sieve_action *a, struct buf *b)
{
	struct buf where = BUF_INIT;
	int r = 0;

	if (a->withheld != NULL)
		return 0;
	if (o->fd >= 0)
		r = add_bytes(o, span_of(a->text), &where);
	for (size_t i = 0; i <= a->args.n; i++) {
		buf_adds(b, a->verb);
		add_field(b, i == 0 ? a->what : a->args.v[i - 1], false);
		add_word(b, "from", a->from);
		buf_addspan(b, buf_span(&where));
		buf_addc(b, '\n');
	}
	buf_free(&where);
	return r != 0 ? r : add_fcc(o, a, b);
}

int
sieve_out_action(struct sieve_out *o, const struct sieve_action *a,
		 struct buf *b)
{
	bool plain = strcmp(a->verb, "fileinto") == 0 ||
		     strcmp(a->verb, "redirect") == 0;
	int r;

	if (a->text != NULL)
		return add_sent(o, a, b);
	/* it ran already; the implicit keep went with it */
	if (strcmp(a->verb, "pipe") == 0) {
		buf_adds(b, a->copy ? "" : "discard\n");
		return 0;
	}
	buf_adds(b, a->verb);
	if (a->what != NULL)
		add_field(b, a->what, !plain);
	if (a->has_flags)
		add_flags(b, &a->flags);
	add_word(b, "specialuse", a->special_use);
	add_word(b, "from", a->from);
	r = add_message(o, a->message, b);
	if (a->copy)
		buf_adds(b, "\tcopy");
	if (a->create)
		buf_adds(b, "\tcreate");
	buf_addc(b, '\n');
	return r;
}

void
sieve_out_done(struct sieve_out *o)
{
	free(o->seen);
}

/* --- for people --- */

static void
say_message(struct buf *b, const char *text)
{
	struct span rest = span_of(text), line;

	while (span_split(&rest, '\n', &line)) {
		buf_adds(b, "  | ");
		escape_line(b, line, 0);
		buf_addc(b, '\n');
	}
}

void
sieve_say_action(const struct sieve_action *a, struct buf *b)
{
	buf_adds(b, a->verb);
	if (a->what != NULL) {
		buf_addc(b, ' ');
		escape_word(b, span_of(a->what));
	}
	for (size_t i = 0; i < a->args.n; i++) {
		buf_addc(b, ' ');
		escape_word(b, span_of(a->args.v[i]));
	}
	for (size_t i = 0; i < a->flags.n; i++)
		buf_addf(b, " %s", a->flags.v[i]);
	if (a->fcc != NULL) {
		buf_adds(b, " (copy in ");
		escape_word(b, span_of(a->fcc));
		buf_addc(b, ')');
	}
	buf_addf(b, "%s%s", a->copy ? " (copy)" : "",
		 a->create ? " (create)" : "");
	if (a->message != NULL && a->message->text.n > 0)
		buf_adds(b, " (edited)");
	if (a->withheld != NULL)
		buf_addf(b, ": not sent: %s", a->withheld);
	buf_addc(b, '\n');
	if (a->text != NULL && a->withheld == NULL)
		say_message(b, a->text);
}

/* --- what is remembered --- */

bool
sieve_mark_parse(const char *mark, int64_t *seconds_r, const char **id_r)
{
	const char *blank = strchr(mark, ' ');

	if (blank == NULL)
		return false;
	*id_r = blank + 1;
	return num_i64(span_make(mark, (size_t)(blank - mark)), 0, INT32_MAX,
		       seconds_r);
}

int
sieve_mark(struct memory *m, const char *mark, struct err *e)
{
	int64_t seconds;
	const char *id;

	if (!sieve_mark_parse(mark, &seconds, &id))
		return err_set(e, ST_DATA, "\"%.60s\": expected SECONDS ID",
			       mark);
	return memory_mark(m, id, (int64_t)clock_now() + seconds, e);
}
