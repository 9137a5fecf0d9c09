/*
 * param_set.c - --set NAME=VALUE: one line of the configuration is changed,
 * every other byte of the file stays.
 * Layer: sys.  The new file is written beside the old one, flushed, and
 * renamed over it: a crash leaves the one or the other.
 */
#include "io.h"
#include "mem.h"
#include "param_int.h"
#include "random.h"
#include "status.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define SET_MAX (4 << 20)

/* The name before the '=' of a line that begins an assignment. */
static struct span
line_name(struct span line)
{
	ssize_t eq = span_chr(line, '=');
	struct span name =
	    span_trim(span_sub(line, 0, eq < 0 ? 0 : (size_t)eq));

	if (line.n > 0 && (line.p[0] == ' ' || line.p[0] == '\t'))
		return SPAN("");
	return name.n > 0 && name.p[0] == '#' ? SPAN("") : name;
}

static bool
line_is_comment(struct span line)
{
	struct span t = span_trim(line);

	return t.n == 0 || t.p[0] == '#';
}

static void
add_assignment(struct buf *out, struct span name, struct span value)
{
	buf_addf(out, "%.*s =%s%.*s\n", SPAN_ARG(name), value.n > 0 ? " " : "",
		 SPAN_ARG(value));
}

/* Where the last assignment of name begins: that one counts. */
static bool
last_assignment(struct span text, struct span name, size_t *at_r)
{
	struct span rest = text, line = SPAN("");
	bool any = false;

	while (span_split(&rest, '\n', &line)) {
		if (!span_eq(line_name(line), name))
			continue;
		*at_r = (size_t)(line.p - text.p);
		any = true;
	}
	return any;
}

/* The text with the assignment; comments among continuation lines stay. */
static void
edit(struct buf *out, struct span text, struct span name, struct span value)
{
	struct span rest, line;
	bool inside = true;
	size_t at;

	if (!last_assignment(text, name, &at)) {
		buf_addspan(out, text);
		if (text.n > 0 && text.p[text.n - 1] != '\n')
			buf_addc(out, '\n');
		add_assignment(out, name, value);
		return;
	}
	buf_addspan(out, span_sub(text, 0, at));
	add_assignment(out, name, value);
	rest = span_from(text, at);
	if (!span_split(&rest, '\n', &line))
		return;
	while (rest.p != NULL && rest.n > 0 && span_split(&rest, '\n', &line)) {
		if (inside && !line_is_comment(line) && line.p[0] != ' ' &&
		    line.p[0] != '\t')
			inside = false;
		if (inside && !line_is_comment(line))
			continue;
		buf_addspan(out, line);
		buf_addc(out, '\n');
	}
}

/* Is the assignment good in the file as it would be then? */
static int
set_check(const char *path, struct span name, struct span value,
	  struct span text, const struct param_rows *sets, size_t n,
	  struct err *e)
{
	struct config *c = mem_alloc(1, sizeof(*c));
	ssize_t slash = span_chr(name, '/');
	struct err why = ERR_INIT;
	const struct param *row;
	char *raw = mem_spandup(value);
	int r;

	c->path = mem_strdup(path);
	c->lines = map_new();
	r = config_parse(c, text, e);
	config_use(c, sets, n);
	if (r == 0 && param_name_check(c, name, &why) != 0) {
		if (why.status == ST_OK)
			fprintf(stderr, "warning: %s\n", why.text);
		else
			r = err_set(e, ST_CONFIG, "%s", why.text);
	}
	row = config_row(c,
			 slash < 0 ? name : span_from(name, (size_t)slash + 1));
	if (r == 0 && row != NULL)
		r = param_try(c, row, raw, 0, NULL, e);
	free(raw);
	config_free(c);
	return r;
}

static int
sync_folder(const char *path)
{
	const char *slash = strrchr(path, '/');
	char *dir = slash == NULL ? mem_strdup(".")
		    : slash == path
			? mem_strdup("/")
			: mem_spandup(span_make(path, (size_t)(slash - path)));
	int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int r = fd < 0 ? -1 : fsync(fd);

	if (fd >= 0)
		close(fd);
	free(dir);
	return r;
}

static int
replace_file(const char *path, const struct stat *old, struct span text,
	     struct err *e)
{
	struct buf tmp = BUF_INIT;
	int fd, r = 0;

	buf_addf(&tmp, "%s.", path);
	random_word(&tmp, 8);
	fd = open(buf_str(&tmp), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0) {
		r = err_sys(e, "%s", buf_str(&tmp));
		buf_free(&tmp);
		return r;
	}
	if ((old->st_uid != geteuid() || old->st_gid != getegid()) &&
	    fchown(fd, old->st_uid, old->st_gid) != 0)
		r = err_sys(e, "%s: keeping its owner", path);
	if (r == 0 && (io_write(fd, text.p, text.n, DEADLINE_NEVER) != IO_OK ||
		       fchmod(fd, old->st_mode & 07777) != 0 || fsync(fd) != 0))
		r = err_sys(e, "%s", buf_str(&tmp));
	if (io_close(&fd) != 0 && r == 0)
		r = err_sys(e, "%s", buf_str(&tmp));
	if (r == 0 && rename(buf_str(&tmp), path) != 0)
		r = err_sys(e, "%s", path);
	if (r != 0)
		(void)unlink(buf_str(&tmp));
	else if (sync_folder(path) != 0)
		r = err_sys(e, "%s: its folder", path);
	buf_free(&tmp);
	return r;
}

static int
set_parts(const char *assignment, struct span *name, struct span *value,
	  struct err *e)
{
	struct span s = span_of(assignment);
	ssize_t eq = span_chr(s, '=');

	if (eq <= 0)
		return err_set(e, ST_USAGE, "--set %s: expected NAME=VALUE",
			       assignment);
	*name = span_trim(span_sub(s, 0, (size_t)eq));
	*value = span_trim(span_from(s, (size_t)eq + 1));
	if (name->n == 0 || name->p[0] == '#' || span_has_ctl(*name) ||
	    span_has_ctl(*value))
		return err_set(e, ST_USAGE,
			       "--set: a name and a value on one line are "
			       "expected");
	return 0;
}

int
param_set(const char *path, const char *assignment,
	  const struct param_rows *sets, size_t n, struct err *e)
{
	struct stat st = { .st_mode = 0644,
			   .st_uid = geteuid(),
			   .st_gid = getegid() };
	struct buf text = BUF_INIT, out = BUF_INIT;
	struct span name, value;
	char *real = NULL;
	int r;

	if (set_parts(assignment, &name, &value, e) != 0)
		return -1;
	if (path == NULL || path[0] == '\0')
		path = CONFIG_DEFAULT;
	real = realpath(path, NULL); /* a link stays a link */
	if (real == NULL && errno == ENOENT) {
		real = mem_strdup(path);
		r = 0;
	} else if (real == NULL || stat(real, &st) != 0) {
		r = err_sys(e, "%s", path);
	} else {
		r = io_read_file(real, &text, SET_MAX, e);
	}
	if (r == 0) {
		edit(&out, buf_span(&text), name, value);
		r = set_check(real, name, value, buf_span(&out), sets, n, e);
	}
	if (r == 0)
		r = replace_file(real, &st, buf_span(&out), e);
	free(real);
	buf_free(&text);
	buf_free(&out);
	return r;
}
