/*
 * Unit tests of common/mailbox*.c: what an open mailbox does when the disk or
 * its folder fails it.  The rest is tested through mx-imapd and mx-pop3d.
 */
#include "log.h"
#include "mailbox.h"
#include "unit.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

static char dir[] = "/tmp/mx-unit-XXXXXX";
static int root;

static void
put(const char *name)
{
	int fd =
	    openat(root, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	CHECK(write(fd, "x\n", 2) == 2, "%s", name);
	close(fd);
}

static struct mailbox *
open_box(void)
{
	struct err e = ERR_INIT;
	struct mailbox *mb = mailbox_select(root, "INBOX", false, NULL, &e);

	CHECK(mb != NULL, "open: %s", e.text);
	return mb;
}

/* What is not in the log must not be taken for known by the next one. */
static void
test_full_disk(void)
{
	struct err e = ERR_INIT;
	struct mailbox *mb = open_box();
	struct rlimit was, full;
	struct stat st;

	put("new/2.M2P1.h,S=2");
	CHECK(mailbox_sync(mb, &e) == 0 && mb->n == 2, "two: %zu", mb->n);
	CHECK(fstatat(root, "mx-index", &st, 0) == 0, "an index");
	CHECK(mailbox_set_flags(mb, &mb->v[0], MAILDIR_SEEN, 0, &e) == 0,
	      "seen");
	getrlimit(RLIMIT_FSIZE, &was);
	full = was;
	full.rlim_cur = (rlim_t)st.st_size + 10;
	setrlimit(RLIMIT_FSIZE, &full);
	mailbox_commit(mb);
	setrlimit(RLIMIT_FSIZE, &was);
	/* the directory's time is settled when the session ends */
	usleep(1300000);
	CHECK(mailbox_sync(mb, &e) == 0, "sync");
	mailbox_close(mb);
	mb = open_box();
	CHECK(mb->n == 2 && (mb->v[0].flags & MAILDIR_SEEN),
	      "the next one knows what could not be written");
	mailbox_close(mb);
}

/* A folder that cannot be read: trouble, not a message that is gone. */
static void
test_trouble(void)
{
	struct err e = ERR_INIT;
	struct mailbox *mb = open_box();
	struct message *m = &mb->v[1];
	char now[300], later[310];

	snprintf(now, sizeof(now), "cur/%s", m->file);
	snprintf(later, sizeof(later), "%sF", now);
	CHECK(renameat(root, now, root, later) == 0, "renamed by another");
	CHECK(renameat(root, "new", root, "away") == 0, "new/ fails");
	put("new");
	errno = 0;
	CHECK(mailbox_open_message(mb, m) < 0 && errno == ENOTDIR && !m->gone,
	      "not opened: %s", strerror(errno));
	CHECK(mailbox_unlink(mb, m, 0, &e) != 0 && !m->gone,
	      "not removed, and said so: %s", e.text);
	CHECK(mailbox_set_flags(mb, m, MAILDIR_SEEN, 0, &e) != 0 && !m->gone,
	      "flags not set: %s", e.text);
	CHECK(unlinkat(root, "new", 0) == 0 &&
		  renameat(root, "away", root, "new") == 0,
	      "mended");
	CHECK(mailbox_unlink(mb, m, 0, &e) == 0 && m->gone, "removed: %s",
	      e.text);
	CHECK(faccessat(root, later, F_OK, 0) != 0, "it is");
	errno = 0;
	CHECK(mailbox_open_message(mb, m) < 0 && errno == ENOENT, "gone");
	mailbox_close(mb);
}

int
main(void)
{
	static const char *const subs[] = { "new", "cur", "tmp" };
	char command[100];

	if (mkdtemp(dir) == NULL)
		return 1;
	root = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	signal(SIGXFSZ, SIG_IGN);
	for (size_t i = 0; i < ARRAY_LEN(subs); i++)
		mkdirat(root, subs[i], 0700);
	put("new/1.M1P1.h,S=2");
	test_full_disk();
	test_trouble();
	snprintf(command, sizeof(command), "rm -r %s", dir);
	return system(command) != 0 ? 1 : unit_done();
}
