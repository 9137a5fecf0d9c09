/*
 * uidlist.c - dovecot-uidlist as a whole: parsed, read, kept, written; see
 * uidlist.h.  What needs only its end is in uidlist_end.c.
 * Layer: mail.  Dovecot "Maildir Mailbox Format", IMAP UID mapping.
 *
 *   3 V1275660208 N25022 G3085f01b7f11094c501100008c4a11c1
 *   25006 W2481 :1276528487.M364837P9451.kurkku,S=1355
 *
 * Dovecot appends lines without rewriting the header, so the next UID is the
 * greater of N and the last UID + 1.
 */
#include "uidlist_int.h"
#include "escape.h"
#include "io.h"
#include "log.h"
#include "mem.h"
#include "num.h"
#include "random.h"
#include "status.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

/* A list of ten million messages has some 800 MB. */
#define FILE_MAX ((size_t)1 << 30)
#define SKIP_MAX 1000000

void
uidlist_init(struct uidlist *u)
{
	*u = (struct uidlist){ .uidnext = 1 };
	siphash_key_new(&u->key);
}

void
uidlist_done(struct uidlist *u)
{
	free(u->slots);
	free(u->v);
	buf_free(&u->text);
	buf_free(&u->guid);
	*u = (struct uidlist){ 0 };
}

/* Header and file facts stay. */
static void
forget_entries(struct uidlist *u)
{
	free(u->slots);
	u->slots = NULL;
	u->nslots = 0;
	u->n = 0;
	u->skipped = 0;
	buf_clear(&u->text);
}

struct span
uidlist_base(const struct uidlist *u, size_t i)
{
	return span_make(u->text.p + u->v[i].name, u->v[i].name_n);
}

static uint32_t
hash_of(const struct uidlist *u, struct span base)
{
	return (uint32_t)siphash(&u->key, base);
}

static void
place(struct uidlist *u, size_t i)
{
	size_t mask = u->nslots - 1, at = u->v[i].hash & mask;

	while (u->slots[at].at != 0)
		at = (at + 1) & mask;
	u->slots[at] = (struct uidlist_slot){ (uint32_t)(i + 1), u->v[i].hash };
}

/* Slots for `n` entries, over those that there are. */
static void
make_slots(struct uidlist *u, size_t n)
{
	u->nslots = 16;
	while (u->nslots < n * 2)
		u->nslots *= 2;
	free(u->slots);
	u->slots = mem_alloc(u->nslots, sizeof(*u->slots));
	for (size_t i = 0; i < u->n; i++)
		place(u, i);
}

/* The entry of a base name, or NULL. */
static const struct uidlist_entry *
seek(const struct uidlist *u, struct span base, uint32_t hash)
{
	size_t mask = u->nslots - 1;

	if (u->n == 0)
		return NULL;
	for (size_t at = hash & mask; u->slots[at].at != 0;
	     at = (at + 1) & mask) {
		size_t i = u->slots[at].at - 1;

		if (u->slots[at].hash == hash &&
		    span_eq(uidlist_base(u, i), base))
			return &u->v[i];
	}
	return NULL;
}

uint32_t
uidlist_find(const struct uidlist *u, struct span base)
{
	const struct uidlist_entry *x =
	    u->n > 0 ? seek(u, base, hash_of(u, base)) : NULL;

	return x != NULL ? x->uid : 0;
}

struct span
uidlist_ext(const struct uidlist *u, struct span base)
{
	const struct uidlist_entry *x =
	    u->n > 0 ? seek(u, base, hash_of(u, base)) : NULL;

	return x != NULL ? span_make(u->text.p + x->ext, x->ext_n)
			 : span_make(NULL, 0);
}

