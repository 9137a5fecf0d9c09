/*
 * queuefile.c - the text of a queue entry's envelope, the queue's folders,
 * and the writer.  Working on entries is in queuefile_work.c.
 * Layer: mail.  DESIGN 3.11: no control byte in any value.
 */
#include "queuefile.h"
#include "clock.h"
#include "crc32.h"
#include "mem.h"
#include "num.h"
#include "queuefile_text.h"
#include "random.h"
#include "status.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define VERSION_LINE "mx-queue: 1"
/* How far ahead `later` puts an entry. */
#define LATER_S 60

/* The string fields, in the order in which they are written. */
static const struct {
	const char *name;
	size_t offset;
} env_fields[] = {
	{ "envid", offsetof(struct queuefile_env, envid) },
	{ "ret", offsetof(struct queuefile_env, ret) },
	{ "client_addr", offsetof(struct queuefile_env, client_addr) },
	{ "client_name", offsetof(struct queuefile_env, client_name) },
	{ "client_port", offsetof(struct queuefile_env, client_port) },
	{ "helo", offsetof(struct queuefile_env, helo) },
	{ "proto", offsetof(struct queuefile_env, proto) },
	{ "tls", offsetof(struct queuefile_env, tls) },
	{ "login", offsetof(struct queuefile_env, login) },
	{ "transport", offsetof(struct queuefile_env, transport) },
};

static const struct {
	const char *name;
	size_t offset;
} rcpt_fields[] = {
	{ "original", offsetof(struct queuefile_rcpt, original) },
	{ "orcpt", offsetof(struct queuefile_rcpt, orcpt) },
	{ "notify", offsetof(struct queuefile_rcpt, notify) },
};

static const struct {
	const char *name;
	unsigned flag;
} flag_words[] = {
	{ "8bit", QUEUEFILE_8BIT },
	{ "utf8", QUEUEFILE_UTF8 },
	{ "filtered", QUEUEFILE_FILTERED },
	{ "requiretls", QUEUEFILE_REQUIRETLS },
	{ "inbound", QUEUEFILE_INBOUND },
};

/* The string that a row of the tables above speaks of. */
static char **
string_at(void *base, size_t offset)
{
	return (char **)(void *)((char *)base + offset);
}

void
queuefile_env_free(struct queuefile_env *env)
{
	free(env->id);
	free(env->sender);
	for (size_t i = 0; i < ARRAY_LEN(env_fields); i++)
		free(*string_at(env, env_fields[i].offset));
	for (size_t i = 0; i < env->nrcpt; i++) {
		struct queuefile_rcpt *r = &env->rcpt[i];
		free(r->addr);
		for (size_t k = 0; k < ARRAY_LEN(rcpt_fields); k++)
			free(*string_at(r, rcpt_fields[k].offset));
		strs_free(&r->other);
	}
	free(env->rcpt);
	strs_free(&env->other);
	*env = (struct queuefile_env){ .id = NULL };
}

struct queuefile_rcpt *
queuefile_env_add(struct queuefile_env *env, const char *addr)
{
	env->rcpt = mem_grow(env->rcpt, &env->cap, env->nrcpt + 1,
			     sizeof(env->rcpt[0]));
	struct queuefile_rcpt *r = &env->rcpt[env->nrcpt++];
	*r = (struct queuefile_rcpt){ .state = QUEUEFILE_QUEUED,
				      .addr = mem_strdup(addr) };
	return r;
}

bool
queuefile_id_ok(struct span id)
{
	if (id.n == 0 || id.n > 60 || id.p[0] == '.')
		return false;
	for (size_t i = 0; i < id.n; i++)
		if (!ascii_isalnum(id.p[i]) && id.p[i] != '.' &&
		    id.p[i] != '_' && id.p[i] != '-')
			return false;
	return true;
}

void
queuefile_id_new(char *id_r, size_t size)
{
	snprintf(id_r, size, "%llX%04X", (unsigned long long)clock_now_us(),
		 (unsigned)random_below(0x10000));
}

/* Dump. */

/* What is not known has no line: nothing to read back either. */
static void
add_field(struct buf *b, const char *indent, const char *name,
	  const char *value)
{
	if (value != NULL && value[0] != '\0')
		buf_addf(b, "%s%s: %s\n", indent, name, value);
}

