/*
 * test_queuefile.c - queue entries: what is written comes back, what is
 * damaged is refused, marks and journal stay.
 */
#include "queuefile.h"
#include "log.h"
#include "mem.h"
#include "status.h"
#include "unit.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

static int dirfd_queue;
static char dir_path[100];

static int
write_entry(const char *id, const char *msg, size_t times, char *got)
{
	struct queuefile_env env = { .id = mem_strdup(id) };
	struct queuefile_writer w;
	struct err e = ERR_INIT;

	env.sender = mem_strdup("alice@example.org");
	env.flags = QUEUEFILE_8BIT | QUEUEFILE_INBOUND;
	env.client_addr = mem_strdup("192.0.2.1");
	env.envid = mem_strdup("QQ314159");
	env.transport = mem_strdup("smtp:[127.0.0.1]:10024");
	struct queuefile_rcpt *r = queuefile_env_add(&env, "bob@example.com");
	r->orcpt = mem_strdup("rfc822;bob@example.com");
	r->notify = mem_strdup("SUCCESS,FAILURE");
	(void)queuefile_env_add(&env, "\"a b\"@example.net");
	int st = queuefile_create(&w, dirfd_queue, &env, &e);
	for (size_t i = 0; st == 0 && i < times; i++)
		st = queuefile_write(&w, msg, strlen(msg), &e);
	if (st == 0)
		st = queuefile_commit(&w, &e);
	if (st != 0)
		printf("# %s\n", e.text);
	if (got != NULL)
		snprintf(got, 64, "%s", w.id);
	queuefile_env_free(&env);
	return st;
}

static void
count_note(void *ctx, const struct queuefile_note *n)
{
	(void)n;
	++*(int *)ctx;
}

static void
test_round(const char *id, size_t times)
{
	struct queuefile q, other;
	struct err e = ERR_INIT;
	char msg[100];
	int notes = 0;

	CHECK(write_entry(id, "Subject: x\n\nbody\n", times, NULL) == 0,
	      "%s: write", id);
	CHECK(queuefile_open(&q, dirfd_queue, id,
			     QUEUEFILE_LOCK | QUEUEFILE_CHECK,
			     &e) == QUEUEFILE_OK,
	      "%s: open: %s", id, e.text);
	CHECK(q.env.nrcpt == 2 &&
		  strcmp(q.env.sender, "alice@example.org") == 0 &&
		  strcmp(q.env.rcpt[0].notify, "SUCCESS,FAILURE") == 0 &&
		  strcmp(q.env.rcpt[1].addr, "\"a b\"@example.net") == 0 &&
		  strcmp(q.env.transport, "smtp:[127.0.0.1]:10024") == 0,
	      "%s: fields", id);
	CHECK(
	    q.msg_size == times * 17 &&
		(times == 0 || (queuefile_read(&q, 0, msg, 17) == 17 &&
				memcmp(msg, "Subject: x\n\nbody\n", 17) == 0)),
	    "%s: message", id);
	CHECK(queuefile_read(&q, q.msg_size, msg, 10) == 0, "%s: its end", id);
	CHECK(queuefile_open(&other, dirfd_queue, id, QUEUEFILE_LOCK, &e) ==
		  QUEUEFILE_BUSY,
	      "%s: locked", id);
	CHECK(queuefile_mark(&q, 1, QUEUEFILE_DONE, &e) == 0, "mark");
	struct queuefile_note n = { .rcpt = 1,
				    .word = SPAN("sent"),
				    .dsn = SPAN("2.0.0"),
				    .relay = SPAN("mx.example[192.0.2.7]:25"),
				    .text = SPAN("250 ok\nthen\x01") };
	CHECK(queuefile_note(&q, &n, &e) == 0, "note");
	n.rcpt = SIZE_MAX;
	CHECK(queuefile_note(&q, &n, &e) == 0, "second note");
	CHECK(queuefile_hold(&q, true, &e) == 0, "hold");
	CHECK(queuefile_next(&q, 2000000000, &e) == 0, "next");
	queuefile_close(&q);
	CHECK(queuefile_open(&q, dirfd_queue, id,
			     QUEUEFILE_LOCK | QUEUEFILE_CHECK,
			     &e) == QUEUEFILE_OK,
	      "%s: again: %s", id, e.text);
	CHECK(q.env.rcpt[0].state == 'Q' && q.env.rcpt[1].state == 'D' &&
		  q.env.hold && q.next == 2000000000,
	      "states stay");
	CHECK(queuefile_notes(&q, count_note, &notes, &e) == 0 && notes == 2,
	      "journal: %d", notes);
	CHECK(queuefile_count(&q, 'Q') == 1, "one left");
	CHECK(queuefile_remove(&q, &e) == 0, "remove");
	queuefile_close(&q);
	CHECK(queuefile_open(&q, dirfd_queue, id, 0, &e) == QUEUEFILE_GONE,
	      "gone");
}

