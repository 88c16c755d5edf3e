// SPDX-License-Identifier: GPL-3.0-or-later
// tls_test - both ends of an interception, between an app and an origin in memory.

#include "tests/unit/tls_world.h"

static const struct app_options plain_app = { .sni = "good.example" };

// --- agreeing ---------------------------------------------------------------

static void agree(const struct app_options *app, const struct origin_options *origin,
		  const char *version, const char *alpn, size_t cut)
{
	struct world world = { 0 };

	for (size_t i = 0; i < 4; i++)
		world.queues[i].cut = cut;
	world_start(&world, app, origin, "root.crt", false);
	world_shake(&world);
	if (world.app_result || world.accept_result)
		fail_msg("%s: origin's end %d %s, app's end %d %s, app %d %s", origin->certificate,
			 world.connect_result, world.connect ? tls_error(world.connect) : "",
			 world.accept_result, world.accept ? tls_error(world.accept) : "",
			 world.app_result, tls_error(world.app));
	assert_string_equal(tls_version(world.connect), version);
	assert_string_equal(tls_version(world.accept), version);
	assert_string_equal(tls_version(world.app), version);
	assert_string_equal(tls_alpn(world.connect), alpn);
	assert_string_equal(tls_alpn(world.accept), alpn);
	assert_string_equal(tls_alpn(world.app), alpn);
	assert_memory_equal(tls_cipher(world.connect), "TLS_", 4);
	assert_int_equal(tls_verdict(world.connect), TLS_TRUSTED);
	assert_string_equal(tls_verdict_text(world.connect), "");
	assert_int_equal(tls_verdict(world.app), TLS_TRUSTED);
	assert_string_equal(tls_verdict_text(world.app), "");
	assert_int_equal(tls_alert(world.connect), 0);
	world_end(&world);
}

static void agrees_on_versions(void **state)
{
	const struct app_options old = { .sni = "good.example", .version_max = 0x0303 };
	const struct app_options only13 = { .sni = "good.example", .version_min = 0x0304 };
	const struct origin_options any = { .certificate = "good" };
	const struct origin_options old_origin = { .certificate = "good", .version_max = 0x0303 };

	(void)state;
	agree(&plain_app, &any, "TLSv1.3", "", 0);
	agree(&plain_app, &old_origin, "TLSv1.2", "", 0);
	agree(&old, &any, "TLSv1.2", "", 0);
	agree(&only13, &any, "TLSv1.3", "", 0);
}

static void agrees_byte_by_byte(void **state)
{
	const struct origin_options any = { .certificate = "good", .alpn = "h2" };
	const struct origin_options old = { .certificate = "good", .version_max = 0x0303 };
	const struct app_options app = { .sni = "good.example", .alpn = "\x02h2\x08http/1.1" };

	(void)state;
	agree(&app, &any, "TLSv1.3", "h2", 1);
	agree(&app, &old, "TLSv1.2", "", 1);
	agree(&app, &any, "TLSv1.3", "h2", 7);
}

static void agrees_on_protocols(void **state)
{
	const struct app_options both = { .sni = "good.example", .alpn = "\x02h2\x08http/1.1" };
	const struct app_options turned = { .sni = "good.example", .alpn = "\x08http/1.1\x02h2" };
	const struct app_options odd = { .sni = "good.example", .alpn = "\x02,,\x02h2\x03" "a b" };
	const struct origin_options h2 = { .certificate = "good", .alpn = "h2" };
	const struct origin_options http = { .certificate = "good", .alpn = "http/1.1" };
	const struct origin_options none = { .certificate = "good" };
	const struct origin_options http12 = { .certificate = "rsa", .alpn = "http/1.1",
					       .version_max = 0x0303 };

	(void)state;
	agree(&both, &h2, "TLSv1.3", "h2", 0);
	agree(&both, &http, "TLSv1.3", "http/1.1", 0);
	agree(&turned, &h2, "TLSv1.3", "h2", 0);
	agree(&both, &none, "TLSv1.3", "", 0);
	agree(&both, &http12, "TLSv1.2", "http/1.1", 0);
	agree(&odd, &h2, "TLSv1.3", "h2", 0);
}

