/*
 * Unit tests of common/mbox_read.c: what separates messages, what was quoted,
 * and what mbox programs put in.
 */
#include "mbox_read.h"
#include "status.h"
#include "unit.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

static const struct {
	const char *line;
	int64_t time; /* -1: no separator */
} froms[] = {
	{ "From joe@example.org  Sat Jan  3 01:05:34 1996", 820631134 },
	{ "From joe Sat Jan 3 01:05 1996", 820631100 },
	{ "From joe  Sat Jan  3 01:05:34 1996 +0100", 820627534 },
	{ "From joe  Sat Jan  3 01:05:34 -0130 1996", 820636534 },
	{ "From joe  Sat Jan  3 01:05:34 MET 1996", 820631134 },
	{ "From joe  Sat Jan  3 01:05:34 MET DST 1996 remote from x",
	  820631134 },
	{ "From \"joe doe\"@example.org  Sat Jan  3 01:05:34 1996\r",
	  820631134 },
	{ "From  Sat Jan  3 01:05:34 1996", 820631134 },
	{ "From Sat Sat Jan  3 01:05:34 1996", 820631134 },
	{ "From here on it is easy", -1 },
	{ "From joe", -1 },
	{ "From ", -1 },
	{ "From: joe  Sat Jan  3 01:05:34 1996", -1 },
	{ ">From joe  Sat Jan  3 01:05:34 1996", -1 },
	{ "From joe  Sat Jan 32 01:05:34 1996", -1 },
	{ "From joe  Sat Jan  3 24:05:34 1996", -1 },
	{ "From joe  Sat Jan  3 1996", -1 },
	{ "From joe  Sat Jam  3 01:05:34 1996", -1 },
};

#define F "From joe  Sat Jan  3 01:05:34 1996\n"
static const struct {
	const char *file, *parts; /* each message in <> */
} files[] = {
	{ "", "" },
	{ F, "<>" },
	{ F "\n", "<>" },
	{ F F, "<><>" },
	{ F "\n" F, "<><>" },
	{ F "a: b\n\nc\n\n" F "d: e\n\nf\n\n", "<a: b\n\nc\n><d: e\n\nf\n>" },
	{ F "a: b\n\nc\n" F "d: e\n", "<a: b\n\nc\n><d: e\n>" },
	{ F "a: b\n\nc", "<a: b\n\nc>" },
	{ F "a: b\n\nc\n\n\n" F "d: e\n\n\n", "<a: b\n\nc\n\n><d: e\n\n>" },
	{ F "a: b\n\nFrom here on\n\nFrom 1 to 2\n",
	  "<a: b\n\nFrom here on\n\nFrom 1 to 2\n>" },
	{ F "a: b\n\n>From joe  Sat Jan  3 01:05:34 1996\n\n>>From x\n",
	  "<a: b\n\nFrom joe  Sat Jan  3 01:05:34 1996\n\n>From x\n>" },
	{ F "a: b\n\n> From x\n >From x\nx>From y\n>>>From \n",
	  "<a: b\n\n> From x\n >From x\nx>From y\n>>From \n>" },
	{ F ">From x\na: b\n", "<From x\na: b\n>" },
	{ "\n\r\n" F "a: b\n", "<a: b\n>" },
	{ F "Status: RO\na: b\nContent-Length: 99\n c\nX-Status: AF\nLines: "
	    "3\nX-UID: 7\nX-Keywords: x\nX-IMAPbase: 1 2\n\nStatus: x\n",
	  "<a: b\n\nStatus: x\nRAF>" },
	{ F "a: b\r\n\r\nc\r\n\r\n" F "d: e\r\n",
	  "<a: b\r\n\r\nc\r\n><d: e\r\n>" },
	{ F "Subject: DON'T DELETE THIS MESSAGE\nX-IMAP: 1 2\n\nx\n\n" F
	    "a: b\n",
	  "<a: b\n>" },
	{ "a: b\n\nc\n", "none" },
	{ "\n\n", "none" },
	{ "Fro", "none" },
};

