// SPDX-License-Identifier: GPL-3.0-or-later
// custodian_test - the authority in a store for one run, in a tree with a command that
// only notes that it was called.

#include "tests/unit/inside.h"

#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <time.h>
#include <cmocka.h>

#include "extension/custodian.h"

#define PRINT "AB:CD:EF:01:23:45"
#define PEM "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"
#define ANCHOR "etc/pki/trust/anchors/apptap-abcdef01.crt"

static char root[64], folder[96], why[512];
static int news_of[STORE_FAILED + 1];

static const char *path_of(const char *name)
{
	static char path[512];

	snprintf(path, sizeof path, "%s/%s", root, name);
	return path;
}

static bool is_there(const char *name)
{
	return !access(path_of(name), F_OK);
}

static bool shell(const char *script)
{
	char line[2048];

	snprintf(line, sizeof line, "cd '%s' && { %s; }", root, script);
	return system(line) == 0;
}

static int make_tree(void **state)
{
	(void)state;
	strcpy(root, "/tmp/apptap-custodian.XXXXXX");
	if (!mkdtemp(root))
		return -1;
	snprintf(folder, sizeof folder, "%s/folder", root);
	memset(news_of, 0, sizeof news_of);
	return !shell("mkdir -m 700 folder && mkdir -p etc/pki/trust/anchors usr/sbin && "
		      "printf '#!/bin/sh\\necho \"$$ $(ls etc/pki/trust/anchors)\" >> %s/calls\\n' \"$PWD\" > usr/sbin/update-ca-certificates && "
		      "chmod 755 usr/sbin/update-ca-certificates");
}

static int drop_tree(void **state)
{
	(void)state;
	return strncmp(root, "/tmp/apptap-custodian.", 22) || !shell("rm -rf \"$PWD\"");
}

static void count(void *context, const struct store_news *news)
{
	(void)context;
	if (news->noun[0] && news->place && news->sentence)
		news_of[news->done]++;
}

static struct store_options options(void)
{
	return (struct store_options){.folder = folder, .uid = getuid(), .gid = getgid(), .system = true, .root = root,
				      .report = count};
}

static int open_one(struct custodian *custodian, const struct store_options *asked)
{
	return custodian_open(custodian, asked, PEM, strlen(PEM), PRINT, why, sizeof why);
}

static bool is_gone_in_time(const char *name)
{
	static const struct timespec turn = {.tv_nsec = 10000000};

	for (int turns = 0; is_there(name) && turns < INSIDE_MS / 10; turns++)
		nanosleep(&turn, NULL);
	return !is_there(name);
}

// Also where whoever started us ignores their children's ends.
static void test_for_one_run(void **state)
{
	struct store_options asked = options();
	struct custodian custodian;

	(void)state;
	signal(SIGCHLD, SIG_IGN);
	assert_int_equal(open_one(&custodian, &asked), 0);
	assert_true(is_there(ANCHOR) && is_there("folder/installed") && is_there("calls"));
	assert_int_equal(news_of[STORE_ADDED], 1);
	assert_int_equal(custodian_close(&custodian, why, sizeof why), 0);
	assert_int_equal(news_of[STORE_REMOVED], 1);
	assert_true(!is_there(ANCHOR) && !is_there("folder/installed"));
	assert_int_equal(custodian_close(&custodian, why, sizeof why), 0);
	signal(SIGCHLD, SIG_DFL);
}

static void test_partner_is_killed(void **state)
{
	struct store_options asked = options();
	struct custodian custodian;
	int status;
	pid_t pid;

	(void)state;
	fflush(NULL);
	pid = fork();
	if (pid == 0) {
		if (open_one(&custodian, &asked) == 0)
			kill(getpid(), SIGKILL);
		_exit(1);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	assert_true(is_gone_in_time("folder/installed") && !is_there(ANCHOR));
}

// The run goes on: its place is its own until it says otherwise.
static void test_custodian_is_killed(void **state)
{
	struct store_options asked = options();
	struct custodian custodian;

	(void)state;
	assert_int_equal(open_one(&custodian, &asked), 0);
	assert_int_equal(kill(custodian.pid, SIGKILL), 0);
	assert_int_equal(custodian_close(&custodian, why, sizeof why), -ESRCH);
	assert_non_null(strstr(why, "killed"));
	assert_true(store_sweep(&asked, why, sizeof why) == 0 && is_there(ANCHOR));
	asked.run = getpid();
	assert_true(store_uninstall(&asked, why, sizeof why) == 0 && !is_there(ANCHOR));
}

static void test_nowhere(void **state)
{
	struct store_options asked = options();
	struct custodian custodian;

	(void)state;
	asked.system = false;
	assert_int_equal(open_one(&custodian, &asked), -ENOENT);
	assert_non_null(strstr(why, "no store"));
	assert_int_equal(news_of[STORE_SKIPPED] > 0, 1);
	assert_true(waitpid(-1, NULL, WNOHANG) < 0 && errno == ECHILD);
	assert_false(is_there("folder/installed"));
	asked.folder = "/nonexistent/apptap";
	assert_int_equal(open_one(&custodian, &asked), -ENOENT);
	assert_non_null(strstr(why, "/nonexistent/apptap"));
	assert_int_equal(custodian_close(&custodian, why, sizeof why), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_for_one_run, make_tree, drop_tree),
		cmocka_unit_test_setup_teardown(test_partner_is_killed, make_tree, drop_tree),
		cmocka_unit_test_setup_teardown(test_custodian_is_killed, make_tree, drop_tree),
		cmocka_unit_test_setup_teardown(test_nowhere, make_tree, drop_tree),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