static void takes_every_kind_of_key(void **state)
{
	static const char *const kinds[] = { "good", "rsa", "ed25519", "p384", "needless" };

	(void)state;
	for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++) {
		const struct origin_options any = { .certificate = kinds[i] };
		const struct origin_options old = { .certificate = kinds[i], .version_max = 0x0303 };

		agree(&plain_app, &any, "TLSv1.3", "", 0);
		agree(&plain_app, &old, "TLSv1.2", "", 0);
	}
}

static void checks_addresses_where_no_name_is(void **state)
{
	const struct app_options nameless = { 0 };
	const struct app_options wild = { .sni = "a.wild.example" };
	const struct origin_options any = { .certificate = "good" };

	(void)state;
	agree(&nameless, &any, "TLSv1.3", "", 0);
	agree(&wild, &any, "TLSv1.3", "", 0);
}

// --- verdicts ---------------------------------------------------------------

static void judges(void **state)
{
	static const struct {
		const char *certificate, *sni;
		enum tls_trust trust, seen;	// by the tap; by the app
		const char *text, *seen_text;
	} table[] = {
		{ "expired", "good.example", TLS_BAD_LEAF, TLS_BAD_LEAF,
		  "certificate has expired", "certificate has expired" },
		{ "other", "good.example", TLS_BAD_LEAF, TLS_BAD_LEAF,
		  "host name does not match: not for good.example",
		  "host name does not match: not for good.example" },
		{ "good", "bad.example", TLS_BAD_LEAF, TLS_BAD_LEAF,
		  "host name does not match: not for bad.example",
		  "host name does not match: not for bad.example" },
		{ "good", "a.b.wild.example", TLS_BAD_LEAF, TLS_BAD_LEAF, NULL, NULL },
		{ "client", "good.example", TLS_BAD_LEAF, TLS_BAD_LEAF,
		  "unsuitable certificate purpose", "unsuitable certificate purpose" },
		{ "nosan", "good.example", TLS_TRUSTED, TLS_TRUSTED, "", "" },
		{ "nosan", "bad.example", TLS_BAD_LEAF, TLS_BAD_LEAF, NULL, NULL },
		{ "selfsigned", "good.example", TLS_BAD_CHAIN, TLS_BAD_CHAIN,
		  "self-signed certificate", "self-signed certificate" },
		{ "unknown", "good.example", TLS_BAD_CHAIN, TLS_BAD_CHAIN,
		  "unable to get local issuer certificate", "unable to get local issuer certificate" },
		{ "closed", "good.example", TLS_BAD_CHAIN, TLS_BAD_CHAIN,
		  "self-signed certificate in certificate chain",
		  "self-signed certificate in certificate chain" },
		{ "incomplete", "good.example", TLS_BAD_CHAIN, TLS_BAD_CHAIN,
		  "unable to get local issuer certificate", "unable to get local issuer certificate" },
		{ "doubly", "good.example", TLS_BAD_CHAIN, TLS_BAD_CHAIN,
		  "unable to get local issuer certificate", NULL },
		{ "understale", "good.example", TLS_BAD_CHAIN, TLS_BAD_CHAIN,
		  "issuer's certificate has expired", NULL },
		{ "undernotca", "good.example", TLS_BAD_CHAIN, TLS_BAD_CHAIN, NULL, NULL },
		{ "undertoolong", "good.example", TLS_BAD_CHAIN, TLS_BAD_CHAIN, NULL, NULL },
		{ "forged", "good.example", TLS_BAD_CHAIN, TLS_BAD_CHAIN, NULL, NULL },
		{ "sha1", "good.example", TLS_BAD_CHAIN, TLS_BAD_CHAIN, NULL, NULL },
		{ "weak", "good.example", TLS_BAD_CHAIN, TLS_BAD_CHAIN, NULL, NULL },
		{ "outside", "good.example", TLS_BAD_CHAIN, TLS_BAD_CHAIN, NULL, NULL },
		{ "inside", "a.inside.example", TLS_TRUSTED, TLS_TRUSTED, "", "" },
		{ "twicebelow", "good.example", TLS_BAD_CHAIN, TLS_BAD_CHAIN, NULL, NULL },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(table) / sizeof(*table); i++) {
		const struct app_options app = { .sni = table[i].sni };
		const struct origin_options origin = { .certificate = table[i].certificate };
		struct world world = { 0 };

		world_start(&world, &app, &origin, "root.crt", false);
		world_shake(&world);
		if (world.app_result || tls_verdict(world.connect) != table[i].trust ||
		    tls_verdict(world.app) != table[i].seen)
			fail_msg("%s: %d %s; origin's end %s: %d %s; app: %d %s", table[i].certificate,
				 world.app_result, tls_error(world.app),
				 world.connect ? tls_error(world.connect) : "",
				 world.connect ? (int)tls_verdict(world.connect) : -1,
				 world.connect ? tls_verdict_text(world.connect) : "",
				 tls_verdict(world.app), tls_verdict_text(world.app));
		if (table[i].text)
			assert_string_equal(tls_verdict_text(world.connect), table[i].text);
		if (table[i].seen_text)
			assert_string_equal(tls_verdict_text(world.app), table[i].seen_text);
		world_end(&world);
	}
}