/* The same ID twice (another host's, by XFORWARD) must not replace. */
static void
test_same_id(void)
{
	char a[64], b[64];
	struct queuefile q;
	struct err e = ERR_INIT;

	CHECK(write_entry("SAME", "one\n", 1, a) == 0, "first");
	CHECK(write_entry("SAME", "two\n", 1, b) == 0, "second");
	CHECK(strcmp(a, "SAME") == 0 && strcmp(b, "SAME.2") == 0, "names %s %s",
	      a, b);
	CHECK(queuefile_open(&q, dirfd_queue, "SAME.2", QUEUEFILE_CHECK, &e) ==
		  QUEUEFILE_OK,
	      "second opens: %s", e.text);
	queuefile_close(&q);
}

/* Values that would split a line. */
static void
test_refused(void)
{
	static const char *const bad[] = { "a\nQ recipient: evil@x", "a\x7f",
					   "\t", "a\rb", "" };
	struct err e = ERR_INIT;
	struct queuefile_writer w;

	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		struct queuefile_env env = { .id = mem_strdup("X1") };
		(void)queuefile_env_add(&env, bad[i]);
		CHECK(queuefile_create(&w, dirfd_queue, &env, &e) != 0,
		      "recipient %zu is refused", i);
		queuefile_env_free(&env);
		env = (struct queuefile_env){ .id = mem_strdup("X1") };
		(void)queuefile_env_add(&env, "ok@example.com");
		env.sender = mem_strdup(bad[i]);
		CHECK((queuefile_create(&w, dirfd_queue, &env, &e) != 0) ==
			  (bad[i][0] != '\0'),
		      "sender %zu", i);
		if (bad[i][0] == '\0')
			queuefile_abort(&w);
		queuefile_env_free(&env);
	}
	static const char *const ids[] = { "", ".x", "../x", "a/b", "a b" };
	for (size_t i = 0; i < ARRAY_LEN(ids); i++)
		CHECK(!queuefile_id_ok(span_of(ids[i])), "ID %zu", i);
}

/* What would be too long for the reader is not accepted. */
static void
test_too_long(void)
{
	struct queuefile_env env = { .id = mem_strdup("HUGE") };
	struct err e = ERR_INIT;
	struct queuefile_writer w;
	char *addr = mem_alloc(1, (1 << 20) + 1);

	memset(addr, 'a', 1 << 20);
	for (int i = 0; i < 33; i++)
		(void)queuefile_env_add(&env, addr);
	CHECK(queuefile_create(&w, dirfd_queue, &env, &e) != 0 &&
		  e.status == ST_TEMPFAIL,
	      "an envelope of 33 MB: %s", e.text);
	queuefile_env_free(&env);
	free(addr);
}

/* A folder that cannot be looked into is no proof that an entry is gone. */
static void
test_trouble(void)
{
	struct queuefile q;
	struct err e = ERR_INIT;

	CHECK(renameat(dirfd_queue, "queue/7F", dirfd_queue, "queue/away") ==
		      0 &&
		  symlinkat("7F", dirfd_queue, "queue/7F") == 0,
	      "a folder that is a loop");
	CHECK(queuefile_open(&q, dirfd_queue, "NOSUCH", 0, &e) ==
		  QUEUEFILE_ERROR,
	      "trouble: %s", e.text);
	CHECK(unlinkat(dirfd_queue, "queue/7F", 0) == 0 &&
		  renameat(dirfd_queue, "queue/away", dirfd_queue,
			   "queue/7F") == 0,
	      "put back");
	CHECK(queuefile_open(&q, dirfd_queue, "NOSUCH", 0, &e) ==
		  QUEUEFILE_GONE,
	      "none: %s", e.text);
}

