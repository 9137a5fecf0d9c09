/*
 * procmail_act.c - where a mail goes: files, directories, programs, addresses.
 * procmailrc(5), "Recipe action line".  What is written is on the disk before
 * it counts as delivered, and taken back when writing it fails.
 */
#include "deposit.h"
#include "io.h"
#include "mem.h"
#include "msg.h"
#include "num.h"
#include "procmail.h"
#include "random.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

/* --- the bytes --- */

/* Ends with an empty line unless raw; in a file "From " is quoted behind the
 * first line. */
void
pm_text(struct buf *b, struct span text, bool quote, bool blank)
{
	struct span rest = text, line;
	bool first = true;

	while (quote && rest.n > 0 && span_split(&rest, '\n', &line)) {
		if (!first && span_starts(line, SPAN("From ")))
			buf_addc(b, '>');
		buf_addspan(b, line);
		if (rest.p != NULL)
			buf_addc(b, '\n');
		first = false;
	}
	if (!quote)
		buf_addspan(b, text);
	if (blank && !(text.n > 1 && text.p[text.n - 1] == '\n' &&
		       text.p[text.n - 2] == '\n'))
		buf_addc(b, '\n');
}

/* --- files --- */

static bool
lock_file(int fd)
{
	struct flock l = { .l_type = F_WRLCK, .l_whence = SEEK_SET };

	while (fcntl(fd, F_SETLKW, &l) != 0) {
		if (errno != EINTR)
			return errno == EINVAL || errno == ENOLCK;
	}
	return true;
}

static mode_t
mask_now(void)
{
	mode_t mask = umask(0);

	umask(mask);
	return mask;
}

static bool
append(struct pm *p, const char *path, struct span text, bool raw)
{
	int fd = open(
	    path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY, 0666);
	struct buf b = BUF_INIT;
	struct stat st;
	bool ok;

	if (fd < 0) {
		pm_log(p, "Error while writing to \"%s\"", path);
		return false;
	}
	ok = fstat(fd, &st) == 0;
	if (ok && S_ISREG(st.st_mode))
		ok = lock_file(fd) && fstat(fd, &st) == 0;
	pm_text(&b, text, !raw, !raw);
	p->written = strcmp(path, "/dev/null") == 0 ? text.n : b.n;
	pm_hold_signals(true); /* all of it, or nothing */
	if (ok)
		ok = io_write(fd, b.p, b.n, DEADLINE_NEVER) == IO_OK;
	if (ok && S_ISREG(st.st_mode))
		ok = fsync(fd) == 0;
	if (!ok && S_ISREG(st.st_mode))
		(void)!ftruncate(fd, st.st_size); /* as it was */
	pm_hold_signals(false);
	/* where the umask lets others in, "x" says that new mail came */
	if (ok && S_ISREG(st.st_mode) && (mask_now() & S_IXOTH) == 0)
		(void)fchmod(fd, (st.st_mode & 0777) | S_IXOTH);
	ok = close(fd) == 0 && ok;
	if (!ok)
		pm_log(p, "Error while writing to \"%s\"", path);
	buf_free(&b);
	return ok;
}

/* --- directories --- */

enum kind { FILE_, DIRECTORY, MAILDIR, MH };

static enum kind
kind_of(const char *path)
{
	struct span s = span_of(path);
	struct stat st;

	if (span_ends(s, SPAN("/.")))
		return MH;
	if (span_ends(s, SPAN("/")))
		return MAILDIR;
	if (stat(path, &st) == 0 && S_ISDIR(st.st_mode))
		return DIRECTORY;
	return FILE_;
}

bool
pm_is_file(const char *path)
{
	return kind_of(path) == FILE_;
}

static void
strip_slash(struct buf *b)
{
	while (b->n > 1 && (b->p[b->n - 1] == '/' ||
			    (b->p[b->n - 1] == '.' && b->p[b->n - 2] == '/')))
		buf_cut(b, b->n - 1);
}

