/*
 * source.c - where reports come from: files, Maildirs, standard input; XML,
 * JSON, gz, zip, or whole mails.  A kind is told by its contents.
 */
#include "clock.h"
#include "io.h"
#include "mem.h"
#include "mime.h"
#include "report.h"
#include "status.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static bool
is_gzip(struct span s)
{
	return s.n > 2 && (unsigned char)s.p[0] == 0x1f &&
	       (unsigned char)s.p[1] == 0x8b;
}

static bool
is_zip(struct span s)
{
	return s.n > 4 && memcmp(s.p, "PK\003\004", 4) == 0;
}

/* XML or JSON, by the first byte that is no blank; UTF-16 by its mark. */
static char
text_kind(struct span s)
{
	if (s.n > 3 && memcmp(s.p, "\xef\xbb\xbf", 3) == 0)
		s = span_from(s, 3);
	if (s.n > 2 && (memcmp(s.p, "\xff\xfe", 2) == 0 ||
			memcmp(s.p, "\xfe\xff", 2) == 0))
		return '<';
	s = span_ltrim(s);
	return s.n > 0 && (s.p[0] == '<' || s.p[0] == '{') ? s.p[0] : '\0';
}

static int
plain_document(struct reports *all, struct span s, const char *file,
	       struct err *e)
{
	switch (text_kind(s)) {
	case '<':
		return parse_aggregate(all, s, file, e);
	case '{':
		return parse_tls(all, s, file, e);
	default:
		return err_set(e, ST_DATA, "no report: neither XML nor JSON");
	}
}

/* A part that may hold a report; 1: it is something else. */
static int
mail_part(struct reports *all, const struct mime_part *p, const char *file,
	  struct err *e)
{
	struct buf b = BUF_INIT;
	struct span s;
	int st = 1;

	if (p->kind != MIME_LEAF || span_iis(p->type, "multipart"))
		return 1;
	(void)mime_decode(&b, p->encoding, p->body, REPORT_BYTES_MAX);
	s = buf_span(&b);
	if (is_gzip(s) || is_zip(s) ||
	    (text_kind(s) != '\0' && !span_iis(p->subtype, "html") &&
	     !span_iis(p->subtype, "plain")))
		st = source_document(all, s, file, e);
	buf_free(&b);
	return st;
}

/* A failure report's parts: the fields, then the message or its header. */
static int
mail_failure(struct reports *all, const struct mime *m, size_t at,
	     const char *file, struct err *e)
{
	struct span original = SPAN("");

	if (at + 1 < m->n) {
		const struct mime_part *o = &m->v[at + 1];

		if (span_iis(o->type, "message") ||
		    span_iis(o->subtype, "rfc822-headers"))
			original = o->body;
	}
	return parse_failure(all, m->v[at].body, original, file, e);
}

static int
mail(struct reports *all, struct span bytes, const char *file, struct err *e)
{
	struct mime m;
	int found = 0, st = 1;

	mime_index(&m, bytes);
	for (size_t i = 0; i < m.n && st >= 0; i++) {
		if (span_iis(m.v[i].subtype, "feedback-report"))
			st = mail_failure(all, &m, i, file, e);
		else
			st = mail_part(all, &m.v[i], file, e);
		found += st == 0;
	}
	mime_done(&m);
	if (st < 0)
		return -1;
	return found > 0 ? 0 : err_set(e, ST_DATA, "a mail without a report");
}

static bool
is_mail(struct span s)
{
	struct msg_field f;
	size_t n = msg_from_line(s);

	return msg_next_field(span_from(s, n), &f) > 0;
}

int
source_document(struct reports *all, struct span bytes, const char *file,
		struct err *e)
{
	struct buf b = BUF_INIT;
	int st;

	if (is_gzip(bytes) || is_zip(bytes)) {
		st = is_zip(bytes) ? unpack_zip(bytes, &b, e)
				   : unpack_gzip(bytes, &b, e);
		/* once: what is packed twice is no report */
		if (st == 0)
			st = plain_document(all, buf_span(&b), file, e);
		buf_free(&b);
		return st;
	}
	if (text_kind(bytes) != '\0')
		return plain_document(all, bytes, file, e);
	if (is_mail(bytes))
		return mail(all, bytes, file, e);
	return err_set(e, ST_DATA,
		       "no report: neither XML, JSON, gz, zip nor a mail");
}

static void
complain(struct reports *all, const char *file, const struct err *e)
{
	fprintf(stderr, "mx-report: %s: %s\n", file, e->text);
	all->failed = true;
}

static void
read_file(struct reports *all, const char *path)
{
	struct buf b = BUF_INIT;
	struct err e = ERR_INIT;
	int st;

	if (strcmp(path, "-") == 0)
		st = io_read_all(STDIN_FILENO, &b, REPORT_BYTES_MAX,
				 DEADLINE_NEVER) == IO_OK
			 ? 0
			 : err_set(&e, ST_DATA,
				   "cannot be read, or more than "
				   "100 MB");
	else
		st = io_read_file(path, &b, REPORT_BYTES_MAX, &e);
	if (st == 0)
		st = source_document(all, buf_span(&b), path, &e);
	if (st != 0)
		complain(all, strcmp(path, "-") == 0 ? "standard input" : path,
			 &e);
	buf_free(&b);
}

/* Every file of a folder, in the order of names. */
static void
read_folder(struct reports *all, const char *path)
{
	struct strs names = STRS_INIT;
	struct dirent *d;
	DIR *dir = opendir(path);

	while (dir != NULL && (d = readdir(dir)) != NULL)
		if (d->d_name[0] != '.')
			strs_addf(&names, "%s/%s", path, d->d_name);
	if (dir != NULL)
		closedir(dir);
	strs_sort(&names);
	for (size_t i = 0; i < names.n; i++) {
		struct stat s;

		if (stat(names.v[i], &s) == 0 && S_ISREG(s.st_mode))
			read_file(all, names.v[i]);
	}
	strs_free(&names);
}

void
source_read(struct reports *all, const char *path)
{
	struct stat s;
	struct err e = ERR_INIT;
	char *cur = mem_printf("%s/cur", path),
	     *new = mem_printf("%s/new", path);

	if (strcmp(path, "-") == 0) {
		read_file(all, path);
	} else if (stat(path, &s) != 0) {
		err_sys(&e, "cannot be read");
		complain(all, path, &e);
	} else if (!S_ISDIR(s.st_mode)) {
		read_file(all, path);
	} else if (access(cur, F_OK) == 0 && access(new, F_OK) == 0) {
		read_folder(all, new);
		read_folder(all, cur);
	} else {
		read_folder(all, path);
	}
	free(cur);
	free(new);
}
