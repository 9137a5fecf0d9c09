/* The filter that is built says yes to the list, no to all else: each number
 * is put to it as the kernel does. */
#include "sandbox_filter.h"
#include "unit.h"

#include <errno.h>
#include <linux/audit.h>
#include <linux/seccomp.h>
#include <stdint.h>
#include <string.h>

static uint32_t
ask(const struct sock_filter *v, size_t n, const struct seccomp_data *d)
{
	uint32_t a = 0;

	for (size_t pc = 0; pc < n; pc++) {
		const struct sock_filter *f = &v[pc];
		bool yes;

		switch (f->code) {
		case BPF_LD | BPF_W | BPF_ABS:
			memcpy(&a, (const char *)d + f->k, 4);
			continue;
		case BPF_RET | BPF_K:
			return f->k;
		case BPF_JMP | BPF_JA:
			pc += f->k;
			continue;
		case BPF_JMP | BPF_JEQ | BPF_K:
			yes = a == f->k;
			break;
		case BPF_JMP | BPF_JGE | BPF_K:
			yes = a >= f->k;
			break;
		case BPF_JMP | BPF_JGT | BPF_K:
			yes = a > f->k;
			break;
		default:
			return 0xdead;
		}
		pc += yes ? f->jt : f->jf;
	}
	return 0xbeef; /* it ran out of its end */
}

static void
one(const int *list, size_t n, int probe)
{
	static struct sock_filter v[SANDBOX_FILTER_MAX];
	int calls[SANDBOX_FILTER_CALLS];
	struct seccomp_data d = { 0 };
	size_t len, wrong = 0;
	uint32_t arch;

	memcpy(calls, list, n * sizeof(*calls));
	len = sandbox_filter_build(v, calls, n, probe);
	CHECK(len > 0 && len <= SANDBOX_FILTER_MAX, "%zu calls fit", n);
	memcpy(&arch, &v[1].k, 4);
	d.arch = arch;
	for (int nr = 0; nr < 2000; nr++) {
		bool in = false;

		for (size_t i = 0; i < n; i++)
			in = in || list[i] == nr;
		d.nr = nr;
		d.args[1] = 9;
		wrong += (ask(v, len, &d) == SECCOMP_RET_ALLOW) !=
			 (in && nr != probe);
		d.args[1] = 0;
		wrong += (ask(v, len, &d) == SECCOMP_RET_ALLOW) !=
			 (in || nr == probe);
		d.args[1] = (__u64)1 << 40;
		wrong += (ask(v, len, &d) == SECCOMP_RET_ALLOW) !=
			 (in && nr != probe);
	}
	CHECK(wrong == 0, "%zu calls: %zu wrong answers", n, wrong);
	d.nr = -1;
	CHECK(ask(v, len, &d) == (SECCOMP_RET_ERRNO | EPERM), "call -1");
	d.nr = 0x40000000; /* x32 */
	CHECK(ask(v, len, &d) == (SECCOMP_RET_ERRNO | EPERM), "an x32 call");
	d.arch = AUDIT_ARCH_I386;
	CHECK(ask(v, len, &d) == SECCOMP_RET_KILL_PROCESS, "int 0x80");
}

int
main(void)
{
	static const int few[] = { 5, 3, 4, -7, 9, 3 }, single[] = { 60 };
	int many[SANDBOX_FILTER_CALLS];

	one(single, 0, -1);
	one(single, 1, -1);
	one(few, 6, -1);
	one(few, 6, 62);
	for (int i = 0; i < SANDBOX_FILTER_CALLS; i++)
		many[i] = (SANDBOX_FILTER_CALLS - i) * 2 + 1;
	one(many, SANDBOX_FILTER_CALLS, -1);
	one(many, SANDBOX_FILTER_CALLS, 62);
	CHECK(sandbox_filter_build(NULL, many, SANDBOX_FILTER_CALLS + 1, -1) ==
		  0,
	      "too many");
	return unit_done();
}
