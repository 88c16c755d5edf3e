// SPDX-License-Identifier: GPL-3.0-or-later
// trust_test - the authority beside the roots: in bundles, truststores, variables,
// and before real programs that judge a real server inside the namespace.

#include "tests/unit/inside.h"

#include <errno.h>
#include <setjmp.h>
#include <cmocka.h>

#include "extension/bundle.h"
#include "extension/keystore.h"
#include "extension/subject.h"
#include "extension/trust.h"

static const char pem[] =
	"-----BEGIN CERTIFICATE-----\n"
	"QXBwVGFw\n"
	"-----END CERTIFICATE-----\n";
static const char der[] = "AppTap";

static char place[] = "/tmp/apptap-trust-test-XXXXXX";

static char *in_place(const char *name)
{
	static char path[4][128];
	static int next;
	char *out = path[next++ % 4];

	snprintf(out, sizeof path[0], "%s/%s", place, name);
	return out;
}

static void write_file(const char *name, const void *bytes, size_t size)
{
	FILE *file = fopen(in_place(name), "we");

	assert_non_null(file);
	assert_int_equal(fwrite(bytes, 1, size, file), size);
	fclose(file);
}

static bool contains(const void *bytes, size_t size, const void *what, size_t what_size)
{
	return memmem(bytes, size, what, what_size) != NULL;
}

// --- bundles ----------------------------------------------------------------------

static void bundle_walks_certificates(void **state)
{
	static const char text[] =
		"# a comment\n"
		"-----BEGIN CERTIFICATE-----\r\nQXBwVGFw\r\n-----END CERTIFICATE-----\n"
		"-----BEGIN CERTIFICATE-----\n???\n-----END CERTIFICATE-----\n"
		"-----BEGIN PRIVATE KEY-----\nQUJD\n-----END PRIVATE KEY-----\n"
		"-----BEGIN CERTIFICATE-----\nQUI=\n-----END CERTIFICATE-----\n"
		"-----BEGIN CERTIFICATE-----\nQUJD\n";
	struct bundle in = {(uint8_t *)text, sizeof text - 1}, out = {0};
	size_t position = 0;

	(void)state;
	assert_true(bundle_is_pem(&in));
	assert_int_equal(bundle_next(&in, &position, &out), 1);
	assert_int_equal(out.size, 6);
	assert_memory_equal(out.bytes, der, 6);
	assert_int_equal(bundle_next(&in, &position, &out), 1);
	assert_int_equal(out.size, 8);
	assert_memory_equal(out.bytes + 6, "AB", 2);
	assert_int_equal(bundle_next(&in, &position, &out), 0);
	bundle_free(&out);
}

static void bundle_ends_its_last_line(void **state)
{
	struct bundle bundle = {0};

	(void)state;
	assert_int_equal(bundle_append(&bundle, "x", 1), 0);
	assert_int_equal(bundle_append_pem(&bundle, "y\n", 2), 0);
	assert_int_equal(bundle_append_pem(&bundle, "z\n", 2), 0);
	assert_int_equal(bundle.size, 6);
	assert_memory_equal(bundle.bytes, "x\ny\nz\n", 6);
	bundle_free(&bundle);
}

static void bundle_refuses(void **state)
{
	struct bundle bundle;
	FILE *big = fopen(in_place("big"), "we");

	(void)state;
	assert_int_equal(ftruncate(fileno(big), BUNDLE_MAX + 1), 0);
	fclose(big);
	assert_int_equal(bundle_read(&bundle, in_place("big")), -EFBIG);
	assert_int_equal(bundle_read(&bundle, place), -EINVAL);
	assert_int_equal(bundle_read(&bundle, "/dev/zero"), -EINVAL);
	assert_int_equal(bundle_read(&bundle, in_place("none")), -ENOENT);
	unlink(in_place("big"));
}

// --- truststores ------------------------------------------------------------------

// An empty JKS under the password "changeit".
static const uint8_t empty_jks[] = {
	0xfe, 0xed, 0xfe, 0xed, 0, 0, 0, 2, 0, 0, 0, 0,
	0xe2, 0x68, 0x6e, 0x45, 0xfb, 0x43, 0xdf, 0xa4, 0xd9, 0x92,
	0xdd, 0x41, 0xce, 0xb6, 0xb2, 0x1c, 0x63, 0x30, 0xd7, 0x92};

