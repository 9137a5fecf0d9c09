/*
 * sieve_ext_debug.c - debug_log of vnd.dovecot.debug: text to stderr.
 */
#include "escape.h"
#include "sieve.h"

#include <stdio.h>

static int
run_debug_log(struct sieve_run *r, const struct sieve_node *n)
{
	struct buf b = BUF_INIT;

	escape_line(&b, span_of(sieve_pos(n, 0)->strings.v[0]), 1000);
	fprintf(stderr, "%s:%d: debug: %s\n", r->script->file, n->line,
		buf_str(&b));
	buf_free(&b);
	return 0;
}

static const struct sieve_word words[] = {
	{ .name = "debug_log",
	  .ext = "vnd.dovecot.debug",
	  .positional = "s",
	  .run = run_debug_log },
};
static const struct sieve_extension debug = {
	.name = "vnd.dovecot.debug",
	.words = words,
	.nwords = ARRAY_LEN(words),
};
SIEVE_EXTENSION(debug);