static void
dump_rcpt(struct buf *b, const struct queuefile_rcpt *r, bool masked)
{
	buf_addf(b, "%c recipient: %s\n", masked ? QUEUEFILE_QUEUED : r->state,
		 r->addr);
	for (size_t i = 0; i < ARRAY_LEN(rcpt_fields); i++) {
		const char *base = (const char *)r;
		add_field(
		    b, " ", rcpt_fields[i].name,
		    *(char *const *)(const void *)(base +
						   rcpt_fields[i].offset));
	}
	for (size_t i = 0; i < r->other.n; i++)
		buf_addf(b, "%s\n", r->other.v[i]);
}

/* In the order of flag_words: the reader takes no other. */
static void
dump_flags(struct buf *b, unsigned flags)
{
	const char *sep = "flags: ";

	for (size_t i = 0; i < ARRAY_LEN(flag_words); i++)
		if (flags & flag_words[i].flag) {
			buf_addf(b, "%s%s", sep, flag_words[i].name);
			sep = " ";
		}
	if (flags != 0)
		buf_addc(b, '\n');
}

void
queuefile_dump(struct buf *b, const struct queuefile_env *env, uint64_t size,
	       bool masked, size_t *size_at_r)
{
	const char *base = (const char *)env;
	/* Letters and size are written over in the life of an entry; the
	 * checksum is taken over what stays. */
	bool hold = env->hold && !masked;

	buf_addf(b, "%s\n%c id: %s\nsize: ", VERSION_LINE,
		 hold ? QUEUEFILE_HELD : QUEUEFILE_QUEUED, env->id);
	*size_at_r = b->n;
	buf_addf(b, "%020llu\narrival: %lld.%06lld\nsender: %s\n",
		 masked ? 0 : (unsigned long long)size,
		 (long long)(env->arrival_us / 1000000),
		 (long long)(env->arrival_us % 1000000),
		 env->sender == NULL || env->sender[0] == '\0' ? "<>"
							       : env->sender);
	dump_flags(b, env->flags);
	for (size_t i = 0; i < ARRAY_LEN(env_fields); i++)
		add_field(b, "", env_fields[i].name,
			  *(char *const *)(const void *)(base +
							 env_fields[i].offset));
	for (size_t i = 0; i < env->other.n; i++)
		buf_addf(b, "%s\n", env->other.v[i]);
	for (size_t i = 0; i < env->nrcpt; i++)
		dump_rcpt(b, &env->rcpt[i], masked);
	buf_addc(b, '\n');
}

/* Parse. */

/* "name: value" of letters, digits, "_", "-"; the value without control
 * bytes and not empty. */
static bool
split_field(struct span line, struct span *name_r, struct span *value_r)
{
	size_t n = 0;

	while (n < line.n && (ascii_isalnum(line.p[n]) || line.p[n] == '_' ||
			      line.p[n] == '-'))
		n++;
	if (n == 0 || line.n < n + 3 || line.p[n] != ':' ||
	    line.p[n + 1] != ' ' || span_has_ctl(line))
		return false;
	*name_r = span_sub(line, 0, n);
	*value_r = span_from(line, n + 2);
	return true;
}

/* An unknown flag is refused, not dropped: it may say what must not be done
 * with the message. */
static int
parse_flags(struct queuefile_env *env, struct span value, struct err *e)
{
	struct span word;

	while (span_word(&value, " ", &word)) {
		size_t i = 0;
		while (i < ARRAY_LEN(flag_words) &&
		       !span_is(word, flag_words[i].name))
			i++;
		if (i == ARRAY_LEN(flag_words))
			return err_set(e, ST_DATA, "unknown flag \"%.*s\"",
				       SPAN_ARG(word));
		env->flags |= flag_words[i].flag;
	}
	return 0;
}

/* "SECONDS.MICROSECONDS" */
static int
parse_arrival(struct queuefile_env *env, struct span value, struct err *e)
{
	ssize_t dot = span_chr(value, '.');
	uint64_t sec, us;

	if (dot < 0 ||
	    !num_u64(span_sub(value, 0, (size_t)dot), 1ull << 40, &sec) ||
	    !num_u64(span_from(value, (size_t)dot + 1), 999999, &us))
		return err_set(e, ST_DATA, "bad time of arrival");
	env->arrival_us = (int64_t)(sec * 1000000 + us);
	return 0;
}

/* A line of the entry as a whole, without a state letter. */
static int
parse_env_line(struct queuefile_env *env, struct span line, uint64_t *size,
	       struct err *e)
{
	struct span name, value;

