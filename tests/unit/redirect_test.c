// SPDX-License-Identifier: GPL-3.0-or-later
// redirect_test - programs that already run, onto a tunnel: which, whose, and what is left.
//
// Each test has a network namespace of its own, in which a second tunnel plays
// the world: what is not redirected comes out there. The programs to be matched
// are copies of this one under names that nothing else on the machine has, and every
// spec names only those. As another user than root all is skipped.

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
#include <cmocka.h>

#include "extension/network.h"
#include "extension/process.h"
#include "extension/redirect.h"
#include "extension/spec.h"

#define CHECK(condition) \
	do { \
		if (!(condition)) { \
			fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #condition); \
			exit(1); \
		} \
	} while (0)

enum { SOON_MS = 5000, QUIET_MS = 150, HEADER = 10 };

static char *self;		// this program, which also plays the matched ones
static char folder[64];
static char match[32], other[32];	// the copies' names

// --- the player: PROGRAM play WHAT ADDRESS PORT ------------------------------------

struct address { struct sockaddr_storage storage; socklen_t size; };

static struct address address_of(const char *text, int port)
{
	struct address out = {0};
	struct sockaddr_in *v4 = (struct sockaddr_in *)&out.storage;
	struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)&out.storage;

	if (inet_pton(AF_INET, text, &v4->sin_addr) == 1) {
		v4->sin_family = AF_INET;
		v4->sin_port = htons((uint16_t)port);
		out.size = sizeof *v4;
	} else if (inet_pton(AF_INET6, text, &v6->sin6_addr) == 1) {
		v6->sin6_family = AF_INET6;
		v6->sin6_port = htons((uint16_t)port);
		out.size = sizeof *v6;
	}
	return out;
}

static uint16_t port_of(const struct sockaddr_storage *address)
{
	return ntohs(address->ss_family == AF_INET ? ((const struct sockaddr_in *)address)->sin_port
						   : ((const struct sockaddr_in6 *)address)->sin6_port);
}

static char *text_of(const struct sockaddr_storage *address, char *out)
{
	const struct sockaddr_in *v4 = (const void *)address;
	const struct sockaddr_in6 *v6 = (const void *)address;

	*out = '\0';
	if (address->ss_family == AF_INET)
		inet_ntop(AF_INET, &v4->sin_addr, out, 64);
	else if (address->ss_family == AF_INET6)
		inet_ntop(AF_INET6, &v6->sin6_addr, out, 64);
	return out;
}

// Beginning is all: nobody answers.
static int begin(const char *what, const char *text, int port)
{
	struct address to = address_of(text, port);
	bool udp = !strncmp(what, "udp", 3);
	int fd = socket(to.storage.ss_family, (udp ? SOCK_DGRAM : SOCK_STREAM) | SOCK_NONBLOCK, 0);

	if (!strcmp(what, "udp-server")) {
		struct address own = address_of(to.storage.ss_family == AF_INET ? "0.0.0.0" : "::", 5353);
		bind(fd, (struct sockaddr *)&own.storage, own.size);
	}
	if (!strcmp(what, "multicast")) {
		fd = socket(to.storage.ss_family, SOCK_DGRAM, 0);
		udp = true;
	}
	if (!udp || !strcmp(what, "udp-connected")) {
		int error = connect(fd, (struct sockaddr *)&to.storage, to.size);
		if (udp)
			error = (int)send(fd, "hello", 5, 0);
		return error;
	}
	return (int)sendto(fd, "hello", 5, 0, (struct sockaddr *)&to.storage, to.size);
}

