// SPDX-License-Identifier: GPL-3.0-or-later
// policy_test - what is opened and what passes; what is remembered, and in which file.

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "tls/quic.h"
#include "tunnel/memory.h"
#include "tunnel/policy.h"

static const struct policy_target web = {.executable = "/usr/bin/curl", .sni = "www.example.test", .address = "192.0.2.1", .port = 443};
static const struct policy_target bare = {.sni = "", .address = "2001:db8::1", .port = 8443};

static struct policy *open_policy(const struct policy_options *options)
{
	struct policy *policy;
	char why[256];

	assert_int_equal(policy_open(&policy, options, why, sizeof(why)), 0);
	return policy;
}

static enum policy_answer ask(const struct policy *policy, const struct policy_target *target, const char *reason)
{
	const char *said;
	enum policy_answer answer = policy_tls(policy, target, &said);

	if (reason)
		assert_non_null(strstr(said, reason));
	else
		assert_null(said);
	return answer;
}

static void pass_is_for_all(void **state)
{
	struct policy *policy = open_policy(&(struct policy_options){.intercept = false});

	(void)state;
	assert_int_equal(ask(policy, &web, "--tls pass"), POLICY_PASS);
	assert_false(policy_refuses_quic(policy));
	policy_close(policy);
}

static void hosts_are_chosen_by_expressions(void **state)
{
	static const struct { const char *ignore, *allow; bool web, bare; } cases[] = {
		{NULL, NULL, true, true},
		{"^www\\.example\\.test$", NULL, false, true},
		{"WWW\\.EXAMPLE", NULL, false, true},
		{"example\\.test:443$", NULL, false, true},
		{"^192\\.0\\.2\\.1:443$", NULL, false, true},
		{"^\\[2001:db8::1\\]:\\d+$", NULL, true, false},
		{":8443$", NULL, true, false},
		{NULL, "example", true, false},
		{NULL, "nobody", false, false},
		{"www", "example", false, false},
		{"^example", NULL, true, true},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct policy *policy = open_policy(&(struct policy_options){
			.intercept = true, .ignore = &cases[i].ignore, .ignore_count = cases[i].ignore != NULL,
			.allow = &cases[i].allow, .allow_count = cases[i].allow != NULL,
		});
		const char *reason;

		assert_int_equal(policy_tls(policy, &web, &reason) == POLICY_OPEN, cases[i].web);
		assert_int_equal(policy_tls(policy, &bare, &reason) == POLICY_OPEN, cases[i].bare);
		policy_close(policy);
	}
}

static void a_wrong_expression_is_shown(void **state)
{
	const char *texts[] = {"fine", "a(b"};
	struct policy *policy;
	char why[256];

	(void)state;
	assert_int_equal(policy_open(&policy, &(struct policy_options){.ignore = texts, .ignore_count = 2}, why, sizeof(why)),
			 -EINVAL);
	assert_null(policy);
	assert_non_null(strstr(why, "--ignore-hosts \"a(b\", at its character 4"));
}

// Without its limit this takes longer than anybody has.
static void an_exploding_expression_ends(void **state)
{
	const char *text = "(a+)+$";
	char name[251];
	struct policy_target target = {.sni = name, .address = "192.0.2.1", .port = 443};

	(void)state;
	memset(name, 'a', sizeof(name));
	name[sizeof(name) - 2] = 'b';
	name[sizeof(name) - 1] = '\0';
	struct policy *policy = open_policy(&(struct policy_options){.intercept = true, .ignore = &text, .ignore_count = 1});
	assert_int_equal(ask(policy, &target, NULL), POLICY_OPEN);
	policy_close(policy);
}

static void a_pin_is_one_program_s_at_one_host(void **state)
{
	struct policy *policy = open_policy(&(struct policy_options){.intercept = true, .pin_bypass = true});
	struct policy_target other = web;

	(void)state;
	assert_true(policy_pinned(policy, &web, true));
	assert_int_equal(ask(policy, &web, "refused our certificate"), POLICY_PINNED);
	other.sni = "WWW.example.TEST";
	assert_int_equal(ask(policy, &other, "refused"), POLICY_PINNED);
	other.sni = "example.test";
	assert_int_equal(ask(policy, &other, NULL), POLICY_OPEN);
	other = web;
	other.executable = "/usr/bin/wget";
	assert_int_equal(ask(policy, &other, NULL), POLICY_OPEN);
	policy_close(policy);
}

// Browsers leave connections that they had in store.
static void who_took_it_before_only_leaves(void **state)
{
	struct policy *policy = open_policy(&(struct policy_options){.intercept = true, .pin_bypass = true});
	struct policy_target one = web, other = web;

	(void)state;
	one.pid = 1;
	other.pid = 2;
	policy_took(policy, &one);
	assert_false(policy_pinned(policy, &one, false));
	assert_int_equal(ask(policy, &one, NULL), POLICY_OPEN);
	one.sni = "example.test";
	assert_true(policy_pinned(policy, &one, false));
	assert_true(policy_pinned(policy, &other, false));
	assert_int_equal(ask(policy, &other, "refused"), POLICY_PINNED);
	policy_close(policy);

	policy = open_policy(&(struct policy_options){.intercept = true, .pin_bypass = true});
	policy_took(policy, &other);
	assert_true(policy_pinned(policy, &other, true));
	policy_close(policy);
}

static void pins_can_be_left_out(void **state)
{
	struct policy *policy = open_policy(&(struct policy_options){.intercept = true, .pin_bypass = false});

	(void)state;
	assert_false(policy_pinned(policy, &web, true));
	assert_int_equal(ask(policy, &web, NULL), POLICY_OPEN);
	policy_close(policy);
}

