/*
 * shim_fault.c - LD_PRELOAD: lets the Nth file operation fail, be cut short,
 * or kill the process (DESIGN 7, laws 1 and 2).
 *
 * MX_FAULT        CALLS:N:ACTION or CALLS:N+:ACTION (the Nth and all later)
 *                 CALLS: any, or names joined by "|" (write|fsync|rename)
 *                 ACTION: an errno (ENOSPC, EIO ...), short (half a write),
 *                 kill (before the call), count (nothing happens)
 * MX_FAULT_PATH   only calls on files whose path has this in it
 * MX_FAULT_STATE  file that holds the count (first 8 bytes) and how often it
 *                 struck (next 8): one count for a tree of processes
 *
 * The words are handed on as SHIM_FAULT*, for programs that clear MX_*.
 * Calls go to the kernel directly: nothing here calls what it stands for
 * (fork is the library's, see there).
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

enum action { OFF, COUNT, FAIL, SHORT, KILL };
struct state {
	_Atomic uint64_t count, struck;
};

static struct {
	char calls[200], path[200];
	uint64_t n;
	int onward, err;
	enum action action;
	struct state *state, own;
} fault;

static const struct {
	const char *name;
	int err;
} errs[] = {
	{ "ENOSPC", ENOSPC }, { "EDQUOT", EDQUOT },   { "EIO", EIO },
	{ "EROFS", EROFS },   { "EMFILE", EMFILE },   { "ENFILE", ENFILE },
	{ "EACCES", EACCES }, { "ENOMEM", ENOMEM },   { "ENOENT", ENOENT },
	{ "EEXIST", EEXIST }, { "EINTR", EINTR },     { "EAGAIN", EAGAIN },
	{ "EXDEV", EXDEV },   { "ENOTDIR", ENOTDIR }, { "ENOBUFS", ENOBUFS },
};

/* The word up to sep into out; what follows it. */
static const char *
word(const char *s, char sep, char *out, size_t size)
{
	size_t n = strcspn(s, (char[]){ sep, '\0' });

	if (n >= size)
		_exit(120);
	memcpy(out, s, n);
	out[n] = '\0';
	return s[n] ? s + n + 1 : s + n;
}

static void
map_state(const char *file)
{
	long fd = syscall(SYS_openat, AT_FDCWD, file,
			  O_RDWR | O_CREAT | O_CLOEXEC, 0666);
	void *p;

	if (fd < 0 || syscall(SYS_ftruncate, fd, sizeof(*fault.state)) < 0)
		_exit(121);
	p = mmap(NULL, sizeof(*fault.state), PROT_READ | PROT_WRITE, MAP_SHARED,
		 (int)fd, 0);
	syscall(SYS_close, fd);
	if (p == MAP_FAILED)
		_exit(121);
	fault.state = p;
}

static const char *
setting(const char *mx, const char *shim)
{
	const char *v = getenv(mx);

	if (v)
		setenv(shim, v, 1);
	return getenv(shim);
}

__attribute__((constructor)) static void
fault_init(void)
{
	const char *spec = setting("MX_FAULT", "SHIM_FAULT");
	const char *path = setting("MX_FAULT_PATH", "SHIM_FAULT_PATH");
	const char *file = setting("MX_FAULT_STATE", "SHIM_FAULT_STATE");
	char number[24], *end, action[20];

	fault.state = &fault.own;
	if (!spec || !*spec)
		return;
	spec = word(spec, ':', fault.calls, sizeof(fault.calls));
	spec = word(spec, ':', number, sizeof(number));
	word(spec, ':', action, sizeof(action));
	fault.n = strtoull(number, &end, 10);
	fault.onward = *end == '+';
	if (path)
		word(path, '\n', fault.path, sizeof(fault.path));
	if (file && *file)
		map_state(file);
	if (strcmp(action, "count") == 0)
		fault.action = COUNT;
	else if (strcmp(action, "short") == 0)
		fault.action = SHORT;
	else if (strcmp(action, "kill") == 0)
		fault.action = KILL;
	for (size_t i = 0; i < sizeof(errs) / sizeof(*errs); i++)
		if (strcmp(action, errs[i].name) == 0) {
			fault.action = FAIL;
			fault.err = errs[i].err;
		}
	if (fault.action == OFF)
		_exit(122); /* a misspelt test must not pass */
}