static void takes_all_as_good_when_told(void **state)
{
	static const char *const bad[] = { "expired", "other", "selfsigned", "doubly", "client", "good", "sha1" };

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		const struct origin_options origin = { .certificate = bad[i] };
		struct world world = { 0 };

		world_start(&world, &plain_app, &origin, "root.crt", true);
		world_shake(&world);
		assert_int_equal(world.app_result, 0);
		assert_int_equal(tls_verdict(world.connect), TLS_UNCHECKED);
		assert_string_equal(tls_verdict_text(world.app), "");
		assert_int_equal(tls_verdict(world.app), TLS_TRUSTED);
		world_end(&world);
	}
}

static void a_self_signed_leaf_can_be_trusted(void **state)
{
	const struct origin_options origin = { .certificate = "selfsigned" };
	struct world world = { 0 };

	(void)state;
	world_start(&world, &plain_app, &origin, "selfsigned.pem", false);
	world_shake(&world);
	assert_int_equal(tls_verdict(world.connect), TLS_TRUSTED);
	assert_int_equal(tls_verdict(world.app), TLS_TRUSTED);
	world_end(&world);
}

// --- refusing ---------------------------------------------------------------

static void refuses_where_a_client_certificate_is_asked_for(void **state)
{
	(void)state;
	for (uint16_t version = 0x0303; version <= 0x0304; version++) {
		const struct origin_options origin = { .certificate = "good", .asks = true,
						       .version_max = version };
		struct world world = { 0 };

		world_start(&world, &plain_app, &origin, "root.crt", false);
		world_shake(&world);
		assert_int_equal(world.connect_result, -EPROTO);
		assert_string_equal(tls_error(world.connect), "the origin asks for a client certificate");
		assert_null(world.accept);
		world_end(&world);
	}
}

