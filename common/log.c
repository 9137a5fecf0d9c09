/*
 * log.c - the log; see log.h.
 * Layer: base.  DESIGN 3.10.  Syslog datagrams are written to /dev/log by
 * ourselves and never block: what the kernel does not take is counted and
 * told once the way is free again.
 */
#include "log.h"
#include "clock.h"
#include "escape.h"
#include "json.h"
#include "status.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <syslog.h>
#include <unistd.h>

/* A write to a pipe of this size does not mix with others'. */
#define HELD_MAX 4096

int log_verbose;

static struct {
	const char *program;
	char name[64], role[32];
	enum log_format format;
	bool opened;
	int fd;   /* -1: stderr */
	int sock; /* syslog, -1: none */
	uint64_t lost;
	bool dovecot;
} log_state = { .program = "mx", .fd = -1, .sock = -1 };

void
log_program(const char *name)
{
	log_state.program = name;
}

void
log_role(const char *role)
{
	snprintf(log_state.role, sizeof(log_state.role), "%s", role);
}

void
log_dovecot(void)
{
	log_state.dovecot = true;
}

void
log_to_fd(int fd)
{
	log_state.fd = fd;
}

/* Is stderr a terminal or the journal's stream (systemd.exec(5))? */
static bool
log_stderr_serves(void)
{
	const char *js = secure_getenv("JOURNAL_STREAM");
	struct stat st;
	char want[64];

	if (isatty(STDERR_FILENO))
		return true;
	if (js == NULL || fstat(STDERR_FILENO, &st) != 0)
		return false;
	snprintf(want, sizeof(want), "%llu:%llu", (unsigned long long)st.st_dev,
		 (unsigned long long)st.st_ino);
	return strcmp(js, want) == 0;
}

/* Points the socket at who reads /dev/log now. */
static int
log_aim(void)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };

	snprintf(sun.sun_path, sizeof(sun.sun_path), "/dev/log");
	return connect(log_state.sock, (struct sockaddr *)&sun, sizeof(sun));
}

static void
log_connect(void)
{
	log_state.sock =
	    socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (log_state.sock >= 0 && log_aim() != 0) {
		close(log_state.sock);
		log_state.sock = -1;
	}
}

/*
 * One datagram, without waiting.  A syslog daemon that was restarted has
 * another socket: the same descriptor is aimed at it, so that workers, whose
 * sandbox forbids that, are heard again as soon as their monitor has spoken
 * (they share it).
 */
static bool
log_send(const char *p, size_t n)
{
	const int flags = MSG_DONTWAIT | MSG_NOSIGNAL;

	if (send(log_state.sock, p, n, flags) >= 0)
		return true;
	if (errno != ECONNREFUSED && errno != ENOTCONN && errno != ECONNRESET)
		return false;
	return log_aim() == 0 && send(log_state.sock, p, n, flags) >= 0;
}

void
log_open(const char *syslog_name, const char *role, enum log_format f)
{
	snprintf(log_state.name, sizeof(log_state.name), "%s", syslog_name);
	log_role(role);
	log_state.format = f;
	log_state.opened = true;
	/* MX_LOG names a file that takes the lines: demo, tests, bench. */
	const char *path = secure_getenv("MX_LOG");

	if (log_state.fd < 0 && path != NULL && path[0] != '\0')
		log_state.fd = open(path,
				    O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC |
					O_NOCTTY | O_NONBLOCK,
				    0666);
	if (log_state.fd < 0 && log_state.sock < 0 && !log_stderr_serves())
		log_connect();
}

void
log_reopen(void)
{
	char name[sizeof(log_state.name)], role[sizeof(log_state.role)];

	memcpy(name, log_state.name, sizeof(name));
	memcpy(role, log_state.role, sizeof(role));
	log_state.fd = log_state.sock = -1;
	log_open(name, role, log_state.format);
}

static pid_t log_pid;

static void
log_forked(void)
{
	log_pid = 0;
}

