/*
 * envelope.c - ENVELOPE.  RFC 3501 7.4.2.
 */
#include "addr.h"
#include "imap.h"
#include "loaded.h"

#define ADDRESSES_MAX 10000

static void
put_unfolded(struct stream *st, const struct msg *m, const char *name)
{
	const struct msg_field *f = msg_find(m, name, 0);
	struct buf b = BUF_INIT;

	if (f == NULL) {
		stream_puts(st, "NIL");
		return;
	}
	msg_unfold(&b, f->value);
	put_string(st, b.n > 0 ? buf_span(&b) : span_make("", 0));
	buf_free(&b);
}

static void
put_address(struct stream *st, const struct addr_item *a)
{
	struct span nil = span_make(NULL, 0);
	bool mark = a->kind != ADDR_MAILBOX;

	/* a group: its name as mailbox, no host; its end: all NIL */
	stream_puts(st, "(");
	put_nstring(st, mark || a->name.n == 0 ? nil : a->name);
	stream_puts(st, " ");
	put_nstring(st, a->route.n > 0 ? a->route : nil);
	stream_puts(st, " ");
	if (a->kind == ADDR_GROUP_START)
		put_string(st, a->name);
	else if (a->kind == ADDR_GROUP_END)
		stream_puts(st, "NIL");
	else
		put_string(st, a->local);
	stream_puts(st, " ");
	if (mark)
		stream_puts(st, "NIL");
	else
		put_string(st, a->domain.n > 0 ? a->domain : SPAN(""));
	stream_puts(st, ")");
}

/* False: no such field, or no address in it. */
static bool
put_addresses(struct stream *st, const struct msg *m, const char *name)
{
	const struct msg_field *f = msg_find(m, name, 0);
	struct addr_list l;
	bool any;

	if (f == NULL)
		return false;
	addr_list_parse(&l, f->value, ADDRESSES_MAX);
	any = l.n > 0;
	if (any) {
		stream_puts(st, "(");
		for (size_t i = 0; i < l.n; i++)
			put_address(st, &l.v[i]);
		stream_puts(st, ")");
	}
	addr_list_free(&l);
	return any;
}

static void
put_or_from(struct stream *st, const struct msg *m, const char *name)
{
	stream_puts(st, " ");
	if (!put_addresses(st, m, name) && !put_addresses(st, m, "From"))
		stream_puts(st, "NIL");
}

void
put_envelope_of(struct stream *st, const struct msg *m)
{
	static const char *const to[] = { "To", "Cc", "Bcc" };

	stream_puts(st, "(");
	put_unfolded(st, m, "Date");
	stream_puts(st, " ");
	put_unfolded(st, m, "Subject");
	/* RFC 3501 7.4.2: Sender and Reply-To default to From */
	put_or_from(st, m, "From");
	put_or_from(st, m, "Sender");
	put_or_from(st, m, "Reply-To");
	for (size_t i = 0; i < ARRAY_LEN(to); i++) {
		stream_puts(st, " ");
		if (!put_addresses(st, m, to[i]))
			stream_puts(st, "NIL");
	}
	stream_puts(st, " ");
	put_unfolded(st, m, "In-Reply-To");
	stream_puts(st, " ");
	put_unfolded(st, m, "Message-ID");
	stream_puts(st, ")");
}

void
put_envelope(struct stream *st, struct span header)
{
	struct msg m;

	msg_index(&m, header, header.n + 1);
	put_envelope_of(st, &m);
	msg_done(&m);
}
