/*
 * milter_server.c - see milter_server.h.  What comes from the MTA holds bytes
 * of strangers: lengths, order and strings are checked before a callback sees
 * them.
 * Layer: mail.
 */
#include "milter_server.h"

#include "log.h"
#include "mem.h"

#include <errno.h>
#include <stdlib.h>

/* libmilter's patience with an MTA whose client thinks; and with one that does
 * not take our answer. */
#define IDLE_MS (7210 * 1000)
#define WRITE_MS (60 * 1000)

/* Codes in the order of a session, for macros; a later one's macros go when
 * an earlier one's come. */
static const char stages[] = "CHMRTLNBE";
#define NSTAGES (sizeof(stages) - 1)

struct milter {
	const struct milter_filter *f;
	struct stream *s;
	void *ctx, *state;
	uint32_t actions, protocol; /* agreed */
	bool agreed;                /* the negotiation is done */
	bool has_client;            /* something to close */
	bool in_eom;
	int phase; /* place in the order of a message; 0: none */
	struct buf in, out;
	struct buf macros[NSTAGES];
	struct buf reply; /* the packet that milter_reply made */
};

/* A row an event: its code, its place in a message (0: outside), may it come
 * again at that place, the flags that leave it or its answer out, and what to
 * do. */
struct event {
	enum milter_code code;
	int phase;
	bool again;
	uint32_t no, no_reply;
	/* False: malformed. */
	bool (*fn)(struct milter *, struct span data, enum milter_code *v_r);
	bool (*wanted)(const struct milter_filter *);
};

static void
end_mail(struct milter *m)
{
	if (m->phase > 0 && m->f->end_mail != NULL)
		m->f->end_mail(m);
	m->phase = 0;
}

static void
end_client(struct milter *m)
{
	end_mail(m);
	if (m->has_client && m->f->close != NULL)
		m->f->close(m);
	m->has_client = false;
	for (size_t i = 0; i < NSTAGES; i++)
		buf_clear(&m->macros[i]);
}

static bool
on_connect(struct milter *m, struct span data, enum milter_code *v_r)
{
	struct milter_peer p;

	if (!milter_parse_peer(&p, data))
		return false;
	*v_r = m->f->connect(m, &p);
	return true;
}

static bool
on_helo(struct milter *m, struct span data, enum milter_code *v_r)
{
	struct span name;

	if (!milter_str(&data, &name))
		return false;
	*v_r = m->f->helo(m, name);
	return true;
}

static bool
on_mail(struct milter *m, struct span data, enum milter_code *v_r)
{
	struct span v[MILTER_ARGS];
	int n = milter_parse_args(data, v, MILTER_ARGS);

	if (n < 0)
		return false;
	*v_r = m->f->mail(m, v, (size_t)n);
	return true;
}

static bool
on_rcpt(struct milter *m, struct span data, enum milter_code *v_r)
{
	struct span v[MILTER_ARGS];
	int n = milter_parse_args(data, v, MILTER_ARGS);

	if (n < 0)
		return false;
	*v_r = m->f->rcpt(m, v, (size_t)n);
	return true;
}

static bool
on_data(struct milter *m, struct span data MX_UNUSED, enum milter_code *v_r)
{
	*v_r = m->f->data(m);
	return true;
}

static bool
on_header(struct milter *m, struct span data, enum milter_code *v_r)
{
	struct span name, value;

	if (!milter_parse_header(data, &name, &value))
		return false;
	*v_r = m->f->header(m, name, value);
	return true;
}

static bool
on_eoh(struct milter *m, struct span data MX_UNUSED, enum milter_code *v_r)
{
	*v_r = m->f->eoh(m);
	return true;
}

static bool
on_body(struct milter *m, struct span data, enum milter_code *v_r)
{
	*v_r = m->f->body(m, data);
	return true;
}

static bool
on_eom(struct milter *m, struct span data, enum milter_code *v_r)
{
	/* The last piece of a body may ride on the end. */
	if (data.n > 0 && m->f->body != NULL) {
		*v_r = m->f->body(m, data);
		if (*v_r != MILTER_CONTINUE && *v_r != MILTER_SKIP)
			return true;
		*v_r = MILTER_CONTINUE;
	}
	m->in_eom = true;
	if (m->f->eom != NULL)
		*v_r = m->f->eom(m);
	m->in_eom = false;
	return true;
}

