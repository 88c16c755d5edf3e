// SPDX-License-Identifier: GPL-3.0-or-later
// store_runs_test - stores that hold the authority around a run: two at once, one that
// was killed, and a record of them that is not to be trusted.

#include "tests/unit/store_world.h"

static pid_t start_run(int *hold)
{
	int pipes[2];
	char byte;
	pid_t pid;

	CHECK(!pipe(pipes));
	pid = fork();
	if (pid == 0) {
		close(pipes[1]);
		_exit(read(pipes[0], &byte, 1) > 0);
	}
	close(pipes[0]);
	*hold = pipes[1];
	fcntl(*hold, F_SETFD, FD_CLOEXEC);
	return pid;
}

static void test_runs(void **state)
{
	const char *file = "usr/local/share/ca-certificates/" NAME ".crt";
	char before[65536];
	int hold;
	pid_t run = start_run(&hold);

	(void)state;
	make_debian();
	strcpy(before, snapshot());
	// Around one run, and nobody else's line is touched.
	CHECK(install(run) == 0 && is_there(file));
	CHECK(sweep() == 0 && !told[0] && is_there(file));
	CHECK(uninstall(getpid()) == 0 && !told[0] && is_there(file));
	CHECK(uninstall(0) == 0 && !told[0] && is_there(file));
	CHECK(uninstall(run) == 0 && was_told("R /usr") && !strcmp(snapshot(), before));
	// An install for good outlives the run's, in either order.
	CHECK(install(0) == 0 && install(run) == 0 && was_told("K /usr"));
	CHECK(uninstall(run) == 0 && was_told("H /usr") && is_there(file));
	CHECK(uninstall(0) == 0 && was_told("R /usr"));
	CHECK(install(run) == 0 && install(0) == 0);
	CHECK(uninstall(0) == 0 && was_told("H /usr") && is_there(file));
	// Two runs at once.
	CHECK(install(getpid()) == 0 && uninstall(getpid()) == 0 && was_told("H /usr") && is_there(file));
	// Killed: the next start takes it out.
	close(hold);
	waitpid(run, NULL, 0);
	CHECK(sweep() == 0 && was_told("R /usr") && !strcmp(snapshot(), before));
	CHECK(sweep() == 0 && !told[0]);
	drop_tree();
}

// Whether a run in another PID namespace is over cannot be seen from here.
static void test_run_elsewhere(void **state)
{
	const char *file = "usr/local/share/ca-certificates/" NAME ".crt";
	char before[65536];

	(void)state;
	make_debian();
	strcpy(before, snapshot());
	CHECK(install(getpid()) == 0 && shell("sed -i 's/^[0-9]*:[0-9]*:[0-9]* /4194303:1:1 /' folder/installed"));
	CHECK(sweep() == 0 && !told[0] && is_there(file));
	CHECK(uninstall(4194303) == 0 && !told[0] && is_there(file));
	CHECK(install(0) == 0 && uninstall(0) == 0 && was_told("R /usr") && !strcmp(snapshot(), before));
	// Not said: it is ours.
	CHECK(install(getpid()) == 0 && shell("sed -i 's/^[0-9]*:[0-9]*:[0-9]* /4194303:1:0 /' folder/installed"));
	CHECK(sweep() == 0 && was_told("R /usr") && !strcmp(snapshot(), before));
	drop_tree();
}

// --- a record that is not to be trusted -----------------------------------------

static void test_hostile_record(void **state)
{
	char before[65536];

	(void)state;
	make_debian();
	make_stub("usr/bin/keytool", keytool_command);
	CHECK(shell(": > etc/precious; : > etc/precious.crt; : > usr/local/share/ca-certificates/precious.crt;"
		    "usr/sbin/update-ca-certificates; : > calls"));
	strcpy(before, snapshot());
	CHECK(shell("printf '%s\\n' '- system " NAME " /etc/precious' '- system " NAME " /usr/local/share/ca-certificates/../../../../etc/precious.crt'"
		    " '- system precious /usr/local/share/ca-certificates/precious.crt' '- system ../precious /usr/local/share/ca-certificates/../precious.crt'"
		    " '- folder " NAME " /etc/ssl/certs' '- java " NAME " /etc/precious' '- nss " NAME " relative' '- what " NAME " /x'"
		    " '-' '- ' 'x y z' '- system' '- system " NAME "' '1:x nss a /b' '1:1 system a /b' '-5:1:1 system a /b' '' '\001' > folder/installed"));
	CHECK(uninstall(0) == 0 && !told[0]);
	CALLS("");
	CHECK(!strcmp(snapshot(), before));
	// A link instead of a record is neither read nor written through.
	CHECK(shell("ln -s ../etc/precious folder/installed"));
	CHECK(install(0) < 0 && why[0] && uninstall(0) < 0);
	CHECK(shell("rm folder/installed; ln -s ../etc/precious folder/installed.new") && install(0) == 0);
	CHECK(!strcmp(read_text("cat etc/precious"), "") && uninstall(0) == 0 && !strcmp(snapshot(), before));
	CHECK(shell("mkfifo folder/installed") && uninstall(0) < 0 && shell("rm folder/installed"));
	// Somebody else's folder.
	if (!getuid()) {
		CHECK(shell("chown 65534 folder"));
		CHECK(install(0) == -EPERM && strstr(why, "is not the folder of the user"));
	}
	drop_tree();
}

static void test_no_folder(void **state)
{
	(void)state;
	make_debian();
	CHECK(shell("rmdir folder") && uninstall(0) == 0 && sweep() == 0 && !told[0]);
	CHECK(install(0) == -ENOENT && strstr(why, "folder/installed"));
	drop_tree();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_runs),
		cmocka_unit_test(test_run_elsewhere),
		cmocka_unit_test(test_hostile_record),
		cmocka_unit_test(test_no_folder),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
