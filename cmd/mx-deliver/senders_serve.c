/*
 * senders_serve.c - SRS as a table server, in postsrsd's place.
 * Postfix tcp_table(5): "get KEY", and socketmap_table(5): netstrings.  What
 * is not to be changed is "not found".
 */
#include "conf.h"
#include "escape.h"
#include "io.h"
#include "main.h"
#include "mem.h"
#include "num.h"
#include "route.h"
#include "route_int.h"
#include "sandbox.h"
#include "senders.h"
#include "site.h"
#include "status.h"

#include <stdlib.h>

#define LINE_MAX_ 4200
#define IDLE_MS 3600000
#define WRITE_MS 30000

enum answer { ANSWER_OK, ANSWER_NONE, ANSWER_AGAIN };

static enum answer
look_up(struct span key, bool back, struct buf *out)
{
	char *addr = mem_spandup(key), *to = NULL;
	struct err e = ERR_INIT;
	enum answer a = ANSWER_NONE;

	/* the partial keys that Postfix asks for, too */
	if (span_has_ctl(key) || domain_of(addr).n == 0 ||
	    local_of(addr).n == 0) {
		free(addr);
		return ANSWER_NONE;
	}
	if (back) {
		to = mem_strdup(addr);
		if (senders_reverse(&to, &e) != 0) {
			a = status_is_temp(e.status) ? ANSWER_AGAIN
						     : ANSWER_NONE;
			free(to);
			to = NULL;
		}
	} else {
		to = senders_forward(addr, &e);
		if (to == NULL && status_is_temp(e.status))
			a = ANSWER_AGAIN;
	}
	if (to != NULL && strcmp(to, addr) != 0) {
		buf_adds(out, to);
		a = ANSWER_OK;
	} else if (a == ANSWER_AGAIN) {
		escape_line(out, span_of(e.text), 200);
	}
	free(to);
	free(addr);
	return a;
}

/* %XX as tcp_table(5) writes controls, blanks and "%". */
static bool
unquote(struct buf *b, struct span s)
{
	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] != '%')
			buf_addc(b, s.p[i]);
		else if (i + 2 >= s.n ||
			 !hex_decode(b, span_sub(s, i + 1, i + 3)))
			return false;
		else
			i += 2;
	}
	return true;
}

static void
quote(struct buf *b, struct span s)
{
	for (size_t i = 0; i < s.n; i++)
		if (s.p[i] <= ' ' || s.p[i] == '%' || s.p[i] == 0x7f)
			buf_addf(b, "%%%02X", (unsigned char)s.p[i]);
		else
			buf_addc(b, s.p[i]);
}

static bool
say(struct stream *s, struct buf *b)
{
	deadline_t d = clock_deadline(WRITE_MS);

	stream_write(s, b->p, b->n);
	return stream_flush(s, d) == IO_OK;
}

static bool
tcp_one(struct stream *s, struct span line, bool back)
{
	struct buf key = BUF_INIT, v = BUF_INIT, out = BUF_INIT;
	enum answer a = ANSWER_NONE;
	struct span word;
	bool ok;

	line = span_rtrim(line);
	if (!span_word(&line, " ", &word) || !span_is(word, "get") ||
	    !unquote(&key, span_trim(line))) {
		buf_adds(&out, "500 expected: get KEY\n");
	} else {
		a = look_up(buf_span(&key), back, &v);
		buf_adds(&out, a == ANSWER_OK     ? "200 "
			       : a == ANSWER_NONE ? "500 "
						  : "400 ");
		if (v.n == 0)
			buf_adds(&v, "not rewritten");
		quote(&out, buf_span(&v));
		buf_addc(&out, '\n');
	}
	ok = say(s, &out);
	buf_free(&key);
	buf_free(&v);
	buf_free(&out);
	return ok;
}

