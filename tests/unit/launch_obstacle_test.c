// SPDX-License-Identifier: GPL-3.0-or-later
// launch_obstacle_test - where a command gets no namespace of its own: what is said of it.

#include "tests/unit/inside.h"

#include <errno.h>
#include <linux/capability.h>
#include <sched.h>
#include <setjmp.h>
#include <sys/syscall.h>
#include <cmocka.h>

#include "extension/obstacle.h"

static void obstacles(void **state)
{
	static const struct {
		struct obstacle_facts facts;
		enum obstacle_step step;
		int error;
		const char *says;
	} rows[] = {
		{{false, false, 1000, 1000, -1, 1}, OBSTACLE_NAMESPACES, EPERM, "apparmor_restrict"},
		{{false, false, 1000, 1000, -1, 1}, OBSTACLE_TUN_CREATE, EPERM, "apparmor_restrict"},
		{{false, false, 1000, 1000, -1, 1}, OBSTACLE_MAPPING, EACCES, "apparmor_restrict"},
		{{false, false, 1000, 1000, 0, -1}, OBSTACLE_NAMESPACES, EPERM, "unprivileged_userns_clone=1"},
		{{false, false, 0, 1000, 1, 0}, OBSTACLE_NAMESPACES, ENOSPC, "max_user_namespaces=0"},
		{{false, false, 1000, 0, 1, 0}, OBSTACLE_NAMESPACES, ENOSPC, "max_net_namespaces=0"},
		{{false, false, 1000, 1000, 1, 0}, OBSTACLE_NAMESPACES, ENOSPC, "too many"},
		{{false, false, 1000, 1000, -1, -1}, OBSTACLE_NAMESPACES, EINVAL, "CONFIG_USER_NS"},
		{{true, true, 1000, 1000, -1, -1}, OBSTACLE_NAMESPACES, EPERM, "SYS_ADMIN"},
		{{false, false, 1000, 1000, -1, -1}, OBSTACLE_NAMESPACES, EPERM, "seccomp"},
		{{false, false, 1000, 1000, -1, -1}, OBSTACLE_TUN_OPEN, ENOENT, "modprobe tun"},
		{{false, true, 1000, 1000, -1, -1}, OBSTACLE_TUN_OPEN, ENOENT, "--device /dev/net/tun"},
		{{false, false, 1000, 1000, -1, -1}, OBSTACLE_TUN_OPEN, EACCES, "chmod 666 /dev/net/tun"},
		{{false, false, 1000, 1000, -1, -1}, OBSTACLE_NETWORK, ENOBUFS, "set up the network: No buffer"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		char why[512] = "";

		obstacle_sentence(&rows[i].facts, rows[i].step, rows[i].error, NULL, why, sizeof why);
		if (!strstr(why, rows[i].says))
			fail_msg("row %zu: \"%s\" does not say \"%s\"", i, why, rows[i].says);
	}
}

// As an ordinary user, with the door really locked.
static void body_locked_tun(void)
{
	char *argv[] = {"true", NULL};
	struct launch_options options = {.argv = argv, .environment = environ, .mtu = 1500};
	struct launch *launch;
	char why[512] = "";

	CHECK(launch_open(&launch, &options, why, sizeof why) == -EACCES);
	CHECK(!launch && strstr(why, "/dev/net/tun: Permission denied"));
}

static void locked_tun(void **state)
{
	bool passes;

	(void)state;
	if (getuid())
		skip();
	chmod("/dev/net/tun", 0600);
	passes = inside_passes(body_locked_tun, true);
	chmod("/dev/net/tun", 0666);
	assert_true(passes);
}

// Root in a container: no CAP_SYS_ADMIN, but a user namespace with everyone in it.
static void body_restricted_root(void)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[2];
	char *argv[] = {"grep", "-q", "0 *0 *4294967295", "/proc/self/uid_map", NULL};
	struct launch *launch;

	CHECK(!syscall(SYS_capget, &header, data));
	data[0].permitted &= ~(1U << CAP_SYS_ADMIN);
	data[0].effective = data[0].permitted;
	CHECK(!syscall(SYS_capset, &header, data) && !prctl(PR_CAPBSET_DROP, CAP_SYS_ADMIN));
	launch = inside_open(argv);
	CHECK(inside_run(launch) == 0);
	launch_close(launch, false);
}

static void write_text(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	CHECK(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text));
	close(fd);
}

// A world of its own where user namespaces are off.
static void body_no_namespaces(void)
{
	char *argv[] = {"true", NULL};
	struct launch_options options = {.argv = argv, .environment = environ, .mtu = 1500};
	struct launch *launch;
	char why[512] = "";

	CHECK(!unshare(CLONE_NEWUSER));
	write_text("/proc/self/setgroups", "deny");
	write_text("/proc/self/uid_map", "1000 0 1");
	write_text("/proc/self/gid_map", "1000 0 1");
	write_text("/proc/sys/user/max_user_namespaces", "0");
	CHECK(launch_open(&launch, &options, why, sizeof why) == -ENOSPC);
	CHECK(!launch && strstr(why, "user.max_user_namespaces=0"));
}

static void locked_namespaces(void **state)
{
	(void)state;
	if (getuid())
		skip();
	assert_true(inside_passes(body_restricted_root, false));
	assert_true(inside_passes(body_no_namespaces, false));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(obstacles),
		cmocka_unit_test(locked_tun),
		cmocka_unit_test(locked_namespaces),
	};

	return cmocka_run_group_tests(tests, inside_set_up, inside_tear_down);
}
