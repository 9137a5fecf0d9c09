/*
 * cmd_manage.c - CREATE, DELETE, RENAME, SUBSCRIBE, UNSUBSCRIBE.
 * RFC 3501 6.3.3 to 6.3.7.  DELETE keeps the subscription and the children;
 * RENAME keeps UIDs and their validity, of children too.
 */
#include "cmd.h"
#include "deposit.h"
#include "log.h"
#include "mailbox_name.h"
#include "maildirsize.h"
#include "mem.h"
#include "metadata.h"
#include "random.h"
#include "status.h"
#include "strs.h"
#include "subscriptions.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static bool
exists(struct session *s, struct span name)
{
	int fd = mailbox_name_open(s->root, name);

	if (fd < 0)
		return false;
	close(fd);
	return true;
}

/* With all that a mailbox needs: a crash may have left one half made, and
 * CREATE finishes that. */
static bool
whole(struct session *s, struct span name)
{
	int fd = mailbox_name_open(s->root, name);
	bool ok = fd >= 0 && faccessat(fd, "cur", F_OK, 0) == 0;

	if (fd >= 0)
		close(fd);
	return ok;
}

static struct result
create(struct session *s, const struct buf *own)
{
	struct buf path = BUF_INIT;
	struct span name = buf_span(own);
	struct err e = ERR_INIT;
	struct mailbox *mb;
	struct result r;
	int fd;

	if (whole(s, name))
		return result_no("ALREADYEXISTS", "Mailbox already exists");
	buf_addf(&path, "%s/", s->root_path);
	mailbox_name_folder(&path, name);
	fd = deposit_maildir_open(buf_str(&path), &e);
	buf_free(&path);
	if (fd < 0)
		return result_err(s, &e);
	close(fd);
	mb = mailbox_select(s->root, buf_str(own), true, NULL, &e);
	if (mb != NULL) {
		buf_clear(&s->code);
		buf_adds(&s->code, "MAILBOXID (");
		mailbox_id(&s->code, mb);
		buf_addc(&s->code, ')');
	}
	r = RESULT(RESULT_OK, mb != NULL ? buf_str(&s->code) : NULL,
		   "Create completed");
	mailbox_close(mb);
	return r;
}

/* RFC 6154 3: " (USE (\\Sent \\Drafts))" */
static bool
parse_use(struct parse *p, struct buf *use)
{
	struct span word;

	if (!parse_sp(p) || !parse_char(p, '(') || !parse_word(p, "USE") ||
	    !parse_sp(p) || !parse_char(p, '('))
		return false;
	while (parse_peek(p) != ')') {
		if (!parse_flag(p, &word))
			return false;
		if (use->n > 0)
			buf_addc(use, ' ');
		buf_addspan(use, word);
		if (parse_peek(p) != ')' && !parse_sp(p))
			return false;
	}
	if (!parse_char(p, ')'))
		return false;
	return parse_char(p, ')');
}

bool
special_use_known(struct span use)
{
	static const char *const words[] = { "\\Archive", "\\Drafts", "\\Junk",
					     "\\Sent", "\\Trash" };
	struct span word;

	while (span_word(&use, " ", &word)) {
		bool known = false;

		for (size_t i = 0; i < ARRAY_LEN(words); i++)
			known = known || span_iis(word, words[i]);
		if (!known)
			return false;
	}
	return true;
}

static int
set_use(struct session *s, struct span name, const struct buf *use,
	struct err *e)
{
	struct metadata m = { NULL, 0, 0 };
	int fd = mailbox_name_open(s->root, name), r;

	if (fd < 0)
		return err_sys(e, "special use");
	buf_addspan(&metadata_add(&m, SPAN("/private/specialuse"))->value,
		    buf_span(use));
	r = metadata_change(fd, METADATA_FILE, &m, e);
	metadata_free(&m);
	close(fd);
	return r;
}

/* The one argument of a command. */
static bool
only_mailbox(struct session *s, struct buf *name, struct result *r)
{
	if (!parse_sp(&s->p)) {
		*r = result_bad(s);
		return false;
	}
	if (!arg_mailbox(s, name, r))
		return false;
	if (parse_end(&s->p))
		return true;
	*r = result_bad(s);
	return false;
}