/* Appends an entry; the caller keeps the UIDs ascending, and each name once. */
static void
put(struct uidlist *u, uint32_t uid, struct span ext, struct span base,
    uint32_t hash)
{
	struct uidlist_entry *x;

	u->v = mem_grow(u->v, &u->cap, u->n + 1, sizeof(*u->v));
	x = &u->v[u->n];
	*x = (struct uidlist_entry){ .uid = uid,
				     .hash = hash,
				     .name_n = (uint32_t)base.n,
				     .ext_n = (uint32_t)ext.n };
	x->ext = u->text.n;
	buf_addspan(&u->text, ext);
	x->name = u->text.n;
	buf_addspan(&u->text, base);
	if ((u->n + 1) * 2 > u->nslots)
		make_slots(u, (u->n + 1) * 2);
	u->n++;
	place(u, u->n - 1);
}

bool
uidlist_parse_header(struct uidlist *u, struct span line)
{
	struct span word;
	uint64_t validity = 0, next = 1;
	struct buf more = BUF_INIT;
	bool ok, v1;

	if (!span_word(&line, " ", &word))
		return false;
	v1 = span_is(word, "1");
	ok = v1 || span_is(word, "3");
	for (int i = 0; ok && span_word(&line, " ", &word); i++) {
		struct span rest = span_from(word, v1 ? 0 : 1);

		if (v1 ? i == 0 : word.p[0] == 'V')
			ok = num_u64(rest, UINT32_MAX, &validity);
		else if (v1 ? i == 1 : word.p[0] == 'N')
			ok = num_u64(rest, UINT32_MAX, &next);
		else
			buf_addf(&more, " %.*s", SPAN_ARG(word));
	}
	ok = ok && validity != 0 && next != 0;
	if (ok) {
		u->uidvalidity = (uint32_t)validity;
		u->uidnext = (uint32_t)next;
		buf_clear(&u->guid);
		buf_addspan(&u->guid, buf_span(&more));
	}
	buf_free(&more);
	return ok;
}

/* "UID [Xvalue ]...:BASE", or "UID BASE" of version 1. */
static bool
parse_line(struct uidlist *u, struct span line)
{
	struct span rest, ext, base;
	uint32_t hash;
	uint64_t uid;
	size_t used;
	ssize_t colon;

	if (span_has_ctl(line) ||
	    !num_prefix(line, UINT32_MAX - 1, &uid, &used) || uid == 0 ||
	    used == line.n || line.p[used] != ' ')
		return false;
	rest = span_from(line, used + 1);
	/* the name may hold ":" too: extensions end with " :" or are none */
	if (rest.n > 0 && rest.p[0] == ':') {
		ext = span_sub(rest, 0, 0);
		base = span_from(rest, 1);
	} else if ((colon = span_find(rest, SPAN(" :"))) >= 0) {
		ext = span_sub(rest, 0, (size_t)colon + 1);
		base = span_from(rest, (size_t)colon + 2);
	} else {
		ext = span_sub(rest, 0, 0);
		base = rest;
	}
	base = maildir_name_base(base);
	/* Ascending, and each name once: a line that is not would give a
	 * message two UIDs, or a UID twice. */
	if (base.n == 0 || base.n > 255 || span_chr(base, '/') >= 0 ||
	    (u->n > 0 && uid <= u->v[u->n - 1].uid))
		return false;
	hash = hash_of(u, base);
	if (seek(u, base, hash) != NULL)
		return false;
	put(u, (uint32_t)uid, ext, base, hash);
	return true;
}

void
uidlist_remember(struct uidlist *u, const struct stat *st, struct span content)
{
	u->file.dev = st->st_dev;
	u->file.ino = st->st_ino;
	u->file.size = (uint64_t)st->st_size;
	u->file.mtime_ns =
	    (int64_t)st->st_mtim.tv_sec * 1000000000 + st->st_mtim.tv_nsec;
	memset(u->file.tail, 0, sizeof(u->file.tail));
	if (content.n >= sizeof(u->file.tail))
		memcpy(u->file.tail,
		       content.p + content.n - sizeof(u->file.tail),
		       sizeof(u->file.tail));
}

