// SPDX-License-Identifier: GPL-3.0-or-later
// redirect_world - programs that already run, onto a tunnel, for tests.
//
// Each world is a network namespace of its own, in which a second tunnel plays
// what is outside: what is not redirected comes out there. The programs to be matched
// are copies of the test itself under names that nothing else on the machine has, and every
// spec names only those. As another user than root all is skipped.
//
// A test defines COMMON(X) and ALONE(X), its functions: those that take the world of all, and
// those that make one, or none; then it says COMMON(DEFINE_COMMON) ALONE(DEFINE_ALONE) MAIN.

#ifndef TESTS_REDIRECT_WORLD
#define TESTS_REDIRECT_WORLD

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/virtio_net.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/ip.h>
#include <netinet/ip6.h>
#include <netinet/tcp.h>
#include <netinet/udp.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <bpf/bpf.h>
#include <cmocka.h>

#include "extension/network.h"
#include "extension/process.h"
#include "extension/redirect.h"
#include "extension/spec.h"

#include "tests/unit/redirect_player.h"

#define CHECK(condition) \
	do { \
		if (!(condition)) { \
			fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #condition); \
			exit(1); \
		} \
	} while (0)

enum { SOON_MS = 5000, QUIET_MS = 150, HEADER = 10 };

static char folder[64];
static char match[32], other[32];	// the copies' names

static const char far4[] = "198.51.100.7", far6[] = "2001:db8:77::7";

// --- the world --------------------------------------------------------------------

struct world {
	int outside;			// the other tunnel
	struct redirect *redirect;
};

__attribute__((format(printf, 1, 2)))
static void run(const char *format, ...)
{
	char command[512];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(command, sizeof command, format, arguments);
	va_end(arguments);
	if (system(command)) {
		fprintf(stderr, "failed: %s\n", command);
		exit(1);
	}
}

static void make_world(struct world *world)
{
	char name[IFNAMSIZ] = "world0";
	bool opened;

	*world = (struct world){0};
	CHECK(!unshare(CLONE_NEWNET));
	world->outside = network_open_device(name, 0, &opened);
	CHECK(world->outside >= 0);
	run("ip link set lo up; ip link set world0 addrgenmode none up; ip addr add 10.9.9.2/24 dev world0;"
	    "ip addr add 2001:db8:9::2/64 dev world0 nodad; ip route add default via 10.9.9.1;"
	    "ip -6 route add default via 2001:db8:9::1");
}

static struct spec *spec_of(const char *text)
{
	struct spec *spec;
	char why[256];
	size_t at;

	CHECK(!spec_open(&spec, text, &at, why, sizeof why));
	return spec;
}

static void open_redirect(struct world *world, const char *text, struct redirect_options options)
{
	struct spec *spec = spec_of(text);
	char why[512] = "";

	options.spec = spec;
	options.mtu = 1500;
	if (redirect_open(&world->redirect, &options, why, sizeof why)) {
		fprintf(stderr, "%s\n", why);
		exit(1);
	}
	spec_close(spec);
}

// Starts `name` playing `what`; *input is to tell a waiting one to go on.
static pid_t start_as(const char *name, uid_t uid, const char *what, const char *to, int port, int *input)
{
	char path[128], number[16], second[128];
	int ends[2];
	pid_t pid;

	CHECK(!pipe2(ends, O_CLOEXEC));
	snprintf(path, sizeof path, "%s/%s", folder, name);
	snprintf(second, sizeof second, "%s/%s", folder, other);
	snprintf(number, sizeof number, "%d", port);
	pid = fork();
	if (pid == 0) {
		dup2(ends[0], 0);
		if (uid && setresuid(uid, uid, uid))
			_exit(2);
		execl(path, path, "play", what, to, number, second, NULL);
		_exit(3);
	}
	close(ends[0]);
	if (input)
		*input = ends[1];
	else
		close(ends[1]);
	return pid;
}

static pid_t start(const char *name, const char *what, const char *to, int port)
{
	return start_as(name, 0, what, to, port, NULL);
}

static void await(pid_t pid)
{
	int status;

	CHECK(waitpid(pid, &status, 0) == pid);
	if (status)
		fprintf(stderr, "the program ended with %d, signal %d\n", WEXITSTATUS(status), WTERMSIG(status));
	CHECK(status == 0);
}

// --- what comes out -----------------------------------------------------------------

struct packet { int protocol, port, from_port; char from[64], to[64]; uint8_t flags; };

static bool read_packet(int fd, struct packet *out, int patience)
{
	static uint8_t bytes[70000];
	struct pollfd wait_for = {.fd = fd, .events = POLLIN};
	const uint8_t *ip = bytes + HEADER, *next;
	uint16_t port;

	if (poll(&wait_for, 1, patience) != 1 || read(fd, bytes, sizeof bytes) <= HEADER)
		return false;
	*out = (struct packet){0};
	if (*ip >> 4 == 4) {
		out->protocol = ip[9];
		inet_ntop(AF_INET, ip + 12, out->from, sizeof out->from);
		inet_ntop(AF_INET, ip + 16, out->to, sizeof out->to);
		next = ip + (*ip & 15) * 4;
	} else {
		out->protocol = ip[6];
		inet_ntop(AF_INET6, ip + 8, out->from, sizeof out->from);
		inet_ntop(AF_INET6, ip + 24, out->to, sizeof out->to);
		next = ip + 40;
	}
	memcpy(&port, next, 2);
	out->from_port = ntohs(port);
	memcpy(&port, next + 2, 2);
	out->port = ntohs(port);
	out->flags = next[13];
	return true;
}

