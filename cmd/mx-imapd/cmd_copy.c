/*
 * cmd_copy.c - COPY and MOVE: links to the same files, all or none, durable
 * before they are told; MOVE removes the originals only then.
 * RFC 3501 6.4.7, RFC 6851, RFC 4315 3 (COPYUID).
 */
#include "cmd.h"
#include "deposit.h"
#include "hook.h"
#include "log.h"
#include "mailbox_name.h"
#include "maildirsize.h"
#include "mem.h"
#include "status.h"
#include "strs.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

struct copy {
	struct mailbox to; /* folder and keywords only */
	struct strs bases; /* names given there */
	struct strs paths; /* the same with "cur/" and flags */
	uint64_t bytes;
	uint32_t since; /* its next UID before they came */
	struct set from_uids;
	uint32_t *uids;
	bool some_gone;
	struct err e;
};

/* Letters of keywords mean something else in another mailbox. */
static int
translate(struct session *s, struct copy *c, maildir_flags flags,
	  maildir_flags *r)
{
	maildir_flags out = flags & ~MAILDIR_KEYWORD_MASK;

	for (int i = 0; i < MAILDIR_KEYWORDS; i++) {
		int at;

		if (!(flags & MAILDIR_KEYWORD_BIT(i)) ||
		    s->mb->kw.name[i] == NULL)
			continue;
		at = keywords_add(&c->to.kw, c->to.fd,
				  span_of(s->mb->kw.name[i]), &c->e);
		if (at == -1)
			return -1;
		if (at >= 0) /* no letter left: the message goes without */
			out |= MAILDIR_KEYWORD_BIT(at);
	}
	*r = out;
	return 0;
}

/* Where links cannot be made (another file system, too many): the bytes. */
static int
copy_bytes(int fd, int to, const char *path, struct err *e)
{
	struct deposit d;
	char block[65536];
	struct stat st;
	ssize_t n = -1;
	int r = deposit_open(&d, to, DEPOSIT_AUTO, e);

	if (r != 0)
		return -1;
	while (r == 0 && (n = read(fd, block, sizeof(block))) > 0)
		r = deposit_write(&d, block, (size_t)n, e);
	if (r == 0 && n < 0)
		r = err_sys(e, "reading the message");
	if (r == 0 && fstat(fd, &st) == 0) {
		struct timespec t[2] = { st.st_atim, st.st_mtim };

		r = deposit_flush(&d, e);
		if (r == 0)
			(void)futimens(d.fd, t);
	}
	if (r == 0)
		r = deposit_commit_as(&d, path, e);
	deposit_abort(&d);
	return r;
}

static int
link_message(struct session *s, struct copy *c, struct message *m,
	     const char *path)
{
	struct buf from = BUF_INIT;
	int fd, r = 0;

	/* Opening finds the file under whatever name it has now. */
	fd = mailbox_open_message(s->mb, m);
	if (fd < 0)
		return m->gone ? 1
			       : err_sys(&c->e, "message %lu",
					 (unsigned long)m->uid);
	mailbox_path(&from, m);
	if (linkat(s->mb->fd, buf_str(&from), c->to.fd, path, 0) != 0)
		r = copy_bytes(fd, c->to.fd, path, &c->e);
	close(fd);
	buf_free(&from);
	return r;
}

static int
copy_one(struct session *s, size_t i, void *ctx)
{
	struct copy *c = ctx;
	struct message *m = &s->mb->v[i];
	struct buf base = BUF_INIT, path = BUF_INIT;
	maildir_flags flags;
	int r = -1;

	if (m->gone || mailbox_stat_message(s->mb, m, &c->e) != 0) {
		c->some_gone = c->some_gone || m->gone;
		return m->gone ? 0 : 1;
	}
	if (translate(s, c, m->flags, &flags) == 0) {
		maildir_name_new(&base, m->size, m->vsize);
		buf_adds(&path, "cur/");
		maildir_name_make(&path, buf_span(&base), flags);
		r = link_message(s, c, m, buf_str(&path));
	}
	if (r == 0) {
		strs_addspan(&c->bases, buf_span(&base));
		strs_addspan(&c->paths, buf_span(&path));
		c->bytes += m->size;
		set_add(&c->from_uids, m->uid, m->uid);
	}
	if (r == 1)
		c->some_gone = true;
	buf_free(&base);
	buf_free(&path);
	return r < 0 ? 1 : 0;
}