bool
uidlist_same_file(const struct uidlist *u, const struct stat *st)
{
	return u->file.dev == st->st_dev && u->file.ino == st->st_ino &&
	       u->file.size == (uint64_t)st->st_size &&
	       u->file.mtime_ns == (int64_t)st->st_mtim.tv_sec * 1000000000 +
				       st->st_mtim.tv_nsec;
}

/* The same file with lines behind those that were read?  An inode's number may
 * be given again: so the last bytes must stand where they stood. */
static bool
has_grown(const struct uidlist *u, int fd, const struct stat *st)
{
	char tail[UIDLIST_TAIL];

	return u->uidvalidity != 0 && u->file.dev == st->st_dev &&
	       u->file.ino == st->st_ino &&
	       u->file.size < (uint64_t)st->st_size &&
	       u->file.size >= sizeof(tail) &&
	       u->file.tail[sizeof(tail) - 1] == '\n' &&
	       pread(fd, tail, sizeof(tail),
		     (off_t)(u->file.size - sizeof(tail))) ==
		   (ssize_t)sizeof(tail) &&
	       memcmp(tail, u->file.tail, sizeof(tail)) == 0;
}

/* A damaged line's UID was given to some message once, so no other one gets
 * it; but damage may also have made any number of it. */
static void
skip_uid(struct uidlist *u, struct span line)
{
	uint64_t uid;
	size_t used;

	if (num_prefix(line, UINT32_MAX, &uid, &used) && used < line.n &&
	    line.p[used] == ' ' && uid >= u->uidnext &&
	    uid - u->uidnext < SKIP_MAX)
		u->uidnext = (uint32_t)uid + 1;
}

/* Lines behind those that are there; uidnext is beyond the last UID then,
 * whatever the header said. */
static void
parse_lines(struct uidlist *u, struct span bytes)
{
	ssize_t lf;
	uint32_t next;

	/* A last line without its end is one that Dovecot is writing, or that
	 * a crash cut off. */
	while ((lf = span_chr(bytes, '\n')) >= 0) {
		struct span line = span_sub(bytes, 0, (size_t)lf);

		if (!parse_line(u, line)) {
			u->skipped++;
			skip_uid(u, line);
		}
		bytes = span_from(bytes, (size_t)lf + 1);
	}
	next = u->n > 0 ? u->v[u->n - 1].uid + 1 : 1;
	if (u->uidnext < next)
		u->uidnext = next;
}

bool
uidlist_parse(struct uidlist *u, struct span bytes)
{
	ssize_t lf;

	forget_entries(u);
	u->lazy = false;
	lf = span_chr(bytes, '\n');
	if (lf < 0 || !uidlist_parse_header(u, span_sub(bytes, 0, (size_t)lf)))
		return false;
	parse_lines(u, span_from(bytes, (size_t)lf + 1));
	return true;
}

/* Reads what was appended since `u->file`. */
static int
load_growth(struct uidlist *u, int fd, const struct stat *st, struct err *e)
{
	struct buf b = BUF_INIT;
	size_t n = (size_t)((uint64_t)st->st_size - u->file.size);
	ssize_t got = pread(fd, buf_room(&b, n), n, (off_t)u->file.size);
	struct stat upto = *st;
	int r = 0;

	if (got < 0) {
		r = err_sys(e, "%s: reading", UIDLIST_NAME);
	} else {
		ssize_t lf;

		buf_grew(&b, (size_t)got);
		lf = span_rchr(buf_span(&b), '\n');
		/* an unfinished line is read again when it is whole */
		buf_cut(&b, (size_t)(lf + 1));
		parse_lines(u, buf_span(&b));
		upto.st_size = (off_t)(u->file.size + b.n);
		buf_insert(&b, 0,
			   span_make(u->file.tail, sizeof(u->file.tail)));
		uidlist_remember(u, &upto, buf_span(&b));
	}
	buf_free(&b);
	return r;
}

/* Brings u up to what fd holds, with as little reading as will do; all: the
 * entries of a lazy list too. */
