/*
 * verify_cache.c - what is known of addresses: below the folder of
 * address_verify_map a file each, "ADDRESS\nSTATUS:PROBED:UPDATED:DSN TEXT\n"
 * (Postfix's fields).  All of it may be deleted at any time.
 */
#include "verify.h"

#include "clock.h"
#include "crc32.h"
#include "escape.h"
#include "io.h"
#include "log.h"
#include "mem.h"
#include "num.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILE_MAX_BYTES 4096
#define SWEEP_S (12 * 3600)
#define TEXT_MAX 500

/* "btree:$data_directory/verify_cache": the folder; NULL: no cache. */
static const char *
folder(void)
{
	const char *colon = strchr(verify_conf.map, ':');
	const char *path = colon != NULL ? colon + 1 : verify_conf.map;
	static bool told;

	if (path[0] == '\0')
		return NULL;
	if (mkdir(path, 0700) == 0 || errno == EEXIST)
		return path;
	if (!told)
		log_warn("address_verify_map = %s: %s: each address is probed "
			 "anew",
			 verify_conf.map, strerror(errno));
	told = true;
	return NULL;
}

/* Two addresses of one name overwrite each other; the file tells whose it is.
 */
static char *
file_of(const char *addr, const char *more)
{
	const char *dir = folder();
	struct buf b = BUF_INIT;

	if (dir == NULL)
		return NULL;
	buf_addf(&b, "%s/%08x-", dir, crc32_add(0, addr, strlen(addr)));
	for (size_t i = 0; addr[i] != '\0' && i < 100; i++)
		buf_addc(&b, ascii_isalnum(addr[i]) || addr[i] == '@' ||
				     (addr[i] == '.' && i > 0)
				 ? addr[i]
				 : '_');
	buf_adds(&b, more);
	return buf_steal(&b);
}

/* Anything odd is no entry (law 7: it may be deleted, and edited, at any
 * time). */
static bool
parse(struct span all, const char *addr, struct verify_answer *a)
{
	struct span line, word;
	int state;

	if (!span_split(&all, '\n', &line) || !span_is(line, addr) ||
	    !span_split(&all, '\n', &line) || !span_split(&line, ':', &word) ||
	    !num_int(word, VERIFY_OK, VERIFY_BOUNCE, &state) ||
	    !span_split(&line, ':', &word) ||
	    !num_i64(word, 0, INT64_MAX / 1000, &a->probed) ||
	    !span_split(&line, ':', &word) ||
	    !num_i64(word, 0, INT64_MAX / 1000, &a->updated) ||
	    !span_word(&line, " ", &word) || word.n >= sizeof(a->dsn))
		return false;
	a->state = (enum verify_state)state;
	snprintf(a->dsn, sizeof(a->dsn), "%.*s", SPAN_ARG(word));
	buf_clear(&a->text);
	buf_addspan(&a->text, span_trim(line));
	return true;
}

bool
verify_load(const char *addr, struct verify_answer *a)
{
	char *path = file_of(addr, "");
	struct buf b = BUF_INIT;
	struct err e = ERR_INIT;
	bool ok = path != NULL &&
		  io_read_file(path, &b, FILE_MAX_BYTES, &e) == 0 &&
		  parse(buf_span(&b), addr, a);

	buf_free(&b);
	free(path);
	return ok;
}

void
verify_store(const char *addr, const struct verify_answer *a)
{
	char *path = file_of(addr, ""), *fresh = file_of(addr, ".new");
	struct buf b = BUF_INIT;
	bool ok = false;
	int fd = -1;

	if (path != NULL)
		fd = open(fresh,
			  O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW,
			  0600);
	if (fd >= 0) {
		buf_addf(&b, "%s\n%d:%lld:%lld:%s ", addr, (int)a->state,
			 (long long)a->probed, (long long)a->updated, a->dsn);
		escape_line(&b, buf_span(&a->text), TEXT_MAX);
		buf_addc(&b, '\n');
		ok = io_write(fd, b.p, b.n, DEADLINE_NEVER) == IO_OK;
		ok = io_close(&fd) == 0 && ok;
		ok = ok && rename(fresh, path) == 0;
	}
	if (path != NULL && !ok)
		log_warn("%s: %s: the answer is not kept", path,
			 strerror(errno));
	buf_free(&b);
	free(path);
	free(fresh);
}

/* -1: somebody probes this address now; -2: there is no place for locks, go on
 * without. */
int
verify_lock(const char *addr)
{
	char *path = file_of(addr, ".lock");
	int fd = -2;

	if (path != NULL)
		fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW,
			  0600);
	free(path);
	if (fd < 0)
		return -2;
	if (flock(fd, LOCK_EX | LOCK_NB) == 0)
		return fd;
	close(fd);
	return -1;
}

void
verify_unlock(const char *addr, int fd)
{
	char *path = file_of(addr, ".lock");

	if (path != NULL)
		(void)unlink(path);
	free(path);
	if (fd >= 0)
		close(fd);
}

void
verify_sweep(void)
{
	const char *dir = folder();
	time_t now = clock_now();
	struct dirent *d;
	struct stat st;
	DIR *h;
	int fd;

	if (dir == NULL || (h = opendir(dir)) == NULL)
		return;
	fd = dirfd(h);
	if (fstatat(fd, ".swept", &st, AT_SYMLINK_NOFOLLOW) == 0 &&
	    st.st_mtime <= now && now - st.st_mtime < SWEEP_S) {
		closedir(h);
		return;
	}
	fd =
	    openat(dirfd(h), ".swept",
		   O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd >= 0 && (futimens(fd, NULL) != 0 || close(fd) != 0))
		log_warn("%s/.swept: %s", dir, strerror(errno));
	while ((d = readdir(h)) != NULL) {
		if (d->d_name[0] == '.' ||
		    fstatat(dirfd(h), d->d_name, &st, AT_SYMLINK_NOFOLLOW) !=
			0 ||
		    !S_ISREG(st.st_mode) ||
		    now - st.st_mtime < verify_conf.positive_expire / 1000)
			continue;
		(void)unlinkat(dirfd(h), d->d_name, 0);
	}
	closedir(h);
}