static void keystore_extends_jks(void **state)
{
	struct bundle store = {(uint8_t *)empty_jks, sizeof empty_jks}, none = {0}, once, twice;
	static const uint8_t digest[] = {
		0x06, 0x7e, 0x4e, 0x78, 0xf2, 0xa4, 0x9d, 0x70, 0x72, 0x8e,
		0x44, 0xb4, 0xfa, 0x91, 0xed, 0xae, 0xf4, 0x0b, 0x84, 0x97};

	(void)state;
	assert_int_equal(keystore_extend(&once, &store, &none, der, 6), 0);
	assert_int_equal(once.size, 24 + 25 + 20);
	assert_memory_equal(once.bytes, "\xfe\xed\xfe\xed\0\0\0\2\0\0\0\1\0\0\0\2\0\6apptap", 24);
	assert_memory_equal(once.bytes + 24, "\0\0\0\0\0\0\0\0\0\5X.509\0\0\0\6AppTap", 25);
	assert_memory_equal(once.bytes + 49, digest, sizeof digest);
	assert_int_equal(keystore_extend(&twice, &once, &none, der, 6), 0);
	assert_int_equal(twice.bytes[11], 2);
	assert_int_equal(twice.size, once.size + 37);
	bundle_free(&once);
	bundle_free(&twice);
}

static void keystore_reads_pkcs12(void **state)
{
	static const uint8_t store[] = {0x30, 0x80,
		6, 10, 0x2A, 0x86, 0x48, 0x86, 0xF7, 0x0D, 1, 9, 22, 1, 0xA0, 5, 4, 3, 'o', 'n', 'e',
		6, 10, 0x2A, 0x86, 0x48, 0x86, 0xF7, 0x0D, 1, 9, 22, 1, 0xA0, 0x84, 0xFF, 0xFF, 0xFF, 0xFF,
		6, 10, 0x2A, 0x86, 0x48, 0x86, 0xF7, 0x0D, 1, 9, 22, 1, 0xA0, 6, 4, 0x81, 3, 't', 'w', 'o'};
	struct bundle in = {(uint8_t *)store, sizeof store}, none = {0}, out;

	(void)state;
	assert_int_equal(keystore_extend(&out, &in, &none, der, 6), 0);
	assert_int_equal(out.bytes[11], 3);
	assert_true(contains(out.bytes, out.size, "\0\0\0\3one\0", 8));
	assert_true(contains(out.bytes, out.size, "\0\0\0\3two\0", 8));
	assert_true(contains(out.bytes, out.size, "\0\0\0\6AppTap", 10));
	bundle_free(&out);
}

static void keystore_falls_back_on_roots(void **state)
{
	static const uint8_t encrypted[] = {0x30, 3, 2, 1, 3};
	struct bundle in = {(uint8_t *)encrypted, sizeof encrypted}, out;
	struct bundle roots = {(uint8_t *)pem, sizeof pem - 1};

	(void)state;
	assert_int_equal(keystore_extend(&out, &in, &roots, "us", 2), 0);
	assert_int_equal(out.bytes[11], 2);
	assert_true(contains(out.bytes, out.size, "\0\0\0\6AppTap", 10));
	bundle_free(&out);
}

