/*
 * dkim.c - DKIM signatures and verifications a second in one process, beside
 * what the key alone allows (as `openssl speed` measures it).
 * usage: dkim KEY.pem MESSAGE
 */
#include "dkim.h"
#include "escape.h"
#include "io.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static EVP_PKEY *key;
static enum dkim_alg alg;
static struct span message;
static struct buf field, plain;
static struct buf plain_sig;

static const char names[] =
    "From:From:To:To:Cc:Subject:Subject:Date:Date:Reply-To:Message-ID:"
    "Message-ID:In-Reply-To:References:MIME-Version";

static void
body_hash(const struct msg *m, unsigned char hash[32])
{
	struct dkim_body b;

	dkim_body_init(&b, DKIM_RELAXED, -1);
	dkim_body_add(&b, m->body);
	dkim_body_done(&b, hash);
}

/* The whole work of a message: index, body hash, header, signature. */
static void
sign_message(void)
{
	struct buf data = BUF_INIT, sig = BUF_INIT;
	struct msg_field f = { .name = SPAN("DKIM-Signature") };
	struct msg m;
	unsigned char hash[32];

	msg_index(&m, message, 0);
	body_hash(&m, hash);
	buf_clear(&field);
	buf_addf(&field,
		 "DKIM-Signature: v=1; a=rsa-sha256; "
		 "c=relaxed/relaxed; d=example.test; s=s; t=1; h=%s; "
		 "bh=",
		 names);
	base64_encode(&field, span_make((const char *)hash, sizeof(hash)));
	buf_adds(&field, "; b=");
	f.all = buf_span(&field);
	f.value = span_from(f.all, 15);
	dkim_data(&data, &m, SPAN(names), DKIM_RELAXED, &f);
	if (dkim_sign(key, alg, buf_span(&data), &sig, NULL) != 0)
		exit(1);
	base64_encode(&field, buf_span(&sig));
	buf_free(&data);
	buf_free(&sig);
	msg_done(&m);
}

static void
verify_message(void)
{
	struct msg_field f = { .name = SPAN("DKIM-Signature") };
	struct buf data = BUF_INIT, sig = BUF_INIT, text = BUF_INIT;
	struct dkim_tags t;
	struct msg m;
	const char *why;
	unsigned char hash[32];

	msg_index(&m, message, 0);
	f.all = buf_span(&field);
	f.value = span_from(f.all, 15);
	if (!dkim_tags_parse(&t, f.value, &why))
		exit(1);
	body_hash(&m, hash);
	dkim_strip(&text, dkim_tag(&t, "b"));
	dkim_data(&data, &m, dkim_tag(&t, "h"), DKIM_RELAXED, &f);
	if (!base64_decode(&sig, buf_span(&text)) ||
	    !dkim_verify(key, alg, buf_span(&data), buf_span(&sig)))
		exit(1);
	buf_free(&data);
	buf_free(&sig);
	buf_free(&text);
	msg_done(&m);
}

static void
sign_plain(void)
{
	buf_clear(&plain_sig);
	if (dkim_sign(key, alg, buf_span(&plain), &plain_sig, NULL) != 0)
		exit(1);
}

static void
verify_plain(void)
{
	if (!dkim_verify(key, alg, buf_span(&plain), buf_span(&plain_sig)))
		exit(1);
}

/* Of our own time on the processor: others may be busy meanwhile. */
static double
seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

#define ROUNDS 8
#define EACH 200

/* Seconds of one call, the least of several rounds. */
static double
cost(void (*fn)(void), double least)
{
	double start = seconds(), one;

	for (int i = 0; i < EACH; i++)
		fn();
	one = (seconds() - start) / EACH;
	return one < least ? one : least;
}

int
main(int argc, char **argv)
{
	void (*const work[])(void) = { sign_plain, sign_message, verify_plain,
				       verify_message };
	double c[] = { 1e9, 1e9, 1e9, 1e9 };
	struct buf b = BUF_INIT;
	struct err e = ERR_INIT;

	if (argc != 3 || (key = dkim_load_key(argv[1], &alg, &e)) == NULL ||
	    io_read_file(argv[2], &b, 1 << 20, &e) != 0) {
		fprintf(stderr, "dkim: %s\n", e.text);
		return 64;
	}
	message = buf_span(&b);
	buf_adds(&plain, "the key alone"); /* as openssl speed */
	/* in turn, so that drift hits all */
	for (int r = 0; r < ROUNDS; r++)
		for (size_t i = 0; i < ARRAY_LEN(work); i++)
			c[i] = cost(work[i], c[i]);
	printf("sign: %.0f/s, the key alone %.0f/s: %.2f\n", 1 / c[1], 1 / c[0],
	       c[0] / c[1]);
	printf("verify: %.0f/s, the key alone %.0f/s: %.2f\n", 1 / c[3],
	       1 / c[2], c[2] / c[3]);
	printf("sign and verify: %.0f/s, the key alone %.0f/s: %.2f\n",
	       1 / (c[1] + c[3]), 1 / (c[0] + c[2]),
	       (c[0] + c[2]) / (c[1] + c[3]));
	return 0;
}
