/*
 * milter_change.c - what filters change: the header as a list of fields, the
 * body as another held file, sender and recipients for milters_envelope.
 * Positions are sendmail's and Postfix's: an insertion counts every field, ours
 * on top too; a change counts those that filters see.
 */
#include "milter_int.h"

#include "addr.h"
#include "log.h"
#include "mem.h"
#include "msg.h"

#include <stdlib.h>

/* A header beyond is no mail's: see milter_index. */
#define HEADER_MAX (1024 * 1024)
/* Fields and recipients are kept in memory: a filter that never ends is one
 * that makes no sense. */
#define CHANGES_MAX (16u << 20)

void
milter_fields_free(struct milters *m)
{
	for (size_t i = 0; i < m->nfields; i++)
		buf_free(&m->fields[i].text);
	m->nfields = 0;
}

void
milter_field_remove(struct milters *m, size_t i)
{
	buf_free(&m->fields[i].text);
	m->nfields--;
	memmove(&m->fields[i], &m->fields[i + 1],
		(m->nfields - i) * sizeof(*m->fields));
}

/* An empty field at that place, or behind the last one. */
static struct mfield *
field_at(struct milters *m, size_t at)
{
	m->fields =
	    mem_grow(m->fields, &m->cap, m->nfields + 1, sizeof(*m->fields));
	if (at > m->nfields)
		at = m->nfields;
	memmove(&m->fields[at + 1], &m->fields[at],
		(m->nfields - at) * sizeof(*m->fields));
	m->nfields++;
	m->fields[at] = (struct mfield){ .text = BUF_INIT };
	return &m->fields[at];
}

/* Fields off the front of s; returns how many bytes they have. */
static size_t
take_fields(struct milters *m, struct span s, bool ours)
{
	struct msg_field f;
	size_t used = 0, n;

	while ((n = msg_next_field(span_from(s, used), &f)) > 0) {
		struct mfield *mf = field_at(m, m->nfields);

		buf_addspan(&mf->text, span_sub(s, used, used + n));
		if (mf->text.p[mf->text.n - 1] != '\n')
			buf_addc(&mf->text, '\n');
		mf->ours = ours;
		used += n;
	}
	return used;
}

bool
milter_index(struct milters *m)
{
	struct buf head = BUF_INIT;
	bool ok = hold_read(&m->hold, 0, HEADER_MAX, &head);

	milter_fields_free(m);
	(void)take_fields(m, buf_span(&m->ours), true);
	m->body = take_fields(m, buf_span(&head), false);
	/* Did the limit end it, and not a whole line that is no field?  Then
	 * more fields may follow, which readers behind us take for fields. */
	m->header_cut = m->hold.size > head.n &&
			span_chr(span_from(buf_span(&head), m->body), '\n') < 0;
	m->blank = m->body < head.n && head.p[m->body] == '\n';
	if (m->blank)
		m->body++;
	buf_free(&head);
	return ok;
}

/* "Name: value" that cannot become two fields or end the header. */
static void
make_field(struct buf *b, struct span name, struct span value, bool exact)
{
	value = span_rtrim(value);
	buf_addspan(b, name);
	buf_addc(b, ':');
	if (!exact)
		buf_addc(b, ' ');
	for (size_t i = 0; i < value.n; i++) {
		char c = value.p[i];

		if (c == '\r')
			continue;
		if (c == '\n') {
			char next;

			/* A fold without words would look like the end. */
			while (i + 1 < value.n && (value.p[i + 1] == '\n' ||
						   value.p[i + 1] == '\r'))
				i++;
			next = i + 1 < value.n ? value.p[i + 1] : ' ';
			buf_addc(b, '\n');
			if (next != ' ' && next != '\t')
				buf_addc(b, '\t');
		} else {
			buf_addc(b, c == '\0' ? ' ' : c);
		}
	}
	buf_addc(b, '\n');
}

/* Does this filter see and say the blank behind the colon? */
static bool
exact(const struct mlink *l)
{
	return (l->events & MILTER_P_HDR_LEADSPC) != 0;
}

static bool
add_header(struct milters *m, struct mlink *l, struct span data)
{
	struct span name, value;

	if (!milter_parse_header(data, &name, &value))
		return false;
	make_field(&field_at(m, m->nfields)->text, name, value, exact(l));
	milter_check_field(m, m->nfields - 1);
	return true;
}

