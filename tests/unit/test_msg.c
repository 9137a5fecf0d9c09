/* The message index, edits, generated fields, loading. */
#include "unit.h"

#include <fcntl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "msg.h"
#include "status.h"

static void
test_index(void)
{
	static const struct {
		const char *in;
		size_t fields, header, body;
		bool crlf, blank;
	} cases[] = {
		{ "A: b\nC: d\n\nbody\n", 2, 10, 5, 0, 1 },
		{ "A: b\r\nC: d\r\n\r\nbody\r\n", 2, 12, 6, 1, 1 },
		{ "A: b\n c\n\td\nE:\n\n", 2, 14, 0, 0, 1 },
		{ "A: b", 1, 4, 0, 0, 0 },
		{ "", 0, 0, 0, 0, 0 },
		{ "\nbody", 0, 0, 4, 0, 1 },
		{ "no field\n\nbody", 0, 0, 14, 0, 0 },
		{ "A: b\nno field\nC: d\n\n", 1, 5, 15, 0, 0 },
		{ " a: b\n", 0, 0, 6, 0, 0 },
		{ "From a@b Mon\nA: b\n\nx", 1, 5, 1, 0, 1 },
		{ "From : b\n\n", 1, 9, 0, 0, 1 },
		/* quoted, and several of them */
		{ ">From a@b Mon\nA: b\n\nx", 1, 5, 1, 0, 1 },
		{ "From a@b Mon\n>From c@d Tue\nA: b\n\nx", 1, 5, 1, 0, 1 },
		{ ">>From : b\n\n", 1, 11, 0, 0, 1 },
		{ ">> From x\n\n", 0, 0, 11, 0, 0 },
		{ "From x", 0, 0, 0, 0, 0 },
		{ "A b: c\n", 0, 0, 7, 0, 0 },
		{ ": c\n", 0, 0, 4, 0, 0 },
		/* blanks alone are a fold, not the end */
		{ "A: b\n \n\tc\nD: e\n\nx", 2, 15, 1, 0, 1 },
		{ "A\x01: c\n", 0, 0, 6, 0, 0 },
		{ "A\xc3\xa4: c\n", 0, 0, 7, 0, 0 },
		{ "A: b\rC: d\n\n", 1, 10, 0, 0, 1 },
	};
	size_t i;

	for (i = 0; i < ARRAY_LEN(cases); i++) {
		struct msg m;

		msg_index(&m, span_of(cases[i].in), 0);
		CHECK(m.n == cases[i].fields && m.header.n == cases[i].header &&
			  m.body.n == cases[i].body &&
			  m.crlf == cases[i].crlf &&
			  m.has_blank == cases[i].blank,
		      "index %zu: %zu fields, %zu, %zu", i, m.n, m.header.n,
		      m.body.n);
		msg_done(&m);
	}
}

static int
add(void *ctx, const void *p, size_t n)
{
	buf_add(ctx, p, n);
	return 0;
}

/* edits: letters: P prepend, A append, I before 2nd field, D delete first,
 * R replace first. */
