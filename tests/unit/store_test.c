// SPDX-License-Identifier: GPL-3.0-or-later
// store_test - the authority put into stores and taken out: in trees that look like
// each distribution, and for real where this machine's own stores can be laid over.

#include "tests/unit/store_world.h"

// --- the system's store ---------------------------------------------------------

static void test_ways(void **state)
{
	static const struct {
		const char *folder, *command, *java;
	} ways[] = {
		{"etc/pki/ca-trust/source/anchors", "update-ca-trust", "etc/pki/ca-trust/extracted/java/cacerts"},
		{"etc/ca-certificates/trust-source/anchors", "update-ca-trust", "etc/ssl/certs/java/cacerts"},
		{"etc/pki/trust/anchors", "update-ca-certificates", "var/lib/ca-certificates/java-cacerts"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof ways / sizeof *ways; i++) {
		const char *file = text_of("%s/" NAME ".crt", ways[i].folder), *calls = text_of("%s \n", ways[i].command);
		char before[65536];

		make_tree();
		CHECK(shell(text_of("mkdir -p %s $(dirname %s) && : > %s", ways[i].folder, ways[i].java, ways[i].java)));
		make_stub(text_of("usr/bin/%s", ways[i].command), "");
		strcpy(before, snapshot());
		CHECK(install(0) == 0);
		CHECK(was_told(text_of("A /%s \n", file)) && was_told(text_of("A /%s by the system's command\n", ways[i].java)));
		CALLS(calls);
		CHECK(!strcmp(read_text(text_of("cat %s; stat -c %%a %s", file, file)), PEM "644\n"));
		CHECK(!strcmp(read_text("cat folder/installed"), text_of("- system " NAME " /%s\n", file)));
		CHECK(uninstall(0) == 0 && was_told(text_of("R /%s \n", file)));
		CALLS(calls);
		CHECK(!strcmp(snapshot(), before));
		drop_tree();
	}
}

static void test_debian(void **state)
{
	char before[65536];

	(void)state;
	make_debian();
	strcpy(before, snapshot());
	CHECK(install(0) == 0 && was_told("A /usr/local/share/ca-certificates/" NAME ".crt \n"));
	CALLS("update-ca-certificates \n");
	CHECK(is_there("etc/ssl/certs/" NAME ".pem"));
	CHECK(install(0) == 0 && was_told("K /usr/local/share/ca-certificates/" NAME ".crt \n"));
	CALLS("");
	CHECK(uninstall(0) == 0);
	CHECK(strstr(read_text("cat calls; : > calls"), "\nwithout " NAME ".crt\n"));
	CHECK(!strcmp(snapshot(), before));
	CHECK(uninstall(0) == 0 && !told[0]);
	CALLS("");
	drop_tree();
}

// A command that takes no list (Alpine's) makes everything afresh.
static void test_debian_without_list(void **state)
{
	char before[65536];

	(void)state;
	make_debian();
	make_stub("usr/sbin/update-ca-certificates",
		  text_of("[ \"$1\" != --certsconf ] || exit 1\n%s", debian_command));
	strcpy(before, snapshot());
	CHECK(install(0) == 0 && uninstall(0) == 0 && was_told("R /usr/local"));
	CHECK(strstr(read_text("cat calls"), "--fresh\n"));
	CHECK(!strcmp(snapshot(), before));
	drop_tree();
}

static void test_folder_is_made_and_taken_away(void **state)
{
	char before[65536];

	(void)state;
	make_debian();
	CHECK(shell("rmdir usr/local/share/ca-certificates"));
	strcpy(before, snapshot());
	CHECK(install(0) == 0 && is_there("usr/local/share/ca-certificates/" NAME ".crt"));
	CHECK(uninstall(0) == 0 && !strcmp(snapshot(), before));
	CHECK(install(0) == 0 && shell(": > usr/local/share/ca-certificates/other.crt"));
	CHECK(uninstall(0) == 0 && is_there("usr/local/share/ca-certificates/other.crt"));
	CHECK(!is_there("folder/installed"));
	drop_tree();
}

static void test_what_was_there_stays(void **state)
{
	(void)state;
	make_debian();
	CHECK(shell("echo x > usr/local/share/ca-certificates/" NAME ".crt; touch etc/ssl/certs/ca-certificates.crt"));
	CHECK(install(0) == 0 && was_told("K /usr/local/share/ca-certificates/" NAME ".crt not by apptap"));
	CHECK(!is_there("folder/installed"));
	CHECK(uninstall(0) == 0 && !told[0]);
	CHECK(!strcmp(read_text("cat usr/local/share/ca-certificates/*"), "x\n"));
	drop_tree();
}

static void test_failure_is_undone(void **state)
{
	char before[65536];

	(void)state;
	make_debian();
	strcpy(before, snapshot());
	CHECK(shell(": > fail-update-ca-certificates"));
	CHECK(install(0) == 1 && was_told("F /usr/local/share/ca-certificates/" NAME ".crt update-ca-certificates says: it is broken\n"));
	CHECK(shell("rm fail-update-ca-certificates") && !strcmp(snapshot(), before));
	// Where taking out fails it is tried again.
	CHECK(install(0) == 0 && shell(": > fail-update-ca-certificates"));
	CHECK(uninstall(0) == 1 && was_told("F /usr/local") && is_there("folder/installed"));
	CHECK(shell("rm fail-update-ca-certificates") && uninstall(0) == 0);
	CHECK(!strcmp(snapshot(), before));
	drop_tree();
}

// A kill between the file and the command, or between the line and the file.
static void test_half_done(void **state)
{
	char before[65536];

	(void)state;
	make_debian();
	CHECK(shell("touch -d '1 hour ago' etc/ssl/certs/ca-certificates.crt"));
	strcpy(before, snapshot());
	CHECK(shell("echo '- system " NAME " /usr/local/share/ca-certificates/" NAME ".crt' > folder/installed"));
	CHECK(uninstall(0) == 0 && was_told("G /usr/local/share/ca-certificates/" NAME ".crt \n"));
	CHECK(!strcmp(snapshot(), before));
	CHECK(shell("echo '- system " NAME " /usr/local/share/ca-certificates/" NAME ".crt' > folder/installed;"
		    ": > usr/local/share/ca-certificates/" NAME ".crt"));
	CHECK(install(0) == 0 && was_told("A /usr/local") && is_there("etc/ssl/certs/" NAME ".pem"));
	CHECK(uninstall(0) == 0 && was_told("R /usr/local") && !strcmp(snapshot(), before));
	// The file is gone, but the command did not run.
	CHECK(install(0) == 0 && shell("rm usr/local/share/ca-certificates/" NAME ".crt"));
	CHECK(uninstall(0) == 0 && was_told("R /usr/local") && !strcmp(snapshot(), before));
	drop_tree();
}

static void test_no_known_system(void **state)
{
	(void)state;
	make_tree();
	CHECK(install(0) == 0 && was_told("S  neither update-ca-certificates"));
	CHECK(!is_there("folder/installed"));
	drop_tree();
}

// --- Java -----------------------------------------------------------------------

static void test_java(void **state)
{
	char before[65536];

	(void)state;
	make_debian();
	make_stub("usr/bin/keytool", keytool_command);
	make_stub("opt/jdk/bin/keytool", keytool_command);
	CHECK(shell("mkdir -p etc/ssl/certs/java etc/ca-certificates/update.d usr/lib/jvm/a/lib/security usr/lib/jvm/b/jre/lib/security opt/jdk/lib/security;"
		    ": > etc/ssl/certs/java/cacerts; : > usr/lib/jvm/b/jre/lib/security/cacerts; : > opt/jdk/lib/security/cacerts;"
		    "ln -s ../../../../../../etc/ssl/certs/java/cacerts usr/lib/jvm/a/lib/security/cacerts; ln -s a usr/lib/jvm/c"));
	make_stub("etc/ca-certificates/update.d/jks-keystore", "");
	strcpy(before, snapshot());
	CHECK(install(0) == 0 && was_told("A /etc/ssl/certs/java/cacerts by the system's command\n"));
	CHECK(was_told("A /usr/lib/jvm/b/jre/lib/security/cacerts \n") && was_told("A /opt/jdk/lib/security/cacerts \n"));
	CHECK(!strstr(told, "/jvm/a/") && !strstr(told, "/jvm/c/"));
	CHECK(!strcmp(read_text("cat opt/jdk/lib/security/cacerts-" NAME), PEM));
	CHECK(install(0) == 0 && was_told("K /opt/jdk/lib/security/cacerts \n"));
	CHECK(uninstall(0) == 0 && was_told("R /opt/jdk/lib/security/cacerts \n") && !strcmp(snapshot(), before));

	// The hook's failure is Java's alone.
	CHECK(shell(": > fail-hook") && install(0) == 1 && was_told("A /usr/local/share"));
	CHECK(was_told("F /etc/ssl/certs/java/cacerts ") && was_told("exited with code 1"));
	CHECK(shell("rm fail-hook") && uninstall(0) == 0 && !strcmp(snapshot(), before));

	// Without the hook it is a store like the others; a Java that went away is no fault.
	CHECK(shell("rm etc/ca-certificates/update.d/jks-keystore") && install(0) == 0);
	CHECK(was_told("A /etc/ssl/certs/java/cacerts \n") && shell("rm -r opt/jdk"));
	CHECK(uninstall(0) == 0 && !is_there("folder/installed"));
	drop_tree();
}

// --- NSS ------------------------------------------------------------------------

enum { USER = 65534 };

static struct store_options options_of_user(void)
{
	struct store_options asked = options();

	asked.uid = getuid() ? getuid() : USER;
	asked.gid = getuid() ? getgid() : USER;
	return asked;
}

static void make_databases(void)
{
	make_debian();
	CHECK(shell("mkdir -p home/.pki/nssdb home/.mozilla/firefox/x1.default 'home/.mozilla/firefox/y [2]' home/.mozilla/firefox/none;"
		    "mkdir -p home/snap/firefox/common/.mozilla/firefox/z;"
		    ": > home/.pki/nssdb/cert9.db; : > home/.mozilla/firefox/x1.default/cert9.db;"
		    ": > 'home/.mozilla/firefox/y [2]/cert9.db'; : > home/snap/firefox/common/.mozilla/firefox/z/cert9.db"));
	if (!getuid())
		CHECK(shell("chown -R 65534:65534 home folder"));
}

static void test_databases(void **state)
{
	struct store_options asked;
	char before[65536];

	(void)state;
	make_databases();
	CHECK(shell("mv 'home/.mozilla/firefox/y [2]' home/.mozilla/firefox/y"));	// the stub is not that careful
	make_stub("usr/bin/certutil", certutil_command);
	strcpy(before, snapshot());
	asked = options_of_user();
	CHECK(store_install(&asked, PEM, strlen(PEM), PRINT, why, sizeof why) == 0);
	CHECK(was_told(text_of("A %s/home/.pki/nssdb \n", root)) && was_told(text_of("A %s/home/.mozilla/firefox/x1.default \n", root)));
	CHECK(was_told("/firefox/y \n") && was_told("/snap/firefox/common/.mozilla/firefox/z \n") && !strstr(told, "none"));
	CHECK(!strcmp(read_text("cat home/.pki/nssdb/" NAME), PEM));
	CHECK(!strcmp(read_text("grep uid calls | sort -u; stat -c %u home/.pki/nssdb/" NAME " folder/installed; stat -c %a folder/installed"),
		      text_of("uid %u\n%u\n%u\n600\n", asked.uid, asked.uid, asked.uid)));
	CHECK(strstr(read_text("cat calls"), "certutil -d sql:") && strstr(read_text("cat calls"), "-A -a -n " NAME " -t C,,\n"));
	asked = options_of_user();
	CHECK(store_install(&asked, PEM, strlen(PEM), PRINT, why, sizeof why) == 0 && was_told("K ") && !strstr(told, "A "));

	// One that was taken out by hand is gone, one that vanished as well; one that fails stays in the record.
	CHECK(shell("rm home/.pki/nssdb/" NAME "; rm -r home/.mozilla/firefox/y"));
	asked = options_of_user();
	CHECK(store_uninstall(&asked, why, sizeof why) == 0);
	CHECK(was_told("G ") && was_told("R ") && !is_there("folder/installed"));
	CHECK(shell("mkdir home/.mozilla/firefox/y; : > home/.mozilla/firefox/y/cert9.db; chown --reference=home home/.mozilla/firefox/y/cert9.db home/.mozilla/firefox/y"));
	CHECK(!strcmp(snapshot(), before));

	asked = options_of_user();
	CHECK(store_install(&asked, PEM, strlen(PEM), PRINT, why, sizeof why) == 0 && shell(": > fail-certutil"));
	asked = options_of_user();
	CHECK(store_uninstall(&asked, why, sizeof why) == 4 && was_told("certutil says: it is broken"));
	CHECK(shell("rm fail-certutil") && is_there("folder/installed"));
	asked = options_of_user();
	CHECK(store_uninstall(&asked, why, sizeof why) == 0 && !strcmp(snapshot(), before));
	drop_tree();
}

static void test_certutil_is_missing(void **state)
{
	struct store_options asked;

	(void)state;
	make_databases();
	asked = options_of_user();
	CHECK(store_install(&asked, PEM, strlen(PEM), PRINT, why, sizeof why) == 4);
	CHECK(was_told("certutil is not there: install libnss3-tools") && was_told("A /usr/local") && was_told("/firefox/y [2] "));
	drop_tree();
}

// As an ordinary user only the databases, and what is the system's is said to be left.
static void body_ordinary_user(void)
{
	struct store_options asked = options_of_user();

	asked.system = false;
	CHECK(store_install(&asked, PEM, strlen(PEM), PRINT, why, sizeof why) == 0);
	CHECK(was_told("S /usr/local/share/ca-certificates/" NAME ".crt only root may") && was_told("A "));
	CHECK(!is_there("usr/local/share/ca-certificates/" NAME ".crt"));
}

static void test_ordinary_user(void **state)
{
	struct store_options asked;

	(void)state;
	make_databases();
	make_stub("usr/bin/certutil", certutil_command);
	CHECK(inside_passes(body_ordinary_user, !getuid()));
	// What root put in the user cannot take out, and it is not forgotten.
	asked = options_of_user();
	CHECK(store_install(&asked, PEM, strlen(PEM), PRINT, why, sizeof why) == 0 && was_told("A /usr/local"));
	asked = options_of_user();
	asked.system = false;
	CHECK(store_uninstall(&asked, why, sizeof why) == 1 && was_told("S /usr/local") && was_told("R "));
	asked = options_of_user();
	CHECK(store_uninstall(&asked, why, sizeof why) == 0 && was_told("R /usr/local") && !is_there("folder/installed"));
	drop_tree();
}

// --- for real -------------------------------------------------------------------

static bool lay_over(const char *path, const char *name)
{
	return shell(text_of("mkdir -p over/%s/up over/%s/work && mount -t overlay overlay -o "
			     "lowerdir=%s,upperdir=over/%s/up,workdir=over/%s/work %s", name, name, path, name, name, path));
}

static const char real_tree[] =
	"cd / && find etc/ssl usr/local/share/ca-certificates ! -path '*/java/cacerts' -printf '%p %y %m %l\\n' | sort | sha256sum;"
	"find etc/ssl usr/local/share/ca-certificates -type f ! -path '*/java/cacerts' | sort | xargs sha256sum | sha256sum";

static void read_file(const char *name, char *out, size_t size)
{
	FILE *file = fopen(text_of("%s/%s", root, name), "r");

	CHECK(file);
	out[fread(out, 1, size - 1, file)] = '\0';
	fclose(file);
}

static void body_real_debian(void)
{
	static char before[65536], pem[8192];
	struct store_options asked = options();

	asked.root = NULL;
	asked.home = NULL;
	read_file("ca.pem", pem, sizeof pem);
	strcpy(before, read_text(real_tree));
	CHECK(!shell("openssl verify -CApath /etc/ssl/certs leaf.pem"));
	CHECK(store_install(&asked, pem, strlen(pem), PRINT, why, sizeof why) == 0);
	CHECK(was_told("A /usr/local/share/ca-certificates/" NAME ".crt"));
	CHECK(shell("openssl verify -CApath /etc/ssl/certs leaf.pem"));
	CHECK(shell("openssl verify -no-CApath -CAfile /etc/ssl/certs/ca-certificates.crt leaf.pem"));
	CHECK(strcmp(read_text(real_tree), before) != 0);
	asked = options();
	asked.root = NULL;
	CHECK(store_uninstall(&asked, why, sizeof why) == 0 && was_told("R /usr/local"));
	CHECK(!shell("openssl verify -CApath /etc/ssl/certs leaf.pem"));
	CHECK(!strcmp(read_text(real_tree), before));
}

// This machine's stores laid over in a mount namespace of the test's own.
static void test_real_debian(void **state)
{
	bool passes;

	(void)state;
	if (getuid() || access("/usr/sbin/update-ca-certificates", X_OK) || access("/etc/ca-certificates.conf", R_OK) ||
	    access("/usr/bin/openssl", X_OK))
		skip();
	make_tree();
	fflush(NULL);
	pid_t pid = fork();
	if (pid == 0) {
		if (unshare(CLONE_NEWNS) || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) ||
		    mount("tmpfs", root, "tmpfs", 0, "mode=755"))
			_exit(77);
		if (!lay_over("/etc", "etc") || !lay_over("/usr/local/share", "share") || !lay_over("/var/lib", "lib"))
			_exit(77);
		CHECK(shell("mkdir -m 700 folder; openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout ca.key "
			    "-out ca.pem -days 2 -subj /CN=store-test && openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes "
			    "-keyout leaf.key -out leaf.csr -subj /CN=localhost && openssl x509 -req -in leaf.csr -CA ca.pem -CAkey ca.key "
			    "-CAcreateserial -days 2 -out leaf.pem"));
		body_real_debian();
		_exit(0);
	}
	int status;
	CHECK(waitpid(pid, &status, 0) == pid);
	drop_tree();
	passes = WIFEXITED(status) && (WEXITSTATUS(status) == 0 || WEXITSTATUS(status) == 77);
	assert_true(passes);
	if (WEXITSTATUS(status) == 77)
		skip();
}

