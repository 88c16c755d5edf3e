// SPDX-License-Identifier: GPL-3.0-or-later
// tls_peers_test - a small tap between OpenSSL's own client and server, on loopback.

#include "tests/unit/tls_tap.h"
#include "tests/unit/tls_world.h"

static pid_t server;
static int server_input[2];	// a silence that does not end
static uint16_t server_port, tap_port;
static int listener = -1;
static struct authority *authority;

// A port that was free a moment ago.
static uint16_t free_port(void)
{
	uint16_t port = 0;
	int fd = tap_listen(&port);

	assert_true(fd >= 0);
	close(fd);
	return port;
}

// NAME.pem and NAME.key, and further arguments for s_server.
static void server_start(const char *name, const char *arguments)
{
	char command[1024];

	server_port = free_port();
	snprintf(command, sizeof(command),
		 "cd %s && exec openssl s_server -quiet -accept 127.0.0.1:%u -cert %s.pem -key %s.key"
		 " -cert_chain %s.pem %s >server.out 2>server.err",
		 world_folder, server_port, name, name, name, arguments);
	assert_int_equal(pipe2(server_input, O_CLOEXEC), 0);
	server = fork();
	assert_true(server >= 0);
	if (server == 0) {
		dup2(server_input[0], 0);
		execl("/bin/sh", "sh", "-c", command, (char *)NULL);
		_exit(127);
	}
	for (int turn = 0; turn < 500; turn++) {
		int fd = tap_dial(server_port);

		if (fd >= 0) {
			close(fd);
			return;
		}
		usleep(10000);
	}
	fail_msg("s_server does not start with %s %s", name, arguments);
}

static void server_stop(void)
{
	kill(server, SIGTERM);
	waitpid(server, NULL, 0);
	close(server_input[0]);
	close(server_input[1]);
}

