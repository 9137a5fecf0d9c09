/*
 * metadata.h - annotations of a mailbox in its file mx-metadata (those of the
 * server: mx-metadata-server of the mail root): lines "ENTRY<TAB>VALUE", a
 * control byte or "%" in the value as %XX.
 * Layer: mail.  RFC 5464; RFC 6154.
 */
#ifndef MX_METADATA_H
#define MX_METADATA_H

#include "buf.h"
#include "err.h"

#define METADATA_VALUE_MAX 32768
#define METADATA_ENTRIES_MAX 1000
#define METADATA_FILE "mx-metadata"
#define METADATA_SERVER_FILE "mx-metadata-server"

struct metadata_entry {
	char *name; /* lower case */
	struct buf value;
};
struct metadata {
	struct metadata_entry *v;
	size_t n, cap;
};
void metadata_parse(struct metadata *m, struct span bytes);
int metadata_read(struct metadata *m, int dirfd, const char *file,
		  struct err *e) MX_MUST_CHECK;
void metadata_free(struct metadata *m);
/* NULL: there is no such entry. */
const struct metadata_entry *metadata_find(const struct metadata *m,
					   struct span name);
/* Sets the entries of `news` (a value with p == NULL removes) in one durable
 * step.  ST_NOINPUT: too many entries. */
int metadata_change(int dirfd, const char *file, const struct metadata *news,
		    struct err *e) MX_MUST_CHECK;
/* An entry more, at the end. */
struct metadata_entry *metadata_add(struct metadata *m, struct span name);
/* RFC 5464 3.1 */
bool metadata_name_ok(struct span name);
/* The special uses of a mailbox, "\\Sent \\Important", appended: what a client
 * gave it (RFC 6154 5.4), else what mailbox_auto says. */
void metadata_use(struct buf *b, int root, struct span mailbox);

#endif
