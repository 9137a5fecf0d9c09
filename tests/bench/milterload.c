/*
 * milterload.c - what an MTA asks its milters, as Postfix does: a connection
 * a client, version 6, one message; the fields that one milter adds are shown
 * to the next.  Drives every milter of the benchmark alike.
 * usage: milterload [-s procs] [-m msgs] [-c client] [-a fields] FILE SOCKET...
 * SOCKET: a port of 127.0.0.1 or a unix socket's path (libmilter's answers
 * wait for TCP's delayed acknowledgement: 40 ms)
 *   -s parallel sessions (1)   -m total messages (1000)
 *   -c the client's address (127.0.0.1)
 *   -a fields that all milters together must add, else the message failed (1)
 * One line out: ok= fail= secs= rate= p50= p95= (ms a message)
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define MAX_FIELDS 200
#define CHUNK 65535

static int procs = 1, total = 1000, want = 1, nports;
static const char *client = "127.0.0.1";
static char **ports;
static struct {
	const char *name, *value; /* the value behind its colon, no blank */
} field[MAX_FIELDS];
static int nfields, nfile; /* those of the file are the last nfile */
static char *body;
static size_t body_n;
static struct sh {
	int next, ok, fail;
} * sh;
static float *lat;

static int fd;
static uint32_t protocol;
static char out[1 << 17], in[1 << 20];
static size_t out_n, in_n;

static double
now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static int
all(int writing, char *p, size_t n)
{
	while (n > 0) {
		ssize_t r = writing ? write(fd, p, n) : read(fd, p, n);

		if (r <= 0)
			return -1;
		p += r;
		n -= (size_t)r;
	}
	return 0;
}

static int
flush(void)
{
	int r = all(1, out, out_n);

	out_n = 0;
	return r;
}

static int
put(char code, const void *data, size_t n)
{
	uint32_t len = htonl((uint32_t)n + 1);

	if (out_n + n + 5 > sizeof(out) && flush() != 0)
		return -1;
	memcpy(out + out_n, &len, 4);
	out[out_n + 4] = code;
	if (n > 0)
		memcpy(out + out_n + 5, data, n);
	out_n += n + 5;
	return 0;
}

/* The next packet's code, its data in `in`; 0 on error. */
static char
get(void)
{
	uint32_t len;

	if (flush() != 0 || all(0, (char *)&len, 4) != 0)
		return 0;
	len = ntohl(len);
	if (len == 0 || len >= sizeof(in) || all(0, in, len) != 0)
		return 0;
	in[len] = '\0';
	in_n = len - 1;
	return in[0];
}

/* Sends, and reads the verdict unless the filter wants none. */
static char
ask(char code, const void *data, size_t n, uint32_t no, uint32_t no_reply)
{
	if (protocol & no)
		return 'c';
	if (put(code, data, n) != 0)
		return 0;
	if (protocol & no_reply)
		return 'c';
	return get();
}

static void
macros(char stage, const char *text, size_t n)
{
	char b[512];

	b[0] = stage;
	memcpy(b + 1, text, n);
	(void)put('D', b, n + 1);
}
#define MACROS(STAGE, TEXT) macros(STAGE, TEXT, sizeof(TEXT) - 1)

