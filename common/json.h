/*
 * json.h - the one JSON writer (--json, log_format = json).
 * Layer: base.  Commas are put by the writer; keys in the order given.
 */
#ifndef MX_JSON_H
#define MX_JSON_H

#include "buf.h"

struct json {
	struct buf *out;
	uint64_t comma; /* bit per nesting level: something stands before */
	int depth;
};

void json_init(struct json *j, struct buf *out);
/* key NULL inside arrays and at the top. */
void json_object(struct json *j, const char *key);
void json_array(struct json *j, const char *key);
void json_end(struct json *j, char close); /* '}' or ']' */
void json_str(struct json *j, const char *key, struct span v);
void json_int(struct json *j, const char *key, int64_t v);
void json_bool(struct json *j, const char *key, bool v);
void json_null(struct json *j, const char *key);

#endif
