/*
 * table_net.c - tcp:HOST:PORT (tcp_table(5)) and socketmap:inet:HOST:PORT:MAP,
 * socketmap:unix:PATH:MAP (socketmap_table(5)).
 * Layer: sys.  The connection is kept; one that was lost between two questions
 * is made anew once.  The server may be hostile: replies are bounded, and the
 * deadline is per question.  Whatever is not "found" or "not found" is try
 * again.
 */
#include "endpoint.h"
#include "escape.h"
#include "io.h"
#include "mem.h"
#include "num.h"
#include "status.h"
#include "table.h"

#include <stdlib.h>

#define NET_MS 30000
#define NET_KEY 4000
#define NET_REPLY 100000 /* Postfix's limit for socketmap */

struct net {
	struct endpoint ep;
	char *map; /* NULL: tcp */
	struct stream s;
	bool connected;
};

static void
net_close(void *state)
{
	struct net *t = state;

	if (t->connected)
		stream_close(&t->s);
	endpoint_free(&t->ep);
	free(t->map);
	free(t);
}

static void *
net_open(const char *type, const char *name, struct err *e)
{
	struct net *t = mem_alloc(1, sizeof(*t));
	struct span where = span_of(name);
	ssize_t colon;
	char *text;
	int r;

	if (strcmp(type, "tcp") == 0) {
		text = mem_printf("inet:%s", name);
		r = endpoint_parse(&t->ep, span_of(text), NULL, e);
		free(text);
	} else {
		colon = span_rchr(where, ':');
		if (colon <= 5 || (size_t)colon + 1 == where.n ||
		    (!span_starts(where, SPAN("inet:")) &&
		     !span_starts(where, SPAN("unix:")))) {
			err_set(e, ST_CONFIG,
				"expected inet:HOST:PORT:MAP or "
				"unix:PATH:MAP");
			free(t);
			return NULL;
		}
		t->map = mem_spandup(span_from(where, (size_t)colon + 1));
		r = endpoint_parse(&t->ep, span_sub(where, 0, (size_t)colon),
				   NULL, e);
	}
	if (r == 0)
		return t;
	free(t->map);
	free(t);
	return NULL;
}

/* tcp_table(5): %XX for blanks, controls and '%'. */
static void
net_encode(struct buf *b, struct span key)
{
	for (size_t i = 0; i < key.n; i++) {
		unsigned char c = (unsigned char)key.p[i];

		if (c <= ' ' || c == '%' || c >= 0x7f)
			buf_addf(b, "%%%02X", c);
		else
			buf_addc(b, (char)c);
	}
}

static bool
net_decode(struct buf *b, struct span s)
{
	for (size_t i = 0; i < s.n; i++) {
		uint64_t c;

		if (s.p[i] != '%') {
			buf_addc(b, s.p[i]);
			continue;
		}
		if (i + 2 >= s.n ||
		    !num_hex(span_sub(s, i + 1, i + 3), 255, &c))
			return false;
		buf_addc(b, (char)c);
		i += 2;
	}
	return true;
}

static void
net_request(const struct net *t, struct buf *b, struct span key)
{
	if (t->map == NULL) {
		buf_adds(b, "get ");
		net_encode(b, key);
		buf_addc(b, '\n');
		return;
	}
	buf_addf(b, "%zu:%s %.*s,", strlen(t->map) + 1 + key.n, t->map,
		 SPAN_ARG(key));
}

/* "LENGTH:BYTES," */
static enum io_result
net_netstring(struct net *t, struct buf *reply, deadline_t d)
{
	enum io_result r = IO_OK;
	struct span in;
	uint64_t n;
	size_t used;

	for (;;) {
		in = stream_buffered(&t->s);
		if (span_chr(in, ':') >= 0 || in.n > 8)
			break;
		if ((r = stream_fill(&t->s, d)) != IO_OK)
			return r;
	}
	if (!num_prefix(in, NET_REPLY, &n, &used) || in.p[used] != ':')
		return IO_TOOLONG;
	stream_take(&t->s, used + 1);
	r = stream_read(&t->s, reply, (size_t)n + 1, d);
	if (r == IO_OK && reply->p[n] != ',')
		return IO_TOOLONG;
	if (r == IO_OK)
		buf_cut(reply, (size_t)n);
	return r;
}

