/*
 * sandbox.c - giving up rights; see sandbox.h.
 * Layer: sys.  DESIGN 3.1: limits, uid, no_new_privs, close_range, Landlock
 * (raw system calls, ABI asked first), seccomp last.
 */
#include "sandbox.h"
#include "buf.h"
#include "log.h"
#include "num.h"
#include "status.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/landlock.h>
#include <pwd.h>
#include <seccomp.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

int
sandbox_ids(uid_t uid, gid_t gid, struct err *e)
{
	if (geteuid() != 0)
		return 0;
	if (setgroups(1, &gid) != 0 || setresgid(gid, gid, gid) != 0 ||
	    setresuid(uid, uid, uid) != 0)
		return err_sys(e, "cannot become uid %ld", (long)uid);
	if (uid != 0 && (setuid(0) == 0 || getuid() != uid))
		return err_set(e, ST_OSERR, "root rights could not be dropped");
	return 0;
}

int
sandbox_names(const char *user, const char *group, uid_t *uid, gid_t *gid,
	      struct err *e)
{
	struct passwd *pw = getpwnam(user);
	struct group *gr;
	uid_t u;
	gid_t g;
	uint64_t n;

	if (pw == NULL && num_u64(span_of(user), UINT32_MAX - 1, &n)) {
		pw = getpwuid((uid_t)n);
		u = (uid_t)n;
		g = pw != NULL ? pw->pw_gid : (gid_t)n;
	} else if (pw != NULL) {
		u = pw->pw_uid;
		g = pw->pw_gid;
	} else {
		return err_set(e, ST_CONFIG, "user \"%s\" does not exist",
			       user);
	}
	if (group != NULL && group[0] != '\0') {
		gr = getgrnam(group);
		if (gr != NULL)
			g = gr->gr_gid;
		else if (num_u64(span_of(group), UINT32_MAX - 1, &n))
			g = (gid_t)n;
		else
			return err_set(e, ST_CONFIG,
				       "group \"%s\" does not exist", group);
	}
	*uid = u;
	*gid = g;
	return 0;
}

int
sandbox_user(const char *user, struct err *e)
{
	struct passwd *pw;
	uint64_t n;

	if (user == NULL || user[0] == '\0' || geteuid() != 0)
		return 0;
	pw = getpwnam(user);
	if (pw == NULL && num_u64(span_of(user), UINT32_MAX - 1, &n))
		pw = getpwuid((uid_t)n);
	if (pw == NULL)
		return err_set(e, ST_CONFIG,
			       "user \"%s\" does not exist: create it (make "
			       "install does) or name another",
			       user);
	if (initgroups(pw->pw_name, pw->pw_gid) != 0 ||
	    setresgid(pw->pw_gid, pw->pw_gid, pw->pw_gid) != 0 ||
	    setresuid(pw->pw_uid, pw->pw_uid, pw->pw_uid) != 0)
		return err_sys(e, "cannot become user %s", user);
	if (pw->pw_uid != 0 && setuid(0) == 0)
		return err_set(e, ST_OSERR, "root rights could not be dropped");
	return 0;
}

/* The groups of a user beyond its own. */
static bool
set_more_groups(const char *name, gid_t own)
{
	gid_t v[256];
	int n = ARRAY_LEN(v);
	size_t left = 0;

	if (getgrouplist(name, own, v, &n) < 0)
		return false;
	for (int i = 0; i < n; i++)
		if (v[i] != own)
			v[left++] = v[i];
	return setgroups(left, v) == 0;
}

int
sandbox_user_then(const char *user, const char *next, struct err *e)
{
	uid_t uid, next_uid;
	gid_t gid, next_gid;
	struct passwd *pw;

	if (user == NULL || user[0] == '\0' || geteuid() != 0)
		return 0;
	if (next == NULL || next[0] == '\0')
		return sandbox_user(user, e);
	if (sandbox_names(next, NULL, &next_uid, &next_gid, e) != 0 ||
	    sandbox_names(user, NULL, &uid, &gid, e) != 0)
		return -1;
	pw = getpwuid(uid);
	if (next_uid == 0 || uid == 0)
		return sandbox_user(user, e);
	if (!(pw != NULL ? set_more_groups(pw->pw_name, gid)
			 : setgroups(0, NULL) == 0) ||
	    setresgid(gid, gid, next_gid) != 0 ||
	    setresuid(uid, uid, next_uid) != 0)
		return err_sys(e, "cannot become user %s", user);
	return 0;
}

