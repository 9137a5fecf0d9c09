/*
 * submit.c - mx-deliver RECIPIENT... < msg, and mx-deliver -d USER < msg.
 * Exit status 0 means the same as a 250: on stable storage.
 */
#include "conf.h"
#include "addr.h"
#include "lines.h"
#include "log.h"
#include "main.h"
#include "mem.h"
#include "site.h"
#include "status.h"
#include "route_int.h"
#include "trans.h"
#include "users.h"

#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static int
put_trans(void *to, const void *p, size_t n, struct err *e)
{
	(void)e; /* kept in the transaction, told at its end */
	trans_write(to, p, n);
	return 0;
}

/* "joe" -> "joe@$myorigin"; nothing that the queue could not hold. */
static char *
qualify(const char *text, struct err *e)
{
	struct addr a;
	struct buf b = BUF_INIT;
	size_t used;
	char *bracketed = mem_printf("<%s>", text);
	int r =
	    addr_parse_path(&a, span_of(bracketed), true, true, true, &used, e);

	free(bracketed);
	if (r != 0) {
		e->status = ST_USAGE;
		return NULL;
	}
	addr_print(&b, &a);
	if (!a.null && a.domain.n == 0 && conf.append_at_myorigin)
		buf_addf(&b, "@%s", site.myorigin);
	addr_free(&a);
	if (b.n == 0)
		buf_adds(&b, "");
	return buf_steal(&b);
}

/* The real uid: sudo and the like do not change who is told in the log. */
static char *
caller_name(void)
{
	struct passwd *pw = getpwuid(getuid());

	return pw != NULL ? mem_strdup(pw->pw_name)
			  : mem_printf("%ld", (long)getuid());
}

/* The sender: -f, or the caller. */
static int
set_sender(struct trans *t, const char *login, struct err *e)
{
	if (options.sender != NULL && options.sender[0] == '\0')
		t->sender = mem_strdup("");
	else
		t->sender = qualify(options.sender ? options.sender : login, e);
	return t->sender != NULL ? 0 : -1;
}

static int
add_rcpt(struct trans *t, const char *text, struct err *e)
{
	char *addr = qualify(text, e);
	int code = 0,
	    r = addr != NULL ? trans_rcpt(t, addr, NULL, NULL, &code, e) : -1;

	if (r != 0)
		err_prefix(e, "<%s>", text);
	free(addr);
	return r;
}

int
submit_run(int argc, char **argv)
{
	struct client c = { .submit = true, .login = caller_name() };
	struct err e = ERR_INIT;
	struct trans t;
	int r = 0;

	trans_init(&t, &c, false);
	if (deliver_drop(&e) != 0 || set_sender(&t, c.login, &e) != 0)
		r = -1;
	for (int i = 0; r == 0 && i < argc; i++)
		r = add_rcpt(&t, argv[i], &e);
	if (r == 0) {
		trans_begin(&t);
		r = lines_stdin(put_trans, &t, &e);
	}
	if (r == 0) {
		r = trans_end(&t, &e);
		trans_log(&t);
	}
	trans_reset(&t);
	client_free(&c);
	return r == 0 ? ST_OK : prog_fail(&e);
}

static int
put_local(void *to, const void *p, size_t n, struct err *e)
{
	return local_write(to, p, n, e);
}

static int
put_spool(void *to, const void *p, size_t n, struct err *e)
{
	return spool_write(to, p, n, e);
}

/* The message into dest; out says how it went. */
static int
deliver_stdin(const struct dest *d, const struct facts *f, struct outcome *out,
	      struct err *e)
{
	struct local l;
	struct spool s;
	int r;

	if (d->kind == DEST_MAILDIR) {
		if (local_begin(&l, d, f, e) != 0)
			return -1;
		r = lines_stdin(put_local, &l, e);
		if (r == 0)
			local_finish(&l, out);
		else
			local_abort(&l);
		return r;
	}
	spool_init(&s);
	r = lines_stdin(put_spool, &s, e);
	if (r == 0)
		r = spool_rewind(&s, e);
	if (r == 0)
		local_deliver(d, f, s.fd, 0, s.size, out);
	spool_free(&s);
	return r;
}

/* Dovecot's and Postfix's LDAs log one line a delivery; so do we. */
static void
lda_log(const struct facts *f, const struct dest *d, const struct outcome *out)
{
	struct delays dl = { .a = 0 };

	deliver_log(d->relay, f->id, f->addr, f->original, d->relay, &dl,
		    out->dsn,
		    out->result == DELIVER_DONE       ? "sent"
		    : out->result == DELIVER_DEFERRED ? "deferred"
						      : "bounced",
		    out->text);
}

int
lda_run(void)
{
	const struct user *u = NULL;
	struct err e = ERR_INIT;
	struct outcome out = { .result = DELIVER_DEFERRED };
	struct dest *d = NULL;
	char id[64];
	int r = 0;

	if (deliver_drop(&e) != 0)
		return prog_fail(&e);
	switch (users_find(span_of(options.user), &u, &e)) {
	case TABLE_NONE:
		err_esc(&e, ST_NOUSER, "5.1.1", "user %s is not known here",
			options.user);
		r = -1;
		break;
	case TABLE_TRY_AGAIN:
		r = -1;
		break;
	case TABLE_FOUND:
		d = dest_of_user(u, &e);
		r = d != NULL ? 0 : -1;
	}
	if (r != 0)
		return prog_fail(&e);
	queuefile_id_new(id, sizeof(id));
	struct facts f = { .id = id,
			   .sender = options.sender ? options.sender : "",
			   .addr = options.original ? options.original
						    : options.user,
			   .original = options.original };
	r = deliver_stdin(d, &f, &out, &e);
	if (r == 0)
		lda_log(&f, d, &out);
	if (r == 0 && out.result != DELIVER_DONE) {
		e = out.why;
		r = -1;
	}
	dest_free(d);
	return r == 0 ? ST_OK : prog_fail(&e);
}
