/*
 * scan_rspamd.c - rspamd's HTTP protocol: POST /checkv2, an answer in JSON.
 * RFC 9112 as far as one request without keep-alive needs it.
 */
#include "io.h"
#include "num.h"
#include "scan.h"
#include "status.h"

#include <stdio.h>
#include <unistd.h>

#define ANSWER_MAX ((size_t)4 << 20)
#define DEPTH_MAX 64

static void
add_header(struct buf *b, const char *name, const char *value)
{
	if (value != NULL && value[0] != '\0' && !span_has_ctl(span_of(value)))
		buf_addf(b, "%s: %s\r\n", name, value);
}

static int
post(const struct endpoint *ep, const struct scan_request *q, const char *path,
     struct buf *answer, struct err *e)
{
	const struct envelope *env = q->env;
	struct buf head = BUF_INIT;
	int fd = endpoint_connect(ep, q->deadline, e), r = 0;
	enum io_result io;

	if (fd < 0)
		return -1;
	buf_addf(&head,
		 "POST %s HTTP/1.1\r\nHost: rspamd\r\nConnection: close\r\n"
		 "Content-Length: %zu\r\n",
		 path, q->message.n);
	add_header(&head, "From", env->sender);
	for (size_t i = 0; i < env->recipients.n; i++)
		add_header(&head, "Rcpt", env->recipients.v[i]);
	add_header(&head, "IP", env->client_addr);
	add_header(&head, "Hostname", env->client_name);
	add_header(&head, "Helo", env->helo);
	add_header(&head, "User", env->auth_user);
	add_header(&head, "Queue-Id", env->queue_id);
	add_header(&head, "Deliver-To", q->user);
	buf_adds(&head, "\r\n");
	io = io_write(fd, head.p, head.n, q->deadline);
	if (io == IO_OK)
		io = io_write(fd, q->message.p, q->message.n, q->deadline);
	if (io == IO_OK)
		io = io_read_all(fd, answer, ANSWER_MAX, q->deadline);
	if (io != IO_OK)
		r = err_set(e, ST_TEMPFAIL, "%s: %s", ep->text, io_words(io));
	close(fd);
	buf_free(&head);
	return r;
}

/* Transfer-Encoding: chunked, put together. */
static bool
unchunk(struct span s, struct buf *out)
{
	struct span line;
	uint64_t n;

	while (span_split(&s, '\n', &line)) {
		struct span size, rest = span_trim(line);

		(void)span_split(&rest, ';', &size);
		if (!num_hex(span_trim(size), ANSWER_MAX, &n) || n > s.n)
			return false;
		if (n == 0)
			return true;
		buf_addspan(out, span_sub(s, 0, (size_t)n));
		s = span_from(s, (size_t)n);
		(void)span_split(&s, '\n', &line);
	}
	return false;
}

/* The body of a 200 answer. */
static int
http_body(const struct buf *answer, const struct endpoint *ep, struct buf *body,
	  struct err *e)
{
	struct span rest = buf_span(answer), line, status;
	bool chunked = false;

	if (!span_split(&rest, '\n', &line) ||
	    !span_starts(line, SPAN("HTTP/1.")))
		return err_set(e, ST_TEMPFAIL, "%s: it does not speak HTTP",
			       ep->text);
	status = span_sub(line, 9, 12);
	if (!span_is(status, "200"))
		return err_set(e, ST_TEMPFAIL, "%s: %.*s", ep->text,
			       SPAN_ARG(span_sub(span_trim(line), 0, 100)));
	while (span_split(&rest, '\n', &line)) {
		line = span_trim(line);
		if (line.n == 0)
			break;
		chunked |= span_istarts(line, SPAN("Transfer-Encoding:")) &&
			   span_ifind(line, SPAN("chunked")) >= 0;
	}
	if (rest.p == NULL)
		return err_set(e, ST_TEMPFAIL, "%s: the answer is cut",
			       ep->text);
	if (!chunked)
		buf_addspan(body, rest);
	else if (!unchunk(rest, body))
		return err_set(e, ST_TEMPFAIL, "%s: the answer is cut",
			       ep->text);
	return 0;
}

