/*
 * mailbox_name.c - see mailbox_name.h.
 * Layer: mail.  RFC 3501 5.1.3, RFC 2152.
 */
#include "mailbox_name.h"
#include "escape.h"
#include "status.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

static const char alphabet[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+,";

static int
digit_of(char c)
{
	const char *at = c != '\0' ? strchr(alphabet, c) : NULL;

	return at != NULL ? (int)(at - alphabet) : -1;
}

/* One UTF-16 unit more of a shifted piece.  *high holds a first surrogate
 * that waits for its second. */
static bool
unit_add(struct buf *out, uint32_t unit, uint32_t *high)
{
	if (*high != 0) {
		if (unit < 0xdc00 || unit > 0xdfff)
			return false;
		utf8_add(out,
			 0x10000 + ((*high - 0xd800) << 10) + (unit - 0xdc00));
		*high = 0;
		return true;
	}
	if (unit >= 0xd800 && unit <= 0xdbff) {
		*high = unit;
		return true;
	}
	/* RFC 3501 5.1.3: what is printable ASCII is never encoded. */
	if ((unit >= 0xdc00 && unit <= 0xdfff) ||
	    (unit >= 0x20 && unit <= 0x7e))
		return false;
	utf8_add(out, unit);
	return true;
}

/* "BASE64-" behind "&": *used_r counts the "-". */
static bool
shifted(struct buf *out, struct span s, size_t *used_r)
{
	uint32_t bits = 0, high = 0;
	int have = 0;
	size_t i;

	for (i = 0; i < s.n && s.p[i] != '-'; i++) {
		int d = digit_of(s.p[i]);

		if (d < 0)
			return false;
		bits = ((bits << 6) | (uint32_t)d) & 0xffffff;
		have += 6;
		if (have >= 16) {
			have -= 16;
			if (!unit_add(out, (bits >> have) & 0xffff, &high))
				return false;
		}
	}
	if (i == s.n || i == 0 || high != 0 || have >= 6)
		return false;
	if ((bits & ((1u << have) - 1)) != 0)
		return false;
	*used_r = i + 1;
	return true;
}

bool
mailbox_name_decode(struct buf *utf8, struct span in)
{
	bool after_shift = false;

	for (size_t i = 0; i < in.n;) {
		unsigned char c = (unsigned char)in.p[i];
		size_t used;

		if (c < 0x20 || c > 0x7e)
			return false;
		if (c != '&') {
			buf_addc(utf8, in.p[i++]);
			after_shift = false;
			continue;
		}
		i++;
		if (i < in.n && in.p[i] == '-') {
			buf_addc(utf8, '&');
			i++;
			after_shift = false;
			continue;
		}
		/* two shifts in a row are one, written otherwise */
		if (after_shift || !shifted(utf8, span_from(in, i), &used))
			return false;
		i += used;
		after_shift = true;
	}
	return true;
}

struct encoder {
	struct buf *out;
	uint32_t bits;
	int have;
	bool in_shift;
};

static void
put_unit(struct encoder *en, uint32_t unit)
{
	if (!en->in_shift) {
		buf_addc(en->out, '&');
		en->in_shift = true;
		en->have = 0;
		en->bits = 0;
	}
	en->bits = (en->bits << 16) | unit;
	en->have += 16;
	while (en->have >= 6) {
		en->have -= 6;
		buf_addc(en->out, alphabet[(en->bits >> en->have) & 63]);
	}
	en->bits &= (1u << en->have) - 1;
}

static void
end_shift(struct encoder *en)
{
	if (!en->in_shift)
		return;
	if (en->have > 0)
		buf_addc(en->out, alphabet[(en->bits << (6 - en->have)) & 63]);
	buf_addc(en->out, '-');
	en->in_shift = false;
}

bool
mailbox_name_encode(struct buf *mutf7, struct span utf8)
{
	struct encoder en = { .out = mutf7 };

	while (utf8.n > 0) {
		uint32_t cp;
		size_t n = utf8_next(utf8, &cp);

		if (n == 0)
			return false;
		utf8 = span_from(utf8, n);
		if (cp >= 0x20 && cp <= 0x7e) {
			end_shift(&en);
			buf_addc(mutf7, (char)cp);
			if (cp == '&')
				buf_addc(mutf7, '-');
		} else if (cp < 0x10000) {
			put_unit(&en, cp);
		} else {
			put_unit(&en, 0xd800 + ((cp - 0x10000) >> 10));
			put_unit(&en, 0xdc00 + ((cp - 0x10000) & 0x3ff));
		}
	}
	end_shift(&en);
	return true;
}

static int
refuse(struct err *e, const char *why)
{
	return err_set(e, ST_DATA, "Invalid mailbox name: %s", why);
}

/* Characters that no name may hold, on UTF-8. */
static int
check_characters(struct span s, struct err *e)
{
	while (s.n > 0) {
		uint32_t cp;
		size_t n = utf8_next(s, &cp);

		if (n == 0)
			return refuse(e, "it is not UTF-8");
		if (cp < 0x20 || (cp >= 0x7f && cp < 0xa0) || cp == 0x2028 ||
		    cp == 0x2029)
			return refuse(e, "it holds a control character");
		if (cp == '/')
			return refuse(e, "it holds \"/\" (levels are parted "
					 "by \".\")");
		s = span_from(s, n);
	}
	return 0;
}

static int
check_levels(struct span s, struct err *e)
{
	struct span level;
	size_t n = 0;

	if (s.n == 0)
		return refuse(e, "it is empty");
	if (s.p[0] == '~')
		return refuse(e, "it begins with \"~\"");
	while (span_split(&s, MAILBOX_NAME_SEP, &level)) {
		if (level.n == 0)
			return refuse(e, "it has an empty level");
		if (++n > MAILBOX_NAME_LEVELS)
			return refuse(e, "it has too many levels");
	}
	return 0;
}

bool
mailbox_name_ok(struct span utf8)
{
	return utf8.n <= 1024 && check_characters(utf8, NULL) == 0 &&
	       check_levels(utf8, NULL) == 0;
}

bool
mailbox_name_to_disk(struct buf *b, struct span utf8)
{
	size_t start = b->n;

	if (!mailbox_name_ok(utf8))
		return false;
	buf_addc(b, '.');
	return mailbox_name_encode(b, utf8) &&
	       b->n - start <= MAILBOX_NAME_MAX + 1;
}

int
mailbox_name_parse(struct buf *name, struct span given, bool utf8,
		   struct err *e)
{
	struct buf plain = BUF_INIT;
	size_t before = name->n;
	int r = 0;

	/* Checked first: nothing below costs more than a name can be long. */
	if (given.n > 1024)
		return refuse(e, "it is too long");
	if (utf8)
		buf_addspan(&plain, given);
	else if (!mailbox_name_decode(&plain, given))
		r = refuse(e, "it is not modified UTF-7");
	if (r == 0)
		r = check_characters(buf_span(&plain), e);
	if (r == 0)
		r = check_levels(buf_span(&plain), e);
	if (r == 0) {
		if (span_iis(buf_span(&plain), "INBOX"))
			buf_adds(name, "INBOX");
		else if (!mailbox_name_encode(name, buf_span(&plain)))
			r = refuse(e, "it is not UTF-8");
		if (r == 0 && name->n - before > MAILBOX_NAME_MAX)
			r = refuse(e, "it is too long");
		if (r != 0)
			buf_cut(name, before);
	}
	buf_free(&plain);
	return r;
}

void
mailbox_name_folder(struct buf *folder, struct span name)
{
	buf_addc(folder, '.');
	if (!span_is(name, "INBOX"))
		buf_addspan(folder, name);
}

bool
mailbox_name_of_folder(struct buf *name, struct span folder)
{
	struct buf canonical = BUF_INIT;
	struct span given;
	bool ok;

	if (folder.n < 2 || folder.p[0] != '.')
		return false;
	given = span_from(folder, 1);
	ok = mailbox_name_parse(&canonical, given, false, NULL) == 0 &&
	     span_eq(buf_span(&canonical), given) && !span_iis(given, "INBOX");
	if (ok)
		buf_addspan(name, given);
	buf_free(&canonical);
	return ok;
}

int
mailbox_name_openat(int root, const char *path, int flags, unsigned mode)
{
	struct open_how how = {
		.flags = (uint64_t)(flags | O_CLOEXEC),
		.mode = flags & O_CREAT ? mode : 0,
		.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS,
	};
	long fd;

	/* EAGAIN: something was renamed while the kernel walked. */
	for (int i = 0; i < 8; i++) {
		fd = syscall(SYS_openat2, root, path, &how, sizeof(how));
		if (fd >= 0 || errno != EAGAIN)
			break;
	}
	if (fd < 0 && errno == ENOSYS) {
		/* Before Linux 5.6, or forbidden by a container's filter: a
		 * path of one valid folder name cannot leave the tree. */
		if (path[0] == '/' || strstr(path, "..") != NULL)
			return -1;
		return openat(root, path, flags | O_CLOEXEC | O_NOFOLLOW, mode);
	}
	return (int)fd;
}

int
mailbox_name_open(int root, struct span name)
{
	struct buf folder = BUF_INIT;
	int fd, saved;

	mailbox_name_folder(&folder, name);
	fd = mailbox_name_openat(root, buf_str(&folder), O_RDONLY | O_DIRECTORY,
				 0);
	saved = errno;
	buf_free(&folder);
	errno = saved;
	return fd;
}