/* Every cut and every changed byte is noticed. */
static void
test_damage(void)
{
	struct queuefile q;
	struct err e = ERR_INIT;
	char whole[2000], path[200];
	size_t missed_cuts = 0, missed_bits = 0;

	CHECK(write_entry("DAMAGE", "Subject: x\n\nbody\n", 3, NULL) == 0,
	      "write");
	CHECK(queuefile_open(&q, dirfd_queue, "DAMAGE", 0, &e) == QUEUEFILE_OK,
	      "open");
	snprintf(path, sizeof(path), "%s/%s", dir_path, q.place);
	size_t letters[3] = { strlen("mx-queue: 1\n"), (size_t)q.env.rcpt[0].at,
			      (size_t)q.env.rcpt[1].at };
	queuefile_close(&q);
	int fd = open(path, O_RDWR | O_CLOEXEC);
	ssize_t n = read(fd, whole, sizeof(whole));
	for (ssize_t i = 0; i < n; i++) {
		char c = (char)(whole[i] ^ 0x04);
		bool letter = false;
		for (int k = 0; k < 3; k++)
			letter = letter || letters[k] == (size_t)i;
		if (!letter && pwrite(fd, &c, 1, i) == 1 &&
		    queuefile_open(&q, dirfd_queue, "DAMAGE", QUEUEFILE_CHECK,
				   &e) == QUEUEFILE_OK) {
			missed_bits++;
			printf("# byte %zd\n", i);
			queuefile_close(&q);
		}
		CHECK(pwrite(fd, whole + i, 1, i) == 1, "restore %zd", i);
	}
	for (ssize_t i = n - 1; i >= 0; i--) {
		if (ftruncate(fd, i) != 0 ||
		    queuefile_open(&q, dirfd_queue, "DAMAGE", QUEUEFILE_CHECK,
				   &e) == QUEUEFILE_OK) {
			missed_cuts++;
			queuefile_close(&q);
		}
	}
	close(fd);
	CHECK(missed_bits == 0, "flipped bits noticed");
	CHECK(missed_cuts == 0, "cuts noticed");
}

/* An envelope is read in one form only; unknown fields are kept. */
static void
test_parse(void)
{
#define HEAD                                                                   \
	"mx-queue: 1\nQ id: A1\nsize: 00000000000000000005\n"                  \
	"arrival: 1700000000.000001\nsender: <>\n"
	static const struct {
		const char *text;
		int ret;
	} cases[] = {
		{ HEAD "Q recipient: a@b\n\n", 0 },
		{ HEAD "colour: red\nQ recipient: a@b\n colour: blue\n\n", 0 },
		{ HEAD "D recipient: a@b\n notify: NEVER\n\n", 0 },
		{ HEAD "flags: 8bit utf8\nQ recipient: a@b\n\n", 0 },
		{ HEAD "flags: utf8 8bit\nQ recipient: a@b\n\n", -1 },
		{ HEAD "flags: odd\nQ recipient: a@b\n\n", -1 },
		{ HEAD "\n", -1 },
		{ HEAD "X recipient: a@b\n\n", -1 },
		{ HEAD "Q recipient: \n\n", -1 },
		{ HEAD "Q recipient: a@b\n", -1 },
		{ HEAD "Q recipient: a\tb\n\n", -1 },
		{ HEAD "Q recipient: a@b\nhelo: x\n\n", -1 },
		{ HEAD " orcpt: x\nQ recipient: a@b\n\n", -1 },
		{ HEAD "sender: x\nQ recipient: a@b\n\n", -1 },
		{ HEAD "Q id: A2\nQ recipient: a@b\n\n", -1 },
		{ "mx-queue: 2\nQ id: A1\n\n", -1 },
		{ "mx-queue: 1\n\n", -1 },
		{ "", -1 },
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct queuefile_env env;
		struct err e = ERR_INIT;
		size_t used;
		uint64_t size;
		int r = queuefile_parse(&env, span_of(cases[i].text), &used,
					&size, &e);
		CHECK(r == cases[i].ret, "case %zu: %s", i, e.text);
		CHECK(r != 0 || (used == strlen(cases[i].text) && size == 5),
		      "case %zu: used", i);
		if (r == 0)
			queuefile_env_free(&env);
	}
}

