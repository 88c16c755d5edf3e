// SPDX-License-Identifier: GPL-3.0-or-later
// keylog_test - secrets go to the end of a private file, a line at a time.

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "pcap/keylog.h"

static char folder[] = "/tmp/keylog_test.XXXXXX", path[64];
static char why[256];

static int make_folder(void **state)
{
	(void)state;
	umask(022);
	if (!mkdtemp(folder))
		return -1;
	snprintf(path, sizeof(path), "%s/keys.log", folder);
	return 0;
}

static int remove_folder(void **state)
{
	(void)state;
	return rmdir(folder);
}

static int remove_file(void **state)
{
	(void)state;
	unlink(path);
	return 0;
}

static void expect_content(const char *expected)
{
	char text[256] = "";
	FILE *file = fopen(path, "r");

	assert_non_null(file);
	text[fread(text, 1, sizeof(text) - 1, file)] = 0;
	fclose(file);
	assert_string_equal(text, expected);
}

static void lines_stand_in_a_private_file(void **state)
{
	struct keylog *keylog;
	struct stat status;

	(void)state;
	assert_int_equal(keylog_open(&keylog, path, why, sizeof(why)), 0);
	assert_int_equal(keylog_write(keylog, "CLIENT_RANDOM aa bb"), 0);
	expect_content("CLIENT_RANDOM aa bb\n");	// before it is closed
	assert_int_equal(keylog_write(keylog, "SERVER_TRAFFIC_SECRET_0 aa cc"), 0);
	keylog_close(keylog);
	assert_int_equal(stat(path, &status), 0);
	assert_int_equal(status.st_mode & 07777, 0600);

	assert_int_equal(keylog_open(&keylog, path, why, sizeof(why)), 0);
	assert_int_equal(keylog_write(keylog, "third"), 0);
	keylog_close(keylog);
	expect_content("CLIENT_RANDOM aa bb\nSERVER_TRAFFIC_SECRET_0 aa cc\nthird\n");
}

static void two_writers_share_a_file(void **state)
{
	struct keylog *one, *other;

	(void)state;
	assert_int_equal(keylog_open(&one, path, why, sizeof(why)), 0);
	assert_int_equal(keylog_open(&other, path, why, sizeof(why)), 0);
	assert_int_equal(keylog_write(one, "a"), 0);
	assert_int_equal(keylog_write(other, "b"), 0);
	assert_int_equal(keylog_write(one, "c"), 0);
	keylog_close(one);
	keylog_close(other);
	expect_content("a\nb\nc\n");
}

static void what_others_can_read_is_refused(void **state)
{
	static const mode_t table[] = { 0644, 0640, 0604, 0620, 0602 };
	struct keylog *keylog;

	(void)state;
	for (size_t i = 0; i < sizeof(table) / sizeof(*table); i++) {
		int fd = open(path, O_CREAT | O_WRONLY, 0600);

		assert_int_equal(fchmod(fd, table[i]), 0);
		close(fd);
		assert_int_equal(keylog_open(&keylog, path, why, sizeof(why)), -EPERM);
		assert_non_null(strstr(why, path));
		assert_non_null(strstr(why, "chmod 600"));
	}
}

static void another_users_file_is_refused(void **state)
{
	struct keylog *keylog;
	int fd = open(path, O_CREAT | O_WRONLY, 0600);

	(void)state;
	assert_true(fd >= 0);
	if (fchown(fd, 65534, 65534)) {
		close(fd);
		skip();
	}
	close(fd);
	assert_int_equal(keylog_open(&keylog, path, why, sizeof(why)), -EPERM);
	assert_non_null(strstr(why, "another user"));
}

static void bad_paths_are_told(void **state)
{
	struct keylog *keylog;

	(void)state;
	assert_int_equal(keylog_open(&keylog, "/nowhere/keys", why, sizeof(why)), -ENOENT);
	assert_string_equal(why, "cannot append secrets to /nowhere/keys: No such file or directory");
	assert_int_equal(keylog_open(&keylog, folder, why, sizeof(why)), -EISDIR);
}

// Once a line is missing, more lines would hide the gap.
static void a_failure_stays(void **state)
{
	struct keylog *keylog;

	(void)state;
	assert_int_equal(keylog_open(&keylog, "/dev/full", why, sizeof(why)), 0);
	assert_int_equal(keylog_write(keylog, "a"), -ENOSPC);
	assert_int_equal(keylog_write(keylog, "b"), -ENOSPC);
	keylog_close(keylog);
}

static void only_single_lines(void **state)
{
	struct keylog *keylog;

	(void)state;
	assert_int_equal(keylog_open(&keylog, path, why, sizeof(why)), 0);
	assert_int_equal(keylog_write(keylog, "a\nb"), -EINVAL);
	assert_int_equal(keylog_write(keylog, ""), -EINVAL);
	assert_int_equal(keylog_write(keylog, "c"), 0);
	keylog_close(keylog);
	keylog_close(NULL);
	expect_content("c\n");
}

// Half a line would join the next one that a program appends.
static void a_line_without_room_leaves_nothing(void **state)
{
	struct rlimit old, few;
	struct keylog *keylog;

	(void)state;
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
	few = (struct rlimit){ 10, old.rlim_max };
	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(keylog_open(&keylog, path, why, sizeof(why)), 0);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &few), 0);
	assert_int_equal(keylog_write(keylog, "first"), 0);
	assert_int_equal(keylog_write(keylog, "second"), -EFBIG);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
	expect_content("first\n");
	assert_int_equal(keylog_write(keylog, "third"), -EFBIG);
	assert_int_equal(keylog_close(keylog), -EFBIG);
	expect_content("first\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(lines_stand_in_a_private_file, remove_file),
		cmocka_unit_test_teardown(two_writers_share_a_file, remove_file),
		cmocka_unit_test_teardown(what_others_can_read_is_refused, remove_file),
		cmocka_unit_test_teardown(another_users_file_is_refused, remove_file),
		cmocka_unit_test_teardown(bad_paths_are_told, remove_file),
		cmocka_unit_test_teardown(a_failure_stays, remove_file),
		cmocka_unit_test_teardown(only_single_lines, remove_file),
		cmocka_unit_test_teardown(a_line_without_room_leaves_nothing, remove_file),
	};

	return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
