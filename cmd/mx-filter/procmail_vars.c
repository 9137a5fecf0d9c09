/*
 * procmail_vars.c - variables, and what assignments to some of them do.
 * procmailrc(5), "Environment".
 */
#include "escape.h"
#include "io.h"
#include "mem.h"
#include "num.h"
#include "procmail.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

const char *
pm_get(const struct pm *p, const char *name)
{
	const char *v = map_get(p->env, span_of(name));

	return v != NULL ? v : "";
}

bool
pm_isset(const struct pm *p, const char *name)
{
	return map_get(p->env, span_of(name)) != NULL;
}

void
pm_put(struct pm *p, const char *name, const char *value)
{
	free(map_put(p->env, span_of(name), mem_strdup(value)));
}

void
pm_environ(const struct pm *p, struct strs *env)
{
	struct span name;
	void *value;
	size_t i = 0;

	while (map_next(p->env, &i, &name, &value))
		strs_addf(env, "%.*s=%s", SPAN_ARG(name), (char *)value);
}

/* "Miscellaneous": what counts as true. */
bool
pm_true(const char *value, bool none)
{
	char c = ascii_tolower(value[0]);

	if (c == '\0')
		return none;
	if (c == 'o')
		return ascii_tolower(value[1]) == 'n';
	if (ascii_isdigit(c))
		return value[strspn(value, "0")] >= '1' &&
		       value[strspn(value, "0")] <= '9';
	return c == 'y' || c == 't' || c == 'e';
}

int64_t
pm_number(const struct pm *p, const char *name, int64_t none)
{
	int64_t v;
	uint64_t u;
	size_t used;
	struct span s = span_trim(span_of(pm_get(p, name)));

	if (num_i64(s, INT32_MIN, INT32_MAX, &v))
		return v;
	if (num_prefix(s, INT32_MAX, &u, &used))
		return (int64_t)u;
	return none;
}

static void
write_log(struct pm *p, const char *text, size_t n)
{
	int fd = p->log >= 0 ? p->log : STDERR_FILENO;

	(void)!write(fd, text, n);
}

void
pm_log(struct pm *p, const char *fmt, ...)
{
	struct buf b = BUF_INIT;
	va_list ap;

	va_start(ap, fmt);
	buf_adds(&b, "procmail: ");
	buf_vaddf(&b, fmt, ap);
	va_end(ap);
	buf_addc(&b, '\n');
	write_log(p, b.p, b.n);
	buf_free(&b);
}

void
pm_verbose(struct pm *p, const char *fmt, ...)
{
	struct buf b = BUF_INIT;
	va_list ap;

	if (!p->verbose)
		return;
	va_start(ap, fmt);
	buf_vaddf(&b, fmt, ap);
	va_end(ap);
	pm_log(p, "%s", buf_str(&b));
	buf_free(&b);
}

/* --- effects --- */

static void
set_maildir(struct pm *p, const char *v)
{
	if (v[0] != '\0' && chdir(v) != 0)
		pm_log(p, "Couldn't chdir to \"%s\"", v);
}

static void
set_logfile(struct pm *p, const char *v)
{
	int fd;

	if (v[0] == '\0')
		return;
	fd =
	    open(v, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY, 0666);
	if (fd < 0) {
		pm_log(p, "Error while writing to \"%s\"", v);
		return;
	}
	if (p->log >= 0)
		close(p->log);
	p->log = fd;
}

static void
set_log(struct pm *p, const char *v)
{
	write_log(p, v, strlen(v));
}

static void
set_verbose(struct pm *p, const char *v)
{
	p->verbose = pm_true(v, false);
}

static void
set_abstract(struct pm *p, const char *v)
{
	p->abstract_all = ascii_tolower(v[0]) == 'a';
	p->abstract_no = !p->abstract_all && !pm_true(v, true);
}

static void
set_umask(struct pm *p, const char *v)
{
	unsigned mask = 0;

	(void)p;
	for (; *v >= '0' && *v <= '7'; v++)
		mask = mask * 8 + (unsigned)(*v - '0');
	umask((mode_t)(mask & 0777));
}

static void
set_delivered(struct pm *p, const char *v)
{
	p->delivered = pm_true(v, false);
}

