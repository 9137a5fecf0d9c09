/*
 * smtpload.c - SMTP/LMTP load client with TLS, AUTH, many mailboxes and
 * latency percentiles; drives every server of the benchmark alike.
 * usage: smtpload [-L] [-Q] [-S|-T] [-R] [-a user:pass] [-s procs] [-m msgs]
 *                 [-k msgs_per_conn] [-r rcpts_per_msg] [-u mailboxes]
 *                 [-t fmt] [-f from] [-l bytes] [-x ADDR] [-F FILE] host port
 *   -Q no delayed ACK (shows a server that stalls on Nagle)   -L LMTP
 *   -S STARTTLS   -T implicit TLS   -R resume TLS sessions   -a AUTH PLAIN
 *   -s parallel client processes (1)   -m total messages (1000)
 *   -k messages per connection (1; 0 = no limit)   -r recipients (1)
 *   -u mailboxes the recipients cycle over (1); -t format (u%03d@mx.test)
 *   -l body bytes (4096); -F this message instead (CRLF, no dots at the
 *   beginning of lines); -x be this client by XCLIENT
 * One line out: ok= fail= secs= rate= p50= p95= p99= max= (ms per message,
 * with its connection) cpu=
 */
#include <stdio.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <time.h>
#include <errno.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <sys/socket.h>
#include <sys/resource.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/ssl.h>
#include <openssl/evp.h>

static int quickack, lmtp, stls, itls, resume_,
    procs = 1, total = 1000, perconn = 1, nrcpt = 1, users = 1, blen = 4096;
static const char *fmt = "u%03d@mx.test", *from = "sender@example.test", *auth,
		  *xclient, *file;
static struct addrinfo *ai;
static struct sh {
	int next, ok, fail;
} * sh;
static float *lat;
static SSL_CTX *ctx;
static SSL_SESSION *sess;
static int fd = -1;
static SSL *ssl;
static char ib[65536];
static int il, ip;