static int
load(struct uidlist *u, int fd, bool all, struct err *e)
{
	uint32_t validity = u->uidvalidity, next = u->uidnext;
	struct buf bytes = BUF_INIT;
	struct stat st;

	if (fstat(fd, &st) != 0)
		return err_sys(e, "%s", UIDLIST_NAME);
	all = all && u->lazy;
	if (!all && uidlist_same_file(u, &st))
		return 0;
	if (!S_ISREG(st.st_mode))
		return err_set(e, ST_TEMPFAIL, "%s is no file", UIDLIST_NAME);
	if (!all && has_grown(u, fd, &st))
		return load_growth(u, fd, &st, e);
	if (io_read_all(fd, &bytes, FILE_MAX, DEADLINE_NEVER) != IO_OK) {
		buf_free(&bytes);
		u->file.ino = 0;
		return err_sys(e, "%s: reading", UIDLIST_NAME);
	}
	if (!uidlist_parse(u, buf_span(&bytes))) {
		log_warn("%s: not a list of UIDs: it is made anew",
			 UIDLIST_NAME);
		forget_entries(u);
		u->uidvalidity = 0;
	} else if (u->uidvalidity == validity && u->uidnext < next) {
		/* RFC 3501 2.3.1.1: told once, it may not go down again */
		u->uidnext = next;
	}
	st.st_size = (off_t)bytes.n;
	uidlist_remember(u, &st, buf_span(&bytes));
	if (u->skipped > 0)
		log_warn("%s: %zu damaged lines are passed over; their "
			 "messages get new UIDs",
			 UIDLIST_NAME, u->skipped);
	buf_free(&bytes);
	return 0;
}

