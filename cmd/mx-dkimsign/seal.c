/*
 * seal.c - adds an ARC set: what we found out about the message, and a seal
 * over the chain.  RFC 8617 5.1.
 */
#include "arc.h"
#include "authres.h"
#include "dkimsign.h"
#include "escape.h"
#include "io.h"
#include "proc.h"
#include "status.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#define VALIDATE_MS 60000

/* The message on a descriptor of its own, from the start. */
static int
message_fd(const struct msg *m, struct err *e)
{
	int fd = memfd_create("message", MFD_CLOEXEC);

	if (fd < 0 ||
	    io_write(fd, m->whole.p, m->whole.n, DEADLINE_NEVER) != IO_OK ||
	    lseek(fd, 0, SEEK_SET) != 0) {
		err_sys(e, "a copy of the message");
		if (fd >= 0)
			close(fd);
		return -1;
	}
	return fd;
}

/* mx-dnscheck arc validates, so that signing does not link a resolver. */
static int
ask_dnscheck(int fd, struct buf *out, struct err *e)
{
	struct strs argv = STRS_INIT;
	struct proc_spec ps = { .fd = { fd, -1, 2, -1 } };
	deadline_t dl = clock_deadline(VALIDATE_MS);
	int p[2];
	pid_t pid;

	if (pipe2(p, O_CLOEXEC) != 0)
		return err_sys(e, "pipe");
	strs_take(&argv, proc_sibling("mx-dnscheck"));
	strs_add(&argv, "arc");
	if (prog.config_path != NULL)
		strs_addf(&argv, "--config=%s", prog.config_path);
	if (prog.resolver != NULL)
		strs_addf(&argv, "--resolver=%s", prog.resolver);
	if (opts.time != NULL)
		strs_addf(&argv, "--time=%s", opts.time);
	ps.argv = argv.v;
	ps.fd[1] = p[1];
	pid = proc_spawn(&ps, e);
	close(p[1]);
	if (pid >= 0 && io_read_all(p[0], out, 4096, dl) != IO_OK)
		buf_clear(out);
	close(p[0]);
	strs_free(&argv);
	if (pid < 0)
		return -1;
	(void)proc_wait(pid, dl, NULL);
	return 0;
}

/* What DNS says of the chain that is there. */
static int
validate(const struct msg *m, enum arc_cv *cv, struct err *e)
{
	struct buf out = BUF_INIT;
	struct span rest, word = SPAN("");
	int fd = message_fd(m, e), r;

	if (fd < 0)
		return -1;
	r = ask_dnscheck(fd, &out, e);
	close(fd);
	rest = buf_span(&out);
	(void)span_word(&rest, " \n", &word);
	if (r == 0 && span_is(word, "pass"))
		*cv = ARC_CV_PASS;
	else if (r == 0 && span_is(word, "fail"))
		*cv = ARC_CV_FAIL;
	else if (r == 0) /* RFC 8617 5.2.1: a failure would be for good */
		r = err_set(e, ST_TEMPFAIL,
			    "the ARC chain cannot be validated now");
	buf_free(&out);
	return r;
}

/* Folds at the blanks between words; long words stay whole. */
static void
fold_text(struct buf *field, size_t *line, struct span text)
{
	struct span word;

	while (span_word(&text, " \t\r\n", &word))
		field_tag(field, line, "%.*s", SPAN_ARG(word));
}

/* RFC 8617 4.1.1: all results of ours, in order, no others. */
static void
make_aar(struct buf *field, const struct msg *m, const char *id, int i)
{
	size_t line = 0;
	bool any = false;

	buf_adds(field, "ARC-Authentication-Results:");
	field_tag(field, &line, "i=%d;", i);
	for (size_t k = 0; k < m->n; k++) {
		const struct msg_field *f = &m->v[k];
		struct span payload;

		if (!span_iis(f->name, "Authentication-Results") ||
		    !authres_is_from(f->value, id))
			continue;
		payload = authres_payload(f->value);
		while (payload.n > 0 && payload.p[payload.n - 1] == ';')
			payload =
			    span_rtrim(span_sub(payload, 0, payload.n - 1));
		if (payload.n == 0 || span_iis(payload, "none"))
			continue;
		if (any)
			buf_addc(field, ';');
		else
			field_tag(field, &line, "%s;", id);
		fold_text(field, &line, payload);
		any = true;
	}
	if (!any) {
		field_tag(field, &line, "%s;", id);
		field_tag(field, &line, "none");
	}
}

static struct msg_field
as_field(const struct buf *text, const char *name)
{
	struct msg_field f = { .all = buf_span(text), .name = span_of(name) };

	f.value = span_from(f.all, f.name.n + 1);
	return f;
}

/* Signs data and appends the base64 behind the "b=" that ends the field. */
static int
add_b(struct buf *field, size_t *line, const struct signer *s, struct buf *data,
      struct err *e)
{
	struct buf sig = BUF_INIT, b64 = BUF_INIT;
	int r = dkim_sign(s->key, s->alg, buf_span(data), &sig, e);

	if (r == 0) {
		base64_encode(&b64, buf_span(&sig));
		field_base64(field, line, buf_span(&b64));
	}
	buf_free(&sig);
	buf_free(&b64);
	return r;
}

/* The default list, and the DKIM-Signatures that are there (RFC 8617 4.1.2: so
 * that they can be verified behind us). */
static void
ams_names(struct buf *names, const struct sign_plan *plan, const struct msg *m)
{
	if (plan->headers != NULL) {
		buf_adds(names, plan->headers);
		return;
	}
	sign_default_list(names, m, NULL);
	for (size_t k = 0; k < m->n; k++)
		if (span_iis(m->v[k].name, "DKIM-Signature"))
			buf_adds(names, ":DKIM-Signature");
}

