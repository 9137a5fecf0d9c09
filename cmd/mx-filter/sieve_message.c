/*
 * sieve_message.c - the message of a run: as it came, and as it was edited.
 * RFC 5293 4: an action acts upon the message as it is when the action is
 * taken, so each version stays until the end.
 */
#include "mem.h"
#include "sieve.h"

#include <stdlib.h>

uint64_t
sieve_wire_size(struct span s)
{
	uint64_t n = s.n;

	for (size_t i = 0; i < s.n; i++)
		n += s.p[i] == '\n' && (i == 0 || s.p[i - 1] != '\r');
	return n;
}

static void
look(struct sieve_run *r, struct sieve_message *v)
{
	r->message = v;
	r->m = &v->m;
	r->size = v->size;
}

static struct sieve_message *
add(struct sieve_store *st)
{
	st->v = mem_grow(st->v, &st->cap, st->n + 1,
			 sizeof(struct sieve_message *));
	st->v[st->n] = mem_alloc(1, sizeof(struct sieve_message));
	return st->v[st->n++];
}

static void
forget(struct sieve_message *v)
{
	msg_done(&v->m);
	if (v->parsed)
		mime_done(&v->mime);
	v->parsed = false;
	buf_free(&v->text);
}

void
sieve_message_first(struct sieve_run *r, struct span bytes)
{
	struct sieve_message *v = add(r->store);

	msg_index(&v->m, bytes, 0);
	v->size = sieve_wire_size(bytes);
	v->pinned = true;
	look(r, v);
}

void
sieve_message_edit(struct sieve_run *r, struct buf *text)
{
	struct sieve_message *v = add(r->store), *was = r->message;

	v->text = *text;
	*text = BUF_INIT;
	if (was != NULL && !was->pinned)
		forget(was); /* a script may edit a thousand times */
	msg_index(&v->m, buf_span(&v->text), 0);
	v->size = sieve_wire_size(buf_span(&v->text));
	look(r, v);
}

const struct mime *
sieve_parts(struct sieve_run *r)
{
	struct sieve_message *v = r->message;

	if (!v->parsed)
		mime_index(&v->mime, v->m.whole);
	v->parsed = true;
	return &v->mime;
}

void
sieve_store_free(struct sieve_store *st)
{
	for (size_t i = 0; i < st->n; i++) {
		forget(st->v[i]);
		free(st->v[i]);
	}
	free(st->v);
	*st = (struct sieve_store){ NULL, 0, 0 };
}