static void
set_lockfile(struct pm *p, const char *v)
{
	if (p->lockfile != NULL)
		pm_unlock(p, p->lockfile);
	free(p->lockfile);
	p->lockfile = NULL;
	if (v[0] != '\0' && pm_lock(p, v))
		p->lockfile = mem_strdup(v);
}

static void
set_shift(struct pm *p, const char *v)
{
	int64_t n = pm_number(p, "SHIFT", 0);
	struct strs left = STRS_INIT;

	(void)v;
	for (size_t i = 0; i < p->args.n; i++) {
		if ((int64_t)i >= n)
			strs_add(&left, p->args.v[i]);
	}
	strs_free(&p->args);
	p->args = left;
}

static void
set_host(struct pm *p, const char *v)
{
	char name[256] = "";

	(void)gethostname(name, sizeof(name) - 1);
	if (v[0] == '\0' || strcmp(v, name) == 0)
		return;
	pm_log(p, "HOST mismatched \"%s\"", v);
	while (p->nrc > 0) {
		struct pm_rc *rc = &p->rc[--p->nrc];

		free(rc->name);
		buf_free(&rc->text);
	}
	p->ended = true;
}

static void
set_dropprivs(struct pm *p, const char *v)
{
	if (pm_true(v, false) &&
	    (setresgid(getgid(), getgid(), getgid()) != 0 ||
	     setresuid(getuid(), getuid(), getuid()) != 0)) {
		pm_log(p, "Insufficient privileges");
		exit(75);
	}
}

static void
set_include(struct pm *p, const char *v)
{
	struct err e = ERR_INIT;

	if (v[0] == '\0')
		return;
	if (pm_push_rc(p, v, &e) != 0)
		pm_log(p, "Couldn't read \"%s\"", v);
}

/* The file is read in place of the one at hand. */
static void
set_switch(struct pm *p, const char *v)
{
	struct err e = ERR_INIT;
	struct pm_rc was;

	if (v[0] == '\0' || p->nrc == 0)
		return;
	if (pm_push_rc(p, v, &e) != 0) {
		pm_log(p, "Couldn't read \"%s\"", v);
		return;
	}
	was = p->rc[p->nrc - 2];
	p->nblocks = was.blocks;
	p->skip = 0;
	p->rc[p->nrc - 2] = p->rc[p->nrc - 1];
	p->rc[p->nrc - 2].blocks = was.blocks;
	p->nrc--;
	free(was.name);
	buf_free(&was.text);
}

static const struct {
	const char *name;
	void (*set)(struct pm *p, const char *v);
} effects[] = {
	{ "MAILDIR", set_maildir },
	{ "LOGFILE", set_logfile },
	{ "LOG", set_log },
	{ "VERBOSE", set_verbose },
	{ "LOGABSTRACT", set_abstract },
	{ "UMASK", set_umask },
	{ "DELIVERED", set_delivered },
	{ "LOCKFILE", set_lockfile },
	{ "SHIFT", set_shift },
	{ "HOST", set_host },
	{ "DROPPRIVS", set_dropprivs },
	{ "INCLUDERC", set_include },
	{ "SWITCHRC", set_switch },
};

void
pm_assign(struct pm *p, const char *name, const char *value)
{
	pm_verbose(p, "Assigning \"%s=%s\"", name, value);
	pm_put(p, name, value);
	for (size_t i = 0; i < ARRAY_LEN(effects); i++) {
		if (strcmp(effects[i].name, name) == 0)
			effects[i].set(p, value);
	}
}

void
pm_unset(struct pm *p, const char *name)
{
	pm_verbose(p, "Unset \"%s\"", name);
	free(map_del(p->env, span_of(name)));
	if (strcmp(name, "SWITCHRC") == 0 && p->nrc > 0)
		p->rc[p->nrc - 1].at = SIZE_MAX; /* as if it ended here */
	else if (strcmp(name, "LOCKFILE") == 0)
		set_lockfile(p, "");
	else if (strcmp(name, "HOST") == 0)
		set_host(p, " "); /* no host has this name */
	else if (strcmp(name, "VERBOSE") == 0)
		p->verbose = false;
	else if (strcmp(name, "LOGABSTRACT") == 0)
		set_abstract(p, "");
}
