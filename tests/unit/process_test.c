// SPDX-License-Identifier: GPL-3.0-or-later
// process_test - whose flow is it, asked when its first packet comes out.

#include "tests/unit/inside.h"

#include <setjmp.h>
#include <errno.h>
#include <signal.h>
#include <time.h>
#include <cmocka.h>

#include "extension/process.h"

static char folder[] = "/tmp/apptap-process-test-XXXXXX", self[128];	// this program, which also plays the command

// --- seeing a packet -------------------------------------------------------------

struct view {
	int protocol;
	bool syn;
	struct sockaddr_storage from, to;
};

static void put(struct sockaddr_storage *out, const uint8_t *ip, size_t offset, in_port_t port)
{
	memset(out, 0, sizeof *out);
	if (ip[0] >> 4 == 4) {
		struct sockaddr_in *in = (void *)out;

		in->sin_family = AF_INET;
		memcpy(&in->sin_addr, ip + offset, 4);
		in->sin_port = port;
	} else {
		struct sockaddr_in6 *in6 = (void *)out;

		in6->sin6_family = AF_INET6;
		memcpy(&in6->sin6_addr, ip + offset, 16);
		in6->sin6_port = port;
	}
}

static struct view look(const uint8_t *ip)
{
	bool four = ip[0] >> 4 == 4;
	const uint8_t *inner = ip + (four ? 20 : 40);
	struct view view = {.protocol = four ? ip[9] : ip[6]};
	in_port_t from, to;

	memcpy(&from, inner, 2);
	memcpy(&to, inner + 2, 2);
	if (view.protocol == IPPROTO_ICMP || view.protocol == IPPROTO_ICMPV6) {
		memcpy(&from, inner + 4, 2);
		to = 0;
	}
	view.syn = view.protocol == IPPROTO_TCP && (inner[13] & 0x12) == 2;
	put(&view.from, ip, four ? 12 : 8, from);
	put(&view.to, ip, four ? 16 : 24, to);
	return view;
}

static struct process_finder *finder;
static struct process *found;
static bool listens, other_listens;
static int found_protocol;

static void see(struct launch *launch, const uint8_t *ip, size_t size)
{
	struct view view = look(ip);
	struct sockaddr_storage other = view.to;

	(void)size;
	if (found_protocol || (view.protocol == IPPROTO_TCP && !view.syn))
		return;
	if (view.protocol == IPPROTO_ICMPV6 && ip[40] != 128)
		return;
	if (!finder)
		CHECK(!process_open(&finder, launch_diag(launch), launch_keeper(launch)));
	found_protocol = view.protocol;
	found = process_find(finder, view.protocol, (struct sockaddr *)&view.from,
			     (struct sockaddr *)&view.to);
	listens = process_listens(finder, view.protocol, (struct sockaddr *)&view.from,
				  (struct sockaddr *)&view.to);
	((struct sockaddr_in *)&other)->sin_port ^= htons(0x101);
	other_listens = process_listens(finder, view.protocol, (struct sockaddr *)&view.from,
					(struct sockaddr *)&other);
}

static void run(char **argv)
{
	struct launch *launch = inside_open(argv);
	struct launch_news news;

	finder = NULL;
	found = NULL;
	found_protocol = 0;
	CHECK(launch_start(launch) == 0);
	do
		news = inside_pump(launch, see);
	while (news.event != LAUNCH_ENDED);
	CHECK(found_protocol);
	if (found && !strcmp(argv[0], self)) {
		CHECK(found->pid == launch_command(launch));
		CHECK(found->parent == launch_keeper(launch));
	}
	launch_close(launch, false);
}

static void talk(const char *kind, const char *bound, const char *to)
{
	char *argv[] = {self, "talk", (char *)kind, (char *)bound, (char *)to, NULL};
	char arguments[4096];

	run(argv);
	CHECK(found_protocol == (!strcmp(kind, "tcp") ? IPPROTO_TCP : IPPROTO_UDP));
	CHECK(found);
	snprintf(arguments, sizeof arguments, "%s talk %s %s %s", self, kind, bound, to);
	CHECK(!strcmp(found->name, strrchr(self, '/') + 1));
	CHECK(!strcmp(found->path, self));
	CHECK(!strcmp(found->arguments, arguments));
	CHECK(found->uid == getuid());
	CHECK(!strcmp(found->user, getuid() ? "nobody" : "root"));
	CHECK(!found->tag);
	// btime is in whole seconds, and the clock may have been set since boot.
	CHECK(llabs((long long)(found->start / 1000000000) - (long long)time(NULL)) <= 5);
	CHECK(listens);
	CHECK(!other_listens);
	process_close(finder);
}