static bool
insert_header(struct milters *m, struct mlink *l, struct span data)
{
	struct span name, value;
	struct mfield *f;
	uint32_t index;

	if (!milter_u32(&data, &index) ||
	    !milter_parse_header(data, &name, &value))
		return false;
	f = field_at(m, index);
	make_field(&f->text, name, value, exact(l));
	milter_check_field(m, (size_t)(f - m->fields));
	return true;
}

/* The index-th field of that name which filters see. */
static struct mfield *
find(struct milters *m, struct span name, uint32_t index)
{
	for (size_t i = 0; i < m->nfields; i++) {
		struct mfield *f = &m->fields[i];
		ssize_t colon = span_chr(buf_span(&f->text), ':');

		if (f->ours || colon < 0 ||
		    !span_ieq(span_trim(span_sub(buf_span(&f->text), 0,
						 (size_t)colon)),
			      name))
			continue;
		if (index <= 1)
			return f;
		index--;
	}
	return NULL;
}

static bool
change_header(struct milters *m, struct mlink *l, struct span data)
{
	struct span name, value;
	struct mfield *f;
	uint32_t index;

	if (!milter_u32(&data, &index) ||
	    !milter_parse_header(data, &name, &value))
		return false;
	f = find(m, name, index);
	if (value.n == 0) {
		if (f != NULL)
			milter_field_remove(m, (size_t)(f - m->fields));
		return true;
	}
	/* As sendmail: one that is not there is added. */
	if (f == NULL)
		f = field_at(m, m->nfields);
	buf_clear(&f->text);
	make_field(&f->text, name, value, exact(l));
	milter_check_field(m, (size_t)(f - m->fields));
	return true;
}

static bool
replace_body(struct milters *m, struct span data)
{
	int64_t limit = m->s->conf->p.message_size_limit;
	struct buf stored = BUF_INIT;
	bool end = false, ok;

	/* a body without end would fill the disk */
	if (limit > 0 && m->new_begun &&
	    m->new_body.size > (uint64_t)limit + CHANGES_MAX)
		return false;
	if (!m->new_begun) {
		hold_init(&m->new_body);
		wire_in_init(&m->new_wire, false, WIRE_NORMALIZE);
		m->new_begun = true;
	}
	(void)wire_decode(&m->new_wire, &stored, data, &end);
	ok = hold_add(&m->new_body, m->s->server, buf_span(&stored));
	buf_free(&stored);
	/* milter_change_done tells about failure. */
	(void)ok;
	return true;
}

void
milter_change_forget(struct milters *m)
{
	if (m->new_begun)
		hold_free(&m->new_body);
	m->new_begun = false;
}

bool
milter_change_done(struct milters *m)
{
	struct buf last = BUF_INIT;
	bool ok;

	if (!m->new_begun)
		return true;
	wire_in_finish(&m->new_wire, &last);
	ok = hold_add(&m->new_body, m->s->server, buf_span(&last));
	buf_free(&last);
	m->new_begun = false;
	hold_free(&m->hold);
	m->hold = m->new_body;
	m->body = 0;
	m->blank = true;
	return ok;
}

/* "<addr>" or "addr" as it goes to the delivery side; false: no address. */
static bool
take_addr(struct milters *m, struct span text, bool null_ok, struct buf *out)
{
	struct addr a = { 0 };
	struct buf b = BUF_INIT;
	struct err e = ERR_INIT;
	size_t used = 0;
	bool ok;

	text = span_trim(text);
	if (text.n == 0 || text.p[0] != '<')
		buf_addf(&b, "<%.*s>", SPAN_ARG(text));
	else
		buf_addspan(&b, text);
	ok = addr_parse_path(&a, buf_span(&b), true, true, true, &used, &e) ==
		 0 &&
	     (null_ok || !a.null) && !(a.local.n > 0 && a.local.p[0] == '-');
	if (ok) {
		buf_clear(out);
		addr_print(out, &a);
		if (!a.null && a.domain.n == 0)
			buf_addf(out, "%s%s",
				 out->n > 0 && out->p[out->n - 1] == '@' ? ""
									 : "@",
				 m->s->conf->site.myorigin);
	}
	addr_free(&a);
	buf_free(&b);
	return ok;
}