static enum io_result
net_ask(struct net *t, struct span request, struct buf *reply, deadline_t d)
{
	enum io_result r;
	struct span line;

	t->s.out_deadline = d;
	stream_write(&t->s, request.p, request.n);
	r = stream_flush(&t->s, d);
	if (r != IO_OK)
		return r;
	if (t->map != NULL)
		return net_netstring(t, reply, d);
	r = stream_line(&t->s, 4096, &line, d);
	if (r == IO_OK)
		buf_addspan(reply, span_rtrim(line));
	return r;
}

/* Connects when needed; asks again over a new connection when the kept one
 * was closed by the server meanwhile. */
static int
net_exchange(struct net *t, struct span request, struct buf *reply,
	     struct err *e)
{
	deadline_t d = clock_deadline(NET_MS);
	bool kept = t->connected;
	enum io_result r;
	int fd;

	for (;;) {
		if (!t->connected) {
			fd = endpoint_connect(&t->ep, d, e);
			if (fd < 0) {
				if (e != NULL)
					e->status = ST_TEMPFAIL;
				return -1;
			}
			stream_init(&t->s, fd, fd);
			t->connected = true;
		}
		buf_clear(reply);
		r = net_ask(t, request, reply, d);
		if (r == IO_OK)
			return 0;
		stream_close(&t->s);
		t->connected = false;
		if (!kept || r == IO_TIMEOUT)
			break;
		kept = false;
	}
	return err_set(e, ST_TEMPFAIL, "%s: %s", t->ep.text,
		       r == IO_TOOLONG ? "a reply that is none of the protocol"
				       : io_words(r));
}

static enum table_result
net_trouble(const struct net *t, struct span reply, struct err *e)
{
	struct buf b = BUF_INIT;

	escape_line(&b, reply, 200);
	err_set(e, ST_TEMPFAIL, "%s: answers \"%s\"", t->ep.text, buf_str(&b));
	buf_free(&b);
	return TABLE_TRY_AGAIN;
}

static enum table_result
net_verdict(const struct net *t, struct span reply, struct buf *value,
	    struct err *e)
{
	const char *found = t->map ? "OK " : "200 ";
	const char *none = t->map ? "NOTFOUND" : "500";
	struct buf v = BUF_INIT;
	struct span rest;

	if (span_starts(reply, span_of(found))) {
		rest = span_from(reply, strlen(found));
		if (t->map != NULL)
			buf_addspan(&v, rest);
		else if (!net_decode(&v, rest))
			rest.p = NULL;
		if (rest.p == NULL || memchr(buf_str(&v), '\0', v.n) != NULL) {
			buf_free(&v);
			return net_trouble(t, reply, e);
		}
		buf_clear(value);
		buf_addspan(value, buf_span(&v));
		buf_free(&v);
		return TABLE_FOUND;
	}
	rest = span_from(reply, strlen(none));
	if (span_starts(reply, span_of(none)) &&
	    (rest.n == 0 || rest.p[0] == ' '))
		return TABLE_NONE;
	return net_trouble(t, reply, e);
}

static enum table_result
net_lookup(void *state, struct span key, struct buf *value, struct err *e)
{
	struct net *t = state;
	struct buf request = BUF_INIT, reply = BUF_INIT;
	enum table_result r = TABLE_TRY_AGAIN;

	if (key.n > NET_KEY) {
		err_set(e, ST_TEMPFAIL, "%s: a key of over %d bytes",
			t->ep.text, NET_KEY);
		return TABLE_TRY_AGAIN;
	}
	net_request(t, &request, key);
	if (net_exchange(t, buf_span(&request), &reply, e) == 0)
		r = net_verdict(t, buf_span(&reply), value, e);
	buf_free(&request);
	buf_free(&reply);
	return r;
}

static const char *const net_names[] = { "tcp", "socketmap", NULL };
extern const struct table_driver table_net;
const struct table_driver table_net = {
	.names = net_names,
	.flags = TABLE_NET,
	.open = net_open,
	.lookup = net_lookup,
	.close = net_close,
};
