/*
 * history.c - files of lines that one program appends to.
 * Layer: sys.
 */
#include "history.h"
#include "mem.h"
#include "status.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define TRIES 10

/* As root: a new file is its folder's owner's. */
static void
give_to_owner(const char *path, int fd)
{
	char *dir = mem_strdup(path), *slash = strrchr(dir, '/');
	struct stat st;

	if (slash != NULL)
		*slash = '\0';
	if (geteuid() == 0 && stat(slash != NULL ? dir : ".", &st) == 0)
		(void)!fchown(fd, st.st_uid, st.st_gid);
	free(dir);
}

int
history_open(const char *path, struct err *e)
{
	struct stat here, there;

	for (int i = 0; i < TRIES; i++) {
		int fd =
		    open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);

		if (fd < 0)
			return err_sys(e, "%s", path);
		/* it may just have been renamed: then it is not to be used */
		if (flock(fd, LOCK_SH) == 0 && fstat(fd, &here) == 0 &&
		    stat(path, &there) == 0 && here.st_ino == there.st_ino &&
		    here.st_dev == there.st_dev) {
			if (here.st_size == 0)
				give_to_owner(path, fd);
			if (here.st_size <= HISTORY_MAX)
				return fd;
			close(fd);
			return err_set(e, ST_TEMPFAIL,
				       "%s: full: nobody takes its lines",
				       path);
		}
		close(fd);
	}
	return err_set(e, ST_TEMPFAIL, "%s: cannot be locked", path);
}