/* A string's bytes without its quotes; *s moves behind it. */
static bool
json_string(struct span *s, struct span *r)
{
	size_t i = 1;

	if (s->n == 0 || s->p[0] != '"')
		return false;
	while (i < s->n && s->p[i] != '"')
		i += s->p[i] == '\\' ? 2 : 1;
	if (i >= s->n)
		return false;
	*r = span_sub(*s, 1, i);
	*s = span_from(*s, i + 1);
	return true;
}

/* Calls fn with the keys and the scalar values of the two upper levels. */
static bool
json_walk(struct span s,
	  void (*fn)(void *ctx, struct span outer, struct span key,
		     struct span value),
	  void *ctx)
{
	struct span outer = SPAN(""), key = SPAN(""), v;
	int depth = 0;
	bool value = false; /* a value comes, not a key */

	for (;;) {
		s = span_ltrim(s);
		if (s.n == 0)
			return depth == 0;
		if (s.p[0] == '{' || s.p[0] == '[') {
			if (++depth > DEPTH_MAX)
				return false;
			if (depth == 2) {
				outer = key;
				if (key.n > 0)
					fn(ctx, SPAN(""), key, SPAN(""));
			}
			if (depth == 3)
				fn(ctx, outer, key, SPAN(""));
			value = s.p[0] == '[';
			s = span_from(s, 1);
		} else if (s.p[0] == '}' || s.p[0] == ']') {
			if (--depth < 0)
				return false;
			value = false;
			s = span_from(s, 1);
		} else if (s.p[0] == ',' || s.p[0] == ':') {
			value = s.p[0] == ':';
			s = span_from(s, 1);
		} else {
			if (s.p[0] == '"') {
				if (!json_string(&s, &v))
					return false;
			} else {
				size_t n = 0;

				while (n < s.n &&
				       strchr(",:]}", s.p[n]) == NULL)
					n++;
				v = span_trim(span_sub(s, 0, n));
				s = span_from(s, n);
				if (n == 0)
					return false;
			}
			if (!value)
				key = v;
			else if (depth <= 2)
				fn(ctx, depth == 2 ? outer : SPAN(""), key, v);
		}
	}
}

struct answer {
	struct scan_verdict *v;
	struct span action;
	bool score, needed;
};

static void
take(void *ctx, struct span outer, struct span key, struct span value)
{
	struct answer *a = ctx;

	if (outer.n == 0 && span_is(key, "action")) {
		a->action = value;
	} else if (outer.n == 0 && span_is(key, "score")) {
		a->score = scan_decimal(value, &a->v->score);
	} else if (outer.n == 0 && span_is(key, "required_score")) {
		a->needed = scan_decimal(value, &a->v->needed);
	} else if (span_is(outer, "symbols") && value.n == 0 && key.n > 0 &&
		   key.n < 100 && a->v->tests.n < 2000) {
		if (a->v->tests.n > 0)
			buf_addc(&a->v->tests, ',');
		buf_addspan(&a->v->tests, key);
	}
}

int
scan_rspamd(const struct endpoint *ep, const struct scan_request *q,
	    struct scan_verdict *v, struct err *e)
{
	struct buf answer = BUF_INIT, body = BUF_INIT;
	struct answer a = { .v = v };
	int r = post(ep, q, "/checkv2", &answer, e);

	if (r == 0)
		r = http_body(&answer, ep, &body, e);
	if (r == 0 && (!json_walk(buf_span(&body), take, &a) || !a.score ||
		       !a.needed || a.action.n == 0))
		r = err_set(e, ST_TEMPFAIL,
			    "%s: the answer is not rspamd's JSON", ep->text);
	if (r == 0) {
		v->scored = true;
		v->soft = span_is(a.action, "soft reject") ||
			  span_is(a.action, "greylist");
		v->bad = span_is(a.action, "reject") ||
			 span_is(a.action, "add header") ||
			 span_is(a.action, "rewrite subject");
	}
	buf_free(&answer);
	buf_free(&body);
	return r;
}

int
scan_rspamd_learn(const struct endpoint *ep, const struct scan_request *q,
		  const char *class, struct err *e)
{
	struct buf answer = BUF_INIT, body = BUF_INIT;
	int r = class[0] == '\0'
		    ? err_set(e, ST_UNAVAILABLE, "rspamd cannot forget")
		    : post(ep, q, class[0] == 's' ? "/learnspam" : "/learnham",
			   &answer, e);

	if (r == 0)
		r = http_body(&answer, ep, &body, e);
	buf_free(&answer);
	buf_free(&body);
	return r;
}