static int
make_ams(struct buf *field, const struct sign_plan *plan, const struct msg *m,
	 int i, struct err *e)
{
	const struct signer *s = &plan->v[0];
	struct buf data = BUF_INIT, names = BUF_INIT, bh = BUF_INIT;
	struct dkim_body body;
	unsigned char hash[32];
	struct msg_field f;
	size_t line = 0;
	int r;

	ams_names(&names, plan, m);
	dkim_body_init(&body, plan->body, -1);
	dkim_body_add(&body, m->body);
	dkim_body_done(&body, hash);
	base64_encode(&bh, span_make((const char *)hash, sizeof(hash)));
	buf_adds(field, "ARC-Message-Signature:");
	field_tag(field, &line, "i=%d;", i);
	field_tag(field, &line, "a=%s;", dkim_alg_name(s->alg));
	field_tag(field, &line, "c=%s/%s;", dkim_canon_name(plan->head),
		  dkim_canon_name(plan->body));
	field_tag(field, &line, "d=%s;", s->domain);
	field_tag(field, &line, "s=%s;", s->selector);
	field_tag(field, &line, "t=%" PRId64 ";", plan->time);
	field_names(field, &line, buf_span(&names));
	field_tag(field, &line, "bh=%s;", buf_str(&bh));
	field_tag(field, &line, "b=");
	f = as_field(field, "ARC-Message-Signature");
	dkim_data(&data, m, buf_span(&names), plan->head, &f);
	r = add_b(field, &line, s, &data, e);
	buf_free(&data);
	buf_free(&names);
	buf_free(&bh);
	return r;
}

/* arc: the chain with the new set's other fields in place. */
static int
make_seal(struct buf *field, const struct sign_plan *plan, struct arc *arc,
	  int i, enum arc_cv cv, struct err *e)
{
	const struct signer *s = &plan->v[0];
	struct buf data = BUF_INIT;
	struct msg_field f;
	size_t line = 0;
	int r;

	buf_adds(field, "ARC-Seal:");
	field_tag(field, &line, "i=%d;", i);
	field_tag(field, &line, "a=%s;", dkim_alg_name(s->alg));
	field_tag(field, &line, "t=%" PRId64 ";", plan->time);
	field_tag(field, &line, "cv=%s;", arc_cv_word(cv));
	field_tag(field, &line, "d=%s;", s->domain);
	field_tag(field, &line, "s=%s;", s->selector);
	field_tag(field, &line, "b=");
	f = as_field(field, "ARC-Seal");
	arc->v[i - 1].as = &f;
	/* RFC 8617 5.1.2: a broken chain is not covered, for nobody could tell
	 * which of its fields were */
	arc_seal_data(&data, arc, i, cv == ARC_CV_FAIL);
	arc->v[i - 1].as = NULL;
	r = add_b(field, &line, s, &data, e);
	buf_free(&data);
	return r;
}

/* The three fields with the message's line ends, the seal on top (RFC 8617 5.1,
 * step 4). */
static int
make_set(struct buf *out, struct sign_plan *plan, const struct msg *m,
	 const char *id, struct arc *arc, enum arc_cv cv, struct err *e)
{
	struct buf aar = BUF_INIT, ams = BUF_INIT, as = BUF_INIT;
	struct msg_field faar, fams;
	int i = arc->n + 1;
	int r;

	make_aar(&aar, m, id, i);
	r = make_ams(&ams, plan, m, i, e);
	faar = as_field(&aar, "ARC-Authentication-Results");
	fams = as_field(&ams, "ARC-Message-Signature");
	arc->v[i - 1].aar = &faar;
	arc->v[i - 1].ams = &fams;
	if (r == 0)
		r = make_seal(&as, plan, arc, i, cv, e);
	arc->v[i - 1] = (struct arc_set){ NULL, NULL, NULL };
	if (r == 0) {
		field_lines(out, buf_span(&as), m->crlf);
		field_lines(out, buf_span(&ams), m->crlf);
		field_lines(out, buf_span(&aar), m->crlf);
	}
	buf_free(&aar);
	buf_free(&ams);
	buf_free(&as);
	return r;
}

int
seal_message(struct sign_plan *plan, const struct msg *m, const char *id,
	     struct err *e)
{
	struct arc arc;
	struct buf fields = BUF_INIT, local = BUF_INIT, domain = BUF_INIT;
	enum arc_cv cv = ARC_CV_NONE;
	size_t from = (size_t)(m->header.p - m->whole.p);
	int r = 0;

	arc_find(&arc, m);
	/* RFC 8617 5.1, step 2: a chain that somebody has declared broken stays
	 * as it is; and a 51st set cannot be. */
	bool seal = plan->n > 0 && arc.newest != ARC_CV_FAIL && arc.n < ARC_MAX;

	if (seal)
		r = sign_from(m, &local, &domain, e);
	if (r != 0 && e->status == 0)
		r = 0; /* a From without an address is signed all the same */
	if (r == 0 && seal && arc.n > 0)
		r = validate(m, &cv, e);
	if (r == 0 && seal)
		r = make_set(&fields, plan, m, id, &arc, cv, e);
	if (r == 0 && !plan->header_only)
		r = field_write(span_sub(m->whole, 0, from), e);
	if (r == 0)
		r = field_write(buf_span(&fields), e);
	if (r == 0 && !plan->header_only)
		r = field_write(span_from(m->whole, from), e);
	buf_free(&fields);
	buf_free(&local);
	buf_free(&domain);
	return r;
}