// Skips what is not TCP or UDP to `port`, as neighbours' chatter.
static bool packet_to(int fd, int port, struct packet *out, int patience)
{
	while (read_packet(fd, out, patience))
		if ((out->protocol == IPPROTO_TCP || out->protocol == IPPROTO_UDP) && out->port == port)
			return true;
	return false;
}

// The next packet on the tunnel goes to `to`, and its owner was announced.
static struct redirect_owner taken(struct world *world, const char *to, int port)
{
	struct redirect_owner owner;
	struct packet packet;
	char text[64];

	CHECK(packet_to(redirect_tunnel(world->redirect), port, &packet, SOON_MS));
	CHECK(redirect_read(world->redirect, &owner) == 1);
	CHECK(!strcmp(packet.to, to));
	CHECK(!strcmp(text_of(&owner.app, text), packet.from));
	CHECK(port_of(&owner.app) == packet.from_port);
	CHECK(owner.protocol == packet.protocol);
	if (owner.peer.ss_family) {
		CHECK(!strcmp(text_of(&owner.peer, text), to));
		CHECK(port_of(&owner.peer) == port);
	}
	return owner;
}

static void left_outside(struct world *world, const char *to, int port)
{
	struct packet packet;

	CHECK(packet_to(world->outside, port, &packet, SOON_MS));
	CHECK(!strcmp(packet.to, to));
}

static inline void left_alone(struct world *world, const char *to, int port)
{
	struct packet packet;

	left_outside(world, to, port);
	CHECK(!packet_to(redirect_tunnel(world->redirect), port, &packet, 0));
}

// --- runs them ----------------------------------------------------------------------

// A world is dear, half a second; most tests do with one for all.
static struct world common;

static void freshen(void)
{
	struct redirect_owner owner;
	struct packet packet;
	struct spec *spec = spec_of(match);

	CHECK(!redirect_change(common.redirect, spec));
	spec_close(spec);
	while (read_packet(redirect_tunnel(common.redirect), &packet, 0) || read_packet(common.outside, &packet, 0))
		;
	while (redirect_read(common.redirect, &owner))
		;
}

static bool passes(void (*in_common)(struct world *), void (*alone)(void))
{
	int status;
	pid_t pid;

	fflush(NULL);
	pid = fork();
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (alone) {
			alone();
		} else {
			freshen();
			in_common(&common);
		}
		exit(0);
	}
	return pid > 0 && waitpid(pid, &status, 0) == pid && status == 0;
}

#define DEFINE(name, in_common, alone) \
	static void test_##name(void **state) \
	{ \
		(void)state; \
		if (getuid() != 0) \
			skip(); \
		assert_true(passes(in_common, alone)); \
	}
#define DEFINE_COMMON(name) DEFINE(name, name, NULL)
#define DEFINE_ALONE(name) DEFINE(name, NULL, name)

static void copy_self(const char *name)
{
	char path[128];
	struct stat status;
	int from = open("/proc/self/exe", O_RDONLY | O_CLOEXEC), to;

	snprintf(path, sizeof path, "%s/%s", folder, name);
	to = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0755);
	if (from < 0 || to < 0 || fstat(from, &status) || sendfile(to, from, NULL, (size_t)status.st_size) != status.st_size)
		abort();
	close(from);
	close(to);
}

static int set_up(void **state)
{
	(void)state;
	snprintf(folder, sizeof folder, "/tmp/redirect-test-XXXXXX");
	if (!mkdtemp(folder) || chmod(folder, 0755))
		return -1;
	snprintf(match, sizeof match, "tapped-%d-yes", getpid());
	snprintf(other, sizeof other, "bystander-%d", getpid());
	copy_self(match);
	copy_self(other);
	if (getuid() != 0)
		return 0;
	make_world(&common);
	open_redirect(&common, match, (struct redirect_options){0});
	return 0;
}

static int tear_down(void **state)
{
	char path[128];

	(void)state;
	redirect_close(common.redirect);
	snprintf(path, sizeof path, "%s/%s", folder, match);
	unlink(path);
	snprintf(path, sizeof path, "%s/%s", folder, other);
	unlink(path);
	return rmdir(folder);
}

#define LIST(name) cmocka_unit_test(test_##name),
// Also plays; a word more: that test alone.
#define MAIN                                                                                       \
	int main(int argc, char **argv)                                                            \
	{                                                                                          \
		static const struct CMUnitTest tests[] = { COMMON(LIST) ALONE(LIST) };            \
                                                                                                   \
		if (argc > 4 && !strcmp(argv[1], "play"))                                         \
			return play(argv);                                                         \
		if (argc > 1)                                                                      \
			cmocka_set_test_filter(argv[1]);                                           \
		return cmocka_run_group_tests(tests, set_up, tear_down);                           \
	}

#endif