int
sandbox_user_next(struct err *e)
{
	uid_t r, u, next;
	gid_t rg, g, next_gid;

	if (getresuid(&r, &u, &next) != 0 || getresgid(&rg, &g, &next_gid) != 0)
		return err_sys(e, "getresuid");
	if (u == 0 || next == 0 || (u == next && g == next_gid))
		return 0;
	if (setresgid(next_gid, next_gid, next_gid) != 0 ||
	    setresuid(next, next, next) != 0)
		return err_sys(e, "cannot become uid %ld", (long)next);
	return 0;
}

void
sandbox_no_dump(void)
{
	struct rlimit none = { 0, 0 };

	(void)setrlimit(RLIMIT_CORE, &none);
	(void)prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
}

void
sandbox_die_with_parent(void)
{
	(void)prctl(PR_SET_PDEATHSIG, SIGTERM);
}

void
sandbox_close_others(int from, const int *keep)
{
	int max = 0;

	/* Ranges between the kept ones; the list is short. */
	for (;;) {
		int next = -1;

		for (size_t i = 0; keep != NULL && keep[i] >= 0; i++) {
			if (keep[i] >= from && (next < 0 || keep[i] < next))
				next = keep[i];
		}
		if (next < 0)
			break;
		if (next > from)
			(void)syscall(SYS_close_range, (unsigned)from,
				      (unsigned)next - 1, 0u);
		from = next + 1;
		if (++max > 4096)
			break;
	}
	(void)syscall(SYS_close_range, (unsigned)from, ~0u, 0u);
}

/* What the file system rights of each promise are. */
#define LL_READ (LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR)
#define LL_WRITE                                                               \
	(LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_REMOVE_FILE |      \
	 LANDLOCK_ACCESS_FS_REMOVE_DIR | LANDLOCK_ACCESS_FS_MAKE_REG |         \
	 LANDLOCK_ACCESS_FS_MAKE_DIR | LANDLOCK_ACCESS_FS_MAKE_SYM)
#define LL_ALL_V1                                                              \
	(LL_READ | LL_WRITE | LANDLOCK_ACCESS_FS_EXECUTE |                     \
	 LANDLOCK_ACCESS_FS_MAKE_CHAR | LANDLOCK_ACCESS_FS_MAKE_SOCK |         \
	 LANDLOCK_ACCESS_FS_MAKE_FIFO | LANDLOCK_ACCESS_FS_MAKE_BLOCK)
#define LL_REFER (1ULL << 13)    /* ABI 2 */
#define LL_TRUNCATE (1ULL << 14) /* ABI 3 */

/* What may be said of a file that is no folder. */
#define LL_FILE                                                                \
	(LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_WRITE_FILE |        \
	 LANDLOCK_ACCESS_FS_EXECUTE | LL_TRUNCATE)

static int
landlock_allow(int rules, const char *path, uint64_t rights)
{
	struct landlock_path_beneath_attr at = { .allowed_access = rights };
	struct stat st;
	int r;

	/* What cannot be reached needs no leave; and no failure here (a loop of
	 * links, a file in the place of a folder) may cost the whole sandbox,
	 * which `try` would go on without. */
	at.parent_fd = open(path, O_PATH | O_CLOEXEC);
	if (at.parent_fd < 0)
		return 0;
	if (fstat(at.parent_fd, &st) == 0 && !S_ISDIR(st.st_mode))
		at.allowed_access &= LL_FILE;
	r = (int)syscall(SYS_landlock_add_rule, rules,
			 LANDLOCK_RULE_PATH_BENEATH, &at, 0);
	close(at.parent_fd);
	return r;
}

