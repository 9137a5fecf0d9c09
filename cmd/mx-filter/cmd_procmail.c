/*
 * cmd_procmail.c - the command procmail: start, the rcfiles, what is done with
 * a mail that no recipe took, and the end.  procmail(1).
 */
#include "filter.h"
#include "io.h"
#include "mem.h"
#include "msg.h"
#include "num.h"
#include "procmail.h"
#include "status.h"

#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

/* Nothing of the caller's environment stays but the zone (-p: all of it). */
static void
set_environment(struct pm *p, bool keep)
{
	extern char **environ;
	const struct passwd *pw = getpwuid(getuid());
	const char *user = pw ? pw->pw_name : "nobody";
	const char *home = pw ? pw->pw_dir : "/";
	const char *tz = getenv("TZ");
	char host[256] = "localhost", path[1200];

	for (char **v = environ; keep && *v != NULL; v++) {
		struct span rest = span_of(*v), name;

		(void)span_split(&rest, '=', &name);
		free(map_put(p->env, name, mem_strdup(rest.p ? rest.p : "")));
	}
	(void)gethostname(host, sizeof(host) - 1);
	if (tz != NULL)
		pm_put(p, "TZ", tz);
	pm_put(p, "LOGNAME", user);
	pm_put(p, "USER", user);
	pm_put(p, "HOME", home);
	pm_put(p, "SHELL", pw && pw->pw_shell[0] ? pw->pw_shell : "/bin/sh");
	snprintf(path, sizeof(path), "%.1000s/bin:/usr/local/bin:/usr/bin:/bin",
		 home);
	pm_put(p, "PATH", path);
	pm_put(p, "SHELLMETAS", "&|<>~;?*[");
	pm_put(p, "SHELLFLAGS", "-c");
	pm_put(p, "SENDMAIL", "/usr/sbin/sendmail");
	pm_put(p, "SENDMAILFLAGS", "-oi");
	pm_put(p, "LOCKEXT", ".lock");
	pm_put(p, "MSGPREFIX", "msg.");
	pm_put(p, "HOST", host);
	pm_put(p, "COMSAT", "no");
	pm_put(p, "PROCMAIL_VERSION", "3.22");
	pm_put(p, "IFS", "");
	snprintf(path, sizeof(path), "/var/mail/%.200s", user);
	if (!p->mailfilter) {
		pm_put(p, "ORGMAIL", path);
		pm_put(p, "DEFAULT", path);
	}
}

/* The first rcfile says where paths begin: "./" stays where we are. */
static void
first_directory(struct pm *p, const char *rc)
{
	const char *dir = pm_get(p, "HOME");

	if (p->mailfilter || strncmp(rc, "./", 2) == 0 || rc[0] == '/')
		dir = ".";
	if (rc[0] == '/' && !p->mailfilter)
		dir = pm_get(p, "HOME");
	pm_put(p, "MAILDIR", dir);
	if (strcmp(dir, ".") != 0 && chdir(dir) != 0)
		pm_log(p, "Couldn't chdir to \"%s\"", dir);
}

/* LOGABSTRACT: the first line, the subject, the folder and the size. */
void
pm_abstract(struct pm *p)
{
	struct span all = buf_span(&p->mail), line;
	struct buf b = BUF_INIT, subject = BUF_INIT;
	const struct msg_field *f;
	struct span folder = span_of(pm_get(p, "LASTFOLDER"));
	struct msg m;
	size_t width;

	if (p->log < 0 || p->abstract_no)
		return;
	if (span_starts(all, SPAN("From "))) {
		struct span rest = all;

		(void)span_split(&rest, '\n', &line);
		buf_addf(&b, "%.*s\n", SPAN_ARG(line));
	}
	msg_index(&m, all, 0);
	f = msg_find(&m, "Subject", 0);
	if (f != NULL) {
		struct span rest = f->value, first = SPAN("");

		(void)span_split(&rest, '\n', &first);
		buf_addspan(&subject, span_trim(first));
		buf_addf(&b, " Subject: %.*s\n",
			 SPAN_ARG(span_sub(buf_span(&subject), 0, 78)));
	}
	msg_done(&m);
	width = b.n;
	buf_addf(&b, "  Folder: %.*s", SPAN_ARG(span_sub(folder, 0, 60)));
	for (width = b.n - width; width < 72; width = width / 8 * 8 + 8)
		buf_addc(&b, '\t');
	buf_addf(&b, "%7zu\n", p->written);
	(void)!write(p->log, b.p, b.n);
	buf_free(&b);
	buf_free(&subject);
}