static bool
on_unknown(struct milter *m, struct span data, enum milter_code *v_r)
{
	struct span line;

	if (!milter_str(&data, &line))
		return false;
	*v_r = m->f->unknown(m, line);
	return true;
}

#define WANTED(NAME)                                                           \
	static bool wants_##NAME(const struct milter_filter *f)                \
	{                                                                      \
		return f->NAME != NULL;                                        \
	}
WANTED(connect)
WANTED(helo)
WANTED(mail)
WANTED(rcpt)
WANTED(data)
WANTED(header)
WANTED(eoh)
WANTED(body)
WANTED(unknown)

static const struct event events[] = {
	{ MILTER_CONNECT, 0, true, MILTER_P_NOCONNECT, MILTER_P_NR_CONN,
	  on_connect, wants_connect },
	{ MILTER_HELO, 0, true, MILTER_P_NOHELO, MILTER_P_NR_HELO, on_helo,
	  wants_helo },
	{ MILTER_MAIL, 1, true, MILTER_P_NOMAIL, MILTER_P_NR_MAIL, on_mail,
	  wants_mail },
	{ MILTER_RCPT, 2, true, MILTER_P_NORCPT, MILTER_P_NR_RCPT, on_rcpt,
	  wants_rcpt },
	{ MILTER_DATA, 3, false, MILTER_P_NODATA, MILTER_P_NR_DATA, on_data,
	  wants_data },
	{ MILTER_HEADER, 4, true, MILTER_P_NOHDRS, MILTER_P_NR_HDR, on_header,
	  wants_header },
	{ MILTER_EOH, 5, false, MILTER_P_NOEOH, MILTER_P_NR_EOH, on_eoh,
	  wants_eoh },
	{ MILTER_BODY, 6, true, MILTER_P_NOBODY, MILTER_P_NR_BODY, on_body,
	  wants_body },
	{ MILTER_EOM, 7, false, 0, 0, on_eom, NULL },
	{ MILTER_UNKNOWN, 0, true, MILTER_P_NOUNKNOWN, MILTER_P_NR_UNKNOWN,
	  on_unknown, wants_unknown },
};

static bool
trouble(const struct milter *m, const char *what)
{
	log_warn("%s: %s: the MTA's link is closed", m->f->name, what);
	return false;
}

static bool
flush(struct milter *m)
{
	enum io_result r;

	stream_write(m->s, m->out.p, m->out.n);
	buf_clear(&m->out);
	r = stream_flush(m->s, clock_deadline(WRITE_MS));
	return r == IO_OK || trouble(m, io_words(r));
}

static bool
negotiate(struct milter *m, struct span data)
{
	struct milter_options o, mine = { 0 };
	const struct milter_filter *f = m->f;

	if (!milter_parse_options(&o, data))
		return trouble(m, "malformed negotiation");
	if (o.version < 2)
		return trouble(m, "milter protocol version below 2");
	mine.version = o.version < MILTER_VERSION ? o.version : MILTER_VERSION;
	mine.actions = f->actions & o.actions & ~MILTER_ACT_SETSYMLIST;
	mine.protocol = f->protocol | MILTER_P_SKIP;
	for (size_t i = 0; i < ARRAY_LEN(events); i++)
		if (events[i].wanted != NULL && !events[i].wanted(f))
			mine.protocol |= events[i].no;
	mine.protocol &= o.protocol;
	for (int i = 0; i < MILTER_STAGES; i++) {
		if (f->macros[i] == NULL ||
		    (o.actions & MILTER_ACT_SETSYMLIST) == 0)
			continue;
		mine.macros[i] = span_of(f->macros[i]);
		mine.actions |= MILTER_ACT_SETSYMLIST;
	}
	m->actions = mine.actions;
	m->protocol = mine.protocol;
	m->agreed = true;
	milter_put_options(&m->out, &mine);
	return flush(m);
}

static bool
take_macros(struct milter *m, struct span data)
{
	const char *at;
	size_t i;

	if (data.n == 0)
		return trouble(m, "macros without a stage");
	if (data.n > 1 && data.p[data.n - 1] != '\0')
		return trouble(m, "macros without an end");
	at = memchr(stages, data.p[0], NSTAGES);
	if (at == NULL)
		return true;
	i = (size_t)(at - stages);
	buf_clear(&m->macros[i]);
	buf_addspan(&m->macros[i], span_from(data, 1));
	for (i++; i < NSTAGES; i++)
		buf_clear(&m->macros[i]);
	return true;
}

