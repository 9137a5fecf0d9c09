/*
 * pipe_args.c - the arguments of a pipe_NAME command.
 * Postfix pipe(8), COMMAND ARGUMENTS: what a macro stands for is one piece of
 * one argument, whatever bytes it has.
 */
#include "pipe_int.h"
#include "addr.h"
#include "site.h"
#include "status.h"

#include <stdio.h>

static void
add_folded(struct buf *b, struct span v, bool fold)
{
	for (size_t i = 0; i < v.n; i++)
		buf_addc(b, fold ? ascii_tolower(v.p[i]) : v.p[i]);
}

/* Addresses are kept quoted as the wire has them; pipe(8)'s macros are not,
 * but for the flag q. */
static void
unquote(struct buf *b, struct span local)
{
	bool quoted =
	    local.n > 1 && local.p[0] == '"' && local.p[local.n - 1] == '"';

	if (quoted)
		local = span_sub(local, 1, local.n - 1);
	for (size_t i = 0; i < local.n; i++) {
		if (quoted && local.p[i] == '\\' && i + 1 < local.n)
			i++;
		buf_addc(b, local.p[i]);
	}
}

/* Not a dot-string of RFC 822, where bytes above 0x7f count as letters. */
static bool
must_quote(struct span s)
{
	bool dot = true; /* none at the begin, at the end, after another */

	for (size_t i = 0; i < s.n; i++) {
		unsigned char c = (unsigned char)s.p[i];

		if (c <= ' ' || c == 0x7f || strchr("\"(),:;<>@[\\]", c) ||
		    (c == '.' && dot))
			return true;
		dot = c == '.';
	}
	return dot;
}

struct folds {
	bool local, domain;
};

static void
add_address(struct buf *b, struct span addr, struct folds fold,
	    const struct pipe_facts *f)
{
	ssize_t at = span_rchr(addr, '@');
	struct buf plain = BUF_INIT;
	bool quote;

	unquote(&plain, at < 0 ? addr : span_sub(addr, 0, (size_t)at));
	quote =
	    f->spec->flag['q'] && addr.n > 0 && must_quote(buf_span(&plain));
	if (quote)
		buf_addc(b, '"');
	for (size_t i = 0; i < plain.n; i++) {
		if (quote && (plain.p[i] == '"' || plain.p[i] == '\\'))
			buf_addc(b, '\\');
		buf_addc(b,
			 fold.local ? ascii_tolower(plain.p[i]) : plain.p[i]);
	}
	if (quote)
		buf_addc(b, '"');
	if (at >= 0)
		add_folded(b, span_from(addr, (size_t)at), fold.domain);
	buf_free(&plain);
}

static const char *
or_unknown(const char *s)
{
	return s != NULL && s[0] != '\0' ? s : "unknown";
}

const char *
pipe_sender(const struct pipe_facts *f)
{
	return f->q->env.sender[0] ? f->q->env.sender : f->spec->null_sender;
}

/* Addresses, which flags quote and fold part by part.  False: it is none. */
static bool
add_address_macro(struct buf *b, struct span name, const struct pipe_facts *f)
{
	const struct queuefile_rcpt *to = f->to;
	const struct folds fold = { f->spec->flag['u'], f->spec->flag['h'] };

	if (span_is(name, "sender"))
		add_address(b, span_of(pipe_sender(f)), (struct folds){ 0 }, f);
	else if (span_is(name, "recipient"))
		add_address(b, span_of(to->addr), fold, f);
	else if (span_is(name, "original_recipient"))
		add_address(
		    b, span_of(to->original != NULL ? to->original : to->addr),
		    fold, f);
	else
		return false;
	return true;
}

/* pipe(8) COMMAND ARGUMENTS: the values of one row are a piece of one argument,
 * whatever bytes they have.  False: there is no such macro. */
