/*
 * pipe.c - mail through a command of the administrator's.
 * Postfix pipe(8): attributes, flags and macros.  The command is executed
 * without a shell; what a macro stands for is one piece of one argument.
 */
#include "pipe_int.h"
#include "pipe.h"
#include "command.h"
#include "conf.h"
#include "hand.h"
#include "head.h"
#include "mem.h"
#include "msg.h"
#include "num.h"
#include "opt.h"
#include "sandbox.h"
#include "site.h"
#include "spool.h"
#include "status.h"
#include "via.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

/* pipe_NAME of the configuration; only the administrator writes it (THREATS
 * 18). */
static char *
spec_text(const char *transport)
{
	char name[100];

	if (prog.config == NULL || strlen(transport) > 80)
		return NULL;
	snprintf(name, sizeof(name), "pipe_%s", transport);
	return config_text(prog.config, name);
}

bool
pipe_known(const char *transport)
{
	char *text = spec_text(transport);
	bool known = text != NULL && text[0] != '\0';

	free(text);
	return known;
}

static void
spec_free(struct pipe_spec *s)
{
	strs_free(&s->argv);
	free(s->user);
	free(s->directory);
	free(s->null_sender);
	free(s->eol);
}

/* C's escapes as they are written in the file: "\r\n", "\015". */
static char *
unescape(struct span v)
{
	static const char names[] = "abfnrtv", bytes[] = "\a\b\f\n\r\t\v";
	struct buf b = BUF_INIT;

	for (size_t i = 0; i < v.n; i++) {
		const char *known;
		int c = 0, k = 0;

		if (v.p[i] != '\\' || i + 1 == v.n) {
			buf_addc(&b, v.p[i]);
			continue;
		}
		for (; k < 3 && i + 1 < v.n && v.p[i + 1] >= '0' &&
		       v.p[i + 1] <= '7';
		     k++)
			c = c * 8 + (v.p[++i] - '0');
		if (k == 0) {
			c = (unsigned char)v.p[++i];
			known = c != '\0' ? strchr(names, c) : NULL;
			c = known != NULL ? (unsigned char)bytes[known - names]
					  : c;
		}
		buf_addc(&b, (char)c);
	}
	return buf_steal(&b);
}

static int
set_attribute(struct pipe_spec *s, struct span name, struct span v,
	      struct err *e)
{
	if (span_is(name, "user")) {
		s->user = mem_spandup(v);
	} else if (span_is(name, "flags")) {
		for (size_t i = 0; i < v.n; i++) {
			if (v.p[i] <= 0 ||
			    strchr("BDFORXhqu.>", v.p[i]) == NULL)
				return err_set(e, ST_CONFIG,
					       "flags: \"%c\": expected "
					       "letters of BDFORXhqu.>",
					       v.p[i]);
			s->flag[(int)v.p[i]] = true;
		}
	} else if (span_is(name, "directory")) {
		s->directory = mem_spandup(v);
	} else if (span_is(name, "null_sender")) {
		free(s->null_sender);
		s->null_sender = mem_spandup(v);
	} else if (span_is(name, "eol")) {
		free(s->eol);
		s->eol = unescape(v);
	} else if (span_is(name, "size")) {
		if (!num_i64(v, 0, INT64_MAX, &s->size))
			return err_set(e, ST_CONFIG, "size: expected a number");
	} else {
		return err_set(e, ST_CONFIG,
			       "\"%.*s\": expected user=, flags=, directory=, "
			       "null_sender=, eol=, size= or argv=",
			       SPAN_ARG(name));
	}
	return 0;
}

/* Words as in master.cf(5): blanks separate, { } hold one word together. */
static int
split_words(struct strs *words, struct span s, struct err *e)
{
	while ((s = span_trim(s)).n > 0) {
		size_t n = 0, depth = 0;

		for (; n < s.n && (depth > 0 || !ascii_isspace(s.p[n])); n++) {
			/* a macro's brace is none of these */
			if (s.p[n] == '{' && (n == 0 || s.p[n - 1] != '$'))
				depth += n == 0 || depth > 0;
			else if (s.p[n] == '}' && depth > 0)
				depth--;
			if (depth == 0 && s.p[0] == '{') {
				n++;
				break;
			}
		}
		if (depth > 0)
			return err_set(e, ST_CONFIG, "\"{\" without \"}\"");
		strs_addspan(words, s.p[0] == '{'
					? span_trim(span_sub(s, 1, n - 1))
					: span_sub(s, 0, n));
		s = span_from(s, n);
	}
	return 0;
}

