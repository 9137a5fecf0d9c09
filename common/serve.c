/*
 * serve.c - kept filters, both ends; see serve.h and mx-serve(5).
 * Layer: sys.
 */
#include "serve.h"
#include "io.h"
#include "mem.h"
#include "num.h"
#include "proc.h"
#include "status.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdio_ext.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#define GREETING "mx-serve 2"
#define LINE_MAX_BYTES 200
#define ENV_MAX (4 << 20)
#define SIDE_MAX (1 << 20) /* actions; errors are cut to their end */
#define ERRS_MAX 4096
#define CHUNK 65536

/* "WORD N N ...", exactly n numbers. */
static bool
parse_line(struct span line, const char *word, uint64_t *v, size_t n)
{
	struct span w;

	if (!span_split(&line, ' ', &w) || !span_is(w, word))
		return false;
	for (size_t i = 0; i < n; i++)
		if (!span_split(&line, ' ', &w) ||
		    !num_u64(w, INT64_MAX, &v[i]))
			return false;
	return !span_split(&line, ' ', &w);
}

/* n bytes of the stream into fd, or nowhere (-1). */
static int
stream_to_fd(struct stream *s, int fd, uint64_t n, deadline_t d)
{
	while (n > 0) {
		struct span have = stream_buffered(s);
		size_t k = have.n < n ? have.n : (size_t)n;

		if (k == 0) {
			if (stream_fill(s, d) != IO_OK)
				return -1;
			continue;
		}
		if (fd >= 0 && io_write(fd, have.p, k, DEADLINE_NEVER) != IO_OK)
			return -1;
		stream_take(s, k);
		n -= k;
	}
	return 0;
}

/* ---- the filter's side ---- */

struct server {
	struct stream s;
	int file[4];     /* memory files in the place of 0..3 */
	char **base;     /* the environment it was started with */
	char **now;      /* the one of the message */
	struct buf env;  /* its new strings, NUL between */
	uint64_t serial; /* the message's number, told by the other side */
	int (*run)(int, char **);
	int argc;
	char **argv;
};

static size_t
env_count(char **v)
{
	size_t n = 0;

	while (v[n] != NULL)
		n++;
	return n;
}

static bool
same_name(const char *a, const char *b)
{
	size_t n = strcspn(a, "=");

	return strncmp(a, b, n + 1) == 0;
}

/* The message's environment before what there was. */
static void
set_environ(struct server *v)
{
	size_t nbase = env_count(v->base), n = 0, fresh;

	free(v->now);
	v->now = mem_alloc(nbase + v->env.n + 1, sizeof(*v->now));
	for (size_t at = 0; at < v->env.n; at += strlen(v->env.p + at) + 1)
		if (strchr(v->env.p + at, '=') != NULL)
			v->now[n++] = v->env.p + at;
	fresh = n;
	for (size_t i = 0; i < nbase; i++) {
		bool known = false;

		for (size_t k = 0; k < fresh; k++)
			known = known || same_name(v->base[i], v->now[k]);
		if (!known)
			v->now[n++] = v->base[i];
	}
	v->now[n] = NULL;
	environ = v->now;
}

static int
get_request(struct server *v)
{
	struct span line;
	uint64_t n[3];

	switch (stream_line(&v->s, LINE_MAX_BYTES, &line, DEADLINE_NEVER)) {
	case IO_OK:
		break;
	case IO_EOF:
		return ST_NO;
	default:
		return ST_DATA;
	}
	if (!parse_line(line, "MESSAGE", n, 3) || n[1] > ENV_MAX)
		return ST_DATA;
	v->serial = n[0];
	buf_clear(&v->env);
	if (stream_read(&v->s, &v->env, (size_t)n[1], DEADLINE_NEVER) !=
		IO_OK ||
	    (v->env.n > 0 && v->env.p[v->env.n - 1] != '\0'))
		return ST_DATA;
	for (int i = 0; i < 4; i++)
		if (ftruncate(v->file[i], 0) != 0 ||
		    lseek(v->file[i], 0, SEEK_SET) != 0)
			return ST_OSERR;
	if (stream_to_fd(&v->s, v->file[0], n[2], DEADLINE_NEVER) != 0 ||
	    lseek(v->file[0], 0, SEEK_SET) != 0)
		return ST_DATA;
	set_environ(v);
	return ST_OK;
}