static bool
add_macro(struct buf *b, struct span name, const struct pipe_facts *f)
{
	const struct queuefile_env *env = &f->q->env;
	const bool *flag = f->spec->flag;
	struct span addr = span_of(f->to->addr), user, ext;
	ssize_t at = span_rchr(addr, '@');
	struct span local;
	struct span domain =
	    at < 0 ? SPAN("") : span_from(addr, (size_t)at + 1);
	struct buf plain = BUF_INIT;
	bool known = false;
	char size[24];

	unquote(&plain, at < 0 ? addr : span_sub(addr, 0, (size_t)at));
	local = buf_span(&plain);
	if (!addr_split_ext(local, site.recipient_delimiter, &user, &ext)) {
		user = local;
		ext = SPAN("");
	}
	snprintf(size, sizeof(size), "%llu",
		 (unsigned long long)f->q->msg_size);
	const struct {
		const char *name;
		struct span value;
		bool fold; /* to lower case: flag u or h */
	} rows[] = {
		{ "user", user, flag['u'] },
		{ "extension", ext, flag['u'] },
		{ "mailbox", local, flag['u'] },
		{ "domain", domain, flag['h'] },
		{ "nexthop", span_of(f->nexthop), flag['h'] },
		{ "size", span_of(size), false },
		{ "queue_id", span_of(f->q->id), false },
		{ "client_address", span_of(or_unknown(env->client_addr)),
		  false },
		{ "client_hostname", span_of(or_unknown(env->client_name)),
		  false },
		{ "client_helo", span_of(or_unknown(env->helo)), false },
		{ "client_port", span_of(or_unknown(env->client_port)), false },
		{ "client_protocol", span_of(or_unknown(env->proto)), false },
		{ "sasl_username", span_of(env->login), false },
		/* not kept in the queue */
		{ "sasl_method", SPAN(""), false },
		{ "sasl_sender", SPAN(""), false },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows) && !known; i++)
		if (span_is(name, rows[i].name)) {
			add_folded(b, rows[i].value, rows[i].fold);
			known = true;
		}
	buf_free(&plain);
	return known || add_address_macro(b, name, f);
}

/* Does its value differ from recipient to recipient? */
static bool
of_recipient(struct span name)
{
	static const char *const names[] = {
		"recipient", "original_recipient",
		"user",      "extension",
		"mailbox",   "domain",
	};

	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		if (span_is(name, names[i]))
			return true;
	return false;
}

/* $name, ${name}, $(name), $$ in one argument; *each: it names something of
 * the recipient. */
static int
expand(struct buf *b, const char *arg, const struct pipe_facts *f, bool *each,
       struct err *e)
{
	while (*arg != '\0') {
		struct span name;
		char close;

		if (*arg != '$') {
			buf_addc(b, *arg++);
			continue;
		}
		if (*++arg == '$') {
			buf_addc(b, *arg++);
			continue;
		}
		close = *arg == '{' ? '}' : *arg == '(' ? ')' : '\0';
		name.p = arg += close != '\0';
		while (ascii_isalnum(*arg) || *arg == '_')
			arg++;
		name.n = (size_t)(arg - name.p);
		if ((close != '\0' && *arg++ != close) ||
		    !add_macro(b, name, f))
			return err_set(e, ST_CONFIG,
				       "argv: \"$%.*s\" is no macro of pipe(8)",
				       SPAN_ARG(name));
		*each = *each || of_recipient(name);
	}
	return 0;
}

int
pipe_argv(struct strs *argv, const struct pipe_facts *f, struct err *e)
{
	struct pipe_facts one = *f;
	int r = 0;

	for (size_t i = 0; r == 0 && i < f->spec->argv.n; i++) {
		bool each = false;

		for (size_t k = 0; r == 0 && k < (each ? f->n : 1); k++) {
			struct buf b = BUF_INIT;

			one.to = &f->q->env.rcpt[f->idx[k]];
			r = expand(&b, f->spec->argv.v[i], &one, &each, e);
			strs_take(argv, buf_steal(&b));
		}
	}
	return r;
}
