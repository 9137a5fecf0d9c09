/*
 * sign.c - makes DKIM-Signature fields; the message stays as it is.
 * RFC 6376 5; RFC 8463.
 */
#include "dkimsign.h"
#include "addr.h"
#include "clock.h"
#include "escape.h"
#include "io.h"
#include "mem.h"
#include "status.h"

#include <inttypes.h>
#include <stdlib.h>
#include <unistd.h>

#define OTHER_MAX 64 /* kinds of Content- and List- fields beside those */

/* RFC 6376 5.4.1, and RFC 8058 4 for the fields of one click.  Listed once more
 * than they occur, so that none can be added behind the signature (8.15). */
static const char *const default_names[] = {
	"From",
	"To",
	"Cc",
	"Subject",
	"Date",
	"Reply-To",
	"Message-ID",
	"In-Reply-To",
	"References",
	"MIME-Version",
	"Content-Type",
	"Content-Transfer-Encoding",
	"Content-ID",
	"Content-Description",
	"Content-Disposition",
	"Content-Language",
	"List-Id",
	"List-Help",
	"List-Unsubscribe",
	"List-Unsubscribe-Post",
	"List-Subscribe",
	"List-Post",
	"List-Owner",
	"List-Archive",
};

int
sign_from(const struct msg *m, struct buf *local, struct buf *domain,
	  struct err *e)
{
	const struct msg_field *f = NULL;
	struct addr_list l;
	int r = -1;

	for (size_t i = 0; i < conf.sender_headers.n && f == NULL; i++)
		f = msg_find(m, conf.sender_headers.v[i], 0);
	if (f == NULL)
		/* RFC 6376 5.1: who signs is taken from the message */
		f = msg_find(m, "From", 0);

	if (f == NULL)
		return err_set(e, ST_DATA, "the message has no From field");
	addr_list_parse(&l, f->value, 0);
	for (size_t i = 0; i < l.n; i++) {
		if (l.v[i].kind != ADDR_MAILBOX || l.v[i].domain.n == 0)
			continue;
		buf_addspan(local, l.v[i].local);
		for (size_t k = 0; k < l.v[i].domain.n; k++)
			buf_addc(domain, ascii_tolower(l.v[i].domain.p[k]));
		r = 0;
		break;
	}
	addr_list_free(&l);
	return r;
}

void
plan_free(struct sign_plan *plan)
{
	for (size_t i = 0; i < plan->n; i++) {
		free(plan->v[i].domain);
		free(plan->v[i].selector);
		free(plan->v[i].auid);
		EVP_PKEY_free(plan->v[i].key);
	}
	free(plan->v);
	plan->v = NULL;
	plan->n = plan->cap = 0;
}

int
plan_add(struct sign_plan *plan, const char *domain, const char *selector,
	 const char *keyfile, const char *auid, struct err *e)
{
	const struct held_key *held = NULL;
	EVP_PKEY *key = NULL;
	enum dkim_alg alg;

	if (!sign_domain_ok(domain))
		return err_set(e, ST_CONFIG, "%s: no domain to sign for",
			       domain);
	if (!sign_selector_ok(selector))
		return err_set(e, ST_CONFIG, "\"%s\": no selector", selector);
	if (keys_held())
		held = keys_find(keyfile, &alg, e);
	else
		key = keys_load(keyfile, &alg, e);
	if (key == NULL && held == NULL)
		return -1;
	plan->v = mem_grow(plan->v, &plan->cap, plan->n + 1, sizeof(*plan->v));
	plan->v[plan->n++] = (struct signer){ mem_strdup(domain),
					      mem_strdup(selector),
					      auid ? mem_strdup(auid) : NULL,
					      key,
					      held,
					      alg };
	return 0;
}

/* RFC 6376 3.1, 3.5: what may stand behind d= and s=. */
static bool
labels_ok(struct span s)
{
	struct span label;

	while (span_split(&s, '.', &label)) {
		if (label.n == 0 || label.n > 63)
			return false;
		for (size_t i = 0; i < label.n; i++) {
			if (!ascii_isalnum(label.p[i]) && label.p[i] != '-' &&
			    label.p[i] != '_')
				return false;
		}
	}
	return true;
}

bool
sign_selector_ok(const char *s)
{
	return strlen(s) < 200 && labels_ok(span_of(s));
}

