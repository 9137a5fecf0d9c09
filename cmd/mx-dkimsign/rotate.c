/*
 * rotate.c - mx-dkimsign --rotate: the next key made, its record printed, the
 * signer switched when every name server holds it, the old key retired by
 * date.  State in plain files:
 *	DIR/DOMAIN/keys		SELECTOR next|active|retired|gone YYYY-MM-DD
 *	DIR/DOMAIN/SELECTOR.private, SELECTOR.txt
 *	DIR/KeyTable, DIR/SigningTable	what signers read, OpenDKIM's too
 * RFC 6376 3.6.1, 6.1.2 (a key lives until its mail has arrived).
 */
#include "clock.h"
#include "date.h"
#include "dkimsign.h"
#include "io.h"
#include "mem.h"
#include "num.h"
#include "proc.h"
#include "site.h"
#include "status.h"

#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define KEYS_MAX 1000
#define TABLE_MAX (16u << 20)

enum key_state { KEY_NEXT, KEY_ACTIVE, KEY_RETIRED, KEY_GONE };
static const char *const state_words[] = { "next", "active", "retired",
					   "gone" };

struct key {
	char *selector;
	enum key_state state;
	int64_t since; /* days since 1970 */
};
struct rotation {
	const char *dir;
	char *folder; /* DIR/DOMAIN */
	char *file;   /* its keys */
	struct key *v;
	size_t n, cap;
	int64_t today;
};

static void
day_text(struct buf *b, int64_t day)
{
	struct date d;

	date_from_unix(&d, day * 86400, 0);
	buf_addf(b, "%04d-%02d-%02d", d.year, d.month, d.day);
}

static bool
day_parse(struct span s, int64_t *day)
{
	struct span part[3];
	int v[3];

	for (int i = 0; i < 3; i++)
		if (!span_split(&s, '-', &part[i]) ||
		    !num_int(part[i], 1, 9999, &v[i]))
			return false;
	if (s.p != NULL || v[1] > 12 || v[2] > 31)
		return false;
	*day = date_days(v[0], v[1], v[2]);
	return true;
}

static struct key *
add_key(struct rotation *r, struct span selector, enum key_state state,
	int64_t since)
{
	r->v = mem_grow(r->v, &r->cap, r->n + 1, sizeof(*r->v));
	r->v[r->n] = (struct key){ mem_spandup(selector), state, since };
	return &r->v[r->n++];
}

static int
load_line(struct rotation *r, struct span line, struct err *e)
{
	struct span word[3];
	int64_t since;

	for (int i = 0; i < 3; i++)
		if (!span_word(&line, " \t", &word[i]))
			return err_set(e, ST_CONFIG,
				       "expected SELECTOR STATE "
				       "YYYY-MM-DD");
	if (!day_parse(word[2], &since))
		return err_set(e, ST_CONFIG, "%.*s: expected YYYY-MM-DD",
			       SPAN_ARG(word[2]));
	for (int i = 0; i <= KEY_GONE; i++) {
		if (span_is(word[1], state_words[i]) && r->n < KEYS_MAX) {
			(void)add_key(r, word[0], (enum key_state)i, since);
			return 0;
		}
	}
	return err_set(e, ST_CONFIG,
		       "%.*s: expected next, active, retired or gone",
		       SPAN_ARG(word[1]));
}

static int
load_keys(struct rotation *r, struct err *e)
{
	struct buf b = BUF_INIT;
	struct span rest, line;
	int st = 0, number = 0;

	if (access(r->file, F_OK) != 0 && errno == ENOENT)
		return 0;
	if (io_read_file(r->file, &b, TABLE_MAX, e) != 0)
		return -1;
	rest = buf_span(&b);
	while (st == 0 && span_split(&rest, '\n', &line)) {
		number++;
		line = span_trim(line);
		if (line.n == 0 || line.p[0] == '#')
			continue;
		st = load_line(r, line, e);
		if (st != 0)
			err_prefix(e, "%s:%d", r->file, number);
	}
	buf_free(&b);
	return st;
}