// Sends, is answered, and looks at what it is told. The answer must come from where
// it went; `own` is what our address must be said to be.
static int talk(const char *what, const char *text, int port, size_t size, const char *own)
{
	static char bytes[65536], back[65536];
	struct address to = address_of(text, port), from = {.size = sizeof from.storage};
	bool tcp = !strcmp(what, "talk-tcp"), connected = tcp || !strcmp(what, "talk-udp-connected");
	int fd = socket(to.storage.ss_family, tcp ? SOCK_STREAM : SOCK_DGRAM, 0);
	struct timeval limit = {.tv_sec = 3};
	char said[64] = "";
	ssize_t n;

	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
	if (connected && connect(fd, (struct sockaddr *)&to.storage, to.size))
		return 10 + (errno == ECONNREFUSED);
	if (connected) {
		struct sockaddr_storage name;
		socklen_t name_size = sizeof name;

		if (getpeername(fd, (struct sockaddr *)&name, &name_size) || strcmp(text_of(&name, said), text) != 0)
			return 12;
		name_size = sizeof name;
		if (getsockname(fd, (struct sockaddr *)&name, &name_size) || strcmp(text_of(&name, said), own) != 0)
			return 13;
	}
	if (tcp)
		return 0;
	for (int turn = 0; turn < 3; turn++) {
		memset(bytes, 'a' + turn, size);
		n = connected ? send(fd, bytes, size, 0)
			      : sendto(fd, bytes, size, 0, (struct sockaddr *)&to.storage, to.size);
		if (n != (ssize_t)size)
			return 14;
		n = recvfrom(fd, back, sizeof back, 0, (struct sockaddr *)&from.storage, &from.size);
		if (n < 0)
			return 15 + (errno == ECONNREFUSED);
		if (n != (ssize_t)size || memcmp(bytes, back, size) != 0)
			return 17;
		if (strcmp(text_of(&from.storage, said), text) != 0)
			return 18;
	}
	return 0;
}

static char **play_arguments;

static void *play_thread(void *unused)
{
	(void)unused;
	prctl(PR_SET_NAME, "somethingelse");
	begin("tcp", play_arguments[3], atoi(play_arguments[4]));
	return NULL;
}

// Waits to be told where standard input is open.
static int play(char **argv)
{
	const char *what = argv[2];
	char go;

	while (!strcmp(what, "wait")) {
		if (read(0, &go, 1) != 1)
			return 1;
		what = "tcp-stay";
	}
	if (!strcmp(what, "thread")) {
		pthread_t thread;

		play_arguments = argv;
		pthread_create(&thread, NULL, play_thread, NULL);
		pthread_join(thread, NULL);
		return 0;
	}
	if (!strcmp(what, "exec")) {
		execl(argv[5], argv[5], "play", "tcp", argv[3], argv[4], NULL);
		return 1;
	}
	if (!strcmp(what, "child")) {
		if (fork() == 0)
			execl(argv[5], argv[5], "play", "tcp", argv[3], argv[4], NULL);
		wait(NULL);
		return 0;
	}
	if (!strncmp(what, "talk", 4))
		return talk(what, argv[3], atoi(argv[4]), (size_t)atoi(argv[6]), argv[7]);
	begin(what, argv[3], atoi(argv[4]));
	return 0;
}

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
	CHECK(!unshare(CLONE_NEWNET | CLONE_NEWNS));
	CHECK(!system("mount --make-rprivate / && mount -t sysfs none /sys 2>/dev/null; true"));
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

