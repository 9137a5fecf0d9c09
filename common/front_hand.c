/*
 * front_hand.c - from a login to a session: the front names the auth request,
 * the monitor asks the auth server's master socket whose it was, and a child
 * becomes that user.  The monitor itself waits for nobody: the child asks.
 * Layer: mail.  DESIGN 4 mx-imapd, 3.11 (what a worker says is hostile input).
 */
#include "deposit.h"
#include "endpoint.h"
#include "front.h"
#include "log.h"
#include "maildir_root.h"
#include "mbox_shadow.h"
#include "mem.h"
#include "num.h"
#include "sandbox.h"
#include "site.h"
#include "status.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define MASTER_MS 30000
#define CHILDREN_MAX 5000

static const struct front_protocol *protocol;
static int offer = -1;
/*
 * The sessions' processes, and whose session each is: a sum of user and
 * address, 0 where nobody is.  Shared, as only the child learns who logged in;
 * workers and sessions let go of it before they read a byte of a client's.
 */
static struct places {
	uint64_t whose[CHILDREN_MAX];
	pid_t children[CHILDREN_MAX];
} * places;
static bool over_limit; /* in the child */

struct request {
	uint32_t cpid, id;
	struct span cookie, addr, option;
};

/* "CPID ID COOKIE ADDRESS OPTION", nothing else; OPTION may be "-". */
static int
parse_request(struct span text, struct request *r, struct err *e)
{
	struct span cpid, id;
	uint64_t a, b;

	if (!span_word(&text, " ", &cpid) || !span_word(&text, " ", &id) ||
	    !span_word(&text, " ", &r->cookie) ||
	    !span_word(&text, " ", &r->addr) ||
	    !span_word(&text, " ", &r->option) || text.n != 0 ||
	    r->option.n >= sizeof(((struct front_user *)0)->option) ||
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

	if (endpoint_parse(&ep, span_of(front_conf.auth_master_socket),
			   site.run_directory, e) != 0)
		return err_prefix(e, "auth_master_socket");
	fd = endpoint_connect(&ep, d, e);
	endpoint_free(&ep);
	if (fd < 0 || authmaster_open(&m, fd, d, e) != 0)
		return err_prefix(e, "auth_master_socket = %s",
				  front_conf.auth_master_socket);
	k = authmaster_request(&m, r->cpid, r->id, r->cookie, u, d, e);
	authmaster_close(&m);
	if (k == AUTH_OK)
		return 0;
	return k == AUTH_FAIL ? err_set(e, ST_NOPERM,
					"the auth server knows no such login")
			      : err_prefix(e, "auth_master_socket = %s",
					   front_conf.auth_master_socket);
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

		if (front_conf.mail_uid[0] == '\0')
			return err_set(e, ST_CONFIG,
				       "%s: the auth server tells no uid and "
				       "gid: set mail_uid",
				       u->user);
		if (sandbox_names(front_conf.mail_uid, front_conf.mail_gid,
				  &uid, &gid, e) != 0)
			return err_prefix(e, "mail_uid");
		if (uid == 0)
			return err_set(e, ST_CONFIG,
				       "mail_uid = %s: mail is not root's",
				       front_conf.mail_uid);
		return sandbox_ids(uid, gid, e);
	}
	if (u->uid == 0 || (int64_t)u->uid < front_conf.first_valid_uid)
		return err_set(e, ST_NOPERM,
			       "%s: uid %ld may not log in (first_valid_uid = "
			       "%lld)",
			       u->user, (long)u->uid,
			       (long long)front_conf.first_valid_uid);
	return sandbox_ids(u->uid, u->gid, e);
}

void
front_path(struct front_user *u, const char *path)
{
	size_t n = 0;

	while (u->paths[n] != NULL)
		n++;
	if (path != NULL && n + 1 < ARRAY_LEN(u->paths))
		u->paths[n] = path;
}

/* An mbox's folders are made before those of mailbox_auto, which leaves what
 * is there. */