	if (!split_field(line, &name, &value))
		return err_set(e, ST_DATA, "expected \"name: value\"");
	if (span_is(name, "size"))
		return num_u64(value, INT64_MAX, size)
			   ? 0
			   : err_set(e, ST_DATA, "bad size");
	if (span_is(name, "arrival"))
		return parse_arrival(env, value, e);
	if (span_is(name, "flags"))
		return parse_flags(env, value, e);
	if (span_is(name, "sender")) {
		free(env->sender);
		env->sender =
		    span_is(value, "<>") ? mem_strdup("") : mem_spandup(value);
		return 0;
	}
	for (size_t i = 0; i < ARRAY_LEN(env_fields); i++) {
		char **slot = string_at(env, env_fields[i].offset);
		if (!span_is(name, env_fields[i].name))
			continue;
		free(*slot);
		*slot = mem_spandup(value);
		return 0;
	}
	strs_addspan(&env->other, line);
	return 0;
}

/* " name: value" behind a recipient. */
static int
parse_rcpt_line(struct queuefile_env *env, struct span line, struct err *e)
{
	struct span name, value;

	if (env->nrcpt == 0 || !split_field(span_from(line, 1), &name, &value))
		return err_set(e, ST_DATA,
			       "expected \" name: value\" behind a recipient");
	struct queuefile_rcpt *r = &env->rcpt[env->nrcpt - 1];
	for (size_t i = 0; i < ARRAY_LEN(rcpt_fields); i++) {
		char **slot = string_at(r, rcpt_fields[i].offset);
		if (!span_is(name, rcpt_fields[i].name))
			continue;
		free(*slot);
		*slot = mem_spandup(value);
		return 0;
	}
	strs_addspan(&r->other, line);
	return 0;
}

/* "Q id: X", "Q recipient: ADDR": `at` is the letter's offset. */
static int
parse_state_line(struct queuefile_env *env, struct span line, size_t at,
		 struct err *e)
{
	struct span name, value;
	char state = line.p[0];

	if (!split_field(span_from(line, 2), &name, &value))
		return err_set(e, ST_DATA, "expected \"%c name: value\"",
			       state);
	if (span_is(name, "id") && at == sizeof(VERSION_LINE)) {
		if (!queuefile_id_ok(value) ||
		    (state != QUEUEFILE_QUEUED && state != QUEUEFILE_HELD))
			return err_set(e, ST_DATA, "bad queue ID");
		env->id = mem_spandup(value);
		env->hold = state == QUEUEFILE_HELD;
		return 0;
	}
	if (!span_is(name, "recipient") || strchr("QDFB", state) == NULL)
		return err_set(e, ST_DATA, "unknown state \"%c %.*s\"", state,
			       SPAN_ARG(name));
	char *addr = mem_spandup(value);
	struct queuefile_rcpt *r = queuefile_env_add(env, addr);
	free(addr);
	r->state = state;
	r->at = (int64_t)at;
	return 0;
}

/* The envelope up to its empty line; env may be half filled on failure. */
static int
parse_lines(struct queuefile_env *env, struct span bytes, size_t *used_r,
	    uint64_t *size_r, struct err *e)
{
	size_t at = 0;

	for (int number = 1;; number++) {
		struct span rest = span_from(bytes, at);
		ssize_t lf = span_chr(rest, '\n');
		if (lf < 0)
			return err_set(e, ST_DATA,
				       "line %d: the envelope has no end",
				       number);
		struct span line = span_sub(rest, 0, (size_t)lf);
		int r = 0;
		if (number == 1 && !span_is(line, VERSION_LINE))
			r = err_set(e, ST_DATA, "expected \"%s\"",
				    VERSION_LINE);
		else if (number > 1 && line.n == 0)
			break;
		else if (number > 1 && line.p[0] == ' ')
			r = parse_rcpt_line(env, line, e);
		else if (number > 1 && line.n > 1 && line.p[1] == ' ')
			r = parse_state_line(env, line, at, e);
		else if (number > 1)
			r = parse_env_line(env, line, size_r, e);
		if (r != 0)
			return err_prefix(e, "line %d", number);
		at += (size_t)lf + 1;
	}
	*used_r = at + 1;
	return 0;
}

