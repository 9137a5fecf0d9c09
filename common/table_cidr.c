/*
 * table_cidr.c - cidr: tables: NETWORK/BITS RESULT; cidr_table(5).
 * Layer: sys.
 */
#include "mem.h"
#include "status.h"
#include "table_pattern.h"

#include <stdlib.h>

static void *
cidr_compile(struct span *text, struct err *e)
{
	struct span word;
	ssize_t slash;

	if (!span_word(text, " \t", &word)) {
		err_set(e, ST_CONFIG, "expected NETWORK/BITS RESULT");
		return NULL;
	}
	/* Good when its own address lies in it. */
	slash = span_chr(word, '/');
	if (!match_cidr(word,
			slash < 0 ? word : span_sub(word, 0, (size_t)slash))) {
		err_set(e, ST_CONFIG, "\"%.*s\": expected NETWORK/BITS",
			SPAN_ARG(word));
		return NULL;
	}
	return mem_spandup(word);
}

static enum table_result
cidr_match(void *compiled, struct span key, const char *result,
	   struct buf *value, struct err *e)
{
	(void)e;
	if (!match_cidr(span_of(compiled), key))
		return TABLE_NONE;
	if (result != NULL) {
		buf_clear(value);
		buf_adds(value, result);
	}
	return TABLE_FOUND;
}

/* cidr_table(5): a name is in no network and outside none, and so is an
 * address of the other family. */
static bool
cidr_applies(const void *compiled, struct span key)
{
	const struct span all4 = SPAN("0.0.0.0/0"), all6 = SPAN("::/0");
	struct span net = span_of(compiled);
	ssize_t slash = span_chr(net, '/');

	if (slash >= 0)
		net = span_sub(net, 0, (size_t)slash);
	return match_cidr(all4, key)
		   ? match_cidr(all4, net)
		   : match_cidr(all6, key) && match_cidr(all6, net);
}

static const struct pattern_driver cidr_driver = { cidr_compile, free,
						   cidr_match, cidr_applies };

static void *
cidr_open(const char *type, const char *name, struct err *e)
{
	(void)type;
	return pattern_open(&cidr_driver, name, e);
}

static enum table_result
cidr_lookup(void *state, struct span key, struct buf *value, struct err *e)
{
	return pattern_lookup(state, key, value, e);
}

static void
cidr_close(void *state)
{
	pattern_close(state);
}

static bool
cidr_changed(void *state)
{
	return pattern_changed(state);
}

static const char *const cidr_names[] = { "cidr", NULL };
extern const struct table_driver table_cidr;
const struct table_driver table_cidr = {
	.names = cidr_names,
	.flags = TABLE_PATTERN,
	.open = cidr_open,
	.lookup = cidr_lookup,
	.close = cidr_close,
	.changed = cidr_changed,
	.values = pattern_values,
};
