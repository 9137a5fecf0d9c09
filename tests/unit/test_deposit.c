/* Unit tests of common/deposit.c: bytes, names, modes, what is left behind. */
#include "deposit.h"
#include "status.h"
#include "unit.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/resource.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

static char root[] = "/tmp/test_deposit.XXXXXX";
static char path[300], name[600];

/* The library's own calls come through here: counted, or made to fail. */
static int fsyncs, close_fails, bad_closes;

int
fsync(int fd)
{
	fsyncs++;
	return (int)syscall(SYS_fsync, fd);
}

int
close(int fd)
{
	int r = (int)syscall(SYS_close, fd);

	bad_closes += r != 0;
	if (close_fails == 0 || --close_fails > 0)
		return r;
	errno = EIO;
	return -1;
}

static int
count(const char *sub)
{
	int n = 0;
	snprintf(name, sizeof(name), "%s/%s", path, sub);
	DIR *dir = opendir(name);
	for (struct dirent *de; dir != NULL && (de = readdir(dir)) != NULL;)
		n += de->d_name[0] != '.';
	if (dir != NULL)
		closedir(dir);
	return n;
}

static const struct {
	const char *bytes;
	size_t n;
	unsigned vsize;
} cases[] = {
	{ "a\nb\n", 4, 6 }, { "a\r\nb\n", 5, 6 }, { "nul\0\n", 5, 6 },
	{ "", 0, 0 },       { "no end", 6, 6 },   { "\n\n\r\n\n", 5, 8 },
};

static void
one_case(int dirfd, size_t i, size_t step)
{
	struct deposit d;
	struct err e = ERR_INIT;
	char back[64], want[100];

	CHECK(deposit_open(&d, dirfd, DEPOSIT_AUTO, &e) == 0, "%zu open", i);
	for (size_t at = 0; at < cases[i].n; at += step) {
		size_t n = cases[i].n - at < step ? cases[i].n - at : step;
		CHECK(deposit_write(&d, cases[i].bytes + at, n, &e) == 0,
		      "%zu write", i);
	}
	CHECK(deposit_commit(&d, NULL, &e) == 0, "%zu commit %s", i, e.text);
	snprintf(want, sizeof(want), ",S=%zu,W=%u", cases[i].n, cases[i].vsize);
	CHECK(strncmp(d.place, "new/", 4) == 0 &&
		  strcmp(strchr(d.place, ','), want) == 0,
	      "%zu name %s", i, d.place);
	int fd = openat(dirfd, d.place, O_RDONLY | O_CLOEXEC);
	CHECK(read(fd, back, sizeof(back)) == (ssize_t)cases[i].n &&
		  memcmp(back, cases[i].bytes, cases[i].n) == 0,
	      "%zu bytes", i);
	close(fd);
	deposit_undo(&d);
	CHECK(count("new") == 0 && count("tmp") == 0, "%zu undone", i);
}

static void
large_and_limit(int dirfd)
{
	static char big[200000];
	struct deposit d;
	struct err e = ERR_INIT;
	struct stat st;

	memset(big, 'x', sizeof(big));
	big[99] = '\n';
	CHECK(deposit_open(&d, dirfd, DEPOSIT_BOTH, &e) == 0, "big open");
	CHECK(deposit_write(&d, "1", 1, &e) == 0, "one");
	CHECK(deposit_write(&d, big, sizeof(big), &e) == 0, "big");
	CHECK(deposit_write(&d, "2", 1, &e) == 0, "one more");
	CHECK(deposit_commit(&d, "S", &e) == 0, "commit %s", e.text);
	CHECK(strstr(d.place, ":2,S") != NULL, "flags %s", d.place);
	CHECK(fstatat(dirfd, d.place, &st, 0) == 0 &&
		  st.st_size == sizeof(big) + 2 && (st.st_mode & 0777) == 0600,
	      "size and mode");
	deposit_undo(&d);

	/* a write that fails: temporary, nothing left behind */
	struct rlimit rl = { 1000, RLIM_INFINITY };
	struct rlimit was;
	signal(SIGXFSZ, SIG_IGN);
	getrlimit(RLIMIT_FSIZE, &was);
	setrlimit(RLIMIT_FSIZE, &rl);
	CHECK(deposit_open(&d, dirfd, DEPOSIT_AUTO, &e) == 0, "limit open");
	CHECK(deposit_write(&d, big, 2000, &e) == 0, "gathered");
	CHECK(deposit_commit(&d, NULL, &e) == -1, "commit fails");
	CHECK(status_is_temp(e.status), "temporary, %d %s", e.status, e.text);
	setrlimit(RLIMIT_FSIZE, &was);
	CHECK(count("new") == 0 && count("tmp") == 0 && count("cur") == 0,
	      "nothing left");
	CHECK(d.fd == -1, "closed");
}