static void
make_parents(const char *path)
{
	struct buf b = BUF_INIT;

	for (const char *c = path; *c != '\0'; c++) {
		if (*c == '/' && c > path)
			(void)mkdir(buf_str(&b), 0777);
		buf_addc(&b, *c);
	}
	(void)mkdir(buf_str(&b), 0777);
	buf_free(&b);
}

/* A file with the text under a name nobody has; dirs other than Maildirs. */
static bool
write_new(const char *path, struct span text)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
	bool ok;

	if (fd < 0)
		return false;
	ok = io_write(fd, text.p, text.n, DEADLINE_NEVER) == IO_OK &&
	     fsync(fd) == 0;
	ok = close(fd) == 0 && ok;
	if (!ok)
		(void)unlink(path);
	return ok;
}

static int64_t
last_number(const char *dir)
{
	DIR *d = opendir(dir);
	struct dirent *e;
	int64_t last = 0, v;

	while (d != NULL && (e = readdir(d)) != NULL) {
		if (num_i64(span_of(e->d_name), 1, INT32_MAX, &v) && v > last)
			last = v;
	}
	if (d != NULL)
		closedir(d);
	return last;
}

/* The file in the first directory, or a link to it in the others. */
static bool
place(struct pm *p, const struct buf *dir, enum kind k, const char *from,
      struct span text, struct buf *name)
{
	const char *prefix =
	    pm_isset(p, "MSGPREFIX") ? pm_get(p, "MSGPREFIX") : "msg.";
	bool ok = false;

	for (int tries = 0; !ok && tries < 1000; tries++) {
		buf_clear(name);
		if (k == MH) {
			buf_addf(name, "%s/%lld", buf_str(dir),
				 (long long)last_number(buf_str(dir)) + 1 +
				     tries);
		} else {
			buf_addf(name, "%s/%s%s", buf_str(dir),
				 k == MAILDIR ? "new/" : "",
				 k == MAILDIR ? "" : prefix);
			random_word(name, k == MAILDIR ? 20 : 4);
		}
		ok = from != NULL ? link(from, buf_str(name)) == 0
				  : write_new(buf_str(name), text);
		if (!ok && errno != EEXIST)
			return false;
	}
	return ok;
}

static bool
to_maildir(struct pm *p, const char *dir, struct span text, struct buf *name)
{
	struct deposit d;
	struct err e = ERR_INIT;
	int fd = deposit_maildir_open(dir, &e);
	bool ok = fd >= 0 && deposit_open(&d, fd, DEPOSIT_AUTO, &e) == 0;

	if (ok) {
		/* as all that procmail makes: UMASK says who else may read */
		(void)fchmod(d.fd, 0667 & ~mask_now());
		ok = deposit_write(&d, text.p, text.n, &e) == 0 &&
		     deposit_commit(&d, NULL, &e) == 0;
		if (ok)
			buf_addf(name, "%s/%s", dir, d.place);
		deposit_abort(&d);
	}
	if (fd >= 0)
		close(fd);
	if (!ok)
		pm_log(p, "Error while writing to \"%s\": %s", dir, e.text);
	return ok;
}

static bool
to_directory(struct pm *p, const char *path, enum kind k, const char *from,
	     struct span text, bool raw, struct buf *name)
{
	struct buf dir = BUF_INIT, b = BUF_INIT;
	struct err e = ERR_INIT;
	bool ok;
	int fd;

	buf_adds(&dir, path);
	strip_slash(&dir);
	if (k == MAILDIR) /* no mbox line there */
		text = span_from(text, msg_from_line(text));
	/* a Maildir's file is the mail as it is */
	pm_text(&b, text, false, !raw && k != MAILDIR);
	p->written = b.n;
	if (k == MAILDIR && from == NULL) {
		ok = to_maildir(p, buf_str(&dir), buf_span(&b), name);
	} else {
		if (k == MAILDIR) {
			fd = deposit_maildir_open(buf_str(&dir), &e);
			if (fd >= 0)
				close(fd);
		} else {
			make_parents(buf_str(&dir));
		}
		ok = place(p, &dir, k, from, buf_span(&b), name);
		if (!ok)
			pm_log(p, "Error while writing to \"%s\"", path);
	}
	buf_free(&dir);
	buf_free(&b);
	return ok;
}