static int
find_root(struct front_user *u, const char *location, const char *home,
	  struct err *e)
{
	int r = mbox_shadow_use(&u->root, location, u->auth.user, home, e);
	int fd;

	if (r > 0)
		return maildir_root_path(&u->root, location, u->auth.user, home,
					 e);
	if (r < 0)
		return -1;
	/* the sandbox can only be given a file that is there */
	fd = open(mbox_shadow_inbox(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC,
		  0600);
	if (fd >= 0)
		close(fd);
	fd = deposit_maildir_open(buf_str(&u->root), e);
	if (fd < 0)
		return -1;
	r = mbox_shadow_folders(fd, e);
	close(fd);
	return r;
}

int
front_mail_root(struct front_user *u, const char *mail_location, struct err *e)
{
	const struct auth_user *a = &u->auth;
	const char *home = a->home != NULL ? a->home : "";
	bool told = a->mail != NULL && a->mail[0] != '\0';
	int root;

	if (u->root.n == 0 &&
	    find_root(u, told ? a->mail : mail_location, home, e) != 0)
		return -1;
	root = maildir_root_open(buf_str(&u->root), e);
	if (root < 0)
		return err_prefix(e, "%s", a->user);
	close(root);
	front_path(u, buf_str(&u->root));
	front_path(u, mbox_shadow_dir());
	front_path(u, mbox_shadow_inbox());
	u->promises = SANDBOX_RPATH | SANDBOX_WPATH;
	return 0;
}

static uint64_t
sum(uint64_t h, struct span s)
{
	for (size_t i = 0; i < s.n; i++) /* FNV-1a, 64 bits */
		h = (h ^ (unsigned char)s.p[i]) * 0x100000001b3;
	return (h ^ 0xff) * 0x100000001b3;
}

static void
let_go(void)
{
	if (places != NULL)
		(void)munmap(places, sizeof(*places));
	places = NULL;
}

/* Counted before it is looked at: of two that come at once, one sees both. */
static int
take_place(const struct request *r, int place, const char *user, struct err *e)
{
	uint64_t me = sum(sum(0xcbf29ce484222325, span_of(user)), r->addr) | 1;
	int64_t n = 0;

	if (places == NULL)
		return 0;
	__atomic_store_n(&places->whose[place], me, __ATOMIC_SEQ_CST);
	for (size_t i = 0; i < CHILDREN_MAX; i++)
		if (__atomic_load_n(&places->whose[i], __ATOMIC_SEQ_CST) == me)
			n++;
	let_go();
	over_limit = front_conf.user_limit > 0 && n > front_conf.user_limit;
	if (over_limit)
		return err_set(e, ST_TEMPFAIL,
			       "more than mail_max_userip_connections = %lld "
			       "sessions from %.*s",
			       (long long)front_conf.user_limit,
			       SPAN_ARG(r->addr));
	return 0;
}

/* A worker with the process id of a session that ended is no session. */
void
front_hand_worker(void)
{
	pid_t me = getpid();

	for (size_t i = 0; places != NULL && i < CHILDREN_MAX; i++)
		if (places->children[i] == me)
			places->children[i] = 0;
	let_go();
}

static int
prepare(const struct request *r, int place, struct front_user *u, struct err *e)
{
	if (ask_master(r, &u->auth, e) != 0 ||
	    take_place(r, place, u->auth.user, e) != 0 ||
	    take_rights(&u->auth, e) != 0)
		return -1;
	sandbox_die_with_parent();
	if (protocol->prepare(u, e) != 0)
		return -1;
	return sandbox_enter((enum sandbox_mode)site.sandbox, u->promises,
			     u->paths, e);
}

static MX_NORETURN void
child(const struct request *r, int place, int fd)
{
	struct front_user u = { .auth = { .user = NULL } };
	struct err e = ERR_INIT;
	struct stream st;
	int keep[] = { fd, -1 };

	(void)signal(SIGHUP, SIG_IGN);
	(void)signal(SIGCHLD, SIG_DFL);
	log_role(protocol->name);
	sandbox_close_others(3, keep);
	log_reopen();
	umask(077);
	if (chdir("/") != 0)
		_exit(ST_OSERR);
	stream_init(&st, fd, fd);
	st.out_deadline = clock_deadline(MASTER_MS);
	if (!span_is(r->option, "-"))
		snprintf(u.option, sizeof(u.option), "%.*s",
			 SPAN_ARG(r->option));
	if (prepare(r, place, &u, &e) != 0) {
		stream_printf(&st, "%s %s\n", over_limit ? "LIMIT" : "NO",
			      e.text);
		(void)!stream_flush(&st, clock_deadline(MASTER_MS));
		_exit(ST_OK);
	}
	stream_puts(&st, "OK\n");
	if (stream_flush(&st, clock_deadline(MASTER_MS)) == IO_OK)
		protocol->session(&st, &u);
	stream_close(&st);
	_exit(ST_OK);
}

/* No child of ours, or one that ended: its id may be another process's by now,
 * which kill(2) could not tell. */
static bool
has_ended(pid_t pid)
{
	siginfo_t si = { .si_pid = 0 };

	if (waitid(P_PID, (id_t)pid, &si, WEXITED | WNOHANG | WNOWAIT) != 0)
		return errno == ECHILD;
	return si.si_pid == pid;
}

/* A place for one child more.  Those that ended were reaped by the skeleton;
 * their users are let go of. */
static int
free_place(void)
{
	int free_ = -1;

	for (int i = CHILDREN_MAX - 1; i >= 0; i--) {
		if (places->children[i] != 0 && has_ended(places->children[i]))
			places->children[i] = 0;
		if (places->children[i] != 0)
			continue;
		if (__atomic_load_n(&places->whose[i], __ATOMIC_SEQ_CST) != 0)
			__atomic_store_n(&places->whose[i], 0,
					 __ATOMIC_SEQ_CST);
		if (i < *protocol->process_limit)
			free_ = i;
	}
	return free_;
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
		return err_set(e, ST_TEMPFAIL, "%s sessions run already",
			       protocol->process_limit_name);
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
		child(&r, place, pair[1]);
	for (size_t i = 0; i < CHILDREN_MAX; i++)
		if (places->children[i] == pid)
			places->children[i] = 0;
	places->children[place] = pid;
	close(pair[1]);
	*fd_r = pair[0];
	return 0;
}

int
front_hand_offer(const struct front_protocol *p, struct server *s,
		 struct err *e)
{
	struct endpoint ep;
	void *map;