// Nothing is verified in the handshake but this: that the origin holds the key to
// the chain that it shows. Anybody can show one.
static void refuses_a_chain_without_its_key(void **state)
{
	static const struct { const char *certificate, *key; } table[] = {
		{ "good", "other" }, { "rsa", "rsa2" }, { "selfsigned", "good" },
	};

	(void)state;
	for (size_t i = 0; i < 2 * sizeof(table) / sizeof(*table); i++) {
		const struct origin_options origin = {
			.certificate = table[i / 2].certificate, .key = table[i / 2].key,
			.version_max = i % 2 ? 0x0303 : 0x0304,
		};

		for (int insecure = 0; insecure < 2; insecure++) {
			struct world world = { 0 };

			world_start(&world, &plain_app, &origin, "root.crt", insecure);
			world_shake(&world);
			assert_int_equal(world.connect_result, -EPROTO);
			assert_null(world.accept);
			world_end(&world);
		}
	}
}

static void refuses_what_it_cannot_read(void **state)
{
	const struct origin_options origin = { .certificate = "critical" };
	struct world world = { 0 };

	(void)state;
	world_start(&world, &plain_app, &origin, "root.crt", false);
	world_shake(&world);
	assert_int_equal(world.connect_result, -EPROTO);
	assert_true(strlen(tls_error(world.connect)) > 0);
	world_end(&world);
}

static void says_what_an_origin_answered(void **state)
{
	static const uint8_t alert[] = { 21, 3, 3, 0, 2, 2, 40 };
	struct hello hello = { .sni = "good.example", .version_min = 0x0303, .version_max = 0x0304 };
	struct world world = { 0 };
	struct party party = { .in = &world.queues[3], .out = &world.queues[2] };

	(void)state;
	world_authority(&world);
	house_open(&world.house, world.authority, NULL, false);
	assert_int_equal(tls_connect(&world.connect, world.house, &hello, "::1", 443, &world_wire, &party), 0);
	assert_int_equal(tls_handshake(world.connect), -EAGAIN);
	queue_put(&world.queues[3], alert, sizeof(alert));
	assert_int_equal(tls_handshake(world.connect), -EPROTO);
	assert_int_equal(tls_alert(world.connect), 40);
	assert_string_equal(tls_error(world.connect), "the origin sent the alert handshake_failure");
	assert_int_equal(tls_handshake(world.connect), -EPROTO);
	assert_int_equal(tls_read(world.connect, &hello, 1), -EPROTO);
	assert_int_equal(tls_write(world.connect, &hello, 1), -EPROTO);
	tls_close(world.connect);

	// An origin that goes away, one whose wire breaks, one that is no TLS server.
	free(world.queues[3].bytes);
	world.queues[3] = (struct queue){ .ended = true };
	assert_int_equal(tls_connect(&world.connect, world.house, &hello, "::1", 443, &world_wire, &party), 0);
	assert_int_equal(tls_handshake(world.connect), -ECONNRESET);
	tls_close(world.connect);
	world.queues[3] = (struct queue){ .broken = true };
	assert_int_equal(tls_connect(&world.connect, world.house, &hello, "::1", 443, &world_wire, &party), 0);
	assert_int_equal(tls_handshake(world.connect), -ETIMEDOUT);
	tls_close(world.connect);
	world.queues[3] = (struct queue){ 0 };
	queue_put(&world.queues[3], "HTTP/1.1 400 Bad Request\r\n\r\n", 28);
	assert_int_equal(tls_connect(&world.connect, world.house, &hello, "::1", 443, &world_wire, &party), 0);
	assert_int_equal(tls_handshake(world.connect), -EPROTO);
	assert_true(strlen(tls_error(world.connect)) > 0);
	tls_close(world.connect);

	// An app that is too old.
	hello.version_min = hello.version_max = 0x0300;
	assert_int_equal(tls_connect(&world.connect, world.house, &hello, "::1", 443, &world_wire, &party), 0);
	assert_int_equal(tls_handshake(world.connect), -EPROTO);
	assert_string_equal(tls_error(world.connect), "the app speaks no version of TLS that is allowed");
	world_end(&world);
}

// --- secrets ----------------------------------------------------------------