/* Whole or not at all: written beside, synced, renamed over. */
static int
replace_file(const char *path, struct span text, struct err *e)
{
	char *tmp = mem_printf("%s.new", path);
	int fd = open(
	    tmp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0644);
	int st = 0;

	if (fd < 0)
		st = err_sys(e, "%s", tmp);
	else if (io_write(fd, text.p, text.n, DEADLINE_NEVER) != IO_OK ||
		 fsync(fd) != 0)
		st = err_sys(e, "%s", tmp);
	if (fd >= 0 && close(fd) != 0 && st == 0)
		st = err_sys(e, "%s", tmp);
	if (st == 0 && rename(tmp, path) != 0)
		st = err_sys(e, "%s", path);
	if (st != 0 && fd >= 0)
		(void)unlink(tmp);
	free(tmp);
	return st;
}

static int
save_keys(const struct rotation *r, struct err *e)
{
	struct buf b = BUF_INIT;
	int st;

	buf_adds(&b, "# SELECTOR STATE SINCE: kept by mx-dkimsign --rotate\n");
	for (size_t i = 0; i < r->n; i++) {
		buf_addf(&b, "%s %s ", r->v[i].selector,
			 state_words[r->v[i].state]);
		day_text(&b, r->v[i].since);
		buf_addc(&b, '\n');
	}
	st = replace_file(r->file, buf_span(&b), e);
	buf_free(&b);
	return st;
}

/* The table with the line of `name` replaced (or added at the end). */
static int
set_line(const char *path, const char *name, const char *value, struct err *e)
{
	struct buf old = BUF_INIT, new = BUF_INIT;
	struct span rest, line, word, copy;
	bool have = false;
	int st;

	if (access(path, F_OK) == 0 &&
	    io_read_file(path, &old, TABLE_MAX, e) != 0)
		return -1;
	rest = buf_span(&old);
	while (rest.n > 0 && span_split(&rest, '\n', &line)) {
		copy = line;
		if (span_word(&copy, " \t", &word) && span_iis(word, name)) {
			if (!have)
				buf_addf(&new, "%s %s\n", name, value);
			have = true;
			continue;
		}
		buf_addspan(&new, line);
		buf_addc(&new, '\n');
	}
	if (!have)
		buf_addf(&new, "%s %s\n", name, value);
	st = replace_file(path, buf_span(&new), e);
	buf_free(&old);
	buf_free(&new);
	return st;
}

/* From now on signers take this key. */
static int
switch_tables(const struct rotation *r, const struct key *k, struct err *e)
{
	char *keys = mem_printf("%s/KeyTable", r->dir);
	char *signing = mem_printf("%s/SigningTable", r->dir);
	char *who = mem_printf("*@%s", opts.domain);
	char *value = mem_printf("%s:%s:%s/%s.private", opts.domain,
				 k->selector, r->folder, k->selector);
	int st = set_line(keys, opts.domain, value, e);

	if (st == 0)
		st = set_line(signing, who, opts.domain, e);
	free(keys);
	free(signing);
	free(who);
	free(value);
	return st;
}

static struct key *
find_state(struct rotation *r, enum key_state state)
{
	for (size_t i = 0; i < r->n; i++)
		if (r->v[i].state == state)
			return &r->v[i];
	return NULL;
}

/* What mx-dnscheck says of all name servers: its status. */
static int
published(const struct rotation *r, const struct key *k, struct err *e)
{
	char *path = mem_printf("%s/%s.private", r->folder, k->selector);
	struct buf p = BUF_INIT;
	struct strs argv = STRS_INIT;
	enum dkim_alg alg;
	EVP_PKEY *key = dkim_load_key(path, &alg, e);
	int st = ST_CONFIG;

	free(path);
	if (key == NULL || dkim_public(key, &p, e) != 0)
		return ST_CONFIG;
	EVP_PKEY_free(key);
	strs_take(&argv, proc_sibling("mx-dnscheck"));
	strs_add(&argv, "dkimkey");
	strs_add(&argv, "--authoritative");
	if (prog.config_path != NULL)
		strs_addf(&argv, "--config=%s", prog.config_path);
	if (prog.resolver != NULL)
		strs_addf(&argv, "--resolver=%s", prog.resolver);
	if (opts.dns_port != NULL)
		strs_addf(&argv, "--dns-port=%s", opts.dns_port);
	strs_add(&argv, "--");
	strs_addf(&argv, "%s._domainkey.%s", k->selector, opts.domain);
	strs_add(&argv, buf_str(&p));
	struct proc_spec ps = { .argv = argv.v, .fd = { -1, -1, 2, -1 } };
	pid_t pid = proc_spawn(&ps, e);

	if (pid >= 0)
		st = proc_wait(pid, clock_deadline(120000), NULL);
	strs_free(&argv);
	buf_free(&p);
	return pid < 0 ? ST_OSERR : st;
}