static void
flags_put(struct buf *b, maildir_flags f)
{
	if (f & MAILDIR_SEEN)
		buf_addc(b, 'R');
	if (f & MAILDIR_REPLIED)
		buf_addc(b, 'A');
	if (f & MAILDIR_FLAGGED)
		buf_addc(b, 'F');
}

static bool
put_part(struct buf *b, const struct mbox_part *p)
{
	size_t was = b->n;
	maildir_flags flags;
	bool is = mbox_message(b, p->raw, &flags);

	if (is) {
		buf_insert(b, was, SPAN("<"));
		flags_put(b, flags);
		buf_addc(b, '>');
	} else {
		buf_cut(b, was);
	}
	return is;
}

/* The same of a file that comes in pieces of n bytes: a pipe keeps each write
 * apart. */
static void
read_pieces(struct buf *b, struct span file, size_t n, size_t max)
{
	struct mbox_reader r = { .max = max };
	struct mbox_part p;
	struct err e = ERR_INIT;
	int fds[2], more;

	if (pipe2(fds, O_DIRECT) != 0 ||
	    fcntl(fds[1], F_SETPIPE_SZ, 1 << 20) < 0)
		return;
	for (size_t at = 0; at < file.n; at += n) {
		struct span piece =
		    span_sub(file, at, at + n < file.n ? at + n : file.n);

		if (write(fds[1], piece.p, piece.n) != (ssize_t)piece.n)
			return;
	}
	close(fds[1]);
	r.fd = fds[0];
	while ((more = mbox_reader_next(&r, "x", &p, &e)) > 0)
		(void)put_part(b, &p);
	if (more < 0)
		buf_adds(b, e.status == ST_DATA ? "none" : "?");
	mbox_reader_done(&r);
	close(fds[0]);
}

int
main(void)
{
	for (size_t i = 0; i < ARRAY_LEN(froms); i++) {
		int64_t t = -1;
		bool ok = mbox_from_time(span_of(froms[i].line), &t);

		CHECK(ok == (froms[i].time >= 0) && t == froms[i].time,
		      "%s: %lld", froms[i].line, (long long)t);
	}
	for (size_t i = 0; i < ARRAY_LEN(files); i++) {
		struct span file = span_of(files[i].file);
		struct buf b = BUF_INIT;
		struct mbox_part p;
		size_t at = 0;

		if (!mbox_begins(file))
			buf_adds(&b, "none");
		while (mbox_next(file, &at, &p)) {
			(void)put_part(&b, &p);
		}
		CHECK(strcmp(buf_str(&b), files[i].parts) == 0, "file %zu", i);
		if (strcmp(buf_str(&b), files[i].parts) != 0)
			printf("# %s\n", buf_str(&b));
		for (size_t n = 1; n < 40; n++) {
			buf_clear(&b);
			read_pieces(&b, file, n, 10000);
			CHECK(strcmp(buf_str(&b), files[i].parts) == 0,
			      "file %zu in pieces of %zu", i, n);
		}
		buf_free(&b);
	}
	/* one message is held, however many there are; none above the limit */
	for (size_t max = 80; max <= 200; max += 120) {
		struct buf b = BUF_INIT;

		read_pieces(&b,
			    SPAN(F
				 "a: b\n\n" F "c: d\n\n" F "e: 12345678901"
				 "234567890123456789012345678901234567890\n\n"),
			    1, max);
		CHECK(strcmp(buf_str(&b),
			     max < 100 ? "<a: b\n><c: d\n>none"
				       : "<a: b\n><c: d\n><e: 123456789012345"
					 "67890123456789012345678901234567890"
					 "\n>") == 0,
		      "limit %zu: %s", max, buf_str(&b));
		buf_free(&b);
	}
	return unit_done();
}