bool
sign_domain_ok(const char *s)
{
	return strlen(s) < 254 && labels_ok(span_of(s));
}

/* RFC 6376 3.5: the domain of i= is that of d=, or one below it. */
bool
sign_auid_inside(const char *auid, const char *domain)
{
	struct span a = span_of(auid), d = span_of(domain);
	ssize_t at = span_rchr(a, '@');

	if (at < 0)
		return false;
	a = span_from(a, (size_t)at + 1);
	return span_ieq(a, d) ||
	       (a.n > d.n && span_iends(a, d) && a.p[a.n - d.n - 1] == '.');
}

static bool
is_default(struct span name)
{
	for (size_t i = 0; i < ARRAY_LEN(default_names); i++) {
		if (span_iis(name, default_names[i]))
			return true;
	}
	return false;
}

/* Other Content- and List- fields that the message has. */
static void
other_names(struct strs *names, const struct msg *m)
{
	for (size_t i = 0; i < m->n && names->n < OTHER_MAX; i++) {
		struct span name = m->v[i].name;

		if ((span_istarts(name, SPAN("Content-")) ||
		     span_istarts(name, SPAN("List-"))) &&
		    !is_default(name) && !strs_ihas(names, name))
			strs_addspan(names, name);
	}
}

static void
list_name(struct buf *out, const struct msg *m, const char *name, size_t more)
{
	size_t n = more;

	for (size_t k = 0; k < m->n; k++)
		n += span_iis(m->v[k].name, name);
	for (; n > 0; n--)
		buf_addf(out, "%s%s", out->n ? ":" : "", name);
}

/* opendkim.conf's SignHeaders: "+NAME" and "-NAME" change the default list,
 * plain names replace it. */
static bool
replaces(const struct strs *l)
{
	for (size_t i = 0; i < l->n; i++)
		if (l->v[i][0] != '+' && l->v[i][0] != '-')
			return true;
	return false;
}

static bool
omitted(const struct sign_conf *c, const char *name)
{
	for (size_t i = 0; i < c->sign_headers.n; i++)
		if (c->sign_headers.v[i][0] == '-' &&
		    strcasecmp(c->sign_headers.v[i] + 1, name) == 0)
			return true;
	return strs_ihas(&c->omit_headers, span_of(name));
}

/* Plain names are signed as often as they occur (RFC 6376 5.4.2), oversigned
 * ones once more; From always (RFC 6376 5.4). */
static void
opendkim_list(struct buf *out, const struct msg *m, const struct sign_conf *c)
{
	const struct strs *sign = &c->sign_headers,
			  *over = &c->oversign_headers;

	if (!strs_ihas(sign, SPAN("From")) && !strs_ihas(over, SPAN("From")))
		list_name(out, m, "From", 0);
	for (size_t i = 0; i < sign->n; i++) {
		const char *name = sign->v[i];

		if (name[0] == '-' || omitted(c, name) ||
		    strs_ihas(over, span_of(name)))
			continue;
		list_name(out, m, name + (name[0] == '+'), 0);
	}
	for (size_t i = 0; i < over->n; i++)
		list_name(out, m, over->v[i], 1);
}

void
sign_default_list(struct buf *out, const struct msg *m,
		  const struct sign_conf *c)
{
	struct strs names = STRS_INIT;

	if (c != NULL && replaces(&c->sign_headers)) {
		opendkim_list(out, m, c);
		return;
	}
	for (size_t i = 0; i < ARRAY_LEN(default_names); i++)
		strs_add(&names, default_names[i]);
	other_names(&names, m);
	for (size_t i = 0; c != NULL && i < c->sign_headers.n; i++)
		if (c->sign_headers.v[i][0] == '+' &&
		    !strs_ihas(&names, span_of(c->sign_headers.v[i] + 1)))
			strs_add(&names, c->sign_headers.v[i] + 1);
	for (size_t i = 0; i < names.n; i++)
		if (c == NULL || strcasecmp(names.v[i], "From") == 0 ||
		    !omitted(c, names.v[i]))
			list_name(out, m, names.v[i], 1);
	strs_free(&names);
}