static void test_real_certutil(void **state)
{
	struct store_options asked;
	static char pem[8192];

	(void)state;
	if (access("/usr/bin/certutil", X_OK) || access("/usr/bin/openssl", X_OK))
		skip();
	make_tree();
	CHECK(shell("mkdir -p 'home/.mozilla/firefox/a b [c]' && openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes "
		    "-keyout ca.key -out ca.pem -days 2 -subj /CN=store-test"));
	if (!getuid())
		CHECK(shell("chown -R 65534:65534 home folder"));
	CHECK(shell(text_of("setpriv %s certutil -N --empty-password -d \"sql:$PWD/home/.mozilla/firefox/a b [c]\"",
			    getuid() ? "" : "--reuid 65534 --regid 65534 --clear-groups")));
	read_file("ca.pem", pem, sizeof pem);
	asked = options_of_user();
	asked.root = NULL;
	asked.system = false;
	CHECK(store_install(&asked, pem, strlen(pem), PRINT, why, sizeof why) == 0 && was_told("/a b [c] \n"));
	CHECK(shell("certutil -L -d \"sql:$PWD/home/.mozilla/firefox/a b [c]\" | grep '^" NAME " *C,, *$'"));
	CHECK(shell("certutil -L -d \"sql:$PWD/home/.mozilla/firefox/a b [c]\" -a -n " NAME " | tr -d '\\r' | diff - ca.pem"));
	asked = options_of_user();
	asked.root = NULL;
	CHECK(store_uninstall(&asked, why, sizeof why) == 0 && was_told("R "));
	CHECK(!shell("certutil -L -d \"sql:$PWD/home/.mozilla/firefox/a b [c]\" -n " NAME));
	drop_tree();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ways),
		cmocka_unit_test(test_debian),
		cmocka_unit_test(test_debian_without_list),
		cmocka_unit_test(test_folder_is_made_and_taken_away),
		cmocka_unit_test(test_what_was_there_stays),
		cmocka_unit_test(test_failure_is_undone),
		cmocka_unit_test(test_half_done),
		cmocka_unit_test(test_no_known_system),
		cmocka_unit_test(test_java),
		cmocka_unit_test(test_databases),
		cmocka_unit_test(test_certutil_is_missing),
		cmocka_unit_test(test_ordinary_user),
		cmocka_unit_test(test_real_debian),
		cmocka_unit_test(test_real_certutil),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
