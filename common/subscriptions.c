/*
 * subscriptions.c - see subscriptions.h.
 * Layer: mail.  Dovecot's format.
 */
#include "subscriptions.h"
#include "dotlock.h"
#include "log.h"
#include "mailbox_name.h"

#define LOCK_MS 60000
#define SUBSCRIPTIONS_FILE "subscriptions"

void
subscriptions_parse(struct strs *names, struct span bytes)
{
	struct span line;
	bool v2 = span_starts(bytes, SPAN("V\t2\n"));
	struct buf name = BUF_INIT;

	if (v2)
		bytes = span_from(bytes, 4);
	while (span_split(&bytes, '\n', &line)) {
		if (line.n == 0)
			continue;
		buf_clear(&name);
		for (size_t i = 0; i < line.n; i++)
			buf_addc(&name, v2 && line.p[i] == '\t'
					    ? MAILBOX_NAME_SEP
					    : line.p[i]);
		if (!span_has_ctl(buf_span(&name)) &&
		    !strs_has(names, buf_span(&name)))
			strs_addspan(names, buf_span(&name));
	}
	buf_free(&name);
}

int
subscriptions_read(struct strs *names, int root, struct err *e)
{
	struct buf b = BUF_INIT;
	int r = dotlock_read(root, SUBSCRIPTIONS_FILE, &b, e);

	if (r == 0)
		subscriptions_parse(names, buf_span(&b));
	buf_free(&b);
	return r;
}

/* Version 2, as the Dovecot of today writes it. */
static void
print_subscriptions(struct buf *b, const struct strs *names, struct span drop)
{
	buf_adds(b, "V\t2\n\n");
	for (size_t i = 0; i < names->n; i++) {
		if (span_is(drop, names->v[i]))
			continue;
		for (const char *p = names->v[i]; *p != '\0'; p++)
			buf_addc(b, *p == MAILBOX_NAME_SEP ? '\t' : *p);
		buf_addc(b, '\n');
	}
}

int
subscriptions_set(int root, struct span name, bool on, struct err *e)
{
	struct strs names = STRS_INIT;
	struct buf b = BUF_INIT;
	struct dotlock l;
	int r;

	if (span_has_ctl(name) || name.n == 0)
		log_panic("a subscription with control bytes");
	if (dotlock_take(&l, root, SUBSCRIPTIONS_FILE, clock_deadline(LOCK_MS),
			 e) != 0)
		return -1;
	r = subscriptions_read(&names, root, e);
	if (r == 0 && strs_has(&names, name) != on) {
		if (on)
			strs_addspan(&names, name);
		print_subscriptions(&b, &names, on ? span_make(NULL, 0) : name);
		r = dotlock_replace(&l, SUBSCRIPTIONS_FILE, buf_span(&b), e);
	}
	dotlock_drop(&l);
	buf_free(&b);
	strs_free(&names);
	return r;
}
