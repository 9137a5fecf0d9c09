/* Unit tests of the base layer: spans, numbers, encodings, maps, buffers. */
#include "unit.h"

#include "buf.h"
#include "err.h"
#include "escape.h"
#include "json.h"
#include "log.h"
#include "num.h"
#include "siphash.h"
#include "status.h"
#include "strs.h"

#include <errno.h>
#include <inttypes.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

static void
test_span(void)
{
	static const struct {
		const char *in, *seps;
		int words;
	} words[] = { { "a b  c", " ", 3 },
		      { "", " ", 0 },
		      { " ,a,", " ,", 1 } };
	struct span rest = SPAN("a,,b"), piece;
	int n = 0;

	while (span_split(&rest, ',', &piece))
		n++;
	CHECK(n == 3, "split counts empty pieces");
	rest = SPAN("");
	CHECK(span_split(&rest, ',', &piece) && piece.n == 0 &&
		  !span_split(&rest, ',', &piece),
	      "empty text is one empty piece");
	for (size_t i = 0; i < ARRAY_LEN(words); i++) {
		rest = span_of(words[i].in);
		n = 0;
		while (span_word(&rest, words[i].seps, &piece))
			n++;
		CHECK(n == words[i].words, "words %zu", i);
	}
	CHECK(span_ifind(SPAN("xxAbC"), SPAN("aBc")) == 2, "ifind");
	CHECK(span_find(SPAN("abc"), SPAN("abcd")) == -1, "find longer");
	CHECK(span_has_ctl(SPAN("a\x7f")) && !span_has_ctl(SPAN("a\x80")),
	      "control bytes");
	CHECK(span_is(span_trim(SPAN(" \r\na \t")), "a"), "trim");
	CHECK(span_iends(SPAN("X.ORG"), SPAN(".org")), "iends");
	CHECK(span_sub(SPAN("abc"), 2, 99).n == 1, "sub is clipped");
}

static void
test_num(void)
{
	static const struct {
		const char *in;
		bool ok;
		int64_t want;
	} times[] = { { "5m", true, 300000 }, { "10", true, 10000 },
		      { "250ms", true, 250 }, { "1w", true, 604800000 },
		      { "5x", false, 0 },     { "", false, 0 },
		      { "-1s", false, 0 },    { "99999999999999w", false, 0 } },
	  sizes[] = { { "10", true, 10 },
		      { "1k", true, 1024 },
		      { "2MB", true, 2097152 },
		      { "3G", true, 3221225472 },
		      { "k", false, 0 },
		      { "1kk", false, 0 },
		      { "9999999999999999999", false, 0 },
		      { "9223372036854775807G", false, 0 } };
	int64_t v;
	uint64_t u;
	bool b;

	for (size_t i = 0; i < ARRAY_LEN(times); i++) {
		v = 0;
		CHECK(num_time(span_of(times[i].in), 's', &v) == times[i].ok &&
			  v == times[i].want,
		      "time %zu \"%s\"", i, times[i].in);
	}
	for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
		v = 0;
		CHECK(num_bytes(span_of(sizes[i].in), &v) == sizes[i].ok &&
			  v == sizes[i].want,
		      "size %zu \"%s\"", i, sizes[i].in);
	}
	CHECK(num_u64(SPAN("18446744073709551615"), UINT64_MAX, &u), "max");
	CHECK(!num_u64(SPAN("18446744073709551616"), UINT64_MAX, &u), "max+1");
	CHECK(!num_u64(SPAN("1 "), 9, &u) && !num_u64(SPAN("+1"), 9, &u),
	      "no blanks, no sign");
	CHECK(num_hex(SPAN("ffFF"), 65535, &u) && u == 65535, "hex");
	CHECK(!num_hex(SPAN("10000000000000000"), UINT64_MAX, &u),
	      "hex 65 bit");
	CHECK(num_bool(SPAN("YES"), &b) && b && !num_bool(SPAN("y"), &b),
	      "bool");
}

static void
test_escape(void)
{
	static const struct {
		const char *in, *line, *word, *xtext;
	} cases[] = {
		{ "plain", "plain", "plain", "plain" },
		{ "a b", "a b", "\"a b\"", "a+20b" },
		{ "a\r\nb", "a??b", "\"a\\x0D\\x0Ab\"", "a+0D+0Ab" },
		{ "\"\\", "\"\\", "\"\\\"\\\\\"", "\"\\" },
		{ "", "", "\"\"", "" },
		{ "\xc3\xa4\xff", "\xc3\xa4?", "\xc3\xa4\xff", "+C3+A4+FF" },
		{ "\xe2\x80\xae", "?", "\xe2\x80\xae", "+E2+80+AE" },
		{ "a+=", "a+=", "a+=", "a+2B+3D" },
	};
	struct buf b = BUF_INIT;

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct span in = span_of(cases[i].in);

		buf_clear(&b);
		escape_line(&b, in, 0);
		CHECK(span_is(buf_span(&b), cases[i].line), "line %zu", i);
		buf_clear(&b);
		escape_word(&b, in);
		CHECK(span_is(buf_span(&b), cases[i].word), "word %zu", i);
		buf_clear(&b);
		escape_xtext(&b, in);
		CHECK(span_is(buf_span(&b), cases[i].xtext), "xtext %zu", i);
	}
	buf_clear(&b);
	escape_line(&b, SPAN("0123456789"), 8);
	CHECK(span_is(buf_span(&b), "01234..."), "cut is marked");
	buf_clear(&b);
	CHECK(!escape_unxtext(&b, SPAN("a+0Ab")) && b.n == 0,
	      "xtext with a control byte is refused");
	CHECK(!escape_unxtext(&b, SPAN("a+4")), "xtext cut short");
	CHECK(escape_unxtext(&b, SPAN("a+2Bb")) && span_is(buf_span(&b), "a+b"),
	      "xtext back");
	buf_free(&b);
}