static void
test_edit(void)
{
	static const struct {
		const char *in, *ops, *out;
	} cases[] = {
		{ "A: b\nC: d\n\nx", "", "A: b\nC: d\n\nx" },
		{ "A: b\nC: d\n\nx", "PP", "X2: y\nX1: y\nA: b\nC: d\n\nx" },
		{ "A: b\nC: d\n\nx", "AA", "A: b\nC: d\nX1: y\nX2: y\n\nx" },
		{ "A: b\nC: d\n\nx", "II", "A: b\nX1: y\nX2: y\nC: d\n\nx" },
		{ "A: b\nC: d\n\nx", "D", "C: d\n\nx" },
		{ "A: b\nC: d\n\nx", "DR", "X2: y\nC: d\n\nx" },
		{ "A: b\nC: d\n\nx", "RD", "C: d\n\nx" },
		{ "A: b\nC: d\n\nx", "RPA", "X2: y\nX1: y\nC: d\nX3: y\n\nx" },
		{ "A: b\r\nC: d\r\n\r\nx", "A",
		  "A: b\r\nC: d\r\nX1: y\r\n\r\nx" },
		{ "A: b\nC: d", "A", "A: b\nC: d\nX1: y\n" },
		{ "From x\nA: b\n\n", "P", "From x\nX1: y\nA: b\n\n" },
		{ "\nx", "PA", "X1: y\nX2: y\n\nx" },
		/* the body must not become a field's tail */
		{ " x\n", "P", "X1: y\n\n x\n" },
		{ "no\n", "A", "X1: y\n\nno\n" },
	};
	size_t i, k;

	for (i = 0; i < ARRAY_LEN(cases); i++) {
		struct msg m;
		struct msg_edit ed;
		struct buf out = BUF_INIT;

		msg_index(&m, span_of(cases[i].in), 0);
		msg_edit_init(&ed, &m);
		for (k = 0; cases[i].ops[k]; k++) {
			char f[16];
			struct span s;

			snprintf(f, sizeof(f), "X%zu: y", k + 1);
			s = span_of(f);
			switch (cases[i].ops[k]) {
			case 'P':
				msg_edit_prepend(&ed, s);
				break;
			case 'A':
				msg_edit_append(&ed, s);
				break;
			case 'I':
				msg_edit_insert(&ed, &m.v[1], s);
				break;
			case 'D':
				msg_edit_delete(&ed, &m.v[0]);
				break;
			default:
				msg_edit_replace(&ed, &m.v[0], s);
				break;
			}
		}
		(void)msg_edit_emit(&ed, add, &out);
		CHECK(span_is(buf_span(&out), cases[i].out), "edit %zu: %s", i,
		      buf_str(&out));
		msg_edit_done(&ed);
		msg_done(&m);
		buf_free(&out);
	}
}

/* Text handed to an edit can neither end the header nor add a field. */
static void
test_injection(void)
{
	struct msg m;
	struct msg_edit ed;
	struct buf out = BUF_INIT;

	msg_index(&m, SPAN("A: b\n\nx"), 0);
	msg_edit_init(&ed, &m);
	msg_edit_prepend(&ed, SPAN("X: y\nBcc: evil\r\n\r\nbody\rz"));
	(void)msg_edit_emit(&ed, add, &out);
	CHECK(span_is(buf_span(&out),
		      "X: y\n\tBcc: evil\n\t\n\tbody z\nA: b\n\nx"),
	      "lines become folds: %s", buf_str(&out));
	msg_edit_done(&ed);
	msg_done(&m);
	buf_free(&out);
}

static void
test_make_field(void)
{
	static const struct {
		const char *name, *value, *out;
	} cases[] = {
		{ "X", "y", "X: y" },
		{ "X", "", "X:" },
		{ "X:y", "  a\x01z\n ", "X-y: a?z" },
		{ "X", "a\nBcc: b", "X: a?Bcc: b" },
		{ "X", "a\r\n b", "X: a b" },
		{ "X", "a  b", "X: a  b" },
		{ "Received",
		  "from client.example.org (client.example.org [192.0.2.1]) by "
		  "mail.example.com (mx) with ESMTPS id 4; now",
		  "Received: from client.example.org (client.example.org "
		  "[192.0.2.1]) by\n"
		  "\tmail.example.com (mx) with ESMTPS id 4; now" },
	};
	struct buf big = BUF_INIT, out = BUF_INIT;
	size_t i, longest = 0, run = 0;

	for (i = 0; i < ARRAY_LEN(cases); i++) {
		struct buf b = BUF_INIT;

		msg_make_field(&b, cases[i].name, span_of(cases[i].value));
		CHECK(span_is(buf_span(&b), cases[i].out), "field %zu: %s", i,
		      buf_str(&b));
		buf_free(&b);
	}
	for (i = 0; i < 5000; i++)
		buf_adds(&big, "\xc3\xa9");
	msg_make_field(&out, "X", buf_span(&big));
	for (i = 0; i < out.n; i++) {
		run = out.p[i] == '\n' ? 0 : run + 1;
		longest = run > longest ? run : longest;
	}
	CHECK(longest <= 998, "no line above 998: %zu", longest);
	buf_free(&big);
	buf_free(&out);
}