// The name has capitals, spaces to fold, and a second attribute; the number is
// what `openssl x509 -subject_hash` says of it.
static void subject_is_hashed_as_openssl_does(void **state)
{
	static const uint8_t certificate[] = {
		0x30, 0x48, 0x30, 0x46, 0xa0, 0x03, 0x02, 0x01, 0x02, 0x02, 0x01, 0x01, 0x30, 0x00, 0x30, 0x00,
		0x30, 0x00, 0x30, 0x36, 0x31, 0x19, 0x30, 0x17, 0x06, 0x03, 0x55, 0x04, 0x0a, 0x0c, 0x10, 0x20,
		0x41, 0x6e, 0x20, 0x20, 0x4f, 0x72, 0x67, 0x61, 0x6e, 0x69, 0x7a, 0x65, 0x64, 0x20, 0x20, 0x31,
		0x19, 0x30, 0x17, 0x06, 0x03, 0x55, 0x04, 0x03, 0x13, 0x10, 0x41, 0x20, 0x54, 0x45, 0x53, 0x54,
		0x20, 0x61, 0x75, 0x74, 0x68, 0x6f, 0x72, 0x69, 0x74, 0x79};
	uint32_t hash = 0;

	(void)state;
	assert_int_equal(subject_hash(certificate, sizeof certificate, &hash), 0);
	assert_int_equal(hash, 0x74431922);
	for (size_t i = 0; i < sizeof certificate; i++)
		assert_int_equal(subject_hash(certificate, i, &hash), -EINVAL);
}

static void keystore_refuses(void **state)
{
	struct bundle none = {0}, out, cut = {(uint8_t *)empty_jks, sizeof empty_jks - 1};
	struct bundle text = {(uint8_t *)pem, sizeof pem - 1};

	(void)state;
	assert_int_equal(keystore_extend(&out, &none, &none, der, 6), -EINVAL);
	assert_int_equal(keystore_extend(&out, &cut, &none, der, 6), -EINVAL);
	assert_int_equal(keystore_extend(&out, &text, &none, der, 6), -EINVAL);
}

// --- what the command is given ------------------------------------------------------

static const struct launch_overlay *overlay_of(const struct launch_options *options, const char *path)
{
	for (size_t i = 0; i < options->overlay_count; i++)
		if (!strcmp(options->overlays[i].path, path))
			return &options->overlays[i];
	return NULL;
}

static const char *value_of(char *const *environment, const char *name)
{
	size_t size = strlen(name);

	for (; *environment; environment++)
		if (!strncmp(*environment, name, size) && (*environment)[size] == '=')
			return *environment + size + 1;
	return NULL;
}

static struct trust *open_trust(char *const *environment, struct launch_options *options)
{
	struct trust *trust;
	char why[256] = "";

	assert_int_equal(trust_open(&trust, pem, sizeof pem - 1, der, 6, place, environment, why, sizeof why), 0);
	memset(options, 0, sizeof *options);
	trust_apply(trust, options);
	return trust;
}

static void users_files_are_extended(void **state)
{
	char curl[160], python[160], node[160], pip[160];
	char *environment[] = {"A=b", curl, python, node, pip, "AWS_CA_BUNDLE=", NULL};
	struct launch_options options;
	const struct launch_overlay *overlay;
	struct trust *trust;

	(void)state;
	write_file("mine.pem", pem, sizeof pem - 2);
	write_file("not.pem", "hello\n", 6);
	assert_int_equal(link(in_place("mine.pem"), in_place("same.pem")), 0);
	snprintf(curl, sizeof curl, "CURL_CA_BUNDLE=%s", in_place("mine.pem"));
	snprintf(python, sizeof python, "REQUESTS_CA_BUNDLE=%s", in_place("same.pem"));
	snprintf(node, sizeof node, "NODE_EXTRA_CA_CERTS=%s", in_place("not.pem"));
	snprintf(pip, sizeof pip, "PIP_CERT=%s", in_place("none.pem"));
	trust = open_trust(environment, &options);

	overlay = overlay_of(&options, in_place("mine.pem"));
	assert_non_null(overlay);
	assert_int_equal(overlay->size, 2 * (sizeof pem - 1));
	assert_memory_equal(overlay->bytes, pem, sizeof pem - 1);
	assert_memory_equal((char *)overlay->bytes + sizeof pem - 1, pem, sizeof pem - 1);
	assert_null(overlay_of(&options, in_place("same.pem")));
	assert_null(overlay_of(&options, in_place("not.pem")));
	assert_null(overlay_of(&options, in_place("none.pem")));
	// What the user has set stands, in its place.
	for (int i = 0; environment[i]; i++)
		assert_string_equal(options.environment[i], environment[i]);
	assert_non_null(value_of(options.environment, "SSL_CERT_FILE"));
	assert_null(value_of(options.environment, "NIX_SSL_CERT_FILE"));
	trust_close(trust);
	unlink(in_place("mine.pem"));
	unlink(in_place("same.pem"));
	unlink(in_place("not.pem"));
}