static int
open_to(const char *at)
{
	struct sockaddr_in a = { .sin_family = AF_INET,
				 .sin_port = htons((uint16_t)atoi(at)),
				 .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	struct sockaddr_un u = { .sun_family = AF_UNIX };
	/* Version 6, all actions, all of the protocol. */
	uint32_t o[3] = { htonl(6), htonl(0x1ff), htonl(0x1fffff) };
	int one = 1, unix_ = at[0] == '/', r;

	fd = socket(unix_ ? AF_UNIX : AF_INET, SOCK_STREAM, 0);
	snprintf(u.sun_path, sizeof(u.sun_path), "%s", at);
	r = unix_ ? connect(fd, (struct sockaddr *)&u, sizeof(u))
		  : connect(fd, (struct sockaddr *)&a, sizeof(a));
	if (r != 0)
		return -1;
	if (!unix_)
		(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one,
				 sizeof(one));
	if (put('O', o, sizeof(o)) != 0 || get() != 'O' || in_n < 12)
		return -1;
	memcpy(&protocol, in + 9, 4);
	protocol = ntohl(protocol);
	return 0;
}

/* A field that a milter adds: on top, or as the first of the list. */
static void
added(int at_top)
{
	const char *name = in + 1 + (at_top ? 4 : 0);
	const char *value = name + strlen(name) + 1;

	if (nfields == MAX_FIELDS)
		return;
	memmove(field + 1, field, (size_t)nfields * sizeof(*field));
	field[0].name = strdup(name);
	field[0].value = strdup(value + (value[0] == ' '));
	nfields++;
}

static char
headers(void)
{
	char v = 'c';

	for (int i = 0; i < nfields && v == 'c'; i++) {
		char b[9000];
		int lead = (protocol & 0x100000) != 0;
		int n = snprintf(b, sizeof(b), "%s%c%s%s", field[i].name, 0,
				 lead ? " " : "", field[i].value);

		if (n < 0 || (size_t)n >= sizeof(b))
			return 0;
		MACROS('L', "i\0BENCH\0");
		v = ask('L', b, (size_t)n + 1, 0x20, 0x80);
	}
	return v;
}

/* One message through one milter: fields added, or -1. */
static int
session(const char *at)
{
	static const char helo[] = "client.test";
	static const char from[] = "<joe@example.test>";
	static const char rcpt[] = "<ann@mx.test>";
	char peer[100], v;
	int n, count = 0;

	if (open_to(at) != 0)
		return -1;
	MACROS('C', "j\0mx.test\0{daemon_name}\0mx.test\0v\0Postfix 3.7\0");
	n = snprintf(peer, sizeof(peer), "%s%c4%c%c%s",
		     strcmp(client, "127.0.0.1") ? "client.test" : "localhost",
		     0, 8, 8, client);
	v = ask('C', peer, (size_t)n + 1, 0x1, 0x1000);
	if (v == 'c')
		v = ask('H', helo, sizeof(helo), 0x2, 0x2000);
	if (v == 'c') {
		MACROS('M', "{mail_addr}\0joe@example.test\0");
		v = ask('M', from, sizeof(from), 0x4, 0x4000);
	}
	if (v == 'c') {
		MACROS('R', "i\0BENCH\0{rcpt_addr}\0ann@mx.test\0");
		v = ask('R', rcpt, sizeof(rcpt), 0x8, 0x8000);
	}
	if (v == 'c') {
		MACROS('T', "i\0BENCH\0");
		v = ask('T', NULL, 0, 0x200, 0x10000);
	}
	if (v == 'c')
		v = headers();
	if (v == 'c') {
		MACROS('N', "i\0BENCH\0");
		v = ask('N', NULL, 0, 0x40, 0x40000);
	}
	for (size_t i = 0; v == 'c' && i < body_n; i += CHUNK)
		v = ask('B', body + i, body_n - i < CHUNK ? body_n - i : CHUNK,
			0x10, 0x80000);
	if (v == 'c' || v == 's') {
		MACROS('E', "i\0BENCH\0");
		v = ask('E', NULL, 0, 0, 0);
		for (; v == 'i' || v == 'h' || v == 'm' || v == 'p';
		     v = get()) {
			if (v == 'i' || v == 'h') {
				added(v == 'i');
				count++;
			}
		}
	}
	(void)put('Q', NULL, 0);
	(void)flush();
	close(fd);
	return v == 'c' || v == 'a' ? count : -1;
}

static void
work(void)
{
	int i;

	while ((i = __atomic_fetch_add(&sh->next, 1, __ATOMIC_RELAXED)) <
	       total) {
		double t = now();
		int n = 0, r = 0;

		for (int p = 0; p < nports && r >= 0; p++) {
			r = session(ports[p]);
			n += r;
		}
		if (r >= 0 && n >= want)
			__atomic_fetch_add(&sh->ok, 1, __ATOMIC_RELAXED);
		else
			__atomic_fetch_add(&sh->fail, 1, __ATOMIC_RELAXED);
		lat[i] = (float)((now() - t) * 1000);
		for (; nfields > nfile; nfields--) {
			free((char *)field[0].name);
			free((char *)field[0].value);
			memmove(field, field + 1,
				(size_t)(nfields - 1) * sizeof(*field));
		}
	}
}

/* LF in the file; CRLF in the body on the wire, LF inside folded fields. */
static void
load(const char *path)
{
	FILE *f = fopen(path, "r");
	char *line = NULL, *text = NULL;
	size_t cap = 0, n = 0, room = 0;
	ssize_t got;
	int head = 1;

	if (f == NULL)
		exit(66);
	while ((got = getline(&line, &cap, f)) > 0) {
		line[got - 1] = '\0';
		if (head && line[0] == '\0') {
			head = 0;
		} else if (head) {
			char *colon = strchr(line, ':');

			if (line[0] == ' ' || line[0] == '\t') {
				char *was = (char *)field[nfields - 1].value;
				char *more =
				    malloc(strlen(was) + (size_t)got + 2);

				sprintf(more, "%s\n%s", was, line);
				field[nfields - 1].value = more;
				free(was);
			} else if (colon != NULL && nfields < MAX_FIELDS - 20) {
				*colon = '\0';
				field[nfields].name = strdup(line);
				field[nfields++].value =
				    strdup(colon + 1 + (colon[1] == ' '));
			}
		} else {
			if (n + (size_t)got + 2 > room) {
				room = room * 2 + (size_t)got + 4096;
				text = realloc(text, room);
			}
			n += (size_t)sprintf(text + n, "%s\r\n", line);
		}
	}
	free(line);
	fclose(f);
	body = text;
	body_n = n;
	nfile = nfields;
}

static int
by_size(const void *a, const void *b)
{
	float x = *(const float *)a, y = *(const float *)b;

	return x < y ? -1 : x > y;
}

int
main(int argc, char **argv)
{
	double t;
	int o;

	while ((o = getopt(argc, argv, "s:m:c:a:")) > 0) {
		if (o == 's')
			procs = atoi(optarg);
		else if (o == 'm')
			total = atoi(optarg);
		else if (o == 'c')
			client = optarg;
		else if (o == 'a')
			want = atoi(optarg);
		else
			return 64;
	}
	if (argc - optind < 2)
		return 64;
	load(argv[optind]);
	ports = argv + optind + 1;
	nports = argc - optind - 1;
	sh = mmap(NULL, sizeof(*sh), PROT_READ | PROT_WRITE,
		  MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	lat = mmap(NULL, sizeof(*lat) * (size_t)total, PROT_READ | PROT_WRITE,
		   MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	t = now();
	for (int i = 0; i < procs; i++) {
		if (fork() == 0) {
			work();
			_exit(0);
		}
	}
	while (wait(NULL) > 0)
		;
	t = now() - t;
	qsort(lat, (size_t)total, sizeof(*lat), by_size);
	printf("ok=%d fail=%d secs=%.2f rate=%.1f p50=%.2f p95=%.2f\n", sh->ok,
	       sh->fail, t, sh->ok / t, (double)lat[total / 2],
	       (double)lat[total * 95 / 100]);
	return sh->fail > 0;
}