/* Those of the words that may follow the path: "NOTIFY=NEVER ORCPT=..." */
static void
take_parms(struct span data, const char *a, const char *b, struct buf *out)
{
	struct span word;

	while (span_word(&data, " \t", &word)) {
		ssize_t eq = span_chr(word, '=');
		struct span name = span_sub(word, 0, eq < 0 ? 0 : (size_t)eq);

		if ((span_iis(name, a) || span_iis(name, b)) &&
		    !span_has_ctl(word) && word.n < 600)
			buf_addf(out, " %.*s", SPAN_ARG(word));
	}
}

static bool
change_from(struct milters *m, struct span data)
{
	struct span addr, parms;
	struct buf text = BUF_INIT;

	if (!milter_str(&data, &addr))
		return false;
	if (!take_addr(m, addr, true, &text)) {
		log_warn("%s: a milter changes the sender to \"%.*s\": not an "
			 "address",
			 m->s->queue_id, SPAN_ARG(span_sub(addr, 0, 200)));
	} else {
		buf_clear(&m->s->sender_text);
		buf_addspan(&m->s->sender_text, buf_span(&text));
		if (milter_str(&data, &parms)) {
			buf_clear(&m->s->sender_parms);
			take_parms(parms, "RET", "ENVID", &m->s->sender_parms);
		}
		m->changed = true;
	}
	buf_free(&text);
	return true;
}

/* RFC 5321 2.4: the domain without case, the local part with. */
static bool
same_addr(struct span a, struct span b)
{
	ssize_t at = span_rchr(a, '@'), bt = span_rchr(b, '@');

	if (at < 0 || bt < 0)
		return span_eq(a, b);
	return span_eq(span_sub(a, 0, (size_t)at),
		       span_sub(b, 0, (size_t)bt)) &&
	       span_ieq(span_from(a, (size_t)at), span_from(b, (size_t)bt));
}

static void
remove_at(struct strs *l, size_t i)
{
	free(l->v[i]);
	memmove(&l->v[i], &l->v[i + 1], (l->n - i) * sizeof(*l->v));
	l->n--;
}

static bool
change_rcpt(struct milters *m, struct span data, bool add)
{
	struct span addr, more = { NULL, 0 };
	struct buf text = BUF_INIT, parms = BUF_INIT;

	if (!milter_str(&data, &addr))
		return false;
	if (milter_str(&data, &more))
		take_parms(more, "NOTIFY", "ORCPT", &parms);
	if (!take_addr(m, addr, false, &text)) {
		log_warn("%s: a milter %s recipient \"%.*s\": not an address",
			 m->s->queue_id, add ? "adds" : "deletes",
			 SPAN_ARG(span_sub(addr, 0, 200)));
	} else if (add) {
		strs_addspan(&m->rcpts, buf_span(&text));
		strs_add(&m->rcpt_parms, buf_str(&parms));
		m->changed = true;
	} else {
		for (size_t i = m->rcpts.n; i-- > 0;) {
			if (!same_addr(span_of(m->rcpts.v[i]), buf_span(&text)))
				continue;
			remove_at(&m->rcpts, i);
			remove_at(&m->rcpt_parms, i);
			m->changed = true;
		}
	}
	buf_free(&text);
	buf_free(&parms);
	return true;
}

bool
milter_change(struct milters *m, struct mlink *l, const struct milter_packet *p)
{
	if (p->code != MILTER_REPLBODY &&
	    (m->said += p->data.n + sizeof(struct mfield)) > CHANGES_MAX)
		return false;
	switch (p->code) {
	case MILTER_ADDHEADER:
		return add_header(m, l, p->data);
	case MILTER_INSHEADER:
		return insert_header(m, l, p->data);
	case MILTER_CHGHEADER:
		return change_header(m, l, p->data);
	case MILTER_REPLBODY:
		return replace_body(m, p->data);
	case MILTER_CHGFROM:
		return change_from(m, p->data);
	case MILTER_ADDRCPT:
	case MILTER_ADDRCPT_PAR:
		return change_rcpt(m, p->data, true);
	case MILTER_DELRCPT:
		return change_rcpt(m, p->data, false);
	case MILTER_QUARANTINE:
		m->s->actions.hold = true;
		return true;
	default:
		return false;
	}
}
