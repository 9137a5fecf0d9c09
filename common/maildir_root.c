/*
 * maildir_root.c - see maildir_root.h.
 * Layer: mail.  Dovecot "Mail location settings", "Namespaces: mailbox { auto,
 * special_use }", RFC 6154.
 */
#include "maildir_root.h"
#include "deposit.h"
#include "io.h"
#include "log.h"
#include "mailbox_name.h"
#include "status.h"
#include "subscriptions.h"

#include <fcntl.h>
#include <unistd.h>

struct strs maildir_root_boxes;

/* NAME:AUTO:USE of one row; auto and use may be missing. */
static struct span
row_name(const char *row, struct span *aut, struct span *use)
{
	struct span rest = span_of(row), name = rest;

	*aut = *use = span_make("", 0);
	(void)span_split(&rest, ':', &name);
	(void)span_split(&rest, ':', aut);
	(void)span_split(&rest, ':', use);
	return name;
}

const char *
maildir_root_use(struct span name)
{
	for (size_t i = 0; i < maildir_root_boxes.n; i++) {
		const char *row = maildir_root_boxes.v[i];
		struct span aut, use;

		if (span_eq(row_name(row, &aut, &use), name) && use.n > 0)
			return use.p; /* the row's last word */
	}
	return NULL;
}

/* mailbox_auto: create and subscribe. */
static int
make_boxes(int root, const char *root_path, struct err *e)
{
	struct buf name = BUF_INIT, path = BUF_INIT;
	int r = 0;

	for (size_t i = 0; r == 0 && i < maildir_root_boxes.n; i++) {
		struct span aut, use;
		struct span given =
		    row_name(maildir_root_boxes.v[i], &aut, &use);
		int fd;

		if (!span_is(aut, "create") && !span_is(aut, "subscribe"))
			continue;
		buf_clear(&name);
		buf_clear(&path);
		r = mailbox_name_parse(&name, given, true, e);
		if (r != 0)
			break;
		fd = mailbox_name_open(root, buf_span(&name));
		/* one that a crash left half made is finished */
		if (fd >= 0 && faccessat(fd, "cur", F_OK, 0) != 0)
			io_close(&fd);
		if (fd < 0) {
			buf_addf(&path, "%s/", root_path);
			mailbox_name_folder(&path, buf_span(&name));
			fd = deposit_maildir_open(buf_str(&path), e);
			r = fd < 0 ? -1 : 0;
			/* once: who unsubscribes later stays so */
			if (r == 0 && span_is(aut, "subscribe"))
				r = subscriptions_set(root, buf_span(&name),
						      true, e);
		}
		if (fd >= 0)
			close(fd);
	}
	buf_free(&name);
	buf_free(&path);
	return r;
}

int
maildir_root_open(const char *path, struct err *e)
{
	int root = deposit_maildir_open(path, e);

	if (root >= 0 && make_boxes(root, path, e) != 0) {
		close(root);
		return -1;
	}
	return root;
}

/* A name that becomes part of a path: no way out of its folder. */
static int
add_part(struct buf *path, struct span part, const char *name, const char *user,
	 struct err *e)
{
	if (part.n == 0 || part.p[0] == '.' || span_chr(part, '/') >= 0 ||
	    span_has_ctl(part))
		return err_set(e, ST_DATA,
			       "%s: \"%s\" is no user name that can "
			       "be part of a path",
			       name, user);
	buf_addspan(path, part);
	return 0;
}

/* Dovecot 2.4's long names. */
static char
long_name(struct span name)
{
	static const struct {
		const char *name;
		char letter;
	} names[] = { { "user", 'u' },
		      { "user|username", 'n' },
		      { "user|domain", 'd' },
		      { "home", 'h' } };
	char text[32];
	size_t n = 0;

	for (size_t i = 0; i < name.n && n < sizeof(text) - 1; i++)
		if (name.p[i] != ' ')
			text[n++] = name.p[i];
	text[n] = '\0';
	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		if (strcmp(text, names[i].name) == 0)
			return names[i].letter;
	return '?';
}

/* The letter behind "%", and how many bytes it took. */
static char
letter_of(struct span s, size_t *used_r)
{
	ssize_t end;

	*used_r = 1;
	if (s.n == 0)
		return '?';
	if (s.p[0] != '{')
		return s.p[0];
	end = span_chr(s, '}');
	if (end < 0)
		return '?';
	*used_r = (size_t)end + 1;
	return long_name(span_sub(s, 1, (size_t)end));
}

static int
variable(struct buf *path, const char *name, char c, const char *user,
	 const char *home, struct err *e)
{
	struct span u = span_of(user);
	ssize_t at = span_chr(u, '@');

	switch (c) {
	case 'u':
		return add_part(path, u, name, user, e);
	case 'n':
		return add_part(path, at < 0 ? u : span_sub(u, 0, (size_t)at),
				name, user, e);
	case 'd':
		if (at < 0)
			return 0;
		return add_part(path, span_from(u, (size_t)at + 1), name, user,
				e);
	case 'h':
		buf_adds(path, home);
		return 0;
	case '%':
		buf_addc(path, '%');
		return 0;
	default:
		return err_set(e, ST_CONFIG,
			       "%s: a %%-variable is not known: use "
			       "%%u (user), %%n (its name), %%d (its domain), "
			       "%%h (home)",
			       name);
	}
}

int
maildir_root_expand(struct buf *path, const char *name, struct span l,
		    const char *user, const char *home, struct err *e)
{
	for (size_t i = 0; i < l.n; i++) {
		if (i == 0 && l.p[0] == '~' && (l.n == 1 || l.p[1] == '/')) {
			buf_adds(path, home);
		} else if (l.p[i] == '%') {
			size_t used, from = path->n;
			bool lower = i + 1 < l.n && l.p[i + 1] == 'L';
			char c;

			i += lower ? 1 : 0;
			c = letter_of(span_from(l, i + 1), &used);
			if (variable(path, name, c, user, home, e) != 0)
				return -1;
			for (; lower && from < path->n; from++)
				path->p[from] = ascii_tolower(path->p[from]);
			i += used;
		} else {
			buf_addc(path, l.p[i]);
		}
	}
	if (path->n == 0 || path->p[0] != '/')
		return err_set(e, ST_CONFIG,
			       "%s: \"%.*s\" is no absolute path for \"%s\" "
			       "(home \"%s\")",
			       name, SPAN_ARG(l), user, home);
	return 0;
}

int
maildir_root_path(struct buf *path, const char *location, const char *user,
		  const char *home, struct err *e)
{
	struct span l = span_of(location);
	ssize_t colon;

	if (span_istarts(l, SPAN("maildir:")))
		l = span_from(l, 8);
	else if (l.n == 0 || (l.p[0] != '/' && l.p[0] != '~'))
		return err_set(e, ST_CONFIG,
			       "mail_location: \"%s\": expected maildir:PATH "
			       "or mbox:DIR:INBOX=FILE",
			       location);
	/* Dovecot's ":INDEX=..." and the like place what mx does not have */
	colon = span_chr(l, ':');
	if (colon >= 0)
		l = span_sub(l, 0, (size_t)colon);
	return maildir_root_expand(path, "mail_location", l, user, home, e);
}
