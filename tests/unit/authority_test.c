// SPDX-License-Identifier: GPL-3.0-or-later
// authority_test - the authority on disk: made once, kept private, refused in words.

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "tls/authority.h"

static char folder[128], home[64], why[512];

// A folder that is not there yet, two levels down.
static int set_up(void **state)
{
	char template[] = "/tmp/apptap-authority-XXXXXX";

	(void)state;
	if (!mkdtemp(template))
		return -1;
	snprintf(home, sizeof(home), "%s", template);
	snprintf(folder, sizeof(folder), "%s/share/apptap", home);
	return 0;
}

static int tear_down(void **state)
{
	char command[128];

	(void)state;
	snprintf(command, sizeof(command), "rm -rf %s", home);
	return system(command);
}

__attribute__((format(printf, 1, 2)))
static int run(const char *format, ...)
{
	char command[1024];
	va_list arguments;

	va_start(arguments, format);
	// NOLINTNEXTLINE(clang-analyzer-valist.Uninitialized): it is, a line above
	vsnprintf(command, sizeof(command), format, arguments);
	va_end(arguments);
	return system(command);
}

static struct authority *open_well(void)
{
	struct authority *authority = NULL;

	if (authority_open(&authority, folder, why, sizeof(why)) != 0)
		fail_msg("%s", why);
	assert_string_equal(why, "");
	return authority;
}

static void refused(int error, const char *words)
{
	struct authority *authority;

	assert_int_equal(authority_open(&authority, folder, why, sizeof(why)), error);
	assert_null(authority);
	if (!strstr(why, words))
		fail_msg("%s: does not say \"%s\"", why, words);
}

static mode_t mode_of(const char *name)
{
	char path[256];
	struct stat status;

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	assert_int_equal(stat(path, &status), 0);
	return status.st_mode & 07777;
}

static void makes_one_and_keeps_it(void **state)
{
	struct authority *authority;
	char fingerprint[65], pem[4096];
	size_t size, der_size;
	mode_t mask = umask(0);

	(void)state;
	authority = open_well();
	umask(mask);
	assert_int_equal(mode_of(""), 0700);
	assert_int_equal(mode_of("ca.pem"), 0644);
	assert_int_equal(mode_of("ca-key.pem"), 0600);
	assert_string_equal(authority_path(authority) + strlen(folder), "/ca.pem");
	snprintf(fingerprint, sizeof(fingerprint), "%s", authority_fingerprint(authority));
	assert_int_equal(strlen(fingerprint), 64);
	snprintf(pem, sizeof(pem), "%s", authority_pem(authority, &size));
	assert_int_equal(strlen(pem), size);
	assert_non_null(authority_der(authority, &der_size));
	assert_true(der_size > 200 && der_size < size);
	authority_close(authority);

	authority = open_well();
	assert_string_equal(authority_fingerprint(authority), fingerprint);
	assert_string_equal(authority_pem(authority, &size), pem);
	authority_close(authority);
	assert_int_equal(run("[ $(ls %s | wc -l) = 2 ]", folder), 0);	// nothing left aside
}

static void is_what_openssl_calls_an_authority(void **state)
{
	struct authority *authority = open_well();

	(void)state;
	assert_int_equal(run("cd %s && openssl verify -x509_strict -CAfile ca.pem ca.pem >/dev/null", folder), 0);
	assert_int_equal(run("cd %s && [ \"$(openssl x509 -in ca.pem -noout -fingerprint -sha256 | "
			     "sed 's/.*=//;s/://g' | tr A-F a-f)\" = %s ]", folder,
			     authority_fingerprint(authority)), 0);
	assert_int_equal(run("cd %s && [ \"$(openssl pkey -in ca-key.pem -pubout)\" = "
			     "\"$(openssl x509 -in ca.pem -noout -pubkey)\" ]", folder), 0);
	assert_int_equal(run("cd %s && openssl x509 -in ca.pem -noout -text >text && "
			     "grep -q 'CA:TRUE, pathlen:0' text && grep -q 'Certificate Sign, CRL Sign' text && "
			     "grep -q 'ecdsa-with-SHA256' text && "
			     "grep -q 'Subject: O = apptap, CN = \"*apptap authority (' text && "
			     "grep -q 'X509v3 Subject Key Identifier' text", folder), 0);
	// From a day ago to ten years on.
	assert_int_equal(run("cd %s && openssl x509 -in ca.pem -noout -checkend %d >/dev/null", folder,
			     3649 * 86400), 0);
	assert_int_not_equal(run("cd %s && openssl x509 -in ca.pem -noout -checkend %d >/dev/null", folder,
				 3651 * 86400), 0);
	authority_close(authority);
}