static void
many(int dirfd)
{
	struct deposit d;
	struct err e = ERR_INIT;
	char p[600];

	snprintf(p, sizeof(p), "%s/.Sub", path);
	int sub = deposit_maildir_open(p, &e);
	struct deposit_place at[] = { { sub, "FS" }, { dirfd, NULL } };
	CHECK(deposit_open(&d, dirfd, DEPOSIT_BOTH, &e) == 0 &&
		  deposit_write(&d, "x\n", 2, &e) == 0 &&
		  deposit_commit_many(&d, at, 2, &e) == 0,
	      "two places %s", e.text);
	CHECK(count("new") == 1 && count("tmp") == 0 && count(".Sub/cur") == 1,
	      "both there");
	snprintf(p, sizeof(p),
		 "cd %s && [ $(cat new/* .Sub/cur/*:2,FS | wc -l) = 2 ] && "
		 "rm new/* .Sub/cur/*",
		 path);
	CHECK(system(p) == 0, "content and flags");
	/* the second place fails: the first is taken back */
	at[1].dirfd = -1;
	CHECK(deposit_open(&d, dirfd, DEPOSIT_BOTH, &e) == 0 &&
		  deposit_commit_many(&d, at, 2, &e) == -1,
	      "fails");
	CHECK(count("new") == 0 && count("tmp") == 0 && count(".Sub/cur") == 0,
	      "all taken back");
	/* close(2) tells of a failure: told on, and not closed twice */
	at[1].dirfd = dirfd;
	CHECK(deposit_open(&d, dirfd, DEPOSIT_FILE, &e) == 0, "open");
	close_fails = 1;
	bad_closes = 0;
	CHECK(deposit_commit_many(&d, at, 2, &e) == -1, "close fails");
	CHECK(bad_closes == 0, "closed once");
	CHECK(count("new") == 0 && count("tmp") == 0 && count(".Sub/cur") == 0,
	      "taken back");
	close(sub);
}