static int
sandbox_landlock(unsigned promises, const char *const *paths)
{
	static const char *const system_dirs[] = { "/usr", "/bin", "/lib",
						   "/lib64", "/etc" };
	long abi = syscall(SYS_landlock_create_ruleset, NULL, 0, 1u);
	struct landlock_ruleset_attr attr = { 0 };
	uint64_t mine = 0;
	int rules, r = 0;

	if (abi < 1)
		return -1;
	attr.handled_access_fs = LL_ALL_V1;
	if (abi >= 2)
		attr.handled_access_fs |= LL_REFER;
	if (abi >= 3)
		attr.handled_access_fs |= LL_TRUNCATE;
	rules =
	    (int)syscall(SYS_landlock_create_ruleset, &attr, sizeof(attr), 0u);
	if (rules < 0)
		return -1;
	if (promises & SANDBOX_RPATH)
		mine |= LL_READ;
	if (promises & SANDBOX_WPATH)
		mine |= LL_READ | LL_WRITE |
			(attr.handled_access_fs & (LL_REFER | LL_TRUNCATE));
	if (promises & SANDBOX_EXEC)
		mine |= LANDLOCK_ACCESS_FS_EXECUTE;
	for (size_t i = 0; mine && paths != NULL && paths[i] != NULL; i++)
		r |= landlock_allow(rules, paths[i], mine);
	for (size_t i = 0;
	     (promises & SANDBOX_EXEC) && i < ARRAY_LEN(system_dirs); i++)
		r |= landlock_allow(rules, system_dirs[i],
				    LL_READ | LANDLOCK_ACCESS_FS_EXECUTE);
	if (r == 0)
		r = (int)syscall(SYS_landlock_restrict_self, rules, 0u);
	close(rules);
	return r;
}

#define NR(name) SCMP_SYS(name)
/* Descriptors it has, memory, time, signals, its own end. */
static const int sys_stdio[] = {
	NR(read),
	NR(write),
	NR(readv),
	NR(writev),
	NR(pread64),
	NR(pwrite64),
	NR(preadv),
	NR(preadv2),
	NR(pwritev),
	NR(lseek),
	NR(close),
	NR(close_range),
	NR(fstat),
	NR(newfstatat),
	NR(poll),
	NR(ppoll),
	NR(select),
	NR(pselect6),
	NR(epoll_create1),
	NR(epoll_ctl),
	NR(epoll_wait),
	NR(epoll_pwait),
	NR(eventfd2),
	NR(pipe),
	NR(pipe2),
	NR(dup),
	NR(dup2),
	NR(dup3),
	NR(fcntl),
	NR(flock),
	NR(ioctl),
	NR(recvfrom),
	NR(recvmsg),
	NR(recvmmsg),
	NR(sendto),
	NR(sendmsg),
	NR(sendmmsg),
	NR(sendfile),
	NR(splice),
	NR(shutdown),
	NR(getsockname),
	NR(getpeername),
	NR(getsockopt),
	NR(setsockopt),
	NR(socketpair),
	NR(fsync),
	NR(fdatasync),
	NR(sync_file_range),
	NR(ftruncate),
	NR(fallocate),
	NR(fadvise64),
	NR(fchmod),
	NR(fstatfs),
	NR(mmap),
	NR(munmap),
	NR(mprotect),
	NR(mremap),
	NR(madvise),
	NR(msync),
	NR(brk),
	NR(memfd_create),
	NR(mlock),
	NR(munlock),
	NR(rt_sigaction),
	NR(rt_sigprocmask),
	NR(rt_sigreturn),
	NR(rt_sigpending),
	NR(rt_sigtimedwait),
	NR(sigaltstack),
	NR(clock_gettime),
	NR(clock_nanosleep),
	NR(clock_getres),
	NR(nanosleep),
	NR(gettimeofday),
	NR(time),
	NR(times),
	NR(alarm),
	NR(setitimer),
	NR(timerfd_create),
	NR(timerfd_settime),
	NR(getpid),
	NR(getppid),
	NR(gettid),
	NR(getuid),
	NR(geteuid),
	NR(getgid),
	NR(getegid),
	NR(getgroups),
	NR(getresuid),
	NR(getresgid),
	NR(getpgrp),
	NR(getpgid),
	NR(getsid),
	NR(getrlimit),
	NR(prlimit64),
	NR(getrusage),
	NR(sysinfo),
	NR(uname),
	NR(getcwd),
	NR(getrandom),
	NR(futex),
	NR(sched_yield),
	NR(sched_getaffinity),
	NR(set_robust_list),
	NR(get_robust_list),
	NR(rseq),
	NR(membarrier),
	NR(prctl),
	NR(arch_prctl),
	NR(restart_syscall),
	NR(tgkill),
	NR(exit),
	NR(exit_group),
	NR(umask),
	NR(wait4),
	NR(waitid),
	NR(inotify_init1),
	NR(inotify_rm_watch),
};
static const int sys_accept[] = { NR(accept), NR(accept4) };
static const int sys_connect[] = { NR(socket), NR(connect), NR(bind) };
static const int sys_rpath[] = {
	NR(open),       NR(openat),   NR(openat2),    NR(stat),
	NR(lstat),      NR(statx),    NR(access),     NR(faccessat),
	NR(faccessat2), NR(readlink), NR(readlinkat), NR(getdents64),
	NR(statfs),     NR(chdir),    NR(fchdir),     NR(inotify_add_watch),
};
static const int sys_wpath[] = {
	NR(rename),  NR(renameat),  NR(renameat2), NR(link),      NR(linkat),
	NR(symlink), NR(symlinkat), NR(unlink),    NR(unlinkat),  NR(mkdir),
	NR(mkdirat), NR(rmdir),     NR(truncate),  NR(utimensat), NR(utime),
	NR(utimes),  NR(chmod),     NR(fchmodat),  NR(fchown),    NR(fsetxattr),
};
static const int sys_fork[] = { NR(fork),   NR(vfork), NR(clone),
				NR(clone3), NR(kill),  NR(setpgid) };