static int
call_listed(const char *call)
{
	const char *at = fault.calls;
	size_t n = strlen(call);

	if (strcmp(at, "any") == 0)
		return 1;
	while ((at = strstr(at, call))) {
		if ((at == fault.calls || at[-1] == '|') &&
		    (at[n] == '\0' || at[n] == '|'))
			return 1;
		at++;
	}
	return 0;
}

static int
path_listed(int fd, const char *path)
{
	char name[40] = "/proc/self/fd/", digits[12], target[4096];
	size_t at = strlen(name), n = 0;
	long got;

	if (!fault.path[0])
		return 1;
	if (path && strstr(path, fault.path))
		return 1;
	/* a relative name is below the directory fd */
	if (fd < 0 || (path && path[0] == '/'))
		return 0;
	do
		digits[n++] = (char)('0' + fd % 10);
	while ((fd /= 10) > 0);
	while (n > 0)
		name[at++] = digits[--n];
	name[at] = '\0';
	got =
	    syscall(SYS_readlinkat, AT_FDCWD, name, target, sizeof(target) - 1);
	if (got < 0)
		return 0;
	target[got] = '\0';
	return strstr(target, fault.path) != NULL;
}

/* Counts the call; does it strike?  FAIL has set errno then. */
static enum action
strike(const char *call, int fd, const char *path)
{
	int saved = errno;
	uint64_t i;

	if (fault.action == OFF || !call_listed(call) ||
	    !path_listed(fd, path)) {
		errno = saved;
		return OFF;
	}
	i = atomic_fetch_add(&fault.state->count, 1) + 1;
	errno = saved;
	if (fault.action == COUNT ||
	    (fault.onward ? i < fault.n : i != fault.n))
		return OFF;
	atomic_fetch_add(&fault.state->struck, 1);
	if (fault.action == KILL)
		syscall(SYS_tgkill, getpid(), syscall(SYS_gettid), SIGKILL);
	if (fault.action == FAIL)
		errno = fault.err;
	return fault.action;
}