bool
uidlist_current(const struct uidlist *u, int dirfd)
{
	struct stat st;

	return u->uidvalidity != 0 &&
	       fstatat(dirfd, UIDLIST_NAME, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
	       uidlist_same_file(u, &st);
}

static int
read_list(struct uidlist *u, int dirfd, bool all, struct err *e)
{
	int fd = openat(dirfd, UIDLIST_NAME,
			O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	int r;

	if (fd < 0 && errno != ENOENT)
		return err_sys(e, "%s: opening", UIDLIST_NAME);
	if (fd < 0) {
		/* With the file its validity is lost. */
		forget_entries(u);
		u->uidvalidity = 0;
		u->file.ino = 0;
		u->lazy = false;
		return 0;
	}
	r = load(u, fd, all, e);
	close(fd);
	return r;
}

int
uidlist_read(struct uidlist *u, int dirfd, struct err *e)
{
	return read_list(u, dirfd, false, e);
}

int
uidlist_read_all(struct uidlist *u, int dirfd, struct err *e)
{
	return read_list(u, dirfd, true, e);
}

void
uidlist_assume(struct uidlist *u, const struct uidlist_file *file,
	       uint32_t uidvalidity, uint32_t uidnext, struct span guid)
{
	forget_entries(u);
	u->file = *file;
	u->uidvalidity = uidvalidity;
	u->uidnext = uidnext;
	buf_clear(&u->guid);
	buf_addspan(&u->guid, guid);
	u->lazy = true;
}

int
uidlist_lazy_has(const struct uidlist *u, int dirfd, struct span base)
{
	int fd = openat(dirfd, UIDLIST_NAME, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	struct stat st;
	void *map = MAP_FAILED;
	int r = -1;

	/* a name that is part of a longer one is found too: "has" is then
	 * looked at more closely by the caller, "has not" is certain */
	if (fd >= 0 && fstat(fd, &st) == 0 && uidlist_same_file(u, &st) &&
	    st.st_size > 0)
		map = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd,
			   0);
	if (map != MAP_FAILED) {
		r = memmem(map, (size_t)st.st_size, base.p, base.n) != NULL;
		(void)munmap(map, (size_t)st.st_size);
	}
	if (fd >= 0)
		close(fd);
	return r;
}

uint32_t
uidlist_add(struct uidlist *u, struct span base)
{
	if (span_has_ctl(base) || base.n == 0)
		log_panic("a message name with control bytes");
	if (u->uidnext == UINT32_MAX)
		return 0;
	put(u, u->uidnext, span_make(NULL, 0), base, hash_of(u, base));
	return u->uidnext++;
}

void
uidlist_filter(struct uidlist *u,
	       bool (*keep)(void *ctx, uint32_t uid, struct span base),
	       void *ctx)
{
	size_t to = 0;

	for (size_t i = 0; i < u->n; i++) {
		struct span base = uidlist_base(u, i);

		if (!keep(ctx, u->v[i].uid, base))
			continue;
		if (to != i)
			u->v[to] = u->v[i];
		to++;
	}
	if (to == u->n)
		return;
	u->n = to;
	make_slots(u, to);
}

void
uidlist_found(struct uidlist *u, uint32_t validity)
{
	unsigned char id[16];

	forget_entries(u);
	u->uidvalidity = validity;
	u->uidnext = 1;
	buf_clear(&u->guid);
	buf_adds(&u->guid, " G");
	random_bytes(id, sizeof(id));
	hex_encode(&u->guid, span_make((const char *)id, sizeof(id)));
}

int
uidlist_renew(struct uidlist *u, int root, struct err *e)
{
	uint32_t validity = uidlist_validity(root, e);

	if (validity == 0)
		return -1;
	uidlist_found(u, validity);
	return 0;
}

int
uidlist_lock(struct dotlock *l, int dirfd, deadline_t d, struct err *e)
{
	return dotlock_take(l, dirfd, UIDLIST_NAME, d, e);
}

/* Under a name that no Maildir reader looks at; *st: the file as it is then.
 * -1 and errno; the old list stands unless only the last step failed. */
static int
write_durably(int dirfd, struct span content, struct stat *st)
{
	static const char tmp[] = UIDLIST_NAME ".tmp";
	int fd =
	    openat(dirfd, tmp,
		   O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	bool ok;

	if (fd < 0)
		return -1;
	ok = io_write(fd, content.p, content.n, DEADLINE_NEVER) == IO_OK &&
	     fsync(fd) == 0 && fstat(fd, st) == 0;
	if (close(fd) != 0)
		ok = false;
	if (!ok || renameat(dirfd, tmp, dirfd, UIDLIST_NAME) != 0) {
		int saved = errno;

		(void)unlinkat(dirfd, tmp, 0);
		errno = saved;
		return -1;
	}
	return fsync(dirfd);
}

void
uidlist_put_line(struct buf *b, uint32_t uid, struct span ext, struct span base)
{
	char digits[11];
	size_t at = sizeof(digits);

	digits[--at] = ' ';
	for (; uid > 0; uid /= 10)
		digits[--at] = (char)('0' + uid % 10);
	buf_add(b, digits + at, sizeof(digits) - at);
	buf_addspan(b, ext);
	buf_addc(b, ':');
	buf_addspan(b, base);
	buf_addc(b, '\n');
}

int
uidlist_write(struct uidlist *u, int dirfd, const struct dotlock *l,
	      struct err *e)
{
	struct buf b = BUF_INIT;
	struct stat st;
	int r = 0;

	if (!dotlock_held(l))
		return err_set(e, ST_TEMPFAIL,
			       "%s: another program took its lock meanwhile",
			       UIDLIST_NAME);
	buf_addf(&b, "3 V%lu N%lu%s\n", (unsigned long)u->uidvalidity,
		 (unsigned long)u->uidnext, buf_str(&u->guid));
	for (size_t i = 0; i < u->n; i++) {
		uidlist_put_line(
		    &b, u->v[i].uid,
		    span_make(u->text.p + u->v[i].ext, u->v[i].ext_n),
		    uidlist_base(u, i));
	}
	if (write_durably(dirfd, buf_span(&b), &st) != 0)
		r = err_sys(e, "%s: writing", UIDLIST_NAME);
	else
		uidlist_remember(u, &st, buf_span(&b));
	buf_free(&b);
	return r;
}
