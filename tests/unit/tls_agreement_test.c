// SPDX-License-Identifier: GPL-3.0-or-later
// tls_agreement_test - what each end offers, shows, believes and breaks off with.

#include "tests/unit/tls_world.h"

#include <wolfssl/wolfcrypt/aes.h>
#include <wolfssl/wolfcrypt/kdf.h>

static const struct app_options plain_app = { .sni = "good.example" };

static void start_with(struct world *world, struct tls_options options, const struct app_options *app,
		       const struct origin_options *origin)
{
	char why[256] = "";

	world_authority(world);
	options.authority = world->authority;
	options.upstream_ca = world_path("root.crt");
	if (tls_open(&world->house, &options, why, sizeof(why)) != 0)
		fail_msg("%s", why);
	world_start(world, app, origin, "root.crt", false);
	world_shake(world);
}

// --- versions ---------------------------------------------------------------

static void keeps_to_forced_versions(void **state)
{
	static const struct {
		uint16_t min, max, app_max;
		const char *origin, *app;	// "" : it fails
	} table[] = {
		{ 0, 0, 0x0304, "TLSv1.3", "TLSv1.3" },
		{ 0, 0x0303, 0x0304, "TLSv1.2", "TLSv1.2" },
		{ 0x0304, 0, 0x0304, "TLSv1.3", "TLSv1.3" },
		{ 0x0304, 0, 0x0303, "TLSv1.3", "TLSv1.2" },	// the app's leg can do no better
		{ 0x0301, 0x0302, 0x0304, "TLSv1.1", "TLSv1.1" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(table) / sizeof(*table); i++) {
		const struct app_options app = { .sni = "good.example", .version_max = table[i].app_max,
						 .version_min = i == 4 ? 0x0301 : 0 };
		const struct origin_options origin = { .certificate = "good", .version_min = 0x0301 };
		struct world world = { 0 };

		if (i == 4) {	// whoever tests offers as much as the tap may answer with
			const struct tls_options low = { .version_min = 0x0301, .version_max = 0x0304 };
			struct tls_options own = low;
			char why[256];

			world_authority(&world);
			own.authority = world.authority;
			own.upstream_ca = authority_path(world.authority);
			assert_int_equal(tls_open(&world.app_house, &own, why, sizeof(why)), 0);
			authority_close(world.authority);
		}
		start_with(&world, (struct tls_options){ .version_min = table[i].min,
							 .version_max = table[i].max }, &app, &origin);
		if (world.connect_result || world.accept_result || world.app_result)
			fail_msg("%zu: %d %s, %d %s, %d %s", i, world.connect_result,
				 tls_error(world.connect), world.accept_result,
				 world.accept ? tls_error(world.accept) : "", world.app_result,
				 tls_error(world.app));
		assert_string_equal(tls_version(world.connect), table[i].origin);
		assert_string_equal(tls_version(world.accept), table[i].app);
		world_end(&world);
	}
}

static void offers_nothing_old_to_the_origin_of_a_newer_app(void **state)
{
	const struct app_options app = { .sni = "good.example", .version_min = 0x0301 };
	const struct origin_options origin = { .certificate = "good", .version_min = 0x0301,
					       .version_max = 0x0302 };
	struct world world = { 0 };

	(void)state;
	start_with(&world, (struct tls_options){ 0 }, &app, &origin);
	assert_int_equal(world.connect_result, -EPROTO);
	assert_null(world.accept);
	world_end(&world);
}

static void offers_nothing_that_the_app_does_not(void **state)
{
	static const struct { uint16_t suite, group, signature; const char *text; } table[] = {
		{ 0x1301, 29, 0x0403, "" },
		{ 0x1304, 29, 0x0403, "the app offers no cipher suite that apptap speaks" },	// CCM
		{ 0xc02b, 29, 0x0403, "the app offers no cipher suite that apptap speaks" },	// not in TLS 1.3
		{ 0x1301, 0x11ec, 0x0403, "the app offers no key exchange that apptap speaks" },
		{ 0x1301, 29, 0x0808, "the app offers no signature algorithm that apptap speaks" },
	};
	struct tls_options options = { 0 };
	struct world world = { 0 };

	(void)state;
	world_authority(&world);
	options.authority = world.authority;
	assert_int_equal(tls_open(&world.house, &options, (char[64]){ 0 }, 64), 0);
	for (size_t i = 0; i < sizeof(table) / sizeof(*table); i++) {
		struct hello hello = {
			.version_min = 0x0304, .version_max = 0x0304, .suites = { table[i].suite }, .suite_count = 1,
			.groups = { true, 1, { table[i].group } }, .signatures = { true, 1, { table[i].signature } },
		};
		struct queue in = { 0 }, out = { 0 };
		struct party party = { .in = &in, .out = &out };
		struct tls *end;

		assert_int_equal(tls_connect(&end, world.house, &hello, "127.0.0.1", 443, &world_wire, &party), 0);
		assert_int_equal(tls_handshake(end), table[i].text[0] ? -EPROTO : -EAGAIN);
		assert_string_equal(tls_error(end), table[i].text);
		assert_int_equal(out.size > 0, !table[i].text[0]);
		tls_close(end);
		free(out.bytes);
	}
	world_end(&world);
}

static void names_the_group(void **state)
{
	(void)state;
	for (uint16_t version = 0x0303; version <= 0x0304; version++) {
		const struct origin_options origin = { .certificate = "good", .version_max = version };
		struct world world = { 0 };

		start_with(&world, (struct tls_options){ 0 }, &plain_app, &origin);
		assert_int_equal(world.accept_result, 0);
		if (strcmp(tls_group(world.connect), "secp256r1") != 0)
			assert_string_equal(tls_group(world.connect), "x25519");
		assert_string_equal(tls_group(world.accept), tls_group(world.app));
		world_end(&world);
	}
}

// --- shares that wolfSSL does not know --------------------------------------

static uint8_t *put16(uint8_t *at, unsigned value)
{
	*at++ = value >> 8;
	*at++ = value & 0xff;
	return at;
}

static uint8_t *put_bytes(uint8_t *at, const void *bytes, size_t size)
{
	memcpy(at, bytes, size);
	return at + size;
}

// A hello of TLS 1.3 with an X25519MLKEM768 share (0x11ec, 1216 bytes: draft-ietf-tls-ecdhe-mlkem)
// and, if asked, an X25519 one.
static size_t quantum_hello(uint8_t out[2048], bool x25519)
{
	static const uint8_t begin[] = { 22, 3, 1, 0, 0, 1, 0, 0, 0, 3, 3 };
	static const uint8_t suites[] = { 0, 2, 0x13, 0x01, 1, 0 };
	static const uint8_t rest[] = { 0, 43, 0, 3, 2, 3, 4,			// supported_versions
					0, 10, 0, 6, 0, 4, 0x11, 0xec, 0, 29,	// supported_groups
					0, 13, 0, 6, 0, 4, 4, 3, 8, 4 };	// signature_algorithms
	size_t shares = 4 + 1216 + (x25519 ? 4 + 32 : 0);
	uint8_t *at = put_bytes(out, begin, sizeof(begin)), *extensions;

	memset(at, 0x5a, 32);
	at += 32;
	*at++ = 0;
	extensions = at = put_bytes(at, suites, sizeof(suites));
	at = put_bytes(at + 2, rest, sizeof(rest));
	at = put16(put16(put16(at, 51), shares + 2), shares);
	at = put16(put16(at, 0x11ec), 1216);
	memset(at, 0x77, 1216);
	at += 1216;
	if (x25519) {
		at = put16(put16(at, 29), 32);
		memset(at, 9, 32);
		at += 32;
	}
	put16(extensions, at - extensions - 2);
	put16(out + 3, at - out - 5);
	put16(out + 7, at - out - 9);
	return at - out;
}

static void meets_post_quantum_shares(void **state)
{
	// SHA-256 of "HelloRetryRequest" (RFC 8446 4.1.3), its first bytes.
	static const uint8_t retry[] = { 0xcf, 0x21, 0xad, 0x74, 0xe5, 0x9a, 0x61, 0x11 };
	static const size_t cuts[] = { 0, 1, 600 };

	(void)state;
	for (size_t i = 0; i < 6; i++) {
		const struct origin_options origin = { .certificate = "good" };
		bool x25519 = i % 2;
		uint8_t bytes[2048];
		size_t size = quantum_hello(bytes, x25519);
		struct world world = { 0 };
		struct queue *in = &world.queues[0], *back = &world.queues[1];

		in->cut = cuts[i / 2];
		world_start(&world, &plain_app, &origin, "root.crt", false);
		world.app_result = 1;		// this app is the bytes above
		queue_put(in, bytes, size);
		for (int turn = 0; turn < 3000; turn++)
			world_turn(&world);
		assert_int_equal(world.connect_result, 0);
		if (world.accept_result != -EAGAIN)
			fail_msg("%zu: %d %s", i, world.accept_result, tls_error(world.accept));
		assert_true(back->size - back->at > 64);
		assert_int_equal(back->bytes[back->at], 22);
		assert_int_equal(!memcmp(back->bytes + back->at + 11, retry, sizeof(retry)), !x25519);
		world_end(&world);
	}
}

// --- resumption -------------------------------------------------------------

// One connection, until the tickets of both legs have come.
static void connect_once(struct world *world, const struct app_options *app,
			 const struct origin_options *origin)
{
	char byte;

	world_start(world, app, origin, "root.crt", false);
	world_shake(world);
	if (world->app_result || world->accept_result || world->connect_result)
		fail_msg("%d %s", world->connect_result, tls_error(world->connect));
	assert_int_equal(tls_read(world->connect, &byte, 1), -EAGAIN);
	assert_int_equal(tls_pass_tickets(world->connect, world->accept), 0);
	assert_int_equal(tls_read(world->app, &byte, 1), -EAGAIN);
}

static void resumes_on_both_legs(void **state)
{
	(void)state;
	for (uint16_t version = 0x0303; version <= 0x0304; version++) {
		const struct origin_options origin = { .certificate = "good", .version_max = version };
		const struct app_options first = { .sni = "good.example", .resumes = true };
		struct world world = { .origin_stays = true };

		connect_once(&world, &first, &origin);
		assert_false(tls_resumed(world.connect));
		for (int turn = 0; turn < 2; turn++) {
			world_hang_up(&world);
			connect_once(&world, &first, &origin);
			assert_true(tls_resumed(world.app));
			assert_true(tls_resumed(world.accept));
			assert_true(tls_resumed(world.connect));
			assert_int_equal(tls_verdict(world.connect), TLS_TRUSTED);
		}
		// Not for an app that would not, nor for another name.
		world_hang_up(&world);
		connect_once(&world, &plain_app, &origin);
		assert_false(tls_resumed(world.connect));
		world_hang_up(&world);
		connect_once(&world, &(struct app_options){ .sni = "a.wild.example", .resumes = true }, &origin);
		assert_false(tls_resumed(world.connect));
		// An origin that forgot begins anew.
		world_hang_up(&world);
		wolfSSL_CTX_free(world.origin.context);
		world.origin.context = NULL;
		connect_once(&world, &first, &origin);
		assert_false(tls_resumed(world.connect));
		assert_int_equal(tls_verdict(world.connect), TLS_TRUSTED);
		world_end(&world);
	}
}

// The certificate of then is judged anew: no session makes a bad one good.
static void judges_a_resumed_origin(void **state)
{
	(void)state;
	for (uint16_t version = 0x0303; version <= 0x0304; version++) {
		const struct origin_options origin = { .certificate = "expired", .version_max = version };
		const struct app_options app = { .sni = "good.example", .resumes = true };
		struct world world = { .origin_stays = true };

		for (int turn = 0; turn < 2; turn++) {
			connect_once(&world, &app, &origin);
			assert_int_equal(tls_resumed(world.connect), turn);
			assert_int_equal(tls_verdict(world.connect), TLS_BAD_LEAF);
			assert_string_equal(tls_verdict_text(world.connect), "certificate has expired");
			world_hang_up(&world);
		}
		world_end(&world);
	}
}

static size_t secret_of(const char *lines, const char *label, uint8_t out[64])
{
	const char *at = strstr(lines, label);
	size_t size = 0;
	unsigned byte;

	assert_non_null(at);
	at = strchr(strchr(at, ' ') + 1, ' ') + 1;
	while (size < 64 && sscanf(at, "%2x", &byte) == 1) {
		out[size++] = byte;
		at += 2;
	}
	return size;
}

// Seals a record as a server whose first one it is under TLS_AES_128_GCM_SHA256
// (RFC 8446 5.2, 7.3). Its size.
static size_t seal(uint8_t *out, const char *lines, const uint8_t *inner, size_t size)
{
	uint8_t secret[64], key[16], iv[12];
	size_t secret_size = secret_of(lines, "SERVER_TRAFFIC_SECRET_0", secret);
	Aes aes;

	assert_int_equal(secret_size, 32);
	assert_int_equal(wc_Tls13_HKDF_Expand_Label(key, sizeof(key), secret, 32, (const byte *)"tls13 ", 6,
			 (const byte *)"key", 3, NULL, 0, WC_SHA256), 0);
	assert_int_equal(wc_Tls13_HKDF_Expand_Label(iv, sizeof(iv), secret, 32, (const byte *)"tls13 ", 6,
			 (const byte *)"iv", 2, NULL, 0, WC_SHA256), 0);
	memcpy(out, "\x17\x03\x03\x00", 4);
	out[4] = size + 16;
	assert_int_equal(wc_AesInit(&aes, NULL, INVALID_DEVID), 0);
	assert_int_equal(wc_AesGcmSetKey(&aes, key, sizeof(key)), 0);
	assert_int_equal(wc_AesGcmEncrypt(&aes, out + 5, inner, size, iv, sizeof(iv), out + 5 + size, 16, out, 5), 0);
	wc_AesFree(&aes);
	return 5 + size + 16;
}

// Some servers' nonces are longer than wolfSSL's own (RFC 8446 4.6.1: up to 255 bytes).
static void takes_tickets_of_any_nonce(void **state)
{
	const struct origin_options origin = { .certificate = "good" };
	uint8_t inner[4 + 4 + 4 + 1 + 32 + 2 + 16 + 2 + 1] = { 4, 0, 0, sizeof(inner) - 5, 0, 0, 0x0e, 0x10,
							       1, 2, 3, 4, 32 }, record[256];
	struct world world = { 0 };
	char byte;

	(void)state;
	memset(inner + 13, 0x6e, 32);
	inner[46] = 16;				// the ticket's size
	inner[sizeof(inner) - 1] = 22;		// a handshake message
	world_start(&world, &plain_app, &origin, "root.crt", false);
	wolfSSL_no_ticket_TLSv13(world.origin.ssl);
	world_shake(&world);
	assert_int_equal(world.connect_result, 0);
	assert_string_equal(tls_cipher(world.connect), "TLS_AES_128_GCM_SHA256");
	queue_put(&world.queues[3], record, seal(record, world.connect_party.lines, inner, sizeof(inner)));
	if (tls_read(world.connect, &byte, 1) != -EAGAIN)
		fail_msg("%s", tls_error(world.connect));
	assert_int_equal(world.queues[3].size, 0);
	world_end(&world);
}

// --- client certificates ----------------------------------------------------

static void shows_the_certificate_that_was_given(void **state)
{
	static const struct { const char *host, *file; bool opened; } table[] = {
		{ "good.example", "mine.pem", true }, { "GOOD.example", "mine.pem", true },
		{ "*.example", "minersa.pem", true }, { "other.example", "mine.pem", false },
		{ "*.good.example", "mine.pem", false }, { "good.example", "", true },
	};

	(void)state;
	for (size_t i = 0; i < 2 * sizeof(table) / sizeof(*table); i++) {
		char path[256] = "";
		struct tls_client_certificate one = { table[i / 2].host, path };
		const struct origin_options origin = { .certificate = "good", .asks = true,
						       .requires = table[i / 2].file[0] && table[i / 2].opened,
						       .version_max = 0x0303 + i % 2 };
		struct world world = { 0 };

		if (table[i / 2].file[0])
			snprintf(path, sizeof(path), "%s", world_path(table[i / 2].file));
		start_with(&world, (struct tls_options){ .client_certificates = &one,
				.client_certificate_count = 1 }, &plain_app, &origin);
		if ((world.connect_result == 0) != table[i / 2].opened || !world.accept != !table[i / 2].opened)
			fail_msg("%zu: %d %s", i, world.connect_result, tls_error(world.connect));
		assert_int_equal(tls_wants_certificate(world.connect), !table[i / 2].opened);
		if (table[i / 2].opened)
			assert_true(world.origin.shaken);
		world_end(&world);
	}
}

static void refuses_files_that_are_no_client_certificate(void **state)
{
	static const char *const files[] = { "good.crt", "good.key", "mixed.pem", "nowhere.pem" };
	char path[256], why[256];

	(void)state;
	for (size_t i = 0; i < sizeof(files) / sizeof(*files); i++) {
		struct tls_client_certificate one = { "good.example", path };
		struct tls_options options = { .client_certificates = &one, .client_certificate_count = 1 };
		struct tls_house *house;

		snprintf(path, sizeof(path), "%s", world_path(files[i]));
		assert_true(tls_open(&house, &options, why, sizeof(why)) < 0);
		assert_null(house);
		assert_non_null(strstr(why, path));
	}
}

// --- revocation -------------------------------------------------------------

static void believes_revocation_lists(void **state)
{
	static const struct { const char *list, *text; enum tls_trust trust; } table[] = {
		{ "revoked.crl", "certificate revoked", TLS_BAD_CHAIN },
		{ "revoked.der", "certificate revoked", TLS_BAD_CHAIN },
		{ "issuer.crl", "issuer's certificate revoked", TLS_BAD_CHAIN },
		{ "both.crl", "issuer's certificate revoked", TLS_BAD_CHAIN },
		{ "empty.crl", "", TLS_TRUSTED },
		{ "strange.crl", "", TLS_TRUSTED },	// signed by somebody else of that name
	};
	const struct origin_options origin = { .certificate = "good" };

	(void)state;
	for (size_t i = 0; i < sizeof(table) / sizeof(*table); i++) {
		char path[256];
		struct world world = { 0 };

		snprintf(path, sizeof(path), "%s", world_path(table[i].list));
		start_with(&world, (struct tls_options){ .crl = path }, &plain_app, &origin);
		assert_int_equal(world.connect_result, 0);
		if (strcmp(tls_verdict_text(world.connect), table[i].text) != 0)
			fail_msg("%s: %s", table[i].list, tls_verdict_text(world.connect));
		assert_int_equal(tls_verdict(world.connect), table[i].trust);
		assert_int_equal(tls_verdict(world.app), table[i].trust);
		world_end(&world);
	}
}

// A fault that the lists have nothing to add to is shown to the app as it is without them.
static void shows_a_fault_beside_revocation_lists(void **state)
{
	static const struct { const char *certificate, *list; bool shown; } table[] = {
		{ "understale", "clean.crl", true }, { "understale", "below.crl", false },
		{ "understale", "issuer.crl", true },
		{ "sha1", "empty.crl", true }, { "sha1", "digest.crl", false }, { "sha1", "issuer.crl", false },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(table) / sizeof(*table); i++) {
		const struct origin_options origin = { .certificate = table[i].certificate };
		char alone[128] = "", path[256];

		snprintf(path, sizeof(path), "%s", world_path(table[i].list));
		for (int with = 0; with < 2; with++) {
			struct world world = { 0 };

			start_with(&world, (struct tls_options){ .crl = with ? path : NULL }, &plain_app, &origin);
			assert_int_equal(tls_verdict(world.connect), TLS_BAD_CHAIN);
			assert_int_equal(tls_verdict(world.app), TLS_BAD_CHAIN);
			if (!with)
				snprintf(alone, sizeof(alone), "%s", tls_verdict_text(world.app));
			else if ((strcmp(alone, tls_verdict_text(world.app)) == 0) != table[i].shown)
				fail_msg("%s with %s: %s; without: %s", table[i].certificate, table[i].list,
					 tls_verdict_text(world.app), alone);
			world_end(&world);
		}
	}
}

// --- alerts -----------------------------------------------------------------

static void says_an_origins_alert_to_the_app(void **state)
{
	(void)state;
	for (uint16_t version = 0x0303; version <= 0x0304; version++) {
		struct app_options app = { .sni = "good.example", .version_max = version };
		const struct origin_options origin = { .certificate = "good" };
		struct world world = { 0 };
		uint8_t record[TLS_ALERT_SIZE];

		world_start(&world, &app, &origin, "root.crt", false);
		world_turn(&world);
		tls_alert_record(record, &world.hello, 112);
		queue_put(&world.queues[1], record, sizeof(record));
		assert_int_equal(tls_handshake(world.app), -EPROTO);
		assert_int_equal(tls_alert(world.app), 112);
		world_end(&world);
	}
}

static void breaks_off_with_an_alert(void **state)
{
	(void)state;
	for (uint16_t version = 0x0303; version <= 0x0304; version++) {
		const struct origin_options origin = { .certificate = "good", .version_max = version };
		struct world world = { 0 };
		char byte;

		start_with(&world, (struct tls_options){ 0 }, &plain_app, &origin);
		assert_int_equal(tls_abort(world.accept, 116), 0);
		assert_int_equal(tls_write(world.accept, "x", 1), -EPIPE);
		assert_int_equal(tls_read(world.accept, &byte, 1), -EPROTO);
		assert_int_equal(tls_read(world.app, &byte, 1), -EPROTO);
		assert_int_equal(tls_alert(world.app), 116);
		assert_int_equal(tls_abort(world.accept, 80), -EPROTO);
		world_end(&world);
	}
}

// --- the certificates -------------------------------------------------------

static const char script[] =
	"set -e; exec 2>agreement.log\n"
	"cat good.pem good.key >mine.pem; cat rsa.pem rsa.key >minersa.pem; cat good.pem other.key >mixed.pem\n"
	// crl NAME ISSUER KEY REVOKED...
	"crl() { n=$1 i=$2 k=$3; shift 3; : >index; for c in \"$@\"; do"
	" printf 'R\\t400101000000Z\\t200101000000Z\\t%s\\tunknown\\t/CN=x\\n'"
	" $(openssl x509 -in $c.crt -noout -serial | cut -d= -f2) >>index; done; echo 01 >number;"
	" printf '[ca]\\ndefault_ca=c\\n[c]\\ndatabase=index\\ncrlnumber=number\\ndefault_md=sha256\\n' >ca.cnf;"
	" openssl ca -gencrl -config ca.cnf -cert $i.crt -keyfile $k.key -crldays 9 -out $n.crl; }\n"
	"crl revoked inter inter other good; crl empty inter inter; crl issuer root root inter\n"
	"crl clean stale stale other; crl below stale stale understale; crl digest inter inter sha1\n"
	"crl strange forger forger good; cat revoked.crl issuer.crl >both.crl\n"
	"openssl crl -in revoked.crl -outform DER -out revoked.der\n";

static int open_all(void **state)
{
	char command[128];
	FILE *shell;

	if (world_open(state) != 0)
		return -1;
	snprintf(command, sizeof(command), "cd %s && sh -s", world_folder);
	shell = popen(command, "w");
	return shell && fputs(script, shell) >= 0 && pclose(shell) == 0 ? 0 : -1;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(keeps_to_forced_versions),
		cmocka_unit_test(offers_nothing_old_to_the_origin_of_a_newer_app),
		cmocka_unit_test(offers_nothing_that_the_app_does_not),
		cmocka_unit_test(names_the_group),
		cmocka_unit_test(meets_post_quantum_shares),
		cmocka_unit_test(resumes_on_both_legs),
		cmocka_unit_test(judges_a_resumed_origin),
		cmocka_unit_test(takes_tickets_of_any_nonce),
		cmocka_unit_test(shows_the_certificate_that_was_given),
		cmocka_unit_test(refuses_files_that_are_no_client_certificate),
		cmocka_unit_test(believes_revocation_lists),
		cmocka_unit_test(shows_a_fault_beside_revocation_lists),
		cmocka_unit_test(says_an_origins_alert_to_the_app),
		cmocka_unit_test(breaks_off_with_an_alert),
	};

	return cmocka_run_group_tests(tests, open_all, world_close);
}