static void
folders(void)
{
	struct err e = ERR_INIT;
	char p[600], q[700];
	int fd;

	snprintf(p, sizeof(p), "%s/deep/er/Maildir/.Sub/", root);
	fsyncs = 0;
	fd = deposit_maildir_open(p, &e);
	CHECK(fd >= 0, "parents made: %s", e.text);
	/* deep, er, Maildir in the directories above them, .Sub in Maildir,
	 * and .Sub itself */
	CHECK(fsyncs == 5, "each name made is synced: %d", fsyncs);
	CHECK(faccessat(fd, "maildirfolder", F_OK, 0) == 0, "marked");
	close(fd);
	snprintf(q, sizeof(q), "%s/link", root);
	CHECK(symlink(p, q) == 0 && deposit_maildir_open(q, &e) == -1,
	      "no link");
	strcat(q, "/");
	CHECK(deposit_maildir_open(q, &e) == -1, "no link with a slash");
	snprintf(q, sizeof(q), "%s/file", root);
	fd = open(q, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
	close(fd);
	CHECK(deposit_maildir_open(q, &e) == -1 && strstr(e.text, q) != NULL,
	      "no file: %s", e.text);
}

/* One attempt of a delivery: 0, and the bytes of the one file that is there. */
static void
attempt(int dirfd, const char *bytes, bool look)
{
	struct deposit d;
	struct err e = ERR_INIT;
	char back[16] = "";

	CHECK(deposit_open(&d, dirfd, DEPOSIT_AUTO, &e) == 0 &&
		  deposit_write(&d, bytes, strlen(bytes), &e) == 0,
	      "once: written %s", e.text);
	CHECK(((look && deposit_there(&d, "1.M2IqR3")) ||
	       deposit_put_once(&d, "1.M2IqR3", &e) == 0) &&
		  count("tmp") == 0,
	      "once: put %s", e.text);
	fsyncs = 0;
	CHECK(deposit_durable(&d, &e) == 0 && fsyncs == 1, "once: %s", e.text);
	CHECK(strncmp(d.place, "new/1.M2IqR3.", 13) == 0 &&
		  strstr(d.place, ",S=3,W=4") != NULL,
	      "once: name %s", d.place);
	int fd = openat(dirfd, d.place, O_RDONLY | O_CLOEXEC);
	CHECK(read(fd, back, sizeof(back)) == 3 && strcmp(back, bytes) == 0,
	      "once: bytes %s", back);
	close(fd);
	deposit_abort(&d);
}

static void
once(int dirfd)
{
	char full[600];
	int had = count("new");

	attempt(dirfd, "ab\n", true);
	attempt(dirfd, "ab\n", true);
	attempt(dirfd, "ab\n", false);
	CHECK(count("new") == had + 1, "once: %d", count("new"));
	snprintf(name, sizeof(name), "ls %s/new/1.M2IqR3*", path);
	FILE *ls = popen(name, "r");
	CHECK(fgets(full, sizeof(full), ls) != NULL, "once: there");
	pclose(ls);
	full[strcspn(full, "\n")] = '\0';
	/* what a power cut left: too short, or the length without the bytes; a
	 * link elsewhere */
	CHECK(truncate(full, 1) == 0, "truncated");
	attempt(dirfd, "ab\n", true);
	for (int look = 0; look < 2; look++) {
		CHECK(truncate(full, 0) == 0 && truncate(full, 3) == 0,
		      "zeros");
		attempt(dirfd, "ab\n", look == 1);
	}
	CHECK(unlink(full) == 0 && symlink("/etc/passwd", full) == 0, "link");
	attempt(dirfd, "ab\n", false);
	CHECK(count("new") == had + 1, "once: %d", count("new"));
}

int
main(void)
{
	struct err e = ERR_INIT;
	struct deposit d;

	if (mkdtemp(root) == NULL)
		return 1;
	snprintf(path, sizeof(path), "%s/Maildir", root);
	int dirfd = deposit_maildir_open(path, &e);
	CHECK(dirfd >= 0, "made %s", e.text);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		one_case(dirfd, i, 1);
		one_case(dirfd, i, 100);
	}
	large_and_limit(dirfd);
	CHECK(deposit_open(&d, dirfd, DEPOSIT_AUTO, &e) == 0, "open");
	CHECK(count("tmp") == 1, "in tmp");
	deposit_abort(&d);
	CHECK(count("tmp") == 0, "aborted");
	CHECK(deposit_open(&d, dirfd, DEPOSIT_AUTO, &e) == 0 &&
		  deposit_commit_as(&d, "queue-7", &e) == 0,
	      "as %s", e.text);
	CHECK(faccessat(dirfd, "queue-7", F_OK, 0) == 0, "named");
	deposit_abort(&d);
	CHECK(faccessat(dirfd, "queue-7", F_OK, 0) == 0, "abort is harmless");
	many(dirfd);
	once(dirfd);
	folders();
	close(dirfd);
	snprintf(name, sizeof(name), "rm -r %s", root);
	CHECK(system(name) == 0, "cleaned");
	return unit_done();
}
