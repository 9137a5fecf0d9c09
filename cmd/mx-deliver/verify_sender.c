/*
 * verify_sender.c - the address that probes come from, and mail to it.
 * postconf(5) address_verify_sender, address_verify_sender_ttl.
 */
#include "verify.h"

#include "clock.h"
#include "mem.h"
#include "site.h"

#include <stdlib.h>

/* The number of the period in digits and consonants: no words come about. */
static void
add_period(struct buf *b, uint64_t n)
{
	static const char digits[] = "0123456789bcdfghjklmnpqrstvwxyz";
	char text[16];
	size_t at = sizeof(text);

	do {
		text[--at] = digits[n % 31];
		n /= 31;
	} while (n > 0);
	buf_add(b, text + at, sizeof(text) - at);
}

/* The sender of a period that is `ago` periods away from this one. */
static char *
sender_of(int ago)
{
	struct span s = span_of(verify_conf.sender);
	struct buf b = BUF_INIT;
	ssize_t at;
	int64_t ttl = verify_conf.sender_ttl / 1000;

	if (s.n == 0 || span_is(s, "<>"))
		return mem_strdup("");
	at = span_rchr(s, '@');
	buf_addspan(&b, at < 0 ? s : span_sub(s, 0, (size_t)at));
	if (ttl > 0)
		add_period(&b, (uint64_t)(clock_now() / ttl - ago));
	if (at < 0)
		buf_addf(&b, "@%s", site.myorigin);
	else
		buf_addspan(&b, span_from(s, (size_t)at));
	return buf_steal(&b);
}

char *
verify_sender(void)
{
	return sender_of(0);
}

bool
verify_is_sender(const char *addr)
{
	bool found = false;

	/* a clock that is set, and who answers late */
	for (int ago = -1; ago <= 1 && !found; ago++) {
		char *s = sender_of(ago);

		found = s[0] != '\0' && strcasecmp(s, addr) == 0;
		free(s);
	}
	return found;
}