static void
test_base64(void)
{
	static const struct {
		const char *in;
		bool strict, lax;
		const char *out;
	} cases[] = {
		{ "", true, true, "" },
		{ "Zg==", true, true, "f" },
		{ "Zm8=", true, true, "fo" },
		{ "Zm9v", true, true, "foo" },
		{ "Zm9vYg==", true, true, "foob" },
		{ "Zm9\nv", false, true, "foo" },
		{ "Zg=", false, false, "" },
		{ "Zh==", false, false, "" },
		{ "Z", false, false, "" },
		{ "Zg==Zg==", false, false, "" },
		{ "=", false, false, "" },
		{ "Zm9v*", false, false, "" },
		{ "Zg===", false, false, "" },
	};
	struct buf b = BUF_INIT;

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		buf_clear(&b);
		CHECK(base64_decode(&b, span_of(cases[i].in)) ==
			      cases[i].strict &&
			  span_is(buf_span(&b),
				  cases[i].strict ? cases[i].out : ""),
		      "base64 strict %zu", i);
		buf_clear(&b);
		CHECK(base64_decode_lax(&b, span_of(cases[i].in)) ==
			      cases[i].lax &&
			  span_is(buf_span(&b), cases[i].out),
		      "base64 lax %zu", i);
	}
	buf_clear(&b);
	base64_encode(&b, SPAN("\0\xff\x10"));
	CHECK(span_is(buf_span(&b), "AP8Q"), "base64 encode");
	buf_free(&b);
}

static void
test_map(void)
{
	struct map *m = map_new();
	char key[32];
	intptr_t sum = 0;
	size_t i = 0;
	struct span k;
	void *v;

	for (intptr_t n = 1; n <= 1000; n++) {
		snprintf(key, sizeof(key), "k%ld", (long)n);
		map_put(m, span_of(key), (void *)n);
	}
	for (intptr_t n = 1; n <= 1000; n += 2) {
		snprintf(key, sizeof(key), "k%ld", (long)n);
		map_del(m, span_of(key));
	}
	for (intptr_t n = 1; n <= 10; n++) {
		snprintf(key, sizeof(key), "k%ld", (long)n);
		CHECK((intptr_t)map_get(m, span_of(key)) == (n % 2 ? 0 : n),
		      "map get %ld", (long)n);
	}
	while (map_next(m, &i, &k, &v))
		sum += (intptr_t)v;
	CHECK(map_count(m) == 500 && sum == 250500, "map walk");
	for (intptr_t n = 1; n <= 5000; n++) {
		map_put(m, SPAN("x"), (void *)n);
		map_del(m, SPAN("x"));
	}
	CHECK(map_count(m) == 500, "put and delete does not lose others");
	map_free(m, NULL);
}

static void
test_misc(void)
{
	struct err e = ERR_INIT;
	struct strs l = STRS_INIT;
	struct buf b = BUF_INIT;
	struct json j;
	uint32_t cp;

	errno = ENOSPC;
	err_sys(&e, "file %s", "x\ny");
	CHECK(e.status == ST_TEMPFAIL && strstr(e.text, "x?y: No space"),
	      "a full disk is temporary and the text is one line");
	errno = 0;
	err_sys(&e, "file %s", "x");
	CHECK(e.status == ST_TEMPFAIL, "a failure without errno is no success");
	err_prefix(&e, "main.cf:%d", 3);
	CHECK(strncmp(e.text, "main.cf:3: file", 15) == 0, "prefix");
	CHECK(status_is_temp(99) && status_is_temp(ST_TEMPFAIL) &&
		  !status_is_temp(ST_NOUSER) && status_is_temp(ST_CONFIG),
	      "unknown status is temporary");
	strs_split_braced(&l, SPAN("a, {b c}  inline:{x=y, z=w} d"));
	CHECK(l.n == 4 && strcmp(l.v[1], "b c") == 0 &&
		  strcmp(l.v[2], "inline:{x=y, z=w}") == 0 && l.v[4] == NULL,
	      "braced list");
	json_init(&j, &b);
	json_object(&j, NULL);
	json_str(&j, "a", SPAN("\"\n\xff"));
	json_array(&j, "b");
	json_int(&j, NULL, -1);
	json_bool(&j, NULL, true);
	json_end(&j, ']');
	json_null(&j, "c");
	json_end(&j, '}');
	CHECK(span_is(buf_span(&b), "{\"a\":\"\\\"\\u000a\xef\xbf\xbd\","
				    "\"b\":[-1,true],\"c\":null}"),
	      "json: %s", buf_str(&b));
	CHECK(!utf8_valid(SPAN("\xc0\x80")) &&
		  !utf8_valid(SPAN("\xed\xa0\x80")) &&
		  !utf8_valid(SPAN("\xf4\x90\x80\x80")) &&
		  utf8_valid(SPAN("\xf4\x8f\xbf\xbf")),
	      "strict UTF-8");
	CHECK(utf8_next(SPAN("\xe2\x82\xac"), &cp) == 3 && cp == 0x20ac,
	      "euro");
	buf_clear(&b);
	buf_adds(&b, "ac");
	buf_insert(&b, 1, SPAN("b"));
	buf_shift(&b, 1);
	CHECK(span_is(buf_span(&b), "bc"), "insert and shift");
	buf_free(&b);
	strs_free(&l);
}

