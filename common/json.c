/*
 * json.c - the one JSON writer; see json.h.
 * Layer: base.  RFC 8259.
 */
#include "json.h"
#include "escape.h"
#include "log.h"

#include <inttypes.h>

void
json_init(struct json *j, struct buf *out)
{
	*j = (struct json){ out, 0, 0 };
}

/* The comma and the key before a value. */
static void
json_lead(struct json *j, const char *key)
{
	uint64_t bit = (uint64_t)1 << j->depth;

	if (j->comma & bit)
		buf_addc(j->out, ',');
	j->comma |= bit;
	if (key != NULL) {
		escape_json(j->out, span_of(key));
		buf_addc(j->out, ':');
	}
}

static void
json_open(struct json *j, const char *key, char brace)
{
	json_lead(j, key);
	buf_addc(j->out, brace);
	if (++j->depth > 60)
		log_panic("JSON nested too deep");
	j->comma &= ~((uint64_t)1 << j->depth);
}

void
json_object(struct json *j, const char *key)
{
	json_open(j, key, '{');
}

void
json_array(struct json *j, const char *key)
{
	json_open(j, key, '[');
}

void
json_end(struct json *j, char close)
{
	buf_addc(j->out, close);
	j->depth--;
}

void
json_str(struct json *j, const char *key, struct span v)
{
	json_lead(j, key);
	escape_json(j->out, v);
}

void
json_int(struct json *j, const char *key, int64_t v)
{
	json_lead(j, key);
	buf_addf(j->out, "%" PRId64, v);
}

void
json_bool(struct json *j, const char *key, bool v)
{
	json_lead(j, key);
	buf_adds(j->out, v ? "true" : "false");
}

void
json_null(struct json *j, const char *key)
{
	json_lead(j, key);
	buf_adds(j->out, "null");
}
