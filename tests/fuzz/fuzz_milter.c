/*
 * fuzz_milter.c - what an MTA sends to a filter that asks for everything, and
 * what a filter answers to an MTA.
 */
#include "milter_server.h"

#include "log.h"

#include <fcntl.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct span input;
static unsigned char turn;

static enum io_result
take(struct stream *s, char *p, size_t n, size_t *got, deadline_t d)
{
	(void)s;
	(void)d;
	if (input.n == 0)
		return IO_EOF;
	/* In uneven pieces. */
	turn = (unsigned char)(turn * 5 + 3);
	if (n > 1u + turn)
		n = 1u + turn;
	if (n > input.n)
		n = input.n;
	memcpy(p, input.p, n);
	input = span_from(input, n);
	*got = n;
	return IO_OK;
}

static enum io_result
drop(struct stream *s, const char *p, size_t n, size_t *put, deadline_t d)
{
	(void)s;
	(void)p;
	(void)d;
	*put = n;
	return IO_OK;
}

static void
nothing(struct stream *s)
{
	(void)s;
}

static const struct stream_ops ops = { take, drop, nothing };

static size_t sum;

static void
look(struct span s)
{
	for (size_t i = 0; i < s.n; i++)
		sum += (unsigned char)s.p[i];
}

static enum milter_code
verdict(struct milter *m)
{
	static const enum milter_code v[] = { MILTER_CONTINUE, MILTER_ACCEPT,
					      MILTER_REJECT, MILTER_SKIP };

	look(milter_macro(m, "i"));
	look(milter_macro(m, "auth_authen"));
	if (sum % 7 == 0)
		return milter_reply(m, 550, "5.7.1", "no %% %zu\nsecond", sum);
	return v[sum % 4];
}

static enum milter_code
on_connect(struct milter *m, const struct milter_peer *p)
{
	look(p->name);
	look(p->addr);
	return verdict(m);
}

static enum milter_code
on_text(struct milter *m, struct span s)
{
	look(s);
	return verdict(m);
}

static enum milter_code
on_args(struct milter *m, const struct span *v, size_t n)
{
	for (size_t i = 0; i < n; i++)
		look(v[i]);
	return verdict(m);
}

static enum milter_code
on_header(struct milter *m, struct span name, struct span value)
{
	look(name);
	look(value);
	return verdict(m);
}

static enum milter_code
on_eom(struct milter *m)
{
	milter_add_header(m, "X-A", SPAN("1"));
	milter_insert_header(m, 1, "X-B", SPAN("2"));
	milter_change_header(m, 1, "X-C", SPAN(""));
	milter_add_rcpt(m, SPAN("<a@b>"), SPAN("NOTIFY=NEVER"));
	milter_del_rcpt(m, SPAN("<a@b>"));
	milter_change_from(m, SPAN("<>"), SPAN(""));
	milter_quarantine(m, "why");
	milter_progress(m);
	milter_replace_body(m, SPAN("x\r\n"));
	return verdict(m);
}

static const struct milter_filter filter = {
	.name = "fuzz",
	.actions = MILTER_ACT_ALL,
	.protocol = MILTER_P_HDR_LEADSPC,
	.macros = { "j", NULL, "i" },
	.connect = on_connect,
	.helo = on_text,
	.mail = on_args,
	.rcpt = on_args,
	.data = verdict,
	.header = on_header,
	.eoh = verdict,
	.body = on_text,
	.eom = on_eom,
	.unknown = on_text,
};

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static int null = -1;
	struct stream s;
	struct milter_options o;
	struct milter_peer peer;
	struct milter_reply r;
	struct span v[MILTER_ARGS], name, value;
	int n;

	if (null < 0)
		log_to_fd(null = open("/dev/null", O_WRONLY | O_CLOEXEC));
	input = span_make((const char *)data, size);
	if (milter_parse_options(&o, input))
		look(o.macros[0]);
	if (milter_parse_peer(&peer, input))
		look(peer.addr);
	if (milter_parse_reply(&r, input)) {
		look(buf_span(&r.text));
		look(span_of(r.esc));
		buf_free(&r.text);
	}
	if (milter_parse_header(input, &name, &value))
		look(value);
	n = milter_parse_args(input, v, MILTER_ARGS);
	for (int i = 0; i < n; i++)
		look(v[i]);
	stream_init(&s, -1, -1);
	s.ops = &ops;
	milter_run(&filter, NULL, &s);
	buf_free(&s.in);
	buf_free(&s.out);
	return 0;
}