static bool
count_found(void *ctx, const struct queuefile_found *f)
{
	(void)f;
	++*(int *)ctx;
	return true;
}

static bool
stop_second(void *ctx, const struct queuefile_found *f)
{
	(void)f;
	return ++*(int *)ctx < 2;
}

/* It goes on in the folder where it was stopped, and comes to an end. */
static void
test_scan_from(void)
{
	struct err e = ERR_INIT;
	unsigned folder = 0, before;
	int all = 0, n, rounds = 0, seen = 0;

	CHECK(queuefile_scan(dirfd_queue, count_found, &all, &e) == 0, "scan");
	while (folder < 256 && rounds++ < 300) {
		before = folder;
		n = 0;
		CHECK(queuefile_scan_from(dirfd_queue, &folder, stop_second, &n,
					  &e) == 0,
		      "scan from %u", before);
		CHECK(folder >= before, "%u after %u", folder, before);
		seen += n;
		folder += folder == before;
	}
	CHECK(folder == 256 && seen >= all && seen <= 2 * all,
	      "%d of %d seen, ended in %u", seen, all, folder);
}

/* Damaged and old enough: out of the way, and said so. */
static void
test_corrupt(void)
{
	struct queuefile q;
	struct err e = ERR_INIT;
	int n = 0;

	CHECK(queuefile_open(&q, dirfd_queue, "DAMAGE", QUEUEFILE_LOCK, &e) ==
		  QUEUEFILE_BAD,
	      "bad");
	CHECK(queuefile_scan(dirfd_queue, count_found, &n, &e) == 0 && n == 3,
	      "a young one stays: %d", n);
}

/* The same a day later, in a process whose clock says so. */
static int
corrupt_later(void)
{
	struct queuefile q;
	struct err e = ERR_INIT;
	int n = 0;

	return queuefile_open(&q, dirfd_queue, "DAMAGE", QUEUEFILE_LOCK, &e) ==
			   QUEUEFILE_BAD &&
		       queuefile_scan(dirfd_queue, count_found, &n, &e) == 0 &&
		       n == 2 &&
		       faccessat(dirfd_queue, "corrupt/DAMAGE", F_OK, 0) == 0
		   ? 0
		   : 1;
}

int
main(int argc, char **argv)
{
	struct err e = ERR_INIT;
	char command[4096];

	if (argc > 1) {
		dirfd_queue = queuefile_dir(argv[1], &e);
		log_to_fd(open("/dev/null", O_WRONLY | O_CLOEXEC));
		return corrupt_later();
	}
	snprintf(dir_path, sizeof(dir_path), "/tmp/mx-test-queue.%ld",
		 (long)getpid());
	dirfd_queue = queuefile_dir(dir_path, &e);
	CHECK(dirfd_queue >= 0, "directory: %s", e.text);
	log_to_fd(open("/dev/null", O_WRONLY | O_CLOEXEC));
	test_round("4F2A", 1);
	test_round("EMPTY", 0);
	test_round("LONG", 20000);
	test_same_id();
	test_refused();
	test_too_long();
	test_trouble();
	test_parse();
	test_damage();
	test_scan_from();
	test_corrupt();
	snprintf(command, sizeof(command), "MX_TEST_TIME=+86400 %s %s", argv[0],
		 dir_path);
	CHECK(system(command) == 0, "an old one is moved to corrupt/");
	snprintf(command, sizeof(command), "rm -r %s", dir_path);
	if (system(command) != 0)
		CHECK(false, "clean up");
	return unit_done();
}
