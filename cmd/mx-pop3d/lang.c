/*
 * lang.c - see lang.h.  RFC 6856 3.2; RFC 4647 3.4 (lookup).
 */
#include "lang.h"

static const struct {
	const char *tag, *words;
} languages[] = {
	{ "en", "English" },
	{ "i-default", "English" },
};

/* The tag that a range leads to: its own, else that of a shorter range, so
 * that "en-GB" is served in English; "*" is the administrator's choice.  NULL:
 * none. */
static const char *
choose(struct span range)
{
	if (span_is(range, "*"))
		return languages[0].tag;
	while (range.n > 0) {
		for (size_t i = 0; i < ARRAY_LEN(languages); i++)
			if (span_iis(range, languages[i].tag))
				return languages[i].tag;
		while (range.n > 0 && range.p[range.n - 1] != '-')
			range.n--;
		if (range.n > 0)
			range.n--;
	}
	return NULL;
}

void
lang_answer(struct stream *st, struct command *c)
{
	struct span range, more;
	const char *tag;

	if (!command_arg(c, &range)) {
		stream_puts(st, "+OK Languages\r\n");
		for (size_t i = 0; i < ARRAY_LEN(languages); i++)
			stream_printf(st, "%s %s\r\n", languages[i].tag,
				      languages[i].words);
		stream_puts(st, ".\r\n");
		return;
	}
	tag = command_arg(c, &more) ? NULL : choose(range);
	if (tag != NULL)
		stream_printf(st, "+OK %s This is English\r\n", tag);
	else
		stream_puts(st, "-ERR No such language; LANG lists them\r\n");
}
