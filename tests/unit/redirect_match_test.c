// SPDX-License-Identifier: GPL-3.0-or-later
// redirect_match_test - which programs are redirected, and whose their flows are.

#include "tests/unit/redirect_world.h"

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

#define COMMON(X) \
	X(by_spec) \
	X(children) \
	X(threads) \
	X(by_pid) \
	X(gone_at_once) \
	X(announced) \
	X(crowd) \
	X(ping)

#define ALONE(X) \
	X(started_before) \
	X(all_but_us) \
	X(other_namespace) \
	X(refused) \
	X(without_ipv6) \
	X(control_groups)

COMMON(DEFINE_COMMON)
ALONE(DEFINE_ALONE)
MAIN
