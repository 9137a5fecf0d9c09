/*
 * svtest_result.c - results and mail in test scripts: the extension
 * vnd.dovecot.testsuite, second half.  Folders and outgoing mail are lists in
 * memory; nothing leaves the process.
 */
#include "mailbox_name.h"
#include "mem.h"
#include "status.h"
#include "svtest.h"

#include <stdio.h>
#include <stdlib.h>

#define EXT "vnd.dovecot.testsuite"

/* --- the store --- */

static const char *
canonical(const char *folder)
{
	return span_iis(span_of(folder), "INBOX") ? "INBOX" : folder;
}

bool
svtest_has_mailbox(struct sieve_run *r, const char *name)
{
	const struct svtest *t = svtest_of(r);

	name = canonical(name);
	return strcmp(name, "INBOX") == 0 ||
	       strs_has(&t->folders, span_of(name));
}

static void
free_mail(struct svtest_mail *m)
{
	free(m->text);
	free(m->folder);
	free(m->from);
	free(m->to);
	strs_free(&m->flags);
}

void
svtest_forget_mail(struct svtest *t, bool sent_only)
{
	size_t kept = 0;

	for (size_t i = 0; i < t->nmail; i++) {
		if (sent_only && t->mail[i].folder != NULL)
			t->mail[kept++] = t->mail[i];
		else
			free_mail(&t->mail[i]);
	}
	t->nmail = kept;
}

static struct svtest_mail *
add_mail(struct svtest *t, struct span head, struct span body)
{
	struct buf b = BUF_INIT;
	struct svtest_mail *m;

	buf_addspan(&b, head);
	buf_addspan(&b, body);
	t->mail =
	    mem_grow(t->mail, &t->mail_cap, t->nmail + 1, sizeof(*t->mail));
	m = &t->mail[t->nmail++];
	memset(m, 0, sizeof(*m));
	m->text = buf_steal(&b);
	return m;
}

static void
add_sent(struct svtest *t, struct span head, struct span body, const char *from,
	 const char *to)
{
	struct svtest_mail *m = add_mail(t, head, body);

	m->from = mem_strdup(from);
	m->to = mem_strdup(to);
}

static struct svtest_mail *
find_mail(struct svtest *t, const char *folder, int64_t index)
{
	for (size_t i = 0; i < t->nmail; i++) {
		const char *f = t->mail[i].folder;
		bool mine = folder == NULL
				? f == NULL
				: f != NULL && strcmp(f, folder) == 0;

		if (mine && index-- == 0)
			return &t->mail[i];
	}
	return NULL;
}

/* --- carrying out --- */

static bool
store(struct sieve_run *r, const char *folder, bool create,
      const struct strs *flags, struct span text)
{
	struct svtest *t = svtest_of(r);
	struct svtest_mail *m;

	folder = canonical(folder);
	if (!svtest_has_mailbox(r, folder)) {
		if (!mailbox_name_ok(span_of(folder)) || !create) {
			strs_addf(&t->errors,
				  "failed to store into mailbox '%s': "
				  "mailbox %s",
				  folder,
				  mailbox_name_ok(span_of(folder))
				      ? "doesn't exist"
				      : "name is invalid: Invalid mailbox "
					"name");
			return false;
		}
		strs_add(&t->folders, folder);
	}
	m = add_mail(t, SPAN(""), text);
	m->folder = mem_strdup(folder);
	for (size_t i = 0; i < flags->n; i++)
		strs_add(&m->flags, flags->v[i]);
	return true;
}

static bool
store_action(struct sieve_run *r, const struct sieve_action *a,
	     const char *folder)
{
	const struct svtest *t = svtest_of(r);

	/* into the folder that it comes from: it is there */
	if (t->source != NULL && a->message == t->source_message &&
	    strcmp(canonical(folder), t->source) == 0)
		return true;
	return store(r, folder, a->create, &a->flags, a->message->m.whole);
}

static void
send_on(struct svtest *t, const struct sieve_action *a)
{
	struct buf head = BUF_INIT;

	msg_make_field(&head, "X-Sieve-Redirected-From", span_of(t->recipient));
	buf_addc(&head, '\n');
	add_sent(t, buf_span(&head), a->message->m.whole,
		 a->from ? a->from : t->sender, a->what);
	buf_free(&head);
}

