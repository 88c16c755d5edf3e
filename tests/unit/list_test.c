// SPDX-License-Identifier: GPL-3.0-or-later
// list_test - which processes there are, and what is said of each.

#include "tests/unit/inside.h"

#include <setjmp.h>
#include <sched.h>
#include <signal.h>
#include <cmocka.h>

#include "extension/list.h"

#define ID "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define OTHER "fedcba9876543210fedcba9876543210fedcba9876543210fedcba9876543210"

static void test_containers(void **state)
{
	static const struct {
		const char *cgroup, *container;
	} rows[] = {
		{"", ""}, {"0::/\n", ""}, {"0::/user.slice/user-1000.slice/session-2.scope\n", ""},
		{"0::/system.slice/docker-" ID ".scope\n", "0123456789ab"},
		{"12:pids:/docker/" ID "\n0::/system.slice\n", "0123456789ab"},
		{"12:pids:/\n9:memory:/docker/" ID "\n", "0123456789ab"},
		{"0::/machine.slice/libpod-" ID ".scope/container\n", "0123456789ab"},
		{"0::/machine.slice/libpod-conmon-" ID ".scope\n", ""},
		{"0::/user.slice/user@1000.service/user.slice/libpod-" ID ".scope\n", "0123456789ab"},
		{"0::/kubepods.slice/kubepods-pod1_2.slice/cri-containerd-" ID ".scope\n", "0123456789ab"},
		{"0::/kubepods/besteffort/pod00000000-1111-2222-3333-444444444444/" ID "\n", "0123456789ab"},
		{"0::/kubepods-burstable-pod7.slice:cri-containerd:" ID "\n", "0123456789ab"},
		{"0::/kubepods.slice/crio-" ID ".scope\n", "0123456789ab"},
		{"0::/default/" ID "\n", "0123456789ab"},
		{"0::/docker/" ID "/docker/" OTHER "\n", "fedcba987654"},
		{"0::/lxc/web\n", "web"}, {"0::/lxc.payload.web/system.slice/cron.service\n", "web"},
		{"0::/lxc.monitor.web\n", ""}, {"0::/lxc.payload.web/docker/" ID "\n", "0123456789ab"},
		{"0::/lxc\n", ""}, {"0::/lxc/\n", ""},
		{"0::/machine.slice/machine-web\\x2d1.scope/payload\n", "web-1"},
		{"0::/machine.slice/machine-web\\x2.scope\n", "web\\x2"},
		{"0::/machine.slice/systemd-nspawn@web.service/payload/system.slice/cron.service\n", "web"},
		{"0::/machine.slice/systemd-nspawn@web.service/supervisor\n", ""},
		{"0::/machine.slice/machine-web.scope/payload/system.slice/docker-" ID ".scope\n", "0123456789ab"},
		{"0::/machine.slice/machine-qemu\\x2d1\\x2dvm.scope/libvirt/emulator\n", ""},
		{"0::/machine.slice\n", ""}, {"0::/machine-.scope\n", ""}, {"0::/system.slice/systemd-machined.service\n", ""},
		{"0::/system.slice/runc-web.scope\n", "web"}, {"0::/user.slice/crun-web.scope\n", "web"},
		{"11:pids:/\n4:memory:/docker/" ID "\n0::/\n", "0123456789ab"},
		{"0::/docker/" ID "0\n", ""}, {"0::/docker/x" ID "\n", ""}, {"0::/docker/0123456789ab\n", ""},
		{"0::/process_api/0123456789abcdef0123456789abcdef\n", ""},
		{"0::/lxc/a-name-of-eighty-bytes-is-cut-a-name-of-eighty-bytes-is-cut-a-name-of-eighty-byt\n",
		 "a-name-of-eighty-bytes-is-cut-a-name-of-eighty-bytes-is-cut-a-n"},
		{"no colon, no line's end", ""}, {"\n\n\n", ""},
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		char container[CONTAINER_SIZE] = "before";

		if (container_name(rows[i].cgroup, container) != (rows[i].container[0] != '\0') ||
		    strcmp(container, rows[i].container))
			fail_msg("%s is in \"%s\", not \"%s\"", rows[i].cgroup, container, rows[i].container);
	}
}

static void test_groups(void **state)
{
	static const struct {
		const char *text, *group;
	} rows[] = {
		{"", ""}, {"0::/\n", "/"}, {"0::/a/b\n", "/a/b"}, {"2:pids:/x\n1:name=systemd:/y\n0::/a\n", "/a"},
		{"2:pids:/x\n1:name=systemd:/y\n0::/\n", "/x"}, {"0::/\n2:cpu,pids:/x\n", "/x"}, {"2:cpu:/x\n0::/\n", "/"},
		{"2:pids:/x:y", "/x:y"}, {"0::", ""}, {"no colon", ""},
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		char *group = container_group(rows[i].text);

		if (!group || strcmp(group, rows[i].group))
			fail_msg("of \"%s\" it is \"%s\", not \"%s\"", rows[i].text, group ? group : "no memory", rows[i].group);
		free(group);
	}
}

static struct list *list;

static const struct list_row *find(pid_t pid)
{
	for (size_t i = 0; i < list_count(list); i++)
		if (list_row(list, i)->process->pid == pid)
			return list_row(list, i);
	return NULL;
}

