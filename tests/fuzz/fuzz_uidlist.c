/*
 * fuzz_uidlist.c - the readers of Dovecot's files: UIDs ascend, each name has
 * one, the next UID is above all.
 */
#include "keywords.h"
#include "subscriptions.h"
#include "uidlist.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct span in = span_make((const char *)p, n);
	struct uidlist u;
	struct keywords k = { { NULL } };
	struct strs names = STRS_INIT;

	uidlist_init(&u);
	if (uidlist_parse(&u, in)) {
		for (size_t i = 0; i < u.n; i++)
			if (uidlist_find(&u, uidlist_base(&u, i)) !=
				u.v[i].uid ||
			    u.v[i].uid >= u.uidnext ||
			    (i > 0 && u.v[i].uid <= u.v[i - 1].uid))
				abort();
	}
	uidlist_done(&u);
	(void)keywords_parse(&k, in);
	keywords_free(&k);
	subscriptions_parse(&names, in);
	strs_free(&names);
	return 0;
}