/* RFC 6376 2.11: dkim-quoted-printable. */
static void
add_quoted(struct buf *b, const char *s)
{
	for (; *s != '\0'; s++) {
		unsigned char c = (unsigned char)*s;

		if (c <= 0x20 || c == ';' || c == '=' || c == 0x7f)
			buf_addf(b, "=%02X", c);
		else
			buf_addc(b, *s);
	}
}

/* One field, LF folds, without its last line end.  b= comes last and empty, as
 * it is signed (RFC 6376 3.7). */
static int
make_signature(const struct sign_plan *plan, const struct signer *s,
	       const struct msg *m, struct span names, struct span bh,
	       struct buf *field, struct err *e)
{
	struct buf data = BUF_INIT, sig = BUF_INIT, b64 = BUF_INIT,
		   auid = BUF_INIT;
	struct msg_field f;
	size_t line = field->n, start = field->n;
	int r;

	buf_adds(field, "DKIM-Signature:");
	field_tag(field, &line, "v=1;");
	field_tag(field, &line, "a=%s;", dkim_alg_name(s->alg));
	field_tag(field, &line, "c=%s/%s;", dkim_canon_name(plan->head),
		  dkim_canon_name(plan->body));
	field_tag(field, &line, "d=%s;", s->domain);
	field_tag(field, &line, "s=%s;", s->selector);
	if (s->auid != NULL) {
		add_quoted(&auid, s->auid);
		field_tag(field, &line, "i=%s;", buf_str(&auid));
	}
	field_tag(field, &line, "t=%" PRId64 ";", plan->time);
	if (plan->expire > 0)
		field_tag(field, &line, "x=%" PRId64 ";",
			  plan->time + plan->expire);
	field_names(field, &line, names);
	field_tag(field, &line, "bh=%.*s;", SPAN_ARG(bh));
	field_tag(field, &line, "b=");
	f.all = span_from(buf_span(field), start);
	f.name = SPAN("DKIM-Signature");
	f.value = span_from(f.all, f.name.n + 1);
	dkim_data(&data, m, names, plan->head, &f);
	r = s->held != NULL
		? keys_sign(s->held, buf_span(&data), &sig, e)
		: dkim_sign(s->key, s->alg, buf_span(&data), &sig, e);
	if (r == 0) {
		base64_encode(&b64, buf_span(&sig));
		field_base64(field, &line, buf_span(&b64));
	}
	buf_free(&data);
	buf_free(&sig);
	buf_free(&b64);
	buf_free(&auid);
	return r;
}

int
sign_fields(const struct sign_plan *plan, const struct msg *m,
	    const unsigned char hash[32], struct buf *fields, struct err *e)
{
	struct buf one = BUF_INIT, names = BUF_INIT, bh = BUF_INIT;
	int r = 0;

	if (plan->headers != NULL)
		buf_adds(&names, plan->headers);
	else
		sign_default_list(&names, m, plan->conf);
	base64_encode(&bh, span_make((const char *)hash, 32));
	/* RSA first: old verifiers stop at what they do not know. */
	for (int pass = 0; r == 0 && pass < 2; pass++) {
		for (size_t i = 0; r == 0 && i < plan->n; i++) {
			if ((plan->v[i].alg == DKIM_RSA_SHA256) != (pass == 0))
				continue;
			buf_clear(&one);
			r = make_signature(plan, &plan->v[i], m,
					   buf_span(&names), buf_span(&bh),
					   &one, e);
			field_lines(fields, buf_span(&one), m->crlf);
		}
	}
	buf_free(&one);
	buf_free(&names);
	buf_free(&bh);
	return r;
}

int
sign_message(struct sign_plan *plan, const struct msg *m, struct err *e)
{
	struct buf fields = BUF_INIT;
	struct dkim_body body;
	unsigned char hash[32];
	size_t from = (size_t)(m->header.p - m->whole.p);
	int r;

	dkim_body_init(&body, plan->body, -1);
	dkim_body_add(&body, m->body);
	dkim_body_done(&body, hash);
	r = sign_fields(plan, m, hash, &fields, e);
	if (r == 0 && !plan->header_only)
		r = field_write(span_sub(m->whole, 0, from), e);
	if (r == 0)
		r = field_write(buf_span(&fields), e);
	if (r == 0 && !plan->header_only)
		r = field_write(span_from(m->whole, from), e);
	buf_free(&fields);
	return r;
}
