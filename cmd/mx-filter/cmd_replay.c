/*
 * cmd_replay.c - the command replay: what a script would do with the messages
 * that a Maildir holds.  Nothing is changed, sent or remembered.
 */
#include "addr.h"
#include "escape.h"
#include "filter.h"
#include "mailbox_name.h"
#include "maildir.h"
#include "maildir_root.h"
#include "mem.h"
#include "msg.h"
#include "sieve.h"
#include "site.h"
#include "status.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

struct replay {
	const struct sieve_script *script;
	const char *root;
	char *folder; /* "INBOX", "Lists.x" */
	int dirfd;
	const char *sub;
	size_t seen, changed, failed;
};

/* The address in the first field of that name, or NULL. */
static char *
field_address(const struct msg *m, const char *name)
{
	const struct msg_field *f = msg_find(m, name, 0);
	struct span s = f ? span_trim(f->value) : SPAN("");
	char *text, *a = NULL;

	if (s.n > 2 && s.p[0] == '<' && s.p[s.n - 1] == '>')
		s = span_sub(s, 1, s.n - 1);
	text = f ? mem_spandup(s) : NULL;
	if (text != NULL && strcmp(text, "<>") == 0)
		a = mem_strdup("");
	else if (text != NULL)
		a = sieve_address(text);
	free(text);
	return a;
}

/* "INBOX, Lists.x", "discard", "redirect a@b" in the order of the actions. */
static void
destinations(const struct sieve_run *r, struct buf *b)
{
	for (size_t i = 0; i < r->nactions; i++) {
		const struct sieve_action *a = &r->actions[i];

		if (a->text != NULL)
			continue; /* a reply moves nothing */
		if (b->n > 0)
			buf_adds(b, ", ");
		if (strcmp(a->verb, "keep") == 0) {
			buf_adds(b, "INBOX");
		} else if (strcmp(a->verb, "fileinto") == 0) {
			buf_adds(b, span_iis(span_of(a->what), "INBOX")
					? "INBOX"
					: a->what);
		} else {
			buf_adds(b, a->verb);
			if (strcmp(a->verb, "redirect") == 0)
				buf_addf(b, " %s", a->what);
		}
	}
}

static void
tell(struct replay *x, const char *file, const struct sieve_run *r, bool failed)
{
	struct buf to = BUF_INIT, line = BUF_INIT, name = BUF_INIT;

	if (failed)
		buf_addf(&to, "INBOX (%s)", r->err.text);
	else
		destinations(r, &to);
	x->failed += failed;
	if (strcmp(buf_str(&to), x->folder) != 0) {
		x->changed++;
		escape_line(&line, span_of(x->folder), 0);
		buf_adds(&line, " -> ");
		escape_line(&line, buf_span(&to), 0);
		buf_adds(&name, x->sub);
		buf_addc(&name, '/');
		escape_line(&name, span_of(file), 0);
		printf("%s: %s\n", buf_str(&name), buf_str(&line));
		buf_free(&name);
	}
	buf_free(&to);
	buf_free(&line);
}

static int
one_message(void *ctx, const char *file, size_t n)
{
	struct replay *x = ctx;
	struct sieve_store store = { NULL, 0, 0 };
	struct sieve_run r = { .script = x->script,
			       .store = &store,
			       .maildir = x->root,
			       .delims = site.recipient_delimiter[0]
					     ? site.recipient_delimiter
					     : "+",
			       .err = ERR_INIT };
	struct buf path = BUF_INIT;
	struct msg_load load;
	struct err e = ERR_INIT;
	char *from, *to;
	int fd;

	(void)n;
	buf_addf(&path, "%s/%s", x->sub, file);
	fd = openat(x->dirfd, buf_str(&path),
		    O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	buf_free(&path);
	if (fd < 0 || msg_load(&load, fd, 0, &e) != 0) {
		if (fd >= 0)
			close(fd);
		return 0; /* it went away, or is empty */
	}
	close(fd);
	sieve_message_first(&r, load.bytes);
	from = field_address(r.m, "Return-Path");
	to = field_address(r.m, "Delivered-To");
	r.sender = opts.sender ? opts.sender : from;
	r.recipient = opts.recipient ? opts.recipient : to;
	x->seen++;
	tell(x, file, &r, sieve_execute(&r) != 0);
	sieve_run_done(&r);
	sieve_store_free(&store);
	msg_unload(&load);
	free(from);
	free(to);
	return 0;
}

static int
one_folder(struct replay *x, const char *name, struct err *e)
{
	static const char *const subs[] = { "new", "cur" };
	int r = 0;

	x->dirfd = openat(AT_FDCWD, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (x->dirfd < 0)
		return err_sys(e, "%s", name);
	for (int i = 0; r == 0 && i < 2; i++) {
		x->sub = subs[i];
		r = maildir_each(x->dirfd, x->sub, one_message, x, e);
	}
	close(x->dirfd);
	return r;
}

/* The INBOX, then ".Folder" by ".Folder" in their order. */
static int
all_folders(struct replay *x, struct err *e)
{
	struct strs names = STRS_INIT;
	struct buf path = BUF_INIT, name = BUF_INIT, text = BUF_INIT;
	DIR *d = opendir(x->root);
	struct dirent *en;
	int r;

	if (d == NULL)
		return err_sys(e, "%s", x->root);
	while ((en = readdir(d)) != NULL) {
		if (en->d_name[0] == '.' && en->d_name[1] != '\0' &&
		    en->d_name[1] != '.')
			strs_add(&names, en->d_name);
	}
	closedir(d);
	strs_sort(&names);
	x->folder = mem_strdup("INBOX");
	r = one_folder(x, x->root, e);
	for (size_t i = 0; r == 0 && i < names.n; i++) {
		buf_clear(&name);
		buf_clear(&text);
		buf_clear(&path);
		if (!mailbox_name_of_folder(&name, span_of(names.v[i])) ||
		    !mailbox_name_decode(&text, buf_span(&name)))
			continue;
		free(x->folder);
		x->folder = mem_strdup(buf_str(&text));
		buf_addf(&path, "%s/%s/cur", x->root, names.v[i]);
		if (access(buf_str(&path), F_OK) != 0)
			continue;
		buf_cut(&path, path.n - 4);
		r = one_folder(x, buf_str(&path), e);
	}
	strs_free(&names);
	buf_free(&path);
	buf_free(&name);
	buf_free(&text);
	return r;
}

int
cmd_replay(int argc, char **argv)
{
	struct replay x = { .folder = NULL };
	struct err e = ERR_INIT;
	struct sieve_script *s;
	int status = ST_OK;

	if (argc != 1 || opts.script == NULL)
		return prog_usage("replay needs --script FILE and a MAILDIR");
	s = sieve_open(opts.script, stderr, &e);
	if (s == NULL)
		return prog_fail(&e);
	if (s->errors > 0) {
		sieve_close(s);
		return ST_DATA;
	}
	maildir_root_boxes = filter_params.mailbox_auto;
	x.script = s;
	x.root = argv[0];
	if (all_folders(&x, &e) != 0)
		status = prog_fail(&e);
	else
		printf("%zu messages, %zu would change folder, %zu failures\n",
		       x.seen, x.changed, x.failed);
	if (fflush(stdout) != 0)
		status = ST_IOERR;
	free(x.folder);
	sieve_close(s);
	return status;
}