/* The file's bytes onto the stream's descriptor. */
static int
send_file(int to, int fd, size_t n)
{
	off_t at = 0;

	while ((size_t)at < n) {
		ssize_t k = sendfile(to, fd, &at, n - (size_t)at);

		if (k == 0 || (k < 0 && errno != EINTR && errno != EAGAIN))
			return -1;
	}
	return 0;
}

static int
put_answer(struct server *v, int status)
{
	size_t size[4];
	struct buf b = BUF_INIT;
	int r = 0;

	for (int i = 1; i < 4; i++) {
		struct stat st;

		if (fstat(v->file[i], &st) != 0)
			return -1;
		size[i] = (size_t)st.st_size;
	}
	/* a filter that fails has written nothing */
	if (status != ST_OK)
		size[1] = 0;
	buf_addf(&b, "STATUS %llu %d %zu %zu %zu\n",
		 (unsigned long long)v->serial, status, size[1], size[3],
		 size[2]);
	/* small ones in one write */
	for (int k = 0; r == 0 && k < 3; k++) {
		int i = k == 0 ? 1 : k == 1 ? 3 : 2;

		if (b.n + size[i] <= CHUNK) {
			char *room = buf_room(&b, size[i] > 0 ? size[i] : 1);

			if (pread(v->file[i], room, size[i], 0) !=
			    (ssize_t)size[i])
				r = -1;
			buf_grew(&b, size[i]);
			continue;
		}
		if (io_write(v->s.fd_out, b.p, b.n, DEADLINE_NEVER) != IO_OK)
			r = -1;
		buf_clear(&b);
		if (r == 0)
			r = send_file(v->s.fd_out, v->file[i], size[i]);
	}
	buf_addf(&b, "END %llu\n", (unsigned long long)v->serial);
	if (r == 0 && io_write(v->s.fd_out, b.p, b.n, DEADLINE_NEVER) != IO_OK)
		r = -1;
	buf_free(&b);
	return r;
}

static int
serve_one(struct server *v)
{
	int r = get_request(v);

	if (r != ST_OK)
		return r;
	/* stdio keeps nothing of the message before */
	__fpurge(stdin);
	clearerr(stdin);
	r = v->run(v->argc, v->argv);
	if (fflush(stdout) != 0 && r == ST_OK)
		r = ST_IOERR;
	__fpurge(stdout);
	clearerr(stdout);
	(void)fflush(stderr);
	return put_answer(v, r) == 0 ? ST_OK : ST_IOERR;
}

/* The stream out of the way, memory files in its place. */
static int
take_places(struct server *v)
{
	int in = fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 10);
	int out = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 10);

	if (in < 0 || out < 0)
		return -1;
	stream_init(&v->s, in, out);
	if (io_write(out, GREETING "\n", sizeof(GREETING), DEADLINE_NEVER) !=
	    IO_OK)
		return -1;
	for (int i = 0; i < 4; i++) {
		int fd = memfd_create("mx-serve", MFD_CLOEXEC);

		v->file[i] = fd < 0 ? -1 : fcntl(fd, F_DUPFD_CLOEXEC, 10);
		if (v->file[i] < 0 || dup2(fd, i) != i)
			return -1;
		if (fd > 3)
			close(fd);
	}
	return 0;
}

int
serve_loop(int (*run)(int argc, char **argv), int argc, char **argv)
{
	struct server v = { .base = environ,
			    .env = BUF_INIT,
			    .run = run,
			    .argc = argc,
			    .argv = argv };
	int r;

	(void)signal(SIGPIPE, SIG_IGN);
	if (take_places(&v) != 0)
		return ST_OSERR;
	do {
		r = serve_one(&v);
	} while (r == ST_OK);
	environ = v.base;
	free(v.now);
	buf_free(&v.env);
	stream_close(&v.s);
	return r == ST_NO ? ST_OK : r;
}

