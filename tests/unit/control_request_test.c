/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/auto.h"
#include "control/request.h"

static struct control_request req;
static struct err err;

static int get(const char *line)
{
	control_request_fini(&req);
	memset(&err, 0, sizeof(err));
	return control_request_get(line, strlen(line), &req, &err);
}

static void refuses(const char *line, int code, const char *message)
{
	assert_int_equal(get(line), code);
	assert_string_equal(err.msg, message);
}

static int fini(void **state)
{
	(void)state;
	control_request_fini(&req);
	return 0;
}

static void reads_command_and_id(void **state)
{
	(void)state;
	assert_int_equal(get("{\"execute\":\"query-status\",\"id\":[1,\"x\"]}"), 0);
	assert_int_equal(req.cmd, CONTROL_QUERY_STATUS);
	assert_true(json_is_array(req.id));
	assert_int_equal(get("{\"execute\":\"cont\"}"), 0);
	assert_int_equal(req.cmd, CONTROL_CONT);
	assert_null(req.id);
}

static void every_command_is_found_by_its_name(void **state)
{
	(void)state;
	for (unsigned i = 0; i < CONTROL_CMD_N; i++) {
		char line[128];

		assert_non_null(control_cmd_name((enum control_cmd)i));
		snprintf(line, sizeof(line), "{\"execute\":\"%s\",\"arguments\":{}}",
			 control_cmd_name((enum control_cmd)i));
		if (get(line) == 0)
			assert_int_equal(req.cmd, i);
		else
			assert_non_null(strstr(err.msg, "is missing"));
	}
}

static void reads_all_arguments_of_migrate(void **state)
{
	(void)state;
	assert_int_equal(get("{\"execute\":\"migrate\",\"arguments\":{\"uri\":\"unix:/x\","
			     "\"x-root\":\"/r\",\"x-allow\":\"/a\",\"x-tls-dir\":\"/t\","
			     "\"x-tls-peer\":\"b\",\"x-max-downtime\":0,\"x-max-passes\":7,"
			     "\"x-max-bandwidth\":1048576,\"x-commit-wait\":5,\"x-force\":"
			     "\"guest\",\"x-dry-run\":true}}"),
			 0);
	assert_string_equal(req.args.uri, "unix:/x");
	assert_string_equal(req.args.root, "/r");
	assert_string_equal(req.args.allow, "/a");
	assert_string_equal(req.args.tls_dir, "/t");
	assert_string_equal(req.args.tls_peer, "b");
	assert_true(req.args.max_downtime.given && req.args.max_downtime.v == 0);
	assert_true(req.args.max_passes.given && req.args.max_passes.v == 7);
	assert_true(req.args.max_bandwidth.v == 1048576);
	assert_true(req.args.commit_wait.v == 5);
	assert_false(req.args.downtime_limit.given);
	assert_string_equal(req.args.force, "guest");
	assert_true(req.args.dry_run);
}

static void names_what_is_wrong(void **state)
{
	(void)state;
	refuses("[]", -EINVAL, "QMP input must be a JSON object");
	refuses("7", -EINVAL, "QMP input must be a JSON object");
	refuses("{}", -EINVAL, "QMP input lacks member 'execute'");
	refuses("{\"execute\":1}", -EINVAL, "QMP input lacks member 'execute'");
	refuses("{\"execute\":\"stop\",\"x\":1}", -EINVAL, "QMP input member 'x' is unexpected");
	refuses("{\"exec-oob\":\"stop\"}", -EINVAL, "QMP input member 'exec-oob' is unexpected");
	refuses("{\"execute\":\"fly\"}", -ENOSYS, "The command fly has not been found");
	refuses("{\"execute\":\"stop\",\"arguments\":[]}", -EINVAL,
		"QMP input member 'arguments' must be an object");
	refuses("{\"execute\":\"stop\",\"arguments\":{\"now\":1}}", -EINVAL,
		"Parameter 'now' is unexpected");
	refuses("{\"execute\":\"migrate\"}", -EINVAL, "Parameter 'uri' is missing");
	refuses("{\"execute\":\"migrate\",\"arguments\":{\"uri\":7}}", -EINVAL,
		"Invalid parameter type for 'uri', expected: string");
	refuses("{\"execute\":\"migrate\",\"arguments\":{\"uri\":\"u\",\"x-max-passes\":-1}}",
		-EINVAL, "Invalid parameter type for 'x-max-passes', expected: integer");
	refuses("{\"execute\":\"migrate\",\"arguments\":{\"uri\":\"u\",\"x-max-passes\":1.5}}",
		-EINVAL, "Invalid parameter type for 'x-max-passes', expected: integer");
	refuses("{\"execute\":\"migrate\",\"arguments\":{\"uri\":\"u\",\"x-force\":1}}", -EINVAL,
		"Invalid parameter type for 'x-force', expected: string");
	refuses("{\"execute\":\"qmp_capabilities\",\"arguments\":{\"enable\":[\"oob\"]}}", -EINVAL,
		"Invalid parameter type for 'enable', expected: empty array");
}

