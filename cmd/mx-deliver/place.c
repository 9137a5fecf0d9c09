/*
 * place.c - folders of a mailbox, their keywords and subscriptions.
 * Maildir++; Dovecot's dovecot-keywords: a file is only added to new/ or cur/,
 * no lock is taken but for a keyword that the folder never had.
 */
#include "place.h"
#include "deposit.h"
#include "io.h"
#include "keywords.h"
#include "log.h"
#include "mailbox_name.h"
#include "mem.h"
#include "metadata.h"
#include "status.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void
places_add(struct places *p, struct span folder, const char *flags, bool create,
	   bool subscribe)
{
	p->v = mem_grow(p->v, &p->cap, p->n + 1, sizeof(*p->v));
	p->v[p->n++] = (struct place){
		.folder = mem_spandup(folder),
		.flags = flags != NULL ? mem_strdup(flags) : NULL,
		.create = create,
		.subscribe = subscribe,
	};
}

void
places_free(struct places *p)
{
	for (size_t i = 0; i < p->n; i++) {
		free(p->v[i].folder);
		free(p->v[i].flags);
		free(p->v[i].use);
		strs_free(&p->v[i].keywords);
	}
	free(p->v);
	*p = (struct places){ NULL, 0, 0 };
}

/* RFC 8579 4.1; without it the folder is as good. */
static void
assign_use(int fd, const struct place *p)
{
	struct metadata m = { NULL, 0, 0 };
	struct err e = ERR_INIT;

	if (p->use == NULL)
		return;
	buf_adds(&metadata_add(&m, SPAN("/private/specialuse"))->value, p->use);
	if (metadata_change(fd, METADATA_FILE, &m, &e) != 0)
		log_warn("folder %s: its special use: %s", p->folder, e.text);
	metadata_free(&m);
}

/* A folder below the mailbox; made when asked for. */
int
place_open(const struct place *p, int dirfd, const char *maildir, struct err *e)
{
	const int flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
	struct buf name = BUF_INIT, path = BUF_INIT;
	int fd = -1;

	if (p->folder[0] == '\0' || span_iis(span_of(p->folder), "INBOX")) {
		fd = openat(dirfd, ".", flags);
		if (fd < 0)
			err_sys(e, "%s", maildir);
		return fd;
	}
	if (!mailbox_name_to_disk(&name, span_of(p->folder))) {
		err_set(e, ST_DATA, "\"%s\" is no mailbox name", p->folder);
	} else {
		fd = openat(dirfd, buf_str(&name), flags);
		if (fd < 0 && errno == ENOENT && p->create) {
			buf_addf(&path, "%s/%s", maildir, buf_str(&name));
			fd = deposit_maildir_open(buf_str(&path), e);
			if (fd >= 0)
				assign_use(fd, p);
		} else if (fd < 0) {
			err_sys(e, "%s: folder %s", maildir, p->folder);
		}
	}
	buf_free(&name);
	buf_free(&path);
	return fd;
}

/* One line more in Dovecot's file; a subscription that cannot be written is
 * no reason to hold mail back. */
void
place_subscribe(int dirfd, const char *folder)
{
	const int flags = O_RDWR | O_CREAT | O_APPEND | O_NOFOLLOW | O_CLOEXEC;
	int fd = openat(dirfd, "subscriptions", flags, 0600);
	struct buf b = BUF_INIT, line = BUF_INIT;
	struct span rest, have;
	bool there = false;

	if (fd < 0)
		return;
	if (io_read_all(fd, &b, 1 << 20, DEADLINE_NEVER) == IO_OK &&
	    mailbox_name_to_disk(&line, span_of(folder))) {
		rest = buf_span(&b);
		/* without the leading dot of the folder's name */
		buf_shift(&line, 1);
		while (span_split(&rest, '\n', &have))
			there = there || span_eq(have, buf_span(&line));
		buf_addc(&line, '\n');
		/* The mail is safe in any case. */
		if (!there && !span_has_ctl(span_of(folder)) &&
		    io_write(fd, line.p, line.n, DEADLINE_NEVER) != IO_OK)
			log_warn("%s: not subscribed: %s", folder,
				 strerror(errno));
	}
	close(fd);
	buf_free(&b);
	buf_free(&line);
}

static int
by_letter(const void *a, const void *b)
{
	return *(const char *)a - *(const char *)b;
}

char *
place_letters(const struct place *p, int dirfd)
{
	struct keywords k = { { NULL } };
	struct buf b = BUF_INIT;
	struct err e = ERR_INIT;
	int known = p->keywords.n > 0 ? keywords_read(&k, dirfd, &e) : 0;

	if (p->flags != NULL)
		buf_adds(&b, p->flags);
	for (size_t i = 0; i < p->keywords.n && known == 0; i++) {
		struct span name = span_of(p->keywords.v[i]);
		int at = keywords_add(&k, dirfd, name, &e);
		char letter = (char)('a' + at);

		if (at < 0)
			log_warn(
			    "keyword %s is not stored: %s", p->keywords.v[i],
			    at == -2 ? "all 26 letters are taken" : e.text);
		else if (span_chr(buf_span(&b), letter) < 0)
			buf_addc(&b, letter);
	}
	if (known != 0)
		log_warn("keywords are not stored: %s", e.text);
	keywords_free(&k);
	if (b.n == 0 && p->flags == NULL) {
		buf_free(&b);
		return NULL;
	}
	qsort(b.p, b.n, 1, by_letter);
	return buf_steal(&b);
}