/* RFC 5429 2.1.1: a disposition notification; none to the null sender. */
static void
refuse(struct svtest *t, const struct sieve_action *a)
{
	struct buf b = BUF_INIT, v = BUF_INIT;

	if (t->sender[0] == '\0')
		return;
	buf_addf(&v, "Mail Delivery Subsystem <%s>",
		 sieve_conf.postmaster_address);
	sieve_mail_head(&b, buf_str(&v), t->sender,
			"Automatically rejected mail",
			"auto-replied (rejected)");
	buf_addf(&b,
		 "MIME-Version: 1.0\n"
		 "Content-Type: multipart/report; "
		 "report-type=disposition-notification;\n"
		 "\tboundary=\"mx=reject\"\n\n"
		 "--mx=reject\nContent-Type: text/plain; charset=utf-8\n\n"
		 "%s\n--mx=reject\n"
		 "Content-Type: message/disposition-notification\n\n"
		 "Final-Recipient: rfc822;%s\n"
		 "Disposition: automatic-action/MDN-sent-automatically; "
		 "deleted\n\n"
		 "--mx=reject\nContent-Type: message/rfc822\n\n",
		 a->what, t->recipient);
	buf_addspan(&b, a->message->m.header);
	buf_adds(&b, "\n--mx=reject--\n");
	add_sent(t, SPAN(""), buf_span(&b), "", t->sender);
	buf_free(&b);
	buf_free(&v);
}

/* vacation, notify, report */
static bool
send_own(struct sieve_run *r, const struct sieve_action *a)
{
	struct svtest *t = svtest_of(r);

	if (a->withheld != NULL)
		return true;
	for (size_t i = 0; i <= a->args.n; i++)
		add_sent(t, SPAN(""), span_of(a->text), a->from ? a->from : "",
			 i == 0 ? a->what : a->args.v[i - 1]);
	return a->fcc == NULL ||
	       store(r, a->fcc, a->fcc_create, &a->fcc_flags, span_of(a->text));
}

static bool
carry_out(struct sieve_run *r, struct sieve_action *a)
{
	struct svtest *t = svtest_of(r);
	struct span verb = span_of(a->verb);

	if (span_is(verb, "keep"))
		return store_action(r, a, "INBOX");
	if (span_is(verb, "fileinto"))
		return store_action(r, a, a->what);
	if (a->text != NULL)
		return send_own(r, a);
	if (span_is(verb, "pipe")) {
		if (sieve_run_pipe(r, a) == 0 || a->try)
			return true;
		strs_add(&t->errors, r->err.text);
		return false;
	}
	if (span_is(verb, "redirect"))
		send_on(t, a);
	else if (span_is(verb, "reject") || span_is(verb, "ereject"))
		refuse(t, a);
	return true;
}

static bool
implicit_keep(struct sieve_run *r)
{
	const struct svtest *t = svtest_of(r);
	const struct sieve_message *m = t->to_keep ? t->to_keep : r->message;
	struct sieve_action a = { .verb = "keep",
				  .flags = r->flags,
				  .message = m };

	if (t->to_keep != NULL)
		a.flags = STRS_INIT;
	return store_action(r, &a, "INBOX");
}

bool
svtest_annotation(struct sieve_run *r, const char *mailbox, const char *name,
		  struct buf *value)
{
	const struct svtest *t = svtest_of(r);
	struct buf key = BUF_INIT;
	const char *v;

	buf_addf(&key, "%s %s", mailbox ? canonical(mailbox) : "", name);
	v = map_get(t->annotations, buf_span(&key));
	buf_free(&key);
	if (v == NULL)
		return false;
	buf_adds(value, v);
	return true;
}

static int
run_metadata_set(struct sieve_run *r, const struct sieve_node *n)
{
	const struct sieve_arg *mailbox = sieve_value(n, ":mailbox");
	struct buf key = BUF_INIT;

	buf_addf(&key, "%s %s", mailbox ? canonical(mailbox->strings.v[0]) : "",
		 sieve_pos(n, 0)->strings.v[0]);
	free(map_put(svtest_of(r)->annotations, buf_span(&key),
		     mem_strdup(sieve_pos(n, 1)->strings.v[0])));
	buf_free(&key);
	return 0;
}

