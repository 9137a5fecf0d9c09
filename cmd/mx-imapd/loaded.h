/*
 * loaded.h - a message as the client sees it: every line end is CRLF, so that
 * sizes and partial fetches are those of the wire.
 */
#ifndef IMAPD_LOADED_H
#define IMAPD_LOADED_H

#include "mailbox.h"
#include "mime.h"

struct loaded {
	bool whole; /* the body too */
	struct buf bytes;
	struct span header; /* with the empty line */
	struct span body;
	struct msg msg; /* fields of the header */
	bool has_mime;
	struct mime mime; /* see loaded_mime */
};

/* Reads the header, or all of it.  1 and nothing when the message is gone; -1
 * and a sentence otherwise. */
int loaded_open(struct loaded *l, struct mailbox *mb, struct message *m,
		bool whole, struct err *e) MX_MUST_CHECK;
/*
 * Of the header those fields that clients ask for of every message, to list,
 * sort and search them, as they stand there and in their order, and an empty
 * line: from mx-cache, where they are kept from the first time on.  Where they
 * are not, or not all of them could be kept, the whole header.  Results as of
 * loaded_open.
 */
int loaded_fields(struct loaded *l, struct mailbox *mb, struct message *m,
		  struct err *e) MX_MUST_CHECK;
/* Is it one of those? */
bool loaded_is_field(const char *name);
/* Has mx-cache them? */
bool loaded_fields_cached(struct mailbox *mb, struct message *m);
/* Those of a header that was read go there. */
void loaded_fields_keep(const struct loaded *l, struct mailbox *mb,
			struct message *m);
/* The same as loaded_open, from bytes. */
void loaded_bytes(struct loaded *l, struct span stored);
/* The parts; the message must be loaded whole. */
const struct mime *loaded_mime(struct loaded *l);
/* Is an empty line shown behind some fields of it?  RFC 3501 6.4.5: in all
 * cases, but for a message that has neither that line nor a body. */
bool loaded_has_end(struct span header, struct span body);
/* The size with CRLF is in m->vsize then, unless the message is gone. */
int loaded_size(struct mailbox *mb, struct message *m,
		struct err *e) MX_MUST_CHECK;
void loaded_close(struct loaded *l);

/* ENVELOPE of a header; BODY (ext false) and BODYSTRUCTURE. */
struct stream;
void put_envelope(struct stream *st, struct span header);
/* The same of one that is indexed. */
void put_envelope_of(struct stream *st, const struct msg *m);
void put_structure(struct stream *st, const struct mime *m, bool ext);

#endif
