// SPDX-License-Identifier: GPL-3.0-or-later
// redirect_test - what is redirected, and what comes of it there.

#include "tests/unit/redirect_world.h"

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

#define COMMON(X) \
	X(by_name) \
	X(both_families_and_kinds) \
	X(answers) \
	X(loopback) \
	X(refusals) \
	X(servers) \
	X(bound_by_hand) \
	X(nothing_leaks)

#define ALONE(X) \
	X(multicast) \
	X(strict_filter) \
	X(destinations)

COMMON(DEFINE_COMMON)
ALONE(DEFINE_ALONE)
MAIN
