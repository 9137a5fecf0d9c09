/*
 * procmail_lock.c - lock files: LOCKFILE's, and those of recipes.
 * procmailrc(5), "Local lockfile".  What is held is known by its whole path,
 * whatever MAILDIR becomes, and is gone when a signal ends us, too.
 */
#include "mem.h"
#include "procmail.h"
#include "status.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

/* LOCKFILE's, a recipe's, that of the default mailbox */
#define HELD_MAX 4
/* A larger file is somebody's mail, never a lock that is taken away. */
#define LOCK_BYTES 16

static struct {
	char *name; /* as the rcfile said it */
	char *volatile path;
} held[HELD_MAX];

static const int ends[] = { SIGTERM, SIGINT, SIGHUP };

static void
end(int sig)
{
	(void)sig;
	for (size_t i = 0; i < HELD_MAX; i++)
		if (held[i].path != NULL)
			(void)unlink(held[i].path);
	_exit(ST_TEMPFAIL);
}

void
pm_signals(void)
{
	struct sigaction sa = { .sa_handler = end };

	sigfillset(&sa.sa_mask);
	for (size_t i = 0; i < ARRAY_LEN(ends); i++)
		(void)sigaction(ends[i], &sa, NULL);
}

void
pm_hold_signals(bool hold)
{
	sigset_t set;

	sigemptyset(&set);
	for (size_t i = 0; i < ARRAY_LEN(ends); i++)
		sigaddset(&set, ends[i]);
	(void)sigprocmask(hold ? SIG_BLOCK : SIG_UNBLOCK, &set, NULL);
}

void
pm_forget_locks(void)
{
	for (size_t i = 0; i < HELD_MAX; i++) {
		char *path = held[i].path;

		held[i].path = NULL;
		free(path);
		free(held[i].name);
		held[i].name = NULL;
	}
}

static char *
whole_path(const char *name)
{
	char here[4096];

	if (name[0] == '/' || getcwd(here, sizeof(here)) == NULL)
		return mem_strdup(name);
	return mem_printf("%s/%s", here, name);
}

/* 1: made, 0: it is there, -1. */
static int
make(const char *name, const char *path)
{
	int fd, made = -1;

	pm_hold_signals(true);
	fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0444);
	if (fd >= 0) {
		(void)!write(fd, "0", 1);
		close(fd);
		made = 1;
	} else if (errno == EEXIST) {
		made = 0;
	}
	for (size_t i = 0; made == 1 && i < HELD_MAX; i++) {
		if (held[i].path != NULL)
			continue;
		held[i].name = mem_strdup(name);
		held[i].path = mem_strdup(path);
		break;
	}
	pm_hold_signals(false);
	return made;
}

static bool
is_stale(const char *path, int64_t after)
{
	struct stat st;

	return after > 0 && lstat(path, &st) == 0 && S_ISREG(st.st_mode) &&
	       st.st_size <= LOCK_BYTES &&
	       (int64_t)time(NULL) - st.st_mtime > after;
}

static bool
is_held(const char *path)
{
	for (size_t i = 0; i < HELD_MAX; i++)
		if (held[i].path != NULL && strcmp(held[i].path, path) == 0)
			return true;
	return false;
}

bool
pm_lock(struct pm *p, const char *name)
{
	int64_t nap = pm_number(p, "LOCKSLEEP", 8);
	int64_t stale = pm_number(p, "LOCKTIMEOUT", 1024);
	char *path = whole_path(name);
	int made = -1;

	/* our own would never go away */
	if (is_held(path)) {
		pm_log(p, "Deadlock attempted on \"%s\"", name);
		free(path);
		return false;
	}
	while ((made = make(name, path)) == 0) {
		if (is_stale(path, stale)) {
			pm_log(p, "Forcing lock on \"%s\"", name);
			(void)unlink(path);
			continue;
		}
		(void)usleep(nap > 0 ? (useconds_t)(nap * 1000000 / 4)
				     : 100000);
	}
	free(path);
	if (made < 0)
		pm_log(p, "Lock failure on \"%s\"", name);
	else
		pm_verbose(p, "Locking \"%s\"", name);
	return made > 0;
}

void
pm_unlock(struct pm *p, const char *name)
{
	pm_verbose(p, "Unlocking \"%s\"", name);
	for (size_t i = HELD_MAX; i-- > 0;) {
		char *path = held[i].path;

		if (path == NULL || strcmp(held[i].name, name) != 0)
			continue;
		pm_hold_signals(true);
		(void)unlink(path);
		held[i].path = NULL;
		pm_hold_signals(false);
		free(path);
		free(held[i].name);
		held[i].name = NULL;
		return;
	}
}

/* The lock of a folder or file: with LOCKEXT behind its name.  Without one it
 * would be the folder itself, which the end of the lock would delete. */
static char *
lock_of(struct pm *p, const char *folder)
{
	const char *ext =
	    pm_isset(p, "LOCKEXT") ? pm_get(p, "LOCKEXT") : ".lock";

	if (ext[0] != '\0')
		return mem_printf("%s%s", folder, ext);
	pm_log(p, "LOCKEXT is empty: \"%s\" is not locked", folder);
	return NULL;
}

char *
pm_folder_lock(struct pm *p, const char *folder)
{
	return strcmp(folder, "/dev/null") == 0 || !pm_is_file(folder)
		   ? NULL
		   : lock_of(p, folder);
}

/* A lock that is the folder itself: none. */
static char *
given_lock(struct pm *p, const char *lock, const char *line)
{
	struct span rest = span_ltrim(span_of(line));
	struct strs words = STRS_INIT;
	bool same = false;

	if (strchr("|!", line[0]) == NULL && strchr(line, '`') == NULL) {
		pm_expand(p, &rest, PM_WORDS, false, &words);
		same = words.n > 0 && strcmp(words.v[0], lock) == 0;
	}
	strs_free(&words);
	if (!same)
		return mem_strdup(lock);
	pm_log(p, "\"%s\" cannot be its own lockfile", lock);
	return NULL;
}

char *
pm_recipe_lock(struct pm *p, const struct pm_recipe *r, const char *line)
{
	const char *to = line, *more;
	struct strs words = STRS_INIT;
	struct span rest;
	char *name = NULL;

	if (!r->lock)
		return NULL;
	if (r->lockfile != NULL)
		return given_lock(p, r->lockfile, line);
	if (line[0] == '!')
		return NULL;
	if (line[0] == '|') {
		more = strstr(line, ">>");
		if (more == NULL)
			return NULL;
		to = more + 2;
	}
	rest = span_ltrim(span_of(to));
	pm_expand(p, &rest, PM_WORDS, false, &words);
	if (words.n > 0 && line[0] == '|' &&
	    strcmp(words.v[0], "/dev/null") != 0)
		name = lock_of(p, words.v[0]);
	else if (words.n > 0 && line[0] != '|')
		name = pm_folder_lock(p, words.v[0]);
	strs_free(&words);
	return name;
}