static bool
answer(struct milter *m, const struct event *ev, enum milter_code v)
{
	if (m->protocol & ev->no_reply)
		return true;
	switch (v) {
	case MILTER_CONTINUE:
	case MILTER_ACCEPT:
	case MILTER_REJECT:
	case MILTER_TEMPFAIL:
	case MILTER_DISCARD:
		milter_put(&m->out, v);
		break;
	case MILTER_SKIP:
		milter_put(&m->out, milter_may_skip(m) ? v : MILTER_CONTINUE);
		break;
	case MILTER_REPLYCODE:
		buf_addspan(&m->out, buf_span(&m->reply));
		break;
	default:
		log_panic("%s: verdict %d", m->f->name, (int)v);
	}
	return flush(m);
}

static bool
dispatch(struct milter *m, const struct event *ev, struct span data)
{
	enum milter_code v = MILTER_CONTINUE;

	if (ev->code == MILTER_MAIL)
		end_mail(m);
	if (ev->phase > 0) {
		if (ev->phase < m->phase ||
		    (ev->phase == m->phase && !ev->again))
			return trouble(m, "a command out of order");
		m->phase = ev->phase;
	}
	m->has_client = true;
	/* Some MTAs send what was not asked for. */
	if (ev->wanted == NULL || ev->wanted(m->f)) {
		if (!ev->fn(m, data, &v))
			return trouble(m, "a malformed command");
	}
	if (!answer(m, ev, v))
		return false;
	if (ev->code == MILTER_EOM)
		end_mail(m);
	return true;
}

/* One packet; false: the link ends. */
static bool
packet(struct milter *m, const struct milter_packet *p)
{
	if (p->code == MILTER_QUIT)
		return false;
	if (p->code == MILTER_OPTNEG)
		return negotiate(m, p->data);
	if (!m->agreed)
		return trouble(m, "no negotiation");
	switch (p->code) {
	case MILTER_MACRO:
		return take_macros(m, p->data);
	case MILTER_ABORT:
		end_mail(m);
		return true;
	case MILTER_QUIT_NC:
		end_client(m);
		return true;
	default:
		break;
	}
	for (size_t i = 0; i < ARRAY_LEN(events); i++)
		if (events[i].code == p->code)
			return dispatch(m, &events[i], p->data);
	return trouble(m, "a command of no version known here");
}

void
milter_run(const struct milter_filter *f, void *ctx, struct stream *s)
{
	struct milter m = { .f = f, .ctx = ctx, .s = s };
	struct milter_packet p;
	enum io_result r;

	do {
		/* Between messages the server may be stopped. */
		io_stoppable = m.phase == 0;
		r = milter_read(s, MILTER_PACKET_MAX, &m.in, &p,
				clock_deadline(IDLE_MS));
		io_stoppable = false;
		if (r == IO_TOOLONG)
			(void)trouble(&m, "a packet of impossible length");
		else if (r == IO_ERROR)
			(void)trouble(&m, io_words(r));
	} while (r == IO_OK && packet(&m, &p));
	end_client(&m);
	buf_free(&m.in);
	buf_free(&m.out);
	buf_free(&m.reply);
	for (size_t i = 0; i < NSTAGES; i++)
		buf_free(&m.macros[i]);
}

void
milter_serve(const struct milter_filter *f, void *ctx,
	     struct server *server MX_UNUSED, struct server_conn *c)
{
	struct stream s;

	/* The MTA is one client; many sessions of it are what it is for. */
	stream_init(&s, c->fd_in, c->fd_out);
	milter_run(f, ctx, &s);
	buf_free(&s.in);
	buf_free(&s.out);
}

void *
milter_ctx(struct milter *m)
{
	return m->ctx;
}

void **
milter_state(struct milter *m)
{
	return &m->state;
}

struct span
milter_macro(const struct milter *m, const char *name)
{
	struct span want = span_of(name), n, v;

	for (size_t i = NSTAGES; i-- > 0;) {
		struct span rest = buf_span(&m->macros[i]);

		while (milter_str(&rest, &n) && milter_str(&rest, &v)) {
			if (n.n > 2 && n.p[0] == '{' && n.p[n.n - 1] == '}')
				n = span_sub(n, 1, n.n - 1);
			if (span_eq(n, want))
				return v;
		}
	}
	return (struct span){ NULL, 0 };
}