/* Removes the files of one directory; true when it is empty then. */
static bool
remove_files(int fd)
{
	DIR *dir = fdopendir(fd);
	struct dirent *d;
	bool ok = true;

	if (dir == NULL) {
		close(fd);
		return false;
	}
	while ((d = readdir(dir)) != NULL) {
		if (strcmp(d->d_name, ".") == 0 || strcmp(d->d_name, "..") == 0)
			continue;
		if (unlinkat(dirfd(dir), d->d_name, 0) != 0 && errno != ENOENT)
			ok = false;
	}
	closedir(dir);
	return ok;
}

/* A folder that has left its place already: nobody sees it any more. */
static void
remove_folder(int root, const char *folder)
{
	static const char *const subs[] = { "cur", "new", "tmp" };
	int fd, sub;

	fd = openat(root, folder,
		    O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return;
	for (size_t i = 0; i < ARRAY_LEN(subs); i++) {
		sub = openat(fd, subs[i],
			     O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (sub >= 0 && remove_files(sub))
			(void)unlinkat(fd, subs[i], AT_REMOVEDIR);
	}
	(void)remove_files(fd);
	if (unlinkat(root, folder, AT_REMOVEDIR) != 0 && errno != ENOENT)
		log_warn("%s: the rest of a deleted mailbox stays: %s", folder,
			 strerror(errno));
}

/* A mailbox that was made just now, and is none without its use: unless mail
 * came into it, which is not ours to remove. */
static void
unmake(struct session *s, struct span name)
{
	struct buf folder = BUF_INIT;
	int fd = mailbox_name_open(s->root, name);

	if (fd < 0)
		return;
	mailbox_name_folder(&folder, name);
	if (unlinkat(fd, "new", AT_REMOVEDIR) == 0) {
		if (unlinkat(fd, "cur", AT_REMOVEDIR) == 0)
			remove_folder(s->root, buf_str(&folder));
		else
			(void)mkdirat(fd, "new", 0700);
	}
	close(fd);
	buf_free(&folder);
}

/* RFC 6154 3: with the use, or not at all. */
static struct result
create_for(struct session *s, const struct buf *name, const struct buf *use)
{
	struct err e = ERR_INIT;
	int fd = mailbox_name_open(s->root, buf_span(name));
	struct result r = create(s, name);

	if (fd >= 0)
		close(fd);
	if (r.kind == RESULT_OK && use->n > 0 &&
	    set_use(s, buf_span(name), use, &e) != 0) {
		if (fd < 0)
			unmake(s, buf_span(name));
		return result_err(s, &e);
	}
	return r;
}

/* RFC 3501 6.3.3: a separator at the end says only that children will come. */
struct result
cmd_create(struct session *s)
{
	struct buf given = BUF_INIT, name = BUF_INIT;
	struct err e = ERR_INIT;
	struct result r;

	struct buf use = BUF_INIT;

	if (!parse_sp(&s->p) || !parse_astring(&s->p, &given) ||
	    (parse_peek(&s->p) == ' ' && !parse_use(&s->p, &use)) ||
	    !parse_end(&s->p)) {
		r = result_bad(s);
	} else if (use.n > 0 && !special_use_known(buf_span(&use))) {
		r = result_no("USEATTR", "Special use is not supported");
	} else {
		/* a separator behind it: "children are to come" */
		if (given.n > 1 && given.p[given.n - 1] == MAILBOX_NAME_SEP)
			buf_cut(&given, given.n - 1);
		if (mailbox_name_parse(&name, buf_span(&given), s->utf8, &e) !=
		    0)
			r = result_err(s, &e);
		else if (arg_net_unicode(s, buf_span(&name), &r))
			r = create_for(s, &name, &use);
	}
	buf_free(&use);
	buf_free(&given);
	buf_free(&name);
	return r;
}

/* No mailbox has such a name: an empty level. */
#define DELETED "..mx-deleted-"

/* And those of a session that was killed in the middle. */
static void
remove_deleted(int root)
{
	int fd = openat(root, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
	struct strs names = STRS_INIT;
	struct dirent *d;

	if (dir == NULL) {
		if (fd >= 0)
			close(fd);
		return;
	}
	while ((d = readdir(dir)) != NULL)
		if (strncmp(d->d_name, DELETED, sizeof(DELETED) - 1) == 0)
			strs_add(&names, d->d_name);
	closedir(dir);
	for (size_t i = 0; i < names.n; i++)
		remove_folder(root, names.v[i]);
	strs_free(&names);
}

/* An mbox keeps its name, which is its file's. */
static bool
any_mbox(struct session *s, const struct strs *folders, struct result *r)
{
	bool found = false;

	for (size_t i = 0; !found && i < folders->n; i++) {
		int fd = mailbox_name_openat(s->root, folders->v[i],
					     O_RDONLY | O_DIRECTORY, 0);

		found = fd >= 0 && !not_mbox(fd, r);
		if (fd >= 0)
			close(fd);
	}
	return found;
}

static struct result
delete_mailbox(struct session *s, const struct buf *name)
{
	struct buf from = BUF_INIT, to = BUF_INIT;
	struct strs one = STRS_INIT;
	struct err e = ERR_INIT;
	struct result r = result_ok("Delete completed");

	if (span_is(buf_span(name), "INBOX"))
		return result_no("CANNOT", "INBOX cannot be deleted");
	if (!exists(s, buf_span(name)))
		return result_no("NONEXISTENT", "Mailbox doesn't exist");
	mailbox_name_folder(&from, buf_span(name));
	strs_add(&one, buf_str(&from));
	if (any_mbox(s, &one, &r)) {
		strs_free(&one);
		buf_free(&from);
		return r;
	}
	strs_free(&one);
	buf_adds(&to, DELETED);
	random_word(&to, 16);
	if (renameat(s->root, buf_str(&from), s->root, buf_str(&to)) != 0 ||
	    fsync(s->root) != 0) {
		err_sys(&e, "%s: deleting", buf_str(name));
		r = result_err(s, &e);
	} else {
		if (s->mb != NULL && strcmp(s->mb->name, buf_str(name)) == 0) {
			mailbox_close(s->mb);
			s->mb = NULL;
			s->state = STATE_AUTH;
		}
		remove_deleted(s->root);
		maildirsize_again(s->root);
	}
	buf_free(&from);
	buf_free(&to);
	return r;
}

/* RFC 3501 6.3.4: what is below it stays. */
struct result
cmd_delete(struct session *s)
{
	struct buf name = BUF_INIT;
	struct result r;

	if (only_mailbox(s, &name, &r))
		r = delete_mailbox(s, &name);
	buf_free(&name);
	return r;
}

/* The folders of a mailbox and of its children, and where they go. */
static int
collect(int root, const char *from, const char *to, struct strs *olds,
	struct strs *news, struct err *e)
{
	int fd = openat(root, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
	size_t n = strlen(from);
	struct dirent *d;

	if (dir == NULL) {
		if (fd >= 0)
			close(fd);
		return err_sys(e, "reading the mail root");
	}
	while ((d = readdir(dir)) != NULL) {
		const char *rest = d->d_name + n;

		if (strncmp(d->d_name, from, n) != 0 ||
		    (*rest != '\0' && *rest != MAILBOX_NAME_SEP))
			continue;
		strs_add(olds, d->d_name);
	}
	closedir(dir);
	/* those above first: a child may get the name that its parent had */
	strs_sort(olds);
	for (size_t i = 0; i < olds->n; i++)
		strs_addf(news, "%s%s", to, olds->v[i] + n);
	return 0;
}

static struct result
move_folders(struct session *s, struct strs *olds, struct strs *news)
{
	struct buf name = BUF_INIT;
	struct err e = ERR_INIT;
	struct result r = result_ok("Rename completed");
	size_t i;

	for (i = 0; i < news->n && r.kind == RESULT_OK; i++) {
		buf_clear(&name);
		if (!mailbox_name_of_folder(&name, span_of(news->v[i])))
			r = result_no("CANNOT", "A child's name would become "
						"too long");
		else if (!strs_has(olds, span_of(news->v[i])) &&
			 faccessat(s->root, news->v[i], F_OK,
				   AT_SYMLINK_NOFOLLOW) == 0)
			r = result_no("ALREADYEXISTS",
				      "Target mailbox already exists");
	}
	buf_free(&name);
	if (r.kind != RESULT_OK)
		return r;
	for (i = 0; i < olds->n; i++)
		if (renameat2(s->root, olds->v[i], s->root, news->v[i],
			      RENAME_NOREPLACE) != 0)
			break;
	if (i == olds->n && fsync(s->root) == 0)
		return r;
	err_sys(&e, "renaming");
	while (i-- > 0) /* all or none */
		(void)!renameat(s->root, news->v[i], s->root, olds->v[i]);
	return result_err(s, &e);
}

/* The mailbox that is open goes by its new name: what comes is told of it, and
 * one made under the old name is another. */
static void
rename_selected(struct session *s, const struct strs *olds,
		const struct strs *news)
{
	struct buf folder = BUF_INIT;

	if (s->mb == NULL)
		return;
	mailbox_name_folder(&folder, span_of(s->mb->name));
	for (size_t i = 0; i < olds->n; i++) {
		if (strcmp(olds->v[i], buf_str(&folder)) != 0)
			continue;
		free(s->mb->name);
		s->mb->name = mem_strdup(news->v[i] + 1); /* without "." */
		break;
	}
	buf_free(&folder);
}

/* RFC 3501 6.3.5: its messages move to a new mailbox, it stays and is empty;
 * its children stay where they are. */
static struct result
rename_inbox(struct session *s, const struct buf *to)
{
	struct mailbox *open = s->mb, *mb;
	struct err e = ERR_INIT;
	struct result r;
	bool uid = s->uid;

	if (!not_mbox(s->root, &r))
		return r;
	r = create(s, to);
	if (r.kind != RESULT_OK)
		return r;
	mb = mailbox_select(s->root, "INBOX", false, NULL, &e);
	if (mb == NULL)
		return result_err(s, &e);
	mb->told_exists = mb->n;
	s->mb = mb;
	s->uid = true;
	r = copy_everything_away(s, to);
	s->mb = open;
	s->uid = uid;
	mailbox_close(mb);
	if (r.kind == RESULT_OK)
		r = result_ok("Rename completed");
	return r;
}

static struct result
rename_mailbox(struct session *s, const struct buf *from, const struct buf *to)
{
	struct strs olds = STRS_INIT, news = STRS_INIT;
	struct buf a = BUF_INIT, b = BUF_INIT;
	struct err e = ERR_INIT;
	struct result r;

	if (span_is(buf_span(from), "INBOX"))
		return rename_inbox(s, to);
	if (span_is(buf_span(to), "INBOX"))
		return result_no("ALREADYEXISTS",
				 "Target mailbox already exists");
	mailbox_name_folder(&a, buf_span(from));
	mailbox_name_folder(&b, buf_span(to));
	if (span_starts(buf_span(&b), buf_span(&a)) &&
	    (b.n == a.n || b.p[a.n] == MAILBOX_NAME_SEP))
		r = result_no(b.n == a.n ? "ALREADYEXISTS" : "CANNOT",
			      "A mailbox cannot go below itself");
	else if (collect(s->root, buf_str(&a), buf_str(&b), &olds, &news, &e) !=
		 0)
		r = result_err(s, &e);
	else if (olds.n == 0)
		r = result_no("NONEXISTENT", "Mailbox doesn't exist");
	else if (!any_mbox(s, &olds, &r)) {
		r = move_folders(s, &olds, &news);
		if (r.kind == RESULT_OK)
			rename_selected(s, &olds, &news);
	}
	strs_free(&olds);
	strs_free(&news);
	buf_free(&a);
	buf_free(&b);
	return r;
}

/* RFC 3501 6.3.5: with all that is below it. */
struct result
cmd_rename(struct session *s)
{
	struct buf from = BUF_INIT, to = BUF_INIT;
	struct result r;

	if (!parse_sp(&s->p))
		r = result_bad(s);
	else if (arg_mailbox(s, &from, &r) && only_mailbox(s, &to, &r) &&
		 arg_net_unicode(s, buf_span(&to), &r))
		r = rename_mailbox(s, &from, &to);
	buf_free(&from);
	buf_free(&to);
	return r;
}

static struct result
subscribe(struct session *s, bool on)
{
	struct buf name = BUF_INIT;
	struct err e = ERR_INIT;
	struct result r;

	if (only_mailbox(s, &name, &r)) {
		if (on && !exists(s, buf_span(&name)))
			r = result_no("NONEXISTENT", "Mailbox doesn't exist");
		else if (subscriptions_set(s->root, buf_span(&name), on, &e) !=
			 0)
			r = result_err(s, &e);
		else
			r = result_ok(on ? "Subscribe completed"
					 : "Unsubscribe completed");
	}
	buf_free(&name);
	return r;
}

/* RFC 3501 6.3.6 */
struct result
cmd_subscribe(struct session *s)
{
	return subscribe(s, true);
}

/* RFC 3501 6.3.7 */
struct result
cmd_unsubscribe(struct session *s)
{
	return subscribe(s, false);
}