bool
pm_folders(struct pm *p, const struct strs *to, struct span text, bool raw)
{
	struct buf all = BUF_INIT, one = BUF_INIT;
	char *first = NULL;
	bool ok = to->n > 0;

	/* a file is one; what stands behind its name is not looked at */
	if (to->n > 0 && kind_of(to->v[0]) == FILE_) {
		ok = append(p, to->v[0], text, raw);
		buf_adds(&all, to->v[0]);
	} else {
		for (size_t i = 0; ok && i < to->n; i++) {
			enum kind k = kind_of(to->v[i]);

			if (k == FILE_)
				k = DIRECTORY;
			buf_clear(&one);
			ok = to_directory(p, to->v[i], k, first, text, raw,
					  &one);
			if (first == NULL)
				first = mem_strdup(buf_str(&one));
			buf_addf(&all, "%s%s", i ? " " : "", buf_str(&one));
		}
	}
	if (ok)
		pm_assign(p, "LASTFOLDER", buf_str(&all));
	free(first);
	buf_free(&all);
	buf_free(&one);
	return ok;
}

/* --- programs and addresses --- */

void
pm_set_mail(struct pm *p, struct span bytes)
{
	struct buf b = BUF_INIT;
	ssize_t at;

	buf_addspan(&b, bytes);
	buf_free(&p->mail);
	p->mail = b;
	if (b.n > 0 && b.p[0] == '\n') {
		p->header = 1;
		return;
	}
	at = span_find(buf_span(&b), SPAN("\n\n"));
	p->header = at < 0 ? b.n : (size_t)at + 2;
}

/* What h and b ask for. */
static struct span
wanted(const struct pm *p, const struct pm_recipe *r)
{
	struct span all = buf_span(&p->mail);

	if (r->flag['h'] == r->flag['b'])
		return all;
	return r->flag['h'] ? span_sub(all, 0, p->header)
			    : span_from(all, p->header);
}

static bool
filter(struct pm *p, const struct pm_recipe *r, struct pm_cmd *c)
{
	bool check = r->flag['w'] || r->flag['W'];
	bool only_h = r->flag['h'] && !r->flag['b'];
	bool only_b = r->flag['b'] && !r->flag['h'];
	struct buf out = BUF_INIT, next = BUF_INIT;
	struct span all = buf_span(&p->mail);
	int status;

	/* cppcheck-suppress autoVariables */
	c->out = &out;
	status = pm_command(p, c);
	c->out = NULL;
	p->exit = status < 0 ? 75 : status;
	/* what could not run, or was killed, or wrote nothing, has filtered
	 * nothing: a mail is never lost in a filter */
	if (status < 0 || (status != 0 && (check || out.n == 0))) {
		if (!r->flag['W'])
			pm_log(p, "Program failure (%d) of \"%s\"", status,
			       c->line);
		pm_log(p, "Rescue of unfiltered data succeeded");
		buf_free(&out);
		return false;
	}
	if (only_b)
		buf_addspan(&next, span_sub(all, 0, p->header));
	buf_addspan(&next, buf_span(&out));
	if (only_h)
		buf_addspan(&next, span_from(all, p->header));
	pm_set_mail(p, buf_span(&next));
	buf_free(&out);
	buf_free(&next);
	return true;
}

