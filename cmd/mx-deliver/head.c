/*
 * head.c - the header of a message as it passes.
 * RFC 5321 4.4 (trace), RFC 5322 2.2; Postfix local(8) for the fields.
 */
#include "head.h"
#include "conf.h"
#include "mem.h"
#include "msg.h"

#include <stdlib.h>
#include <unistd.h>

#define LINE_KEPT 1000
#define HEADER_MAX (1 << 20)

void
head_fields(struct buf *b, const struct facts *f, const char *where)
{
	struct buf v = BUF_INIT;

	buf_addf(&v, "<%s>", f->sender);
	msg_make_field(b, "Return-Path", buf_span(&v));
	buf_addc(b, '\n');
	if (conf.enable_original_recipient && f->original != NULL &&
	    f->original[0] != '\0') {
		msg_make_field(b, "X-Original-To", span_of(f->original));
		buf_addc(b, '\n');
	}
	if (strs_ihas(&conf.prepend_delivered_header, span_of(where))) {
		msg_make_field(
		    b, "Delivered-To",
		    span_of(f->delivered != NULL ? f->delivered : f->addr));
		buf_addc(b, '\n');
	}
	buf_addspan(b, f->extra);
	buf_free(&v);
}

static void
take_line(struct head_watch *w, struct span line)
{
	static const struct {
		struct span name;
		char field;
	} names[] = {
		{ { "Received:", 9 }, 'R' },
		{ { "Delivered-To:", 13 }, 'D' },
		{ { "Message-ID:", 11 }, 'M' },
	};
	struct span value = SPAN("");
	bool more = line.n > 0 && (line.p[0] == ' ' || line.p[0] == '\t');

	if (line.n > 0 && line.p[line.n - 1] == '\r')
		line.n--;
	if (line.n == 0) {
		w->done = true;
		return;
	}
	if (more) {
		value = line;
	} else {
		w->field = 0;
		for (size_t i = 0; i < ARRAY_LEN(names); i++)
			if (span_istarts(line, names[i].name)) {
				w->field = names[i].field;
				value = span_from(line, names[i].name.n);
			}
	}
	value = span_trim(value);
	if (w->field == 'R' && !more)
		w->received++;
	if (value.n == 0)
		return;
	if (w->field == 'D' && w->delivered_to.n < 1000)
		strs_addspan(&w->delivered_to, value);
	if (w->field == 'M' && w->message_id == NULL)
		w->message_id = mem_spandup(value);
}

void
head_watch(struct head_watch *w, struct span bytes)
{
	while (!w->done && bytes.n > 0) {
		ssize_t lf = span_chr(bytes, '\n');
		struct span piece =
		    lf < 0 ? bytes : span_sub(bytes, 0, (size_t)lf);

		if (w->line.n == 0 && lf >= 0) {
			take_line(w, span_sub(piece, 0, LINE_KEPT));
		} else {
			if (w->line.n < LINE_KEPT)
				buf_addspan(
				    &w->line,
				    span_sub(piece, 0, LINE_KEPT - w->line.n));
			if (lf >= 0) {
				take_line(w, buf_span(&w->line));
				buf_clear(&w->line);
			}
		}
		bytes = span_from(bytes, lf < 0 ? bytes.n : (size_t)lf + 1);
	}
}

void
head_watch_free(struct head_watch *w)
{
	buf_free(&w->line);
	free(w->message_id);
	strs_free(&w->delivered_to);
	*w = (struct head_watch){ .done = false };
}

bool
head_watch_loops(const struct head_watch *w, const char *addr)
{
	return strs_ihas(&w->delivered_to, span_of(addr));
}

bool
head_loops_in(struct span message, const char *addr)
{
	struct head_watch w = { .done = false };

	head_watch(&w, span_sub(message, 0, HEADER_MAX));
	bool r = head_watch_loops(&w, addr);
	head_watch_free(&w);
	return r;
}

void
head_watch_file(struct head_watch *w, int fd, uint64_t at, uint64_t size)
{
	uint64_t seen = 0;
	char b[16384];

	while (!w->done && seen < size && seen < HEADER_MAX) {
		uint64_t left = size - seen;
		ssize_t n =
		    pread(fd, b, left < sizeof(b) ? (size_t)left : sizeof(b),
			  (off_t)(at + seen));
		if (n <= 0)
			break;
		head_watch(w, span_make(b, (size_t)n));
		seen += (uint64_t)n;
	}
}

bool
head_loops(int fd, uint64_t at, uint64_t size, const char *addr)
{
	struct head_watch w = { .done = false };
	bool r;

	head_watch_file(&w, fd, at, size);
	r = head_watch_loops(&w, addr);
	head_watch_free(&w);
	return r;
}
