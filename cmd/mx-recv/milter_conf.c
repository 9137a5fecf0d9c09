/*
 * milter_conf.c - smtpd_milters, smtpd_milter_maps and non_smtpd_milters:
 * endpoints, each with settings of its own if it stands in { }.  Postfix
 * MILTER_README.
 */
#include "milter_int.h"

#include "log.h"
#include "mem.h"
#include "num.h"
#include "site.h"
#include "status.h"

#include <stdlib.h>

static const char *const actions[] = { "accept", "reject", "tempfail",
				       "quarantine", "shutdown" };

static bool
parse_action(struct span v, int *r)
{
	for (size_t i = 0; i < ARRAY_LEN(actions); i++) {
		if (span_is(v, actions[i])) {
			*r = (int)i;
			return true;
		}
	}
	return false;
}

/* "2", "3", "4", "6"; what each brought. */
static bool
parse_protocol(struct span v, struct milter_conf *m)
{
	int version;

	if (!num_int(v, 2, 6, &version) || version == 5)
		return false;
	m->version = (uint32_t)version;
	m->events = MILTER_P_NOCONNECT | MILTER_P_NOHELO | MILTER_P_NOMAIL |
		    MILTER_P_NORCPT | MILTER_P_NOBODY | MILTER_P_NOHDRS |
		    MILTER_P_NOEOH;
	if (version >= 3)
		m->events |= MILTER_P_NOUNKNOWN;
	if (version >= 4)
		m->events |= MILTER_P_NODATA;
	if (version >= 6)
		m->events |=
		    MILTER_P_NR_HDR | MILTER_P_SKIP | MILTER_P_RCPT_REJ |
		    MILTER_P_NR_CONN | MILTER_P_NR_HELO | MILTER_P_NR_MAIL |
		    MILTER_P_NR_RCPT | MILTER_P_NR_DATA | MILTER_P_NR_UNKNOWN |
		    MILTER_P_NR_EOH | MILTER_P_NR_BODY | MILTER_P_HDR_LEADSPC;
	return true;
}

/* "connect_timeout=10s" */
static int
setting(struct milter_conf *m, struct span word, struct err *e)
{
	ssize_t eq = span_chr(word, '=');
	struct span name =
	    span_trim(span_sub(word, 0, eq < 0 ? 0 : (size_t)eq));
	struct span v = span_trim(span_from(word, eq < 0 ? 0 : (size_t)eq + 1));
	const struct {
		const char *name;
		int64_t *to;
	} times[] = { { "connect_timeout", &m->connect_timeout },
		      { "command_timeout", &m->command_timeout },
		      { "content_timeout", &m->content_timeout } };

	for (size_t i = 0; i < ARRAY_LEN(times); i++)
		if (span_is(name, times[i].name))
			return num_time(v, 's', times[i].to)
				   ? 0
				   : err_set(e, ST_CONFIG,
					     "%s=%.*s: not a time",
					     times[i].name, SPAN_ARG(v));
	if (span_is(name, "default_action"))
		return parse_action(v, &m->action)
			   ? 0
			   : err_set(e, ST_CONFIG,
				     "default_action=%.*s: accept, reject, "
				     "tempfail, quarantine or shutdown are "
				     "expected",
				     SPAN_ARG(v));
	if (span_is(name, "protocol"))
		return parse_protocol(v, m)
			   ? 0
			   : err_set(e, ST_CONFIG,
				     "protocol=%.*s: 2, 3, 4 or 6 is expected",
				     SPAN_ARG(v));
	return err_set(e, ST_CONFIG,
		       "\"%.*s\": connect_timeout=, command_timeout=, "
		       "content_timeout=, protocol= and default_action= are "
		       "what a milter may have",
		       SPAN_ARG(word));
}

static int
load_one(struct milter_conf *m, const struct conf_params *p, struct server *s,
	 struct span text, struct err *e)
{
	struct endpoint ep = { 0 };
	struct span word;
	struct buf unix_form = BUF_INIT;
	int r;

	*m = (struct milter_conf){
		.text = mem_spandup(text),
		.connect_timeout = p->milter_connect_timeout,
		.command_timeout = p->milter_command_timeout,
		.content_timeout = p->milter_content_timeout,
		.action = p->milter_action,
	};
	if (!parse_protocol(span_trim(span_of(p->milter_protocol)), m))
		return err_set(e, ST_CONFIG,
			       "milter_protocol = %s: 2, 3, 4 or 6 is expected",
			       p->milter_protocol);
	if (!span_word(&text, ", \t", &word))
		return err_set(e, ST_CONFIG, "{ } without an endpoint");
	m->name = mem_spandup(word);
	if (span_starts(word, SPAN("local:")))
		buf_addf(&unix_form, "unix:%.*s", SPAN_ARG(span_from(word, 6)));
	else
		buf_addspan(&unix_form, word);
	r = endpoint_parse(&ep, buf_span(&unix_form), site.run_directory, e);
	buf_free(&unix_form);
	if (r == 0 && ep.kind == ENDPOINT_EXEC)
		r = err_set(e, ST_CONFIG, "%s: unix: or inet: is expected",
			    m->name);
	if (r != 0)
		return r;
	m->endpoint = server_endpoint(s, &ep);
	while (r == 0 && span_word(&text, ", \t", &word))
		r = setting(m, word, e);
	return r;
}