static unsigned count_lines(const char *lines, const char *label)
{
	unsigned count = 0;
	size_t size = strlen(label);

	for (const char *at = lines; at && *at; at = strchr(at, '\n') ? strchr(at, '\n') + 1 : NULL)
		if (strncmp(at, label, size) == 0 && at[size] == ' ')
			count++;
	return count;
}

static void tells_its_secrets(void **state)
{
	static const char *const labels[] = {
		"CLIENT_HANDSHAKE_TRAFFIC_SECRET", "SERVER_HANDSHAKE_TRAFFIC_SECRET",
		"CLIENT_TRAFFIC_SECRET_0", "SERVER_TRAFFIC_SECRET_0", "EXPORTER_SECRET",
	};
	const struct origin_options any = { .certificate = "good" };
	const struct origin_options old = { .certificate = "good", .version_max = 0x0303 };
	struct world world = { 0 };

	(void)state;
	world_start(&world, &plain_app, &any, "root.crt", false);
	world_shake(&world);
	assert_int_equal(world.app_result, 0);
	for (size_t i = 0; i < sizeof(labels) / sizeof(*labels); i++) {
		assert_int_equal(count_lines(world.accept_party.lines, labels[i]), 1);
		assert_int_equal(count_lines(world.connect_party.lines, labels[i]), 1);
	}
	// Both sides of one connection say the same.
	for (const char *line = world.app_party.lines; *line; line = strchr(line, '\n') + 1) {
		char one[512];

		snprintf(one, sizeof(one), "%.*s", (int)(strchr(line, '\n') - line), line);
		assert_non_null(strstr(world.accept_party.lines, one));
		assert_null(strstr(world.connect_party.lines, one));
	}
	world_end(&world);

	world_start(&world, &plain_app, &old, "root.crt", false);
	world_shake(&world);
	assert_int_equal(world.app_result, 0);
	assert_int_equal(count_lines(world.accept_party.lines, "CLIENT_RANDOM"), 1);
	assert_int_equal(count_lines(world.connect_party.lines, "CLIENT_RANDOM"), 1);
	assert_string_equal(world.app_party.lines, world.accept_party.lines);
	assert_int_equal(strlen(world.app_party.lines), strlen("CLIENT_RANDOM") + 1 + 64 + 1 + 96 + 1);
	world_end(&world);
}

// The hall holds the handshake's packets back until the secrets are there: they
// must be complete before the app could send under them.
static void tells_them_in_time(void **state)
{
	(void)state;
	for (uint16_t version = 0x0303; version <= 0x0304; version++) {
		const struct origin_options origin = { .certificate = "good", .version_max = version };
		struct world world = { 0 };

		world_start(&world, &plain_app, &origin, "root.crt", false);
		for (int turn = 0; turn < 1000 && world.app_result == -EAGAIN; turn++)
			world_turn(&world);
		assert_int_equal(world.app_result, 0);
		assert_int_equal(count_lines(world.accept_party.lines, version == 0x0303 ?
					     "CLIENT_RANDOM" : "CLIENT_TRAFFIC_SECRET_0"), 1);
		world_end(&world);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(agrees_on_versions),
		cmocka_unit_test(agrees_byte_by_byte),
		cmocka_unit_test(agrees_on_protocols),
		cmocka_unit_test(takes_every_kind_of_key),
		cmocka_unit_test(checks_addresses_where_no_name_is),
		cmocka_unit_test(judges),
		cmocka_unit_test(takes_all_as_good_when_told),
		cmocka_unit_test(a_self_signed_leaf_can_be_trusted),
		cmocka_unit_test(refuses_where_a_client_certificate_is_asked_for),
		cmocka_unit_test(refuses_a_chain_without_its_key),
		cmocka_unit_test(refuses_what_it_cannot_read),
		cmocka_unit_test(says_what_an_origin_answered),
		cmocka_unit_test(tells_its_secrets),
		cmocka_unit_test(tells_them_in_time),
	};

	return cmocka_run_group_tests(tests, world_open, world_close);
}