static void rejects_what_is_not_json(void **state)
{
	static const char *const lines[] = {
		"",
		"{",
		"{\"execute\":\"stop\"",
		"{\"execute\":\"stop\"} x",
		"{'execute':'stop'}",
		"\xff\xfe",
		"{\"execute\":\"\xc3\x28\"}",
		"{\"execute\":\"st\\u0000op\"}",
		"{\"execute\":\"stop\",\"execute\":\"quit\"}",
		"{\"id\":99999999999999999999,\"execute\":\"stop\"}",
	};

	(void)state;
	for (unsigned i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		assert_int_equal(get(lines[i]), -EINVAL);
		assert_ptr_equal(strstr(err.msg, "JSON parse error: "), err.msg);
	}
}

static void keeps_the_id_of_a_request_it_refuses(void **state)
{
	(void)state;
	assert_int_equal(get("{\"execute\":\"fly\",\"id\":42}"), -ENOSYS);
	assert_int_equal(json_integer_value(req.id), 42);
}

static void deep_nesting_is_an_error_and_nothing_else(void **state)
{
	size_t n = 500000;
	char *line = malloc(n + 1);

	(void)state;
	assert_non_null(line);
	memset(line, '[', n);
	line[n] = '\0';
	assert_int_equal(get(line), -EINVAL);
	memcpy(line, "{\"id\":", 6);
	assert_int_equal(get(line), -EINVAL);
	free(line);
}

static void bounds_strings_and_lines(void **state)
{
	size_t n = CONTROL_LINE_MAX + 1;
	auto_mem char *line = malloc(n + 1);
	int head;

	(void)state;
	assert_non_null(line);
	memset(line, ' ', n);
	line[n] = '\0';
	assert_int_equal(get(line), -EINVAL);
	assert_string_equal(err.msg, "request longer than 1048576 bytes");
	head = snprintf(line, n, "{\"execute\":\"migrate\",\"arguments\":{\"uri\":\"");
	memset(line + head, 'u', CONTROL_TEXT_MAX + 1);
	memcpy(line + head + CONTROL_TEXT_MAX + 1, "\"}}", sizeof("\"}}"));
	assert_int_equal(get(line), -EINVAL);
	assert_string_equal(err.msg, "Parameter 'uri' is too long");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(reads_command_and_id, fini),
		cmocka_unit_test_teardown(every_command_is_found_by_its_name, fini),
		cmocka_unit_test_teardown(reads_all_arguments_of_migrate, fini),
		cmocka_unit_test_teardown(names_what_is_wrong, fini),
		cmocka_unit_test_teardown(rejects_what_is_not_json, fini),
		cmocka_unit_test_teardown(keeps_the_id_of_a_request_it_refuses, fini),
		cmocka_unit_test_teardown(deep_nesting_is_an_error_and_nothing_else, fini),
		cmocka_unit_test_teardown(bounds_strings_and_lines, fini),
	};

	return cmocka_run_group_tests_name("control_request", tests, NULL, NULL);
}