/* ---- the asking side ---- */

void
serve_stop(struct serve *s)
{
	if (s->sock >= 0)
		close(s->sock);
	if (s->errs >= 0)
		close(s->errs);
	if (s->pid > 0) {
		(void)kill(s->pid, SIGKILL);
		(void)proc_wait(s->pid, DEADLINE_NEVER, NULL);
	}
	*s = (struct serve)SERVE_INIT;
}

/* What it wrote on stderr, last line, behind the sentence. */
static int
lost(struct serve *s, const char *what, struct err *e)
{
	char said[ERRS_MAX];
	ssize_t n = pread(s->errs, said, sizeof(said), 0);
	struct span text = span_trim(span_make(said, n > 0 ? (size_t)n : 0));
	ssize_t lf = span_rchr(text, '\n');

	if (lf >= 0)
		text = span_from(text, (size_t)lf + 1);
	err_set(e, ST_TEMPFAIL, "%s%s%.*s", what, text.n > 0 ? ": " : "",
		SPAN_ARG(text));
	serve_stop(s);
	return -1;
}

/* Both ends are installed together: another version is told, not spoken. */
static bool
get_greeting(struct stream *in, struct err *e, deadline_t d)
{
	struct span line;
	uint64_t v;

	err_set(e, ST_TEMPFAIL, "a kept filter did not start");
	if (stream_line(in, LINE_MAX_BYTES, &line, d) != IO_OK ||
	    stream_buffered(in).n != 0)
		return false;
	if (span_is(line, GREETING))
		return true;
	if (parse_line(line, "mx-serve", &v, 1))
		err_set(e, ST_TEMPFAIL,
			"a kept filter speaks %.*s, not " GREETING
			": it is of another version of mx",
			SPAN_ARG(line));
	return false;
}

int
serve_start(struct serve *s, const struct strs *argv, const struct strs *env,
	    deadline_t d, struct err *e)
{
	struct strs args = STRS_INIT;
	struct stream in;
	int pair[2];
	struct err said = ERR_INIT;
	bool hello;

	serve_stop(s);
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0)
		return err_sys(e, "socketpair");
	s->sock = pair[0];
	s->errs = memfd_create("errors", MFD_CLOEXEC);
	strs_add(&args, argv->v[0]);
	strs_add(&args, "--serve");
	for (size_t i = 1; i < argv->n; i++)
		strs_add(&args, argv->v[i]);
	struct proc_spec ps = { .argv = args.v,
				.envp = env->v,
				.fd = { pair[1], pair[1], s->errs, -1 },
				.dir = "/" };
	s->pid = proc_spawn(&ps, e);
	close(pair[1]);
	strs_free(&args);
	if (s->pid < 0) {
		s->pid = 0;
		serve_stop(s);
		return -1;
	}
	/* Nothing follows the greeting before a request. */
	stream_init(&in, s->sock, -1);
	hello = get_greeting(&in, &said, d);
	in.fd_in = -1;
	stream_close(&in);
	return hello ? 0 : lost(s, said.text, e);
}

bool
serve_alive(const struct serve *s)
{
	struct pollfd p = { s->sock, POLLIN, 0 };

	/* It never speaks first: anything to read is its end, or a lie. */
	return s->pid > 0 && poll(&p, 1, 0) == 0;
}

