/*
 * hand.c - from a login to a session: the front names the auth request, the
 * monitor asks the auth server's master socket whose it was, and a child
 * becomes that user.  The monitor itself waits for nobody: the child asks.
 * DESIGN 4 mx-imapd, 3.11 (what a worker says is hostile input).
 */
#include "conf.h"
#include "endpoint.h"
#include "front.h"
#include "log.h"
#include "maildir_root.h"
#include "mem.h"
#include "num.h"
#include "sandbox.h"
#include "site.h"
#include "status.h"

#include <errno.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#define MASTER_MS 30000
#define CHILDREN_MAX 5000

static int offer = -1;
static pid_t children[CHILDREN_MAX];

struct request {
	uint32_t cpid, id;
	struct span cookie;
};

/* "CPID ID COOKIE", nothing else. */
static int
parse_request(struct span text, struct request *r, struct err *e)
{
	struct span cpid, id;
	uint64_t a, b;

	if (!span_word(&text, " ", &cpid) || !span_word(&text, " ", &id) ||
	    !span_word(&text, " ", &r->cookie) || text.n != 0 ||
	    !num_u64(cpid, UINT32_MAX, &a) || !num_u64(id, UINT32_MAX, &b) ||
	    r->cookie.n > 128 || span_has_ctl(r->cookie))
		return err_set(e, ST_PROTOCOL, "malformed session request");
	r->cpid = (uint32_t)a;
	r->id = (uint32_t)b;
	return 0;
}

static int
ask_master(const struct request *r, struct auth_user *u, struct err *e)
{
	deadline_t d = clock_deadline(MASTER_MS);
	struct authmaster m;
	struct endpoint ep;
	enum auth_result k;
	int fd;

	if (endpoint_parse(&ep, span_of(conf.auth_master_socket),
			   site.run_directory, e) != 0)
		return err_prefix(e, "auth_master_socket");
	fd = endpoint_connect(&ep, d, e);
	endpoint_free(&ep);
	if (fd < 0 || authmaster_open(&m, fd, d, e) != 0)
		return err_prefix(e, "auth_master_socket = %s",
				  conf.auth_master_socket);
	k = authmaster_request(&m, r->cpid, r->id, r->cookie, u, d, e);
	authmaster_close(&m);
	if (k == AUTH_OK)
		return 0;
	return k == AUTH_FAIL ? err_set(e, ST_NOPERM,
					"the auth server knows no such login")
			      : err_prefix(e, "auth_master_socket = %s",
					   conf.auth_master_socket);
}

/* Becomes the user; without root the session stays who we are. */
static int
take_rights(const struct auth_user *u, struct err *e)
{
	if (geteuid() != 0)
		return 0;
	if (!u->has_ids) {
		uid_t uid;
		gid_t gid;

		if (conf.mail_uid[0] == '\0')
			return err_set(e, ST_CONFIG,
				       "%s: the auth server tells no uid and "
				       "gid: set mail_uid",
				       u->user);
		if (sandbox_names(conf.mail_uid, conf.mail_gid, &uid, &gid,
				  e) != 0)
			return err_prefix(e, "mail_uid");
		if (uid == 0)
			return err_set(e, ST_CONFIG,
				       "mail_uid = %s: mail is not root's",
				       conf.mail_uid);
		return sandbox_ids(uid, gid, e);
	}
	if (u->uid == 0 || (int64_t)u->uid < conf.first_valid_uid)
		return err_set(e, ST_NOPERM,
			       "%s: uid %ld may not log in (first_valid_uid = "
			       "%lld)",
			       u->user, (long)u->uid,
			       (long long)conf.first_valid_uid);
	return sandbox_ids(u->uid, u->gid, e);
}

static int
mail_root(const struct auth_user *u, struct buf *path, struct err *e)
{
	const char *home = u->home != NULL ? u->home : "";
	bool told = u->mail != NULL && u->mail[0] != '\0';

	return maildir_root_path(path, told ? u->mail : conf.mail_location,
				 u->user, home, e);
}

static int
prepare(const struct request *r, struct auth_user *u, struct buf *path,
	struct err *e)
{
	const char *paths[2] = { NULL, NULL };
	int root;