static bool
deliver_to(struct pm *p, const char *name)
{
	const char *folder = pm_get(p, name);
	struct strs to = STRS_INIT;
	bool held, ok;
	char *lock;

	if (folder[0] == '\0')
		return false;
	lock = pm_folder_lock(p, folder);
	held = lock != NULL && pm_lock(p, lock);
	strs_add(&to, folder);
	ok = pm_folders(p, &to, buf_span(&p->mail), false);
	if (held)
		pm_unlock(p, lock);
	if (ok)
		pm_abstract(p);
	strs_free(&to);
	free(lock);
	return ok;
}

/* TRAP and EXITCODE.  "A positive value" counts (procmailrc(5)): a mail that is
 * nowhere never ends with 0. */
static int
finish(struct pm *p, int status)
{
	const int was = status;

	const char *trap = pm_get(p, "TRAP");
	bool set = pm_isset(p, "EXITCODE");
	const char *code = pm_get(p, "EXITCODE");
	struct buf out = BUF_INIT, text = BUF_INIT;
	int trapped = 0;
	int64_t v;

	if (!set) {
		buf_addf(&text, "%d", status);
		pm_put(p, "EXITCODE", buf_str(&text));
	}
	if (trap[0] != '\0') {
		struct pm_cmd c = { .line = trap,
				    .in = buf_span(&p->mail),
				    .out = &out,
				    .wait = true,
				    .ignore_write = true };

		trapped = pm_command(p, &c);
		if (out.n > 0)
			(void)!write(p->log >= 0 ? p->log : STDERR_FILENO,
				     out.p, out.n);
	}
	if (set && code[0] == '\0' && trap[0] != '\0')
		status = trapped < 0 ? ST_TEMPFAIL : trapped;
	else if (set && num_i64(span_of(code), 0, 255, &v))
		status = (int)v;
	if (status == ST_OK)
		status = was;
	if (p->lockfile != NULL)
		pm_unlock(p, p->lockfile);
	buf_free(&out);
	buf_free(&text);
	return status;
}

static void
done(struct pm *p)
{
	buf_free(&p->mail);
	map_free(p->env, free);
	strs_free(&p->args);
	for (size_t i = 0; i < p->nrc; i++) {
		free(p->rc[i].name);
		buf_free(&p->rc[i].text);
	}
	free(p->rc);
	free(p->block);
	free(p->lockfile);
	if (p->log >= 0)
		close(p->log);
}

/* NAME=VALUE arguments are assignments, the others rcfiles. */
static int
run_files(struct pm *p, int argc, char **argv)
{
	struct err e = ERR_INIT;
	bool any = false;

	for (int i = 0; i < argc && !p->done; i++) {
		struct span rest = span_of(argv[i]), name;
		char *n;

		(void)span_split(&rest, '=', &name);
		if (rest.p != NULL && span_chr(name, '/') < 0) {
			n = mem_spandup(name);
			pm_assign(p, n, rest.p);
			free(n);
			continue;
		}
		if (p->mailfilter && any)
			break;
		if (pm_push_rc(p, argv[i], &e) != 0) {
			pm_log(p, "%s", e.text);
			if (!any && i + 1 == argc)
				return -1;
			continue;
		}
		if (!any)
			first_directory(p, argv[i]);
		any = true;
		pm_run(p);
	}
	return 0;
}

/* Nobody but its owner may have written a user's file (THREATS 94): what is
 * doubtful waits, it is not passed over. */
static bool
rc_trusted(const char *path, uid_t owner, struct err *e)
{
	struct stat st;

	if (stat(path, &st) != 0) {
		err_sys(e, "%s", path);
	} else if (!S_ISREG(st.st_mode) ||
		   (st.st_uid != owner && st.st_uid != 0) ||
		   (st.st_mode & (S_IWGRP | S_IWOTH)) != 0) {
		err_set(e, ST_TEMPFAIL,
			"%s: it must be a file of its user that nobody else "
			"may write",
			path);
	} else {
		return true;
	}
	return false;
}

