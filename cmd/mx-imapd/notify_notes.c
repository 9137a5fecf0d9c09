/*
 * notify_notes.c - which annotations of a mailbox, or of the server, changed.
 * RFC 5465 5.6, 5.7; the response: RFC 5464 4.4.2.
 */
#include "crc32.h"
#include "log.h"
#include "mailbox_name.h"
#include "mem.h"
#include "metadata.h"
#include "notify.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void
notify_notes_free(struct notify_notes *notes)
{
	for (size_t i = 0; i < notes->n; i++)
		free(notes->v[i].name);
	free(notes->v);
	*notes = (struct notify_notes){ .n = 0 };
}

/* Length and checksum: a session need not hold each mailbox's values. */
static uint64_t
sum_of(struct span value)
{
	return (uint64_t)value.n << 32 | crc32_add(0, value.p, value.n);
}

static bool
has(const struct notify_notes *notes, const char *name, const uint64_t *sum)
{
	for (size_t i = 0; i < notes->n; i++)
		if (strcmp(notes->v[i].name, name) == 0)
			return sum == NULL || notes->v[i].sum == *sum;
	return false;
}

static void
put_change(struct session *s, const char *mailbox, const char *name, bool first)
{
	if (first) {
		stream_puts(s->st, "* METADATA ");
		put_mailbox(s, span_of(mailbox));
	}
	stream_puts(s->st, " ");
	put_entry_name(s->st, name);
}

/* Names of what is new or another, then of what is no more. */
static void
tell_changes(struct session *s, const char *mailbox,
	     const struct notify_notes *was, const struct notify_notes *is)
{
	size_t told = 0;

	for (size_t i = 0; i < is->n; i++)
		if (!has(was, is->v[i].name, &is->v[i].sum))
			put_change(s, mailbox, is->v[i].name, told++ == 0);
	for (size_t i = 0; i < was->n; i++)
		if (!has(is, was->v[i].name, NULL))
			put_change(s, mailbox, was->v[i].name, told++ == 0);
	if (told > 0)
		stream_puts(s->st, "\r\n");
}

static int
read_notes(struct session *s, const char *mailbox, struct metadata *m,
	   struct err *e)
{
	bool server = mailbox[0] == '\0';
	int fd =
	    server ? s->root : mailbox_name_open(s->root, span_of(mailbox));
	int r;

	if (fd < 0) /* it is gone, which is told in another way */
		return errno == ENOENT ? -1 : err_sys(e, "%s", mailbox);
	r = metadata_read(m, fd, server ? METADATA_SERVER_FILE : METADATA_FILE,
			  e);
	if (!server)
		close(fd);
	return r;
}

void
notify_notes_look(struct session *s, struct notify_notes *notes,
		  const char *mailbox, bool tell)
{
	struct notify_notes is = { .known = true };
	struct metadata m = { NULL, 0, 0 };
	struct err e = ERR_INIT;

	if (read_notes(s, mailbox, &m, &e) != 0) {
		if (e.text[0] != '\0')
			log_warn("%s: %s", s->user, e.text);
		metadata_free(&m);
		return;
	}
	for (size_t i = 0; i < m.n; i++) {
		is.v = mem_grow(is.v, &is.cap, is.n + 1, sizeof(*is.v));
		is.v[is.n++] = (struct notify_note){
			.name = mem_spandup(span_of(m.v[i].name)),
			.sum = sum_of(buf_span(&m.v[i].value))
		};
	}
	if (tell && notes->known)
		tell_changes(s, mailbox, notes, &is);
	notify_notes_free(notes);
	*notes = is;
	metadata_free(&m);
}
