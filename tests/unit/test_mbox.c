/* Unit tests of common/mbox.c: quoting, separation, locks, traps. */
#include "mbox.h"
#include "status.h"
#include "unit.h"

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <signal.h>
#include <unistd.h>

static char root[] = "/tmp/test_mbox.XXXXXX", path[100], lock[110];

/* The content without From_ lines' dates: "From x  DATE" -> "From x". */
static const char *
content(void)
{
	static char all[2000], out[2000];
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = read(fd, all, sizeof(all) - 1);
	char *o = out;

	close(fd);
	all[n < 0 ? 0 : n] = '\0';
	for (char *p = all; *p != '\0'; p++) {
		if (strncmp(p, "  ", 2) == 0 && strchr(p, '\n') - p == 26)
			p = strchr(p, '\n');
		*o++ = *p;
	}
	*o = '\0';
	return out;
}

static const struct {
	const char *before, *msg, *after;
} cases[] = {
	{ "", "a: b\n\nc\n", "From me\na: b\n\nc\n\n" },
	{ "", "c", "From me\nc\n\n" },
	{ "", "x\r\n\r\ny\r\n", "From me\nx\n\ny\n\n" },
	{ "", "x\ry\r", "From me\nx\ry\r\n\n" },
	{ "", "x\n\nFrom a\n>From b\n>>From c\n",
	  "From me\nx\n\n>From a\n"
	  ">>From b\n>>>From c\n\n" },
	{ "", "x\n\nFrom\nFro\n> From z\n F",
	  "From me\nx\n\nFrom\nFro\n> From "
	  "z\n F\n\n" },
	{ "", "x\n\nFrom ", "From me\nx\n\n>From \n\n" },
	{ "", "x\n\nFrom", "From me\nx\n\nFrom\n\n" },
	{ "old\n\n", "m\n", "old\n\nFrom me\nm\n\n" },
	{ "old\n", "m\n", "old\n\nFrom me\nm\n\n" },
	{ "old", "m\n", "old\n\nFrom me\nm\n\n" },
	{ "o", "m\n", "o\n\nFrom me\nm\n\n" },
};

static void
put_file(const char *text)
{
	FILE *f = fopen(path, "w");
	fputs(text, f);
	fclose(f);
}

static void
one_case(size_t i, size_t step)
{
	struct err e = ERR_INIT;

	put_file(cases[i].before);
	struct mbox *m = mbox_open(path, "me", clock_deadline(2000), &e);
	CHECK(m != NULL, "%zu open %s", i, e.text);
	CHECK(access(lock, F_OK) == 0, "%zu dot lock", i);
	for (const char *p = cases[i].msg; *p != '\0';) {
		size_t n = strlen(p) < step ? strlen(p) : step;
		CHECK(mbox_write(m, p, n, &e) == 0, "%zu write", i);
		p += n;
	}
	CHECK(mbox_commit(&m, &e) == 0, "%zu commit %s", i, e.text);
	CHECK(strcmp(content(), cases[i].after) == 0, "%zu content", i);
	CHECK(access(lock, F_OK) != 0, "%zu unlocked", i);
}

static void
failures(void)
{
	struct err e = ERR_INIT;
	char big[3000];
	struct rlimit was, rl = { 100, RLIM_INFINITY };

	put_file("old\n\n");
	memset(big, 'x', sizeof(big));
	getrlimit(RLIMIT_FSIZE, &was);
	signal(SIGXFSZ, SIG_IGN);
	struct mbox *m = mbox_open(path, "", clock_deadline(2000), &e);
	setrlimit(RLIMIT_FSIZE, &rl);
	CHECK(mbox_write(m, big, sizeof(big), &e) == 0, "gathered");
	CHECK(mbox_commit(&m, &e) == -1 && status_is_temp(e.status),
	      "too large: %s", e.text);
	setrlimit(RLIMIT_FSIZE, &was);
	CHECK(m == NULL, "gone");
	CHECK(strcmp(content(), "old\n\n") == 0, "cut back");
	m = mbox_open(path, "", clock_deadline(2000), &e);
	CHECK(mbox_write(m, "x\n", 2, &e) == 0, "write");
	mbox_abort(&m);
	CHECK(strcmp(content(), "old\n\n") == 0, "aborted");
	m = mbox_open(path, "", clock_deadline(2000), &e);
	CHECK(mbox_open(path, "", clock_deadline(300), &e) == NULL &&
		  e.status == ST_TEMPFAIL,
	      "locked: %s", e.text);
	mbox_abort(&m);
	FILE *f = fopen(lock, "w");
	fclose(f);
	CHECK(mbox_open(path, "", clock_deadline(300), &e) == NULL &&
		  e.status == ST_TEMPFAIL && strstr(e.text, ".lock") != NULL,
	      "dot lock: %s", e.text);
	unlink(lock);
	/* a hard link, a symbolic link, a FIFO, a directory */
	char other[120];
	snprintf(other, sizeof(other), "%s.other", path);
	CHECK(link(path, other) == 0 &&
		  mbox_open(path, "", clock_deadline(300), &e) == NULL,
	      "two names: %s", e.text);
	unlink(path);
	CHECK(symlink(other, path) == 0 &&
		  mbox_open(path, "", clock_deadline(300), &e) == NULL,
	      "symlink: %s", e.text);
	unlink(path);
	CHECK(mkfifo(path, 0600) == 0 &&
		  mbox_open(path, "", clock_deadline(300), &e) == NULL,
	      "fifo: %s", e.text);
	unlink(path);
	m = mbox_open(path, NULL, clock_deadline(2000), &e);
	CHECK(m != NULL && mbox_write(m, "x", 1, &e) == 0 &&
		  mbox_commit(&m, &e) == 0,
	      "made");
	CHECK(strcmp(content(), "From MAILER-DAEMON\nx\n\n") == 0,
	      "null sender");
	struct stat st;
	CHECK(stat(path, &st) == 0 && (st.st_mode & 0777) == 0600, "mode");
}

int
main(void)
{
	char cmd[100];

	if (mkdtemp(root) == NULL)
		return 1;
	snprintf(path, sizeof(path), "%s/box", root);
	snprintf(lock, sizeof(lock), "%s/box.lock", root);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		one_case(i, 1);
		one_case(i, 3);
		one_case(i, 1000);
	}
	failures();
	snprintf(cmd, sizeof(cmd), "rm -r %s", root);
	CHECK(system(cmd) == 0, "cleaned");
	return unit_done();
}
