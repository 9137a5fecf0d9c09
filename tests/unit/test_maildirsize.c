/*
 * Unit tests of common/maildirsize.c: sums that stay within bounds, and the
 * file that is made anew.
 */
#include "maildirsize.h"
#include "unit.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#define HALF "4611686018427387903"

static char dir[] = "/tmp/mx-unit-XXXXXX";
static int root;

static const struct {
	const char *text;
	uint64_t max_bytes, max_count;
	int64_t bytes, count;
} files[] = {
	{ "1000S,10C\n5 1\n7 2\n-2 -1\n", 1000, 10, 10, 2 },
	{ "10C,1000S\n   5    1\r\n", 1000, 10, 5, 1 },
	{ "1000S\n5 1\n5\nx y\n\n6 1", 1000, 0, 11, 2 },
	{ "1000S\n-5 -1\n", 1000, 0, 0, 0 },
	{ "S,C,xS\n", 0, 0, 0, 0 },
	{ "", 0, 0, 0, 0 },
	/* three halves are not less than nothing */
	{ "1000S\n" HALF " 1\n" HALF " 1\n" HALF " 1\n", 1000, 0, INT64_MAX,
	  3 },
	{ "1000S\n-" HALF " 1\n-" HALF " 1\n-" HALF " 1\n", 1000, 0, 0, 3 },
};

static void
test_parse(void)
{
	for (size_t i = 0; i < ARRAY_LEN(files); i++) {
		struct maildirsize m;

		maildirsize_parse(&m, span_of(files[i].text));
		CHECK(
		    m.max_bytes == files[i].max_bytes &&
			m.max_count == files[i].max_count &&
			m.bytes == files[i].bytes && m.count == files[i].count,
		    "file %zu: %lldS %lldC of %llu %llu", i, (long long)m.bytes,
		    (long long)m.count, (unsigned long long)m.max_bytes,
		    (unsigned long long)m.max_count);
	}
}

static void
put(const char *name, const char *text)
{
	int fd =
	    openat(root, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	CHECK(write(fd, text, strlen(text)) == (ssize_t)strlen(text), "%s",
	      name);
	close(fd);
}

static int
descriptors(void)
{
	DIR *d = opendir("/proc/self/fd");
	int n = 0;

	while (readdir(d) != NULL)
		n++;
	closedir(d);
	return n;
}

static void
check_file(const char *words, int64_t bytes, int64_t count)
{
	struct maildirsize m;
	struct err e = ERR_INIT;

	CHECK(maildirsize_read(&m, root, &e) == 0 && m.exists &&
		  m.max_bytes == 1000 && m.bytes == bytes && m.count == count,
	      "%s: %lld in %lld", words, (long long)m.bytes,
	      (long long)m.count);
}

static void
test_sum(void)
{
	static const char *const dirs[] = { "new",    "cur",    "tmp", ".A",
					    ".A/new", ".A/cur", ".odd" };
	struct maildirsize m = { .max_bytes = 1000 };
	struct rlimit was, none = { 3, RLIM_INFINITY };
	int before;

	for (size_t i = 0; i < ARRAY_LEN(dirs); i++)
		mkdirat(root, dirs[i], 0700);
	put("new/1.a", "12345");
	put("cur/2.b,S=7:2,S", "1234567");
	put("cur/3.c,S=9:2,ST", "123456789");
	put(".A/cur/4.d,S=100:2,", "x");
	put("maildirsize", "1000S\n1 1\n");
	maildirsize_sum(root, &m);
	check_file("all folders, without what is marked \\Deleted", 112, 3);

	/* a folder that cannot be read is not an empty one */
	unlinkat(root, ".A/cur/4.d,S=100:2,", 0);
	unlinkat(root, ".A/cur", AT_REMOVEDIR);
	put(".A/cur", "a file in the place of a folder");
	maildirsize_sum(root, &m);
	check_file("as it was", 112, 3);
	unlinkat(root, ".A/cur", 0);

	/* a write that fails leaves nothing behind, no descriptor either */
	before = descriptors();
	signal(SIGXFSZ, SIG_IGN);
	getrlimit(RLIMIT_FSIZE, &was);
	none.rlim_max = was.rlim_max;
	setrlimit(RLIMIT_FSIZE, &none);
	maildirsize_sum(root, &m);
	setrlimit(RLIMIT_FSIZE, &was);
	CHECK(descriptors() == before, "no descriptor is left open");
	check_file("as it was", 112, 3);
	CHECK(unlinkat(root, "tmp", AT_REMOVEDIR) == 0, "tmp/ is empty");
	mkdirat(root, "tmp", 0700);
	maildirsize_sum(root, &m);
	check_file("now", 12, 2);
}

int
main(void)
{
	char command[100];

	if (mkdtemp(dir) == NULL)
		return 1;
	root = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	test_parse();
	test_sum();
	snprintf(command, sizeof(command), "rm -r %s", dir);
	return system(command) != 0 ? 1 : unit_done();
}