static int
run_execute(struct sieve_run *r, const struct sieve_node *n)
{
	struct svtest *t = svtest_of(r);
	bool ok = true;

	(void)n;
	strs_clear(&t->errors);
	for (size_t i = 0; ok && i < r->nactions; i++) {
		if (r->actions[i].done)
			continue;
		ok = carry_out(r, &r->actions[i]);
		r->actions[i].done = ok;
	}
	if (ok && r->implicit_keep && !t->kept) {
		ok = implicit_keep(r);
		t->kept = ok;
	}
	return ok;
}

static int
run_reset(struct sieve_run *r, const struct sieve_node *n)
{
	struct svtest *t = svtest_of(r);

	(void)n;
	sieve_forget_actions(r);
	r->implicit_keep = true;
	t->kept = false;
	t->to_keep = NULL;
	svtest_forget_mail(t, true);
	return 0;
}

/* --- looking at it --- */

static const char *
action_name(const struct sieve_action *a)
{
	if (strcmp(a->verb, "fileinto") == 0)
		return "store";
	return strcmp(a->verb, "ereject") == 0 ? "reject" : a->verb;
}

/* The values of a test that takes :index. */
static int
match_indexed(struct sieve_run *r, const struct sieve_node *n, size_t count,
	      const char *(*get)(const struct sieve_run *r, size_t i))
{
	const struct sieve_arg *index = sieve_value(n, ":index");
	int yes = 0;

	for (size_t i = 0; yes == 0 && i < count; i++) {
		if (index == NULL || index->number == (int64_t)i + 1)
			yes = sieve_match(r, n, span_of(get(r, i)),
					  sieve_pos(n, 0));
	}
	return yes;
}

static const char *
get_action(const struct sieve_run *r, size_t i)
{
	return action_name(&r->actions[i]);
}

static int
run_action(struct sieve_run *r, const struct sieve_node *n)
{
	return match_indexed(r, n, r->nactions, get_action);
}

static const char *
get_error(const struct sieve_run *r, size_t i)
{
	return svtest_of(r)->errors.v[i];
}

static int
run_error(struct sieve_run *r, const struct sieve_node *n)
{
	return match_indexed(r, n, svtest_of(r)->errors.n, get_error);
}

/* Their comparator is i;octet where none is named. */
static void
check_octet(struct sieve_script *s, struct sieve_node *n)
{
	(void)s;
	if (sieve_value(n, ":comparator") == NULL)
		n->cmp = sieve_comparator("i;octet");
}

static void
print_lines(struct span rest)
{
	struct span line;

	while (span_split(&rest, '\n', &line))
		printf("# %.*s\n", SPAN_ARG(line));
}

static int
run_print(struct sieve_run *r, const struct sieve_node *n)
{
	(void)n;
	for (size_t i = 0; i < r->nactions; i++)
		printf("# %s %s\n", r->actions[i].verb,
		       r->actions[i].what ? r->actions[i].what : "");
	if (r->implicit_keep)
		printf("# implicit keep\n");
	return 0;
}

static int
run_message_print(struct sieve_run *r, const struct sieve_node *n)
{
	(void)n;
	print_lines(r->message->m.whole);
	return 0;
}

/* test_message :smtp N, :folder NAME N, as a test. */
static int
run_message_test(struct sieve_run *r, const struct sieve_node *n)
{
	struct svtest *t = svtest_of(r);
	const struct sieve_arg *folder = sieve_value(n, ":folder");
	const struct svtest_mail *m;

	m = find_mail(t, folder ? canonical(folder->strings.v[0]) : NULL,
		      sieve_pos(n, 0)->number);
	if (m == NULL)
		return 0;
	svtest_message(t, r, span_of(m->text));
	if (m->folder != NULL) {
		t->source = mem_strdup(m->folder);
		t->source_message = r->message;
	} else {
		free(t->sender);
		free(t->recipient);
		t->sender = mem_strdup(m->from);
		t->recipient = mem_strdup(m->to);
		svtest_look(t, r);
	}
	strs_clear(&r->flags);
	for (size_t i = 0; i < m->flags.n; i++)
		strs_add(&r->flags, m->flags.v[i]);
	return 1;
}

