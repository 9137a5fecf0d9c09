/*
 * ext_conf.h - Dovecot's flat database files (dovecot-oauth2.conf.ext,
 * dovecot-sql.conf.ext): "name = value" lines into a struct of strings.
 */
#ifndef MX_AUTH_EXT_CONF_H
#define MX_AUTH_EXT_CONF_H

#include "err.h"
#include "span.h"

#define EXT_IGNORED ((size_t)-1) /* known there, without meaning here */

struct ext_row {
	const char *name;
	size_t offset; /* of a char * in the struct, or EXT_IGNORED */
	const char *def;
};
/* Every slot becomes an allocated string, at least "".  A name without a row,
 * and a line that is none, are errors: FILE:LINE and what is wrong. */
int ext_conf_load(const char *path, const struct ext_row *rows, size_t n,
		  void *base, struct err *e) MX_MUST_CHECK;
/* Wipes them, too: there are secrets among them. */
void ext_conf_free(const struct ext_row *rows, size_t n, void *base);

#endif
