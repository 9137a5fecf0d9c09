/*
 * test_log.c - lines that are held go out in one write; others in one each.
 */
#include "log.h"
#include "span.h"
#include "unit.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

static int end[2];
static char got[8192];

/* A pipe of packets: a read is what one write put there.  Its length, 0 when
 * there is nothing. */
static size_t
next(void)
{
	ssize_t n = read(end[0], got, sizeof(got) - 1);

	got[n > 0 ? n : 0] = '\0';
	return n > 0 ? (size_t)n : 0;
}

static size_t
lines(void)
{
	size_t n = 0;

	for (const char *p = got; (p = strchr(p, '\n')) != NULL; p++)
		n++;
	return n;
}

static void
test_each(void)
{
	log_info("one");
	log_info("two");
	(void)next();
	CHECK(lines() == 1 && strstr(got, "one") != NULL, "the first: %s", got);
	(void)next();
	CHECK(lines() == 1 && strstr(got, "two") != NULL, "the second: %s",
	      got);
}

static void
test_held(enum log_format f)
{
	log_open("mx", "qmgr", f);
	log_hold();
	log_info("one");
	log_role("virtual");
	log_warn("two");
	CHECK(next() == 0, "held: %s", got);
	log_release();
	(void)next();
	CHECK(lines() == 2 && strstr(got, "one") != NULL &&
		  strstr(got, "two") > strstr(got, "one"),
	      "both in one write, in order: %s", got);
	CHECK(next() == 0, "and nothing after it: %s", got);
	log_release();
	CHECK(next() == 0, "nothing held, nothing written: %s", got);
	log_info("three");
	(void)next();
	CHECK(lines() == 1 && strstr(got, "three") != NULL,
	      "not held any more: %s", got);
}

/* No write is larger than what a pipe takes whole; no line is lost. */
static void
test_many(void)
{
	size_t all = 0, writes = 0, n;

	log_hold();
	for (int i = 0; i < 100; i++)
		log_info("%0100d", i);
	log_release();
	while ((n = next()) > 0) {
		CHECK(n <= 4096 && got[n - 1] == '\n', "%zu bytes", n);
		all += lines();
		writes++;
	}
	CHECK(all == 100, "%zu lines", all);
	CHECK(writes >= 3 && writes < 10, "%zu writes", writes);
}

int
main(void)
{
	if (pipe2(end, O_DIRECT | O_NONBLOCK | O_CLOEXEC) != 0)
		return 1;
	log_to_fd(end[1]);
	test_each();
	test_held(LOG_TEXT);
	test_held(LOG_JSON);
	log_open("mx", "qmgr", LOG_TEXT);
	test_many();
	return unit_done();
}