static void system_bundle_holds_both(void **state)
{
	char *environment[] = {"A=b", NULL};
	struct launch_options options;
	const struct launch_overlay *overlay;
	struct bundle roots;
	struct trust *trust = open_trust(environment, &options);
	const char *path = value_of(options.environment, "SSL_CERT_FILE");

	(void)state;
	assert_non_null(path);
	overlay = overlay_of(&options, path);
	if (!overlay) {
		assert_int_equal(options.file_count, 1);
		assert_memory_equal(options.files[0].bytes, pem, sizeof pem - 1);
	} else {
		assert_int_equal(bundle_read(&roots, path), 0);
		assert_true(overlay->size >= roots.size + sizeof pem - 1);
		assert_memory_equal(overlay->bytes, roots.bytes, roots.size);
		assert_memory_equal((char *)overlay->bytes + overlay->size - (sizeof pem - 1), pem, sizeof pem - 1);
		bundle_free(&roots);
	}
	for (size_t i = 0; i < options.overlay_count; i++)
		for (size_t j = 0; j < i; j++) {
			struct stat a, b;

			assert_int_equal(stat(options.overlays[i].path, &a), 0);
			assert_int_equal(stat(options.overlays[j].path, &b), 0);
			assert_false(a.st_ino == b.st_ino && a.st_dev == b.st_dev);
		}
	trust_close(trust);
	trust_close(NULL);
}

static void java_home_is_followed(void **state)
{
	char home[160];
	char *environment[] = {home, NULL};
	struct launch_options options;
	struct trust *trust;

	(void)state;
	snprintf(home, sizeof home, "JAVA_HOME=%s", place);
	assert_int_equal(mkdir(in_place("lib"), 0755) | mkdir(in_place("lib/security"), 0755), 0);
	write_file("lib/security/cacerts", empty_jks, sizeof empty_jks);
	trust = open_trust(environment, &options);
	assert_non_null(overlay_of(&options, in_place("lib/security/cacerts")));
	trust_close(trust);
	unlink(in_place("lib/security/cacerts"));
	rmdir(in_place("lib/security"));
	rmdir(in_place("lib"));
}

// --- real programs ---------------------------------------------------------------------

// An authority, and a server's certificate by it.
static const char make_authority[] =
	"cd %s && ( openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 "
	"-subj '/CN=a test authority' -keyout ca.key -out ca.pem && "
	"openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=localhost "
	"-keyout leaf.key -out leaf.csr && "
	"printf 'subjectAltName=DNS:localhost,IP:127.0.0.1\\n' > ext && "
	"openssl x509 -req -in leaf.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -extfile ext -out leaf.pem && "
	"openssl x509 -in ca.pem -outform DER -out ca.der && chmod a+r * ) >log 2>&1";

// Each program must come through; one that is not there is passed over.
static const char programs[] =
	"cd %s; U=https://127.0.0.1:4433/; at() { command -v $1 >/dev/null || { echo no $1; return 1; }; }\n"
	"openssl s_server -quiet -accept 4433 -cert leaf.pem -key leaf.key -www >log2 2>&1 & S=$!\n"
	"bad=0; try() { \"$@\" </dev/null >log3 2>&1 || { echo \"not trusted by: $*\"; cat log3; bad=1; }; }\n"
	"for i in 1 2 3 4 5 6 7 8 9; do : | openssl s_client -connect 127.0.0.1:4433 >/dev/null 2>&1 && break; done\n"
	"at curl && try curl -sS -m 5 $U\n"
	"at wget && try wget -T 5 -t 1 -q -O /dev/null $U\n"
	"[ -x /usr/bin/python3 ] && try /usr/bin/python3 -c \"import urllib.request as u; u.urlopen('$U', timeout=5).read()\"\n"
	// A folder is all that some have to look in, where the kernel lets us add to it.
	"[ -e /etc/ssl/certs/$(openssl x509 -noout -subject_hash -in ../ca.pem).0 ] && "
	"try openssl s_client -CApath /etc/ssl/certs -no-CAfile -verify_return_error -connect 127.0.0.1:4433\n"
	"at perl && perl -MLWP::UserAgent -MLWP::Protocol::https -e 1 2>/dev/null && "
	"try perl -MLWP::UserAgent -e \"LWP::UserAgent->new->get('$U')->is_success or die\"\n"
	"at node && try node -e \"fetch('$U').then(r=>r.text()).catch(e=>{console.log(e);process.exit(1)})\"\n"
	"at git && { git ls-remote $U >log3 2>&1; grep -qi certificate log3 && { cat log3; bad=1; }; }\n"
	"kill $S; exit $bad\n";

