/*
 * restrict_parse.c - restriction lists from their text; see restrict.h.  In
 * the monitor: tables and endpoints are opened here.
 */
#include "restrict.h"

#include "log.h"
#include "mem.h"
#include "num.h"
#include "policy.h"
#include "status.h"

#include <stdlib.h>

#define CLASS_DEPTH 20

const struct restriction *
restrict_row(const char *word)
{
	for (size_t i = 0; i < restrict_nrows; i++)
		if (strcmp(restrict_rows[i].name, word) == 0)
			return &restrict_rows[i];
	return NULL;
}

/* What stays the same on the way down through classes. */
struct parse {
	struct config *file;
	struct server *s;
	const struct conf_params *p;
	int stage;
};

static int parse_into(struct rules *l, const struct parse *in,
		      const struct strs *words, int depth, struct err *e);

/* smtpd_restriction_classes: a name whose value is a list of its own. */
static int
parse_class(struct rule *r, const struct parse *in, const char *name, int depth,
	    struct err *e)
{
	char *text = config_value(in->file, name);
	struct strs words = STRS_INIT;
	int st;

	if (depth >= CLASS_DEPTH)
		st = err_set(e, ST_CONFIG, "%s: classes name each other", name);
	else if (text == NULL)
		st = err_set(e, ST_CONFIG,
			     "%s is in smtpd_restriction_classes but has no "
			     "value",
			     name);
	else {
		strs_split_braced(&words, span_of(text));
		r->list = mem_alloc(1, sizeof(*r->list));
		st = parse_into(r->list, in, &words, depth + 1, e);
		strs_free(&words);
	}
	free(text);
	return st;
}

/* What a rule needs is opened here, in the monitor: the worker has no rights
 * to open anything. */
static int
parse_arg(struct rule *r, const struct parse *in, const char *arg,
	  struct err *e)
{
	struct strs one = STRS_INIT;
	struct endpoint ep;
	int n;

	if (arg == NULL)
		return err_set(e, ST_CONFIG, "%s: a word is missing behind it",
			       r->row->name);
	r->arg = mem_strdup(arg);
	switch (r->row->arg) {
	case ARG_TABLE:
		strs_add(&one, arg);
		tables_open(&r->table, &one);
		strs_free(&one);
		break;
	case ARG_SERVER: {
		struct span server;

		r->policy = policy_options_parse(arg, in->p, &server, e);
		if (r->policy == NULL)
			return -1;
		if (endpoint_parse(&ep, server, site.run_directory, e) != 0)
			return err_prefix(e, "%s", r->row->name);
		r->endpoint = server_endpoint(in->s, &ep);
		endpoint_free(&ep);
		break;
	}
	case ARG_NUMBER:
		if (!num_int(span_of(arg), 0, 3600, &n))
			return err_set(e, ST_CONFIG,
				       "%s %s: expected a number of seconds",
				       r->row->name, arg);
		r->endpoint = n;
		break;
	default:
		break;
	}
	return 0;
}

/* Postfix: a bare table is check_STAGE_access. */
static const struct restriction *
bare_table(int stage)
{
	static const char *const names[STAGES] = {
		[STAGE_CLIENT] = "check_client_access",
		[STAGE_HELO] = "check_helo_access",
		[STAGE_SENDER] = "check_sender_access",
		[STAGE_RELAY] = "check_recipient_access",
		[STAGE_RECIPIENT] = "check_recipient_access",
	};

	return names[stage] != NULL ? restrict_row(names[stage]) : NULL;
}

static int
unknown_word(const char *w, struct err *e)
{
	return err_set(e, ST_CONFIG,
		       "\"%s\" is no restriction that mx-recv knows, and not "
		       "in smtpd_restriction_classes; mx-recv(8) lists them",
		       w);
}

/* Depth is bounded by CLASS_DEPTH; input is the configuration. */
static int
parse_into(struct rules *l, const struct parse *in, const struct strs *words,
	   int depth, struct err *e)
{
	for (size_t i = 0; i < words->n; i++) {
		const char *w = words->v[i];
		struct rule *r;
		int st = 0;

		l->v = mem_grow(l->v, &l->cap, l->n + 1, sizeof(*l->v));
		r = &l->v[l->n++];
		*r = (struct rule){ .row = restrict_row(w) };
		if (r->row != NULL) {
			if (r->row->arg != ARG_NONE)
				st = parse_arg(
				    r, in,
				    i + 1 < words->n ? words->v[++i] : NULL, e);
		} else if (strs_has(&in->p->restriction_classes, span_of(w))) {
			st = parse_class(r, in, w, depth, e);
		} else if (strchr(w, ':') != NULL &&
			   (r->row = bare_table(in->stage)) != NULL) {
			st = parse_arg(r, in, w, e);
		} else {
			st = unknown_word(w, e);
		}
		if (st != 0)
			return -1;
	}
	return 0;
}

struct rules *
restrict_parse(struct config *file, struct server *s,
	       const struct conf_params *p, int stage, const char *text,
	       struct err *e)
{
	struct parse in = { file, s, p, stage };
	struct rules *l = mem_alloc(1, sizeof(*l));
	struct strs words = STRS_INIT;
	int st;

	strs_split_braced(&words, span_of(text));
	st = parse_into(l, &in, &words, 0, e);
	strs_free(&words);
	return st == 0 ? l : NULL;
}