static int bound(int type, struct sockaddr_in *address)
{
	socklen_t size = sizeof *address;
	int fd = socket(AF_INET, type, 0);

	*address = (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	CHECK(fd >= 0 && !bind(fd, (struct sockaddr *)address, size));
	CHECK(!getsockname(fd, (struct sockaddr *)address, &size));
	return fd;
}

static int to(int type, const struct sockaddr_in *address)
{
	int fd = socket(AF_INET, type, 0);

	CHECK(!connect(fd, (const struct sockaddr *)address, sizeof *address));
	return fd;
}

// A listener and what is bound only are no connections, both ends of one are two,
// and a second descriptor makes no second one.
static void body_connections(void)
{
	struct sockaddr_in tcp, udp;
	int listener, fd;

	CHECK(!list_open(&list, 0) && find(getpid()));
	CHECK(find(getpid())->connections == 0);
	list_close(list);
	listener = bound(SOCK_STREAM, &tcp);
	CHECK(!listen(listener, 4));
	bound(SOCK_DGRAM, &udp);
	fd = to(SOCK_STREAM, &tcp);
	CHECK(accept(listener, NULL, NULL) >= 0 && dup(fd) >= 0);
	to(SOCK_DGRAM, &udp);
	CHECK(!list_open(&list, 0) && find(getpid()));
	CHECK(find(getpid())->connections == 3);
	CHECK(find(getpid())->network == LIST_HERE);
	list_close(list);
}

static void test_connections(void **state)
{
	(void)state;
	assert_true(inside_passes(body_connections, false));
}

static void test_connections_as_user(void **state)
{
	(void)state;
	if (getuid())
		skip();
	assert_true(inside_passes(body_connections, true));
}

// Until its standard input ends.
static pid_t start_child(int *hold, void (*first)(void))
{
	int in[2], ready[2];
	char byte;
	pid_t pid;

	CHECK(!pipe(in) && !pipe(ready));
	pid = fork();
	if (pid == 0) {
		close(in[1]);
		close(ready[0]);
		if (first)
			first();
		CHECK(write(ready[1], "", 1) == 1);
		dup2(in[0], 0);
		execlp("cat", "cat", "-u", "-", NULL);
		_exit(127);
	}
	close(in[0]);
	close(ready[1]);
	CHECK(read(ready[0], &byte, 1) == 1);
	// The descriptor closes at its exec, or with the child.
	while (read(ready[0], &byte, 1) > 0)
		;
	close(ready[0]);
	*hold = in[1];
	return pid;
}

static void end_child(pid_t pid, int hold)
{
	close(hold);
	waitpid(pid, NULL, 0);
}

static void close_on_exec(void)
{
	for (int fd = 3; fd < 64; fd++)
		fcntl(fd, F_SETFD, FD_CLOEXEC);
}

static void body_order(void)
{
	int holds[2];
	pid_t older = start_child(&holds[0], close_on_exec), newer = start_child(&holds[1], close_on_exec), zombie;
	size_t seen_newer = 0, seen_older = 0;
	siginfo_t info;

	zombie = fork();
	if (!zombie)
		_exit(0);
	waitid(P_PID, (id_t)zombie, &info, WEXITED | WNOWAIT);
	CHECK(!list_open(&list, getpid()));
	CHECK(!find(getpid()) && !find(zombie));
	for (size_t i = 0; i < list_count(list); i++) {
		const struct list_row *row = list_row(list, i);

		CHECK(i == 0 || list_row(list, i - 1)->process->start >= row->process->start);
		CHECK(strcmp(row->process->name, "kthreadd") != 0);
		seen_newer = row->process->pid == newer ? i + 1 : seen_newer;
		seen_older = row->process->pid == older ? i + 1 : seen_older;
	}
	CHECK(seen_newer && seen_newer < seen_older);
	CHECK(!strcmp(find(newer)->process->name, "cat"));
	CHECK(!strcmp(find(newer)->process->arguments, "cat -u -"));
	CHECK(find(newer)->process->uid == getuid() && find(newer)->process->parent == getpid());
	CHECK(find(newer)->connections == 0);
	CHECK(!list_row(list, list_count(list)));
	list_close(list);
	waitpid(zombie, NULL, 0);
	end_child(older, holds[0]);
	end_child(newer, holds[1]);
}

static void test_order(void **state)
{
	(void)state;
	assert_true(inside_passes(body_order, false));
}

static void leave_network(void)
{
	struct sockaddr_in udp = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_ANY), .sin_port = htons(9)};
	int fd;

	close_on_exec();
	CHECK(!unshare(CLONE_NEWNET));
	// To an address of its own: without `lo` up there is no other.
	fd = socket(AF_INET, SOCK_DGRAM, 0);
	CHECK(system("ip link set lo up") == 0);
	CHECK(!connect(fd, (struct sockaddr *)&udp, sizeof udp));
}

static void body_elsewhere(void)
{
	int hold;
	pid_t pid = start_child(&hold, leave_network);

	CHECK(!list_open(&list, 0) && find(pid) && find(getpid()));
	CHECK(find(pid)->network == LIST_ELSEWHERE && find(pid)->connections == 1);
	CHECK(find(getpid())->network == LIST_HERE);
	list_close(list);
	end_child(pid, hold);
}

static void test_elsewhere(void **state)
{
	(void)state;
	if (getuid())
		skip();
	assert_true(inside_passes(body_elsewhere, false));
}

// What an ordinary user cannot see is not said to be none.
static void body_unseen(void)
{
	CHECK(!list_open(&list, 0) && find(1));
	CHECK(find(1)->connections == -1 && find(1)->network == LIST_UNSEEN && !find(1)->process->path[0]);
	CHECK(find(1)->process->name[0] && find(1)->process->uid == 0);
	list_close(list);
}

static void test_unseen(void **state)
{
	(void)state;
	if (getuid())
		skip();
	assert_true(inside_passes(body_unseen, true));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_containers),
		cmocka_unit_test(test_groups),
		cmocka_unit_test(test_connections),
		cmocka_unit_test(test_connections_as_user),
		cmocka_unit_test(test_order),
		cmocka_unit_test(test_elsewhere),
		cmocka_unit_test(test_unseen),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