static void body_sockets(void)
{
	talk("tcp", "127.0.0.1", "127.0.0.1");
	talk("tcp", "0.0.0.0", "127.0.0.9");
	talk("tcp", "::", "::ffff:127.0.0.1");
	talk("tcp", "::", "127.0.0.1");
	talk("udp", "127.0.0.1", "127.0.0.1");
	talk("udp", "0.0.0.0", "127.0.0.1");
	talk("udp", "::", "127.0.0.1");
}

static void body_sockets6(void)
{
	char *argv[] = {"true", NULL};
	struct launch *launch = inside_open(argv);
	bool works = launch_loopback6(launch) >= 0;

	launch_close(launch, false);
	if (!works)
		return;
	talk("tcp", "::1", "::1");
	talk("tcp", "::", "::1");
	talk("udp", "::1", "::1");
}

// --- the command's tree ----------------------------------------------------------------

// A grandchild, while brothers and many descriptors are there.
static void body_tree(void)
{
	char script[4200];
	char *argv[] = {"sh", "-c", script, NULL};

	snprintf(script, sizeof script,
		 "sleep 5 & exec 7</dev/null 8</dev/null; (%s talk tcp 127.0.0.1 127.0.0.1); kill $!; true", self);
	run(argv);
	CHECK(found && !strcmp(found->path, self) && listens);
	process_close(finder);
}

static void body_ping(void)
{
	char *argv[] = {"sh", "-c", "exec ping -c 1 -w 2 127.0.0.1 >/dev/null", NULL};

	run(argv);
	CHECK(found_protocol == IPPROTO_ICMP);
	CHECK(found && !strcmp(found->name, "ping"));
	process_close(finder);
}

// --- who is nobody --------------------------------------------------------------------------

static void body_nobody(void)
{
	char *argv[] = {"sleep", "100", NULL};
	struct launch *launch = inside_open(argv);
	struct sockaddr_in from = {.sin_family = AF_INET, .sin_port = htons(4711)}, to = from;
	struct sockaddr_in6 six = {.sin6_family = AF_INET6, .sin6_port = htons(1)};
	struct sockaddr odd = {.sa_family = AF_UNIX};

	from.sin_addr.s_addr = to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	to.sin_port = htons(80);
	CHECK(launch_start(launch) == 0);
	CHECK(!process_open(&finder, launch_diag(launch), launch_keeper(launch)));
	for (int i = 0; i < 2; i++) {
		int protocol = i ? IPPROTO_UDP : IPPROTO_TCP;

		CHECK(!process_find(finder, protocol, (void *)&from, (void *)&to));
		CHECK(!process_listens(finder, protocol, (void *)&from, (void *)&to));
		CHECK(!process_find(finder, protocol, (void *)&from, (void *)&six));
		CHECK(!process_find(finder, protocol, (void *)&six, (void *)&six));
		CHECK(!process_find(finder, protocol, &odd, &odd));
	}
	CHECK(!process_find(finder, IPPROTO_ICMP, (void *)&from, (void *)&to));
	process_close(finder);
	process_close(NULL);
	launch_close(launch, false);
}

static void both(void (*body)(void))
{
	if (getuid())
		skip();
	assert_true(inside_passes(body, false));
	assert_true(inside_passes(body, true));
}

#define BOTH(name) static void test_##name(void **state) { (void)state; both(body_##name); }
BOTH(sockets)
BOTH(sockets6)
BOTH(tree)
BOTH(ping)
BOTH(nobody)

static int set_up(void **state)
{
	return inside_copy(folder, self, sizeof self) ? -1 : inside_set_up(state);
}

static int tear_down(void **state)
{
	unlink(self);
	rmdir(folder);
	return inside_tear_down(state);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sockets),
		cmocka_unit_test(test_sockets6),
		cmocka_unit_test(test_tree),
		cmocka_unit_test(test_ping),
		cmocka_unit_test(test_nobody),
	};

	if (argc > 4 && !strcmp(argv[1], "talk"))
		return inside_talk(argv[2], argv[3], argv[4]);
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
