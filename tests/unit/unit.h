/*
 * unit.h - the few words unit tests need: tables of cases, TAP lines.
 * CHECK(condition, "words %d", i) counts one test; unit_done() ends main.
 */
#ifndef MX_UNIT_H
#define MX_UNIT_H

#include <stdio.h>
#include <stdlib.h>

static int unit_count, unit_failed;

#define CHECK(cond, ...)                                                       \
	do {                                                                   \
		unit_count++;                                                  \
		int unit_ok_ = (cond) ? 1 : 0;                                 \
		if (!unit_ok_)                                                 \
			unit_failed++;                                         \
		printf("%sok %d - ", unit_ok_ ? "" : "not ", unit_count);      \
		printf(__VA_ARGS__);                                           \
		printf("%s%s\n", unit_ok_ ? "" : " - ",                        \
		       unit_ok_ ? "" : #cond);                                 \
	} while (0)

static inline int
unit_done(void)
{
	printf("1..%d\n", unit_count);
	return unit_failed ? 1 : 0;
}

#endif
