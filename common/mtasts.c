/*
 * mtasts.c - MTA-STS: record, policy, mail hosts; see mtasts.h.
 * Layer: mail.  RFC 8461 3, 4.1.
 */
#include "mtasts.h"
#include "io.h"
#include "mem.h"
#include "num.h"
#include "proc.h"
#include "status.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define POLICY_MAX 65536
#define MX_MAX 100

const char *
mtasts_mode_word(enum mtasts_mode m)
{
	static const char *const words[] = { "none", "testing", "enforce" };

	return words[m];
}

static void MX_PRINTF(2, 3) say(char *reason, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(reason, MTASTS_REASON, fmt, ap);
	va_end(ap);
}

int
mtasts_txt(struct dns *dns, const char *name, const char *version,
	   struct buf *record, char *reason, deadline_t dl)
{
	struct dns_answer ans;
	struct err e = ERR_INIT;
	size_t n = strlen(version), found = 0;

	buf_clear(record);
	switch (dns_query(dns, name, DNS_TXT, &ans, dl, &e)) {
	case DNS_OK:
		break;
	case DNS_TEMP:
		say(reason, "%.*s", MTASTS_REASON - 1, e.text);
		return -1;
	default:
		return 0;
	}
	for (size_t i = 0; i < ans.n; i++) {
		struct span t = span_make(ans.v[i].text, ans.v[i].len);
		struct span after = span_ltrim(span_from(t, n));

		if (!span_starts(t, span_make(version, n)) ||
		    (after.n > 0 && after.p[0] != ';'))
			continue;
		if (found++ == 0)
			buf_addspan(record, t);
	}
	dns_answer_free(&ans);
	return found > 1 ? 2 : (int)found;
}

/* The value of NAME=VALUE; between semicolons. */
struct span
mtasts_field(struct span text, const char *name)
{
	struct span piece;

	while (span_split(&text, ';', &piece)) {
		ssize_t eq = span_chr(piece, '=');

		if (eq > 0 &&
		    span_is(span_trim(span_sub(piece, 0, (size_t)eq)), name))
			return span_trim(span_from(piece, (size_t)eq + 1));
	}
	return span_make(NULL, 0);
}

/* 3.1: sts-id = 1*32(ALPHA / DIGIT) */
static bool
id_ok(struct span id)
{
	if (id.n < 1 || id.n > 32)
		return false;
	for (size_t i = 0; i < id.n; i++)
		if (!ascii_isalnum(id.p[i]))
			return false;
	return true;
}

static bool
policy_mx(struct mtasts *s, struct span v)
{
	struct span host = v;

	if (span_starts(host, SPAN("*.")))
		host = span_from(host, 2);
	if (!dns_valid_hostname(host)) {
		say(s->reason, "mx: %.*s is not a host name",
		    (int)(v.n > 60 ? 60 : v.n), v.p);
		return false;
	}
	if (s->mx.n < MX_MAX)
		strs_addspan(&s->mx, v);
	return true;
}

/* One "key: value"; first counts but for mx (3.2).  Unknown keys are for
 * others. */
static bool
policy_line(struct mtasts *s, struct span key, struct span v, unsigned *seen)
{
	if (span_is(key, "version") && !(*seen & 1)) {
		*seen |= 1;
		if (!span_is(v, "STSv1")) {
			say(s->reason, "version is not STSv1");
			return false;
		}
	} else if (span_is(key, "mode") && !(*seen & 2)) {
		*seen |= 2;
		for (int m = 0; m <= MTASTS_ENFORCE; m++) {
			if (span_is(v, mtasts_mode_word((enum mtasts_mode)m))) {
				s->mode = (enum mtasts_mode)m;
				return true;
			}
		}
		say(s->reason, "mode is not enforce, testing or none");
		return false;
	} else if (span_is(key, "max_age") && !(*seen & 4)) {
		*seen |= 4;
		if (!num_i64(v, 0, 31557600, &s->max_age)) {
			say(s->reason, "max_age is not 0 to 31557600");
			return false;
		}
	} else if (span_is(key, "mx")) {
		return policy_mx(s, v);
	}
	return true;
}

bool
mtasts_parse(struct mtasts *s, struct span text)
{
	struct span line;
	unsigned seen = 0;

	while (span_split(&text, '\n', &line)) {
		ssize_t colon = span_chr(line, ':');

		line = span_trim(line);
		if (line.n == 0)
			continue;
		if (colon <= 0) {
			say(s->reason, "a line of the policy has no colon");
			return false;
		}
		if (!policy_line(s, span_trim(span_sub(line, 0, (size_t)colon)),
				 span_trim(span_from(line, (size_t)colon + 1)),
				 &seen))
			return false;
	}
	if (seen != 7) {
		say(s->reason, "the policy lacks %s",
		    !(seen & 1)   ? "version"
		    : !(seen & 2) ? "mode"
				  : "max_age");
		return false;
	}
	if (s->mx.n == 0 && s->mode != MTASTS_MODE_NONE) {
		say(s->reason, "the policy names no mx");
		return false;
	}
	return true;
}

bool
mtasts_match(const struct mtasts *s, const char *host)
{
	const char *dot = strchr(host, '.');

	for (size_t i = 0; i < s->mx.n; i++) {
		const char *p = s->mx.v[i];

		if (strcasecmp(p, host) == 0)
			return true;
		/* 4.1: a wildcard stands for the leftmost label alone */
		if (p[0] == '*' && dot != NULL && strcasecmp(p + 1, dot) == 0)
			return true;
	}
	return false;
}