/* Attributes, then argv= and everything behind it. */
static int
parse_spec(struct pipe_spec *s, const char *text, struct err *e)
{
	struct strs words = STRS_INIT;
	int r = split_words(&words, span_of(text), e);

	s->null_sender = mem_strdup("MAILER-DAEMON");
	s->eol = mem_strdup("\n");
	for (size_t i = 0; r == 0 && i < words.n; i++) {
		struct span w = span_of(words.v[i]);
		ssize_t eq = span_chr(w, '=');

		if (s->argv.n > 0) {
			strs_add(&s->argv, words.v[i]);
		} else if (span_starts(w, SPAN("argv="))) {
			strs_add(&s->argv, words.v[i] + 5);
		} else if (eq <= 0) {
			r = err_set(e, ST_CONFIG, "\"%s\": expected NAME=VALUE",
				    words.v[i]);
		} else {
			r = set_attribute(s, span_sub(w, 0, (size_t)eq),
					  span_from(w, (size_t)eq + 1), e);
		}
	}
	strs_free(&words);
	if (r == 0 && (s->argv.n == 0 || s->argv.v[0][0] == '\0'))
		r = err_set(e, ST_CONFIG, "argv= is missing");
	if (r == 0 && s->user == NULL)
		r = err_set(e, ST_CONFIG, "user= is missing");
	return r;
}

/* The fields on top, as the flags say. */
static void
head_of(struct buf *b, const struct pipe_facts *f)
{
	const char *sender = pipe_sender(f);
	struct buf v = BUF_INIT;

	if (f->spec->flag['F']) {
		buf_addf(b, "From %s  ", sender);
		spool_date(b);
	}
	if (f->spec->flag['R']) {
		buf_addf(&v, "<%s>", sender);
		msg_make_field(b, "Return-Path", buf_span(&v));
		buf_addc(b, '\n');
	}
	if (f->spec->flag['O'] && f->to->original != NULL) {
		msg_make_field(b, "X-Original-To", span_of(f->to->original));
		buf_addc(b, '\n');
	}
	if (f->spec->flag['D']) {
		msg_make_field(b, "Delivered-To", span_of(f->to->addr));
		buf_addc(b, '\n');
	}
	buf_free(&v);
}

/* The message as the command gets it: line ends, dots, From quoting. */
static int
write_lines(struct spool *sp, struct span s, const struct pipe_spec *spec,
	    bool head, struct err *e)
{
	struct buf b = BUF_INIT;
	int r = 0;

	while (r == 0 && s.n > 0) {
		ssize_t lf = span_chr(s, '\n');
		struct span line = lf < 0 ? s : span_sub(s, 0, (size_t)lf);

		if (!head && spec->flag['.'] && span_starts(line, SPAN(".")))
			buf_addc(&b, '.');
		if (!head && spec->flag['>'] &&
		    span_starts(line, SPAN("From ")))
			buf_addc(&b, '>');
		buf_addspan(&b, line);
		buf_adds(&b, spec->eol);
		s = span_from(s, lf < 0 ? s.n : (size_t)lf + 1);
		if (b.n >= 65536 || s.n == 0) {
			r = spool_write(sp, b.p, b.n, e);
			buf_clear(&b);
		}
	}
	buf_free(&b);
	return r;
}