/* A call that only fails or not. */
#define PLAIN(RET, NAME, FD, PATH, NUMBER, PARAMS, ...)                        \
	RET NAME PARAMS                                                        \
	{                                                                      \
		if (strike(#NAME, FD, PATH) == FAIL)                           \
			return -1;                                             \
		return (RET)syscall(NUMBER, __VA_ARGS__);                      \
	}

PLAIN(int, fsync, fd, NULL, SYS_fsync, (int fd), fd)
PLAIN(int, fdatasync, fd, NULL, SYS_fdatasync, (int fd), fd)
PLAIN(int, ftruncate, fd, NULL, SYS_ftruncate, (int fd, off_t n), fd, n)
PLAIN(int, rename, -1, to, SYS_rename, (const char *from, const char *to), from,
      to)
PLAIN(int, renameat, b, to, SYS_renameat,
      (int a, const char *from, int b, const char *to), a, from, b, to)
PLAIN(int, renameat2, b, to, SYS_renameat2,
      (int a, const char *from, int b, const char *to, unsigned flags), a, from,
      b, to, flags)
PLAIN(int, link, -1, to, SYS_link, (const char *from, const char *to), from, to)
PLAIN(int, linkat, b, to, SYS_linkat,
      (int a, const char *from, int b, const char *to, int flags), a, from, b,
      to, flags)
PLAIN(int, unlink, -1, path, SYS_unlink, (const char *path), path)
PLAIN(int, unlinkat, dir, path, SYS_unlinkat,
      (int dir, const char *path, int flags), dir, path, flags)
PLAIN(int, mkdir, -1, path, SYS_mkdir, (const char *path, mode_t m), path, m)
PLAIN(int, mkdirat, dir, path, SYS_mkdirat,
      (int dir, const char *path, mode_t m), dir, path, m)

/* None of these has a path: MX_FAULT_PATH is left empty. */
int
accept4(int fd, struct sockaddr *addr, socklen_t *len, int flags)
{
	if (strike("accept4", fd, NULL) == FAIL)
		return -1;
	return (int)syscall(SYS_accept4, fd, addr, len, flags);
}

ssize_t
getrandom(void *p, size_t n, unsigned flags)
{
	if (strike("getrandom", -1, NULL) == FAIL)
		return -1;
	return syscall(SYS_getrandom, p, n, flags);
}

/* The library's own: the child's threads and streams are its matter. */
pid_t
fork(void)
{
	static pid_t (*real)(void);

	if (strike("fork", -1, NULL) == FAIL)
		return -1;
	if (real == NULL)
		*(void **)&real = dlsym(RTLD_NEXT, "fork");
	return real();
}

/* A close that fails has closed all the same (close(2)). */
int
close(int fd)
{
	enum action a = strike("close", fd, NULL);
	int saved = errno, r = (int)syscall(SYS_close, fd);

	if (a != FAIL)
		return r;
	errno = saved;
	return -1;
}

static size_t
cut(enum action a, size_t n)
{
	return a == SHORT && n > 1 ? n / 2 : n;
}

ssize_t
write(int fd, const void *p, size_t n)
{
	enum action a = strike("write", fd, NULL);

	return a == FAIL ? -1 : syscall(SYS_write, fd, p, cut(a, n));
}

ssize_t
pwrite(int fd, const void *p, size_t n, off_t at)
{
	enum action a = strike("pwrite", fd, NULL);

	return a == FAIL ? -1 : syscall(SYS_pwrite64, fd, p, cut(a, n), at);
}

ssize_t
pwrite64(int fd, const void *p, size_t n, off_t at)
{
	return pwrite(fd, p, n, at);
}

ssize_t
writev(int fd, const struct iovec *v, int n)
{
	enum action a = strike("write", fd, NULL);

	if (a == FAIL)
		return -1;
	if (a == SHORT)
		return syscall(SYS_write, fd, v->iov_base, cut(a, v->iov_len));
	return syscall(SYS_writev, fd, v, n);
}

static int
open_as(const char *call, int dir, const char *path, int flags, mode_t mode)
{
	if (strike(call, dir, path) == FAIL)
		return -1;
	return (int)syscall(SYS_openat, dir, path, flags, mode);
}

#define OPEN(NAME, CALL, DIR, LAST, ...)                                       \
	int NAME(__VA_ARGS__, ...)                                             \
	{                                                                      \
		va_list ap;                                                    \
		mode_t mode = 0;                                               \
		va_start(ap, LAST);                                            \
		if (flags & (O_CREAT | O_TMPFILE))                             \
			mode = va_arg(ap, mode_t);                             \
		va_end(ap);                                                    \
		return open_as(CALL, DIR, path, flags, mode);                  \
	}
OPEN(open, "open", AT_FDCWD, flags, const char *path, int flags)
OPEN(open64, "open", AT_FDCWD, flags, const char *path, int flags)
OPEN(openat, "openat", dir, flags, int dir, const char *path, int flags)
OPEN(openat64, "openat", dir, flags, int dir, const char *path, int flags)

/* What _FORTIFY_SOURCE makes of the two. */
int
__open_2(const char *path, int flags)
{
	return open_as("open", AT_FDCWD, path, flags, 0);
}

int
__open64_2(const char *path, int flags)
{
	return open_as("open", AT_FDCWD, path, flags, 0);
}

int
__openat_2(int dir, const char *path, int flags)
{
	return open_as("openat", dir, path, flags, 0);
}

int
__openat64_2(int dir, const char *path, int flags)
{
	return open_as("openat", dir, path, flags, 0);
}
