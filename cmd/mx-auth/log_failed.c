/*
 * log_failed.c - see log_failed.h.
 */
#include "log_failed.h"
#include "log.h"
#include "span.h"

#include <string.h>

void
log_failed(const char *source, const char *user, const char *ip,
	   const char *why, const char *detail)
{
	struct buf b = BUF_INIT;

	for (const char *p = source; *p; p++)
		if (*p == '-' || (*p >= 'a' && *p <= 'z'))
			buf_addc(&b, *p);
	buf_addc(&b, '(');
	/* a blank, bracket or comma would let a name say "x,192.0.2.1): unknown
	 * user" and have somebody else banned */
	for (const char *p = user; *p; p++)
		buf_addc(&b, (unsigned char)*p <= ' ' || *p == 0x7f ||
				     strchr("(),:<>\"\\", *p) != NULL
				 ? '?'
				 : *p);
	log_info("%s,%s): %s%s%s%s", buf_str(&b), ip, why,
		 detail[0] != '\0' ? " (" : "", detail,
		 detail[0] != '\0' ? ")" : "");
	buf_free(&b);
}