bool
milter_may_skip(const struct milter *m)
{
	return (m->protocol & MILTER_P_SKIP) != 0;
}

bool
milter_leading_space(const struct milter *m)
{
	return (m->protocol & MILTER_P_HDR_LEADSPC) != 0;
}

enum milter_code
milter_reply(struct milter *m, int code, const char *esc, const char *fmt, ...)
{
	struct buf text = BUF_INIT;
	va_list ap;

	va_start(ap, fmt);
	buf_vaddf(&text, fmt, ap);
	va_end(ap);
	buf_clear(&m->reply);
	milter_put_reply(&m->reply, code, esc, buf_span(&text));
	buf_free(&text);
	return MILTER_REPLYCODE;
}

/* Begins a modification, if it is allowed now. */
static bool
modify(struct milter *m, uint32_t action, enum milter_code code, size_t *at_r)
{
	if (!m->in_eom || (m->actions & action) != action)
		return false;
	*at_r = milter_begin(&m->out, code);
	return true;
}

static bool
put_header(struct milter *m, uint32_t action, enum milter_code code,
	   const uint32_t *index, const char *name, struct span value)
{
	size_t at;

	if (!modify(m, action, code, &at))
		return false;
	if (index != NULL)
		milter_put_u32(&m->out, *index);
	milter_put_str(&m->out, span_of(name));
	milter_put_str(&m->out, value);
	milter_end(&m->out, at);
	return true;
}

bool
milter_add_header(struct milter *m, const char *name, struct span value)
{
	return put_header(m, MILTER_ACT_ADDHDRS, MILTER_ADDHEADER, NULL, name,
			  value);
}

bool
milter_insert_header(struct milter *m, uint32_t index, const char *name,
		     struct span value)
{
	return put_header(m, MILTER_ACT_ADDHDRS, MILTER_INSHEADER, &index, name,
			  value);
}

bool
milter_change_header(struct milter *m, uint32_t index, const char *name,
		     struct span value)
{
	return put_header(m, MILTER_ACT_CHGHDRS, MILTER_CHGHEADER, &index, name,
			  value);
}

static bool
put_address(struct milter *m, uint32_t action, enum milter_code code,
	    struct span addr, struct span parms)
{
	size_t at;

	if (!modify(m, action, code, &at))
		return false;
	milter_put_str(&m->out, addr);
	if (parms.n > 0)
		milter_put_str(&m->out, parms);
	milter_end(&m->out, at);
	return true;
}

bool
milter_add_rcpt(struct milter *m, struct span addr, struct span parms)
{
	if (parms.n > 0)
		return put_address(m, MILTER_ACT_ADDRCPT_PAR,
				   MILTER_ADDRCPT_PAR, addr, parms);
	return put_address(m, MILTER_ACT_ADDRCPT, MILTER_ADDRCPT, addr, parms);
}

bool
milter_del_rcpt(struct milter *m, struct span addr)
{
	return put_address(m, MILTER_ACT_DELRCPT, MILTER_DELRCPT, addr,
			   (struct span){ NULL, 0 });
}

bool
milter_change_from(struct milter *m, struct span addr, struct span parms)
{
	return put_address(m, MILTER_ACT_CHGFROM, MILTER_CHGFROM, addr, parms);
}

bool
milter_replace_body(struct milter *m, struct span bytes)
{
	size_t at;

	do {
		struct span piece = span_sub(bytes, 0, MILTER_CHUNK);

		if (!modify(m, MILTER_ACT_CHGBODY, MILTER_REPLBODY, &at))
			return false;
		buf_addspan(&m->out, piece);
		milter_end(&m->out, at);
		bytes = span_from(bytes, piece.n);
		/* Its memory is bounded: off with it. */
		m->s->out_deadline = clock_deadline(WRITE_MS);
		stream_write(m->s, m->out.p, m->out.n);
		buf_clear(&m->out);
	} while (bytes.n > 0);
	return true;
}

bool
milter_quarantine(struct milter *m, const char *reason)
{
	return put_address(m, MILTER_ACT_QUARANTINE, MILTER_QUARANTINE,
			   span_of(reason), (struct span){ NULL, 0 });
}

bool
milter_progress(struct milter *m)
{
	if (!m->in_eom)
		return false;
	milter_put(&m->out, MILTER_PROGRESS);
	return flush(m);
}
