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
#include <bpf/bpf.h>
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
	if (udp) {
		int on = 1;
		setsockopt(fd, SOL_SOCKET, SO_BROADCAST, &on, sizeof on);
	}
	if (!strcmp(what, "bound"))
		setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, "world0", 6);
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
		what = "tcp";
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
	if (!strcmp(what, "hold")) {
		struct address to = address_of(argv[3], atoi(argv[4]));
		int fd = socket(to.storage.ss_family, SOCK_STREAM, 0);

		return !(connect(fd, (struct sockaddr *)&to.storage, to.size) < 0 && errno == ECONNABORTED);
	}
	if (!strcmp(what, "hold-udp")) {
		struct address to = address_of(argv[3], atoi(argv[4]));
		int fd = socket(to.storage.ss_family, SOCK_DGRAM, 0);

		sendto(fd, "one", 3, 0, (struct sockaddr *)&to.storage, to.size);
		if (read(0, &go, 1) != 1)
			return 1;
		for (int i = 0; i < 300; i++) {
			if (sendto(fd, "two", 3, 0, (struct sockaddr *)&to.storage, to.size) == 3)
				return 0;
			poll(NULL, 0, 10);
		}
		return 1;
	}
	if (!strcmp(what, "mixed")) {
		struct address to = address_of(argv[3], atoi(argv[4])), many = address_of("224.0.0.251", 5353);
		int fd = socket(AF_INET, SOCK_DGRAM, 0);

		sendto(fd, "one", 3, 0, (struct sockaddr *)&to.storage, to.size);
		for (int i = 0; i < 2; i++)
			sendto(fd, "all", 3, 0, (struct sockaddr *)&many.storage, many.size);
		return 0;
	}
	for (int i = 0; i < 10 && !strcmp(what, "many"); i++)
		begin("tcp", argv[3], atoi(argv[4]));
	if (!strcmp(what, "many"))
		return 0;
	if (!strcmp(what, "fork")) {
		if (fork() == 0)
			_exit(begin("tcp", argv[3], atoi(argv[4])) ? 0 : 1);
		wait(NULL);
		return 0;
	}
	if (!strcmp(what, "listen")) {
		struct address own = address_of(argv[3], atoi(argv[4]));
		int fd = socket(own.storage.ss_family, SOCK_STREAM, 0);

		if (bind(fd, (struct sockaddr *)&own.storage, own.size) || listen(fd, 5))
			return 4;
		begin("tcp", "198.51.100.7", atoi(argv[4]) + 1);
		return read(0, &go, 1) == 0 ? 0 : 1;
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
	if (strstr(what, "-stay"))
		return read(0, &go, 1) == 0 ? 0 : 1;
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

static void left_outside(struct world *world, const char *to, int port)
{
	struct packet packet;

	CHECK(packet_to(world->outside, port, &packet, SOON_MS));
	CHECK(!strcmp(packet.to, to));
}

static void left_alone(struct world *world, const char *to, int port)
{
	struct packet packet;

	left_outside(world, to, port);
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

static void by_name(struct world *world)
{
	struct redirect_owner owner;
	char path[128];
	pid_t pid;

	pid = start(match, "tcp", far4, 81);
	owner = taken(world, far4, 81);
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
	left_alone(world, far4, 82);
}

static void both_families_and_kinds(struct world *world)
{
	static const char *const kinds[] = {"tcp", "udp-connected", "udp"};
	int port = 100;

	for (size_t i = 0; i < 3; i++)
		for (int v6 = 0; v6 < 2; v6++, port++) {
			const char *to = v6 ? far6 : far4;
			struct redirect_owner owner;
			struct packet packet;
			pid_t pid = start(match, kinds[i], to, port);

			owner = taken(world, to, port);
			CHECK(owner.pid == pid);
			CHECK(!strncmp(kinds[i], "tcp", 3) == (owner.protocol == IPPROTO_TCP));
			await(pid);
			await(start(other, kinds[i], to, port));
			left_alone(world, to, port);
			CHECK(!packet_to(world->outside, port, &packet, 0));
		}
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

static void answers(struct world *world)
{
	talk_all(world, far4, "10.9.9.2", 100);
	talk_all(world, far6, "2001:db8:9::2", 100);
	talk_all(world, far4, "10.9.9.2", 5000);
	talk_all(world, far6, "2001:db8:9::2", 5000);
}

static void loopback(struct world *world)
{
	static const char *const own[] = {"127.0.0.1", "127.0.0.53", "127.9.9.9"};

	for (size_t i = 0; i < 3; i++)
		talk_all(world, own[i], "127.0.0.1", 100);
	talk_all(world, "::1", "::1", 100);
	talk_all(world, "::1", "::1", 3000);
	talk_all(world, "10.9.9.2", "10.9.9.2", 100);
	talk_all(world, "2001:db8:9::2", "2001:db8:9::2", 100);
}

static void refusals(struct world *world)
{
	static const char *const to[] = {"198.51.100.7", "2001:db8:77::7", "127.0.0.1", "::1"};

	for (size_t i = 0; i < 4; i++)
		CHECK(WEXITSTATUS(answer(world, start_talk("talk-tcp", to[i], 700, 1, "-"), true)) == 11);
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

// --- which programs ---------------------------------------------------------------

// A copy of the matched name (`in`) goes in or not, under a spec.
static void expect(struct world *world, const char *spec, const char *name, uid_t uid, const char *what, bool in)
{
	static int port = 1000;
	struct spec *read = spec_of(spec);

	port++;
	CHECK(!redirect_change(world->redirect, read));
	spec_close(read);
	pid_t pid = start_as(name, uid, what, far4, port, NULL);

	if (in) {
		struct redirect_owner owner = taken(world, far4, port);

		CHECK(!strcmp(what, "child") || !strcmp(what, "fork") ? owner.parent == pid : owner.pid == pid);
		CHECK(owner.uid == uid);
	} else {
		left_alone(world, far4, port);
	}
	await(pid);
}

static void by_spec(struct world *world)
{
	char spec[512];

	snprintf(spec, sizeof spec, "nothing-like-it,%.10s", match);
	expect(world, spec, match, 0, "tcp", true);
	snprintf(spec, sizeof spec, "%s,!%s", match, match);
	expect(world, spec, match, 0, "tcp", false);
	snprintf(spec, sizeof spec, "!%s,%s", match, match);
	expect(world, spec, match, 0, "tcp", true);
	snprintf(spec, sizeof spec, "!%s", match);
	expect(world, spec, match, 0, "tcp", false);
	expect(world, spec, other, 0, "tcp", true);
	snprintf(spec, sizeof spec, "exe:%s/tapped-*-y?s", folder);
	expect(world, spec, match, 0, "tcp", true);
	expect(world, spec, other, 0, "tcp", false);
	snprintf(spec, sizeof spec, "exe:*[!a-s]apped-*[x-z]es");
	expect(world, spec, match, 0, "tcp", true);
	snprintf(spec, sizeof spec, "exe:%s/tapped-*-y", folder);
	expect(world, spec, match, 0, "tcp", false);
	snprintf(spec, sizeof spec, "exe:*/%s", match + 1);
	expect(world, spec, match, 0, "tcp", false);
	expect(world, "user:64999", match, 64999, "tcp", true);
	expect(world, "user:64999", match, 64998, "tcp", false);
	snprintf(spec, sizeof spec, "child-of:%d", getpid());
	expect(world, spec, match, 0, "tcp", true);
	expect(world, spec, match, 0, "child", true);
	snprintf(spec, sizeof spec, "child-of:%d,!%s", getpid(), match);
	expect(world, spec, match, 0, "tcp", false);
	expect(world, "cgroup:/nowhere", match, 0, "tcp", false);
}

// What a matched program starts or becomes is matched, unless it is excluded.
static void children(struct world *world)
{
	char spec[128];

	expect(world, match, match, 0, "child", true);
	expect(world, match, match, 0, "exec", true);
	expect(world, match, match, 0, "fork", true);
	expect(world, match, other, 0, "fork", false);
	snprintf(spec, sizeof spec, "%s,!%s", match, other);
	expect(world, spec, match, 0, "child", false);
	expect(world, spec, match, 0, "exec", false);
	// All are in, and that its parent is not says nothing of a child.
	snprintf(spec, sizeof spec, "!%s", match);
	expect(world, spec, match, 0, "child", true);
}

// Its 15 characters are the calling thread's own affair.
static void threads(struct world *world)
{
	expect(world, match, match, 0, "thread", true);
	expect(world, "somethingelse", match, 0, "thread", false);
}

static void by_pid(struct world *world)
{
	char spec[32];
	int go;
	pid_t pid;

	// It runs already, under a name that is not matched.
	pid = start_as(other, 0, "wait", far4, 90, &go);
	snprintf(spec, sizeof spec, "%d", pid);
	struct spec *read = spec_of(spec);
	CHECK(!redirect_change(world->redirect, read));
	spec_close(read);
	CHECK(write(go, "", 1) == 1);
	CHECK(taken(world, far4, 90).pid == pid);
	await(pid);
}

static void started_before(void)
{
	struct world world;
	int go;
	pid_t pid;

	make_world(&world);
	pid = start_as(match, 0, "wait", far4, 91, &go);
	open_redirect(&world, match, (struct redirect_options){0});
	CHECK(write(go, "", 1) == 1);
	CHECK(taken(&world, far4, 91).pid == pid);
	await(pid);
	redirect_close(world.redirect);
}

// Gone before anybody could look: a datagram and exit, over and over.
static void gone_at_once(struct world *world)
{
	pid_t pids[50];

	for (int i = 0; i < 50; i++) {
		pids[i] = start(match, "udp", far4, 2000 + i);
		await(pids[i]);
	}
	for (int i = 0; i < 50; i++) {
		struct redirect_owner owner = taken(world, far4, 2000 + i);

		CHECK(owner.pid == pids[i]);
		CHECK(!strcmp(owner.name, match));
		CHECK(owner.peer.ss_family == 0);
	}
}

// All means all, but us; and a namespace of others is not ours.
static void all_but_us(void)
{
	struct world world;
	struct packet packet;
	int status;
	pid_t pid;

	make_world(&world);
	open_redirect(&world, "", (struct redirect_options){0});
	begin("tcp", far4, 92);
	left_alone(&world, far4, 92);
	pid = start(other, "tcp", far4, 93);
	CHECK(taken(&world, far4, 93).pid == pid);
	await(pid);
	pid = fork();
	if (pid == 0) {
		struct world inner;

		make_world(&inner);
		pid = start(other, "tcp", far4, 94);
		CHECK(packet_to(inner.outside, 94, &packet, SOON_MS));
		await(pid);
		_exit(0);
	}
	CHECK(waitpid(pid, &status, 0) == pid && status == 0);
	CHECK(!packet_to(redirect_tunnel(world.redirect), 94, &packet, 0));
	redirect_close(world.redirect);
}

// What was announced, process_find() knows; of a process that is gone, too.
static void announced(struct world *world)
{
	struct sockaddr_storage elsewhere;
	struct process_finder *finder;
	struct redirect_owner owner;
	struct process *process;
	int go;
	pid_t pid;

	CHECK(!process_open(&finder, -1, 0));
	pid = start(match, "tcp", far4, 95);
	await(pid);
	owner = taken(world, far4, 95);
	CHECK(!process_find(finder, owner.protocol, (struct sockaddr *)&owner.app, (struct sockaddr *)&owner.peer));
	CHECK(!process_announce(finder, &owner));
	process = process_find(finder, owner.protocol, (struct sockaddr *)&owner.app, (struct sockaddr *)&owner.peer);
	CHECK(process && process->pid == pid && !strcmp(process->name, match) && !strcmp(process->user, "root"));
	CHECK(strstr(process->arguments, "play tcp") && process->path[0] == '/');
	CHECK(!process_announce(finder, &owner));
	CHECK(process_find(finder, owner.protocol, (struct sockaddr *)&owner.app, (struct sockaddr *)&owner.peer) == process);

	pid = start_as(match, 0, "udp-stay", far6, 96, &go);
	owner = taken(world, far6, 96);
	CHECK(!process_announce(finder, &owner));
	elsewhere = (struct sockaddr_storage){0};
	((struct sockaddr_in6 *)&elsewhere)->sin6_family = AF_INET6;
	process = process_find(finder, IPPROTO_UDP, (struct sockaddr *)&owner.app, (struct sockaddr *)&elsewhere);
	CHECK(process && process->pid == pid);
	CHECK(process == process_read(finder, pid));
	CHECK(!process_find(finder, IPPROTO_TCP, (struct sockaddr *)&owner.app, (struct sockaddr *)&elsewhere));
	close(go);
	await(pid);
	process_close(finder);
}

// Many processes at once, none of which lasts: each flow is known by the time that its
// packet is read, and is its own process's.
static void crowd(struct world *world)
{
	enum { CROWD = 150, EACH = 10 };
	static pid_t pids[CROWD];
	struct process_finder *finder;
	struct redirect_owner owner;
	struct packet packet;
	int seen = 0;

	CHECK(!process_open(&finder, -1, 0));
	for (int i = 0; i < CROWD; i++)
		pids[i] = start(match, "many", i % 2 ? far4 : far6, 3000 + i);
	while (seen < CROWD * EACH && read_packet(redirect_tunnel(world->redirect), &packet, SOON_MS)) {
		struct address app = address_of(packet.from, packet.from_port), peer = address_of(packet.to, packet.port);
		struct process *process;

		if (packet.protocol != IPPROTO_TCP || packet.flags != TH_SYN)
			continue;
		while (redirect_read(world->redirect, &owner))
			CHECK(!process_announce(finder, &owner));
		process = process_find(finder, packet.protocol, (struct sockaddr *)&app.storage, (struct sockaddr *)&peer.storage);
		CHECK(process && process->pid == pids[packet.port - 3000]);
		CHECK(!strcmp(process->name, match));
		seen++;
	}
	CHECK(seen == CROWD * EACH);
	for (int i = 0; i < CROWD; i++)
		await(pids[i]);
	process_close(finder);
}

// It asks by a datagram socket for its own address, and sends from that by another kind.
static void ping(struct world *world)
{
	struct packet packet;
	char path[128];
	pid_t pid;

	if (system("command -v ping >/dev/null"))
		return;
	snprintf(path, sizeof path, "%s/%s-ping", folder, match);
	run("cp \"$(command -v ping)\" %s", path);
	pid = fork();
	if (pid == 0) {
		freopen("/dev/null", "w", stdout);
		execl(path, path, "-c", "1", "-W", "1", far4, NULL);
		_exit(3);
	}
	do
		CHECK(read_packet(world->outside, &packet, SOON_MS));
	while (packet.protocol != IPPROTO_ICMP);
	CHECK(!strcmp(packet.from, "10.9.9.2") && !strcmp(packet.to, far4));
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	unlink(path);
}

// Where control groups are, and where nobody has mounted them.
static void control_groups(void)
{
	char line[512], place[256] = "", group[320], spec[64];
	FILE *mounts = fopen("/proc/self/mounts", "re");
	struct world world;
	int input;
	pid_t pid;

	while (mounts && fgets(line, sizeof line, mounts))
		if (sscanf(line, "%*s %255s cgroup2", place) == 1 && strstr(line, " cgroup2 "))
			break;
		else
			*place = '\0';
	if (mounts)
		fclose(mounts);
	make_world(&world);
	snprintf(group, sizeof group, "%s/%s", place, match);
	if (*place && !mkdir(group, 0755)) {
		snprintf(spec, sizeof spec, "cgroup:/%s/", match);
		open_redirect(&world, spec, (struct redirect_options){0});
		pid = start_as(other, 0, "wait", far4, 77, &input);
		run("echo %d > %s/cgroup.procs", pid, group);
		CHECK(write(input, "", 1) == 1);
		struct redirect_owner owner = taken(&world, far4, 77);
		await(pid);
		CHECK(!rmdir(group));
		CHECK(owner.pid == pid && owner.cgroup[0] == '/' && !strcmp(owner.cgroup + 1, match));
		await(start(match, "tcp", far4, 78));
		left_alone(&world, far4, 78);
		redirect_close(world.redirect);
	}
	CHECK(!unshare(CLONE_NEWNS));
	run("mount --make-rprivate / && mount -t sysfs none /sys");
	open_redirect(&world, match, (struct redirect_options){0});
	await(start(match, "tcp", far4, 79));
	taken(&world, far4, 79);
	redirect_close(world.redirect);
}

// By the number, or by the name, of another namespace, and back in one's own.
static void other_namespace(void)
{
	struct world world, inner;
	struct packet packet;
	struct redirect_owner owner;
	pid_t outsider;
	char name[32], why[512];
	int ready[2], go[2], here;
	char byte;
	pid_t pid;

	make_world(&world);
	CHECK(!pipe(ready) && !pipe(go));
	pid = fork();
	if (pid == 0) {
		make_world(&inner);
		CHECK(write(ready[1], "", 1) == 1 && read(go[0], &byte, 1) == 1);
		await(start(match, "tcp", far4, 97));
		CHECK(!packet_to(inner.outside, 97, &packet, QUIET_MS));
		_exit(0);
	}
	CHECK(read(ready[0], &byte, 1) == 1);
	snprintf(name, sizeof name, "%d", pid);
	here = open("/proc/self/ns/net", O_RDONLY);
	CHECK(here >= 0 && !redirect_enter(name, why, sizeof why));
	open_redirect(&world, match, (struct redirect_options){0});
	CHECK(!setns(here, CLONE_NEWNET) && !close(here));
	CHECK(!if_nametoindex(redirect_device(world.redirect)));
	outsider = start(match, "tcp", far4, 98);
	await(outsider);
	left_alone(&world, far4, 98);
	// It is told of once, though it connects from out there again and again.
	CHECK(redirect_read(world.redirect, &owner) == 1 && owner.out_of_reach && owner.pid == outsider);
	CHECK(!strcmp(owner.name, match) && !redirect_read(world.redirect, &owner));
	await(start(other, "tcp", far4, 98));
	CHECK(!redirect_read(world.redirect, &owner));
	CHECK(write(go[1], "", 1) == 1);
	taken(&world, far4, 97);
	await(pid);
	redirect_close(world.redirect);
}

static void refused(void)
{
	struct redirect *redirect;
	struct spec *spec = spec_of(match);
	struct redirect_options options = {.spec = spec, .mtu = 1500};
	char why[512];
	struct world world;

	make_world(&world);
	CHECK(redirect_enter("there-is-no-such", why, sizeof why) == -ENOENT);
	CHECK(strstr(why, "there-is-no-such"));
	CHECK(!setresuid(64999, 64999, 64999));
	CHECK(redirect_open(&redirect, &options, why, sizeof why) < 0 && !redirect);
	fprintf(stderr, "%s\n", why);
	CHECK(strstr(why, "CAP_NET_ADMIN") && strstr(why, "CAP_BPF") && strstr(why, "CAP_PERFMON"));
	spec_close(spec);
}

// A host without a way for IPv6 goes on having none.
static void without_ipv6(void)
{
	struct world world;
	int fd;
	struct address to = address_of(far6, 99);

	make_world(&world);
	run("ip -6 route del default; ip -6 route del 2001:db8:9::/64 dev world0");
	open_redirect(&world, match, (struct redirect_options){0});
	fd = socket(AF_INET6, SOCK_DGRAM, 0);
	CHECK(connect(fd, (struct sockaddr *)&to.storage, to.size) < 0 && errno == ENETUNREACH);
	close(fd);
	redirect_close(world.redirect);
	run("ip -6 addr flush dev world0");
	open_redirect(&world, match, (struct redirect_options){0});
	CHECK(WEXITSTATUS(system("ip -6 -o addr show | grep -q apptap")) == 1);
	await(start(match, "tcp", far4, 99));
	taken(&world, far4, 99);
	redirect_close(world.redirect);
}

// --- which destinations -------------------------------------------------------------

static void destinations(void)
{
	struct redirect_cidr only[] = {{AF_INET, {198, 51, 100}, 24}, {AF_INET6, {0x20, 1, 0xd, 0xb8, 0, 0x77}, 48}};
	struct redirect_cidr except[] = {{AF_INET, {198, 51, 100, 7}, 32}};
	struct world world;

	make_world(&world);
	open_redirect(&world, match, (struct redirect_options){.only = only, .only_count = 2});
	await(start(match, "tcp", far4, 51));
	taken(&world, far4, 51);
	await(start(match, "tcp", far6, 52));
	taken(&world, far6, 52);
	await(start(match, "tcp", "198.51.101.7", 53));
	left_alone(&world, "198.51.101.7", 53);
	await(start(match, "tcp", "2001:db8:78::1", 54));
	left_alone(&world, "2001:db8:78::1", 54);
	redirect_close(world.redirect);
	open_redirect(&world, match, (struct redirect_options){.except = except, .except_count = 1, .no_loopback = true});
	await(start(match, "udp", far4, 55));
	left_alone(&world, far4, 55);
	await(start(match, "udp", "198.51.100.8", 56));
	taken(&world, "198.51.100.8", 56);
	await(start(match, "udp", "127.0.0.1", 57));
	await(start(match, "udp", "::1", 57));
	struct packet packet;
	CHECK(!packet_to(redirect_tunnel(world.redirect), 57, &packet, QUIET_MS));
	redirect_close(world.redirect);
}

// Not theirs, and not those of the matched.
static void multicast(void)
{
	struct world world;
	static const char *const to[] = {"224.0.0.251", "239.1.2.3", "ff02::fb", "255.255.255.255"};
	struct packet packet;

	make_world(&world);
	open_redirect(&world, match, (struct redirect_options){0});
	for (int i = 0; i < 4; i++)
		for (int j = 0; j < 2; j++)
			await(start(j ? match : other, "udp", to[i], 60));
	await(start(match, "mixed", far4, 58));
	taken(&world, far4, 58);
	run("ip -6 route add ff00::/8 dev %s table local 2>/dev/null; true", redirect_device(world.redirect));
	await(start(other, "udp", "ff02::fb", 60));
	CHECK(!read_packet(redirect_tunnel(world.redirect), &packet, QUIET_MS));
	redirect_close(world.redirect);
}

// A packet without payload, its checksum left to be finished.
struct stray {
	struct virtio_net_hdr offload;
	struct iphdr ip;
	union { struct tcphdr tcp; struct udphdr udp; } next;
} __attribute__((packed));

static void write_stray(int fd, int protocol, const char *from, const char *to, int from_port, int port, uint8_t flags)
{
	in_addr_t addresses[2] = {inet_addr(from), inet_addr(to)};
	struct stray stray = {
		.offload = {.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM, .csum_start = 20,
			    .csum_offset = protocol == IPPROTO_TCP ? 16 : 6},
		.ip = {.version = 4, .ihl = 5, .tot_len = htons(40), .ttl = 64, .protocol = (uint8_t)protocol,
		       .saddr = addresses[0], .daddr = addresses[1]},
	};
	uint16_t words[10];
	uint32_t sum = 0;

	memcpy(words, &stray.ip, sizeof words);
	for (int i = 0; i < 10; i++)
		sum += words[i];
	sum = (sum & 0xffff) + (sum >> 16);
	stray.ip.check = (uint16_t)~((sum & 0xffff) + (sum >> 16));
	sum = htons((uint16_t)protocol) + htons(20);
	for (int i = 6; i < 10; i++)
		sum += words[i];
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	if (protocol == IPPROTO_TCP) {
		stray.next.tcp = (struct tcphdr){.source = htons((uint16_t)from_port), .dest = htons((uint16_t)port),
						 .doff = 5, .window = htons(1000), .check = (uint16_t)sum};
		stray.next.tcp.th_flags = flags;
	} else {
		stray.next.udp = (struct udphdr){.source = htons((uint16_t)from_port), .dest = htons((uint16_t)port),
						 .len = htons(20), .check = (uint16_t)sum};
	}
	CHECK(write(fd, &stray, sizeof stray) == sizeof stray);
}

// A port of its own makes a socket a server's: its answers go the way the questions came.
static void servers(struct world *world)
{
	struct packet packet;
	int go;
	pid_t pid;

	await(start(match, "udp-server", far4, 61));
	left_alone(world, far4, 61);
	pid = start_as(match, 0, "listen", "0.0.0.0", 62, &go);
	// It says so by a connection of its own, which is redirected.
	CHECK(taken(world, far4, 63).pid == pid);
	write_stray(world->outside, IPPROTO_TCP, "10.9.9.77", "10.9.9.2", 4444, 62, TH_SYN);
	CHECK(packet_to(world->outside, 4444, &packet, SOON_MS));
	CHECK(packet.flags == (TH_SYN | TH_ACK));
	close(go);
	await(pid);
}

static void bound_by_hand(struct world *world)
{
	await(start(match, "bound", far4, 64));
	left_alone(world, far4, 64);
}

// What nobody waits for must not be answered by way of the real network.
static void nothing_leaks(struct world *world)
{
	struct packet packet;
	struct redirect_owner owner;
	char own[64];

	await(start(match, "udp", far4, 65));
	owner = taken(world, far4, 65);
	text_of(&owner.app, own);
	write_stray(redirect_tunnel(world->redirect), IPPROTO_UDP, far4, own, 65, 1, 0);
	write_stray(redirect_tunnel(world->redirect), IPPROTO_TCP, far4, own, 65, 1, TH_ACK);
	while (read_packet(world->outside, &packet, QUIET_MS))
		CHECK(strcmp(packet.to, far4) != 0);
}

// --- what is left -------------------------------------------------------------------

static char *look(void)
{
	static const char command[] = "ip -o link; ip -o addr; ip rule; ip -6 rule; ip route show table all; ip -6 route show table all;"
		"ip nexthop; sysctl -a 2>/dev/null | grep -E 'rp_filter|route_localnet|accept_local'";
	char *text = calloc(1, 1 << 16);
	FILE *out = popen(command, "r");

	CHECK(out && text && fread(text, 1, (1 << 16) - 1, out) > 0);
	pclose(out);
	return text;
}

// The programs that the kernel holds, by number. Others may load some, too.
struct programs { uint32_t ids[1024]; int count; };

static void list_programs(struct programs *out)
{
	uint32_t id = 0;

	for (out->count = 0; out->count < 1024 && !bpf_prog_get_next_id(id, &id); out->count++)
		out->ids[out->count] = id;
}

static bool has(const struct programs *programs, uint32_t id)
{
	for (int i = 0; i < programs->count; i++)
		if (programs->ids[i] == id)
			return true;
	return false;
}

static struct programs new_since(const struct programs *before)
{
	struct programs now, out = {0};

	list_programs(&now);
	for (int i = 0; i < now.count; i++)
		if (!has(before, now.ids[i]))
			out.ids[out.count++] = now.ids[i];
	return out;
}

static bool none_left(const struct programs *ours)
{
	struct programs now;

	list_programs(&now);
	for (int i = 0; i < ours->count; i++)
		if (has(&now, ours->ids[i]))
			return false;
	return true;
}

// The kernel takes things down a moment after the last descriptor.
static bool comes_back(const char *before, const struct programs *ours)
{
	for (int i = 0; i < 300; i++) {
		char *now = look();
		bool same = !strcmp(now, before) && none_left(ours);

		if (!same && i == 299)
			fprintf(stderr, "before:\n%s\nnow:\n%s\n%s\n", before, now, none_left(ours) ? "" : "programs are left");
		free(now);
		if (same)
			return true;
		usleep(10000);
	}
	return false;
}

static void no_trace(void)
{
	struct programs programs, ours;
	struct packet packet;
	struct world world;
	char *before;

	make_world(&world);
	before = look();
	list_programs(&programs);
	open_redirect(&world, match, (struct redirect_options){0});
	ours = new_since(&programs);
	CHECK(ours.count >= 13);
	pid_t connecting = start(match, "hold", far4, 66);
	taken(&world, far4, 66);
	redirect_close(world.redirect);
	await(connecting);
	CHECK(comes_back(before, &ours));
	for (int i = 0; i < 2; i++) {
		const char *to = i ? far6 : far4;
		int status, ready[2], go;
		pid_t pid, held, held_udp;
		char byte;

		CHECK(!pipe(ready));
		list_programs(&programs);
		pid = fork();
		if (pid == 0) {
			open_redirect(&world, match, (struct redirect_options){0});
			CHECK(write(ready[1], "", 1) == 1);
			taken(&world, to, 66);
			CHECK(write(ready[1], "", 1) == 1);
			taken(&world, to, 68);
			CHECK(write(ready[1], "", 1) == 1);
			pause();
		}
		CHECK(read(ready[0], &byte, 1) == 1);
		ours = new_since(&programs);
		// Conversations of the moment end, and what can go on does.
		held = start(match, "hold", to, 66);
		CHECK(read(ready[0], &byte, 1) == 1);
		held_udp = start_as(match, 0, "hold-udp", to, 68, &go);
		CHECK(read(ready[0], &byte, 1) == 1);
		kill(pid, SIGKILL);
		CHECK(waitpid(pid, &status, 0) == pid);
		await(held);
		CHECK(write(go, "", 1) == 1);
		await(held_udp);
		left_outside(&world, to, 68);
		close(go);
		close(ready[0]);
		close(ready[1]);
		CHECK(comes_back(before, &ours));
		await(start(match, "tcp", far4, 67));
		CHECK(packet_to(world.outside, 67, &packet, SOON_MS));
	}
	free(before);
}

static void two_at_once(void)
{
	struct world world, second;
	struct packet packet;
	pid_t pid;

	make_world(&world);
	second = world;
	open_redirect(&world, match, (struct redirect_options){0});
	open_redirect(&second, other, (struct redirect_options){0});
	CHECK(strcmp(redirect_device(world.redirect), redirect_device(second.redirect)) != 0);
	for (int i = 0; i < 2; i++) {
		const char *to = i ? far6 : far4;

		pid = start(match, "tcp", to, 70 + i);
		CHECK(taken(&world, to, 70 + i).pid == pid);
		await(pid);
		pid = start(other, "udp", to, 72 + i);
		CHECK(taken(&second, to, 72 + i).pid == pid);
		await(pid);
	}
	redirect_close(world.redirect);
	await(start(match, "tcp", far6, 74));
	CHECK(packet_to(world.outside, 74, &packet, SOON_MS));
	redirect_close(second.redirect);
}

// An ordinary user with nothing but the descriptors goes on reading and changing.
static void without_privileges(void)
{
	struct world world;

	make_world(&world);
	open_redirect(&world, match, (struct redirect_options){0});
	int status;
	pid_t pid = fork();
	if (pid == 0) {
		struct redirect_owner owner;
		struct packet packet;
		struct spec *spec = spec_of(other);

		CHECK(!setresuid(64999, 64999, 64999));
		CHECK(!redirect_change(world.redirect, spec));
		CHECK(packet_to(redirect_tunnel(world.redirect), 76, &packet, SOON_MS));
		CHECK(redirect_read(world.redirect, &owner) == 1);
		CHECK(!strcmp(owner.name, other));
		_exit(0);
	}
	usleep(100000);
	await(start(other, "tcp", far4, 76));
	CHECK(waitpid(pid, &status, 0) == pid && status == 0);
	redirect_close(world.redirect);
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

#define COMMON(X) \
	X(by_name) \
	X(both_families_and_kinds) \
	X(answers) \
	X(loopback) \
	X(refusals) \
	X(by_spec) \
	X(children) \
	X(threads) \
	X(by_pid) \
	X(gone_at_once) \
	X(servers) \
	X(bound_by_hand) \
	X(nothing_leaks) \
	X(announced) \
	X(crowd) \
	X(ping)

#define ALONE(X) \
	X(multicast) \
	X(strict_filter) \
	X(started_before) \
	X(all_but_us) \
	X(destinations) \
	X(no_trace) \
	X(two_at_once) \
	X(without_privileges) \
	X(other_namespace) \
	X(refused) \
	X(without_ipv6) \
	X(control_groups)

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
COMMON(DEFINE_COMMON)
ALONE(DEFINE_ALONE)

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

int main(int argc, char **argv)
{
#define LIST(name) cmocka_unit_test(test_##name),
	static const struct CMUnitTest tests[] = { COMMON(LIST) ALONE(LIST) };

	if (argc > 4 && !strcmp(argv[1], "play"))
		return play(argv);
	self = "/proc/self/exe";
	if (argc > 1)
		cmocka_set_test_filter(argv[1]);
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
