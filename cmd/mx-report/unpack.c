/*
 * unpack.c - gzip and zip, bounded: a report of a few kilobytes that unpacks
 * without end is refused.  RFC 1952; the zip file format (4.3.7, 4.4).
 */
#include "report.h"
#include "status.h"

#include <zlib.h>

#define CHUNK 65536

/* wbits: 31 gzip, -15 raw. */
static int
inflate_all(struct span in, int wbits, struct buf *out, struct err *e)
{
	z_stream z = { 0 };
	int r = Z_OK;

	if (inflateInit2(&z, wbits) != Z_OK)
		return err_set(e, ST_TEMPFAIL, "zlib: out of memory");
	z.next_in = (Bytef *)(uintptr_t)in.p;
	z.avail_in = (uInt)in.n;
	while (r == Z_OK && out->n <= REPORT_BYTES_MAX) {
		z.next_out = (Bytef *)buf_room(out, CHUNK);
		z.avail_out = CHUNK;
		r = inflate(&z, Z_NO_FLUSH);
		buf_grew(out, CHUNK - z.avail_out);
	}
	inflateEnd(&z);
	if (out->n > REPORT_BYTES_MAX)
		return err_set(e, ST_DATA, "more than 100 MB unpacked");
	if (r != Z_STREAM_END)
		return err_set(e, ST_DATA, "the packed data is damaged");
	return 0;
}

int
unpack_gzip(struct span in, struct buf *out, struct err *e)
{
	return inflate_all(in, 15 + 16, out, e);
}

static unsigned
le16(struct span s, size_t at)
{
	return (unsigned char)s.p[at] | (unsigned)(unsigned char)s.p[at + 1]
					    << 8;
}

/* The first member, by its local header; its name is nobody's business. */
int
unpack_zip(struct span in, struct buf *out, struct err *e)
{
	size_t start;
	unsigned flags, method;
	uint32_t size;

	if (in.n < 30)
		return err_set(e, ST_DATA, "the zip file is cut off");
	flags = le16(in, 6);
	method = le16(in, 8);
	size = le16(in, 18) | (uint32_t)le16(in, 20) << 16;
	start = 30u + le16(in, 26) + le16(in, 28);
	if (start > in.n)
		return err_set(e, ST_DATA, "the zip file is cut off");
	if (flags & 1)
		return err_set(e, ST_DATA, "the zip file is encrypted");
	in = span_from(in, start);
	if (method == 8)
		return inflate_all(in, -15, out, e);
	if (method != 0 || (flags & 8) || size > in.n)
		return err_set(e, ST_DATA,
			       "the zip file is packed in an unknown way");
	buf_addspan(out, span_sub(in, 0, size));
	return 0;
}