	protocol = p;
	if (places == NULL) {
		map = mmap(NULL, sizeof(*places), PROT_READ | PROT_WRITE,
			   MAP_SHARED | MAP_ANONYMOUS, -1, 0);
		if (map == MAP_FAILED)
			return err_sys(e, "mmap");
		places = map;
	}

	if (endpoint_parse(&ep, span_of(front_conf.auth_master_socket),
			   site.run_directory, e) != 0)
		return err_prefix(e, "auth_master_socket");
	endpoint_free(&ep);
	offer = server_offer(s, start_session, NULL);
	return 0;
}

int
front_hand_ask(struct front *f, const struct authclient *a, struct err *e)
{
	struct buf q = BUF_INIT, reply = BUF_INIT;
	char word[512];
	size_t n = 0;
	int fd = -1, r;

	buf_addf(&q, "%lu %lu %s %s %s", (unsigned long)a->cpid,
		 (unsigned long)a->id, buf_str(&a->cookie), f->conn->addr,
		 f->option[0] != '\0' ? f->option : "-");
	r = server_ask(f->server, offer, buf_span(&q), &reply, &fd, e);
	buf_wipe(&q);
	buf_free(&reply);
	if (r != 0 || fd < 0)
		return -1;
	/* One line, byte by byte: what follows it is the session's. */
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
	else if (strncmp(word, "LIMIT ", 6) == 0)
		err_set(e, ST_TEMPFAIL, "%s", word + 6);
	close(fd);
	return word[0] == 'L' ? -2 : -1;
}