// Runs `command` in the certificates' folder against one connection of the tap.
// Its exit status.
static int through_tap(const char *roots, const char *command, struct tap_report *report)
{
	struct tls_house *house;
	char line[2048];
	FILE *keylog = fopen(world_path("keys.log"), "w");
	pid_t child;
	int status;

	assert_non_null(keylog);
	house_open(&house, authority, world_path(roots), false);
	snprintf(line, sizeof(line), "cd %s && %s", world_folder, command);
	child = fork();
	assert_true(child >= 0);
	if (child == 0) {
		execl("/bin/sh", "sh", "-c", line, (char *)NULL);
		_exit(127);
	}
	tap_serve(house, listener, server_port, keylog, report);
	waitpid(child, &status, 0);
	fclose(keylog);
	tls_close_house(house);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

#define CLIENT "openssl s_client -connect 127.0.0.1:%u -servername good.example -verify_hostname good.example" \
	       " -CAfile authority/ca.pem -verify_return_error "

#define WEAK "-cipher DEFAULT:@SECLEVEL=0"

static void openssl_meets_openssl(void **state)
{
	static const struct { const char *client, *server, *version, *alpn, *certificate; } table[] = {
		{ "", "", "TLSv1.3", "", NULL },
		{ "-tls1_2", "", "TLSv1.2", "", NULL },
		{ "", "-tls1_2", "TLSv1.2", "", NULL },
		{ "-alpn h2,http/1.1", "-alpn http/1.1,h2", "TLSv1.3", "http/1.1", NULL },
		{ "-alpn h2 -tls1_2", "-alpn h2", "TLSv1.2", "h2", NULL },
		{ "-groups X448:P-256", "", "TLSv1.3", "", NULL },		// HelloRetryRequest, to the app
		{ "-groups P-521", "", "TLSv1.3", "", NULL },
		{ "", "-groups P-384", "TLSv1.3", "", NULL },			// and from the origin
		{ "", "-groups X25519", "TLSv1.3", "", NULL },
		{ "-tls1_2", "-cipher ECDHE-ECDSA-CHACHA20-POLY1305", "TLSv1.2", "", NULL },
		{ "-tls1_2", "-cipher ECDHE-ECDSA-AES128-SHA256", "TLSv1.2", "", NULL },
		{ "-ciphersuites TLS_CHACHA20_POLY1305_SHA256", "", "TLSv1.3", "", NULL },
		{ "-no_middlebox", "-no_middlebox", "TLSv1.3", "", NULL },
		// Apps that know nothing better than what is old.
		{ "-tls1_1 " WEAK, WEAK, "TLSv1.1", "", NULL },
		{ "-tls1 " WEAK, WEAK, "TLSv1", "", NULL },
		{ "-tls1 -cipher ECDHE-RSA-AES128-SHA:@SECLEVEL=0", WEAK, "TLSv1", "", "rsa" },
		{ "-no_tls1_2 -no_tls1_3 " WEAK, "-tls1 " WEAK, "TLSv1", "", NULL },
		// An app that takes RSA alone.
		{ "-tls1_2 -cipher ECDHE-RSA-AES128-GCM-SHA256", "", "TLSv1.2", "", "rsa" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(table) / sizeof(*table); i++) {
		char command[1024], line[256];
		struct tap_report report;

		server_start(table[i].certificate ? table[i].certificate : "good", table[i].server);
		snprintf(command, sizeof(command), CLIENT "%s -keylogfile client.keys </dev/null >client.out 2>&1",
			 (unsigned)tap_port, table[i].client);
		if (through_tap("root.crt", command, &report) != 0 || report.connect || report.accept)
			fail_msg("client %s, server %s: %d %d %d %s", table[i].client, table[i].server,
				 report.hello, report.connect, report.accept, report.text);
		server_stop();
		assert_int_equal(report.trust, TLS_TRUSTED);
		assert_string_equal(report.version, table[i].version);
		assert_string_equal(report.alpn, table[i].alpn);
		// Every secret that the client knows, in the same words.
		snprintf(line, sizeof(line), "cd %s && grep -q '^[CS]' client.keys && "
			 "! grep '^[A-Z]' client.keys | grep -vxFf keys.log >&2 && rm client.keys",
			 world_folder);
		assert_int_equal(system(line), 0);
	}
}

// What the two agree on through the tap is what they agree on by themselves: the
// client's own words are compared, and both legs are the same.
static void agrees_as_without_it(void **state)
{
	static const struct { const char *certificate, *client, *server; } table[] = {
		{ "good", "", "" }, { "rsa", "", "" },
		{ "good", "-ciphersuites TLS_CHACHA20_POLY1305_SHA256:TLS_AES_128_GCM_SHA256", "" },
		{ "good", "", "-ciphersuites TLS_AES_128_GCM_SHA256" },
		{ "good", "-ciphersuites TLS_AES_256_GCM_SHA384:TLS_AES_128_GCM_SHA256",
		  "-ciphersuites TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384 -serverpref" },
		{ "good", "-groups P-384:X25519", "" }, { "good", "-groups X25519:P-256", "-groups P-256:X25519" },
		{ "good", "-groups P-521", "" }, { "good", "-groups ffdhe2048:P-256", "" },
		{ "good", "-groups X25519:P-384", "-groups P-384" },	// the origin asks for another share
		{ "good", "-tls1_2", "" }, { "rsa", "-tls1_2", "" },
		{ "good", "-tls1_2 -cipher ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384", "" },
		{ "good", "-tls1_2 -groups P-384:P-256", "" },
		{ "rsa", "-tls1_2 -cipher ECDHE-RSA-CHACHA20-POLY1305:ECDHE-RSA-AES128-GCM-SHA256", "" },
		{ "rsa", "-tls1_2 -cipher ECDHE-RSA-AES128-SHA", "" },
		{ "rsa", "-tls1_2 -cipher DHE-RSA-AES128-GCM-SHA256", "" },
		{ "good", "", "-tls1_2 -cipher ECDHE-ECDSA-AES128-GCM-SHA256" },
		// Two certificates: the client's signature algorithms choose.
		{ "good", "-sigalgs rsa_pss_rsae_sha256", "-dcert rsa.pem -dkey rsa.key" },
		{ "good", "-tls1_2 -cipher ECDHE-RSA-AES256-GCM-SHA384", "-dcert rsa.pem -dkey rsa.key" },
		{ "rsa", "-sigalgs ecdsa_secp256r1_sha256", "-dcert good.crt -dkey good.key -dcert_chain good.pem" },
	};
	static const char filter[] = "grep -aE '^(New|Peer signature type|Peer Temp Key|Server Temp Key|Peer signing digest|"
				     "Negotiated TLS1.3 group)|^Server public key is' | sed 's/ (.*//'";

	(void)state;
	for (size_t i = 0; i < sizeof(table) / sizeof(*table); i++) {
		char command[1024];
		struct tap_report report;

		server_start(table[i].certificate, table[i].server);
		snprintf(command, sizeof(command), "cd %s && openssl s_client -connect 127.0.0.1:%u -servername good.example %s"
			 " </dev/null 2>/dev/null | %s >direct.out; grep -q TLSv direct.out", world_folder,
			 (unsigned)server_port, table[i].client, filter);
		assert_int_equal(system(command), 0);
		snprintf(command, sizeof(command), CLIENT "%s </dev/null 2>client.err | %s >tapped.out; diff direct.out tapped.out >&2",
			 (unsigned)tap_port, table[i].client, filter);
		if (through_tap("root.crt", command, &report) != 0 || strcmp(report.cipher, report.app_cipher) != 0 ||
		    strcmp(report.group, report.app_group) != 0)
			fail_msg("%s, client %s, server %s: %s %s, %s %s: %s", table[i].certificate, table[i].client,
				 table[i].server, report.cipher, report.group, report.app_cipher, report.app_group,
				 report.text);
		server_stop();
	}
}

// A megabyte each way, through four ends of TLS.
static void carries_a_file(void **state)
{
	static const char *const versions[] = { "-tls1_2", "-tls1_3" };

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		char command[1024], line[256];
		struct tap_report report;

		snprintf(line, sizeof(line), "cd %s && openssl rand -hex 500000 | tr a-f 0-5 >data", world_folder);
		assert_int_equal(system(line), 0);
		server_start("good", "-WWW");
		snprintf(command, sizeof(command), "curl -s --cacert authority/ca.pem %s "
			 "--connect-to good.example:443:127.0.0.1:%u https://good.example/data | cmp - data",
			 i ? "--tlsv1.3" : "--tls-max 1.2", (unsigned)tap_port);
		assert_int_equal(through_tap("root.crt", command, &report), 0);
		assert_string_equal(report.version, i ? "TLSv1.3" : "TLSv1.2");
		server_stop();

		server_start("good", "");
		snprintf(command, sizeof(command), CLIENT "-quiet -no_ign_eof %s <data >/dev/null 2>&1",
			 (unsigned)tap_port, versions[i]);
		assert_int_equal(through_tap("root.crt", command, &report), 0);
		snprintf(line, sizeof(line), "cd %s && cmp server.out data", world_folder);
		assert_int_equal(system(line), 0);
		server_stop();
	}
}

// One house, several connections: a ticket of the first serves the second, and none
// serves another host.
static void tickets_are_taken_back(void **state)
{
	static const struct { const char *flags; } table[] = { { "-tls1_2" }, { "-tls1_3" } };

	(void)state;
	for (size_t i = 0; i < sizeof(table) / sizeof(*table); i++) {
		struct tls_house *house;
		char line[1024];

		server_start("good", "-keylogfile server.keys");
		house_open(&house, authority, world_path("root.crt"), false);
		unlink(world_path("keys.log"));
		for (int turn = 0; turn < 3; turn++) {
			static const char *const uses[] = { "-sess_out kept", "-sess_in kept", "-sess_in kept" };
			FILE *keylog = fopen(world_path("keys.log"), "a");
			struct tap_report report;
			pid_t child;
			int status;

			snprintf(line, sizeof(line), "cd %s && rm -f client.keys; (sleep 0.3; echo Q) | openssl s_client"
				 " -connect 127.0.0.1:%u -servername %s -CAfile authority/ca.pem %s %s"
				 " -keylogfile client.keys >client.out 2>&1 && grep -q '%s, TLSv' client.out &&"
				 " grep -q '^[CS]' client.keys && ! grep '^[A-Z]' client.keys | grep -vxFf keys.log >&2",
				 world_folder, (unsigned)tap_port, turn == 2 ? "a.wild.example" : "good.example",
				 table[i].flags, uses[turn], turn == 1 ? "Reused" : "New");
			child = fork();
			assert_true(child >= 0);
			if (child == 0) {
				execl("/bin/sh", "sh", "-c", line, (char *)NULL);
				_exit(127);
			}
			tap_serve(house, listener, server_port, keylog, &report);
			waitpid(child, &status, 0);
			fclose(keylog);
			if (report.accept || report.resumed != (turn == 1) ||
			    report.origin_resumed != (turn == 1) || status)
				fail_msg("%s, turn %d: %d %d%d %d %s", table[i].flags, turn, report.accept,
					 report.resumed, report.origin_resumed, status, report.text);
		}
		tls_close_house(house);
		server_stop();
		// Every secret of the origin's leg too.
		snprintf(line, sizeof(line), "cd %s && grep -q '^[CS]' server.keys && "
			 "! grep '^[A-Z]' server.keys | grep -vxFf keys.log >&2 && rm server.keys", world_folder);
		assert_int_equal(system(line), 0);
	}
}

// An app that comes with the origin's own ticket, and data on the strength of it.
static void early_data_is_refused(void **state)
{
	struct tap_report report;
	char command[1024];

	(void)state;
	server_start("good", "-early_data");
	snprintf(command, sizeof(command), "cd %s && echo early >early.txt && (sleep 0.3; echo Q) | openssl s_client"
		 " -connect 127.0.0.1:%u -servername good.example -sess_out foreign >/dev/null 2>&1 && test -s foreign",
		 world_folder, (unsigned)server_port);
	assert_int_equal(system(command), 0);
	snprintf(command, sizeof(command), "(sleep 0.3; echo Q) | " CLIENT "-sess_in foreign -early_data early.txt"
		 " >client.out 2>&1 && grep -q 'Early data was rejected' client.out && grep -q 'New, TLSv1.3' client.out",
		 (unsigned)tap_port);
	assert_int_equal(through_tap("root.crt", command, &report), 0);
	assert_int_equal(report.accept, 0);
	assert_false(report.resumed);
	server_stop();
}

// K: the client updates its keys and asks for the server's; R: it wants to renegotiate.
static void keys_are_updated_and_nothing_renegotiated(void **state)
{
	struct tap_report report;
	char command[1024], line[256];

	(void)state;
	server_start("good", "");
	snprintf(command, sizeof(command), "(sleep 0.3; echo one; sleep 0.2; echo K; sleep 0.2; echo two; sleep 0.2; echo Q) | "
		 CLIENT "-tls1_3 >client.out 2>&1 && grep -q KEYUPDATE client.out", (unsigned)tap_port);
	assert_int_equal(through_tap("root.crt", command, &report), 0);
	snprintf(line, sizeof(line), "cd %s && printf 'one\ntwo\n' | cmp - server.out", world_folder);
	assert_int_equal(system(line), 0);
	server_stop();

	server_start("good", "");
	snprintf(command, sizeof(command), "(sleep 0.3; echo R; sleep 0.3; echo Q) | " CLIENT "-tls1_2 >client.out 2>&1;"
		 " grep -q 'Secure Renegotiation IS supported' client.out && grep -q RENEGOTIATING client.out &&"
		 " grep -q 'alert number 10$' client.out", (unsigned)tap_port);
	assert_int_equal(through_tap("root.crt", command, &report), 0);
	server_stop();
}

static void an_apps_refusal_is_seen(void **state)
{
	struct tap_report report;
	char command[1024];

	(void)state;
	server_start("good", "");
	snprintf(command, sizeof(command), "openssl s_client -connect 127.0.0.1:%u -servername good.example "
		 "-CAfile root.crt -verify_return_error </dev/null >client.out 2>&1", (unsigned)tap_port);
	assert_int_not_equal(through_tap("root.crt", command, &report), 0);
	assert_int_equal(report.accept, -EPROTO);
	if (report.alert != 48)
		fail_msg("%d %s", report.alert, report.text);
	assert_string_equal(report.text, "the app sent the alert unknown_ca");
	server_stop();
}

static void openssl_reads_the_leaf(void **state)
{
	struct tap_report report;
	char command[1024];

	(void)state;
	server_start("good", "");
	snprintf(command, sizeof(command), CLIENT "-showcerts </dev/null 2>/dev/null >shown.txt && "
		 "openssl x509 -in shown.txt -out leaf.crt && "
		 "openssl verify -x509_strict -purpose sslserver -CAfile authority/ca.pem leaf.crt >/dev/null && "
		 "openssl x509 -in leaf.crt -noout -checkhost a.wild.example | grep -q 'does match' && "
		 "openssl x509 -in leaf.crt -noout -checkip ::1 | grep -q 'does match' && "
		 "for what in -subject -startdate -enddate '-ext subjectAltName' '-ext extendedKeyUsage' '-ext keyUsage' '-ext basicConstraints'; do "
		 "[ \"$(openssl x509 -in leaf.crt -noout $what)\" = \"$(openssl x509 -in good.crt -noout $what)\" ] || exit 3; done && "
		 "[ \"$(openssl x509 -in leaf.crt -noout -serial)\" != \"$(openssl x509 -in good.crt -noout -serial)\" ]",
		 (unsigned)tap_port);
	assert_int_equal(through_tap("root.crt", command, &report), 0);
	server_stop();
}

// Without SNI the names are the certificate's own, and no two leaves have one serial number:
// not for the same origin in another version, nor in another run.
static void leaves_differ_in_serial(void **state)
{
	static const char *const clients[] = {
		"-noservername -verify_ip 127.0.0.1 -tls1_3", "-noservername -verify_ip ::1 -tls1_2",
		"-servername a.wild.example -verify_hostname a.wild.example", "-servername good.example",
		"-servername good.example",
	};
	char command[1024];

	(void)state;
	server_start("good", "");
	for (size_t i = 0; i < sizeof(clients) / sizeof(*clients); i++) {
		struct tap_report report;

		snprintf(command, sizeof(command), "openssl s_client -connect 127.0.0.1:%u -CAfile authority/ca.pem "
			 "-verify_return_error %s </dev/null 2>/dev/null | openssl x509 -noout -serial >>serials",
			 (unsigned)tap_port, clients[i]);
		assert_int_equal(through_tap("root.crt", command, &report), 0);
		assert_int_equal(report.accept, 0);
	}
	server_stop();
	snprintf(command, sizeof(command), "cd %s && [ $(sort -u serials | grep -cE '^serial=[0-9A-F]{32}$') = 5 ]",
		 world_folder);
	assert_int_equal(system(command), 0);
}

// More than a hundred names, one of 253 characters and one that is not ASCII at heart.
static void keeps_many_names(void **state)
{
	struct tap_report report;
	char command[1024];

	(void)state;
	server_start("many", "");
	snprintf(command, sizeof(command), CLIENT "-showcerts </dev/null 2>/dev/null >shown.txt && "
		 "openssl x509 -in shown.txt -out leaf.crt && "
		 "openssl verify -x509_strict -purpose sslserver -CAfile authority/ca.pem leaf.crt >/dev/null && "
		 "openssl x509 -in leaf.crt -noout -checkhost xn--bcher-kva.example | grep -q 'does match' && "
		 "openssl x509 -in leaf.crt -noout -ext subjectAltName >names.shown && "
		 "[ $(grep -o DNS: names.shown | wc -l) = 102 ] && grep -qE '[ab.]{245}\\.example' names.shown && "
		 "openssl x509 -in many.crt -noout -ext subjectAltName | cmp -s - names.shown", (unsigned)tap_port);
	assert_int_equal(through_tap("root.crt", command, &report), 0);
	server_stop();
}

// The app's error is the one that it would have had.
static void errors_reach_the_app_as_they_are(void **state)
{
	static const struct { const char *name, *code; } table[] = {
		{ "expired", "10 " }, { "client", "26 " }, { "other", "62 " }, { "selfsigned", "18 " },
		{ "closed", "19 " }, { "unknown", "20 " }, { "incomplete", "20 " }, { "doubly", "20 " },
		{ "forged", "20 " }, { "early", "9 " },
		// An authority's own fault.
		{ "undernotca", "79 " }, { "outside", "47 " }, { "twicebelow", "47 " }, { "understale", "10 " },
		{ "undertoolong", "25 " },
		{ "weak", "66 " }, { "sha1", "68 " },
		// Two faults, one of which is not shown.
		{ "thrice", "20 " },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(table) / sizeof(*table); i++) {
		struct tap_report report;
		char command[1024];

		server_start(table[i].name, WEAK);
		snprintf(command, sizeof(command), CLIENT "</dev/null 2>&1 | grep -q 'verify error:num=%s\\|"
			 "Verif[a-z]* return code: %s\\|error: %s'", (unsigned)tap_port, table[i].code,
			 table[i].code, table[i].code);
		if (through_tap("root.crt", command, &report) != 0)
			fail_msg("%s: not error %s", table[i].name, table[i].code);
		server_stop();
	}
}

// Others than OpenSSL, in their own words.
static void other_judges_say_the_same(void **state)
{
	static const char *const names[] = {
		"good", "expired", "early", "other", "selfsigned", "closed", "unknown", "incomplete", "doubly",
		"undernotca", "outside", "twicebelow", "understale", "undertoolong", "forged",
	};
	static const struct { const char *command, *filter; } judges[] = {
		{ "gnutls-cli 127.0.0.1 -p %u --sni-hostname good.example --verify-hostname good.example"
		  " --x509cafile %s </dev/null 2>&1", "grep '^- Status: '" },
		{ "/usr/bin/python3 -c 'import socket, ssl, sys; c = ssl.create_default_context(cafile=sys.argv[2]);\n"
		  "try: c.wrap_socket(socket.create_connection((\"127.0.0.1\", int(sys.argv[1]))), server_hostname=\"good.example\")\n"
		  "except ssl.SSLCertVerificationError as e: print(e.verify_message)\n"
		  "else: print(\"good\")' %u %s 2>&1", "cat" },
	};

	(void)state;
	for (size_t i = 0; i < 2 * sizeof(names) / sizeof(*names); i++) {
		const char *name = names[i / 2], *filter = judges[i % 2].filter;
		struct tap_report report;
		char command[2048], judge[1024];

		server_start(name, "");
		snprintf(judge, sizeof(judge), judges[i % 2].command, (unsigned)server_port, "root.crt");
		snprintf(command, sizeof(command), "cd %s && %s | %s >direct.out; test -s direct.out", world_folder, judge, filter);
		assert_int_equal(system(command), 0);
		snprintf(judge, sizeof(judge), judges[i % 2].command, (unsigned)tap_port, "authority/ca.pem");
		snprintf(command, sizeof(command), "%s | %s >tapped.out; diff direct.out tapped.out >&2", judge, filter);
		// GnuTLS counts our authority's path length first there.
		if (i % 2 == 0 && strcmp(name, "undernotca") == 0)
			snprintf(command, sizeof(command), "%s | grep 'NOT trusted'", judge);
		if (through_tap("root.crt", command, &report) != 0)
			fail_msg("%s, judge %zu: %s", name, i % 2, report.text);
		server_stop();
	}
}

static int open_all(void **state)
{
	char why[256];

	if (world_open(state) != 0)
		return -1;
	if (authority_open(&authority, world_path("authority"), why, sizeof(why)) != 0)
		return -1;
	listener = tap_listen(&tap_port);
	return listener < 0 ? -1 : 0;
}

static int close_all(void **state)
{
	close(listener);
	authority_close(authority);
	return world_close(state);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(openssl_meets_openssl),
		cmocka_unit_test(agrees_as_without_it),
		cmocka_unit_test(carries_a_file),
		cmocka_unit_test(tickets_are_taken_back),
		cmocka_unit_test(early_data_is_refused),
		cmocka_unit_test(keys_are_updated_and_nothing_renegotiated),
		cmocka_unit_test(an_apps_refusal_is_seen),
		cmocka_unit_test(openssl_reads_the_leaf),
		cmocka_unit_test(leaves_differ_in_serial),
		cmocka_unit_test(keeps_many_names),
		cmocka_unit_test(errors_reach_the_app_as_they_are),
		cmocka_unit_test(other_judges_say_the_same),
	};

	return cmocka_run_group_tests(tests, open_all, close_all);
}
