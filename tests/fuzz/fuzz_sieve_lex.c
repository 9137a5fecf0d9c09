/* Tokens of Sieve to the end of the script.
 * uses: cmd/mx-filter/sieve_lex.c
 */
#include <stdlib.h>

#include "sieve_lex.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct sieve_lex l;
	size_t tokens = 0;

	sieve_lex_init(&l, span_make((const char *)p, n));
	do {
		sieve_lex_next(&l);
		if (++tokens > n + 1)
			abort(); /* each token takes a byte at least */
	} while (l.token != T_END);
	sieve_lex_done(&l);
	return 0;
}