/* The names are durable when their directory is; the bytes were before. */
static int
make_durable(struct copy *c)
{
	int fd = openat(c->to.fd, "cur", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int r = fd < 0 || fsync(fd) != 0 ? err_sys(&c->e, "syncing the mailbox")
					 : 0;

	if (fd >= 0)
		close(fd);
	return r;
}

static void
undo(struct copy *c)
{
	for (size_t i = 0; i < c->paths.n; i++)
		(void)unlinkat(c->to.fd, c->paths.v[i], 0);
}

/* COPYUID's sets answer each other in order (RFC 4315 3). */
static void
copyuid(struct session *s, const struct copy *c, uint32_t validity)
{
	struct set to = { NULL, 0, 0 };

	for (size_t i = 0; i < c->bases.n; i++)
		set_add(&to, c->uids[i], c->uids[i]);
	buf_clear(&s->code);
	buf_addf(&s->code, "COPYUID %lu ", (unsigned long)validity);
	set_print(&s->code, &c->from_uids);
	buf_addc(&s->code, ' ');
	set_print(&s->code, &to);
	set_free(&to);
}

struct total {
	uint64_t bytes, n;
	bool failed;
	struct err e;
};

static int
add_size(struct session *s, size_t i, void *ctx)
{
	struct total *x = ctx;
	struct message *m = &s->mb->v[i];

	if (m->size == MAILDIR_NO_SIZE &&
	    mailbox_stat_message(s->mb, m, &x->e) != 0 && !m->gone)
		x->failed = true;
	if (!m->gone && !x->failed) {
		x->bytes += m->size;
		x->n++;
	}
	return x->failed ? 1 : 0;
}

static struct result
copy_all(struct session *s, struct set *set, struct copy *c, bool move)
{
	struct total all = { .e = ERR_INIT };
	uint32_t validity;
	struct result r;

	if (limit_messages() > 0 && !s->quiet) {
		limit_set(s, set);
		if (!move && s->downward)
			return limit_refusal(s);
		s->downward = false; /* which of them counts, not the order */
	}
	/* a MOVE adds nothing; before the links are there, which a new count of
	 * the folders would find */
	if (!move && (each_message(s, set, add_size, &all) != 0 ||
		      !quota_fits(s, all.bytes, all.n, &r)))
		return all.failed ? result_err(s, &all.e) : r;
	c->since = uidlist_peek(c->to.fd);
	if (each_message(s, set, copy_one, c) != 0) {
		undo(c);
		return result_err(s, &c->e);
	}
	/* RFC 3501 6.4.7: all or none; by UID the missing are passed over */
	if (c->some_gone && !s->uid) {
		undo(c);
		return result_no("EXPUNGEISSUED",
				 "Some of the messages no longer exist");
	}
	if (c->bases.n == 0)
		return result_ok("No messages found");
	c->uids = mem_alloc(c->bases.n, sizeof(*c->uids));
	if (make_durable(c) != 0 ||
	    mailbox_assign(s->root, c->to.fd, &c->bases, c->since, &validity,
			   c->uids, &c->e) != 0) {
		undo(c);
		return result_err(s, &c->e);
	}
	if (!move)
		maildirsize_note(s->root, (int64_t)c->bytes,
				 (int64_t)c->bases.n);
	copyuid(s, c, validity);
	return RESULT(RESULT_OK, buf_str(&s->code), "Copy completed");
}

static int
unlink_one(struct session *s, size_t i, void *ctx)
{
	struct copy *c = ctx;
	struct message *m = &s->mb->v[i];

	/* only what was copied, and nothing that came meanwhile */
	if (m->gone || !set_has(&c->from_uids, m->uid))
		return 0;
	return mailbox_unlink(s->mb, m, 0, &c->e) != 0 ? 1 : 0;
}

static struct result
move_all(struct session *s, struct set *set, struct copy *c)
{
	struct result r = copy_all(s, set, c, true);

	if (r.kind != RESULT_OK || r.code == NULL)
		return r;
	/* RFC 6851 4.3: before the EXPUNGEs */
	if (!s->quiet)
		stream_printf(s->st, "* OK [%s] Moved\r\n", r.code);
	if (each_message(s, set, unlink_one, c) != 0)
		return result_err(s, &c->e);
	mailbox_commit(s->mb);
	/* RFC 6851 4.4 */
	return limit_result(
	    s, RESULT(RESULT_OK, condstore_code(s), "Move completed"));
}

static struct result
to_mailbox(struct session *s, struct set *set, const struct buf *name,
	   bool move)
{
	struct copy c = { .e = ERR_INIT };
	struct result r;

	if (move && s->mb->readonly)
		return result_no("READ-ONLY", "The mailbox is open read-only");
	c.to.fd = mailbox_name_open(s->root, buf_span(name));
	if (c.to.fd < 0 && errno == ENOENT)
		return result_no("TRYCREATE", "Mailbox doesn't exist");
	if (c.to.fd < 0) {
		err_sys(&c.e, "%s: opening", buf_str(name));
		return result_err(s, &c.e);
	}
	if (!not_mbox(c.to.fd, &r))
		;
	else if (keywords_read(&c.to.kw, c.to.fd, &c.e) != 0)
		r = result_err(s, &c.e);
	else
		r = move ? move_all(s, set, &c) : copy_all(s, set, &c, false);
	/* done and durable, whatever is said of it */
	if (r.kind == RESULT_OK && !s->quiet)
		hook_moved(s->root, s->mb->name, buf_span(name), c.to.fd,
			   &c.paths);
	strs_free(&c.bases);
	strs_free(&c.paths);
	set_free(&c.from_uids);
	keywords_free(&c.to.kw);
	free(c.uids);
	close(c.to.fd);
	return r;
}

struct result
copy_everything_away(struct session *s, const struct buf *name)
{
	struct set set = { NULL, 0, 0 };
	struct result r = result_ok("");

	s->quiet = true;
	if (s->mb->n > 0) {
		set_add(&set, 1, mailbox_last_uid(s->mb));
		r = to_mailbox(s, &set, name, true);
	}
	s->quiet = false;
	set_free(&set);
	return r;
}

static struct result
copy(struct session *s, bool move)
{
	struct set set = { NULL, 0, 0 };
	struct buf name = BUF_INIT;
	struct result r;

	if (!parse_sp(&s->p))
		return result_bad(s);
	if (arg_set(s, &set, &r)) {
		if (!parse_sp(&s->p))
			r = result_bad(s);
		else if (arg_mailbox(s, &name, &r))
			r = parse_end(&s->p) ? to_mailbox(s, &set, &name, move)
					     : result_bad(s);
	}
	set_free(&set);
	buf_free(&name);
	return r;
}

struct result
cmd_copy(struct session *s)
{
	return copy(s, false);
}

struct result
cmd_move(struct session *s)
{
	return copy(s, true);
}
