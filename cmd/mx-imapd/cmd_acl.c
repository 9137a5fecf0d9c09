/*
 * cmd_acl.c - ACL as it is: a user owns the mail root and has all rights, and
 * nobody else has any.  RFC 4314; RFC 8440 for LIST.
 */
#include "cmd.h"
#include "mailbox_name.h"

#include <unistd.h>

static struct result
with_mailbox(struct session *s,
	     void (*put)(struct session *s, struct span name, struct span who),
	     bool who_too, const char *text)
{
	struct buf name = BUF_INIT, who = BUF_INIT;
	struct err e = ERR_INIT;
	struct result r;
	struct mailbox *mb;

	if (!parse_sp(&s->p)) {
		r = result_bad(s);
	} else if (arg_mailbox(s, &name, &r)) {
		if ((who_too &&
		     (!parse_sp(&s->p) || !parse_astring(&s->p, &who))) ||
		    !parse_end(&s->p)) {
			r = result_bad(s);
		} else if ((mb = mailbox_select(s->root, buf_str(&name), true,
						NULL, &e)) == NULL) {
			r = result_err(s, &e);
		} else {
			mailbox_close(mb);
			put(s, buf_span(&name), buf_span(&who));
			r = result_ok(text);
		}
	}
	buf_free(&name);
	buf_free(&who);
	return r;
}

bool
not_mbox(int fd, struct result *r)
{
	if (!mbox_shadow_is(fd))
		return true;
	*r = result_no("CANNOT", "It is an mbox, which can only be read");
	return false;
}

const char *
acl_rights(struct session *s, struct span name)
{
	int fd =
	    mbox_shadow_inbox() != NULL ? mailbox_name_open(s->root, name) : -1;
	bool readable = fd >= 0 && mbox_shadow_is(fd);

	if (fd >= 0)
		close(fd);
	if (readable)
		return "lrk";
	/* INBOX cannot be deleted */
	return span_is(name, "INBOX") ? "lrswipkteca" : "lrswipkxteca";
}

static void
put_acl(struct session *s, struct span name, struct span who)
{
	(void)who;
	stream_puts(s->st, "* ACL ");
	put_mailbox(s, name);
	stream_puts(s->st, " ");
	put_string(s->st, span_of(s->user));
	stream_printf(s->st, " %s\r\n", acl_rights(s, name));
}

static void
put_myrights(struct session *s, struct span name, struct span who)
{
	(void)who;
	stream_puts(s->st, "* MYRIGHTS ");
	put_mailbox(s, name);
	stream_printf(s->st, " %s\r\n", acl_rights(s, name));
}

static void
put_listrights(struct session *s, struct span name, struct span who)
{
	bool me = span_is(who, s->user);

	stream_puts(s->st, "* LISTRIGHTS ");
	put_mailbox(s, name);
	stream_puts(s->st, " ");
	put_string(s->st, who);
	/* RFC 4314 3.7: always granted; nothing can be added */
	stream_printf(s->st, " %s\r\n", me ? acl_rights(s, name) : "\"\"");
}

struct result
cmd_getacl(struct session *s)
{
	return with_mailbox(s, put_acl, false, "Getacl completed");
}

struct result
cmd_myrights(struct session *s)
{
	return with_mailbox(s, put_myrights, false, "Myrights completed");
}

struct result
cmd_listrights(struct session *s)
{
	return with_mailbox(s, put_listrights, true, "Listrights completed");
}

struct result
cmd_setacl(struct session *s)
{
	(void)s;
	return result_no("NOPERM", "Mailboxes are not shared");
}