static const int sys_exec[] = { NR(execve), NR(execveat) };

static const struct {
	unsigned promise;
	const int *calls;
	size_t n;
} sys_sets[] = {
	{ SANDBOX_STDIO, sys_stdio, ARRAY_LEN(sys_stdio) },
	{ SANDBOX_ACCEPT, sys_accept, ARRAY_LEN(sys_accept) },
	{ SANDBOX_CONNECT, sys_connect, ARRAY_LEN(sys_connect) },
	{ SANDBOX_RPATH, sys_rpath, ARRAY_LEN(sys_rpath) },
	{ SANDBOX_WPATH, sys_rpath, ARRAY_LEN(sys_rpath) },
	{ SANDBOX_WPATH, sys_wpath, ARRAY_LEN(sys_wpath) },
	{ SANDBOX_FORK, sys_fork, ARRAY_LEN(sys_fork) },
	{ SANDBOX_EXEC, sys_fork, ARRAY_LEN(sys_fork) },
	{ SANDBOX_EXEC, sys_exec, ARRAY_LEN(sys_exec) },
	{ SANDBOX_EXEC, sys_rpath, ARRAY_LEN(sys_rpath) },
};

static int
sandbox_seccomp(unsigned promises)
{
	scmp_filter_ctx ctx = seccomp_init(SCMP_ACT_ERRNO(EPERM));
	int r = 0;

	if (ctx == NULL)
		return -1;
	for (size_t i = 0; i < ARRAY_LEN(sys_sets); i++) {
		if ((sys_sets[i].promise & promises) != sys_sets[i].promise)
			continue;
		for (size_t k = 0; k < sys_sets[i].n; k++)
			r |= seccomp_rule_add(ctx, SCMP_ACT_ALLOW,
					      sys_sets[i].calls[k], 0);
	}
	/* Is the process that a lock file names alive?  Nothing is sent. */
	if ((promises & SANDBOX_WPATH) &&
	    !(promises & (SANDBOX_FORK | SANDBOX_EXEC)))
		r |= seccomp_rule_add(ctx, SCMP_ACT_ALLOW, NR(kill), 1,
				      SCMP_A1(SCMP_CMP_EQ, 0));
	/* A large list is searched as a tree: cheaper per call. */
	(void)seccomp_attr_set(ctx, SCMP_FLTATR_CTL_OPTIMIZE, 2);
	if (r == 0)
		r = seccomp_load(ctx);
	seccomp_release(ctx);
	return r;
}

int
sandbox_enter(enum sandbox_mode mode, unsigned promises,
	      const char *const *paths, struct err *e)
{
	static bool said;
	struct rlimit none = { 0, 0 };
	bool fs_ok, sys_ok;

	(void)setrlimit(RLIMIT_CORE, &none);
	if (mode == SANDBOX_OFF)
		return 0;
	tzset(); /* the zone file is read now, while it can be */
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
		return err_sys(e, "no_new_privs");
	fs_ok = sandbox_landlock(promises, paths) == 0;
	sys_ok = sandbox_seccomp(promises) == 0;
	if (fs_ok && sys_ok)
		return 0;
	if (mode == SANDBOX_REQUIRE)
		return err_set(
		    e, ST_OSERR, "sandbox = require, but this kernel lacks%s%s",
		    fs_ok ? "" : " Landlock", sys_ok ? "" : " seccomp");
	if (!said && !(promises & SANDBOX_QUIET))
		log_info("sandbox: this kernel lacks%s%s: going on without",
			 fs_ok ? "" : " Landlock", sys_ok ? "" : " seccomp");
	said = true;
	return 0;
}