static double
now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec + t.tv_nsec / 1e9;
}
static int
wr(const char *b, int n)
{
	while (n > 0) {
		int r = ssl ? SSL_write(ssl, b, n) : write(fd, b, n);
		if (r <= 0)
			return -1;
		b += r;
		n -= r;
	}
	return 0;
}
static int
gc(void)
{
	if (ip == il) {
		if (quickack) {
			int one = 1;
			setsockopt(fd, IPPROTO_TCP, TCP_QUICKACK, &one,
				   sizeof one);
		}
		il = ssl ? SSL_read(ssl, ib, sizeof ib)
			 : read(fd, ib, sizeof ib);
		ip = 0;
		if (il <= 0) {
			il = 0;
			return -1;
		}
	}
	return (unsigned char)ib[ip++];
}
static int
reply(void)
{ /* code of a whole reply, -1 on error */
	char l[4];
	int c, n = 0, more = 0;
	for (;;) {
		c = gc();
		if (c < 0)
			return -1;
		if (n < 3)
			l[n] = c;
		else if (n == 3)
			more = c == '-';
		n++;
		if (c == '\n') {
			l[3] = 0;
			if (!more)
				return atoi(l);
			n = 0;
		}
	}
}
static int
cmd(int want, const char *f, ...)
{
	char b[2048];
	va_list a;
	int n, r;
	va_start(a, f);
	n = vsnprintf(b, sizeof b, f, a);
	va_end(a);
	if (wr(b, n))
		return -1;
	r = reply();
	if (r / 100 != want) {
		static int said;
		if (!said++)
			fprintf(stderr, "smtpload: got %d to %.60s\n", r, b);
		return -1;
	}
	return 0;
}
static int
newsess(SSL *s, SSL_SESSION *n)
{
	(void)s;
	if (sess)
		SSL_SESSION_free(sess);
	sess = n;
	return 1;
}
static int
tls(void)
{
	ssl = SSL_new(ctx);
	SSL_set_fd(ssl, fd);
	if (resume_ && sess)
		SSL_set_session(ssl, sess);
	if (SSL_connect(ssl) != 1)
		return -1;
	return 0;
}
static void
shut(void)
{
	if (ssl) {
		SSL_set_quiet_shutdown(ssl, 0);
		SSL_shutdown(ssl);
		SSL_free(ssl);
		ssl = 0;
	}
	if (fd >= 0)
		close(fd);
	fd = -1;
	il = ip = 0;
}
static int
conn(void)
{
	int one = 1;
	fd = socket(ai->ai_family, SOCK_STREAM, 0);
	if (connect(fd, ai->ai_addr, ai->ai_addrlen)) {
		perror("connect");
		return -1;
	}
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO,
		   &(struct timeval){ .tv_sec = 10 },
		   sizeof(struct timeval)); /* a connection lost by a short
					       listen queue must not hang us */
	if (itls && tls())
		return -1;
	if (reply() / 100 != 2)
		return -1;
	if (cmd(2, "%s client.test\r\n", lmtp ? "LHLO" : "EHLO"))
		return -1;
	if (xclient &&
	    (cmd(2, "XCLIENT ADDR=%s NAME=[UNAVAILABLE]\r\n", xclient) ||
	     cmd(2, "EHLO client.test\r\n")))
		return -1;
	if (stls) {
		if (cmd(2, "STARTTLS\r\n") || tls())
			return -1;
		if (cmd(2, "EHLO client.test\r\n"))
			return -1;
	}
	if (auth) {
		unsigned char raw[512];
		char b64[1024];
		const char *c = strchr(auth, ':');
		int n = 0;
		raw[n++] = 0;
		memcpy(raw + n, auth, c - auth);
		n += c - auth;
		raw[n++] = 0;
		memcpy(raw + n, c + 1, strlen(c + 1));
		n += strlen(c + 1);
		EVP_EncodeBlock((unsigned char *)b64, raw, n);
		if (cmd(2, "AUTH PLAIN %s\r\n", b64))
			return -1;
	}
	return 0;
}
static int
message(int i, char *body, int bl)
{
	char h[2048], to[200];
	int n, k;
	if (cmd(2, "MAIL FROM:<%s>\r\n", from))
		return -1;
	for (k = 0; k < nrcpt; k++) {
		snprintf(to, sizeof to, fmt, (i * nrcpt + k) % users);
		if (cmd(2, "RCPT TO:<%s>\r\n", to))
			return -1;
	}
	if (cmd(3, "DATA\r\n"))
		return -1;
	n = file ? 0
		 : snprintf(
		       h, sizeof h,
		       "From: Load Client <%s>\r\nTo: <%s>\r\nSubject: load "
		       "message %d\r\n"
		       "Date: Sat, 21 Nov 2026 04:00:00 +0000\r\nMessage-ID: "
		       "<%d.%d.%ld@client.test>\r\n\r\n",
		       from, to, i, i, (int)getpid(), (long)time(0));
	memcpy(body - n, h, n); /* one write: header, body, dot */
	if (wr(body - n, n + bl))
		return -1;
	for (k = 0; k < (lmtp ? nrcpt : 1); k++)
		if (reply() / 100 != 2)
			return -1;
	return 0;
}
static void
worker(void)
{
	char *buf = malloc(blen + 8192), *body = buf + 4096;
	int i, bl = 0, oncon = 0;
	double t;
	if (file) {
		FILE *f = fopen(file, "r");
		buf = malloc((1 << 20) + 8192);
		body = buf + 4096;
		bl = f ? (int)fread(body, 1, 1 << 20, f) : 0;
	}
	while (!file && bl < blen)
		bl += sprintf(
		    body + bl, "%-70.*s\r\n",
		    (blen - bl) > 72 ? 70 : (blen - bl > 2 ? blen - bl - 2 : 0),
		    "The quick brown fox jumps over the lazy dog while mail is "
		    "delivered 1");
	bl += sprintf(body + bl, ".\r\n");
	while ((i = __sync_fetch_and_add(&sh->next, 1)) < total) {
		int try = 0;
		t = now();
	again:
		if ((fd < 0 && conn()) ||
		    message(i, body, bl)) { /* counted, tried 3 times */
			__sync_fetch_and_add(&sh->fail, 1);
			shut();
			oncon = 0;
			if (++try < 3)
				goto again;
			continue;
		}
		if (perconn && ++oncon >= perconn) {
			cmd(2, "QUIT\r\n");
			shut();
			oncon = 0;
		}
		lat[i] = now() - t;
		__sync_fetch_and_add(&sh->ok, 1);
	}
	if (fd >= 0) {
		cmd(2, "QUIT\r\n");
		shut();
	}
	_exit(0);
}
static int
fcmp(const void *a, const void *b)
{
	float x = *(float *)a, y = *(float *)b;
	return x < y ? -1 : x > y;
}
int
main(int c, char **v)
{
	int o, i;
	double t;
	struct addrinfo h = { .ai_socktype = SOCK_STREAM };
	struct rusage ru;
	signal(SIGPIPE, SIG_IGN);
	while ((o = getopt(c, v, "QLSTRa:s:m:k:r:u:t:f:l:x:F:")) != -1)
		switch (o) {
		case 'L':
			lmtp = 1;
			break;
		case 'Q':
			quickack = 1;
			break;
		case 'S':
			stls = 1;
			break;
		case 'T':
			itls = 1;
			break;
		case 'R':
			resume_ = 1;
			break;
		case 'a':
			auth = optarg;
			break;
		case 's':
			procs = atoi(optarg);
			break;
		case 'm':
			total = atoi(optarg);
			break;
		case 'k':
			perconn = atoi(optarg);
			break;
		case 'r':
			nrcpt = atoi(optarg);
			break;
		case 'u':
			users = atoi(optarg);
			break;
		case 't':
			fmt = optarg;
			break;
		case 'f':
			from = optarg;
			break;
		case 'l':
			blen = atoi(optarg);
			break;
		case 'x':
			xclient = optarg;
			break;
		case 'F':
			file = optarg;
			break;
		default:
			return 2;
		}
	if (c - optind != 2 || getaddrinfo(v[optind], v[optind + 1], &h, &ai)) {
		fprintf(stderr, "usage: see the top of smtpload.c\n");
		return 2;
	}
	if (stls || itls) {
		ctx = SSL_CTX_new(TLS_client_method());
		if (resume_) {
			SSL_CTX_set_session_cache_mode(ctx,
						       SSL_SESS_CACHE_CLIENT);
			SSL_CTX_sess_set_new_cb(ctx, newsess);
		}
	}
	sh = mmap(0, sizeof *sh + total * sizeof(float), PROT_READ | PROT_WRITE,
		  MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	lat = (float *)(sh + 1);
	t = now();
	for (i = 0; i < procs; i++)
		if (!fork())
			worker();
	while (wait(0) > 0)
		;
	t = now() - t;
	getrusage(RUSAGE_CHILDREN, &ru);
	qsort(lat, total, sizeof *lat, fcmp);
	float *l = lat + (total - sh->ok);
	int n = sh->ok ? sh->ok : 1;
	printf("ok=%d fail=%d secs=%.3f rate=%.1f p50=%.2f p95=%.2f p99=%.2f "
	       "max=%.2f cpu=%.2f\n",
	       sh->ok, sh->fail, t, sh->ok / t, l[n / 2] * 1e3,
	       l[n * 95 / 100] * 1e3, l[n * 99 / 100] * 1e3, l[n - 1] * 1e3,
	       ru.ru_utime.tv_sec + ru.ru_stime.tv_sec +
		   (ru.ru_utime.tv_usec + ru.ru_stime.tv_usec) / 1e6);
	return sh->fail ? 1 : 0;
}