static void many_starts_make_one(void **state)
{
	enum { STARTS = 12 };
	int gate[2], results[2];
	char first[65], next[65];

	(void)state;
	assert_int_equal(pipe(gate), 0);
	assert_int_equal(pipe(results), 0);
	for (int i = 0; i < STARTS; i++) {
		pid_t child = fork();

		assert_true(child >= 0);
		if (child == 0) {
			struct authority *authority;
			char text[65] = "-";
			char byte;

			close(gate[1]);
			(void)!read(gate[0], &byte, 1);		// ends for all at once
			if (authority_open(&authority, folder, why, sizeof(why)) == 0)
				snprintf(text, sizeof(text), "%s", authority_fingerprint(authority));
			_exit(write(results[1], text, sizeof(text)) == sizeof(text) ? 0 : 1);
		}
	}
	close(gate[0]);
	close(gate[1]);
	close(results[1]);
	assert_int_equal(read(results[0], first, sizeof(first)), sizeof(first));
	assert_int_equal(strlen(first), 64);
	for (int i = 1; i < STARTS; i++) {
		assert_int_equal(read(results[0], next, sizeof(next)), sizeof(next));
		assert_string_equal(next, first);
	}
	close(results[0]);
	for (int i = 0; i < STARTS; i++)
		wait(NULL);
	assert_int_equal(run("[ $(ls %s | wc -l) = 2 ]", folder), 0);
}

static void refuses_an_open_key(void **state)
{
	(void)state;
	authority_close(open_well());
	assert_int_equal(run("chmod 640 %s/ca-key.pem", folder), 0);
	refused(-EPERM, "chmod 600 ");
	assert_int_equal(run("chmod 604 %s/ca-key.pem", folder), 0);
	refused(-EPERM, "chmod 600 ");
	assert_int_equal(run("chmod 400 %s/ca-key.pem", folder), 0);
	authority_close(open_well());
	assert_int_equal(run("chmod 775 %s", folder), 0);
	refused(-EPERM, "chmod 700 ");
}

static void refuses_what_is_broken(void **state)
{
	(void)state;
	authority_close(open_well());
	assert_int_equal(run("cd %s && cp -p ca-key.pem key && cp -p ca.pem cert", folder), 0);

	assert_int_equal(run("cd %s && echo nonsense >ca-key.pem", folder), 0);
	refused(-EINVAL, "is not a P-256 key");
	assert_int_equal(run("cd %s && : >ca-key.pem", folder), 0);
	refused(-EINVAL, "is not a P-256 key");
	assert_int_equal(run("cd %s && openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-384 >ca-key.pem",
			     folder), 0);
	refused(-EINVAL, "is not a P-256 key");
	assert_int_equal(run("cd %s && head -c 100 key >ca-key.pem", folder), 0);
	refused(-EINVAL, "is not a P-256 key");
	// Another's, which openssl writes as PKCS #8.
	assert_int_equal(run("cd %s && openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 >ca-key.pem",
			     folder), 0);
	refused(-EINVAL, "do not belong together");
	assert_int_equal(run("cd %s && openssl pkcs8 -topk8 -nocrypt -in key >ca-key.pem", folder), 0);
	authority_close(open_well());
	assert_int_equal(run("cd %s && rm ca-key.pem", folder), 0);
	refused(-EINVAL, "restore the key");
	assert_int_equal(run("cd %s && mkdir ca-key.pem", folder), 0);
	refused(-EINVAL, "is not a file");
	assert_int_equal(run("cd %s && rmdir ca-key.pem && cp -p key ca-key.pem", folder), 0);

	assert_int_equal(run("cd %s && head -c 200 cert >ca.pem", folder), 0);
	refused(-EINVAL, "is not a certificate");
	assert_int_equal(run("cd %s && openssl x509 -in cert -signkey key -days -1 -out ca.pem 2>/dev/null ||"
			     " openssl req -x509 -new -key key -subj /CN=x -days 1 -out ca.pem", folder), 0);
	refused(-EINVAL, "has expired");
	// Without its certificate, a key gets a new one.
	assert_int_equal(run("cd %s && rm ca.pem", folder), 0);
	authority_close(open_well());
	// A folder that cannot be.
	assert_int_equal(run("rm -rf %s && : >%s", folder, folder), 0);
	refused(-ENOTDIR, "is not a folder");
}

static void says_what_it_cannot_write(void **state)
{
	(void)state;
	if (geteuid() == 0) {
		snprintf(folder, sizeof(folder), "/proc/apptap-nowhere/x");
		refused(-ENOENT, "cannot make the folder");
		return;
	}
	assert_int_equal(run("mkdir -p %s && chmod 500 %s", folder, folder), 0);
	refused(-EACCES, "cannot write");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(makes_one_and_keeps_it, set_up, tear_down),
		cmocka_unit_test_setup_teardown(is_what_openssl_calls_an_authority, set_up, tear_down),
		cmocka_unit_test_setup_teardown(many_starts_make_one, set_up, tear_down),
		cmocka_unit_test_setup_teardown(refuses_an_open_key, set_up, tear_down),
		cmocka_unit_test_setup_teardown(refuses_what_is_broken, set_up, tear_down),
		cmocka_unit_test_setup_teardown(says_what_it_cannot_write, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
