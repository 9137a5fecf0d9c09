/* Unit tests of common/mailbox_name.c. */
#include "mailbox_name.h"
#include "unit.h"

#include <fcntl.h>
#include <unistd.h>

static const struct {
	const char *utf8, *disk; /* disk NULL: refused */
} cases[] = {
	{ "Lists", ".Lists" },
	{ "a.b.c", ".a.b.c" },
	{ "Entw\303\274rfe", ".Entw&APw-rfe" },
	{ "\345\217\260\345\214\227.\346\227\245\346\234\254\350\252\236",
	  ".&U,BTFw-.&ZeVnLIqe-" },
	{ "R&D", ".R&-D" },
	{ "\360\237\223\247", ".&2D3c5w-" },
	{ "a b", ".a b" },
	{ "", NULL },
	{ ".", NULL },
	{ "a..b", NULL },
	{ ".a", NULL },
	{ "a.", NULL },
	{ "../x", NULL },
	{ "a/b", NULL },
	{ "a\nb", NULL },
	{ "a\177", NULL },
	{ "\377", NULL },
	{ "\300\257", NULL },
};

static const char *const bad_mutf7[] = { "&",     "&AP",      "&AGE-",
					 "&2D0-", "\303\274", "a\nb",
					 "&!-",   "&3Oc-",    "&APx-" };

/* What clients send, and its one canonical form. */
static const struct {
	const char *given, *name; /* name NULL: refused */
	bool utf8;
} wire[] = {
	{ "inbox", "INBOX", false },
	{ "InBoX", "INBOX", true },
	{ "inbox.sub", "inbox.sub", false },
	{ "B&AOQ-r", "B&AOQ-r", false },
	{ "B\303\244r", "B&AOQ-r", true },
	{ "B\303\244r", NULL, false },
	{ "a&-b", "a&-b", false },
	{ "a&b", "a&-b", true },
	{ "x&AC8-y", NULL, false }, /* a hidden "/" */
	{ "x&AOQ-&AOQ-", NULL, false },
	{ "x&AAo-", NULL, false }, /* a hidden line break */
	{ "~x", NULL, false },
	{ "a.~x", "a.~x", false },
	{ "..", NULL, false },
	{ "a..b", NULL, false },
	{ "cur", "cur", false },
	{ "a\177", NULL, true },
	{ "a\302\205", NULL, true },
	{ "\355\240\200", NULL, true }, /* a lone surrogate */
};

static void
test_wire(void)
{
	struct buf b = BUF_INIT;
	struct err e = ERR_INIT;

	for (size_t i = 0; i < ARRAY_LEN(wire); i++) {
		buf_clear(&b);
		bool ok = mailbox_name_parse(&b, span_of(wire[i].given),
					     wire[i].utf8, &e) == 0;

		CHECK(ok == (wire[i].name != NULL), "wire %zu ok", i);
		CHECK(!ok || strcmp(buf_str(&b), wire[i].name) == 0,
		      "wire %zu is %s", i, buf_str(&b));
	}
	/* 300 bytes; 600 levels; a NUL */
	char long_name[1200];

	memset(long_name, 'x', sizeof(long_name));
	CHECK(mailbox_name_parse(&b, span_make(long_name, 254), false, &e) == 0,
	      "254 bytes");
	CHECK(mailbox_name_parse(&b, span_make(long_name, 255), false, &e) != 0,
	      "255 bytes");
	for (size_t i = 1; i < sizeof(long_name); i += 2)
		long_name[i] = '.';
	CHECK(mailbox_name_parse(&b, span_make(long_name, 99), false, &e) == 0,
	      "50 levels");
	CHECK(mailbox_name_parse(&b, span_make(long_name, 101), false, &e) != 0,
	      "51 levels");
	CHECK(mailbox_name_parse(&b, span_make(long_name, 1199), true, &e) != 0,
	      "600 levels");
	CHECK(mailbox_name_parse(&b, SPAN("a\0b"), true, &e) != 0, "a NUL");
	buf_free(&b);
}

static void
test_folders(void)
{
	struct buf b = BUF_INIT;
	char dir[] = "/tmp/mx-unit-XXXXXX", path[64];
	int root, fd;

	CHECK(!mailbox_name_of_folder(&b, SPAN(".")), "root");
	CHECK(!mailbox_name_of_folder(&b, SPAN("..")), "parent");
	CHECK(!mailbox_name_of_folder(&b, SPAN(".inbox")), "second inbox");
	CHECK(!mailbox_name_of_folder(&b, SPAN(".a..b")), "empty level");
	CHECK(!mailbox_name_of_folder(&b, SPAN(".x&AC8-")), "slash");
	CHECK(mailbox_name_of_folder(&b, SPAN(".a.b")) &&
		  strcmp(buf_str(&b), "a.b") == 0,
	      "a.b");
	CHECK(mkdtemp(dir) != NULL, "folder for links");
	snprintf(path, sizeof(path), "%s/.evil", dir);
	CHECK(symlink("/etc", path) == 0, "a link");
	root = open(dir, O_RDONLY | O_DIRECTORY);
	fd = mailbox_name_open(root, SPAN("evil"));
	CHECK(fd < 0, "no link is followed");
	fd = mailbox_name_openat(root, "../", O_RDONLY, 0);
	CHECK(fd < 0, "not above the root");
	fd = mailbox_name_openat(root, "/etc/passwd", O_RDONLY, 0);
	CHECK(fd < 0, "no absolute path");
	fd = mailbox_name_open(root, SPAN("INBOX"));
	CHECK(fd >= 0, "the inbox is the root");
	close(fd);
	close(root);
	unlink(path);
	rmdir(dir);
	buf_free(&b);
}

int
main(void)
{
	test_wire();
	test_folders();
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct buf b = BUF_INIT, back = BUF_INIT;
		bool ok = mailbox_name_to_disk(&b, span_of(cases[i].utf8));
		CHECK(ok == (cases[i].disk != NULL), "%zu ok", i);
		if (ok) {
			CHECK(strcmp(buf_str(&b), cases[i].disk) == 0,
			      "%zu is %s", i, buf_str(&b));
			CHECK(mailbox_name_decode(&back,
						  span_from(buf_span(&b), 1)) &&
				  strcmp(buf_str(&back), cases[i].utf8) == 0,
			      "%zu back", i);
		}
		buf_free(&b);
		buf_free(&back);
	}
	for (size_t i = 0; i < ARRAY_LEN(bad_mutf7); i++) {
		struct buf b = BUF_INIT;
		CHECK(!mailbox_name_decode(&b, span_of(bad_mutf7[i])),
		      "bad %zu", i);
		buf_free(&b);
	}
	return unit_done();
}
