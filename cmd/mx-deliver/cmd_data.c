/*
 * cmd_data.c - DATA and BDAT: the message streams into its place as it
 * arrives; the answers at its end.
 * RFC 5321 4.1.1.4, RFC 3030, RFC 2033 4.2; THREATS 1 to 5.
 */
#include "conf.h"
#include "mem.h"
#include "num.h"
#include "session.h"
#include "status.h"
#include "wire.h"

#include <stdio.h>
#include <stdlib.h>

static struct reply
verdict(const struct session *x, const struct outcome *o, bool queued)
{
	if (o->result == DELIVER_DONE)
		return reply_make(250, "2.0.0", "Ok: %s as %s",
				  queued ? "queued" : "delivered", x->t.id);
	return reply_err(x, &o->why);
}

/* The end of the message: answers first, then the log. */
static struct reply
finish(struct session *x)
{
	struct err e = ERR_INIT;
	struct reply r;

	if (trans_end(&x->t, &e) != 0) {
		r = reply_err(x, &e);
		session_say(x, &r);
	} else if (x->t.lmtp) {
		for (size_t i = 0; i < x->t.nrcpt; i++) {
			r = verdict(x, &x->t.rcpt[i].out, x->t.rcpt[i].queued);
			if (r.code >= 400) {
				char text[600];
				snprintf(text, sizeof(text), "<%s> %.500s",
					 x->t.rcpt[i].addr, r.text);
				snprintf(r.text, sizeof(r.text), "%s", text);
			}
			session_say(x, &r);
		}
	} else {
		r = verdict(x, &x->t.rcpt[0].out, x->t.rcpt[0].queued);
		session_say(x, &r);
	}
	(void)!stream_flush(&x->s, session_deadline());
	trans_log(&x->t);
	session_reset(x);
	return (struct reply){ .code = 0 };
}

static struct reply
lost(struct session *x, enum io_result r)
{
	/* No end was read: nothing is kept.  THREATS 11. */
	session_reset(x);
	x->quit = true;
	if (r == IO_TIMEOUT)
		return reply_make(421, "4.4.2", "Error: timeout exceeded");
	return (struct reply){ .code = 0 };
}

struct reply
cmd_data(struct session *x, struct span arg)
{
	struct wire_in w;
	struct buf out = BUF_INIT;
	struct reply go;
	bool end = false;

	if (arg.n > 0)
		return reply_make(501, "5.5.4", "Syntax: DATA");
	go = reply_make(354, "", "End data with <CR><LF>.<CR><LF>");
	session_say(x, &go);
	if (stream_flush(&x->s, session_deadline()) != IO_OK)
		return lost(x, IO_EOF);
	trans_begin(&x->t);
	wire_in_init(&w, true, WIRE_NORMALIZE);
	while (!end) {
		struct span in = stream_buffered(&x->s);
		if (in.n == 0) {
			enum io_result r =
			    stream_fill(&x->s, session_deadline());
			if (r != IO_OK) {
				buf_free(&out);
				return lost(x, r);
			}
			continue;
		}
		stream_take(&x->s, wire_decode(&w, &out, in, &end));
		trans_write(&x->t, out.p, out.n);
		buf_clear(&out);
	}
	buf_free(&out);
	return finish(x);
}

/* The chunk's bytes; dropped when nobody wants them. */
static enum io_result
take_chunk(struct session *x, uint64_t size, bool wanted)
{
	struct buf out = BUF_INIT;
	enum io_result r = IO_OK;
	bool end;

	while (size > 0 && r == IO_OK) {
		struct span in = stream_buffered(&x->s);
		if (in.n == 0) {
			r = stream_fill(&x->s, session_deadline());
			continue;
		}
		if (in.n > size)
			in = span_sub(in, 0, (size_t)size);
		if (wanted) {
			(void)wire_decode(x->wire, &out, in, &end);
			trans_write(&x->t, out.p, out.n);
			buf_clear(&out);
		}
		size -= in.n;
		stream_take(&x->s, in.n);
	}
	buf_free(&out);
	return r;
}

static void
begin_chunks(struct session *x)
{
	x->bdat = true;
	x->wire = mem_alloc(1, sizeof(*x->wire));
	wire_in_init(x->wire, false, WIRE_NORMALIZE);
	trans_begin(&x->t);
}

struct reply
cmd_bdat(struct session *x, struct span arg)
{
	struct span word, rest = arg;
	struct reply bad = { .code = 0 };
	struct buf out = BUF_INIT;
	uint64_t size;
	bool last = false;
	enum io_result r;

	/* Without a size nobody knows where the next command is. */
	if (!span_word(&rest, " ", &word) || !num_u64(word, INT64_MAX, &size)) {
		session_reset(x);
		x->quit = true;
		return reply_make(501, "5.5.4",
				  "Syntax: BDAT count [LAST]; closing");
	}
	if (span_word(&rest, " ", &word)) {
		last = span_iis(word, "LAST");
		if (!last || span_trim(rest).n > 0)
			bad = reply_make(501, "5.5.4",
					 "Syntax: BDAT count [LAST]");
	}
	if (bad.code == 0 && (!x->greeted || x->t.sender == NULL))
		bad = reply_make(503, "5.5.1", "Error: need MAIL command");
	else if (bad.code == 0 && x->t.nrcpt == 0)
		bad = reply_make(x->lmtp ? 503 : 554, "5.5.1",
				 "Error: no valid recipients");
	if (bad.code == 0 && !x->bdat)
		begin_chunks(x);
	r = take_chunk(x, size, bad.code == 0);
	if (r != IO_OK)
		return lost(x, r);
	if (bad.code != 0) {
		if (x->bdat)
			session_reset(x);
		return bad;
	}
	if (!last)
		return reply_make(250, "2.0.0", "Ok: %llu bytes",
				  (unsigned long long)size);
	wire_in_finish(x->wire, &out);
	if (out.n > 0)
		trans_write(&x->t, out.p, out.n);
	buf_free(&out);
	return finish(x);
}
