/*
 * spamstub.c - a spamd that finds nothing: what stands around a spam filter is
 * measured, not the filter.  Both servers ask the same one.
 * usage: spamstub PORT (127.0.0.1); SPAMC PROCESS, HEADERS, SYMBOLS, CHECK.
 */
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define FIELDS                                                                 \
	"X-Spam-Checker-Version: stub\r\n"                                     \
	"X-Spam-Status: No, score=0.1 required=5.0 tests=STUB\r\n"

static char in[1 << 20], out[(1 << 20) + 1024];

static void
serve(int fd)
{
	size_t n = 0, want = sizeof in - 1, body = 0;
	ssize_t r;
	char *end, *len;
	int o;

	/* head, an empty line, and as much as it announced */
	while (n < want && (r = read(fd, in + n, want - n)) > 0) {
		n += (size_t)r;
		in[n] = 0;
		if (body == 0 && (end = strstr(in, "\r\n\r\n"))) {
			body = (size_t)(end + 4 - in);
			len = strcasestr(in, "content-length:");
			if (len && len < end)
				want = body + strtoul(len + 15, 0, 10);
			if (want > sizeof in - 1)
				return;
		}
	}
	if (strncmp(in, "PROCESS", 7) == 0 || strncmp(in, "HEADERS", 7) == 0)
		o = snprintf(out, sizeof out,
			     "SPAMD/1.1 0 EX_OK\r\nContent-length: %zu\r\n"
			     "Spam: False ; 0.1 / 5.0\r\n\r\n" FIELDS "%.*s",
			     strlen(FIELDS) + n - body, (int)(n - body),
			     in + body);
	else
		o = snprintf(out, sizeof out,
			     "SPAMD/1.1 0 EX_OK\r\nContent-length: 6\r\n"
			     "Spam: False ; 0.1 / 5.0\r\n\r\nSTUB\r\n");
	for (int k = 0; k < o; k += (int)r)
		if ((r = write(fd, out + k, (size_t)(o - k))) <= 0)
			return;
}

int
main(int argc, char **argv)
{
	struct sockaddr_in a = { .sin_family = AF_INET };
	int s = socket(AF_INET, SOCK_STREAM, 0), one = 1, fd;

	a.sin_port = htons((unsigned short)atoi(argc > 1 ? argv[1] : "0"));
	a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	signal(SIGPIPE, SIG_IGN);
	setsockopt(s, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
	if (bind(s, (struct sockaddr *)&a, sizeof a) || listen(s, 1024)) {
		perror("spamstub");
		return 1;
	}
	while ((fd = accept(s, 0, 0)) >= 0) {
		serve(fd);
		close(fd);
	}
	return 1;
}
