/*
 * base.h - what every file of mx includes: C types and compiler words.
 * Layer: base.  It declares no function.
 */
#ifndef MX_BASE_H
#define MX_BASE_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/types.h>

#define MX_VERSION "0.1"

/* Compile-time check of printf-like arguments. */
#define MX_PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))
/* The result must be looked at: ignoring it is a compile error. */
#define MX_MUST_CHECK __attribute__((warn_unused_result))
#define MX_NORETURN __attribute__((noreturn))
#define MX_UNUSED __attribute__((unused))

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))

#endif