/* "| command", "NAME=| command" */
static bool
run_pipe(struct pm *p, const struct pm_recipe *r, const char *line,
	 const char *var)
{
	bool check = r->flag['w'] || r->flag['W'];
	struct buf text = BUF_INIT, out = BUF_INIT;
	struct pm_cmd c = { .line = line, .ignore_write = r->flag['i'] };
	bool ok;
	int status;

	pm_text(&text, wanted(p, r), false, !r->flag['r']);
	p->written = text.n;
	c.in = buf_span(&text);
	if (r->flag['f']) {
		ok = filter(p, r, &c);
	} else if (var == NULL && span_trim(span_of(line)).n == 0) {
		ok = io_write(STDOUT_FILENO, text.p, text.n, DEADLINE_NEVER) ==
		     IO_OK;
	} else {
		c.out = &out;
		pm_assign(p, "LASTFOLDER", line);
		status = pm_command(p, &c);
		p->exit = status < 0 ? 75 : status;
		/* what the shell says of a file that is not there is 2 */
		ok = status == 0 ||
		     (status > 0 && !check && status != 127 && !p->not_run);
		if (status > 0 && check && !r->flag['W'])
			pm_log(p, "Program failure (%d) of \"%s\"", status,
			       line);
		if (var != NULL && out.n > 0 && out.p[out.n - 1] == '\n')
			buf_cut(&out, out.n - 1);
		if (var != NULL)
			pm_assign(p, var, buf_str(&out));
		else if (out.n > 0)
			(void)!write(p->log >= 0 ? p->log : STDERR_FILENO,
				     out.p, out.n);
	}
	buf_free(&text);
	buf_free(&out);
	return ok;
}

static bool
forward(struct pm *p, const struct pm_recipe *r, const char *line)
{
	struct strs argv = STRS_INIT;
	struct span flags = span_of(pm_get(p, "SENDMAILFLAGS"));
	struct span rest = span_of(line);
	struct buf text = BUF_INIT, folder = BUF_INIT;
	struct pm_cmd c = { .line = line };
	struct span all;
	int status = -1;

	strs_add(&argv, pm_get(p, "SENDMAIL"));
	strs_split(&argv, flags, " \t");
	/* what a mail says is no option of sendmail's (THREATS 93) */
	if (!pm_expand(p, &rest, PM_WORDS, false, &argv)) {
		pm_log(p,
		       "Not forwarded: an address in \"%s\" begins with "
		       "\"-\"",
		       line);
		strs_free(&argv);
		return false;
	}
	all = wanted(p, r);
	all = span_from(all, msg_from_line(all));
	pm_text(&text, all, false, !r->flag['r']);
	p->written = text.n;
	c.in = buf_span(&text);
	for (size_t i = 0; i < argv.n; i++)
		buf_addf(&folder, "%s%s", i ? " " : "", argv.v[i]);
	pm_assign(p, "LASTFOLDER", buf_str(&folder));
	buf_free(&folder);
	status = pm_argv(p, &argv, &c);
	if (status != 0)
		pm_log(p, "Program failure (%d) of \"%s\"", status, argv.v[0]);
	strs_free(&argv);
	buf_free(&text);
	return status == 0;
}

static bool
into_folders(struct pm *p, const struct pm_recipe *r, const char *line)
{
	struct strs to = STRS_INIT;
	struct span rest = span_of(line);
	bool ok;

	pm_expand(p, &rest, PM_WORDS, false, &to);
	ok = pm_folders(p, &to, wanted(p, r), r->flag['r']);
	strs_free(&to);
	return ok;
}

bool
pm_action(struct pm *p, const struct pm_recipe *r, const char *line)
{
	char *lock = pm_recipe_lock(p, r, line), *var;
	bool held = lock != NULL && pm_lock(p, lock), ok;
	size_t n = 0;

	while (ascii_isalnum(line[n]) || line[n] == '_')
		n++;
	if (line[0] == '!') {
		ok = forward(p, r, line + 1);
	} else if (line[0] == '|') {
		ok = run_pipe(p, r, line + 1, NULL);
	} else if (n > 0 && line[n] == '=' &&
		   strspn(line + n + 1, " \t") + n + 1 < strlen(line) &&
		   line[n + 1 + strspn(line + n + 1, " \t")] == '|') {
		var = mem_spandup(span_make(line, n));
		ok = run_pipe(p, r, strchr(line + n, '|') + 1, var);
		free(var);
	} else {
		ok = into_folders(p, r, line);
	}
	if (held)
		pm_unlock(p, lock);
	free(lock);
	return ok;
}
