/*
 * cmd_list.c - LIST and LSUB.  RFC 3501 6.3.8, 6.3.9; RFC 5258 (extended),
 * 6154 (special use), 5819 (RETURN STATUS), 3348 (children).
 * THREATS 80: the matcher is iterative, O(name x pattern).
 */
#include "cmd.h"
#include "log.h"
#include "mailbox_name.h"
#include "mem.h"
#include "metadata.h"
#include "status.h"
#include "strs.h"
#include "subscriptions.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#define PATTERN_MAX 1024
#define PATTERNS_MAX 100

struct box {
	char *name;
	bool exists, children, subscribed, child_subscribed;
};

struct list {
	struct map *boxes;
	struct strs patterns; /* reference put before */
	bool lsub, extended;
	bool root; /* the pattern is "" */
	/* selection (RFC 5258 3.1) */
	bool only_subscribed, recursive, only_special;
	/* what to tell (3.2) */
	bool tell_subscribed, tell_special;
	bool rights; /* RFC 8440 */
	unsigned status;
};

static void
box_free(void *p)
{
	struct box *b = p;

	free(b->name);
	free(b);
}

static struct box *
box_of(struct map *boxes, struct span name)
{
	struct box *b = map_get(boxes, name);

	if (b == NULL) {
		b = mem_alloc(1, sizeof(*b));
		b->name = mem_spandup(name);
		(void)map_put(boxes, name, b);
	}
	return b;
}

/* A name and the levels above it, which need not exist (Maildir++). */
static void
add_box(struct map *boxes, struct span name, bool exists, bool subscribed)
{
	struct box *b = box_of(boxes, name);

	b->exists = b->exists || exists;
	b->subscribed = b->subscribed || subscribed;
	for (size_t i = 1; i < name.n; i++) {
		struct box *up;

		if (name.p[i] != MAILBOX_NAME_SEP)
			continue;
		up = box_of(boxes, span_sub(name, 0, i));
		up->children = up->children || exists;
		up->child_subscribed = up->child_subscribed || subscribed;
	}
}

