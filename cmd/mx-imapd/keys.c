/*
 * keys.c - see keys.h.
 */
#include "keys.h"
#include "crc32.h"
#include "loaded.h"
#include "mailbox_cache.h"
#include "sort.h"

/* Another way to make a key needs another word here: what an older program
 * left in mx-cache is then made anew. */
#define FORM "mx keys 1"
/* Who refers to hundreds of messages is not helped by a copy of it. */
#define KEEP_MAX 16384
/* So many references count (thread.c cuts there too). */
#define PARENTS_MAX 1000

/* A record of mx-cache: this, and the texts one behind the other. */
struct head {
	uint32_t form;
	uint32_t reply;
	int64_t date;
	uint32_t n[KEY_TEXTS];
};

static uint32_t
form(void)
{
	static uint32_t sum;

	if (sum == 0)
		sum = crc32_add(0, FORM, sizeof(FORM));
	return sum;
}

/* The texts lie behind `bytes`, with the lengths of h; false where they do
 * not fill it: a record of something else. */
static bool
point(struct keys *k, const struct head *h, struct span bytes)
{
	for (size_t i = 0; i < KEY_TEXTS; i++) {
		if (h->n[i] > bytes.n)
			return false;
		k->text[i] = span_sub(bytes, 0, h->n[i]);
		bytes = span_from(bytes, h->n[i]);
	}
	k->date = h->date;
	k->reply = h->reply != 0;
	return bytes.n == 0;
}

static bool
from_cache(struct keys *k, struct mailbox *mb, struct message *m)
{
	struct span s = mailbox_cache_get(mb, m, MAILBOX_CACHE_KEYS);
	struct head h;

	if (s.p == NULL || s.n < sizeof(h))
		return false;
	memcpy(&h, s.p, sizeof(h));
	return h.form == form() && point(k, &h, span_from(s, sizeof(h)));
}

static struct span
value_of(const struct msg *m, const char *name)
{
	const struct msg_field *f = msg_find(m, name, 0);

	return f != NULL ? f->value : SPAN("");
}

static void
put_id(struct buf *b, struct span id)
{
	buf_addc(b, '<');
	buf_addspan(b, id);
	buf_addc(b, '>');
}

/* RFC 5256 3, REFERENCES 1: the first id of In-Reply-To where References has
 * none. */
static void
put_parents(struct buf *b, const struct msg *m)
{
	struct span refs = value_of(m, "References"), id;
	struct span reply_to = value_of(m, "In-Reply-To");
	int n = 0;

	for (; n < PARENTS_MAX && next_msgid(&refs, &id); n++)
		put_id(b, id);
	if (n == 0 && next_msgid(&reply_to, &id))
		put_id(b, id);
}

/* One text, appended. */
static void
put_text(struct buf *b, const struct msg *m, size_t i, struct head *h)
{
	static const struct {
		const char *field;
		bool display;
	} addresses[] = {
		[KEY_FROM] = { "From", false },
		[KEY_TO] = { "To", false },
		[KEY_CC] = { "Cc", false },
		[KEY_DISPLAYFROM] = { "From", true },
		[KEY_DISPLAYTO] = { "To", true },
	};
	struct span ids, id;

	if (i == KEY_SUBJECT) {
		struct buf subject = BUF_INIT;

		(void)field_text(&subject, m, "Subject");
		h->reply = subject_base(b, buf_span(&subject));
		buf_free(&subject);
	} else if (i == KEY_ID) {
		ids = value_of(m, "Message-ID");
		if (next_msgid(&ids, &id))
			buf_addspan(b, id);
	} else if (i == KEY_PARENTS) {
		put_parents(b, m);
	} else {
		first_address(b, m, addresses[i].field, addresses[i].display);
	}
}

/* From the header, into k->made. */
static void
make(struct keys *k, const struct msg *m)
{
	struct head h = { .form = form(), .date = sent_date(m, INT64_MIN) };

	buf_clear(&k->made);
	buf_add(&k->made, &h, sizeof(h));
	for (size_t i = 0; i < KEY_TEXTS; i++) {
		size_t was = k->made.n;

		put_text(&k->made, m, i, &h);
		h.n[i] = (uint32_t)(k->made.n - was);
	}
	memcpy(k->made.p, &h, sizeof(h));
	(void)point(k, &h, span_from(buf_span(&k->made), sizeof(h)));
}

int
keys_get(struct keys *k, struct mailbox *mb, struct message *m, struct err *e)
{
	struct loaded l = { .whole = false };
	int r;

	if (from_cache(k, mb, m))
		return 0;
	r = loaded_fields(&l, mb, m, e);
	if (r != 0)
		return r;
	make(k, &l.msg);
	loaded_close(&l);
	if (k->made.n <= KEEP_MAX)
		mailbox_cache_put(mb, m, MAILBOX_CACHE_KEYS,
				  buf_span(&k->made));
	return 0;
}