static int
dev_log(void)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX,
				   .sun_path = "/dev/log" };
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	(void)unlink(sun.sun_path);
	return bind(fd, (struct sockaddr *)&sun, sizeof(sun)) == 0 ? fd : -1;
}

static bool
heard(int fd, const char *words)
{
	char line[1000] = "";

	return recv(fd, line, sizeof(line) - 1, MSG_DONTWAIT) > 0 &&
	       strstr(line, words) != NULL;
}

/* In a /dev of our own: 0, or the step that failed. */
static int
syslog_restart(void)
{
	int fd;

	if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 ||
	    mount("none", "/dev", "tmpfs", 0, NULL) != 0)
		return 99;
	(void)unsetenv("MX_LOG");
	fd = dev_log();
	close(STDERR_FILENO); /* no terminal */
	log_open("mx", "unit", LOG_TEXT);
	log_info("one");
	if (!heard(fd, "one"))
		return 1;
	close(fd);
	log_info("two"); /* nobody is there */
	fd = dev_log();
	log_info("three");
	if (!heard(fd, "1 log lines lost"))
		return 2;
	return heard(fd, "three") ? 0 : 3;
}

/* A syslog daemon that was restarted is spoken to again. */
static void
test_syslog(void)
{
	pid_t pid;
	int w = 0;

	(void)fflush(NULL);
	pid = fork();
	if (pid == 0)
		_exit(unshare(CLONE_NEWNS) == 0 ? syslog_restart() : 99);
	CHECK(waitpid(pid, &w, 0) == pid && WIFEXITED(w), "syslog ran");
	if (WEXITSTATUS(w) != 99) /* 99: no right to a /dev of our own */
		CHECK(WEXITSTATUS(w) == 0, "syslog restarted: step %d",
		      WEXITSTATUS(w));
}

/* Beside SipHash-1-3 written in another language; the key is 00 01 ... 0f, the
 * input 00 01 ... */
static void
test_siphash(void)
{
	static const struct {
		size_t n;
		uint64_t hash;
	} cases[] = {
		{ 0, 0xabac0158050fc4dc },  { 1, 0xc9f49bf37d57ca93 },
		{ 7, 0xd3927d989bb11140 },  { 8, 0x369095118d299a8e },
		{ 15, 0xd320d86d2a519956 }, { 16, 0xcc4fdd1a7d908b66 },
		{ 63, 0x9d199062b7bbb3a8 },
	};
	struct siphash_key key, other;
	char in[64];

	for (size_t i = 0; i < sizeof(in); i++)
		in[i] = (char)i;
	memcpy(&key, in, sizeof(key));
	for (size_t i = 0; i < ARRAY_LEN(cases); i++)
		CHECK(siphash(&key, span_make(in, cases[i].n)) == cases[i].hash,
		      "siphash of %zu bytes", cases[i].n);
	siphash_key_new(&key);
	siphash_key_new(&other);
	CHECK(siphash(&key, SPAN("x")) != siphash(&other, SPAN("x")),
	      "another key, another hash");
}

/* Every byte at every place of words and of what is left over. */
static void
test_ctl(void)
{
	size_t wrong = 0;
	char s[19];

	for (int c = 0; c < 256; c++)
		for (size_t at = 0; at < sizeof(s); at++) {
			memset(s, at % 2 ? 0x20 : 0x80, sizeof(s));
			s[at] = (char)c;
			if (span_has_ctl(span_make(s, sizeof(s))) !=
			    (c < 0x20 || c == 0x7f))
				wrong++;
		}
	CHECK(wrong == 0, "control bytes wherever they stand");
}

int
main(void)
{
	test_span();
	test_siphash();
	test_ctl();
	test_num();
	test_escape();
	test_base64();
	test_map();
	test_misc();
	test_syslog();
	return unit_done();
}
