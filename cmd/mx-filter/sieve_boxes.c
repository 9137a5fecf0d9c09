/*
 * sieve_boxes.c - see sieve_boxes.h.
 */
#include "sieve_boxes.h"
#include "mailbox_name.h"
#include "metadata.h"
#include "strs.h"
#include "uidlist.h"

#include <dirent.h>
#include <fcntl.h>
#include <unistd.h>

static int
open_root(const struct sieve_run *r)
{
	return r->maildir == NULL || r->maildir[0] == '\0'
		   ? -1
		   : open(r->maildir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

/* The canonical name of one that the script gave. */
static bool
canonical(struct buf *b, const char *name)
{
	return mailbox_name_parse(b, span_of(name), true, NULL) == 0;
}

static int
open_box(const struct sieve_run *r, const char *name)
{
	struct buf b = BUF_INIT;
	int root = open_root(r), fd = -1;

	if (root >= 0 && canonical(&b, name))
		fd = mailbox_name_open(root, buf_span(&b));
	if (root >= 0)
		close(root);
	buf_free(&b);
	return fd;
}

bool
boxes_have(const struct sieve_run *r, const char *name)
{
	int fd = open_box(r, name);
	bool yes = fd >= 0 && faccessat(fd, "cur", W_OK, 0) == 0;

	if (fd >= 0)
		close(fd);
	return yes;
}

bool
boxes_annotation(const struct sieve_run *r, const char *mailbox,
		 const char *entry, struct buf *value)
{
	int fd = mailbox != NULL ? open_box(r, mailbox) : open_root(r);
	const struct metadata_entry *x = NULL;
	struct metadata m = { NULL, 0, 0 };
	struct err e = ERR_INIT;

	if (fd < 0)
		return false;
	if (metadata_read(
		&m, fd, mailbox != NULL ? METADATA_FILE : METADATA_SERVER_FILE,
		&e) == 0)
		x = metadata_find(&m, span_of(entry));
	if (x != NULL)
		buf_addspan(value, buf_span(&x->value));
	metadata_free(&m);
	close(fd);
	return x != NULL;
}

/* All mailboxes by canonical name, in one order for good, the inbox last. */
static void
list_boxes(int root, struct strs *names)
{
	int fd = openat(root, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
	struct buf name = BUF_INIT;
	struct dirent *d;

	if (dir == NULL) {
		if (fd >= 0)
			close(fd);
		return;
	}
	while ((d = readdir(dir)) != NULL) {
		buf_clear(&name);
		if (mailbox_name_of_folder(&name, span_of(d->d_name)))
			strs_addspan(names, buf_span(&name));
	}
	closedir(dir);
	strs_sort(names);
	strs_add(names, "INBOX");
	buf_free(&name);
}

static bool
has_use(int root, struct span box, const char *use)
{
	struct buf b = BUF_INIT;
	struct span rest, w;
	bool yes = false;

	metadata_use(&b, root, box);
	rest = buf_span(&b);
	while (span_word(&rest, " ", &w))
		yes |= span_iis(w, use);
	buf_free(&b);
	return yes;
}

static bool
has_id(int root, struct span box, const char *id)
{
	int fd = mailbox_name_open(root, box);
	struct buf b = BUF_INIT;
	bool yes;

	yes = fd >= 0 && uidlist_id_of(&b, fd) && span_is(buf_span(&b), id);
	if (fd >= 0)
		close(fd);
	buf_free(&b);
	return yes;
}

/* The first one of which fn says yes; "cur" tells a mailbox from a rest. */
static bool
first_box(const struct sieve_run *r, const char *what,
	  bool (*fn)(int root, struct span box, const char *what),
	  struct buf *name)
{
	struct strs names = STRS_INIT;
	int root = open_root(r);
	bool found = false;

	if (root < 0)
		return false;
	list_boxes(root, &names);
	for (size_t i = 0; !found && i < names.n; i++) {
		size_t was = name->n;

		found = fn(root, span_of(names.v[i]), what) &&
			mailbox_name_decode(name, span_of(names.v[i])) &&
			boxes_have(r, buf_str(name) + was);
		if (!found)
			buf_cut(name, was);
	}
	strs_free(&names);
	close(root);
	return found;
}

bool
boxes_have_use(const struct sieve_run *r, const char *mailbox, const char *use)
{
	struct buf b = BUF_INIT;
	int root;
	bool yes;

	if (mailbox == NULL) {
		yes = first_box(r, use, has_use, &b);
	} else {
		root = open_root(r);
		yes = root >= 0 && boxes_have(r, mailbox) &&
		      canonical(&b, mailbox) &&
		      has_use(root, buf_span(&b), use);
		if (root >= 0)
			close(root);
	}
	buf_free(&b);
	return yes;
}

bool
boxes_with_use(const struct sieve_run *r, const char *use, const char *wish,
	       struct buf *name)
{
	/* RFC 8579 4: the default mailbox, when it is one of several */
	if (boxes_have_use(r, wish, use)) {
		buf_adds(name, wish);
		return true;
	}
	return first_box(r, use, has_use, name);
}

bool
boxes_with_id(const struct sieve_run *r, const char *id, struct buf *name)
{
	return first_box(r, id, has_id, name);
}
