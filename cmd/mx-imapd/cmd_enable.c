/*
 * cmd_enable.c - ENABLE.  RFC 5161: what is not known is passed over.
 */
#include "cmd.h"

/* Each with what it brings along. */
static const struct {
	const char *word;
	unsigned bits;
} words[] = {
	{ "CONDSTORE", ENABLED_CONDSTORE }, /* RFC 7162 3.1 */
	{ "QRESYNC", ENABLED_QRESYNC | ENABLED_CONDSTORE },
	{ "UTF8=ACCEPT", ENABLED_UTF8 }, /* RFC 6855 3 */
	{ "IMAP4rev2", ENABLED_REV2 },   /* RFC 9051 6.3.1 */
	{ "UIDONLY", ENABLED_UIDONLY },  /* RFC 9586 3 */
};

struct result
cmd_enable(struct session *s)
{
	struct span word;
	unsigned asked[ARRAY_LEN(words)] = { 0 }, bits = 0;

	do {
		if (!parse_sp(&s->p) || !parse_atom(&s->p, &word))
			return result_bad(s);
		for (size_t i = 0; i < ARRAY_LEN(words); i++)
			if (span_iis(word, words[i].word))
				asked[i] = words[i].bits;
	} while (parse_peek(&s->p) == ' ');
	if (!parse_end(&s->p))
		return result_bad(s);
	stream_puts(s->st, "* ENABLED");
	for (size_t i = 0; i < ARRAY_LEN(words); i++) {
		if (asked[i] != 0)
			stream_printf(s->st, " %s", words[i].word);
		bits |= asked[i];
	}
	stream_puts(s->st, "\r\n");
	if (bits & ENABLED_CONDSTORE)
		condstore_enable(s);
	s->enabled |= bits;
	s->utf8 = (s->enabled & (ENABLED_UTF8 | ENABLED_REV2)) != 0;
	return result_ok("Enabled");
}