static int
read_boxes(struct session *s, struct map *boxes, struct err *e)
{
	struct strs subs = STRS_INIT;
	struct buf name = BUF_INIT;
	int fd = openat(s->root, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
	struct dirent *d;

	if (dir == NULL) {
		if (fd >= 0)
			close(fd);
		return err_sys(e, "reading the mail root");
	}
	add_box(boxes, SPAN("INBOX"), true, false);
	while ((d = readdir(dir)) != NULL) {
		if (d->d_type != DT_DIR && d->d_type != DT_UNKNOWN)
			continue;
		buf_clear(&name);
		if (mailbox_name_of_folder(&name, span_of(d->d_name)))
			add_box(boxes, buf_span(&name), true, false);
	}
	closedir(dir);
	if (subscriptions_read(&subs, s->root, e) != 0)
		log_warn("%s: %s", s->user, e->text);
	for (size_t i = 0; i < subs.n; i++)
		add_box(boxes, span_of(subs.v[i]), false, true);
	strs_free(&subs);
	buf_free(&name);
	return 0;
}

/* "*" any bytes, "%" any but the separator.  The set of places in the pattern
 * that may be reached after each byte of the name. */
static bool
match_one(struct span pat, struct span name, bool icase, bool *on)
{
	memset(on, 0, pat.n + 1);
	on[0] = true;
	for (size_t j = 0; j < pat.n && strchr("*%", pat.p[j]) != NULL; j++)
		on[j + 1] = true;
	for (size_t i = 0; i < name.n; i++) {
		char c = name.p[i];
		bool any = false, before = on[0];

		on[0] = false;
		for (size_t j = 0; j < pat.n; j++) {
			char k = pat.p[j];
			bool wild = k == '*' || k == '%', was = before;

			before = on[j + 1];
			/* a wildcard takes the byte and stays */
			if (was && wild && (k == '*' || c != MAILBOX_NAME_SEP))
				on[j] = true;
			on[j + 1] =
			    was && !wild &&
			    (k == c || (icase && ascii_toupper(k) == c));
			any = any || on[j] || on[j + 1];
		}
		/* and may be done with */
		for (size_t j = 0; j < pat.n; j++)
			if (on[j] && (pat.p[j] == '*' || pat.p[j] == '%'))
				on[j + 1] = true;
		if (!any)
			return false;
	}
	return on[pat.n];
}

/* RFC 6855 3, RFC 9051 5.1: with UTF-8 names patterns are UTF-8, too. */
static bool
matches(const struct session *s, const struct list *l, struct span name)
{
	bool on[PATTERN_MAX + 2], yes = false, inbox = span_is(name, "INBOX");
	struct buf utf8 = BUF_INIT;

	if (s->utf8 && span_chr(name, '&') >= 0 &&
	    mailbox_name_decode(&utf8, name))
		name = buf_span(&utf8);
	for (size_t i = 0; !yes && i < l->patterns.n; i++)
		yes = match_one(span_of(l->patterns.v[i]), name, inbox, on);
	buf_free(&utf8);
	return yes;
}

/* Reference and pattern; runs of wildcards become one. */
static bool
add_pattern(struct list *l, struct span ref, struct span pat)
{
	struct buf b = BUF_INIT;
	bool ok = ref.n + pat.n <= PATTERN_MAX &&
		  l->patterns.n < PATTERNS_MAX && span_chr(pat, '\0') < 0;

	if (ok) {
		buf_addspan(&b, ref);
		for (size_t i = 0; i < pat.n; i++) {
			char last = b.n > 0 ? b.p[b.n - 1] : '\0';

			if (pat.p[i] == '*' && last == '%')
				b.p[b.n - 1] = '*';
			else if (!((pat.p[i] == '%' || pat.p[i] == '*') &&
				   (last == '*' || last == pat.p[i])))
				buf_addc(&b, pat.p[i]);
		}
		strs_addspan(&l->patterns, buf_span(&b));
	}
	buf_free(&b);
	return ok;
}

static void
flag(struct stream *st, const char **sep, const char *word)
{
	stream_printf(st, "%s%s", *sep, word);
	*sep = " ";
}

static bool
uses(struct session *s, const struct box *b, struct buf *use)
{
	metadata_use(use, s->root, span_of(b->name));
	return use->n > 0;
}

static bool
is_special(struct session *s, const struct box *b)
{
	struct buf use = BUF_INIT;
	bool yes = b->exists && uses(s, b, &use);

	buf_free(&use);
	return yes;
}

static void
put_attributes(struct session *s, const struct list *l, const struct box *b,
	       bool parent_only)
{
	const char *sep = "";
	struct buf use = BUF_INIT;

	if (l->lsub) {
		if (parent_only)
			flag(s->st, &sep, "\\Noselect");
		return;
	}
	if (!b->exists)
		flag(s->st, &sep, b->children ? "\\Noselect" : "\\NonExistent");
	if (b->subscribed && (l->tell_subscribed || l->only_subscribed))
		flag(s->st, &sep, "\\Subscribed");
	flag(s->st, &sep, b->children ? "\\HasChildren" : "\\HasNoChildren");
	if (b->exists && uses(s, b, &use))
		flag(s->st, &sep, buf_str(&use));
	buf_free(&use);
}

static void
put_box(struct session *s, const struct list *l, const struct box *b,
	bool parent_only)
{
	struct err e = ERR_INIT;

	stream_printf(s->st, "* %s (", l->lsub ? "LSUB" : "LIST");
	put_attributes(s, l, b, parent_only);
	stream_puts(s->st, ") \".\" ");
	put_mailbox(s, span_of(b->name));
	if (!l->lsub && l->recursive && b->child_subscribed)
		stream_puts(s->st, " (\"CHILDINFO\" (\"SUBSCRIBED\"))");
	stream_puts(s->st, "\r\n");
	if (l->rights && b->exists) {
		stream_puts(s->st, "* MYRIGHTS ");
		put_mailbox(s, span_of(b->name));
		stream_printf(s->st, " %s\r\n",
			      acl_rights(s, span_of(b->name)));
	}
	if (l->status != 0 && b->exists &&
	    status_put(s, b->name, l->status, &e) != 0)
		log_warn("%s: %s", s->user, e.text);
}

/* Is it told, and as what? */
static bool
selected(struct session *s, const struct list *l, const struct box *b,
	 bool *parent_only_r)
{
	*parent_only_r = false;
	if (l->lsub) {
		/* RFC 3501 6.3.9: "%" shows a level above a subscribed one */
		*parent_only_r = !b->subscribed;
		return b->subscribed || (b->child_subscribed &&
					 strchr(l->patterns.v[0], '%') != NULL);
	}
	if (l->only_special && !is_special(s, b))
		return false;
	if (l->only_subscribed)
		return b->subscribed || (l->recursive && b->child_subscribed);
	return b->exists || b->children;
}

static int
by_name(const void *x, const void *y)
{
	const struct box *a = *(const struct box *const *)x;
	const struct box *b = *(const struct box *const *)y;
	bool ai = strcmp(a->name, "INBOX") == 0;
	bool bi = strcmp(b->name, "INBOX") == 0;

	if (ai != bi)
		return ai ? -1 : 1;
	return strcmp(a->name, b->name);
}

static void
put_all(struct session *s, const struct list *l)
{
	struct box **v =
	    mem_alloc(map_count(l->boxes) + 1, sizeof(struct box *));
	size_t i = 0, n = 0;
	struct span key;
	void *value;

	while (map_next(l->boxes, &i, &key, &value))
		v[n++] = value;
	qsort(v, n, sizeof(*v), by_name);
	for (i = 0; i < n; i++) {
		bool parent_only;

		if (selected(s, l, v[i], &parent_only) &&
		    matches(s, l, span_of(v[i]->name)))
			put_box(s, l, v[i], parent_only);
	}
	free(v);
}

static bool
parse_selection(struct session *s, struct list *l)
{
	struct parse *p = &s->p;

	l->extended = true;
	if (!parse_char(p, '('))
		return false;
	while (parse_peek(p) != ')') {
		if (parse_word(p, "SUBSCRIBED"))
			l->only_subscribed = true;
		else if (parse_word(p, "RECURSIVEMATCH"))
			l->recursive = true;
		else if (parse_word(p, "SPECIAL-USE"))
			l->only_special = true;
		else if (!parse_word(p, "REMOTE")) {
			p->bad = "Unknown selection option";
			return false;
		}
		if (parse_peek(p) != ')' && !parse_sp(p))
			return false;
	}
	/* RFC 5258 3.1: RECURSIVEMATCH needs another one */
	if (l->recursive && !l->only_subscribed) {
		p->bad = "RECURSIVEMATCH alone";
		return false;
	}
	return parse_char(p, ')') && parse_sp(p);
}

static bool
parse_return(struct session *s, struct list *l)
{
	struct parse *p = &s->p;

	l->extended = true;
	if (!parse_sp(p) || !parse_char(p, '('))
		return false;
	while (parse_peek(p) != ')') {
		if (parse_word(p, "SUBSCRIBED"))
			l->tell_subscribed = true;
		else if (parse_word(p, "SPECIAL-USE"))
			l->tell_special = true;
		else if (parse_word(p, "MYRIGHTS"))
			l->rights = true;
		else if (parse_word(p, "STATUS")) {
			if (!parse_sp(p) || !status_parse(s, &l->status))
				return false;
		} else if (!parse_word(p, "CHILDREN")) {
			p->bad = "Unknown return option";
			return false;
		}
		if (parse_peek(p) != ')' && !parse_sp(p))
			return false;
	}
	return parse_char(p, ')');
}

static bool
parse_pattern(struct session *s, struct list *l, struct span ref)
{
	struct buf pat = BUF_INIT;
	bool ok = parse_list_mailbox(&s->p, &pat) &&
		  add_pattern(l, ref, buf_span(&pat));

	l->root = pat.n == 0;
	buf_free(&pat);
	return ok;
}

static bool
parse_list(struct session *s, struct list *l, struct buf *ref)
{
	struct parse *p = &s->p;
	bool ok;

	if (!parse_sp(p))
		return false;
	if (!l->lsub && parse_peek(p) == '(' && !parse_selection(s, l))
		return false;
	if (!parse_astring(p, ref) || !parse_sp(p))
		return false;
	if (l->lsub || parse_peek(p) != '(') {
		ok = parse_pattern(s, l, buf_span(ref));
	} else {
		l->extended = true;
		ok = parse_char(p, '(');
		while (ok && parse_peek(p) != ')') {
			ok = parse_pattern(s, l, buf_span(ref));
			if (ok && parse_peek(p) != ')')
				ok = parse_sp(p);
		}
		ok = ok && parse_char(p, ')');
	}
	if (ok && !l->lsub && parse_peek(p) == ' ')
		ok = parse_sp(p) && parse_word(p, "RETURN") &&
		     parse_return(s, l);
	return ok && parse_end(p);
}

static struct result
list(struct session *s, bool lsub)
{
	struct list l = { .lsub = lsub };
	struct buf ref = BUF_INIT;
	struct err e = ERR_INIT;
	struct result r = result_ok(lsub ? "Lsub completed" : "List completed");

	l.boxes = map_new();
	if (!parse_list(s, &l, &ref)) {
		r = result_bad(s);
	} else if (!l.extended && l.root) {
		/* RFC 3501 6.3.8: the separator, and the root's name, whatever
		 * the reference */
		stream_printf(s->st, "* %s (\\Noselect) \".\" \"\"\r\n",
			      lsub ? "LSUB" : "LIST");
	} else if (mbox_shadow_folders(s->root, &e) != 0 ||
		   read_boxes(s, l.boxes, &e) != 0) {
		r = result_err(s, &e);
	} else {
		put_all(s, &l);
	}
	map_free(l.boxes, box_free);
	strs_free(&l.patterns);
	buf_free(&ref);
	return r;
}

void
list_put_one(struct session *s, const char *name)
{
	struct list l = { .boxes = map_new() };
	struct err e = ERR_INIT;
	struct box *b;

	if (read_boxes(s, l.boxes, &e) != 0)
		log_warn("%s: %s", s->user, e.text);
	b = box_of(l.boxes, span_of(name));
	b->exists = true;
	put_box(s, &l, b, false);
	map_free(l.boxes, box_free);
}

struct result
cmd_list(struct session *s)
{
	return list(s, false);
}

struct result
cmd_lsub(struct session *s)
{
	return list(s, true);
}