static void
test_unfold(void)
{
	struct buf b = BUF_INIT;

	msg_unfold(&b, SPAN("  a\r\n b\n\tc \r\n"));
	CHECK(span_is(buf_span(&b), "a b\tc"), "unfold: %s", buf_str(&b));
	buf_free(&b);
}

static void
test_load(void)
{
	static char chunk[65536];
	struct err e = ERR_INIT;
	struct msg_load l;
	FILE *f = tmpfile();
	int i;

	CHECK(msg_load(&l, fileno(f), 0, &e) < 0 && e.status == ST_DATA,
	      "empty: %s", e.text);
	memset(chunk, 'x', sizeof(chunk));
	for (i = 0; i < 200; i++)
		(void)fwrite(chunk, 1, sizeof(chunk), f);
	rewind(f);
	CHECK(msg_load(&l, fileno(f), 0, &e) == 0 &&
		  l.bytes.n == 200 * sizeof(chunk) &&
		  l.bytes.p[l.bytes.n - 1] == 'x' && l.map,
	      "large: mapped");
	msg_unload(&l);
	(void)lseek(fileno(f), 0, SEEK_SET);
	CHECK(msg_load(&l, fileno(f), 1000000, &e) < 0 && e.status == ST_DATA,
	      "limit: %s", e.text);
	(void)lseek(fileno(f), -10, SEEK_END);
	CHECK(msg_load(&l, fileno(f), 1000, &e) == 0 && l.bytes.n == 10,
	      "small");
	msg_unload(&l);
	fclose(f);
}

static double
seconds_for(const char *unit, int n)
{
	struct buf in = BUF_INIT;
	struct timespec a, b;
	struct msg m;

	while (n--)
		buf_adds(&in, unit);
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &a);
	msg_index(&m, buf_span(&in), in.n);
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &b);
	msg_done(&m);
	buf_free(&in);
	return (double)(b.tv_sec - a.tv_sec) +
	       (double)(b.tv_nsec - a.tv_nsec) / 1e9;
}

static void
test_limits(void)
{
	static const char *const units[] = { "A:\n", "A: b\n c\n", "A" };
	struct msg m;
	size_t i;

	msg_index(&m, SPAN("A: 1\nB: 2\nC: 3\n\nx"), 11);
	CHECK(m.n == 2 && m.body.n == 7, "header limit: the rest is body");
	msg_done(&m);
	for (i = 0; i < ARRAY_LEN(units); i++) {
		double a = seconds_for(units[i], 100000);
		double b = seconds_for(units[i], 200000);

		CHECK(b < 3 * a + 0.05, "linear %zu: %f %f", i, a, b);
	}
}

/* A host without a place for temporary files: the mail waits. */
static void
test_no_temp(void)
{
	char dir[] = "/tmp/mx-unit-XXXXXX";
	static char chunk[1 << 20];
	struct msg_load l;
	struct err e = ERR_INIT;
	int fd, w = 0;
	pid_t pid;

	if (geteuid() != 0 || mkdtemp(dir) == NULL)
		return; /* only root can go into an empty root folder */
	fd = open(dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	for (int i = 0; i < 9; i++)
		CHECK(write(fd, chunk, sizeof(chunk)) == sizeof(chunk), "9 MB");
	(void)lseek(fd, 0, SEEK_SET);
	(void)fflush(NULL);
	pid = fork();
	if (pid == 0)
		_exit(chroot(dir) == 0 && msg_load(&l, fd, 0, &e) != 0
			  ? e.status
			  : 1);
	CHECK(waitpid(pid, &w, 0) == pid && WIFEXITED(w) &&
		  WEXITSTATUS(w) == ST_TEMPFAIL,
	      "no temporary file: %d", WEXITSTATUS(w));
	close(fd);
	rmdir(dir);
}

int
main(void)
{
	test_index();
	test_edit();
	test_injection();
	test_make_field();
	test_unfold();
	test_load();
	test_limits();
	test_no_temp();
	return unit_done();
}
