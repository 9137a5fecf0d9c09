/*
 * sandbox_filter.c - see sandbox_filter.h.
 * Layer: sys.  The numbers stand as ranges in a tree, so that a call costs the
 * kernel few steps.
 */
#include "sandbox_filter.h"

#include <errno.h>
#include <linux/audit.h>
#include <linux/seccomp.h>
#include <stdlib.h>
#include <sys/prctl.h>

#if defined(__x86_64__)
#define ARCH AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define ARCH AUDIT_ARCH_AARCH64
#elif defined(__riscv) && __riscv_xlen == 64
#define ARCH AUDIT_ARCH_RISCV64
#else
#define ARCH 0
#endif

#define DENY (SECCOMP_RET_ERRNO | EPERM)

struct range {
	unsigned from, to;
};

struct program {
	struct sock_filter *v;
	size_t n;
};

static void
emit(struct program *p, unsigned code, unsigned k, unsigned jt, unsigned jf)
{
	p->v[p->n++] = (struct sock_filter){
		.code = (__u16)code, .jt = (__u8)jt, .jf = (__u8)jf, .k = k
	};
}

static void
load(struct program *p, size_t offset)
{
	emit(p, BPF_LD | BPF_W | BPF_ABS, (unsigned)offset, 0, 0);
}

static void
answer(struct program *p, unsigned action)
{
	emit(p, BPF_RET | BPF_K, action, 0, 0);
}

/* As deep as the logarithm of n; the left half follows its question, which
 * jumps over it where the number is in the right one. */
static void
tree(struct program *p, const struct range *r, size_t n)
{
	size_t half = n / 2, jump;

	if (n <= 1) {
		if (n == 1) {
			emit(p, BPF_JMP | BPF_JGE | BPF_K, r->from, 0, 2);
			emit(p, BPF_JMP | BPF_JGT | BPF_K, r->to, 1, 0);
			answer(p, SECCOMP_RET_ALLOW);
		}
		answer(p, DENY);
		return;
	}
	emit(p, BPF_JMP | BPF_JGE | BPF_K, r[half].from, 0, 1);
	jump = p->n;
	emit(p, BPF_JMP | BPF_JA, 0, 0, 0);
	tree(p, r, half);
	p->v[jump].k = (unsigned)(p->n - jump - 1);
	tree(p, r + half, n - half);
}

/* Its second argument, both halves, is 0: a question, no signal. */
static void
probing(struct program *p, unsigned nr)
{
	size_t low = offsetof(struct seccomp_data, args[1]);

	emit(p, BPF_JMP | BPF_JEQ | BPF_K, nr, 0, 6);
	load(p, low);
	emit(p, BPF_JMP | BPF_JEQ | BPF_K, 0, 0, 3);
	load(p, low + 4);
	emit(p, BPF_JMP | BPF_JEQ | BPF_K, 0, 0, 1);
	answer(p, SECCOMP_RET_ALLOW);
	answer(p, DENY);
}

static int
by_number(const void *a, const void *b)
{
	const int *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

size_t
sandbox_filter_build(struct sock_filter *out, int *calls, size_t n, int probe)
{
	struct range ranges[SANDBOX_FILTER_CALLS];
	struct program p = { out, 0 };
	size_t count = 0;

	if (ARCH == 0 || n > SANDBOX_FILTER_CALLS)
		return 0;
	qsort(calls, n, sizeof(*calls), by_number);
	for (size_t i = 0; i < n; i++) {
		unsigned nr = (unsigned)calls[i];

		if (calls[i] < 0)
			continue;
		if (count > 0 && nr <= ranges[count - 1].to + 1)
			ranges[count - 1].to = nr;
		else
			ranges[count++] = (struct range){ nr, nr };
	}
	load(&p, offsetof(struct seccomp_data, arch));
	emit(&p, BPF_JMP | BPF_JEQ | BPF_K, ARCH, 1, 0);
	answer(&p, SECCOMP_RET_KILL_PROCESS);
	load(&p, offsetof(struct seccomp_data, nr));
	if (probe >= 0)
		probing(&p, (unsigned)probe);
	tree(&p, ranges, count);
	return p.n;
}

int
sandbox_filter_load(int *calls, size_t n, int probe)
{
	struct sock_filter v[SANDBOX_FILTER_MAX];
	struct sock_fprog prog = { .filter = v };

	prog.len = (unsigned short)sandbox_filter_build(v, calls, n, probe);
	if (prog.len == 0) {
		errno = ENOSYS;
		return -1;
	}
	return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &prog, 0, 0);
}
