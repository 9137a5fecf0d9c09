/*
 * wire.h - the one encoder that makes wire bytes (CRLF, dots, stray CR and
 * LF), and the one scanner that takes them apart (DESIGN 3.11).
 * Layer: mail.  Every program uses it, also between ourselves.
 */
#ifndef MX_WIRE_H
#define MX_WIRE_H

#include "buf.h"

/* Stored LF (or CRLF) bytes -> wire.  State lives over calls. */
struct wire_out {
	bool dots; /* dot-stuff (DATA); false for BDAT */
	bool bol;  /* at the beginning of a line */
	bool cr;   /* a CR was seen and not written */
};
void wire_out_init(struct wire_out *w, bool dots);
/* Stray CR becomes a space; a bare LF becomes CRLF. */
void wire_encode(struct wire_out *w, struct buf *out, struct span in);
/* Ends the last line with CRLF if needed; with dots adds ".\r\n". */
void wire_finish(struct wire_out *w, struct buf *out);

/* Wire -> stored LF bytes, as a state machine over all splits. */
enum wire_policy { WIRE_NORMALIZE, WIRE_REJECT, WIRE_LAX_NONE };
struct wire_in {
	int state;
	bool dots;
	enum wire_policy policy; /* smtpd_forbid_bare_newline */
	bool bare_lf, bare_cr;   /* seen (for reject and logs) */
	bool nul;
	uint64_t bytes; /* stored so far */
};
void wire_in_init(struct wire_in *w, bool dots, enum wire_policy policy);
/* Takes bytes from `in`; appends stored bytes to out.  Returns how many were
 * taken; *end_r becomes true when CRLF.CRLF was read (bytes behind it are
 * not taken).  Only CRLF.CRLF ends.  A bare LF never counts as the beginning
 * or end of a line for dots; under NORMALIZE it is stored as LF; a bare CR is
 * stored as a space.  For BDAT (dots false) end is told by the caller. */
size_t wire_decode(struct wire_in *w, struct buf *out, struct span in,
		   bool *end_r);
/* At the end of a BDAT message: a pending CR. */
void wire_in_finish(struct wire_in *w, struct buf *out);

#endif
