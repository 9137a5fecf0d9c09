/*
 * sieve_ext_casemap.c - the comparator i;unicode-casemap.  RFC 5051.  The
 * tables are libunistring's, loaded when a script first needs them: no other
 * run pays for the library.
 */
#include "sieve.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>

typedef uint8_t *casemap_fn(const uint8_t *s, size_t n, const char *lang,
			    const void *nf, uint8_t *out, size_t *len);

static casemap_fn *to_title;
static const void *nfkd;

static bool
load(void)
{
	static bool tried;
	void *lib;

	if (!tried) {
		tried = true;
		lib = dlopen("libunistring.so.2", RTLD_NOW);
		if (lib == NULL)
			lib = dlopen("libunistring.so.5", RTLD_NOW);
		if (lib != NULL) {
			*(void **)&to_title = dlsym(lib, "u8_toupper");
			nfkd = dlsym(lib, "uninorm_nfkd");
		}
	}
	return to_title != NULL && nfkd != NULL;
}

/* RFC 5051 2: titlecase, then decomposed.  One character at a time the title
 * case is the upper case but for a few digraphs, which are equal among
 * themselves either way. */
static void
norm(struct buf *b, struct span s)
{
	uint8_t *out;
	size_t n = 0;

	if (span_is_ascii(s) || !load()) {
		for (size_t i = 0; i < s.n; i++)
			buf_addc(b, ascii_toupper(s.p[i]));
		return;
	}
	out = to_title((const uint8_t *)s.p, s.n, NULL, nfkd, NULL, &n);
	if (out == NULL) { /* 2: what is not UTF-8 is compared as octets */
		buf_addspan(b, s);
		return;
	}
	buf_add(b, out, n);
	free(out);
}

static char
same(char c)
{
	return c;
}

static const struct sieve_comparator comparators[] = {
	{ "i;unicode-casemap", true, same, span_cmp, norm },
};
static const struct sieve_extension casemap = {
	.comparators = comparators,
	.ncomparators = ARRAY_LEN(comparators),
};
SIEVE_EXTENSION(casemap);
