/*
 * cmd_compress.c - COMPRESS DEFLATE: zlib slips under the session's stream.
 * RFC 4978.  What is inflated comes in pieces of the reader's buffer: a bomb
 * costs time, never memory.
 */
#include "cmd.h"
#include "log.h"
#include "mem.h"

#include <stdlib.h>
#include <zlib.h>

#define CHUNK 16384
#define WINDOW (-15) /* raw deflate */

struct layer {
	z_stream in, out;
	const struct stream_ops *ops; /* below */
	void *below;
	Bytef from[CHUNK], to[CHUNK];
	bool full; /* the last inflate filled the reader's buffer */
};

static enum io_result
read_deflated(struct stream *st, char *p, size_t n, size_t *got_r, deadline_t d)
{
	struct layer *l = st->layer;

	l->in.next_out = (Bytef *)p;
	l->in.avail_out = (uInt)n;
	for (;;) {
		int r;

		if (l->in.avail_in == 0 && !l->full) {
			size_t got = 0;
			enum io_result io;

			st->layer = l->below;
			io = l->ops->read(st, (char *)l->from, CHUNK, &got, d);
			l->below = st->layer;
			st->layer = l;
			if (io != IO_OK)
				return io;
			l->in.next_in = l->from;
			l->in.avail_in = (uInt)got;
		}
		r = inflate(&l->in, Z_SYNC_FLUSH);
		if (r == Z_STREAM_END)
			return IO_EOF;
		if (r != Z_OK && r != Z_BUF_ERROR)
			return IO_ERROR;
		l->full = l->in.avail_out == 0;
		*got_r = n - l->in.avail_out;
		if (*got_r > 0)
			return IO_OK;
	}
}

/* All of what deflate made goes out: the caller has no half of it. */
static enum io_result
put(struct stream *st, struct layer *l, size_t n, deadline_t d)
{
	size_t at = 0;

	while (at < n) {
		size_t put_n = 0;
		enum io_result io;

		st->layer = l->below;
		io = l->ops->write(st, (const char *)l->to + at, n - at, &put_n,
				   d);
		l->below = st->layer;
		st->layer = l;
		if (io != IO_OK)
			return io;
		at += put_n;
	}
	return IO_OK;
}

static enum io_result
write_deflated(struct stream *st, const char *p, size_t n, size_t *put_r,
	       deadline_t d)
{
	struct layer *l = st->layer;
	char *bytes = mem_spandup(span_make(p, n)); /* next_in is not const */
	enum io_result io = IO_OK;

	l->out.next_in = (Bytef *)bytes;
	l->out.avail_in = (uInt)n;
	do {
		l->out.next_out = l->to;
		l->out.avail_out = CHUNK;
		if (deflate(&l->out, Z_SYNC_FLUSH) == Z_STREAM_ERROR)
			io = IO_ERROR;
		else
			io = put(st, l, CHUNK - l->out.avail_out, d);
	} while (io == IO_OK && l->out.avail_out == 0);
	*put_r = n;
	free(bytes);
	return io;
}

static void
close_layer(struct stream *st)
{
	struct layer *l = st->layer;

	(void)inflateEnd(&l->in);
	(void)deflateEnd(&l->out);
	st->ops = l->ops;
	st->layer = l->below;
	free(l);
	if (st->ops->close != NULL)
		st->ops->close(st);
}

static const struct stream_ops ops = { read_deflated, write_deflated,
				       close_layer };

bool
compress_active(const struct stream *st)
{
	return st->ops == &ops;
}

bool
compress_waiting(const struct stream *st)
{
	const struct layer *l = st->layer;

	return st->ops == &ops && (l->in.avail_in > 0 || l->full);
}

/* Behind the tagged OK, which is plain. */
static void
begin(struct session *s)
{
	struct stream *st = s->st;
	struct layer *l = mem_alloc(1, sizeof(*l));
	struct span early;

	if (stream_flush(st, clock_deadline(60000)) != IO_OK ||
	    inflateInit2(&l->in, WINDOW) != Z_OK ||
	    deflateInit2(&l->out, Z_DEFAULT_COMPRESSION, Z_DEFLATED, WINDOW, 8,
			 Z_DEFAULT_STRATEGY) != Z_OK) {
		log_error("%s: COMPRESS cannot begin", s->user);
		s->say_bye = true;
		free(l);
		return;
	}
	l->ops = st->ops;
	l->below = st->layer;
	/* what came behind the command is deflated already */
	early = stream_buffered(st);
	if (early.n > CHUNK) {
		s->say_bye = true;
		early.n = 0;
	}
	memcpy(l->from, early.p != NULL ? early.p : "", early.n);
	l->in.next_in = l->from;
	l->in.avail_in = (uInt)early.n;
	stream_take(st, early.n);
	st->ops = &ops;
	st->layer = l;
}

struct result
cmd_compress(struct session *s)
{
	struct span word;

	if (!parse_sp(&s->p) || !parse_atom(&s->p, &word) || !parse_end(&s->p))
		return result_bad(s);
	if (!span_iis(word, "DEFLATE"))
		return RESULT(RESULT_BAD, NULL, "Only DEFLATE is known");
	if (s->st->ops == &ops)
		return result_no("COMPRESSIONACTIVE", "It is compressed");
	s->then = begin;
	return result_ok("Begin compression");
}