int
queuefile_parse(struct queuefile_env *env, struct span bytes, size_t *used_r,
		uint64_t *size_r, struct err *e)
{
	struct buf again = BUF_INIT;
	size_t used = 0, size_at;
	uint64_t size = 0;

	*env = (struct queuefile_env){ .id = NULL };
	int r = parse_lines(env, bytes, &used, &size, e);
	if (r == 0 && (env->id == NULL || env->nrcpt == 0))
		r = err_set(e, ST_DATA, "the envelope lacks %s",
			    env->id == NULL ? "its ID" : "recipients");
	/* What does not come out as it went in was not written by us: lines
	 * twice, in another order, numbers in another form. */
	if (r == 0) {
		queuefile_dump(&again, env, size, false, &size_at);
		if (!span_eq(buf_span(&again), span_sub(bytes, 0, used)))
			r = err_set(e, ST_DATA,
				    "the envelope is not in its one form");
	}
	buf_free(&again);
	if (r != 0) {
		queuefile_env_free(env);
		return r;
	}
	*used_r = used;
	*size_r = size;
	return 0;
}

/* The folders. */

void
queuefile_folder(const char *id, char out[3])
{
	snprintf(out, 3, "%02X",
		 (unsigned)(crc32_add(0, id, strlen(id)) & 0xff));
}