static void read_place(const char *name, struct bundle *out)
{
	CHECK(!bundle_read(out, in_place(name)));
}

// With none of the variables set that this machine may set itself.
static char *plain[] = {"PATH=/usr/local/bin:/usr/bin:/bin", "HOME=/nonexistent", "GIT_TERMINAL_PROMPT=0", NULL};

static int run_trusting(char *const *argv)
{
	struct bundle ca_pem, ca_der;
	struct launch_options options = {.argv = argv, .mtu = 1500};
	struct launch *launch;
	struct trust *trust;
	char why[512] = "";
	int status;

	read_place("ca.pem", &ca_pem);
	read_place("ca.der", &ca_der);
	CHECK(!trust_open(&trust, (char *)ca_pem.bytes, ca_pem.size, ca_der.bytes, ca_der.size,
			  place, plain, why, sizeof why));
	trust_apply(trust, &options);
	CHECK(!launch_open(&launch, &options, why, sizeof why));
	status = inside_run(launch);
	launch_close(launch, false);
	trust_close(trust);
	bundle_free(&ca_pem);
	bundle_free(&ca_der);
	return status;
}

static void body_programs(void)
{
	char script[4096];
	char *argv[] = {"sh", "-c", script, NULL};

	snprintf(script, sizeof script, programs, in_place("work"));
	CHECK(run_trusting(argv) == 0);
}

static void body_java(void)
{
	char script[] = "command -v keytool >/dev/null || exit 0; "
			"keytool -list -cacerts -storepass changeit -alias apptap >/dev/null";
	char *argv[] = {"sh", "-c", script, NULL};

	CHECK(run_trusting(argv) == 0);
}

static void test_programs(void **state)
{
	char command[2048];

	(void)state;
	if (getuid())
		skip();
	snprintf(command, sizeof command, make_authority, place);
	assert_int_equal(system(command), 0);
	// Where an ordinary user may leave a program's log.
	snprintf(command, sizeof command, "mkdir -m 1777 %s/work && cp %s/leaf.* %s/work && chmod a+r %s/work/*",
		 place, place, place, place);
	assert_int_equal(system(command), 0);
	assert_true(inside_passes(body_programs, false));
	snprintf(command, sizeof command, "rm %s/work/log*", place);
	assert_int_equal(system(command), 0);
	assert_true(inside_passes(body_programs, true));
	assert_true(inside_passes(body_java, true));
}

static int set_up(void **state)
{
	if (!mkdtemp(place) || chmod(place, 0755))
		return -1;
	return inside_set_up(state);
}

static int tear_down(void **state)
{
	char command[256];

	snprintf(command, sizeof command, "rm -rf %s", place);
	if (system(command))
		return -1;
	return inside_tear_down(state);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bundle_walks_certificates),
		cmocka_unit_test(bundle_ends_its_last_line),
		cmocka_unit_test(bundle_refuses),
		cmocka_unit_test(keystore_extends_jks),
		cmocka_unit_test(keystore_reads_pkcs12),
		cmocka_unit_test(keystore_falls_back_on_roots),
		cmocka_unit_test(keystore_refuses),
		cmocka_unit_test(subject_is_hashed_as_openssl_does),
		cmocka_unit_test(users_files_are_extended),
		cmocka_unit_test(system_bundle_holds_both),
		cmocka_unit_test(java_home_is_followed),
		cmocka_unit_test(test_programs),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