/* Where the policy lies, by our own resolver; false: reason says why not. */
static enum mtasts_result
policy_address(struct mtasts *s, const struct mtasts_conf *c, const char *name,
	       struct buf *to, deadline_t dl)
{
	static const int types[] = { DNS_A, DNS_AAAA };
	struct dns_answer ans;
	struct err e = ERR_INIT;
	bool temp = false;

	for (size_t t = 0; t < ARRAY_LEN(types) && to->n == 0; t++) {
		enum dns_status st =
		    dns_query(c->dns, name, types[t], &ans, dl, &e);

		temp |= st == DNS_TEMP;
		if (st != DNS_OK)
			continue;
		buf_addf(to, types[t] == DNS_A ? "%s:%d" : "[%s]:%d",
			 ans.v[0].text, c->https_port);
		dns_answer_free(&ans);
	}
	if (to->n > 0)
		return MTASTS_FOUND;
	say(s->reason, "%s has no address", name);
	return temp ? MTASTS_TEMP : MTASTS_UNHAD;
}

int
mtasts_run(void *ctx, const struct strs *argv, struct buf *out,
	   struct buf *errs, deadline_t dl)
{
	struct proc_spec ps = { .argv = argv->v, .fd = { -1, -1, -1, -1 } };
	struct err e = ERR_INIT;
	int o[2], x[2], st = ST_OSERR;
	pid_t pid;

	(void)ctx;
	if (pipe2(o, O_CLOEXEC) != 0)
		return ST_OSERR;
	if (pipe2(x, O_CLOEXEC) != 0) {
		close(o[0]);
		close(o[1]);
		return ST_OSERR;
	}
	ps.fd[1] = o[1];
	ps.fd[2] = x[1];
	pid = proc_spawn(&ps, &e);
	close(o[1]);
	close(x[1]);
	if (pid < 0) {
		buf_adds(errs, e.text);
	} else {
		/* its errors are a line: they wait in the pipe */
		if (io_read_all(o[0], out, POLICY_MAX, dl) != IO_OK)
			buf_clear(out);
		(void)!io_read_all(x[0], errs, 4096, dl);
		st = proc_wait(pid, dl, NULL);
	}
	close(o[0]);
	close(x[0]);
	return st;
}

static enum mtasts_result
policy_get(struct mtasts *s, const struct mtasts_conf *c, const char *name,
	   const char *to, deadline_t dl)
{
	struct strs argv = STRS_INIT;
	struct buf errs = BUF_INIT;
	struct span why;
	int st;

	strs_take(&argv, proc_sibling("mx-fetch"));
	strs_add(&argv, "--connect-to");
	strs_add(&argv, to);
	strs_add(&argv, "--type");
	strs_add(&argv, "text/plain");
	strs_add(&argv, "--timeout");
	strs_addf(&argv, "%d", clock_left(dl) / 1000 + 1);
	if (c->ca_file != NULL && c->ca_file[0] != '\0') {
		strs_add(&argv, "--ca-file");
		strs_add(&argv, c->ca_file);
	}
	strs_addf(&argv, "https://%s/.well-known/mta-sts.txt", name);
	buf_clear(&s->text);
	st = c->run != NULL ? c->run(c->run_ctx, &argv, &s->text, &errs, dl)
			    : mtasts_run(NULL, &argv, &s->text, &errs, dl);
	strs_free(&argv);
	if (st != ST_OK) {
		why = span_trim(buf_span(&errs));
		if (span_starts(why, SPAN("mx-fetch: ")))
			why = span_from(why, 10);
		say(s->reason, "%.*s", (int)(why.n > 290 ? 290 : why.n), why.p);
	}
	buf_free(&errs);
	s->untrusted = strstr(s->reason, ": " MTASTS_UNTRUSTED) != NULL;
	return st == ST_OK                             ? MTASTS_FOUND
	       : st == ST_DATA || st == ST_UNAVAILABLE ? MTASTS_UNHAD
						       : MTASTS_TEMP;
}

enum mtasts_result
mtasts_record(struct mtasts *s, struct dns *dns, const char *domain,
	      deadline_t dl)
{
	char *name = mem_printf("_mta-sts.%s", domain);
	int n = mtasts_txt(dns, name, "v=STSv1", &s->record, s->reason, dl);
	enum mtasts_result r = MTASTS_FOUND;

	buf_clear(&s->id);
	buf_addspan(&s->id, mtasts_field(buf_span(&s->record), "id"));
	if (n < 0) {
		r = MTASTS_TEMP;
	} else if (n == 0) {
		say(s->reason, "no record at %s", name);
		r = MTASTS_NONE;
	} else if (n > 1 || !id_ok(buf_span(&s->id))) {
		say(s->reason,
		    n > 1 ? "%s: several records"
			  : "%s: id is not 1 to 32 letters and "
			    "digits",
		    name);
		r = MTASTS_BROKEN;
	}
	free(name);
	return r;
}

enum mtasts_result
mtasts_policy(struct mtasts *s, const struct mtasts_conf *c, const char *domain,
	      deadline_t dl)
{
	char *host = mem_printf("mta-sts.%s", domain);
	struct buf to = BUF_INIT;
	enum mtasts_result r = policy_address(s, c, host, &to, dl);

	if (r == MTASTS_FOUND)
		r = policy_get(s, c, host, buf_str(&to), dl);
	if (r == MTASTS_FOUND && !mtasts_parse(s, buf_span(&s->text)))
		r = MTASTS_BROKEN;
	buf_free(&to);
	free(host);
	return r;
}

void
mtasts_free(struct mtasts *s)
{
	buf_free(&s->record);
	buf_free(&s->id);
	buf_free(&s->text);
	strs_free(&s->mx);
}
