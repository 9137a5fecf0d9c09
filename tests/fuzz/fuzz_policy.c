/*
 * fuzz_policy.c - the policy protocol: what a client asks a server, and what
 * a server answers.  The first byte says where the bytes are cut.
 */
#include "policy_request.h"

#include "log.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct span input;
static size_t piece;

static enum io_result
take(struct stream *s, char *p, size_t n, size_t *got, deadline_t d)
{
	(void)s;
	(void)d;
	if (input.n == 0)
		return IO_EOF;
	if (n > piece)
		n = piece;
	if (n > input.n)
		n = input.n;
	memcpy(p, input.p, n);
	input = span_from(input, n);
	*got = n;
	return IO_OK;
}

/* What a server says is one line and an empty one, whatever it is made of. */
static enum io_result
see(struct stream *s, const char *p, size_t n, size_t *put, deadline_t d)
{
	(void)s;
	(void)d;
	if (n < 9 || memcmp(p, "action=", 7) != 0 ||
	    memchr(p, '\n', n) != p + n - 2 || p[n - 1] != '\n')
		abort();
	*put = n;
	return IO_OK;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct stream_ops ops = { .read = take, .write = see };
	struct buf sender = BUF_INIT, client = BUF_INIT, action = BUF_INIT;
	static int null = -1;
	bool given = false;
	struct policy_field f[] = { { "sender", &sender, &given },
				    { "client_address", &client, NULL } };
	struct stream s;
	struct span all;

	if (size == 0)
		return 0;
	if (null < 0)
		log_to_fd(null = open("/dev/null", O_WRONLY | O_CLOEXEC));
	all = span_make((const char *)data + 1, size - 1);
	for (int side = 0; side < 2; side++) {
		input = all;
		piece = (size_t)data[0] + 1;
		stream_init(&s, -1, -1);
		s.ops = &ops;
		while (side == 0 && policy_request_read(&s, f, 2)) {
			if (!given && sender.n > 0)
				abort();
			if (!policy_request_answer(&s, buf_span(&sender)))
				abort();
		}
		if (side == 1 &&
		    policy_answer_read(&s, &action, DEADLINE_NEVER) &&
		    memchr(action.p, '\n', action.n) != NULL)
			abort();
		buf_free(&s.in);
		buf_free(&s.out);
	}
	buf_free(&sender);
	buf_free(&client);
	buf_free(&action);
	return 0;
}