/* A home that is away now is not one without an rcfile. */
static bool
may_be_there(const char *path)
{
	return access(path, F_OK) == 0 || (errno != ENOENT && errno != ENOTDIR);
}

/* Without RCFILE: that of the system, then the user's, where they are. */
static int
run_default_files(struct pm *p)
{
	char *files[2] = { NULL, NULL };
	struct err e = ERR_INIT;
	int n = 0, r = 0;

	if (may_be_there("/etc/procmailrc"))
		files[n++] = mem_strdup("/etc/procmailrc");
	files[n] = mem_printf("%s/.procmailrc", pm_get(p, "HOME"));
	if (may_be_there(files[n]))
		n++;
	for (int i = 0; r == 0 && i < n; i++) {
		if (!rc_trusted(files[i], getuid(), &e)) {
			pm_log(p, "%s", e.text);
			r = -1;
		}
	}
	if (r == 0 && n == 0)
		first_directory(p, "/");
	if (r == 0)
		r = run_files(p, n, files);
	free(files[0]);
	free(files[1]);
	return r;
}

static int
run(struct pm *p, struct span mail, int argc, char **argv)
{
	int status = ST_OK;

	pm_set_mail(p, mail);
	if ((argc > 0 ? run_files(p, argc, argv) : run_default_files(p)) != 0) {
		if (p->lockfile != NULL)
			pm_unlock(p, p->lockfile);
		return ST_TEMPFAIL; /* the mail stays where it is */
	}
	if (!p->done && p->ended) {
		p->done = true;
		pm_abstract(p);
	}
	if (!p->done && p->mailfilter)
		p->done = !p->failed;
	if (!p->done && !p->mailfilter)
		p->done = deliver_to(p, "DEFAULT") || deliver_to(p, "ORGMAIL");
	if (!p->done && !p->delivered)
		status = ST_TEMPFAIL;
	return finish(p, status);
}

/* -f: a line "From SENDER DATE" on top, where there is none. */
static void
add_from_line(struct buf *b, const char *sender)
{
	time_t now = clock_now();
	struct tm tm;
	char date[64];

	localtime_r(&now, &tm);
	strftime(date, sizeof(date), "%a %b %e %H:%M:%S %Y", &tm);
	buf_addf(b, "From %s %s\n", sender, date);
}

static int
to_sieve(int argc, char **argv)
{
	struct err e = ERR_INIT;

	if (argc != 1)
		return prog_usage("procmail --to-sieve needs one RCFILE");
	return pm_to_sieve(argv[0], &e) == 0 ? ST_OK : prog_fail(&e);
}

int
cmd_procmail(int argc, char **argv)
{
	struct pm p = { .log = -1,
			.lastcond = false,
			.prevcond = false,
			.lastsucc = false,
			.mailfilter = opts.mailfilter };
	struct msg_load load;
	struct err e = ERR_INIT;
	struct buf mail = BUF_INIT;
	static bool lost; /* a kept filter that could not come back */
	int status, here;

	if (opts.to_sieve)
		return to_sieve(argc, argv);
	if (argc == 0 && opts.mailfilter)
		return prog_usage("procmail -m needs an RCFILE");
	if (lost) {
		err_set(&e, ST_TEMPFAIL, "the folder where it began is gone");
		return prog_fail(&e);
	}
	here = open(".", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (msg_load(&load, STDIN_FILENO, 0, &e) != 0) {
		close(here);
		return prog_fail(&e);
	}
	if (opts.from != NULL && msg_from_line(load.bytes) == 0)
		add_from_line(&mail,
			      opts.from[0] ? opts.from : "MAILER-DAEMON");
	buf_addspan(&mail, load.bytes);
	msg_unload(&load);
	signal(SIGPIPE, SIG_IGN);
	pm_signals();
	umask(077);
	p.env = map_new();
	set_environment(&p, opts.keep_environment);
	for (size_t i = 0; i < opts.args.n; i++)
		strs_add(&p.args, opts.args.v[i]);
	status = run(&p, buf_span(&mail), argc, argv);
	/* a clone has no business with the stream of a kept filter */
	if (p.clone)
		_exit(status);
	buf_free(&mail);
	done(&p);
	/* the next message of a kept filter begins where this one did */
	lost = here < 0 || fchdir(here) != 0;
	close(here);
	return status;
}