static int
load_set(struct milter_set **set_r, const char *name, const struct strs *l,
	 const struct conf_params *p, struct server *s, struct err *e)
{
	struct milter_set *set = mem_alloc(1, sizeof(*set));

	*set_r = set;
	set->v = mem_alloc(l->n + 1, sizeof(*set->v));
	for (size_t i = 0; i < l->n; i++, set->n++)
		if (load_one(&set->v[i], p, s, span_of(l->v[i]), e) != 0)
			return err_prefix(e, "%s", name);
	return 0;
}

/* What load_value needs. */
struct loading {
	struct conf *c;
	struct server *s;
	size_t cap;
};

static const struct milter_conf *
find(const struct milter_set *set, struct span text)
{
	for (size_t i = 0; i < set->n; i++)
		if (span_is(text, set->v[i].text))
			return &set->v[i];
	return NULL;
}

static bool
is_disable(struct span value)
{
	return span_iis(span_trim(value), "DISABLE");
}

/* A worker may connect only to what was named when the configuration was
 * read, so all results of the maps are. */
static int
load_value(void *ctx, const char *value, struct err *e)
{
	struct loading *l = ctx;
	struct milter_set *set = l->c->map_milters;
	struct strs words = STRS_INIT;
	int r = 0;

	if (is_disable(span_of(value)))
		return 0;
	strs_split_braced(&words, span_of(value));
	for (size_t i = 0; r == 0 && i < words.n; i++) {
		if (find(set, span_of(words.v[i])) != NULL)
			continue;
		set->v = mem_grow(set->v, &l->cap, set->n + 1, sizeof(*set->v));
		r = load_one(&set->v[set->n++], &l->c->p, l->s,
			     span_of(words.v[i]), e);
	}
	strs_free(&words);
	return r;
}

static int
load_maps(struct conf *c, struct server *s, struct err *e)
{
	struct loading l = { c, s, 0 };
	struct tables *maps = &c->milter_maps;

	c->map_milters = mem_alloc(1, sizeof(*c->map_milters));
	tables_open(maps, &c->p.milter_maps);
	for (size_t i = 0; i < maps->n; i++) {
		/* Databases cannot tell: they may name those of
		 * smtpd_milters. */
		if (table_values(maps->v[i], load_value, &l, e) < 0)
			return err_prefix(e, "smtpd_milter_maps");
	}
	return 0;
}

int
milters_load(struct conf *c, struct server *s, struct err *e)
{
	tables_open(&c->milter_header_checks, &c->p.milter_header_checks);
	if (load_set(&c->smtpd_milters, "smtpd_milters", &c->p.smtpd_milters,
		     &c->p, s, e) != 0 ||
	    load_maps(c, s, e) != 0)
		return -1;
	return load_set(&c->non_smtpd_milters, "non_smtpd_milters",
			&c->p.non_smtpd_milters, &c->p, s, e);
}

/* All of a set. */
static void
take_set(const struct milter_set *set, const struct milter_conf **v, size_t *n)
{
	for (size_t i = 0; i < set->n; i++)
		v[(*n)++] = &set->v[i];
}

/* Those that a map's result names. */
static bool
take_named(const struct conf *c, struct span value,
	   const struct milter_conf ***v_r, size_t *n)
{
	struct strs words = STRS_INIT;
	bool ok = true;

	strs_split_braced(&words, value);
	free(*v_r);
	*v_r = mem_alloc(words.n + 1, sizeof(**v_r));
	for (size_t i = 0; ok && i < words.n; i++) {
		struct span w = span_of(words.v[i]);
		const struct milter_conf *m = find(c->map_milters, w);

		if (m == NULL)
			m = find(c->smtpd_milters, w);
		if (m == NULL)
			m = find(c->non_smtpd_milters, w);
		ok = m != NULL;
		if (ok)
			(*v_r)[(*n)++] = m;
		else
			log_warn("smtpd_milter_maps: %.*s: not known when the "
				 "configuration was read: reload mx-recv, or "
				 "name it in smtpd_milters",
				 SPAN_ARG(w));
	}
	strs_free(&words);
	return ok;
}

bool
milter_choose(struct session *s, const struct milter_conf ***v_r, size_t *n_r)
{
	const struct conf *c = s->conf;
	/* Mail of this host's own, on no network, is not of smtpd_milters, as
	 * mail of Postfix's sendmail(1) is not. */
	bool local = session_is_local(s);
	const struct milter_set *set =
	    local ? c->non_smtpd_milters : c->smtpd_milters;
	struct buf value = BUF_INIT;
	struct err e = ERR_INIT;
	enum table_result r = TABLE_NONE;
	bool ok = true;

	*n_r = 0;
	*v_r = mem_alloc(set->n + 1, sizeof(**v_r));
	if (!local && c->milter_maps.n > 0)
		r = tables_lookup(&c->milter_maps, span_of(s->conn->addr),
				  &value, &e);
	switch (r) {
	case TABLE_NONE:
		take_set(set, *v_r, n_r);
		break;
	case TABLE_FOUND:
		if (!is_disable(buf_span(&value)))
			ok = take_named(c, buf_span(&value), v_r, n_r);
		break;
	case TABLE_TRY_AGAIN:
		log_warn("smtpd_milter_maps: %s", e.text);
		ok = false;
		break;
	}
	buf_free(&value);
	return ok;
}
