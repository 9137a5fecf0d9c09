/* Unit tests of common/envelope.c: there and back through the environment. */
#include "envelope.h"
#include "unit.h"

int
main(void)
{
	struct envelope env;
	struct strs out = STRS_INIT;

	setenv("MX_SENDER", "", 1);
	setenv("MX_RECIPIENTS", "a@x\nb@y", 1);
	setenv("MX_HELO", "h", 1);
	setenv("MX_CONFIG", "/c", 1);
	unsetenv("MX_TLS");
	envelope_from_env(&env);
	CHECK(env.sender != NULL && env.sender[0] == '\0', "null sender");
	CHECK(env.recipients.n == 2 && strcmp(env.recipients.v[1], "b@y") == 0,
	      "recipients");
	CHECK(env.tls == NULL, "not known is NULL");
	envelope_to_env(&env, &out);
	CHECK(strs_has(&out, SPAN("MX_SENDER=")), "sender out");
	CHECK(strs_has(&out, SPAN("MX_RECIPIENTS=a@x\nb@y")), "list out");
	CHECK(strs_has(&out, SPAN("MX_HELO=h")) && out.n == 3, "no more");
	envelope_clear_env();
	CHECK(getenv("MX_SENDER") == NULL && getenv("MX_HELO") == NULL &&
		  getenv("MX_RECIPIENTS") == NULL,
	      "cleared");
	CHECK(getenv("MX_CONFIG") != NULL, "configuration stays");
	envelope_free(&env);
	CHECK(env.helo == NULL && env.recipients.n == 0, "freed");
	strs_free(&out);
	return unit_done();
}
