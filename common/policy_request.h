/*
 * policy_request.h - Postfix's policy protocol: a server's reading of requests
 * and writing of answers, a client's reading of answers.
 * Layer: mail.  Postfix SMTPD_POLICY_README, "Protocol description".
 */
#ifndef MX_POLICY_REQUEST_H
#define MX_POLICY_REQUEST_H

#include "io.h"

/* An attribute that the caller wants to know. */
struct policy_field {
	const char *name;  /* "client_address" */
	struct buf *value; /* the caller's; emptied before each request */
	bool *given; /* was there such a line, even an empty one; or NULL */
};

/*
 * The next request: name=value lines up to an empty one.  Names that are not
 * among the n fields are passed over, as the protocol asks; of a name given
 * twice the last counts; a value with a NUL is not taken.  A wait for
 * a line ends after 1000 s; the one for the first by SIGTERM too.
 * False: the client is through, or what it sends is no request (more than 200
 * lines, a line over 8192 bytes: logged); the caller hangs up.
 */
bool policy_request_read(struct stream *s, const struct policy_field *f,
			 size_t n) MX_MUST_CHECK;

/*
 * Answers "action=ACTION" and sends it.  A control character in the action
 * becomes a blank: whatever a stranger's name holds, the answer is one line.
 * False: the client does not take it.
 */
bool policy_request_answer(struct stream *s, struct span action) MX_MUST_CHECK;

/*
 * The client's side: reads an answer up to its empty line, appends what stands
 * after the first "action=" to action.  False: no such line, more than 100, one
 * over 8192 bytes, or the link ended; action may then hold a part.
 */
bool policy_answer_read(struct stream *s, struct buf *action,
			deadline_t d) MX_MUST_CHECK;

#endif