static int
put_request(struct serve *s, uint64_t serial, const struct strs *env, int fd,
	    deadline_t d)
{
	struct buf b = BUF_INIT, vars = BUF_INIT;
	off_t at = lseek(fd, 0, SEEK_CUR);
	struct stat st;
	uint64_t left;
	int r = 0;

	if (fstat(fd, &st) != 0 || at < 0)
		return -1;
	left = st.st_size > at ? (uint64_t)(st.st_size - at) : 0;
	for (size_t i = 0; i < env->n; i++)
		buf_add(&vars, env->v[i], strlen(env->v[i]) + 1);
	buf_addf(&b, "MESSAGE %llu %zu %llu\n", (unsigned long long)serial,
		 vars.n, (unsigned long long)left);
	buf_addspan(&b, buf_span(&vars));
	buf_free(&vars);
	do {
		size_t want = left < CHUNK ? (size_t)left : CHUNK;
		ssize_t got = 0;

		if (want > 0)
			got = pread(fd, buf_room(&b, want), want, at);
		if (got < 0 || (got == 0 && want > 0)) {
			r = -1;
			break;
		}
		buf_grew(&b, (size_t)got);
		at += got;
		left -= (uint64_t)got;
		if (io_write(s->sock, b.p, b.n, d) != IO_OK)
			r = -1;
		buf_clear(&b);
	} while (r == 0 && left > 0);
	buf_free(&b);
	return r;
}

/* n bytes of the filtered message to where they are wanted. */
static int
get_output(struct stream *in, int fd_out, struct buf *out, size_t out_max,
	   uint64_t n, deadline_t d)
{
	size_t keep = n < out_max ? (size_t)n : out_max;

	if (fd_out >= 0)
		return stream_to_fd(in, fd_out, n, d);
	if (stream_read(in, out, keep, d) != IO_OK)
		return -1;
	return stream_to_fd(in, -1, n - keep, d);
}

/*
 * The answer to message `serial`, and nothing behind it.  *other: a well
 * formed one came that names another message; whatever it says, it is no
 * verdict on this one.
 */
static int
get_answer(struct stream *in, uint64_t serial, int fd_out, struct buf *out,
	   size_t out_max, struct serve_answer *a, bool *other, deadline_t d)
{
	struct span line;
	uint64_t n[5], last;
	size_t keep;

	if (stream_line(in, LINE_MAX_BYTES, &line, d) != IO_OK ||
	    !parse_line(line, "STATUS", n, 5) || n[1] > 255 ||
	    (n[1] != 0 && n[2] != 0) || n[3] > SIDE_MAX)
		return -1;
	*other = n[0] != serial;
	if (*other)
		return -1;
	a->status = (int)n[1];
	if (get_output(in, fd_out, out, out_max, n[2], d) != 0 ||
	    stream_read(in, &a->actions, (size_t)n[3], d) != IO_OK)
		return -1;
	keep = n[4] < ERRS_MAX ? (size_t)n[4] : ERRS_MAX;
	if (stream_to_fd(in, -1, n[4] - keep, d) != 0 ||
	    stream_read(in, &a->errs, keep, d) != IO_OK ||
	    stream_line(in, LINE_MAX_BYTES, &line, d) != IO_OK ||
	    !parse_line(line, "END", &last, 1))
		return -1;
	*other = last != serial;
	return *other || stream_buffered(in).n > 0 ? -1 : 0;
}

int
serve_ask(struct serve *s, const struct strs *env, int fd, int fd_out,
	  struct buf *out, size_t out_max, struct serve_answer *a, deadline_t d,
	  struct err *e)
{
	static uint64_t asked; /* no number is given twice by one process */
	uint64_t serial = ++asked;
	struct stream in;
	bool other = false;
	int r;

	*a = (struct serve_answer){ .actions = BUF_INIT, .errs = BUF_INIT };
	/* Bytes that are here before the question are no answer to it. */
	r = serve_alive(s) ? put_request(s, serial, env, fd, d) : -1;
	if (r == 0) {
		stream_init(&in, s->sock, -1);
		r = get_answer(&in, serial, fd_out, out, out_max, a, &other, d);
		in.fd_in = -1;
		stream_close(&in);
	}
	if (r != 0)
		return lost(s,
			    other ? "a kept filter answered another message"
			    : clock_left(d) == 0 ? "a kept filter took too long"
						 : "a kept filter ended",
			    e);
	return 0;
}

void
serve_answer_free(struct serve_answer *a)
{
	buf_free(&a->actions);
	buf_free(&a->errs);
}
