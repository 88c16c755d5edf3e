// SPDX-License-Identifier: GPL-3.0-or-later
// flow_test - the table of flows, the line and the JSON of one.

#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cjson/cJSON.h>
#include <cmocka.h>

#include "tunnel/flow.h"
#include "tunnel/report.h"

static union address at(uint32_t host, uint16_t port)
{
	return (union address){.v4 = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(host)}};
}

static void finds_by_both_addresses_and_protocol(void **state)
{
	struct flow_table *t = flow_table_open();
	union address app = at(0xc0000201, 40000), web = at(0xc6336407, 443);

	(void)state;
	struct flow *f = flow_add(t, IPPROTO_TCP, &app, &web);
	assert_ptr_equal(flow_find(t, IPPROTO_TCP, &app, &web), f);
	assert_null(flow_find(t, IPPROTO_UDP, &app, &web));
	assert_null(flow_find(t, IPPROTO_TCP, &web, &app));
	assert_int_equal(f->id, 1);
	flow_table_close(t);
}

static void many_flows_are_found_and_swept(void **state)
{
	struct flow_table *t = flow_table_open();
	union address web = at(0xc6336407, 443);

	(void)state;
	for (uint32_t i = 0; i < 20000; i++) {
		union address app = at(0x0a000000 + i / 100, (uint16_t)(1000 + i % 100));
		struct flow *f = flow_add(t, IPPROTO_TCP, &app, &web);
		assert_non_null(f);
		f->touched = i;
		f->close = i % 2 ? FLOW_FINISHED : FLOW_RUNNING;
	}
	for (int i = 0; i < 64; i++)
		flow_sweep(t, 10000);
	for (uint32_t i = 0; i < 20000; i++) {
		union address app = at(0x0a000000 + i / 100, (uint16_t)(1000 + i % 100));
		bool gone = i % 2 && i < 10000;
		assert_true(!flow_find(t, IPPROTO_TCP, &app, &web) == gone);
	}
	flow_table_close(t);
}

static struct process curl = {
	.pid = 4123, .parent = 1, .uid = 1000, .name = "curl", .path = "/usr/bin/curl",
	.arguments = "curl https://example.com/ \"q\"", .user = "ann", .start = 1700000000000000000,
};

static struct flow_tls tls = {
	.leg = {{.version = "TLSv1.3", .cipher = "TLS_AES_128_GCM_SHA256", .group = "x25519"},
		{.version = "TLSv1.2", .cipher = "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256", .group = "secp256r1", .resumed = true}},
	.alpn = "h2", .sni = "example.com", .certificate = "trusted",
	.app = {.ja3 = "0123456789abcdef0123456789abcdef", .ja4 = "t13d1516h2_8daaf6152771_e5627efa2ab1"},
};

static struct flow example(void)
{
	return (struct flow){
		.id = 7, .protocol = IPPROTO_TCP, .app = at(0xc0000201, 40000), .peer = at(0xc6336407, 443),
		.process = &curl, .started = 1700000000000000000, .ended = 1700000000250000000,
		.bytes = {517, 21400}, .verdict = FLOW_OPENED, .close = FLOW_FINISHED, .tls = &tls,
	};
}

static void says_the_line(void **state)
{
	struct flow f = example();
	char line[1024];

	(void)state;
	report_line(&f, line, sizeof(line));
	assert_string_equal(line, "curl[4123] tcp example.com:443 TLSv1.3 h2 opened, sent 517 B, "
				  "received 21.4 kB, 250 ms");
	f.tls = NULL;
	f.process = NULL;
	f.verdict = FLOW_REFUSED;
	f.close = FLOW_NEVER_OPENED;
	f.bytes[APP] = f.bytes[ORIGIN] = 0;
	report_line(&f, line, sizeof(line));
	assert_string_equal(line, "? tcp 198.51.100.7:443 refused, sent 0 B, received 0 B, 250 ms");
}

static const char *text_of(const cJSON *o, const char *key)
{
	return cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(o, key));
}

static void says_it_as_json(void **state)
{
	struct flow f = example();
	char *text = report_json(&f);
	cJSON *o = cJSON_Parse(text);

	(void)state;
	assert_non_null(o);
	assert_null(strchr(text, '\n'));
	assert_string_equal(text_of(o, "app"), "192.0.2.1:40000");
	assert_string_equal(text_of(o, "destination"), "198.51.100.7:443");
	assert_string_equal(text_of(o, "name"), "example.com");
	assert_string_equal(text_of(o, "started"), "2023-11-14T22:13:20.000000Z");
	assert_string_equal(text_of(o, "verdict"), "opened");
	assert_string_equal(text_of(o, "close"), "finished");
	assert_int_equal((int)cJSON_GetNumberValue(cJSON_GetObjectItem(o, "received")), 21400);
	assert_string_equal(text_of(cJSON_GetObjectItem(o, "tls"), "alpn"), "h2");
	assert_string_equal(text_of(cJSON_GetObjectItem(o, "process"), "arguments"), curl.arguments);
	cJSON_Delete(o);
	cJSON_free(text);
}

static void writes_a_line_each(void **state)
{
	char path[] = "/tmp/apptap-report-XXXXXX", why[256], line[4096];
	struct flow f = example();
	struct report *r;
	int fd = mkstemp(path), lines = 0;

	(void)state;
	assert_true(fd >= 0);
	FILE *in = fdopen(fd, "r");
	assert_int_equal(report_open(&r, path, false, why, sizeof(why)), 0);
	report_flow(r, &f);
	report_flow(r, &f);
	assert_int_equal(report_close(r, why, sizeof(why)), 0);
	while (fgets(line, sizeof(line), in)) {
		cJSON *o = cJSON_Parse(line);
		assert_non_null(o);
		cJSON_Delete(o);
		lines++;
	}
	assert_int_equal(lines, 2);
	fclose(in);
	remove(path);
}

static void a_full_disk_is_said(void **state)
{
	char why[256];
	struct flow f = example();
	struct report *r;

	(void)state;
	assert_true(report_open(&r, "/nowhere/flows", false, why, sizeof(why)) < 0);
	assert_non_null(strstr(why, "/nowhere/flows"));
	assert_int_equal(report_open(&r, "/dev/full", false, why, sizeof(why)), 0);
	report_flow(r, &f);
	assert_true(report_close(r, why, sizeof(why)) < 0);
	assert_non_null(strstr(why, "/dev/full is incomplete"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(finds_by_both_addresses_and_protocol),
		cmocka_unit_test(many_flows_are_found_and_swept),
		cmocka_unit_test(says_the_line),
		cmocka_unit_test(says_it_as_json),
		cmocka_unit_test(writes_a_line_each),
		cmocka_unit_test(a_full_disk_is_said),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