static void
tcp_session(struct stream *s, bool back)
{
	struct span line;

	while (stream_line(s, LINE_MAX_, &line, clock_deadline(IDLE_MS)) ==
		   IO_OK &&
	       tcp_one(s, line, back))
		;
}

/* "NN:" of a netstring, then NN bytes and a comma. */
static bool
netstring(struct stream *s, struct buf *b)
{
	deadline_t d = clock_deadline(IDLE_MS);
	uint64_t n = 0;
	size_t used = 0;

	buf_clear(b);
	for (;;) {
		struct span in = stream_buffered(s);

		if (in.n > 0 && num_prefix(in, LINE_MAX_, &n, &used) &&
		    used < in.n) {
			if (in.p[used] != ':')
				return false;
			if (in.n >= used + 1 + n + 1)
				break;
		} else if (in.n > 6 ||
			   (in.n > 0 && used == 0 && !ascii_isdigit(in.p[0]))) {
			return false;
		}
		if (stream_fill(s, d) != IO_OK)
			return false;
	}
	struct span in = stream_buffered(s);
	if (in.p[used + 1 + n] != ',')
		return false;
	buf_addspan(b, span_sub(in, used + 1, used + 1 + (size_t)n));
	stream_take(s, used + 1 + (size_t)n + 1);
	return true;
}

static void
socketmap_session(struct stream *s)
{
	struct buf q = BUF_INIT;

	while (netstring(s, &q)) {
		struct buf v = BUF_INIT, text = BUF_INIT, out = BUF_INIT;
		struct span key = buf_span(&q), map;
		bool known =
		    span_word(&key, " ", &map) &&
		    (span_is(map, "forward") || span_is(map, "reverse"));

		if (!known) {
			buf_adds(&text, "PERM the maps are forward and "
					"reverse");
		} else {
			switch (look_up(span_ltrim(key),
					span_is(map, "reverse"), &v)) {
			case ANSWER_OK:
				buf_adds(&text, "OK ");
				break;
			case ANSWER_NONE:
				buf_adds(&text, "NOTFOUND ");
				break;
			case ANSWER_AGAIN:
				buf_adds(&text, "TEMP ");
				break;
			}
			buf_addspan(&text, buf_span(&v));
		}
		buf_addf(&out, "%zu:", text.n);
		buf_addspan(&out, buf_span(&text));
		buf_addc(&out, ',');
		bool ok = say(s, &out);
		buf_free(&v);
		buf_free(&text);
		buf_free(&out);
		if (!ok)
			break;
	}
	buf_free(&q);
}

static const struct server_mode modes[] = {
	{ .name = "srs", .unix_mode = 0666 },
	{ .name = "srs-forward", .port = 10001 },
	{ .name = "srs-reverse", .port = 10002 },
};

static void
session(struct server *server, struct server_conn *c)
{
	struct stream s;

	(void)server;
	stream_init(&s, c->fd_in, c->fd_out);
	if (c->mode == &modes[0])
		socketmap_session(&s);
	else
		tcp_session(&s, c->mode == &modes[2]);
	(void)!stream_flush(&s, clock_deadline(WRITE_MS));
	/* the descriptors are the server's */
	s.fd_in = s.fd_out = -1;
	stream_close(&s);
}

static int
before_drop(struct server *s, bool reload, struct err *e)
{
	(void)s;
	(void)reload;
	(void)e;
	route_open();
	return 0;
}

int
senders_serve(const struct program *p)
{
	struct server_options *o = &options.server;
	struct server_spec spec = {
		.program = p,
		.modes = modes,
		.nmodes = ARRAY_LEN(modes),
		.user = geteuid() == 0 ? site.net_user : NULL,
		.sandbox = SANDBOX_STDIO,
		.busy_text = "400 all workers are busy\n",
		.before_drop = before_drop,
		.session = session,
	};

	o->max_workers = conf.process_limit;
	o->max_use = conf.max_use;
	o->max_idle = conf.max_idle;
	return server_run(&spec, o, NULL);
}