/* All 256, and their names durable, before the first message is put in. */
static int
make_folders(int fd, struct err *e)
{
	char name[16];

	for (unsigned i = 0; i < 256; i++) {
		snprintf(name, sizeof(name), "queue/%02X", i);
		if (mkdirat(fd, name, 0700) != 0 && errno != EEXIST)
			return err_sys(e, "%s: making the directory", name);
	}
	int q = openat(fd, "queue", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (q < 0)
		return err_sys(e, "queue: opening the directory");
	int r = fsync(q);
	if (close(q) != 0 || r != 0 || fsync(fd) != 0)
		return err_sys(e, "queue: syncing the directory");
	return 0;
}

int
queuefile_dir(const char *path, struct err *e)
{
	static const char *const parts[] = { "tmp", "corrupt", "queue" };
	int fd, r = 0;

	if (mkdir(path, 0700) != 0 && errno != EEXIST)
		return err_sys(e, "%s: making the queue directory", path);
	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return err_sys(e, "%s: opening the queue directory", path);
	/* The last folder made tells that all are there. */
	if (faccessat(fd, "queue/FF", F_OK, 0) == 0)
		return fd;
	for (size_t i = 0; r == 0 && i < ARRAY_LEN(parts); i++)
		if (mkdirat(fd, parts[i], 0700) != 0 && errno != EEXIST)
			r = err_sys(e, "%s: making the directory", parts[i]);
	if (r == 0)
		r = make_folders(fd, e);
	if (r == 0)
		return fd;
	close(fd);
	return err_prefix(e, "%s", path);
}

/* The writer. */

static bool
clean(const char *value)
{
	return value == NULL || !span_has_ctl(span_of(value));
}

/* No value may split a line (DESIGN 3.11). */
static int
check_env(const struct queuefile_env *env, struct err *e)
{
	const char *base = (const char *)env;
	bool ok = clean(env->sender);

	if (env->id == NULL || !queuefile_id_ok(span_of(env->id)))
		return err_set(e, ST_DATA, "bad queue ID");
	if (env->nrcpt == 0)
		return err_set(e, ST_DATA, "a queue entry needs a recipient");
	for (size_t i = 0; i < ARRAY_LEN(env_fields); i++)
		ok =
		    ok &&
		    clean(*(char *const *)(const void *)(base +
							 env_fields[i].offset));
	for (size_t i = 0; i < env->other.n; i++)
		ok = ok && clean(env->other.v[i]);
	for (size_t i = 0; i < env->nrcpt; i++) {
		const struct queuefile_rcpt *r = &env->rcpt[i];
		ok = ok && r->addr[0] != '\0' && clean(r->addr) &&
		     clean(r->original) && clean(r->orcpt) && clean(r->notify);
		for (size_t k = 0; k < r->other.n; k++)
			ok = ok && clean(r->other.v[k]);
	}
	if (!ok)
		return err_esc(e, ST_DATA, "5.5.2",
			       "control byte or empty address in an envelope");
	return 0;
}

int
queuefile_create(struct queuefile_writer *w, int dirfd,
		 const struct queuefile_env *env, struct err *e)
{
	struct queuefile_env now = *env;
	struct buf text = BUF_INIT;
	size_t size_at;

	if (check_env(env, e) != 0)
		return -1;
	if (now.arrival_us == 0)
		now.arrival_us = clock_now_us();
	*w = (struct queuefile_writer){ .size = 0 };
	snprintf(w->id, sizeof(w->id), "%s", env->id);
	queuefile_dump(&text, &now, 0, true, &size_at);
	/* What the reader refuses would be put aside after our 250. */
	if (text.n > QUEUEFILE_ENVELOPE_MAX) {
		buf_free(&text);
		return err_esc(e, ST_TEMPFAIL, "4.5.3",
			       "too many recipients for one queue entry");
	}
	w->crc = crc32_add(0, text.p, text.n);
	if (deposit_open(&w->d, dirfd, DEPOSIT_AUTO, e) != 0) {
		buf_free(&text);
		return -1;
	}
	buf_clear(&text);
	queuefile_dump(&text, &now, 0, false, &size_at);
	w->size_at = size_at;
	int r = deposit_write(&w->d, text.p, text.n, e);
	buf_free(&text);
	if (r != 0)
		queuefile_abort(w);
	return r;
}

int
queuefile_write(struct queuefile_writer *w, const void *p, size_t n,
		struct err *e)
{
	w->crc = crc32_add(w->crc, p, n);
	w->size += n;
	return deposit_write(&w->d, p, n, e);
}

/* The size is known now: into the envelope, in memory when nothing of it has
 * gone out yet. */
static int
put_size(struct queuefile_writer *w, struct err *e)
{
	char text[24];
	int n = snprintf(text, sizeof(text), "%020llu",
			 (unsigned long long)w->size);

	if (w->d.out.n == w->d.size) {
		memcpy(w->d.out.p + w->size_at, text, (size_t)n);
		return 0;
	}
	if (pwrite(w->d.fd, text, (size_t)n, (off_t)w->size_at) != n)
		return err_sys(e, "writing the size into the queue entry");
	return 0;
}

/* Its first attempt is a minute ahead.  Both times are set: for one alone,
 * inotify(7) tells of an access or a change (IN_ACCESS, IN_MODIFY), for both
 * of IN_ATTRIB, which the queue runner waits for. */
static int
put_ahead(struct queuefile_writer *w, struct err *e)
{
	struct timespec t[2] = { { clock_now(), 0 },
				 { clock_now() + LATER_S, 0 } };

	if (deposit_flush(&w->d, e) != 0)
		return -1;
	return futimens(w->d.fd, t) == 0
		   ? 0
		   : err_sys(e, "setting the time of the entry");
}

void
queuefile_release(struct queuefile_writer *w)
{
	struct timespec t[2] = { { clock_now(), 0 }, { clock_now(), 0 } };

	/* both times, as in put_ahead; in vain: it is due in a minute all the
	 * same */
	if (w->later && w->d.place[0] != '\0')
		(void)utimensat(w->d.dirfd, w->d.place, t, AT_SYMLINK_NOFOLLOW);
	w->later = false;
}

int
queuefile_commit(struct queuefile_writer *w, struct err *e)
{
	char text[QUEUEFILE_TRAILER + 1], folder[3], place[100], id[64];

	snprintf(text, sizeof(text), "\nmx-end: %020llu %08x\n",
		 (unsigned long long)w->size, (unsigned)w->crc);
	if (deposit_write(&w->d, text, QUEUEFILE_TRAILER, e) != 0 ||
	    put_size(w, e) != 0) {
		queuefile_abort(w);
		return -1;
	}
	if (w->later && put_ahead(w, e) != 0) {
		queuefile_abort(w);
		return -1;
	}
	snprintf(id, sizeof(id), "%s", w->id);
	/* The client's queue ID may be one that is here already (it tried
	 * again after a lost reply): both are kept. */
	for (int i = 2;; i++) {
		queuefile_folder(w->id, folder);
		snprintf(place, sizeof(place), "queue/%s/%s", folder, w->id);
		int r = deposit_commit_new(&w->d, place, e);
		if (r <= 0 || i > 99)
			return r <= 0 ? r
				      : (queuefile_abort(w),
					 err_set(e, ST_TEMPFAIL,
						 "%s: too many entries of "
						 "this ID",
						 id));
		snprintf(w->id, sizeof(w->id), "%.60s.%u", id,
			 (unsigned)i % 100);
	}
}

void
queuefile_undo(struct queuefile_writer *w)
{
	deposit_undo(&w->d);
}

void
queuefile_abort(struct queuefile_writer *w)
{
	deposit_abort(&w->d);
}