static pid_t start_talk(const char *what, const char *to, int port, size_t size, const char *own)
{
	char path[128], number[16], length[16];
	pid_t pid;

	snprintf(path, sizeof path, "%s/%s", folder, match);
	snprintf(number, sizeof number, "%d", port);
	snprintf(length, sizeof length, "%zu", size);
	pid = fork();
	if (pid == 0) {
		execl(path, path, "play", what, to, number, "-", length, own, NULL);
		_exit(3);
	}
	return pid;
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

static void left_alone(struct world *world, const char *to, int port)
{
	struct packet packet;

	CHECK(packet_to(world->outside, port, &packet, SOON_MS));
	CHECK(!strcmp(packet.to, to));
	CHECK(!packet_to(redirect_tunnel(world->redirect), port, &packet, 0));
}

// Sends each packet of a conversation back as an answer until the program ends: what was
// sent to it comes from there. A SYN is taken or, with `refuse`, reset. The checksum stays
// right, since it is left to be finished and the sum over the addresses is the same
// both ways round.
static int answer(struct world *world, pid_t pid, bool refuse)
{
	static uint8_t bytes[70000];
	int fd = redirect_tunnel(world->redirect), status;

	for (int waited = 0; waited < SOON_MS;) {
		struct pollfd wait_for = {.fd = fd, .events = POLLIN};
		uint8_t *ip = bytes + HEADER, *next, swap[16];
		size_t size, from;
		ssize_t n;

		if (waitpid(pid, &status, WNOHANG) == pid)
			return status;
		if (poll(&wait_for, 1, 10) != 1) {
			waited += 10;
			continue;
		}
		n = read(fd, bytes, sizeof bytes);
		if (n <= HEADER)
			continue;
		size = *ip >> 4 == 4 ? 4 : 16;
		from = *ip >> 4 == 4 ? 12 : 8;
		next = ip + (*ip >> 4 == 4 ? (*ip & 15) * 4 : 40);
		memcpy(swap, ip + from, size);
		memcpy(ip + from, ip + from + size, size);
		memcpy(ip + from + size, swap, size);
		if ((*ip >> 4 == 4 && (ip[6] & 0x1f || ip[7])) || (*ip >> 4 == 6 && ip[6] == 44)) {
			// A fragment: only the first has ports.
			if (*ip >> 4 == 6 && !next[2] && !(next[3] & 0xf8))
				next += 8;
			else if (*ip >> 4 == 6 || ip[6] & 0x1f || ip[7])
				next = NULL;
		}
		if (next) {
			memcpy(swap, next, 2);
			memcpy(next, next + 2, 2);
			memcpy(next + 2, swap, 2);
		}
		if ((*ip >> 4 == 4 ? ip[9] : ip[6]) == IPPROTO_TCP) {
			uint32_t sequence;

			if (!(next[13] & TH_SYN))
				continue;
			memcpy(&sequence, next + 4, 4);
			sequence = htonl(ntohl(sequence) + 1);
			memcpy(next + 8, &sequence, 4);
			next[13] = refuse ? TH_RST | TH_ACK : TH_SYN | TH_ACK;
		}
		CHECK(write(fd, bytes, (size_t)n) == n);
	}
	kill(pid, SIGKILL);
	waitpid(pid, &status, 0);
	return -1;
}

// --- tests ------------------------------------------------------------------------

static const char far4[] = "198.51.100.7", far6[] = "2001:db8:77::7";

static void by_name(void)
{
	struct world world;
	struct redirect_owner owner;
	char path[128];
	pid_t pid;

	make_world(&world);
	open_redirect(&world, match, (struct redirect_options){0});
	pid = start(match, "tcp", far4, 81);
	owner = taken(&world, far4, 81);
	snprintf(path, sizeof path, "%s/%s", folder, match);
	CHECK(owner.pid == pid);
	CHECK(owner.parent == getpid());
	CHECK(owner.uid == 0);
	CHECK(!strcmp(owner.path, path));
	CHECK(!strcmp(owner.name, match));
	CHECK(strstr(owner.arguments, "play tcp 198.51.100.7 81"));
	CHECK(owner.cgroup[0] == '/');
	CHECK(owner.start / 1000000000 + 60 > (uint64_t)time(NULL) && owner.start / 1000000000 <= (uint64_t)time(NULL) + 1);
	await(pid);
	await(start(other, "tcp", far4, 82));
	left_alone(&world, far4, 82);
	redirect_close(world.redirect);
}

static void both_families_and_kinds(void)
{
	static const char *const kinds[] = {"tcp", "udp-connected", "udp"};
	struct world world;
	int port = 100;

	make_world(&world);
	open_redirect(&world, match, (struct redirect_options){0});
	for (size_t i = 0; i < 3; i++)
		for (int v6 = 0; v6 < 2; v6++, port++) {
			const char *to = v6 ? far6 : far4;
			struct redirect_owner owner;
			struct packet packet;
			pid_t pid = start(match, kinds[i], to, port);

			fprintf(stderr, "%s %s\n", kinds[i], to);
			owner = taken(&world, to, port);
			CHECK(owner.pid == pid);
			CHECK(!strncmp(kinds[i], "tcp", 3) == (owner.protocol == IPPROTO_TCP));
			await(pid);
			await(start(other, kinds[i], to, port));
			left_alone(&world, to, port);
			CHECK(!packet_to(world.outside, port, &packet, 0));
		}
	redirect_close(world.redirect);
}

static void talk_all(struct world *world, const char *to, const char *own, size_t size)
{
	static const char *const kinds[] = {"talk-tcp", "talk-udp-connected", "talk-udp"};

	for (size_t i = 0; i < 3; i++) {
		int status = answer(world, start_talk(kinds[i], to, 700, size, own), false);

		if (status)
			fprintf(stderr, "%s %s, %zu bytes: %d\n", kinds[i], to, size, WEXITSTATUS(status));
		CHECK(status == 0);
	}
}

static void answers(void)
{
	struct world world;

	make_world(&world);
	open_redirect(&world, match, (struct redirect_options){0});
	talk_all(&world, far4, "10.9.9.2", 100);
	talk_all(&world, far6, "2001:db8:9::2", 100);
	talk_all(&world, far4, "10.9.9.2", 5000);
	talk_all(&world, far6, "2001:db8:9::2", 5000);
	redirect_close(world.redirect);
}

static void loopback(void)
{
	static const char *const own[] = {"127.0.0.1", "127.0.0.53", "127.9.9.9"};
	struct world world;

	make_world(&world);
	open_redirect(&world, match, (struct redirect_options){0});
	for (size_t i = 0; i < 3; i++)
		talk_all(&world, own[i], "127.0.0.1", 100);
	talk_all(&world, "::1", "::1", 100);
	talk_all(&world, "::1", "::1", 3000);
	talk_all(&world, "10.9.9.2", "10.9.9.2", 100);
	talk_all(&world, "2001:db8:9::2", "2001:db8:9::2", 100);
	redirect_close(world.redirect);
}

static void refusals(void)
{
	static const char *const to[] = {"198.51.100.7", "2001:db8:77::7", "127.0.0.1", "::1"};
	struct world world;

	make_world(&world);
	open_redirect(&world, match, (struct redirect_options){0});
	for (size_t i = 0; i < 4; i++)
		CHECK(WEXITSTATUS(answer(&world, start_talk("talk-tcp", to[i], 700, 1, "-"), true)) == 11);
	redirect_close(world.redirect);
}

// A host may check the way back strictly for all devices.
static void strict_filter(void)
{
	static const char *const strict[] = {"1", "2"};
	struct world world;

	make_world(&world);
	for (size_t i = 0; i < 2; i++) {
		run("echo %s > /proc/sys/net/ipv4/conf/all/rp_filter", strict[i]);
		open_redirect(&world, match, (struct redirect_options){0});
		talk_all(&world, far4, "10.9.9.2", 10);
		talk_all(&world, "127.0.0.53", "127.0.0.1", 10);
		talk_all(&world, "10.9.9.2", "10.9.9.2", 10);
		redirect_close(world.redirect);
	}
}

// --- runs them ----------------------------------------------------------------------

static bool passes(void (*body)(void))
{
	int status;
	pid_t pid;

	fflush(NULL);
	pid = fork();
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		body();
		exit(0);
	}
	return pid > 0 && waitpid(pid, &status, 0) == pid && status == 0;
}

#define CASES(X) \
	X(by_name) \
	X(both_families_and_kinds) \
	X(answers) \
	X(loopback) \
	X(refusals) \
	X(strict_filter)

#define DEFINE(name) \
	static void test_##name(void **state) \
	{ \
		(void)state; \
		if (getuid() != 0) \
			skip(); \
		assert_true(passes(name)); \
	}
CASES(DEFINE)

static void copy_self(const char *name)
{
	char path[128];
	struct stat status;
	int from = open(self, O_RDONLY | O_CLOEXEC), to;

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
	return 0;
}

static int tear_down(void **state)
{
	char path[128];

	(void)state;
	snprintf(path, sizeof path, "%s/%s", folder, match);
	unlink(path);
	snprintf(path, sizeof path, "%s/%s", folder, other);
	unlink(path);
	return rmdir(folder);
}

int main(int argc, char **argv)
{
#define LIST(name) cmocka_unit_test(test_##name),
	static const struct CMUnitTest tests[] = { CASES(LIST) };

	if (argc > 4 && !strcmp(argv[1], "play"))
		return play(argv);
	self = "/proc/self/exe";
	if (argc > 1)
		cmocka_set_test_filter(argv[1]);
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
