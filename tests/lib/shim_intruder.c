/*
 * shim_intruder.c - LD_PRELOAD: what a program that was taken over could do.
 * With the first read after no_new_privs it tries, and writes a line "NAME
 * done" or "NAME ERRNO" for each attempt to the file MX_INTRUDER names (opened
 * before).
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

static int report = -1;

__attribute__((constructor)) static void
begin(void)
{
	const char *path = getenv("MX_INTRUDER");

	if (path != NULL)
		report = open(path, O_WRONLY | O_APPEND | O_CLOEXEC);
}

static void
tell(const char *name, long r)
{
	dprintf(report, "%s %d\n", name, r < 0 ? errno : 0);
}

static void
attempts(void)
{
	char *argv[] = { NULL };
	long pid;

	tell("socket", socket(AF_INET, SOCK_STREAM, 0));
	tell("unix", socket(AF_UNIX, SOCK_STREAM, 0));
	tell("ptrace", syscall(SYS_ptrace, PTRACE_TRACEME, 0, 0, 0));
	tell("write", syscall(SYS_unlink, "/nonexistent/file"));
	pid = syscall(SYS_fork);
	if (pid == 0)
		syscall(SYS_exit_group, 0);
	tell("fork", pid);
	tell("kill", syscall(SYS_kill, 1, 15));
	tell("exec", syscall(SYS_execve, "/nonexistent", argv, argv));
	close(report);
	report = -1;
}

ssize_t read(int fd, void *p, size_t n);
ssize_t
read(int fd, void *p, size_t n)
{
	if (report >= 0 && prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1)
		attempts();
	return (ssize_t)syscall(SYS_read, fd, p, n);
}