/* Asked once a process: a message is eight lines. */
static long
log_own_pid(void)
{
	static bool hooked;

	if (log_pid == 0) {
		if (!hooked)
			hooked = pthread_atfork(NULL, NULL, log_forked) == 0;
		if (!hooked)
			return (long)getpid();
		log_pid = getpid();
	}
	return (long)log_pid;
}

/* "mx/smtpd[12]: "; see log_dovecot. */
static void
log_tag(struct buf *b)
{
	const char *role = log_state.role;

	if (log_state.dovecot && strcmp(log_state.name, "postfix") == 0)
		buf_addf(b, "dovecot[%ld]: %s%s: ", log_own_pid(),
			 strncmp(role, "sieve", 5) == 0 ? "manage" : "", role);
	else
		buf_addf(b, "%s/%s[%ld]: ", log_state.name, role,
			 log_own_pid());
}

/* One datagram to syslog; a full queue (max_dgram_qlen) counts as lost. */
static void
log_syslog(int severity, struct span line)
{
	char head[256];
	time_t now = clock_now();
	struct tm tm;
	char when[32];
	struct buf b = BUF_INIT;

	localtime_r(&now, &tm);
	strftime(when, sizeof(when), "%b %e %H:%M:%S", &tm);
	if (log_state.lost > 0) {
		snprintf(head, sizeof(head),
			 "<%d>%s %s/%s[%ld]: warning: %llu log lines lost",
			 LOG_MAIL | LOG_WARNING, when, log_state.name,
			 log_state.role, log_own_pid(),
			 (unsigned long long)log_state.lost);
		if (log_send(head, strlen(head)))
			log_state.lost = 0;
	}
	buf_addf(&b, "<%d>%s ", LOG_MAIL | severity, when);
	log_tag(&b);
	buf_addspan(&b, line);
	if (!log_send(b.p, b.n))
		log_state.lost++;
	buf_free(&b);
}

static struct {
	bool on;
	struct buf lines;
} held;

/* A log that fails never stops mail. */
static void
log_write(struct span lines)
{
	int fd = log_state.fd >= 0 ? log_state.fd : STDERR_FILENO;
	ssize_t done = write(fd, lines.p, lines.n);

	(void)done;
}

static void
log_put(struct span line)
{
	if (held.lines.n > 0 && held.lines.n + line.n > HELD_MAX) {
		log_write(buf_span(&held.lines));
		buf_clear(&held.lines);
	}
	if (held.on && line.n <= HELD_MAX)
		buf_addspan(&held.lines, line);
	else
		log_write(line);
}

void
log_hold(void)
{
	held.on = true;
}

void
log_release(void)
{
	int saved = errno;

	held.on = false;
	if (held.lines.n > 0)
		log_write(buf_span(&held.lines));
	buf_free(&held.lines);
	errno = saved;
}

static void
log_file(struct span line)
{
	char when[40];
	struct buf b = BUF_INIT;

	if (!log_state.opened) {
		buf_addf(&b, "%s: ", log_state.program);
	} else {
		if (log_state.fd >= 0) {
			time_t now = clock_now();
			struct tm tm;
			char host[65] = "localhost";

			localtime_r(&now, &tm);
			gethostname(host, sizeof(host) - 1);
			host[strcspn(host, ".")] = '\0';
			strftime(when, sizeof(when), "%b %e %H:%M:%S ", &tm);
			buf_addf(&b, "%s%s ", when, host);
		}
		log_tag(&b);
	}
	buf_addspan(&b, line);
	buf_addc(&b, '\n');
	log_put(buf_span(&b));
	buf_free(&b);
}

static void
log_json(int severity, struct span body)
{
	struct buf b = BUF_INIT;
	struct json j;

	json_init(&j, &b);
	json_object(&j, NULL);
	json_int(&j, "time_us", clock_now_us());
	json_str(&j, "program", span_of(log_state.name));
	json_str(&j, "role", span_of(log_state.role));
	json_int(&j, "pid", log_own_pid());
	json_int(&j, "severity", severity);
	buf_addc(&b, ',');
	buf_addspan(&b, body);
	buf_addc(&b, '}');
	if (log_state.fd < 0 && log_state.sock >= 0) {
		log_syslog(severity, buf_span(&b));
	} else {
		buf_addc(&b, '\n');
		log_put(buf_span(&b));
	}
	buf_free(&b);
}

