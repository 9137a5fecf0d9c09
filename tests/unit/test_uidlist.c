/*
 * Unit tests of common/uidlist.c, keywords.c, subscriptions.c, dotlock.c and
 * maildir.c: Dovecot's files, whole and damaged.
 */
#include "dotlock.h"
#include "keywords.h"
#include "status.h"
#include "subscriptions.h"
#include "uidlist.h"
#include "unit.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

static char dir[] = "/tmp/mx-unit-XXXXXX";
static int root;

static void
put(const char *name, const char *text)
{
	int fd =
	    openat(root, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	if (write(fd, text, strlen(text)) < 0)
		perror(name);
	close(fd);
}

static bool
holds(const char *name, const char *text)
{
	struct buf b = BUF_INIT;
	struct err e = ERR_INIT;
	bool same = dotlock_read(root, name, &b, &e) == 0 &&
		    strcmp(buf_str(&b), text) == 0;

	if (!same)
		printf("# %s is: %s\n", name, buf_str(&b));
	buf_free(&b);
	return same;
}

static const struct {
	const char *text;
	bool ok;
	uint32_t validity, next;
	size_t n, skipped;
} lists[] = {
	{ "3 V7 N5 Gabc\n1 :a\n4 W12 P7 :b,S=1\n", true, 7, 5, 2, 0 },
	/* Dovecot appends without touching the header */
	{ "3 V7 N2 Gabc\n1 :a\n9 :b\n", true, 7, 10, 2, 0 },
	{ "3 V7 N2\n1 :a:2,S\n", true, 7, 2, 1, 0 },
	{ "1 7 3\n1 a\n2 b\n", true, 7, 3, 2, 0 },
	/* a torn last line */
	{ "3 V7 N3\n1 :a\n2 :b", true, 7, 3, 1, 0 },
	{ "3 V7 N9\n5 :a\n4 :b\n6 :a\n7 :c\nx :d\n8\n0 :e\n8 :../x\n", true, 7,
	  9, 2, 6 },
	{ "3 N9\n5 :a\n", false, 0, 0, 0, 0 },
	{ "3 V0 N9\n", false, 0, 0, 0, 0 },
	{ "2 V1 N9\n", false, 0, 0, 0, 0 },
	{ "3 V99999999999 N9\n", false, 0, 0, 0, 0 },
	{ "3 V1 N9", false, 0, 0, 0, 0 },
	{ "", false, 0, 0, 0, 0 },
};

static void
test_parse(void)
{
	for (size_t i = 0; i < ARRAY_LEN(lists); i++) {
		struct uidlist u;
		bool ok;

		uidlist_init(&u);
		ok = uidlist_parse(&u, span_of(lists[i].text));
		CHECK(ok == lists[i].ok, "list %zu ok", i);
		if (ok)
			CHECK(u.uidvalidity == lists[i].validity &&
				  u.uidnext == lists[i].next &&
				  u.n == lists[i].n &&
				  u.skipped == lists[i].skipped,
			      "list %zu: V%u N%u %zu entries %zu skipped", i,
			      u.uidvalidity, u.uidnext, u.n, u.skipped);
		uidlist_done(&u);
	}
}

static bool
not_a(void *ctx, uint32_t uid, struct span base)
{
	(void)ctx;
	(void)uid;
	return !span_is(base, "a");
}

static void
test_write(void)
{
	struct uidlist u;
	struct dotlock l;
	struct err e = ERR_INIT;

	uidlist_init(&u);
	CHECK(uidlist_read(&u, root, &e) == 0 && u.uidvalidity == 0, "none");
	CHECK(uidlist_renew(&u, root, &e) == 0 && u.uidvalidity > 1000000000,
	      "a validity");
	uint32_t first = u.uidvalidity;
	CHECK(uidlist_renew(&u, root, &e) == 0 && u.uidvalidity > first,
	      "a greater one");
	put("dovecot-uidlist", "3 V7 N5 Gabc X1\n1 :a\n4 W12 P7 :b,S=1\n");
	CHECK(uidlist_read(&u, root, &e) == 0 && u.uidvalidity == 7, "read");
	CHECK(uidlist_add(&u, SPAN("c")) == 5, "add");
	uidlist_filter(&u, not_a, NULL);
	CHECK(uidlist_find(&u, SPAN("a")) == 0 &&
		  uidlist_find(&u, SPAN("b,S=1")) == 4 &&
		  uidlist_find(&u, SPAN("c")) == 5,
	      "filtered");
	CHECK(uidlist_lock(&l, root, DEADLINE_NEVER, &e) == 0 &&
		  uidlist_write(&u, root, &l, &e) == 0,
	      "write");
	/* one who slept so long that another took the lock */
	unlinkat(root, "dovecot-uidlist.lock", 0);
	put("dovecot-uidlist.lock", "1:elsewhere.example");
	CHECK(uidlist_add(&u, SPAN("late")) == 6 &&
		  uidlist_write(&u, root, &l, &e) != 0,
	      "not without the lock: %s", e.text);
	dotlock_drop(&l);
	CHECK(faccessat(root, "dovecot-uidlist.lock", F_OK, 0) == 0,
	      "the other's lock stays");
	unlinkat(root, "dovecot-uidlist.lock", 0);
	CHECK(holds("dovecot-uidlist",
		    "3 V7 N6 Gabc X1\n4 W12 P7 :b,S=1\n5 :c\n"),
	      "what was unknown is kept");
	/* the next UID never goes down while the validity stays */
	put("dovecot-uidlist", "3 V7 N2\n");
	CHECK(uidlist_read(&u, root, &e) == 0 && u.n == 0 && u.uidnext == 7,
	      "next %u", u.uidnext);
	put("dovecot-uidlist", "garbage\n\n\n");
	CHECK(uidlist_read(&u, root, &e) == 0 && u.uidvalidity == 0, "garbage");
	u.uidnext = UINT32_MAX;
	CHECK(uidlist_add(&u, SPAN("z")) == 0, "no UID left");
	uidlist_done(&u);
}

static int
make_big(void)
{
	int fd = openat(root, "x.big", O_WRONLY | O_CLOEXEC);
	int r = ftruncate(fd, 5 << 20);

	close(fd);
	return r;
}

static void
test_locks(void)
{
	struct dotlock a, b;
	struct err e = ERR_INIT;

	CHECK(dotlock_take(&a, root, "x", DEADLINE_NEVER, &e) == 0, "taken");
	CHECK(dotlock_take(&b, root, "x", clock_deadline(30), &e) != 0,
	      "not twice");
	CHECK(dotlock_replace(&a, "x", SPAN("new"), &e) == 0 &&
		  holds("x", "new"),
	      "replaced");
	CHECK(faccessat(root, "x.lock", F_OK, 0) != 0, "and free");
	/* taken away from one who slept: the new owner's lock stays a lock */
	CHECK(dotlock_take(&a, root, "x", DEADLINE_NEVER, &e) == 0, "again");
	unlinkat(root, "x.lock", 0);
	put("x.lock", "1:elsewhere.example");
	CHECK(dotlock_replace(&a, "x", SPAN("newer"), &e) != 0 &&
		  e.status == ST_TEMPFAIL,
	      "lost meanwhile: %s", e.text);
	CHECK(holds("x", "new") && holds("x.lock", "1:elsewhere.example"),
	      "nothing was touched");
	unlinkat(root, "x.lock", 0);
	/* more of it than of any list */
	put("x.big", "x");
	CHECK(make_big() == 0, "big");
	struct buf big = BUF_INIT;
	CHECK(dotlock_read(root, "x.big", &big, &e) != 0 &&
		  strstr(e.text, "larger than") != NULL,
	      "too large: %s", e.text);
	buf_free(&big);
	unlinkat(root, "x.big", 0);
	/* the lock of a process that is no more, of this host */
	char host[65] = "", text[100];

	gethostname(host, sizeof(host) - 1);
	snprintf(text, sizeof(text), "4194301:%s", host);
	put("x.lock", text);
	CHECK(dotlock_take(&a, root, "x", clock_deadline(30), &e) == 0,
	      "a dead owner's lock");
	dotlock_drop(&a);
	put("x.lock", "1:elsewhere.example");
	CHECK(dotlock_take(&a, root, "x", clock_deadline(30), &e) != 0,
	      "another host's lock stands");
	struct timespec old[2] = { { 1000, 0 }, { 1000, 0 } };

	utimensat(root, "x.lock", old, 0);
	CHECK(dotlock_take(&a, root, "x", clock_deadline(30), &e) != 0,
	      "mtime alone does not make it stale");
	unlinkat(root, "x.lock", 0);
}

static void
test_keywords(void)
{
	struct keywords k = { { NULL } };
	struct err e = ERR_INIT;
	char name[16];

	put("dovecot-keywords", "0 $Label1\n2 Work\n2 dup\nx\n99 no\n3 a b\n");
	CHECK(keywords_read(&k, root, &e) == 0, "read");
	CHECK(keywords_find(&k, SPAN("$label1")) == 0 &&
		  keywords_find(&k, SPAN("WORK")) == 2 &&
		  keywords_find(&k, SPAN("dup")) == -1 && k.name[3] == NULL,
	      "what is whole is taken");
	CHECK(keywords_add(&k, root, SPAN("fresh"), &e) == 1, "first free");
	CHECK(holds("dovecot-keywords", "0 $Label1\n1 fresh\n2 Work\n"),
	      "written");
	CHECK(keywords_add(&k, root, SPAN("a\nb"), &e) == -1, "line break");
	CHECK(keywords_add(&k, root, SPAN("\\Seen"), &e) == -1, "backslash");
	for (int i = 3; i < 26; i++) {
		snprintf(name, sizeof(name), "k%d", i);
		CHECK(keywords_add(&k, root, span_of(name), &e) == i, "%s",
		      name);
	}
	CHECK(keywords_add(&k, root, SPAN("k27"), &e) == -2, "the 27th");
	keywords_free(&k);
}

static void
test_subscriptions(void)
{
	struct strs names = STRS_INIT;
	struct err e = ERR_INIT;

	put("subscriptions", "INBOX\nFoo.Bar\nFoo.Bar\nx\ty\n");
	CHECK(subscriptions_read(&names, root, &e) == 0 && names.n == 2 &&
		  strcmp(names.v[1], "Foo.Bar") == 0,
	      "old form");
	CHECK(subscriptions_set(root, SPAN("B&AOQ-r.x"), true, &e) == 0, "on");
	CHECK(subscriptions_set(root, SPAN("INBOX"), false, &e) == 0, "off");
	CHECK(holds("subscriptions", "V\t2\n\nFoo\tBar\nB&AOQ-r\tx\n"),
	      "Dovecot's form");
	strs_clear(&names);
	CHECK(subscriptions_read(&names, root, &e) == 0 && names.n == 2 &&
		  strcmp(names.v[1], "B&AOQ-r.x") == 0,
	      "read back");
	strs_free(&names);
}

static const struct {
	const char *file, *base, *again;
	uint64_t size, vsize;
	maildir_flags flags;
} files[] = {
	{ "1.M2P3.h,S=12,W=13:2,FSa", "1.M2P3.h,S=12,W=13",
	  "1.M2P3.h,S=12,W=13:2,FSa", 12, 13,
	  MAILDIR_FLAGGED | MAILDIR_SEEN | MAILDIR_KEYWORD_BIT(0) },
	{ "1.h", "1.h", "1.h:2,", MAILDIR_NO_SIZE, MAILDIR_NO_SIZE, 0 },
	{ "1.h:1,x", "1.h", "1.h:2,", MAILDIR_NO_SIZE, MAILDIR_NO_SIZE, 0 },
	{ "1.h,S=12x:2,zSPX", "1.h,S=12x", "1.h,S=12x:2,PSXz", MAILDIR_NO_SIZE,
	  MAILDIR_NO_SIZE,
	  MAILDIR_SEEN | MAILDIR_PASSED | MAILDIR_BIT('X') |
	      MAILDIR_KEYWORD_BIT(25) },
	{ "1.h,S=99999999999999999999", "1.h,S=99999999999999999999",
	  "1.h,S=99999999999999999999:2,", MAILDIR_NO_SIZE, MAILDIR_NO_SIZE,
	  0 },
};

static void
test_names(void)
{
	struct buf b = BUF_INIT;

	for (size_t i = 0; i < ARRAY_LEN(files); i++) {
		struct maildir_name m;

		maildir_name_parse(&m, span_of(files[i].file));
		CHECK(
		    span_is(m.base, files[i].base) && m.size == files[i].size &&
			m.vsize == files[i].vsize && m.flags == files[i].flags,
		    "file %zu", i);
		buf_clear(&b);
		maildir_name_make(&b, m.base, m.flags);
		CHECK(strcmp(buf_str(&b), files[i].again) == 0, "again %zu", i);
	}
	CHECK(maildir_name_time(SPAN("12.M34P5.h")) == 12000034, "time");
	CHECK(maildir_name_time(SPAN("x")) == 0, "no time");
	buf_free(&b);
}

int
main(void)
{
	if (mkdtemp(dir) == NULL)
		return 1;
	root = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	test_parse();
	test_write();
	test_locks();
	test_keywords();
	test_subscriptions();
	test_names();
	if (fchdir(root) != 0 || system("rm -f dovecot-* x subscriptions") != 0)
		return 1;
	rmdir(dir);
	return unit_done();
}
