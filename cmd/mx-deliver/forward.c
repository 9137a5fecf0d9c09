/*
 * forward.c - .forward files of system users.
 * Postfix local(8) USER FORWARDING, forward_path; THREATS 19.  The file is
 * read with the user's rights, and what it names is done with them.
 */
#include "conf.h"
#include "hand.h"
#include "mem.h"
#include "route_int.h"
#include "site.h"
#include "status.h"

#include <stdlib.h>

/* $home, $user, $extension, $recipient_delimiter of one path; false: it needs
 * an extension and there is none. */
static bool
expand_path(struct buf *b, struct span path, const struct user *u,
	    struct span ext)
{
	const struct {
		const char *name;
		struct span value;
	} names[] = { { "home", span_of(u->home) },
		      { "user", span_of(u->name) },
		      { "extension", ext },
		      { "recipient_delimiter",
			span_sub(span_of(site.recipient_delimiter), 0,
				 site.recipient_delimiter[0] ? 1 : 0) } };

	for (size_t i = 0; i < path.n;) {
		size_t at = i + 1, k = 0;
		bool brace = at < path.n && path.p[at] == '{';
		struct span name;

		if (path.p[i] != '$') {
			buf_addc(b, path.p[i++]);
			continue;
		}
		at += brace;
		for (k = at; k < path.n &&
			     (ascii_isalpha(path.p[k]) || path.p[k] == '_');)
			k++;
		name = span_sub(path, at, k);
		i = k + (brace && k < path.n);
		for (k = 0; k < ARRAY_LEN(names); k++) {
			if (!span_is(name, names[k].name))
				continue;
			if (k >= 2 && ext.n == 0)
				return false;
			/* an extension is one name, never a path */
			if (span_chr(names[k].value, '/') >= 0 && k == 2)
				return false;
			buf_addspan(b, names[k].value);
		}
	}
	return true;
}

int
forward_read(const struct user *u, struct span ext, struct buf *b,
	     struct err *e)
{
	struct span rest = span_of(conf.forward_path), word;
	struct dest d = { .uid = u->uid, .gid = u->gid, .has_ids = true };
	struct hand *h = NULL;
	int r = 0;

	if (u->home[0] != '/')
		return 0;
	while (r == 0 && span_word(&rest, ", \t\r\n", &word)) {
		struct buf path = BUF_INIT;

		if (expand_path(&path, word, u, ext) && path.n > 0 &&
		    path.p[0] == '/') {
			if (h == NULL)
				h = hand_get(&d, e);
			r = h == NULL
				? -1
				: hand_forward(h, buf_str(&path), true, b, e);
		}
		buf_free(&path);
	}
	if (r < 0 && e != NULL)
		e->status = ST_TEMPFAIL;
	return r;
}

struct dest *
dest_of_forward(const char *text, bool command, struct span user, struct err *e)
{
	struct dest *d = mem_alloc(1, sizeof(*d));
	const struct user *u = NULL;
	size_t n = strlen(text);

	*d = (struct dest){ .relay = "local",
			    .path = mem_strdup(text),
			    .quota = { .file =
					   (uint64_t)conf.mailbox_size_limit },
			    .by = mem_spandup(user) };
	d->kind = command ? DEST_COMMAND : DEST_MBOX;
	if (!command && n > 1 && text[n - 1] == '/') {
		d->kind = DEST_MAILDIR;
		d->path[n - 1] = '\0';
	}
	if (users_find(user, &u, e) == TABLE_FOUND && u->system && u->has_ids &&
	    u->uid != 0) {
		d->uid = u->uid;
		d->gid = u->gid;
		d->has_ids = true;
		d->home = mem_strdup(u->home);
		return d;
	}
	if (u == NULL)
		(void)err_set(e, ST_TEMPFAIL,
			      "the user of a .forward file is not there");
	dest_free(d);
	return NULL;
}