static void
log_line(int severity, struct span text, struct span json)
{
	int saved = errno;

	if (log_state.opened && log_state.format == LOG_JSON)
		log_json(severity, json);
	else if (log_state.fd < 0 && log_state.sock >= 0)
		log_syslog(severity, text);
	else
		log_file(text);
	errno = saved;
}

static void
log_say(int severity, const char *word, const char *fmt, va_list ap)
{
	struct buf raw = BUF_INIT, text = BUF_INIT, json = BUF_INIT;

	buf_vaddf(&raw, fmt, ap);
	/* The sentence of a program at a terminal needs no "error:". */
	if (word != NULL && log_state.opened)
		buf_addf(&text, "%s: ", word);
	escape_line(&text, buf_span(&raw), 2000);
	if (log_state.opened && log_state.format == LOG_JSON) {
		buf_adds(&json, "\"message\":");
		escape_json(&json, buf_span(&raw));
	}
	log_line(severity, buf_span(&text), buf_span(&json));
	buf_free(&raw);
	buf_free(&text);
	buf_free(&json);
}

void
log_debug(const char *fmt, ...)
{
	va_list ap;

	if (log_verbose < 1)
		return;
	va_start(ap, fmt);
	log_say(LOG_DEBUG, "debug", fmt, ap);
	va_end(ap);
}

void
log_info(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	log_say(LOG_INFO, NULL, fmt, ap);
	va_end(ap);
}

void
log_warn(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	log_say(LOG_WARNING, "warning", fmt, ap);
	va_end(ap);
}

void
log_error(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	log_say(LOG_ERR, "error", fmt, ap);
	va_end(ap);
}

void
log_fatal(int status, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	log_say(LOG_CRIT, "fatal", fmt, ap);
	va_end(ap);
	log_release();
	exit(status);
}

void
log_panic(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	log_say(LOG_CRIT, "panic", fmt, ap);
	va_end(ap);
	log_release();
	_exit(ST_SOFTWARE);
}

void
log_event_begin(struct log_event *ev, const char *id)
{
	*ev = (struct log_event){ BUF_INIT, BUF_INIT, 0 };
	if (id != NULL) {
		buf_addf(&ev->text, "%s: ", id);
		buf_adds(&ev->json, "\"id\":");
		escape_json(&ev->json, span_of(id));
	}
}

void
log_event_add(struct log_event *ev, const char *key, const char *fmt, ...)
{
	struct buf raw = BUF_INIT;
	struct span v;
	va_list ap;

	va_start(ap, fmt);
	buf_vaddf(&raw, fmt, ap);
	va_end(ap);
	v = buf_span(&raw);
	buf_addf(&ev->text, "%s%s=", ev->fields++ ? ", " : "", key);
	escape_line(&ev->text, v, 600);
	if (ev->json.n > 0)
		buf_addc(&ev->json, ',');
	escape_json(&ev->json, span_of(key));
	buf_addc(&ev->json, ':');
	if (v.n >= 2 && v.p[0] == '<' && v.p[v.n - 1] == '>')
		v = span_sub(v, 1, v.n - 1);
	escape_json(&ev->json, v);
	buf_free(&raw);
}

void
log_event_words(struct log_event *ev, const char *fmt, ...)
{
	struct buf raw = BUF_INIT;
	va_list ap;

	va_start(ap, fmt);
	buf_vaddf(&raw, fmt, ap);
	va_end(ap);
	buf_adds(&ev->text, ev->fields ? " (" : "");
	escape_line(&ev->text, buf_span(&raw), 1200);
	buf_adds(&ev->text, ev->fields ? ")" : "");
	if (ev->json.n > 0)
		buf_addc(&ev->json, ',');
	buf_adds(&ev->json, "\"words\":");
	escape_json(&ev->json, buf_span(&raw));
	buf_free(&raw);
}

void
log_event_end(struct log_event *ev)
{
	log_line(LOG_INFO, buf_span(&ev->text), buf_span(&ev->json));
	buf_free(&ev->text);
	buf_free(&ev->json);
}