static int
show_record(const struct rotation *r, const struct key *k, struct err *e)
{
	char *path = mem_printf("%s/%s.txt", r->folder, k->selector);
	struct buf b = BUF_INIT;
	int st = io_read_file(path, &b, 65536, e);

	if (st == 0)
		printf("%s", buf_str(&b));
	buf_free(&b);
	free(path);
	return st;
}

/* A name that is not taken: mxYYYYMMDD, then mxYYYYMMDDb ... */
static void
new_selector(const struct rotation *r, struct buf *name)
{
	struct buf day = BUF_INIT;
	char suffix = 'a';
	bool taken = true;
	char *path;

	day_text(&day, r->today);
	while (taken && suffix <= 'z') {
		buf_clear(name);
		buf_adds(name, "mx");
		for (size_t i = 0; i < day.n; i++)
			if (day.p[i] != '-')
				buf_addc(name, day.p[i]);
		if (suffix > 'a')
			buf_addc(name, suffix);
		taken = false;
		for (size_t i = 0; i < r->n; i++)
			taken |=
			    strcasecmp(r->v[i].selector, buf_str(name)) == 0;
		/* a key whose making was cut short is nobody's */
		path = mem_printf("%s/%s.private", r->folder, buf_str(name));
		taken |= access(path, F_OK) == 0;
		free(path);
		suffix++;
	}
	buf_free(&day);
}

/* Root makes keys, the signer reads them.  The folder is the signer's since the
 * first key: what stands there under the name may be a link to somebody else's
 * file, and only the file that was made just now is given away. */
static int
give_key(const struct rotation *r, const char *selector, struct err *e)
{
	char *path = mem_printf("%s/%s.private", r->folder, selector);
	struct passwd *pw = getuid() == 0 ? getpwnam(site.sign_user) : NULL;
	int fd, st = 0;
	struct stat sb;

	if (pw != NULL) {
		fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
		if (fd < 0 || fstat(fd, &sb) != 0)
			st = err_sys(e, "%s", path);
		else if (!S_ISREG(sb.st_mode) || sb.st_nlink != 1 ||
			 sb.st_uid != 0)
			st = err_set(e, ST_CONFIG,
				     "%s: not the file that was made: it is "
				     "not given to %s",
				     path, site.sign_user);
		else if (fchown(fd, pw->pw_uid, pw->pw_gid) != 0 ||
			 lchown(r->folder, pw->pw_uid, pw->pw_gid) != 0)
			st =
			    err_sys(e, "%s: chown to %s", path, site.sign_user);
		if (fd >= 0)
			close(fd);
	}
	free(path);
	return st;
}

static int
make_next(struct rotation *r, struct err *e)
{
	struct buf name = BUF_INIT;
	int st;

	new_selector(r, &name);
	st = genkey_make(r->folder, buf_str(&name), opts.domain, e);
	if (st == 0)
		st = give_key(r, buf_str(&name), e);
	if (st == 0) {
		(void)add_key(r, buf_span(&name), KEY_NEXT, r->today);
		st = save_keys(r, e);
	}
	if (st == 0)
		printf("; publish this record, then run --rotate again: the "
		       "key signs when every name server has it\n");
	buf_free(&name);
	return st;
}

/* The next key is everywhere: it signs, the one before it retires. */
static int
promote(struct rotation *r, struct key *next, struct err *e)
{
	struct key *old = find_state(r, KEY_ACTIVE);

	if (switch_tables(r, next, e) != 0)
		return -1;
	if (old != NULL) {
		old->state = KEY_RETIRED;
		old->since = r->today;
		printf("; %s no longer signs; its record must stay until its "
		       "mail has arrived\n",
		       old->selector);
	}
	next->state = KEY_ACTIVE;
	next->since = r->today;
	printf("; %s signs from now on\n", next->selector);
	return save_keys(r, e);
}