static int
make_message(struct spool *sp, const struct pipe_facts *f, struct err *e)
{
	const struct pipe_spec *spec = f->spec;
	uint64_t at = f->q->msg_at, size = f->q->msg_size;
	struct buf head = BUF_INIT;
	char *map = NULL;
	int r;

	head_of(&head, f);
	if (!spec->flag['.'] && !spec->flag['>'] && !spec->flag['B'] &&
	    strcmp(spec->eol, "\n") == 0) {
		r = spool_write(sp, head.p, head.n, e);
		if (r == 0)
			r = spool_copy(sp, f->q->fd, at, size, e);
	} else {
		r = write_lines(sp, buf_span(&head), spec, true, e);
		if (r == 0)
			map = mmap(NULL, (size_t)(at + size), PROT_READ,
				   MAP_PRIVATE, f->q->fd, 0);
		if (map == MAP_FAILED)
			r = err_sys(e, "reading the message");
		else if (map != NULL)
			r = write_lines(sp, span_make(map + at, (size_t)size),
					spec, false, e);
		if (map != NULL && map != MAP_FAILED)
			(void)munmap(map, (size_t)(at + size));
		if (r == 0 && spec->flag['B'])
			r = spool_write(sp, spec->eol, strlen(spec->eol), e);
	}
	buf_free(&head);
	return r == 0 ? spool_rewind(sp, e) : r;
}

/* The user that it runs as: user=NAME or NAME:GROUP. */
static struct hand *
pipe_hand(const struct pipe_spec *s, struct err *e)
{
	struct dest d = { .has_ids = true };
	char *colon = strchr(s->user, ':');
	int r;

	if (colon != NULL)
		*colon = '\0';
	r = sandbox_names(s->user, colon != NULL ? colon + 1 : NULL, &d.uid,
			  &d.gid, e);
	if (r == 0 && (d.uid == 0 || d.gid == 0))
		r = err_set(e, ST_CONFIG, "user=: not with root's rights");
	return r == 0 ? hand_get(&d, e) : NULL;
}

static int
pipe_run(const struct pipe_facts *f, struct command *c,
	 struct command_result *res, struct err *e)
{
	struct spool sp;
	struct hand *h = NULL;
	int r = 0;

	/* pipe(8) size=. */
	if (f->spec->size > 0 && f->q->msg_size > (uint64_t)f->spec->size)
		return err_esc(e, ST_UNAVAILABLE, "5.2.3",
			       "message size %llu exceeds size limit %lld for "
			       "transport",
			       (unsigned long long)f->q->msg_size,
			       (long long)f->spec->size);
	/* pipe(8): flag D also looks for its own field */
	if (f->spec->flag['D'] &&
	    head_loops(f->q->fd, f->q->msg_at, f->q->msg_size, f->to->addr))
		return via_err(e, f->to->addr);
	r = pipe_argv(&c->argv, f, e);
	if (r == 0)
		h = pipe_hand(f->spec, e);
	spool_init(&sp);
	r = h == NULL ? -1 : make_message(&sp, f, e);
	if (r == 0)
		r = hand_run(h, c, sp.fd, res, e);
	spool_free(&sp);
	return r;
}

bool
pipe_single(const char *transport)
{
	struct pipe_spec spec = { .size = 0 };
	char *text = spec_text(transport);
	struct err e = ERR_INIT;
	bool single = parse_spec(&spec, text != NULL ? text : "", &e) != 0 ||
		      spec.flag['D'] || spec.flag['O'];

	free(text);
	spec_free(&spec);
	return single;
}

void
pipe_deliver(const struct route *r, const struct queuefile *q,
	     const size_t *idx, size_t n, struct outcome *out)
{
	struct pipe_spec spec = { .limit_ms = conf.command_time_limit };
	struct pipe_facts f = { q,          idx,  n, &q->env.rcpt[idx[0]],
				r->nexthop, &spec };
	struct command c = { .limit_ms = conf.command_time_limit };
	struct command_result res = { .status = 0 };
	char *text = spec_text(r->transport);
	struct err e = ERR_INIT;
	int rc = parse_spec(&spec, text != NULL ? text : "", &e);

	c.dir = spec.directory;
	command_env_base(&c.env);
	if (rc == 0)
		rc = pipe_run(&f, &c, &res, &e);
	else
		err_prefix(&e, "pipe_%s", r->transport);
	if (rc == 0) {
		char what[200];
		snprintf(what, sizeof(what), "delivered via %.100s service",
			 r->transport);
		command_judge(what, &res, out);
	} else {
		outcome_fail(out, &e);
	}
	free(text);
	spec_free(&spec);
	strs_free(&c.argv);
	strs_free(&c.env);
	buf_free(&res.out);
	buf_free(&res.errs);
}
