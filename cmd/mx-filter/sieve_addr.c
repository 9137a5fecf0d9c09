/*
 * sieve_addr.c - addresses in scripts.  RFC 5228 2.4.2.3: what is used is the
 * bare address.
 */
#include "encword.h"
#include "sieve.h"

#include <stdio.h>
#include <stdlib.h>

/* "NAME <user@domain>" */
static bool
from_list(struct buf *b, const char *text)
{
	struct addr_list l;
	struct addr a;
	bool ok = false;

	addr_list_parse(&l, span_of(text), 0);
	if (l.n == 1 && !l.v[0].bad && l.v[0].kind == ADDR_MAILBOX &&
	    l.v[0].domain.n > 0) {
		addr_quote_local(b, l.v[0].local);
		buf_addc(b, '@');
		buf_addspan(b, l.v[0].domain);
		ok = addr_parse(&a, buf_span(b), NULL) == 0;
		if (ok)
			addr_free(&a);
	}
	addr_list_free(&l);
	return ok;
}

char *
sieve_address(const char *text)
{
	struct span s = span_trim(span_of(text)), domain;
	struct buf b = BUF_INIT;
	struct addr a;
	ssize_t at;
	bool ok;

	if (addr_parse(&a, s, NULL) == 0) {
		ok = a.domain.n > 0 && a.local.n > 0;
		/* the domain stays as it was written */
		at = span_rchr(s, '@');
		domain = span_from(s, (size_t)(at + 1));
		addr_quote_local(&b, a.local);
		buf_addf(&b, "@%.*s", SPAN_ARG(domain));
		addr_free(&a);
	} else {
		ok = from_list(&b, text);
	}
	if (ok && !span_has_ctl(buf_span(&b)))
		return buf_steal(&b);
	buf_free(&b);
	return NULL;
}

/* RFC 2047: a header has no bytes beyond ASCII; the address itself may. */
void
sieve_from_text(struct buf *b, const char *text)
{
	struct addr_list l;

	addr_list_parse(&l, span_of(text), 0);
	if (l.n == 1 && l.v[0].kind == ADDR_MAILBOX && l.v[0].domain.n > 0 &&
	    !span_is_ascii(l.v[0].name)) {
		encword_encode(b, l.v[0].name);
		buf_adds(b, " <");
		addr_quote_local(b, l.v[0].local);
		buf_addf(b, "@%.*s>", SPAN_ARG(l.v[0].domain));
	} else {
		buf_adds(b, text);
	}
	addr_list_free(&l);
}

void
sieve_check_address(struct sieve_script *s, const struct sieve_arg *a)
{
	for (size_t i = 0; a != NULL && i < a->strings.n; i++) {
		const char *text = a->strings.v[i];
		char *to;

		if (!sieve_constant(s, text))
			continue;
		to = sieve_address(text);
		if (to == NULL)
			sieve_error(s, a->line, a->col,
				    "invalid address \"%s\"", text);
		free(to);
	}
}