static int
run_message(struct sieve_run *r, const struct sieve_node *n)
{
	if (run_message_test(r, n) == 0)
		svtest_fail(svtest_of(r), r, "no such message");
	return 0;
}

static void
check_message(struct sieve_script *s, struct sieve_node *n)
{
	if (sieve_has(n, ":smtp") == NULL && sieve_has(n, ":folder") == NULL)
		sieve_error(s, n->line, n->col,
			    "test_message needs :smtp or :folder");
}

static int
run_mailbox_create(struct sieve_run *r, const struct sieve_node *n)
{
	struct svtest *t = svtest_of(r);
	const char *name = sieve_pos(n, 0)->strings.v[0];

	if (!svtest_has_mailbox(r, name))
		strs_add(&t->folders, name);
	return 0;
}

static int
run_mailbox_delete(struct sieve_run *r, const struct sieve_node *n)
{
	struct svtest *t = svtest_of(r);
	const char *name = canonical(sieve_pos(n, 0)->strings.v[0]);
	struct strs left = STRS_INIT;
	size_t kept = 0;

	for (size_t i = 0; i < t->folders.n; i++) {
		if (strcmp(t->folders.v[i], name) != 0)
			strs_add(&left, t->folders.v[i]);
	}
	strs_free(&t->folders);
	t->folders = left;
	for (size_t i = 0; i < t->nmail; i++) {
		const char *f = t->mail[i].folder;

		if (f != NULL && strcmp(f, name) == 0)
			free_mail(&t->mail[i]);
		else
			t->mail[kept++] = t->mail[i];
	}
	t->nmail = kept;
	return 0;
}

static const struct sieve_tag mailbox_tags[] = { { ":mailbox", 's', NULL,
						   NULL } };
static const struct sieve_tag index_tags[] = { { ":index", 'n', NULL, NULL } };
static const struct sieve_tag message_tags[] = {
	{ ":smtp", 0, "source", NULL },
	{ ":folder", 's', "source", NULL },
};

#define COMMAND(NAME, POS, RUN)                                                \
	{                                                                      \
		.name = NAME, .ext = EXT, .positional = POS, .run = RUN        \
	}
static const struct sieve_word words[] = {
	{ .name = "test_result_execute",
	  .ext = EXT,
	  .is_test = true,
	  .run = run_execute },
	COMMAND("test_result_reset", NULL, run_reset),
	COMMAND("test_result_print", NULL, run_print),
	{ .name = "test_result_action",
	  .ext = EXT,
	  .is_test = true,
	  .positional = "S",
	  .tags = index_tags,
	  .ntags = ARRAY_LEN(index_tags),
	  .with_match = true,
	  .check = check_octet,
	  .run = run_action },
	{ .name = "test_error",
	  .ext = EXT,
	  .is_test = true,
	  .positional = "S",
	  .tags = index_tags,
	  .ntags = ARRAY_LEN(index_tags),
	  .with_match = true,
	  .check = check_octet,
	  .run = run_error },
	{ .name = "test_message",
	  .ext = EXT,
	  .positional = "n",
	  .tags = message_tags,
	  .ntags = ARRAY_LEN(message_tags),
	  .check = check_message,
	  .run = run_message },
	{ .name = "test_message",
	  .ext = EXT,
	  .is_test = true,
	  .positional = "n",
	  .tags = message_tags,
	  .ntags = ARRAY_LEN(message_tags),
	  .check = check_message,
	  .run = run_message_test },
	COMMAND("test_message_print", NULL, run_message_print),
	{ .name = "test_imap_metadata_set",
	  .ext = EXT,
	  .positional = "ss",
	  .tags = mailbox_tags,
	  .ntags = ARRAY_LEN(mailbox_tags),
	  .run = run_metadata_set },
	COMMAND("test_mailbox_create", "s", run_mailbox_create),
	COMMAND("test_mailbox_delete", "s", run_mailbox_delete),
};
/* Another part of the same: it is required by the name of the first. */
static const struct sieve_extension testsuite_result = {
	.testing = true,
	.words = words,
	.nwords = ARRAY_LEN(words),
};
SIEVE_EXTENSION(testsuite_result);