static void client_certificates_are_a_place_s(void **state)
{
	struct policy *policy = open_policy(&(struct policy_options){.intercept = true});
	struct policy_target other = web;

	(void)state;
	policy_wants_certificate(policy, &web);
	other.executable = NULL;
	assert_int_equal(ask(policy, &other, "client certificate"), POLICY_PASS);
	other.port = 8443;
	assert_int_equal(ask(policy, &other, NULL), POLICY_OPEN);
	policy_close(policy);
}

// As above: lost once, the next passes.
static void what_was_lost_is_a_place_s(void **state)
{
	struct policy *policy = open_policy(&(struct policy_options){.intercept = true});
	struct policy_target other = web;

	(void)state;
	policy_lost(policy, &web);
	other.executable = NULL;
	assert_int_equal(ask(policy, &other, "could not be opened before"), POLICY_PASS);
	other.port = 8443;
	assert_int_equal(ask(policy, &other, NULL), POLICY_OPEN);
	policy_close(policy);
}

// --- the file ---------------------------------------------------------------

static void read_all(const char *path, char *text, size_t size)
{
	FILE *file = fopen(path, "r");
	size_t n;

	assert_non_null(file);
	n = fread(text, 1, size - 1, file);
	text[n] = '\0';
	assert_int_equal(fclose(file), 0);
}

static void pins_are_kept(void **state)
{
	char path[] = "/tmp/apptap-pins.XXXXXX", text[256], why[256];
	int fd = mkstemp(path);
	struct policy_options options = {.intercept = true, .pin_bypass = true, .pins_path = path};
	struct policy *policy;
	struct stat status;
	FILE *file;

	(void)state;
	assert_true(fd >= 0 && !close(fd) && !unlink(path));
	policy = open_policy(&options);
	assert_true(policy_pinned(policy, &web, true));
	assert_true(policy_pinned(policy, &web, true));
	read_all(path, text, sizeof(text));
	assert_string_equal(text, "/usr/bin/curl\twww.example.test\n");
	assert_int_equal(stat(path, &status), 0);
	assert_int_equal(status.st_mode & 0777, 0600);
	policy_close(policy);

	policy = open_policy(&options);
	assert_int_equal(ask(policy, &web, "refused"), POLICY_PINNED);
	policy_close(policy);

	file = fopen(path, "a");
	assert_non_null(file);
	assert_true(fputs("# a remark\n\nno tab in here\n", file) >= 0 && !fclose(file));
	assert_int_equal(policy_open(&policy, &options, why, sizeof(why)), -EINVAL);
	assert_non_null(strstr(why, "line 4"));
	unlink(path);
}

static void the_oldest_is_forgotten(void **state)
{
	struct memory *memory;
	char host[32], why[64];

	(void)state;
	assert_int_equal(memory_open(&memory, NULL, why, sizeof(why)), 0);
	for (int i = 0; i <= MEMORY_MOST; i++) {
		snprintf(host, sizeof(host), "host%d", i);
		assert_true(memory_add(memory, "a", host));
		assert_false(memory_add(memory, "a", host));
	}
	assert_false(memory_has(memory, "a", "host0"));
	assert_true(memory_has(memory, "a", "host1"));
	assert_true(memory_has(memory, "a", host));
	memory_close(memory);
}

// --- QUIC -------------------------------------------------------------------

// Heads of first datagrams: first byte, version, connection IDs' sizes.
static void first_datagrams_of_quic(void **state)
{
	static const struct { uint8_t first; uint32_t version; uint8_t to, from; size_t size; bool is; } cases[] = {
		{0xc3, 1, 8, 0, 1200, true},
		{0xc0, 1, 20, 20, 1350, true},
		{0xd1, 0x6b3343cf, 8, 8, 1252, true},
		{0xc1, 0xff00001d, 8, 8, 1200, true},
		{0xc3, 1, 8, 0, 1199, false},
		{0xc3, 1, 7, 0, 1200, false},
		{0xc3, 1, 21, 0, 1200, false},
		{0xc3, 1, 8, 21, 1200, false},
		{0xd3, 1, 8, 0, 1200, false},		// 0-RTT
		{0xe3, 1, 8, 0, 1200, false},		// Handshake
		{0xc3, 0, 8, 0, 1200, false},		// version negotiation
		{0xc3, 0x6b3343cf, 8, 0, 1200, false},	// version 2 counts types otherwise
		{0x43, 1, 8, 0, 1200, false},		// short header
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		uint8_t *b = calloc(1, cases[i].size);

		assert_non_null(b);
		b[0] = cases[i].first;
		for (int byte = 0; byte < 4; byte++)
			b[1 + byte] = (uint8_t)(cases[i].version >> (24 - 8 * byte));
		b[5] = cases[i].to;
		b[6 + cases[i].to] = cases[i].from;
		assert_int_equal(quic_is_initial(b, cases[i].size), cases[i].is);
		free(b);
	}
	assert_false(quic_is_initial("", 0));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(pass_is_for_all),
		cmocka_unit_test(hosts_are_chosen_by_expressions),
		cmocka_unit_test(a_wrong_expression_is_shown),
		cmocka_unit_test(an_exploding_expression_ends),
		cmocka_unit_test(a_pin_is_one_program_s_at_one_host),
		cmocka_unit_test(who_took_it_before_only_leaves),
		cmocka_unit_test(pins_can_be_left_out),
		cmocka_unit_test(client_certificates_are_a_place_s),
		cmocka_unit_test(what_was_lost_is_a_place_s),
		cmocka_unit_test(pins_are_kept),
		cmocka_unit_test(the_oldest_is_forgotten),
		cmocka_unit_test(first_datagrams_of_quic),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