static int
retire(struct rotation *r, struct err *e)
{
	int64_t days = conf.dkim_retire_after / 86400000;

	for (size_t i = 0; i < r->n; i++) {
		struct key *k = &r->v[i];
		char *path;

		if (k->state != KEY_RETIRED || r->today < k->since + days)
			continue;
		k->state = KEY_GONE;
		k->since = r->today;
		if (save_keys(r, e) != 0)
			return -1;
		path = mem_printf("%s/%s.private", r->folder, k->selector);
		if (unlink(path) != 0 && errno != ENOENT)
			fprintf(stderr, "mx-dkimsign: %s: cannot be removed\n",
				path);
		free(path);
		printf("; %s is over; publish this in its place, or remove "
		       "it:\n%s._domainkey\tIN\tTXT\t\"v=DKIM1; p=\"\n",
		       k->selector, k->selector);
	}
	return 0;
}

/* 0 done, ST_NO waiting, else trouble. */
static int
wait_for_dns(struct rotation *r, struct key *next, struct err *e)
{
	int st = published(r, next, e);

	if (st == ST_OK)
		return promote(r, next, e) == 0 ? 0 : e->status;
	if (st == ST_CONFIG || st == ST_OSERR)
		return e->status;
	printf("; waiting: %s is not yet at every name server\n",
	       next->selector);
	if (show_record(r, next, e) != 0)
		return e->status;
	return st == ST_TEMPFAIL ? ST_TEMPFAIL : 0;
}

static int
step(struct rotation *r, struct err *e)
{
	struct key *next = find_state(r, KEY_NEXT);
	struct key *active = find_state(r, KEY_ACTIVE);
	int64_t days = conf.dkim_rotate_after / 86400000;
	int st = 0;

	if (retire(r, e) != 0)
		return e->status;
	if (next != NULL) {
		st = wait_for_dns(r, next, e);
	} else if (active != NULL && !opts.force &&
		   r->today < active->since + days) {
		printf("; %s signs for %lld days; the next key is due in %lld "
		       "(--force: now)\n",
		       active->selector, (long long)(r->today - active->since),
		       (long long)(active->since + days - r->today));
	} else if (make_next(r, e) != 0) {
		st = e->status;
	}
	return st;
}

static int
open_folder(struct rotation *r, struct err *e)
{
	static char *made;

	free(made);
	made = mem_printf("%s/dkim", site.data_directory);
	r->dir = opts.directory != NULL ? opts.directory : made;
	r->folder = mem_printf("%s/%s", r->dir, opts.domain);
	r->file = mem_printf("%s/keys", r->folder);
	if ((mkdir(r->dir, 0755) != 0 && errno != EEXIST) ||
	    (mkdir(r->folder, 0755) != 0 && errno != EEXIST))
		return err_sys(e, "%s", r->folder);
	return 0;
}

int
rotate(void)
{
	struct rotation r = { .today = clock_now() / 86400 };
	struct err e = ERR_INIT;
	int st;

	if (opts.domain == NULL || !sign_domain_ok(opts.domain))
		return prog_usage("--rotate needs -d DOMAIN");
	if (opts.selectors.n > 0 || opts.keys.n > 0)
		return prog_usage("--rotate names its keys itself: no -s, no "
				  "-k");
	st = open_folder(&r, &e) != 0 || load_keys(&r, &e) != 0 ? e.status : 0;
	if (st == 0)
		st = step(&r, &e);
	if (st == 0 && fflush(stdout) != 0)
		st = err_sys(&e, "standard output") != 0 ? ST_IOERR : 0;
	for (size_t i = 0; i < r.n; i++)
		free(r.v[i].selector);
	free(r.v);
	free(r.folder);
	free(r.file);
	if (st == 0 || e.text[0] == '\0') {
		(void)fflush(stdout);
		return st;
	}
	(void)fflush(stdout);
	e.status = st;
	return prog_fail(&e);
}