	if (ask_master(r, u, e) != 0 || mail_root(u, path, e) != 0 ||
	    take_rights(u, e) != 0)
		return -1;
	/* Dovecot's session shows %u as user too; nothing else of it. */
	sandbox_die_with_parent();
	root = maildir_root_open(buf_str(path), e);
	if (root < 0)
		return err_prefix(e, "%s", u->user);
	close(root);
	paths[0] = buf_str(path);
	return sandbox_enter((enum sandbox_mode)site.sandbox,
			     SANDBOX_RPATH | SANDBOX_WPATH, paths, e);
}

static MX_NORETURN void
child(const struct request *r, int fd)
{
	struct auth_user u = { .user = NULL };
	struct buf path = BUF_INIT;
	struct err e = ERR_INIT;
	struct stream st;
	int keep[] = { fd, -1 };

	(void)signal(SIGHUP, SIG_IGN);
	(void)signal(SIGCHLD, SIG_DFL);
	log_role("imap");
	sandbox_close_others(3, keep);
	log_reopen();
	umask(077);
	if (chdir("/") != 0)
		_exit(ST_OSERR);
	stream_init(&st, fd, fd);
	st.out_deadline = clock_deadline(MASTER_MS);
	if (prepare(r, &u, &path, &e) != 0) {
		stream_printf(&st, "NO %s\n", e.text);
		(void)!stream_flush(&st, clock_deadline(MASTER_MS));
		_exit(ST_OK);
	}
	stream_puts(&st, "OK\n");
	if (stream_flush(&st, clock_deadline(MASTER_MS)) == IO_OK)
		(void)session_run(&st, u.user, buf_str(&path), false);
	stream_close(&st);
	_exit(ST_OK);
}

/* A place for one child more: those that ended were reaped by the skeleton. */
static int
free_place(void)
{
	int64_t limit = conf.process_limit < CHILDREN_MAX ? conf.process_limit
							  : CHILDREN_MAX;

	for (int i = 0; i < limit; i++) {
		if (children[i] == 0 ||
		    (kill(children[i], 0) != 0 && errno == ESRCH))
			return i;
	}
	return -1;
}

/* In the monitor. */
static int
start_session(void *ctx, struct server *s, struct span request,
	      struct buf *reply, int *fd_r, struct err *e)
{
	struct request r;
	int pair[2], place = free_place();
	pid_t pid;

	(void)ctx;
	(void)s;
	(void)reply;
	if (parse_request(request, &r, e) != 0)
		return -1;
	if (place < 0)
		return err_set(e, ST_TEMPFAIL,
			       "imap_process_limit sessions run already");
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0)
		return err_sys(e, "socketpair");
	(void)fflush(NULL);
	pid = fork();
	if (pid < 0) {
		err_sys(e, "fork");
		close(pair[0]);
		close(pair[1]);
		return -1;
	}
	if (pid == 0)
		child(&r, pair[1]);
	children[place] = pid;
	close(pair[1]);
	*fd_r = pair[0];
	return 0;
}

int
hand_offer(struct server *s, struct err *e)
{
	struct endpoint ep;

	if (endpoint_parse(&ep, span_of(conf.auth_master_socket),
			   site.run_directory, e) != 0)
		return err_prefix(e, "auth_master_socket");
	endpoint_free(&ep);
	offer = server_offer(s, start_session, NULL);
	return 0;
}

int
hand_ask(struct server *s, const struct authclient *a, const char *addr,
	 struct err *e)
{
	struct buf q = BUF_INIT, reply = BUF_INIT;
	char word[512];
	size_t n = 0;
	int fd = -1, r;

	(void)addr;
	buf_addf(&q, "%lu %lu %s", (unsigned long)a->cpid, (unsigned long)a->id,
		 buf_str(&a->cookie));
	r = server_ask(s, offer, buf_span(&q), &reply, &fd, e);
	buf_wipe(&q);
	buf_free(&reply);
	if (r != 0 || fd < 0)
		return -1;
	/* One line, byte by byte: what follows it is IMAP. */
	while (n < sizeof(word) - 1) {
		if (io_read(fd, word + n, 1, clock_deadline(MASTER_MS)) !=
		    IO_OK) {
			err_set(e, ST_TEMPFAIL, "the session did not start");
			break;
		}
		if (word[n] == '\n')
			break;
		n++;
	}
	word[n] = '\0';
	if (strcmp(word, "OK") == 0)
		return fd;
	if (strncmp(word, "NO ", 3) == 0)
		err_set(e, ST_TEMPFAIL, "%s", word + 3);
	close(fd);
	return -1;
}
